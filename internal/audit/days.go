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

// ErrTooMany says that a filter asks for something that the index does not know exactly, of too many records to read them.
var ErrTooMany = errors.New("too many records would have to be read")

// maxCounted is how many records are read for counting at most.
const maxCounted = 20_000

// Days counts the events that fit the filter and have an outcome, by day and
// outcome. A day is from one of the starts, which must ascend and be whole
// quarters of an hour, to the next; the last start is the end of the last day.
func (l *Log) Days(ctx context.Context, organizationID string, f Filter, starts []time.Time) ([]Day, error) {
	if len(starts) < 2 {
		return nil, nil
	}
	days := make([]Day, len(starts)-1)
	for i := range days {
		days[i] = Day{Start: starts[i], Outcomes: make(map[Outcome]int64)}
	}
	if begin := starts[0]; f.From.Before(begin) {
		f.From = begin
	}
	if end := starts[len(starts)-1]; f.To.IsZero() || f.To.After(end) {
		f.To = end
	}
	dayOf := func(at time.Time) int {
		return sort.Search(len(starts), func(n int) bool { return starts[n].After(at) }) - 1
	}
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		s, err := newSearch(ctx, tx, t, f, true)
		if err != nil {
			return err
		}
		if s.query.exact && s.fixed == nil {
			s.eachSegment = func(g segment, found *places) error {
				return s.countDays(ctx, g, found, func(at time.Time, o Outcome, n int64) {
					if n > 0 {
						days[dayOf(at)].Outcomes[o] += n
					}
				})
			}
		}
		for {
			found, done, err := s.next(ctx, searchChunk)
			if err != nil || done {
				return err
			}
			if s.looked > maxCounted {
				return ErrTooMany
			}
			for i := range found {
				if ev := &found[i]; ev.Outcome != "" {
					days[dayOf(ev.Time)].Outcomes[ev.Outcome]++
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("count audit events by day: %w", err)
	}
	return days, nil
}

// countDays counts those of the places found in a segment that have an outcome, by quarters of an hour and outcomes.
func (s *search) countDays(ctx context.Context, g segment, found *places, add func(at time.Time, o Outcome, n int64)) error {
	if found.empty() {
		return nil
	}
	with := make(map[Outcome]*places)
	for _, o := range Outcomes() {
		r := exactTerm(kindOutcome + string(o))
		set, err := s.askRange(ctx, []segment{g}, []*places{found}, &r)
		if err != nil {
			return err
		}
		if set[0].and(found); !set[0].empty() {
			with[o] = set[0]
		}
	}
	if len(with) == 0 {
		return nil
	}
	quarters := termRange{first: kindQuarter + quarterTerm(s.filter.From.UnixMilli()/quarter.Milliseconds()), end: kindQuarter + "g"}
	first, err := s.firstBlocks(ctx, []segment{g}, []int{0}, quarters.first)
	if err != nil {
		return err
	}
	return s.readRange(ctx, g, first[0], &quarters, func(b *blockReader) error {
		at, ok := quarterOf(b.term)
		if !ok {
			return errBadBlock
		}
		if !at.Before(s.filter.To) {
			return nil
		}
		for o, set := range with {
			n := int64(0)
			err := b.each(g.size(), func(place int) {
				if set.has(place) {
					n++
				}
			})
			if err != nil {
				return err
			}
			add(at, o, n)
		}
		return nil
	})
}
