package sandbox

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits of Options.OrgSize.
const (
	MinOrgSize     = 4 // the people with a role
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
	RedirectURL       string           // where mails lead whose call names nothing; "": http://localhost:3000/authenticate
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
type Sandbox struct {
	now     func() time.Time
	info    Info
	ids     idMaker
	project *project

	randMu sync.Mutex
	rand   io.Reader

	keys    *signingKeys
	hashes  *passwordHashes
	faults  *faultSet
	journal *journal
	routes  []route
}

// New makes a sandbox with its seed data.
func New(opts Options) (*Sandbox, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	if opts.OrgSize == 0 {
		opts.OrgSize = defaultOrgSize
	}
	if opts.OrgSize < MinOrgSize || opts.OrgSize > MaxOrgSize {
		return nil, fmt.Errorf("organization size %d: accepted are %d to %d", opts.OrgSize, MinOrgSize, MaxOrgSize)
	}
	if opts.Latency < 0 || opts.Latency > MaxLatency {
		return nil, fmt.Errorf("latency %s: accepted are 0 to %s", opts.Latency, MaxLatency)
	}
	if opts.RedirectURL == "" {
		opts.RedirectURL = defaultRedirect
	}
	if err := checkRedirect(opts.RedirectURL, ""); err != nil {
		return nil, fmt.Errorf("redirect URL %q: accepted is an absolute http or https URL", opts.RedirectURL)
	}
	s := &Sandbox{now: opts.Now, rand: opts.Rand, ids: newIDMaker(opts.Seed)}
	s.info = s.ids.credentials()
	if opts.ProjectID != "" {
		s.info.ProjectID = opts.ProjectID
	}
	if opts.Secret != "" {
		s.info.Secret = opts.Secret
	}
	s.keys = newSigningKeys()
	s.hashes = newPasswordHashes()
	s.journal = newJournal()
	s.routes = s.table()
	s.faults = newFaultSet()
	if err := s.faults.replace(opts.Faults); err != nil {
		return nil, err
	}
	if err := s.seed(opts); err != nil {
		return nil, err
	}
	return s, nil
}

// Info returns the credentials and the people of the sandbox.
func (s *Sandbox) Info() Info {
	info := s.info
	info.People = append([]Person(nil), s.info.People...)
	return info
}

// SetRedirectURL changes Options.RedirectURL, also for mails that were sent before: the console's address may be known
// late. "" is the default again.
func (s *Sandbox) SetRedirectURL(redirect string) {
	if redirect == "" {
		redirect = defaultRedirect
	}
	s.project.mu.Lock()
	defer s.project.mu.Unlock()
	s.project.redirectURL = redirect
}

// Handler serves the API and, under /_sandbox/, the control endpoint.
// Whoever owns the listener sees to it that it is on a loopback address.
func (s *Sandbox) Handler() http.Handler {
	return http.HandlerFunc(s.serve)
}
