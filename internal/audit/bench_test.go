package audit_test

import (
	"bytes"
	"database/sql"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

func benchEach(b *testing.B, bench func(b *testing.B, s *store)) {
	b.Helper()
	databasetest.Bench(b, func(b *testing.B, place *databasetest.Store) { bench(b, newStoreAt(b, place)) })
}

// BenchmarkRecord records one event after the other, each in a transaction of its own, and then writes plain rows in the
// same way: times-plain is what the proof costs.
func BenchmarkRecord(b *testing.B) {
	benchRecording(b, func(b *testing.B, s *store, p *plainTable) {
		desk := newDesk(1)
		for n := 0; b.Loop(); n++ {
			s.record(b, deskEvent(desk, n))
		}
		timesPlain(b, float64(b.N), func() {
			for n := range b.N {
				p.insert(b, desk, n, 1)
			}
		})
	})
}

// BenchmarkRecordAtOnce is the same by 64 callers at once; apart is with a transaction for each, as it would be if calls
// of Record were not joined.
func BenchmarkRecordAtOnce(b *testing.B) {
	const callers = 64
	benchRecording(b, func(b *testing.B, s *store, p *plainTable) {
		atOnce := func(fn func(desk *desk, n int)) {
			var running sync.WaitGroup
			var next atomic.Int64
			for range callers {
				running.Go(func() {
					for desk := newDesk(1); ; {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						fn(desk, int(n))
					}
				})
			}
			running.Wait()
		}
		s.record(b, deskEvent(newDesk(1), 0))
		b.ResetTimer()
		atOnce(func(desk *desk, n int) { s.record(b, deskEvent(desk, n)) })
		b.StopTimer()
		began := time.Now()
		atOnce(func(desk *desk, n int) {
			err := s.log.Write(b.Context(), func(tx *sql.Tx) error {
				_, err := s.log.Append(b.Context(), tx, deskEvent(desk, n))
				return err
			})
			if err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(time.Since(began).Seconds()/b.Elapsed().Seconds(), "times-apart")
		timesPlain(b, float64(b.N), func() {
			atOnce(func(desk *desk, n int) { p.insert(b, desk, n, 1) })
		})
	})
}

// BenchmarkAppendAll writes a thousand events in a transaction, and as many plain rows.
func BenchmarkAppendAll(b *testing.B) {
	const some = 1000
	benchRecording(b, func(b *testing.B, s *store, p *plainTable) {
		desk := newDesk(1)
		events := make([]audit.Event, some)
		for b.Loop() {
			for n := range events {
				events[n] = deskEvent(desk, n)
			}
			err := s.log.Write(b.Context(), func(tx *sql.Tx) error {
				_, err := s.log.AppendAll(b.Context(), tx, events)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(some)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		timesPlain(b, float64(b.N), func() {
			for n := range b.N {
				p.insert(b, desk, n*some, some)
			}
		})
	})
}

// timesPlain reports how often as long the benchmark took, per operation, as so many do that write or read plain rows.
func timesPlain(b *testing.B, operations float64, plain func()) {
	b.Helper()
	b.StopTimer()
	took := b.Elapsed().Seconds() / float64(b.N)
	began := time.Now()
	plain()
	b.ReportMetric(took*operations/time.Since(began).Seconds(), "times-plain")
}

func benchRecording(b *testing.B, bench func(b *testing.B, s *store, p *plainTable)) {
	b.Helper()
	databasetest.Bench(b, func(b *testing.B, place *databasetest.Store) {
		beside := databasetest.SQLite
		if place.Postgres {
			beside = databasetest.Postgres
		}
		s := newStoreAt(b, place)
		s.record(b, deletion(acme, 0))
		bench(b, s, newPlain(b, beside(b)))
	})
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

// BenchmarkVerify verifies the whole store as the command does, while nobody has it open. It, and BenchmarkExport, report
// events a second, and how often as long it took as reading as many plain rows.
func BenchmarkVerify(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, events int) {
		s.db.Close()
		for b.Loop() {
			if err := s.verifyFile(b, ""); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, s, events)
	})
}

// BenchmarkVerifyInUse does so while a console has the store open.
func BenchmarkVerifyInUse(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, events int) {
		s.record(b, deletion(globex, 0))
		for b.Loop() {
			if err := s.verifyFile(b, ""); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, s, events)
	})
}

// BenchmarkVerifyNow verifies the log of one organization as its page does, by one connection.
func BenchmarkVerifyNow(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, events int) {
		s.record(b, deletion(globex, 0))
		for b.Loop() {
			if _, err := s.log.Verify(b.Context(), acme, nil); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, s, events)
	})
}

// BenchmarkExport writes every event of a log in each format, as the command does while nobody has the store open.
func BenchmarkExport(b *testing.B) {
	benchExport(b, func(b *testing.B, s *store) *audit.Reader {
		s.db.Close()
		r, err := audit.NewReader(s.OpenReadOnly(b), s.public)
		if err != nil {
			b.Fatal(err)
		}
		return r
	})
}

// BenchmarkExportInUse does so while a console has it open, as the audit page does.
func BenchmarkExportInUse(b *testing.B) {
	benchExport(b, func(b *testing.B, s *store) *audit.Reader {
		s.record(b, deletion(globex, 0))
		return s.log.Reader()
	})
}

func benchExport(b *testing.B, open func(b *testing.B, s *store) *audit.Reader) {
	b.Helper()
	for _, format := range audit.Formats() {
		b.Run(string(format), func(b *testing.B) {
			benchScaled(b, func(b *testing.B, s *store, events int) {
				r := open(b, s)
				for b.Loop() {
					enc := audit.NewEncoder(io.Discard, format, "test", s.clock.Now())
					if n, err := r.Export(b.Context(), acme, audit.Filter{}, enc); err != nil || n != int64(events) {
						b.Fatal(n, err)
					}
				}
				perSecond(b, s, events)
			})
		})
	}
}

// BenchmarkCopy copies a store to PostgreSQL, and verifies both.
func BenchmarkCopy(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, events int) {
		s.db.Close()
		for b.Loop() {
			if _, err := audit.Copy(b.Context(), s.OpenReadOnly(b), databasetest.Postgres(b).URL, s.public, audit.VerifyOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkSelectPlain reads plain rows and writes their bytes.
func BenchmarkSelectPlain(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, _ int) {
		p := s.plain(b)
		for b.Loop() {
			p.selectAll(b)
		}
		b.ReportMetric(float64(p.rows)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

func perSecond(b *testing.B, s *store, events int) {
	b.Helper()
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	p := s.plain(b)
	timesPlain(b, float64(p.rows)/float64(events), func() { p.selectAll(b) })
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
