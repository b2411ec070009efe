package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// A deletion the upstream refuses with 403 is denied, whatever the policy read before said.
func TestDeniedByTheUpstream(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	target := s.id("paula@acme.example")
	s.control.fault(fault{Endpoint: epDeletePassword, Kind: "refuse", Status: 403, ErrorType: "session_authorization_error", Times: 1})
	mark := s.control.mark()
	p := agent.deletePassword(target, nil)
	p.wants(http.StatusForbidden)
	sent := s.control.journal(mark, epDeletePassword)
	if len(sent) != 1 {
		t.Fatalf("%d deletions were sent, want 1", len(sent))
	}
	p.one(`[role="alert"]`)
	p.says("main", "session_authorization_error", sent[0].RequestID)
	rows := auditor.audit("?outcome=denied")
	if len(rows) != 1 || !strings.Contains(rows[0].target, "paula@acme.example") {
		t.Fatalf("the audit has %+v, want one denied", rows)
	}
	wantOutcome(t, agent, auditor, target, rows[0].operation, "denied", "denied")
	wantOutcomes(t, of(auditor.audit(""), rows[0].operation), "outcome denied", "intent")
	if s.control.member(target).Member.PasswordID == "" {
		t.Error("the password is gone")
	}
}

// A session that dies at the deletion leads to the sign-in page and back; the attempt failed.
func TestSessionDiesAtTheDeletion(t *testing.T) {
	t.Parallel()
	s := start(t)
	auditor := s.as("auditor")
	for _, c := range []struct {
		status    int
		errorType string
	}{{404, "session_not_found"}, {400, "invalid_session_token"}, {401, "user_unauthenticated"}} {
		t.Run(c.errorType, func(t *testing.T) {
			agent := s.as("helpdesk")
			target := s.id("jon.smithson@acme.example")
			confirm := agent.confirm(target)
			s.control.fault(fault{Endpoint: epDeletePassword, Kind: "refuse", Status: c.status, ErrorType: c.errorType, Times: 1})
			answer := agent.send(confirm, confirmForm, map[string]string{"reason": "dies: " + c.errorType}).wants(http.StatusSeeOther)
			if !strings.HasPrefix(answer.location(), "/login") || !strings.Contains(answer.location(), target) {
				t.Errorf("leads to %s, want /login with the way back", answer.location())
			}
			if p := agent.get("/members"); p.url.Path != "/login" {
				t.Errorf("the browser is still signed in: %s", p.url)
			}
			for _, r := range auditor.audit("?action=member.password.delete") {
				if r.reason == "dies: "+c.errorType {
					if r.outcome != "failed" {
						t.Errorf("the audit has %+v, want failed", r)
					}
					break
				}
			}
			if s.control.member(target).Member.PasswordID == "" {
				t.Error("the password is gone")
			}
		})
	}
}

// An answer that never comes is given up, and what happened is read.
func TestDeletionThatHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the deadline of a call, 10 s")
	}
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	target := s.id("paula@acme.example")
	s.control.fault(fault{Endpoint: epDeletePassword, Kind: "hang", Apply: "after", Times: 1})
	p := agent.deletePassword(target, nil).wants(http.StatusOK)
	wantOutcome(t, agent, auditor, target, p.operation(), "succeeded", "Password deleted", "Reading the member afterwards")
	wantOutcomes(t, of(auditor.audit(""), p.operation()), "outcome succeeded", "outcome unknown", "intent")
}

// While the upstream cannot be looked at, an unknown stays unknown; then it is settled.
func TestUnknownStaysUntilTheUpstreamAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	target := s.id("paula@acme.example")
	confirm := agent.confirm(target)
	action, body := confirm.form(confirmForm, map[string]string{"reason": "upstream goes away"})
	// The answer is lost after a while; until then the member cannot be read any more.
	s.control.fault(
		fault{Endpoint: epDeletePassword, Kind: "latency", Duration: "1s", Times: 1},
		fault{Endpoint: epDeletePassword, Kind: "reset", Apply: "after", Times: 1},
	)
	mark := s.control.mark()
	answered := make(chan *page, 1)
	tab, request := agent.clone(), agent.request(http.MethodPost, action, body)
	go func() { answered <- tab.do(request) }()
	eventually(t, startLimit, "the deletion reaches the upstream", func() bool {
		return len(s.control.journal(mark, epDeletePassword)) == 1
	})
	s.control.fault(fault{Endpoint: "members.get", Kind: "server_error"})
	answer := <-answered
	answer.wants(http.StatusSeeOther)
	member := agent.follow(answer)
	if member.status != http.StatusBadGateway {
		t.Errorf("the member cannot be read, the page answers %d, want 502", member.status)
	}
	member.one(`[role="alert"]`)
	receipt := agent.get(member.operation()).wants(http.StatusOK)
	receipt.says(`.result [role="alert"]`, "Not known yet")
	auditor.get("/audit").wants(http.StatusOK).says("main", "Outcome not known yet")
	if rows := of(auditor.audit("?outcome=unknown"), member.operation()); len(rows) != 1 {
		t.Errorf("the audit has %+v, want one unknown", rows)
	}
	if testing.Short() {
		t.Skip("settling takes up to 15 s")
	}
	s.control.clearFaults()
	eventually(t, settleLimit, "the unknown is settled", func() bool {
		return strings.Contains(agent.get(member.operation()).text(`.result [role="status"]`), "Password deleted")
	})
	wantOutcome(t, agent, auditor, target, member.operation(), "succeeded", "Password deleted")
}

// A page about an older deletion tells of the member as it is now.
func TestNewPasswordSetSince(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent := s.as("helpdesk")
	target := s.id("paula@acme.example")
	p := agent.deletePassword(target, nil).wants(http.StatusOK)
	s.control.change(target, map[string]any{"password": "set-again-Passw0rd"})
	again := agent.get("/members/" + target + "?" + p.url.RawQuery).wants(http.StatusOK)
	again.says(`[role="status"]`, "Password deleted", "A new password was set since")
	if got := again.row("Password"); !strings.HasPrefix(got, "set") {
		t.Errorf("the member's password reads %q, want set", got)
	}
}

// A project with one password for all organizations: deletion is refused with an offer that works.
func TestCrossOrganizationPasswords(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	s.control.switches(map[string]any{"cross_org_passwords": true})
	target := s.control.strangerIn("acme", "sam@partners.example")
	p := agent.deletePassword(target.MemberID, nil).wants(http.StatusOK)
	p.says(`.result [role="alert"]`, "Password not deleted", "shares passwords across organizations")
	wantOutcome(t, agent, auditor, target.MemberID, p.operation(), "failed", "Password not deleted")
	offer, ok := p.doc.Find(".result a:contains('Require password reset by email')").Attr("href")
	if !ok {
		t.Fatalf("no offer to require a reset: %s", p.words())
	}

	confirm := agent.get(offer).wants(http.StatusOK)
	confirm.says("main", target.Email, target.MemberID, "in every organization of the project", "The mail is a second step")
	if got := confirm.one("textarea[name=reason]").Text(); got != "caller's laptop was stolen" {
		t.Errorf("the reason typed before is not taken over: %q", got)
	}
	mark := s.control.mark()
	s.control.fault(fault{Endpoint: epResetStart, Kind: "rate_limit", Times: 1})
	action, body := confirm.form(confirmForm, map[string]string{"send_reset": "1"})
	done := agent.follow(agent.post(action, body).wants(http.StatusSeeOther)).wants(http.StatusOK)
	done.wantStep("Require password reset", "succeeded")
	done.wantStep("Send reset email", "failed")
	done.says(`.result > [role="status"]`, "Password reset required")
	if !s.control.member(target.MemberID).ResetRequired {
		t.Error("upstream no reset is required")
	}
	again := agent.submit(done, "ol.steps form", nil).wants(http.StatusOK)
	again.wantStep("Send reset email", "succeeded")
	agent.follow(agent.post(action, body).wants(http.StatusSeeOther)).wants(http.StatusOK)
	sent := s.control.journal(mark, "passwords.email.require_reset")
	if len(sent) != 1 || len(sent[0].Session) != 1 || sent[0].Session[0].MemberID != s.id("hiro@acme.example") {
		t.Errorf("sent %+v, want one with the agent's session", sent)
	}
	rows := of(auditor.audit(""), done.operation())
	wantOutcomes(t, rows, "outcome succeeded", "intent")
}
