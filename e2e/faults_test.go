package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// targets are members of acme that have a password and that no test signs in as.
func (s *site) targets(b *browser, n int) []string {
	s.t.Helper()
	people := map[string]bool{}
	for _, p := range s.People {
		people[p.Email] = true
	}
	var ids []string
	list := b.get("/members?password=set").wants(http.StatusOK)
	for i := range list.doc.Find("table.members tbody tr").Length() {
		row := list.doc.Find("table.members tbody tr").Eq(i)
		if !people[squeeze(row.Children().Eq(1).Text())] {
			ids = append(ids, strings.TrimPrefix(row.Find("a").AttrOr("href", ""), "/members/"))
		}
	}
	if len(ids) < n {
		s.t.Fatalf("%d members with a password, the test needs %d", len(ids), n)
	}
	return ids[:n]
}

// wantOutcome wants the member's page, the receipt and the audit to tell the same of an operation.
func wantOutcome(t *testing.T, agent, auditor *browser, member, operation, outcome string, says ...string) {
	t.Helper()
	role := "alert"
	if outcome == "succeeded" {
		role = "status"
	}
	id := strings.TrimPrefix(operation, "/operations/")
	for _, p := range []*page{agent.get("/members/" + member + "?operation=" + id), agent.get(operation)} {
		p.t = t
		p.wants(http.StatusOK).says(fmt.Sprintf(".result [role=%q]", role), says...)
		if other := map[string]string{"alert": "status", "status": "alert"}[role]; p.doc.Find(fmt.Sprintf(".result [role=%q]", other)).Length() != 0 {
			t.Errorf("%s: an outcome %s is told with role=%q too: %s", p.url, outcome, other, p.text(".result"))
		}
	}
	rows := of(auditor.audit("?target="+member), operation)
	if len(rows) == 0 || rows[0].outcome != outcome || rows[len(rows)-1].phase != "intent" {
		t.Errorf("the audit has %+v, want an intent at first and %s at last", rows, outcome)
	}
}

// outcomeCase is one answer to a deletion and what is told of it.
type outcomeCase struct {
	fault   fault
	outcome string
	says    []string
}

// Every way the upstream can answer a deletion, and what people are told of it.
func TestDeletionOutcomes(t *testing.T) {
	t.Parallel()
	seven := 7
	const (
		gone    = "Password deleted"
		unknown = "Not known yet"
	)
	for _, group := range []struct {
		name  string
		cases []outcomeCase
	}{
		{"the password is gone", []outcomeCase{
			{fault{Kind: "server_error", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "bad_gateway_html", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "cut_body", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "garbage", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "wrong_shape", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "empty_body", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "giant_body", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "wrong_member", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "id_kept", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "redirect", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "reset", Apply: "after"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "hang", Apply: "after", Duration: "1s"}, "succeeded", []string{gone, "Reading the member afterwards"}},
			{fault{Kind: "latency", Duration: "1s"}, "succeeded", []string{gone}},
			{fault{Kind: "refuse", Apply: "after", Status: 404, ErrorType: "member_password_not_found"}, "not_found", []string{"no such password any more"}},
		}},
		{"refused", []outcomeCase{
			{fault{Kind: "rate_limit", RetryAfter: &seven}, "failed", []string{"Password not deleted", "7 seconds"}},
			{fault{Kind: "rate_limit"}, "failed", []string{"Password not deleted", "did not say for how long"}},
			{fault{Kind: "refuse", Status: 400, ErrorType: "some_new_error_type"}, "failed", []string{"Password not deleted", "some_new_error_type"}},
			{fault{Kind: "bad_credentials"}, "failed", []string{"project credentials were refused", "operator"}},
		}},
		{"the password is still there", []outcomeCase{
			{fault{Kind: "server_error", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "bad_gateway_html", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "cut_body", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "garbage", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "wrong_shape", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "empty_body", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "giant_body", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "wrong_member", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "id_kept", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "redirect", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "reset", Apply: "before"}, "unknown", []string{unknown}},
			{fault{Kind: "refuse", Apply: "before", Status: 404, ErrorType: "member_password_not_found"}, "unknown", []string{unknown}},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			agent, auditor := s.as("helpdesk"), s.as("auditor")
			members := s.targets(agent, len(group.cases))
			type waiting struct{ name, member, operation string }
			var unsettled []waiting
			for i, c := range group.cases {
				c.fault.Endpoint, c.fault.Times = epDeletePassword, 1
				name := strings.TrimSpace(fmt.Sprint(c.fault.Kind, " ", c.fault.Apply, " ", c.fault.ErrorType))
				t.Run(name, func(t *testing.T) {
					mark := s.control.mark()
					s.control.fault(c.fault)
					p := agent.deletePassword(members[i], nil)
					sent := s.control.journal(mark, epDeletePassword)
					if len(sent) != 1 || sent[0].Fault != c.fault.Kind {
						t.Fatalf("sent %+v, want one deletion that meets the fault", sent)
					}
					p.wants(http.StatusOK)
					wantOutcome(t, agent, auditor, members[i], p.operation(), c.outcome, c.says...)
					if c.outcome == "unknown" {
						unsettled = append(unsettled, waiting{name, members[i], p.operation()})
					}
					if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
						t.Errorf("%d deletions were sent, a write is not repeated", n)
					}
				})
			}
			if len(unsettled) == 0 {
				return
			}
			listed := auditor.get("/audit").wants(http.StatusOK)
			listed.says("h2#unsettled", "Outcome not known yet")
			if testing.Short() {
				t.Skip("settling takes more than 10 s")
			}
			// Still there is failed only when read at least 10 s after the call.
			for _, w := range unsettled {
				var p *page
				eventually(t, settleLimit, w.name+" is settled", func() bool {
					p = agent.get(w.operation).wants(http.StatusOK)
					return !strings.Contains(p.text(".result"), unknown)
				})
				wantOutcome(t, agent, auditor, w.member, w.operation, "failed", "Password not deleted", "still there")
				wantOutcomes(t, of(auditor.audit("?target="+w.member), w.operation), "outcome failed", "outcome unknown", "intent")
			}
			if p := auditor.get("/audit"); p.doc.Find("h2#unsettled").Length() != 0 {
				t.Errorf("settled operations are still listed as not known: %s", p.words())
			}
		})
	}
}
