package audit

import (
	"context"
	"database/sql"

	"golang.org/x/mod/sumdb/tlog"
)

// Fill records events of an organization of which nothing was recorded yet, with one checkpoint for all of them: many
// are there in seconds.
func (l *Log) Fill(ctx context.Context, organizationID string, events int, event func(n int) Event) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		t, err := l.createOrganizationTree(ctx, tx, organizationID)
		if err != nil {
			return err
		}
		var e edge
		for range events {
			ev := cleaned(event(int(e.size)))
			ev.OrganizationID, ev.Seq, ev.Time, ev.Build, ev.Schema = organizationID, e.size, l.now().UTC(), l.build, schema
			if ev.ID, err = newID(ev.Time, l.rand); err != nil {
				return err
			}
			r, apart, err := l.split(ev)
			if err != nil {
				return err
			}
			bytes := r.encode()
			if _, err := l.db.Exec(ctx, tx, inserts(t, r, bytes, apart, e.add(tlog.RecordHash(bytes)))...); err != nil {
				return err
			}
		}
		return l.advance(ctx, tx, t, checkpoint{origin: t.origin, size: e.size, root: e.root()})
	})
}

// IndexSmall makes segments as they are made while records come one by one, without the largest.
func (l *Log) IndexSmall(ctx context.Context, organizationID string) error {
	for {
		more := false
		var made *madeSegment
		err := l.snapshot(ctx, func(tx *sql.Tx) error {
			t, err := readTree(ctx, tx, organizationID)
			if err != nil {
				return err
			}
			segments, err := readSegments(ctx, tx, t)
			if err != nil {
				return err
			}
			at := int64(0)
			for _, g := range segments {
				at = g.end()
			}
			g := segment{level: 1, number: at >> segmentLevels[1]}
			if more = g.end() <= t.size; more {
				made, err = t.makeSegment(ctx, tx, g, segments)
			}
			return err
		})
		if err != nil || !more {
			return err
		}
		if err := l.db.Write(ctx, func(tx *sql.Tx) error { return made.store(ctx, l, tx) }); err != nil {
			return err
		}
	}
}

// BlockTerms are the terms of a block of the index.
func BlockTerms(data []byte) (terms []string) {
	for r := readBlock(data); r.scan(); {
		terms = append(terms, string(r.term))
	}
	return terms
}
