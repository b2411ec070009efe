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
	invitePath       = "/v1/b2b/magic_links/email/invite"
	sendFindLinkPath = "/v1/b2b/magic_links/email/discovery/send"
	findLinkPath     = "/v1/b2b/magic_links/discovery/authenticate"
)

func TestSendMagicLinkRefuses(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	body := object{"organization_id": "acme", "email_address": "max@acme.example"}
	tests := []struct {
		name      string
		path      string
		body      object
		status    int
		errorType string
	}{
		{"unknown person", sendLinkPath, body.with("email_address", "nobody@acme.example"), 400, "email_jit_provisioning_not_allowed"},
		{"deleted", sendLinkPath, body.with("email_address", "dora@acme.example"), 400, "email_jit_provisioning_not_allowed"},
		{"of another organization", sendLinkPath, body.with("organization_id", "globex"), 400, "email_jit_provisioning_not_allowed"},
		{"unknown organization", sendLinkPath, body.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"no address", sendLinkPath, body.with("email_address", ""), 400, "invalid_email"},
		{"links not allowed", sendLinkPath, object{"organization_id": "keystone", "email_address": "kay@keystone.test"}, 400, "operation_restricted_by_organization_auth_methods"},
		{"login redirect", sendLinkPath, body.with("login_redirect_url", "/authenticate"), 400, "invalid_login_redirect_url"},
		{"signup redirect", sendLinkPath, body.with("signup_redirect_url", "javascript:alert(1)"), 400, "invalid_signup_redirect_url"},
		{"challenge", sendLinkPath, body.with("pkce_code_challenge", challenge+"="), 400, "invalid_pkce_code_challenge"},
		{"too short", sendLinkPath, body.with("login_expiration_minutes", 4), 400, "bad_request"},
		{"too long", sendLinkPath, body.with("signup_expiration_minutes", 10081), 400, "bad_request"},
		{"discovery: no address", sendFindLinkPath, object{"email_address": "x"}, 400, "invalid_email"},
		{"discovery: redirect", sendFindLinkPath, object{"email_address": "x@y.example", "discovery_redirect_url": "ftp://x"}, 400, "invalid_discovery_redirect_url"},
		{"discovery: challenge", sendFindLinkPath, object{"email_address": "x@y.example", "pkce_code_challenge": "plain"}, 400, "invalid_pkce_code_challenge"},
		{"discovery: too long", sendFindLinkPath, object{"email_address": "x@y.example", "discovery_expiration_minutes": 10081}, 400, "bad_request"},
	}
	for _, tt := range tests {
		status, o := a.call(t, "POST", tt.path, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	if mails := a.mails(t); len(mails) != 0 {
		t.Errorf("mails %v", mails)
	}
}

func TestMagicLink(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	body := object{
		"organization_id": "acme", "email_address": "MAX@acme.example", "pkce_code_challenge": challenge, "login_expiration_minutes": 15,
		"login_redirect_url": "https://console.example/authenticate?state=a%20b", "signup_redirect_url": "https://console.example/welcome",
	}
	o := a.ok(t, sendLinkPath, body)
	if diff := cmp.Diff(fields("request_id status_code member_id member organization member_created"), keys(o)); diff != "" || o.at("member_created") != false {
		t.Errorf("%v %s", o, diff)
	}
	sent := a.mail(t, "login_link")
	if sent.text("to") != "max@acme.example" || sent.text("expires_at") != "2026-03-01T12:15:00Z" || sent.text("channel") != "email" || sent.text("redirect_url") != body.text("login_redirect_url") {
		t.Errorf("%v", sent)
	}
	want := body.text("login_redirect_url") + "&stytch_token_type=multi_tenant_magic_links&slug=acme&token=" + sent.text("token")
	if sent.text("url") != want {
		t.Errorf("URL %s, want %s", sent.text("url"), want)
	}
	token := object{"magic_links_token": sent.text("token")}
	dead := strings.Repeat("a", 44)
	for _, tt := range []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"no token", object{}, 400, "bad_request"},
		{"unknown", object{"magic_links_token": dead}, 404, "magic_link_not_found"},
		{"no verifier", token, 400, "pkce_expected_code_verifier"},
		{"malformed verifier", token.with("pkce_code_verifier", "short"), 400, "invalid_pkce_code_verifier"},
		{"wrong verifier", token.with("pkce_code_verifier", strings.Repeat("x", 43)), 400, "pkce_mismatch"},
		{"the challenge is no verifier", token.with("pkce_code_verifier", challenge), 400, "pkce_mismatch"},
		{"dead session", token.with("pkce_code_verifier", verifier, "session_token", dead), 404, "session_not_found"},
		{"dead intermediate session", token.with("pkce_code_verifier", verifier, "intermediate_session_token", dead), 404, "intermediate_session_not_found"},
		{"too short a session", token.with("pkce_code_verifier", verifier, "session_duration_minutes", 4), 400, "invalid_session_duration_minutes"},
	} {
		a.refused(t, linkPath, tt.body, tt.status, tt.errorType)
	}
	// Nothing of that used the link up.
	o = a.ok(t, linkPath, token.with("pkce_code_verifier", verifier, "session_duration_minutes", 480))
	if diff := cmp.Diff(fields(authFields+" method_id reset_sessions"), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.at("member_authenticated") != true || o.text("member_session.expires_at") != "2026-03-01T20:00:00Z" || !strings.HasPrefix(o.text("method_id"), "email-test-") {
		t.Errorf("%v", o)
	}
	factor := o.list("member_session.authentication_factors")[0]
	wantFactor := object{
		"type": "magic_link", "delivery_method": "email", "last_authenticated_at": "2026-03-01T12:00:00Z", "created_at": "2026-03-01T12:00:00Z",
		"updated_at": "2026-03-01T12:00:00Z", "email_factor": map[string]any{"email_id": o.text("method_id"), "email_address": "max@acme.example"},
	}
	if diff := cmp.Diff(wantFactor, factor); diff != "" {
		t.Error(diff)
	}
	a.refused(t, linkPath, token.with("pkce_code_verifier", verifier), 401, "unable_to_auth_magic_link")

	expired := a.link(t, "acme", "max@acme.example")
	a.clock.advance(time.Hour)
	a.refused(t, linkPath, object{"magic_links_token": expired}, 401, "unable_to_auth_magic_link")

	plain := a.link(t, "acme", "max@acme.example")
	a.refused(t, linkPath, object{"magic_links_token": plain, "pkce_code_verifier": verifier}, 400, "pkce_did_not_expect_code_verifier")
	a.refused(t, findLinkPath, object{"discovery_magic_links_token": plain}, 404, "magic_link_not_found")
	a.steer(t, "POST", "members/"+o.text("member_id"), object{"lock_for": "1h"})
	a.refused(t, linkPath, object{"magic_links_token": plain}, 429, "user_lock_limit_reached")
	a.steer(t, "POST", "members/"+o.text("member_id"), object{"lock_for": "0s"})
	a.ok(t, linkPath, object{"magic_links_token": plain})

	gone := a.link(t, "acme", "max@acme.example")
	a.steer(t, "POST", "members/"+o.text("member_id"), object{"status": "deleted"})
	a.refused(t, linkPath, object{"magic_links_token": gone}, 401, "unable_to_auth_magic_link")
}

// Who was pending or invited is active after the first sign-in, with a proven address.
func TestFirstSignIn(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	for _, email := range []string{"pavel@acme.example", "ilse@acme.example"} {
		a.ok(t, sendLinkPath, object{
			"organization_id": "acme", "email_address": email, "login_redirect_url": "https://a.example/in", "signup_redirect_url": "https://a.example/up",
			"login_expiration_minutes": 5, "signup_expiration_minutes": 30,
		})
		sent := a.mail(t, "signup_link")
		if sent.text("to") != email || sent.text("redirect_url") != "https://a.example/up" || sent.text("expires_at") != "2026-03-01T12:30:00Z" {
			t.Errorf("%v", sent)
		}
		o := a.ok(t, linkPath, object{"magic_links_token": sent.text("token")})
		if o.text("member.status") != "active" || o.at("member.email_address_verified") != true || o.at("member_authenticated") != true || o.text("member.updated_at") != "2026-03-01T12:00:00Z" {
			t.Errorf("%v", o)
		}
		a.link(t, "acme", email)
		if a.mail(t, "login_link").text("to") != email {
			t.Error("the next mail is no login mail")
		}
	}
}

// A second factor can be enrolled by active members only, so they are active before it.
func TestFirstSignInBeforeTheSecondFactor(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	a.ok(t, invitePath, object{"organization_id": "northwind", "email_address": "new@elsewhere.example"})
	o := a.ok(t, linkPath, object{"magic_links_token": a.mail(t, "invite").text("token")})
	if o["mfa_required"] == nil || o.at("mfa_required.member_options") != nil || o.text("member.status") != "active" {
		t.Errorf("%v", o)
	}
}

// The outbox holds an invitation from the start; it leads to wherever the console turns out to be.
func TestSeededInvitation(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{RedirectURL: "http://127.0.0.1:8080/authenticate"})
	mails := a.steer(t, "GET", "outbox", nil).list("mails")
	if len(mails) != 1 || mails[0].text("kind") != "invite" || mails[0].text("to") != "ilse@acme.example" || mails[0].text("expires_at") != "2026-03-08T12:00:00Z" ||
		!strings.HasPrefix(mails[0].text("url"), "http://127.0.0.1:8080/authenticate?stytch_token_type=multi_tenant_magic_links&slug=acme&token=") {
		t.Errorf("%v", mails)
	}
	a.clock.advance(7*24*time.Hour - time.Second)
	o := a.ok(t, linkPath, object{"magic_links_token": mails[0].text("token")})
	if o.text("member.email_address") != "ilse@acme.example" || o.text("member.status") != "active" {
		t.Errorf("%v", o)
	}
}

func TestInvite(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	before := a.all(t, "keystone", 100)
	body := object{
		"organization_id": "keystone", "email_address": "New@keystone.test", "name": "Neva Wells", "roles": []string{"helpdesk"},
		"invite_redirect_url": "https://console.example/authenticate", "trusted_metadata": object{"a": 1}, "untrusted_metadata": object{"b": 2},
	}
	admin, _, _ := a.session(t, people["kay@keystone.test"].text("member_id"))
	plain, _, _ := a.session(t, people["lou@keystone.test"].text("member_id"))
	for _, tt := range []struct {
		name      string
		body      object
		headers   []string
		status    int
		errorType string
	}{
		{"no address", body.with("email_address", ""), nil, 400, "invalid_email"},
		{"unknown organization", body.with("organization_id", "umbrella"), nil, 404, "organization_not_found"},
		{"active", body.with("email_address", "lou@keystone.test"), nil, 400, "duplicate_member_email"},
		{"default role", body.with("roles", []string{"stytch_member"}), nil, 400, "cannot_assign_default_rbac_role_id"},
		{"unknown role", body.with("roles", []string{"king"}), nil, 400, "invalid_role"},
		{"redirect", body.with("invite_redirect_url", "x"), nil, 400, "invalid_invite_redirect_url"},
		{"too long", body.with("invite_expiration_minutes", 10081), nil, 400, "bad_request"},
		{"unknown inviter", body.with("invited_by_member_id", people["ada@acme.example"].text("member_id")), nil, 404, "member_not_found"},
		{"domain not allowed", body.with("organization_id", "acme"), nil, 400, "invalid_email_for_invites"},
		{"may not create", body, []string{acting, plain}, 403, "session_authorization_error"},
		{"of another organization", body.with("organization_id", "globex"), []string{acting, admin}, 403, "session_authorization_tenancy_error"},
	} {
		status, o := a.call(t, "POST", invitePath, tt.body, tt.headers...)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	if after := a.all(t, "keystone", 100); len(after) != len(before) {
		t.Fatalf("%d members, before %d", len(after), len(before))
	}
	status, o := a.call(t, "POST", invitePath, body, acting, admin)
	if diff := cmp.Diff(fields("request_id status_code member_id member organization"), keys(o)); status != 200 || diff != "" {
		t.Fatalf("%d %v %s", status, o, diff)
	}
	if o.text("member.status") != "invited" || o.at("member.email_address_verified") != false || o.text("member.name") != "Neva Wells" || o.text("member.created_at") != "2026-03-01T12:00:00Z" {
		t.Errorf("%v", o["member"])
	}
	// The new member is like any other: found by id, by address, by search, and invited again.
	id := o.text("member_id")
	if got := a.member(t, "keystone", "new@keystone.test"); got.text("member_id") != id {
		t.Errorf("%v", got)
	}
	found := a.all(t, "keystone", 2, object{"filter_name": "statuses", "filter_value": []string{"invited"}})
	if found[len(found)-1].text("member_id") != id {
		t.Errorf("%v", found)
	}
	first := a.mail(t, "invite").text("token")
	again := a.ok(t, invitePath, body.with("roles", []string{"helpdesk", "auditor"}))
	if again.text("member_id") != id || len(again.list("member.roles")) != 3 {
		t.Errorf("%v", again["member"])
	}
	if sent := a.mail(t, "invite"); sent.text("expires_at") != "2026-03-08T12:00:00Z" || !strings.HasPrefix(sent.text("url"), "https://console.example/authenticate?") || sent.text("token") == first {
		t.Errorf("%v", sent)
	}
	// The organization allows nothing but passwords, so the link alone is not enough.
	in := a.ok(t, linkPath, object{"magic_links_token": a.mail(t, "invite").text("token")})
	if got := words(in.at("primary_required.allowed_auth_methods")); in.at("member_authenticated") != false || got != "password" || in.text("member.status") != "invited" {
		t.Errorf("%v", in)
	}
	a.ok(t, "/v1/b2b/passwords/email/reset/start", object{"organization_id": "keystone", "email_address": "new@keystone.test"})
	in = a.ok(t, "/v1/b2b/passwords/email/reset", object{
		"password_reset_token": a.mail(t, "password_reset").text("token"), "password": goodPassword, "intermediate_session_token": in.text("intermediate_session_token"),
	})
	if in.at("member_authenticated") != true || types(in) != "magic_link password" || in.text("member.status") != "active" {
		t.Errorf("%v", in)
	}
	if got := words(in.at("member_session.roles")); got != "stytch_member helpdesk auditor" {
		t.Errorf("roles %s", got)
	}
}

func TestDiscoveryLink(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	o := a.ok(t, sendFindLinkPath, object{
		"email_address": "Sam@partners.example", "discovery_redirect_url": "http://127.0.0.1:8080/authenticate", "pkce_code_challenge": challenge, "discovery_expiration_minutes": 5,
	})
	if diff := cmp.Diff(fields("request_id status_code"), keys(o)); diff != "" {
		t.Error(diff)
	}
	sent := a.mail(t, "discovery_link")
	link, err := url.Parse(sent.text("url"))
	if err != nil || link.Query().Get("stytch_token_type") != "discovery" || link.Query().Get("token") != sent.text("token") || link.Query().Has("slug") || sent.text("member_id") != "" {
		t.Errorf("%v", sent)
	}
	token := object{"discovery_magic_links_token": sent.text("token")}
	a.refused(t, findLinkPath, token, 400, "pkce_expected_code_verifier")
	a.refused(t, findLinkPath, token.with("pkce_code_verifier", strings.Repeat("y", 64)), 400, "pkce_mismatch")
	a.refused(t, linkPath, object{"magic_links_token": sent.text("token"), "pkce_code_verifier": verifier}, 404, "magic_link_not_found")
	o = a.ok(t, findLinkPath, token.with("pkce_code_verifier", verifier))
	if diff := cmp.Diff(fields("request_id status_code intermediate_session_token email_address discovered_organizations"), keys(o)); diff != "" || o.text("email_address") != "sam@partners.example" {
		t.Errorf("%v %s", o, diff)
	}
	a.refused(t, findLinkPath, token.with("pkce_code_verifier", verifier), 401, "unable_to_auth_magic_link")

	// Any address gets a mail; who reads it learns that nothing is there.
	a.ok(t, sendFindLinkPath, object{"email_address": "stranger@nowhere.example"})
	o = a.ok(t, findLinkPath, object{"discovery_magic_links_token": a.mail(t, "discovery_link").text("token")})
	if list, there := o["discovered_organizations"].([]any); !there || len(list) != 0 || o.text("intermediate_session_token") == "" {
		t.Errorf("%v", o)
	}
	a.ok(t, sendFindLinkPath, object{"email_address": "stranger@nowhere.example", "discovery_expiration_minutes": 5})
	a.clock.advance(5 * time.Minute)
	a.refused(t, findLinkPath, object{"discovery_magic_links_token": a.mail(t, "discovery_link").text("token")}, 401, "unable_to_auth_magic_link")
}

// An answer that was only made up has changed nothing: the link is still good.
func TestDryMagicLink(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	token := object{"magic_links_token": a.link(t, "acme", "pavel@acme.example")}
	a.steer(t, "POST", "faults", object{"endpoint": "magic_links.authenticate", "kind": "wrong_member", "apply": "before", "times": 1})
	o := a.ok(t, linkPath, token)
	if o.text("member.email_address") == "pavel@acme.example" || o.text("session_token") == "" {
		t.Errorf("%v", o)
	}
	a.refused(t, sessionPath, object{"session_token": o.text("session_token")}, 404, "session_not_found")
	if pavel := a.member(t, "acme", "pavel@acme.example"); pavel.text("status") != "pending" || pavel.at("email_address_verified") != false {
		t.Errorf("%v", pavel)
	}
	a.ok(t, linkPath, token)
	a.steer(t, "POST", "faults", object{"endpoint": "magic_links.email.login_or_signup", "kind": "wrong_member", "apply": "before", "times": 1})
	if o := a.ok(t, sendLinkPath, object{"organization_id": "acme", "email_address": "max@acme.example"}); o.text("member.email_address") == "max@acme.example" {
		t.Errorf("%v", o)
	}
	if got := len(a.mails(t)); got != 1 {
		t.Errorf("%d mails", got)
	}
}
