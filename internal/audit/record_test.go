package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
)

func TestAppendAll(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		all := func(events ...audit.Event) (recorded []audit.Event, err error) {
			err = s.log.Write(t.Context(), func(tx *sql.Tx) error {
				recorded, err = s.log.AppendAll(t.Context(), tx, events)
				return err
			})
			return recorded, err
		}
		var events []audit.Event
		for n := range 130 {
			events = append(events, deletion(acme, n))
		}
		events[7] = audit.Event{OrganizationID: acme, Action: audit.ActionStart, Phase: audit.PhaseInfo, Actor: audit.Actor{System: true}} // without texts
		for round := range 2 {
			before := s.logged.count()
			recorded, err := all(events...)
			if err != nil || len(recorded) != len(events) {
				t.Fatal(len(recorded), err)
			}
			// In the first round the system tree grows, too.
			if got := s.logged.count() - before; got != 2-round {
				t.Errorf("round %d: %d checkpoints", round, got)
			}
			for i, ev := range recorded {
				if ev.Seq != int64(round*len(events)+i) || ev.OperationID != events[i].OperationID || ev.ID == "" {
					t.Errorf("event %d is recorded as seq %d of %q", i, ev.Seq, ev.OperationID)
				}
			}
			if ev, evidence, err := s.log.Event(t.Context(), acme, recorded[69].ID); err != nil || !evidence.Verified || ev.Target != events[69].Target {
				t.Errorf("Event: %+v, %+v, %v", ev, evidence, err)
			}
		}
		for name, events := range map[string][]audit.Event{
			"of two organizations": {deletion(acme, 0), deletion(globex, 0)},
			"not in the catalogue": {deletion(acme, 0), {OrganizationID: acme, Action: "x"}},
		} {
			if _, err := all(events...); err == nil || errors.Is(err, audit.ErrTampered) {
				t.Errorf("events %s: %v", name, err)
			}
		}
		if recorded, err := all(); err != nil || len(recorded) != 0 {
			t.Errorf("no events: %v, %v", recorded, err)
		}
		if report := s.verify(t); len(report.Trees) != 2 || report.Trees[1].Size != 260 {
			t.Errorf("Verify: %+v", report)
		}
		s.tamper(t, `UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 259`)
		if _, err := all(events...); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("on a tree that was changed: %v", err)
		}
	})
}

// Calls of Record that come while one is under way are written together.
func TestRecordIsJoined(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		s.record(t, deletion(acme, 0))
		hold, held := make(chan struct{}), make(chan error, 1)
		holds := make(chan struct{})
		go func() {
			held <- s.db.Write(t.Context(), func(tx *sql.Tx) error {
				if _, err := s.log.Append(t.Context(), tx, deletion(acme, 1)); err != nil {
					return err
				}
				close(holds)
				<-hold
				return nil
			})
		}()
		<-holds
		before := s.logged.count()

		const calls = 20
		var running sync.WaitGroup
		var mu sync.Mutex
		places := make(map[int64]string)
		record := func(n int) {
			ev := deletion(acme, n)
			recorded, err := s.log.Record(t.Context(), ev)
			if err != nil || recorded.OperationID != ev.OperationID || recorded.Target != ev.Target || recorded.ID == "" {
				t.Errorf("Record of %d: %+v, %v", n, recorded, err)
			}
			mu.Lock()
			defer mu.Unlock()
			places[recorded.Seq] = recorded.ID
		}
		waits := func(n int) {
			t.Helper()
			until(t, func() bool { return s.log.Waiting(acme) == n })
		}
		running.Go(func() { record(10) })
		// What comes then waits for it, as it waits for the transaction.
		until(t, func() bool { return s.log.Leads(acme) })
		for n := range calls {
			running.Go(func() { record(12 + n) })
		}
		waits(calls)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.log.Record(ctx, deletion(acme, 100))
			gone <- err
		}()
		waits(calls + 1)
		if _, err := s.log.Record(t.Context(), audit.Event{OrganizationID: acme, Action: "x"}); err == nil {
			t.Error("an event that is not in the catalogue is recorded")
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("Record with a context that ended: %v", err)
		}
		close(hold)
		if err := <-held; err != nil {
			t.Fatal(err)
		}
		running.Wait()
		// One checkpoint for what held the lock, one for the first, one for all the others.
		if got := s.logged.count() - before; got != 3 {
			t.Errorf("%d checkpoints for %d events, want 3", got, calls+2)
		}
		var seqs []int64
		for seq, id := range places {
			seqs = append(seqs, seq)
			if _, evidence, err := s.log.Event(t.Context(), acme, id); err != nil || !evidence.Verified || evidence.LeafIndex != seq {
				t.Errorf("evidence of seq %d: %+v, %v", seq, evidence, err)
			}
		}
		if slices.Sort(seqs); len(seqs) != calls+1 || seqs[0] != 2 || seqs[calls] != calls+2 {
			t.Errorf("recorded at %v", seqs)
		}
		if s.log.Leads(acme) {
			t.Error("somebody still leads")
		}
		if report := s.verify(t); report.Trees[1].Size != calls+3 {
			t.Errorf("Verify: %+v", report)
		}

		// All of them get to know why it cannot be.
		s.tamper(t, `UPDATE audit_trees SET root = 'x' WHERE tree = 2`)
		for n := range 5 {
			running.Go(func() {
				if _, err := s.log.Record(t.Context(), deletion(acme, 200+n)); !errors.Is(err, audit.ErrTampered) {
					t.Errorf("Record: %v, want ErrTampered", err)
				}
			})
		}
		running.Wait()
	})
}

// until looks again and again whether something has come about.
func until(t *testing.T, done func() bool) {
	t.Helper()
	look, limit := time.NewTicker(time.Millisecond), time.NewTimer(20*time.Second)
	defer look.Stop()
	defer limit.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-limit.C:
			t.Fatal("it did not come about")
		}
	}
}

// However they come, each is recorded once, in the tree it belongs to.
func TestManyRecordAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const callers, each = 16, 12
		var running sync.WaitGroup
		for c := range callers {
			running.Go(func() {
				for n := range each {
					organization := []string{acme, globex}[(c+n)%2]
					ev := deletion(organization, 0)
					ev.OperationID = fmt.Sprintf("operation-%d-%d", c, n)
					if recorded, err := s.log.Record(t.Context(), ev); err != nil || recorded.OperationID != ev.OperationID || recorded.OrganizationID != organization {
						t.Errorf("Record: %+v, %v", recorded, err)
					}
				}
			})
		}
		running.Wait()
		report := s.verify(t)
		if len(report.Trees) != 3 || report.Trees[1].Size != callers*each/2 || report.Trees[2].Size != callers*each/2 {
			t.Errorf("Verify: %+v", report)
		}
		seen := make(map[string]int)
		for _, organization := range []string{acme, globex} {
			page, err := s.log.List(t.Context(), organization, audit.Filter{}, "", 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range page.Events {
				seen[ev.OperationID]++
			}
		}
		for c := range callers {
			for n := range each {
				if id := fmt.Sprintf("operation-%d-%d", c, n); seen[id] != 1 {
					t.Errorf("%s is there %d times", id, seen[id])
				}
			}
		}
	})
}
