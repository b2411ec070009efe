package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"orgconsole/internal/database"
)

// The index is made of segments: for a stretch of records, the terms of all
// of them and the places each is at. A segment is made once its records are
// there, of sixteen smaller ones if they are there. It depends on its records
// alone, so that it does not matter which process makes it, and when. Where
// there is none the records themselves are searched.

// segmentLevels are the binary logarithms of how many records a segment has.
var segmentLevels = [...]int{8, 12, 16} //nolint:gochecknoglobals // a constant

// indexEvery is how often Run looks for what another process left to do.
const indexEvery = time.Minute

// segment is a row of audit_segments.
type segment struct {
	level       int
	number      int64
	first, last int64 // times, unix ms
}

func (g segment) size() int    { return 1 << segmentLevels[g.level] }
func (g segment) start() int64 { return g.number << segmentLevels[g.level] }
func (g segment) end() int64   { return (g.number + 1) << segmentLevels[g.level] }

// readSegments returns the segments of a tree in the order of their places, without those that a larger one stands for.
func readSegments(ctx context.Context, q queryer, t *tree) ([]segment, error) {
	all, err := allSegments(ctx, q, t)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.start(), b.start()) })
	kept := all[:0]
	for _, g := range all {
		if g.end() > t.size {
			continue // verifying says that there is one
		}
		if n := len(kept); n == 0 || g.start() >= kept[n-1].end() {
			kept = append(kept, g)
		}
	}
	return kept, nil
}

func (g segment) beyond(t *tree) error {
	return t.tampered(nil, "its index is of seq %d to %d, it has %d records", g.start(), g.end()-1, t.size)
}

// allSegments returns the segments of a tree, the largest first.
func allSegments(ctx context.Context, q queryer, t *tree) ([]segment, error) {
	rows, err := q.QueryContext(ctx, `SELECT level, segment, first_time, last_time FROM audit_segments WHERE tree = ? ORDER BY level DESC, segment`, t.number)
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	var all []segment
	for rows.Next() {
		var g segment
		if err := rows.Scan(&g.level, &g.number, &g.first, &g.last); err != nil {
			return nil, unreadable(ctx, err)
		}
		if g.level < 0 || g.level >= len(segmentLevels) || g.number < 0 || g.number > maxCountable>>segmentLevels[g.level] {
			return nil, t.tampered(nil, "its index has a segment %d of level %d", g.number, g.level)
		}
		all = append(all, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	return all, nil
}

// Run makes the segments of the index as records are appended, until ctx ends.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(indexEvery)
	defer tick.Stop()
	for {
		if err := l.Index(ctx); err != nil && ctx.Err() == nil {
			l.logger.ErrorContext(ctx, "index audit", slog.Any("error", err))
		}
		select {
		case <-l.wake:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Index makes all segments that can be made.
func (l *Log) Index(ctx context.Context) error {
	trees, err := readTrees(ctx, l.db.Reader())
	if err != nil {
		return fmt.Errorf("index audit: %w", err)
	}
	var failed []error
	for _, t := range trees {
		left := make(map[segment]bool)
		for more := true; more && ctx.Err() == nil; {
			// What is wrong with some records is no reason to leave out others.
			if more, err = l.indexNext(ctx, t.organizationID, left); err != nil {
				failed = append(failed, fmt.Errorf("index audit of %s: %w", t.name(), err))
			}
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

func (t *tree) name() string {
	if t.organizationID == "" {
		return "the system"
	}
	return t.organizationID
}

// indexNext makes the first segment that a tree lacks, if it lacks one, but for those that are left out. One with a
// damaged record is left out from then on, and its records are searched themselves.
func (l *Log) indexNext(ctx context.Context, organizationID string, left map[segment]bool) (more bool, err error) {
	var made *madeSegment
	err = l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if err != nil {
			return err
		}
		segments, err := readSegments(ctx, tx, t)
		if err != nil {
			return err
		}
		g, ok := lacking(t.size, segments, left)
		if !ok {
			return nil
		}
		made, err = t.makeSegment(ctx, tx, g, segments)
		left[g], more = errors.Is(err, ErrTampered), errors.Is(err, ErrTampered)
		return err
	})
	if err != nil || made == nil {
		return more, err
	}
	err = l.db.Write(ctx, func(tx *sql.Tx) error { return made.store(ctx, l, tx) })
	return err == nil, err
}

// lacking is the first segment that a tree of a size should have and has not, but for those that are left out.
func lacking(size int64, segments []segment, left map[segment]bool) (segment, bool) {
	at := int64(0)
	for at+1<<segmentLevels[0] <= size {
		level := len(segmentLevels) - 1
		for at%(1<<segmentLevels[level]) != 0 || at+1<<segmentLevels[level] > size {
			level--
		}
		want := segment{level: level, number: at >> segmentLevels[level]}
		for len(segments) > 0 && segments[0].start() < at {
			segments = segments[1:]
		}
		if (len(segments) == 0 || segments[0].start() != at || segments[0].level < level) && !left[want] {
			return want, true
		}
		at = want.end()
	}
	return segment{}, false
}

// madeSegment is a segment that is not stored yet.
type madeSegment struct {
	segment

	t        *tree
	blocks   []block
	covering int64 // how many events said of others that they are not whole when it was made
}

func (t *tree) makeSegment(ctx context.Context, tx *sql.Tx, g segment, segments []segment) (*madeSegment, error) {
	m := &madeSegment{segment: g, t: t}
	var err error
	if m.covering, err = t.countCovering(ctx, tx); err != nil {
		return nil, err
	}
	inside := slices.DeleteFunc(slices.Clone(segments), func(s segment) bool { return s.start() < g.start() || s.end() > g.end() })
	var p postings
	if len(inside) == 1<<(segmentLevels[g.level]-segmentLevels[max(g.level-1, 0)]) && g.level > 0 {
		p, err = m.merge(ctx, tx, inside)
	} else {
		p, err = m.read(ctx, tx)
	}
	if err != nil {
		return nil, err
	}
	m.blocks = p.blocks(g.size())
	return m, nil
}

func (t *tree) countCovering(ctx context.Context, q queryer) (n int64, err error) {
	const count = `SELECT count(*) FROM audit_events WHERE tree = ? AND action IN ('audit.purge', 'audit.erase', 'audit.key.change')`
	if err := q.QueryRowContext(ctx, count, t.number).Scan(&n); err != nil {
		return 0, fmt.Errorf("count what covers records: %w", err)
	}
	return n, nil
}

// noTimes is before anything was seen: there is no time between the two.
const (
	noFirst = 1
	noLast  = 0
)

// read makes the postings of the records themselves.
func (m *madeSegment) read(ctx context.Context, tx *sql.Tx) (postings, error) {
	p := make(postings)
	m.first, m.last = noFirst, noLast
	var terms termWriter
	for at := m.start(); at < m.end(); at += chunk {
		rows, err := queryRows(ctx, tx, `WHERE e.tree = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq`, m.t.number, at, min(at+chunk, m.end()))
		if err != nil || len(rows) == 0 {
			return nil, errors.Join(err, m.t.tampered(nil, "records from %d on are gone", at))
		}
		events, err := m.t.eventsOf(ctx, tx, rows)
		if err != nil {
			return nil, err
		}
		for i := range events {
			ev := &events[i]
			m.sees(ev)
			terms.each(ev, func(term []byte) { p.add(term, int(ev.Seq-m.start())) })
		}
	}
	return p, nil
}

func (g *segment) sees(ev *Event) {
	if ev.Purged != nil {
		return
	}
	at := ev.Time.UnixMilli()
	if g.first > g.last {
		g.first, g.last = at, at
	}
	g.first, g.last = min(g.first, at), max(g.last, at)
}

func (p postings) add(term []byte, place int) {
	list, ok := p[string(term)]
	if ok && int(list[len(list)-1]) == place {
		return
	}
	p[string(term)] = append(list, uint16(place))
}

// merge makes the postings of those of the segments inside.
func (m *madeSegment) merge(ctx context.Context, tx *sql.Tx, inside []segment) (postings, error) {
	p := make(postings)
	m.first, m.last = noFirst, noLast
	for _, g := range inside {
		if g.first <= g.last {
			if m.first > m.last {
				m.first, m.last = g.first, g.last
			}
			m.first, m.last = min(m.first, g.first), max(m.last, g.last)
		}
		offset := int(g.start() - m.start())
		err := m.t.eachTerm(ctx, tx, g, func(term []byte, r *blockReader) error {
			list := p[string(term)]
			err := r.each(g.size(), func(place int) { list = append(list, uint16(offset+place)) })
			p[string(term)] = list
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// eachTerm goes through all terms of a segment.
func (t *tree) eachTerm(ctx context.Context, q queryer, g segment, fn func(term []byte, r *blockReader) error) error {
	bad := func() error { return t.tampered(nil, "its index of seq %d to %d is not one", g.start(), g.end()-1) }
	rows, err := q.QueryContext(ctx, `SELECT first, block FROM audit_terms WHERE tree = ? AND level = ? AND segment = ? ORDER BY first`, t.number, g.level, g.number)
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	next, before := "", "" // what the block before said of this one, and its last term
	begun := false
	for rows.Next() {
		var first, data sql.RawBytes
		if err := rows.Scan(&first, &data); err != nil {
			return unreadable(ctx, err)
		}
		r := readBlock(data)
		if string(first) != next || begun && next == "" {
			return bad()
		}
		terms := 0
		for r.scan() {
			// A search goes to the block whose first term is not after the one it looks for: that has to be its first indeed.
			if begun && terms == 0 && string(r.term) != string(first) || before != "" && string(r.term) <= before {
				return bad()
			}
			terms++
			before = string(r.term)
			if err := fn(r.term, &r); err != nil {
				if errors.Is(err, errBadBlock) {
					return bad()
				}
				return err
			}
		}
		if r.err != nil || len(r.rest) > 0 || terms == 0 && (begun || len(r.next) > 0) {
			return bad()
		}
		begun, next = true, string(r.next)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	if !begun || next != "" {
		return bad()
	}
	return nil
}

// blocksAtOnce bounds the arguments of an INSERT.
const blocksAtOnce = 100

// store stores the segment in place of those inside it, unless a record of it was purged or erased meanwhile.
func (m *madeSegment) store(ctx context.Context, l *Log, tx *sql.Tx) error {
	t, err := l.lockedTree(ctx, tx, m.t.organizationID)
	if err != nil {
		return err
	}
	now, err := t.countCovering(ctx, tx)
	if err != nil || now != m.covering {
		return err // it is made again
	}
	if err := t.forgets(ctx, tx, spans{{m.start(), m.end() - 1}}); err != nil {
		return err
	}
	const insert = `INSERT INTO audit_segments (tree, level, segment, first_time, last_time) VALUES (?, ?, ?, ?, ?)`
	statements := []database.Statement{{Query: insert, Args: []any{t.number, m.level, m.number, m.first, m.last}}}
	for some := range slices.Chunk(m.blocks, blocksAtOnce) {
		args := make([]any, 0, 5*len(some))
		for _, b := range some {
			args = append(args, t.number, m.level, m.number, b.first, b.data)
		}
		const blocks = `INSERT INTO audit_terms (tree, level, segment, first, block) VALUES (?, ?, ?, ?, ?)`
		statements = append(statements, database.Statement{Query: blocks + strings.Repeat(`, (?, ?, ?, ?, ?)`, len(some)-1), Args: args})
	}
	if _, err := l.db.Exec(ctx, tx, statements...); err != nil {
		return fmt.Errorf("store index: %w", err)
	}
	return nil
}

// forgets removes from the index all that it has of some records. What it had of others is made again.
func (t *tree) forgets(ctx context.Context, tx *sql.Tx, gone spans) error {
	for level, shift := range segmentLevels {
		dropped := int64(-1) // the last segment that was
		for _, s := range gone {
			first := max(s.first>>shift, dropped+1)
			if dropped = max(dropped, s.last>>shift); first > dropped {
				continue
			}
			for _, table := range []string{"audit_terms", "audit_segments"} {
				if err := t.dropLevel(ctx, tx, table, level, first, dropped); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *tree) dropLevel(ctx context.Context, tx *sql.Tx, table string, level int, first, last int64) error {
	//nolint:gosec // G202: the names are those two
	q := `DELETE FROM ` + table + ` WHERE tree = ? AND level = ? AND segment BETWEEN ? AND ?`
	if _, err := tx.ExecContext(ctx, q, t.number, level, first, last); err != nil {
		return fmt.Errorf("drop index: %w", err)
	}
	return nil
}
