package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// clock is a time that only moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// object is a JSON object as it came over the wire.
type object map[string]any

// at digs for a value; a missing step gives nil.
func (o object) at(path string) any {
	var value any = map[string]any(o)
	for step := range strings.SplitSeq(path, ".") {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[step]
	}
	return value
}

func (o object) text(path string) string {
	text, _ := o.at(path).(string)
	return text
}

func (o object) list(path string) []object {
	values, _ := o.at(path).([]any)
	out := make([]object, 0, len(values))
	for _, v := range values {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// api talks to a sandbox over HTTP.
type api struct {
	url    string
	info   sandbox.Info
	client *http.Client
	clock  *clock
}

func start(t *testing.T, opts sandbox.Options) *api {
	t.Helper()
	c := newClock()
	if opts.Now == nil {
		opts.Now = c.Now
	}
	s, err := sandbox.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &api{url: server.URL, info: s.Info(), client: client, clock: c}
}

// request makes a request with the project's credentials. Headers are name, value pairs.
func (a *api) request(t *testing.T, method, path string, body any, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(a.info.ProjectID, a.info.Secret)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

func (a *api) do(t *testing.T, req *http.Request) (int, object) {
	t.Helper()
	res, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: Content-Type %q", req.Method, req.URL.Path, got)
	}
	var o object
	if err := json.NewDecoder(res.Body).Decode(&o); err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return res.StatusCode, o
}

func (a *api) call(t *testing.T, method, path string, body any, headers ...string) (int, object) {
	t.Helper()
	return a.do(t, a.request(t, method, path, body, headers...))
}

// control calls the control endpoint.
func (a *api) control(t *testing.T, method, path string, body any) (int, object) {
	t.Helper()
	req := a.request(t, method, "/_sandbox/"+path, body)
	req.Header.Set("Authorization", "Bearer "+a.info.ControlToken)
	return a.do(t, req)
}

func (a *api) steer(t *testing.T, method, path string, body any) object {
	t.Helper()
	status, o := a.control(t, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %v", method, path, status, o)
	}
	return o
}

// people lists the noted members by address; the second of a shared address is in "address slug".
func (a *api) people(t *testing.T) map[string]object {
	t.Helper()
	out := map[string]object{}
	for _, p := range a.steer(t, "GET", "people", nil).list("people") {
		out[p.text("email")] = p
		out[p.text("email")+" "+p.text("organization")] = p
	}
	return out
}

// session opens a session for a member and returns its token, JWT and id.
func (a *api) session(t *testing.T, memberID string) (token, jwt, id string) {
	t.Helper()
	o := a.steer(t, "POST", "sessions", object{"member_id": memberID})
	return o.text("session_token"), o.text("session_jwt"), o.text("member_session.member_session_id")
}

// mails are what was sent since the start, without the invitation that is there from the start.
func (a *api) mails(t *testing.T) []object {
	t.Helper()
	return slices.DeleteFunc(a.steer(t, "GET", "outbox", nil).list("mails"), func(m object) bool {
		return m.text("kind") == "invite" && m.text("to") == "ilse@acme.example" && m.text("time") == "2026-03-01T12:00:00Z"
	})
}

func wantError(t *testing.T, status int, o object, wantStatus int, wantType string) {
	t.Helper()
	if status != wantStatus || o.text("error_type") != wantType {
		t.Errorf("got %d %v, want %d %s", status, o, wantStatus, wantType)
	}
}

const acting = "X-Stytch-Member-Session"

const actingJWT = "X-Stytch-Member-SessionJWT"

func TestBasics(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 40})
	tests := []struct {
		name, method, path string
		auth               func(*http.Request)
		status             int
		errorType          string
	}{
		{name: "whoami", method: "GET", path: "/v1/debug/whoami", status: 200},
		{name: "wrong secret", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.SetBasicAuth(a.info.ProjectID, "x") }, status: 401, errorType: "unauthorized_credentials"},
		{name: "wrong project", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.SetBasicAuth("project-test-1", a.info.Secret) }, status: 401, errorType: "unauthorized_credentials"},
		{name: "no credentials", method: "GET", path: "/v1/b2b/organizations/acme", auth: func(r *http.Request) { r.Header.Del("Authorization") }, status: 401, errorType: "unauthorized_credentials"},
		{name: "no such route", method: "GET", path: "/v1/b2b/nothing", status: 404, errorType: "route_not_found"},
		{name: "trailing slash", method: "GET", path: "/v1/debug/whoami/", status: 404, errorType: "route_not_found"},
		{name: "method", method: "PUT", path: "/v1/debug/whoami", status: 405, errorType: "method_not_allowed"},
		{name: "organization by slug", method: "GET", path: "/v1/b2b/organizations/acme", status: 200},
		{name: "organization by external id", method: "GET", path: "/v1/b2b/organizations/crm%7Cacme-0042", status: 200},
		{name: "unknown organization", method: "GET", path: "/v1/b2b/organizations/umbrella", status: 404, errorType: "organization_not_found"},
		{name: "malformed organization", method: "GET", path: "/v1/b2b/organizations/a%20b", status: 400, errorType: "invalid_organization_id"},
		{name: "jwks need no credentials", method: "GET", path: "/v1/b2b/sessions/jwks/" + a.info.ProjectID, auth: func(r *http.Request) { r.Header.Del("Authorization") }, status: 200},
		{name: "jwks of another project", method: "GET", path: "/v1/b2b/sessions/jwks/project-test-x", status: 404, errorType: "route_not_found"},
		{name: "session header where it means nothing", method: "GET", path: "/v1/b2b/organizations/acme", auth: func(r *http.Request) { r.Header.Set(acting, "nonsense") }, status: 200},
		{name: "foreign host", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.Host = "evil.example" }, status: 421, errorType: "misdirected_request"},
		{name: "host that starts like ours", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, status: 421, errorType: "misdirected_request"},
		{name: "localhost", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.Host = "localhost:99" }, status: 200},
		{name: "IPv6 loopback", method: "GET", path: "/v1/debug/whoami", auth: func(r *http.Request) { r.Host = "[::1]:99" }, status: 200},
		{name: "body that is not JSON", method: "POST", path: "/v1/b2b/organizations/members/search", status: 400, errorType: "bad_request"},
	}
	requestID := regexp.MustCompile(`^request-id-test-[0-9a-f-]{36}$`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := a.request(t, tt.method, tt.path, nil)
			if tt.auth != nil {
				tt.auth(req)
			}
			status, o := a.do(t, req)
			if status != tt.status || o.text("error_type") != tt.errorType {
				t.Errorf("got %d %v", status, o)
			}
			if got := o.at("status_code"); got != float64(status) {
				t.Errorf("status_code %v, status %d", got, status)
			}
			if !requestID.MatchString(o.text("request_id")) {
				t.Errorf("request_id %q", o.text("request_id"))
			}
			if tt.errorType != "" {
				if o.text("error_message") == "" || !strings.HasPrefix(o.text("error_url"), "https://stytch.com/docs/b2b/api/errors/") {
					t.Errorf("error object %v", o)
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]sandbox.Options{
		"too small":      {OrgSize: 3},
		"negative":       {OrgSize: -1},
		"too large":      {OrgSize: 100_001},
		"latency":        {Latency: -1},
		"long latency":   {Latency: time.Hour},
		"faulty fault":   {Faults: []sandbox.Fault{{Endpoint: "*", Kind: "nonsense"}}},
		"fault at no-op": {Faults: []sandbox.Fault{{Endpoint: "nowhere", Kind: sandbox.FaultServerError}}},
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := sandbox.New(opts); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: sandbox.MinOrgSize})
	var roles []string
	for _, p := range a.info.People {
		roles = append(roles, p.Role+" "+p.Organization)
		status, o := a.call(t, "POST", "/v1/b2b/passwords/authenticate", object{
			"organization_id": p.Organization, "email_address": p.Email, "password": p.Password,
		})
		if status != 200 || o.at("member_authenticated") != true {
			t.Errorf("%s: %d %v", p.Email, status, o)
		}
	}
	want := []string{"org_admin acme", "helpdesk acme", "auditor acme", "member acme", "outsider globex"}
	if diff := cmp.Diff(want, roles); diff != "" {
		t.Error(diff)
	}
}
