package templates

// AuditEvent is one event with the proof that it is in the log.
type AuditEvent struct {
	Page         Page
	Groups       []Group
	OperationURL string
	Reviews      []Moment
	Review       *ReviewForm
	Evidence     Evidence
	Bytes        string // exactly what was hashed
}

// Evidence is the proof that the event is in the signed log.
type Evidence struct {
	Verified   bool
	Problem    string   // why it could not be verified
	Says       []string // what it proves, in plain words
	LeafHash   string
	Place      string
	Proof      []string
	Checkpoint string
}
