package audit_test

import (
	"database/sql"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

func benchEach(b *testing.B, bench func(b *testing.B, s *store)) {
	b.Helper()
	databasetest.Bench(b, func(b *testing.B, place *databasetest.Store) { bench(b, newStoreAt(b, place)) })
}

// BenchmarkAppend and BenchmarkAppendPlain write the same row of an event and its texts, each in a transaction of its
// own; the difference is what the proof costs.
func BenchmarkAppend(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		s.record(b, deletion(acme, 0))
		n := 1
		for b.Loop() {
			s.record(b, deletion(acme, n))
			n++
		}
	})
}

func BenchmarkAppendPlain(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		recorded := s.record(b, deletion(acme, 0))
		_, evidence, err := s.log.Event(b.Context(), acme, recorded.ID)
		if err != nil {
			b.Fatal(err)
		}
		n := 1
		for b.Loop() {
			s.insertPlain(b, n, string(evidence.Bytes))
			n++
		}
	})
}

func (s *store) insertPlain(b *testing.B, n int, bytes string) {
	b.Helper()
	const event = `INSERT INTO audit_events (tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	const subjects = `INSERT INTO audit_subjects (tree, seq, field, salt, text, folded)
		VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)`
	const salt = "00112233445566778899aabbccddeeff"
	ev := deletion(acme, n)
	err := s.db.Write(b.Context(), func(tx *sql.Tx) error {
		id, err := audit.NewID(s.clock.Now())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(b.Context(), event, 2, n, id, bytes, s.clock.Now().UnixMilli(), string(ev.Action),
			string(ev.Phase), ev.OperationID, string(ev.Outcome), ev.Actor.MemberID, ev.Target.ID)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(b.Context(), subjects,
			2, n, "actor.email", salt, ev.Actor.Email, ev.Actor.Email, 2, n, "source.ip", salt, ev.Source.IP, ev.Source.IP,
			2, n, "target.email", salt, ev.Target.Email, ev.Target.Email, 2, n, "target.label", salt, ev.Target.Label, ev.Target.Label)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// many is enough that a store's speed does not depend on how it began.
const many = 20_000

func (s *store) fill(b *testing.B) {
	b.Helper()
	err := s.log.Write(b.Context(), func(tx *sql.Tx) error {
		for n := range many {
			if _, err := s.log.Append(b.Context(), tx, deletion(acme, n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkList reads the newest page of 50 with its texts, every row held against its bytes.
func BenchmarkList(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		s.fill(b)
		for b.Loop() {
			if page, err := s.log.List(b.Context(), acme, audit.Filter{}, "", 50); err != nil || len(page.Events) != 50 {
				b.Fatal(len(page.Events), err)
			}
		}
	})
}

// BenchmarkVerify reports events a second.
func BenchmarkVerify(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		s.fill(b)
		for b.Loop() {
			s.verify(b)
		}
		b.ReportMetric(float64(many)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
