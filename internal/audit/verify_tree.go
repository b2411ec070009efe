package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Verify checks the whole log of one organization with this log's own key:
// all that the function Verify checks of a tree, and that the system tree
// lists it. It says nothing of other trees, of the store's files, nor of what
// was seen before. It returns ErrNoLog for an organization of which nothing
// was ever recorded.
//
// progress, which may be nil, is told now and then how many records were
// verified, in the goroutine that calls. It reads one state of the store and
// takes time, but no more memory, with the number of records; a context that
// ends stops it.
func (l *Log) Verify(ctx context.Context, organizationID string, progress func(done, total int64)) (TreeReport, error) {
	v := newVerification(l.db, []oldKey{{public: l.public, verifier: l.verifier}}, VerifyOptions{})
	v.key, v.memory.key, v.memory.text, v.progress = l.verifier, l.verifier, l.public, progress
	_ = l.db.EmptyLog(ctx) // without that it only takes longer
	err := snapshot(ctx, l.db, func(tx *sql.Tx) error { return v.one(ctx, tx, organizationID) })
	if err != nil {
		return TreeReport{}, fmt.Errorf("verify audit log: %w", damage(err))
	}
	return v.report.Trees[0], nil
}

// one verifies one tree and its place in the system tree.
func (v *verification) one(ctx context.Context, tx *sql.Tx, organizationID string) error {
	system, err := readTree(ctx, tx, "")
	if err != nil {
		return err
	}
	v.trees = []*tree{system}
	hashes := hashesOf(ctx, tx, system)
	if err := system.check(v.key, hashes); err != nil {
		return err
	}
	t, err := readTree(ctx, tx, organizationID)
	if errors.Is(err, sql.ErrNoRows) {
		gone := organizationOrigin(system.origin, organizationID)
		if err := missingTree(ctx, tx, system, func(listed string) bool { return listed != gone }); err != nil {
			return err
		}
		return ErrNoLog
	}
	if err != nil {
		return err
	}
	// With their reader rows are read as from pages. What it counts is for nobody: indexes have the rows of all trees.
	if v.entries, err = newEntries(ctx, v.db, tx); err != nil {
		return err
	}
	v.findPages(ctx, tx)
	if err := v.tree(ctx, tx, t); err != nil || organizationID == "" {
		return err
	}
	listed, err := queryRows(ctx, tx, `WHERE e.tree = ? AND e.action = ? AND e.target_id = ? ORDER BY e.seq`, system.number, string(ActionTreeCreate), t.origin)
	if err != nil {
		return err
	}
	if len(listed) == 0 {
		return t.tampered(nil, "the system tree does not list it")
	}
	if err := v.provenIn(system, hashes, listed[:1]); err != nil {
		return err
	}
	changes, err := queryRows(ctx, tx, whereCovering, system.number)
	if err != nil {
		return err
	}
	for i := range changes {
		if changes[i].action != string(ActionKeyChange) {
			continue
		}
		if err := v.provenIn(system, hashes, changes[i:i+1]); err != nil {
			return err
		}
	}
	return v.keyChanges(t, listed[0].seq)
}

// provenIn checks that rows of the system tree, which have no texts, are what they say and under its checkpoint, and
// takes up the changes of keys among them.
func (v *verification) provenIn(system *tree, hashes *storedHashes, rows []row) error {
	for i := range rows {
		ev, err := system.join(&rows[i], nil)
		if err != nil {
			return err
		}
		if err := system.holds(hashes, &rows[i]); err != nil {
			return err
		}
		if k := parseKeyChange(&ev); k != nil {
			v.changes[system.origin] = append(v.changes[system.origin], k)
		}
	}
	return nil
}
