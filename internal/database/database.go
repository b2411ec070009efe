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
)

const accepted = "write sqlite:/// and the absolute path of a file, such as sqlite:///var/lib/console/console.db"

// DB is an open store. It is safe for concurrent use.
type DB struct {
	name   string
	writer *sql.DB // one connection, nil when the store was opened for reading
	reader *sql.DB
	stable func() error // nil unless the store is read without locks

	mu    sync.Mutex
	hooks map[*sql.Tx][]func() // what to call when a transaction of Write has been committed
}

// Open opens the store at a URL for reading and writing, and creates it and
// its tables where they are missing. It refuses a store whose tables are newer
// than this program.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, err
	}
	return openSQLite(ctx, path)
}

// OpenReadOnly opens an existing store for reading. It creates, migrates and
// writes nothing, works while another process writes to the store, and on a
// folder that cannot be written. A store that is not there is os.ErrNotExist.
func OpenReadOnly(ctx context.Context, rawURL string) (*DB, error) {
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, err
	}
	return openSQLiteReadOnly(ctx, path)
}

func sqlitePath(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return "", errors.New("store: not an address: " + accepted) // the address may hold a password, so it is not repeated
	case u.Scheme == "postgres" || u.Scheme == "postgresql":
		return "", fmt.Errorf("store: %s:// is not supported yet by this version: %s", u.Scheme, accepted)
	case u.Scheme != "sqlite":
		return "", fmt.Errorf("store: no store is called %q: %s", u.Scheme, accepted)
	case u.Host != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		return "", errors.New("store: not an absolute path: " + accepted)
	case !filepath.IsAbs(u.Path) || strings.HasSuffix(u.Path, "/") || strings.ContainsRune(u.Path, 0):
		return "", errors.New("store: not the absolute path of a file: " + accepted)
	}
	return filepath.Clean(u.Path), nil
}

// Name is the address of the store, without anything secret.
func (db *DB) Name() string { return db.name }

// Write runs fn in a transaction that holds the store's only write lock from
// its start, and commits it when fn returns nil. fn must not keep the
// transaction, and must not call Write: it would wait for itself.
func (db *DB) Write(ctx context.Context, fn func(tx *sql.Tx) error) (err error) {
	if db.writer == nil {
		return errors.New("write: the store is open for reading only")
	}
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	// Also when fn panics; after a commit both do nothing.
	defer tx.Rollback()
	defer db.forget(tx)
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
	return err
}
