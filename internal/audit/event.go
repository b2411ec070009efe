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

	Purged *Purged // not nil: the rest was purged, and all there is are Seq, ID, OrganizationID and OperationID
	Damage string  // not "": the record is not as it was recorded, this says how, and all there is are Seq, ID and OrganizationID
	Erased Erased  // which texts are empty because a person was erased
}

// Purged says why nothing is left of a record but its place in the tree. The
// record's ID and OperationID are then a help to find it, and not proven.
type Purged struct {
	Time time.Time // when
	Days int       // how old a record had to be
	By   string    // id of the event that says so
	Seq  int64     // and its place
}

// Erased are the texts of an event that were erased with a person.
type Erased struct{ ActorEmail, TargetLabel, TargetEmail, SourceIP bool }

func (e *Erased) add(s subject) {
	switch s {
	case subjectActorEmail:
		e.ActorEmail = true
	case subjectTargetLabel:
		e.TargetLabel = true
	case subjectTargetEmail:
		e.TargetEmail = true
	case subjectSourceIP:
		e.SourceIP = true
	}
}

func (e *Erased) has(s subject) bool {
	return s == subjectActorEmail && e.ActorEmail || s == subjectTargetLabel && e.TargetLabel ||
		s == subjectTargetEmail && e.TargetEmail || s == subjectSourceIP && e.SourceIP
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
	Type       string // "member", "organization", "audit_tree", "audit_records", "audit_key"
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
