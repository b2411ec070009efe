package audit

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"orgconsole/internal/database"
)

// A stretch of records is verified apart from those before it: by itself it
// is a subtree. It is read fast, and only ever found to be intact. Whatever is
// not as it should be, or could not be read, is left to a walk, which begins
// where the stretch does and says what is wrong.

const (
	// stretchLevel is the level of the subtree that a whole stretch is.
	stretchLevel = 16
	// stretchChunk is how many records are read at once. A stretch is a multiple of it.
	stretchChunk = 1 << 11
	// mostTexts is more bytes than the texts of a chunk have.
	mostTexts = stretchChunk * 4 * 4 * (maxText + 64)
)

// stretch is what a worker found out about the records of one stretch.
type stretched struct {
	intact bool
	edge   edge       // of the stretch alone
	top    []byte     // stored hashes of its last record that are of subtrees larger than it
	seen   *edge      // what edge was at the size of the checkpoint that is remembered
	keys   []keyFound // changes of keys
	listed []listedTree
	report TreeReport
	sums   []uint64 // see entries
}

// keyFound is a change of keys, with the edge of the stretch before it.
type keyFound struct {
	change *keyChange
	edge   edge
}

// stretches verifies all records of the tree, several stretches at once where there are workers.
func (w *walk) stretches(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	type job struct {
		first int64
		done  chan stretched
	}
	var jobs, order chan job
	if w.t.size > indexStretch && len(w.v.workers) > 0 {
		jobs, order = make(chan job), make(chan job, 2*len(w.v.workers))
		running.Go(func() {
			defer close(jobs)
			for first := int64(0); first < w.t.size; first += indexStretch {
				j := job{first, make(chan stretched, 1)}
				for _, to := range []chan job{order, jobs} {
					select {
					case to <- j:
					case <-ctx.Done():
						return
					}
				}
			}
		})
		for _, tx := range w.v.workers {
			running.Go(func() {
				for j := range jobs {
					j.done <- w.stretch(ctx, tx, j.first)
				}
			})
		}
	}
	for first := int64(0); first < w.t.size; first += indexStretch {
		var s stretched
		if jobs == nil {
			s = w.stretch(ctx, w.tx, first)
		} else {
			select {
			case j := <-order:
				select {
				case s = <-j.done:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.edge.size != first || w.v.walkAll || !w.takes(&s) {
			w.v.odd.Store(true) // and its entries were not counted
			w.v.walked++
			if err := w.through(ctx, first, min(first+indexStretch, w.t.size)); err != nil {
				return err
			}
		}
		if w.v.progress != nil {
			w.v.progress(w.edge.size, w.t.size)
		}
	}
	return nil
}

// takes goes on from a stretch that is intact, if all of it fits what was before it.
func (w *walk) takes(s *stretched) bool {
	if !s.intact {
		return false
	}
	if s.seen != nil && w.edge.rootWith(s.seen) != w.seen.root {
		return false
	}
	for i, k := range s.keys {
		if !k.change.holds(w.t.origin, w.edge.rootWith(&k.edge)) {
			return false
		}
		before := w.changes
		if i > 0 {
			before = []*keyChange{s.keys[i-1].change}
		}
		if n := len(before); n > 0 && before[n-1].new != k.change.old {
			return false
		}
	}
	next, above := w.edge.with(&s.edge)
	for _, h := range above {
		if len(s.top) < len(h) || string(s.top[:len(h)]) != string(h[:]) {
			return false
		}
		s.top = s.top[len(h):]
		s.report.Hashes++
	}
	if len(s.top) > 0 {
		return false
	}
	w.edge = *next
	w.v.entries.take(s.sums)
	for _, k := range s.keys {
		w.changes = append(w.changes, k.change)
	}
	w.v.listed = append(w.v.listed, s.listed...)
	w.report.Purged += s.report.Purged
	w.report.Texts += s.report.Texts
	w.report.Erased += s.report.Erased
	w.report.Hashes += s.report.Hashes
	return true
}

// stretch verifies the records of a stretch.
func (w *walk) stretch(ctx context.Context, tx *sql.Tx, first int64) stretched {
	if w.v.pages != nil {
		if s := w.readStretch(ctx, tx, w.v.pages, first); s.intact {
			return s
		}
		// What the pages say is for SQLite to judge: it may find a row that they do not, and the other way round.
		w.v.odd.Store(true)
	}
	return w.readStretch(ctx, tx, nil, first)
}

func (w *walk) readStretch(ctx context.Context, tx *sql.Tx, pages *database.Pages, first int64) stretched {
	end := min(first+indexStretch, w.t.size)
	r := stretchReader{db: w.v.db, tx: tx, pages: pages, w: w, next: first, index: newIndexCheck(w.t, w.segments, first), entries: w.v.entries.of(w.t.number)}
	for r.next < end {
		if !r.chunk(ctx, min(r.next+stretchChunk, end)) {
			return stretched{}
		}
	}
	if err := r.index.end(ctx, tx); err != nil {
		return stretched{}
	}
	r.found.intact = true
	if r.entries != nil {
		r.found.sums = r.entries.sums
	}
	return r.found
}

// stretchReader reads and verifies the records of a stretch in order.
type stretchReader struct {
	db    *database.DB
	tx    *sql.Tx
	pages *database.Pages // nil: by tx
	w     *walk
	next  int64 // place of the next record
	index *indexCheck
	found stretched
	wrong bool // something is not as it should be

	entries *entries

	texts    string  // rows of audit_texts of this chunk that no record claimed yet, one after the other
	rows     int     // how many there are
	unclear  []int64 // records of which a text is gone, it seems
	record   record
	hasher   recordHasher
	expected []byte // what is packed of a row if it says what its bytes do; begins with its place on a line
}

// chunk verifies the records up to a place, which is not included.
func (r *stretchReader) chunk(ctx context.Context, end int64) bool {
	if ctx.Err() != nil {
		return false
	}
	tree, first, last := r.w.t.number, r.next, end-1
	var texts strings.Builder
	text := func(row *database.StreamedRow) {
		if texts.Len() > mostTexts {
			r.wrong = true
			return
		}
		texts.WriteString(row.Packed)
		r.rows++
	}
	record := func(row *database.StreamedRow) {
		if !r.wrong {
			r.wrong = !r.take(row)
		}
	}
	var err error
	if r.pages != nil {
		err = r.pages.Texts(tree, first, last, text)
	} else {
		err = r.db.Stream(ctx, r.tx, textsSelection(tree, first, last), text)
	}
	if err != nil {
		return false
	}
	r.texts, r.unclear = texts.String(), r.unclear[:0]
	if r.pages != nil {
		err = r.pages.Events(tree, first, last, record)
	} else {
		err = r.db.Stream(ctx, r.tx, r.entries.selection(tree, first, last), record)
	}
	// With no row left there is not a line too many, so that no text of one row can stand for those of two.
	return err == nil && !r.wrong && r.next == end && r.texts == "" && r.rows == 0 && r.clear(ctx)
}

// take verifies the next record.
func (r *stretchReader) take(row *database.StreamedRow) bool {
	seq := r.next
	r.next++
	var leaf tlog.Hash
	stored := row.Plain[1]
	packed := r.entries.begin(row.Packed)
	r.expected = append(strconv.AppendInt(r.expected[:0], seq, 10), '\n')
	if row.Null[0] {
		if len(stored) < len(leaf) || !r.purged(seq, packed) {
			return false
		}
		leaf = tlog.Hash([]byte(stored[:len(leaf)]))
	} else {
		if !r.event(seq, packed, row.Plain[0]) {
			return false
		}
		leaf = r.hasher.hash(row.Plain[0])
	}
	for _, h := range r.found.edge.add(leaf) {
		if len(stored) < len(h) || stored[:len(h)] != string(h[:]) {
			return false
		}
		stored = stored[len(h):]
		r.found.report.Hashes++
	}
	r.found.top = []byte(stored)
	if stored != "" && r.found.edge.size != indexStretch {
		return false
	}
	if seen := r.w.seen; seen != nil && seq+1 == seen.size {
		r.found.seen = new(r.found.edge)
	}
	return true
}

// event verifies what the bytes, the columns and the texts of a record say.
func (r *stretchReader) event(seq int64, packed, bytes string) bool {
	rec, ev := &r.record, &r.record.event
	*rec = record{event: Event{Actor: Actor{AuthFactors: ev.Actor.AuthFactors[:0]}}}
	if rec.parse(bytes) != nil || ev.Seq != seq || ev.OrganizationID != r.w.t.organizationID || r.w.t.cover.purge(seq) != nil {
		return false
	}
	place := len(r.expected)
	b := strconv.AppendInt(r.expected, ev.Time.UnixMilli(), 10)
	for _, s := range [...]string{ev.ID, string(ev.Action), string(ev.Phase), ev.OperationID, string(ev.Outcome), ev.Actor.MemberID, ev.Target.ID} {
		b = append(append(b, '\n'), s...)
	}
	b = append(b, '\n')
	r.expected = b
	if string(r.expected) != packed {
		return false
	}
	r.entries.add(ev, ev.Time.UnixMilli())
	all, ok := r.joins(string(r.expected[:place]))
	if !ok {
		return false
	}
	switch {
	case !all:
		r.unclear = append(r.unclear, seq)
		return true
	case ev.Action == ActionKeyChange:
		if k := parseKeyChange(ev); k != nil {
			r.found.keys = append(r.found.keys, keyFound{k, r.found.edge})
		}
	case ev.Action == ActionTreeCreate && r.w.t.organizationID == "":
		r.found.listed = append(r.found.listed, listedTree{seq, strings.Clone(ev.ID), strings.Clone(ev.Target.ID)})
	}
	r.index.add(ev)
	return true
}

// joins puts the texts of a record into its event, and reports whether they fit. They are not all there when one of
// them may have been erased.
func (r *stretchReader) joins(place string) (all, ok bool) {
	rec := &r.record
	if !strings.HasPrefix(r.texts, place) {
		return true, rec.hashes == [4]string{}
	}
	r.texts = r.texts[len(place):]
	r.rows--
	var values [8]string // texts, then salts
	for i := range values {
		if values[i], r.texts, ok = strings.Cut(r.texts, "\n"); !ok {
			return false, false
		}
	}
	all = true
	texts := int64(0)
	for i, field := range subjects() {
		text, salt := values[i], values[i+4]
		switch {
		case rec.hashes[i] == "" && text == "" && salt == "":
		case text == null || salt == null:
			all = false
		case !fits(rec.hashes[i], salt, text):
			return false, false
		default:
			texts++
			*rec.event.subjectText(field) = text
		}
	}
	if all {
		r.found.report.Texts += texts
	}
	return all, all && texts > 0 || !all // a row that is empty has no place there
}

// purged verifies what is left of a record that was purged.
func (r *stretchReader) purged(seq int64, packed string) bool {
	by := r.w.t.cover.purge(seq)
	rest, ok := strings.CutPrefix(packed, string(r.expected)+"0\n")
	if by == nil || !ok || strings.HasPrefix(r.texts, string(r.expected)) {
		return false
	}
	id, rest, _ := strings.Cut(rest, "\n")
	rest, ok = strings.CutPrefix(rest, "\n\n") // action, phase
	operation, rest, _ := strings.Cut(rest, "\n")
	if !ok || rest != "\n\n\n" || id == null || operation == null { // outcome, actor, target
		return false
	}
	r.found.report.Purged++
	ev := &Event{Seq: seq, ID: id, OrganizationID: r.w.t.organizationID, OperationID: operation, Purged: by}
	r.entries.add(ev, 0)
	r.index.add(ev)
	return true
}

// clear reads the records again of which a text seems to be gone, as it may also be the character that stands for that.
func (r *stretchReader) clear(ctx context.Context) bool {
	for some := range slices.Chunk(r.unclear, hashesAtOnce) {
		rows, err := queryRows(ctx, r.tx, wherePlaces(some), placeArgs(r.w.t, some)...)
		if err != nil || len(rows) != len(some) {
			return false
		}
		args := []any{r.w.t.number}
		for _, seq := range some {
			args = append(args, seq)
		}
		sides, err := querySides(ctx, r.tx, `WHERE tree = ? AND seq IN (?`+strings.Repeat(`, ?`, len(some)-1)+`) ORDER BY seq`, args...)
		if err != nil {
			return false
		}
		for i := range rows {
			n := 0
			for n < len(sides) && sides[n].seq == rows[i].seq {
				n++
			}
			ev, err := r.w.t.join(&rows[i], sides[:n])
			if err != nil || ev.Action == ActionKeyChange || ev.Action == ActionTreeCreate {
				return false
			}
			count(&r.found.report, &ev, sides[:n])
			sides = sides[n:]
			r.index.add(&ev)
		}
	}
	return true
}

// with is the edge after a stretch, or the beginning of one, is put to the right of it, and the hashes of the larger
// subtrees that this completes. It consists of whole stretches so far.
func (e *edge) with(s *edge) (*edge, []tlog.Hash) {
	both := new(*e)
	if s.size == indexStretch {
		return both, both.addSubtree(stretchLevel, s.levels[stretchLevel])[1:]
	}
	copy(both.levels[:stretchLevel], s.levels[:stretchLevel])
	both.size += s.size
	return both, nil
}

// rootWith is the root after it.
func (e *edge) rootWith(s *edge) tlog.Hash {
	both, _ := e.with(s)
	return both.root()
}
