package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"orgconsole/internal/database"
)

// exportChunk is how many events an export holds in memory at once; three such chunks are under way.
const exportChunk = 1000

// ErrNoLog says that nothing was ever recorded of an organization.
var ErrNoLog = errors.New("nothing was recorded of this organization")

// Format is a file format of exports.
type Format string

// The formats. NDJSON is the evidence: it alone holds the exact bytes and their proofs.
const (
	FormatNDJSON Format = "ndjson"
	FormatCSV    Format = "csv"
	FormatOCSF   Format = "ocsf"
)

// Formats returns all formats.
func Formats() []Format { return []Format{FormatNDJSON, FormatCSV, FormatOCSF} }

// Valid reports whether there is such a format.
func (f Format) Valid() bool { return slices.Contains(Formats(), f) }

// ContentType is the media type of a file in the format.
func (f Format) ContentType() string {
	if f == FormatCSV {
		return "text/csv; charset=utf-8; header=present"
	}
	return "application/x-ndjson"
}

// Extension is the end of a file's name in the format.
func (f Format) Extension() string {
	switch f {
	case FormatNDJSON:
		return ".ndjson"
	case FormatCSV:
		return ".csv"
	default:
		return "." + string(f) + ".ndjson"
	}
}

// Head is what an export says of the log it is taken from.
type Head struct {
	OrganizationID string // "" is the system tree
	Origin         string
	Checkpoint     string // signed note
	Size           int64  // records that the checkpoint is signed over
	Filter         Filter
	ToSeq          int64 // the place that it ends before; 0: all
}

// Subject is a personal text of an event, of which the bytes hold a salted hash only.
type Subject struct {
	Field  string
	Salt   string // hex
	Text   string
	Erased bool // salt and text are gone for good; that there was a text is still proven
}

// Entry is one event with all that proves it.
type Entry struct {
	Event    Event
	Bytes    string // as hashed; "" when it was purged
	Subjects []Subject
	Leaf     tlog.Hash
	Proof    []tlog.Hash // from the leaf's neighbour up to the root; empty in formats without proofs
}

// Encoder writes an export. It writes each event at once and keeps none.
type Encoder interface {
	// Begin is called once for each organization that goes into the file, even if no event follows.
	Begin(h Head) error
	Event(e *Entry) error
	End(count int64) error

	proofs() bool
}

// NewEncoder returns an encoder that makes one Write of each line. What made
// the file, and when, is for the formats that say so.
func NewEncoder(w io.Writer, f Format, build string, created time.Time) Encoder {
	switch f {
	case FormatCSV:
		return &csvEncoder{w: w}
	case FormatOCSF:
		return &ocsfEncoder{w: w}
	default:
		return &ndjsonEncoder{w: w, build: build, created: created}
	}
}

// Reader reads the audit of a store. A public key is all it needs, so it can
// neither add to the audit nor make it look right.
type Reader struct {
	db   *database.DB
	keys keyring
}

// NewReader returns a reader of a store that was signed by the other half of a
// public key, or of one of several separated by commas.
func NewReader(db *database.DB, publicKeys string) (*Reader, error) {
	keys, err := parseKeys(publicKeys)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return &Reader{db: db, keys: keys}, nil
}

// Reader reads what the log appends to.
func (l *Log) Reader() *Reader {
	return &Reader{db: l.db, keys: keyring{{public: l.public, verifier: l.verifier}}}
}

// keyring is a key and those that were before it.
type keyring []oldKey

// of is the key that signed a note, or the first, which did not.
func (k keyring) of(signed string) note.Verifier {
	i := slices.IndexFunc(k, func(key oldKey) bool { return isSignedFirst(signed, key.verifier) })
	return k[max(i, 0)].verifier
}

// Organizations lists those of which anything was recorded, in the order in
// which they first appeared. "", the first, is the system tree.
func (r *Reader) Organizations(ctx context.Context) ([]string, error) {
	trees, err := readTrees(ctx, r.db.Reader())
	if err != nil {
		return nil, fmt.Errorf("list organizations of the audit: %w", err)
	}
	ids := make([]string, 0, len(trees))
	for _, t := range trees {
		ids = append(ids, t.organizationID)
	}
	return ids, nil
}

// Export writes the events of an organization that fit the filter, oldest
// first, all of them as of the checkpoint at its start and none that came
// later, and returns how many. Memory does not grow with their number.
//
// Whatever it hands to the encoder fits: columns and texts agree with the
// bytes, and where the format has proofs each was checked against the
// checkpoint. What does not fit is a *TamperedError, and what was written until
// then has no end line.
func (r *Reader) Export(ctx context.Context, organizationID string, f Filter, enc Encoder) (count int64, err error) {
	if f.IsZero() {
		_ = r.db.EmptyLog(ctx) // without that it only takes longer
	}
	err = snapshot(ctx, r.db, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoLog
		}
		if err != nil {
			return err
		}
		s, c, err := newSource(ctx, r.db, tx, t, r.keys.of(t.note.String), enc.proofs())
		if err != nil {
			return err
		}
		s.pages, _ = r.db.Pages(ctx, tx) // whatever is wrong with them is for the store to say
		head := Head{OrganizationID: organizationID, Origin: c.origin, Checkpoint: t.note.String, Size: c.size, Filter: f}
		if err := enc.Begin(head); err != nil {
			return err
		}
		if count, err = s.copyTo(ctx, f, enc); err != nil {
			return err
		}
		// What was read of a store in motion proves nothing.
		if err := r.db.Stable(); err != nil {
			return err
		}
		return enc.End(count)
	})
	if err != nil && database.IsDamaged(err) {
		err = &TamperedError{Tree: organizationID, Seq: -1, Problem: "the store is damaged: " + err.Error(), Err: err}
	}
	if err != nil {
		return count, fmt.Errorf("export audit log: %w", err)
	}
	return count, nil
}

// source is where the events of one export come from.
type source struct {
	db    *database.DB
	pages *database.Pages // nil: by tx
	tx    *sql.Tx
	t     *tree
	size  int64
	paths *paths // nil without proofs
}

func newSource(ctx context.Context, db *database.DB, tx *sql.Tx, t *tree, verifier note.Verifier, proofs bool) (*source, checkpoint, error) {
	c, err := t.checkpoint(verifier)
	if err != nil {
		return nil, c, err
	}
	if err := t.loadCover(ctx, tx); err != nil {
		return nil, c, err
	}
	s := &source{db: db, tx: tx, t: t, size: c.size}
	if proofs {
		s.paths, err = newPaths(ctx, tx, t, c)
	}
	return s, c, err
}

// part is some events as the store has them, in the order of the tree.
type part struct {
	rows   []row
	sides  []sideRow
	leaves []tlog.Hash
	beside // what their proofs need
}

func (p *part) seq(i int) int64 { return p.rows[i].seq }

// copyTo reads a part while the one before is checked and the one before that is written.
func (s *source) copyTo(ctx context.Context, f Filter, enc Encoder) (count int64, err error) {
	parts, checked := make(chan *part), make(chan []Entry)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all, inner := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(parts)
		next, err := s.search(inner, f)
		if err != nil {
			return err
		}
		for {
			seqs, err := next(inner)
			if err != nil || len(seqs) == 0 {
				return err
			}
			p, err := s.readPlaces(inner, f, seqs)
			if err != nil {
				return err
			}
			if len(p.rows) == 0 {
				continue
			}
			select {
			case parts <- p:
			case <-inner.Done():
				return inner.Err()
			}
		}
	})
	all.Go(func() error {
		defer close(checked)
		for p := range parts {
			entries, err := s.check(p)
			checked <- entries // also those before one that does not fit
			if err != nil {
				return err
			}
		}
		return nil
	})
	var written error
	all.Go(func() error {
		for entries := range checked { // to the end, so that nobody waits
			for i := 0; i < len(entries) && written == nil; i++ {
				count++
				if written = enc.Event(&entries[i]); written != nil {
					stop()
				}
			}
		}
		return written
	})
	if err = all.Wait(); written != nil {
		return count, written
	}
	if lost, ok := errors.AsType[*noWayUpError](err); ok {
		return count, s.blame(ctx, lost)
	}
	return count, err
}

// search returns what to call for the next places that may fit the filter; at the end there are none.
func (s *source) search(ctx context.Context, f Filter) (next func(context.Context) ([]int64, error), err error) {
	if !f.IsZero() {
		found, err := newSearch(ctx, s.tx, s.t, f, false)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) ([]int64, error) { return found.places(ctx, exportChunk) }, nil
	}
	place := int64(0)
	return func(context.Context) (seqs []int64, err error) {
		for ; place < s.size && len(seqs) < exportChunk; place++ {
			seqs = append(seqs, place)
		}
		return seqs, nil
	}, nil
}

// read returns the events that a WHERE clause about audit_events e finds, which must put them in the order of the tree.
func (s *source) read(ctx context.Context, where string, args ...any) (*part, error) {
	rows, err := queryRows(ctx, s.tx, where, args...)
	if err != nil {
		return nil, err
	}
	return s.partOf(ctx, Filter{}, rows)
}

// readPlaces returns the events at some places, in order, that fit the filter.
func (s *source) readPlaces(ctx context.Context, f Filter, seqs []int64) (*part, error) {
	if !run(seqs) {
		rows, err := queryRows(ctx, s.tx, wherePlaces(seqs), placeArgs(s.t, seqs)...)
		if err != nil {
			return nil, err
		}
		return s.partOf(ctx, f, rows)
	}
	rows, sides, err := s.t.streamRows(ctx, s.db, s.pages, s.tx, seqs[0], seqs[len(seqs)-1])
	if err != nil {
		return nil, err
	}
	if len(rows) < len(seqs) {
		return s.partOf(ctx, f, rows) // without the texts of those that are gone
	}
	return s.finish(ctx, f, &part{rows: rows, sides: sides})
}

// partOf is the part of some rows, in the order of the tree, that fit the filter.
func (s *source) partOf(ctx context.Context, f Filter, rows []row) (p *part, err error) {
	p = &part{rows: rows}
	if len(rows) == 0 {
		return p, nil
	}
	if p.sides, err = s.sides(ctx, p.rows); err != nil {
		return p, err
	}
	return s.finish(ctx, f, p)
}

// finish gives a part what it has beside rows and texts.
func (s *source) finish(ctx context.Context, f Filter, p *part) (_ *part, err error) {
	if err := s.choose(f, p); err != nil || len(p.rows) == 0 {
		return p, err
	}
	if p.leaves, err = s.leaves(ctx, p.rows); err != nil {
		return p, err
	}
	if s.paths != nil {
		err = s.paths.fetch(ctx, s.tx, s.t, p)
	}
	return p, err
}

// choose drops what does not fit the filter.
func (s *source) choose(f Filter, p *part) error {
	if f.IsZero() {
		return nil
	}
	rows, sides := p.rows[:0], p.sides[:0]
	for rest, i := p.sides, 0; i < len(p.rows); i++ {
		n := 0
		for n < len(rest) && rest[n].seq == p.seq(i) {
			n++
		}
		ev, err := s.t.join(&p.rows[i], rest[:n])
		if err != nil {
			return err
		}
		if f.Matches(&ev) {
			rows, sides = append(rows, p.rows[i]), append(sides, rest[:n]...)
		}
		rest = rest[n:]
	}
	p.rows, p.sides = rows, sides
	return nil
}

// leaves returns the hashes of records; of one that was purged it is all there is.
func (s *source) leaves(ctx context.Context, rows []row) ([]tlog.Hash, error) {
	leaves := make([]tlog.Hash, len(rows))
	var hasher recordHasher
	var purged []int64
	for i := range rows {
		if rows[i].bytes.Valid {
			leaves[i] = hasher.hash(rows[i].bytes.String)
		} else {
			purged = append(purged, tlog.StoredHashIndex(0, rows[i].seq))
		}
	}
	if len(purged) == 0 {
		return leaves, nil
	}
	stored := hashesOf(ctx, s.tx, s.t)
	if err := stored.readAll(purged); err != nil {
		return nil, stored.blame(s.t, err)
	}
	for i := range rows {
		if !rows[i].bytes.Valid {
			leaves[i] = stored.seen[tlog.StoredHashIndex(0, rows[i].seq)]
		}
	}
	return leaves, nil
}

// sides returns the personal texts of some events, in their order.
func (s *source) sides(ctx context.Context, rows []row) ([]sideRow, error) {
	first, last := rows[0].seq, rows[len(rows)-1].seq
	if last-first == int64(len(rows))-1 {
		return querySides(ctx, s.tx, `WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq`, s.t.number, first, last)
	}
	in := make([]any, 0, len(rows)+1)
	in = append(in, s.t.number)
	for _, r := range rows {
		in = append(in, r.seq)
	}
	return querySides(ctx, s.tx, `WHERE tree = ? AND seq IN (?`+strings.Repeat(`, ?`, len(rows)-1)+`) ORDER BY seq`, in...)
}

// check checks some events. Where one does not fit it returns those before it, too.
func (s *source) check(p *part) ([]Entry, error) {
	entries, sides := make([]Entry, 0, len(p.rows)), p.sides
	// All texts, and all proofs, one after the other.
	subjects := make([]Subject, 0, len(p.sides))
	var proofs []tlog.Hash
	if s.paths != nil {
		proofs = make([]tlog.Hash, 0, len(p.rows)*s.paths.levels)
	}
	for i := range p.rows {
		n := 0
		for n < len(sides) && sides[n].seq == p.seq(i) {
			n++
		}
		var e Entry
		var err error
		if e.Event, err = s.t.join(&p.rows[i], sides[:n]); err != nil {
			return entries, err
		}
		from := len(subjects)
		subjects = appendSubjects(subjects, sides[:n])
		e.Subjects = subjects[from:len(subjects):len(subjects)]
		sides = sides[n:]
		e.Bytes, e.Leaf = p.rows[i].bytes.String, p.leaves[i]
		if s.paths != nil {
			from := len(proofs)
			var ok bool
			if proofs, ok = s.paths.climb(p, i, proofs); !ok {
				return entries, &noWayUpError{p, i}
			}
			e.Proof = proofs[from:len(proofs):len(proofs)]
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// open checks some events and hands them out one after the other; fn must not keep the entry.
func (s *source) open(p *part, fn func(*Entry) error) error {
	entries, err := s.check(p)
	for i := range entries {
		if err := fn(&entries[i]); err != nil {
			return err
		}
	}
	return err
}

// appendSubjects puts rows of personal text, which were checked, in the order of the bytes.
func appendSubjects(all []Subject, sides []sideRow) []Subject {
	for _, field := range subjects() {
		for _, s := range sides {
			if s.field == field {
				all = append(all, Subject{Field: string(s.field), Salt: s.salt.String, Text: s.text.String, Erased: !s.text.Valid})
			}
		}
	}
	return all
}

// noWayUpError says that the proof of an event does not lead to the root that is signed.
type noWayUpError struct {
	p *part
	i int
}

func (e *noWayUpError) Error() string {
	return fmt.Sprintf("the proof of seq %d does not lead to the root", e.p.seq(e.i))
}

// blame finds the event that a path does not lead past: one beside it may be
// the one that was changed.
func (s *source) blame(ctx context.Context, lost *noWayUpError) error {
	p, guilty := lost.p, lost.i
	stored := hashesOf(ctx, s.tx, s.t)
	for i := range p.rows {
		h, err := stored.ReadHashes([]int64{tlog.StoredHashIndex(0, p.seq(i))})
		if stored.err != nil {
			return stored.err
		}
		if err != nil || h[0] != p.leaves[i] {
			guilty = i
			break
		}
	}
	return &TamperedError{
		Tree: s.t.organizationID, Seq: p.seq(guilty), ID: p.rows[guilty].id,
		Problem: "its proof does not lead to the root that is signed: the bytes or the tree were changed",
	}
}

// Count returns how many events of an organization fit the filter, and whether
// there are more than limit, which it does not count on from. All events are
// counted without looking at them.
func (r *Reader) Count(ctx context.Context, organizationID string, f Filter, limit int64) (n int64, more bool, err error) {
	t, err := readTree(ctx, r.db.Reader(), organizationID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	if f.IsZero() {
		return t.size, false, nil
	}
	err = snapshot(ctx, r.db, func(tx *sql.Tx) error {
		s, err := newSearch(ctx, tx, t, f, true)
		if err != nil {
			return err
		}
		if s.query.exact && s.fixed == nil {
			s.eachSegment = func(_ segment, found *places) error {
				n += found.count()
				return nil
			}
		}
		for done := false; !done && n <= limit && err == nil; {
			var found []Event
			found, done, err = s.next(ctx, searchChunk)
			n += int64(len(found))
		}
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("count audit events: %w", err)
	}
	return min(n, limit), n > limit, nil
}
