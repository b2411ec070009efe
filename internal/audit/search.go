package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxLooked is how many records one page reads at most, whether they fit or not.
	maxLooked = 4000
	// maxBlocks is how many blocks of the index one page reads at most.
	maxBlocks = 4000
	// firstBatch is how many segments are asked at first; then it is twice as many each time, until maxBatch, but no more
	// than the blocks that are left to read are likely to be enough for.
	firstBatch, maxBatch = 2, 64
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

	query    query
	segments []segment
	answered []*places // what was found in those of the segments that come next, in the order of the search
	fixed    []int64   // not nil: the only places there are
	batch    int       // how many segments are asked at once
	blocks   int       // read so far
	all      [len(segmentLevels)]*places

	// eachSegment, where it is not nil, gets what was found in a segment, of which no record is then read.
	eachSegment func(g segment, found *places) error

	first, end int64   // places still to be searched, end not included
	unit       *places // places within the unit being searched that may fit; nil: none is
	base       int64   // place of the first of the unit

	limited bool // stop when it was enough for one page
	looked  int  // records read so far
}

func newSearch(ctx context.Context, tx *sql.Tx, t *tree, f Filter, down bool) (*search, error) {
	s := &search{tx: tx, t: t, filter: f, down: down, query: f.compile(), batch: firstBatch, first: max(f.After, 0), end: t.size}
	var err error
	switch {
	case f.OperationID != "":
		s.fixed, err = t.placesOf(ctx, tx, f.OperationID)
	case len(s.query.clauses) > 0:
		s.segments, err = readSegments(ctx, tx, t)
	}
	return s, err
}

// placesOf are the places of an operation's events.
func (t *tree) placesOf(ctx context.Context, q queryer, operationID string) ([]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT seq FROM audit_events WHERE tree = ? AND operation_id = ? AND operation_id <> '' ORDER BY seq LIMIT ?`, t.number, operationID, maxOperation)
	if err != nil {
		return nil, fmt.Errorf("read places of an operation: %w", err)
	}
	defer rows.Close()
	seqs := []int64{}
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, unreadable(ctx, err)
		}
		seqs = append(seqs, seq)
	}
	return seqs, rows.Err()
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
	events, err := s.t.eventsOrDamage(ctx, s.tx, rows)
	if err != nil {
		return nil, false, err
	}
	s.looked += len(events)
	for i := range events {
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
			if s.first >= s.end || len(seqs) > 0 || s.tired() {
				break
			}
			if err := s.nextUnit(ctx); err != nil {
				return nil, err
			}
		}
		place := s.take()
		if place < 0 {
			s.unit = nil
			continue
		}
		seqs = append(seqs, s.base+int64(place))
	}
	return seqs, nil
}

func (s *search) take() int {
	if s.down {
		return s.unit.takeLast()
	}
	return s.unit.takeFirst()
}

// tired reports whether the search has done as much as it should for one page.
func (s *search) tired() bool { return s.limited && (s.looked >= maxLooked || s.blocks >= maxBlocks) }

// rest is the place from which a later search goes on downwards: the last one that was searched.
func (s *search) rest() int64 {
	if s.unit != nil {
		if n := s.unit.last(); n >= 0 {
			return s.base + int64(n) + 1
		}
	}
	return s.end
}

// nextUnit takes a unit from the range that is still to be searched: a segment, or records that are in none.
func (s *search) nextUnit(ctx context.Context) error {
	if s.fixed != nil {
		s.base, s.unit = s.first, noPlaces(0)
		if len(s.fixed) > 0 {
			s.base = s.fixed[0]
			s.unit = noPlaces(int(s.fixed[len(s.fixed)-1] - s.base + 1))
		}
		for _, seq := range s.fixed {
			if s.first <= seq && seq < s.end {
				s.unit.add(int(seq - s.base))
			}
		}
		s.first = s.end
		return nil
	}
	next, outside := s.nextSegment()
	if next == nil || !outside.empty() {
		s.takeRecords(outside)
		return nil
	}
	if len(s.answered) == 0 {
		if err := s.ask(ctx); err != nil {
			return err
		}
	}
	s.base, s.unit = next.start(), s.answered[0]
	if s.unit == nil {
		s.unit = noPlaces(0)
	}
	s.answered = s.answered[1:]
	s.unit.limit(int(max(s.first-s.base, 0)), int(min(s.end-s.base, int64(next.size()))))
	if s.eachSegment != nil {
		if err := s.eachSegment(*next, s.unit); err != nil {
			return err
		}
		s.unit = noPlaces(0)
	}
	if s.down {
		s.end = next.start()
		s.segments = s.segments[:len(s.segments)-1]
	} else {
		s.first = next.end()
		s.segments = s.segments[1:]
	}
	return nil
}

// timeAt is when the record at a place, or the next one of which that is known, says that it was recorded. It is never zero.
func (s *search) timeAt(ctx context.Context, seq int64) (time.Time, error) {
	var at int64
	err := s.tx.QueryRowContext(ctx, `SELECT time FROM audit_events WHERE tree = ? AND seq >= ? AND time > 0 ORDER BY seq LIMIT 1`, s.t.number, seq).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("read time of a record: %w", err)
	}
	return time.UnixMilli(at).UTC(), nil
}

// stretch is a run of places, the end not included.
type stretch struct{ first, end int64 }

func (r stretch) empty() bool { return r.first >= r.end }

// nextSegment is the segment that comes next, or nil, and the records before it that are in none.
func (s *search) nextSegment() (*segment, stretch) {
	for len(s.segments) > 0 {
		if s.down {
			g := &s.segments[len(s.segments)-1]
			if g.start() < s.end {
				return g, stretch{max(g.end(), s.first), s.end}
			}
			s.segments = s.segments[:len(s.segments)-1]
		} else {
			g := &s.segments[0]
			if g.end() > s.first {
				return g, stretch{s.first, min(g.start(), s.end)}
			}
			s.segments = s.segments[1:]
		}
	}
	return nil, stretch{s.first, s.end}
}

// takeRecords makes a unit of records of a stretch that are in no segment: any of them may fit.
func (s *search) takeRecords(of stretch) {
	size := min(int64(searchChunk), of.end-of.first)
	if s.down {
		s.base = of.end - size
		s.end = s.base
	} else {
		s.base = of.first
		s.first = s.base + size
	}
	s.unit = allPlaces(int(size))
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
