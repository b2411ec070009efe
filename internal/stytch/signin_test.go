package stytch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

// Whatever must not be seen has this in it, after something that other encodings write differently.
const unseen = "never-to-be-seen"

const (
	landed   stytch.Secret = `landed+/="` + unseen
	verifier stytch.Secret = `verifier~` + unseen
	proven   stytch.Secret = `proven+/=` + unseen
	password stytch.Secret = `pass"wörd<&>` + unseen
	existing stytch.Secret = `existing ` + unseen
	code     stytch.Secret = `000000` + unseen
)

// in is a factor added to those proven before.
func in() stytch.SignIn {
	return stytch.SignIn{IntermediateSessionToken: proven, SessionDurationMinutes: 480}
}

func factor() stytch.SecondFactor {
	return stytch.SecondFactor{OrganizationID: "organization-test-1", MemberID: "member-test-1", SignIn: in()}
}

// factorAs is a factor of somebody who is signed in.
func factorAs(a stytch.ActingSession) stytch.SecondFactor {
	return stytch.SecondFactor{OrganizationID: "organization-test-1", MemberID: "member-test-1", SignIn: stytch.SignIn{Own: a}}
}

const (
	memberFields  = `"member_id":"member-test-1","member":` + memberJSON + `,"organization":` + organizationJSON
	sessionFields = memberFields + `,"session_token":"t","session_jwt":"j","member_session":` + sessionJSON
	signedIn      = sessionFields + `,"member_authenticated":true,"organization_id":"organization-test-1"`
	exchanged     = sessionFields + `,"member_authenticated":true,"intermediate_session_token":"","mfa_required":null,"primary_required":null`

	discovered = `"email_address":"ada@example.com","discovered_organizations":[{"member_authenticated":true,"organization":` + organizationJSON +
		`,"membership":{"type":"active_member","details":null,"member":` + memberJSON + `},"primary_required":null,"mfa_required":null}]`
	discoveredWithProof = discovered + `,"intermediate_session_token":"ist"`
)

func signInCalls() []call {
	const (
		provenBody = `"intermediate_session_token":"proven+/=` + unseen + `","session_duration_minutes":480`
		ownBody    = `"session_token":"` + token + `"`
		ownJWTBody = `"session_jwt":"` + jwt + `"`
		landedBody = `"landed+/=\"` + unseen + `"`
		passBody   = `"pass\"wörd\u003c\u0026\u003e` + unseen + `"`
		verified   = `"pkce_code_verifier":"verifier~` + unseen + `"`
		person     = `"organization_id":"organization-test-1","member_id":"member-test-1"`
	)
	email := stytch.EmailRequest{OrganizationID: "acme", EmailAddress: "ada@example.com", RedirectURL: "https://c.example/authenticate?state=a&b", CodeChallenge: "ch"}
	bare := stytch.EmailRequest{OrganizationID: "acme", EmailAddress: "ada@example.com"}
	const redirected = `"https://c.example/authenticate?state=a\u0026b"`
	withToken := func(path, field string) string { return `{"` + field + `":` + landedBody + path }
	landing := stytch.TokenRequest{Token: landed, CodeVerifier: verifier, SignIn: in()}
	post := func(path, body string) seen { return seen{Method: "POST", Path: path, Body: body} }
	ctx := func(t *testing.T) context.Context { t.Helper(); return t.Context() }
	return []call{
		{
			name: "SendMagicLink", write: true, answer: ok(memberFields + `,"member_created":false`),
			do: func(t *testing.T, c *stytch.Client) (any, error) { return c.SendMagicLink(ctx(t), email) },
			want: post("/v1/b2b/magic_links/email/login_or_signup", `{"organization_id":"acme","email_address":"ada@example.com",`+
				`"login_redirect_url":`+redirected+`,"signup_redirect_url":`+redirected+`,"pkce_code_challenge":"ch"}`),
		},
		{
			name: "SendMagicLink to the default", write: true, answer: ok(""),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.SendMagicLink(ctx(t), bare) },
			want: post("/v1/b2b/magic_links/email/login_or_signup", `{"organization_id":"acme","email_address":"ada@example.com"}`),
		},
		{
			name: "SendDiscoveryMagicLink", write: true, answer: ok(""),
			do: func(t *testing.T, c *stytch.Client) (any, error) { return c.SendDiscoveryMagicLink(ctx(t), email) },
			want: post("/v1/b2b/magic_links/email/discovery/send",
				`{"email_address":"ada@example.com","discovery_redirect_url":`+redirected+`,"pkce_code_challenge":"ch"}`),
		},
		{
			name: "SendEmailOTP", write: true, answer: ok(memberFields + `,"member_created":false`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SendEmailOTP(ctx(t), "acme", "ada@example.com")
			},
			want: post("/v1/b2b/otps/email/login_or_signup", `{"organization_id":"acme","email_address":"ada@example.com"}`),
		},
		{
			name: "SendDiscoveryEmailOTP", write: true, answer: ok(""),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SendDiscoveryEmailOTP(ctx(t), "ada@example.com")
			},
			want: post("/v1/b2b/otps/email/discovery/send", `{"email_address":"ada@example.com"}`),
		},
		{
			name: "AuthenticatePassword as another factor", write: true, answer: ok(signedIn),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticatePassword(ctx(t), stytch.PasswordAuthenticateRequest{
					OrganizationID: "acme", EmailAddress: "ada@example.com", Password: password, IntermediateSessionToken: proven, SessionDurationMinutes: 480,
				})
			},
			want: post("/v1/b2b/passwords/authenticate",
				`{"organization_id":"acme","email_address":"ada@example.com","password":`+passBody+`,`+provenBody+`}`),
		},
		{
			name: "AuthenticateMagicLink", write: true, answer: ok(signedIn + `,"method_id":"email-test-1","reset_sessions":false`),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.AuthenticateMagicLink(ctx(t), landing) },
			want: post("/v1/b2b/magic_links/authenticate", withToken(`,`+verified+`,`+provenBody+`}`, "magic_links_token")),
		},
		{
			name: "AuthenticateMagicLink of an invitation", write: true, answer: ok(signedIn),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateMagicLink(ctx(t), stytch.TokenRequest{Token: landed})
			},
			want: post("/v1/b2b/magic_links/authenticate", withToken(`}`, "magic_links_token")),
		},
		{
			name: "AuthenticateSSO", write: true, answer: ok(signedIn + `,"reset_session":false`),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.AuthenticateSSO(ctx(t), landing) },
			want: post("/v1/b2b/sso/authenticate", withToken(`,`+verified+`,`+provenBody+`}`, "sso_token")),
		},
		{
			name: "AuthenticateSSO with a session", write: true, answer: ok(signedIn),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateSSO(ctx(t), stytch.TokenRequest{Token: landed, SignIn: stytch.SignIn{Own: actingJWT(t)}})
			},
			want: post("/v1/b2b/sso/authenticate", withToken(`,`+ownJWTBody+`}`, "sso_token")),
		},
		{
			name: "AuthenticateOAuth", write: true,
			answer: ok(signedIn + `,"provider_type":"Google","provider_values":{"access_token":"provider-` + unseen + `","refresh_token":"provider-` + unseen + `"}`),
			do:     func(t *testing.T, c *stytch.Client) (any, error) { return c.AuthenticateOAuth(ctx(t), landing) },
			want:   post("/v1/b2b/oauth/authenticate", withToken(`,`+verified+`,`+provenBody+`}`, "oauth_token")),
		},
		{
			name: "AuthenticateImpersonation", write: true, answer: ok(signedIn),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.AuthenticateImpersonation(ctx(t), landed) },
			want: post("/v1/b2b/impersonation/authenticate", withToken(`}`, "impersonation_token")),
		},
		{
			name: "AuthenticateEmailOTP", write: true, answer: ok(signedIn + `,"method_id":"email-test-1"`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateEmailOTP(ctx(t), stytch.EmailOTPRequest{OrganizationID: "acme", EmailAddress: "ada@example.com", Code: code, SignIn: in()})
			},
			want: post("/v1/b2b/otps/email/authenticate",
				`{"organization_id":"acme","email_address":"ada@example.com","code":"000000`+unseen+`",`+provenBody+`}`),
		},
		{
			name: "AuthenticateDiscoveryMagicLink", write: true, answer: ok(discoveredWithProof),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateDiscoveryMagicLink(ctx(t), landed, verifier)
			},
			want: post("/v1/b2b/magic_links/discovery/authenticate", withToken(`,`+verified+`}`, "discovery_magic_links_token")),
		},
		{
			name: "AuthenticateDiscoveryOAuth", write: true, answer: ok(discoveredWithProof + `,"provider_type":"Google","full_name":"Ada"`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateDiscoveryOAuth(ctx(t), landed, verifier)
			},
			want: post("/v1/b2b/oauth/discovery/authenticate", withToken(`,`+verified+`}`, "discovery_oauth_token")),
		},
		{
			name: "AuthenticateDiscoveryOAuth without PKCE", write: true, answer: ok(discoveredWithProof),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateDiscoveryOAuth(ctx(t), landed, "")
			},
			want: post("/v1/b2b/oauth/discovery/authenticate", withToken(`}`, "discovery_oauth_token")),
		},
		{
			name: "AuthenticateDiscoveryEmailOTP", write: true, answer: ok(discoveredWithProof),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateDiscoveryEmailOTP(ctx(t), "ada@example.com", code)
			},
			want: post("/v1/b2b/otps/email/discovery/authenticate", `{"email_address":"ada@example.com","code":"000000`+unseen+`"}`),
		},
		{
			name: "AuthenticateDiscoveryPassword", write: true, answer: ok(discoveredWithProof),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateDiscoveryPassword(ctx(t), "ada@example.com", password)
			},
			want: post("/v1/b2b/passwords/discovery/authenticate", `{"email_address":"ada@example.com","password":`+passBody+`}`),
		},
		{
			name: "DiscoverOrganizations", write: true, answer: ok(discovered + `,"organization_id_hint":null`),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.DiscoverOrganizations(ctx(t), proven) },
			want: post("/v1/b2b/discovery/organizations", `{"intermediate_session_token":"proven+/=`+unseen+`"}`),
		},
		{
			name: "DiscoverOrganizationsAs", write: true, answer: ok(discovered),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.DiscoverOrganizationsAs(ctx(t), acting(t))
			},
			want: post("/v1/b2b/discovery/organizations", `{`+ownBody+`}`),
		},
		{
			name: "DiscoverOrganizationsAs by JWT", write: true, answer: ok(discovered),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.DiscoverOrganizationsAs(ctx(t), actingJWT(t))
			},
			want: post("/v1/b2b/discovery/organizations", `{`+ownJWTBody+`}`),
		},
		{
			name: "ExchangeIntermediateSession", write: true, answer: ok(exchanged),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.ExchangeIntermediateSession(ctx(t), "organization-test-1", in())
			},
			want: post("/v1/b2b/discovery/intermediate_sessions/exchange", `{"organization_id":"organization-test-1",`+provenBody+`}`),
		},
		{
			name: "ExchangeSession", write: true, answer: ok(exchanged),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.ExchangeSession(ctx(t), acting(t), "organization-test-1", 480)
			},
			want: post("/v1/b2b/sessions/exchange", `{"organization_id":"organization-test-1",`+ownBody+`,"session_duration_minutes":480}`),
		},
		{
			name: "SendSMSOTP", write: true, answer: ok(memberFields),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SendSMSOTP(ctx(t), factor(), "+4512345678")
			},
			want: post("/v1/b2b/otps/sms/send", `{`+person+`,"intermediate_session_token":"proven+/=`+unseen+`","mfa_phone_number":"+4512345678"}`),
		},
		{
			name: "SendSMSOTP with a session", write: true, answer: ok(memberFields),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.SendSMSOTP(ctx(t), factorAs(acting(t)), "")
			},
			want: post("/v1/b2b/otps/sms/send", `{`+person+`,`+ownBody+`}`),
		},
		{
			name: "AuthenticateSMSOTP", write: true, answer: ok(sessionFields + `,"member_device":null`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateSMSOTP(ctx(t), factor(), code, false)
			},
			want: post("/v1/b2b/otps/sms/authenticate", `{`+person+`,`+provenBody+`,"code":"000000`+unseen+`"}`),
		},
		{
			name: "AuthenticateSMSOTP to enroll", write: true, answer: ok(sessionFields),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateSMSOTP(ctx(t), factorAs(acting(t)), code, true)
			},
			want: post("/v1/b2b/otps/sms/authenticate", `{`+person+`,`+ownBody+`,"code":"000000`+unseen+`","set_mfa_enrollment":"enroll"}`),
		},
		{
			name: "CreateTOTP", write: true,
			answer: ok(memberFields + `,"totp_registration_id":"totp-registration-test-1","secret":"JBSWY3DP","qr_code":"data","recovery_codes":["a-b"]`),
			do:     func(t *testing.T, c *stytch.Client) (any, error) { return c.CreateTOTP(ctx(t), factor()) },
			want:   post("/v1/b2b/totp", `{`+person+`,"intermediate_session_token":"proven+/=`+unseen+`"}`),
		},
		{
			name: "AuthenticateTOTP", write: true, answer: ok(sessionFields),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateTOTP(ctx(t), factor(), code, true)
			},
			want: post("/v1/b2b/totp/authenticate", `{`+person+`,`+provenBody+`,"code":"000000`+unseen+`","set_mfa_enrollment":"enroll"}`),
		},
		{
			name: "AuthenticateTOTP by JWT", write: true, answer: ok(sessionFields),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.AuthenticateTOTP(ctx(t), factorAs(actingJWT(t)), code, false)
			},
			want: post("/v1/b2b/totp/authenticate", `{`+person+`,`+ownJWTBody+`,"code":"000000`+unseen+`"}`),
		},
		{
			name: "Recover", write: true, answer: ok(sessionFields + `,"recovery_codes_remaining":9`),
			do:   func(t *testing.T, c *stytch.Client) (any, error) { return c.Recover(ctx(t), factor(), code) },
			want: post("/v1/b2b/recovery_codes/recover", `{`+person+`,`+provenBody+`,"recovery_code":"000000`+unseen+`"}`),
		},
		{
			name: "StartPasswordReset with links", write: true, answer: ok(`"member_id":"member-test-1","member":` + memberJSON),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.StartPasswordReset(ctx(t), stytch.ResetStartRequest{
					OrganizationID: "acme", EmailAddress: "ada@example.com", RedirectURL: "https://c.example/a", LoginRedirectURL: "https://c.example/b", CodeChallenge: "ch",
				})
			},
			want: post("/v1/b2b/passwords/email/reset/start", `{"organization_id":"acme","email_address":"ada@example.com",`+
				`"reset_password_redirect_url":"https://c.example/a","login_redirect_url":"https://c.example/b","code_challenge":"ch"}`),
		},
		{
			name: "ResetPasswordByEmail", write: true, answer: ok(signedIn + `,"member_email_id":"email-test-1"`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.ResetPasswordByEmail(ctx(t), stytch.ResetPasswordRequest{Token: landed, CodeVerifier: verifier, Password: password, SignIn: in()})
			},
			want: post("/v1/b2b/passwords/email/reset",
				withToken(`,"password":`+passBody+`,"code_verifier":"verifier~`+unseen+`",`+provenBody+`}`, "password_reset_token")),
		},
		{
			name: "ResetPasswordBySession", write: true, answer: ok(sessionFields + `,"member_authenticated":true`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.ResetPasswordBySession(ctx(t), acting(t), "organization-test-1", password, 480)
			},
			want: post("/v1/b2b/passwords/session/reset",
				`{"organization_id":"organization-test-1","password":`+passBody+`,`+ownBody+`,"session_duration_minutes":480}`),
		},
		{
			name: "ResetPasswordByExisting", write: true, answer: ok(sessionFields + `,"member_authenticated":true`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.ResetPasswordByExisting(ctx(t), stytch.ExistingPasswordRequest{
					OrganizationID: "acme", EmailAddress: "ada@example.com", Existing: existing, New: password,
					SignIn: stytch.SignIn{Own: acting(t), SessionDurationMinutes: 480},
				})
			},
			want: post("/v1/b2b/passwords/existing_password/reset", `{"organization_id":"acme","email_address":"ada@example.com",`+
				`"existing_password":"existing `+unseen+`","new_password":`+passBody+`,`+ownBody+`,"session_duration_minutes":480}`),
		},
		{
			name: "StartDiscoveryPasswordReset", write: true, answer: ok(""),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.StartDiscoveryPasswordReset(ctx(t), email)
			},
			want: post("/v1/b2b/passwords/discovery/email/reset/start", `{"email_address":"ada@example.com",`+
				`"reset_password_redirect_url":`+redirected+`,"discovery_redirect_url":`+redirected+`,"pkce_code_challenge":"ch"}`),
		},
		{
			name: "DiscoveryResetPassword", write: true, answer: ok(discoveredWithProof),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.DiscoveryResetPassword(ctx(t), landed, verifier, password)
			},
			want: post("/v1/b2b/passwords/discovery/email/reset", withToken(`,"password":`+passBody+`,`+verified+`}`, "password_reset_token")),
		},
		{
			name: "CheckPasswordStrength", write: true, answer: ok(`"valid_password":true,"score":4`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.CheckPasswordStrength(ctx(t), "ada@example.com", password)
			},
			want: post("/v1/b2b/passwords/strength_check", `{"password":`+passBody+`,"email_address":"ada@example.com"}`),
		},
		{
			name: "CheckPasswordStrength of nobody's", write: true, answer: ok(`"valid_password":false,"score":0`),
			do: func(t *testing.T, c *stytch.Client) (any, error) {
				return c.CheckPasswordStrength(ctx(t), "", password)
			},
			want: post("/v1/b2b/passwords/strength_check", `{"password":`+passBody+`}`),
		},
	}
}

// A server or a transport that repeats all it was sent, in any encoding, gives nothing away.
func TestNothingIsEchoed(t *testing.T) {
	t.Parallel()
	for _, tt := range signInCalls() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{0, 200, 302, 400} {
				client := newClient(t, "https://api.example", stytch.WithTransport(transportFunc(func(r *http.Request) (*http.Response, error) {
					sent, _ := io.ReadAll(r.Body)
					echo := echoes(t, sent)
					if status == 0 {
						return nil, errors.New(echo)
					}
					quoted, _ := json.Marshal(echo)
					return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(fmt.Sprintf(
						`{"request_id":%s,"error_message":%s,"error_url":%s,"error_type":%s,"error_details":{"sent":%s,%s:[%s]}}`,
						quoted, quoted, quoted, quoted, sent, quoted, quoted)))}, nil
				})))
				_, err := tt.do(t, client)
				if err == nil {
					t.Fatalf("%d: no error", status)
				}
				text := fmt.Sprintf("%v %+v %#v", err, err, err)
				if e, isAPI := errors.AsType[*stytch.Error](err); isAPI {
					text += string(e.Details)
				}
				for _, s := range []string{unseen, token, jwt} {
					if i := strings.Index(text, s); i >= 0 {
						t.Errorf("%d: the error holds %q: %s", status, s, text[max(0, i-50):i+len(s)])
					}
				}
			}
		})
	}
}

// echoes are the values of an object, and the object, as they would stand in a text, in JSON and in a query.
func echoes(t *testing.T, object []byte) string {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal(object, &values); err != nil {
		t.Error(err)
	}
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(values); err != nil {
		t.Error(err)
	}
	all := plain.String() + string(object)
	for _, v := range values {
		all += fmt.Sprint(" ", v, " ")
	}
	return all + url.QueryEscape(all)
}

// A short secret that is part of a longer one must not split it.
func TestNestedSecretsAreScrubbed(t *testing.T) {
	t.Parallel()
	const long = "abc123456" + unseen
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error_message":"`+long+` 123456 %31"}`)
	})
	f := factor()
	f.IntermediateSessionToken = long
	_, err := client.AuthenticateTOTP(t.Context(), f, "123456", false)
	var e *stytch.Error
	if !errors.As(err, &e) || e.Message != "[redacted] [redacted] %31" {
		t.Errorf("error = %v", err)
	}
}

func TestSignInRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	client := newClient(t, "https://api.example", stytch.WithTransport(transportFunc(func(r *http.Request) (*http.Response, error) {
		t.Errorf("sent %s %s", r.Method, r.URL)
		return nil, errors.New("sent")
	})))
	ctx := t.Context()
	a := acting(t)
	var zero stytch.ActingSession
	both := stytch.SignIn{IntermediateSessionToken: proven, Own: a}
	long := stytch.Secret(strings.Repeat("x", 16<<10+1))
	const o, m, mail = "organization-test-1", "member-test-1", "ada@example.com"
	magicLink := func(r stytch.TokenRequest) error { _, err := client.AuthenticateMagicLink(ctx, r); return err }
	link := func(r stytch.EmailRequest) error { _, err := client.SendMagicLink(ctx, r); return err }
	otp := func(r stytch.EmailOTPRequest) error { _, err := client.AuthenticateEmailOTP(ctx, r); return err }
	byEmail := func(r stytch.ResetPasswordRequest) error { _, err := client.ResetPasswordByEmail(ctx, r); return err }
	byExisting := func(r stytch.ExistingPasswordRequest) error {
		_, err := client.ResetPasswordByExisting(ctx, r)
		return err
	}
	bad := map[string]func() error{
		"link without organization": func() error { return link(stytch.EmailRequest{EmailAddress: mail}) },
		"link to a path":            func() error { return link(stytch.EmailRequest{OrganizationID: "a/b", EmailAddress: mail}) },
		"link without address":      func() error { return link(stytch.EmailRequest{OrganizationID: o}) },
		"discovery without address": func() error { _, err := client.SendDiscoveryMagicLink(ctx, stytch.EmailRequest{}); return err },
		"code without organization": func() error { _, err := client.SendEmailOTP(ctx, "", mail); return err },
		"code without address":      func() error { _, err := client.SendEmailOTP(ctx, o, ""); return err },
		"find by code, no address":  func() error { _, err := client.SendDiscoveryEmailOTP(ctx, ""); return err },
		"reset without address":     func() error { _, err := client.StartDiscoveryPasswordReset(ctx, stytch.EmailRequest{}); return err },
		"no token":                  func() error { return magicLink(stytch.TokenRequest{SignIn: in()}) },
		"long token":                func() error { return magicLink(stytch.TokenRequest{Token: long}) },
		"token of bytes":            func() error { return magicLink(stytch.TokenRequest{Token: "\xff"}) },
		"two proofs":                func() error { return magicLink(stytch.TokenRequest{Token: landed, SignIn: both}) },
		"long proof": func() error {
			return magicLink(stytch.TokenRequest{Token: landed, SignIn: stytch.SignIn{IntermediateSessionToken: long}})
		},
		"four minutes": func() error {
			return magicLink(stytch.TokenRequest{Token: landed, SignIn: stytch.SignIn{SessionDurationMinutes: 4}})
		},
		"two years": func() error {
			return magicLink(stytch.TokenRequest{Token: landed, SignIn: stytch.SignIn{SessionDurationMinutes: 527041}})
		},
		"sso without token": func() error { _, err := client.AuthenticateSSO(ctx, stytch.TokenRequest{}); return err },
		"sso with two proofs": func() error {
			_, err := client.AuthenticateSSO(ctx, stytch.TokenRequest{Token: landed, SignIn: both})
			return err
		},
		"oauth without token": func() error { _, err := client.AuthenticateOAuth(ctx, stytch.TokenRequest{}); return err },
		"oauth with two proofs": func() error {
			_, err := client.AuthenticateOAuth(ctx, stytch.TokenRequest{Token: landed, SignIn: both})
			return err
		},
		"impersonation without token": func() error { _, err := client.AuthenticateImpersonation(ctx, ""); return err },
		"otp without organization":    func() error { return otp(stytch.EmailOTPRequest{EmailAddress: mail, Code: code}) },
		"otp without address":         func() error { return otp(stytch.EmailOTPRequest{OrganizationID: o, Code: code}) },
		"otp without code":            func() error { return otp(stytch.EmailOTPRequest{OrganizationID: o, EmailAddress: mail}) },
		"otp with two proofs": func() error {
			return otp(stytch.EmailOTPRequest{OrganizationID: o, EmailAddress: mail, Code: code, SignIn: both})
		},
		"find by no token":            func() error { _, err := client.AuthenticateDiscoveryMagicLink(ctx, "", verifier); return err },
		"find by no provider's token": func() error { _, err := client.AuthenticateDiscoveryOAuth(ctx, "", verifier); return err },
		"find by no code":             func() error { _, err := client.AuthenticateDiscoveryEmailOTP(ctx, mail, ""); return err },
		"find by nobody's code":       func() error { _, err := client.AuthenticateDiscoveryEmailOTP(ctx, "", code); return err },
		"find by no password":         func() error { _, err := client.AuthenticateDiscoveryPassword(ctx, mail, ""); return err },
		"find by nobody's password":   func() error { _, err := client.AuthenticateDiscoveryPassword(ctx, "", password); return err },
		"find without proof":          func() error { _, err := client.DiscoverOrganizations(ctx, ""); return err },
		"exchange without proof":      func() error { _, err := client.ExchangeIntermediateSession(ctx, o, stytch.SignIn{}); return err },
		"exchange of a session":       func() error { _, err := client.ExchangeIntermediateSession(ctx, o, stytch.SignIn{Own: a}); return err },
		"exchange with two proofs":    func() error { _, err := client.ExchangeIntermediateSession(ctx, o, both); return err },
		"exchange to nowhere":         func() error { _, err := client.ExchangeIntermediateSession(ctx, "", in()); return err },
		"switch to nowhere":           func() error { _, err := client.ExchangeSession(ctx, a, "", 0); return err },
		"switch for a minute":         func() error { _, err := client.ExchangeSession(ctx, a, o, 1); return err },
		"reset without token":         func() error { return byEmail(stytch.ResetPasswordRequest{Password: password}) },
		"reset without password":      func() error { return byEmail(stytch.ResetPasswordRequest{Token: landed}) },
		"reset with two proofs": func() error {
			return byEmail(stytch.ResetPasswordRequest{Token: landed, Password: password, SignIn: both})
		},
		"own reset of nowhere":   func() error { _, err := client.ResetPasswordBySession(ctx, a, "", password, 0); return err },
		"own reset to nothing":   func() error { _, err := client.ResetPasswordBySession(ctx, a, o, "", 0); return err },
		"own reset for a minute": func() error { _, err := client.ResetPasswordBySession(ctx, a, o, password, 1); return err },
		"existing: no organization": func() error {
			return byExisting(stytch.ExistingPasswordRequest{EmailAddress: mail, Existing: existing, New: password})
		},
		"existing: no address": func() error {
			return byExisting(stytch.ExistingPasswordRequest{OrganizationID: o, Existing: existing, New: password})
		},
		"existing: no old one": func() error {
			return byExisting(stytch.ExistingPasswordRequest{OrganizationID: o, EmailAddress: mail, New: password})
		},
		"existing: no new one": func() error {
			return byExisting(stytch.ExistingPasswordRequest{OrganizationID: o, EmailAddress: mail, Existing: existing})
		},
		"existing: with a proof": func() error {
			return byExisting(stytch.ExistingPasswordRequest{OrganizationID: o, EmailAddress: mail, Existing: existing, New: password, SignIn: in()})
		},
		"find by reset without token":    func() error { _, err := client.DiscoveryResetPassword(ctx, "", "", password); return err },
		"find by reset without password": func() error { _, err := client.DiscoveryResetPassword(ctx, landed, "", ""); return err },
		"strength of nothing":            func() error { _, err := client.CheckPasswordStrength(ctx, mail, ""); return err },
	}
	for name, call := range map[string]func(stytch.SecondFactor, stytch.Secret) error{
		"SMS": func(f stytch.SecondFactor, s stytch.Secret) error {
			_, err := client.AuthenticateSMSOTP(ctx, f, s, false)
			return err
		},
		"TOTP": func(f stytch.SecondFactor, s stytch.Secret) error {
			_, err := client.AuthenticateTOTP(ctx, f, s, false)
			return err
		},
		"recovery": func(f stytch.SecondFactor, s stytch.Secret) error { _, err := client.Recover(ctx, f, s); return err },
		"SMS send": func(f stytch.SecondFactor, s stytch.Secret) error {
			if s == "" {
				return stytch.ErrBadArgument // takes none
			}
			_, err := client.SendSMSOTP(ctx, f, "")
			return err
		},
		"TOTP create": func(f stytch.SecondFactor, s stytch.Secret) error {
			if s == "" {
				return stytch.ErrBadArgument
			}
			_, err := client.CreateTOTP(ctx, f)
			return err
		},
	} {
		bad[name+" without code"] = func() error { return call(factor(), "") }
		bad[name+" without organization"] = func() error { return call(stytch.SecondFactor{MemberID: m, SignIn: in()}, code) }
		bad[name+" without member"] = func() error { return call(stytch.SecondFactor{OrganizationID: o, SignIn: in()}, code) }
		bad[name+" without proof"] = func() error { return call(stytch.SecondFactor{OrganizationID: o, MemberID: m}, code) }
		bad[name+" with two proofs"] = func() error { return call(stytch.SecondFactor{OrganizationID: o, MemberID: m, SignIn: both}, code) }
		bad[name+" for a minute"] = func() error {
			return call(stytch.SecondFactor{OrganizationID: o, MemberID: m, SignIn: stytch.SignIn{Own: a, SessionDurationMinutes: 1}}, code)
		}
	}
	for name, do := range bad {
		err := do()
		if !errors.Is(err, stytch.ErrBadArgument) {
			t.Errorf("%s: error = %v, want ErrBadArgument", name, err)
		}
		if err != nil && strings.Contains(err.Error(), unseen) {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
	for name, do := range map[string]func() error{
		"discover": func() error { _, err := client.DiscoverOrganizationsAs(ctx, zero); return err },
		"switch":   func() error { _, err := client.ExchangeSession(ctx, zero, o, 0); return err },
		"reset":    func() error { _, err := client.ResetPasswordBySession(ctx, zero, o, password, 0); return err },
	} {
		if err := do(); !errors.Is(err, stytch.ErrNoActingSession) {
			t.Errorf("%s: error = %v, want ErrNoActingSession", name, err)
		}
	}
}

// answering returns a client whose every answer has these fields.
func answering(t *testing.T, fields string) *stytch.Client {
	t.Helper()
	return setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, ok(fields)) })
}

func TestAuthenticateAnswer(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 0, 0, 500, time.UTC)
	tests := []struct {
		name, fields string
		want         stytch.AuthenticateResponse
	}{
		{"complete", signedIn, stytch.AuthenticateResponse{
			OrganizationID: "organization-test-1", MemberAuthenticated: true, SessionToken: "t", SessionJWT: "j",
			Session: &stytch.MemberSession{
				MemberSessionID: "session-test-1", MemberID: "member-test-1", OrganizationID: "organization-test-1", Roles: []string{"helpdesk"},
				ExpiresAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
			},
		}},
		{
			"another factor",
			memberFields + `,"organization_id":null,"member_authenticated":false,"session_token":"","session_jwt":"","member_session":null,` +
				`"intermediate_session_token":"ist","intermediate_session_token_expires_at":"2026-03-01T10:00:00.0000005Z",` +
				`"primary_required":{"allowed_auth_methods":["sso","magic_link"]},"mfa_required":null`,
			stytch.AuthenticateResponse{
				IntermediateSessionToken: "ist", IntermediateSessionExpiresAt: at,
				PrimaryRequired: &stytch.PrimaryRequired{AllowedAuthMethods: []string{"sso", "magic_link"}},
			},
		},
		{
			"no factor will do", memberFields + `,"intermediate_session_token":"ist","primary_required":{"allowed_auth_methods":null}`,
			stytch.AuthenticateResponse{IntermediateSessionToken: "ist", PrimaryRequired: &stytch.PrimaryRequired{}},
		},
		{
			"nothing enrolled",
			memberFields + `,"intermediate_session_token":"ist","intermediate_session_token_expires_at":"soon",` +
				`"mfa_required":{"member_options":null,"secondary_auth_initiated":null}`,
			stytch.AuthenticateResponse{IntermediateSessionToken: "ist", MFARequired: &stytch.MFARequired{}},
		},
		{"barely anything", memberFields, stytch.AuthenticateResponse{}},
		{
			"values of other types", memberFields + `,"organization_id":5,"session_token":null,"intermediate_session_token":7,"intermediate_session_token_expires_at":{}`,
			stytch.AuthenticateResponse{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := answering(t, tt.fields).AuthenticateMagicLink(t.Context(), stytch.TokenRequest{Token: landed})
			if err != nil {
				t.Fatal(err)
			}
			if got.MemberID != "member-test-1" || got.Member.MemberID != "member-test-1" || got.Organization.OrganizationSlug != "acme" {
				t.Errorf("about %q, %+v, %+v", got.MemberID, got.Member, got.Organization)
			}
			got.Response, got.MemberID, got.Member, got.Organization = stytch.Response{}, "", stytch.Member{}, stytch.Organization{}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Second factors are not told apart by member_authenticated: the session says it.
func TestSecondFactorAnswer(t *testing.T) {
	t.Parallel()
	for _, said := range []string{``, `,"member_authenticated":null`, `,"member_authenticated":false`, `,"member_authenticated":true`} {
		client := answering(t, sessionFields+said)
		out, err := client.AuthenticateTOTP(t.Context(), factor(), code, false)
		if err != nil || !out.MemberAuthenticated || out.SessionToken.Reveal() != "t" {
			t.Errorf("%s: %+v, %v", said, out, err)
		}
		recovered, err := client.Recover(t.Context(), factor(), code)
		if err != nil || !recovered.MemberAuthenticated || recovered.Session.MemberSessionID != "session-test-1" {
			t.Errorf("%s: %+v, %v", said, recovered, err)
		}
	}
	for said, want := range map[string]int{``: -1, `,"recovery_codes_remaining":null`: -1, `,"recovery_codes_remaining":0`: 0, `,"recovery_codes_remaining":"3"`: 3} {
		out, err := answering(t, sessionFields+said).Recover(t.Context(), factor(), code)
		if err != nil || out.RecoveryCodesRemaining != want {
			t.Errorf("%s: %+v, %v; want %d", said, out, err, want)
		}
	}
}

func TestTOTPAnswer(t *testing.T) {
	t.Parallel()
	const registered = memberFields + `,"totp_registration_id":"totp-registration-test-1","secret":"JBSWY3DP","qr_code":"iVBORw0KGgo"`
	for codes, want := range map[string][]stytch.Secret{
		`,"recovery_codes":["a-b","c-d"]`: {"a-b", "c-d"}, `,"recovery_codes":[]`: {}, `,"recovery_codes":null`: nil, ``: nil,
	} {
		out, err := answering(t, registered+codes).CreateTOTP(t.Context(), factor())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.RecoveryCodes); diff != "" || out.TOTPRegistrationID != "totp-registration-test-1" ||
			out.Secret.Reveal() != "JBSWY3DP" || out.Member.EmailAddress != "ada@example.com" {
			t.Errorf("%s: %+v, codes %s", codes, out, diff)
		}
	}
}

// The session the call was made with goes on where the answer has no token of it.
func TestResetBySessionKeepsTheToken(t *testing.T) {
	t.Parallel()
	const kept = memberFields + `,"member_authenticated":true,"session_token":"","session_jwt":"","member_session":` + sessionJSON
	out, err := answering(t, kept).ResetPasswordBySession(t.Context(), acting(t), "organization-test-1", password, 0)
	if err != nil || out.SessionToken.Reveal() != token || !out.MemberAuthenticated || out.Session.MemberSessionID != "session-test-1" {
		t.Errorf("got %+v, %v", out, err)
	}
	out, err = answering(t, sessionFields+`,"member_authenticated":true`).ResetPasswordBySession(t.Context(), acting(t), "organization-test-1", password, 0)
	if err != nil || out.SessionToken.Reveal() != "t" {
		t.Errorf("got %+v, %v; want the token of the answer", out, err)
	}
	var e *stytch.AnswerError
	if _, err := answering(t, kept).ResetPasswordBySession(t.Context(), actingJWT(t), "organization-test-1", password, 0); !errors.As(err, &e) {
		t.Errorf("error = %v, want an AnswerError: a JWT is no token", err)
	}
	if _, err := answering(t, memberFields+`,"member_authenticated":true`).ResetPasswordBySession(t.Context(), acting(t), "organization-test-1", password, 0); !errors.As(err, &e) {
		t.Errorf("error = %v, want an AnswerError: no session", err)
	}
	out, err = answering(t, memberFields+`,"member_authenticated":false,"intermediate_session_token":"ist"`).ResetPasswordBySession(t.Context(), acting(t), "o", password, 0)
	if err != nil || out.SessionToken != "" || out.MemberAuthenticated {
		t.Errorf("got %+v, %v; want no token for who is not signed in", out, err)
	}
}

func TestEmailSentAnswer(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]stytch.EmailSentResponse{
		memberFields + `,"member_created":true`: {MemberID: "member-test-1", MemberCreated: true},
		``:                                      {},
		`"member_id":null,"member":null,"organization":null`:             {},
		`"member_id":5,"member":"x","member_created":"y"`:                {},
		`"member_id":"member-test-1","member":{},"organization":{}`:      {MemberID: "member-test-1"},
		`"member":` + memberJSON + `,"organization":` + organizationJSON: {},
	} {
		got, err := answering(t, fields).SendEmailOTP(t.Context(), "acme", "ada@example.com")
		if err != nil || got.MemberID != want.MemberID || got.MemberCreated != want.MemberCreated {
			t.Errorf("%s: got %+v, %v", fields, got, err)
		}
	}
}

func TestPasswordStrength(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, fields string
		want         stytch.PasswordStrength
	}{
		{
			"zxcvbn",
			`"valid_password":false,"score":1,"breached_password":true,"strength_policy":"zxcvbn","breach_detection_on_create":true,"luds_feedback":null,` +
				`"zxcvbn_feedback":{"warning":"Common","suggestions":["Add a word","Or two"]}`,
			stytch.PasswordStrength{Score: 1, Breached: true, Policy: "zxcvbn", Warning: "Common", Suggestions: []string{"Add a word", "Or two"}},
		},
		{
			"luds",
			`"valid_password":true,"score":4,"breached_password":false,"strength_policy":"luds","zxcvbn_feedback":null,"luds_feedback":{"has_lower_case":true,` +
				`"has_upper_case":true,"has_digit":true,"has_symbol":true,"missing_complexity":1,"missing_characters":2}`,
			stytch.PasswordStrength{Valid: true, Score: 4, Policy: "luds", LUDS: &stytch.LUDSFeedback{
				HasLowerCase: true, HasUpperCase: true, HasDigit: true, HasSymbol: true, MissingComplexity: 1, MissingCharacters: 2,
			}},
		},
		{"only the verdict", `"valid_password":true`, stytch.PasswordStrength{Valid: true}},
		{"odd values", `"valid_password":true,"score":"3","breached_password":null,"strength_policy":7,"zxcvbn_feedback":[],"luds_feedback":null`, stytch.PasswordStrength{Valid: true, Score: 3}},
	}
	for _, tt := range tests {
		got, err := answering(t, tt.fields).CheckPasswordStrength(t.Context(), "", password)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		tt.want.Response = got.Response
		if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(stytch.PasswordStrength{})); diff != "" || got.RequestID == "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestImpersonator(t *testing.T) {
	t.Parallel()
	const who = `{"type":"impersonated","impersonated_factor":{"impersonator_id":"i","impersonator_email_address":"vendor@example.com"}}`
	tests := []struct {
		name, factors, id, email string
		ok                       bool
	}{
		{"none", `[]`, "", "", false},
		{"null", `null`, "", "", false},
		{"oneself", `[{"type":"password","impersonated_factor":{"impersonator_id":"i"}}]`, "", "", false},
		{"somebody", `[{"type":"password"},` + who + `]`, "i", "vendor@example.com", true},
		{"nobody named", `[{"type":"impersonated"}]`, "", "", true},
		{"odd", `[{"type":"impersonated","impersonated_factor":"x"}]`, "", "", true},
		{"named by the second", `[{"type":"impersonated"},` + who + `]`, "i", "vendor@example.com", true},
		{"only the address", `[{"type":"impersonated","impersonated_factor":{"impersonator_id":null,"impersonator_email_address":"v"}}]`, "", "v", true},
	}
	for _, tt := range tests {
		var s stytch.MemberSession
		if err := json.Unmarshal([]byte(`{"authentication_factors":`+tt.factors+`}`), &s); err != nil {
			t.Fatal(err)
		}
		if id, email, ok := s.Impersonator(); id != tt.id || email != tt.email || ok != tt.ok {
			t.Errorf("%s: got %q, %q, %v", tt.name, id, email, ok)
		}
	}
}
