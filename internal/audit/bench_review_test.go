package audit_test

import (
	"testing"
	"time"

	"orgconsole/internal/audit"
)

// BenchmarkReview reads the first page of 50 for what people look for in the
// log of benchScaled, and what stands above it. What each finds is reported:
// a page that finds nothing has looked everywhere.
func BenchmarkReview(b *testing.B) {
	end := newDesk(1).start.AddDate(1, 0, 0)
	office := &audit.OfficeHours{Location: time.UTC, Days: [7]bool{false, true, true, true, true, true}, From: 8 * time.Hour, To: 18 * time.Hour}
	for _, c := range []struct {
		name   string
		filter audit.Filter
	}{
		{"all", audit.Filter{}},
		{"word", audit.Filter{Text: "phishing"}},
		{"three words", audit.Filter{Text: "phishing laptop holiday"}},
		{"ticket", audit.Filter{Text: "HD-77777"}},
		{"no such word", audit.Filter{Text: "zebra"}},
		{"one letter and no such word", audit.Filter{Text: "a zebra"}},
		{"a member", audit.Filter{TargetQuery: deskAddress(4711)}},
		{"a member's id", audit.Filter{TargetQuery: memberID(4711)}},
		{"a member and a word", audit.Filter{TargetQuery: deskAddress(4711), Text: "phishing"}},
		{"an actor", audit.Filter{ActorID: memberID(deskMembers + 7)}},
		{"an actor and denied", audit.Filter{ActorID: memberID(deskMembers + 7), Outcome: "denied"}},
		{"denied", audit.Filter{Outcome: "denied"}},
		{"unknown", audit.Filter{Outcome: "unknown"}},
		{"bulk", audit.Filter{Several: true}},
		{"outside office hours", audit.Filter{Outside: office}},
		{"outside office hours and unknown", audit.Filter{Outside: office, Outcome: "unknown"}},
		{"a day last winter", audit.Filter{From: end.AddDate(0, -10, 0), To: end.AddDate(0, -10, 1)}},
		{"a day last winter and a word", audit.Filter{From: end.AddDate(0, -10, 0), To: end.AddDate(0, -10, 1), Text: "badge"}},
		{"signed in and denied", audit.Filter{Action: "session.sign_in", Outcome: "denied"}}, // both common, never together
	} {
		b.Run(c.name, func(b *testing.B) {
			benchScaled(b, func(b *testing.B, s *store, _ int) {
				for b.Loop() {
					page, err := s.log.List(b.Context(), acme, c.filter, "", 50)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(len(page.Events)), "found")
				}
			})
		})
	}
	b.Run("chart of 30 days", func(b *testing.B) {
		var starts []time.Time
		for day := 30; day >= 0; day-- {
			starts = append(starts, end.Truncate(24*time.Hour).AddDate(0, 0, 1-day))
		}
		benchScaled(b, func(b *testing.B, s *store, _ int) {
			for b.Loop() {
				if _, err := s.log.Days(b.Context(), acme, audit.Filter{}, starts); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("how many denied", func(b *testing.B) {
		benchScaled(b, func(b *testing.B, s *store, _ int) {
			for b.Loop() {
				if _, _, err := s.log.Reader().Count(b.Context(), acme, audit.Filter{Outcome: "denied"}, 1e9); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkReviewPlain is the same newest page read from the same rows, without looking at what was read.
func BenchmarkReviewPlain(b *testing.B) {
	benchScaled(b, func(b *testing.B, s *store, _ int) {
		for b.Loop() {
			var seq, at int64
			var text [8]string
			s.selectAll(b, `SELECT seq, time, id, bytes, action, phase, operation_id, outcome, actor_id, target_id FROM audit_events WHERE tree = 2 ORDER BY seq DESC LIMIT 50`,
				&text[1], &seq, &at, &text[0], &text[1], &text[2], &text[3], &text[4], &text[5], &text[6], &text[7])
		}
	})
}
