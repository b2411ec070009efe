package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// typePassword signs in on the first page as somebody of whatever organization.
func (tb *tab) typePassword(who stranger) *network.Response {
	tb.t.Helper()
	tb.open("/login")
	tb.fill("Organization", who.Organization)
	tb.fill("Email", who.Email)
	tb.fill("Password", who.Password)
	return tb.load(chromedp.Click(button("Sign in")))
}

func testEnrolment(t *testing.T, c *chromium)              { enrolment(t, c) }
func testEnrolmentWithoutScript(t *testing.T, c *chromium) { enrolment(t, c, withoutScript) }

// enrolment is the first sign-in where a second factor is demanded: with an
// app, whose key is on the page, and with recovery codes to keep.
func enrolment(t *testing.T, c *chromium, options ...tabOption) {
	t.Helper()
	s := start(t)
	nell := s.control.stranger("nell@northwind.test")
	tb := c.tab(t, s, options...)
	tb.typePassword(nell)
	if got := tb.text("h1"); got != "Set up a second factor" {
		t.Fatalf("the password leads to %q", got)
	}
	tb.load(chromedp.Click(button("Use an authenticator app")))
	if !eval[bool](tb, `(() => { const i = document.querySelector("main img"); return i.complete && i.naturalWidth > 100 })()`) {
		t.Error("the picture with the key is not shown")
	}
	key := strings.ReplaceAll(tb.text("#secret"), " ", "")
	if got := eval[string](tb, `document.activeElement.name ?? ""`); got != "code" {
		t.Errorf("the focus is on %q, want the code", got)
	}
	tb.fill("Code from the app", appCode(t, key, time.Now()))
	tb.load(chromedp.Click(button("Confirm the app")))
	if got := tb.text("h1"); got != "Recovery codes" {
		t.Fatalf("the code leads to %q:\n%s", got, tb.where())
	}
	codes := strings.Fields(tb.text("#codes"))
	if want := s.control.factors(nell.MemberID).RecoveryCodes; strings.Join(codes, " ") != strings.Join(want, " ") {
		t.Errorf("shown are %q, want %q", codes, want)
	}
	tb.load(chromedp.Reload())
	if got := strings.Fields(tb.text("#codes")); len(got) != len(codes) {
		t.Errorf("a reload shows %q", got)
	}
	tb.load(chromedp.Click(button("I have kept them")))
	if got := tb.path(); got != "/members/"+nell.MemberID {
		t.Errorf("having kept them leads to %s", got)
	}
	// Going back does not bring them back.
	tb.open("/mfa/recovery-codes")
	if strings.Contains(tb.text("body"), codes[0]) {
		t.Error("the codes are shown again")
	}
	tb.load(chromedp.Click(button("Sign out")))

	// The next sign-in asks for the app's code, and takes it by Enter.
	tb.typePassword(nell)
	tb.fill("Code from the app", s.control.factors(nell.MemberID).TOTPCode)
	tb.load(chromedp.KeyEvent("\r"))
	if got := tb.path(); got != "/members/"+nell.MemberID {
		t.Errorf("the code leads to %s:\n%s", got, tb.where())
	}
}

func testSingleSignOn(t *testing.T, c *chromium)              { singleSignOn(t, c, true) }
func testSingleSignOnWithoutScript(t *testing.T, c *chromium) { singleSignOn(t, c, false) }

// singleSignOn goes to the identity provider and comes back: by itself with
// script, by one more click without.
func singleSignOn(t *testing.T, c *chromium, script bool) {
	t.Helper()
	s := start(t)
	var options []tabOption
	if !script {
		options = append(options, withoutScript)
	}
	tb := c.tab(t, s, options...)
	mark := s.control.mark()
	tb.open("/login?return=" + url.QueryEscape("/members?q=maria"))
	tb.fill("Organization", "acme")
	tb.load(chromedp.Click(button("Other ways to sign in")))
	tb.load(chromedp.Click(link("Continue with Acme Okta")))
	if got := tb.text("h1"); got != "Stand-in identity provider" {
		t.Fatalf("the button leads to %q", got)
	}
	tb.fill("Another email address", "hiro@acme.example")
	if script {
		tb.do(chromedp.Click(button("Continue")))
	} else {
		tb.load(chromedp.Click(button("Continue")))
		if got := tb.path(); got != landingPath {
			t.Fatalf("the provider leads to %s", got)
		}
		tb.load(chromedp.Click(button("Sign in")))
	}
	tb.comesTo("/members?q=maria")
	if got := tb.text(".side"); !strings.Contains(got, "hiro@acme.example") {
		t.Errorf("signed in is %s", got)
	}
	s.control.calls(mark, epSSO, 1)
	// Back leads neither to the provider's answer nor into a second sign-in.
	eval[chromedp.Void](tb, `history.back()`)
	eventually(t, stepTime, "back leads somewhere", func() bool {
		ctx, cancel := tb.within()
		defer cancel()
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.href : ""`))
		return err == nil && at != "" && !strings.Contains(at, "/members")
	})
	s.control.calls(mark, epSSO, 1)
	tb.open("/account")
	if got := tb.fact("Factors"); got != "single sign-on" {
		t.Errorf("factors %q", got)
	}
}

func testLink(t *testing.T, c *chromium)              { signInByLink(t, c) }
func testLinkWithoutScript(t *testing.T, c *chromium) { signInByLink(t, c, withoutScript) }

// signInByLink asks for a link, finds it in the inbox, and presses the button it leads to.
func signInByLink(t *testing.T, c *chromium, options ...tabOption) {
	t.Helper()
	s := start(t)
	who := s.person("helpdesk")
	tb := c.tab(t, s, options...)
	tb.open("/login?return=" + url.QueryEscape("/members?q=maria"))
	tb.fill("Organization", who.Organization)
	tb.fill("Email", who.Email)
	mark := s.control.mark()
	tb.load(chromedp.Click(button("Email me a sign-in link"))) // with no password typed
	if got := tb.text("main"); !strings.Contains(got, who.Email) {
		t.Fatalf("asking leads to:\n%s", tb.where())
	}
	s.control.calls(mark, "magic_links.email.login_or_signup", 1)
	tb.load(chromedp.Navigate(s.Stytch + "/inbox"))
	if got := tb.text("h1"); got != "Sandbox inbox" {
		t.Fatalf("the inbox is headed %q", got)
	}
	newest := `(//article)[1]`
	if got := tb.text("article"); !strings.Contains(got, who.Email) {
		t.Fatalf("the newest mail reads %s", got)
	}
	tb.load(chromedp.Click(newest + link("Sign in")))
	if got := tb.path(); got != landingPath {
		t.Errorf("the link leads to %s", got)
	}
	tb.load(chromedp.Reload())
	s.control.calls(mark, epLink, 0)
	tb.do(doubleClick(button("Sign in")))
	tb.comesTo("/members?q=maria")
	s.control.calls(mark, epLink, 1)
	if got := tb.text(".side"); !strings.Contains(got, who.Email) {
		t.Errorf("signed in is %s", got)
	}
}

// testSessionWarning looks at the end of a session as it comes.
func testSessionWarning(t *testing.T, c *chromium) {
	sandbox := upstream(t)
	s := sandbox.serve(append(sandbox.settings(t.TempDir()), "CONSOLE_SESSION_IDLE=1m", "CONSOLE_SESSION_MAX=5m"))
	tb := c.tab(t, s)
	tb.signIn("org_admin")
	const dialog = "#session-warning"
	open := func() bool { return eval[bool](tb, `document.querySelector("#session-warning").open`) }
	says := func(want string) func() bool {
		return func() bool { return open() && strings.Contains(tb.text(dialog), want) }
	}
	idle := func() int {
		return eval[int](tb, `fetch("/session").then((r) => r.json()).then((life) => life.idle_seconds)`)
	}

	// The five minutes of this session are all there is: that is told at once, and nothing can be done about it.
	target := s.control.stranger("max@acme.example")
	tb.open("/members/" + target.MemberID + "/password/delete")
	eventually(t, stepTime, "the end of the session is told", says("Your session is about to end"))
	if got := tb.text(dialog); strings.Contains(got, "Stay signed in") {
		t.Errorf("it offers what cannot be done: %s", got)
	}
	tb.lookAtDialog("session-end")
	tb.do(chromedp.Click(button("Close")), chromedp.WaitNotVisible(dialog, chromedp.NodeVisible))
	tb.fill("Reason", "Asked by the caller")
	was := idle()

	// Half a minute before it ends by idleness one may stay, and nothing typed is lost.
	eventually(t, settleLimit, "idleness is told", says("Still there?"))
	if got := eval[string](tb, `document.activeElement.innerText`); got != "Stay signed in" {
		t.Errorf("the focus is on %q", got)
	}
	if left := idle(); left > 32 || left >= was {
		t.Errorf("%d seconds are left of %d: asking kept the session alive, or it was told early", left, was)
	}
	tb.lookAtDialog("session-idle")
	mark := len(tb.requestsOf("POST"))
	tb.do(chromedp.Click(button("Stay signed in")))
	eventually(t, stepTime, "the dialog closes or tells of the end alone", func() bool { return !strings.Contains(tb.text(dialog), "Still there?") })
	if left := idle(); left < 50 {
		t.Errorf("%d seconds are left after staying", left)
	}
	if n := len(tb.requestsOf("POST")) - mark; n != 1 {
		t.Errorf("staying took %d posts, want 1", n)
	}
	if got := eval[string](tb, `document.querySelector("#reason").value`); got != "Asked by the caller" {
		t.Errorf("what was typed is %q", got)
	}

	// Another tab signs out: this one says so, and keeps what was typed.
	tb.expect(401)
	eval[chromedp.Void](tb, `fetch("/logout", {method: "POST"}).then(() => dispatchEvent(new Event("focus")))`)
	eventually(t, stepTime, "the end is told", says("Session ended"))
	if got := eval[string](tb, `(() => { const a = document.querySelector("#session-warning a"); return a.target + " " + a.rel + " " + a.getAttribute("href") })()`); got != "_blank noopener /login" {
		t.Errorf("the link to sign in again is %q", got)
	}
	tb.lookAtDialog("session-ended")
	if got := eval[string](tb, `document.querySelector("#reason").value`); got != "Asked by the caller" {
		t.Errorf("what was typed is %q", got)
	}
}

// requestsOf are the addresses that were asked for by a method.
func (tb *tab) requestsOf(method string) []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	var all []string
	for _, w := range tb.requests {
		if w.method == method {
			all = append(all, w.url)
		}
	}
	return all
}

// lookAtDialog is lookAt for what a clock changes: once in each scheme, wide and narrow.
func (tb *tab) lookAtDialog(name string) {
	tb.t.Helper()
	eval[chromedp.Void](tb, axe)
	for scheme, width := range map[string]int64{"light": narrow, "dark": wide} {
		tb.look(width, scheme)
		for _, violation := range eval[[]string](tb, axeRun) {
			tb.t.Errorf("%s, %s, %d px: axe: %s", name, scheme, width, violation)
		}
		tb.picture(fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
	}
	tb.look(wide, "light")
}
