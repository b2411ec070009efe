package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"orgconsole/internal/audit"
)

func TestLogVerify(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 10 {
			s.record(t, deletion(acme, n))
		}
		s.record(t, deletion(globex, 0))
		whole := s.verify(t)
		for i, organization := range []string{"", acme, globex} {
			var told []int64
			report, err := s.log.Verify(t.Context(), organization, func(done, total int64) {
				if total != whole.Trees[i].Size {
					t.Errorf("progress of %q: %d of %d", organization, done, total)
				}
				told = append(told, done)
			})
			if err != nil {
				t.Fatal(err)
			}
			if report != whole.Trees[i] {
				t.Errorf("Verify of %q: %+v, want %+v", organization, report, whole.Trees[i])
			}
			if len(told) == 0 || !slices.IsSorted(told) || told[len(told)-1] != report.Size {
				t.Errorf("progress of %q: %v of %d", organization, told, report.Size)
			}
		}
		// Of ten records the stored hashes are those of the subtrees 8 and 2 are the sum of.
		report := whole.Trees[1]
		if report.Size != 10 || report.Hashes != 15+3 || report.Texts != 40 || report.Purged != 0 || report.Erased != 0 || !strings.HasPrefix(report.Checkpoint, report.Origin+"\n10\n"+report.Root) {
			t.Errorf("Verify: %+v", report)
		}
		if _, err := s.log.Verify(t.Context(), "organization-test-nobody", nil); !errors.Is(err, audit.ErrNoLog) {
			t.Errorf("Verify of an organization without a log: %v, want ErrNoLog", err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.log.Verify(canceled, acme, nil); !errors.Is(err, context.Canceled) || errors.Is(err, audit.ErrTampered) {
			t.Errorf("Verify with a context that ended: %v", err)
		}
	})
}

func TestLogVerifyCountsWhatIsGone(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := aged(t, place)
		s.purge(t)
		report, err := s.log.Verify(t.Context(), acme, nil)
		if err != nil || report.Purged != 10 {
			t.Errorf("Verify: %+v, %v; want 10 records purged", report, err)
		}
	})
}

func TestLogVerifyFindsWhatAnAdversaryDid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 10 {
			s.record(t, deletion(acme, n))
		}
		s.record(t, deletion(globex, 0))
		s.db.Close()
		for name, a := range adversaries() {
			switch name {
			case "a tree nobody lists", "rows of no tree", "text nobody knows", "texts of nobody", "a tree's head gone", "all trees gone":
				continue // not of this tree
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := &store{Store: s.Copy(t), signer: s.signer, clock: s.clock, logged: s.logged}
				c.tamper(t, a.sql)
				c.open(t)
				if _, err := c.log.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), a.want) {
					t.Errorf("Verify: %v; want %q", err, a.want)
				}
			})
		}
		t.Run("the list of trees", func(t *testing.T) {
			t.Parallel()
			for _, q := range []string{
				`UPDATE audit_events SET target_id = 'x', bytes = replace(bytes, '` + acme + `', 'x') WHERE tree = 1 AND seq = 2`,
				`UPDATE audit_events SET bytes = replace(bytes, '` + acme + `', 'x') WHERE tree = 1 AND seq = 2`,
				`DELETE FROM audit_events WHERE tree = 1 AND seq = 2`,
			} {
				c := &store{Store: s.Copy(t), signer: s.signer, clock: s.clock, logged: s.logged}
				c.tamper(t, q)
				c.open(t)
				if _, err := c.log.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrTampered) {
					t.Errorf("%s: %v, want ErrTampered", q, err)
				}
			}
		})
	})
}

func TestLogVerifyAfterAKeyChange(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		r := rotate(t, place)
		r.record(t, deletion(globex, 0))
		for _, organization := range []string{"", acme, globex} {
			if _, err := r.log.Verify(t.Context(), organization, nil); err != nil {
				t.Errorf("Verify of %q: %v", organization, err)
			}
		}
		if _, err := r.oldLog.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrWrongKey) {
			t.Errorf("Verify with the old key: %v, want ErrWrongKey", err)
		}
		r.tamper(t, `UPDATE audit_events SET bytes = replace(bytes, '`+r.oldPublic+`', '`+r.public+`') WHERE tree = 1 AND action = 'audit.key.change'`)
		if _, err := r.log.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Verify where the change of keys is another: %v, want ErrTampered", err)
		}
	})
}
