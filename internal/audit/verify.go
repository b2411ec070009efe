package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"sync/atomic"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"orgconsole/internal/database"
)

const (
	// chunk is how many events a walk holds in memory at once.
	chunk = 2000
	// collectEvery is about how many bytes are read between one collection of garbage and the next.
	collectEvery = 64 << 20
)

// VerifyOptions say how to verify.
type VerifyOptions struct {
	// StateDir is where the checkpoints seen are remembered, so that a log that was shortened, or replaced by an older
	// copy of itself, is found the next time. "" remembers nothing.
	StateDir string
}

// Report says what was found intact.
type Report struct {
	Trees  []TreeReport // the system tree first
	Events int64
	// NotRemembered is why the checkpoints could not be stored in StateDir, or nil. The log is intact all the same.
	NotRemembered error
}

// TreeReport is one tree of a Report, and what was held against its signed root.
type TreeReport struct {
	OrganizationID string // "" for the system tree
	Origin         string
	Size           int64  // records, each hashed or, where it was purged, held by its stored hash
	Root           string // base64
	Checkpoint     string // signed note over the root
	Purged         int64  // records of which an event says that they were purged
	Texts          int64  // personal texts that have the salted hash in their record
	Erased         int64  // personal texts of which an event says that they were erased
	Hashes         int64  // stored hashes, each compared with one computed from the records
}

// Verify checks the whole audit of a store against a public key, or several
// separated by commas of which one is the store's and the others were before: every record,
// every column and text copied out of it, every stored hash, every checkpoint,
// the list of trees, and that each tree continues the one that was seen the
// time before. It reads one consistent state of the store and writes nothing
// to it.
//
// When something does not fit, the error is a *TamperedError that names the
// first bad record; a key that did not sign the log (ErrWrongKey) is one too.
// Any other error means that it could not look.
func Verify(ctx context.Context, db *database.DB, publicKey string, opts VerifyOptions) (Report, error) {
	keys, err := parseKeys(publicKey)
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	v := newVerification(db, keys, opts)
	txs, err := db.Snapshots(ctx, 1+runtime.GOMAXPROCS(0))
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	v.workers = txs[1:]
	// What is read is garbage at once. With nothing else in memory it would be collected all the time.
	room := make([]byte, collectEvery)
	err = v.run(ctx, db, txs[0])
	runtime.KeepAlive(room)
	for _, tx := range txs {
		_ = tx.Rollback() // nothing was written
	}
	// What was read of a store in motion proves nothing, neither good nor bad.
	if moved := db.Stable(); moved != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", moved)
	}
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", damage(err))
	}
	v.report.NotRemembered = v.memory.write(v.trees)
	return v.report, nil
}

// damage blames the store for what shows that it is damaged.
func damage(err error) error {
	if database.IsDamaged(err) {
		return &TamperedError{Seq: -1, Problem: "the store is damaged: " + err.Error(), Err: err}
	}
	return err
}

// verification is one run of Verify.
type verification struct {
	db     *database.DB
	keys   []oldKey      // those given
	key    note.Verifier // the one of them that signed the store
	memory memory
	trees  []*tree
	listed []listedTree // what the system tree lists
	report Report

	changes map[string][]*keyChange // of each tree, by origin

	progress func(done, total int64) // nil, or told how far a tree is read
	entries  *entries                // nil: nothing compares the indexes with what is read
	pages    *database.Pages         // nil: the store itself has to read
	odd      atomic.Bool             // pages or a stretch were not as they should be: the store has to look at itself, too
	walked   int                     // stretches that were not intact
	walkAll  bool                    // as if none were
	workers  []*sql.Tx               // that see what tx sees, for stretches to be verified at once
}

// listedTree is an event of the system tree that lists a tree.
type listedTree struct {
	seq    int64
	id     string
	origin string
}

func newVerification(db *database.DB, keys []oldKey, opts VerifyOptions) *verification {
	return &verification{db: db, keys: keys, memory: memory{dir: opts.StateDir, store: db.Name()}, changes: make(map[string][]*keyChange)}
}

// run verifies the state of the store that a transaction sees.
func (v *verification) run(ctx context.Context, db *database.DB, tx *sql.Tx) (err error) {
	if v.trees, err = readTrees(ctx, tx); err != nil {
		return err
	}
	if len(v.trees) == 0 || v.trees[0].organizationID != "" {
		return &TamperedError{Seq: -1, Problem: "it is gone"}
	}
	if err := v.chooseKey(ctx, tx); err != nil {
		return err
	}
	// With the wrong key there is nothing else to say.
	for _, t := range v.trees {
		if _, err := t.checkpoint(v.key); errors.Is(err, ErrWrongKey) {
			return err
		}
	}
	if err := v.memory.checkStore(v.trees[0]); err != nil {
		return err
	}
	if v.entries, err = newEntries(ctx, db, tx); err != nil {
		return err
	}
	v.findPages(ctx, tx)
	for _, t := range v.trees {
		if err := v.tree(ctx, tx, t); err != nil {
			return err
		}
	}
	if err := v.list(); err != nil {
		return err
	}
	if err := v.strays(ctx, tx); err != nil {
		return err
	}
	return v.indexes(ctx, tx)
}

// findPages looks whether there are pages to read.
func (v *verification) findPages(ctx context.Context, tx *sql.Tx) {
	var err error
	if v.pages, err = v.db.Pages(ctx, tx); err != nil {
		v.odd.Store(true) // what is wrong is for the store to say
	}
}

// tree verifies one tree from its first record to its checkpoint.
func (v *verification) tree(ctx context.Context, tx *sql.Tx, t *tree) error {
	if err := t.loadCover(ctx, tx); err != nil {
		return err
	}
	seen, err := v.memory.read(t)
	if err != nil {
		return err
	}
	segments, err := allSegments(ctx, tx, t)
	if err != nil {
		return err
	}
	w := walk{segments: segments, v: v, t: t, tx: tx, seen: seen, fromSide: math.MinInt64}
	// Before the first place and after the last there should be nothing.
	if err := w.through(ctx, math.MinInt64, 0); err != nil {
		return err
	}
	if err := w.stretches(ctx); err != nil {
		return err
	}
	if err := w.through(ctx, t.size, math.MaxInt64); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if w.index != nil {
		if err := w.index.end(ctx, tx); err != nil {
			return err
		}
	}
	if err := t.strayIndex(ctx, tx, segments); err != nil {
		return err
	}
	v.changes[t.origin] = w.changes
	v.report.Events += t.size
	w.report.OrganizationID, w.report.Origin, w.report.Size, w.report.Root, w.report.Checkpoint = t.organizationID, t.origin, t.size, t.root, t.note.String
	v.report.Trees = append(v.report.Trees, w.report)
	return nil
}

// walk goes through the records of one tree in order, and builds it anew.
type walk struct {
	v    *verification
	t    *tree
	tx   *sql.Tx
	seen *checkpoint // the one remembered from the last time, or nil

	edge  edge
	sides []sideRow // of this chunk, not yet claimed by an event

	changes []*keyChange // of all chunks

	segments []segment
	index    *indexCheck // of the stretch that is walked through
	report   TreeReport  // so far

	fromSide int64
}

func (w *walk) bad(seq int64, id, format string, args ...any) error {
	return &TamperedError{Tree: w.t.organizationID, Seq: seq, ID: id, Problem: fmt.Sprintf(format, args...)}
}

// through verifies the records from one place to another, which is not included.
func (w *walk) through(ctx context.Context, from, to int64) error {
	for w.fromSide = from; ; {
		rows, err := queryRows(ctx, w.tx, `WHERE e.tree = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq LIMIT ?`, w.t.number, from, to, chunk)
		if err != nil {
			return err
		}
		if err := w.chunk(ctx, rows, to); err != nil {
			return err
		}
		if len(rows) < chunk {
			return nil
		}
		from = rows[len(rows)-1].seq + 1
	}
}

// chunk verifies the next rows, none of which is at to or after it. Fewer than a full chunk are the last ones.
func (w *walk) chunk(ctx context.Context, rows []row, to int64) error {
	toSide := to - 1
	if len(rows) == chunk {
		toSide = rows[len(rows)-1].seq
	}
	sides, err := querySides(ctx, w.tx, `WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq`, w.t.number, w.fromSide, toSide)
	if err != nil {
		return err
	}
	w.sides = append(w.sides, sides...)
	w.fromSide = toSide + 1
	for i := range rows {
		if err := w.record(&rows[i]); err != nil {
			return err
		}
		if w.edge.size%indexStretch == 0 {
			if err := w.index.end(ctx, w.tx); err != nil {
				return err
			}
			w.index = nil
		}
	}
	return nil
}

func (w *walk) record(r *row) error {
	want := w.edge.size
	switch {
	case r.seq < want:
		return w.bad(r.seq, r.id, "it does not belong in the tree")
	case r.seq > want:
		return w.bad(want, "", "it is missing; the next one is seq %d id %s", r.seq, r.id)
	case r.seq >= w.t.size:
		return w.bad(r.seq, r.id, "it is beyond the %d records of the tree", w.t.size)
	}
	n := 0
	for n < len(w.sides) && w.sides[n].seq <= r.seq {
		n++
	}
	sides := w.sides[:n]
	w.sides = w.sides[n:]
	if n > 0 && sides[0].seq < r.seq {
		return w.bad(sides[0].seq, "", "there is a text %q of a record that does not exist", sides[0].field)
	}
	ev, err := w.t.join(r, sides)
	if err != nil {
		return err
	}
	if err := w.changeKey(&ev); err != nil {
		return err
	}
	count(&w.report, &ev, sides)
	if w.index == nil {
		w.index = newIndexCheck(w.t, w.segments, want)
	}
	w.index.add(&ev)
	first := tlog.StoredHashIndex(0, want)
	leaf := tlog.RecordHash([]byte(r.bytes.String))
	if ev.Purged != nil && len(r.hashes) >= tlog.HashSize {
		leaf = tlog.Hash(r.hashes[:tlog.HashSize]) // all there is; the hashes above it and the root hold it
	}
	hashes, kept := w.edge.add(leaf), r.hashes
	for i, h := range hashes {
		index := first + int64(i)
		if len(kept) < len(h) {
			return w.bad(r.seq, r.id, "its stored hash %d is missing", index)
		}
		if string(kept[:len(h)]) != string(h[:]) {
			return w.bad(r.seq, r.id, "its bytes do not have the hash that is stored (index %d)", index)
		}
		kept = kept[len(h):]
	}
	if len(kept) > 0 {
		return w.bad(r.seq, r.id, "there are more stored hashes than belong to it")
	}
	w.report.Hashes += int64(len(hashes))
	if w.seen != nil && w.edge.size == w.seen.size && w.edge.root() != w.seen.root {
		return w.bad(r.seq, r.id, "the records up to this one give root %s; the last time this log was verified they gave %s", w.edge.root(), w.seen.root)
	}
	if w.t.organizationID == "" && ev.Action == ActionTreeCreate {
		w.v.listed = append(w.v.listed, listedTree{r.seq, r.id, ev.Target.ID})
	}
	return nil
}

// count counts what was found of a record.
func count(report *TreeReport, ev *Event, sides []sideRow) {
	if ev.Purged != nil {
		report.Purged++
	}
	for _, s := range sides {
		if ev.Erased.has(s.field) {
			report.Erased++
		} else {
			report.Texts++
		}
	}
}

// end holds what was found against the head and the checkpoints.
func (w *walk) end() error {
	t, size := w.t, w.edge.size
	c, err := t.checkpoint(w.v.key)
	switch {
	case size < t.size:
		return w.bad(size, "", "it is missing, and so is all after it: the tree has %d records", t.size)
	case w.seen != nil && w.seen.size > size:
		return w.bad(size, "", "it is missing, and so is all after it: %d records were there the last time this log was verified", w.seen.size)
	case c.size > size && c.origin == t.origin:
		return w.bad(size, "", "it is missing, and so is all after it: the checkpoint is signed over %d records", c.size)
	case len(w.sides) > 0:
		return w.bad(w.sides[0].seq, "", "there is a text %q of a record that does not exist", w.sides[0].field)
	case size == 0:
		return w.bad(0, "", "it is missing: no tree is empty")
	case w.edge.root().String() != t.root:
		return w.bad(-1, "", "the records give root %s, its head has %s", w.edge.root(), t.root)
	case err == nil && len(w.changes) > 0 && w.changes[len(w.changes)-1].new != w.v.memory.text:
		return w.bad(-1, "", "its checkpoint is not signed by the key that was changed to last")
	}
	return err
}

// list holds the trees there are against those that the system tree lists.
func (v *verification) list() error {
	present := make(map[string]*tree, len(v.trees))
	for _, t := range v.trees {
		if present[t.origin] != nil {
			return t.tampered(nil, "it is there twice")
		}
		present[t.origin] = t
	}
	for _, l := range v.listed {
		if present[l.origin] == nil {
			return &TamperedError{Seq: l.seq, ID: l.id, Problem: "it lists the tree " + l.origin + ", which is gone or listed twice"}
		}
		if err := v.keyChanges(present[l.origin], l.seq); err != nil {
			return err
		}
		delete(present, l.origin)
	}
	for _, t := range v.trees {
		if present[t.origin] != nil {
			return t.tampered(nil, "the system tree does not list it")
		}
	}
	return nil
}

// strays looks for rows of trees that there are not. The numbers of the trees
// are nearly always without gaps, so this is a few look-ups in the indexes.
func (v *verification) strays(ctx context.Context, tx *sql.Tx) error {
	after := int64(math.MinInt64)
	for i := range len(v.trees) + 1 {
		before := int64(math.MaxInt64)
		if i < len(v.trees) {
			before = v.trees[i].number
		}
		if before-1 != after {
			const stray = `SELECT EXISTS (SELECT 1 FROM audit_events WHERE tree > ? AND tree < ?)
				OR EXISTS (SELECT 1 FROM audit_texts WHERE tree > ? AND tree < ?)
				OR EXISTS (SELECT 1 FROM audit_checkpoints WHERE tree > ? AND tree < ?)
				OR EXISTS (SELECT 1 FROM audit_segments WHERE tree > ? AND tree < ?)
				OR EXISTS (SELECT 1 FROM audit_terms WHERE tree > ? AND tree < ?)`
			var found bool
			if err := tx.QueryRowContext(ctx, stray, after, before, after, before, after, before, after, before, after, before).Scan(&found); err != nil {
				return fmt.Errorf("look for stray rows: %w", err)
			}
			if found {
				return &TamperedError{Seq: -1, Problem: fmt.Sprintf("there are rows of a tree between number %d and %d that does not exist", after, before)}
			}
		}
		after = before
	}
	return nil
}

// edge is the right edge of a growing tree: the roots of the complete subtrees
// that its size is the sum of, by level. It is written from RFC 6962, not with
// tlog's functions that Append uses, so that the two check each other.
type edge struct {
	size   int64
	levels [64]tlog.Hash
	out    [64]tlog.Hash
}

// add appends a leaf and returns the hashes to store with it, in the order of
// tlog's stored hash indexes. They are valid until the next add.
func (e *edge) add(leaf tlog.Hash) []tlog.Hash { return e.addSubtree(0, leaf) }

// addSubtree is add for a complete subtree of a level, to an edge that consists of such and larger ones.
func (e *edge) addSubtree(level int, root tlog.Hash) []tlog.Hash {
	complete := bits.TrailingZeros64(^uint64(e.size >> level)) // subtrees that this one completes //nolint:gosec // size is never negative
	h := root
	e.out[0] = h
	for i := range complete {
		h = tlog.NodeHash(e.levels[level+i], h)
		e.out[i+1] = h
	}
	e.levels[level+complete] = h
	e.size += 1 << level
	return e.out[:complete+1]
}

func (e *edge) root() tlog.Hash {
	var root tlog.Hash
	first := true
	for level := range e.levels {
		if e.size>>level&1 == 0 {
			continue
		}
		if first {
			root, first = e.levels[level], false
		} else {
			root = tlog.NodeHash(e.levels[level], root)
		}
	}
	return root
}
