package database

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Selection is a query for many rows, of which each column costs something.
type Selection struct {
	// Numbers and Texts are expressions that are never NULL. Their values come as one text, each with a line feed after it.
	Numbers, Texts []string
	// Plain are expressions of text or bytes whose values come one by one.
	Plain []string
	// From is the rest of the query, with ? for each argument.
	From string
	Args []int64
}

// StreamedRow is a row that Stream found. It is valid until the function returns that was given it.
type StreamedRow struct {
	Packed []byte   // Numbers and Texts
	Plain  []string // "" where it is NULL
	Null   []bool   // which of Plain are NULL
}

func (r *StreamedRow) set(i int, value string, null bool) { r.Plain[i], r.Null[i] = value, null }

// newStreamedRow makes room for the row of a selection.
func newStreamedRow(s Selection) *StreamedRow {
	return &StreamedRow{Plain: make([]string, len(s.Plain)), Null: make([]bool, len(s.Plain))}
}

// Stream has SQLite put the packed values together, as it is handing over a value that takes long.
func (sqliteDialect) Stream(ctx context.Context, tx *sql.Tx, s Selection, each func(*StreamedRow)) error {
	args := make([]any, len(s.Args))
	for i, arg := range s.Args {
		args[i] = arg
	}
	rows, err := tx.QueryContext(ctx, sqliteSelect(s), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := newStreamedRow(s)
	plain := make([]any, len(s.Plain))
	var packed sql.RawBytes
	into := make([]any, 0, 1+len(plain))
	if len(s.Numbers)+len(s.Texts) > 0 {
		into = append(into, &packed)
	}
	for i := range plain {
		into = append(into, &plain[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row.Packed = packed
		for i, value := range plain {
			switch v := value.(type) {
			case string:
				row.set(i, v, false)
			case []byte:
				row.set(i, string(v), false)
			case nil:
				row.set(i, "", true)
			default:
				return fmt.Errorf("%w: %s is %T", errNotText, s.Plain[i], value)
			}
		}
		each(row)
	}
	return rows.Err()
}

// errNotText says that a column holds something else than it should.
var errNotText = errors.New("neither text nor bytes")

func sqliteSelect(s Selection) string {
	var columns []string
	if packed := append(append([]string{}, s.Numbers...), s.Texts...); len(packed) > 0 {
		columns = append(columns, `concat_ws(char(10), `+strings.Join(packed, `, `)+`, '')`)
	}
	return `SELECT ` + strings.Join(append(columns, s.Plain...), `, `) + ` ` + s.From
}

// Stream has PostgreSQL copy the rows out, which costs both sides the least.
func (*postgresDialect) Stream(ctx context.Context, tx *sql.Tx, s Selection, each func(*StreamedRow)) error {
	query := postgresSelect(s)
	for _, arg := range s.Args { // COPY has no arguments
		before, after, ok := strings.Cut(query, "?")
		if !ok {
			return errors.New("stream: too many arguments")
		}
		query = before + strconv.FormatInt(arg, 10) + after
	}
	c := &copyOut{query: `COPY (` + query + `) TO STDOUT (FORMAT binary)`, selection: s, row: newStreamedRow(s), each: each}
	_, err := tx.ExecContext(ctx, "", c)
	return err
}

func postgresSelect(s Selection) string {
	columns := append(append(append([]string{}, s.Numbers...), s.Texts...), s.Plain...)
	return `SELECT ` + strings.Join(columns, `, `) + ` ` + s.From
}

// copyOut takes what PostgreSQL copies out, in its binary format. It is passed through database/sql, which knows of
// queries only.
type copyOut struct {
	query     string
	selection Selection
	row       *StreamedRow
	each      func(*StreamedRow)

	begun   bool
	ended   bool
	waiting []byte // the beginning of a row that was not yet whole
	packed  []byte
}

const (
	copySignature = "PGCOPY\n\xff\r\n\x00"
	copyHeader    = len(copySignature) + 8 // flags and the length of an extension, which is 0
)

var errBadCopy = errors.New("what the server copies out is not in the format it should have")

// Write takes a part of what is copied, which usually is a row.
func (c *copyOut) Write(data []byte) (int, error) {
	rest := data
	if len(c.waiting) > 0 {
		c.waiting = append(c.waiting, data...)
		rest = c.waiting
	}
	if !c.begun && len(rest) >= copyHeader {
		if string(rest[:len(copySignature)]) != copySignature {
			return 0, errBadCopy
		}
		c.begun, rest = true, rest[copyHeader:]
	}
	for c.begun && len(rest) > 0 {
		n, err := c.take(rest)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		rest = rest[n:]
	}
	c.waiting = append(c.waiting[:0], rest...)
	return len(data), nil
}

// take reads the first row of some data and returns how long it was, or 0 when it is not whole.
func (c *copyOut) take(data []byte) (int, error) {
	if len(data) < 2 {
		return 0, nil
	}
	numbers, packed := len(c.selection.Numbers), len(c.selection.Numbers)+len(c.selection.Texts)
	switch fields := int(int16(binary.BigEndian.Uint16(data))); {
	case fields == -1:
		c.ended = true
		return 2, nil
	case c.ended || fields != packed+len(c.selection.Plain):
		return 0, errBadCopy
	}
	at := 2
	c.packed = c.packed[:0]
	for i := range packed + len(c.selection.Plain) {
		if len(data) < at+4 {
			return 0, nil
		}
		size := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		if size > 0 && len(data) < at+size {
			return 0, nil
		}
		value := data[at : at+max(size, 0)]
		at += len(value)
		switch {
		case i >= packed:
			c.row.set(i-packed, string(value), size < 0)
			continue
		case size < 0:
			c.packed = append(c.packed, 0) // like no text that is looked for
		case i >= numbers:
			c.packed = append(c.packed, value...)
		case len(value) != 8: // not a bigint: like no number that is looked for
			c.packed = append(c.packed, 0)
		default:
			c.packed = strconv.AppendInt(c.packed, int64(binary.BigEndian.Uint64(value)), 10)
		}
		c.packed = append(c.packed, '\n')
	}
	c.row.Packed = c.packed
	c.each(c.row)
	return at, nil
}
