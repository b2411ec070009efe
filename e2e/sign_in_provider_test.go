package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// ofOrganization opens the page of one organization as people do: by its name,
// from the first page.
func (b *browser) ofOrganization(organization, returnPath string) *page {
	b.t.Helper()
	p := b.press(b.get("/login?return="+url.QueryEscape(returnPath)), "Other ways to sign in", map[string]string{"organization": organization}).wants(http.StatusOK)
	if p.url.Path != "/login" || p.url.Query().Get("organization") != organization {
		b.t.Fatalf("choosing %s leads to %s", organization, p.url)
	}
	return p
}

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct{ organization, name, button, email, factors string }{
		{"acme", "Acme Corporation", "Continue with Acme Okta", "sasha@acme.example", "single sign-on"},
		{"acme", "Acme Corporation", "Continue with Acme Entra", "hiro@acme.example", "single sign-on"},
		{"initech", "Initech", "Continue with Initech Okta", "ingrid@initech.test", "single sign-on"},
	} {
		t.Run(c.button, func(t *testing.T) {
			s := s.in(t)
			b := s.browser()
			mark := s.control.mark()
			away := b.once(b.ofOrganization(c.organization, "/account").href(c.button))
			back := s.provider(away, c.email)
			p := b.arrive(back).wants(http.StatusOK)
			if p.url.RequestURI() != landingPath || p.doc.Find("form[data-autosubmit]").Length() != 1 {
				t.Errorf("the provider leads to %s, where script presses nothing: %s", p.url, p.words())
			}
			s.control.calls(mark, epSSO, 0)
			if in := b.press(p, "Sign in", nil).wants(http.StatusOK); in.url.Path != "/account" {
				t.Errorf("signing in leads to %s", in.url)
			}
			s.control.calls(mark, epSSO, 1)
			b.wantIn(c.email, c.name, c.factors)
			s.browser().arrive(back).alert(http.StatusForbidden, "not asked for in this browser")
		})
	}
	row := wantAudit(t, s.as("auditor"), "session.sign_in", "sasha@acme.example", "succeeded")
	s.as("auditor").get(row.event).says("main", "sso")

	t.Run("somebody the organization does not know", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		away := b.once(b.ofOrganization("acme", "").href("Continue with Acme Okta"))
		p := b.press(b.arrive(s.provider(away, "stranger@acme.example")), "Sign in", nil)
		if p.status < 400 || p.status >= 500 {
			t.Errorf("a stranger is answered with %d: %s", p.status, p.words())
		}
		p.one(`main [role="alert"]`)
		b.wantOut()
	})
	t.Run("another organization's connection", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		acme, err := url.Parse(b.ofOrganization("acme", "").href("Continue with Acme Okta"))
		if err != nil {
			t.Fatal(err)
		}
		connection := acme.Query().Get("connection")
		for _, query := range []url.Values{
			{"organization": {"initech"}, "connection": {connection}},
			{"organization": {"acme"}},
			{"connection": {connection}},
			{"organization": {"acme"}, "connection": {connection + "x"}},
			{"organization": {strings.Repeat("a", 5000)}, "connection": {strings.Repeat("b", 5000)}},
		} {
			p := b.once("/login/sso/start?" + query.Encode())
			if p.status != http.StatusNotFound || p.header.Get("Location") != "" {
				t.Errorf("%.80s: %d to %q, want 404", query.Encode(), p.status, p.header.Get("Location"))
			}
			p.one(`main [role="alert"]`)
		}
	})
	t.Run("cancelled at the provider", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		away := b.once(b.ofOrganization("acme", "").href("Continue with Acme Okta"))
		start, err := url.Parse(away.header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		p := b.arrive(start.Query().Get("login_redirect_url")).alert(http.StatusBadRequest, "This is not a link the console can use")
		p.href("Start again")
		b.wantOut()
	})
}

func TestSignInWithAProvider(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("of an organization", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		away := b.once(b.ofOrganization("acme", "/members?q=maria").href("Continue with Google"))
		p := b.arrive(s.provider(away, "hiro@acme.example")).wants(http.StatusOK)
		if in := b.press(p, "Sign in", nil).wants(http.StatusOK); in.url.RequestURI() != "/members?q=maria" {
			t.Errorf("signing in leads to %s", in.url)
		}
		b.wantIn("hiro@acme.example", "Acme Corporation", "OAuth")
	})
	t.Run("to find one", func(t *testing.T) {
		s := s.in(t)
		const sam = "sam@partners.example"
		b := s.browser()
		away := b.once(b.get("/login/find?return=%2Faccount").href("Continue with Google"))
		p := b.press(b.arrive(s.provider(away, sam)), "Sign in", nil).wants(http.StatusOK)
		p.says("h1", "Choose an organization")
		p.says("main", sam)
		if in := b.choose(p, "Globex").wants(http.StatusOK); in.url.Path != "/account" {
			t.Errorf("choosing leads to %s", in.url)
		}
		b.wantIn(sam, "Globex", "OAuth")
	})
	t.Run("that does not vouch for the address", func(t *testing.T) {
		s := s.in(t)
		const hiro = "hiro@acme.example"
		b := s.browser()
		away := b.once(b.ofOrganization("acme", "/account").href("Continue with GitHub"))
		more := b.press(b.arrive(s.provider(away, hiro)), "Sign in", nil).wants(http.StatusOK)
		if more.url.Path != "/login/more" {
			t.Fatalf("GitHub alone leads to %s: %s", more.url, more.words())
		}
		more.says("h1", "One more step")
		more.says(".lead", "Acme Corporation wants another way")
		if got := more.ways(); !slices.Equal(got, []string{"Email me a sign-in link", "Email me a code"}) {
			t.Errorf("offered are %q, want what proves an address", got)
		}
		b.wantOut()
		asked := b.press(more, "Email me a code", nil).wants(http.StatusOK)
		asked.says("main", hiro)
		code := s.control.message("login_code", hiro).Code
		asked = b.press(asked, "Sign in", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "wrong or too old")
		if in := b.press(asked, "Sign in", map[string]string{"code": code}).wants(http.StatusOK); in.url.Path != "/account" {
			t.Errorf("the code leads to %s", in.url)
		}
		b.wantIn(hiro, "Acme Corporation", "OAuth, email code")
		rows := s.as("auditor").audit("?action=session.first_factor&actor=" + hiro)
		if len(rows) != 1 || rows[0].outcome != "succeeded" {
			t.Errorf("the audit has %+v, want the first step", rows)
		}
	})
	t.Run("that is not offered", func(t *testing.T) {
		s := s.in(t)
		b := s.browser()
		for _, path := range []string{"/login/oauth/slack/start?organization=acme", "/login/oauth/google/start?organization=keystone", "/login/oauth/none/start", "/login/oauth/..%2fgoogle/start"} {
			if p := b.once(path); p.status != http.StatusNotFound || p.header.Get("Location") != "" {
				t.Errorf("%s: %d to %q, want 404", path, p.status, p.header.Get("Location"))
			}
		}
	})
	t.Run("to another address than one's own", func(t *testing.T) {
		s := s.in(t)
		// Where a state belongs to one organization, a token of another gets nobody in.
		b := s.browser()
		acme := b.once(b.ofOrganization("acme", "").href("Continue with Google"))
		globex := b.once(b.ofOrganization("globex", "").href("Continue with Google"))
		one, two := s.provider(acme, "hiro@acme.example"), s.provider(globex, "olga@globex.example")
		p := b.press(b.arrive(withQuery(t, two, "state", queryOf(t, one, "state"))), "Sign in", nil)
		if p.status < 400 {
			t.Errorf("a token under another state is answered with %d", p.status)
		}
		b.wantOut()
	})
}

// queryOf is a value in the query of an address.
func queryOf(t testing.TB, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get(name)
}

// withQuery is the address with another value in its query; without it where the value is empty.
func withQuery(t testing.TB, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
