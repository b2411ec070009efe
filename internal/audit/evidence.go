package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Evidence is what proves that an event is in the log. Hashes are in base64.
type Evidence struct {
	Bytes      []byte // as hashed
	LeafHash   string // SHA-256 of a zero byte and the bytes, as RFC 6962 has it
	LeafIndex  int64
	TreeSize   int64    // records that the checkpoint is signed over
	Proof      []string // from the leaf's neighbour up to the root
	Checkpoint string   // signed note
	Verified   bool     // all of it was checked just now
	Problem    string   // why not, for people
}

// Event returns one event of an organization with its evidence, or
// ErrNotFound. Where something does not fit, Evidence says so and the event
// holds no more than its place and id.
func (l *Log) Event(ctx context.Context, organizationID, id string) (Event, Evidence, error) {
	var ev Event
	var evidence Evidence
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		rows, err := queryRows(ctx, tx, `WHERE e.tree = ? AND e.id = ?`, t.number, id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		r := rows[0]
		sides, err := querySides(ctx, tx, `WHERE tree = ? AND seq = ?`, t.number, r.seq)
		if err != nil {
			return err
		}
		if err := t.loadCoverFor(ctx, tx, rows, sides); err != nil {
			return err
		}
		evidence = Evidence{Bytes: []byte(r.bytes.String), LeafIndex: r.seq, TreeSize: t.size, Checkpoint: t.note.String}
		switch ev, err = t.join(&r, sides); {
		case err == nil && ev.Purged != nil:
			err = l.provePurged(ctx, tx, t, ev.Purged, &evidence)
		case err == nil:
			err = l.prove(ctx, tx, t, &evidence)
		}
		if tampered, ok := errors.AsType[*TamperedError](err); ok {
			ev = Event{Seq: r.seq, ID: r.id, OrganizationID: organizationID}
			evidence.Problem = tampered.Problem
			return nil
		}
		evidence.Verified = err == nil
		return err
	})
	if err != nil {
		return Event{}, Evidence{}, fmt.Errorf("read audit event: %w", err)
	}
	return ev, evidence, nil
}

// prove fills in the proof that the bytes are under the newest checkpoint, and checks it as a stranger would:
// from bytes, proof and checkpoint alone.
func (l *Log) prove(ctx context.Context, q queryer, t *tree, e *Evidence) error {
	return l.proveLeaf(ctx, q, t, e, tlog.RecordHash(e.Bytes))
}

func (l *Log) proveLeaf(ctx context.Context, q queryer, t *tree, e *Evidence, leaf tlog.Hash) error {
	e.LeafHash = leaf.String()
	c, err := t.checkpoint(l.verifier)
	if err != nil {
		return err
	}
	e.TreeSize = c.size
	if e.LeafIndex >= c.size {
		return t.tampered(nil, "it is beyond the %d records that the checkpoint is signed over", c.size)
	}
	hashes := hashesOf(ctx, q, t)
	proof, err := tlog.ProveRecord(c.size, e.LeafIndex, hashes)
	if hashes.err != nil {
		return hashes.err
	}
	if err != nil {
		return t.tampered(err, "no proof can be made: %v", err)
	}
	for _, h := range proof {
		e.Proof = append(e.Proof, h.String())
	}
	if err := tlog.CheckRecord(proof, c.size, c.root, e.LeafIndex, leaf); err != nil {
		return t.tampered(err, "its proof does not lead to the root that is signed: the bytes or the tree were changed")
	}
	return nil
}
