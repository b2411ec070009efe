package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	kindReceipt    = "orgconsole_receipt"
	receiptVersion = 1
	// maxReceipt is more than the largest receipt has.
	maxReceipt = 16 << 20
)

// receiptTitle is the first line of a statement. A checkpoint never begins like it, so that neither passes for the other.
const receiptTitle = "Org Console receipt, version 1"

// receipt is one file about one operation. The records prove themselves, as in
// an export; the statement says the same in words, and is signed with the names
// of the records it was made from.
type receipt struct {
	Kind           string            `json:"kind"`
	Version        int               `json:"version"`
	OrganizationID string            `json:"organization_id"`
	Statement      []string          `json:"statement"` // lines of a signed note
	Signature      string            `json:"signature"` // the rest of it
	Origin         string            `json:"origin"`
	TreeSize       int64             `json:"tree_size"`
	Checkpoint     string            `json:"checkpoint"`
	Records        []json.RawMessage `json:"records"`
}

// Receipt makes a signed file about operations that belong together, from
// their events as of now, or returns ErrNotFound. The address that a request
// came from is left out: a receipt is for others to read.
func (l *Log) Receipt(ctx context.Context, organizationID string, operationIDs ...string) ([]byte, error) {
	var (
		entries []Entry
		t       *tree
		c       checkpoint
	)
	err := snapshot(ctx, l.db, func(tx *sql.Tx) (err error) {
		t, err = readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) || len(operationIDs) == 0 {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		var s *source
		if s, c, err = newSource(ctx, l.db, tx, t, l.verifier, true); err != nil {
			return err
		}
		rows, err := t.operationRows(ctx, tx, operationIDs)
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.seq >= c.size })
		if len(rows) == 0 {
			return ErrNotFound
		}
		p, err := s.partOf(ctx, Filter{}, rows)
		if err != nil {
			return err
		}
		err = s.open(p, func(e *Entry) error {
			kept := *e
			kept.Proof, kept.Subjects = slices.Clone(e.Proof), slices.Clone(e.Subjects)
			entries = append(entries, kept)
			return nil
		})
		if lost, ok := errors.AsType[*noWayUpError](err); ok {
			return s.blame(ctx, lost)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make receipt: %w", err)
	}
	return l.receipt(t, c, entries)
}

func (l *Log) receipt(t *tree, c checkpoint, entries []Entry) ([]byte, error) {
	r := receipt{
		Kind: kindReceipt, Version: receiptVersion, OrganizationID: t.organizationID, Origin: c.origin, TreeSize: c.size, Checkpoint: t.note.String,
	}
	for i := range entries {
		entries[i].withhold(subjectSourceIP)
		r.Records = append(r.Records, appendEntry(nil, &entries[i]))
	}
	r.Statement = append(receiptBinding(c, entries), receiptWords(entries)...)
	r.Statement = append(r.Statement, fmt.Sprintf("Made at %s by %s. What was recorded later is not in it.", l.now().UTC().Format(timeLayout), clean(l.build, maxText)))
	text := strings.Join(r.Statement, "\n") + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("sign receipt: %w", err)
	}
	r.Signature = strings.TrimSuffix(string(signed[len(text)+1:]), "\n")
	return r.encode()
}

func (r *receipt) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("make receipt: %w", err)
	}
	return b.Bytes(), nil
}

// withhold leaves out a text, as if it had been erased.
func (e *Entry) withhold(field subject) {
	*e.Event.subjectText(field) = ""
	for i, s := range e.Subjects {
		if s.Field == string(field) {
			e.Subjects[i] = Subject{Field: s.Field, Erased: true}
		}
	}
}

// receiptBinding is what ties a statement to the records and the checkpoint beside it.
func receiptBinding(c checkpoint, entries []Entry) []string {
	places := make([]string, 0, len(entries))
	digest := sha256.New()
	for i := range entries {
		places = append(places, strconv.FormatInt(entries[i].Event.Seq, 10))
		digest.Write(entries[i].Leaf[:])
	}
	return []string{
		receiptTitle,
		"Log: " + c.origin,
		fmt.Sprintf("Checkpoint: %d records, root %s", c.size, c.root),
		fmt.Sprintf("Records: %s; digest of their hashes %s", strings.Join(places, ", "), base64.StdEncoding.EncodeToString(digest.Sum(nil))),
	}
}

// receiptWords says what the records say. No text in them has a line of its
// own to begin: that was seen to when they were recorded.
func receiptWords(entries []Entry) []string {
	var order []string
	of := map[string][]*Entry{}
	for i := range entries {
		id := entries[i].Event.OperationID
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], &entries[i])
	}
	var lines []string
	for _, id := range order {
		lines = append(lines, operationWords(of[id])...)
	}
	return lines
}

func operationWords(entries []*Entry) []string {
	first := entries[max(0, slices.IndexFunc(entries, func(e *Entry) bool { return e.Event.Purged == nil }))]
	ev := &first.Event
	if ev.Purged != nil {
		lines := []string{"An operation whose records were purged", "- operation " + ev.OperationID}
		for _, e := range entries {
			lines = append(lines, "- "+e.moment())
		}
		return lines
	}
	what := ev.Action.Label()
	if ev.Attempt > 1 {
		what += fmt.Sprintf(" (attempt %d)", ev.Attempt)
	}
	lines := []string{
		what + ": " + lastOutcome(entries),
		"- operation " + ev.OperationID,
		"- target: " + first.party(ev.Target.ID, subjectTargetLabel, subjectTargetEmail),
		"- actor: " + first.actor(),
	}
	for _, row := range [][2]string{{"password", ev.Target.PasswordID}, {"reason", ev.Reason}, {"ticket", ev.Ticket}} {
		if row[1] != "" {
			lines = append(lines, "- "+row[0]+": "+row[1])
		}
	}
	for _, e := range entries {
		lines = append(lines, "- "+e.moment())
	}
	return lines
}

// lastOutcome is the word for how an operation ended, as far as was recorded.
func lastOutcome(entries []*Entry) string {
	outcome := OutcomeUnknown
	for _, e := range entries {
		if e.Event.Outcome != "" {
			outcome = e.Event.Outcome
		}
	}
	return strings.ReplaceAll(string(outcome), "_", " ")
}

// party names somebody by what is known.
func (e *Entry) party(id string, texts ...subject) string {
	var words []string
	for _, field := range texts {
		if e.erased(field) {
			words = append(words, "(erased)")
		} else {
			words = append(words, *e.Event.subjectText(field))
		}
	}
	words = slices.DeleteFunc(append(words, id), func(word string) bool { return word == "" })
	return strings.Join(words, ", ")
}

func (e *Entry) actor() string {
	a := &e.Event.Actor
	if a.System {
		return "the console itself"
	}
	who := e.party(a.MemberID, subjectActorEmail)
	if len(a.AuthFactors) > 0 {
		who += "; signed in with " + strings.Join(a.AuthFactors, ", ")
	}
	return who
}

// moment says in one line what an event says.
func (e *Entry) moment() string {
	ev := &e.Event
	if p := ev.Purged; p != nil {
		return fmt.Sprintf("record %d: purged at %s, being older than %d days; see record %d", ev.Seq, p.Time.UTC().Format(timeLayout), p.Days, p.Seq)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s record %d: ", ev.Time.UTC().Format(timeLayout), ev.Seq)
	switch {
	case ev.Action == ActionReview:
		b.WriteString("reviewed by " + e.actor())
		if ev.Reason != "" {
			b.WriteString(": " + ev.Reason)
		}
	case ev.Outcome == "":
		b.WriteString("asked for, before anything was sent")
	default:
		b.WriteString(strings.ReplaceAll(string(ev.Outcome), "_", " "))
	}
	if ev.Detail != "" {
		fmt.Fprintf(&b, ", known from: %s", strings.ReplaceAll(ev.Detail, "_", " "))
	}
	if ev.HTTP.Status != 0 {
		fmt.Fprintf(&b, ", Stytch's status %d", ev.HTTP.Status)
	}
	if ev.HTTP.ErrorType != "" {
		b.WriteString(" " + ev.HTTP.ErrorType)
	}
	if ev.UpstreamRequestID != "" {
		b.WriteString(", request " + ev.UpstreamRequestID)
	}
	return b.String()
}

// ReceiptReport says what was found intact in a receipt.
type ReceiptReport struct {
	Statement []string // what it says, signed
	Records   int
	Missing   int // texts that were erased or left out
}

// VerifyReceipt checks a receipt against a public key, or several separated by commas: that its statement was
// signed, that it is about the records beside it, and that each of these is in
// a log of which the checkpoint was signed. Its errors are those of VerifyExport.
func VerifyReceipt(r io.Reader, publicKeys string) (ReceiptReport, error) {
	keys, err := parseKeys(publicKeys)
	if err != nil {
		return ReceiptReport{}, fmt.Errorf("verify receipt: %w", err)
	}
	file, err := io.ReadAll(io.LimitReader(r, maxReceipt+1))
	if err != nil {
		return ReceiptReport{}, fmt.Errorf("verify receipt: %w", err)
	}
	report, err := verifyReceipt(file, keys)
	if err != nil {
		return ReceiptReport{}, fmt.Errorf("verify receipt: %w", err)
	}
	return report, nil
}

func verifyReceipt(file []byte, keys keyring) (ReceiptReport, error) {
	var r receipt
	if err := json.Unmarshal(file, &r); err != nil || r.Kind != kindReceipt || len(file) > maxReceipt {
		return ReceiptReport{}, ErrNotAnExport
	}
	if r.Version != receiptVersion {
		return ReceiptReport{}, fmt.Errorf("%w that this program knows: it has version %d, and this program knows %d", ErrNotAnExport, r.Version, receiptVersion)
	}
	bad := func(format string, args ...any) (ReceiptReport, error) {
		return ReceiptReport{}, &FileError{Seq: -1, Problem: fmt.Sprintf(format, args...)}
	}
	// What another reader may take otherwise, such as a member that is there twice, is not let through.
	again, err := r.encode()
	if err != nil {
		return ReceiptReport{}, err
	}
	if name := firstDifference(compact(file), compact(again)); name != "" {
		return bad("%s is not as it was written", name)
	}
	key := keys.of(r.Checkpoint) // it signs both
	c, err := openCheckpoint(r.Checkpoint, key)
	if err != nil {
		return ReceiptReport{}, &FileError{Seq: -1, Problem: "checkpoint: " + err.Error(), Err: err}
	}
	if problem := c.disagrees(r.Origin, r.OrganizationID, r.TreeSize); problem != "" {
		return bad("%s", problem)
	}
	report := ReceiptReport{Statement: r.Statement, Records: len(r.Records)}
	entries := make([]Entry, 0, len(r.Records))
	for _, record := range r.Records {
		e, err := receiptRecord(record, c, r.OrganizationID)
		if err != nil {
			f := &FileError{Seq: -1, Problem: err.Error()}
			if e != nil {
				f.Seq, f.ID = e.Event.Seq, e.Event.ID
			}
			return ReceiptReport{}, f
		}
		for _, s := range e.Subjects {
			if s.Erased {
				report.Missing++
			}
		}
		entries = append(entries, *e)
	}
	text := strings.Join(r.Statement, "\n") + "\n"
	n, err := note.Open([]byte(text+"\n"+r.Signature+"\n"), note.VerifierList(key))
	if err != nil || n.Text != text {
		return bad("the signature does not fit the statement")
	}
	want := receiptBinding(c, entries)
	for i, line := range want {
		if i >= len(r.Statement) || r.Statement[i] != line {
			return bad("the statement is about other records, or another checkpoint, than those beside it: its line %d is not %q", i+1, line)
		}
	}
	return report, nil
}

func receiptRecord(record []byte, c checkpoint, organizationID string) (*Entry, error) {
	var v recordVerification
	e, err := v.entry(compact(record))
	if err != nil {
		return e, err
	}
	if e.Event.OrganizationID != organizationID {
		return e, fmt.Errorf("it is of organization %q, and the receipt of %q", e.Event.OrganizationID, organizationID)
	}
	return e, c.proves(e)
}

// compact takes out the white space of valid JSON.
func compact(b []byte) []byte {
	var c bytes.Buffer
	if json.Compact(&c, b) != nil {
		return b
	}
	return c.Bytes()
}
