package audit

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Fill records events of an organization of which nothing was recorded yet, with one checkpoint for very many of them: a
// million is there in a minute. An event that has no time gets the log's.
func (l *Log) Fill(ctx context.Context, organizationID string, events int, event func(n int) Event) error {
	const (
		some = 2000
		many = 100 * some // what one transaction writes
	)
	var e edge
	for e.size < int64(events) {
		err := l.db.Write(ctx, func(tx *sql.Tx) error {
			t, err := l.treeToFill(ctx, tx, organizationID, e.size == 0)
			if err != nil {
				return err
			}
			for end := min(e.size+many, int64(events)); e.size < end; {
				rows := make([]insertedRow, 0, some)
				for len(rows) < some && e.size < end {
					ev := cleaned(event(int(e.size)))
					if ev.Time.IsZero() {
						ev.Time = l.now()
					}
					ev.OrganizationID, ev.Seq, ev.Time, ev.Build, ev.Schema = organizationID, e.size, ev.Time.UTC().Truncate(time.Millisecond), l.build, schema
					if ev.ID, err = newID(ev.Time, l.rand); err != nil {
						return err
					}
					r, err := l.newRow(ev)
					if err != nil {
						return err
					}
					r.hashes = slices.Clone(e.add(tlog.RecordHash(r.bytes)))
					rows = append(rows, r)
				}
				if _, err := l.db.Exec(ctx, tx, inserts(t, rows)...); err != nil {
					return err
				}
			}
			return l.advance(ctx, tx, t, checkpoint{origin: t.origin, size: e.size, root: e.root()})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) treeToFill(ctx context.Context, tx *sql.Tx, organizationID string, create bool) (*tree, error) {
	if create {
		return l.createOrganizationTree(ctx, tx, organizationID)
	}
	return readTree(ctx, tx, organizationID)
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
