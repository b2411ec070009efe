package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// step is one line of a result: a step's name, outcome word and text.
func (p *page) step(name string) *goquery.Selection {
	p.t.Helper()
	found := p.doc.Find("ol.steps > li").FilterFunction(func(_ int, li *goquery.Selection) bool {
		return strings.HasPrefix(squeeze(li.Find("strong").Text()), name)
	})
	if found.Length() != 1 {
		p.t.Fatalf("%d lines for the step %q, want 1: %s", found.Length(), name, p.words())
	}
	return found
}

func (p *page) wantStep(name, outcome string, says ...string) {
	p.t.Helper()
	li := p.step(name)
	if got := squeeze(li.Find(".badge").Text()); got != outcome {
		p.t.Errorf("step %q: outcome %q, want %q: %s", name, got, outcome, squeeze(li.Text()))
	}
	role := map[string]string{"succeeded": "status"}[outcome]
	if role == "" {
		role = "alert"
	}
	if li.Find(fmt.Sprintf("[role=%q]", role)).Length() == 0 && outcome != "cancelled" {
		p.t.Errorf("step %q: %s is not said in role=%q", name, outcome, role)
	}
	for _, want := range says {
		if !strings.Contains(squeeze(li.Text()), want) {
			p.t.Errorf("step %q does not say %q: %s", name, want, squeeze(li.Text()))
		}
	}
}

func TestSignOutEverywhereAndSendResetEmail(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	target := s.control.stranger("max@acme.example")
	member := s.person("member")
	theirs := s.asPerson(member)
	theirs.get("/").wants(http.StatusOK)
	open := len(s.control.member(target.MemberID).Sessions)
	if open < 2 {
		t.Fatalf("%s has %d sessions open, the test needs some", member.Email, open)
	}
	confirm := b.confirm(target.MemberID)
	confirm.says("main", fmt.Sprintf("%d sessions are open", open), "ends none of them")
	mark := s.control.mark()
	p := b.submit(confirm, confirmForm, map[string]string{"reason": "laptop stolen", "sign_out": "1", "send_reset": "1"}).wants(http.StatusOK)
	p.wantStep("Delete password", "succeeded")
	p.wantStep("Sign out everywhere", "succeeded")
	p.wantStep("Send reset email", "succeeded")
	p.says("section.result", "Every device is signed out", "A mail to "+target.Email)
	if strings.Contains(p.text("section.result"), "still signed in") {
		t.Errorf("sessions are said to be still signed in: %s", p.text("section.result"))
	}
	if n := len(s.control.member(target.MemberID).Sessions); n != 0 {
		t.Errorf("%d sessions are open upstream, want none", n)
	}
	if mails := fmt.Sprint(s.control.mails()); strings.Count(mails, target.Email) == 0 {
		t.Errorf("no mail to %s: %s", target.Email, mails)
	}
	var order []string
	for _, e := range s.control.journal(mark, "") {
		switch e.Endpoint {
		case epDeletePassword, epRevoke, epResetStart:
			order = append(order, e.Endpoint)
		}
		if e.Endpoint == epRevoke && (len(e.Session) != 1 || e.Session[0].MemberID != s.id("hiro@acme.example")) {
			t.Errorf("the revocation carries the session %+v, want the agent's", e.Session)
		}
	}
	if got, want := strings.Join(order, " "), strings.Join([]string{epDeletePassword, epRevoke, epResetStart}, " "); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	auditor := s.as("auditor")
	rows := auditor.audit("?target=" + target.Email)
	var each []string
	for _, r := range rows {
		if r.reason == "laptop stolen" {
			each = append(each, strings.TrimSpace(r.action+" "+r.phase+" "+r.outcome))
		}
	}
	if len(each) != 6 || strings.Count(strings.Join(each, "\n"), "outcome succeeded") != 3 {
		t.Errorf("want an intent and a success for each of the three: %q", each)
	}
	b.get(p.operation()).wants(http.StatusOK).wantStep("Send reset email", "succeeded")

	// Whoever was signed out is signed out here too, within the time a session may be remembered.
	if n := len(s.control.member(target.MemberID).Sessions); n != 0 {
		t.Errorf("%d sessions are open upstream, want none", n)
	}
}

// A step that failed is repeated alone: what succeeded is not done again.
func TestFailedStepIsRetriedAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	auditor := s.as("auditor")
	for _, c := range []struct {
		name, email, endpoint, step, kind, outcome string
	}{
		{"sign-out refused", "maria.silvestri@acme.example", epRevoke, "Sign out everywhere", "rate_limit", "failed"},
		{"mail refused", "paula@acme.example", epResetStart, "Send reset email", "rate_limit", "failed"},
		{"sign-out lost", "grace@acme.example", epRevoke, "Sign out everywhere", "server_error", "unknown"},
		{"mail lost", "sam@partners.example", epResetStart, "Send reset email", "reset", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := s.acme(c.email)
			mark := s.control.mark()
			s.control.fault(fault{Endpoint: c.endpoint, Kind: c.kind, Times: 1})
			p := b.deletePassword(target, map[string]string{"sign_out": "1", "send_reset": "1"}).wants(http.StatusOK)
			p.wantStep("Delete password", "succeeded")
			p.wantStep(c.step, c.outcome)
			p.says(`[role="status"]`, "Password deleted")
			failed := p.operation()

			form := "ol.steps form"
			action, body := p.form(form, nil)
			again := b.follow(b.post(action, body).wants(http.StatusSeeOther)).wants(http.StatusOK)
			if again.operation() != failed {
				t.Errorf("the retry leads to %s, want the member with %s", again.url, failed)
			}
			again.wantStep(c.step, "succeeded", "attempt 2")
			again.wantStep("Delete password", "succeeded")
			if n := again.doc.Find(form).Length(); n != 0 {
				t.Errorf("%d retry buttons are left after all succeeded", n)
			}
			// The same button pressed again does nothing more.
			b.follow(b.post(action, body).wants(http.StatusSeeOther)).wants(http.StatusOK).wantStep(c.step, "succeeded")
			if n := len(s.control.journal(mark, c.endpoint)); n != 2 {
				t.Errorf("%s was called %d times, want 2: the failure and the retry", c.endpoint, n)
			}
			if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
				t.Errorf("%d deletions reached the upstream, want 1", n)
			}
			if rows := auditor.audit("?outcome=" + c.outcome); len(rows) == 0 {
				t.Errorf("no %s row in the audit", c.outcome)
			}
		})
	}
}

// A mail to set a new password waits until the old one is known to be gone. Signing out does not: the laptop is stolen all the same.
func TestMailWaitsForTheDeletion(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	for kind, c := range map[string]struct{ email, outcome string }{
		"rate_limit": {"maria.silvestri@acme.example", "failed"}, "server_error": {"paula@acme.example", "unknown"},
	} {
		t.Run(c.outcome, func(t *testing.T) {
			target := s.acme(c.email)
			mark := s.control.mark()
			s.control.fault(fault{Endpoint: epDeletePassword, Kind: kind, Times: 1})
			p := b.deletePassword(target, map[string]string{"sign_out": "1", "send_reset": "1"}).wants(http.StatusOK)
			p.wantStep("Delete password", c.outcome)
			p.wantStep("Sign out everywhere", "succeeded")
			p.wantStep("Send reset email", "cancelled", "not attempted", "step before it")
			if n := len(s.control.journal(mark, epResetStart)); n != 0 {
				t.Errorf("%d mails were asked for after a deletion that is %s", n, c.outcome)
			}
			if n := len(s.control.member(target).Sessions); n != 0 {
				t.Errorf("%d sessions are open upstream, want none", n)
			}
		})
	}
}
