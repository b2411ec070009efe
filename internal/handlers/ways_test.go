package handlers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"orgconsole/internal/audit"
)

// mail is one that the sandbox would have sent.
type mail struct {
	Kind     string `json:"kind"`
	To       string `json:"to"`
	URL      string `json:"url"`
	LoginURL string `json:"login_url"`
	Code     string `json:"code"`
	Token    string `json:"token"`
}

func (s *site) outbox(kind string) []mail {
	s.t.Helper()
	var box struct {
		Mails []mail `json:"mails"`
	}
	s.control(http.MethodGet, "outbox", nil, &box)
	return slices.DeleteFunc(box.Mails, func(m mail) bool { return m.Kind != kind })
}

// newest is the latest mail of a kind.
func (s *site) newest(kind string) mail {
	s.t.Helper()
	all := s.outbox(kind)
	if len(all) == 0 {
		s.t.Fatalf("no mail %s was sent", kind)
	}
	return all[len(all)-1]
}

// follow opens an address that came by mail.
func (b *browser) follow(address string) *answer {
	b.s.t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host != b.s.public.Host {
		b.s.t.Fatalf("%s does not lead to the console", address)
	}
	return b.get(u.RequestURI())
}

// then follows an answer to the page it leads to.
func (b *browser) then(a *answer) *answer {
	b.s.t.Helper()
	a.wantStatus(http.StatusSeeOther)
	return b.get(a.Header.Get("Location"))
}

// submit posts the form of a page that goes to action, with what is typed.
func (b *browser) submit(page *answer, action string, typed url.Values) *answer {
	b.s.t.Helper()
	form := page.doc().Find("form[action='" + action + "']").First()
	if form.Length() == 0 {
		b.s.t.Fatalf("no form goes to %s; the page says %q", action, page.text("main"))
	}
	values := url.Values{}
	form.Find("input[type='hidden']").Each(func(_ int, h *goquery.Selection) { values.Add(h.AttrOr("name", ""), h.AttrOr("value", "")) })
	maps.Copy(values, typed)
	return b.post(action, values)
}

// land opens a mailed link and presses its button.
func (b *browser) land(address string) *answer {
	b.s.t.Helper()
	page := b.then(b.follow(address)).wantStatus(http.StatusOK)
	return b.submit(page, "/authenticate", nil)
}

// wantSignedIn fails the test unless the browser is signed in as somebody.
func (b *browser) wantSignedIn(email string) {
	b.s.t.Helper()
	if got := b.get("/account").wantStatus(http.StatusOK).text("main"); !strings.Contains(got, email) {
		b.s.t.Errorf("the account page says %q, want %s in it", got, email)
	}
}

func (b *browser) wantSignedOut() {
	b.s.t.Helper()
	b.get("/account").wantLocation("/login?return=%2Faccount")
}

// sent is what the latest call to a path had in a field of its body.
func (s *site) sent(path, field string) string {
	s.t.Helper()
	value := "nothing was sent"
	for line := range strings.Lines(s.wire.String()) {
		if to, text, _ := strings.Cut(line, " "); strings.HasSuffix(to, path) {
			var body map[string]any
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				s.t.Fatal(err)
			}
			value, _ = body[field].(string)
		}
	}
	return value
}

func TestSignInByLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("hiro@acme.example")
	b := s.browser()
	asked := b.post("/login/link", url.Values{"organization": {"acme"}, "email": {who.Email}, "return": {"/members?q=max"}})
	asked.wantLocation("/login/sent")
	if got := b.then(asked).text("main"); !strings.Contains(got, who.Email) || !strings.Contains(got, "in this browser") {
		t.Errorf("the page says %q", got)
	}
	m := s.newest("login_link")
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	if u.Query().Get("state") == "" || u.Query().Get("stytch_token_type") != "multi_tenant_magic_links" {
		t.Errorf("the link is %s", m.URL)
	}
	// A scanner, a preview, a reload: opening it uses nothing up.
	for range 3 {
		landed := b.follow(m.URL)
		landed.wantLocation("/authenticate")
	}
	if n := len(s.calls("magic_links.authenticate")); n != 0 {
		t.Fatalf("%d calls before the button was pressed", n)
	}
	page := b.get("/authenticate").wantStatus(http.StatusOK)
	if strings.Contains(page.body, m.Token) {
		t.Error("the token is on the page")
	}
	if n := page.doc().Find("form[action='/authenticate']").Length(); n != 1 {
		t.Errorf("%d forms, want 1", n)
	}
	before := maps.Clone(b.cookies)
	first := b.submit(page, "/authenticate", nil)
	first.wantLocation("/members?q=max")
	b.wantSignedIn(who.Email)
	if b.cookies["console-sign-in"] != nil {
		t.Error("what the sign-in knew is still in the browser")
	}
	// A second click that was under way at the same time gets the same.
	again := s.browser()
	again.cookies = map[string]*http.Cookie{"console-sign-in": before["console-sign-in"]}
	again.post("/authenticate", url.Values{"link": {page.doc().Find("input[name='link']").AttrOr("value", "")}}).wantLocation("/members?q=max")
	again.wantSignedIn(who.Email)
	if n := len(s.calls("magic_links.authenticate")); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	// Used up, and its address opened again.
	b2 := s.browser()
	b2.then(b2.follow(m.URL)).wantStatus(http.StatusForbidden).wantAlert("not asked for in this browser")
	ev := s.events(who.OrganizationID, audit.ActionSignIn)[0]
	if ev.Outcome != audit.OutcomeSucceeded || !slices.Equal(ev.Actor.AuthFactors, []string{"magic_link"}) || ev.Actor.Email != who.Email {
		t.Errorf("recorded %+v", ev)
	}
	if got := s.events(who.OrganizationID, audit.ActionSignInMail); len(got) != 1 || got[0].Detail != "magic_link" {
		t.Errorf("recorded mails %+v", got)
	}
}

// The verifier never leaves the browser's cookie and the call that needs it.
func TestLinksCarryPKCE(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	b.post("/login/link", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}})
	b.post("/login/forgot", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}})
	b.post("/login/find/link", url.Values{"email": {"hiro@acme.example"}})
	for endpoint, field := range map[string]string{
		"/magic_links/email/login_or_signup": "pkce_code_challenge", "/passwords/email/reset/start": "code_challenge", "/magic_links/email/discovery/send": "pkce_code_challenge",
	} {
		challenge := s.sent(endpoint, field)
		if raw, err := base64.RawURLEncoding.DecodeString(challenge); err != nil || len(raw) != sha256.Size {
			t.Errorf("%s: challenge %q", endpoint, challenge)
		}
	}
}

// A link opened in another browser, or with a state made up, leads nowhere.
func TestLinksAreBoundToTheBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	mine, theirs := s.browser(), s.browser()
	mine.post("/login/link", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}})
	theirs.post("/login/link", url.Values{"organization": {"acme"}, "email": {"ada@acme.example"}})
	links := s.outbox("login_link")
	of := func(email string) string {
		for _, m := range links {
			if m.To == email {
				return m.URL
			}
		}
		t.Fatal("no link for " + email)
		return ""
	}
	ada, hiro := of("ada@acme.example"), of("hiro@acme.example")
	mine.then(mine.follow(ada)).wantStatus(http.StatusForbidden).wantAlert("not asked for in this browser")
	// With the state taken out it may be an invitation, but it proves nothing here.
	u, _ := url.Parse(ada)
	q := u.Query()
	q.Del("state")
	u.RawQuery = q.Encode()
	page := mine.then(mine.follow(u.String()))
	if !strings.Contains(page.text("main"), "did not ask for this") {
		t.Errorf("no warning: %q", page.text("main"))
	}
	mine.submit(page, "/authenticate", nil).wantStatus(http.StatusUnauthorized).wantAlert("asked for in another browser")
	mine.wantSignedOut()
	// With one's own state but their token, the verifier does not fit.
	q.Set("state", mustQuery(t, hiro, "state"))
	u.RawQuery = q.Encode()
	page = mine.then(mine.follow(u.String()))
	mine.submit(page, "/authenticate", nil).wantStatus(http.StatusUnauthorized)
	mine.wantSignedOut()
	// The right one still works where it was asked for.
	theirs.land(ada).wantLocation("/")
	theirs.wantSignedIn("ada@acme.example")
}

func mustQuery(t *testing.T, address, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get(name)
}

// Redirect flows without the state this browser was given are refused outright.
func TestLandingsNobodyAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, kind := range []string{"sso", "oauth", "discovery_oauth", "discovery"} {
		for _, state := range []string{"", "&state=MADEUPMADEUPMADEUPMADEUPMA"} {
			b := s.browser()
			resp := b.then(b.get("/authenticate?stytch_token_type=" + kind + "&token=canary-token-" + kind + state))
			resp.wantStatus(http.StatusForbidden).wantAlert("not asked for in this browser")
			if strings.Contains(resp.body, "canary-token") || len(b.cookies) != 0 {
				t.Errorf("%s: something of it was kept", kind)
			}
		}
	}
	for _, bad := range []string{
		"token=x", "stytch_token_type=sso", "stytch_token_type=nothing&token=x", "stytch_token_type=multi_tenant_magic_links&token=x&token=y",
		"stytch_token_type=multi_tenant_magic_links&token=" + strings.Repeat("x", 600), "error=access_denied",
	} {
		b := s.browser()
		b.then(b.get("/authenticate?" + bad)).wantStatus(http.StatusBadRequest).wantAlert("not a link the console can use")
	}
	if strings.Contains(s.logs.String(), "canary-token") || strings.Contains(s.logs.String(), "MADEUP") {
		t.Error("a query is in the log")
	}
}

func TestSignInByCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("noor@acme.example") // has no password
	b := s.browser()
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {who.Email}, "return": {"/account"}}))
	code := s.newest("login_code").Code
	wrong := "000000"
	if wrong == code {
		wrong = "111111"
	}
	refused := b.submit(page, "/login/code/verify", url.Values{"code": {wrong}}).wantStatus(http.StatusUnauthorized).wantAlert("wrong or too old")
	spaced := code[:3] + " " + code[3:]
	b.submit(refused, "/login/code/verify", url.Values{"code": {spaced}}).wantLocation("/account")
	b.wantSignedIn(who.Email)
	if got := s.events(who.OrganizationID, audit.ActionSignIn); len(got) != 2 || got[0].Outcome != audit.OutcomeSucceeded || got[1].Detail != "code_refused" {
		t.Errorf("recorded %+v", got)
	}
}

// Whoever is not there gets the same pages as whoever is.
func TestMailsTellNobodyWhoIsThere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/login/link", "/login/code", "/login/forgot", "/login/find/link", "/login/find/code"} {
		s := newSite(t)
		var pages []string
		for _, form := range []url.Values{
			{"organization": {"acme"}, "email": {"hiro@acme.example"}},
			{"organization": {"acme"}, "email": {"nobody@acme.example"}},
			{"organization": {"no-such-org"}, "email": {"hiro@acme.example"}},
			{"organization": {"keystone"}, "email": {"nobody@keystone.test"}},
		} {
			b := s.browser()
			page := b.then(b.post(path, form)).wantStatus(http.StatusOK)
			text := strings.NewReplacer(form.Get("organization"), "ORG", form.Get("email"), "EMAIL").Replace(page.text("main"))
			pages = append(pages, text)
		}
		for i := range pages {
			if pages[i] != pages[0] {
				t.Errorf("%s: answer %d reads %q, the first %q", path, i, pages[i], pages[0])
			}
		}
	}
}

// One mailbox gets a handful of mails, whoever asks in whatever organization's name.
func TestMailsAreThrottledByMailbox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	status := 0
	for i := range 12 {
		b := s.browser()
		organization := []string{"acme", "globex", "northwind"}[i%3]
		status = b.post("/login/link", url.Values{"organization": {organization}, "email": {"sam@partners.example"}}).StatusCode
		s.clock.add(time.Second)
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("the twelfth mail: %d, want 429", status)
	}
	if n := len(s.calls("magic_links.email.login_or_signup")); n > 6 {
		t.Errorf("%d mails were asked for", n)
	}
}

func TestFindMyOrganization(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	find := map[string]func(b *browser) *answer{
		"link": func(b *browser) *answer {
			b.post("/login/find/link", url.Values{"email": {"sam@partners.example"}, "return": {"/account"}}).wantLocation("/login/sent")
			return b.land(s.newest("discovery_link").URL)
		},
		"code": func(b *browser) *answer {
			page := b.then(b.post("/login/find/code", url.Values{"email": {"sam@partners.example"}, "return": {"/account"}}))
			return b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("discovery_code").Code}})
		},
	}
	for name, proven := range find {
		b := s.browser()
		page := b.then(proven(b)).wantStatus(http.StatusOK)
		if got := page.text("main"); !strings.Contains(got, "Acme") || !strings.Contains(got, "Globex") || strings.Contains(got, "Keystone") {
			t.Errorf("%s: the choice is %q", name, got)
		}
		globex := s.someone("olga@globex.example").OrganizationID
		b.submitChoice(page, "/login/organizations", globex).wantLocation("/account")
		b.wantSignedIn("sam@partners.example")
		if got := b.get("/account").text("main"); !strings.Contains(got, "Globex") {
			t.Errorf("%s: signed in to %q", name, got)
		}
	}
	b := s.browser()
	page := b.then(b.post("/login/find/code", url.Values{"email": {"stranger@nowhere.example"}}))
	page = b.then(b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("discovery_code").Code}}))
	if got := page.text("main"); !strings.Contains(got, "No organization knows this address") {
		t.Errorf("a stranger sees %q", got)
	}
}

// submitChoice presses the button of one organization.
func (b *browser) submitChoice(page *answer, action, organizationID string) *answer {
	b.s.t.Helper()
	return b.post(action, b.choice(page, action, organizationID))
}

// choice is what the button of one organization posts.
func (b *browser) choice(page *answer, action, organizationID string) url.Values {
	b.s.t.Helper()
	input := page.doc().Find("form[action='" + action + "'] input[name='organization_id'][value='" + organizationID + "']")
	if input.Length() == 0 {
		b.s.t.Fatalf("%s is no choice of %q", organizationID, page.text("main"))
	}
	form := url.Values{}
	input.Closest("form").Find("input").Each(func(_ int, h *goquery.Selection) { form.Set(h.AttrOr("name", ""), h.AttrOr("value", "")) })
	return form
}

// The organization that a form names is taken only if the proof reaches it.
func TestDiscoveryReachesNoOtherOrganization(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	page := b.then(b.post("/login/find/code", url.Values{"email": {"hiro@acme.example"}}))
	page = b.then(b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("discovery_code").Code}}))
	form := b.choice(page, "/login/organizations", s.someone("hiro@acme.example").OrganizationID)
	trees := len(s.events("", audit.ActionTreeCreate))
	for _, id := range []string{s.someone("olga@globex.example").OrganizationID, "globex", "made-up", ""} {
		form.Set("organization_id", id)
		b.post("/login/organizations", form).wantStatus(http.StatusUnprocessableEntity)
	}
	b.wantSignedOut()
	if n := len(s.events("", audit.ActionTreeCreate)); n != trees {
		t.Errorf("%d logs were made in names that a form made up", n-trees)
	}
	if n := len(s.calls("discovery.intermediate_sessions.exchange")); n != 0 {
		t.Errorf("%d exchanges", n)
	}
}

func TestInvitedMemberFinishesTheInvitation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sandbox.SetRedirectURL(s.public.String() + "/authenticate")
	ilse := s.someone("ilse@acme.example")
	b := s.browser()
	invite := s.newest("invite")
	if invite.To != ilse.Email {
		t.Fatalf("the invitation is for %s", invite.To)
	}
	page := b.then(b.follow(invite.URL)).wantStatus(http.StatusOK)
	if !strings.Contains(page.text("main"), "invitation") {
		t.Errorf("the page says %q", page.text("main"))
	}
	b.submit(page, "/authenticate", nil).wantLocation("/")
	b.wantSignedIn(ilse.Email)
}

func TestForgotPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("hiro@acme.example")
	old := s.signIn(who.Email)
	b := s.browser()
	b.post("/login/forgot", url.Values{"organization": {"acme"}, "email": {who.Email}, "return": {"/members"}}).wantLocation("/login/sent")
	m := s.newest("password_reset")
	page := b.then(b.follow(m.URL)).wantStatus(http.StatusOK)
	weak := b.submit(page, "/authenticate/password", url.Values{"new_password": {"password"}})
	weak.wantStatus(http.StatusUnprocessableEntity)
	if got := weak.alert(); got == "" || strings.Contains(weak.body, `value="password"`) {
		t.Errorf("the alert is %q", got)
	}
	if n := len(s.calls("passwords.email.reset")); n != 0 {
		t.Errorf("%d resets were sent with a weak password", n)
	}
	const strong = "correct-horse-battery-41-staple"
	b.submit(weak, "/authenticate/password", url.Values{"new_password": {strong}}).wantLocation("/members")
	b.wantSignedIn(who.Email)
	// All sessions died; this one is noticed with the next call.
	s.clock.add(61 * time.Second)
	old.get("/account").wantLocation("/login?notice=session-ended&return=%2Faccount")
	signIn := loginForm(who)
	s.browser().post("/login/password", signIn).wantStatus(http.StatusUnauthorized)
	signIn.Set("password", strong)
	s.browser().post("/login/password", signIn).wantLocation("/")
	if got := s.events(who.OrganizationID, audit.ActionSetPassword); len(got) != 1 || got[0].Outcome != audit.OutcomeSucceeded {
		t.Errorf("recorded %+v", got)
	}
	// The mail has a second link, for who remembers the password after all.
	b = s.browser()
	b.post("/login/forgot", url.Values{"organization": {"acme"}, "email": {who.Email}})
	b.land(s.newest("password_reset").LoginURL).wantLocation("/")
	b.wantSignedIn(who.Email)
}

func TestChangeOwnPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("max@acme.example")
	b, other := s.signIn(who.Email), s.signIn(who.Email)
	page := b.get("/account/password").wantStatus(http.StatusOK)
	const strong = "seven-otters-juggle-92-lamps"
	b.submit(page, "/account/password", url.Values{"current_password": {"not it"}, "new_password": {strong}}).wantStatus(http.StatusUnauthorized).wantAlert("current password is wrong")
	b.submit(page, "/account/password", url.Values{"current_password": {who.Password}, "new_password": {"12345678"}}).wantStatus(http.StatusUnprocessableEntity)
	was := b.cookies["console"].Value
	s.clock.add(10 * time.Minute)
	b.get("/account")
	before := b.left()
	done := b.submit(page, "/account/password", url.Values{"current_password": {who.Password}, "new_password": {strong}})
	done.wantLocation("/account?notice=password")
	if got := b.then(done).status(); !strings.Contains(got, "changed") {
		t.Errorf("the page says %q", got)
	}
	if b.cookies["console"].Value == was {
		t.Error("the cookie is the old one")
	}
	if after := b.left(); after.End > before.End || after.End < before.End-60 {
		t.Errorf("the session now ends in %d s, was %d", after.End, before.End)
	}
	s.clock.add(61 * time.Second)
	other.get("/account").wantLocation("/login?notice=session-ended&return=%2Faccount")
	b.wantSignedIn(who.Email)
	form := loginForm(who)
	form.Set("password", strong)
	s.browser().post("/login/password", form).wantLocation("/")
	evs := s.events(who.OrganizationID, audit.ActionSetPassword)
	if len(evs) != 2 || evs[0].Outcome != audit.OutcomeSucceeded || evs[1].Detail != "password_refused" {
		t.Errorf("recorded %+v", evs)
	}
}

// Who has no password may set one with a fresh sign-in, and not with an old one.
func TestSetFirstPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("noor@acme.example")
	in := func() *browser {
		b := s.browser()
		page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {who.Email}}))
		b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}}).wantLocation("/")
		return b
	}
	b := in()
	s.clock.add(6 * time.Minute)
	page := b.get("/account/password").wantStatus(http.StatusOK)
	b.submit(page, "/account/password", url.Values{"new_password": {"seven-otters-juggle-92-lamps"}}).wantStatus(http.StatusForbidden).wantAlert("older than five minutes")
	b = in()
	b.submit(b.get("/account/password"), "/account/password", url.Values{"new_password": {"seven-otters-juggle-92-lamps"}}).wantLocation("/account?notice=password")
	b.wantSignedIn(who.Email)
}

func TestSwitchOrganization(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	sam := s.someone("sam@partners.example")
	b := s.browser()
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {sam.Email}}))
	b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}}).wantLocation("/")
	was := *b.cookies["console"]
	globex := s.someone("olga@globex.example").OrganizationID
	acme := s.someone("ada@acme.example").OrganizationID
	page = b.get("/account/organizations").wantStatus(http.StatusOK)
	b.submitChoice(page, "/account/organizations", globex).wantLocation("/")
	if got := b.get("/account").text("main"); !strings.Contains(got, "Globex") {
		t.Errorf("now in %q", got)
	}
	if b.cookies["console"].Value == was.Value {
		t.Error("the cookie is the old one")
	}
	// The session that was left is over, here and upstream.
	left := s.browser()
	left.cookies["console"] = &was
	left.get("/account").wantStatus(http.StatusSeeOther)
	switched := s.events(globex, audit.ActionSwitch)
	if len(switched) != 1 || switched[0].Outcome != audit.OutcomeSucceeded || !slices.Contains(switched[0].Actor.AuthFactors, "email_otp") {
		t.Errorf("recorded %+v", switched)
	}
	if got := s.events(acme, audit.ActionSignOut); len(got) != 2 {
		t.Errorf("recorded %d events of leaving, want intent and outcome", len(got))
	}
	// An organization one is not in.
	b.post("/account/organizations", url.Values{"organization_id": {s.someone("kay@keystone.test").OrganizationID}})
	if got := b.get("/account").text("main"); !strings.Contains(got, "Globex") {
		t.Errorf("now in %q", got)
	}
}

// What an organization does not allow is not offered.
func TestOnlyWhatIsAllowedIsOffered(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) { o.publicToken = true })
	offered := func(organization string) (password, link, code bool, ways string) {
		doc := s.browser().get("/login?organization=" + organization).wantStatus(http.StatusOK).doc()
		main := doc.Find("main")
		main.Find("details").Remove()
		return main.Find("input[type='password']").Length() > 0, main.Find("[formaction='/login/link'], form[action='/login/link']").Length() > 0,
			main.Find("[formaction='/login/code'], form[action='/login/code']").Length() > 0, main.Find("a[href*='/start']").Text()
	}
	if p, l, c, ways := offered("acme"); !p || !l || !c || !strings.Contains(ways, "Google") || strings.Contains(ways, "Slack") {
		t.Errorf("acme: password %v, link %v, code %v, %q", p, l, c, ways)
	}
	if p, l, c, ways := offered("keystone"); !p || l || c || ways != "" {
		t.Errorf("keystone: password %v, link %v, code %v, %q", p, l, c, ways)
	}
	if p, l, c, ways := offered("initech"); p || !l || c || !strings.Contains(ways, "Okta") || strings.Contains(ways, "Google") {
		t.Errorf("initech: password %v, link %v, code %v, %q", p, l, c, ways)
	}
	if page := s.browser().get("/login?organization=initech"); page.doc().Find("details input[type='password']").Length() != 1 {
		t.Error("a break-glass account cannot sign in")
	}
	without := newSite(t)
	if got := without.browser().get("/login?organization=acme").doc().Find("a[href*='/start']").Length(); got != 0 {
		t.Error("ways that need the public token are offered without one")
	}
	// An organization that is not there looks like one that allows everything.
	if p, l, c, ways := offered("no-such-org"); !p || !l || !c || !strings.Contains(ways, "Slack") {
		t.Errorf("nowhere: password %v, link %v, code %v, %q", p, l, c, ways)
	}
}

// The address typed on the first page is there on the organization's own, and in no address.
func TestOrganizationFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	resp := b.post("/login/organization", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}, "return": {"/members"}})
	resp.wantLocation("/login?organization=acme&return=%2Fmembers")
	doc := b.then(resp).doc()
	if got := doc.Find("#email").AttrOr("value", ""); got != "hiro@acme.example" {
		t.Errorf("the address is %q", got)
	}
	if got := doc.Find("input[name='return']").AttrOr("value", ""); got != "/members" {
		t.Errorf("return is %q", got)
	}
	b.post("/login/organization", url.Values{"organization": {""}}).wantStatus(http.StatusUnprocessableEntity)
}

// Where passwords are not allowed, members and strangers read the same.
func TestRestrictedOrganizationsTellNobodyApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var alerts []string
	for _, email := range []string{"ingrid@initech.test", "nobody@initech.test"} {
		resp := s.browser().post("/login/password", url.Values{"organization": {"initech"}, "email": {email}, "password": {"whatever"}})
		alerts = append(alerts, resp.wantStatus(http.StatusForbidden).alert())
	}
	if alerts[0] != alerts[1] || !strings.Contains(alerts[0], "does not allow signing in with a password") {
		t.Errorf("%q and %q", alerts[0], alerts[1])
	}
}

// Switching back and forth makes no sign-in last longer than one.
func TestSwitchingKeepsTheAbsoluteEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"sam@partners.example"}}))
	b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}})
	before := b.left()
	s.clock.add(20 * time.Minute)
	b.submitChoice(b.get("/account/organizations"), "/account/organizations", s.someone("olga@globex.example").OrganizationID).wantLocation("/")
	if after := b.left(); after.End > before.End-20*60 || after.End < before.End-21*60 {
		t.Errorf("%d s are left after 20 minutes, were %d", after.End, before.End)
	}
}

// A double click on a switch is one switch, whichever answer the browser takes.
func TestDoubleClickOnSwitch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {"sam@partners.example"}}))
	b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}})
	globex := s.someone("olga@globex.example").OrganizationID
	form := b.choice(b.get("/account/organizations"), "/account/organizations", globex)
	first, second := s.browser(), s.browser()
	first.cookies, second.cookies = maps.Clone(b.cookies), maps.Clone(b.cookies)
	first.post("/account/organizations", form).wantLocation("/")
	// Who has a copy of the old cookie alone gets nothing of the new session.
	for _, guess := range []url.Values{{}, {"organization_id": {globex}}, {"organization_id": {globex}, "once": {"x"}}} {
		copied := s.browser()
		copied.cookies = maps.Clone(b.cookies)
		copied.post("/account/organizations", guess)
		copied.get("/account").wantStatus(http.StatusSeeOther)
	}
	second.post("/account/organizations", form).wantLocation("/")
	for _, one := range []*browser{first, second} {
		if got := one.get("/account").wantStatus(http.StatusOK).text("main"); !strings.Contains(got, "Globex") {
			t.Errorf("now in %q", got)
		}
	}
	if n := len(s.calls("sessions.exchange")); n != 1 {
		t.Errorf("%d exchanges", n)
	}
	// Later the old cookie is worth nothing.
	s.clock.add(16 * time.Second)
	late := s.browser()
	late.cookies = maps.Clone(b.cookies)
	late.post("/account/organizations", form).wantStatus(http.StatusSeeOther)
	late.wantSignedOut()
}

// What may be asked about passwords without an account is bounded.
func TestStrengthChecksAreThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	page := b.then(b.get("/authenticate?stytch_token_type=multi_tenant_passwords&token=made-up"))
	link := page.doc().Find("input[name='link']").AttrOr("value", "")
	status := 0
	for range 200 {
		if status = b.post("/authenticate/password", url.Values{"link": {link}, "new_password": {"password"}}).StatusCode; status == http.StatusTooManyRequests {
			break
		}
	}
	if status != http.StatusTooManyRequests || len(s.calls("passwords.strength_check")) > 130 {
		t.Errorf("%d after %d checks", status, len(s.calls("passwords.strength_check")))
	}
}

// A button redeems what its page spoke of, not what another tab has opened since.
func TestButtonRedeemsItsOwnLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sandbox.SetRedirectURL(s.public.String() + "/authenticate")
	b := s.browser()
	b.post("/login/link", url.Values{"organization": {"acme"}, "email": {"hiro@acme.example"}})
	mine := b.then(b.follow(s.newest("login_link").URL))
	theirs := b.then(b.follow(s.newest("invite").URL)) // somebody else's, opened in another tab
	resp := b.submit(mine, "/authenticate", nil).wantStatus(http.StatusConflict).wantAlert("Another link was opened meanwhile")
	if !strings.Contains(resp.text("main"), "did not ask for this") {
		t.Errorf("no warning: %q", resp.text("main"))
	}
	if n := len(s.calls("magic_links.authenticate")); n != 0 {
		t.Errorf("%d calls", n)
	}
	b.wantSignedOut()
	b.submit(theirs, "/authenticate", nil).wantLocation("/")
	b.wantSignedIn("ilse@acme.example")
}

// Whoever opens many links that nobody asked for fills no audit.
func TestForeignLandingsFillNoAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) { o.proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	for i := range 40 {
		s.browser().get("/authenticate?stytch_token_type=sso&token=x", func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i+1))
		}).wantStatus(http.StatusSeeOther)
	}
	if n := len(s.events("", audit.ActionSignIn)); n < 1 || n > 10 {
		t.Errorf("%d events of one network in a minute, want 10 at most", n)
	}
}
