package database

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector opens connections to PostgreSQL that take the SQL of SQLite.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return connection{conn.(*stdlib.Conn)}, nil //nolint:forcetypeassert // it makes no other
}

type connection struct{ *stdlib.Conn }

func (c connection) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.PrepareContext(ctx, numbered(query))
}

func (c connection) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 1 {
		switch v := args[0].Value.(type) {
		case *batch:
			return driver.RowsAffected(0), v.run(ctx, c.Conn.Conn())
		case *copyOut:
			_, err := c.Conn.Conn().PgConn().CopyTo(ctx, v, v.query)
			return driver.RowsAffected(0), err
		case *copyIn:
			_, err := c.Conn.Conn().PgConn().CopyFrom(ctx, v.rows, v.query)
			return driver.RowsAffected(0), err
		}
	}
	return c.Conn.ExecContext(ctx, numbered(query), args)
}

func (c connection) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.QueryContext(ctx, numbered(query), args)
}

// CheckNamedValue lets through what clean makes of it, and what ExecContext knows.
func (connection) CheckNamedValue(arg *driver.NamedValue) (err error) {
	switch arg.Value.(type) {
	case *batch, *copyOut, *copyIn:
	default:
		arg.Value, err = clean(arg.Value)
	}
	return err
}

// clean makes text out of what PostgreSQL does not take for text, in the way
// the audit does, so that no identifier somebody made up is an error.
func clean(arg any) (any, error) {
	value, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if err != nil {
		return nil, err
	}
	if s, ok := value.(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
		value = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	}
	return value, nil
}

// batch is what Exec passes through database/sql, which knows of single statements only.
type batch struct {
	statements []Statement
	changed    []int64
}

func (b *batch) run(ctx context.Context, conn *pgx.Conn) error {
	var queue pgx.Batch
	for _, s := range b.statements {
		args := make([]any, len(s.Args))
		for i, arg := range s.Args {
			var err error
			if args[i], err = clean(arg); err != nil {
				return err
			}
		}
		queue.Queue(numbered(s.Query), args...)
	}
	b.changed = make([]int64, 0, len(b.statements))
	results := conn.SendBatch(ctx, &queue)
	for range b.statements {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // which repeats it
			return err
		}
		b.changed = append(b.changed, tag.RowsAffected())
	}
	return results.Close()
}

// copyIn is rows for PostgreSQL, in the text format of COPY, passed through database/sql in the same way.
type copyIn struct {
	query string
	rows  io.Reader
}

// appendCopied writes a row in that format.
func appendCopied(b []byte, row []any) []byte {
	for i, value := range row {
		if i > 0 {
			b = append(b, '\t')
		}
		switch v := value.(type) {
		case nil:
			b = append(b, `\N`...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			b = append(b, copyEscapes.Replace(v)...)
		case []byte:
			b = hex.AppendEncode(append(b, `\\x`...), v)
		}
	}
	return append(b, '\n')
}

var copyEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// numbered writes $1, $2, … for each ? outside of quotes and comments.
func numbered(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	b := make([]byte, 0, len(query)+16)
	n := 0
	for i := 0; i < len(query); i++ {
		end := i
		switch {
		case query[i] == '?':
			n++
			b = strconv.AppendInt(append(b, '$'), int64(n), 10)
			continue
		case query[i] == '\'' || query[i] == '"':
			// A doubled quote inside ends one text and begins the next, which comes to the same.
			end = i + 1 + strings.IndexByte(query[i+1:]+query[i:i+1], query[i])
		case strings.HasPrefix(query[i:], "--"):
			end = i + strings.IndexByte(query[i:]+"\n", '\n')
		}
		end = min(end, len(query)-1)
		b = append(b, query[i:end+1]...)
		i = end
	}
	return string(b)
}
