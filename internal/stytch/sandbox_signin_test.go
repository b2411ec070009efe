package stytch_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"orgconsole/internal/sandbox"
	"orgconsole/internal/stytch"
)

const (
	landing      = "https://console.example/authenticate"
	codeVerifier = stytch.Secret("a-verifier-of-enough-letters-0123456789-abcdefgh")
	newPassword  = stytch.Secret("correct horse battery staple 8317")
)

func challenge() string {
	sum := sha256.Sum256([]byte(codeVerifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// control asks the sandbox's own endpoint, which has what people would have read elsewhere.
func (b box) control(t *testing.T, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.base+"/_sandbox/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.info.ControlToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d, %v", method, path, resp.StatusCode, err)
	}
}

type message struct {
	Kind, To, Code, URL string
	LoginURL            string `json:"login_url"`
}

// mailed is the newest message to somebody.
func (b box) mailed(t *testing.T, kind, to string) message {
	t.Helper()
	var out struct {
		Mails []message `json:"mails"`
	}
	b.control(t, http.MethodGet, "outbox", "", &out)
	for _, m := range slices.Backward(out.Mails) {
		if m.Kind == kind && (to == "" || m.To == to) {
			return m
		}
	}
	t.Fatalf("no %s was sent to %s", kind, to)
	return message{}
}

// landed is the token in an address that came back, which must be of the expected type and keep its own query.
func landedWith(t *testing.T, address, tokenType string) stytch.Secret {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(address, landing+"?") || q.Get("state") != "x&y" || q.Get("stytch_token_type") != tokenType || q.Get("token") == "" {
		t.Fatalf("landed at %s, want a token of type %s", address, tokenType)
	}
	return stytch.Secret(q.Get("token"))
}

// visit goes through the identity provider's page as somebody, and returns where it leads back to.
func (b box) visit(t *testing.T, start, email string) string {
	t.Helper()
	follow := func(method, address, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		to, err := resp.Location()
		if err != nil {
			t.Fatalf("%s %s: %d, %v", method, address, resp.StatusCode, err)
		}
		return to.String()
	}
	page := follow(http.MethodGet, start, "")
	return follow(http.MethodPost, page, url.Values{"email": {email}}.Encode())
}

type seeded struct {
	Name, Email, Password, Organization string
	MemberID                            string `json:"member_id"`
	OrganizationID                      string `json:"organization_id"`
}

func (b box) person(t *testing.T, organization, email string) seeded {
	t.Helper()
	var out struct {
		People []seeded `json:"people"`
	}
	b.control(t, http.MethodGet, "people", "", &out)
	for _, p := range out.People {
		if p.Organization == organization && (p.Email == email || p.Name == email) {
			return p
		}
	}
	t.Fatalf("there is no %s in %s", email, organization)
	return seeded{}
}

// wantEntered fails unless somebody is signed in, and checks the JWT locally.
func (b box) wantEntered(t *testing.T, out *stytch.AuthenticateResponse, err error, email, slug string) stytch.ActingSession {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !out.MemberAuthenticated || out.Member.EmailAddress != email || out.Organization.OrganizationSlug != slug || out.Session == nil {
		t.Fatalf("got %+v, want %s in %s", out, email, slug)
	}
	v, err := b.NewJWTVerifier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, at, err := v.Verify(t.Context(), out.SessionJWT.Reveal())
	if err != nil || s.MemberID != out.MemberID || s.MemberSessionID != out.Session.MemberSessionID || s.OrganizationSlug != slug ||
		!s.ExpiresAt.Equal(out.Session.ExpiresAt) || at.IsZero() || !slices.Equal(s.Roles, out.Session.Roles) ||
		len(s.AuthenticationFactors) != len(out.Session.AuthenticationFactors) {
		t.Errorf("the JWT says %+v, %v, %v; the answer %+v", s, at, err, out.Session)
	}
	a, err := stytch.ActingToken(out.SessionToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b box) wantMore(t *testing.T, out *stytch.AuthenticateResponse, err error) stytch.SignIn {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if out.MemberAuthenticated || out.IntermediateSessionToken == "" || out.SessionToken != "" {
		t.Fatalf("got %+v, want a sign-in that needs more", out)
	}
	return stytch.SignIn{IntermediateSessionToken: out.IntermediateSessionToken, SessionDurationMinutes: 60}
}

func TestAgainstSandboxMail(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	desk := b.people[sandbox.RoleHelpdesk]
	req := stytch.EmailRequest{OrganizationID: desk.Organization, EmailAddress: desk.Email, RedirectURL: landing + "?state=x%26y", CodeChallenge: challenge()}

	sent, err := b.SendMagicLink(ctx, req)
	if err != nil || sent.MemberCreated || sent.MemberID == "" {
		t.Fatalf("SendMagicLink = %+v, %v", sent, err)
	}
	link := landedWith(t, b.mailed(t, "login_link", desk.Email).URL, "multi_tenant_magic_links")
	if _, err := b.AuthenticateMagicLink(ctx, stytch.TokenRequest{Token: link, CodeVerifier: "another-" + codeVerifier}); err == nil {
		t.Error("another verifier was good enough")
	}
	out, err := b.AuthenticateMagicLink(ctx, stytch.TokenRequest{Token: link, CodeVerifier: codeVerifier, SignIn: stytch.SignIn{SessionDurationMinutes: 60}})
	own := b.wantEntered(t, out, err, desk.Email, desk.Organization)
	_, err = b.AuthenticateMagicLink(ctx, stytch.TokenRequest{Token: link, CodeVerifier: codeVerifier})
	wantType(t, err, 401, stytch.ErrorTypeUnableToAuthMagicLink)
	_, err = b.SendMagicLink(ctx, stytch.EmailRequest{OrganizationID: desk.Organization, EmailAddress: "stranger@acme.example"})
	wantType(t, err, 400, stytch.ErrorTypeEmailJITProvisioningNotAllowed)

	// An invitation is a link too.
	invited, err := url.Parse(b.mailed(t, "invite", "").URL)
	if err != nil {
		t.Fatal(err)
	}
	out, err = b.AuthenticateMagicLink(ctx, stytch.TokenRequest{Token: stytch.Secret(invited.Query().Get("token"))})
	if err != nil || !out.MemberAuthenticated || out.Member.Status != stytch.StatusActive || !out.Member.EmailAddressVerified {
		t.Errorf("the invitation = %+v, %v", out, err)
	}

	if sent, err = b.SendEmailOTP(ctx, desk.Organization, desk.Email); err != nil || sent.MemberID == "" {
		t.Fatalf("SendEmailOTP = %+v, %v", sent, err)
	}
	mail := b.mailed(t, "login_code", desk.Email)
	code := stytch.EmailOTPRequest{OrganizationID: desk.Organization, EmailAddress: desk.Email, Code: "000000x"}
	if _, err = b.AuthenticateEmailOTP(ctx, code); err == nil || errors.Is(err, stytch.ErrBadArgument) {
		t.Errorf("a wrong code: %v", err)
	}
	code.Code = stytch.Secret(mail.Code)
	code.Own = own
	out, err = b.AuthenticateEmailOTP(ctx, code)
	b.wantEntered(t, out, err, desk.Email, desk.Organization)
	if len(out.Session.AuthenticationFactors) != 2 {
		t.Errorf("factors = %+v, want link and code in one session", out.Session.AuthenticationFactors)
	}
}

func TestAgainstSandboxDiscovery(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	const sam = "sam@partners.example"
	if _, err := b.SendDiscoveryMagicLink(ctx, stytch.EmailRequest{EmailAddress: sam, RedirectURL: landing + "?state=x%26y", CodeChallenge: challenge()}); err != nil {
		t.Fatal(err)
	}
	found, err := b.AuthenticateDiscoveryMagicLink(ctx, landedWith(t, b.mailed(t, "discovery_link", sam).URL, "discovery"), codeVerifier)
	if err != nil || found.EmailAddress != sam || found.IntermediateSessionToken == "" {
		t.Fatalf("found %+v, %v", found, err)
	}
	again, err := b.DiscoverOrganizations(ctx, found.IntermediateSessionToken)
	if err != nil || len(again.DiscoveredOrganizations) != len(found.DiscoveredOrganizations) {
		t.Fatalf("DiscoverOrganizations = %+v, %v", again, err)
	}
	kinds, bySlug := map[string]string{}, map[string]string{}
	for _, d := range again.DiscoveredOrganizations {
		slug := d.Organization.OrganizationSlug
		kinds[slug], bySlug[slug] = d.Membership.Type, d.Organization.OrganizationID
	}
	if kinds["acme"] != stytch.MembershipActive || kinds["globex"] != stytch.MembershipActive || kinds["initech"] != stytch.MembershipInvited {
		t.Fatalf("found %v", kinds)
	}
	out, err := b.ExchangeIntermediateSession(ctx, bySlug["globex"], stytch.SignIn{IntermediateSessionToken: found.IntermediateSessionToken})
	own := b.wantEntered(t, out, err, sam, "globex")
	if mine, err := b.DiscoverOrganizationsAs(ctx, own); err != nil || len(mine.DiscoveredOrganizations) != len(kinds) || mine.IntermediateSessionToken != "" {
		t.Errorf("DiscoverOrganizationsAs = %+v, %v", mine, err)
	}
	out, err = b.ExchangeSession(ctx, own, bySlug["acme"], 60)
	b.wantEntered(t, out, err, sam, "acme")
	out, err = b.ExchangeSession(ctx, own, bySlug["northwind"], 60) // demands a second factor
	b.wantMore(t, out, err)
	if _, err := b.ExchangeIntermediateSession(ctx, bySlug["acme"], stytch.SignIn{IntermediateSessionToken: found.IntermediateSessionToken}); err == nil {
		t.Error("the intermediate session is not used up")
	}

	if _, err := b.SendDiscoveryEmailOTP(ctx, sam); err != nil {
		t.Fatal(err)
	}
	found, err = b.AuthenticateDiscoveryEmailOTP(ctx, sam, stytch.Secret(b.mailed(t, "discovery_code", sam).Code))
	if err != nil || found.IntermediateSessionToken == "" || len(found.DiscoveredOrganizations) != len(kinds) {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAgainstSandboxProviders(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	desk := b.people[sandbox.RoleHelpdesk]
	org, err := b.GetOrganization(ctx, desk.Organization)
	if err != nil || len(org.Organization.SSOActiveConnections) == 0 {
		t.Fatalf("organization %+v, %v", org, err)
	}
	start := stytch.RedirectStart{
		PublicToken: b.info.PublicToken, OrganizationID: desk.Organization, RedirectURL: landing + "?state=x%26y", CodeChallenge: challenge(),
	}
	for _, connection := range org.Organization.SSOActiveConnections {
		byConnection := start
		byConnection.ConnectionID = connection.ConnectionID
		to, err := b.SSOStartURL(byConnection)
		if err != nil {
			t.Fatal(err)
		}
		token := landedWith(t, b.visit(t, to, desk.Email), "sso")
		out, err := b.AuthenticateSSO(ctx, stytch.TokenRequest{Token: token, CodeVerifier: codeVerifier})
		b.wantEntered(t, out, err, desk.Email, desk.Organization)
		if _, err = b.AuthenticateSSO(ctx, stytch.TokenRequest{Token: token, CodeVerifier: codeVerifier}); err == nil {
			t.Error("the token is good twice")
		}
	}
	to, err := b.OAuthStartURL("google", start)
	if err != nil {
		t.Fatal(err)
	}
	token := landedWith(t, b.visit(t, to, desk.Email), "oauth")
	out, err := b.AuthenticateOAuth(ctx, stytch.TokenRequest{Token: token, CodeVerifier: codeVerifier})
	b.wantEntered(t, out, err, desk.Email, desk.Organization)
	_, err = b.AuthenticateOAuth(ctx, stytch.TokenRequest{Token: token, CodeVerifier: codeVerifier})
	wantType(t, err, 400, stytch.ErrorTypeOAuthTokenNotFound)

	// GitHub does not say whether an address is the person's own.
	if to, err = b.OAuthStartURL("github", start); err != nil {
		t.Fatal(err)
	}
	out, err = b.AuthenticateOAuth(ctx, stytch.TokenRequest{Token: landedWith(t, b.visit(t, to, desk.Email), "oauth"), CodeVerifier: codeVerifier})
	proven := b.wantMore(t, out, err)
	if out.PrimaryRequired == nil || !slices.Contains(out.PrimaryRequired.AllowedAuthMethods, "email_otp") {
		t.Fatalf("got %+v, want another first factor", out.PrimaryRequired)
	}
	if _, err := b.SendEmailOTP(ctx, desk.Organization, desk.Email); err != nil {
		t.Fatal(err)
	}
	out, err = b.AuthenticateEmailOTP(ctx, stytch.EmailOTPRequest{
		OrganizationID: desk.Organization, EmailAddress: desk.Email, Code: stytch.Secret(b.mailed(t, "login_code", desk.Email).Code), SignIn: proven,
	})
	b.wantEntered(t, out, err, desk.Email, desk.Organization)

	discovery := start
	discovery.OrganizationID = ""
	if to, err = b.OAuthStartURL("microsoft", discovery); err != nil {
		t.Fatal(err)
	}
	found, err := b.AuthenticateDiscoveryOAuth(ctx, landedWith(t, b.visit(t, to, desk.Email), "discovery_oauth"), codeVerifier)
	if err != nil || found.IntermediateSessionToken == "" || len(found.DiscoveredOrganizations) == 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAgainstSandboxSecondFactors(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	first := func(p seeded) (stytch.SecondFactor, *stytch.MFARequired) {
		out, err := b.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{
			OrganizationID: p.Organization, EmailAddress: p.Email, Password: stytch.Secret(p.Password),
		})
		in := b.wantMore(t, out, err)
		if out.MFARequired == nil {
			t.Fatalf("%s: got %+v, want a second factor", p.Email, out)
		}
		return stytch.SecondFactor{OrganizationID: p.OrganizationID, MemberID: p.MemberID, SignIn: in}, out.MFARequired
	}
	secrets := func(p seeded) (out struct {
		TOTPCode      string   `json:"totp_code"`
		RecoveryCodes []string `json:"recovery_codes"`
	},
	) {
		b.control(t, http.MethodGet, "members/"+p.MemberID, "", &out)
		return out
	}

	mina := b.person(t, "acme", "mina@acme.example")
	f, needs := first(mina)
	if needs.MemberOptions == nil || needs.MemberOptions.TOTPRegistrationID == "" {
		t.Fatalf("needs %+v", needs)
	}
	_, err := b.AuthenticateTOTP(ctx, f, "000000x", false)
	wantType(t, err, 401, stytch.ErrorTypeUnableToAuthenticateTOTP)
	code := stytch.Secret(secrets(mina).TOTPCode)
	out, err := b.AuthenticateTOTP(ctx, f, code, false)
	b.wantEntered(t, out, err, mina.Email, "acme")
	_, err = b.CreateTOTP(ctx, f)
	wantType(t, err, 404, stytch.ErrorTypeIntermediateSessionNotFound)

	f, _ = first(mina)
	codes := secrets(mina).RecoveryCodes
	recovered, err := b.Recover(ctx, f, stytch.Secret(codes[0]))
	if err != nil {
		t.Fatal(err)
	}
	b.wantEntered(t, &recovered.AuthenticateResponse, nil, mina.Email, "acme")
	if recovered.RecoveryCodesRemaining != len(codes)-1 {
		t.Errorf("%d codes remain of %d", recovered.RecoveryCodesRemaining, len(codes))
	}
	f, _ = first(mina)
	_, err = b.Recover(ctx, f, stytch.Secret(codes[0]))
	wantType(t, err, 401, stytch.ErrorTypeUnableToAuthenticateRecoveryCode)
	if _, err := b.SendSMSOTP(ctx, f, ""); err != nil {
		t.Fatal(err)
	}
	out, err = b.AuthenticateSMSOTP(ctx, f, stytch.Secret(b.mailed(t, "sms_code", "").Code), false)
	b.wantEntered(t, out, err, mina.Email, "acme")

	// Enrolling: an app, then a phone, where nothing is enrolled yet.
	desk := b.people[sandbox.RoleHelpdesk]
	b.control(t, http.MethodPost, "organizations/acme", `{"mfa_policy":"REQUIRED_FOR_ALL"}`, &struct{}{})
	p := b.person(t, "acme", desk.Email)
	f, needs = first(p)
	if needs.MemberOptions != nil && (needs.MemberOptions.TOTPRegistrationID != "" || needs.MemberOptions.MFAPhoneNumber != "") {
		t.Fatalf("needs %+v, want nothing enrolled", needs)
	}
	app, err := b.CreateTOTP(ctx, f)
	if err != nil || len(app.RecoveryCodes) == 0 || app.MemberID != p.MemberID {
		t.Fatalf("CreateTOTP = %+v, %v", app, err)
	}
	out, err = b.AuthenticateTOTP(ctx, f, stytch.Secret(secrets(p).TOTPCode), true)
	own := b.wantEntered(t, out, err, p.Email, "acme")
	if !out.Member.MFAEnrolled || out.Member.TOTPRegistrationID != app.TOTPRegistrationID {
		t.Errorf("enrolled %+v", out.Member)
	}
	as := stytch.SecondFactor{OrganizationID: p.OrganizationID, MemberID: p.MemberID, SignIn: stytch.SignIn{Own: own}}
	_, err = b.CreateTOTP(ctx, as)
	wantType(t, err, 400, stytch.ErrorTypeActiveTOTPExists)
	if _, err := b.SendSMSOTP(ctx, as, "+15005550009"); err != nil {
		t.Fatal(err)
	}
	out, err = b.AuthenticateSMSOTP(ctx, as, stytch.Secret(b.mailed(t, "sms_code", "+15005550009").Code), true)
	b.wantEntered(t, out, err, p.Email, "acme")
}

func TestAgainstSandboxPasswords(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	desk := b.people[sandbox.RoleHelpdesk]
	weak, err := b.CheckPasswordStrength(ctx, desk.Email, "password")
	if err != nil || weak.Valid || weak.Policy == "" {
		t.Errorf("weak: %+v, %v", weak, err)
	}
	strong, err := b.CheckPasswordStrength(ctx, "", newPassword)
	if err != nil || !strong.Valid || strong.Breached {
		t.Errorf("strong: %+v, %v", strong, err)
	}
	if _, err := b.StartPasswordReset(ctx, stytch.ResetStartRequest{
		OrganizationID: desk.Organization, EmailAddress: desk.Email,
		RedirectURL: landing + "?state=x%26y", LoginRedirectURL: landing + "?state=x%26y", CodeChallenge: challenge(),
	}); err != nil {
		t.Fatal(err)
	}
	mail := b.mailed(t, "password_reset", desk.Email)
	token := landedWith(t, mail.URL, "multi_tenant_passwords")
	landedWith(t, mail.LoginURL, "multi_tenant_magic_links")
	_, err = b.ResetPasswordByEmail(ctx, stytch.ResetPasswordRequest{Token: token, CodeVerifier: codeVerifier, Password: "password"})
	wantType(t, err, 400, stytch.ErrorTypeWeakPassword, stytch.ErrorTypeBreachedPassword)
	if _, err := b.ResetPasswordByEmail(ctx, stytch.ResetPasswordRequest{Token: token, Password: newPassword}); err == nil {
		t.Error("no verifier was good enough")
	}
	out, err := b.ResetPasswordByEmail(ctx, stytch.ResetPasswordRequest{Token: token, CodeVerifier: codeVerifier, Password: newPassword})
	own := b.wantEntered(t, out, err, desk.Email, desk.Organization)
	_, err = b.ResetPasswordByEmail(ctx, stytch.ResetPasswordRequest{Token: token, CodeVerifier: codeVerifier, Password: newPassword})
	wantType(t, err, 401, stytch.ErrorTypeUnableToAuthPasswordResetToken)

	out, err = b.ResetPasswordBySession(ctx, own, out.Organization.OrganizationID, newPassword+"2", 60)
	b.wantEntered(t, out, err, desk.Email, desk.Organization)
	out, err = b.ResetPasswordByExisting(ctx, stytch.ExistingPasswordRequest{
		OrganizationID: desk.Organization, EmailAddress: desk.Email, Existing: newPassword + "2", New: newPassword + "3",
	})
	b.wantEntered(t, out, err, desk.Email, desk.Organization)
	_, err = b.AuthenticateSession(ctx, own, nil)
	wantType(t, err, 404, stytch.ErrorTypeSessionNotFound)
	out, err = b.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{OrganizationID: desk.Organization, EmailAddress: desk.Email, Password: newPassword + "3"})
	b.wantEntered(t, out, err, desk.Email, desk.Organization)
}

func TestAgainstSandboxCrossOrganizationPasswords(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1, CrossOrgPasswords: true})
	ctx := t.Context()
	const sam = "sam@partners.example"
	if _, err := b.StartDiscoveryPasswordReset(ctx, stytch.EmailRequest{EmailAddress: sam, RedirectURL: landing + "?state=x%26y", CodeChallenge: challenge()}); err != nil {
		t.Fatal(err)
	}
	token := landedWith(t, b.mailed(t, "discovery_reset", sam).URL, "discovery")
	found, err := b.DiscoveryResetPassword(ctx, token, codeVerifier, newPassword)
	if err != nil || found.IntermediateSessionToken == "" || len(found.DiscoveredOrganizations) < 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	found, err = b.AuthenticateDiscoveryPassword(ctx, sam, newPassword)
	if err != nil || found.IntermediateSessionToken == "" || len(found.DiscoveredOrganizations) < 2 {
		t.Errorf("found %+v, %v", found, err)
	}
	_, err = b.AuthenticateDiscoveryPassword(ctx, sam, "wrong")
	wantType(t, err, 401, stytch.ErrorTypeUnauthorizedCredentials)
}

func TestAgainstSandboxImpersonation(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()
	p := b.person(t, "acme", b.people[sandbox.RoleMember].Email)
	var minted struct {
		Token stytch.Secret `json:"token"`
	}
	b.control(t, http.MethodPost, "impersonations", `{"member_id":"`+p.MemberID+`"}`, &minted)
	out, err := b.AuthenticateImpersonation(ctx, minted.Token)
	b.wantEntered(t, out, err, p.Email, "acme")
	if id, email, ok := out.Session.Impersonator(); !ok || id == "" || !strings.Contains(email, "@") {
		t.Errorf("impersonator = %q, %q, %v", id, email, ok)
	}
	_, err = b.AuthenticateImpersonation(ctx, minted.Token)
	wantType(t, err, 401, stytch.ErrorTypeUnableToAuthImpersonationToken)
}

// A verifier that is running follows the sandbox to its next key, and still takes what the old one signed.
func TestAgainstSandboxKeys(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	v, err := b.NewJWTVerifier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, _ := b.signIn(t, sandbox.RoleHelpdesk)
	wantOf := func(out *stytch.AuthenticateResponse) {
		t.Helper()
		if s, _, err := v.Verify(t.Context(), out.SessionJWT.Reveal()); err != nil || s.MemberID != out.MemberID {
			t.Errorf("Verify = %+v, %v", s, err)
		}
	}
	wantOf(before)
	b.control(t, http.MethodPost, "keys/rotate", `{}`, &struct{}{})
	after, _ := b.signIn(t, sandbox.RoleHelpdesk)
	wantOf(after)
	wantOf(before)
}
