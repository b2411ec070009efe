package audit_test

import (
	"bytes"
	"database/sql"
	"io"
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
	const event = `INSERT INTO audit_events (tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	const texts = `INSERT INTO audit_texts (tree, seq, actor_email, target_label, target_email, source_ip, actor_email_salt, target_label_salt, target_email_salt, source_ip_salt)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	const salt = "00112233445566778899aabbccddeeff"
	ev := deletion(acme, n)
	err := s.db.Write(b.Context(), func(tx *sql.Tx) error {
		id, err := audit.NewID(s.clock.Now())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(b.Context(), event, 2, n, id, bytes, s.clock.Now().UnixMilli(), string(ev.Action),
			string(ev.Phase), ev.OperationID, string(ev.Outcome), ev.Actor.MemberID, ev.Target.ID, []byte{})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(b.Context(), texts, 2, n, ev.Actor.Email, ev.Target.Label, ev.Target.Email, ev.Source.IP, salt, salt, salt, salt)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// many is enough that a store's speed does not depend on how it began.
const many = 20_000

// BenchmarkList reads the newest page of 50 with its texts, every row held against its bytes.
func BenchmarkList(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		s.fill(b, many)
		for b.Loop() {
			if page, err := s.log.List(b.Context(), acme, audit.Filter{}, "", 50); err != nil || len(page.Events) != 50 {
				b.Fatal(len(page.Events), err)
			}
		}
	})
}

// BenchmarkVerify reports events a second.
func BenchmarkVerify(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, events int) {
		for b.Loop() {
			s.verify(b)
		}
		perSecond(b, events)
	})
}

func perSecond(b *testing.B, events int) {
	b.Helper()
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkExport writes every event of a log in each format; BenchmarkSelect reads the same rows and writes their
// bytes without looking at them. Both report events a second.
func BenchmarkExport(b *testing.B) {
	for _, format := range audit.Formats() {
		b.Run(string(format), func(b *testing.B) {
			benchEach(b, func(b *testing.B, s *store) {
				s.fill(b, many)
				for b.Loop() {
					enc := audit.NewEncoder(io.Discard, format, "test", s.clock.Now())
					if n, err := s.log.Reader().Export(b.Context(), acme, audit.Filter{}, enc); err != nil || n != many {
						b.Fatal(n, err)
					}
				}
				b.ReportMetric(float64(many)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	benchEach(b, func(b *testing.B, s *store) {
		s.fill(b, many)
		for b.Loop() {
			var seq, at int64
			var text [8]string
			s.selectAll(b, `SELECT seq, time, id, bytes, action, phase, operation_id, outcome, actor_id, target_id FROM audit_events WHERE tree = 2 ORDER BY seq`,
				&text[1], &seq, &at, &text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6], &text[7])
			s.selectAll(b, `SELECT seq, actor_email, target_label, target_email, source_ip FROM audit_texts WHERE tree = 2 ORDER BY seq`, &text[2], &seq, &text[0], &text[1], &text[2], &text[3])
		}
		b.ReportMetric(float64(many)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// selectAll writes one column of every row.
func (s *store) selectAll(b *testing.B, query string, written *string, columns ...any) {
	b.Helper()
	rows, err := s.db.Reader().QueryContext(b.Context(), query)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			b.Fatal(err)
		}
		io.WriteString(io.Discard, *written)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVerifyExport reads such a file with the public key alone.
func BenchmarkVerifyExport(b *testing.B) {
	s := newStore(b)
	s.fill(b, many)
	var file bytes.Buffer
	if _, err := s.log.Reader().Export(b.Context(), acme, audit.Filter{}, audit.NewEncoder(&file, audit.FormatNDJSON, "test", s.clock.Now())); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := audit.VerifyExport(bytes.NewReader(file.Bytes()), s.public); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(many)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
