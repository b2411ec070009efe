package sandbox_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const signInPath = "/v1/b2b/passwords/authenticate"

func credentials(p object) object {
	return object{"organization_id": p.text("organization"), "email_address": p.text("email"), "password": p.text("password")}
}

// with is a copy of an object with other values.
func (o object) with(pairs ...any) object {
	out := maps.Clone(o)
	for i := 0; i < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		out[key] = pairs[i+1]
	}
	return out
}

func TestAuthenticatePassword(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	moreau := credentials(people["max@acme.example"])
	tests := []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"right", moreau, 200, ""},
		{"address in capitals", moreau.with("email_address", "MAX@acme.example"), 200, ""},
		{"organization by external id", moreau.with("organization_id", "crm|acme-0042"), 200, ""},
		{"fields of other clients", moreau.with("locale", "en", "telemetry_id", "x", "unknown", 1), 200, ""},
		{"breakglass where passwords are not allowed", credentials(people["bram@initech.test"]), 200, ""},
		{"lapsed lock", credentials(people["luis@acme.example"]), 200, ""},
		{"not verified", credentials(people["ursula@acme.example"]), 200, ""},
		{"wrong password", moreau.with("password", "wrong"), 401, "unauthorized_credentials"},
		{"unknown person", moreau.with("email_address", "nobody@acme.example"), 404, "member_not_found"},
		{"person of another organization", moreau.with("organization_id", "globex"), 404, "member_not_found"},
		{"unknown organization", moreau.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"no organization", moreau.with("organization_id", ""), 400, "invalid_organization_id"},
		{"no address", moreau.with("email_address", ""), 400, "invalid_email"},
		{"no password", moreau.with("password", ""), 400, "bad_request"},
		{"deleted", moreau.with("email_address", "dora@acme.example"), 404, "member_not_found"},
		{"none set", moreau.with("email_address", "noor@acme.example"), 404, "member_password_not_found"},
		{"invited", moreau.with("email_address", "ilse@acme.example"), 404, "member_password_not_found"},
		{"locked", credentials(people["lena@acme.example"]), 429, "user_lock_limit_reached"},
		{"passwords not allowed", credentials(people["ingrid@initech.test"]), 400, "operation_restricted_by_organization_auth_methods"},
		{"too short a session", moreau.with("session_duration_minutes", 4), 400, "invalid_session_duration_minutes"},
		{"too long a session", moreau.with("session_duration_minutes", 527041), 400, "invalid_session_duration_minutes"},
		{"huge claims", moreau.with("session_custom_claims", object{"x": strings.Repeat("x", 5000)}), 400, "custom_claims_too_large"},
		{"dead session passed", moreau.with("session_token", strings.Repeat("a", 44)), 404, "session_not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, "POST", signInPath, tt.body)
			wantError(t, status, o, tt.status, tt.errorType)
		})
	}
}

const authFields = `request_id status_code member_id organization_id member organization member_authenticated session_token session_jwt
	member_session intermediate_session_token intermediate_session_token_expires_at mfa_required primary_required member_device`

func TestSignInAnswer(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	body := credentials(a.people(t)["hiro@acme.example"]).with("session_duration_minutes", 480, "session_custom_claims", object{"desk": "3", "sub": "x", "none": nil})
	_, o := a.call(t, "POST", signInPath, body)
	if diff := cmp.Diff(fields(authFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.at("member_authenticated") != true || o.text("intermediate_session_token") != "" || o["mfa_required"] != nil || o["primary_required"] != nil {
		t.Errorf("%v", o)
	}
	want := object{
		"started_at": "2026-03-01T12:00:00Z", "last_accessed_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-01T20:00:00Z",
		"roles": []any{"stytch_member", "helpdesk"}, "organization_slug": "acme", "custom_claims": map[string]any{"desk": "3"},
		"member_id": o.text("member_id"), "organization_id": o.text("organization_id"), "member_session_id": o.text("member_session.member_session_id"),
		"authentication_factors": []any{map[string]any{
			"type": "password", "delivery_method": "knowledge", "last_authenticated_at": "2026-03-01T12:00:00Z",
			"created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z",
		}},
	}
	if diff := cmp.Diff(map[string]any(want), o.at("member_session")); diff != "" {
		t.Error(diff)
	}
	if got := len(o.text("session_token")); got != 44 {
		t.Errorf("session token of %d characters", got)
	}

	// A session of the same member is extended instead of another one made.
	_, again := a.call(t, "POST", signInPath, body.with("session_token", o.text("session_token"), "session_duration_minutes", 60))
	if again.text("session_token") != o.text("session_token") || again.text("member_session.expires_at") != "2026-03-01T13:00:00Z" {
		t.Errorf("%v", again.at("member_session"))
	}
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	tests := []struct {
		email   string
		options bool
	}{
		{"mina@acme.example", true}, {"tom@northwind.test", true}, {"nell@northwind.test", false},
	}
	for _, tt := range tests {
		t.Run(tt.email, func(t *testing.T) {
			t.Parallel()
			_, o := a.call(t, "POST", signInPath, credentials(people[tt.email]))
			if diff := cmp.Diff(fields(authFields), keys(o)); diff != "" {
				t.Error(diff)
			}
			ist := o.text("intermediate_session_token")
			if o.at("member_authenticated") != false || o.text("session_token") != "" || o.text("session_jwt") != "" || o["member_session"] != nil || ist == "" {
				t.Errorf("%v", o)
			}
			if got := o.text("intermediate_session_token_expires_at"); got != "2026-03-01T12:10:00Z" {
				t.Errorf("expires %s", got)
			}
			if got := o.at("mfa_required.member_options") != nil; got != tt.options || o.at("mfa_required.secondary_auth_initiated") != nil {
				t.Errorf("mfa_required %v", o.at("mfa_required"))
			}
			status, o := a.call(t, "POST", "/v1/b2b/sessions/authenticate", object{"session_token": ist})
			wantError(t, status, o, 400, "invalid_session_token")
		})
	}
	t.Run("not with a session of the same member", func(t *testing.T) {
		t.Parallel()
		token, _, _ := a.session(t, people["mina@acme.example"].text("member_id"))
		_, o := a.call(t, "POST", signInPath, credentials(people["mina@acme.example"]).with("session_token", token))
		if o.at("member_authenticated") != true {
			t.Errorf("%v", o)
		}
	})
}

func TestLocks(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	moreau := a.people(t)["max@acme.example"]
	right := credentials(moreau)
	wrong := right.with("password", "wrong")
	fail := func(n int) {
		t.Helper()
		for range n {
			status, o := a.call(t, "POST", signInPath, wrong)
			wantError(t, status, o, 401, "unauthorized_credentials")
		}
	}
	fail(9)
	if status, o := a.call(t, "POST", signInPath, right); status != 200 {
		t.Fatalf("after 9 failures: %d %v", status, o)
	}
	fail(9) // the success began a new count
	if status, o := a.call(t, "POST", signInPath, right); status != 200 {
		t.Fatalf("after 9 more: %d %v", status, o)
	}
	fail(10)
	status, o := a.call(t, "POST", signInPath, right)
	wantError(t, status, o, 429, "user_lock_limit_reached")
	_, read := a.call(t, "GET", "/v1/b2b/organizations/acme/member?email_address=max@acme.example", nil)
	if read.at("member.is_locked") != true || read.text("member.lock_created_at") != "2026-03-01T12:00:00Z" || read.text("member.lock_expires_at") != "2026-03-01T13:00:00Z" {
		t.Errorf("%v", read.at("member"))
	}
	_, sessions := a.call(t, "GET", "/v1/b2b/sessions?organization_id=acme&member_id="+moreau.text("member_id"), nil)
	if len(sessions.list("member_sessions")) != 5 {
		t.Errorf("a lock changes sessions: %d", len(sessions.list("member_sessions")))
	}
	// Deleting the password does not unlock.
	if status, o := a.call(t, "DELETE", passwordsPath+moreau.text("member_password_id"), nil); status != 200 || o.at("member.is_locked") != true {
		t.Errorf("%d %v", status, o)
	}
	a.steer(t, "POST", "members/"+moreau.text("member_id"), object{"password": "a new one"})
	right = right.with("password", "a new one")
	a.clock.advance(59 * time.Minute)
	status, o = a.call(t, "POST", signInPath, right)
	wantError(t, status, o, 429, "user_lock_limit_reached")
	a.clock.advance(time.Minute)
	if status, o := a.call(t, "POST", signInPath, right); status != 200 || o.at("member.is_locked") != false || o.text("member.lock_expires_at") == "" {
		t.Errorf("after the lock: %d %v", status, o)
	}
}

func TestEnumerationProtection(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	a.steer(t, "PUT", "switches", object{"enumeration_protection": true})
	status, o := a.call(t, "POST", signInPath, object{"organization_id": "acme", "email_address": "nobody@acme.example", "password": "x"})
	wantError(t, status, o, 401, "unauthorized_credentials")
}

// Generated members' passwords are hashed when first tried, and work.
func TestGeneratedPasswords(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	for _, m := range a.all(t, "acme", 250)[200:] {
		if m.text("member_password_id") == "" || m.at("mfa_enrolled") == true {
			continue
		}
		seeded := a.steer(t, "GET", "members/"+m.text("member_id"), nil).text("seeded_password")
		body := object{"organization_id": "acme", "email_address": m.text("email_address"), "password": seeded}
		if status, o := a.call(t, "POST", signInPath, body); status != 200 {
			t.Fatalf("%s: %d %v", m.text("email_address"), status, o)
		}
		status, o := a.call(t, "POST", signInPath, body.with("password", seeded+"x"))
		wantError(t, status, o, 401, "unauthorized_credentials")
		return
	}
	t.Fatal("nobody has a password")
}

func TestStartPasswordReset(t *testing.T) {
	t.Parallel()
	const path = "/v1/b2b/passwords/email/reset/start"
	a := start(t, sandbox.Options{})
	people := a.people(t)
	body := object{"organization_id": "acme", "email_address": "noor@acme.example"}
	tests := []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"unknown person", body.with("email_address", "nobody@acme.example"), 404, "member_not_found"},
		{"deleted", body.with("email_address", "dora@acme.example"), 404, "member_not_found"},
		{"unknown organization", body.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"redirect", body.with("reset_password_redirect_url", "javascript:alert(1)"), 400, "invalid_password_reset_redirect_url"},
		{"too short", body.with("reset_password_expiration_minutes", 4), 400, "bad_request"},
		{"passwords not allowed", object{"organization_id": "initech", "email_address": "ingrid@initech.test"}, 400, "operation_restricted_by_organization_auth_methods"},
	}
	for _, tt := range tests {
		status, o := a.call(t, "POST", path, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	if mails := a.mails(t); len(mails) != 0 {
		t.Errorf("mails %v", mails)
	}
	status, o := a.call(t, "POST", path, body.with("reset_password_expiration_minutes", 60))
	if diff := cmp.Diff(fields("request_id status_code member_id member_email_id member"), keys(o)); status != 200 || diff != "" {
		t.Errorf("%d %s", status, diff)
	}
	if !strings.HasPrefix(o.text("member_email_id"), "email-test-") || o.text("member.email_address") != "noor@acme.example" {
		t.Errorf("%v", o)
	}
	mails := a.mails(t)
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	token, login := mails[0].text("token"), mails[0].text("login_url")
	delete(mails[0], "token")
	delete(mails[0], "login_url")
	if !strings.HasPrefix(login, "http://localhost:3000/authenticate?stytch_token_type=multi_tenant_magic_links&slug=acme&token=") || strings.HasSuffix(login, token) {
		t.Errorf("login URL %s", login)
	}
	want := object{
		"time": "2026-03-01T12:00:00Z", "kind": "password_reset", "channel": "email", "code": "", "to": "noor@acme.example", "organization_id": a.organizationID(t, "acme"),
		"member_id": people["noor@acme.example"].text("member_id"), "redirect_url": "http://localhost:3000/authenticate", "expires_at": "2026-03-01T13:00:00Z",
		"url": "http://localhost:3000/authenticate?stytch_token_type=multi_tenant_passwords&stytch_redirect_type=reset_password&public_token=" +
			a.info.PublicToken + "&slug=acme&token=" + token,
	}
	if diff := cmp.Diff(want, mails[0]); diff != "" {
		t.Error(diff)
	}
	if mails := a.steer(t, "DELETE", "outbox", nil).list("mails"); len(mails) != 0 {
		t.Errorf("mails %v", mails)
	}
}
