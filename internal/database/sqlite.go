package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	db := newSQLite(path)
	path, err := filepath.EvalSymlinks(path) // as SQLite does
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	// A record of the audit takes some 1,500 bytes, of which pages of the usual size waste a quarter. What exists keeps
	// the size it has. The driver sets journal_mode, which makes the first page, after all of these.
	//
	// Deleted is overwritten always, not just while somebody is erased: rows of the index are deleted all the time, and
	// what is in their pages then would never be found again.
	pragmas := []string{"page_size(8192)", "busy_timeout(10000)", "synchronous(FULL)", "foreign_keys(1)", "secure_delete(ON)"}
	if db.writer, err = openPool(path, url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_pragma": pragmas}, 1); err != nil {
		return nil, err
	}
	err = migrate(ctx, goose.DialectSQLite3, db.writer)
	// A process that starts on the same store at the same time may have been in the way, or have migrated first.
	for until := time.Now().Add(lockTimeout); overtaken(err) && time.Now().Before(until); {
		err = migrate(ctx, goose.DialectSQLite3, db.writer)
	}
	if err != nil {
		return nil, errors.Join(explain(path, err), db.writer.Close())
	}
	pragmas = []string{"busy_timeout(10000)", "query_only(1)"}
	if db.reader, err = openPool(path, url.Values{"mode": {"rw"}, "_pragma": pragmas}, readers()); err != nil {
		return nil, errors.Join(err, db.writer.Close())
	}
	if db.file, err = openStoreFile(path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func overtaken(err error) bool {
	code := sqliteCode(err) & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_ERROR
}

func newSQLite(path string) *DB {
	return &DB{dialect: sqliteDialect{}, name: (&url.URL{Scheme: "sqlite", Path: path}).String(), hooks: map[*sql.Tx][]func(){}}
}

// heldReaders are connections that may be held for minutes at once: by two verifications and two exports from the pages, by
// the sink and the witness, and by the search index.
const heldReaders = 7

// readers leaves at least four for the pages, whatever the others are at, or nobody could sign in meanwhile.
func readers() int { return heldReaders + max(4, runtime.NumCPU()) }

func openPool(path string, query url.Values, size int) (*sql.DB, error) {
	// As a URI, so that a path with ? or % in it is not cut.
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

// createFile makes an empty store that only its owner may read, as the files
// SQLite puts beside it then are too. What exists is left as it is.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func openSQLiteReadOnly(ctx context.Context, path string) (*DB, error) {
	db := newSQLite(path)
	path, err := filepath.EvalSymlinks(path) // as SQLite does, to find what is beside the file
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	before, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("open store: %s is not a file", path)
	}
	if journal, err := os.Stat(path + "-journal"); err == nil && journal.Size() > 0 {
		return nil, fmt.Errorf("open store: beside it is %s-journal, of a change that was cut off and that whoever opens it for writing next takes back: do that first, with a console or a copy", filepath.Base(path))
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	if db.file, err = openStoreFile(path); err != nil {
		return nil, err
	}
	if !somethingBeside(path) {
		// Nobody has it open, and even reading would otherwise leave files beside it. Without locks a writer that
		// comes now is not noticed, so whoever needs to be sure asks Stable at the end.
		query.Set("immutable", "1")
		db.stable = func() error {
			after, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("the store changed while it was read: %w", err)
			}
			if somethingBeside(path) || !os.SameFile(before, after) || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
				return errors.New("the store changed while it was read: try again")
			}
			return nil
		}
	}
	if db.reader, err = openPool(path, query, readers()); err != nil {
		return nil, errors.Join(err, db.file.close())
	}
	if err := checkSQLiteSchema(ctx, db.reader); err != nil {
		return nil, errors.Join(explain(path, err), db.Close())
	}
	return db, nil
}

// somethingBeside reports whether the state of the store is not in its main file alone: whether there is a write-ahead log, or a
// journal of what SQLite will take back.
func somethingBeside(path string) bool {
	for _, end := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + end); err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

func checkSQLiteSchema(ctx context.Context, db *sql.DB) error {
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errNotAStore
	}
	return checkSchema(ctx, goose.DialectSQLite3, db)
}

func explain(path string, err error) error {
	if sqliteCode(err)&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("open %s: the file is not an SQLite database: %w", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// sqliteDialect is that of a store with one writer.
type sqliteDialect struct{}

// Lock does nothing: a transaction of Write has the only write lock from its start.
func (sqliteDialect) Lock(context.Context, *sql.Tx, string, ...any) error { return nil }

func (sqliteDialect) Exec(ctx context.Context, tx *sql.Tx, statements ...Statement) ([]int64, error) {
	changed := make([]int64, len(statements))
	for i, s := range statements {
		res, err := tx.ExecContext(ctx, s.Query, s.Args...)
		if err == nil {
			changed[i], err = res.RowsAffected()
		}
		if err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// Now is this host's time, as all processes on the store are on this host.
func (sqliteDialect) Now() time.Time { return time.Now() }

func (sqliteDialect) beforeWrite(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) Damage(ctx context.Context, tx *sql.Tx) (string, error) {
	if found, err := replacedSQLite(ctx, tx); err != nil || found != "" {
		return found, err
	}
	return checkSQLite(ctx, tx, `PRAGMA integrity_check(1)`)
}

// replacedSQLite names what may show one thing to whoever verifies, as by the name of the file, and another to the
// console. A virtual table has no page of its own.
func replacedSQLite(ctx context.Context, tx *sql.Tx) (string, error) {
	names, err := createdTables()
	if err != nil {
		return "", err
	}
	tables := make([]any, len(names))
	for i, name := range names {
		tables[i] = name
	}
	const replaced = `SELECT type, tbl_name FROM sqlite_schema WHERE (type IN ('view', 'trigger') OR type = 'table' AND COALESCE(rootpage, 0) = 0)
		AND tbl_name COLLATE NOCASE IN (?`
	var kind, name string
	err = tx.QueryRowContext(ctx, replaced+strings.Repeat(`, ?`, len(tables)-1)+`) ORDER BY type DESC, tbl_name LIMIT 1`, tables...).Scan(&kind, &name)
	switch {
	case err == nil && kind == "trigger":
		return "a trigger changes what is written to the table " + name, nil
	case err == nil:
		return name + " is not a table any more", nil
	case !errors.Is(err, sql.ErrNoRows):
		return "", fmt.Errorf("look at tables: %w", err)
	}
	return "", nil
}

// sqliteCode is SQLite's extended result code, or 0.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
