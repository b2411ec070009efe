package templates

// Failure is the page of every error, signed in or out.
type Failure struct {
	Page      Page
	Status    string // "404"
	Text      string // one sentence: what happened
	Next      []string
	ErrorType string
	UpstreamRequestID,
	RequestID string // ours
	Rows  []Row // more facts: permission, roles that have it, seconds to wait
	Links []Link
}
