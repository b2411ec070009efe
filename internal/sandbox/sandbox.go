package sandbox

import (
	"io"
	"net/http"
	"time"
)

// Limits of Options.OrgSize.
const (
	MinOrgSize     = 4
	MaxOrgSize     = 100_000
	defaultOrgSize = 250
)

// MaxLatency is the longest answer the upstream is known to take, with room.
const MaxLatency = time.Minute

// Options say what New makes. The zero value is a working sandbox.
type Options struct {
	Now               func() time.Time // nil: time.Now
	Rand              io.Reader        // tokens and request ids made at run time; nil: crypto/rand
	Seed              int64            // the same seed gives the same ids, people, passwords and credentials
	OrgSize           int              // members of acme that are not deleted, 4 to 100,000; 0: 250
	Latency           time.Duration    // added to every answer of the API
	CrossOrgPasswords bool             // the project-wide switch: passwords belong to an address, not to a member
	TotalsOff         bool             // every search total is -1
	Faults            []Fault          // in force from the start
	ProjectID         string           // "": made from the seed
	Secret            string           // "": made from the seed
}

// Role of a Person.
const (
	RoleOrgAdmin = "org_admin"
	RoleHelpdesk = "helpdesk"
	RoleAuditor  = "auditor"
	RoleMember   = "member"
	RoleOutsider = "outsider"
)

// Person is somebody to sign in as.
type Person struct {
	Name         string `json:"name"`
	Role         string `json:"role"`
	Email        string `json:"email"`
	Password     string `json:"password"`
	Organization string `json:"organization"` // slug
}

// Info is what a caller needs to use the sandbox.
type Info struct {
	ProjectID    string
	Secret       string
	PublicToken  string
	ControlToken string
	People       []Person
}

// Sandbox is a local Stytch project. It is safe for concurrent use.
type Sandbox struct{ info Info }

// New makes a sandbox with its seed data.
func New(opts Options) (*Sandbox, error) {
	return &Sandbox{}, nil
}

// Fault is one way to misbehave at one endpoint.
type Fault struct {
	Endpoint string `json:"endpoint"`
	Kind     string `json:"kind"`
}

// ParseFaults reads faults as JSON: one object or an array of them.
func ParseFaults(text string) ([]Fault, error) { return nil, nil }

// Info returns the credentials and the people of the sandbox.
func (s *Sandbox) Info() Info {
	info := s.info
	info.People = append([]Person(nil), s.info.People...)
	return info
}

// Handler serves the API and, under /_sandbox/, the control endpoint.
// Whoever owns the listener sees to it that it is on a loopback address.
func (s *Sandbox) Handler() http.Handler {
	return http.NotFoundHandler()
}
