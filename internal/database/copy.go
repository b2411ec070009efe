package database

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

var (
	// ErrNotEmpty says that there is something already where a store was to be copied to.
	ErrNotEmpty = errors.New("the target is not empty")
	// ErrChanged says that a store was written to while it was copied.
	ErrChanged = errors.New("the source changed meanwhile; stop the console and copy again")
)

// copyValues is how many values one INSERT carries.
const copyValues = 800

// Copy copies every row of every table of a store to the place of another one,
// of either kind, that has to be empty, and makes the tables there. It does so
// from one state of the source, in one transaction of the target, which it
// commits only if all of it arrived as it was read and the source is still the
// same: a copy that is interrupted leaves an empty target, to which it can be
// begun again. check is called on the state of the source before anything is
// written, and on the copy before it is committed; its error ends it all.
func Copy(ctx context.Context, from *DB, targetURL string, check func(db *DB, tx *sql.Tx) error) error {
	err := copyStore(ctx, from, targetURL, check)
	if moved := from.Stable(); err != nil && moved != nil {
		return fmt.Errorf("%w (%w)", ErrChanged, moved) // and what was read of it says nothing
	}
	return err
}

func copyStore(ctx context.Context, from *DB, targetURL string, check func(db *DB, tx *sql.Tx) error) (err error) {
	if err := checkEmpty(ctx, targetURL); err != nil {
		return err
	}
	source, err := from.beginCopy(ctx)
	if err != nil {
		return err
	}
	defer source.Rollback()
	if err := check(from, source); err != nil {
		return err
	}
	to, err := Open(ctx, targetURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return to.Write(ctx, func(target *sql.Tx) error {
		sums, err := copyTables(ctx, to, source, target)
		if err != nil {
			return err
		}
		if err := check(to, target); err != nil {
			return err
		}
		return from.unchanged(ctx, sums)
	})
}

// beginCopy begins to read one state of the store for as long as it takes.
func (db *DB) beginCopy(ctx context.Context) (*sql.Tx, error) {
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("begin reading: %w", err)
	}
	if err := db.takeTime(ctx, tx); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// takeTime lifts the time limits of a transaction.
func (db *DB) takeTime(ctx context.Context, tx *sql.Tx) error {
	if _, ok := db.dialect.(sqliteDialect); ok {
		return nil
	}
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := tx.ExecContext(ctx, `SET LOCAL `+limit+` = 0`); err != nil {
			return fmt.Errorf("lift %s: %w", limit, err)
		}
	}
	return nil
}

// copyTables copies all tables and returns the sum of each.
func copyTables(ctx context.Context, to *DB, source, target *sql.Tx) (map[string]string, error) {
	names, err := createdTables()
	if err != nil {
		return nil, err
	}
	if err := to.takeTime(ctx, target); err != nil {
		return nil, err
	}
	_, sqlite := to.dialect.(sqliteDialect)
	if !sqlite {
		// SQLite lets in one writer anyway.
		if _, err := target.ExecContext(ctx, `LOCK TABLE `+strings.Join(names, ", ")+` IN EXCLUSIVE MODE`); err != nil {
			return nil, fmt.Errorf("lock the target: %w", err)
		}
	}
	if err := to.empty(ctx, target); err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for _, name := range names {
		t, err := to.table(ctx, target, name)
		if err != nil {
			return nil, err
		}
		if sums[name], err = t.copy(ctx, source, target, sqlite); err != nil {
			return nil, err
		}
		arrived, err := t.read(ctx, target, func([]any) error { return nil })
		if err != nil {
			return nil, err
		}
		if arrived != sums[name] {
			return nil, fmt.Errorf("copy %s: the rows did not arrive as they were read", name)
		}
		if !sqlite {
			if err := setIdentity(ctx, target, name); err != nil {
				return nil, err
			}
		}
	}
	return sums, nil
}

// unchanged reads the source once more, as it is now.
func (db *DB) unchanged(ctx context.Context, sums map[string]string) error {
	tx, err := db.beginCopy(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for name, sum := range sums {
		t, err := db.table(ctx, tx, name)
		if err != nil {
			return err
		}
		now, err := t.read(ctx, tx, func([]any) error { return nil })
		if err != nil {
			return err
		}
		if now != sum {
			return ErrChanged
		}
	}
	if err := db.Stable(); err != nil {
		return fmt.Errorf("%w (%w)", ErrChanged, err)
	}
	return nil
}

// setIdentity has the numbers that a table gives to its rows go on after the highest.
func setIdentity(ctx context.Context, tx *sql.Tx, table string) error {
	columns, err := queryNames(ctx, tx, `SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attidentity <> '' AND NOT attisdropped`, table)
	if err != nil {
		return err
	}
	for _, column := range columns {
		highest := `max("` + column + `")`
		//nolint:gosec // G202: the names are those of the migrations
		q := `SELECT setval(pg_get_serial_sequence(?, ?), ` + highest + `) FROM ` + table + ` HAVING ` + highest + ` > 0`
		if _, err := tx.ExecContext(ctx, q, table, column); err != nil {
			return fmt.Errorf("set numbers of %s: %w", table, err)
		}
	}
	return nil
}

// checkEmpty refuses a target that has anything in it, before it is migrated. One that is not there yet is empty.
func checkEmpty(ctx context.Context, rawURL string) (err error) {
	db, err := lookInto(ctx, rawURL)
	if db == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", db.name, err)
	}
	defer tx.Rollback()
	return db.empty(ctx, tx)
}

// lookInto opens whatever is in the place of a store for reading. It is nil where there is nothing.
func lookInto(ctx context.Context, rawURL string) (*DB, error) {
	if isPostgres(rawURL) {
		config, err := postgresConfig(rawURL)
		if err != nil {
			return nil, badURL(err)
		}
		return newPostgres(ctx, config)
	}
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, badURL(err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open store: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("open store: %s is not a file", path)
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	if !somethingBeside(path) {
		query.Set("immutable", "1") // or reading would leave files beside it
	}
	db := newSQLite(path)
	db.reader, err = openPool(path, query, 1)
	return db, err
}

// What belongs to the server, an extension or the migrations themselves does not count.
const (
	sqliteRelations = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
		AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'goose_db_version' ORDER BY name`
	postgresRelations = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'goose_db_version'
			AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		ORDER BY c.relname`
)

// empty names what is in the store besides tables of ours without rows.
func (db *DB) empty(ctx context.Context, tx *sql.Tx) error {
	relations := postgresRelations
	if _, ok := db.dialect.(sqliteDialect); ok {
		relations = sqliteRelations
	}
	found, err := queryNames(ctx, tx, relations)
	if err != nil {
		return err
	}
	ours, err := createdTables()
	if err != nil {
		return err
	}
	var there []string
	for _, name := range found {
		if !slices.Contains(ours, name) {
			there = append(there, fmt.Sprintf("%q, which is not of a console", name))
			continue
		}
		var rows bool
		if err := tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %q)`, name)).Scan(&rows); err != nil {
			return fmt.Errorf("look into %s: %w", name, err)
		}
		if rows {
			there = append(there, "rows in "+name)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return fmt.Errorf("%w: in %s there are %s", ErrNotEmpty, db.name, strings.Join(there, ", "))
}

func queryNames(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("look at tables: %w", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("look at tables: %w", err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look at tables: %w", err)
	}
	return names, nil
}

// Names of the tables, as the migrations make and drop them.
var (
	createdTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)
	droppedTable = regexp.MustCompile(`(?m)^DROP TABLE (\w+)`)
)

// createdTables are the names of all tables.
func createdTables() ([]string, error) {
	var tables []string
	dropped := []string{"audit_hashes"} // by hashesMigration
	err := fs.WalkDir(migrations, "migrations/postgres", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".sql" {
			return err
		}
		text, err := migrations.ReadFile(path)
		for _, found := range createdTable.FindAllSubmatch(text, -1) {
			tables = append(tables, string(found[1]))
		}
		for _, found := range droppedTable.FindAllSubmatch(text, -1) {
			dropped = append(dropped, string(found[1]))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return slices.DeleteFunc(tables, func(name string) bool { return slices.Contains(dropped, name) }), nil
}

// copiedTable is a table with its columns, sorted, and those of its key.
type copiedTable struct {
	name         string
	columns, key []string
}

func (db *DB) table(ctx context.Context, tx *sql.Tx, name string) (copiedTable, error) {
	columns, key := `SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped`,
		`SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
			WHERE i.indrelid = to_regclass(?) AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)`
	if _, ok := db.dialect.(sqliteDialect); ok {
		columns, key = `SELECT name FROM pragma_table_info(?)`, `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`
	}
	t := copiedTable{name: name}
	var err error
	if t.columns, err = queryNames(ctx, tx, columns, name); err != nil {
		return t, err
	}
	slices.Sort(t.columns)
	t.key, err = queryNames(ctx, tx, key, name)
	return t, err
}

func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }

// read calls each for all rows in the order of the key, and returns a sum over them that is the same in any store.
func (t copiedTable) read(ctx context.Context, tx *sql.Tx, each func(row []any) error) (string, error) {
	//nolint:gosec // G202: the names are those of the migrations
	rows, err := tx.QueryContext(ctx, `SELECT `+quoted(t.columns)+` FROM `+t.name+` ORDER BY `+quoted(t.key))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", t.name, err)
	}
	defer rows.Close()
	sum := sha256.New()
	row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return "", fmt.Errorf("read %s: %w", t.name, err)
		}
		for i, value := range row {
			if err := add(sum, value); err != nil {
				return "", fmt.Errorf("read %s.%s: %w", t.name, t.columns[i], err)
			}
		}
		if err := each(row); err != nil {
			return "", err
		}
	}
	if err := rows.Err(); err != nil {
		return "", fmt.Errorf("read %s: %w", t.name, err)
	}
	return string(sum.Sum(nil)), nil
}

// add adds a value to a sum, so that no two rows add the same.
func add(sum hash.Hash, value any) error {
	var kind byte
	var content []byte
	switch v := value.(type) {
	case nil:
	case int64:
		kind, content = 1, binary.BigEndian.AppendUint64(nil, uint64(v))
	case string:
		kind, content = 2, []byte(v)
	case []byte:
		kind, content = 3, v
	default:
		return fmt.Errorf("it holds %T, which no column of a store does", value)
	}
	sum.Write(binary.BigEndian.AppendUint64([]byte{kind}, uint64(len(content))))
	sum.Write(content)
	return nil
}

// copy copies all rows and returns their sum.
func (t copiedTable) copy(ctx context.Context, source, target *sql.Tx, sqlite bool) (string, error) {
	if sqlite {
		return t.copyToSQLite(ctx, source, target)
	}
	return t.copyToPostgres(ctx, source, target)
}

func (t copiedTable) copyToSQLite(ctx context.Context, source, target *sql.Tx) (string, error) {
	var waiting []any
	insert := func() error {
		if len(waiting) == 0 {
			return nil
		}
		marks := "(?" + strings.Repeat(", ?", len(t.columns)-1) + ")"
		//nolint:gosec // G202: the names are those of the migrations
		q := `INSERT INTO ` + t.name + ` (` + quoted(t.columns) + `) VALUES ` + marks + strings.Repeat(", "+marks, len(waiting)/len(t.columns)-1)
		if _, err := target.ExecContext(ctx, q, waiting...); err != nil {
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
		clear(waiting)
		waiting = waiting[:0]
		return nil
	}
	sum, err := t.read(ctx, source, func(row []any) error {
		waiting = append(waiting, row...)
		if len(waiting)+len(row) <= copyValues {
			return nil
		}
		return insert()
	})
	if err != nil {
		return "", err
	}
	return sum, insert()
}

// copyToPostgres reads rows while PostgreSQL takes those before them.
func (t copiedTable) copyToPostgres(ctx context.Context, source, target *sql.Tx) (sum string, err error) {
	from, to := io.Pipe()
	rows := bufio.NewWriterSize(to, 1<<16)
	var both errgroup.Group
	both.Go(func() error {
		var b []byte
		var err error
		sum, err = t.read(ctx, source, func(row []any) error {
			for i, value := range row {
				if s, ok := value.(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
					return fmt.Errorf("copy %s: in %s there is text that PostgreSQL does not take", t.name, t.columns[i])
				}
			}
			b = appendCopied(b[:0], row)
			_, err := rows.Write(b)
			return err
		})
		if err == nil {
			err = rows.Flush()
		}
		to.CloseWithError(err) // nil is the end
		return err
	})
	_, taken := target.ExecContext(ctx, "", &copyIn{`COPY ` + t.name + ` (` + quoted(t.columns) + `) FROM STDIN`, from})
	from.CloseWithError(errors.New("PostgreSQL takes no more"))
	if read := both.Wait(); read != nil && taken == nil {
		return "", read
	} else if read != nil && !errors.Is(taken, read) {
		taken = errors.Join(taken, read)
	}
	if taken != nil {
		return "", fmt.Errorf("copy %s: %w", t.name, taken)
	}
	return sum, nil
}
