package sandbox_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []sandbox.Fault
		problem    string
	}{
		{
			name: "one", text: `{"endpoint":"members.search","kind":"rate_limit"}`,
			want: []sandbox.Fault{{Endpoint: "members.search", Kind: "rate_limit", Apply: "before"}},
		},
		{
			name: "by method and path", text: `[{"endpoint":"DELETE /v1/b2b/organizations/{organization_id}/members/passwords/{member_password_id}","kind":"cut_body","times":1}]`,
			want: []sandbox.Fault{{Endpoint: "members.delete_password", Kind: "cut_body", Apply: "after", Times: 1}},
		},
		{
			name: "latency", text: `[{"endpoint":"*","kind":"latency","duration":"1.5s","apply":"after"}]`,
			want: []sandbox.Fault{{Endpoint: "*", Kind: "latency", Duration: sandbox.Duration(1500 * time.Millisecond), Apply: "after"}},
		},
		{
			name: "refuse", text: `[{"endpoint":"*","kind":"refuse","error_type":"organization_suspended"}]`,
			want: []sandbox.Fault{{Endpoint: "*", Kind: "refuse", ErrorType: "organization_suspended", Status: 403, Apply: "before"}},
		},
		{name: "none", text: `[]`, want: []sandbox.Fault{}},
		{name: "not JSON", text: `latency`, problem: "JSON"},
		{name: "nothing", text: ``, problem: "JSON"},
		{name: "something after", text: `[] []`, problem: "follows"},
		{name: "misspelt field", text: `{"endpont":"*","kind":"hang"}`, problem: "endpont"},
		{name: "unknown kind", text: `{"endpoint":"*","kind":"explode"}`, problem: "accepted are bad_credentials, bad_gateway_html"},
		{name: "unknown endpoint", text: `{"endpoint":"members.explode","kind":"hang"}`, problem: "accepted are *, debug.whoami"},
		{name: "no endpoint", text: `{"kind":"hang"}`, problem: "endpoint"},
		{name: "latency without duration", text: `{"endpoint":"*","kind":"latency"}`, problem: "duration"},
		{name: "negative duration", text: `{"endpoint":"*","kind":"latency","duration":"-1s"}`, problem: "duration"},
		{name: "long duration", text: `{"endpoint":"*","kind":"latency","duration":"11m"}`, problem: "duration"},
		{name: "strange duration", text: `{"endpoint":"*","kind":"latency","duration":"soon"}`, problem: "150ms"},
		{name: "duration of a 500", text: `{"endpoint":"*","kind":"server_error","duration":"1s"}`, problem: "duration"},
		{name: "negative times", text: `{"endpoint":"*","kind":"hang","times":-1}`, problem: "times"},
		{name: "strange apply", text: `{"endpoint":"*","kind":"hang","apply":"during"}`, problem: "before, after"},
		{name: "retry_after of a 500", text: `{"endpoint":"*","kind":"server_error","retry_after":1}`, problem: "retry_after"},
		{name: "negative retry_after", text: `{"endpoint":"*","kind":"rate_limit","retry_after":-1}`, problem: "retry_after"},
		{name: "refuse without type", text: `{"endpoint":"*","kind":"refuse"}`, problem: "error_type"},
		{name: "refuse with 200", text: `{"endpoint":"*","kind":"refuse","error_type":"x","status":200}`, problem: "400 to 599"},
		{name: "status of a hang", text: `{"endpoint":"*","kind":"hang","status":500}`, problem: "status"},
		{name: "bytes of a hang", text: `{"endpoint":"*","kind":"hang","bytes":5}`, problem: "bytes"},
		{name: "negative bytes", text: `{"endpoint":"*","kind":"giant_body","bytes":-5}`, problem: "bytes"},
		{name: "wrong member of everything", text: `{"endpoint":"*","kind":"wrong_member"}`, problem: "endpoint"},
		{name: "wrong member of a policy", text: `{"endpoint":"rbac.policy","kind":"wrong_member"}`, problem: "does not fit"},
		{name: "strange wrong member", text: `{"endpoint":"members.get","kind":"wrong_member","member_id":"x"}`, problem: "member_id"},
		{name: "kept id of a read", text: `{"endpoint":"members.get","kind":"id_kept"}`, problem: "does not fit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sandbox.ParseFaults(tt.text)
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("error %v does not name %q", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// raw is an answer as far as it came.
type raw struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (a *api) raw(t *testing.T, method, path string, headers ...string) raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	res, err := a.client.Do(a.request(t, method, path, nil, headers...).WithContext(ctx))
	if err != nil {
		return raw{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return raw{status: res.StatusCode, header: res.Header, body: body, err: err}
}

// Every kind of fault at the endpoint that matters, before and after: what is seen, and what has happened.
//
//nolint:tparallel // the cases share a sandbox: one member, one fault at a time
func TestFaultsOfDeletePassword(t *testing.T) {
	t.Parallel()
	jsonError := func(status int, errorType string) func(*testing.T, raw) {
		return func(t *testing.T, r raw) {
			t.Helper()
			var o object
			if err := json.Unmarshal(r.body, &o); err != nil || r.status != status || o.text("error_type") != errorType || o.text("request_id") == "" {
				t.Errorf("%d %s %v", r.status, r.body, err)
			}
		}
	}
	succeeds := func(t *testing.T, r raw) {
		t.Helper()
		var o object
		if err := json.Unmarshal(r.body, &o); err != nil || r.status != 200 || o.at("member.member_password_id") != "" {
			t.Errorf("%d %s %v", r.status, r.body, err)
		}
	}
	noAnswer := func(t *testing.T, r raw) {
		t.Helper()
		if r.err == nil || r.status != 0 {
			t.Errorf("%d %v", r.status, r.err)
		}
	}
	notJSON := func(t *testing.T, r raw) {
		t.Helper()
		if r.err != nil || r.status != 200 || json.Valid(r.body) {
			t.Errorf("%d %q %v", r.status, r.body, r.err)
		}
	}
	tests := []struct {
		fault string
		seen  func(*testing.T, raw)
		after bool // strikes after the effect by default
	}{
		{`"kind":"latency","duration":"1ms"`, succeeds, false},
		{`"kind":"rate_limit","retry_after":30`, func(t *testing.T, r raw) {
			t.Helper()
			jsonError(429, "too_many_requests")(t, r)
			if got := r.header.Get("Retry-After"); got != "30" {
				t.Errorf("Retry-After %q", got)
			}
		}, false},
		{`"kind":"rate_limit"`, func(t *testing.T, r raw) {
			t.Helper()
			jsonError(429, "too_many_requests")(t, r)
			if _, there := r.header["Retry-After"]; there {
				t.Error("Retry-After")
			}
		}, false},
		{`"kind":"server_error"`, jsonError(500, "internal_server_error"), false},
		{`"kind":"bad_gateway_html"`, func(t *testing.T, r raw) {
			t.Helper()
			if r.status != 502 || r.header.Get("Content-Type") != "text/html" || !strings.Contains(string(r.body), "<html>") {
				t.Errorf("%d %s", r.status, r.body)
			}
		}, false},
		{`"kind":"refuse","status":403,"error_type":"session_authorization_error"`, jsonError(403, "session_authorization_error"), false},
		{`"kind":"bad_credentials"`, jsonError(401, "unauthorized_credentials"), false},
		{`"kind":"redirect"`, func(t *testing.T, r raw) {
			t.Helper()
			if r.status != 307 || r.header.Get("Location") == "" {
				t.Errorf("%d %v", r.status, r.header)
			}
		}, false},
		{`"kind":"hang","duration":"5ms"`, noAnswer, false},
		{`"kind":"reset"`, noAnswer, false},
		{`"kind":"garbage"`, notJSON, true},
		{`"kind":"empty_body"`, notJSON, true},
		{`"kind":"wrong_shape"`, func(t *testing.T, r raw) {
			t.Helper()
			if r.status != 200 || !json.Valid(r.body) {
				t.Errorf("%d %s", r.status, r.body)
			}
		}, true},
		{`"kind":"giant_body","bytes":3000000`, func(t *testing.T, r raw) {
			t.Helper()
			if r.status != 200 || len(r.body) != 3_000_000 {
				t.Errorf("%d, %d bytes", r.status, len(r.body))
			}
		}, true},
		{`"kind":"cut_body"`, func(t *testing.T, r raw) {
			t.Helper()
			if r.status != 200 || r.err == nil || len(r.body) < 100 {
				t.Errorf("%d, %d bytes, %v", r.status, len(r.body), r.err)
			}
		}, true},
		{`"kind":"wrong_member"`, func(t *testing.T, r raw) {
			t.Helper()
			var o object
			_ = json.Unmarshal(r.body, &o)
			if r.status != 200 || o.text("member_id") == "" || o.text("member.email_address") == "max@acme.example" || o.text("member_id") != o.text("member.member_id") {
				t.Errorf("%d %s", r.status, r.body)
			}
		}, true},
		{`"kind":"id_kept"`, func(t *testing.T, r raw) {
			t.Helper()
			var o object
			_ = json.Unmarshal(r.body, &o)
			if r.status != 200 || o.text("member.member_password_id") == "" || o.text("member.email_address") != "max@acme.example" {
				t.Errorf("%d %s", r.status, r.body)
			}
		}, true},
	}
	a := start(t, sandbox.Options{OrgSize: 10})
	moreau := a.people(t)["max@acme.example"].text("member_id")
	for _, tt := range tests { //nolint:paralleltest // as above
		for _, apply := range []string{"", "before", "after"} {
			t.Run(tt.fault+" "+apply, func(t *testing.T) {
				set := a.steer(t, "POST", "members/"+moreau, object{"password": "again"})
				fault := `{"endpoint":"members.delete_password","times":1,` + tt.fault
				if apply != "" {
					fault += `,"apply":"` + apply + `"`
				}
				a.steer(t, "PUT", "faults", "["+fault+"}]")
				tt.seen(t, a.raw(t, "DELETE", passwordsPath+set.text("member.member_password_id")))
				happened := a.steer(t, "GET", "members/"+moreau, nil).text("member.member_password_id") == ""
				want := apply == "after" || apply == "" && tt.after || strings.Contains(tt.fault, "latency")
				if happened != want {
					t.Errorf("password deleted: %t, want %t", happened, want)
				}
				// Once is once.
				if hits := a.steer(t, "GET", "faults", nil).list("faults")[0].at("hits"); hits != float64(1) {
					t.Errorf("%v hits", hits)
				}
				if status, _ := a.call(t, "DELETE", passwordsPath+set.text("member.member_password_id"), nil); (status == 404) != want {
					t.Errorf("again: %d", status)
				}
			})
		}
	}
}

func TestFaultsElsewhere(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10, Faults: []sandbox.Fault{{Endpoint: "debug.whoami", Kind: sandbox.FaultServerError, Times: 2}}})
	for _, want := range []int{500, 500, 200} {
		if status, o := a.call(t, "GET", "/v1/debug/whoami", nil); status != want {
			t.Errorf("%d %v, want %d", status, o, want)
		}
	}
	people := a.people(t)
	ada, hiro := people["ada@acme.example"], people["hiro@acme.example"]

	a.steer(t, "PUT", "faults", `{"faults":[{"endpoint":"members.get","kind":"wrong_member","member_id":"`+hiro.text("member_id")+`"}]}`)
	if _, o := a.call(t, "GET", "/v1/b2b/organizations/acme/member?member_id="+ada.text("member_id"), nil); o.text("member_id") != hiro.text("member_id") {
		t.Errorf("%v", o)
	}
	a.steer(t, "DELETE", "faults", nil)

	// A sign-in that gets lost on the way has not opened a session; one whose answer gets lost has.
	for apply, want := range map[string]int{"before": 0, "after": 1} {
		a.steer(t, "POST", "members/"+ada.text("member_id"), object{"end_sessions": true})
		a.steer(t, "PUT", "faults", object{"endpoint": "passwords.authenticate", "kind": "server_error", "apply": apply})
		if status, _ := a.call(t, "POST", signInPath, credentials(ada)); status != 500 {
			t.Errorf("%d", status)
		}
		if got := len(a.steer(t, "GET", "members/"+ada.text("member_id"), nil).list("sessions")); got != want {
			t.Errorf("%s: %d sessions", apply, got)
		}
	}
	// Faults do not hide what a request did wrong, and unknown routes stay unknown.
	a.steer(t, "PUT", "faults", object{"endpoint": "members.delete_password", "kind": "id_kept"})
	status, o := a.call(t, "DELETE", passwordsPath+"x", nil)
	wantError(t, status, o, 400, "invalid_password_id")
	a.steer(t, "PUT", "faults", object{"endpoint": "*", "kind": "rate_limit"})
	status, o = a.call(t, "GET", "/v1/b2b/nothing", nil)
	wantError(t, status, o, 429, "too_many_requests")
}

// A hanging request shows in the journal while it hangs, and ends when its caller leaves.
func TestHang(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10, Faults: []sandbox.Fault{{Endpoint: "debug.whoami", Kind: sandbox.FaultHang}}})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error)
	req := a.request(t, "GET", "/v1/debug/whoami", nil).WithContext(ctx)
	go func() {
		res, err := a.client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if list := a.steer(t, "GET", "journal", nil).list("requests"); len(list) == 1 {
			if list[0].at("done") != false {
				t.Errorf("%v", list[0])
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the request is not in the journal")
		}
	}
	leave()
	if err := <-ended; err == nil {
		t.Error("there was an answer")
	}
}
