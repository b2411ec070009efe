package e2e_test

import (
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// landing opens the address of a mail.
func landing(address func() string) func(*tab) *network.Response {
	return func(tb *tab) *network.Response { return tb.load(chromedp.Navigate(address())) }
}

// asked fills fields and presses a button.
func asked(path, press string, fill ...string) func(*tab) *network.Response {
	return func(tb *tab) *network.Response {
		if path != "" {
			tb.open(path)
		}
		for i := 0; i < len(fill); i += 2 {
			tb.fill(fill[i], fill[i+1])
		}
		return tb.load(chromedp.Click(button(press)))
	}
}

func testScreensSigningIn(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	const hiro = "hiro@acme.example"
	tb.screens([]screen{
		{name: "landing-nothing", visit: at("/authenticate"), want: 200, says: "nothing to go on with"},
		{name: "login-chosen", visit: at("/login?organization=acme"), want: 200, says: "Continue with Acme Okta"},
		{name: "login-no-password", want: 200, says: "Break-glass account", visit: func(tb *tab) *network.Response {
			answer := tb.open("/login?organization=initech")
			tb.do(chromedp.Click("summary"))
			return answer
		}},
		{name: "login-not-offered", visit: at("/login/oauth/slack/start?organization=acme"), want: 404, says: "not offered here"},
		{name: "find", visit: at("/login/find"), want: 200, says: "Continue with Google"},
		{name: "find-refused", visit: asked("/login/find", "Email me a link", "Email", "nobody"), want: 422},
		{name: "organizations", want: 200, says: "invited", visit: func(tb *tab) *network.Response {
			asked("/login/find", "Email me a code", "Email", "sam@partners.example")(tb)
			return asked("", "Sign in", "Code", s.control.message("discovery_code", "sam@partners.example").Code)(tb)
		}},
		{name: "organizations-none", want: 200, says: "No organization knows this address", visit: func(tb *tab) *network.Response {
			asked("/login/find", "Email me a code", "Email", "stranger@nowhere.example")(tb)
			return asked("", "Sign in", "Code", s.control.message("discovery_code", "stranger@nowhere.example").Code)(tb)
		}},
	})
	tb.open("/login?organization=acme")
	tb.load(chromedp.Click(link("Continue with GitHub")))
	tb.fill("Another email address", hiro)
	tb.do(chromedp.Click(button("Continue")))
	tb.comesTo("/login/more")
	tb.screens([]screen{{name: "more", visit: at("/login/more"), want: 200, says: "One more step"}})
}

func testScreensMails(t *testing.T, c *chromium) {
	s := start(t)
	const hiro = "hiro@acme.example"
	mail := func(kind, to string) func() string { return func() string { return s.control.message(kind, to).URL } }
	tb := c.tab(t, s)
	tb.screens([]screen{
		{name: "sent", visit: asked("/login", "Email me a sign-in link", "Organization", "acme", "Email", hiro), want: 200, says: hiro},
		{name: "landing", visit: landing(mail("login_link", hiro)), want: 200, says: "One more click"},
		{name: "landing-invite", visit: landing(mail("invite", "ilse@acme.example")), want: 200, says: "You did not ask for this"},
		{name: "code", visit: asked("/login", "Email me a code", "Organization", "acme", "Email", hiro), want: 200, says: hiro},
		{name: "code-refused", visit: asked("", "Sign in", "Code", "000000"), want: 401, says: "wrong or too old"},
		{name: "forgot", visit: at("/login/forgot"), want: 200},
		{name: "set-password", want: 200, says: "ends all your other sessions", visit: func(tb *tab) *network.Response {
			asked("/login/forgot", "Email me a link", "Organization", "acme", "Email", "max@acme.example")(tb)
			return landing(mail("password_reset", "max@acme.example"))(tb)
		}},
		{name: "set-password-weak", visit: asked("", "Set password and sign in", "New password", "password"), want: 422},
		{name: "landing-refused", want: 403, says: "not asked for in this browser", visit: func(tb *tab) *network.Response {
			return tb.open("/authenticate?stytch_token_type=sso&token=x&state=y")
		}},
	})
}

func testScreensFactors(t *testing.T, c *chromium) {
	s := start(t)
	first := func(email string) func(*tab) *network.Response {
		return func(tb *tab) *network.Response { return tb.typePassword(s.control.stranger(email)) }
	}
	tb := c.tab(t, s)
	tb.screens([]screen{
		{name: "mfa-sms", visit: first("sms@northwind.test"), want: 200, says: "ends in 07"},
		{name: "mfa-totp", visit: first("mina@acme.example"), want: 200, says: "Use a text message"},
		{name: "mfa-totp-refused", visit: asked("", "Sign in", "Code from the app", "000000"), want: 401, says: "The code is wrong"},
		{name: "mfa-recovery", visit: at("/mfa?with=recovery_code"), want: 200, says: "Recovery code"},
		{name: "enrol", visit: first("nell@northwind.test"), want: 200, says: "Use text messages"},
		{name: "enrol-sms", visit: asked("", "Use text messages", "Phone number", "+44 20 7946 0958"), want: 200, says: "+442079460958"},
		{name: "enrol-totp", want: 200, says: "Scan this", visit: func(tb *tab) *network.Response {
			tb.load(chromedp.Click(button("Use another second factor")))
			return tb.load(chromedp.Click(button("Use an authenticator app")))
		}},
		{name: "recovery-codes", want: 200, says: "They are shown only now", visit: func(tb *tab) *network.Response {
			return asked("", "Confirm the app", "Code from the app", s.control.factors(s.id("nell@northwind.test")).TOTPCode)(tb)
		}},
		{name: "mfa-too-late", visit: func(tb *tab) *network.Response {
			tb.load(chromedp.Click(button("I have kept them")))
			tb.load(chromedp.Click(button("Sign out")))
			return tb.open("/mfa")
		}, want: 401, says: "took too long"},
	})
}

func testScreensAccount(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	tb.typePassword(s.control.strangerIn("acme", "sam@partners.example"))
	tb.screens([]screen{
		{name: "account", visit: at("/account"), want: 200, says: "Change password"},
		{name: "own-password", visit: at("/account/password"), want: 200},
		{name: "own-password-refused", visit: asked("", "Change password", "Current password", "not it", "New password", strong), want: 401, says: "is wrong"},
		{name: "switch", visit: at("/account/organizations"), want: 200, says: "you are here"},
	})
	operator := c.tab(t, s)
	operator.screens([]screen{
		{name: "impersonation-start", want: 200, says: "Everything you do is recorded", visit: func(tb *tab) *network.Response {
			return tb.open(s.control.impersonation(s.id("hiro@acme.example")))
		}},
		{name: "impersonation", want: 200, visit: func(tb *tab) *network.Response {
			tb.load(chromedp.Click(button("Start impersonation")))
			return tb.open("/members?q=maria")
		}},
		{name: "impersonation-account", visit: at("/account"), want: 200},
		{name: "impersonation-password", visit: at("/account/password"), want: 200, says: "Not while impersonating"},
		{name: "impersonation-confirm", visit: at("/members/" + s.id("max@acme.example") + "/password/delete"), want: 200},
	})
	// The banner stays in sight however far one scrolls, and covers nothing that is focused.
	operator.open("/members")
	eval[chromedp.Void](operator, `scrollTo(0, document.body.scrollHeight)`)
	if !eval[bool](operator, `(() => { const r = document.querySelector("aside.impersonation").getBoundingClientRect(); return r.top >= -1 && r.bottom > 20 && r.bottom < innerHeight })()`) {
		t.Error("scrolled down, the banner is out of sight")
	}
}
