package audit_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

func TestRecordedEventIsReadBackWhole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		want := deletion(acme, 1)
		want.HTTP.ErrorType, want.Count = "some_type", 3
		recorded := s.record(t, want)

		want.Seq, want.Build, want.Schema = 0, "test", 1
		want.ID, want.Time = recorded.ID, recorded.Time
		want.Reason = "caller lost the phone and said so"
		if diff := cmp.Diff(want, recorded); diff != "" {
			t.Errorf("Record (-want +got):\n%s", diff)
		}
		if id, err := uuid.Parse(recorded.ID); err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Errorf("id %s is no UUIDv7", recorded.ID)
		} else if sec, nsec := id.Time().UnixTime(); !time.Unix(sec, nsec).Equal(recorded.Time) {
			t.Errorf("id %s is of %v, want %v", recorded.ID, time.Unix(sec, nsec), recorded.Time)
		}
		got, evidence, err := s.log.Event(t.Context(), acme, recorded.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Event (-want +got):\n%s", diff)
		}
		if !evidence.Verified || evidence.Problem != "" {
			t.Errorf("evidence: verified %v, problem %q", evidence.Verified, evidence.Problem)
		}
		for _, personal := range []string{want.Actor.Email, want.Target.Email, want.Source.IP, "Person"} {
			if strings.Contains(string(evidence.Bytes), personal) {
				t.Errorf("the bytes hold %q: %s", personal, evidence.Bytes)
			}
		}
		if strings.ContainsAny(string(evidence.Bytes), "\n\r\t") {
			t.Errorf("the bytes are more than a line: %q", evidence.Bytes)
		}
		page, err := s.log.List(t.Context(), acme, audit.Filter{}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(audit.Page{Events: []audit.Event{want}}, page); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
	})
}

func TestEachTreeGrowsAndVerifies(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 70 {
			organization := acme
			if n%3 == 0 {
				organization = globex
			}
			s.record(t, deletion(organization, n))
			report := s.verify(t)
			if want := int64(n) + 1 + 2 + 2; n > 0 && report.Events != want {
				t.Fatalf("after %d events: %d verified, want %d", n+1, report.Events, want)
			}
		}
		report := s.verify(t)
		var sizes []string
		for _, tree := range report.Trees {
			sizes = append(sizes, fmt.Sprint(tree.OrganizationID, " ", tree.Size))
		}
		want := []string{" 4", globex + " 24", acme + " 46"}
		if diff := cmp.Diff(want, sizes); diff != "" {
			t.Errorf("trees (-want +got):\n%s", diff)
		}
	})
}

func TestEveryEventHasEvidence(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const n = 37
		var ids []string
		for i := range n {
			ids = append(ids, s.record(t, deletion(acme, i)).ID)
		}
		for i, id := range ids {
			ev, evidence, err := s.log.Event(t.Context(), acme, id)
			if err != nil {
				t.Fatal(err)
			}
			if !evidence.Verified || evidence.LeafIndex != int64(i) || ev.Seq != int64(i) || evidence.TreeSize != n {
				t.Errorf("event %d: verified %v, leaf %d, seq %d, size %d", i, evidence.Verified, evidence.LeafIndex, ev.Seq, evidence.TreeSize)
			}
		}
		checkpoint, err := s.log.Checkpoint(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(checkpoint, "orgconsole/") || !strings.Contains(checkpoint, "/organization/"+acme+"\n37\n") {
			t.Errorf("checkpoint is %q", checkpoint)
		}
		for _, c := range []struct{ organization, id string }{{globex, ids[0]}, {"", ids[0]}, {acme, "x"}, {acme, ""}} {
			if _, _, err := s.log.Event(t.Context(), c.organization, c.id); !errors.Is(err, audit.ErrNotFound) {
				t.Errorf("Event(%q, %q): %v, want ErrNotFound", c.organization, c.id, err)
			}
		}
		if _, err := s.log.Checkpoint(t.Context(), globex); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("Checkpoint of no tree: %v, want ErrNotFound", err)
		}
	})
}

func TestAppendSharesItsCallersTransaction(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		before := s.logged.count()
		refused := errors.New("the caller changed its mind")
		err := s.log.Write(t.Context(), func(tx *sql.Tx) error {
			if _, err := s.log.Append(t.Context(), tx, deletion(acme, 0)); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatalf("Write: %v, want %v", err, refused)
		}
		if got := s.logged.count(); got != before {
			t.Errorf("%d checkpoints were logged of a transaction that was not committed", got-before)
		}
		if page, err := s.log.List(t.Context(), acme, audit.Filter{}, "", 10); err != nil || len(page.Events) > 0 {
			t.Errorf("List: %d events, %v; want none", len(page.Events), err)
		}
		err = s.log.Write(t.Context(), func(tx *sql.Tx) error {
			for n := range 2 {
				if _, err := s.log.Append(t.Context(), tx, deletion(acme, n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Two of the organization's tree, one of the system tree that lists it.
		if got := s.logged.count(); got != before+3 {
			t.Errorf("%d checkpoints were logged, want 3", got-before)
		}
		s.verify(t)
	})
}

func TestConcurrentAppendsSerialize(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const workers, each = 8, 20
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				for n := range each {
					organization := acme
					if (worker+n)%2 == 0 {
						organization = globex
					}
					if _, err := s.log.Record(t.Context(), deletion(organization, n)); err != nil {
						t.Error(err)
					}
					if _, err := s.log.List(t.Context(), organization, audit.Filter{}, "", 5); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got, want := s.verify(t).Events, int64(workers*each+4); got != want {
			t.Errorf("%d events verified, want %d", got, want)
		}
	})
}

// Whoever comes first makes the tree of an organization, and the others append to it.
func TestTreesAreMadeOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		first := s.log
		s.open(t) // as another process would
		logs := []*audit.Log{first, s.log}
		const organizations, workers = 12, 6
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				for n := range organizations {
					if _, err := logs[worker%2].Record(t.Context(), deletion(fmt.Sprint("organization-test-", n), worker)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		report := s.verify(t)
		if len(report.Trees) != organizations+1 {
			t.Errorf("%d trees, want %d", len(report.Trees), organizations+1)
		}
		for _, tree := range report.Trees[1:] {
			if tree.Size != workers {
				t.Errorf("tree of %s has %d records, want %d", tree.OrganizationID, tree.Size, workers)
			}
		}
	})
}

// Processes that start on a new store at the same time share one log.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		place.Open(t)
		s := &store{Store: place, clock: &clock{now: time.Now()}, logged: new(logged)}
		s.signer, s.public = mustKey(t)
		const processes = 6
		var all sync.WaitGroup
		for range processes {
			s.open(t)
			log := s.log
			all.Go(func() {
				if err := log.Start(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := log.Record(t.Context(), deletion(acme, 0)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got, want := s.verify(t).Events, int64(2+2*processes); got != want {
			t.Errorf("%d events verified, want %d", got, want)
		}
	})
}

func TestAppendRefusesWhatIsNotInTheCatalogue(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for name, change := range map[string]func(*audit.Event){
			"action":                    func(ev *audit.Event) { ev.Action = "member.rename" },
			"no action":                 func(ev *audit.Event) { ev.Action = "" },
			"phase":                     func(ev *audit.Event) { ev.Phase = "later" },
			"no phase":                  func(ev *audit.Event) { ev.Phase = "" },
			"outcome":                   func(ev *audit.Event) { ev.Outcome = "done" },
			"outcome event without one": func(ev *audit.Event) { ev.Outcome = "" },
			"intent with an outcome":    func(ev *audit.Event) { ev.Phase = audit.PhaseIntent },
		} {
			ev := deletion(acme, 1)
			change(&ev)
			if _, err := s.log.Record(t.Context(), ev); err == nil {
				t.Errorf("%s: recorded", name)
			}
		}
		s.verify(t)
	})
}

func TestEveryActionHasALabelAndCanBeRecorded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		labels := map[string]bool{}
		for _, action := range audit.Actions() {
			label := action.Label()
			if label == "" || label == string(action) || labels[label] {
				t.Errorf("%s: label %q", action, label)
			}
			labels[label] = true
			ev := deletion(acme, 0)
			ev.Action, ev.Phase = action, audit.PhaseInfo
			s.record(t, ev)
		}
		for _, outcome := range audit.Outcomes() {
			ev := deletion(acme, 1)
			ev.Outcome = outcome
			s.record(t, ev)
		}
		s.verify(t)
	})
}

func TestHostileTextIsRecordedHarmless(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for name, c := range map[string]struct{ text, want string }{
			"quotes":          {`a "b" \c\`, `a "b" \c\`},
			"lines":           {"a\r\nb\tc\u2028d\u2029e", "a b c d e"},
			"control":         {"a\x00b\x1b[0m\x7f\u0085", "a\ufffdb\ufffd[0m\ufffd\ufffd"},
			"not UTF-8":       {"a\xff\xfeb", "a\ufffdb"},
			"markup":          {"<script>alert(1)</script>", "<script>alert(1)</script>"},
			"other scripts":   {"Ünïcödé 漢字 \u202eevil 🙂", "Ünïcödé 漢字 \u202eevil 🙂"},
			"an event inside": {`","outcome":"denied","x":"`, `","outcome":"denied","x":"`},
		} {
			ev := deletion(acme, 0)
			ev.Reason, ev.Ticket, ev.Target.Label, ev.Source.UserAgent = c.text, c.text, c.text, c.text
			ev.Actor.AuthFactors, ev.RequestID, ev.OperationID = []string{c.text}, c.text, c.text
			got, _, err := s.log.Event(t.Context(), acme, s.record(t, ev).ID)
			if err != nil {
				t.Fatal(err)
			}
			for field, text := range map[string]string{
				"reason": got.Reason, "ticket": got.Ticket, "label": got.Target.Label, "user agent": got.Source.UserAgent,
				"factor": got.Actor.AuthFactors[0], "request id": got.RequestID, "operation id": got.OperationID,
			} {
				if text != c.want {
					t.Errorf("%s: %s is %q, want %q", name, field, text, c.want)
				}
			}
		}
		long := deletion(acme, 0)
		long.Reason, long.Source.UserAgent = strings.Repeat("ä", 5000), strings.Repeat("b", 5000)
		long.Count, long.Attempt = -1, 1<<62
		recorded := s.record(t, long)
		if r, ua := len([]rune(recorded.Reason)), len([]rune(recorded.Source.UserAgent)); r != 2000 || ua != 300 {
			t.Errorf("reason has %d runes, user agent %d; want 2000 and 300", r, ua)
		}
		s.verify(t)
	})
}

func TestClockThatJumpsBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		first := s.record(t, deletion(acme, 0))
		s.clock.mu.Lock()
		s.clock.now = s.clock.now.Add(-time.Hour)
		s.clock.mu.Unlock()
		second := s.record(t, deletion(acme, 1))
		if !second.Time.Before(first.Time) || second.Seq != first.Seq+1 {
			t.Errorf("second event: time %v, seq %d; first: %v, %d", second.Time, second.Seq, first.Time, first.Seq)
		}
		s.verify(t)
	})
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	other, _, err := audit.NewKey(strings.NewReader(strings.Repeat("another key, not random at all ", 4)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sql    string
		signer string
		want   error
	}{
		"nothing wrong":       {},
		"another key":         {signer: other, want: audit.ErrWrongKey},
		"a hash changed":      {sql: `UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 2`, want: audit.ErrTampered},
		"a hash gone":         {sql: `UPDATE audit_events SET hashes = substr(hashes, 1, 32) WHERE tree = 2 AND seq = 1`, want: audit.ErrTampered},
		"the root changed":    {sql: `UPDATE audit_trees SET root = (SELECT root FROM audit_trees WHERE tree = 1) WHERE tree = 2`, want: audit.ErrTampered},
		"the size changed":    {sql: `UPDATE audit_trees SET size = 0 WHERE tree = 2`, want: audit.ErrTampered},
		"no checkpoint":       {sql: `DELETE FROM audit_checkpoints WHERE tree = 2`, want: audit.ErrTampered},
		"a tree gone":         {sql: `DELETE FROM audit_trees WHERE tree = 2`, want: audit.ErrTampered},
		"all trees gone":      {sql: `DELETE FROM audit_trees`, want: audit.ErrTampered},
		"the system tree too": {sql: `DELETE FROM audit_trees; DELETE FROM audit_events; DELETE FROM audit_texts`, want: audit.ErrTampered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *store) {
				for n := range 3 {
					s.record(t, deletion(acme, n))
				}
				s.tamper(t, c.sql)
				if c.signer != "" {
					s.signer = c.signer
				}
				s.open(t)
				err := s.log.Start(t.Context())
				if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
					t.Fatalf("Start: %v, want %v", err, c.want)
				}
				if c.want != nil {
					if _, err := s.log.Record(t.Context(), deletion(acme, 3)); err == nil {
						t.Error("an event was appended all the same")
					}
				}
			})
		})
	}
}
