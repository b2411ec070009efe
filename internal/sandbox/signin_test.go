package sandbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const (
	sendLinkPath = "/v1/b2b/magic_links/email/login_or_signup"
	linkPath     = "/v1/b2b/magic_links/authenticate"
	discoverPath = "/v1/b2b/discovery/organizations"
	exchangePath = "/v1/b2b/discovery/intermediate_sessions/exchange"
	switchPath   = "/v1/b2b/sessions/exchange"
)

// A verifier and its S256 challenge, from RFC 7636's appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// ok posts a body and wants success.
func (a *api) ok(t *testing.T, path string, body object) object {
	t.Helper()
	status, o := a.call(t, "POST", path, body)
	if status != 200 {
		t.Fatalf("%s: %d %v", path, status, o)
	}
	return o
}

// refused posts a body and wants an error.
func (a *api) refused(t *testing.T, path string, body object, status int, errorType string) {
	t.Helper()
	got, o := a.call(t, "POST", path, body)
	if got != status || o.text("error_type") != errorType {
		t.Errorf("%s %v: got %d %v, want %d %s", path, body, got, o, status, errorType)
	}
}

// mail is the newest message of a kind.
func (a *api) mail(t *testing.T, kind string) object {
	t.Helper()
	mails := a.steer(t, "GET", "outbox", nil).list("mails")
	for _, m := range slices.Backward(mails) {
		if m.text("kind") == kind {
			return m
		}
	}
	t.Fatalf("no %s in %v", kind, mails)
	return nil
}

// link mails a link for signing in to an organization and returns its token.
func (a *api) link(t *testing.T, slug, email string) string {
	t.Helper()
	a.ok(t, sendLinkPath, object{"organization_id": slug, "email_address": email})
	mails := a.mails(t)
	return mails[len(mails)-1].text("token")
}

// discovery signs in to an address with a code and returns the intermediate session token.
func (a *api) discovery(t *testing.T, email string) string {
	t.Helper()
	a.ok(t, "/v1/b2b/otps/email/discovery/send", object{"email_address": email})
	return a.ok(t, "/v1/b2b/otps/email/discovery/authenticate", object{
		"email_address": email, "code": a.mail(t, "discovery_code").text("code"),
	}).text("intermediate_session_token")
}

func (a *api) member(t *testing.T, slug, email string) object {
	t.Helper()
	status, o := a.call(t, "GET", "/v1/b2b/organizations/"+slug+"/member?email_address="+email, nil)
	if status != 200 {
		t.Fatalf("%s: %d %v", email, status, o)
	}
	return object(o["member"].(map[string]any))
}

// types are the kinds of a session's factors.
func types(o object) string {
	var out []string
	for _, f := range o.list("member_session.authentication_factors") {
		out = append(out, f.text("type"))
	}
	return strings.Join(out, " ")
}

func words(value any) string {
	list, ok := value.([]any)
	if !ok {
		return "none"
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		text, _ := v.(string)
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// An organization that does not allow what was proven asks for what it allows, and factors add up in one intermediate
// session until they are enough.
func TestAnotherPrimaryFactor(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	token := a.discovery(t, "sam@partners.example")
	for range 2 {
		o := a.ok(t, exchangePath, object{"organization_id": "initech", "intermediate_session_token": token})
		if o.at("member_authenticated") != false || o.text("intermediate_session_token") != token || o.text("session_token") != "" || o["mfa_required"] != nil {
			t.Fatalf("%v", o)
		}
		if got := words(o.at("primary_required.allowed_auth_methods")); got != "sso magic_link" {
			t.Errorf("allowed: %s", got)
		}
		if o.text("member.status") != "invited" || o.at("member.email_address_verified") != true {
			t.Errorf("%v", o.at("member"))
		}
	}
	a.clock.advance(9 * time.Minute)
	o := a.ok(t, linkPath, object{"magic_links_token": a.link(t, "initech", "sam@partners.example"), "intermediate_session_token": token})
	if o.at("member_authenticated") != true || types(o) != "email_otp magic_link" || o.text("intermediate_session_token") != "" || o.text("member.status") != "active" {
		t.Errorf("%v", o)
	}
	a.refused(t, exchangePath, object{"organization_id": "initech", "intermediate_session_token": token}, 404, "intermediate_session_not_found")
}

// What was proven with a password is good for one organization; what was proven by mail, for all of the address.
func TestIntermediateSessionsAreBound(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	signIn := credentials(people["sam@partners.example northwind"])
	byPassword := a.ok(t, signInPath, signIn).text("intermediate_session_token")
	byMail := a.ok(t, linkPath, object{"magic_links_token": a.link(t, "northwind", "sam@partners.example")}).text("intermediate_session_token")
	foreign := a.discovery(t, "olga@globex.example")
	session, _, _ := a.session(t, people["ada@acme.example"].text("member_id"))
	dead := strings.Repeat("a", 44)
	tests := []struct {
		name, path string
		body       object
		status     int
		errorType  string
	}{
		{"password, discovery", discoverPath, object{"intermediate_session_token": byPassword}, 400, "invalid_intermediate_session_token_for_organization"},
		{"password, another organization", exchangePath, object{"organization_id": "acme", "intermediate_session_token": byPassword}, 400, "invalid_intermediate_session_token_for_organization"},
		{"password, its organization", exchangePath, object{"organization_id": "northwind", "intermediate_session_token": byPassword}, 200, ""},
		{"mail, discovery", discoverPath, object{"intermediate_session_token": byMail}, 200, ""},
		{"somebody else's, with a password", signInPath, signIn.with("intermediate_session_token", foreign), 400, "invalid_intermediate_session_token_for_organization"},
		{"bound, with a password of another member", signInPath, credentials(people["sam@partners.example acme"]).with("intermediate_session_token", byPassword), 400, "invalid_intermediate_session_token_for_organization"},
		{"unknown", exchangePath, object{"organization_id": "acme", "intermediate_session_token": dead}, 404, "intermediate_session_not_found"},
		{"a session token", exchangePath, object{"organization_id": "acme", "intermediate_session_token": session}, 404, "intermediate_session_not_found"},
		{"none", exchangePath, object{"organization_id": "acme"}, 400, "bad_request"},
		{"nobody of that address there", exchangePath, object{"organization_id": "acme", "intermediate_session_token": foreign}, 400, "email_jit_provisioning_not_allowed"},
		{"unknown organization", exchangePath, object{"organization_id": "umbrella", "intermediate_session_token": foreign}, 404, "organization_not_found"},
	}
	for _, tt := range tests {
		status, o := a.call(t, "POST", tt.path, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	// Proving more does not make an intermediate session live longer, and a password binds it.
	a.clock.advance(time.Minute)
	o := a.ok(t, signInPath, signIn.with("intermediate_session_token", byMail))
	if o.text("intermediate_session_token") != byMail || o.text("intermediate_session_token_expires_at") != "2026-03-01T12:10:00Z" {
		t.Errorf("%v", o)
	}
	a.refused(t, discoverPath, object{"intermediate_session_token": byMail}, 400, "invalid_intermediate_session_token_for_organization")
	a.clock.advance(10 * time.Minute)
	a.refused(t, discoverPath, object{"intermediate_session_token": foreign}, 404, "intermediate_session_not_found")
}

func TestSecondFactorBySMSIsStarted(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	sms := a.people(t)["sms@northwind.test"]
	o := a.ok(t, signInPath, credentials(sms))
	if got := o.text("mfa_required.secondary_auth_initiated"); got != "sms_otp" || o.text("mfa_required.member_options.mfa_phone_number") != "+15005550007" {
		t.Errorf("%v", o["mfa_required"])
	}
	mails := a.mails(t)
	if len(mails) != 1 || len(mails[0].text("code")) != 6 {
		t.Fatalf("%v", mails)
	}
	delete(mails[0], "code")
	want := object{
		"time": "2026-03-01T12:00:00Z", "kind": "sms_code", "channel": "sms", "to": "+15005550007", "organization_id": o.text("organization_id"),
		"member_id": o.text("member_id"), "redirect_url": "", "expires_at": "2026-03-01T12:02:00Z", "token": "", "url": "", "login_url": "",
	}
	if diff := cmp.Diff(want, mails[0]); diff != "" {
		t.Error(diff)
	}
	// A list starts nothing.
	list := a.ok(t, discoverPath, object{"intermediate_session_token": a.discovery(t, "sms@northwind.test")})
	found := list.list("discovered_organizations")[0]
	if found.at("mfa_required.secondary_auth_initiated") != nil || found.at("mfa_required.member_options") == nil || found.at("member_authenticated") != false {
		t.Errorf("%v", found)
	}
	if got := len(a.mails(t)); got != 2 {
		t.Errorf("%d messages", got)
	}
	// A session of the same member does without.
	token, _, _ := a.session(t, sms.text("member_id"))
	if o := a.ok(t, signInPath, credentials(sms).with("session_token", token)); o.text("session_token") != token || types(o) != "password" {
		t.Errorf("%v", o)
	}
}

// A session that is used again lives on as long as is said, or as before.
func TestReusedSession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	moreau := a.people(t)["max@acme.example"]
	token, _, _ := a.session(t, moreau.text("member_id"))
	a.clock.advance(30 * time.Minute)
	o := a.ok(t, linkPath, object{"magic_links_token": a.link(t, "acme", "max@acme.example"), "session_token": token})
	if o.text("session_token") != token || types(o) != "password magic_link" || o.text("member_session.expires_at") != "2026-03-01T13:00:00Z" {
		t.Errorf("%v", o.at("member_session"))
	}
	o = a.ok(t, signInPath, credentials(moreau).with("session_token", token, "session_duration_minutes", 480))
	if o.text("member_session.expires_at") != "2026-03-01T20:30:00Z" || types(o) != "magic_link password" {
		t.Errorf("%v", o.at("member_session"))
	}
	first := o.list("member_session.authentication_factors")[1]
	if first.text("created_at") != "2026-03-01T12:00:00Z" || first.text("last_authenticated_at") != "2026-03-01T12:30:00Z" {
		t.Errorf("%v", first)
	}
	// Another member's session is ignored.
	other, _, _ := a.session(t, a.people(t)["ada@acme.example"].text("member_id"))
	if o := a.ok(t, signInPath, credentials(moreau).with("session_token", other)); o.text("session_token") == other || types(o) != "password" {
		t.Errorf("%v", o)
	}
}

// Half a sign-in does not begin a new count of failures.
func TestHalfASuccessIsNone(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	nell := credentials(a.people(t)["nell@northwind.test"])
	for range 9 {
		a.refused(t, signInPath, nell.with("password", "wrong"), 401, "unauthorized_credentials")
	}
	a.ok(t, signInPath, nell)
	a.refused(t, signInPath, nell.with("password", "wrong"), 401, "unauthorized_credentials")
	a.refused(t, signInPath, nell, 429, "user_lock_limit_reached")
}

// What the journal keeps of a sign-in is none of its secrets.
func TestJournalOfSignIns(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	a.ok(t, sendLinkPath, object{"organization_id": "acme", "email_address": "max@acme.example", "pkce_code_challenge": challenge})
	link := a.mail(t, "login_link").text("token")
	a.ok(t, linkPath, object{"magic_links_token": link, "pkce_code_verifier": verifier})
	ist := a.discovery(t, "max@acme.example")
	session := a.ok(t, exchangePath, object{"organization_id": "acme", "intermediate_session_token": ist})
	a.ok(t, sessionResetPath, object{"organization_id": "acme", "session_jwt": session.text("session_jwt"), "password": goodPassword})
	a.ok(t, existingResetPath, object{"organization_id": "acme", "email_address": "max@acme.example", "existing_password": goodPassword, "new_password": goodPassword + "!"})
	a.ok(t, resetStartPath, object{"organization_id": "acme", "email_address": "max@acme.example"})
	reset := a.mail(t, "password_reset").text("token")
	a.ok(t, resetPath, object{"password_reset_token": reset, "password": goodPassword})
	text := fmt.Sprint(a.steer(t, "GET", "journal", nil))
	for what, secret := range map[string]string{
		"link": link, "verifier": verifier, "intermediate session": ist, "session": session.text("session_jwt"), "reset": reset, "password": goodPassword,
		"code": "code:" + a.mail(t, "discovery_code").text("code"),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the journal has the %s", what)
		}
	}
	if !strings.Contains(text, "magic_links.authenticate") || !strings.Contains(text, "code:[redacted]") {
		t.Error("the journal lacks the sign-ins themselves")
	}
}
