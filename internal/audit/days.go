package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"time"
)

// Day is how the events of one day ended.
type Day struct {
	Start    time.Time
	Outcomes map[Outcome]int64
}

// Days counts the events that fit the filter and have an outcome, by day and
// outcome. A day is from one of the starts, which must ascend, to the next; the
// last start is the end of the last day. Days begin at whole quarters of an hour.
func (l *Log) Days(ctx context.Context, organizationID string, f Filter, starts []time.Time) ([]Day, error) {
	if len(starts) < 2 {
		return nil, nil
	}
	days := make([]Day, len(starts)-1)
	for i := range days {
		days[i] = Day{Start: starts[i], Outcomes: make(map[Outcome]int64)}
	}
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		s := newSearch(tx, t, f, true)
		for {
			found, done, err := s.next(ctx, searchChunk)
			if err != nil || done {
				return err
			}
			for i := range found {
				ev := &found[i]
				n := sort.Search(len(starts), func(n int) bool { return starts[n].After(ev.Time) }) - 1
				if n >= 0 && n < len(days) && ev.Outcome != "" {
					days[n].Outcomes[ev.Outcome]++
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("count audit events by day: %w", err)
	}
	return days, nil
}
