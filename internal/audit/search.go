package audit

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

const (
	// maxLooked is how many records one page reads at most, whether they fit or not.
	maxLooked = 4000
	// searchChunk is how many records a search has in memory at once.
	searchChunk = 250
)

// search finds the records of a tree that fit a filter, newest first or oldest
// first. The index says which may; whether they do is decided by what their
// bytes and texts say.
type search struct {
	tx     *sql.Tx
	t      *tree
	filter Filter
	down   bool

	first, end int64 // places still to be searched, end not included
	unit       *places // places within the unit being searched that may fit; nil: none is
	base       int64 // place of the first of the unit

	looked int       // records read so far
	at     time.Time // of the last one of them whose time is known
}

func newSearch(tx *sql.Tx, t *tree, f Filter, down bool) *search {
	return &search{tx: tx, t: t, filter: f, down: down, first: max(f.After, 0), end: t.size}
}

// next returns the events that fit among the next records, at most n of which are read. done says that there are no more.
func (s *search) next(ctx context.Context, n int) (found []Event, done bool, err error) {
	seqs, err := s.places(ctx, n)
	if err != nil || len(seqs) == 0 {
		return nil, err == nil, err
	}
	rows, err := queryRows(ctx, s.tx, wherePlaces(seqs), placeArgs(s.t, seqs)...)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	if s.down {
		slices.Reverse(rows)
	}
	events, err := s.t.eventsOf(ctx, s.tx, rows)
	if err != nil {
		return nil, false, err
	}
	s.looked += len(events)
	for i := range events {
		if events[i].Purged == nil {
			s.at = events[i].Time
		}
		if s.filter.Matches(&events[i]) {
			found = append(found, events[i])
		}
	}
	return found, false, nil
}

// places returns at most n places that may fit, in the order of the search, and none at its end.
func (s *search) places(ctx context.Context, n int) ([]int64, error) {
	var seqs []int64
	for len(seqs) < n {
		if s.unit == nil {
			if s.first >= s.end {
				break
			}
			if err := s.nextUnit(ctx); err != nil {
				return nil, err
			}
		}
		var place int
		if s.down {
			place = s.unit.takeLast()
		} else {
			place = s.unit.takeFirst()
		}
		if place < 0 {
			s.unit = nil
			if len(seqs) > 0 {
				break // what was found so far may be enough
			}
			continue
		}
		seqs = append(seqs, s.base+int64(place))
	}
	return seqs, nil
}

// rest is the place from which a later search goes on downwards: the last one that was searched.
func (s *search) rest() int64 {
	if s.unit != nil {
		if n := s.unit.last(); n >= 0 {
			return s.base + int64(n) + 1
		}
	}
	return s.end
}

// nextUnit takes a unit from the range that is still to be searched.
func (s *search) nextUnit(context.Context) error {
	size := min(int64(searchChunk), s.end-s.first)
	if s.down {
		s.end -= size
		s.base = s.end
	} else {
		s.base = s.first
		s.first += size
	}
	s.unit = allPlaces(int(size))
	return nil
}

// wherePlaces is a WHERE clause for records by their places, in order.
func wherePlaces(seqs []int64) string {
	if run(seqs) {
		return `WHERE e.tree = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq`
	}
	return `WHERE e.tree = ? AND e.seq IN (?` + strings.Repeat(`, ?`, len(seqs)-1) + `) ORDER BY e.seq`
}

func placeArgs(t *tree, seqs []int64) []any {
	if run(seqs) {
		return []any{t.number, min(seqs[0], seqs[len(seqs)-1]), max(seqs[0], seqs[len(seqs)-1])}
	}
	args := []any{t.number}
	for _, seq := range seqs {
		args = append(args, seq)
	}
	return args
}

// run reports whether there is no gap between places, which are in order, upwards or downwards.
func run(seqs []int64) bool {
	apart := seqs[len(seqs)-1] - seqs[0]
	return max(apart, -apart) == int64(len(seqs))-1
}
