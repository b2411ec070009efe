package audit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orgconsole/internal/database"
)

// row is a row of audit_events: the bytes, and what is copied out of them.
type row struct {
	seq         int64
	id          string
	bytes       sql.NullString
	time        int64
	action      string
	phase       string
	operationID string
	outcome     string
	actorID     string
	targetID    string
	hashes      []byte // see storedHashes
}

const selectRow = `SELECT seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes FROM audit_events e`

func (r *row) scan(rows interface{ Scan(dest ...any) error }) error {
	var bytes *column
	err := rows.Scan(&r.seq, (*column)(&r.id), &bytes, &r.time, (*column)(&r.action), (*column)(&r.phase), (*column)(&r.operationID), (*column)(&r.outcome),
		(*column)(&r.actorID), (*column)(&r.targetID), &r.hashes)
	if bytes != nil {
		r.bytes = sql.NullString{String: string(*bytes), Valid: true}
	}
	return err
}

// column is a text. What SQLite has in its place reads as one that no event has: queries do not find it.
type column string

// Scan implements sql.Scanner.
func (c *column) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		text = null + fmt.Sprint(src)
	}
	*c = column(text)
	return nil
}

func queryRows(ctx context.Context, q queryer, where string, args ...any) ([]row, error) {
	found, err := q.QueryContext(ctx, selectRow+" "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read audit events: %w", err)
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		var r row
		if err := r.scan(found); err != nil {
			return nil, unreadable(ctx, err)
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read audit events: %w", err)
	}
	return rows, nil
}

// unreadable blames the store for a row that cannot be scanned, unless reading was interrupted.
func unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read row: %w", ctx.Err())
	}
	return &TamperedError{Seq: -1, Problem: "a row does not hold what it should: " + err.Error()}
}

// sideRow is one of the texts of a row of audit_texts.
type sideRow struct {
	seq        int64
	field      subject
	salt, text sql.NullString
}

// textColumns and saltColumns of audit_texts are in the order of subjects.
const (
	textColumns = `actor_email, target_label, target_email, source_ip`
	saltColumns = `actor_email_salt, target_label_salt, target_email_salt, source_ip_salt`
)

func querySides(ctx context.Context, q queryer, where string, args ...any) ([]sideRow, error) {
	found, err := q.QueryContext(ctx, `SELECT seq, `+textColumns+`, `+saltColumns+` FROM audit_texts `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read audit subjects: %w", err)
	}
	defer found.Close()
	var sides []sideRow
	for found.Next() {
		var seq int64
		var text, salt [4]sql.NullString
		if err := found.Scan(&seq, &text[0], &text[1], &text[2], &text[3], &salt[0], &salt[1], &salt[2], &salt[3]); err != nil {
			return nil, unreadable(ctx, err)
		}
		sides = appendSides(sides, seq, &text, &salt)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read audit subjects: %w", err)
	}
	return sides, nil
}

// appendSides takes apart a row of audit_texts. One that is empty has no place there: it has a text without a name.
func appendSides(sides []sideRow, seq int64, text, salt *[4]sql.NullString) []sideRow {
	before := len(sides)
	none := sql.NullString{Valid: true}
	for i, field := range subjects() {
		if text[i] != none || salt[i] != none {
			sides = append(sides, sideRow{seq, field, salt[i], text[i]})
		}
	}
	if len(sides) == before {
		sides = append(sides, sideRow{seq: seq})
	}
	return sides
}

// streamRows is queryRows and querySides for all records from one place to another, both included, and takes half as
// long, or less where there are pages to read.
func (t *tree) streamRows(ctx context.Context, db *database.DB, pages *database.Pages, tx *sql.Tx, first, last int64) (rows []row, sides []sideRow, err error) {
	whole := true
	takeRow := func(packed string, r *database.StreamedRow) {
		seq, values, ok := unpack(packed)
		ms, err := strconv.ParseInt(values[0], 10, 64)
		whole = whole && ok && err == nil
		rows = append(rows, row{
			seq: seq, time: ms, id: values[1], action: values[2], phase: values[3], operationID: values[4], outcome: values[5], actorID: values[6], targetID: values[7],
			bytes: sql.NullString{String: r.Plain[0], Valid: !r.Null[0]}, hashes: []byte(r.Plain[1]),
		})
	}
	takeTexts := func(r *database.StreamedRow) {
		seq, values, ok := unpack(r.Packed)
		whole = whole && ok
		var text, salt [4]sql.NullString
		for i := range text {
			text[i], salt[i] = sql.NullString{String: values[i], Valid: true}, sql.NullString{String: values[i+4], Valid: true}
		}
		sides = appendSides(sides, seq, &text, &salt)
	}
	if pages != nil {
		err = pages.Events(t.number, first, last, func(r *database.StreamedRow) {
			_, packed, _ := strings.Cut(r.Packed, "\n") // which row it is
			tree, packed, _ := strings.Cut(packed, "\n")
			whole = whole && tree == strconv.FormatInt(t.number, 10)
			takeRow(packed, r)
		})
		if err == nil {
			err = pages.Texts(t.number, first, last, takeTexts)
		}
		if err == nil && whole {
			return rows, sides, nil
		}
		rows, sides, whole = nil, nil, true // it is for SQLite to say
	}
	err = db.Stream(ctx, tx, rowsSelection(t.number, first, last), func(r *database.StreamedRow) { takeRow(r.Packed, r) })
	if err != nil || !whole {
		// Or whatever is wrong with them is found out there.
		if rows, err = queryRows(ctx, tx, `WHERE e.tree = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq`, t.number, first, last); err != nil {
			return nil, nil, err
		}
	}
	whole = true
	if err = db.Stream(ctx, tx, textsSelection(t.number, first, last), takeTexts); err != nil || !whole {
		// A text was erased, or has the character that stands for that.
		sides, err = querySides(ctx, tx, `WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq`, t.number, first, last)
	}
	return rows, sides, err
}

// unpack takes apart the lines of a row that Stream packed, the first of which is its place. It is not ok when they are
// not as many as they should be, or one may be NULL.
func unpack(packed string) (seq int64, values [8]string, ok bool) {
	place, rest, _ := strings.Cut(packed, "\n")
	seq, err := strconv.ParseInt(place, 10, 64)
	ok = err == nil
	for i := range values {
		var found bool
		values[i], rest, found = strings.Cut(rest, "\n")
		ok = ok && found && values[i] != null
	}
	return seq, values, ok && rest == ""
}

// null is how NULL comes from Stream.
const null = "\x00"

// textsSelection is the query for the texts of some records.
func textsSelection(tree, first, last int64) database.Selection {
	return database.Selection{
		Numbers: []string{"seq"}, Texts: strings.Split(textColumns+", "+saltColumns, ", "),
		From: `FROM audit_texts WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq`, Args: []int64{tree, first, last},
	}
}

// rowsSelection is the query for the rows of some records.
func rowsSelection(tree, first, last int64) database.Selection {
	texts := []string{"e.id", "e.action", "e.phase", "e.operation_id", "e.outcome", "e.actor_id", "e.target_id"}
	return database.Selection{
		Numbers: []string{"e.seq", "e.time"}, Texts: texts, Plain: []string{"e.bytes", "e.hashes"}, Typed: append([]string{"ifnull(e.bytes, '')"}, texts...),
		From: `FROM audit_events e WHERE e.tree = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq`, Args: []int64{tree, first, last},
	}
}

// join makes an event of its row and its rows of personal text. Everything in
// the event is either in the bytes or fits a salted hash in them; columns that
// were copied must agree with the bytes.
func (t *tree) join(r *row, sides []sideRow) (Event, error) {
	bad := func(format string, args ...any) (Event, error) {
		return Event{}, &TamperedError{Tree: t.organizationID, Seq: r.seq, ID: r.id, Problem: fmt.Sprintf(format, args...)}
	}
	if !r.bytes.Valid {
		return t.purged(r, sides)
	}
	if p := t.cover.purge(r.seq); p != nil {
		return bad("it was purged by the record seq %d, and its bytes are here again", p.Seq)
	}
	var parsed record
	if err := parsed.parse(r.bytes.String); err != nil {
		return bad("%v", err)
	}
	ev := parsed.event
	if ev.OrganizationID != t.organizationID {
		return bad("its bytes are of organization %q", ev.OrganizationID)
	}
	if column := r.differs(&ev); column != "" {
		return bad("its column %s does not agree with its bytes", column)
	}
	names := subjects()
	for _, s := range sides {
		i := slices.Index(names[:], s.field)
		switch {
		case i < 0 || parsed.hashes[i] == "":
			return bad("its bytes know of no text called %q", s.field)
		case s.salt.Valid && s.text.Valid:
		case s.salt.Valid || s.text.Valid:
			return bad("the text %s is half gone", s.field)
		case !t.cover.erased(&ev, s.field):
			return bad("the text %s was erased, and no event says so", s.field)
		default:
			ev.Erased.add(s.field)
			continue
		}
		if !fits(parsed.hashes[i], s.salt.String, s.text.String) {
			return bad("the text %s does not fit the hash in its bytes", s.field)
		}
		*ev.subjectText(s.field) = s.text.String
	}
	for i, name := range names {
		if parsed.hashes[i] != "" && *ev.subjectText(name) == "" && !ev.Erased.has(name) {
			return bad("the text %s is gone", name)
		}
	}
	return ev, nil
}

// differs names a column that says something else than the bytes, or "".
func (r *row) differs(ev *Event) string {
	switch {
	case r.seq != ev.Seq:
		return "seq"
	case r.id != ev.ID:
		return "id"
	case r.time != ev.Time.UnixMilli():
		return "time"
	case r.action != string(ev.Action):
		return "action"
	case r.phase != string(ev.Phase):
		return "phase"
	case r.operationID != ev.OperationID:
		return "operation_id"
	case r.outcome != string(ev.Outcome):
		return "outcome"
	case r.actorID != ev.Actor.MemberID:
		return "actor_id"
	case r.targetID != ev.Target.ID:
		return "target_id"
	}
	return ""
}

// readEvents returns the events that a WHERE clause about audit_events e finds.
func (t *tree) readEvents(ctx context.Context, q queryer, where string, args ...any) ([]Event, error) {
	rows, err := queryRows(ctx, q, where, args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return t.eventsOf(ctx, q, rows)
}

// snapshot runs fn on one consistent state of the store.
func (l *Log) snapshot(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return snapshot(ctx, l.db, fn)
}

func snapshot(ctx context.Context, db *database.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin reading: %w", err)
	}
	defer tx.Rollback()
	return fn(tx)
}
