package e2e_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whoever acts as somebody else is told so on every page, and so is whoever reads the audit.
func TestImpersonation(t *testing.T) {
	t.Parallel()
	s := start(t)
	hiro, target := s.control.stranger("hiro@acme.example"), s.control.stranger("paula@acme.example")
	b := s.browser()
	p := b.arrive(s.control.impersonation(hiro.MemberID)).wants(http.StatusOK)
	p.says("h1", "Act as a member")
	p.says("main", "for at most an hour", "Everything you do is recorded")
	mark := s.control.mark()
	b.press(p, "Start impersonation", nil).wants(http.StatusOK)
	s.control.calls(mark, "impersonation.authenticate", 1)
	b.wantIn(hiro.Email, "Acme Corporation", "impersonation").says("main", operator)

	banner := func(p *page) {
		t.Helper()
		note := p.one(`aside.impersonation [role="note"]`)
		if got := squeeze(note.Text()); !strings.Contains(got, "Impersonated session. "+operator+" is signed in as Hiro Tanaka ("+hiro.Email+")") {
			t.Errorf("%s: the banner says %q", p.url, got)
		}
		if p.one(`aside.impersonation form[action="/logout"] button`).Length() != 1 || p.doc.Find("aside.impersonation [data-dismiss], aside.impersonation a").Length() != 0 {
			t.Errorf("%s: the banner can be left otherwise than by signing out", p.url)
		}
	}
	done := b.deletePassword(target.MemberID, map[string]string{"send_reset": "1"}).wants(http.StatusOK)
	done.says(`[role="status"]`, "Password deleted")
	for path, status := range map[string]int{
		"/account": 200, "/account/organizations": 200, "/account/password": 200, "/members": 200, "/members?q=nobody-of-that-name": 200, "/members/" + hiro.MemberID: 200,
		"/members/" + target.MemberID: 200, "/members/" + target.MemberID + "?view=raw": 200, "/members/" + target.MemberID + "/password/delete": 200,
		"/members/" + target.MemberID + "/password/require-reset": 200, done.operation(): 200, "/audit": 403, "/nothing": 404, "/members/" + s.id("olga@globex.example"): 404,
		"/login/find": 200, "/login/forgot": 200, "/authenticate": 200, "/authenticate?token=x": 400,
	} {
		banner(b.get(path).wants(status))
	}
	banner(b.send(b.confirm(s.id("max@acme.example")), confirmForm, map[string]string{"reason": ""}).wants(http.StatusUnprocessableEntity))
	s.control.fault(fault{Endpoint: epSearch, Kind: "bad_gateway_html", Times: 1})
	banner(b.get("/members").wants(http.StatusBadGateway))

	// The member's own things are not the operator's to change.
	banner(b.post("/account/password", url.Values{"current_password": {hiro.Password}, "new_password": {strong}}).wants(http.StatusForbidden))
	banner(b.post("/account/organizations", url.Values{"organization_id": {s.control.stranger("olga@globex.example").OrganizationID}}).wants(http.StatusForbidden))
	s.control.calls(mark, epOwnPassword, 0)
	s.control.calls(mark, "sessions.exchange", 0)
	p = b.submit(b.get("/members"), "aside.impersonation form", nil).wants(http.StatusOK)
	if p.url.Path != "/login" || p.doc.Find("aside.impersonation").Length() != 0 {
		t.Errorf("signing out by the banner leads to %s", p.url)
	}

	auditor := s.as("auditor")
	actions := map[string]int{}
	for _, r := range auditor.audit("?actor=" + hiro.Email) {
		event := auditor.get(r.event).wants(http.StatusOK)
		if got := event.row("Factors"); !strings.Contains(got, "impersonat") || !strings.Contains(got, "dashboard-user-") {
			t.Errorf("%s %s %s is recorded with the factors %q, and without the impersonator", r.action, r.phase, r.outcome, got)
		}
		actions[r.action]++
	}
	if want := map[string]int{"Sign in": 1, "Delete password": 2, "Send reset email": 2, "Set own password": 1, "Switch organization": 1, "Sign out": 2}; !maps.Equal(actions, want) {
		t.Errorf("recorded of the impersonated member are %v, want %v", actions, want)
	}
	other := s.browser()
	p = other.press(other.arrive(s.control.impersonation(hiro.MemberID)), "Start impersonation", nil).wants(http.StatusOK)
	banner(p)
	// Hiro himself is told nothing of the kind.
	if n := s.as("helpdesk").get("/members").doc.Find("aside.impersonation").Length(); n != 0 {
		t.Error("the banner is on the member's own pages")
	}
}

func TestSwitchOrganization(t *testing.T) {
	t.Parallel()
	s := start(t)
	sam := s.control.strangerIn("acme", "sam@partners.example")
	byCode := func() *browser {
		t.Helper()
		b := s.browser()
		asked := b.press(b.get("/login"), "Email me a code", map[string]string{"organization": "acme", "email": sam.Email})
		b.press(asked, "Sign in", map[string]string{"code": s.control.message("login_code", sam.Email).Code}).wants(http.StatusOK)
		return b
	}
	choice := func(b *browser) *page {
		t.Helper()
		return b.get(b.get("/account").wants(http.StatusOK).href("Switch organization")).wants(http.StatusOK)
	}
	open := len(s.control.member(sam.MemberID).Sessions)

	b := byCode()
	left := b.cookie("console")
	p := choice(b)
	p.says("h1", "Switch organization")
	got := p.choices()
	slices.Sort(got)
	if want := []string{"Acme Corporation you are here", "Globex", "Initech invited", "Northwind"}; !slices.Equal(got, want) {
		t.Errorf("the choice is %q, want %q", got, want)
	}
	b.choose(p, "Globex").wants(http.StatusOK)
	b.wantIn(sam.Email, "Globex", "email code")
	// What was left is over, here and there.
	if n := len(s.control.member(sam.MemberID).Sessions); n != open {
		t.Errorf("%d sessions are open where one came from, want %d", n, open)
	}
	thief := s.browser()
	thief.put(left)
	thief.wantOut()
	admin := s.as("org_admin")
	wantAudit(t, admin, "session.sign_out", sam.Email, "succeeded")
	wantAudit(t, s.as("outsider"), "session.switch", sam.Email, "succeeded")

	// Where a second factor is wanted, nothing is left before it is there.
	p = b.choose(choice(b), "Northwind").wants(http.StatusOK)
	if p.url.Path != "/mfa" {
		t.Fatalf("Northwind leads to %s: %s", p.url, p.words())
	}
	if in := b.get("/account"); in.row("Organization") != "Globex" {
		t.Errorf("in between one is in %q, want Globex still", in.row("Organization"))
	}
	p = b.press(p, "Use text messages", map[string]string{"phone": "+44 20 7946 0958"}).wants(http.StatusOK)
	b.press(p, "Confirm the phone", map[string]string{"code": s.control.message("sms_code", "+442079460958").Code}).wants(http.StatusOK)
	b.wantIn(sam.Email, "Northwind", "email code, text message")

	// A password of one organization proves nothing in another.
	b = s.asPerson(person{Organization: "acme", Email: sam.Email, Password: sam.Password})
	p = b.choose(choice(b), "Globex").wants(http.StatusOK)
	if p.url.Path != "/login/more" {
		t.Fatalf("with a password, Globex leads to %s: %s", p.url, p.words())
	}
	b.press(p, "Sign in", map[string]string{"password": s.control.strangerIn("globex", sam.Email).Password}).wants(http.StatusOK)
	b.wantIn(sam.Email, "Globex", "password")

	// Nobody goes where they do not belong, nor to nowhere.
	for _, id := range []string{s.control.stranger("kay@keystone.test").OrganizationID, "", "organization-test-none", strings.Repeat("x", 300)} {
		if p := b.post("/account/organizations", url.Values{"organization_id": {id}}); p.status < 400 || p.status >= 500 {
			t.Errorf("organization %.60q: %d to %s", id, p.status, p.header.Get("Location"))
		}
	}
	b.wantIn(sam.Email, "Globex", "password")
}

func TestChangeOwnPassword(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.person("member")
	id := s.id(who.Email)
	b := s.asPerson(who)
	was := b.cookie("console").Value
	p := b.get(b.get("/account").href("Change password")).wants(http.StatusOK)
	p.says("h1", "Change password")
	const change = "Change password"
	p = b.press(p, change, map[string]string{"current_password": "not it", "new_password": strong}).alert(http.StatusUnauthorized, "The current password is wrong")
	p = b.press(p, change, map[string]string{"current_password": who.Password, "new_password": "12345678"}).alert(http.StatusUnprocessableEntity, "in a list of leaked passwords")
	p = b.press(p, change, map[string]string{"current_password": who.Password, "new_password": "abababab"}).alert(http.StatusUnprocessableEntity, "too weak")
	if p.doc.Find("main input[type=password][value]:not([value=''])").Length() != 0 {
		t.Error("a password stands in the page again")
	}
	mark := s.control.mark()
	action, body := p.form("main form:has(input[name=new_password])", map[string]string{"current_password": who.Password, "new_password": strong})
	// Twice at once, as by a double click.
	s.control.fault(fault{Endpoint: epOwnPassword, Kind: "latency", Duration: "300ms", Times: 2})
	answers := make([]*page, 2)
	var both sync.WaitGroup
	for i := range answers {
		tab := b.clone()
		both.Go(func() { answers[i] = tab.post(action, body) })
	}
	both.Wait()
	s.control.clearFaults()
	s.control.calls(mark, epOwnPassword, 1)
	for _, answer := range answers {
		b.follow(answer.wants(http.StatusSeeOther)).wants(http.StatusOK).says(`[role="status"]`, "Your password is changed")
	}
	b.wantIn(who.Email, "Acme Corporation", "password")
	if b.cookie("console").Value == was {
		t.Error("the session's cookie is the old one")
	}
	if n := len(s.control.member(id).Sessions); n != 1 {
		t.Errorf("%d sessions are open, want this one alone", n)
	}
	b.wantIn(who.Email, "Acme Corporation", "password")
	s.browser().signIn("acme", who.Email, who.Password).alert(http.StatusUnauthorized, "is wrong")
	s.browser().signIn("acme", who.Email, strong).wants(http.StatusOK)
	rows := s.as("auditor").audit("?action=session.password.set&actor=" + who.Email)
	if len(rows) != 2 || rows[0].outcome != "succeeded" || rows[1].outcome != "failed" {
		t.Errorf("the audit has %+v, want a wrong password and a success", rows)
	}

	// Who has none may set one, fresh from signing in.
	noor := s.browser()
	asked := noor.press(noor.get("/login"), "Email me a code", map[string]string{"organization": "acme", "email": "noor@acme.example"})
	noor.press(asked, "Sign in", map[string]string{"code": s.control.message("login_code", "noor@acme.example").Code}).wants(http.StatusOK)
	p = noor.get(noor.get("/account").href("Set a password")).wants(http.StatusOK)
	noor.press(p, "Set password", map[string]string{"new_password": strong}).wants(http.StatusOK)
	s.browser().signIn("acme", "noor@acme.example", strong).wants(http.StatusOK)
}

// Who has no second factor sets one up, is asked for it from then on, and stays signed in.
func TestAddASecondFactor(t *testing.T) {
	t.Parallel()
	s := start(t)
	luis := s.control.stranger("luis@acme.example")
	b := s.asPerson(person{Organization: "acme", Email: luis.Email, Password: luis.Password})
	account := b.get("/account").wants(http.StatusOK)
	account.says("main", "Second factor", "You have none")
	p := b.press(account, "Set up a second factor", nil).wants(http.StatusOK)
	p.says("h1", "Set up a second factor")
	p = b.press(p, "Use an authenticator app", nil).wants(http.StatusOK)
	code := appCode(t, p.key(), time.Now())
	p = b.press(p, "Confirm the app", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "The code is wrong")
	mark := s.control.mark()
	kept := b.press(p, "Confirm the app", map[string]string{"code": code}).wants(http.StatusOK)
	s.control.calls(mark, "totp.authenticate", 1)
	kept.says("h1", "Recovery codes")
	if n := kept.doc.Find("#codes li").Length(); n != len(s.control.factors(luis.MemberID).RecoveryCodes) || n == 0 {
		t.Errorf("%d recovery codes are shown", n)
	}
	done := b.press(kept, "I have kept them", nil).wants(http.StatusOK)
	done.says(`[role="status"]`, "Your second factor is set up")
	done.says("main", "You have: ")
	b.wantIn(luis.Email, "Acme Corporation", "password, authenticator app")
	again, p := s.firstFactor(luis, "")
	again.press(p, "Sign in", map[string]string{"code": s.control.factors(luis.MemberID).TOTPCode}).wants(http.StatusOK)
	again.wantIn(luis.Email, "Acme Corporation", "password, authenticator app")
	wantAudit(t, s.as("auditor"), "session.second_factor", luis.Email, "succeeded")

	// Nobody sets one up for somebody else.
	operator := s.browser()
	operator.press(operator.arrive(s.control.impersonation(s.id("paula@acme.example"))), "Start impersonation", nil).wants(http.StatusOK)
	if text := operator.get("/account").text("main"); strings.Contains(text, "Set up a second factor") {
		t.Error("who impersonates is offered a second factor")
	}
	mark = s.control.mark()
	operator.post("/account/second-factor", nil).wants(http.StatusForbidden)
	s.control.calls(mark, "totp.create", 0)
}

// Who signs in again after the session has ended finds what was typed, where it was typed. Nobody else does.
func TestWhatWasTypedSurvivesTheSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.id("paula@acme.example")
	path := "/members/" + target + "/password/delete"
	hiro := s.id("hiro@acme.example")
	const reason = `The laptop is gone, says <b>"the caller"</b> & ünïcode`
	const back = "What you had typed is back below"
	lose := func() (*browser, *page) {
		t.Helper()
		b := s.as("helpdesk")
		confirm := b.confirm(target)
		for _, open := range s.control.member(hiro).Sessions {
			s.control.endSession(open.ID)
		}
		mark := s.control.mark()
		login := b.submit(confirm, confirmForm, map[string]string{"reason": reason, "ticket": "INC-4711", "sign_out": "1"}).wants(http.StatusOK)
		if login.url.Path != "/login" || login.url.Query().Get("return") != path {
			t.Fatalf("without a session the form leads to %s, want /login and back", login.url)
		}
		login.says("main", "Your session has ended")
		for _, e := range s.control.journal(mark, epDeletePassword) {
			if e.Status < 300 {
				t.Error("the password was deleted without a session")
			}
		}
		if strings.Contains(login.body, "laptop is gone") {
			t.Error("the sign-in page shows what was typed")
		}
		return b, login
	}
	signIn := func(b *browser, login *page, role string) *page {
		t.Helper()
		who := s.person(role)
		p := b.press(login, "Sign in", map[string]string{"organization": who.Organization, "email": who.Email, "password": who.Password}).wants(http.StatusOK)
		if p.url.RequestURI() != path {
			t.Errorf("signing in again leads to %s, want %s", p.url, path)
		}
		return p
	}

	b, login := lose()
	p := signIn(b, login, "helpdesk")
	p.says("main", "Nothing was done", back)
	_, values := p.form(confirmForm, nil)
	for name, want := range map[string]string{"reason": reason, "ticket": "INC-4711", "sign_out": "1", "send_reset": ""} {
		if got := values.Get(name); got != want {
			t.Errorf("%s is %q, want %q as typed", name, got, want)
		}
	}
	b.submit(p, confirmForm, nil).wants(http.StatusOK).says(`[role="status"]`, "Password deleted")
	s.control.change(target, map[string]any{"password": strong})
	if again := b.confirm(target); strings.Contains(again.body, "laptop is gone") || slices.Contains(b.cookies(), "console-draft") {
		t.Error("it comes back a second time")
	}

	b, login = lose()
	p = signIn(b, login, "org_admin")
	if strings.Contains(p.body, "laptop is gone") || strings.Contains(p.body, "INC-4711") || strings.Contains(p.text("main"), back) {
		t.Errorf("somebody else finds it: %s", p.words())
	}
	b.submit(p, signOutForm, nil)
	if p = signIn(b, b.get("/login?return="+url.QueryEscape(path)), "helpdesk"); strings.Contains(p.body, "laptop is gone") {
		t.Error("it is kept after somebody else has signed in")
	}
}
