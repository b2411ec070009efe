package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"orgconsole/internal/audit"
)

func review(of audit.Target, comment string) audit.Event {
	return audit.Event{
		OrganizationID: acme, Action: audit.ActionReview, Phase: audit.PhaseInfo, Target: of, Reason: comment,
		Actor: audit.Actor{MemberID: "member-test-audrey", Email: "audrey@acme.example"},
	}
}

// A form sent twice, at once or later, by the same person about the same, is one review.
func TestReviewOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 4 {
			s.record(t, deletion(acme, n))
		}
		all := audit.Target{Type: audit.TargetRecords, ID: "0-3"}
		ids := make([]string, 8)
		var running sync.WaitGroup
		for i := range ids {
			running.Go(func() {
				ev, err := s.log.Review(t.Context(), review(all, fmt.Sprint("comment ", i)), 4)
				if err != nil {
					t.Errorf("Review: %v", err)
				}
				ids[i] = ev.ID
			})
		}
		running.Wait()
		for _, id := range ids {
			if id != ids[0] || id == "" {
				t.Errorf("reviews %q, want one", ids)
			}
		}
		another := review(all, "")
		another.Actor.MemberID = "member-test-ada"
		for what, ev := range map[string]audit.Event{
			"another person": another, "another target": review(audit.Target{Type: "audit_event", ID: "x"}, ""),
			"the same id of another type": review(audit.Target{Type: "audit_event", ID: "0-3"}, ""),
		} {
			if got, err := s.log.Review(t.Context(), ev, 4); err != nil || got.ID == ids[0] {
				t.Errorf("%s: %s, %v", what, got.ID, err)
			}
		}
		if got, err := s.log.Review(t.Context(), review(all, "again, of a newer page"), 8); err != nil || got.Seq != 8 {
			t.Errorf("a later page: %d, %v", got.Seq, err)
		}
		denied := review(all, "")
		denied.Phase, denied.Outcome = audit.PhaseOutcome, audit.OutcomeDenied
		if _, err := s.log.Review(t.Context(), denied, 0); err == nil {
			t.Error("what is no review was recorded as one")
		}
		last, err := s.log.LastReview(t.Context(), acme, "member-test-audrey")
		if err != nil || last == nil || last.Seq != 8 {
			t.Errorf("last review %+v, %v", last, err)
		}
	})
}

// A review of an operation is part of its receipt, says that it is one, and leaves the outcome alone.
func TestReceiptOfReviewedOperation(t *testing.T) {
	t.Parallel()
	onEach(t, testReceiptOfReviewedOperation)
}

func testReceiptOfReviewedOperation(t *testing.T, s *store) {
	t.Helper()
	s.record(t, deletion(acme, 0))
	outcome := s.record(t, deletion(acme, 1))
	ev := review(audit.Target{Type: "audit_event", ID: outcome.ID}, "called back, fine")
	ev.OperationID = outcome.OperationID
	if _, err := s.log.Review(t.Context(), ev, 2); err != nil {
		t.Fatal(err)
	}
	file, err := s.log.Receipt(t.Context(), acme, outcome.OperationID)
	if err != nil {
		t.Fatal(err)
	}
	report, err := audit.VerifyReceipt(strings.NewReader(string(file)), s.public)
	if err != nil || report.Records != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	says := strings.Join(report.Statement, "\n")
	for _, want := range []string{"Delete password: succeeded\n", "record 2: reviewed by audrey@acme.example, member-test-audrey: called back, fine"} {
		if !strings.Contains(says, want) {
			t.Errorf("the receipt does not say %q:\n%s", want, says)
		}
	}
}

// However long the log is, operations are found by their index.
func TestOperationsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	for _, query := range audit.OperationQueries(3) {
		plan := queryPlan(t, s, query)
		if !strings.Contains(plan, "audit_events_by_operation (tree=? AND operation_id=?") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
}

func queryPlan(t *testing.T, s *store, query string) string {
	t.Helper()
	rows, err := s.db.Reader().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, 2, "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
