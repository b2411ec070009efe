package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// auditSite is a console whose audit has a bit of everything, and one operation of its own.
func auditSite(t *testing.T) (s *site, member string) {
	t.Helper()
	s = start(t)
	agent := s.as("helpdesk")
	agent.get("/audit")
	member = s.acme("max@acme.example")
	agent.deletePassword(member, nil)
	s.control.fault(fault{Endpoint: epDeletePassword, Kind: "bad_gateway_html", Times: 1})
	agent.deletePassword(s.acme("paula@acme.example"), nil)
	return s, member
}

// testScreensAudit looks at every state of the audit's pages, with what they open.
func testScreensAudit(t *testing.T, c *chromium) {
	s, member := auditSite(t)
	tb := c.tab(t, s)
	tb.signIn("auditor")
	opened := func(path, selector string) func(*tab) *network.Response {
		return func(tb *tab) *network.Response {
			answer := tb.open(path)
			tb.do(chromedp.Click(selector))
			return answer
		}
	}
	tb.screens([]screen{
		{name: "audit-timeline", visit: opened("/audit?target="+member, `//summary[normalize-space()="Timeline and review"]`), want: 200, says: "Stytch's answer."},
		{name: "audit-chart-table", visit: opened("/audit", `//figure//summary`), want: 200, says: "As a table, by day"},
		{name: "audit-columns", visit: opened("/audit?columns=time,actor,target,reason,ticket,outcome,known,ip,factors,requests,seq", `//summary[normalize-space()="Columns"]`), want: 200, says: "This browser remembers them."},
		{name: "audit-outside", visit: at("/audit?preset=outside&columns=time,actor,target,reason,outcome"), want: 200, says: "Office hours are"},
		{name: "audit-empty-filters", visit: at("/audit?outcome=not_found&q=INC-4711"), want: 200, says: "Clear outcome not_found"},
		{name: "audit-keys", want: 200, visit: func(tb *tab) *network.Response {
			answer := tb.open("/audit")
			tb.do(chromedp.KeyEvent("?"))
			return answer
		}, says: "older and newer page"},
		{name: "audit-reviewed", want: 200, visit: func(tb *tab) *network.Response {
			tb.open("/audit")
			tb.fill("Comment", "Looked at all of it")
			return tb.load(chromedp.Click(`.since button`))
		}, says: "Reviewed records 0 to"},
		{name: "audit-event-reviewed", want: 200, visit: func(tb *tab) *network.Response {
			tb.open("/audit")
			tb.load(chromedp.Click(`//table[contains(@class,"audit")]//tbody/tr[2]//` + link("Event")[2:]))
			tb.fill("Comment", "Called back, fine")
			return tb.load(chromedp.Click(`//section[@aria-labelledby="reviews"]//button`))
		}, says: "Reviewed by audrey@acme.example: Called back, fine"},
		{name: "verification", want: 200, visit: func(tb *tab) *network.Response {
			tb.open("/audit")
			tb.load(chromedp.Click(button("Verify now")))
			eventually(tb.t, stepTime, "the verification is over", func() bool { return strings.Contains(tb.text("main"), "Intact") })
			return tb.open("/audit/verification")
		}, says: "What this does not prove"},
	})
	for _, fault := range eval[[]string](tb, `[...document.querySelectorAll("time")].filter((t) => !t.innerText.trim().endsWith("UTC")).map((t) => t.innerText)`) {
		t.Errorf("a time without its zone: %s", fault)
	}
}

// testAuditKeys walks the list by keys, and finds that they do nothing where somebody types.
func testAuditKeys(t *testing.T, c *chromium) {
	s, _ := auditSite(t)
	noisy := s.as("org_admin")
	for range 105 {
		noisy.get("/audit/export?format=xml&actor=x") // 400, and no event
	}
	tb := c.tab(t, s)
	tb.signIn("auditor")
	tb.open("/audit")
	row := func() int {
		return eval[int](tb, `[...document.querySelectorAll("table.audit tbody tr")].indexOf(document.activeElement.closest("tr"))`)
	}
	press := func(keys string, options ...chromedp.KeyOption) { tb.do(chromedp.KeyEvent(keys, options...)) }
	wants := func(what string, want int) {
		t.Helper()
		if got := row(); got != want {
			t.Errorf("%s: row %d, want %d", what, got, want)
		}
	}
	press(kb.ArrowDown)
	wants("an arrow with no row chosen", -1)
	press("j")
	wants("j", 0)
	press("j")
	wants("j twice", 1)
	press(kb.ArrowDown)
	wants("an arrow on a row", 2)
	press("k")
	press(kb.ArrowUp)
	press("k")
	wants("up to the top", 0)
	if fault := eval[string](tb, focusFault); fault != "" {
		t.Errorf("focus: %s", fault)
	}
	press("j", chromedp.KeyModifiers(2)) // Control
	wants("with a modifier", 0)
	press("/")
	tb.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.value = ""`)) // the test's keyboard types it all the same
	if got := eval[string](tb, `document.activeElement.id`); got != "q" {
		t.Errorf("/ leads to %q", got)
	}
	press("jkn?/")
	if got := eval[string](tb, `document.getElementById("q").value`); got != "jkn?/" {
		t.Errorf("typed %q", got)
	}
	wants("while typing", -1)
	tb.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	press("?")
	if got := tb.text("details[open].keys"); !strings.Contains(got, "next and previous row") {
		t.Errorf("? shows %q", got)
	}
	eventually(t, stepTime, "the keys are turned off", func() bool {
		if tb.text("[data-keys-off]") == "Turn the keys off" {
			tb.do(chromedp.Click(`[data-keys-off]`)) // of a busy browser, what opened above may still move it away
		}
		return tb.text("[data-keys-off]") == "Turn the keys on"
	})
	tb.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	press("j")
	wants("with the keys turned off", -1)
	tb.open("/audit")
	press("j")
	wants("turned off, on the next page", -1)
	tb.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".keys").open = true`), chromedp.Click(`[data-keys-off]`), chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	press("j")
	event := eval[string](tb, `document.activeElement.getAttribute("href")`)
	tb.load(chromedp.KeyEvent(kb.Enter))
	if got := tb.path(); got != event || event == "" {
		t.Errorf("Enter opens %s, want %s", got, event)
	}

	// A page that has neighbours.
	tb.open("/audit?columns=time,outcome")
	tb.do(chromedp.Evaluate[chromedp.Void](`for (const [rel, to] of [["next", "/audit?outcome=unknown"], ["prev", "/audit?outcome=denied"]]) {
		const a = document.createElement("a"); a.rel = rel; a.href = to; document.querySelector("main").append(a); }`))
	tb.load(chromedp.KeyEvent("n"))
	if got := tb.path(); got != "/audit?outcome=unknown" {
		t.Errorf("n leads to %s", got)
	}
	tb.do(chromedp.Evaluate[chromedp.Void](`{ const a = document.createElement("a"); a.rel = "prev"; a.href = "/audit?outcome=denied"; document.querySelector("main").append(a); }`))
	tb.load(chromedp.KeyEvent(kb.ArrowLeft))
	if got := tb.path(); got != "/audit?outcome=denied" {
		t.Errorf("the left arrow leads to %s", got)
	}

	// What a row opens closes with Escape, which leads back to what opened it, and with a click beside it.
	tb.open("/audit?columns=time,actor,target,reason,outcome")
	open := func() int {
		return eval[int](tb, `document.querySelectorAll("details.more[open], details.drop[open]").length`)
	}
	// A pointer may miss what still scrolls.
	click := func(selector string) {
		eval[chromedp.Void](tb, fmt.Sprintf(`document.querySelector(%q).click()`, selector))
	}
	summary := `tbody .more summary`
	click(summary)
	tb.do(chromedp.Focus(`.more[open] input[name=comment]`))
	press(kb.Escape)
	if open() != 0 || !eval[bool](tb, `document.activeElement === document.querySelector("tbody .more summary")`) {
		t.Errorf("Escape leaves %d open, and the focus on %q", open(), tb.focused())
	}
	click(summary)
	click(`.more[open] input[name=comment]`)
	if open() != 1 {
		t.Error("a click within closes it")
	}
	click(`h1`)
	if open() != 0 {
		t.Error("a click beside it leaves it open")
	}
	// The menus lie over the page, one at a time.
	before := eval[float64](tb, `document.querySelector(".chart").getBoundingClientRect().top + scrollY`)
	click(`.export summary`)
	click(`.drop:not(.export) > summary`)
	if after := eval[float64](tb, `document.querySelector(".chart").getBoundingClientRect().top + scrollY`); after != before || open() != 1 {
		t.Errorf("%d menus are open, and what is below has moved by %v", open(), after-before)
	}
	press(kb.Escape)
	// An address may break before its "@", and is copied without a trace of that.
	if got := eval[string](tb, `(() => { const a = document.querySelector(".c-who a"); getSelection().selectAllChildren(a); return a.querySelectorAll("wbr").length + getSelection().toString(); })()`); !strings.HasPrefix(got, "1") || !strings.HasSuffix(got, "@acme.example") || strings.Contains(got, "\u200b") {
		t.Errorf("an address is copied as %q", got)
	}

	// A time shows the reader's own zone, after the organization's.
	tb.do(chromedp.Evaluate[chromedp.Void](`{ const t = document.querySelector("time"); t.title = "Org"; t.dispatchEvent(new PointerEvent("pointerover", {bubbles: true})); }`))
	if got := eval[string](tb, `document.querySelector("time").title`); !strings.HasPrefix(got, "Org\nFor you: ") {
		t.Errorf("on hover %q", got)
	}
}

// testAuditWithoutScript does by form and link what the script does better.
func testAuditWithoutScript(t *testing.T, c *chromium) {
	s, member := auditSite(t)
	tb := c.tab(t, s, withoutScript)
	tb.signIn("auditor")
	tb.open("/audit?target=" + member)
	if eval[bool](tb, `!!document.querySelector(".keys")?.checkVisibility()`) {
		t.Error("keys are shown that do nothing")
	}
	tb.do(chromedp.Click(`//summary[normalize-space()="Timeline and review"]`), chromedp.WaitVisible(`//li//a[normalize-space()="intent"]`))
	tb.do(chromedp.Click(`//summary[normalize-space()="Columns"]`), chromedp.Click(labelled("IP address")))
	tb.load(chromedp.Click(button("Show these")))
	if got := eval[string](tb, `[...document.querySelectorAll("table.audit thead")].at(-1).innerText`); !strings.Contains(got, "IP address") {
		t.Errorf("columns %s", got)
	}
	if got := tb.path(); !strings.Contains(got, "target="+member) {
		t.Errorf("the filter is lost: %s", got)
	}
	tb.load(chromedp.Click(link("Denied")))
	if got := tb.text("nav.presets [aria-current]"); got != "Denied" {
		t.Errorf("the current preset is %q", got)
	}
	tb.open("/audit")
	tb.do(chromedp.Click(`.spots a:last-child`))
	eventually(t, stepTime, "a day of the chart leads to its events", func() bool { return strings.Contains(tb.path(), "from=") })
	tb.load(chromedp.Click(button("Verify now")))
	eventually(t, stepTime, "the verification is over", func() bool {
		return strings.Contains(tb.open("/audit/verification").URL, "verification") && strings.Contains(tb.text("main"), "Intact")
	})
}

// testVerification sees the page of a verification under way come to its end by itself.
func testVerification(t *testing.T, c *chromium) {
	s, _ := auditSite(t)
	tb := c.tab(t, s)
	tb.signIn("auditor")
	tb.open("/audit")
	tb.load(chromedp.Click(button("Verify now")))
	eventually(t, stepTime, "the page shows the end", func() bool { return strings.Contains(tb.text("main"), "Intact") })
	tb.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ document.getElementById("main").innerHTML = %q; dispatchEvent(new PageTransitionEvent("pageshow")); }`, `<div data-poll>Verifying</div>`)))
	eventually(t, stepTime, "the page looks again", func() bool { return strings.Contains(tb.text("main"), "Intact") })
	if got := tb.text("h1"); got != "Verification" {
		t.Errorf("the heading is %q", got)
	}
}
