package stream_test

import (
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// benchEvents is some ten messages.
const benchEvents = 4_000

func benchSite(b *testing.B, place *databasetest.Store) *site {
	b.Helper()
	s := newSite(b, place)
	err := s.log.Write(b.Context(), func(tx *sql.Tx) error {
		for range benchEvents {
			_, err := s.log.Append(b.Context(), tx, audit.Event{
				OrganizationID: acme, Action: audit.ActionDeletePassword, Phase: audit.PhaseInfo, OperationID: "operation-1",
				Actor:  audit.Actor{MemberID: "member-test-1", Email: "ada@acme.example", SessionID: "session-test-1"},
				Target: audit.Target{Type: "member", ID: "member-test-2", Label: "Ben", Email: "ben@acme.example"},
				Reason: "caller lost the phone", Source: audit.Source{IP: "192.0.2.7", UserAgent: "test"},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkSend sends a backlog to a receiver on this machine that reads it.
// BenchmarkExport writes the same events nowhere, in the same format.
func BenchmarkSend(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, place *databasetest.Store) {
		s := benchSite(b, place)
		r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		b.Cleanup(r.Close)
		for b.Loop() {
			b.StopTimer()
			s.Exec(b, `DELETE FROM audit_streams`)
			b.StartTimer()
			pass(b, s.sender(b, s.sink(), r.URL))
		}
		b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		if lag := s.lag(b, s.sink()); lag.Waiting != 0 {
			b.Errorf("lag %+v", lag)
		}
	})
}

func BenchmarkExport(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, place *databasetest.Store) {
		s := benchSite(b, place)
		for b.Loop() {
			enc := audit.NewEncoder(io.Discard, audit.FormatNDJSON, "test", s.clock.Now())
			if _, err := s.log.Reader().Export(b.Context(), acme, audit.Filter{}, enc); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
