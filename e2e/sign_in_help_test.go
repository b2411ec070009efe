package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// Short names of the sandbox's endpoints for signing in.
const (
	epPassword = "passwords.authenticate"
	epLink     = "magic_links.authenticate"
	epExchange = "discovery.intermediate_sessions.exchange"
	epSSO      = "sso.authenticate"
	epSMS      = "otps.sms.send"
	epReset    = "passwords.email.reset"

	epOwnPassword = "passwords.existing_password.reset"

	epAsk       = "sessions.authenticate"
	operator    = "operator@sandbox.example" // who impersonates
	strong      = "seven-otters-juggle-92-lamps"
	landingPath = "/authenticate"
)

// in is the site for a subtest, which fails by itself.
func (s *site) in(t testing.TB) *site {
	other, own := *s, *s.control
	other.t, own.t = t, t
	other.control = &own
	return &other
}

// pressOnce presses the only button with a text, in the form it stands in, with
// some fields filled in, and follows nothing.
func (b *browser) pressOnce(p *page, text string, fill map[string]string) *page {
	b.t.Helper()
	found := p.doc.Find("main button[type=submit]:not([disabled])").FilterFunction(func(_ int, s *goquery.Selection) bool {
		return squeeze(s.Text()) == text
	})
	if found.Length() != 1 {
		b.t.Fatalf("%s: %d buttons %q, want 1; the page says: %s", p.url, found.Length(), text, p.words())
	}
	form := found.Closest("form")
	if !strings.EqualFold(form.AttrOr("method", "get"), http.MethodPost) {
		b.t.Fatalf("%s: the button %q posts nothing", p.url, text)
	}
	to, err := p.url.Parse(found.AttrOr("formaction", form.AttrOr("action", p.url.RequestURI())))
	if err != nil {
		b.t.Fatalf("%s: the button %q: %v", p.url, text, err)
	}
	return b.post(to.RequestURI(), p.fields(form, fill))
}

// press is pressOnce with all redirects after it.
func (b *browser) press(p *page, text string, fill map[string]string) *page {
	b.t.Helper()
	return b.follow(b.pressOnce(p, text, fill))
}

// choices are what a page lets one choose from, each with its badge.
func (p *page) choices() []string {
	var all []string
	p.doc.Find("ul.choices > li").Each(func(_ int, li *goquery.Selection) {
		all = append(all, squeeze(li.Find(".title").Text()+" "+li.Find(".badge").Text()))
	})
	return all
}

// choose presses the button beside a title.
func (b *browser) choose(p *page, title string) *page {
	b.t.Helper()
	form := p.doc.Find("ul.choices > li").FilterFunction(func(_ int, li *goquery.Selection) bool {
		return squeeze(li.Find(".title").Text()) == title
	}).Find("form")
	if form.Length() != 1 {
		b.t.Fatalf("%s: %d buttons for %q, want 1; the choices: %q", p.url, form.Length(), title, p.choices())
	}
	return b.follow(b.post(form.AttrOr("action", ""), p.fields(form, nil)))
}

// href is where the only link with a text in the page's content leads.
func (p *page) href(text string) string {
	p.t.Helper()
	found := p.doc.Find("main a[href]").FilterFunction(func(_ int, s *goquery.Selection) bool { return squeeze(s.Text()) == text })
	if found.Length() != 1 {
		p.t.Fatalf("%s: %d links %q, want 1; the page says: %s", p.url, found.Length(), text, p.words())
	}
	return found.AttrOr("href", "")
}

// alert wants a page that says in an alert what went wrong.
func (p *page) alert(status int, says string) *page {
	p.t.Helper()
	if p.status != status {
		p.t.Errorf("%s %s: %d, want %d", p.method, p.url, p.status, status)
	}
	p.says(`main [role="alert"]`, says)
	return p
}

// arrive opens an address that comes from elsewhere: a mail, or another site.
func (b *browser) arrive(address string) *page {
	b.t.Helper()
	return b.follow(b.land(address))
}

// land is arrive without the redirects.
func (b *browser) land(address string) *page {
	b.t.Helper()
	u := b.address(address)
	if u.Host != b.base.Host || u.Path != landingPath {
		b.t.Fatalf("%s leads elsewhere", address)
	}
	r := b.request(http.MethodGet, u.RequestURI(), nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.do(r)
}

// message is a mail or text message as it would have been sent.
type message struct {
	Kind, Channel, To, URL, Code, Token string

	LoginURL string `json:"login_url"`
	MemberID string `json:"member_id"`
}

// messages are all of a kind to somebody, oldest first.
func (c *control) messages(kind, to string) []message {
	c.t.Helper()
	var out struct{ Mails []message }
	c.call("GET", "outbox", nil, &out)
	return slices.DeleteFunc(out.Mails, func(m message) bool { return m.Kind != kind || m.To != to })
}

// message is the newest of a kind to somebody.
func (c *control) message(kind, to string) message {
	c.t.Helper()
	all := c.messages(kind, to)
	if len(all) == 0 {
		c.t.Fatalf("no message %s to %s", kind, to)
	}
	return all[len(all)-1]
}

// factors are what somebody could prove with.
type factors struct {
	TOTPCode      string   `json:"totp_code"`
	RecoveryCodes []string `json:"recovery_codes"`
}

func (c *control) factors(memberID string) factors {
	c.t.Helper()
	var f factors
	c.call("GET", "members/"+memberID, nil, &f)
	return f
}

// impersonation is an address with which an operator becomes a member.
func (c *control) impersonation(memberID string) string {
	c.t.Helper()
	var minted struct{ Token string }
	c.call("POST", "impersonations", map[string]any{"member_id": memberID}, &minted)
	return landingPath + "?" + url.Values{"stytch_token_type": {"multi_tenant_impersonation"}, "token": {minted.Token}}.Encode()
}

// wrongCode is a code of the same length that is not the right one.
func wrongCode(right string) string {
	if strings.HasPrefix(right, "0") {
		return "1" + right[1:]
	}
	return "0" + right[1:]
}

// provider is a person at the stand-in identity provider, where an answer led
// the browser. They say who they are, and are led back to the address returned.
func (s *site) provider(away *page, email string) string {
	s.t.Helper()
	if away.status != http.StatusFound || !strings.HasPrefix(away.header.Get("Location"), s.Stytch+"/v1/") {
		s.t.Fatalf("%s: %d leads to %q, want Stytch; the page says: %s", away.url, away.status, away.header.Get("Location"), away.words())
	}
	web := client()
	form, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, away.header.Get("Location"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := web.Do(form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	doc, err := goquery.NewDocumentFromReader(answer.Body)
	if err != nil || doc.Find("h1").Text() != "Stand-in identity provider" || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s: %v, %s", answer.Request.URL, answer.Status, err, squeeze(doc.Text()))
	}
	action, err := answer.Request.URL.Parse(doc.Find("form").AttrOr("action", ""))
	if err != nil {
		s.t.Fatal(err)
	}
	send, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, action.String(), strings.NewReader(url.Values{"other": {email}}.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	send.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	back, err := web.Do(send)
	if err != nil {
		s.t.Fatal(err)
	}
	defer back.Body.Close()
	if back.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("the identity provider answers %s", back.Status)
	}
	return back.Header.Get("Location")
}

// cookies are the names of the browser's cookies.
func (b *browser) cookies() []string {
	var names []string
	for _, c := range b.client.Jar.Cookies(b.base) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// put sets a cookie as if the browser had it.
func (b *browser) put(cookies ...*http.Cookie) {
	for _, c := range cookies {
		b.client.Jar.SetCookies(b.base, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/"}})
	}
}

// cookie is one of the browser's.
func (b *browser) cookie(name string) *http.Cookie {
	b.t.Helper()
	for _, c := range b.client.Jar.Cookies(b.base) {
		if c.Name == name {
			return c
		}
	}
	b.t.Fatalf("no cookie %s among %q", name, b.cookies())
	return nil
}

// wantIn wants the browser to be signed in as somebody in an organization, with
// these factors, and nothing left of how that came to be.
func (b *browser) wantIn(email, organization, factors string) *page {
	b.t.Helper()
	p := b.get("/account").wants(http.StatusOK)
	for label, want := range map[string]string{"Signed in as": email, "Organization": organization, "Factors": factors} {
		if got := p.row(label); got != want {
			b.t.Errorf("%s: %q, want %q", label, got, want)
		}
	}
	if got := b.cookies(); !slices.Equal(got, []string{"console"}) {
		b.t.Errorf("cookies %q, want the session's alone", got)
	}
	return p
}

// wantOut wants nobody to be signed in.
func (b *browser) wantOut() {
	b.t.Helper()
	if p := b.get("/account"); p.url.Path != "/login" {
		b.t.Errorf("somebody is signed in: %s %s", p.url, p.row("Signed in as"))
	}
	if slices.Contains(b.cookies(), "console") {
		b.t.Errorf("there is a session cookie")
	}
}

// calls wants so many requests of an endpoint since a mark.
func (c *control) calls(mark int, endpoint string, want int) {
	c.t.Helper()
	if got := len(c.journal(mark, endpoint)); got != want {
		c.t.Errorf("%s was called %d times, want %d", endpoint, got, want)
	}
}

// firstFactor signs in by password where that is not enough.
func (s *site) firstFactor(who stranger, returnPath string) (*browser, *page) {
	s.t.Helper()
	b := s.browser()
	p := b.press(b.get("/login?return="+url.QueryEscape(returnPath)), "Sign in", map[string]string{
		"organization": who.Organization, "email": who.Email, "password": who.Password,
	}).wants(http.StatusOK)
	if p.url.Path != "/mfa" {
		s.t.Fatalf("the password leads to %s, want /mfa: %s", p.url, p.words())
	}
	if slices.Contains(b.cookies(), "console") {
		s.t.Error("half a sign-in has a session cookie")
	}
	return b, p
}

// ways are the links and buttons with which a page lets one sign in.
func (p *page) ways() []string {
	var all []string
	p.doc.Find("main form button[type=submit], main a[href*='/start']").Each(func(_ int, s *goquery.Selection) { all = append(all, squeeze(s.Text())) })
	return all
}

// wantAudit wants an event of an action, newest first, in the audit that b may read.
func wantAudit(t testing.TB, b *browser, action, email, outcome string) auditRow {
	t.Helper()
	rows := b.audit("?" + url.Values{"action": {action}, "actor": {email}}.Encode())
	if len(rows) == 0 || !strings.Contains(rows[0].actor, email) || rows[0].outcome != outcome {
		t.Fatalf("the audit has %+v, want %s of %s %s", rows, action, email, outcome)
	}
	return rows[0]
}
