package templates

// Operation is the receipt of one operation: a plain page with its own address.
type Operation struct {
	Page     Page
	Result   Result // with its steps and their retries
	Person   Person
	Groups   []Group // actor, reason, ticket, times, upstream status and request id
	Timeline []Moment
	Receipt  string // address of the signed file; empty when there is none
	OnPaper  string // the same, whole
}

// Moment is one recorded event of the operation.
type Moment struct {
	Time    Time
	Text    string // where there is none, the outcome is the link
	Outcome Badge  // empty for what has no outcome
	Detail  string // evidence, status, error type
	URL     string // the audit event; empty for whom may not read it
}
