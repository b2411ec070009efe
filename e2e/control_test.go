package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// Short names of the sandbox's endpoints.
const (
	epDeletePassword = "members.delete_password"
	epSearch         = "members.search"
	epRevoke         = "sessions.revoke"
	epResetStart     = "passwords.email.reset_start"
)

// control speaks to the sandbox's control endpoint.
type control struct {
	t           testing.TB
	base, token string
}

func newControl(t testing.TB, f facts) *control {
	return &control{t: t, base: f.Stytch, token: f.ControlToken}
}

// fault is one way the sandbox is told to misbehave.
type fault struct {
	Endpoint   string `json:"endpoint"`
	Kind       string `json:"kind"`
	Apply      string `json:"apply,omitempty"`
	Times      int    `json:"times,omitempty"`
	Duration   string `json:"duration,omitempty"`
	RetryAfter *int   `json:"retry_after,omitempty"`
	Status     int    `json:"status,omitempty"`
	ErrorType  string `json:"error_type,omitempty"`
	MemberID   string `json:"member_id,omitempty"`
	Bytes      int    `json:"bytes,omitempty"`
}

// entry is one request that the sandbox received.
type entry struct {
	Seq           int
	Time          time.Time
	Method        string
	Path          string
	Endpoint      string
	Headers       http.Header
	Authorization *struct {
		User  string
		Valid bool
	}
	Session []struct {
		Header    string
		SessionID string `json:"session_id"`
		MemberID  string `json:"member_id"`
	}
	Body      any
	Done      bool
	Status    int
	ErrorType string `json:"error_type"`
	RequestID string `json:"request_id"`
	Fault     string
}

// stranger is a member worth trying.
type stranger struct {
	Name, Role, Email, Password, Organization, Note, Status string

	MemberID       string `json:"member_id"`
	OrganizationID string `json:"organization_id"`
	PasswordID     string `json:"member_password_id"`
}

// memberState is what the sandbox holds of a member.
type memberState struct {
	Member struct {
		MemberID   string `json:"member_id"`
		PasswordID string `json:"member_password_id"`
		Email      string `json:"email_address"`
		Status     string
	}
	Sessions []struct {
		ID string `json:"member_session_id"`
	}
	SeededPassword string `json:"seeded_password"`
	ResetRequired  bool   `json:"reset_required"`
}

func (c *control) call(method, path string, in, out any) {
	c.t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			c.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+"/_sandbox/"+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := client().Do(r)
	if err != nil {
		c.t.Fatalf("control: %v", err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatalf("control: %v", err)
	}
	if answer.StatusCode != http.StatusOK {
		c.t.Fatalf("control: %s %s: %s: %s", method, path, answer.Status, raw)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			c.t.Fatalf("control: %s %s: %v in %s", method, path, err, raw)
		}
	}
}

func (c *control) fault(f ...fault) {
	c.t.Helper()
	c.call("POST", "faults", f, nil)
}

func (c *control) clearFaults() {
	c.t.Helper()
	c.call("DELETE", "faults", nil, nil)
}

// mark is the number of the newest request; those since then are read with journal.
func (c *control) mark() int {
	c.t.Helper()
	all := c.journal(0, "")
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Seq
}

// journal lists the requests after a mark, of one endpoint or of all.
func (c *control) journal(since int, endpoint string) []entry {
	c.t.Helper()
	q := url.Values{"since": {strconv.Itoa(since)}}
	if endpoint != "" {
		q.Set("endpoint", endpoint)
	}
	var out struct{ Requests []entry }
	c.call("GET", "journal?"+q.Encode(), nil, &out)
	return out.Requests
}

func (c *control) switches(to map[string]any) {
	c.t.Helper()
	c.call("PUT", "switches", to, nil)
}

func (c *control) member(id string) memberState {
	c.t.Helper()
	var out memberState
	c.call("GET", "members/"+id, nil, &out)
	return out
}

// change changes a member behind the console's back.
func (c *control) change(id string, to map[string]any) {
	c.t.Helper()
	c.call("POST", "members/"+id, to, nil)
}

func (c *control) endSession(id string) {
	c.t.Helper()
	c.call("DELETE", "sessions/"+id, nil, nil)
}

// mails are the addresses that mail was sent to.
func (c *control) mails() []map[string]any {
	c.t.Helper()
	var out struct{ Mails []map[string]any }
	c.call("GET", "outbox", nil, &out)
	return out.Mails
}

// stranger finds a member of any organization by address.
func (c *control) stranger(email string) stranger {
	c.t.Helper()
	return c.strangerIn("", email)
}

func (c *control) strangerIn(organization, email string) stranger {
	c.t.Helper()
	var out struct{ People []stranger }
	c.call("GET", "people", nil, &out)
	for _, p := range out.People {
		if p.Email == email && (organization == "" || p.Organization == organization) {
			return p
		}
	}
	c.t.Fatalf("the sandbox has nobody with the address %s", email)
	return stranger{}
}
