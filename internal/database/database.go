package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Accepted says in one line how the address of a store is written.
const Accepted = "sqlite:/// and the absolute path of a file, such as sqlite:///var/lib/orgconsole/console.db, or postgres://user@host/database"

// DB is an open store. It is safe for concurrent use.
type DB struct {
	dialect

	name   string
	writer *sql.DB // nil when the store was opened for reading
	reader *sql.DB
	stable func() error // nil unless the store is read without locks
	file   *storeFile   // nil unless it is SQLite

	mu    sync.Mutex
	hooks map[*sql.Tx][]func() // what to call when a transaction of Write has been committed
}

// dialect is what the two kinds of store do differently.
type dialect interface {
	// Lock locks the rows that a SELECT finds until the end of a transaction of Write. What was read before may be out
	// of date by then: read it, or read it again, after Lock. Where it finds none it returns sql.ErrNoRows, and a row
	// that is found afterwards is not locked. Where Write has the whole store for itself it does not look.
	Lock(ctx context.Context, tx *sql.Tx, query string, args ...any) error
	// Exec runs statements in their order, and returns how many rows each changed. PostgreSQL gets all of them in one
	// message.
	Exec(ctx context.Context, tx *sql.Tx, statements ...Statement) (changed []int64, err error)
	// Stream runs a query and calls each for every row, in the order of the query. It is for reading much: where Query
	// takes five seconds it takes two.
	Stream(ctx context.Context, tx *sql.Tx, s Selection, each func(*StreamedRow)) error
	// Now is the time by the clock that all processes on the store have in common.
	Now() time.Time
	// Damage looks for contradictions inside the store that queries do not show, such as an index that leaves out a row
	// of its table. It returns what it found first, or "".
	Damage(ctx context.Context, tx *sql.Tx) (string, error)
	// beside begins n transactions that see what another one sees, or returns errMoved.
	beside(ctx context.Context, reader *sql.DB, first *sql.Tx, n int) ([]*sql.Tx, error)
	// beforeWrite is called at the start of each transaction of Write.
	beforeWrite(ctx context.Context, tx *sql.Tx) error
}

// Statement is one of those that Exec runs.
type Statement struct {
	Query string
	Args  []any
}

// Open opens the store at a URL for reading and writing, and creates its
// tables, and the file of an SQLite store, where they are missing. It refuses
// a store whose tables are newer than this program.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	if isPostgres(rawURL) {
		return openPostgres(ctx, rawURL)
	}
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, badURL(err)
	}
	return openSQLite(ctx, path)
}

// OpenReadOnly opens an existing store for reading. It creates, migrates and
// writes nothing, works while other processes write to the store, and on a
// folder that cannot be written or with a role that may only read. A store
// that is not there is os.ErrNotExist.
func OpenReadOnly(ctx context.Context, rawURL string) (*DB, error) {
	if isPostgres(rawURL) {
		return openPostgresReadOnly(ctx, rawURL)
	}
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, badURL(err)
	}
	return openSQLiteReadOnly(ctx, path)
}

// CheckURL says what is wrong with the address of a store, without looking for
// the store. No error of this package repeats an address, as it may hold a
// password.
func CheckURL(rawURL string) error {
	if isPostgres(rawURL) {
		_, err := postgresConfig(rawURL)
		return err
	}
	_, err := sqlitePath(rawURL)
	return err
}

func badURL(err error) error { return fmt.Errorf("store: %w: write %s", err, Accepted) }

// Shared reports whether the address is one of a store that processes on
// several hosts can share, and beside which there is no folder for their keys.
func Shared(rawURL string) bool { return isPostgres(rawURL) }

func sqlitePath(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return "", errors.New("not an address")
	case u.Scheme != "sqlite":
		return "", fmt.Errorf("no store is called %q", u.Scheme)
	case u.Host != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" ||
		!filepath.IsAbs(u.Path) || strings.HasSuffix(u.Path, "/") || strings.ContainsRune(u.Path, 0):
		return "", errors.New("not sqlite:// and the absolute path of a file")
	}
	return filepath.Clean(u.Path), nil
}

// Name is the address of the store, without anything secret.
func (db *DB) Name() string { return db.name }

// attempts is how often Write tries a transaction that the store broke off because it stood in another's way.
const attempts = 10

// Write runs fn in a transaction and commits it when fn returns nil. fn must
// not keep the transaction, and must not call Write: it could wait for itself.
//
// An SQLite store lets one transaction of Write in at a time, a PostgreSQL
// store many: what fn reads to decide what it writes, it must Lock first, or
// name again as a condition of what it writes. Where two transactions wait for
// each other the store breaks one off, and fn is run once more, on a new
// transaction: it must do nothing that cannot be done again.
func (db *DB) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if db.writer == nil {
		return errors.New("write: the store is open for reading only")
	}
	for n := 1; ; n++ {
		err := db.write(ctx, fn)
		if err == nil || n == attempts || !brokenOff(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (db *DB) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	// Also when fn panics; after a commit both do nothing.
	defer tx.Rollback()
	defer db.forget(tx)
	if err := db.beforeWrite(ctx, tx); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, hook := range db.forget(tx) {
		hook()
	}
	return nil
}

// AfterCommit has f called once the transaction, one of Write, has been
// committed; it is not called when the transaction is rolled back.
func (db *DB) AfterCommit(tx *sql.Tx, f func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.hooks[tx] = append(db.hooks[tx], f)
}

func (db *DB) forget(tx *sql.Tx) []func() {
	db.mu.Lock()
	defer db.mu.Unlock()
	hooks := db.hooks[tx]
	delete(db.hooks, tx)
	return hooks
}

// Reader is for queries outside of Write. It cannot change anything, and sees
// what was committed when a query, or a transaction on it, began.
func (db *DB) Reader() *sql.DB { return db.reader }

// Ping reports whether the store answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	if err := db.reader.QueryRowContext(ctx, `SELECT 1 FROM audit_trees UNION ALL SELECT 1 LIMIT 1`).Scan(&one); err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Stable reports an error when what was read so far may be a mixture of two
// states. It can only happen to a store opened by OpenReadOnly that nobody had
// open then, when somebody began to write to it meanwhile.
func (db *DB) Stable() error {
	if db.stable == nil {
		return nil
	}
	return db.stable()
}

// Close waits for what is under way and closes the store.
func (db *DB) Close() error {
	err := db.reader.Close()
	if db.writer != nil {
		// The writer last: its connection is the one that can tidy up the write-ahead log.
		err = errors.Join(err, db.writer.Close())
	}
	return errors.Join(err, db.file.close())
}
