package handlers_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/pquerna/otp/totp"

	"orgconsole/internal/audit"
)

// facts are what the sandbox tells of a member behind everybody's back.
type facts struct {
	TOTPCode      string   `json:"totp_code"`
	RecoveryCodes []string `json:"recovery_codes"`
}

func (s *site) facts(memberID string) facts {
	s.t.Helper()
	var f facts
	s.control(http.MethodGet, "members/"+memberID, nil, &f)
	return f
}

// password signs in by password in a fresh browser, and returns what comes next.
func (s *site) password(who someone, returnPath string) (*browser, *answer) {
	s.t.Helper()
	b, form := s.browser(), loginForm(who)
	form.Set("return", returnPath)
	resp := b.post("/login/password", form)
	resp.wantLocation("/mfa")
	b.wantSignedOut()
	return b, b.then(resp).wantStatus(http.StatusOK)
}

func TestSecondFactorApp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("tom@northwind.test")
	b, page := s.password(who, "/account")
	code := s.facts(who.MemberID).TOTPCode
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	page = b.submit(page, "/mfa/totp", url.Values{"code": {wrong}}).wantStatus(http.StatusUnauthorized).wantAlert("code is wrong")
	b.submit(page, "/mfa/totp", url.Values{"code": {code[:3] + " " + code[3:]}}).wantLocation("/account")
	b.wantSignedIn(who.Email)
	// The same code in another sign-in: each is taken once.
	other, page := s.password(who, "")
	other.submit(page, "/mfa/totp", url.Values{"code": {code}}).wantStatus(http.StatusUnauthorized)
	factors := s.events(who.OrganizationID, audit.ActionSecondFactor)
	if len(factors) != 3 || factors[1].Outcome != audit.OutcomeSucceeded || factors[2].Outcome != audit.OutcomeFailed {
		t.Errorf("second factors recorded: %+v", factors)
	}
	if ins := s.events(who.OrganizationID, audit.ActionSignIn); len(ins) != 1 || !slices.Equal(ins[0].Actor.AuthFactors, []string{"password", "totp"}) {
		t.Errorf("sign-ins recorded: %+v", ins)
	}
	if firsts := s.events(who.OrganizationID, audit.ActionFirstFactor); len(firsts) != 2 || firsts[0].Detail != "mfa_required" {
		t.Errorf("first factors recorded: %+v", firsts)
	}
}

func TestSecondFactorRecoveryCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("tom@northwind.test")
	code := s.facts(who.MemberID).RecoveryCodes[0]
	b, page := s.password(who, "")
	if page.doc().Find("a[href='/mfa?with=recovery_code']").Length() != 1 {
		t.Error("recovery codes are not offered")
	}
	b.submit(b.get("/mfa?with=recovery_code"), "/mfa/recovery", url.Values{"code": {" " + code + " "}}).wantLocation("/")
	b.wantSignedIn(who.Email)
	again, _ := s.password(who, "")
	again.submit(again.get("/mfa?with=recovery_code"), "/mfa/recovery", url.Values{"code": {code}}).wantStatus(http.StatusUnauthorized).wantAlert("used before")
}

func TestSecondFactorTextMessage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("sms@northwind.test")
	b, page := s.password(who, "")
	// Stytch sent it with the password; it is not sent a second time.
	if n := len(s.calls("otps.sms.send")); n != 0 || len(s.outbox("sms_code")) != 1 {
		t.Errorf("%d calls, %d messages", n, len(s.outbox("sms_code")))
	}
	first := s.newest("sms_code").Code
	page = b.then(b.submit(page, "/mfa/sms/send", nil))
	second := s.newest("sms_code").Code
	if first != second {
		page = b.submit(page, "/mfa/sms", url.Values{"code": {first}}).wantStatus(http.StatusUnauthorized).wantAlert("wrong or too old")
	}
	b.submit(page, "/mfa/sms", url.Values{"code": {second}}).wantLocation("/")
	b.wantSignedIn(who.Email)
}

func TestEnrolAnAuthenticatorApp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("nell@northwind.test")
	b, page := s.password(who, "/account")
	page = b.then(b.submit(page, "/mfa/enroll/totp", nil))
	if src := page.doc().Find("main img").AttrOr("src", ""); !strings.HasPrefix(src, "data:image/png;base64,") {
		t.Errorf("the picture is %.40q", src)
	}
	key := func(page *answer) string {
		return strings.Join(strings.Fields(page.doc().Find("main code").Text()), "")
	}
	secret := key(page)
	code, err := totp.GenerateCode(secret, s.clock.Now())
	if err != nil {
		t.Fatalf("%v; the page says %q", err, page.text("main"))
	}
	// A second click makes no second secret, and a wrong code loses nothing.
	b.post("/mfa/enroll/totp", url.Values{"proof": {page.doc().Find("input[name='proof']").AttrOr("value", "")}}).wantLocation("/mfa")
	if n := len(s.calls("totp.create")); n != 1 {
		t.Errorf("%d secrets were made", n)
	}
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	page = b.submit(page, "/mfa/totp", url.Values{"code": {wrong}}).wantStatus(http.StatusUnauthorized)
	if key(page) != secret {
		t.Error("the key is gone after a wrong code")
	}
	done := b.submit(page, "/mfa/totp", url.Values{"code": {code}})
	done.wantLocation("/mfa/recovery-codes")
	codes := b.then(done).wantStatus(http.StatusOK)
	kept := s.facts(who.MemberID).RecoveryCodes
	for _, c := range kept {
		if !strings.Contains(codes.body, c) {
			t.Errorf("recovery code %s is not shown", c)
		}
	}
	out := s.browser()
	out.cookies["console-sign-in"] = b.cookies["console-sign-in"]
	out.get("/mfa/recovery-codes").wantLocation("/login?return=%2Fmfa%2Frecovery-codes")
	other := s.signIn("ada@acme.example")
	other.cookies["console-sign-in"] = b.cookies["console-sign-in"]
	other.get("/mfa/recovery-codes").wantStatus(http.StatusSeeOther)
	b.submit(codes, "/mfa/recovery-codes", nil).wantLocation("/account")
	b.wantSignedIn(who.Email)
	if again := b.get("/mfa/recovery-codes"); again.StatusCode != http.StatusSeeOther {
		t.Error("the recovery codes are shown a second time")
	}
	again, page := s.password(who, "")
	s.clock.add(time.Minute)
	again.submit(page, "/mfa/totp", url.Values{"code": {s.facts(who.MemberID).TOTPCode}}).wantLocation("/")
}

func TestEnrolAPhone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("nell@northwind.test")
	b, page := s.password(who, "")
	b.submit(page, "/mfa/enroll/sms", url.Values{"phone": {"020 7946 0958"}}).wantStatus(http.StatusUnprocessableEntity).wantAlert("country's code")
	page = b.then(b.submit(page, "/mfa/enroll/sms", url.Values{"phone": {"+44 20 7946 0958"}}))
	if !strings.Contains(page.text("main"), "+442079460958") {
		t.Errorf("the page says %q", page.text("main"))
	}
	m := s.newest("sms_code")
	if m.To != "+442079460958" {
		t.Errorf("sent to %s", m.To)
	}
	b.submit(page, "/mfa/sms", url.Values{"code": {m.Code}}).wantLocation("/")
	b.wantSignedIn(who.Email)
}

// Ten minutes after the first factor it is worth nothing.
func TestFirstFactorExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("tom@northwind.test")
	b, page := s.password(who, "")
	s.clock.add(11 * time.Minute)
	b.submit(page, "/mfa/totp", url.Values{"code": {s.facts(who.MemberID).TOTPCode}}).wantStatus(http.StatusUnauthorized).wantAlert("took too long")
	b.get("/mfa").wantStatus(http.StatusUnauthorized)
	b.wantSignedOut()
}

// The cookie of a half sign-in is no session, and a session is no half sign-in.
func TestHalfASignInIsNoSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, _ := s.password(s.someone("tom@northwind.test"), "")
	thief := s.browser()
	half := *b.cookies["console-sign-in"]
	half.Name = "console"
	thief.cookies["console"] = &half
	thief.wantSignedOutAfter()
	in := s.signIn("ada@acme.example")
	whole := *in.cookies["console"]
	whole.Name = "console-sign-in"
	thief.cookies = map[string]*http.Cookie{"console-sign-in": &whole}
	thief.get("/mfa").wantStatus(http.StatusUnauthorized)
}

func (b *browser) wantSignedOutAfter() {
	b.s.t.Helper()
	b.get("/account").wantLocation("/login?notice=session-ended&return=%2Faccount")
}

// leave follows a link of the sign-in page to the stand-in identity provider,
// says who one is there, and returns where it sends the browser back to.
func (b *browser) leave(start, email string) string {
	b.s.t.Helper()
	begun := b.get(start)
	if begun.StatusCode != http.StatusFound {
		b.s.t.Fatalf("%s: %d %s", start, begun.StatusCode, begun.alert())
	}
	client := *b.s.upstream.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	fetch := func(method, address string, form url.Values) (*http.Response, string) {
		var body io.Reader
		if form != nil {
			body = strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(b.s.t.Context(), method, address, body)
		if err != nil {
			b.s.t.Fatal(err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := client.Do(req)
		if err != nil {
			b.s.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			b.s.t.Fatal(err)
		}
		return resp, string(text)
	}
	at, _ := url.Parse(begun.Header.Get("Location"))
	resp, text := fetch(http.MethodGet, at.String(), nil)
	for range 3 {
		if resp.StatusCode/100 != 3 {
			break
		}
		next, err := at.Parse(resp.Header.Get("Location"))
		if err != nil {
			b.s.t.Fatal(err)
		}
		at = next
		resp, text = fetch(http.MethodGet, at.String(), nil)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		b.s.t.Fatal(err)
	}
	form := url.Values{}
	doc.Find("form input[type='hidden']").Each(func(_ int, h *goquery.Selection) { form.Set(h.AttrOr("name", ""), h.AttrOr("value", "")) })
	form.Set("email", email)
	action, err := at.Parse(doc.Find("form").First().AttrOr("action", at.String()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	resp, text = fetch(http.MethodPost, action.String(), form)
	if resp.StatusCode != http.StatusSeeOther {
		b.s.t.Fatalf("the identity provider: %d %s", resp.StatusCode, text)
	}
	return resp.Header.Get("Location")
}

// start is the address of a button of an organization's sign-in page.
func (b *browser) start(organization, button string) string {
	b.s.t.Helper()
	return b.get("/login?organization="+organization+"&return=%2Faccount").doc().Find("main a:contains('"+button+"')").AttrOr("href", "no button "+button)
}

func withPublicToken(o *siteOptions) { o.publicToken = true }

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	who := s.someone("ingrid@initech.test")
	b := s.browser()
	back := b.leave(b.start("initech", "Okta"), who.Email)
	page := b.then(b.follow(back)).wantStatus(http.StatusOK)
	if page.doc().Find("[data-autosubmit]").Length() != 1 {
		t.Error("script has to press a button of a sign-in that this browser began")
	}
	b.submit(page, "/authenticate", nil).wantLocation("/account")
	b.wantSignedIn(who.Email)
	if ins := s.events(who.OrganizationID, audit.ActionSignIn); len(ins) != 1 || !slices.Equal(ins[0].Actor.AuthFactors, []string{"sso"}) {
		t.Errorf("recorded %+v", ins)
	}
	s.browser().follow(back).wantLocation("/authenticate?refused=not-here")
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	who := s.someone("hiro@acme.example")
	b := s.browser()
	b.land(b.leave(b.start("acme", "Google"), who.Email)).wantLocation("/account")
	b.wantSignedIn(who.Email)

	find := s.browser()
	start := find.get("/login/find").doc().Find("a:contains('Google')").AttrOr("href", "none")
	page := find.then(find.land(find.leave(start, "sam@partners.example"))).wantStatus(http.StatusOK)
	find.submitChoice(page, "/login/organizations", s.someone("olga@globex.example").OrganizationID).wantLocation("/")
	find.wantSignedIn("sam@partners.example")
}

// A provider that does not vouch for the address needs another way besides.
func TestPrimaryRequired(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	who := s.someone("hiro@acme.example")
	b := s.browser()
	more := b.land(b.leave(b.start("acme", "GitHub"), who.Email))
	more.wantLocation("/login/more")
	b.wantSignedOut()
	page := b.then(more).wantStatus(http.StatusOK)
	proof := s.lastToken()
	if page.doc().Find("[formaction='/login/code'], form[action='/login/code']").Length() != 1 || page.doc().Find("input[type='password']").Length() != 0 {
		t.Errorf("offered: %q", page.text("main"))
	}
	code := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {who.Email}}))
	b.submit(code, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}}).wantLocation("/account")
	if got := s.sent("/otps/email/authenticate", "intermediate_session_token"); got == "" || got != proof {
		t.Error("what was proven before was not sent along")
	}
	b.wantSignedIn(who.Email)
	ins := s.events(who.OrganizationID, audit.ActionSignIn)
	if len(ins) != 1 || !slices.Contains(ins[0].Actor.AuthFactors, "oauth") || !slices.Contains(ins[0].Actor.AuthFactors, "email_otp") {
		t.Errorf("recorded %+v", ins)
	}
}

// lastToken is the newest secret that the upstream gave out.
func (s *site) lastToken() string {
	all := strings.Fields(s.tokens.String())
	return all[len(all)-1]
}

func TestImpersonation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("ada@acme.example")
	var minted struct {
		Token string `json:"token"`
	}
	s.control(http.MethodPost, "impersonations", map[string]any{"member_id": who.MemberID}, &minted)
	b := s.browser()
	page := b.then(b.get("/authenticate?stytch_token_type=multi_tenant_impersonation&token=" + minted.Token)).wantStatus(http.StatusOK)
	if !strings.Contains(page.text("main"), "recorded as an impersonation") {
		t.Errorf("the page says %q", page.text("main"))
	}
	b.submit(page, "/authenticate", nil).wantLocation("/")
	for _, path := range []string{"/members", "/account", "/audit", "/members/" + who.MemberID, "/nothing-here", "/login/find", "/login/forgot", "/authenticate"} {
		if got := b.get(path).text("[aria-label='Impersonation']"); !strings.Contains(got, "operator@sandbox.example") || !strings.Contains(got, who.Email) {
			t.Errorf("%s: the banner says %q", path, got)
		}
	}
	target := s.someone("paula@acme.example")
	confirm := b.get("/members/" + target.MemberID + "/password/delete")
	b.submit(confirm, "/members/"+target.MemberID+"/password/delete", url.Values{"reason": {"asked to"}}).wantStatus(http.StatusSeeOther)
	b.post("/logout", nil)
	for _, ev := range s.events(who.OrganizationID, "") {
		if ev.Actor.MemberID != who.MemberID {
			continue
		}
		impersonator := slices.ContainsFunc(ev.Actor.AuthFactors, func(f string) bool { return strings.HasPrefix(f, "impersonator:dashboard-user-") })
		if !slices.Contains(ev.Actor.AuthFactors, "impersonated") || !impersonator {
			t.Errorf("%s was recorded with the factors %q", ev.Action, ev.Actor.AuthFactors)
		}
	}
	if n := len(s.events(who.OrganizationID, audit.ActionDeletePassword)); n != 2 {
		t.Errorf("%d events of the deletion, want 2", n)
	}
	// A member's own things are not the impersonator's to change.
	s.control(http.MethodPost, "impersonations", map[string]any{"member_id": who.MemberID}, &minted)
	b = s.browser()
	b.submit(b.then(b.get("/authenticate?stytch_token_type=multi_tenant_impersonation&token="+minted.Token)), "/authenticate", nil)
	b.post("/account/password", url.Values{"current_password": {who.Password}, "new_password": {"seven-otters-juggle-92-lamps"}}).wantStatus(http.StatusForbidden)
	if n := len(s.calls("passwords.existing_password.reset")); n != 0 {
		t.Errorf("%d calls to change the password", n)
	}
	if evs := s.events(who.OrganizationID, audit.ActionSetPassword); len(evs) != 1 || evs[0].Outcome != audit.OutcomeDenied {
		t.Errorf("what the impersonator tried is recorded as %+v", evs)
	}
	// Also the end of an impersonation is one, when nobody can be asked about it.
	away := s.browser()
	away.cookies = maps.Clone(b.cookies)
	s.clock.add(2 * time.Minute)
	s.faults(map[string]any{"endpoint": "*", "kind": "server_error"})
	away.post("/logout", nil).wantStatus(http.StatusBadGateway)
	s.faults()
	if ev := s.events(who.OrganizationID, audit.ActionSignOut)[0]; !slices.Contains(ev.Actor.AuthFactors, "impersonated") {
		t.Errorf("signed out with the factors %q", ev.Actor.AuthFactors)
	}
	s.control(http.MethodPost, "impersonations", map[string]any{"member_id": who.MemberID}, &minted)
	b = s.browser()
	b.submit(b.then(b.get("/authenticate?stytch_token_type=multi_tenant_impersonation&token="+minted.Token)), "/authenticate", nil)
	// It ends after its hour, whatever is done meanwhile.
	for range 5 {
		s.clock.add(13 * time.Minute)
		b.get("/members")
	}
	b.get("/members").wantStatus(http.StatusSeeOther)
}

// Going back to the choice and coming again finds the same key: the upstream makes no second one beside it.
func TestSecondThoughtsAboutEnrolment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, page := s.password(s.someone("nell@northwind.test"), "")
	key := func(page *answer) string {
		return strings.Join(strings.Fields(page.doc().Find("main code").Text()), "")
	}
	page = b.then(b.submit(page, "/mfa/enroll/totp", nil))
	secret := key(page)
	page = b.then(b.submit(page, "/mfa/enroll/other", nil))
	page = b.then(b.submit(page, "/mfa/enroll/sms", url.Values{"phone": {"+44 20 7946 0958"}}))
	page = b.then(b.submit(page, "/mfa/enroll/other", nil))
	if page = b.then(b.submit(page, "/mfa/enroll/totp", nil)); key(page) != secret || secret == "" {
		t.Errorf("the key is %q, was %q", key(page), secret)
	}
	// Another browser cannot have it, and is told so.
	other, page := s.password(s.someone("nell@northwind.test"), "")
	other.submit(page, "/mfa/enroll/totp", nil).wantStatus(http.StatusConflict).wantAlert("less than an hour ago")
}

// Whoever is signed in may add a second factor; the sign-in goes on as it was.
func TestAddASecondFactorLater(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("hiro@acme.example")
	b := s.signIn(who.Email)
	s.clock.add(6 * time.Minute)
	b.submit(b.get("/account"), "/account/second-factor", nil).wantStatus(http.StatusForbidden).wantAlert("older than five minutes")
	b = s.signIn(who.Email)
	s.clock.add(4 * time.Minute)
	b.get("/account")
	left := b.left()
	page := b.then(b.submit(b.get("/account"), "/account/second-factor", nil)).wantStatus(http.StatusOK)
	page = b.then(b.submit(page, "/mfa/enroll/totp", nil))
	code, err := totp.GenerateCode(strings.Join(strings.Fields(page.doc().Find("main code").Text()), ""), s.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	// Nobody else can finish it with what is in this browser's cookie of the sign-in.
	thief := s.signIn("ada@acme.example")
	half := *b.cookies["console-sign-in"]
	thief.cookies["console-sign-in"] = &half
	proof := page.doc().Find("input[name='proof']").AttrOr("value", "")
	thief.post("/mfa/totp", url.Values{"proof": {proof}, "code": {code}}).wantStatus(http.StatusSeeOther)
	out := s.browser()
	out.cookies["console-sign-in"] = &half
	if got := out.get("/mfa"); got.StatusCode != http.StatusSeeOther || strings.Contains(got.body, "data:image") {
		t.Error("the key is shown without the session")
	}
	if n := len(s.calls("totp.authenticate")); n != 0 {
		t.Errorf("%d calls for somebody else", n)
	}
	done := b.submit(page, "/mfa/totp", url.Values{"code": {code}})
	done.wantLocation("/mfa/recovery-codes")
	b.submit(b.then(done), "/mfa/recovery-codes", nil).wantLocation("/account?notice=second-factor")
	b.wantSignedIn(who.Email)
	if got := b.left(); got.End != left.End {
		t.Errorf("the session now ends in %d s, was %d", got.End, left.End)
	}
	if n := len(s.events(who.OrganizationID, audit.ActionSignIn)); n != 3 { // hiro's two and ada's
		t.Errorf("%d sign-ins recorded", n)
	}
	_, page = s.password(who, "")
	if !strings.Contains(page.text("main"), "authenticator app") {
		t.Errorf("the next sign-in asks %q", page.text("main"))
	}
}

// Another site can send nobody off to be signed in anew, and the address one is
// sent to does not tell whether the organization exists.
func TestRedirectsAreBegunHere(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	b := s.browser()
	start := b.start("initech", "Okta")
	for site, status := range map[string]int{"cross-site": 303, "same-site": 303, "same-origin": 302, "none": 302} {
		resp := s.browser().get(start, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) })
		resp.wantStatus(status)
		if status == 303 && !strings.HasPrefix(resp.Header.Get("Location"), "/login") {
			t.Errorf("%s: led to %s", site, resp.Header.Get("Location"))
		}
	}
	for _, organization := range []string{"globex", "no-such-org"} {
		to := s.browser().get("/login/oauth/google/start?organization=" + organization)
		if u, err := url.Parse(to.Header.Get("Location")); err != nil || u.Query().Get("organization_id") != organization {
			t.Errorf("%s: led to %s", organization, to.Header.Get("Location"))
		}
	}
	s.browser().get("/login/oauth/myspace/start").wantStatus(http.StatusNotFound)
	s.browser().get("/login/oauth/slack/start?organization=acme").wantStatus(http.StatusNotFound)
	s.browser().get("/login/sso/start?organization=acme&connection=saml-connection-test-x").wantStatus(http.StatusNotFound)
}

// A factor that is not there is not tried.
func TestOnlyEnrolledFactorsAreTried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for email, path := range map[string]string{"tom@northwind.test": "/mfa/sms", "sms@northwind.test": "/mfa/totp", "nell@northwind.test": "/mfa/recovery"} {
		b, page := s.password(s.someone(email), "")
		b.post(path, url.Values{"proof": {page.doc().Find("input[name='proof']").AttrOr("value", "")}, "code": {"123456"}}).wantStatus(http.StatusForbidden).wantAlert("not a second factor here")
	}
	for _, endpoint := range []string{"otps.sms.authenticate", "totp.authenticate", "recovery_codes.recover"} {
		if n := len(s.calls(endpoint)); n != 0 {
			t.Errorf("%d calls of %s", n, endpoint)
		}
	}
}

// However much a sign-in has to remember, it fits into a cookie.
func TestLongAddressesFit(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	b := s.browser()
	back := "/members?q=" + strings.Repeat("x", 900)
	long := strings.Repeat("a", 240) + "@example.com"
	for range 5 {
		b.post("/login/link", url.Values{"organization": {strings.Repeat("o", 128)}, "email": {long}, "return": {back}}).wantStatus(http.StatusSeeOther)
		s.clock.add(time.Minute)
	}
	who := s.someone("nell@northwind.test")
	form := loginForm(who)
	form.Set("return", back)
	b.submit(b.then(b.post("/login/password", form)), "/mfa/enroll/totp", nil).wantLocation("/mfa")
	if n := len(b.cookies["console-sign-in"].String()); n > 4096 {
		t.Errorf("%d bytes", n)
	}
}

// What one person has proven goes along with nobody else's factor.
func TestProofStaysWithOnePerson(t *testing.T) {
	t.Parallel()
	s := newSite(t, withPublicToken)
	b := s.browser()
	b.land(b.leave(b.start("acme", "GitHub"), "hiro@acme.example")).wantLocation("/login/more")
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"noor@acme.example"}}))
	b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}}).wantStatus(http.StatusSeeOther)
	if got := s.sent("/otps/email/authenticate", "intermediate_session_token"); got != "" {
		t.Error("hiro's proof went along with noor's code")
	}
	b.wantSignedIn("noor@acme.example")
}

// A form goes on with the sign-in its page spoke of, whatever another tab has begun since.
func TestTwoTabsDoNotMix(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	tom, sms := s.someone("tom@northwind.test"), s.someone("sms@northwind.test")
	b, toms := s.password(tom, "")
	b.then(b.post("/login/password", loginForm(sms)))
	b.submit(toms, "/mfa/totp", url.Values{"code": {s.facts(tom.MemberID).TOTPCode}}).wantStatus(http.StatusConflict).wantAlert("Another sign-in was begun")
	if n := len(s.calls("totp.authenticate")); n != 0 {
		t.Errorf("%d codes were tried for somebody else", n)
	}
	b.wantSignedOut()

	b = s.browser()
	prove := func(email string) *answer {
		page := b.then(b.post("/login/find/code", url.Values{"email": {email}}))
		return b.then(b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("discovery_code").Code}}))
	}
	sams := prove("sam@partners.example")
	prove("olga@globex.example")
	b.submitChoice(sams, "/login/organizations", s.someone("olga@globex.example").OrganizationID).wantStatus(http.StatusConflict)
	b.wantSignedOut()

	// Codes are for the mail that their form was about: both tabs work.
	b = s.browser()
	first := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}}))
	hiros := s.newest("login_code").Code
	b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"noor@acme.example"}}))
	b.submit(first, "/login/code/verify", url.Values{"code": {hiros}}).wantLocation("/")
	b.wantSignedIn("hiro@acme.example")
}

// A switch that needs a second factor ends when the sign-in before it would have ended.
func TestSwitchWithASecondFactorKeepsTheEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"sam@partners.example"}}))
	b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}})
	before := b.left()
	s.clock.add(20 * time.Minute)
	northwind := s.someone("tom@northwind.test").OrganizationID
	page = b.then(b.submitChoice(b.get("/account/organizations"), "/account/organizations", northwind)).wantStatus(http.StatusOK)
	page = b.then(b.submit(page, "/mfa/enroll/sms", url.Values{"phone": {"+44 20 7946 0958"}}))
	delete(b.cookies, "console") // whoever finishes it without the session it began with gains nothing
	b.submit(page, "/mfa/sms", url.Values{"code": {s.newest("sms_code").Code}}).wantLocation("/")
	if after := b.left(); after.End > before.End-20*60 {
		t.Errorf("%d s are left after 20 minutes, were %d", after.End, before.End)
	}
	if evs := s.events(northwind, audit.ActionSwitch); len(evs) != 1 || !slices.Contains(evs[0].Actor.AuthFactors, "otp") {
		t.Errorf("recorded %+v", evs)
	}
}
