package e2e_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

func TestSignedOutPagesLeadToSignInAndBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.person("org_admin")
	target := s.id("paula@acme.example")
	for _, want := range []string{
		"/members?q=maria&status=active", "/members/" + target, "/members/" + target + "/password/delete", "/audit?outcome=failed",
	} {
		b := s.browser()
		login := b.get(want).wants(http.StatusOK)
		if login.url.Path != "/login" || login.url.Query().Get("return") != want {
			t.Errorf("signed out, %s leads to %s, want /login?return=", want, login.url)
			continue
		}
		// A failure in between does not lose the way.
		again := b.submit(login, signInForm, map[string]string{"organization": admin.Organization, "email": admin.Email, "password": "wrong"})
		back := b.submit(again, signInForm, map[string]string{"organization": admin.Organization, "email": admin.Email, "password": admin.Password})
		if got := back.wants(http.StatusOK).url.RequestURI(); got != want {
			t.Errorf("after signing in one is at %s, want %s", got, want)
		}
	}
}

func TestReturnLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.person("org_admin")
	for _, evil := range []string{
		"https://evil.example/", "//evil.example/", `/\evil.example`, `\\evil.example`, "/%5cevil.example", "http:evil.example", "javascript:alert(1)",
		"/members\r\nSet-Cookie: a=b", "/login?return=/login", "/logout", "/members/../../evil", "///evil.example", "/%2f%2fevil.example",
		" //evil.example", "/members@evil.example", "?return=//evil.example", "/static/", "\t//evil.example", "/members//evil.example",
	} {
		b := s.browser()
		login := b.get("/login?" + url.Values{"return": {evil}}.Encode()).wants(http.StatusOK)
		fill := map[string]string{"organization": admin.Organization, "email": admin.Email, "password": admin.Password}
		for _, forced := range []bool{false, true} {
			if forced { // even when the hidden field is changed
				fill["return"] = evil
			}
			answer := b.send(login, signInForm, fill).wants(http.StatusSeeOther)
			to, err := url.Parse(answer.header.Get("Location"))
			if err != nil || to.IsAbs() && to.Host != b.base.Host || to.Host != "" && to.Host != b.base.Host ||
				!strings.HasPrefix(to.Path, "/") || strings.HasPrefix(answer.header.Get("Location"), "//") || to.Path == "/logout" || to.Path == "/login" {
				t.Errorf("return=%q (forced %t) leads to %q", evil, forced, answer.header.Get("Location"))
			}
			if p := b.follow(answer); p.status != http.StatusOK {
				t.Errorf("return=%q (forced %t) ends with %d", evil, forced, p.status)
			}
			b = s.browser()
			b.get("/login")
		}
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	old := b.client.Jar.Cookies(b.base)
	if len(old) != 1 {
		t.Fatalf("cookies after signing in: %v, want one", old)
	}
	list := b.get("/members").wants(http.StatusOK)
	if got := squeeze(list.one(signOutForm + " button").Text()); got != "Sign out" {
		t.Errorf("the button reads %q", got)
	}
	mark := s.control.mark()
	out := b.submit(list, signOutForm, nil).wants(http.StatusOK)
	if out.url.Path != "/login" {
		t.Errorf("signing out leads to %s, want /login", out.url)
	}
	if n := len(s.control.journal(mark, epRevoke)); n != 1 {
		t.Errorf("%d sessions/revoke, want 1", n)
	}
	if now := b.client.Jar.Cookies(b.base); len(now) != 0 {
		t.Errorf("cookies after signing out: %v", now)
	}
	if p := b.get("/members"); p.url.Path != "/login" {
		t.Errorf("signed out, /members is %s", p.url)
	}

	// The cookie itself is dead, for whoever kept a copy.
	thief := s.browser()
	thief.client.Jar.SetCookies(thief.base, old)
	mark = s.control.mark()
	if p := thief.get("/members"); p.url.Path != "/login" {
		t.Errorf("the old cookie still opens %s", p.url)
	}
	for _, e := range s.control.journal(mark, "") {
		t.Errorf("the old cookie makes the upstream be asked: %s", e.Endpoint)
	}
	rows := s.as("auditor").audit("?action=session.sign_out")
	if len(rows) == 0 || !strings.Contains(rows[0].actor, "hiro@acme.example") || rows[0].outcome != "succeeded" {
		t.Errorf("the audit has %+v, want the sign-out", rows)
	}
}

// When the upstream does not confirm the end of a session it is asked once
// more, and then the page says so; here the session is over all the same.
func TestSignOutNotConfirmed(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	old := b.client.Jar.Cookies(b.base)
	list := b.get("/members").wants(http.StatusOK)
	s.control.fault(fault{Endpoint: epRevoke, Kind: "server_error"})
	mark := s.control.mark()
	out := b.submit(list, signOutForm, nil)
	out.one(`[role="alert"]`)
	if n := len(s.control.journal(mark, epRevoke)); n != 2 {
		t.Errorf("%d sessions/revoke, want 2", n)
	}
	thief := s.browser()
	thief.client.Jar.SetCookies(thief.base, old)
	if p := thief.get("/members"); p.url.Path != "/login" {
		t.Errorf("the old cookie still opens %s", p.url)
	}
	rows := s.as("auditor").audit("?action=session.sign_out")
	if len(rows) == 0 || rows[0].outcome != "unknown" {
		t.Errorf("the audit has %+v, want the sign-out as unknown", rows)
	}
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.person("org_admin")
	b := s.browser()
	login := b.get("/login")
	answer := b.send(login, signInForm, map[string]string{"organization": admin.Organization, "email": admin.Email, "password": admin.Password})
	set := (&http.Response{Header: answer.header}).Cookies()
	if len(set) != 1 {
		t.Fatalf("cookies set: %v, want one", set)
	}
	c := set[0]
	// On plain http, which only loopback gets, a __Host- name and Secure are not possible.
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
		t.Errorf("the cookie is %v", c)
	}
	if strings.Contains(c.Value, admin.Email) || len(c.Value) > 3500 {
		t.Errorf("the cookie has %d bytes: %s", len(c.Value), c.Value)
	}
	for name, value := range map[string]string{"cut": c.Value[:len(c.Value)-4], "changed": "A" + c.Value[1:], "empty": "", "made up": "MTcwMDAwMDAwMHxhYmM"} {
		forger := s.browser()
		forger.client.Jar, _ = cookiejar.New(nil)
		forger.client.Jar.SetCookies(forger.base, []*http.Cookie{{Name: c.Name, Value: value, Path: "/"}})
		if p := forger.get("/members").wants(http.StatusOK); p.url.Path != "/login" {
			t.Errorf("a cookie that is %s opens %s", name, p.url)
		}
	}
}

// A session ended upstream ends here: at once for whatever is asked there, and
// within the minute that an answer is remembered for the rest.
func TestSessionRevokedUpstream(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	b.get("/members").wants(http.StatusOK)
	agent := s.id("hiro@acme.example")
	for _, open := range s.control.member(agent).Sessions {
		s.control.endSession(open.ID)
	}
	p := b.get("/members?q=maria").wants(http.StatusOK)
	if p.url.Path != "/login" || p.url.Query().Get("return") != "/members?q=maria" {
		t.Errorf("after the session ended upstream, /members is %s, want /login with the way back", p.url)
	}
	if len(b.client.Jar.Cookies(b.base)) != 0 {
		t.Error("the dead session's cookie is kept")
	}
	who := s.person("helpdesk")
	back := b.submit(p, signInForm, map[string]string{"organization": who.Organization, "email": who.Email, "password": who.Password})
	if got := back.wants(http.StatusOK).url.RequestURI(); got != "/members?q=maria" {
		t.Errorf("signing in again leads to %s", got)
	}
}

// A busy desk is let through; guessing is not.
func TestSignInThrottle(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, role := range []string{"org_admin", "helpdesk"} {
		for range 10 {
			s.as(role)
		}
	}
	admin := s.person("org_admin")
	b := s.browser()
	var last *page
	for range 60 {
		if last = b.signIn(admin.Organization, "guessed@acme.example", "wrong"); last.status == http.StatusTooManyRequests {
			break
		}
	}
	if last.status != http.StatusTooManyRequests {
		t.Fatalf("60 wrong guesses in a row are answered with %d, want 429", last.status)
	}
	last.one(`[role="alert"]`)
	if last.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	// The failures are in the audit: the first ones singly, then with a count.
	rows := s.as("auditor").audit("?actor=guessed%40acme.example")
	if len(rows) == 0 || len(rows) > 12 {
		t.Errorf("the guesses made %d events, want at most 10 a minute singly", len(rows))
	}
}
