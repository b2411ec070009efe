package handlers_test

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
)

func TestPurgedAndErasedArePagesNotErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	org := s.someone("ada@acme.example").OrganizationID
	record := func(phase audit.Phase, outcome audit.Outcome, operation, member, email string) audit.Event {
		t.Helper()
		ev, err := s.audit.Record(t.Context(), audit.Event{
			OrganizationID: org, Action: audit.ActionDeletePassword, Phase: phase, Outcome: outcome, OperationID: operation,
			Actor: audit.Actor{MemberID: member, Email: email}, Target: audit.Target{Type: "member", ID: "member-test-t", Label: "Gone Person", Email: "gone@acme.example"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	purged := record(audit.PhaseIntent, "", "operation-old", "member-test-a", "ada@acme.example")
	record(audit.PhaseOutcome, audit.OutcomeSucceeded, "operation-old", "member-test-a", "ada@acme.example")
	s.clock.add(100 * 24 * time.Hour)
	if n, err := s.audit.Purge(t.Context(), 90); err != nil || n != 3 {
		t.Fatalf("Purge: %d, %v", n, err)
	}
	when := "Purged on " + s.clock.Now().UTC().Format(time.DateOnly) + " after 90 days"
	erased := record(audit.PhaseOutcome, audit.OutcomeDenied, "", "member-test-b", "bo@acme.example")
	err := s.audit.Write(t.Context(), func(tx *sql.Tx) error {
		for _, member := range []string{"member-test-b", "member-test-t"} {
			if _, err := s.audit.Erase(t.Context(), tx, org, audit.Erasure{MemberID: member, Reason: "DPO-7"}, audit.Candidates{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	b := s.signIn("ada@acme.example")
	list := b.get("/audit")
	if list.StatusCode != http.StatusOK || !strings.Contains(list.body, when) || !strings.Contains(list.body, "/audit/"+purged.ID) || !strings.Contains(list.body, ">erased<") {
		t.Errorf("GET /audit = %d, want %q and erased:\n%s", list.StatusCode, when, list.body)
	}
	for _, text := range []string{"bo@acme.example", "gone@acme.example", "Gone Person"} {
		if strings.Contains(list.body, text) {
			t.Errorf("GET /audit shows %q", text)
		}
	}
	page := b.get("/audit/" + purged.ID)
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, when) || !strings.Contains(page.body, "Verified") || strings.Contains(page.body, "Not verified") {
		t.Errorf("GET the purged event = %d:\n%s", page.StatusCode, page.body)
	}
	page = b.get("/audit/" + erased.ID)
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, ">erased<") || strings.Contains(page.body, "Not verified") {
		t.Errorf("GET the erased event = %d:\n%s", page.StatusCode, page.body)
	}
	if page = b.get("/operations/operation-old"); page.StatusCode != http.StatusGone || !strings.Contains(page.body, when) {
		t.Errorf("GET the purged operation = %d:\n%s", page.StatusCode, page.body)
	}
	if page = b.get("/operations/operation-none"); page.StatusCode != http.StatusNotFound {
		t.Errorf("GET no operation = %d", page.StatusCode)
	}
	if page = s.signIn("max@acme.example").get("/operations/operation-old"); page.StatusCode != http.StatusNotFound {
		t.Errorf("GET the purged operation as a member = %d, want 404", page.StatusCode)
	}
}
