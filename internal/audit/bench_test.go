package audit_test

import (
	"database/sql"
	"testing"

	"orgconsole/internal/audit"
)

// BenchmarkAppend and BenchmarkAppendPlain write the same row of an event and its texts, each in a transaction of its
// own; the difference is what the proof costs.
func BenchmarkAppend(b *testing.B) {
	s := newStore(b)
	s.record(b, deletion(acme, 0))
	n := 1
	for b.Loop() {
		s.record(b, deletion(acme, n))
		n++
	}
}

func BenchmarkAppendPlain(b *testing.B) {
	s := newStore(b)
	recorded := s.record(b, deletion(acme, 0))
	_, evidence, err := s.log.Event(b.Context(), acme, recorded.ID)
	if err != nil {
		b.Fatal(err)
	}
	const event = `INSERT INTO audit_events (tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	const subjects = `INSERT INTO audit_subjects (tree, seq, field, salt, text, folded)
		VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)`
	const salt = "00112233445566778899aabbccddeeff"
	n := 1
	for b.Loop() {
		ev := deletion(acme, n)
		err := s.db.Write(b.Context(), func(tx *sql.Tx) error {
			id, err := audit.NewID(s.clock.Now())
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(b.Context(), event, 2, n, id, string(evidence.Bytes), s.clock.Now().UnixMilli(), string(ev.Action),
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
		n++
	}
}

// BenchmarkVerify reports events a second.
func BenchmarkVerify(b *testing.B) {
	s := newStore(b)
	const events = 20_000
	err := s.log.Write(b.Context(), func(tx *sql.Tx) error {
		for n := range events {
			if _, err := s.log.Append(b.Context(), tx, deletion(acme, n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.verify(b)
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
