package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// oauthToken signs somebody in at a provider, for an organization. Pairs go into the start.
func (a *api) oauthToken(t *testing.T, provider, slug, email string, pairs ...string) string {
	t.Helper()
	return a.travel(t, a.startOf("/v1/b2b/public/oauth/"+provider+"/start", append(pairs, "slug", slug)...), email).Query().Get("token")
}

func (a *api) discoveryToken(t *testing.T, provider, email string, pairs ...string) string {
	t.Helper()
	return a.travel(t, a.startOf("/v1/b2b/public/oauth/"+provider+"/discovery/start", pairs...), email).Query().Get("token")
}

// subject is what a member's registration with a provider says, and how many there are.
func subject(o object, provider string) (string, int) {
	found, n := "", 0
	for _, r := range o.list("member.oauth_registrations") {
		if r.text("provider_type") == provider {
			found = r.text("provider_subject")
			n++
		}
	}
	return found, n
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	for _, tt := range []struct{ name, provider, providerType, email string }{
		{"known", "google", "Google", "max@acme.example"},
		{"for the first time", "microsoft", "Microsoft", "max@acme.example"},
		{"invited", "google", "Google", "ilse@acme.example"},
	} {
		o := a.ok(t, oauthPath, object{"oauth_token": a.oauthToken(t, tt.provider, "acme", tt.email), "session_duration_minutes": 480})
		if diff := cmp.Diff(fields(authFields+" provider_subject provider_type reset_sessions provider_values"), keys(o)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		f := o.list("member_session.authentication_factors")[0]
		own := tt.provider + "_oauth_factor."
		registered, n := subject(o, tt.providerType)
		if o.at("member_authenticated") != true || o.text("provider_type") != tt.providerType || f.text("type") != "oauth" || f.text("delivery_method") != "oauth_"+tt.provider ||
			o.text("provider_subject") != registered || f.text(own+"provider_subject") != registered || n != 1 ||
			f.text(own+"id") == "" || f.text(own+"email_id") == "" || o.text("member.status") != "active" {
			t.Errorf("%s: %v", tt.name, o)
		}
		if got := o.text("member_session.expires_at"); got != "2026-03-01T20:00:00Z" {
			t.Errorf("%s: expires %s", tt.name, got)
		}
		if diff := cmp.Diff(fields("access_token refresh_token id_token scopes expires_at"), keys(object(o["provider_values"].(map[string]any)))); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// What a provider says that does not vouch for addresses needs a mail to back it up, and is remembered only then.
func TestOAuthUnverifiedAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ provider, providerType string }{{"github", "GitHub"}, {"slack", "Slack"}, {"hubspot", "Hubspot"}} {
		t.Run(tt.provider, func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: 60})
			o := a.ok(t, oauthPath, object{"oauth_token": a.oauthToken(t, tt.provider, "globex", "olga@globex.example")})
			if got := words(o.at("primary_required.allowed_auth_methods")); o.at("member_authenticated") != false || got != "magic_link email_otp" {
				t.Fatalf("%v", o)
			}
			if _, n := subject(o, tt.providerType); n != 0 {
				t.Error("registered before the address was proven")
			}
			token := o.text("intermediate_session_token")
			o = a.ok(t, linkPath, object{"magic_links_token": a.link(t, "globex", "olga@globex.example"), "intermediate_session_token": token})
			if _, n := subject(o, tt.providerType); o.at("member_authenticated") != true || types(o) != "oauth magic_link" || n != 1 {
				t.Errorf("%v", o)
			}
		})
	}
}

func TestOAuthRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	body := func(email string, pairs ...string) object {
		return object{"oauth_token": a.oauthToken(t, "google", "acme", email, pairs...)}
	}
	find := func(pairs ...string) object {
		return object{"discovery_oauth_token": a.discoveryToken(t, "google", "ada@acme.example", pairs...)}
	}
	tests := []struct {
		name, path string
		body       object
		status     int
		errorType  string
	}{
		{"no token", oauthPath, object{}, 400, "bad_request"},
		{"unknown", oauthPath, object{"oauth_token": strings.Repeat("a", 44)}, 400, "oauth_token_not_found"},
		{"of another kind", oauthPath, object{"oauth_token": find().text("discovery_oauth_token")}, 400, "oauth_token_not_found"},
		{"stranger", oauthPath, body("stranger@acme.example"), 400, "email_jit_provisioning_not_allowed"},
		{"locked", oauthPath, body("lena@acme.example"), 429, "user_lock_limit_reached"},
		{"no verifier", oauthPath, body("ada@acme.example", "pkce_code_challenge", challenge), 400, "pkce_expected_code_verifier"},
		{"verifier", oauthPath, body("ada@acme.example", "pkce_code_challenge", challenge).with("pkce_code_verifier", verifier), 200, ""},
		{"another's intermediate session", oauthPath, body("ada@acme.example").with("intermediate_session_token", a.discovery(t, "sam@partners.example")), 400, "invalid_intermediate_session_token_for_organization"},
		{"short session", oauthPath, body("ada@acme.example").with("session_duration_minutes", 1), 400, "invalid_session_duration_minutes"},
		{"discovery: no token", discoveryOAuth, object{}, 400, "bad_request"},
		{"discovery: of another kind", discoveryOAuth, object{"discovery_oauth_token": body("ada@acme.example").text("oauth_token")}, 400, "oauth_token_not_found"},
		{"discovery: wrong verifier", discoveryOAuth, find("pkce_code_challenge", challenge).with("pkce_code_verifier", strings.Repeat("x", 43)), 400, "pkce_mismatch"},
		{"discovery: verifier", discoveryOAuth, find("pkce_code_challenge", challenge).with("pkce_code_verifier", verifier), 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a.refused(t, tt.path, tt.body, tt.status, tt.errorType)
		})
	}
}

func TestOAuthTokensAreGoodOnce(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	body := object{"oauth_token": a.oauthToken(t, "google", "acme", "ada@acme.example")}
	a.ok(t, oauthPath, body)
	a.refused(t, oauthPath, body, 400, "oauth_token_not_found")
	body = object{"discovery_oauth_token": a.discoveryToken(t, "google", "ada@acme.example")}
	a.ok(t, discoveryOAuth, body)
	a.refused(t, discoveryOAuth, body, 400, "oauth_token_not_found")
	body = object{"discovery_oauth_token": a.discoveryToken(t, "google", "ada@acme.example")}
	a.clock.advance(5 * time.Minute)
	a.refused(t, discoveryOAuth, body, 400, "oauth_token_not_found")
}

func TestOAuthDiscovery(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	o := a.ok(t, discoveryOAuth, object{"discovery_oauth_token": a.discoveryToken(t, "google", "sam@partners.example")})
	want := fields(`request_id status_code intermediate_session_token email_address discovered_organizations provider_type provider_tenant_id
		provider_tenant_ids full_name`)
	if diff := cmp.Diff(want, keys(o)); diff != "" {
		t.Error(diff)
	}
	var found []string
	for _, d := range o.list("discovered_organizations") {
		found = append(found, d.text("organization.organization_slug")+" "+d.text("membership.type"))
	}
	if diff := cmp.Diff([]string{"acme active_member", "globex active_member", "initech invited_member", "northwind active_member"}, found); diff != "" {
		t.Error(diff)
	}
	if o.text("full_name") != "Sam Sharing" || o.text("provider_type") != "Google" || o.text("email_address") != "sam@partners.example" {
		t.Errorf("%v", o)
	}
	token := o.text("intermediate_session_token")
	o = a.ok(t, exchangePath, object{"organization_id": "acme", "intermediate_session_token": token})
	here, n := subject(o, "Google")
	f := o.list("member_session.authentication_factors")[0]
	if o.at("member_authenticated") != true || n != 1 || f.text("google_oauth_factor.id") == "" || f.text("google_oauth_factor.email_id") == "" {
		t.Errorf("%v", o)
	}
	// The same account of the provider is the same subject in each organization.
	o = a.ok(t, oauthPath, object{"oauth_token": a.oauthToken(t, "google", "globex", "Sam@Partners.example")})
	if there, _ := subject(o, "Google"); there != here || here == "" {
		t.Errorf("subject %q here, %q there", here, there)
	}

	// Somebody without any organization finds none.
	o = a.ok(t, discoveryOAuth, object{"discovery_oauth_token": a.discoveryToken(t, "microsoft", "new@nowhere.example")})
	if list, there := o.at("discovered_organizations").([]any); !there || len(list) != 0 || o.text("full_name") != "" {
		t.Errorf("%v", o)
	}
}
