package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestSignInByLink(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.person("helpdesk")
	b, mark := s.browser(), s.control.mark()
	login := b.get("/members?q=maria")
	sent := b.press(login, "Email me a sign-in link", map[string]string{"organization": who.Organization, "email": who.Email}).wants(http.StatusOK)
	sent.says("h1", "Look into your mail")
	sent.says("main", who.Email, "Send it again")
	again := b.press(sent, "Send it again", nil).wants(http.StatusOK)
	if n := len(s.control.messages("login_link", who.Email)); n != 2 || again.url.Path != "/login/sent" {
		t.Errorf("%d mails, now at %s; want 2 and the same page", n, again.url)
	}
	mail := s.control.message("login_link", who.Email)

	landed := b.arrive(mail.URL).wants(http.StatusOK)
	if landed.url.RequestURI() != landingPath {
		t.Errorf("the link leads to %s, want %s without a query", landed.url, landingPath)
	}
	landed.says("h1", "Sign in")
	s.control.calls(mark, epLink, 0)
	if in := b.press(landed, "Sign in", nil).wants(http.StatusOK); in.url.RequestURI() != "/members?q=maria" {
		t.Errorf("signing in leads to %s, want where one came from", in.url)
	}
	b.wantIn(who.Email, "Acme Corporation", "email link")
	s.control.calls(mark, epLink, 1)
	row := wantAudit(t, s.as("auditor"), "session.sign_in", who.Email, "succeeded")
	s.as("auditor").get(row.event).wants(http.StatusOK).says("main", "magic_link")

	// Used, it leads nowhere, neither here nor elsewhere.
	b.submit(b.get("/account"), signOutForm, nil)
	b.arrive(mail.URL).alert(http.StatusForbidden, "not asked for in this browser")
	b.wantOut()
}

func TestSignInByCode(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.control.stranger("noor@acme.example") // has no password
	b := s.browser()
	asked := b.press(b.get("/login?return=%2Faccount"), "Email me a code", map[string]string{"organization": "acme", "email": who.Email}).wants(http.StatusOK)
	asked.says("h1", "Enter the code")
	code := s.control.message("login_code", who.Email).Code
	refused := b.press(asked, "Sign in", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "The code is wrong or too old")
	b.wantOut()
	if in := b.press(refused, "Sign in", map[string]string{"code": code[:3] + " " + code[3:]}).wants(http.StatusOK); in.url.Path != "/account" {
		t.Errorf("signing in leads to %s", in.url)
	}
	b.wantIn(who.Email, "Acme Corporation", "email code")

	// A code is good once.
	other := s.browser()
	asked = other.press(other.get("/login"), "Email me a code", map[string]string{"organization": "acme", "email": who.Email})
	other.press(asked, "Sign in", map[string]string{"code": code}).wants(http.StatusUnauthorized)
	other.wantOut()
	auditor := s.as("auditor")
	rows := auditor.audit("?action=session.sign_in&actor=" + who.Email)
	if len(rows) != 3 || rows[0].outcome != "failed" || rows[1].outcome != "succeeded" || rows[2].outcome != "failed" {
		t.Errorf("the audit has %+v, want a wrong code, a sign-in, and a used code", rows)
	}
}

// Who does not know the organization's name proves an address, and chooses.
func TestFindMyOrganization(t *testing.T) {
	t.Parallel()
	s := start(t)
	const sam = "sam@partners.example"
	for name, prove := range map[string]func(s *site, b *browser, find *page) *page{
		"link": func(s *site, b *browser, find *page) *page {
			b.press(find, "Email me a link", map[string]string{"email": sam}).wants(http.StatusOK).says("h1", "Look into your mail")
			return b.press(b.arrive(s.control.message("discovery_link", sam).URL), "Sign in", nil)
		},
		"code": func(s *site, b *browser, find *page) *page {
			asked := b.press(find, "Email me a code", map[string]string{"email": sam}).wants(http.StatusOK)
			return b.press(asked, "Sign in", map[string]string{"code": s.control.message("discovery_code", sam).Code})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			b := s.browser()
			find := b.get(b.get("/login?return=%2Faccount").href("Find my organization")).wants(http.StatusOK)
			find.says("h1", "Find my organization")
			p := prove(s, b, find).wants(http.StatusOK)
			p.says("h1", "Choose an organization")
			p.says("main", sam)
			got := p.choices()
			slices.Sort(got)
			if want := []string{"Acme Corporation", "Globex", "Initech invited", "Northwind"}; !slices.Equal(got, want) {
				t.Errorf("the choice is %q, want %q", got, want)
			}
			b.wantOut()
			if in := b.choose(p, "Globex").wants(http.StatusOK); in.url.Path != "/account" {
				t.Errorf("signing in leads to %s", in.url)
			}
			b.wantIn(sam, "Globex", "email "+name)
		})
	}

	// Nobody is told before the mailbox is proven who is there.
	b, stranger := s.browser(), "stranger@nowhere.example"
	b.press(b.get("/login/find"), "Email me a link", map[string]string{"email": stranger}).wants(http.StatusOK).says("h1", "Look into your mail")
	p := b.press(b.arrive(s.control.message("discovery_link", stranger).URL), "Sign in", nil).wants(http.StatusOK)
	p.says("main", "No organization knows this address")
	if len(p.choices()) != 0 {
		t.Errorf("a stranger may choose %q", p.choices())
	}
	b.wantOut()

	// The organization that a form names is the upstream's to grant.
	b = s.browser()
	b.press(b.get("/login/find"), "Email me a code", map[string]string{"email": "hiro@acme.example"})
	asked := b.get("/login/code")
	b.press(asked, "Sign in", map[string]string{"code": s.control.message("discovery_code", "hiro@acme.example").Code}).wants(http.StatusOK)
	if p := b.post("/login/organizations", url.Values{"organization_id": {s.control.stranger("olga@globex.example").OrganizationID}}); p.status < 400 {
		t.Errorf("another organization's id is answered with %d to %s", p.status, p.header.Get("Location"))
	}
	b.wantOut()
}

// An invitation to an organization that wants more than a code leads to what it wants.
func TestInvitationThatWantsMore(t *testing.T) {
	t.Parallel()
	s := start(t)
	const sam = "sam@partners.example"
	b := s.browser()
	asked := b.press(b.get("/login/find?return=%2Faccount"), "Email me a code", map[string]string{"email": sam})
	p := b.press(asked, "Sign in", map[string]string{"code": s.control.message("discovery_code", sam).Code}).wants(http.StatusOK)
	more := b.choose(p, "Initech").wants(http.StatusOK)
	if more.url.Path != "/login/more" {
		t.Fatalf("choosing leads to %s, want one more step: %s", more.url, more.words())
	}
	more.says("h1", "One more step")
	if got := more.ways(); !slices.Equal(got, []string{"Email me a sign-in link", "Continue with Initech Okta"}) {
		t.Errorf("offered are %q, want what Initech allows", got)
	}
	if got := more.one("input[name=email]").AttrOr("value", ""); got != sam {
		t.Errorf("the address is %q", got)
	}
	b.press(more, "Email me a sign-in link", nil).wants(http.StatusOK)
	mark := s.control.mark()
	in := b.press(b.arrive(s.control.message("signup_link", sam).URL), "Sign in", nil).wants(http.StatusOK)
	if in.url.Path != "/account" {
		t.Errorf("signing in leads to %s", in.url)
	}
	b.wantIn(sam, "Initech", "email code, email link")
	s.control.calls(mark, epLink, 1)
	if got := s.control.member(s.control.strangerIn("initech", sam).MemberID).Member.Status; got != "active" {
		t.Errorf("the member is %s", got)
	}
}

func TestAcceptInvitation(t *testing.T) {
	t.Parallel()
	s := start(t)
	ilse := s.control.stranger("ilse@acme.example")
	invite := s.control.message("invite", ilse.Email)
	b := s.browser()
	p := b.arrive(invite.URL).wants(http.StatusOK)
	p.says("main", "You did not ask for this in this browser", "invitation")
	in := b.press(p, "Sign in", nil).wants(http.StatusOK)
	if in.url.Path != "/members/"+ilse.MemberID {
		t.Errorf("signing in leads to %s, want one's own page", in.url)
	}
	b.wantIn(ilse.Email, "Acme Corporation", "email link")
	if got := s.control.member(ilse.MemberID).Member.Status; got != "active" {
		t.Errorf("the member is %s", got)
	}
	again := s.browser()
	again.press(again.arrive(invite.URL), "Sign in", nil).alert(http.StatusUnauthorized, "used already")
	again.wantOut()
}

func TestForgotPassword(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.control.stranger("max@acme.example")
	if n := len(s.control.member(who.MemberID).Sessions); n == 0 {
		t.Fatal("the test needs open sessions")
	}
	b := s.browser()
	forgot := b.get(b.get("/login?return=%2Faccount").href("Forgot password?")).wants(http.StatusOK)
	forgot.says("h1", "Forgot password")
	b.press(forgot, "Email me a link", map[string]string{"organization": "acme", "email": who.Email}).wants(http.StatusOK).says("main", who.Email)
	mail := s.control.message("password_reset", who.Email)
	p := b.arrive(mail.URL).wants(http.StatusOK)
	p.says("h1", "Set a new password")
	const set = "Set password and sign in"

	mark := s.control.mark()
	for _, weak := range []string{"password", "max@acme.example", "1234567890"} {
		p = b.press(p, set, map[string]string{"new_password": weak}).alert(http.StatusUnprocessableEntity, "")
		if got := p.one("input[name=new_password]").AttrOr("value", ""); got != "" {
			t.Errorf("the password %q stands in the page again", got)
		}
	}
	s.control.calls(mark, epReset, 0)
	in := b.press(p, set, map[string]string{"new_password": strong}).wants(http.StatusOK)
	if in.url.Path != "/account" {
		t.Errorf("setting it leads to %s", in.url)
	}
	s.control.calls(mark, epReset, 1)
	b.wantIn(who.Email, "Acme Corporation", "password")
	if n := len(s.control.member(who.MemberID).Sessions); n != 1 {
		t.Errorf("%d sessions are open, want this one alone", n)
	}
	s.browser().signIn("acme", who.Email, who.Password).alert(http.StatusUnauthorized, "is wrong")
	s.browser().signIn("acme", who.Email, strong).wants(http.StatusOK)
	auditor := s.as("auditor")
	wantAudit(t, auditor, "session.password.set", who.Email, "succeeded")
	wantAudit(t, auditor, "session.sign_in", who.Email, "succeeded")

	// The mail's link is used up; its other link signed nobody in.
	b.submit(b.get("/account"), signOutForm, nil)
	b.arrive(mail.URL).alert(http.StatusForbidden, "not asked for in this browser")

	// A mail from the helpdesk was asked for in another browser.
	desk := s.as("helpdesk")
	desk.deletePassword(s.id("paula@acme.example"), map[string]string{"send_reset": "1"}).wants(http.StatusOK)
	theirs := s.control.message("password_reset", "paula@acme.example")
	caller := s.browser()
	landed := caller.arrive(theirs.URL).wants(http.StatusOK)
	landed.says("main", "a mail from your helpdesk")
	caller.press(landed, set, map[string]string{"new_password": strong}).wants(http.StatusOK)
	caller.wantIn("paula@acme.example", "Acme Corporation", "password")
}

// Who is asked for is told to nobody: each of these answers reads the same.
func TestMailsTellNobodyWhoIsThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct{ path, button, email string }{ // a mailbox gets only so many
		{"/login", "Email me a sign-in link", "luis@acme.example"},
		{"/login", "Email me a code", "shira@acme.example"},
		{"/login/forgot", "Email me a link", "zoe@acme.example"},
		{"/login/find", "Email me a link", "petro@acme.example"},
		{"/login/find", "Email me a code", "grace@acme.example"},
	} {
		var first string
		nobody := "nobody." + c.email
		for _, who := range [][2]string{{"acme", c.email}, {"acme", nobody}, {"no-such-org", c.email}, {"keystone", nobody}} {
			b := s.browser()
			fill := map[string]string{"organization": who[0], "email": who[1]}
			if c.path == "/login/find" {
				delete(fill, "organization")
			}
			p := b.press(b.get(c.path), c.button, fill).wants(http.StatusOK)
			said := strings.NewReplacer(who[0], "ORGANIZATION", who[1], "ADDRESS").Replace(p.url.RequestURI() + p.text("main") + strings.Join(b.cookies(), " "))
			if first == "" {
				first = said
			}
			if said != first {
				t.Errorf("%s %s: %q reads\n%s\nand the first\n%s", c.path, c.button, who, said, first)
			}
		}
	}
}
