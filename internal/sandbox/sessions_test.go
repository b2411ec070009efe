package sandbox_test

import (
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const sessionPath = "/v1/b2b/sessions/authenticate"

func TestAuthenticateSession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	acme := a.organizationID(t, "acme")
	token, jwtText, _ := a.session(t, people["hiro@acme.example"].text("member_id"))
	check := func(organization, resource, action string) object {
		return object{"session_token": token, "authorization_check": object{"organization_id": organization, "resource_id": resource, "action": action}}
	}
	tests := []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"token", object{"session_token": token}, 200, ""},
		{"JWT", object{"session_jwt": jwtText}, 200, ""},
		{"both", object{"session_token": token, "session_jwt": jwtText}, 400, "too_many_session_arguments"},
		{"none", object{}, 400, "no_session_arguments"},
		{"malformed", object{"session_token": "x y"}, 400, "invalid_session_token"},
		{"malformed JWT", object{"session_jwt": "x"}, 400, "invalid_session_token"},
		{"unknown", object{"session_token": "0123456789012345678901234567890123456789abcd"}, 404, "session_not_found"},
		{"duration", object{"session_token": token, "session_duration_minutes": 1}, 400, "invalid_session_duration_minutes"},
		{"allowed", check(acme, "stytch.member", "update.info.delete.password"), 200, ""},
		{"allowed by slug", check("acme", "stytch.member", "search"), 200, ""},
		{"self", check(acme, "stytch.self", "anything.at.all"), 200, ""},
		{"refused", check(acme, "console.audit", "read"), 403, "session_authorization_error"},
		{"no prefix matching", check(acme, "stytch.member", "update.info.delete"), 403, "session_authorization_error"},
		{"no resource wildcard", check(acme, "stytch.member", "*"), 403, "session_authorization_error"},
		{"another organization", check(a.organizationID(t, "globex"), "stytch.member", "search"), 403, "session_authorization_tenancy_error"},
		{"no such organization", check("umbrella", "stytch.member", "search"), 403, "session_authorization_tenancy_error"},
		{"half a check", check(acme, "", "search"), 400, "bad_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, "POST", sessionPath, tt.body)
			wantError(t, status, o, tt.status, tt.errorType)
			if tt.status != 200 {
				return
			}
			want := fields("request_id status_code member_session session_token session_jwt member organization verdict")
			if diff := cmp.Diff(want, keys(o)); diff != "" {
				t.Error(diff)
			}
			if _, asked := tt.body["authorization_check"]; asked != (o["verdict"] != nil) {
				t.Errorf("verdict %v", o["verdict"])
			}
		})
	}
}

// What each role may do, as the upstream decides it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	acme := a.organizationID(t, "acme")
	tests := []struct {
		email, resource, action string
		granting                []any // nil: refused
	}{
		{"ada@acme.example", "stytch.member", "search", []any{"stytch_admin"}},
		{"ada@acme.example", "stytch.member", "anything", []any{"stytch_admin"}},
		{"ada@acme.example", "console.audit", "export", []any{"stytch_admin"}},
		{"hiro@acme.example", "stytch.member", "search", []any{"helpdesk"}},
		{"hiro@acme.example", "stytch.member", "revoke-sessions", []any{"helpdesk"}},
		{"hiro@acme.example", "stytch.member", "delete", nil},
		{"audrey@acme.example", "console.audit", "read", []any{"auditor"}},
		{"audrey@acme.example", "stytch.member", "search", []any{"auditor"}},
		{"audrey@acme.example", "stytch.member", "update.info.delete.password", nil},
		{"edith@audit.acme.example", "console.audit", "read", []any{"auditor"}},
		{"shira@acme.example", "stytch.member", "revoke-sessions", []any{"shift-lead"}},
		{"shira@acme.example", "stytch.member", "update.info.delete.password", nil},
		{"max@acme.example", "stytch.member", "search", nil},
		{"max@acme.example", "stytch.self", "update.info.name", []any{"stytch_member"}},
	}
	for _, tt := range tests {
		t.Run(tt.email+" "+tt.resource+" "+tt.action, func(t *testing.T) {
			t.Parallel()
			token, _, _ := a.session(t, people[tt.email].text("member_id"))
			status, o := a.call(t, "POST", sessionPath, object{
				"session_token": token, "authorization_check": object{"organization_id": acme, "resource_id": tt.resource, "action": tt.action},
			})
			if tt.granting == nil {
				wantError(t, status, o, 403, "session_authorization_error")
				return
			}
			if diff := cmp.Diff(any(map[string]any{"authorized": true, "granting_roles": tt.granting}), o.at("verdict")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSessionLifetime(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	member := a.people(t)["ada@acme.example"].text("member_id")
	token, _, _ := a.session(t, member)
	a.clock.advance(50 * time.Minute)
	_, o := a.call(t, "POST", sessionPath, object{"session_token": token})
	if got := o.text("member_session.expires_at") + " " + o.text("member_session.last_accessed_at"); got != "2026-03-01T13:00:00Z 2026-03-01T12:50:00Z" {
		t.Errorf("validated: %s", got)
	}
	_, o = a.call(t, "POST", sessionPath, object{"session_token": token, "session_duration_minutes": 30, "session_custom_claims": object{"a": 1}})
	if got := o.text("member_session.expires_at"); got != "2026-03-01T13:20:00Z" {
		t.Errorf("extended: %s", got)
	}
	_, o = a.call(t, "POST", sessionPath, object{"session_token": token, "session_custom_claims": object{"a": nil, "b": 2}})
	if diff := cmp.Diff(any(map[string]any{"b": float64(2)}), o.at("member_session.custom_claims")); diff != "" {
		t.Error(diff)
	}
	a.clock.advance(30 * time.Minute)
	status, o := a.call(t, "POST", sessionPath, object{"session_token": token})
	wantError(t, status, o, 404, "session_not_found")
	_, o = a.call(t, "GET", "/v1/b2b/sessions?organization_id=acme&member_id="+member, nil)
	if got, there := o["member_sessions"].([]any); !there || len(got) != 0 {
		t.Errorf("sessions %v", o)
	}
}

func TestSessionJWT(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	ada := a.people(t)["ada@acme.example"]
	_, text, id := a.session(t, ada.text("member_id"))
	_, jwks := a.call(t, "GET", "/v1/b2b/sessions/jwks/"+a.info.ProjectID, nil)
	key := jwks.list("keys")[0]
	number := func(name string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(key.text(name))
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	token, err := jwt.Parse(text, func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != key.text("kid") || token.Header["typ"] != "JWT" {
			t.Errorf("header %v", token.Header)
		}
		return public, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(a.info.ProjectID), jwt.WithIssuer("stytch.com/"+a.info.ProjectID),
		jwt.WithSubject(ada.text("member_id")), jwt.WithTimeFunc(a.clock.Now), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	o := object(claims)
	session, _ := o["https://stytch.com/session"].(map[string]any)
	if session["id"] != id || session["expires_at"] != "2026-03-01T13:00:00Z" {
		t.Errorf("session %v", session)
	}
	if diff := cmp.Diff(any([]any{"stytch_member", "stytch_admin"}), session["roles"]); diff != "" {
		t.Error(diff)
	}
	organization, _ := o["https://stytch.com/organization"].(map[string]any)
	if organization["slug"] != "acme" {
		t.Errorf("organization %v", organization)
	}
	issued, _ := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime()
	if expires.Sub(issued.Time) != 5*time.Minute {
		t.Errorf("lives %s", expires.Sub(issued.Time))
	}
	a.clock.advance(20 * time.Minute)
	status, fresh := a.call(t, "POST", sessionPath, object{"session_jwt": text})
	if status != 200 || fresh.text("session_jwt") == text || fresh.text("session_jwt") == "" {
		t.Errorf("expired JWT of a live session: %d %v", status, fresh)
	}
}

func TestGetSessions(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	moreau := people["max@acme.example"].text("member_id")
	tests := []struct {
		name, query string
		status      int
		errorType   string
	}{
		{"by slug", "organization_id=acme&member_id=" + moreau, 200, ""},
		{"by external id", "organization_id=crm%7Cacme-0042&member_id=workday%7CGE-1906", 200, ""},
		{"no organization", "member_id=" + moreau, 400, "invalid_organization_id"},
		{"no member", "organization_id=acme", 400, "invalid_id"},
		{"of another organization", "organization_id=globex&member_id=" + moreau, 404, "member_not_found"},
		{"deleted", "organization_id=acme&member_id=" + people["dora@acme.example"].text("member_id"), 404, "member_not_found"},
	}
	for _, tt := range tests {
		status, o := a.call(t, "GET", "/v1/b2b/sessions?"+tt.query, nil)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	_, o := a.call(t, "GET", "/v1/b2b/sessions?organization_id=acme&member_id="+moreau, nil)
	if got := len(o.list("member_sessions")); got != 3 {
		t.Errorf("%d sessions", got)
	}
}

func TestRevokeSessions(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	id := func(email string) string { return people[email].text("member_id") }
	open := func(email string) int {
		return len(a.steer(t, "GET", "members/"+id(email), nil).list("sessions"))
	}
	revoke := func(body object, headers ...string) (int, object) {
		return a.call(t, "POST", "/v1/b2b/sessions/revoke", body, headers...)
	}
	desk, _, _ := a.session(t, id("hiro@acme.example"))
	plain, _, plainID := a.session(t, id("max@acme.example"))
	outsider, _, _ := a.session(t, id("olga@globex.example"))
	const unknown = "session-test-00000000-0000-4000-8000-000000000000"
	refused := []struct {
		name      string
		body      object
		headers   []string
		status    int
		errorType string
	}{
		{"nothing named", object{}, nil, 400, "no_session_revoke_arguments"},
		{"two things named", object{"member_id": "x", "session_token": "y"}, nil, 400, "too_many_session_revoke_arguments"},
		{"unknown session", object{"member_session_id": unknown}, nil, 404, "session_not_found"},
		{"malformed session", object{"member_session_id": "x"}, nil, 400, "invalid_session_id"},
		{"unknown token", object{"session_token": "0123456789012345678901234567890123456789abcd"}, nil, 404, "session_not_found"},
		{"unknown member", object{"member_id": "member-test-x"}, nil, 404, "member_not_found"},
		{"plain member, other's", object{"member_id": id("paula@acme.example")}, []string{acting, plain}, 403, "session_authorization_error"},
		{"plain member, unknown session", object{"member_session_id": unknown}, []string{acting, plain}, 403, "session_authorization_error"},
		{"outsider", object{"member_id": id("paula@acme.example")}, []string{acting, outsider}, 403, "session_authorization_tenancy_error"},
		{"outsider, by session", object{"member_session_id": plainID}, []string{acting, outsider}, 403, "session_authorization_tenancy_error"},
	}
	for _, tt := range refused {
		status, o := revoke(tt.body, tt.headers...)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
	if got := open("max@acme.example"); got != 4 {
		t.Fatalf("%d sessions open", got)
	}
	status, o := revoke(object{"session_token": plain})
	if diff := cmp.Diff(fields("request_id status_code"), keys(o)); status != 200 || diff != "" {
		t.Errorf("%d %s", status, diff)
	}
	if got := open("max@acme.example"); got != 3 {
		t.Errorf("%d sessions open after the own token", got)
	}
	own, ownJWT, _ := a.session(t, id("max@acme.example"))
	if status, o := revoke(object{"session_jwt": ownJWT}, acting, own); status != 200 {
		t.Errorf("own, as oneself: %d %v", status, o)
	}
	if status, o := revoke(object{"member_id": id("max@acme.example")}, acting, desk); status != 200 {
		t.Errorf("helpdesk: %d %v", status, o)
	}
	if got := open("max@acme.example"); got != 0 {
		t.Errorf("%d sessions open in the end", got)
	}
	if status, o := revoke(object{"member_id": "workday|GE-1906"}, acting, desk); status != 200 || open("grace@acme.example") != 0 {
		t.Errorf("by external id: %d %v", status, o)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	ids := func(list []object, key string) []string {
		var out []string
		for _, o := range list {
			out = append(out, o.text(key))
		}
		return out
	}
	_, o := a.call(t, "GET", "/v1/b2b/rbac/policy", nil)
	if diff := cmp.Diff([]string{"stytch_member", "stytch_admin", "helpdesk", "auditor"}, ids(o.list("policy.roles"), "role_id")); diff != "" {
		t.Error(diff)
	}
	resources := []string{"stytch.organization", "stytch.member", "stytch.self", "stytch.sso", "stytch.scim", "stytch.custom-org-roles", "console.audit"}
	if diff := cmp.Diff(resources, ids(o.list("policy.resources"), "resource_id")); diff != "" {
		t.Error(diff)
	}
	a.steer(t, "PUT", "switches", object{"console_resources_off": true})
	_, o = a.call(t, "GET", "/v1/b2b/rbac/policy", nil)
	if diff := cmp.Diff(resources[:6], ids(o.list("policy.resources"), "resource_id")); diff != "" {
		t.Error(diff)
	}
	for slug, want := range map[string][]string{"acme": {"shift-lead"}, "globex": nil} {
		_, o = a.call(t, "GET", "/v1/b2b/rbac/organizations/"+slug, nil)
		if diff := cmp.Diff(want, ids(o.list("org_policy.roles"), "role_id")); diff != "" || o.at("org_policy.roles") == nil {
			t.Errorf("%s: %s", slug, diff)
		}
	}
	a.steer(t, "POST", "faults", object{"endpoint": "rbac.organizations.get_org_policy", "kind": "refuse", "error_type": "enterprise_endpoint", "status": 401})
	status, o := a.call(t, "GET", "/v1/b2b/rbac/organizations/acme", nil)
	wantError(t, status, o, 401, "enterprise_endpoint")
}
