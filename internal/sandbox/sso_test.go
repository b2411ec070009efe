package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// ssoToken signs somebody in at acme's identity provider. Pairs go into the start.
func (a *api) ssoToken(t *testing.T, email string, pairs ...string) string {
	t.Helper()
	return a.travel(t, a.startOf(ssoStart, append(pairs, "organization_id", "acme")...), email).Query().Get("token")
}

// connections are the ids of an organization's SSO connections.
func (a *api) connections(t *testing.T, slug string) []string {
	t.Helper()
	_, o := a.call(t, "GET", "/v1/b2b/organizations/"+slug, nil)
	var ids []string
	for _, c := range o.list("organization.sso_active_connections") {
		ids = append(ids, c.text("connection_id"))
	}
	return ids
}

func TestSSO(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	saml, oidc := a.connections(t, "acme")[0], a.connections(t, "acme")[1]
	tests := []struct {
		name, connection, delivery, field, email string
		roles                                    []any
	}{
		{"SAML, known", saml, "sso_saml", "saml_sso_factor", "sasha@acme.example", []any{"stytch_member", "stytch_admin"}},
		{"OIDC, for the first time", oidc, "sso_oidc", "oidc_sso_factor", "sasha@acme.example", []any{"stytch_member"}},
		{"no password", saml, "sso_saml", "saml_sso_factor", "noor@acme.example", []any{"stytch_member"}},
	}
	for _, tt := range tests {
		o := a.ok(t, ssoPath, object{"sso_token": a.ssoToken(t, tt.email, "connection_id", tt.connection)})
		if diff := cmp.Diff(fields(authFields+" reset_session"), keys(o)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		f := o.list("member_session.authentication_factors")[0]
		if o.at("member_authenticated") != true || f.text("type") != "sso" || f.text("delivery_method") != tt.delivery ||
			f.text(tt.field+".provider_id") != tt.connection || f.text(tt.field+".external_id") != tt.email || f.text(tt.field+".id") == "" {
			t.Errorf("%s: %v", tt.name, o)
		}
		// Roles that come with an SSO connection count in the session that has its factor.
		if diff := cmp.Diff(any(tt.roles), o.at("member_session.roles")); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		registered := 0
		for _, r := range o.list("member.sso_registrations") {
			if r.text("connection_id") == tt.connection && r.text("registration_id") == f.text(tt.field+".id") {
				registered++
			}
		}
		if registered != 1 {
			t.Errorf("%s: registrations %v", tt.name, o.list("member.sso_registrations"))
		}
	}
}

func TestSSORefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	body := func(email string, pairs ...string) object {
		return object{"sso_token": a.ssoToken(t, email, pairs...)}
	}
	deleted := body("max@acme.example")
	a.steer(t, "POST", "members/"+people["max@acme.example"].text("member_id"), object{"status": "deleted"})
	tests := []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"no token", object{}, 400, "bad_request"},
		{"unknown", object{"sso_token": strings.Repeat("a", 44)}, 404, "sso_token_not_found"},
		{"of another kind", object{"sso_token": a.oauthToken(t, "google", "acme", "ada@acme.example")}, 404, "sso_token_not_found"},
		{"stranger", body("stranger@acme.example"), 400, "invalid_connection_for_jit_provisioning"},
		{"member of another organization", body("olga@globex.example"), 400, "invalid_connection_for_jit_provisioning"},
		{"deleted since", deleted, 404, "sso_token_not_found"},
		{"locked", body("lena@acme.example"), 429, "user_lock_limit_reached"},
		{"no verifier", body("ada@acme.example", "pkce_code_challenge", challenge), 400, "pkce_expected_code_verifier"},
		{"wrong verifier", body("ada@acme.example", "pkce_code_challenge", challenge).with("pkce_code_verifier", strings.Repeat("x", 43)), 400, "pkce_mismatch"},
		{"verifier without challenge", body("ada@acme.example").with("pkce_code_verifier", verifier), 400, "pkce_did_not_expect_code_verifier"},
		{"verifier", body("ada@acme.example", "pkce_code_challenge", challenge).with("pkce_code_verifier", verifier), 200, ""},
		{"dead session", body("ada@acme.example").with("session_token", strings.Repeat("a", 44)), 404, "session_not_found"},
		{"short session", body("ada@acme.example").with("session_duration_minutes", 1), 400, "invalid_session_duration_minutes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a.refused(t, ssoPath, tt.body, tt.status, tt.errorType)
		})
	}
}

func TestSSOTokensAreGoodOnce(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	token := a.ssoToken(t, "ada@acme.example", "pkce_code_challenge", challenge)
	// Refusals leave the token as it is.
	a.refused(t, ssoPath, object{"sso_token": token}, 400, "pkce_expected_code_verifier")
	a.refused(t, ssoPath, object{"sso_token": token, "pkce_code_verifier": verifier, "session_token": strings.Repeat("a", 44)}, 404, "session_not_found")
	a.ok(t, ssoPath, object{"sso_token": token, "pkce_code_verifier": verifier})
	a.refused(t, ssoPath, object{"sso_token": token, "pkce_code_verifier": verifier}, 404, "sso_token_not_found")

	token = a.ssoToken(t, "ada@acme.example")
	ada := a.people(t)["ada@acme.example"].text("member_id")
	a.steer(t, "POST", "members/"+ada, object{"lock_for": "1m"})
	a.refused(t, ssoPath, object{"sso_token": token}, 429, "user_lock_limit_reached")
	a.steer(t, "POST", "members/"+ada, object{"lock_for": "0s"})
	a.ok(t, ssoPath, object{"sso_token": token})

	token = a.ssoToken(t, "ada@acme.example")
	a.clock.advance(5 * time.Minute)
	a.refused(t, ssoPath, object{"sso_token": token}, 404, "sso_token_not_found")
}

func TestSSOAmongOtherFactors(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	// Where it is not allowed, something else is asked for; breakglass members may.
	a.steer(t, "POST", "organizations/acme", object{"auth_methods": []string{"password"}})
	o := a.ok(t, ssoPath, object{"sso_token": a.ssoToken(t, "hiro@acme.example")})
	if got := words(o.at("primary_required.allowed_auth_methods")); o.at("member_authenticated") != false || got != "password" {
		t.Errorf("%v", o)
	}
	hiro := a.people(t)["hiro@acme.example"]
	o = a.ok(t, signInPath, credentials(hiro).with("intermediate_session_token", o.text("intermediate_session_token")))
	if o.at("member_authenticated") != true || types(o) != "sso password" {
		t.Errorf("%v", o)
	}
	o = a.ok(t, ssoPath, object{"sso_token": a.ssoToken(t, "bea.breakglass@acme.example")})
	if o.at("member_authenticated") != true {
		t.Errorf("%v", o)
	}
	// A second factor is asked for as after a password, and an intermediate session by SSO stays where it was made.
	a.steer(t, "POST", "organizations/acme", object{"auth_methods": []string{}, "mfa_policy": "REQUIRED_FOR_ALL"})
	o = a.ok(t, ssoPath, object{"sso_token": a.ssoToken(t, "sam@partners.example")})
	if o["mfa_required"] == nil || o.text("intermediate_session_token") == "" {
		t.Errorf("%v", o)
	}
	a.refused(t, exchangePath, object{"organization_id": "globex", "intermediate_session_token": o.text("intermediate_session_token")},
		400, "invalid_intermediate_session_token_for_organization")
}

func TestSSOConnectionOfOrganization(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	saml := a.connections(t, "acme")[0]
	// The default one.
	o := a.ok(t, ssoPath, object{"sso_token": a.ssoToken(t, "ada@acme.example")})
	if got := o.list("member_session.authentication_factors")[0].text("saml_sso_factor.provider_id"); got != saml {
		t.Errorf("provider %q", got)
	}
	// By the connection alone.
	token := a.travel(t, a.startOf(ssoStart, "connection_id", a.connections(t, "initech")[0]), "ingrid@initech.test").Query().Get("token")
	if o := a.ok(t, ssoPath, object{"sso_token": token}); o.text("organization.organization_slug") != "initech" || o.at("member_authenticated") != true {
		t.Errorf("%v", o)
	}
}
