package audit_test

import (
	"errors"
	"testing"

	"orgconsole/internal/audit"
)

// refusing takes some writes and no more.
type refusing struct{ left int }

var errRefused = errors.New("refused")

func (r *refusing) Write(b []byte) (int, error) {
	if r.left--; r.left < 0 {
		return 0, errRefused
	}
	return len(b), nil
}

// Whoever downloads may go away at any time, and then nothing more is read.
func TestExportEndsWithItsReader(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		if err := s.log.Fill(t.Context(), acme, 5000, func(n int) audit.Event { return deletion(acme, n) }); err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{0, 1, 500, 1001, 4000} {
			for _, format := range audit.Formats() {
				n, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(&refusing{left: left}, format, "test", s.clock.Now()))
				if !errors.Is(err, errRefused) || n > int64(left)+1 {
					t.Errorf("%s after %d lines: %d events, %v", format, left, n, err)
				}
			}
		}
	})
}
