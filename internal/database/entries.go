package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Index is one of a table, as a query names it.
type Index struct {
	Name  string
	Key   []string // columns
	Where string   // of a partial index, word for word; or ""
}

// EntryReader reads the entries of indexes, where that takes less than the
// store's own check of them does (see DB.Entries).
type EntryReader interface {
	// Rows is what to select rows of the audit's events from, so that each comes by way of its key and all of its
	// columns from the table; with the alias of the table, that of the key's columns, and what says which row it is.
	Rows() (from, table, key, place string)
	// Indexes are those of the events' table, but for that of the key. ok is false when it has others, or not these.
	Indexes(ctx context.Context, tx *sql.Tx) (indexes []Index, ok bool, err error)
	// Each calls fn with the entries of an index, in its order, which it checks. An entry is the values of the key and
	// which row it is of, each with a line feed after it.
	Each(ctx context.Context, tx *sql.Tx, index Index, fn func(entry string)) error
	// DamageBeside is Damage, but for the indexes of the tables of events, of texts and of the search index.
	DamageBeside(ctx context.Context, tx *sql.Tx) (string, error)
}

// Entries returns nil where Damage is the faster way to check the indexes.
func (db *DB) Entries() EntryReader {
	if d, ok := db.dialect.(sqliteDialect); ok {
		return d
	}
	return nil
}

const eventsKey = "sqlite_autoindex_audit_events_2"

// eventIndexes are the indexes of audit_events as the migrations make them.
func eventIndexes() []Index {
	return []Index{
		{Name: "audit_events_by_operation", Key: []string{"tree", "operation_id", "seq"}, Where: `operation_id <> ''`},
		{Name: "audit_events_by_time", Key: []string{"tree", "time", "seq"}},
		{Name: "audit_events_covering", Key: []string{"tree", "seq"}, Where: `action IN ('audit.purge', 'audit.erase', 'audit.key.change')`},
		{Name: "audit_events_reviews", Key: []string{"tree", "actor_id", "seq"}, Where: `action = 'audit.review' AND target_id >= '0-' AND target_id < '0.'`},
		{Name: "sqlite_autoindex_audit_events_1", Key: []string{"id"}},
	}
}

func (sqliteDialect) Rows() (from, table, key, place string) {
	// Where the columns of a key are asked of the table itself, SQLite takes them from the index all the same.
	return `audit_events i INDEXED BY ` + eventsKey + ` CROSS JOIN audit_events e ON e.rowid = i.rowid`, `e`, `i`, `e.rowid`
}

func (sqliteDialect) Indexes(ctx context.Context, tx *sql.Tx) ([]Index, bool, error) {
	found, err := queryNames(ctx, tx, `SELECT l.name || ' ' || group_concat(i.name, ' ')
		FROM pragma_index_list('audit_events') l JOIN pragma_index_info(l.name) i GROUP BY l.name ORDER BY l.name`)
	if err != nil {
		return nil, false, err
	}
	indexes := eventIndexes()
	want := []string{eventsKey + " tree seq"}
	for _, index := range indexes {
		want = append(want, index.Name+" "+strings.Join(index.Key, " "))
	}
	slices.Sort(want)
	return indexes, slices.Equal(found, want), nil
}

// entriesAtOnce is how many entries one query reads. They come as one value, as a row for each would take as long again.
const entriesAtOnce = 1000

var errNoOrder = errors.New("an index is not in order")

func (sqliteDialect) Each(ctx context.Context, tx *sql.Tx, index Index, fn func(entry string)) error {
	key := strings.Join(index.Key, ", ")
	query := func(conditions ...string) string {
		conditions = slices.DeleteFunc(append(conditions, index.Where), func(s string) bool { return s == "" })
		where := ""
		if len(conditions) > 0 {
			where = ` WHERE ` + strings.Join(conditions, ` AND `)
		}
		return `SELECT coalesce(group_concat(concat_ws(char(10), ` + key + `, place, ''), ''), '') FROM (
			SELECT ` + key + `, rowid AS place FROM audit_events INDEXED BY ` + index.Name + where + ` ORDER BY ` + key + ` LIMIT ` + strconv.Itoa(entriesAtOnce) + `)`
	}
	first, next := query(), query(`(`+key+`) > (?`+strings.Repeat(`, ?`, len(index.Key)-1)+`)`)
	last := ""
	for {
		q, args := next, lastArgs(index, last)
		if last == "" {
			q, args = first, nil
		}
		var entries string
		if err := tx.QueryRowContext(ctx, q, args...).Scan(&entries); err != nil {
			return err
		}
		if entries == "" {
			return nil
		}
		for entries != "" {
			length := 0
			for range len(index.Key) + 1 {
				length += strings.IndexByte(entries[length:], '\n') + 1
			}
			entry := entries[:length]
			if last != "" && !inOrder(index, last, entry) {
				return fmt.Errorf("%w: %s", errNoOrder, index.Name)
			}
			fn(entry)
			entries, last = entries[length:], entry
		}
	}
}

func isText(column string) bool {
	return column == "id" || column == "operation_id" || column == "actor_id"
}

// lastArgs are the values of the key of an entry.
func lastArgs(index Index, entry string) []any {
	args := make([]any, len(index.Key))
	for i, column := range index.Key {
		var value string
		value, entry, _ = strings.Cut(entry, "\n")
		if args[i] = value; !isText(column) {
			args[i], _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return args
}

// inOrder reports whether an entry stands before another one. Of numbers there are none below 0.
func inOrder(index Index, a, b string) bool {
	for _, column := range index.Key {
		var x, y string
		x, a, _ = strings.Cut(a, "\n")
		y, b, _ = strings.Cut(b, "\n")
		if x == y {
			continue
		}
		return !isText(column) && len(x) < len(y) || (isText(column) || len(x) == len(y)) && x < y
	}
	return false
}

func (sqliteDialect) DamageBeside(ctx context.Context, tx *sql.Tx) (string, error) {
	if found, err := replacedSQLite(ctx, tx); err != nil || found != "" {
		return found, err
	}
	names, err := queryNames(ctx, tx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('audit_events', 'audit_texts', 'audit_terms') ORDER BY name`)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		found, err := checkSQLite(ctx, tx, `PRAGMA integrity_check('`+strings.ReplaceAll(name, `'`, `''`)+`')`)
		if err != nil || found != "" {
			return found, err
		}
	}
	return "", nil
}

func checkSQLite(ctx context.Context, tx *sql.Tx, pragma string) (found string, err error) {
	if err := tx.QueryRowContext(ctx, pragma).Scan(&found); err != nil {
		return "", fmt.Errorf("check integrity: %w", err)
	}
	if found == "ok" {
		return "", nil
	}
	return found, nil
}
