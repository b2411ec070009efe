package audit_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

const erased = "member-test-1"

// populated is a store whose records 2 and 3 were done to a person, 5 was done by them, and 6 and 7 are what somebody typed.
func populated(tb testing.TB, place maker) *store {
	tb.Helper()
	s := newStoreAt(tb, place(tb))
	for n := range 5 {
		s.record(tb, deletion(acme, n))
	}
	own := deletion(acme, 8)
	own.Actor = audit.Actor{MemberID: erased, Email: "person1@acme.example"}
	s.record(tb, own)
	for _, address := range []string{"Person1@Acme.example", "person2@acme.example"} {
		typed := audit.Event{OrganizationID: acme, Action: audit.ActionSignIn, Phase: audit.PhaseInfo, Outcome: audit.OutcomeFailed}
		typed.Actor.Email, typed.Source.IP = address, "192.0.2.9"
		s.record(tb, typed)
	}
	return s
}

func (s *store) erase(tb testing.TB, organizationID string, e audit.Erasure) (n int, err error) {
	tb.Helper()
	c, err := s.log.Candidates(tb.Context(), organizationID, e)
	if err != nil {
		return 0, err
	}
	err = s.log.Write(tb.Context(), func(tx *sql.Tx) (err error) {
		n, err = s.log.Erase(tb.Context(), tx, organizationID, e, c)
		return err
	})
	return n, err
}

func TestErase(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := populated(t, place)
		state := filepath.Join(t.TempDir(), "state")
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		n, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Email: " PERSON1@acme.example", Reason: "asked for in DPO-7"})
		if err != nil || n != 8 {
			t.Fatalf("Erase: %d, %v; want 8", n, err)
		}
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		page, err := s.log.List(t.Context(), acme, audit.Filter{}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		marks := map[int64]audit.Erased{}
		for _, ev := range page.Events {
			if ev.Erased != (audit.Erased{}) {
				marks[ev.Seq] = ev.Erased
			}
		}
		want := map[int64]audit.Erased{
			2: {TargetLabel: true, TargetEmail: true}, 3: {TargetLabel: true, TargetEmail: true},
			5: {ActorEmail: true, SourceIP: true}, 6: {ActorEmail: true, SourceIP: true},
		}
		if diff := cmp.Diff(want, marks); diff != "" {
			t.Errorf("erased (-want +got):\n%s", diff)
		}
		ev := page.Events[0]
		if ev.Action != audit.ActionErase || ev.Target != (audit.Target{Type: "member", ID: erased}) || ev.Count != 8 || ev.Detail != "6" || ev.Reason != "asked for in DPO-7" {
			t.Errorf("the erasure is recorded as %+v", ev)
		}
		_, evidence, err := s.log.Event(t.Context(), acme, page.Events[len(page.Events)-3].ID)
		if err != nil || !evidence.Verified {
			t.Errorf("evidence of an erased record: %+v, %v", evidence, err)
		}
		var left int
		const find = `SELECT count(*) FROM audit_texts WHERE actor_email LIKE '%person1@%' OR target_email LIKE '%person1@%' OR target_label LIKE 'Person 1%' OR source_ip = '192.0.2.9' AND seq = 6`
		if err := s.db.Reader().QueryRowContext(t.Context(), find).Scan(&left); err != nil || left > 0 {
			t.Errorf("%d texts are left, %v", left, err)
		}

		// What comes after is another matter, and can be erased again.
		s.record(t, deletion(acme, 2))
		if n, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Reason: "again"}); err != nil || n != 2 {
			t.Errorf("Erase again: %d, %v; want 2", n, err)
		}
		for _, organization := range []string{acme, globex, ""} {
			if n, err := s.erase(t, organization, audit.Erasure{MemberID: erased, Reason: "again"}); err != nil || n != 0 {
				t.Errorf("Erase of nobody in %q: %d, %v", organization, n, err)
			}
		}
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		// What was erased can be purged.
		s.clock.later(1000 * day)
		if got := s.purge(t); got == 0 {
			t.Error("nothing was purged")
		}
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
	})
}

// Nobody waits while a log is looked through, so that records may come meanwhile.
func TestEraseOfRecordsSinceItWasLookedFor(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := populated(t, place)
		e := audit.Erasure{MemberID: erased, Email: "person1@acme.example", Reason: "DPO-7"}
		candidates, err := s.log.Candidates(t.Context(), acme, e)
		if err != nil {
			t.Fatal(err)
		}
		s.record(t, deletion(acme, 2))
		s.record(t, deletion(acme, 4))
		for i, want := range []int{10, 0} {
			err = s.log.Write(t.Context(), func(tx *sql.Tx) error {
				n, err := s.log.Erase(t.Context(), tx, acme, e, candidates)
				if n != want {
					t.Errorf("Erase, time %d: %d, want %d", i, n, want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.verifyFile(t, ""); err != nil {
			t.Fatal(err)
		}
		// Whoever did not look finds them all, too.
		s.record(t, deletion(acme, 2))
		err = s.log.Write(t.Context(), func(tx *sql.Tx) error {
			n, err := s.log.Erase(t.Context(), tx, acme, e, audit.Candidates{})
			if n != 2 {
				t.Errorf("Erase without candidates: %d, want 2", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if none, err := s.log.Candidates(t.Context(), "organization-test-nobody", e); err != nil || !cmp.Equal(none, audit.Candidates{}, cmp.AllowUnexported(audit.Candidates{})) {
			t.Errorf("candidates of no log: %+v, %v", none, err)
		}
	})
}

func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := populated(t, place)
		for _, reason := range []string{"person 1 \"ö%_\" asked for it", "mail from PERSON1@acme.example"} {
			if _, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Reason: reason}); !errors.Is(err, audit.ErrReasonNames) {
				t.Errorf("Erase because %q: %v, want ErrReasonNames", reason, err)
			}
		}
		if _, err := s.erase(t, acme, audit.Erasure{Email: "person1@acme.example"}); err == nil {
			t.Error("Erase of no member: nil")
		}
		s.tamper(t, `UPDATE audit_events SET target_id = '`+erased+`' WHERE tree = 2 AND seq = 0`)
		if _, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Reason: "asked for"}); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Erase by a forged column: %v, want ErrTampered", err)
		}
	})
}

func TestEraseOfMoreThanFitsIntoOneEvent(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		err := s.log.Write(t.Context(), func(tx *sql.Tx) error {
			for n := range 400 {
				ev := audit.Event{OrganizationID: acme, Action: audit.ActionSignIn, Phase: audit.PhaseInfo}
				ev.Actor.Email = []string{"a@acme.example", "b@acme.example"}[n%2]
				if _, err := s.log.Append(t.Context(), tx, ev); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Email: "a@acme.example", Reason: "asked for"}); err != nil || n != 200 {
			t.Errorf("Erase: %d, %v; want 200", n, err)
		}
		if report := s.verify(t); report.Events < 2+400+2 {
			t.Errorf("%d events", report.Events)
		}
	})
}

func TestVerifyFindsWhatAnAdversaryErased(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		// What was there is not any more; what never was stays so.
		const target = `target_label = CASE target_label WHEN '' THEN '' END, target_label_salt = CASE target_label WHEN '' THEN '' END,
			target_email = CASE target_email WHEN '' THEN '' END, target_email_salt = CASE target_email WHEN '' THEN '' END`
		const null = `UPDATE audit_texts SET actor_email = CASE actor_email WHEN '' THEN '' END, actor_email_salt = CASE actor_email WHEN '' THEN '' END,
			source_ip = CASE source_ip WHEN '' THEN '' END, source_ip_salt = CASE source_ip WHEN '' THEN '' END, ` + target + ` WHERE tree = 2 AND `
		for name, c := range map[string]struct {
			sql  string
			want string
			seq  int64
		}{
			"another person":             {null + `seq = 1`, "no event says so", 1},
			"another of the same record": {`UPDATE audit_texts SET source_ip = NULL, source_ip_salt = NULL WHERE tree = 2 AND seq = 2`, "no event says so", 2},
			"what another one typed":     {null + `seq = 7`, "no event says so", 7},
			"after the erasure":          {null + `seq = 9`, "no event says so", 9},
			"half":                       {`UPDATE audit_texts SET target_label_salt = NULL WHERE tree = 2 AND seq = 4`, "half gone", 4},
			"the row too":                {`DELETE FROM audit_texts WHERE tree = 2 AND seq = 4`, "is gone", 4},
			"the erasure's member, by column": {
				`UPDATE audit_events SET target_id = 'member-test-2' WHERE tree = 2 AND seq = 8; UPDATE audit_texts SET ` + target + ` WHERE tree = 2 AND seq = 4`,
				"no event says so", 2,
			},
			"the erasure's member, in the bytes": {
				`UPDATE audit_events SET target_id = 'member-test-0', bytes = replace(bytes, 'member-test-1', 'member-test-0') WHERE tree = 2 AND seq = 8; UPDATE audit_texts SET ` + target + ` WHERE tree = 2 AND seq IN (0, 1)`,
				"no event says so", 2,
			},
			"another text put there": {`UPDATE audit_texts SET target_email_salt = '00', target_email = 'x' WHERE tree = 2 AND seq = 2`, "does not fit", 2},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := populated(t, place)
				if _, err := s.erase(t, acme, audit.Erasure{MemberID: erased, Email: "person1@acme.example", Reason: "asked for"}); err != nil {
					t.Fatal(err)
				}
				s.record(t, deletion(acme, 2))
				if err := s.verifyFile(t, ""); err != nil {
					t.Fatal(err)
				}
				s.tamper(t, c.sql)
				err := s.verifyFile(t, "")
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || !strings.Contains(err.Error(), c.want) || tampered.Seq != c.seq {
					t.Errorf("Verify: %v; want %q at seq %d", err, c.want, c.seq)
				}
			})
		}
	})
}
