package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// turn is the turn of acme's tree, nil when nothing of it is due.
func turn(tb testing.TB, o *audit.Outbox) *audit.Turn {
	tb.Helper()
	turns, err := o.Due(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, t := range turns {
		if t.OrganizationID == acme {
			return t
		}
	}
	return nil
}

// pack packs what is due of acme.
func pack(tb testing.TB, o *audit.Outbox) *audit.Parcel {
	tb.Helper()
	next := turn(tb, o)
	if next == nil {
		tb.Fatal("nothing is due")
	}
	p, err := o.Pack(tb.Context(), next)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func deliver(tb testing.TB, o *audit.Outbox, p *audit.Parcel) {
	tb.Helper()
	if err := o.Delivered(tb.Context(), p); err != nil {
		tb.Fatal(err)
	}
}

// places are the seqs of an NDJSON parcel.
func places(tb testing.TB, body []byte) []int64 {
	tb.Helper()
	var all []int64
	for line := range bytes.Lines(body) {
		var event struct {
			Kind string
			Seq  int64
		}
		if err := json.Unmarshal(line, &event); err != nil {
			tb.Fatal(err)
		}
		if event.Kind == "" {
			all = append(all, event.Seq)
		}
	}
	return all
}

func upTo(from, to int64) []int64 {
	var all []int64
	for ; from < to; from++ {
		all = append(all, from)
	}
	return all
}

func TestSinkHandsOutEveryRecordInOrder(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		long := func(n int) audit.Event {
			ev := deletion(acme, n)
			if n >= 600 {
				ev.Reason = strings.Repeat("ä", 2000)
			}
			return ev
		}
		const all = 900
		if err := s.log.Fill(t.Context(), acme, all, long); err != nil {
			t.Fatal(err)
		}
		o := audit.NewSink(s.log, "one", audit.FormatNDJSON)
		var got []int64
		ids := map[string]bool{}
		for turn(t, o) != nil {
			p := pack(t, o)
			seqs := places(t, p.Body)
			got = append(got, seqs...)
			if len(seqs) > 500 || len(p.Body) > 1<<20 || int64(len(seqs)) != p.Events {
				t.Errorf("a parcel has %d records, says %d, and %d bytes", len(seqs), p.Events, len(p.Body))
			}
			if ids[p.ID] || !strings.HasPrefix(p.ID, "msg_") {
				t.Errorf("id %q", p.ID)
			}
			ids[p.ID] = true
			// A body is an export, and evidence by itself.
			report, err := audit.VerifyExport(bytes.NewReader(p.Body), s.public)
			if err != nil {
				t.Fatal(err)
			}
			if tree := report.Trees[0]; tree.OrganizationID != acme || tree.Size != all || tree.Records != p.Events {
				t.Errorf("verified %+v", tree)
			}
			var head struct {
				Filter map[string]int64 `json:"filter"`
			}
			if err := json.Unmarshal(p.Body[:bytes.IndexByte(p.Body, '\n')], &head); err != nil {
				t.Fatal(err)
			}
			if head.Filter["from_seq"] != seqs[0] || head.Filter["to_seq"] != seqs[len(seqs)-1]+1 {
				t.Errorf("the head says %v, and there are %d to %d", head.Filter, seqs[0], seqs[len(seqs)-1])
			}
			deliver(t, o, p)
		}
		if diff := cmp.Diff(upTo(0, all), got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if len(ids) < 4 { // 500, 100 and some, and twice at least what fits
			t.Errorf("%d parcels", len(ids))
		}
	})
}

// Whatever happened between sending and recording that it was accepted, the
// same records are sent again under the same id.
func TestSinkHandsOutTheSameUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 4 {
			s.record(t, deletion(acme, n))
		}
		first := pack(t, audit.NewSink(s.log, "one", audit.FormatNDJSON))
		s.record(t, deletion(acme, 4))
		s.db.Close()
		s.open(t) // as after a crash
		o := audit.NewSink(s.log, "two", audit.FormatNDJSON)
		again := pack(t, o)
		if again.ID != first.ID || !cmp.Equal(places(t, again.Body), upTo(0, 4)) {
			t.Errorf("sent %s, and again %s with %v", first.ID, again.ID, places(t, again.Body))
		}
		deliver(t, o, again)
		deliver(t, o, first) // whose process lived on
		next := pack(t, o)
		if next.ID == first.ID || !cmp.Equal(places(t, next.Body), upTo(4, 5)) {
			t.Errorf("after %s came %s with %v", first.ID, next.ID, places(t, next.Body))
		}
		stale := turn(t, o)
		deliver(t, o, next)
		deliver(t, o, first) // very late
		if turn(t, o) != nil {
			t.Error("something is due after all was accepted")
		}
		s.record(t, deletion(acme, 5))
		if p, err := o.Pack(t.Context(), stale); err == nil {
			deliver(t, o, p)
		}
		if got := pack(t, o); !cmp.Equal(places(t, got.Body), upTo(5, 6)) {
			t.Errorf("a turn that was over moved the cursor: %v is due", places(t, got.Body))
		}
	})
}

// A receiver that knows an id drops what comes under it again.
func TestSinkTellsHistoriesApart(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		s.record(t, deletion(acme, 0))
		putBack := s.backup(t)
		s.record(t, deletion(acme, 1))
		lost := pack(t, audit.NewSink(s.log, "one", audit.FormatNDJSON))
		putBack()
		s.open(t)
		s.record(t, deletion(acme, 1))
		if now := pack(t, audit.NewSink(s.log, "one", audit.FormatNDJSON)); now.ID == lost.ID || now.Events != lost.Events {
			t.Errorf("%s with %d records was lost, %s with %d came after", lost.ID, lost.Events, now.ID, now.Events)
		}
	})
}

func TestSinkOfAPlanMadeByAnother(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		s.record(t, deletion(acme, 0))
		one, two := audit.NewSink(s.log, "one", audit.FormatNDJSON), audit.NewSink(s.log, "two", audit.FormatNDJSON)
		late := turn(t, two)
		pack(t, one)
		if _, err := two.Pack(t.Context(), late); !errors.Is(err, audit.ErrOutOfTurn) {
			t.Errorf("a second plan: %v, want ErrOutOfTurn", err)
		}
	})
}

func TestSinkOfPurgedAndErasedRecords(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := aged(t, place)
		o := audit.NewSink(s.log, "one", audit.FormatNDJSON)
		before := pack(t, o)
		s.purge(t)
		if n, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-10", Reason: "asked"}); err != nil || n == 0 {
			t.Fatal(n, err)
		}
		p := pack(t, o)
		if p.ID != before.ID || p.Events != 13 {
			t.Errorf("%s with %d records became %s with %d", before.ID, before.Events, p.ID, p.Events)
		}
		report, err := audit.VerifyExport(bytes.NewReader(p.Body), s.public)
		if err != nil {
			t.Fatal(err)
		}
		if tree := report.Trees[0]; tree.Purged != 10 || tree.Erased == 0 {
			t.Errorf("verified %+v, want 10 purged and some erased", tree)
		}
		if bytes.Contains(p.Body, []byte("person10@acme.example")) || !bytes.Contains(before.Body, []byte("person10@acme.example")) {
			t.Error("what was erased is sent")
		}
		lag, err := o.Lag(t.Context(), acme)
		if err != nil || lag.Waiting != 15 || lag.Oldest.IsZero() {
			t.Errorf("Lag: %+v, %v", lag, err)
		}
		deliver(t, o, p)
		if got := places(t, pack(t, o).Body); !cmp.Equal(got, upTo(13, 15)) {
			t.Errorf("then %v", got)
		}

		ocsf := audit.NewSink(s.log, "one", audit.FormatOCSF)
		s.tamper(t, `DELETE FROM audit_streams`)
		if got := bytes.Count(pack(t, ocsf).Body, []byte("\n")); got != 5 {
			t.Errorf("%d lines of OCSF, want 5: nothing is left to say of what was purged", got)
		}
	})
}

func TestSinkSendsNothingThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 3 {
			s.record(t, deletion(acme, n))
		}
		o := audit.NewSink(s.log, "one", audit.FormatNDJSON)
		next := turn(t, o)
		for _, sql := range []string{
			`UPDATE audit_events SET bytes = replace(bytes, 'lost', 'sold') WHERE seq = 1 AND tree = 2`,
			`DELETE FROM audit_events WHERE seq = 1 AND tree = 2`,
		} {
			s.tamper(t, sql)
			if _, err := o.Pack(t.Context(), next); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "seq 1") {
				t.Errorf("%s: %v, want ErrTampered about seq 1", sql, err)
			}
		}
	})
}

// Of a log that was put back alone, while how far it was sent was not, the
// receiver has other records than those that come in their place.
func TestOutboxOfALogThatWasPutBack(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(l *audit.Log) *audit.Outbox{
		"sink":    func(l *audit.Log) *audit.Outbox { return audit.NewSink(l, "one", audit.FormatNDJSON) },
		"witness": func(l *audit.Log) *audit.Outbox { return audit.NewWitness(l, "one") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachKind(t, func(t *testing.T, place maker) { logPutBack(t, place, open) })
		})
	}
}

func logPutBack(t *testing.T, place maker, open func(l *audit.Log) *audit.Outbox) {
	t.Helper()
	s := newStoreAt(t, place(t))
	for n := range 3 {
		s.record(t, deletion(acme, n))
	}
	putBack := s.backup(t)
	for n := range 2 {
		s.record(t, deletion(acme, 3+n))
	}
	o := open(s.log)
	sent := pack(t, o)
	deliver(t, o, sent)
	if turn(t, o) != nil {
		t.Error("what was accepted is due")
	}
	putBack()
	s.open(t)
	o = open(s.log)
	deliver(t, o, sent)
	refused := func(what string, waiting int64) {
		t.Helper()
		next := turn(t, o)
		if next == nil {
			t.Fatalf("with %s nothing is due", what)
		}
		_, err := o.Pack(t.Context(), next)
		if !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), what) {
			t.Errorf("Pack: %v, want %q", err, what)
		}
		lag, err := o.Lag(t.Context(), acme)
		if err != nil || waiting == 0 && !strings.Contains(lag.Problem, what) || lag.Waiting != waiting {
			t.Errorf("Lag: %+v, %v, want %q", lag, err, what)
		}
		if err := o.Failed(t.Context(), next, "It is not the same: "+what+".", o.Now()); err != nil {
			t.Fatal(err)
		}
		lag, err = o.Lag(t.Context(), acme)
		if err != nil || !strings.Contains(lag.Problem, what) || lag.NextTry.IsZero() {
			t.Errorf("Lag after the failure: %+v, %v, want %q", lag, err, what)
		}
		backlog, err := o.Backlog(t.Context())
		if err != nil || backlog.Failing != 1 || backlog.Waiting != waiting+3 { // and what the system's tree has
			t.Errorf("Backlog: %+v, %v", backlog, err)
		}
	}
	refused("shorter than it was", 0)
	s.record(t, deletion(acme, 5))
	s.record(t, deletion(acme, 6))
	refused("others than those that were sent", 0)
	s.record(t, deletion(acme, 7))
	refused("others than those that were sent", 1)
	s.tamper(t, `DELETE FROM audit_streams WHERE tree = 2`)
	if p := pack(t, o); p.Events != 6 || p.ID == sent.ID {
		t.Errorf("from its beginning again: %d records under %s", p.Events, p.ID)
	}
}

// A log that is what was sent of it goes on, however it was packed.
func TestOutboxGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		sink, witness := audit.NewSink(s.log, "one", audit.FormatNDJSON), audit.NewWitness(s.log, "one")
		for n := range 9 {
			s.record(t, deletion(acme, n))
			deliver(t, sink, pack(t, sink))
			if n%3 == 2 {
				deliver(t, witness, pack(t, witness))
			}
		}
		s.record(t, deletion(acme, 9))
		s.tamper(t, `UPDATE audit_streams SET sent_root = '' WHERE tree = 2`)
		for _, o := range []*audit.Outbox{sink, witness} {
			if _, err := o.Pack(t.Context(), turn(t, o)); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("without the root of what was sent: %v, want ErrTampered", err)
			}
		}
	})
}

// The end of a batch that was written down decides how large a message becomes.
func TestSinkRefusesABatchThatItDoesNotMake(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		if err := s.log.Fill(t.Context(), acme, 502, func(n int) audit.Event { return deletion(acme, n) }); err != nil {
			t.Fatal(err)
		}
		o := audit.NewSink(s.log, "one", audit.FormatNDJSON)
		deliver(t, o, &audit.Parcel{Turn: turn(t, o)}) // there is a row now
		for pending, want := range map[int64]bool{500: true, 501: false, 502: false, 1: true, -1: false, math.MinInt64: false, math.MaxInt64: false} {
			s.tamper(t, fmt.Sprintf(`UPDATE audit_streams SET sent = 0, pending = %d`, pending))
			p, err := o.Pack(t.Context(), turn(t, o))
			if want && (err != nil || p.Events != pending) || !want && (!errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), fmt.Sprint(pending))) {
				t.Errorf("up to %d: %v", pending, err)
			}
		}
		s.tamper(t, `UPDATE audit_streams SET sent = 400, pending = 400`)
		if _, err := o.Pack(t.Context(), turn(t, o)); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("up to where it begins: %v", err)
		}
	})
}

func TestOutboxLease(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		one, two := audit.NewSink(s.log, "one", audit.FormatNDJSON), audit.NewSink(s.log, "two", audit.FormatNDJSON)
		other := audit.NewWitness(s.log, "two")
		hold := func(o *audit.Outbox, wantHeld, wantFresh bool) {
			t.Helper()
			held, fresh, err := o.Hold(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if held != wantHeld || held && fresh != wantFresh {
				t.Errorf("Hold = %v, %v, want %v, %v", held, fresh, wantHeld, wantFresh)
			}
		}
		hold(one, true, true)
		hold(one, true, false)
		hold(two, false, false)
		hold(other, true, true) // a stream of its own
		s.clock.later(time.Minute)
		hold(one, true, false) // prolonged
		s.clock.later(time.Minute)
		hold(two, false, false)
		s.clock.later(time.Hour)
		hold(two, true, true)
		hold(one, false, false)
		if err := two.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		hold(one, true, true)
		if err := two.Release(t.Context()); err != nil { // not its own
			t.Fatal(err)
		}
		hold(two, false, false)
		s.clock.later(-day) // it was wrong
		hold(two, true, true)
		hold(one, false, false)
		s.clock.later(-day)
		hold(two, true, false)
		hold(one, false, false)
	})
}

func TestOutboxTakesTurns(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 3 {
			s.record(t, deletion(acme, n))
			s.record(t, deletion(globex, n))
		}
		o := audit.NewSink(s.log, "one", audit.FormatNDJSON)
		order := func() []string {
			turns, err := o.Due(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, turn := range turns {
				ids = append(ids, turn.OrganizationID)
			}
			return ids
		}
		if diff := cmp.Diff([]string{"", acme, globex}, order()); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		refused := pack(t, o)
		until := o.Now().Add(time.Minute)
		if err := o.Failed(t.Context(), refused.Turn, "no", until); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"", globex}, order()); diff != "" {
			t.Errorf("while one waits (-want +got):\n%s", diff)
		}
		lag, err := o.Lag(t.Context(), acme)
		if err != nil || lag.Problem != "no" || lag.Waiting != 3 || !lag.NextTry.Equal(until.Truncate(time.Millisecond)) || !lag.LastDelivery.IsZero() {
			t.Errorf("Lag: %+v, %v", lag, err)
		}
		s.clock.later(time.Hour)
		// Whoever waited longest goes first: one that is never through lets the others in.
		if diff := cmp.Diff([]string{"", globex, acme}, order()); diff != "" {
			t.Errorf("later (-want +got):\n%s", diff)
		}
		if got := turn(t, o); got.Failures != 1 {
			t.Errorf("%d failures, want 1", got.Failures)
		}
		backlog, err := o.Backlog(t.Context())
		if err != nil || backlog.Waiting != 4+6 || backlog.Trees != 3 || backlog.Failing != 1 || backlog.Age < time.Hour || !backlog.LastDelivery.IsZero() {
			t.Errorf("Backlog: %+v, %v", backlog, err)
		}
		s.clock.later(-day) // it was wrong
		if diff := cmp.Diff([]string{"", globex, acme}, order()); diff != "" {
			t.Errorf("a day before (-want +got):\n%s", diff)
		}
		s.clock.later(day)
		deliver(t, o, pack(t, o))
		lag, err = o.Lag(t.Context(), acme)
		if err != nil || !lag.Configured || lag.Problem != "" || lag.Waiting != 0 || lag.Age != 0 || lag.LastDelivery.IsZero() {
			t.Errorf("Lag: %+v, %v", lag, err)
		}
		if backlog, err := o.Backlog(t.Context()); err != nil || backlog.Waiting != 4+3 || backlog.Failing != 0 || backlog.LastDelivery.IsZero() {
			t.Errorf("Backlog: %+v, %v", backlog, err)
		}
		var none *audit.Outbox
		if lag, err := none.Lag(t.Context(), acme); err != nil || lag.Configured {
			t.Errorf("Lag of no sink: %+v, %v", lag, err)
		}
		if lag, err := o.Lag(t.Context(), "organization-test-unheard-of"); err != nil || lag.Waiting != 0 {
			t.Errorf("Lag of an unknown organization: %+v, %v", lag, err)
		}
	})
}

func TestWitnessGetsTheNewestCheckpoint(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		o := audit.NewWitness(s.log, "one")
		ids := map[string]bool{}
		for n := range 3 {
			s.record(t, deletion(acme, 2*n))
			s.record(t, deletion(acme, 2*n+1))
			note, err := s.log.Checkpoint(t.Context(), acme)
			if err != nil {
				t.Fatal(err)
			}
			p, again := pack(t, o), pack(t, o)
			if string(p.Body) != note || p.ID != again.ID || ids[p.ID] || !strings.Contains(note, fmt.Sprintf("\n%d\n", 2*n+2)) {
				t.Errorf("sent %q as %s and %s, want %q", p.Body, p.ID, again.ID, note)
			}
			ids[p.ID] = true
			deliver(t, o, p)
			if turn(t, o) != nil {
				t.Error("what was accepted is due")
			}
		}
		s.record(t, deletion(acme, 6))
		s.tamper(t, `UPDATE audit_checkpoints SET note = replace(note, '7', '8') WHERE tree = 2`)
		if _, err := o.Pack(t.Context(), turn(t, o)); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("a forged checkpoint: %v, want ErrTampered", err)
		}
	})
}
