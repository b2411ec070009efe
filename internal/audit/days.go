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
				return s.countDays(ctx, g, found, dayOf, days)
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
				if ev := &found[i]; ev.Outcome != "" && ev.Damage == "" {
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

// countDays counts those of the places found in a segment that have an outcome, by day and outcome.
func (s *search) countDays(ctx context.Context, g segment, found *places, dayOf func(time.Time) int, days []Day) error {
	if found.empty() {
		return nil
	}
	with := make(map[Outcome]*places)
	err := s.eachTerm(ctx, g, termRange{first: kindOutcome, end: after(kindOutcome)}, func(b *blockReader) error {
		set := noPlaces(g.size())
		with[Outcome(b.term[len(kindOutcome):])] = set
		return b.addTo(set, g.size())
	})
	if err != nil {
		return err
	}
	in := make(map[int]*places) // by day
	quarters := termRange{first: kindQuarter + quarterTerm(s.filter.From.UnixMilli()/quarter.Milliseconds()), end: kindQuarter + "g"}
	err = s.eachTerm(ctx, g, quarters, func(b *blockReader) error {
		at, ok := quarterOf(b.term)
		if !ok {
			return errBadBlock
		}
		if !at.Before(s.filter.To) {
			return nil
		}
		day := dayOf(at)
		if day < 0 {
			return errBadBlock
		}
		if in[day] == nil {
			in[day] = noPlaces(g.size())
		}
		return b.addTo(in[day], g.size())
	})
	if err != nil {
		return err
	}
	for day, places := range in {
		places.and(found)
		for o, set := range with {
			if n := places.countBoth(set); n > 0 {
				days[day].Outcomes[o] += n
			}
		}
	}
	return nil
}

// eachTerm calls fn with the terms of a range of one segment.
func (s *search) eachTerm(ctx context.Context, g segment, r termRange, fn func(*blockReader) error) error {
	first, err := s.firstBlocks(ctx, []segment{g}, []int{0}, r.first)
	if err != nil {
		return err
	}
	return s.readRange(ctx, g, first[0], &r, fn)
}
