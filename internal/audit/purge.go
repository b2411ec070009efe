package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// purgeChunk is how many records one transaction looks at: an append waits no longer than that.
	purgeChunk = 2000
	// detailDays follows the number of days in the detail of a purge.
	detailDays = " days"
)

// Purge removes what records say that are older than a number of days: their
// bytes, their texts and the columns copied out of them. It leaves their
// places, ids and operation ids, and the hashes that hold them in the tree.
// What was purged is recorded first, in the same transaction. Each transaction
// stands alone, so that Purge may be interrupted, and run by several processes
// at once.
//
// It keeps the events that purge, erase, change keys and list trees, and those
// of an operation that is not settled or of which any event is younger.
// Nothing is purged of a record that does not verify: the error then is a
// *TamperedError.
func (l *Log) Purge(ctx context.Context, days int) (purged int64, err error) {
	before := l.now().UTC().AddDate(0, 0, -days)
	trees, err := readTrees(ctx, l.db.Reader())
	if err != nil {
		return 0, fmt.Errorf("purge audit: %w", err)
	}
	for _, t := range trees {
		for p := (purging{log: l, days: days, before: before}); ; {
			next := p
			err := l.db.Write(ctx, func(tx *sql.Tx) error {
				next = p
				return next.chunk(ctx, tx, t.organizationID)
			})
			if err != nil {
				return purged, fmt.Errorf("purge audit: %w", err)
			}
			purged += next.purged
			if p = next; p.done {
				break
			}
		}
	}
	return purged, nil
}

// purging is how far the purge of one tree has come.
type purging struct {
	log    *Log
	days   int
	before time.Time

	// The last record looked at, in the order of time and place.
	time, seq int64
	done      bool
	purged    int64 // by the last chunk
}

// chunk purges what it finds among the next records.
func (p *purging) chunk(ctx context.Context, tx *sql.Tx, organizationID string) error {
	t, err := p.log.lockedTree(ctx, tx, organizationID)
	if err != nil {
		return err
	}
	const old = `WHERE e.tree = ? AND e.time > 0 AND e.time >= ? AND e.time < ? AND (e.time > ? OR e.seq > ?) ORDER BY e.time, e.seq LIMIT ?`
	rows, err := queryRows(ctx, tx, old, t.number, p.time, p.before.UnixMilli(), p.time, p.seq, purgeChunk)
	if err != nil {
		return err
	}
	p.purged, p.done = 0, len(rows) < purgeChunk
	if len(rows) == 0 {
		return nil
	}
	p.time, p.seq = rows[len(rows)-1].time, rows[len(rows)-1].seq
	seqs, err := p.choose(ctx, tx, t, rows)
	if err != nil {
		return err
	}
	p.purged = int64(len(seqs))
	gone := spansOf(seqs)
	for len(seqs) > 0 {
		// One event, unless too many records in between are kept.
		places, taken := spansThatFit(seqs)
		seqs = seqs[taken:]
		_, err := p.log.Append(ctx, tx, Event{
			OrganizationID: organizationID, Action: ActionPurge, Phase: PhaseInfo, Actor: Actor{System: true},
			Target: Target{Type: targetRecords, ID: places.String()}, Count: taken, Detail: strconv.Itoa(p.days) + detailDays,
		})
		if err != nil {
			return err
		}
	}
	return t.drop(ctx, tx, gone)
}

// choose returns the places of those of the rows that are to go, in order.
func (p *purging) choose(ctx context.Context, tx *sql.Tx, t *tree, rows []row) ([]int64, error) {
	hashes := hashesOf(ctx, tx, t)
	if err := t.check(p.log.verifier, hashes); err != nil {
		return nil, err
	}
	events, err := t.eventsOf(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	over := make(map[string]bool) // by operation
	var seqs []int64
	for i := range events {
		ev := &events[i]
		switch ev.Action {
		case ActionPurge, ActionErase, ActionKeyChange, ActionTreeCreate:
			continue
		default:
		}
		if id := ev.OperationID; id != "" {
			if _, known := over[id]; !known {
				if over[id], err = p.over(ctx, tx, t, id); err != nil {
					return nil, err
				}
			}
			if !over[id] {
				continue
			}
		}
		// What was changed must not go in silence.
		if err := t.holds(hashes, &rows[i]); err != nil {
			return nil, err
		}
		seqs = append(seqs, ev.Seq)
	}
	slices.Sort(seqs)
	return seqs, nil
}

// over reports whether nothing more will come of an operation, and all of it is old.
func (p *purging) over(ctx context.Context, tx *sql.Tx, t *tree, operationID string) (bool, error) {
	events, err := t.readEvents(ctx, tx, `WHERE e.tree = ? AND e.operation_id = ? AND e.operation_id <> '' ORDER BY e.seq`, t.number, operationID)
	if err != nil {
		return false, err
	}
	intent, settled := false, false
	for _, ev := range events {
		if ev.Purged == nil && !ev.Time.Before(p.before) {
			return false, nil
		}
		intent = intent || ev.Phase == PhaseIntent
		settled = settled || ev.Purged != nil || ev.Phase == PhaseOutcome && ev.Outcome != OutcomeUnknown
	}
	return settled || !intent, nil
}

// holds checks that the bytes of a row are under the tree's checkpoint, which is checked already.
func (t *tree) holds(hashes *storedHashes, r *row) error {
	bad := func(err error) error {
		return &TamperedError{Tree: t.organizationID, Seq: r.seq, ID: r.id, Problem: "it does not lead to the root that is signed: the bytes or the tree were changed", Err: err}
	}
	root, err := parseHash(t.root)
	if err != nil || r.seq < 0 || r.seq >= t.size {
		return bad(err)
	}
	proof, err := tlog.ProveRecord(t.size, r.seq, hashes)
	if hashes.err != nil {
		return hashes.err
	}
	if err == nil {
		err = tlog.CheckRecord(proof, t.size, root, r.seq, tlog.RecordHash([]byte(r.bytes.String)))
	}
	if err != nil {
		return bad(err)
	}
	return nil
}

// drop removes what the records say.
func (t *tree) drop(ctx context.Context, tx *sql.Tx, gone spans) error {
	if err := t.forgets(ctx, tx, gone); err != nil {
		return err
	}
	var dropped int64
	for _, s := range gone {
		if _, err := tx.ExecContext(ctx, `DELETE FROM audit_texts WHERE tree = ? AND seq BETWEEN ? AND ?`, t.number, s.first, s.last); err != nil {
			return fmt.Errorf("purge texts: %w", err)
		}
		const blank = `UPDATE audit_events SET bytes = NULL, time = 0, action = '', phase = '', outcome = '', actor_id = '', target_id = ''
			WHERE tree = ? AND seq BETWEEN ? AND ? AND bytes IS NOT NULL`
		res, err := tx.ExecContext(ctx, blank, t.number, s.first, s.last)
		if err != nil {
			return fmt.Errorf("purge events: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("purge events: %w", err)
		}
		dropped += n
	}
	if dropped != gone.count() {
		return fmt.Errorf("purge events: %d records instead of %d", dropped, gone.count())
	}
	return nil
}

// eventsOf makes events of rows, in the same order.
func (t *tree) eventsOf(ctx context.Context, q queryer, rows []row) ([]Event, error) {
	return t.eventsOr(ctx, q, rows, func(_ *row, err error) (Event, error) { return Event{}, err })
}

// eventsOrDamage is eventsOf, but what does not fit is an event that says so and nothing else.
func (t *tree) eventsOrDamage(ctx context.Context, q queryer, rows []row) ([]Event, error) {
	return t.eventsOr(ctx, q, rows, func(r *row, err error) (Event, error) {
		tampered, ok := errors.AsType[*TamperedError](err)
		if !ok {
			return Event{}, err
		}
		return Event{Seq: r.seq, ID: r.id, OrganizationID: t.organizationID, Damage: tampered.Problem}, nil
	})
}

// eventsOr makes events of rows, and has otherwise decide about one that does not fit.
func (t *tree) eventsOr(ctx context.Context, q queryer, rows []row, otherwise func(r *row, err error) (Event, error)) ([]Event, error) {
	in := []any{t.number}
	for _, r := range rows {
		in = append(in, r.seq)
	}
	sides, err := querySides(ctx, q, `WHERE tree = ? AND seq IN (?`+strings.Repeat(`, ?`, len(rows)-1)+`)`, in...)
	if err != nil {
		return nil, err
	}
	if err := t.loadCoverFor(ctx, q, rows, sides); err != nil {
		return nil, err
	}
	bySeq := make(map[int64][]sideRow, len(rows))
	for _, s := range sides {
		bySeq[s.seq] = append(bySeq[s.seq], s)
	}
	events := make([]Event, 0, len(rows))
	for i := range rows {
		ev, err := t.join(&rows[i], bySeq[rows[i].seq])
		if err != nil {
			if ev, err = otherwise(&rows[i], err); err != nil {
				return nil, err
			}
		}
		events = append(events, ev)
	}
	return events, nil
}

// provePurged proves that the leaf of a purged record, and the event that says it was purged, are in the tree.
func (l *Log) provePurged(ctx context.Context, q queryer, t *tree, by *Purged, e *Evidence) error {
	purge, err := queryRows(ctx, q, `WHERE e.tree = ? AND e.seq = ?`, t.number, by.Seq)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(purge, func(r row) bool { return r.bytes.Valid }) {
		return t.tampered(nil, "the event that says it was purged is gone")
	}
	if err := l.prove(ctx, q, t, &Evidence{Bytes: []byte(purge[0].bytes.String), LeafIndex: by.Seq}); err != nil {
		return err
	}
	hashes := hashesOf(ctx, q, t)
	leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, e.LeafIndex)})
	if hashes.err != nil {
		return hashes.err
	}
	if err != nil {
		return t.tampered(err, "its leaf is gone: %v", err)
	}
	e.Bytes = nil
	return l.proveLeaf(ctx, q, t, e, leaf[0])
}
