package audit

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
)

// indexCheck holds the segments of one stretch of a tree, as long as the
// largest, against its records. It compares sums over all terms and places
// that differ for different ones but for a chance of one in 2^64, whatever
// somebody stored: they are made with a random key of this process.
type indexCheck struct {
	t        *tree
	segments []segment // of all levels
	said     []segment // as the records say
	sums     []uint64
	seed     maphash.Seed
	terms    termWriter
	seen     []uint64 // hashes of the terms of one event
}

// indexStretch is how many records one indexCheck is for. It begins at a multiple of that.
const indexStretch = 1 << 16

func newIndexCheck(t *tree, all []segment, first int64) *indexCheck {
	c := &indexCheck{t: t, seed: maphash.MakeSeed()}
	for _, g := range all {
		if first <= g.start() && g.start() < first+indexStretch {
			c.segments = append(c.segments, g)
			c.said = append(c.said, segment{level: g.level, number: g.number, first: noFirst, last: noLast})
		}
	}
	c.sums = make([]uint64, len(c.segments))
	return c
}

// add takes the next record, which was verified.
func (c *indexCheck) add(ev *Event) {
	if len(c.segments) == 0 {
		return
	}
	c.seen = c.seen[:0]
	c.terms.each(ev, func(term []byte) { c.seen = append(c.seen, maphash.Bytes(c.seed, term)) })
	slices.Sort(c.seen)
	c.seen = slices.Compact(c.seen)
	for i, g := range c.segments {
		if ev.Seq < g.start() || ev.Seq >= g.end() {
			continue
		}
		c.said[i].sees(ev)
		place := uint64(ev.Seq - g.start())
		for _, h := range c.seen {
			c.sums[i] += mix(h, place)
		}
	}
}

// strayIndex looks for what belongs to no segment, or to records that there are not.
func (t *tree) strayIndex(ctx context.Context, q queryer, all []segment) error {
	for _, g := range all {
		if g.end() > t.size {
			return g.beyond(t)
		}
	}
	const stray = `SELECT EXISTS (SELECT 1 FROM audit_terms b WHERE b.tree = ? AND NOT EXISTS
		(SELECT 1 FROM audit_segments s WHERE s.tree = b.tree AND s.level = b.level AND s.segment = b.segment))`
	var found bool
	if err := q.QueryRowContext(ctx, stray, t.number).Scan(&found); err != nil {
		return fmt.Errorf("look for stray rows of the index: %w", err)
	}
	if found {
		return t.tampered(nil, "its index has rows of a segment that does not exist")
	}
	return nil
}

// mix is a hash of the hash of a term and a place.
func mix(h, place uint64) uint64 {
	// The finalizer of splitmix64.
	x := h ^ (place+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// end is called after the last record of the stretch.
func (c *indexCheck) end(ctx context.Context, q queryer) error {
	for i, g := range c.segments {
		sum := uint64(0)
		err := c.t.eachTerm(ctx, q, g, func(term []byte, r *blockReader) error {
			h := maphash.Bytes(c.seed, term)
			return r.each(g.size(), func(place int) { sum += mix(h, uint64(place)) })
		})
		if err != nil {
			return err
		}
		if sum != c.sums[i] || g != c.said[i] {
			return &TamperedError{Tree: c.t.organizationID, Seq: c.wrongIn(ctx, q, g), Problem: fmt.Sprintf(
				"the index by which the records seq %d to %d are found does not agree with them", g.start(), g.end()-1)}
		}
	}
	return nil
}

// wrongIn is the first record of a segment that has other terms than the index says, or the first of all.
func (c *indexCheck) wrongIn(ctx context.Context, q queryer, g segment) int64 {
	sums := make([]uint64, g.size())
	err := c.t.eachTerm(ctx, q, g, func(term []byte, r *blockReader) error {
		h := maphash.Bytes(c.seed, term)
		return r.each(g.size(), func(place int) { sums[place] += mix(h, 0) })
	})
	for at := g.start(); at < g.end() && err == nil; at += chunk {
		var rows []row
		if rows, err = queryRows(ctx, q, `WHERE e.tree = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq`, c.t.number, at, min(at+chunk, g.end())); err != nil || len(rows) == 0 {
			break
		}
		var events []Event
		if events, err = c.t.eventsOf(ctx, q, rows); err != nil {
			break
		}
		for i := range events {
			var hashes []uint64
			c.terms.each(&events[i], func(term []byte) { hashes = append(hashes, maphash.Bytes(c.seed, term)) })
			slices.Sort(hashes)
			sum := uint64(0)
			for _, h := range slices.Compact(hashes) {
				sum += mix(h, 0)
			}
			if sum != sums[events[i].Seq-g.start()] {
				return events[i].Seq
			}
		}
	}
	return g.start()
}
