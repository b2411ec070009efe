package sandbox_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const (
	resetStartPath     = "/v1/b2b/passwords/email/reset/start"
	resetPath          = "/v1/b2b/passwords/email/reset"
	sessionResetPath   = "/v1/b2b/passwords/session/reset"
	existingResetPath  = "/v1/b2b/passwords/existing_password/reset"
	findPasswordPath   = "/v1/b2b/passwords/discovery/authenticate"
	findResetStartPath = "/v1/b2b/passwords/discovery/email/reset/start"
	findResetPath      = "/v1/b2b/passwords/discovery/email/reset"
)

const goodPassword = "vexing-Turnip 48 harbor"

// open counts the sessions of a member.
func (a *api) open(t *testing.T, memberID string) int {
	t.Helper()
	return len(a.steer(t, "GET", "members/"+memberID, nil).list("sessions"))
}

func TestResetPasswordByEmail(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	moreau := a.people(t)["max@acme.example"]
	a.refused(t, resetStartPath, object{"organization_id": "acme", "email_address": "max@acme.example", "login_redirect_url": "x"}, 400, "invalid_login_redirect_url")
	a.refused(t, resetStartPath, object{"organization_id": "acme", "email_address": "max@acme.example", "code_challenge": "x"}, 400, "invalid_pkce_code_challenge")
	a.ok(t, resetStartPath, object{
		"organization_id": "acme", "email_address": "max@acme.example", "code_challenge": challenge,
		"reset_password_redirect_url": "https://console.example/authenticate?a=1", "login_redirect_url": "https://console.example/in",
	})
	sent := a.mail(t, "password_reset")
	link, err := url.Parse(sent.text("url"))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"a": {"1"}, "stytch_token_type": {"multi_tenant_passwords"}, "stytch_redirect_type": {"reset_password"}, "public_token": {a.info.PublicToken},
		"slug": {"acme"}, "token": {sent.text("token")},
	}
	if diff := cmp.Diff(want, link.Query()); diff != "" {
		t.Error(diff)
	}
	token := object{"password_reset_token": sent.text("token"), "password": goodPassword}
	right := token.with("code_verifier", verifier)
	for _, tt := range []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"no token", object{"password": goodPassword}, 400, "bad_request"},
		{"unknown token", right.with("password_reset_token", strings.Repeat("a", 44)), 401, "unable_to_auth_password_reset_token"},
		{"no verifier", token, 400, "pkce_expected_code_verifier"},
		{"wrong verifier", token.with("code_verifier", strings.Repeat("v", 43)), 400, "pkce_mismatch"},
		{"no password", right.with("password", ""), 400, "bad_request"},
		{"weak password", right.with("password", "max-acme-1"), 400, "weak_password"},
		{"breached password", right.with("password", "correct horse battery staple"), 400, "breached_password"},
		{"dead session", right.with("session_token", strings.Repeat("a", 44)), 404, "session_not_found"},
	} {
		status, o := a.call(t, "POST", resetPath, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	a.ok(t, signInPath, credentials(moreau)) // the old password works until then
	o := a.ok(t, resetPath, right)
	if diff := cmp.Diff(fields(authFields+" member_email_id"), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.at("member_authenticated") != true || types(o) != "password" || o.text("member.member_password_id") == moreau.text("member_password_id") {
		t.Errorf("%v", o)
	}
	if got := a.open(t, moreau.text("member_id")); got != 1 {
		t.Errorf("%d sessions open", got)
	}
	a.refused(t, resetPath, right, 401, "unable_to_auth_password_reset_token")
	a.refused(t, signInPath, credentials(moreau), 401, "unauthorized_credentials")
	a.ok(t, signInPath, credentials(moreau).with("password", goodPassword))

	// The mail's other link signs in without a password. It has its own token.
	login, err := url.Parse(sent.text("login_url"))
	if err != nil || login.Path != "/in" || login.Query().Get("stytch_token_type") != "multi_tenant_magic_links" {
		t.Errorf("%v", sent)
	}
	a.refused(t, resetPath, right.with("password_reset_token", login.Query().Get("token")), 401, "unable_to_auth_password_reset_token")
	a.ok(t, linkPath, object{"magic_links_token": login.Query().Get("token"), "pkce_code_verifier": verifier})

	a.ok(t, resetStartPath, object{"organization_id": "acme", "email_address": "max@acme.example"})
	a.clock.advance(30 * time.Minute)
	a.refused(t, resetPath, object{"password_reset_token": a.mail(t, "password_reset").text("token"), "password": goodPassword}, 401, "unable_to_auth_password_reset_token")
}

// A reset proves the address and makes the member active; a second factor is still asked for.
func TestResetOfOthers(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	reset := func(p object, more ...any) object {
		t.Helper()
		a.ok(t, resetStartPath, object{"organization_id": p.text("organization"), "email_address": p.text("email")})
		return a.ok(t, resetPath, object{"password_reset_token": a.mail(t, "password_reset").text("token"), "password": goodPassword}.with(more...))
	}
	o := reset(people["ilse@acme.example"])
	if o.text("member.status") != "active" || o.at("member.email_address_verified") != true || o.at("member_authenticated") != true {
		t.Errorf("%v", o)
	}
	tom := people["tom@northwind.test"]
	token, _, _ := a.session(t, tom.text("member_id"))
	o = reset(tom)
	if o["mfa_required"] == nil || o.text("session_token") != "" || a.open(t, tom.text("member_id")) != 0 {
		t.Errorf("%v", o)
	}
	a.refused(t, sessionPath, object{"session_token": token}, 404, "session_not_found")
	// Who passes a session is not asked again, but gets a new one.
	token, _, _ = a.session(t, tom.text("member_id"))
	o = reset(tom, "session_token", token)
	if o.at("member_authenticated") != true || o.text("session_token") == token || a.open(t, tom.text("member_id")) != 1 {
		t.Errorf("%v", o)
	}
	// A required reset is over.
	moreau := people["max@acme.example"]
	a.steer(t, "POST", "members/"+moreau.text("member_id"), object{"reset_required": true})
	a.refused(t, signInPath, credentials(moreau), 400, "member_reset_password")
	a.refused(t, existingResetPath, object{
		"organization_id": "acme", "email_address": "max@acme.example", "existing_password": moreau.text("password"), "new_password": goodPassword,
	}, 400, "member_reset_password")
	reset(moreau)
	a.ok(t, signInPath, credentials(moreau).with("password", goodPassword))
}

func TestResetPasswordBySession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	moreau := people["max@acme.example"]
	token, _, _ := a.session(t, moreau.text("member_id"))
	ingrid, _, _ := a.session(t, people["ingrid@initech.test"].text("member_id"))
	body := object{"organization_id": "acme", "session_token": token, "password": goodPassword}
	for _, tt := range []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"no session", object{"organization_id": "acme", "password": goodPassword}, 400, "no_session_arguments"},
		{"dead session", body.with("session_token", strings.Repeat("a", 44)), 404, "session_not_found"},
		{"another organization", body.with("organization_id", "globex"), 403, "session_authorization_tenancy_error"},
		{"unknown organization", body.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"weak password", body.with("password", "password123"), 400, "breached_password"},
		{"passwords not allowed", body.with("organization_id", "initech", "session_token", ingrid), 400, "operation_restricted_by_organization_auth_methods"},
	} {
		status, o := a.call(t, "POST", sessionResetPath, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	a.clock.advance(5 * time.Minute)
	o := a.ok(t, sessionResetPath, body)
	want := strings.ReplaceAll(exchangeFields, "primary_required", "")
	if diff := cmp.Diff(fields(want), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.text("session_token") != token || o.text("member_session.expires_at") != "2026-03-01T13:00:00Z" || a.open(t, moreau.text("member_id")) != 1 {
		t.Errorf("%v", o)
	}
	a.ok(t, sessionPath, object{"session_token": token})
	a.ok(t, signInPath, credentials(moreau).with("password", goodPassword))
	a.clock.advance(5*time.Minute + time.Second)
	a.refused(t, sessionResetPath, body, 400, "session_too_old_to_reset_password")
}

func TestResetPasswordByExisting(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	moreau := people["max@acme.example"]
	body := object{"organization_id": "acme", "email_address": "max@acme.example", "existing_password": moreau.text("password"), "new_password": goodPassword}
	for _, tt := range []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"wrong password", body.with("existing_password", "wrong"), 401, "unauthorized_credentials"},
		{"nobody", body.with("email_address", "nobody@acme.example"), 404, "member_not_found"},
		{"no password", body.with("email_address", "noor@acme.example"), 404, "member_password_not_found"},
		{"locked", body.with("email_address", "lena@acme.example"), 429, "user_lock_limit_reached"},
		{"no existing", body.with("existing_password", ""), 400, "bad_request"},
		{"no new", body.with("new_password", ""), 400, "bad_request"},
		{"weak", body.with("new_password", "aaaaaaaaaaaa"), 400, "weak_password"},
		{"not allowed", object{
			"organization_id": "initech", "email_address": "ingrid@initech.test", "existing_password": "x", "new_password": goodPassword,
		}, 400, "operation_restricted_by_organization_auth_methods"},
	} {
		status, o := a.call(t, "POST", existingResetPath, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	if got := a.steer(t, "GET", "members/"+moreau.text("member_id"), nil).at("failures"); got != float64(1) {
		t.Errorf("%v failures", got)
	}
	token, _, _ := a.session(t, moreau.text("member_id"))
	o := a.ok(t, existingResetPath, body.with("session_token", token))
	if diff := cmp.Diff(fields(exchangeFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.at("member_authenticated") != true || o.text("session_token") == token || a.open(t, moreau.text("member_id")) != 1 {
		t.Errorf("%v", o)
	}
	a.refused(t, existingResetPath, body, 401, "unauthorized_credentials")
	a.ok(t, signInPath, credentials(moreau).with("password", goodPassword))
	// The answers of calls that do not say organization_id say whose they are all the same.
	if mina := people["mina@acme.example"]; a.ok(t, existingResetPath, object{
		"organization_id": "acme", "email_address": "mina@acme.example", "existing_password": mina.text("password"), "new_password": goodPassword,
	})["mfa_required"] == nil {
		t.Error("no second factor is asked for")
	}
}

func TestDiscoveryPasswords(t *testing.T) {
	t.Parallel()
	off := start(t, sandbox.Options{OrgSize: 4})
	off.refused(t, findPasswordPath, object{"email_address": "a@b.example", "password": "x"}, 400, "cross_org_passwords_not_enabled")
	off.refused(t, findResetStartPath, object{"email_address": "a@b.example"}, 400, "cross_org_passwords_not_enabled")
	off.refused(t, findResetPath, object{"password_reset_token": "x", "password": "x"}, 400, "cross_org_passwords_not_enabled")

	a := start(t, sandbox.Options{CrossOrgPasswords: true})
	sam := a.people(t)["sam@partners.example globex"]
	body := object{"email_address": "sam@partners.example", "password": sam.text("password")}
	a.refused(t, findPasswordPath, body.with("password", ""), 400, "bad_request")
	a.refused(t, findPasswordPath, body.with("email_address", "stranger@nowhere.example"), 401, "unauthorized_credentials")
	o := a.ok(t, findPasswordPath, body)
	if diff := cmp.Diff(fields("request_id status_code intermediate_session_token email_address discovered_organizations"), keys(o)); diff != "" {
		t.Error(diff)
	}
	in := a.ok(t, exchangePath, object{"organization_id": "acme", "intermediate_session_token": o.text("intermediate_session_token")})
	if in.at("member_authenticated") != true || types(in) != "password" {
		t.Errorf("%v", in)
	}

	a.refused(t, findResetStartPath, object{"email_address": "sam@partners.example", "reset_password_redirect_url": "x"}, 400, "invalid_password_reset_redirect_url")
	a.refused(t, findResetStartPath, object{"email_address": "sam@partners.example", "discovery_redirect_url": "x"}, 400, "invalid_discovery_redirect_url")
	a.ok(t, findResetStartPath, object{"email_address": "sam@partners.example", "pkce_code_challenge": challenge})
	sent := a.mail(t, "discovery_reset")
	link, err := url.Parse(sent.text("url"))
	if err != nil || link.Query().Get("stytch_token_type") != "discovery" || link.Query().Get("stytch_redirect_type") != "reset_password" {
		t.Errorf("%v", sent)
	}
	reset := object{"password_reset_token": sent.text("token"), "password": goodPassword}
	a.refused(t, findResetPath, reset, 400, "pkce_expected_code_verifier")
	a.refused(t, findResetPath, reset.with("pkce_code_verifier", verifier, "password", "sam"), 400, "weak_password")
	a.refused(t, findLinkPath, object{"discovery_magic_links_token": sent.text("token"), "pkce_code_verifier": verifier}, 404, "magic_link_not_found")
	a.ok(t, findResetPath, reset.with("pkce_code_verifier", verifier))
	a.refused(t, findResetPath, reset.with("pkce_code_verifier", verifier), 401, "unable_to_auth_password_reset_token")
	a.refused(t, sessionPath, object{"session_token": in.text("session_token")}, 404, "session_not_found")
	for _, slug := range []string{"acme", "globex"} { // one password for all of the address
		a.ok(t, signInPath, object{"organization_id": slug, "email_address": "sam@partners.example", "password": goodPassword})
	}
	login, err := url.Parse(sent.text("login_url"))
	if err != nil || login.Query().Get("stytch_token_type") != "discovery" || login.Query().Has("stytch_redirect_type") {
		t.Errorf("%v", sent)
	}
	for range 10 {
		a.refused(t, findPasswordPath, body, 401, "unauthorized_credentials")
	}
	a.refused(t, findPasswordPath, body.with("password", goodPassword), 429, "user_lock_limit_reached")
}
