package database

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// errNotAStore says that a file is a database, but not one of ours.
var errNotAStore = errors.New("not a store of the console")

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	db := newSQLite(path)
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	var err error
	if db.writer, err = openPool(path, url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": pragmas}, 1); err != nil {
		return nil, err
	}
	if err := migrate(ctx, db.writer); err != nil {
		return nil, errors.Join(explain(path, err), db.writer.Close())
	}
	pragmas = []string{"busy_timeout(10000)", "query_only(1)"}
	if db.reader, err = openPool(path, url.Values{"mode": {"rw"}, "_pragma": pragmas}, readers()); err != nil {
		return nil, errors.Join(err, db.writer.Close())
	}
	return db, nil
}

func newSQLite(path string) *DB {
	return &DB{name: (&url.URL{Scheme: "sqlite", Path: path}).String(), hooks: map[*sql.Tx][]func(){}}
}

func readers() int { return max(4, runtime.NumCPU()) }

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

func newProvider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

func migrate(ctx context.Context, db *sql.DB) error {
	migrations, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := migrations.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return tooNew(have, want)
	}
	if _, err := migrations.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func tooNew(have, want int64) error {
	return fmt.Errorf("its schema has version %d, this program knows %d: use the newer program", have, want)
}

func openSQLiteReadOnly(ctx context.Context, path string) (*DB, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("open store: %s is not a file", path)
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	db := newSQLite(path)
	if !walInUse(path) {
		// Nobody has it open, and even reading would otherwise leave files beside it. Without locks a writer that
		// comes now is not noticed, so whoever needs to be sure asks Stable at the end.
		query.Set("immutable", "1")
		db.stable = func() error {
			after, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("the store changed while it was read: %w", err)
			}
			if walInUse(path) || !os.SameFile(before, after) || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
				return errors.New("the store changed while it was read: try again")
			}
			return nil
		}
	}
	if db.reader, err = openPool(path, query, readers()); err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, db.reader); err != nil {
		return nil, errors.Join(explain(path, err), db.reader.Close())
	}
	return db, nil
}

// walInUse reports whether the state of the store is not in its main file alone.
func walInUse(path string) bool {
	wal, err := os.Stat(path + "-wal")
	return err == nil && wal.Size() > 0
}

func checkSchema(ctx context.Context, db *sql.DB) error {
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errNotAStore
	}
	migrations, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	sources := migrations.ListSources()
	want := sources[len(sources)-1].Version
	var have int64
	if err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&have); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	switch {
	case have > want:
		return tooNew(have, want)
	case have < want:
		return fmt.Errorf("its schema has version %d, this program reads %d: start the console on it once", have, want)
	}
	return nil
}

func explain(path string, err error) error {
	if code(err)&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("open %s: the file is not an SQLite database: %w", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// code is SQLite's extended result code, or 0.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// IsUnique reports whether a row was refused because its key is taken.
func IsUnique(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// IsDamaged reports whether a query failed because the store is not what it
// should be (pages that contradict each other, tables or columns gone), not
// because it could not be reached.
func IsDamaged(err error) bool {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}

// Damage looks for contradictions inside the store that queries do not show,
// such as an index that leaves out a row of its table. It returns what it
// found first, or "".
func (db *DB) Damage(ctx context.Context, tx *sql.Tx) (string, error) {
	var found string
	if err := tx.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return "", fmt.Errorf("check integrity: %w", err)
	}
	if found == "ok" {
		return "", nil
	}
	return found, nil
}
