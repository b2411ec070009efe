package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

func TestGetMember(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	ada, dora, olga := people["ada@acme.example"].text("member_id"), people["dora@acme.example"].text("member_id"), people["olga@globex.example"].text("member_id")
	tests := []struct {
		name, path string
		status     int
		errorType  string
		want       string
	}{
		{name: "by id", path: "acme/member?member_id=" + ada, status: 200, want: ada},
		{name: "by address", path: "acme/member?email_address=ADA@acme.example", status: 200, want: ada},
		{name: "by external id", path: "acme/member?member_id=workday%7CGE-1906", status: 200, want: people["grace@acme.example"].text("member_id")},
		{name: "neither", path: "acme/member", status: 400, errorType: "invalid_member_get_fields"},
		{name: "malformed", path: "acme/member?member_id=a%20b", status: 400, errorType: "invalid_id"},
		{name: "unknown", path: "acme/member?member_id=member-test-00000000-0000-4000-8000-000000000000", status: 404, errorType: "member_not_found"},
		{name: "of another organization", path: "acme/member?member_id=" + olga, status: 404, errorType: "member_not_found"},
		{name: "deleted", path: "acme/member?member_id=" + dora, status: 404, errorType: "member_not_found"},
		{name: "unknown organization", path: "umbrella/member?member_id=" + ada, status: 404, errorType: "organization_not_found"},
		{name: "dangerously", path: "members/dangerously_get/" + olga, status: 200, want: olga},
		{name: "dangerously, deleted", path: "members/dangerously_get/" + dora, status: 404, errorType: "member_not_found"},
		{name: "dangerously, deleted included", path: "members/dangerously_get/" + dora + "?include_deleted=true", status: 200, want: dora},
		{name: "dangerously, malformed", path: "members/dangerously_get/x", status: 400, errorType: "invalid_id"},
		{name: "dangerously, strange flag", path: "members/dangerously_get/" + dora + "?include_deleted=yes", status: 400, errorType: "bad_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, "GET", "/v1/b2b/organizations/"+tt.path, nil)
			if status != tt.status || o.text("error_type") != tt.errorType || o.text("member_id") != tt.want || o.text("member.member_id") != tt.want {
				t.Errorf("got %d %v", status, o)
			}
		})
	}
}

const passwordsPath = "/v1/b2b/organizations/acme/members/passwords/"

func TestDeletePassword(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	moreau := people["max@acme.example"]
	before := a.steer(t, "GET", "members/"+moreau.text("member_id"), nil)
	a.clock.advance(time.Hour)
	status, o := a.call(t, "DELETE", passwordsPath+moreau.text("member_password_id"), nil)
	if status != 200 {
		t.Fatalf("%d %v", status, o)
	}
	if diff := cmp.Diff(fields("request_id status_code member_id member organization"), keys(o)); diff != "" {
		t.Error(diff)
	}
	want, _ := before.at("member").(map[string]any)
	want["member_password_id"], want["updated_at"] = "", "2026-03-01T13:00:00Z"
	if diff := cmp.Diff(want, o.at("member")); diff != "" {
		t.Errorf("more than the password changed: %s", diff)
	}
	_, read := a.call(t, "GET", "/v1/b2b/organizations/acme/member?member_id="+moreau.text("member_id"), nil)
	if diff := cmp.Diff(o.at("member"), read.at("member")); diff != "" {
		t.Errorf("the next read says something else: %s", diff)
	}
	after := a.steer(t, "GET", "members/"+moreau.text("member_id"), nil)
	if len(after.list("sessions")) != len(before.list("sessions")) {
		t.Error("sessions ended")
	}
	if mails := a.mails(t); len(mails) != 0 {
		t.Errorf("mails %v", mails)
	}
	status, o = a.call(t, "DELETE", passwordsPath+moreau.text("member_password_id"), nil)
	wantError(t, status, o, 404, "member_password_not_found")
	status, o = a.call(t, "POST", "/v1/b2b/passwords/authenticate", object{
		"organization_id": "acme", "email_address": "max@acme.example", "password": moreau.text("password"),
	})
	wantError(t, status, o, 404, "member_password_not_found")
	if got := a.people(t)["max@acme.example"].text("password"); got != "" {
		t.Errorf("people still tell the password %q", got)
	}
}

// The matrix of who may delete whose password, and what is checked first.
func TestDeletePasswordPermissions(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	const unknown = "member-password-test-00000000-0000-4000-8000-000000000000"
	passwordOf := func(email string) string { return people[email].text("member_password_id") }
	tests := []struct {
		name, actor, organization, password string
		status                              int
		errorType                           string
	}{
		{"helpdesk", "hiro@acme.example", "acme", passwordOf("jon.smithson@acme.example"), 200, ""},
		{"admin, by external id", "ada@acme.example", "crm%7Cacme-0042", passwordOf("john.smithson@acme.example"), 200, ""},
		{"breakglass admin deletes an admin's", "bea.breakglass@acme.example", "acme", passwordOf("ada@acme.example"), 200, ""},
		{"plain member, own", "max@acme.example", "acme", passwordOf("max@acme.example"), 200, ""},
		{"plain member, other's", "max@acme.example", "acme", passwordOf("paula@acme.example"), 403, "session_authorization_error"},
		{"plain member, unknown", "max@acme.example", "acme", unknown, 403, "session_authorization_error"},
		{"plain member, malformed", "max@acme.example", "acme", "x", 403, "session_authorization_error"},
		{"auditor", "audrey@acme.example", "acme", passwordOf("paula@acme.example"), 403, "session_authorization_error"},
		{"custom role of the organization", "shira@acme.example", "acme", passwordOf("paula@acme.example"), 403, "session_authorization_error"},
		{"role by SSO in a session without it", "sasha@acme.example", "acme", passwordOf("paula@acme.example"), 403, "session_authorization_error"},
		{"outsider", "olga@globex.example", "acme", passwordOf("paula@acme.example"), 403, "session_authorization_tenancy_error"},
		{"outsider, unknown", "olga@globex.example", "acme", unknown, 403, "session_authorization_tenancy_error"},
		{"outsider, own organization, foreign id", "olga@globex.example", "globex", passwordOf("paula@acme.example"), 404, "member_password_not_found"},
		{"no such organization", "olga@globex.example", "umbrella", unknown, 403, "session_authorization_tenancy_error"},
		{"helpdesk, unknown", "hiro@acme.example", "acme", unknown, 404, "member_password_not_found"},
		{"helpdesk, malformed", "hiro@acme.example", "acme", "x", 400, "invalid_password_id"},
		{"project, foreign id", "", "acme", passwordOf("olga@globex.example"), 404, "member_password_not_found"},
		{"project, malformed", "", "acme", "member-password-test-1", 400, "invalid_password_id"},
		{"project, no such organization", "", "umbrella", unknown, 404, "organization_not_found"},
		{"project, none set", "", "acme", "", 404, "route_not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if tt.actor != "" {
				token, _, _ := a.session(t, people[tt.actor].text("member_id"))
				headers = []string{acting, token}
			}
			status, o := a.call(t, "DELETE", "/v1/b2b/organizations/"+tt.organization+"/members/passwords/"+tt.password, nil, headers...)
			wantError(t, status, o, tt.status, tt.errorType)
		})
	}
}

// Roles by SSO count in a session that has the factor of that connection.
func TestRoleBySSO(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	sasha := a.steer(t, "GET", "members/"+people["sasha@acme.example"].text("member_id"), nil)
	connection := sasha.list("member.sso_registrations")[0].text("connection_id")
	for sso, want := range map[string]int{connection: 200, "saml-connection-test-other": 403} {
		o := a.steer(t, "POST", "sessions", object{"member_id": sasha.text("member.member_id"), "sso": sso})
		status, _ := a.call(t, "DELETE", passwordsPath+people["paula@acme.example"].text("member_password_id"), nil, acting, o.text("session_token"))
		if status != want {
			t.Errorf("%s: %d, want %d", sso, status, want)
		}
	}
}

func TestActingHeaders(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	acme := a.organizationID(t, "acme")
	hiro, moreau := people["hiro@acme.example"].text("member_id"), people["max@acme.example"].text("member_id")
	token, jwt, _ := a.session(t, hiro)
	otherToken, otherJWT, _ := a.session(t, hiro)
	plain, _, _ := a.session(t, moreau)
	old := a.steer(t, "POST", "sessions", object{"member_id": hiro, "jwt_age": "2h"}).text("session_jwt")
	expired := a.steer(t, "POST", "sessions", object{"member_id": hiro, "expires_in": "0s"})
	ended := a.steer(t, "POST", "sessions", object{"member_id": hiro})
	a.steer(t, "DELETE", "sessions/"+ended.text("member_session.member_session_id"), nil)
	tests := []struct {
		name      string
		headers   []string
		status    int
		errorType string
	}{
		{"token", []string{acting, token}, 200, ""},
		{"JWT", []string{actingJWT, jwt}, 200, ""},
		{"JWT past its five minutes", []string{actingJWT, old}, 200, ""},
		{"both of one session", []string{acting, token, actingJWT, jwt}, 200, ""},
		{"both of two sessions", []string{acting, token, actingJWT, otherJWT}, 400, "too_many_session_arguments"},
		{"two tokens", []string{acting, token, acting, otherToken}, 400, "too_many_session_arguments"},
		{"malformed token", []string{acting, "not a token"}, 400, "invalid_session_token"},
		{"empty token", []string{acting, ""}, 400, "invalid_session_token"},
		{"malformed JWT", []string{actingJWT, "a.b.c"}, 400, "invalid_session_token"},
		{"JWT with another signature", []string{actingJWT, jwt[:len(jwt)-8] + "AAAAAAAA"}, 400, "invalid_session_token"},
		{"unknown token", []string{acting, "0123456789012345678901234567890123456789abcd"}, 404, "session_not_found"},
		{"expired", []string{acting, expired.text("session_token")}, 404, "session_not_found"},
		{"ended", []string{acting, ended.text("session_token")}, 404, "session_not_found"},
		{"ended, by JWT", []string{actingJWT, ended.text("session_jwt")}, 404, "session_not_found"},
		{"no permission", []string{acting, plain}, 403, "session_authorization_error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, "POST", searchPath, object{"organization_ids": []string{acme}}, tt.headers...)
			wantError(t, status, o, tt.status, tt.errorType)
		})
	}
	t.Run("other organizations", func(t *testing.T) {
		t.Parallel()
		for _, ids := range [][]string{{a.organizationID(t, "globex")}, {acme, a.organizationID(t, "globex")}, {"organization-test-00000000-0000-4000-8000-000000000000"}} {
			status, o := a.call(t, "POST", searchPath, object{"organization_ids": ids}, acting, token)
			wantError(t, status, o, 403, "session_authorization_tenancy_error")
		}
	})
}

func TestCrossOrganizationPasswords(t *testing.T) {
	t.Parallel()
	const path = "/v1/b2b/passwords/email/require_reset"
	a := start(t, sandbox.Options{CrossOrgPasswords: true})
	people := a.people(t)
	token, _, _ := a.session(t, people["hiro@acme.example"].text("member_id"))
	plain, _, _ := a.session(t, people["max@acme.example"].text("member_id"))
	moreau, paula := people["max@acme.example"], people["paula@acme.example"]

	status, o := a.call(t, "DELETE", passwordsPath+paula.text("member_password_id"), nil, acting, token)
	wantError(t, status, o, 400, "cross_org_passwords_enabled")
	status, o = a.call(t, "DELETE", passwordsPath+paula.text("member_password_id"), nil, acting, plain)
	wantError(t, status, o, 403, "session_authorization_error")

	status, o = a.call(t, "POST", path, object{"email_address": "paula@acme.example"}, acting, plain)
	wantError(t, status, o, 403, "session_authorization_error")
	status, o = a.call(t, "POST", path, object{"email_address": "olga@globex.example", "organization_id": "globex"}, acting, token)
	wantError(t, status, o, 403, "session_authorization_tenancy_error")
	status, o = a.call(t, "POST", path, object{"email_address": "nobody@acme.example", "organization_id": "acme"}, acting, token)
	wantError(t, status, o, 404, "member_not_found")
	status, o = a.call(t, "POST", path, object{"email_address": "x"}, acting, token)
	wantError(t, status, o, 400, "invalid_email")
	status, o = a.call(t, "POST", path, object{"email_address": "max@acme.example", "member_id": paula.text("member_id"), "organization_id": "acme"})
	wantError(t, status, o, 404, "member_not_found")

	// The only active member with the address: the password goes.
	status, o = a.call(t, "POST", path, object{"email_address": "paula@acme.example", "organization_id": "acme", "member_id": paula.text("member_id")}, acting, token)
	if status != 200 || o.text("member_id") != paula.text("member_id") || o.at("member.member_password_id") != "" || o.text("organization.organization_slug") != "acme" {
		t.Errorf("%d %v", status, o)
	}
	// One's own, as a plain member.
	if status, o = a.call(t, "POST", path, object{"email_address": "max@acme.example", "member_id": moreau.text("member_id")}, acting, plain); status != 200 {
		t.Errorf("%d %v", status, o)
	}
	// An address in two organizations: both have to reset, nobody in particular is in the answer.
	status, o = a.call(t, "POST", path, object{"email_address": "sam@partners.example"})
	if member, there := o["member"]; status != 200 || member != nil || !there {
		t.Errorf("%d %v", status, o)
	}
	for _, slug := range []string{"acme", "globex"} {
		sam := people["sam@partners.example "+slug]
		read := a.steer(t, "GET", "members/"+sam.text("member_id"), nil)
		if read.text("member.member_password_id") == "" || read.at("reset_required") != true {
			t.Errorf("%s: %v", slug, read)
		}
		status, o = a.call(t, "POST", "/v1/b2b/passwords/authenticate", object{
			"organization_id": slug, "email_address": "sam@partners.example", "password": sam.text("password"),
		})
		wantError(t, status, o, 400, "member_reset_password")
	}

	a.steer(t, "PUT", "switches", object{"cross_org_passwords": false})
	status, o = a.call(t, "POST", path, object{"email_address": "hiro@acme.example"}, acting, token)
	wantError(t, status, o, 400, "cross_org_passwords_not_enabled")
}
