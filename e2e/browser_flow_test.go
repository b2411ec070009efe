package e2e_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// TestBrowser is one Chromium; each subtest has a console and a profile of its own.
func TestBrowser(t *testing.T) {
	t.Parallel()
	c := newChromium(t)
	for name, test := range map[string]func(*testing.T, *chromium){
		"main flow":                testMainFlow,
		"main flow without script": testMainFlowWithoutScript,
		"keyboard":                 testKeyboard,
		"once":                     testOnce,
		"once without script":      testOnceWithoutScript,
		"weight":                   testWeight,
		"dark":                     testDark,
		"copy":                     testCopy,
		"screens signed out":       testScreensSignedOut,
		"screens to read":          testScreensReading,
		"screens of doing":         testScreensDoing,
		"screens of trouble":       testScreensTrouble,
		"screens of the audit":     testScreensAudit,
		"audit keys":               testAuditKeys,
		"audit without script":     testAuditWithoutScript,
		"verification":             testVerification,
		"screens of evidence":      testEvidence,
		"screens of signing in":    testScreensSigningIn,
		"screens of mails":         testScreensMails,
		"screens of factors":       testScreensFactors,
		"screens of the account":   testScreensAccount,
		"enrolment":                testEnrolment,
		"enrolment without script": testEnrolmentWithoutScript,
		"single sign-on":           testSingleSignOn,
		"sso without script":       testSingleSignOnWithoutScript,
		"link":                     testLink,
		"link without script":      testLinkWithoutScript,
		"session warning":          testSessionWarning,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

func testMainFlow(t *testing.T, c *chromium) {
	mainFlow(t, c)
}

func testMainFlowWithoutScript(t *testing.T, c *chromium) {
	mainFlow(t, c, withoutScript)
}

// mainFlow is a call to the desk: find the member, delete the password, end
// the sessions, send the mail, and see the member as it now is.
func mainFlow(t *testing.T, c *chromium, options ...tabOption) {
	t.Helper()
	s := start(t)
	target := s.control.stranger("max@acme.example")
	tb := c.tab(t, s, options...)

	admin := tb.signIn("org_admin")
	if got := tb.text("h1"); got != "Members" {
		t.Fatalf("signing in leads to %q, want Members", got)
	}
	if got := tb.text(".side"); !strings.Contains(got, admin.Name) {
		t.Errorf("the side does not name %s: %s", admin.Name, got)
	}
	tb.fill("Search", target.Email)
	tb.load(chromedp.Click(button("Apply")))
	tb.load(chromedp.Click(link(target.Name)))
	if got := tb.text("h1"); got != target.Name {
		t.Fatalf("the member's page is headed %q, want %q", got, target.Name)
	}
	if got := tb.fact("Password"); got != "set" {
		t.Errorf("before: the password reads %q, want set", got)
	}

	tb.load(chromedp.Click(link("Delete password")))
	if got := tb.text("h1"); got != "Delete password" {
		t.Fatalf("the confirmation is headed %q", got)
	}
	confirmation := tb.text("main")
	for _, want := range []string{target.Name, target.Email, target.MemberID, "stytch_member", "3 sessions are open"} {
		if !strings.Contains(confirmation, want) {
			t.Errorf("the confirmation does not say %q:\n%s", want, confirmation)
		}
	}
	tb.fill("Reason", "The laptop was stolen, says the caller")
	tb.fill("Ticket", "INC-4711")
	tb.do(chromedp.Click(labelled("Sign out everywhere")), chromedp.Click(labelled("Send reset email")))
	mark := s.control.mark()
	tb.load(chromedp.Click(button("Delete password")))

	result := tb.text(`.result`)
	if status := tb.text(`.result [role=status]`); !strings.Contains(status, "request-id-test-") {
		t.Errorf("the result does not tell the upstream request id: %s", result)
	}
	for _, want := range []string{"Password deleted", "Tell the caller", "Every device is signed out", "Receipt of this operation"} {
		if !strings.Contains(result, want) {
			t.Errorf("the result does not say %q: %s", want, result)
		}
	}
	steps := eval[[]string](tb, `[...document.querySelectorAll(".result .steps li")].map((li) => li.querySelector("strong").innerText + ": " + li.querySelector(".badge").innerText)`)
	if diff := cmp.Diff([]string{"Delete password: succeeded", "Sign out everywhere: succeeded", "Send reset email: succeeded"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if got := tb.fact("Password"); got != "not set" {
		t.Errorf("after: the password reads %q, want not set", got)
	}
	if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
		t.Errorf("%d DELETEs upstream, want 1", n)
	}
	if open := s.control.member(target.MemberID).Sessions; len(open) != 0 {
		t.Errorf("%d sessions are still open", len(open))
	}

	tb.load(chromedp.Click(link("Receipt of this operation")))
	if got := tb.text("main"); !strings.Contains(got, "INC-4711") || !strings.Contains(got, "The laptop was stolen") {
		t.Errorf("the receipt does not say why: %s", got)
	}
	tb.load(chromedp.Click(link("Audit")))
	if got := tb.text("table.audit"); !strings.Contains(got, "INC-4711") || !strings.Contains(got, target.Email) || !strings.Contains(got, admin.Email) {
		t.Errorf("the audit does not say who, what and why: %s", got)
	}
	tb.load(chromedp.Click(button("Sign out")))
	if got := tb.path(); !strings.HasPrefix(got, "/login") {
		t.Errorf("signing out leads to %s", got)
	}
}
