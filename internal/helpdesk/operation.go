package helpdesk

import (
	"errors"
	"time"

	"orgconsole/internal/audit"
)

// State says how far an operation has come.
type State string

// An operation goes asked → intent → (unknown →) final. Asked is a step that
// waits for the one before it; unknown is provisional and seen by people.
const (
	StateAsked   State = "asked"
	StateIntent  State = "intent"
	StateUnknown State = "unknown"
	StateFinal   State = "final"
)

// Details: why an outcome is what it is. A closed set, recorded with the outcome.
const (
	DetailAnswer       = "answer"              // the upstream's own answer says so
	DetailReread       = "re-read"             // reading the member afterwards says so
	DetailStillThere   = "still_there"         // the re-read found the same password
	DetailChanged      = "password_changed"    // another password than the one shown; nothing sent
	DetailNoPassword   = "no_password"         // the password was gone before we started; nothing sent
	DetailMemberGone   = "member_gone"         // the member is deleted or not found
	DetailNotSent      = "not_sent"            // the upstream could not be reached at all
	DetailTooLate      = "too_late"            // the console was held up after its intent; nothing sent
	DetailNotAttempted = "not_attempted"       // an earlier step did not succeed
	DetailStopped      = "console_stopped"     // the console stopped before this step's turn
	DetailSession      = "session_ended"       // the acting session is dead
	DetailCredentials  = "project_credentials" // the project's secret was refused
	DetailRefused      = "refused"             // the upstream answered 4xx
	DetailRateLimited  = "rate_limited"        // the upstream answered 429
	DetailBadAnswer    = "bad_answer"          // 2xx, but cut, garbage, too large, or a redirect
	DetailOtherMember  = "other_member"        // the answer is about somebody else
	DetailIDKept       = "id_still_in_answer"  // the answer still carries the deleted password's id
	DetailFault        = "upstream_fault"      // 5xx
	DetailNoAnswer     = "no_answer"           // timeout, or the connection broke after sending
	DetailCheck        = "check"               // decided by the permission check before anything was sent
	DetailForm         = "form_refused"        // the form was not made for this person and target
)

// Person is who acted or who it was done to, as known at that time.
type Person struct {
	MemberID string   `json:"member_id"`
	Email    string   `json:"email"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles,omitempty"`
	Erased   bool     `json:"erased,omitempty"` // name and email were
}

// Operation is one thing asked for, and what became of it. It is stored as it
// is read back, and never holds a token or a password.
type Operation struct {
	ID             string       `json:"id"` // UUIDv7
	OrganizationID string       `json:"organization_id"`
	RootID         string       `json:"root_id"`            // the operation it was asked together with; its own id when it stands alone
	RetryOf        string       `json:"retry_of,omitempty"` // the attempt it repeats
	Attempt        int          `json:"attempt"`
	Action         audit.Action `json:"action"`
	Actor          Person       `json:"actor"`
	Target         Person       `json:"target"`
	PasswordID     string       `json:"password_id,omitempty"` // the password meant, as read just before
	Reason         string       `json:"reason"`
	Ticket         string       `json:"ticket"`
	SessionsOpen   int          `json:"sessions_open"` // when it was asked; -1 when it could not be read
	SignOut        bool         `json:"sign_out,omitempty"`
	SendReset      bool         `json:"send_reset,omitempty"`

	State             State         `json:"state"`
	Outcome           audit.Outcome `json:"outcome,omitempty"`
	Detail            string        `json:"detail,omitempty"`
	HTTPStatus        int           `json:"http_status,omitempty"` // of the call's answer; 0 when there was none
	ErrorType         string        `json:"error_type,omitempty"`
	UpstreamRequestID string        `json:"upstream_request_id,omitempty"`
	EvidenceRequestID string        `json:"evidence_request_id,omitempty"` // of the read that settled it
	RetryAfter        int           `json:"retry_after,omitempty"`         // seconds; 0 when the upstream did not say
	Permission        string        `json:"permission,omitempty"`          // what was missing, when denied
	RolesWith         []string      `json:"roles_with,omitempty"`          // roles that have it
	PasswordAfter     string        `json:"password_after,omitempty"`      // password id seen afterwards; empty means none
	SawUnknown        bool          `json:"saw_unknown,omitempty"`         // an unknown outcome was recorded on the way

	CreatedAt time.Time `json:"created_at"`            // the intent was on disk
	EndedAt   time.Time `json:"ended_at,omitzero"`     // the call's answer, or its absence, was known
	SettledAt time.Time `json:"settled_at,omitzero"`   // the final outcome was on disk
	CallUntil time.Time `json:"called_until,omitzero"` // the latest the call can have run

	Steps []*Operation `json:"-"` // what was asked together with it, every attempt, oldest first
}

// Done reports whether the outcome is final and good.
func (op *Operation) Done() bool {
	return op.State == StateFinal && op.Outcome == audit.OutcomeSucceeded
}

// Uncertain reports an outcome nobody knows yet.
func (op *Operation) Uncertain() bool { return op.State == StateUnknown || op.State == StateIntent }

// Latest returns the newest attempt of a step, or nil when it was not asked.
func (op *Operation) Latest(action audit.Action) *Operation {
	var last *Operation
	for _, s := range op.Steps {
		if s.Action == action && (last == nil || s.Attempt > last.Attempt) {
			last = s
		}
	}
	return last
}

var (
	// ErrNotFound says there is no such operation in the organization.
	ErrNotFound = errors.New("no such operation")
	// ErrNotRetryable says the operation is done, under way, or is one that
	// starts again from its confirmation page.
	ErrNotRetryable = errors.New("this operation cannot be retried")
)

// InvalidError names the fields that need another value: "reason", "ticket".
type InvalidError struct{ Fields map[string]string }

func (e *InvalidError) Error() string { return "the request has fields that need another value" }
