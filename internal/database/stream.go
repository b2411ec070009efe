package database

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Selection is a query for many rows, of which each column costs something.
type Selection struct {
	// Numbers and Texts are expressions whose values come as one text, each with a line feed after it, and as the
	// character 0 where it is NULL.
	Numbers, Texts []string
	// Plain are expressions of text or bytes whose values come one by one.
	Plain []string
	// Typed are expressions that are text and not NULL, or Packed is "". In SQLite, where any column can hold anything,
	// bytes are packed like the text that no query finds any more; PostgreSQL does not look.
	Typed []string
	// From is the rest of the query, with ? for each argument.
	From string
	Args []int64
}

func (s Selection) packed() int { return len(s.Numbers) + len(s.Texts) }

// StreamedRow is a row that Stream found. It is valid until the function returns that was given it.
type StreamedRow struct {
	Packed string   // Numbers and Texts
	Plain  []string // "" where it is NULL
	Null   []bool   // which of Plain are NULL
}

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
	into := make([]any, 0, 1+len(s.Plain))
	if s.packed() > 0 {
		into = append(into, &row.Packed)
	}
	for i := range s.Plain {
		into = append(into, &plainValue{row, i})
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		each(row)
	}
	return rows.Err()
}

// plainValue takes one of the plain values of a row, with no copy more than it needs.
type plainValue struct {
	row *StreamedRow
	i   int
}

// Scan implements sql.Scanner.
func (v *plainValue) Scan(src any) error {
	value := ""
	switch src := src.(type) {
	case string:
		value = src
	case []byte:
		value = string(src)
	case nil:
	default:
		return fmt.Errorf("%w: %T", errNotText, src)
	}
	v.row.Plain[v.i], v.row.Null[v.i] = value, src == nil
	return nil
}

// errNotText says that a column holds something else than it should.
var errNotText = errors.New("neither text nor bytes")

func sqliteSelect(s Selection) string {
	var columns []string
	var packed []string
	for _, column := range slices.Concat(s.Numbers, s.Texts) {
		packed = append(packed, `ifnull(`+column+`, char(0))`)
	}
	if len(packed) > 0 {
		all := `concat_ws(char(10), ` + strings.Join(packed, `, `) + `, '')`
		if len(s.Typed) > 0 {
			// Numbers are less than any text, bytes are more.
			typed := strings.Join(s.Typed, `, `)
			all = `CASE WHEN min(` + typed + `) >= '' AND max(` + typed + `) < x'' THEN ` + all + ` ELSE '' END`
		}
		columns = append(columns, all)
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
	return `SELECT ` + strings.Join(slices.Concat(s.Numbers, s.Texts, s.Plain), `, `) + ` ` + s.From
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
	numbers, packed := len(c.selection.Numbers), c.selection.packed()
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
			c.row.Plain[i-packed], c.row.Null[i-packed] = string(value), size < 0
			continue
		case size < 0:
			c.packed = append(c.packed, 0)
		case i >= numbers:
			c.packed = append(c.packed, value...)
		case len(value) != 8: // not a bigint: like no number that is looked for
			c.packed = append(c.packed, 0)
		default:
			c.packed = strconv.AppendInt(c.packed, int64(binary.BigEndian.Uint64(value)), 10)
		}
		c.packed = append(c.packed, '\n')
	}
	c.row.Packed = string(c.packed)
	c.each(c.row)
	return at, nil
}
