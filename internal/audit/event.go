package audit

import "time"

// schema is the version of the layout of an event's bytes.
const schema = 1

// Event is one record. Append sets Seq, ID, Time, Build and Schema.
type Event struct {
	Seq               int64 // place in the organization's tree, from 0
	ID                string
	OrganizationID    string // "" is the system tree
	Time              time.Time
	Action            Action
	Phase             Phase
	OperationID       string // what its intent and outcomes have in common
	Actor             Actor
	Target            Target
	Reason            string
	Ticket            string
	Outcome           Outcome
	HTTP              HTTP // what the upstream answered
	UpstreamRequestID string
	Attempt           int
	Count             int    // how often, in an event that stands for several
	Detail            string // the word for how the outcome is known, such as "answer" or "re-read"
	Source            Source
	RequestID         string
	Build             string
	Schema            int
}

// Actor is who did it.
type Actor struct {
	MemberID    string
	Email       string // kept apart from the bytes, as the other fields marked so
	SessionID   string
	AuthFactors []string
	System      bool // the console itself
}

// Target is whom or what it was done to.
type Target struct {
	Type       string // "member", "organization", "audit_tree"
	ID         string
	Label      string // name; kept apart
	Email      string // kept apart
	PasswordID string
}

// HTTP is how the upstream answered; zero when nothing was sent or no answer came.
type HTTP struct {
	Status    int
	ErrorType string
}

// Source is where the request came from.
type Source struct {
	IP        string // kept apart
	UserAgent string
}
