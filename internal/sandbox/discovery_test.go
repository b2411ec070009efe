package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// outline is what a list of organizations says, in short.
func outline(o object) []string {
	var out []string
	for _, d := range o.list("discovered_organizations") {
		line := d.text("organization.organization_slug") + " " + d.text("membership.type")
		switch {
		case d.at("member_authenticated") == true:
			line += " in"
		case d.at("primary_required") != nil:
			line += " primary: " + words(d.at("primary_required.allowed_auth_methods"))
		case d.at("mfa_required") != nil:
			line += " mfa"
		}
		out = append(out, line)
	}
	return out
}

func TestDiscoverOrganizations(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	token := a.discovery(t, "sam@partners.example")
	want := []string{"acme active_member in", "globex active_member in", "initech invited_member primary: sso magic_link", "northwind active_member mfa"}
	for range 2 { // the list uses nothing up
		o := a.ok(t, discoverPath, object{"intermediate_session_token": token})
		if diff := cmp.Diff(fields("request_id status_code email_address discovered_organizations organization_id_hint"), keys(o)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, outline(o)); diff != "" {
			t.Error(diff)
		}
		first := o.list("discovered_organizations")[0]
		if diff := cmp.Diff(fields("member_authenticated organization membership primary_required mfa_required"), keys(first)); diff != "" {
			t.Error(diff)
		}
		member := first.at("membership").(map[string]any)
		if diff := cmp.Diff(fields("type details member"), keys(member)); diff != "" || member["details"] != nil {
			t.Errorf("%v %s", member, diff)
		}
	}
	bySession, jwt, _ := a.session(t, people["sam@partners.example northwind"].text("member_id"))
	every := "sso magic_link email_otp password google_oauth microsoft_oauth slack_oauth github_oauth hubspot_oauth"
	want = []string{
		"acme active_member primary: sso password magic_link email_otp google_oauth microsoft_oauth github_oauth", "globex active_member primary: " + every,
		"initech invited_member primary: sso magic_link", "northwind active_member in",
	}
	for _, body := range []object{{"session_token": bySession}, {"session_jwt": jwt}} {
		if diff := cmp.Diff(want, outline(a.ok(t, discoverPath, body))); diff != "" {
			t.Error(diff)
		}
	}
	a.refused(t, discoverPath, object{}, 400, "no_session_arguments")
	a.refused(t, discoverPath, object{"session_token": bySession, "intermediate_session_token": token}, 400, "too_many_session_arguments")
	a.refused(t, discoverPath, object{"session_token": "0123456789012345678901234567890123456789abcd"}, 404, "session_not_found")
}

const exchangeFields = `request_id status_code member_id member organization member_authenticated session_token session_jwt member_session
	intermediate_session_token intermediate_session_token_expires_at mfa_required primary_required member_device`

func TestExchangeIntermediateSession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	token := a.discovery(t, "sam@partners.example")
	body := object{"intermediate_session_token": token, "organization_id": "northwind", "session_duration_minutes": 480}
	o := a.ok(t, exchangePath, body)
	if diff := cmp.Diff(fields(exchangeFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o["mfa_required"] == nil || o.text("intermediate_session_token") != token || o.text("intermediate_session_token_expires_at") != "2026-03-01T12:10:00Z" {
		t.Errorf("%v", o)
	}
	// It is not bound by having been tried somewhere.
	o = a.ok(t, exchangePath, body.with("organization_id", "acme"))
	if o.at("member_authenticated") != true || o.text("member.email_address") != "sam@partners.example" || o.text("member_session.expires_at") != "2026-03-01T20:00:00Z" {
		t.Errorf("%v", o)
	}
	factor := o.list("member_session.authentication_factors")[0]
	link := a.ok(t, linkPath, object{"magic_links_token": a.link(t, "acme", "sam@partners.example")})
	if factor.text("email_factor.email_id") != link.text("method_id") {
		t.Errorf("the factor is of the address %v, the member's is %s", factor, link.text("method_id"))
	}
	a.refused(t, exchangePath, body.with("organization_id", "globex"), 404, "intermediate_session_not_found")
	token = a.discovery(t, "sam@partners.example")
	a.refused(t, exchangePath, body.with("intermediate_session_token", token, "session_duration_minutes", 4), 400, "invalid_session_duration_minutes")
	a.steer(t, "POST", "members/"+o.text("member_id"), object{"lock_for": "1h"})
	a.refused(t, exchangePath, body.with("intermediate_session_token", token, "organization_id", "acme"), 429, "user_lock_limit_reached")
	a.clock.advance(10 * time.Minute)
	a.refused(t, exchangePath, body.with("intermediate_session_token", token), 404, "intermediate_session_not_found")
}

func TestExchangeSession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	byPassword, _, _ := a.session(t, people["sam@partners.example acme"].text("member_id"))
	in := a.ok(t, linkPath, object{"magic_links_token": a.link(t, "acme", "sam@partners.example"), "session_duration_minutes": 60})
	byLink := object{"session_token": in.text("session_token"), "organization_id": "globex", "session_duration_minutes": 120}
	ada, _, _ := a.session(t, people["ada@acme.example"].text("member_id"))
	for _, tt := range []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"none", object{"organization_id": "globex"}, 400, "no_session_arguments"},
		{"both", byLink.with("session_jwt", in.text("session_jwt")), 400, "too_many_session_arguments"},
		{"dead", byLink.with("session_token", "0123456789012345678901234567890123456789abcd"), 404, "session_not_found"},
		{"unknown organization", byLink.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"not a member there", byLink.with("session_token", ada), 404, "member_not_found"},
		{"duration", byLink.with("session_duration_minutes", 4), 400, "invalid_session_duration_minutes"},
	} {
		status, o := a.call(t, "POST", switchPath, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	o := a.ok(t, switchPath, byLink)
	if diff := cmp.Diff(fields(exchangeFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	if o.text("organization.organization_slug") != "globex" || types(o) != "magic_link" || o.text("session_token") == in.text("session_token") || o.text("member_session.expires_at") != "2026-03-01T14:00:00Z" {
		t.Errorf("%v", o)
	}
	a.ok(t, sessionPath, object{"session_token": in.text("session_token")}) // the one exchanged lives on

	// An invitation is accepted by switching.
	o = a.ok(t, switchPath, byLink.with("organization_id", "initech"))
	if o.text("member.status") != "active" || o.at("member_authenticated") != true {
		t.Errorf("%v", o)
	}
	// A second factor is asked for where it is demanded.
	o = a.ok(t, switchPath, byLink.with("organization_id", "northwind"))
	if o["mfa_required"] == nil || o.text("session_token") != "" || o.text("intermediate_session_token") == "" {
		t.Errorf("%v", o)
	}
	// A password does not count elsewhere, but the way on is open.
	o = a.ok(t, switchPath, object{"session_token": byPassword, "organization_id": "globex"})
	if o.at("member_authenticated") != false || o["primary_required"] == nil {
		t.Errorf("%v", o)
	}
	o = a.ok(t, signInPath, credentials(people["sam@partners.example globex"]).with("intermediate_session_token", o.text("intermediate_session_token")))
	if o.at("member_authenticated") != true || types(o) != "password" {
		t.Errorf("%v", o)
	}
	// Who is impersonated stays where they are.
	minted := a.steer(t, "POST", "impersonations", object{"member_id": people["sam@partners.example acme"].text("member_id")})
	posing := a.ok(t, "/v1/b2b/impersonation/authenticate", object{"impersonation_token": minted.text("token")})
	a.refused(t, switchPath, byLink.with("session_token", posing.text("session_token")), 400, "session_not_mutable")
	// One's own organization: the same session, no longer than before unless that is said.
	o = a.ok(t, switchPath, object{"session_token": byPassword, "organization_id": "acme"})
	if o.text("session_token") != byPassword || o.text("member_session.expires_at") != "2026-03-01T13:00:00Z" {
		t.Errorf("%v", o)
	}
}
