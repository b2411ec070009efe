package audit

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"net/url"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// queryer is a transaction or the pool of readers.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// tree is the head of a tree and its newest checkpoint, as stored.
type tree struct {
	number         int64
	organizationID string
	origin         string
	size           int64
	root           string
	note           sql.NullString // invalid: there is none
	noteSize       sql.NullInt64
	fresh          bool // made in this transaction and without a record yet
	cover          *cover
}

const (
	originPrefix = "orgconsole/"
	originSystem = "/system"
	originOf     = "/organization/"
)

// organizationOrigin names an organization's tree in the store that a system tree belongs to.
func organizationOrigin(systemOrigin, organizationID string) string {
	return strings.TrimSuffix(systemOrigin, originSystem) + originOf + url.PathEscape(organizationID)
}

const selectTree = `SELECT t.tree, t.organization_id, t.origin, t.size, t.root, c.note, c.size
	FROM audit_trees t LEFT JOIN audit_checkpoints c ON c.tree = t.tree`

// readTree returns sql.ErrNoRows when the organization has no tree.
func readTree(ctx context.Context, q queryer, organizationID string) (*tree, error) {
	t := new(tree)
	err := q.QueryRowContext(ctx, selectTree+` WHERE t.organization_id = ?`, organizationID).
		Scan(&t.number, &t.organizationID, &t.origin, &t.size, &t.root, &t.note, &t.noteSize)
	if err != nil {
		return nil, fmt.Errorf("read head of tree: %w", err)
	}
	return t, nil
}

// readTrees returns all trees, the system tree first, as it was made first.
func readTrees(ctx context.Context, q queryer) ([]*tree, error) {
	rows, err := q.QueryContext(ctx, selectTree+` ORDER BY t.tree`)
	if err != nil {
		return nil, fmt.Errorf("read heads of trees: %w", err)
	}
	defer rows.Close()
	var trees []*tree
	for rows.Next() {
		t := new(tree)
		if err := rows.Scan(&t.number, &t.organizationID, &t.origin, &t.size, &t.root, &t.note, &t.noteSize); err != nil {
			return nil, unreadable(ctx, err)
		}
		trees = append(trees, t)
	}
	return trees, rows.Err()
}

// tampered blames the tree as a whole.
func (t *tree) tampered(err error, format string, args ...any) *TamperedError {
	return &TamperedError{Tree: t.organizationID, Seq: -1, Problem: fmt.Sprintf(format, args...), Err: err}
}

// checkpoint opens the tree's newest checkpoint and holds it against the head.
func (t *tree) checkpoint(verifier note.Verifier) (checkpoint, error) {
	if !t.note.Valid {
		return checkpoint{}, t.tampered(nil, "its checkpoint is gone")
	}
	c, err := openCheckpoint(t.note.String, verifier)
	if err != nil {
		return checkpoint{}, t.tampered(err, "checkpoint: %v", err)
	}
	switch {
	case c.origin != t.origin:
		return c, t.tampered(nil, "its checkpoint is of %s, its head of %s", c.origin, t.origin)
	case c.size != t.size || t.noteSize.Int64 != t.size:
		return c, t.tampered(nil, "its checkpoint is signed over %d records, its head has %d", c.size, t.size)
	case c.root.String() != t.root:
		return c, t.tampered(nil, "its checkpoint is signed over root %s, its head has %s", c.root, t.root)
	}
	return c, nil
}

// check holds the head against the signed checkpoint and against the hashes at
// the right edge of the tree, which hold every record before.
func (t *tree) check(verifier note.Verifier, hashes *storedHashes) error {
	c, err := t.checkpoint(verifier)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(t.size, hashes)
	if hashes.err != nil {
		return hashes.err
	}
	if err != nil {
		return t.tampered(err, "its root cannot be computed: %v", err)
	}
	if root != c.root {
		return t.tampered(nil, "its stored hashes give root %s, its checkpoint is signed over %s", root, c.root)
	}
	return nil
}

// storedHashes reads the hashes of one tree and keeps them, for the length of
// one transaction.
type storedHashes struct {
	ctx  context.Context //nolint:containedctx // tlog.HashReader has none to pass
	q    queryer
	tree int64
	seen map[int64]tlog.Hash
	err  error // why the store could not be read; nil when what was read is to blame
}

func hashesOf(ctx context.Context, q queryer, t *tree) *storedHashes {
	return &storedHashes{ctx: ctx, q: q, tree: t.number, seen: make(map[int64]tlog.Hash)}
}

// ReadHashes implements tlog.HashReader.
func (s *storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	args := []any{s.tree}
	for _, i := range indexes {
		if _, ok := s.seen[i]; !ok {
			level, n := tlog.SplitStoredHashIndex(i)
			args = append(args, (n+1)<<level-1)
		}
	}
	if len(args) > 1 {
		if err := s.fetch(args); err != nil {
			s.err = fmt.Errorf("read stored hashes: %w", err)
			return nil, s.err
		}
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := s.seen[index]
		if !ok {
			level, n := tlog.SplitStoredHashIndex(index)
			return nil, fmt.Errorf("stored hash %d, of record seq %d, is missing", index, (n+1)<<level-1)
		}
		hashes[i] = h
	}
	return hashes, nil
}

// fetch reads all hashes of some records.
func (s *storedHashes) fetch(args []any) error {
	rows, err := s.q.QueryContext(s.ctx, `SELECT seq, hashes FROM audit_events WHERE tree = ? AND seq IN (?`+strings.Repeat(`, ?`, len(args)-2)+`)`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var hashes []byte
		if err := rows.Scan(&seq, &hashes); err != nil {
			return err
		}
		first := tlog.StoredHashIndex(0, seq)
		for i := 0; i < hashesOfRecord(seq) && len(hashes) >= tlog.HashSize; i++ {
			s.seen[first+int64(i)] = tlog.Hash(hashes[:tlog.HashSize])
			hashes = hashes[tlog.HashSize:]
		}
	}
	return rows.Err()
}

// hashesOfRecord is how many hashes are stored with a record: its own, and
// that of each subtree it is the last record of. With tlog's count of them, the
// hash of n at a level is the one at place level of record (n+1)<<level - 1.
func hashesOfRecord(seq int64) int {
	return 1 + bits.TrailingZeros64(^uint64(seq))
}
