package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focusFault says what is wrong with how the focused element shows that it is
// focused: nothing is drawn around it, or it is out of sight.
const focusFault = `(() => {
	const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
	const name = e.tagName + " " + (e.id || e.innerText.slice(0, 40));
	if (e === document.body) return "";
	if (!e.matches(":focus-visible")) return name + " does not match :focus-visible";
	if ((s.outlineStyle === "none" || parseFloat(s.outlineWidth) === 0) && s.boxShadow === "none") return name + " has neither outline nor ring";
	if (r.width < 2 || r.height < 2 || r.bottom < 0 || r.right < 0 || r.top > innerHeight || r.left > innerWidth) return name + " is out of sight";
	return "";
})()`

// tabTo presses Tab until the focus is on what matches, and wants the focus to be seen at every stop.
func (tb *tab) tabTo(selector string) {
	tb.t.Helper()
	for range 60 {
		tb.do(chromedp.KeyEvent(kb.Tab))
		if fault := eval[string](tb, focusFault); fault != "" {
			tb.t.Errorf("%s: focus: %s", tb.path(), fault)
		}
		if eval[bool](tb, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
	}
	tb.t.Fatalf("60 times Tab do not lead to %s on\n%s", selector, tb.where())
}

// testKeyboard signs in, finds a member and deletes the password without a pointer.
func testKeyboard(t *testing.T, c *chromium) {
	s := start(t)
	admin, target := s.person("org_admin"), s.control.stranger("max@acme.example")
	tb := c.tab(t, s)
	tb.open("/login")

	// The first stop leads past everything that every page repeats.
	tb.do(chromedp.KeyEvent(kb.Tab))
	if got := tb.focused(); got != "Skip to the content" {
		t.Errorf("the first stop is %q, want the skip link", got)
	}
	if fault := eval[string](tb, focusFault); fault != "" {
		t.Errorf("focus: %s", fault)
	}
	tb.do(chromedp.KeyEvent(kb.Enter))
	if got := eval[string](tb, `document.activeElement.id`); got != "main" {
		t.Errorf("the skip link leads to %q, want main", got)
	}

	tb.tabTo("#organization")
	tb.do(chromedp.KeyEvent(admin.Organization))
	tb.tabTo("#email")
	tb.do(chromedp.KeyEvent(admin.Email))
	tb.tabTo("#password")
	tb.do(chromedp.KeyEvent(admin.Password))
	tb.load(chromedp.KeyEvent(kb.Enter))
	if got := tb.text("h1"); got != "Members" {
		t.Fatalf("signing in leads to %q", got)
	}
	tb.tabTo("#q")
	tb.do(chromedp.KeyEvent(target.Email))
	tb.load(chromedp.KeyEvent(kb.Enter))
	tb.tabTo("tbody th a")
	tb.load(chromedp.KeyEvent(kb.Enter))
	tb.tabTo(`a[href$="/password/delete"]`)
	tb.load(chromedp.KeyEvent(kb.Enter))
	tb.tabTo("#reason")
	tb.do(chromedp.KeyEvent("Asked by the caller"))
	tb.tabTo("#sign_out")
	tb.do(chromedp.KeyEvent(" "))
	tb.tabTo("main form button[type=submit]")
	if got := tb.focused(); got != "Delete password" {
		t.Fatalf("the focus is on %q, want the button", got)
	}
	tb.load(chromedp.KeyEvent(kb.Enter))
	if got := tb.text(".result"); !strings.Contains(got, "Password deleted") || !strings.Contains(got, "Every device is signed out") {
		t.Errorf("the result: %s", got)
	}
	if got := s.control.member(target.MemberID).Member.PasswordID; got != "" {
		t.Errorf("the password is still there: %s", got)
	}

	// The raw view is a dialog: Escape leaves it, and so does its button.
	tb.open("/members/" + target.MemberID + "?view=raw")
	if !eval[bool](tb, `document.querySelector("dialog").matches(":modal")`) {
		t.Error("the raw view is not modal")
	}
	tb.load(chromedp.KeyEvent(kb.Escape))
	if got := tb.path(); got != "/members/"+target.MemberID {
		t.Errorf("Escape leads from the raw view to %s", got)
	}

	// On a narrow screen the navigation is behind a button that Enter opens and Escape closes.
	tb.look(narrow, "light")
	tb.tabTo(".menu")
	tb.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(link("Audit")))
	tb.lookAtMenu()
	tb.do(chromedp.KeyEvent(kb.Escape), chromedp.WaitNotVisible(link("Audit")))
	tb.tabTo(".out button")
	tb.load(chromedp.KeyEvent(kb.Enter))
	if got := tb.path(); !strings.HasPrefix(got, "/login") {
		t.Errorf("signing out leads to %s", got)
	}
}

// focused is what is written on the focused element.
func (tb *tab) focused() string {
	tb.t.Helper()
	return eval[string](tb, `document.activeElement.innerText.trim()`)
}
