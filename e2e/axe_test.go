package e2e_test

import (
	_ "embed"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	cdppage "github.com/chromedp/cdproto/page"
)

// axe is run by the debugger, which the pages' policy does not bind: the pages are tested under the policy they have.
//
//go:embed vendor/axe.min.js
var axe string

// axeRun also asks for what axe leaves out by default: targets a finger can hit.
const axeRun = `axe.run(document, {preload: false, resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
	.then((r) => r.passes.length < 10 ? ["it looked at nothing"] : ` + axeFound + `)`

// axeRunColours is for a scheme that differs from one already looked at in its colours alone.
const axeRunColours = `axe.run(document, {preload: false, resultTypes: ["violations"], runOnly: ["color-contrast", "link-in-text-block"]})
	.then((r) => r.passes.length < 1 ? ["it looked at nothing"] : ` + axeFound + `)`

const axeFound = `r.violations.flatMap((v) => v.nodes.slice(0, 4).map((n) => v.id + " (" + v.help + ") at " + n.target.join(" ") + ": " + n.failureSummary))`

// faults of a page that axe does not look for: it is wider than its window, has
// an id twice, says nothing in its title, or has not one main heading.
const pageFaults = `(() => {
	const faults = [];
	const wide = document.documentElement.scrollWidth;
	if (wide > innerWidth) faults.push("wider than its window: " + wide + " > " + innerWidth + ": " +
		[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
			.map((e) => e.tagName + "." + e.className).join(", "));
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push("id " + id + " twice");
	if (!document.title.trim()) faults.push("no title");
	const h1 = document.querySelectorAll("h1").length;
	if (h1 !== 1) faults.push(h1 + " main headings");
	if (document.querySelector("[style], style, script:not([src])")) faults.push("inline style or script");
	return faults;
})()`

// lookAt looks at the page as it is now: in light and dark, wide and narrow, with
// axe each time, and keeps a picture of both.
func (tb *tab) lookAt(name string) {
	tb.t.Helper()
	eval[chromedp.Void](tb, axe)
	for _, width := range []int64{wide, narrow} {
		for _, scheme := range []string{"light", "dark"} {
			tb.look(width, scheme)
			run := axeRun
			if scheme == "dark" {
				run = axeRunColours
			}
			for _, violation := range eval[[]string](tb, run) {
				tb.t.Errorf("%s, %s, %d px: axe: %s", name, scheme, width, violation)
			}
			for _, fault := range eval[[]string](tb, pageFaults) {
				tb.t.Errorf("%s, %s, %d px: %s", name, scheme, width, fault)
			}
			// Of the four, these two show everything.
			if (width == wide) == (scheme == "light") {
				tb.picture(fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
			}
		}
	}
	// Between the two, columns have the least room for themselves: beside the navigation, and just before it.
	for _, width := range []int64{800, 992, 1024} {
		tb.look(width, "light")
		for _, fault := range eval[[]string](tb, pageFaults) {
			tb.t.Errorf("%s, %d px: %s", name, width, fault)
		}
	}
	tb.look(wide, "light")
}

// picture keeps a picture of the whole page in a folder that git ignores.
func (tb *tab) picture(name string) {
	tb.t.Helper()
	ctx, cancel := tb.within()
	defer cancel()
	size, err := chromedp.Call(ctx, cdppage.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		tb.t.Fatalf("measure the page: %v", err)
	}
	shot, err := chromedp.Call(ctx, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{
		Format: cdppage.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true), OptimizeForSpeed: new(true),
		// The longest list is no more telling than its beginning.
		Clip: &cdppage.Viewport{Width: size.CSSContentSize.Width, Height: math.Min(size.CSSContentSize.Height, 2500), Scale: 1},
	})
	if err != nil {
		tb.t.Fatalf("take a picture: %v", err)
	}
	if err := os.MkdirAll("screenshots", 0o755); err != nil {
		tb.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("screenshots", name), shot.Data, 0o644); err != nil {
		tb.t.Fatal(err)
	}
}

// screen is one page to look at.
type screen struct {
	name  string
	visit func(tb *tab) *network.Response
	want  int64 // status
	says  string
}

func (tb *tab) screens(screens []screen) {
	tb.t.Helper()
	for _, sc := range screens {
		tb.expect(sc.want)
		if answer := sc.visit(tb); answer.Status != sc.want {
			tb.t.Errorf("%s: status %d, want %d:\n%s", sc.name, answer.Status, sc.want, tb.where())
			continue
		}
		if got := tb.text("main"); !strings.Contains(got, sc.says) {
			tb.t.Errorf("%s does not say %q:\n%s", sc.name, sc.says, got)
		}
		tb.lookAt(sc.name)
	}
}

// at goes to an address.
func at(path string) func(*tab) *network.Response {
	return func(tb *tab) *network.Response { return tb.open(path) }
}

// press presses a button or follows a link.
func press(selector string) func(*tab) *network.Response {
	return func(tb *tab) *network.Response { return tb.load(chromedp.Click(selector)) }
}

func testScreensSignedOut(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	tb.screens([]screen{
		{name: "sign-in", visit: at("/login"), want: 200},
		{name: "sign-in-refused", want: 401, visit: func(tb *tab) *network.Response {
			tb.fill("Organization", "acme")
			tb.fill("Email", "ada@acme.example")
			tb.fill("Password", "not it")
			return tb.load(chromedp.Click(button("Sign in")))
		}},
		{name: "not-found-signed-out", visit: at("/no/such/page"), want: 404},
	})
}

func testScreensReading(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	tb.signIn("org_admin")
	member := func(email string) string { return "/members/" + s.control.stranger(email).MemberID }
	tb.screens([]screen{
		{name: "members", visit: at("/members"), want: 200},
		{name: "members-search", visit: at("/members?q=smithson"), want: 200},
		{name: "members-long-name", visit: at("/members?q=" + url.QueryEscape("long-long-")), want: 200},
		{name: "members-empty", visit: at("/members?q=nobody-of-that-name"), want: 200},
		{name: "member-rich", visit: at(member("grace@acme.example")), want: 200},
		{name: "member-hostile", visit: at(member("bobby.tables@acme.example")), want: 200, says: `"<img src=x onerror=alert(1)>"`},
		{name: "member-long-name", visit: at(member(strings.Repeat("long-", 12) + "name@acme.example")), want: 200},
		{name: "member-locked", visit: at(member("lena@acme.example")), want: 200},
		{name: "member-right-to-left", visit: at(member("shirin@acme.example")), want: 200},
		{name: "member-deleted", visit: at(member("dora@acme.example")), want: 200},
		{name: "member-raw", visit: at(member("grace@acme.example") + "?view=raw"), want: 200},
		{name: "confirm-disabled", visit: at(member("noor@acme.example") + "/password/delete"), want: 200},
		{name: "confirm-lookalike", visit: at(member("jon.smithson@acme.example") + "/password/delete"), want: 200, says: "john.smithson@acme.example"},
		{name: "confirm-self", visit: at(member("ada@acme.example") + "/password/delete"), want: 200, says: "This is you"},
		{name: "not-found", visit: at("/members/member-test-00000000-0000-4000-8000-000000000000"), want: 404},
	})
}

func testScreensDoing(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	tb.signIn("org_admin")
	target := s.control.stranger("max@acme.example")
	paula := s.control.stranger("paula@acme.example")
	tb.screens([]screen{
		{name: "confirm", visit: at("/members/" + target.MemberID + "/password/delete"), want: 200},
		{name: "confirm-errors", want: 422, visit: func(tb *tab) *network.Response {
			tb.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("main form").noValidate = true`))
			return tb.load(chromedp.Click(button("Delete password")))
		}},
		{name: "result", want: 200, visit: func(tb *tab) *network.Response {
			tb.fill("Reason", "The laptop was stolen, says the caller")
			tb.fill("Ticket", "INC-4711")
			tb.do(chromedp.Click(labelled("Sign out everywhere")), chromedp.Click(labelled("Send reset email")))
			return tb.load(chromedp.Click(button("Delete password")))
		}},
		{name: "operation", visit: press(link("Receipt of this operation")), want: 200},
		{name: "confirm-already-deleted", visit: at("/members/" + target.MemberID + "/password/delete"), want: 200},
		{name: "result-unknown", want: 200, visit: func(tb *tab) *network.Response {
			s.control.fault(fault{Endpoint: epDeletePassword, Kind: "bad_gateway_html", Times: 1})
			tb.open("/members/" + paula.MemberID + "/password/delete")
			tb.fill("Reason", "Phished")
			tb.do(chromedp.Click(labelled("Sign out everywhere")))
			return tb.load(chromedp.Click(button("Delete password")))
		}},
		{name: "audit", visit: at("/audit"), want: 200},
		{name: "audit-empty", visit: at("/audit?actor=nobody-at-all"), want: 200},
		{name: "audit-event", visit: func(tb *tab) *network.Response {
			tb.open("/audit")
			return tb.load(chromedp.Click(`(//table[contains(@class,"audit")])[last()]//tbody/tr[3]//` + link("Event")[2:]))
		}, want: 200},
	})
}

func testScreensTrouble(t *testing.T, c *chromium) {
	s := start(t)
	desk := c.tab(t, s)
	desk.signIn("helpdesk")
	desk.screens([]screen{
		{name: "forbidden", visit: at("/audit"), want: 403},
	})
	target := s.control.stranger("max@acme.example")
	auditor := c.tab(t, s)
	auditor.signIn("auditor")
	auditor.screens([]screen{
		{name: "confirm-forbidden", visit: at("/members/" + target.MemberID + "/password/delete"), want: 200},
	})
	s.control.switches(map[string]any{"cross_org_passwords": true})
	admin := c.tab(t, s)
	admin.signIn("org_admin")
	admin.screens([]screen{
		{name: "result-cross-org", want: 200, visit: func(tb *tab) *network.Response {
			tb.open("/members/" + target.MemberID + "/password/delete")
			tb.fill("Reason", "Phished")
			return tb.load(chromedp.Click(button("Delete password")))
		}},
		{name: "require-reset", visit: press(link("Require password reset by email")), want: 200},
		{name: "result-require-reset", visit: press(button("Require password reset")), want: 200},
		{name: "rate-limited", want: 503, visit: func(tb *tab) *network.Response {
			seconds := 7
			s.control.fault(fault{Endpoint: epSearch, Kind: "rate_limit", RetryAfter: &seconds, Times: 1})
			return tb.open("/members")
		}},
		{name: "upstream-trouble", want: 502, visit: func(tb *tab) *network.Response {
			s.control.fault(fault{Endpoint: epSearch, Kind: "bad_gateway_html"})
			return tb.open("/members")
		}},
	})
}

// lookAtMenu looks at a page on a narrow screen with its menu open.
func (tb *tab) lookAtMenu() {
	tb.t.Helper()
	eval[chromedp.Void](tb, axe)
	for _, scheme := range []string{"light", "dark"} {
		tb.look(narrow, scheme)
		for _, violation := range eval[[]string](tb, axeRun) {
			tb.t.Errorf("menu, %s: axe: %s", scheme, violation)
		}
		tb.picture("menu-" + scheme + "-390.png")
	}
}
