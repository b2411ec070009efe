package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"regexp"
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
	// columns from the table, which is called e; with the alias of the key's columns, and what says which row it is.
	Rows() (from, key, place string)
	// Indexes are those of the events' table. ok is false when it has others, or not these.
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
		{Name: eventsKey, Key: []string{"tree", "seq"}},
	}
}

func (sqliteDialect) Rows() (from, key, place string) {
	// Where the columns of a key are asked of the table itself, SQLite takes them from the index all the same.
	return `audit_events i INDEXED BY ` + eventsKey + ` CROSS JOIN audit_events e ON e.rowid = i.rowid`, `i`, `e.rowid`
}

func (sqliteDialect) Indexes(ctx context.Context, tx *sql.Tx) ([]Index, bool, error) {
	roots, err := rootsOfOurs(ctx, tx)
	return eventIndexes(), roots != nil, err
}

// rootsOfOurs returns the pages at which the tables of events and of texts, and their indexes, begin. It returns nil where
// they are not defined as the migrations do it, to the letter: whatever else the schema says, a column of another name for
// one, SQLite would show other rows than those that are there.
func rootsOfOurs(ctx context.Context, tx *sql.Tx) (map[string]uint32, error) {
	want := make(map[string]string) // by type, name and table
	for _, table := range []string{"audit_events", "audit_texts"} {
		if err := definitions(table, want); err != nil {
			return nil, err
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT type, name, tbl_name, coalesce(rootpage, 0), coalesce(sql, '') FROM sqlite_schema`)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	defer rows.Close()
	roots := make(map[string]uint32)
	for rows.Next() {
		var kind, name, table, text string
		var root int64
		if err := rows.Scan(&kind, &name, &table, &root, &text); err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		if !plainASCII(kind+name+table+text) || root < 0 || root > math.MaxUint32 {
			return nil, nil
		}
		definition, ours := want[kind+" "+name+" "+table]
		switch {
		case ours && plainSQL(text) == definition:
			roots[name] = uint32(root) // of several SQLite takes the last, too
		case ours || ofOurs.MatchString(name+" "+table+" "+text):
			return nil, nil
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	if len(roots) != len(want) {
		return nil, nil
	}
	return roots, nil
}

// ofOurs finds what is about the two tables by any of its names. SQLite tells no capitals from small letters.
var ofOurs = regexp.MustCompile(`(?i)audit_(events|texts)`)

// plainASCII is for texts that SQLite and this program read alike: it ends at the character 0, and counts others as
// letters that are spaces here.
func plainASCII(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// definitions adds those of a table and of its indexes.
func definitions(table string, all map[string]string) error {
	if table == "audit_events" {
		all["table audit_events audit_events"] = plainSQL(eventsTable)
		for _, index := range eventIndexes() {
			all["index "+index.Name+" audit_events"] = index.definition()
		}
		return nil
	}
	text, err := migrations.ReadFile("migrations/sqlite/00006_texts.sql")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	_, definition, _ := strings.Cut(string(text), "CREATE TABLE "+table)
	definition, _, _ = strings.Cut(definition, ";")
	all["table "+table+" "+table] = plainSQL("CREATE TABLE " + table + definition)
	return nil
}

func (index Index) definition() string {
	if strings.HasPrefix(index.Name, "sqlite_autoindex") {
		return ""
	}
	definition := `CREATE INDEX ` + index.Name + ` ON audit_events (` + strings.Join(index.Key, ", ") + `)`
	if index.Where != "" {
		definition += ` WHERE ` + index.Where
	}
	return definition
}

var sqlComment = regexp.MustCompile(`--.*`)

// plainSQL is SQL without comments, on one line. No text in it has two spaces or hyphens.
func plainSQL(text string) string {
	return strings.Join(strings.Fields(sqlComment.ReplaceAllString(text, "")), " ")
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
