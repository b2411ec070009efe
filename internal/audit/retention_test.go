package audit_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// later sets the clock.
func (c *clock) later(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const day = 24 * time.Hour

// aged is a store with ten old records of settled operations, one of an
// operation that is not settled, and two new ones: 0-9, 10 and 11-12.
func aged(tb testing.TB, place maker) *store {
	tb.Helper()
	s := newStoreAt(tb, place(tb))
	for n := range 11 {
		s.record(tb, deletion(acme, n))
	}
	s.clock.later(100 * day)
	s.record(tb, deletion(acme, 20))
	s.record(tb, deletion(acme, 21))
	return s
}

// purge purges what is older than 90 days.
func (s *store) purge(tb testing.TB) int64 {
	tb.Helper()
	n, err := s.log.Purge(tb.Context(), 90)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestPurge(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := aged(t, place)
		state := filepath.Join(t.TempDir(), "state")
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		before, err := s.log.Operation(t.Context(), acme, "operation-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.purge(t); got != 11 { // the start of the console, too
			t.Errorf("Purge: %d, want 11", got)
		}
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		if got := s.purge(t); got != 0 {
			t.Errorf("Purge again: %d, want 0", got)
		}
		page, err := s.log.List(t.Context(), acme, audit.Filter{}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, seqs(page.Events)); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		purge := page.Events[0]
		if purge.Action != audit.ActionPurge || !purge.Actor.System || purge.Target.ID != "0-9" || purge.Count != 10 || purge.Detail != "90 days" {
			t.Errorf("the purge is recorded as %+v", purge)
		}
		want := audit.Event{
			Seq: 2, ID: before[0].ID, OrganizationID: acme, OperationID: "operation-1",
			Purged: &audit.Purged{Time: purge.Time, Days: 90, By: purge.ID, Seq: 13},
		}
		ev, evidence, err := s.log.Event(t.Context(), acme, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ev); diff != "" {
			t.Errorf("Event (-want +got):\n%s", diff)
		}
		if !evidence.Verified || len(evidence.Bytes) > 0 || evidence.LeafIndex != 2 || evidence.LeafHash == "" {
			t.Errorf("evidence: %+v", evidence)
		}
		if events, err := s.log.Operation(t.Context(), acme, "operation-1"); err != nil || len(events) != 2 || events[1].Purged == nil {
			t.Errorf("Operation: %+v, %v", events, err)
		}
		var texts int
		if err := s.db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM audit_texts WHERE seq < 10`).Scan(&texts); err != nil || texts > 0 {
			t.Errorf("%d texts of purged records are left, %v", texts, err)
		}

		// What was not settled goes once it is, and is old; records of purges stay for ever.
		s.record(t, deletion(acme, 11))
		if got := s.purge(t); got != 0 {
			t.Errorf("Purge of an operation with a young outcome: %d, want 0", got)
		}
		s.clock.later(1000 * day)
		if got := s.purge(t); got != 4 {
			t.Errorf("Purge: %d, want 4", got)
		}
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		if page, err = s.log.List(t.Context(), acme, audit.Filter{Action: string(audit.ActionPurge)}, "", 100); err != nil || len(page.Events) != 2 || page.Events[0].Target.ID != "10-12,14" {
			t.Errorf("List of purges: %+v, %v", page.Events, err)
		}
	})
}

func TestPurgeManyInAnyOrderOfTime(t *testing.T) {
	manyRecords(t)
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		const events = 4800 // more than two transactions take
		err := s.log.Write(t.Context(), func(tx *sql.Tx) error {
			for n := range events {
				// Every fourth operation stays open, so that the places do not fit into one event either.
				if n%8 == 1 {
					n--
				}
				if n%1000 == 500 {
					s.clock.later(-2000 * time.Second) // as clocks do
				}
				if _, err := s.log.Append(t.Context(), tx, deletion(acme, n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.clock.later(100 * day)
		var running sync.WaitGroup
		var mu sync.Mutex
		total := int64(0)
		for range 2 {
			running.Go(func() {
				n, err := s.log.Purge(t.Context(), 30)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		running.Wait()
		if want := int64(events*3/4 + 1); total != want {
			t.Errorf("purged %d, want %d", total, want)
		}
		s.verify(t)
	})
}

// A purge must not be the way to get rid of what was changed.
func TestPurgeRefusesWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		for name, q := range map[string]string{
			"bytes":           `UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2') WHERE tree = 2 AND seq = 3`,
			"a young record":  `UPDATE audit_events SET time = 1 WHERE tree = 2 AND seq = 12`,
			"its leaf, too":   `UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 3`,
			"text":            `UPDATE audit_texts SET target_label = 'x' WHERE tree = 2 AND seq = 3`,
			"another's bytes": `UPDATE audit_events SET bytes = (SELECT bytes FROM audit_events e WHERE e.tree = 2 AND e.seq = 5) WHERE tree = 2 AND seq = 3`,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := aged(t, place)
				s.tamper(t, q)
				if n, err := s.log.Purge(t.Context(), 90); !errors.Is(err, audit.ErrTampered) {
					t.Errorf("Purge: %d, %v; want ErrTampered", n, err)
				}
				if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) {
					t.Errorf("Verify: %v, want ErrTampered", err)
				}
			})
		}
	})
}

const blank = `UPDATE audit_events SET bytes = NULL, time = 0, action = '', phase = '', outcome = '', actor_id = '', target_id = '' WHERE tree = 2 AND seq = %d;
	DELETE FROM audit_texts WHERE tree = 2 AND seq = %[1]d`

func TestVerifyFindsWhatAnAdversaryDidToAPurge(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		for name, c := range map[string]struct {
			sql  string
			want string
			seq  int64
		}{
			"a body without a purge":            {fmt.Sprintf(blank, 12), "no event says that it was purged", 12},
			"more than recorded":                {fmt.Sprintf(blank, 10), "no event says that it was purged", 10},
			"the purge itself":                  {fmt.Sprintf(blank, 13), "no event says that it was purged", 0},
			"a forged range, column only":       {`UPDATE audit_events SET target_id = '0-12' WHERE tree = 2 AND seq = 13; ` + fmt.Sprintf(blank, 12), "no event says that it was purged", 0},
			"a forged range in the bytes":       {`UPDATE audit_events SET target_id = '0-9,12', bytes = replace(replace(bytes, '"0-9"', '"0-9,12"'), '"count":10', '"count":11') WHERE tree = 2 AND seq = 13; ` + fmt.Sprintf(blank, 12), "do not have the hash", 13},
			"a forged range, and not the count": {`UPDATE audit_events SET target_id = '0-10', bytes = replace(bytes, '"0-9"', '"0-10"') WHERE tree = 2 AND seq = 13; ` + fmt.Sprintf(blank, 10), "no event says that it was purged", 0},
			"a purged row removed":              {`DELETE FROM audit_events WHERE tree = 2 AND seq = 4`, "missing", 4},
			"a leaf of a purged record":         {`UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 4`, "", -2},
			"a leaf of a purged record gone":    {`UPDATE audit_events SET hashes = substr(hashes, 1, 0) WHERE tree = 2 AND seq = 4`, "hash 7 is missing", 4},
			"a column of a purged record":       {`UPDATE audit_events SET outcome = 'succeeded' WHERE tree = 2 AND seq = 4`, "nothing proves", 4},
			"a text of a purged record":         {`INSERT INTO audit_texts VALUES (2, 4, 'x', '', '', '', '00', '', '', '')`, "is there", 4},
			"another body in the place of it":   {`UPDATE audit_events SET bytes = (SELECT bytes FROM audit_events e WHERE e.tree = 2 AND e.seq = 12) WHERE tree = 2 AND seq = 4`, "here again", 4},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := aged(t, place)
				s.purge(t)
				if err := s.verifyFile(t, ""); err != nil {
					t.Fatal(err)
				}
				s.db.Close()
				s.tamper(t, c.sql)
				err := s.verifyFile(t, "")
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || !strings.Contains(err.Error(), c.want) || c.seq != -2 && tampered.Seq != c.seq {
					t.Errorf("Verify: %v; want %q at seq %d", err, c.want, c.seq)
				}
			})
		}
	})
}

// A body that is put back with its texts fits its hash, and is not what was recorded.
func TestVerifyFindsAPurgeUndone(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := aged(t, place)
		s.tamper(t, `CREATE TABLE kept_event AS SELECT * FROM audit_events WHERE tree = 2 AND seq = 4`, `CREATE TABLE kept_text AS SELECT * FROM audit_texts WHERE tree = 2 AND seq = 4`)
		s.purge(t)
		s.tamper(t, `DELETE FROM audit_events WHERE tree = 2 AND seq = 4`, `INSERT INTO audit_events SELECT * FROM kept_event`, `INSERT INTO audit_texts SELECT * FROM kept_text`,
			`DROP TABLE kept_event`, `DROP TABLE kept_text`)
		if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "here again") {
			t.Errorf("Verify: %v, want ErrTampered", err)
		}
	})
}
