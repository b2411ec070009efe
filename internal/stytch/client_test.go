package stytch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

const (
	projectID = "project-test-00000000-0000-4000-8000-000000000001"
	secret    = "secret-test-never-to-be-seen"
	token     = "session-token-never-to-be-seen"
	jwt       = "header.session-jwt-never-to-be-seen.signature"
	prefix    = "/proxy/stytch"

	memberJSON       = `{"member_id":"member-test-1","organization_id":"organization-test-1","email_address":"ada@example.com"}`
	organizationJSON = `{"organization_id":"organization-test-1","organization_slug":"acme"}`
	sessionJSON      = `{"member_session_id":"session-test-1","member_id":"member-test-1","organization_id":"organization-test-1","roles":["helpdesk"],"expires_at":"2026-03-01T10:00:00Z"}`
)

// setup returns a client whose base URL has a path prefix, so that an absolute path would be noticed.
func setup(t *testing.T, h http.HandlerFunc, opts ...stytch.Option) *stytch.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, server.URL+prefix, opts...)
}

func newClient(t *testing.T, base string, opts ...stytch.Option) *stytch.Client {
	t.Helper()
	client, err := stytch.New(projectID, secret, append([]stytch.Option{stytch.WithBaseURL(base)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func acting(t *testing.T) stytch.ActingSession {
	t.Helper()
	a, err := stytch.ActingToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func actingJWT(t *testing.T) stytch.ActingSession {
	t.Helper()
	a, err := stytch.ActingJWT(jwt)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ok(fields string) string {
	if fields != "" {
		fields += ","
	}
	return `{` + fields + `"request_id":"request-id-test-1","status_code":200}`
}

type seen struct {
	Method, Path, Query, Body string
	Token, JWT                []string
}

// call is one use of every method; want is what must be seen upstream.
type call struct {
	name   string
	do     func(t *testing.T, c *stytch.Client) (any, error)
	answer string
	want   seen
	write  bool
}

func calls() []call {
	member := `"member_id":"member-test-1","member":` + memberJSON + `,"organization":` + organizationJSON
	auth := member + `,"organization_id":"organization-test-1","member_authenticated":true,"session_token":"t","session_jwt":"j","member_session":` + sessionJSON
	sess := `"member_session":` + sessionJSON + `,"member":` + memberJSON + `,"organization":` + organizationJSON
	asToken, asJWT := []string{token}, []string{jwt}
	return append(signInCalls(), []call{
		{
			name:   "WhoAmI",
			do:     func(t *testing.T, c *stytch.Client) (any, error) { return c.WhoAmI(t.Context()) },
			answer: ok(`"project_id":"p","name":"n"`),
			want:   seen{Method: "GET", Path: "/v1/debug/whoami"},
		},
		{
			name:   "GetOrganization",
			do:     func(t *testing.T, c *stytch.Client) (any, error) { return c.GetOrganization(t.Context(), "acme") },
			answer: ok(`"organization":` + organizationJSON),
			want:   seen{Method: "GET", Path: "/v1/b2b/organizations/acme"},
		},
		{
			name: "GetMember",
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.GetMember(t.Context(), "organization-test-1", "a|b&c")
			},
			answer: ok(member),
			want:   seen{Method: "GET", Path: "/v1/b2b/organizations/organization-test-1/member", Query: "member_id=a%7Cb%26c"},
		},
		{
			name: "SearchMembers",
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SearchMembers(t.Context(), acting(t), stytch.MemberSearchRequest{
					OrganizationIDs: []string{"organization-test-1"}, Cursor: "next", Limit: 50,
					Filters: []stytch.Filter{stytch.EmailFuzzy("ada"), stytch.PasswordExists(false), stytch.Statuses("active", "deleted")},
				})
			},
			answer: ok(`"members":[` + memberJSON + `],"results_metadata":{"total":1,"next_cursor":null},"organizations":{}`),
			want: seen{
				Method: "POST", Path: "/v1/b2b/organizations/members/search", Token: asToken,
				Body: `{"organization_ids":["organization-test-1"],"cursor":"next","limit":50,"query":{"operator":"AND","operands":[` +
					`{"filter_name":"member_email_fuzzy","filter_value":"ada"},{"filter_name":"member_password_exists","filter_value":false},` +
					`{"filter_name":"statuses","filter_value":["active","deleted"]}]}}`,
			},
		},
		{
			name: "SearchMembers without filters by JWT",
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SearchMembers(t.Context(), actingJWT(t), stytch.MemberSearchRequest{OrganizationIDs: []string{"organization-test-1"}})
			},
			answer: ok(`"members":null`),
			want: seen{
				Method: "POST", Path: "/v1/b2b/organizations/members/search", JWT: asJWT,
				Body: `{"organization_ids":["organization-test-1"]}`,
			},
		},
		{
			name: "DeleteMemberPassword", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.DeleteMemberPassword(t.Context(), acting(t), "organization-test-1", "member-password-test-1")
			},
			answer: ok(member),
			want: seen{
				Method: "DELETE", Token: asToken,
				Path: "/v1/b2b/organizations/organization-test-1/members/passwords/member-password-test-1",
			},
		},
		{
			name: "DeleteMemberPassword by JWT", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.DeleteMemberPassword(t.Context(), actingJWT(t), "organization-test-1", "member-password-test-1")
			},
			answer: ok(member),
			want: seen{
				Method: "DELETE", JWT: asJWT,
				Path: "/v1/b2b/organizations/organization-test-1/members/passwords/member-password-test-1",
			},
		},
		{
			name: "AuthenticatePassword", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticatePassword(t.Context(), stytch.PasswordAuthenticateRequest{
					OrganizationID: "acme", EmailAddress: "ada@example.com", Password: `p"ß`, SessionDurationMinutes: 480,
				})
			},
			answer: ok(auth),
			want: seen{
				Method: "POST", Path: "/v1/b2b/passwords/authenticate",
				Body: `{"organization_id":"acme","email_address":"ada@example.com","password":"p\"ß","session_duration_minutes":480}`,
			},
		},
		{
			name: "StartPasswordReset", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.StartPasswordReset(t.Context(), stytch.ResetStartRequest{OrganizationID: "acme", EmailAddress: "ada@example.com"})
			},
			answer: ok(`"member_id":"member-test-1","member_email_id":"email-test-1","member":` + memberJSON),
			want: seen{
				Method: "POST", Path: "/v1/b2b/passwords/email/reset/start",
				Body: `{"organization_id":"acme","email_address":"ada@example.com"}`,
			},
		},
		{
			name: "RequirePasswordReset", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.RequirePasswordReset(t.Context(), acting(t), stytch.RequireResetRequest{
					EmailAddress: "ada@example.com", OrganizationID: "organization-test-1", MemberID: "member-test-1",
				})
			},
			answer: ok(`"member_id":null,"member":null,"organization":null`),
			want: seen{
				Method: "POST", Path: "/v1/b2b/passwords/email/require_reset", Token: asToken,
				Body: `{"email_address":"ada@example.com","organization_id":"organization-test-1","member_id":"member-test-1"}`,
			},
		},
		{
			name: "AuthenticateSession", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateSession(t.Context(), acting(t), nil)
			},
			answer: ok(sess),
			want:   seen{Method: "POST", Path: "/v1/b2b/sessions/authenticate", Body: `{"session_token":"` + token + `"}`},
		},
		{
			name: "AuthenticateSession by JWT with a check", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateSession(t.Context(), actingJWT(t), &stytch.AuthorizationCheck{
					OrganizationID: "organization-test-1", ResourceID: "console.audit", Action: "read",
				})
			},
			answer: ok(sess + `,"verdict":{"authorized":true,"granting_roles":["auditor"]}`),
			want: seen{
				Method: "POST", Path: "/v1/b2b/sessions/authenticate",
				Body: `{"session_jwt":"` + jwt + `","authorization_check":{"organization_id":"organization-test-1","resource_id":"console.audit","action":"read"}}`,
			},
		},
		{
			name: "GetSessions",
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.GetSessions(t.Context(), "organization-test-1", "member-test-1")
			},
			answer: ok(`"member_sessions":[` + sessionJSON + `]`),
			want:   seen{Method: "GET", Path: "/v1/b2b/sessions", Query: "member_id=member-test-1&organization_id=organization-test-1"},
		},
		{
			name: "RevokeMemberSessions", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.RevokeMemberSessions(t.Context(), acting(t), "member-test-1")
			},
			answer: ok(""),
			want:   seen{Method: "POST", Path: "/v1/b2b/sessions/revoke", Body: `{"member_id":"member-test-1"}`, Token: asToken},
		},
		{
			name: "RevokeSession", write: true,
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.RevokeSession(t.Context(), acting(t))
			},
			answer: ok(""),
			want:   seen{Method: "POST", Path: "/v1/b2b/sessions/revoke", Body: `{"session_token":"` + token + `"}`},
		},
		{
			name:   "GetRBACPolicy",
			do:     func(t *testing.T, c *stytch.Client) (any, error) { return c.GetRBACPolicy(t.Context()) },
			answer: ok(`"policy":{"roles":[],"resources":[],"scopes":["full_access"]}`),
			want:   seen{Method: "GET", Path: "/v1/b2b/rbac/policy"},
		},
		{
			name: "GetOrganizationRBACPolicy",
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.GetOrganizationRBACPolicy(t.Context(), "organization-test-1")
			},
			answer: ok(`"org_policy":{"roles":[{"role_id":"r","description":"","permissions":[{"resource_id":"x","actions":["*"]}]}]}`),
			want:   seen{Method: "GET", Path: "/v1/b2b/rbac/organizations/organization-test-1"},
		},
	}...)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range calls() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			count := 0
			var got seen
			client := setup(t, func(w http.ResponseWriter, r *http.Request) {
				count++
				body, _ := io.ReadAll(r.Body)
				got = seen{
					Method: r.Method, Path: strings.TrimPrefix(r.URL.EscapedPath(), prefix), Query: r.URL.RawQuery, Body: string(body),
					Token: r.Header.Values("X-Stytch-Member-Session"), JWT: r.Header.Values("X-Stytch-Member-SessionJWT"),
				}
				if user, pass, ok := r.BasicAuth(); !ok || user != projectID || pass != secret {
					t.Errorf("basic auth = %q %q %v", user, pass, ok)
				}
				if ct := r.Header.Get("Content-Type"); ct != "application/json" {
					t.Errorf("Content-Type = %q", ct)
				}
				if ua := r.Header.Get("User-Agent"); ua != "test-agent/1" {
					t.Errorf("User-Agent = %q", ua)
				}
				_, _ = io.WriteString(w, tt.answer)
			}, stytch.WithUserAgent("test-agent/1"))
			out, err := tt.do(t, client)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if count != 1 {
				t.Errorf("%d requests, want 1", count)
			}
			if r := responseOf(t, out); r.StatusCode != http.StatusOK || r.RequestID != "request-id-test-1" {
				t.Errorf("response = %+v", r)
			}
		})
	}
}

func responseOf(t *testing.T, out any) stytch.Response {
	t.Helper()
	switch o := out.(type) {
	case *stytch.WhoAmIResponse:
		return o.Response
	case *stytch.OrganizationResponse:
		return o.Response
	case *stytch.MemberResponse:
		return o.Response
	case *stytch.MemberSearchResponse:
		return o.Response
	case *stytch.AuthenticateResponse:
		return o.Response
	case *stytch.RecoverResponse:
		return o.Response
	case *stytch.EmailSentResponse:
		return o.Response
	case *stytch.DiscoveryResponse:
		return o.Response
	case *stytch.TOTPResponse:
		return o.Response
	case *stytch.PasswordStrength:
		return o.Response
	case *stytch.ResetStartResponse:
		return o.Response
	case *stytch.RequireResetResponse:
		return o.Response
	case *stytch.SessionAuthenticateResponse:
		return o.Response
	case *stytch.SessionsResponse:
		return o.Response
	case *stytch.PolicyResponse:
		return o.Response
	case *stytch.OrgPolicyResponse:
		return o.Response
	case *stytch.Response:
		return *o
	}
	t.Fatalf("unexpected %T", out)
	return stytch.Response{}
}

// Every method fails in the same typed way, whatever came back.
func TestFailures(t *testing.T) {
	t.Parallel()
	apiErr := func(status int, typ stytch.ErrorType) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			t.Helper()
			var e *stytch.Error
			if !errors.As(err, &e) || e.Status != status || e.Type != typ || e.Endpoint == "" {
				t.Errorf("error = %#v, want status %d type %q", err, status, typ)
			}
		}
	}
	answerErr := func(status int, id string) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			t.Helper()
			var e *stytch.AnswerError
			if !errors.As(err, &e) || e.Status != status || e.RequestID != id || e.Endpoint == "" || e.Problem == "" {
				t.Errorf("error = %#v, want status %d request id %q", err, status, id)
			}
		}
	}
	cases := []struct {
		name   string
		status int
		header string
		body   string
		check  func(*testing.T, error)
	}{
		{"denied", 403, "", `{"status_code":403,"request_id":"r","error_type":"session_authorization_error"}`, apiErr(403, stytch.ErrorTypeSessionAuthorizationError)},
		{"html 502", 502, "", `<html>bad gateway</html>`, apiErr(502, "")},
		{"empty 500", 500, "", ``, apiErr(500, "")},
		{"redirect", 302, "https://elsewhere.invalid/", `{"request_id":"r"}`, answerErr(302, "r")},
		{"redirect to garbage", 307, "http://%zz", ``, answerErr(307, "")},
		{"not modified", 304, "", ``, answerErr(304, "")},
		{"empty 200", 200, "", ``, answerErr(200, "")},
		{"no content", 204, "", ``, answerErr(204, "")},
		{"html 200", 200, "", `<html></html>`, answerErr(200, "")},
		{"null", 200, "", `null`, answerErr(200, "")},
		{"array", 200, "", `[{"request_id":"r"}]`, answerErr(200, "")},
		{"not the API's", 200, "", `{"ok":true}`, answerErr(200, "")},
		{"junk after", 200, "", ok("") + `{}`, answerErr(200, "request-id-test-1")},
		{"broken off", 200, "", `{"request_id":"r","member":{"member_id`, answerErr(200, "r")},
		{"error in the body", 200, "", `{"status_code":"403","request_id":"r"}`, answerErr(200, "r")},
		{"error type in the body", 200, "", `{"status_code":200,"request_id":"r","error_type":"bad_request"}`, answerErr(200, "r")},
		{"giant", 200, "", `{"request_id":"r","x":"` + strings.Repeat("x", stytch.MaxBody) + `"}`, answerErr(200, "r")},
	}
	for _, tt := range calls() {
		for _, cc := range cases {
			t.Run(tt.name+"/"+cc.name, func(t *testing.T) {
				t.Parallel()
				client := newClient(t, "https://api.example", stytch.WithTransport(transportFunc(func(*http.Request) (*http.Response, error) {
					resp := &http.Response{StatusCode: cc.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(cc.body))}
					if cc.header != "" {
						resp.Header.Set("Location", cc.header)
					}
					return resp, nil
				})))
				_, err := tt.do(t, client)
				if err == nil {
					t.Fatal("no error")
				}
				cc.check(t, err)
			})
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answers that are JSON and 200 but not the answer to the question.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	member := `"member_id":"member-test-1","member":` + memberJSON
	other := `{"member_id":"member-test-2","organization_id":"organization-test-1"}`
	auth := member + `,"organization":` + organizationJSON + `,"member_authenticated":true`
	tests := []struct{ call, name, fields string }{
		{"WhoAmI", "no project", ``},
		{"GetOrganization", "none", ``},
		{"GetOrganization", "null", `"organization":null`},
		{"GetOrganization", "id of wrong type", `"organization":{"organization_id":7}`},
		{"GetMember", "none", ``},
		{"DeleteMemberPassword", "none", ``},
		{"DeleteMemberPassword", "no member_id", `"member":` + memberJSON},
		{"DeleteMemberPassword", "no member", `"member_id":"member-test-1"`},
		{"DeleteMemberPassword", "null member", `"member_id":"member-test-1","member":null`},
		{"DeleteMemberPassword", "member a string", `"member_id":"member-test-1","member":"x"`},
		{"DeleteMemberPassword", "member_id a number", `"member_id":1,"member":` + memberJSON},
		{"DeleteMemberPassword", "two members", `"member_id":"member-test-1","member":` + other},
		{"DeleteMemberPassword", "another organization", member + `,"organization":{"organization_id":"organization-test-2"}`},
		{"SearchMembers", "none", ``},
		{"SearchMembers", "members a string", `"members":"x"`},
		{"SearchMembers", "a member without id", `"members":[{}]`},
		{"SearchMembers", "a null member", `"members":[null]`},
		{"SearchMembers", "another organization", `"members":[{"member_id":"m","organization_id":"organization-test-2"}]`},
		{"AuthenticatePassword", "none", ``},
		{"AuthenticatePassword", "no session", auth},
		{"AuthenticatePassword", "no token", auth + `,"member_session":` + sessionJSON},
		{"AuthenticatePassword", "no organization", member},
		{"AuthenticatePassword", "session of another", auth + `,"session_token":"t","member_session":{"member_session_id":"s","member_id":"member-test-2","organization_id":"organization-test-1"}`},
		{"AuthenticateSession", "none", ``},
		{"AuthenticateSession", "another member", `"member_session":` + sessionJSON + `,"member":` + other + `,"organization":` + organizationJSON},
		{"AuthenticateSession", "another organization", `"member_session":` + sessionJSON + `,"member":` + memberJSON + `,"organization":{"organization_id":"organization-test-2"}`},
		{"StartPasswordReset", "none", ``},
		{"StartPasswordReset", "two members", `"member_id":"member-test-1","member":` + other},
		{"RequirePasswordReset", "two members", `"member_id":"member-test-1","member":` + other},
		{"GetSessions", "none", ``},
		{"GetSessions", "a session without id", `"member_sessions":[{}]`},
		{"GetRBACPolicy", "a string", `"policy":"x"`},
		{"GetRBACPolicy", "resource of wrong type", `"policy":{"resources":[{"resource_id":5}]}`},
		{"GetOrganizationRBACPolicy", "roles of wrong type", `"org_policy":{"roles":{}}`},
		{"SendMagicLink", "two members", `"member_id":"member-test-1","member":` + other},
		{"SendEmailOTP", "another organization", member + `,"organization":{"organization_id":"organization-test-2"}`},
		{"SendSMSOTP", "none", ``},
		{"SendSMSOTP", "two members", `"member_id":"member-test-1","member":` + other},
		{"CreateTOTP", "none", ``},
		{"CreateTOTP", "nobody", `"totp_registration_id":"r","secret":"s"`},
		{"CreateTOTP", "no registration", memberFields + `,"secret":"s"`},
		{"CreateTOTP", "no secret", memberFields + `,"totp_registration_id":"r","secret":null`},
		{"CreateTOTP", "two members", `"totp_registration_id":"r","secret":"s","member_id":"member-test-1","member":` + other},
		{"CreateTOTP", "half the recovery codes", memberFields + `,"totp_registration_id":"r","secret":"s","recovery_codes":["a",7]`},
		{"CheckPasswordStrength", "none", `"score":4`},
		{"CheckPasswordStrength", "null", `"valid_password":null`},
		{"CheckPasswordStrength", "a string", `"valid_password":"true"`},
		{"DiscoverOrganizations", "none", ``},
		{"DiscoverOrganizations", "a string", `"discovered_organizations":"x"`},
		{"DiscoverOrganizations", "a null", `"discovered_organizations":[null]`},
		{"DiscoverOrganizations", "no organization", `"discovered_organizations":[{"membership":{"type":"active_member"}}]`},
		{"DiscoverOrganizations", "a member without id", `"discovered_organizations":[{"organization":` + organizationJSON + `,"membership":{"member":{}}}]`},
		{"DiscoverOrganizations", "a member without member_id", `"discovered_organizations":[{"organization":` + organizationJSON + `,"membership":{"member":{"organization_id":"organization-test-1"}}}]`},
		{"DiscoverOrganizationsAs", "a member of another", `"discovered_organizations":[{"organization":{"organization_id":"organization-test-2"},"membership":{"member":` + memberJSON + `}}]`},
	}
	for _, name := range []string{
		"AuthenticateMagicLink", "AuthenticateSSO", "AuthenticateOAuth", "AuthenticateImpersonation", "AuthenticateEmailOTP",
		"ExchangeIntermediateSession", "ExchangeSession", "AuthenticateSMSOTP", "AuthenticateTOTP", "Recover",
		"ResetPasswordByEmail", "ResetPasswordBySession", "ResetPasswordByExisting",
	} {
		session := func(fields string) string {
			return auth + `,"session_token":"t","member_session":{"member_session_id":"s"` + fields + `}`
		}
		tests = append(tests, []struct{ call, name, fields string }{
			{name, "none", ``},
			{name, "no member", `"organization":` + organizationJSON},
			{name, "no session", auth},
			{name, "null session", auth + `,"session_token":"t","member_session":null`},
			{name, "a session of nobody", session("")},
			{name, "a session of another", session(`,"member_id":"member-test-2","organization_id":"organization-test-1"`)},
			{name, "a session elsewhere", session(`,"member_id":"member-test-1","organization_id":"organization-test-2"`)},
			{name, "two members", strings.Replace(signedIn, `"member_id"`, `"member_id":"member-test-2","x"`, 1)},
			{name, "two organizations", strings.Replace(signedIn, `"organization":{"organization_id":"organization-test-1"`, `"organization":{"organization_id":"organization-test-2"`, 1)},
			{name, "a third organization", sessionFields + `,"member_authenticated":true,"organization_id":"organization-test-2"`},
		}...)
	}
	for _, name := range []string{"AuthenticateMagicLink", "AuthenticateImpersonation", "ExchangeIntermediateSession", "ExchangeSession", "ResetPasswordBySession"} {
		tests = append(tests, struct{ call, name, fields string }{
			name, "two members without a session", `"member_id":"member-test-1","member":` + other + `,"organization":` + organizationJSON + `,"intermediate_session_token":"ist"`,
		})
		// Not authenticated, and yet a session.
		for _, half := range []string{`"session_token":"t"`, `"session_jwt":"j"`, `"member_session":` + sessionJSON} {
			tests = append(tests, struct{ call, name, fields string }{name, "half " + half, memberFields + `,"intermediate_session_token":"ist",` + half})
		}
	}
	for _, name := range []string{
		"AuthenticateDiscoveryMagicLink", "AuthenticateDiscoveryOAuth", "AuthenticateDiscoveryEmailOTP", "AuthenticateDiscoveryPassword", "DiscoveryResetPassword",
	} {
		tests = append(tests, []struct{ call, name, fields string }{
			{name, "none", ``},
			{name, "no proof", discovered},
			{name, "null proof", discovered + `,"intermediate_session_token":null`},
			{name, "no list", `"intermediate_session_token":"ist"`},
		}...)
	}
	byName := map[string]call{}
	for _, c := range calls() {
		byName[c.name] = c
	}
	for _, tt := range tests {
		t.Run(tt.call+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			client := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, ok(tt.fields)) })
			_, err := byName[tt.call].do(t, client)
			var e *stytch.AnswerError
			if !errors.As(err, &e) || e.Status != 200 || e.RequestID != "request-id-test-1" {
				t.Errorf("error = %v, want an AnswerError with the request id", err)
			}
		})
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	client := newClient(t, "https://api.example", stytch.WithTransport(transportFunc(func(r *http.Request) (*http.Response, error) {
		t.Errorf("sent %s %s", r.Method, r.URL)
		return nil, errors.New("sent")
	})))
	ctx := t.Context()
	var zero stytch.ActingSession
	a := acting(t)
	orgs := []string{"organization-test-1"}
	tests := []struct {
		name string
		do   func() error
		want error
	}{
		{"delete", func() error { _, err := client.DeleteMemberPassword(ctx, zero, "o", "p"); return err }, stytch.ErrNoActingSession},
		{"search", func() error {
			_, err := client.SearchMembers(ctx, zero, stytch.MemberSearchRequest{OrganizationIDs: orgs})
			return err
		}, stytch.ErrNoActingSession},
		{"require reset", func() error {
			_, err := client.RequirePasswordReset(ctx, zero, stytch.RequireResetRequest{EmailAddress: "a@b"})
			return err
		}, stytch.ErrNoActingSession},
		{"revoke member", func() error { _, err := client.RevokeMemberSessions(ctx, zero, "m"); return err }, stytch.ErrNoActingSession},
		{"revoke own", func() error { _, err := client.RevokeSession(ctx, zero); return err }, stytch.ErrNoActingSession},
		{"authenticate", func() error { _, err := client.AuthenticateSession(ctx, zero, nil); return err }, stytch.ErrNoActingSession},
		{"empty check", func() error {
			_, err := client.AuthenticateSession(ctx, a, &stytch.AuthorizationCheck{})
			return err
		}, stytch.ErrBadArgument},
		{"search nowhere", func() error { _, err := client.SearchMembers(ctx, a, stytch.MemberSearchRequest{}); return err }, stytch.ErrBadArgument},
		{"search too much", func() error {
			_, err := client.SearchMembers(ctx, a, stytch.MemberSearchRequest{OrganizationIDs: orgs, Limit: 1001})
			return err
		}, stytch.ErrBadArgument},
		{"search too fuzzy", func() error {
			_, err := client.SearchMembers(ctx, a, stytch.MemberSearchRequest{OrganizationIDs: orgs, Filters: []stytch.Filter{stytch.EmailFuzzy("éé")}})
			return err
		}, stytch.ErrBadArgument},
		{"search for no role", func() error {
			_, err := client.SearchMembers(ctx, a, stytch.MemberSearchRequest{OrganizationIDs: orgs, Filters: []stytch.Filter{stytch.MemberRoles()}})
			return err
		}, stytch.ErrBadArgument},
		{"session too short", func() error {
			_, err := client.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{OrganizationID: "o", SessionDurationMinutes: 4})
			return err
		}, stytch.ErrBadArgument},
		{"mail to nobody", func() error {
			_, err := client.StartPasswordReset(ctx, stytch.ResetStartRequest{OrganizationID: "o"})
			return err
		}, stytch.ErrBadArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.do(); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

// Ids reach the API as one path element each, or not at all.
func TestHostileIDs(t *testing.T) {
	t.Parallel()
	refused := []string{"", ".", "..", "a/b", "../x", `a\b`, "a b", "a\x00", "a\n", "\x7f", "\xff", strings.Repeat("a", 513)}
	escaped := map[string]string{
		"a|b": "a%7Cb", "%2e%2e": "%252e%252e", "a%2Fb": "a%252Fb", "?x=1": "%3Fx=1", "#f": "%23f", "ü": "%C3%BC", "a;b": "a%3Bb",
		"...": "...", "..;": "..%3B", "{x}": "%7Bx%7D", `"<`: "%22%3C",
	}
	a := acting(t)
	elements := map[string]struct {
		call         func(c *stytch.Client, id string) error
		before, rest string
	}{
		"GetOrganization": {func(c *stytch.Client, id string) error {
			_, err := c.GetOrganization(t.Context(), id)
			return err
		}, "/v1/b2b/organizations/", ""},
		"GetMember": {func(c *stytch.Client, id string) error {
			_, err := c.GetMember(t.Context(), id, "m")
			return err
		}, "/v1/b2b/organizations/", "/member?member_id=m"},
		"DeleteMemberPassword organization": {func(c *stytch.Client, id string) error {
			_, err := c.DeleteMemberPassword(t.Context(), a, id, "p")
			return err
		}, "/v1/b2b/organizations/", "/members/passwords/p"},
		"DeleteMemberPassword password": {func(c *stytch.Client, id string) error {
			_, err := c.DeleteMemberPassword(t.Context(), a, "o", id)
			return err
		}, "/v1/b2b/organizations/o/members/passwords/", ""},
		"GetOrganizationRBACPolicy": {func(c *stytch.Client, id string) error {
			_, err := c.GetOrganizationRBACPolicy(t.Context(), id)
			return err
		}, "/v1/b2b/rbac/organizations/", ""},
	}
	for name, el := range elements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := ""
			client := setup(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.RequestURI })
			for _, id := range refused {
				if err := el.call(client, id); !errors.Is(err, stytch.ErrBadArgument) || sent != "" {
					t.Errorf("id %q: error %v, sent %q; want it refused", id, err, sent)
				}
			}
			for id, enc := range escaped {
				_ = el.call(client, id)
				if want := prefix + el.before + enc + el.rest; sent != want {
					t.Errorf("id %q: sent %q, want %q", id, sent, want)
				}
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, project, secret, base string
		want                        string // the address in use; empty means refused
	}{
		{"test project", projectID, secret, "", "https://test.stytch.com"},
		{"live project", "project-live-1", secret, "", "https://api.stytch.com"},
		{"prefix kept", projectID, secret, "https://gw.example/a/b/", "https://gw.example/a/b"},
		{"loopback", projectID, secret, "http://127.8.9.10:81", "http://127.8.9.10:81"},
		{"loopback v6", projectID, secret, "http://[::1]:81", "http://[::1]:81"},
		{"localhost", projectID, secret, "http://LOCALHOST", "http://LOCALHOST"},
		{"no project", "", secret, "", ""},
		{"no secret", projectID, "", "", ""},
		{"secret with newline", projectID, "a\nb", "", ""},
		{"project with colon", "a:b", secret, "", ""},
		{"plain http", projectID, secret, "http://api.example", ""},
		{"loopback lookalike", projectID, secret, "http://127.0.0.1.example", ""},
		{"localhost lookalike", projectID, secret, "http://localhost.example", ""},
		{"user", projectID, secret, "https://user:" + secret + "@api.example", ""},
		{"query", projectID, secret, "https://api.example?x=1", ""},
		{"empty query", projectID, secret, "https://api.example?", ""},
		{"fragment", projectID, secret, "https://api.example#x", ""},
		{"empty fragment", projectID, secret, "https://api.example#", ""},
		{"relative", projectID, secret, "api.example", ""},
		{"no host", projectID, secret, "https://", ""},
		{"other scheme", projectID, secret, "ftp://127.0.0.1", ""},
		{"broken", projectID, secret, "https://" + secret + "\x7f", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var used string
			opts := []stytch.Option{stytch.WithTransport(transportFunc(func(r *http.Request) (*http.Response, error) {
				used = r.URL.String()
				return nil, io.EOF
			}))}
			if tt.base != "" {
				opts = append(opts, stytch.WithBaseURL(tt.base))
			}
			client, err := stytch.New(tt.project, tt.secret, opts...)
			if tt.want == "" {
				if err == nil {
					t.Fatal("not refused")
				}
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error repeats the secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, _ = client.WhoAmI(t.Context())
			if want := tt.want + "/v1/debug/whoami"; used != want {
				t.Errorf("called %s, want %s", used, want)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
				if text := fmt.Sprintf(verb, client); strings.Contains(text, secret) {
					t.Errorf("%s prints the secret: %s", verb, text)
				}
			}
		})
	}
}

func TestErrorFields(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	const endpoint = "GET /v1/debug/whoami"
	tests := []struct {
		name, retryAfter, body string
		status                 int
		want                   stytch.Error
	}{
		{
			"all fields", "", `{"status_code":403,"request_id":"r1","error_type":"unauthorized_action","error_message":"no","error_url":"https://x","error_details":{"a":[1]}}`, 403,
			stytch.Error{Status: 403, Type: stytch.ErrorTypeUnauthorizedAction, Message: "no", URL: "https://x", RequestID: "r1", Details: json.RawMessage(`{"a":[1]}`)},
		},
		{"status as string", "", `{"status_code":"404","error_type":"member_not_found"}`, 404, stytch.Error{Status: 404, Type: stytch.ErrorTypeMemberNotFound}},
		{"HTTP status wins", "", `{"status_code":200,"error_type":"x"}`, 500, stytch.Error{Status: 500, Type: "x"}},
		{"wrong types", "", `{"request_id":5,"error_type":{},"error_message":"m","error_details":null}`, 400, stytch.Error{Status: 400, Message: "m"}},
		{"not a code", "", `{"error_type":"<b>Not a code</b>"}`, 400, stytch.Error{Status: 400}},
		{"html", "", `<html>502</html>`, 502, stytch.Error{Status: 502}},
		{"cut", "", `{"request_id":"r2","error_type":"x`, 500, stytch.Error{Status: 500, RequestID: "r2"}},
		{"seconds", "17", `{"error_type":"too_many_requests"}`, 429, stytch.Error{Status: 429, Type: stytch.ErrorTypeTooManyRequests, RetryAfter: 17 * time.Second, HasRetryAfter: true}},
		{"date", "Sun, 01 Mar 2026 10:01:30 GMT", ``, 429, stytch.Error{Status: 429, RetryAfter: 90 * time.Second, HasRetryAfter: true}},
		{"date passed", "Sun, 01 Mar 2026 09:00:00 GMT", ``, 429, stytch.Error{Status: 429, HasRetryAfter: true}},
		{"forever", "18446744073709551615", ``, 503, stytch.Error{Status: 503, RetryAfter: 24 * time.Hour, HasRetryAfter: true}},
		{"nonsense", "soon", ``, 429, stytch.Error{Status: 429}},
		{"negative", "-5", ``, 429, stytch.Error{Status: 429}},
		{"secret echoed", "", `{"error_message":"bad ` + secret + `","error_details":{"s":"` + secret + `"}}`, 401, stytch.Error{Status: 401, Message: "bad [redacted]", Details: json.RawMessage(`{"s":"[redacted]"}`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}, stytch.WithClock(func() time.Time { return now }))
			_, err := client.WhoAmI(t.Context())
			var got *stytch.Error
			if !errors.As(err, &got) {
				t.Fatalf("error = %v", err)
			}
			tt.want.Endpoint = endpoint
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEchoedCredentials(t *testing.T) {
	t.Parallel()
	const password = `hunter2"hunter2`
	for _, status := range []int{400, 200} {
		client := setup(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			echo, _ := json.Marshal(string(body) + r.Header.Get("Authorization") + r.Header.Get("X-Stytch-Member-Session"))
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"request_id":%s,"error_message":%s,"error_details":{"x":%s},"error_type":%s}`, echo, echo, echo, echo)
		})
		_, err1 := client.AuthenticatePassword(t.Context(), stytch.PasswordAuthenticateRequest{OrganizationID: "o", EmailAddress: "a@b", Password: password})
		_, err2 := client.RevokeMemberSessions(t.Context(), acting(t), "m")
		_, err3 := client.RevokeSession(t.Context(), acting(t))
		for _, err := range []error{err1, err2, err3} {
			text := fmt.Sprintf("%v %+v %#v", err, err, err)
			for _, s := range []string{secret, token, password, "hunter2", "Basic cHJ"} {
				if strings.Contains(text, s) {
					t.Errorf("error holds %q: %s", s, text)
				}
			}
		}
	}
}

func FuzzError(f *testing.F) {
	f.Add(400, "", []byte(`{"status_code":400,"request_id":"r","error_type":"bad_request","error_details":{"a":1}}`))
	f.Add(502, "3", []byte(`<html>`))
	f.Add(429, "Sun, 01 Mar 2026 10:01:30 GMT", []byte(`{"error_type":`))
	f.Add(200, "", []byte(`{"status_code":200,"project_id":"p"}{`))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		client, err := stytch.New(projectID, secret, stytch.WithTransport(transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: io.NopCloser(strings.NewReader(string(body))),
			}, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.WhoAmI(t.Context())
		var apiErr *stytch.Error
		var answerErr *stytch.AnswerError
		switch {
		case err == nil:
			if status >= 300 || out.ProjectID == "" || !json.Valid(body) {
				t.Errorf("status %d, body %q: accepted", status, body)
			}
		case errors.As(err, &apiErr):
			if status < 400 || apiErr.Status != status || apiErr.RetryAfter < 0 || apiErr.RetryAfter > 24*time.Hour ||
				(apiErr.Details != nil && !json.Valid(apiErr.Details)) {
				t.Errorf("status %d: %#v", status, apiErr)
			}
		case errors.As(err, &answerErr):
			if status >= 400 || answerErr.Status != status || answerErr.Problem == "" {
				t.Errorf("status %d: %#v", status, answerErr)
			}
		default:
			t.Errorf("untyped error %v", err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("secret in %v", err)
		}
	})
}
