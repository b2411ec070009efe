package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// askLink asks for a sign-in link of acme and returns its address.
func (b *browser) askLink(s *site, email, returnPath string) string {
	b.t.Helper()
	b.press(b.get("/login?return="+url.QueryEscape(returnPath)), "Email me a sign-in link", map[string]string{"organization": "acme", "email": email}).wants(http.StatusOK)
	return s.control.message("login_link", email).URL
}

// A link is of the browser that asked for it, however its parts are put together.
func TestLinksAreOfOneBrowser(t *testing.T) {
	t.Parallel()
	s := start(t)
	const victim, attacker = "hiro@acme.example", "max@acme.example"
	mine, theirs := s.browser(), s.browser()
	own, evil := mine.askLink(s, victim, "/account"), theirs.askLink(s, attacker, "/account")
	mark := s.control.mark()

	mine.arrive(evil).alert(http.StatusForbidden, "not asked for in this browser")
	theirs.arrive(own).alert(http.StatusForbidden, "not asked for in this browser")
	s.control.calls(mark, epLink, 0)
	for name, mixed := range map[string]string{
		"one's own state, their token": withQuery(t, evil, "state", queryOf(t, own, "state")),
		"no state, their token":        withQuery(t, evil, "state", ""),
		"no state, one's own token":    withQuery(t, own, "state", ""),
	} {
		p := mine.press(mine.arrive(mixed), "Sign in", nil)
		if p.alert(http.StatusUnauthorized, "asked for in another browser"); len(s.control.journal(mark, epLink)) == 0 {
			t.Errorf("%s: the upstream was not asked", name)
		}
		mine.wantOut()
	}
	// With a state of another kind of sign-in a token is no better.
	mine.press(mine.get("/login/find"), "Email me a link", map[string]string{"email": victim}).wants(http.StatusOK)
	found := s.control.message("discovery_link", victim).URL
	for _, kind := range []string{"sso", "oauth", "discovery_oauth", "discovery", "multi_tenant_impersonation", "multi_tenant_passwords"} {
		mixed := withQuery(t, withQuery(t, evil, "state", queryOf(t, found, "state")), "stytch_token_type", kind)
		p := mine.arrive(mixed)
		for _, button := range []string{"Sign in", "Start impersonation"} {
			if slices.Contains(p.ways(), button) {
				p = mine.press(p, button, nil)
			}
		}
		mine.wantOut()
	}
	// The cookie of a sign-in under way belongs to its own links only.
	swapped := s.browser()
	swapped.put(theirs.cookie("console-sign-in"))
	swapped.arrive(own).alert(http.StatusForbidden, "not asked for in this browser")

	// None of that used the real links up.
	mine.press(mine.arrive(own), "Sign in", nil).wants(http.StatusOK)
	mine.wantIn(victim, "Acme Corporation", "email link")
	theirs.press(theirs.arrive(evil), "Sign in", nil).wants(http.StatusOK)
	theirs.wantIn(attacker, "Acme Corporation", "email link")
	if rows := s.as("auditor").audit("?action=session.sign_in&outcome=failed"); len(rows) != 1 || !strings.Contains(rows[0].actor, victim) {
		// A token without a state names no organization to record it in.
		t.Errorf("the audit has %+v, want the token under one's own state", rows)
	}
}

// Somebody else's link, opened by who is signed in, says so before anything happens.
func TestSomebodyElsesLinkTakesNobodyOver(t *testing.T) {
	t.Parallel()
	s := start(t)
	ada := s.as("org_admin")
	invite := s.control.message("invite", "ilse@acme.example").URL
	mark := s.control.mark()
	p := ada.arrive(invite).wants(http.StatusOK)
	p.says("main", "You did not ask for this in this browser", "Going on signs you out of that first")
	if got := p.row("Signed in now"); got != "ada@acme.example" {
		t.Errorf("the page tells of %q", got)
	}
	s.control.calls(mark, epLink, 0)
	if p := ada.get("/account"); p.row("Signed in as") != "ada@acme.example" {
		t.Errorf("looking at the link changed who is signed in: %s", p.words())
	}
	old := ada.cookie("console")
	ada.press(p, "Sign in", nil).wants(http.StatusOK)
	ada.wantIn("ilse@acme.example", "Acme Corporation", "email link")
	thief := s.browser()
	thief.put(old)
	thief.wantOut()
}

// Looking at a link does nothing, however often and with whatever method; its
// button works once, and what is replayed gets nobody in.
func TestLandingsAreUsedOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	const email = "hiro@acme.example"
	b := s.browser()
	link := b.askLink(s, email, "/account")
	mark := s.control.mark()
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet, http.MethodHead} {
		r := b.request(method, b.address(link).RequestURI(), nil)
		r.Header.Set("Sec-Fetch-Site", "none")
		if p := b.do(r).wants(http.StatusSeeOther); p.location() != landingPath || strings.Contains(p.body, queryOf(t, link, "token")) {
			t.Errorf("%s leads to %s", method, p.location())
		}
	}
	scanner := s.browser() // of the mail gateway
	scanner.arrive(link).alert(http.StatusForbidden, "not asked for")
	b.get(landingPath).wants(http.StatusOK)
	b.get(landingPath).wants(http.StatusOK) // a reload
	s.control.calls(mark, epLink, 0)
	// What stands in the address of the button's post is not read, and without the button's own fields nothing is done.
	p := b.get(landingPath)
	_, fields := p.form("main form", nil)
	b.post(landingPath+"?token=other&stytch_token_type=sso", nil).alert(http.StatusConflict, "Nothing was done")
	s.control.calls(mark, epLink, 0)
	b.post(landingPath+"?token=other&stytch_token_type=sso", fields).wants(http.StatusSeeOther)
	s.control.calls(mark, epSSO, 0)
	s.control.calls(mark, epLink, 1)
	b.wantIn(email, "Acme Corporation", "email link")

	// A button redeems the link it was shown for, and not one that was opened since.
	b = s.browser()
	older := b.askLink(s, email, "/account")
	p = b.arrive(older)
	b.arrive(b.askLink(s, "max@acme.example", "/account"))
	mark = s.control.mark()
	b.press(p, "Sign in", nil).alert(http.StatusConflict, "Another link was opened meanwhile")
	s.control.calls(mark, epLink, 0)
	b.press(b.get(landingPath), "Sign in", nil).wants(http.StatusOK)
	b.wantIn("max@acme.example", "Acme Corporation", "email link")

	// A double click.
	b = s.browser()
	link = b.askLink(s, email, "/account")
	p = b.arrive(link)
	kept := b.cookie("console-sign-in")
	_, fields = p.form("main form", nil)
	mark = s.control.mark()
	s.control.fault(fault{Endpoint: epLink, Kind: "latency", Duration: "200ms", Times: 2})
	first, second := make(chan *page), b.clone()
	go func() { first <- second.post(landingPath, fields) }()
	one, two := b.post(landingPath, fields), <-first
	if one.wants(http.StatusSeeOther).location() != "/account" || two.wants(http.StatusSeeOther).location() != "/account" {
		t.Errorf("a double click leads to %s and %s", one.location(), two.location())
	}
	// A click that comes when the first was answered already.
	late := s.browser()
	late.put(kept)
	if third := late.post(landingPath, fields).wants(http.StatusSeeOther); third.location() != "/account" {
		t.Errorf("a late click leads to %s", third.location())
	}
	s.control.calls(mark, epLink, 1)
	b.wantIn(email, "Acme Corporation", "email link")

	// Signed out, nothing of it leads back in: not the page from history, not a copy of the cookie.
	b.submit(b.get("/account"), signOutForm, nil)
	b.press(p, "Sign in", nil).wants(http.StatusOK).says("main", "There is nothing to go on with")
	b.wantOut()
	thief := s.browser()
	thief.put(kept)
	thief.arrive(link)
	thief.post(landingPath, fields)
	thief.wantOut()
	s.control.calls(mark, epLink, 1)
}

// What the upstream answers about somebody else gets nobody in.
func TestAnswersAboutSomebodyElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	ada, tom := s.person("org_admin"), s.control.stranger("tom@northwind.test")
	wrong := func(endpoint string) {
		t.Helper()
		s.control.clearFaults()
		s.control.fault(fault{Endpoint: endpoint, Kind: "wrong_member", Times: 1})
	}
	for endpoint, try := range map[string]func() (*browser, *page){
		epPassword: func() (*browser, *page) {
			b := s.browser()
			return b, b.signIn(ada.Organization, ada.Email, ada.Password)
		},
		epLink: func() (*browser, *page) {
			b := s.browser()
			return b, b.press(b.arrive(b.askLink(s, "hiro@acme.example", "")), "Sign in", nil)
		},
		"otps.email.authenticate": func() (*browser, *page) {
			b := s.browser()
			p := b.press(b.get("/login"), "Email me a code", map[string]string{"organization": "acme", "email": "luis@acme.example"})
			return b, b.press(p, "Sign in", map[string]string{"code": s.control.message("login_code", "luis@acme.example").Code})
		},
		"totp.authenticate": func() (*browser, *page) {
			b, p := s.firstFactor(tom, "")
			return b, b.press(p, "Sign in", map[string]string{"code": s.control.factors(tom.MemberID).TOTPCode})
		},
		epExchange: func() (*browser, *page) {
			b := s.browser()
			p := b.press(b.get("/login/find"), "Email me a code", map[string]string{"email": "sam@partners.example"})
			p = b.press(p, "Sign in", map[string]string{"code": s.control.message("discovery_code", "sam@partners.example").Code})
			return b, b.choose(p, "Globex")
		},
	} {
		wrong(endpoint)
		mark := s.control.mark()
		b, p := try()
		struck := slices.ContainsFunc(s.control.journal(mark, endpoint), func(e entry) bool { return e.Fault == "wrong_member" })
		if !struck {
			t.Fatalf("%s: the fault did not strike", endpoint)
		}
		if p.status != http.StatusBadGateway {
			t.Errorf("%s: another member in the answer makes %d, want 502: %s", endpoint, p.status, p.words())
		}
		p.one(`[role="alert"]`)
		b.wantOut()
	}
}

// A sign-in under way and a session are not to be taken for each other.
func TestCookiesDoNotMix(t *testing.T) {
	t.Parallel()
	s := start(t)
	half, _ := s.firstFactor(s.control.stranger("tom@northwind.test"), "")
	whole := s.as("org_admin")
	for _, c := range []struct {
		name, value, path string
		in                string
	}{
		{"console", half.cookie("console-sign-in").Value, "/account", "/login"},
		{"console-sign-in", whole.cookie("console").Value, "/login/more", "/login"},
		{"console-draft", whole.cookie("console").Value, "/account", "/login"},
	} {
		b := s.browser()
		b.put(&http.Cookie{Name: c.name, Value: c.value})
		if p := b.get(c.path); p.url.Path != c.in {
			t.Errorf("a foreign value of %s opens %s", c.name, p.url)
		}
	}
	b := s.browser()
	b.put(&http.Cookie{Name: "console-sign-in", Value: whole.cookie("console").Value})
	b.get("/mfa").wants(http.StatusUnauthorized)
	for _, path := range []string{"/mfa/totp", "/mfa/sms", "/mfa/recovery", "/mfa/sms/send", "/mfa/enroll/totp", "/mfa/enroll/sms", "/mfa/enroll/other", "/mfa/recovery-codes", "/login/organizations", "/login/code/verify", "/authenticate", "/authenticate/password"} {
		mark := s.control.mark()
		p := s.browser().post(path, url.Values{"code": {"123456"}, "phone": {"+442079460958"}, "organization_id": {"organization-test-x"}, "new_password": {strong}})
		if p.status >= 500 || slices.Contains((&http.Response{Header: p.header}).Header.Values("Set-Cookie"), "console=") {
			t.Errorf("POST %s out of nowhere: %d %v", path, p.status, p.header.Values("Set-Cookie"))
		}
		for _, e := range s.control.journal(mark, "") {
			t.Errorf("POST %s out of nowhere reaches the upstream: %s", path, e.Endpoint)
		}
	}
}

// Second factors prove nothing without the first, nor for somebody else.
func TestSecondFactorIsOfOnePerson(t *testing.T) {
	t.Parallel()
	s := start(t)
	tom, sms := s.control.stranger("tom@northwind.test"), s.control.stranger("sms@northwind.test")
	// A form of one page, with all that is hidden in it, sent to where it does not belong.
	refused := func(b *browser, p *page, path string, more url.Values) {
		t.Helper()
		values := p.fields(p.doc.Find("main form").First(), nil)
		maps.Copy(values, more)
		mark := s.control.mark()
		if p := b.post(path, values); p.status < 400 || p.one(`main [role="alert"]`).Length() != 1 {
			t.Errorf("%s with what one has not: %d to %s", path, p.status, p.header.Get("Location"))
		}
		for _, e := range s.control.journal(mark, "") {
			if e.Status < 300 && e.Method == http.MethodPost {
				t.Errorf("%s with what one has not does something upstream: %s", path, e.Endpoint)
			}
		}
	}
	b, p := s.firstFactor(tom, "")
	refused(b, p, "/mfa/sms", url.Values{"code": {"123456"}})
	refused(b, p, "/mfa/sms/send", nil)
	refused(b, p, "/mfa/enroll/totp", nil)
	refused(b, p, "/mfa/enroll/sms", url.Values{"phone": {"+442079460958"}})
	other, theirs := s.firstFactor(sms, "")
	refused(other, theirs, "/mfa/totp", url.Values{"code": {s.control.factors(tom.MemberID).TOTPCode}})
	refused(other, theirs, "/mfa/recovery", url.Values{"code": {s.control.factors(tom.MemberID).RecoveryCodes[0]}})
	refused(other, p, "/mfa/totp", url.Values{"code": {s.control.factors(tom.MemberID).TOTPCode}})
	other.wantOut()
	b.press(p, "Sign in", map[string]string{"code": s.control.factors(tom.MemberID).TOTPCode}).wants(http.StatusOK)
	b.wantIn(tom.Email, "Northwind", "password, authenticator app")
}

// Whatever the upstream does to a step of a sign-in, nobody gets in by it, and
// what can be tried again works when it is well again.
func TestSignInWhileTheUpstreamIsInTrouble(t *testing.T) {
	t.Parallel()
	s := start(t)
	tom := s.control.stranger("tom@northwind.test")
	for _, kind := range []string{"server_error", "bad_gateway_html", "rate_limit", "garbage", "wrong_shape", "empty_body", "cut_body", "redirect", "reset"} {
		s.control.clearFaults()
		b, p := s.firstFactor(tom, "")
		s.control.fault(fault{Endpoint: "totp.authenticate", Kind: kind, Times: 1})
		answer := b.press(p, "Sign in", map[string]string{"code": s.control.factors(tom.MemberID).TOTPCode})
		if answer.status < 429 || answer.status > 504 {
			t.Errorf("%s at the second factor: %d: %s", kind, answer.status, answer.words())
		}
		if answer.one(`[role="alert"]`); slices.Contains(b.cookies(), "console") {
			t.Errorf("%s at the second factor signs somebody in", kind)
		}
	}
	s.control.clearFaults()
	for kind, email := range map[string]string{"server_error": "max@acme.example", "reset": "hiro@acme.example", "bad_gateway_html": "luis@acme.example"} {
		b := s.browser()
		s.control.fault(fault{Endpoint: "magic_links.email.login_or_signup", Kind: kind, Times: 1})
		p := b.press(b.get("/login"), "Email me a sign-in link", map[string]string{"organization": "acme", "email": email}).wants(http.StatusBadGateway)
		p.one(`[role="alert"]`)
		if got := p.one("#email").AttrOr("value", ""); got != email {
			t.Errorf("%s at sending: the address typed is %q", kind, got)
		}
		b.press(p, "Email me a sign-in link", nil).wants(http.StatusOK)
		s.control.fault(fault{Endpoint: epLink, Kind: kind, Times: 1})
		link := s.control.message("login_link", email).URL
		b.press(b.arrive(link), "Sign in", nil).wants(http.StatusBadGateway).one(`[role="alert"]`)
		b.wantOut()
		// It was not used up: opened again, it works.
		b.press(b.arrive(link), "Sign in", nil).wants(http.StatusOK)
		b.wantIn(email, "Acme Corporation", "email link")
	}
	// A wrong secret and refused credentials of the project look the same; people are told which it was.
	b, p := s.firstFactor(tom, "")
	s.control.fault(fault{Endpoint: "*", Kind: "bad_credentials"})
	b.press(p, "Sign in", map[string]string{"code": "123456"}).alert(http.StatusBadGateway, "project credentials")
	s.control.clearFaults()
	b = s.as("org_admin")
	for path, endpoint := range map[string]string{"/account/organizations": "discovery.organizations"} {
		for _, kind := range []string{"server_error", "garbage", "rate_limit"} {
			s.control.fault(fault{Endpoint: endpoint, Kind: kind, Times: 1})
			if p := b.get(path); p.status < 502 || p.status > 504 {
				t.Errorf("%s with %s: %d", path, kind, p.status)
			}
		}
	}
	if p := b.get("/account"); p.status != http.StatusOK {
		t.Errorf("afterwards one is signed out: %s", p.url)
	}
}

// What is sent to the sign-in's pages by nobody's hand makes no error of ours.
func TestOddSignIns(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := strings.Repeat("a", 5000)
	b, in := s.browser(), s.as("org_admin")
	tokens := []string{"sso", "oauth", "discovery", "discovery_oauth", "multi_tenant_magic_links", "multi_tenant_passwords", "multi_tenant_impersonation", "login", "odd", ""}
	var paths []string
	for _, kind := range tokens {
		paths = append(paths, "/authenticate?token=x&stytch_token_type="+kind, "/authenticate?stytch_token_type="+kind, "/authenticate?token=%00%ff&state=%00&stytch_token_type="+kind,
			"/authenticate?token=a&token=b&stytch_token_type="+kind, "/authenticate?token="+long+"&stytch_token_type="+kind, "/authenticate?token=x&stytch_redirect_type=reset_password&stytch_token_type="+kind)
	}
	paths = append(paths, "/authenticate?%zz", "/authenticate?a;b", "/login?organization=%00%ff", "/login?organization="+long, "/login?organization=../acme", "/login?organization=acme%2f..%2fglobex",
		"/login/sso/start?organization=%ff&connection=%ff", "/login/oauth/%00/start", "/login/oauth/google/start?organization=%ff", "/login/oauth/google/start?return=//evil.example", "/mfa?with=odd",
		"/mfa?with=sms_otp", "/login/code", "/login/sent", "/login/more", "/login/organizations", "/mfa/recovery-codes", "/login/forgot?organization="+long, "/session", "/session/extend", "/account?notice=odd")
	for _, who := range []*browser{b, in} {
		for _, path := range paths {
			r := who.request(http.MethodGet, "/", nil)
			r.URL.Opaque = fmt.Sprintf("//%s%s", r.URL.Host, path)
			if p := who.do(r); p.status >= 500 {
				t.Errorf("GET %.100s: %d: %s", path, p.status, p.words())
			}
		}
	}
	if p := in.get("/account"); p.status != http.StatusOK || p.url.Path != "/account" {
		t.Errorf("an odd link signed somebody out: %s", p.url)
	}
	odd := url.Values{
		"organization": {"\x00"}, "email": {"a@\xff"}, "password": {long}, "code": {long}, "phone": {long}, "organization_id": {long}, "new_password": {long},
		"current_password": {"\x00"}, "return": {"//evil.example"}, "chosen": {"1"},
	}
	for _, path := range []string{
		"/login/organization", "/login/password", "/login/link", "/login/code", "/login/code/verify", "/login/find/link", "/login/find/code", "/login/organizations", "/login/forgot",
		"/authenticate", "/authenticate/password", "/mfa/sms/send", "/mfa/sms", "/mfa/totp", "/mfa/recovery", "/mfa/enroll/sms", "/mfa/enroll/totp", "/mfa/enroll/other", "/mfa/recovery-codes",
		"/account/password", "/account/organizations",
	} {
		for name, values := range map[string]url.Values{"odd": odd, "empty": {}} {
			if p := s.browser().post(path, values); p.status >= 500 {
				t.Errorf("POST %s with %s fields: %d: %s", path, name, p.status, p.words())
			}
		}
		r := b.request(http.MethodPost, path, odd)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		b.do(r).wants(http.StatusForbidden)
	}
	for _, path := range []string{"/account/password", "/account/organizations"} {
		if p := in.post(path, odd); p.status < 400 || p.status >= 500 {
			t.Errorf("POST %s with odd fields: %d: %s", path, p.status, p.words())
		}
	}
	if text := s.process.stderr.String(); strings.Contains(text, "panic") {
		t.Errorf("something panicked:\n%s", text)
	}
}
