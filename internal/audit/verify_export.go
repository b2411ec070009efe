package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine is longer than any line of an export: an event has at most some
// 10,000 characters, which stand in it twice.
const maxLine = 1 << 20

// ErrNotAnExport says that a file is none that can be verified.
var ErrNotAnExport = errors.New("not an NDJSON export of the audit log, nor a receipt")

// FileError names the first line of a file that does not fit. errors.Is finds ErrTampered in it.
type FileError struct {
	Line    int   // from 1; 0: the file as a whole
	Seq     int64 // -1 when the line is no record
	ID      string
	Problem string
	Err     error // more to match by errors.Is, or nil
}

func (e *FileError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d", e.Line)
	} else {
		b.WriteString("the file")
	}
	if e.Seq >= 0 {
		fmt.Fprintf(&b, ", record seq %d", e.Seq)
		if e.ID != "" {
			b.WriteString(" id " + clean(e.ID, maxText)) // it is from the file
		}
	}
	return b.String() + ": " + e.Problem
}

// Is matches ErrTampered.
func (e *FileError) Is(target error) bool { return target == ErrTampered }

func (e *FileError) Unwrap() error { return e.Err }

// ExportReport says what was found intact in a file.
type ExportReport struct {
	Trees   []ExportedTree // in the order of the file
	Records int64
}

// ExportedTree is what a file holds of one log.
type ExportedTree struct {
	OrganizationID string // "" for the system tree
	Origin         string
	Root           string // base64, signed
	Size           int64  // records of the log as of the checkpoint
	Records        int64  // of these, in the file
	Purged         int64  // of these, nothing but their hash
	Erased         int64  // texts that were erased, or left out
}

// Complete reports whether the file holds every record that the checkpoint stands for.
func (t ExportedTree) Complete() bool { return t.Records == t.Size }

// VerifyExport checks an NDJSON export against a public key, or several
// separated by commas of which each may have signed, reading it once and
// keeping nothing. What holds is that each record is, unchanged and in its
// place, in a log of which a checkpoint was signed; whether all of the log's
// records are there is said by ExportedTree.Complete. What the first line says
// of the filter, the time and the program is not proven by anything.
//
// When something does not fit the error is a *FileError; a key that did not
// sign the checkpoint (ErrWrongKey) is one too. A file of another kind is
// ErrNotAnExport.
func VerifyExport(r io.Reader, publicKeys string) (ExportReport, error) {
	keys, err := parseKeys(publicKeys)
	if err != nil {
		return ExportReport{}, fmt.Errorf("verify export: %w", err)
	}
	v := exportVerification{keys: keys}
	lines := bufio.NewReaderSize(r, 1<<16)
	var line []byte
	for {
		line, err = readLine(lines, line[:0])
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			if errors.Is(err, errLongLine) {
				err = &FileError{Line: v.line + 1, Seq: -1, Problem: err.Error()}
			}
			return ExportReport{}, fmt.Errorf("verify export: %w", err)
		}
		v.line++
		if err := v.next(line); err != nil {
			return ExportReport{}, fmt.Errorf("verify export: %w", err)
		}
	}
	switch {
	case v.line == 0:
		return ExportReport{}, fmt.Errorf("verify export: %w: it is empty", ErrNotAnExport)
	case v.open:
		return ExportReport{}, fmt.Errorf("verify export: %w", &FileError{Line: v.line + 1, Seq: -1, Problem: "the end is missing: the file was cut, or making it broke off"})
	}
	return v.report, nil
}

var errLongLine = fmt.Errorf("it is longer than the %d bytes that a line can have", maxLine)

// readLine appends the next line to b, without its end.
func readLine(r *bufio.Reader, b []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		b = append(b, part...)
		switch {
		case len(b) > maxLine:
			return b, errLongLine
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return b, err
		}
		return b[:len(b)-1], nil
	}
}

// exportVerification is one run of VerifyExport.
type exportVerification struct {
	keys   keyring
	report ExportReport
	line   int
	open   bool // between the head and the end of a tree
	c      checkpoint
	tree   ExportedTree
	last   int64
	record recordVerification

	gone  []purgedSpan // the records without bytes, and what they say purged them
	cover cover        // what the purges in the file say
}

func (v *exportVerification) bad(format string, args ...any) *FileError {
	return &FileError{Line: v.line, Seq: -1, Problem: fmt.Sprintf(format, args...)}
}

// kindOf finds out what a line is by how our own begin.
func kindOf(line []byte) string {
	for _, kind := range []string{kindExport, kindExportEnd} {
		if bytes.HasPrefix(line, []byte(`{"kind":"`+kind+`"`)) {
			return kind
		}
	}
	return ""
}

func (v *exportVerification) next(line []byte) error {
	kind := kindOf(line)
	switch {
	case v.line == 1 && kind != kindExport:
		return ErrNotAnExport
	case !v.open && kind != kindExport:
		return v.bad("it stands after the end")
	case v.open && kind == kindExport:
		return v.bad("it begins another log before the end of the one before")
	case kind == kindExport:
		return v.begin(line)
	case kind == kindExportEnd:
		return v.end(line)
	}
	e, err := v.record.entry(line)
	if err != nil {
		return v.blame(err, e)
	}
	if err := v.place(e); err != nil {
		return v.blame(err, e)
	}
	v.last = e.Event.Seq
	v.tree.Records++
	v.purged(&e.Event)
	for _, s := range e.Subjects {
		if s.Erased {
			v.tree.Erased++
		}
	}
	return nil
}

// purged remembers a record that was purged, or what purges.
func (v *exportVerification) purged(ev *Event) {
	switch {
	case ev.Purged == nil && ev.Action == ActionPurge:
		v.cover.addPurge(ev)
	case ev.Purged != nil:
		v.tree.Purged++
		if n := len(v.gone) - 1; n >= 0 && v.gone[n].last == ev.Seq-1 && *v.gone[n].by == *ev.Purged {
			v.gone[n].last = ev.Seq
		} else {
			v.gone = append(v.gone, purgedSpan{span{ev.Seq, ev.Seq}, ev.Purged})
		}
	}
}

// unexplained finds a record without bytes of which the file should hold what
// purged it, and does not: all that purged it came later.
func (v *exportVerification) unexplained() (seq int64, found bool) {
	v.cover.sort()
	for _, g := range v.gone {
		for seq := g.first; seq <= g.last; seq++ {
			by := v.cover.purge(seq)
			if by == nil && v.tree.Complete() || by != nil && *by != *g.by {
				return seq, true
			}
		}
	}
	return 0, false
}

// blame names the record of a line.
func (v *exportVerification) blame(err error, e *Entry) error {
	f := &FileError{Line: v.line, Seq: -1, Problem: err.Error()}
	if e != nil {
		f.Seq, f.ID = e.Event.Seq, e.Event.ID
	}
	return f
}

// place checks that a record is under the checkpoint and after the one before.
func (v *exportVerification) place(e *Entry) error {
	switch ev := &e.Event; {
	case ev.OrganizationID != v.tree.OrganizationID:
		return fmt.Errorf("it is of organization %q, and the export of %q", ev.OrganizationID, v.tree.OrganizationID)
	case ev.Seq <= v.last:
		return fmt.Errorf("it stands after seq %d", v.last)
	}
	return v.c.proves(e)
}

// proves checks that an entry is under the checkpoint. It uses tlog, which the
// proofs were not made with, so that the two check each other.
func (c *checkpoint) proves(e *Entry) error {
	if e.Event.Seq >= c.size {
		return fmt.Errorf("it is beyond the %d records that the checkpoint is signed over", c.size)
	}
	if err := tlog.CheckRecord(e.Proof, c.size, c.root, e.Event.Seq, e.Leaf); err != nil {
		return errors.New("its proof does not lead to the root that is signed")
	}
	return nil
}

func (v *exportVerification) begin(line []byte) error {
	var h exportHead
	if err := decodeExactly(line, &h); err != nil {
		return v.bad("it is no first line of an export: %v", err)
	}
	if h.Version != exportVersion {
		return fmt.Errorf("%w that this program knows: it has version %d, and this program knows %d", ErrNotAnExport, h.Version, exportVersion)
	}
	c, err := openCheckpoint(h.Checkpoint, v.keys.of(h.Checkpoint))
	if err != nil {
		return &FileError{Line: v.line, Seq: -1, Problem: "checkpoint: " + err.Error(), Err: err}
	}
	if problem := c.disagrees(h.Origin, h.OrganizationID, h.TreeSize); problem != "" {
		return v.bad("%s", problem)
	}
	v.open, v.c, v.last, v.gone, v.cover = true, c, -1, nil, cover{}
	v.tree = ExportedTree{OrganizationID: h.OrganizationID, Origin: c.origin, Root: c.root.String(), Size: c.size}
	return nil
}

// disagrees says what a file claims otherwise than the checkpoint in it, or "".
func (c *checkpoint) disagrees(origin, organizationID string, size int64) string {
	want := organizationOrigin("", organizationID)
	if organizationID == "" {
		want = originSystem
	}
	switch {
	case c.origin != origin:
		return fmt.Sprintf("it says that it is of %q, and its checkpoint is of %s", origin, c.origin)
	case !strings.HasPrefix(origin, originPrefix) || !strings.HasSuffix(origin, want) || strings.Count(origin, "/") != 1+strings.Count(want, "/"):
		return fmt.Sprintf("it says that it is of organization %q, and its checkpoint is of %s", organizationID, c.origin)
	case c.size != size:
		return fmt.Sprintf("it says that the log has %d records, and its checkpoint is signed over %d", size, c.size)
	}
	return ""
}

func (v *exportVerification) end(line []byte) error {
	var end exportEnd
	if err := decodeExactly(line, &end); err != nil {
		return v.bad("it is no last line of an export: %v", err)
	}
	if end.Count != v.tree.Records {
		return v.bad("it says that there are %d records, and there are %d", end.Count, v.tree.Records)
	}
	if seq, found := v.unexplained(); found {
		return &FileError{Seq: seq, Problem: "its bytes are gone, and no record says that it was purged as it says"}
	}
	v.open = false
	v.report.Trees = append(v.report.Trees, v.tree)
	v.report.Records += v.tree.Records
	return nil
}

// decodeExactly decodes one line that is exactly as we write what it decodes to.
func decodeExactly(line []byte, into any) error {
	if err := json.Unmarshal(line, into); err != nil {
		return errors.New("it is not JSON of that kind")
	}
	var again bytes.Buffer
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(into); err != nil {
		return err
	}
	if name := firstDifference(line, bytes.TrimSuffix(again.Bytes(), []byte("\n"))); name != "" {
		return fmt.Errorf("%s is not as it was written", name)
	}
	return nil
}

// recordVerification checks records as exports and receipts hold them. It keeps only what it can use again.
type recordVerification struct {
	hasher recordHasher
	again  []byte
}

// entry reads a record of a file. The bytes say what happened; all else has to
// be what we would write about these bytes, these texts and this proof. The
// entry is returned with an error as soon as it is known which it is.
func (v *recordVerification) entry(line []byte) (*Entry, error) {
	var given struct {
		givenPurged

		Bytes    *string `json:"bytes"`
		Subjects []struct {
			Field string  `json:"field"`
			Salt  *string `json:"salt"`
			Text  *string `json:"text"`
		} `json:"subjects"`
		Proof []string `json:"proof"`
	}
	if err := json.Unmarshal(line, &given); err != nil {
		return nil, errors.New("it is not JSON of a record")
	}
	if given.Bytes == nil {
		e, err := given.entry()
		if err != nil {
			return nil, err
		}
		return e, v.spelled(line, e, given.Proof)
	}
	parsed, err := parseText(*given.Bytes)
	if err != nil {
		return nil, err
	}
	e := &Entry{Event: parsed.event, Bytes: *given.Bytes, Leaf: v.hasher.hash(*given.Bytes)}
	named := 0
	for i, hash := range parsed.hashes {
		if hash == "" {
			continue
		}
		field := subjects()[i]
		if named == len(given.Subjects) || given.Subjects[named].Field != string(field) {
			return e, fmt.Errorf("the text %s is missing", field)
		}
		s := given.Subjects[named]
		named++
		if s.Salt == nil || s.Text == nil {
			e.Subjects = append(e.Subjects, Subject{Field: s.Field, Erased: true})
			continue
		}
		if !fits(hash, *s.Salt, *s.Text) {
			return e, fmt.Errorf("the text %s does not fit the hash in its bytes", field)
		}
		e.Subjects = append(e.Subjects, Subject{Field: s.Field, Salt: *s.Salt, Text: *s.Text})
		*e.Event.subjectText(field) = *s.Text
	}
	if named < len(given.Subjects) {
		return e, fmt.Errorf("its bytes know of no text called %q", given.Subjects[named].Field)
	}
	return e, v.spelled(line, e, given.Proof)
}

// spelled puts the proof into an entry, and checks that the line is what we write about it.
func (v *recordVerification) spelled(line []byte, e *Entry, proof []string) error {
	var err error
	if e.Proof, err = parseProof(proof); err != nil {
		return errors.New("its proof is not made of hashes")
	}
	v.again = appendEntry(v.again[:0], e)
	if name := firstDifference(line, v.again); name != "" {
		return fmt.Errorf("its column %s does not agree with its bytes", name)
	}
	return nil
}

// givenPurged is what a line says of a record that was purged.
type givenPurged struct {
	Seq            int64  `json:"seq"`
	ID             string `json:"id"`
	OrganizationID string `json:"organization_id"`
	OperationID    string `json:"operation_id"`
	LeafHash       string `json:"leaf_hash"`
	Purged         *struct {
		Time string `json:"time"`
		Days int    `json:"days"`
		By   string `json:"by"`
		Seq  int64  `json:"by_seq"`
	} `json:"purged"`
}

func (g *givenPurged) entry() (*Entry, error) {
	if g.Purged == nil || g.Seq < 0 {
		return nil, errors.New("it has no bytes, and does not say that it was purged")
	}
	at, err := time.Parse(timeLayout, g.Purged.Time)
	if err != nil {
		return nil, errors.New("it does not say when it was purged")
	}
	leaf, err := parseHash(g.LeafHash)
	if err != nil {
		return nil, errors.New("it has neither bytes nor a hash of them")
	}
	return &Entry{Leaf: leaf, Event: Event{
		Seq: g.Seq, ID: g.ID, OrganizationID: g.OrganizationID, OperationID: g.OperationID,
		Purged: &Purged{Time: at, Days: g.Purged.Days, By: g.Purged.By, Seq: g.Purged.Seq},
	}}, nil
}

// firstDifference names a member of a JSON object that is another one in the
// other, or "" when the two are the same to the byte.
func firstDifference(given, want []byte) string {
	if bytes.Equal(given, want) {
		return ""
	}
	var g, w map[string]json.RawMessage
	if json.Unmarshal(given, &g) != nil || json.Unmarshal(want, &w) != nil {
		return "(all)"
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if !bytes.Equal(g[name], w[name]) {
			var inner map[string]json.RawMessage
			if json.Unmarshal(w[name], &inner) == nil && len(inner) > 0 {
				return name + "." + firstDifference(g[name], w[name])
			}
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if _, ok := w[name]; !ok {
			return fmt.Sprintf("%q, which there is none of,", name)
		}
	}
	return "order or spelling"
}
