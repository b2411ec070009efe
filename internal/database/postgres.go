package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// A process holds no more connections than these two, and what it migrates with at its start.
	maxWriters = 6
	maxReaders = heldReaders + 5

	connectTimeout   = 10 * time.Second
	statementTimeout = time.Minute
	// lockTimeout is how long an append waits for those before it, as long as SQLite's busy_timeout.
	lockTimeout = 10 * time.Second
	// idleTimeout frees the locks of a process that was stopped, or cut off, in the middle of a transaction.
	idleTimeout = 30 * time.Second
	// readerIdle is for those that hold nobody up: an export waits for whoever downloads it.
	readerIdle = 10 * time.Minute
	// migrateTimeout is how long a process waits until another one has migrated.
	migrateTimeout = 5 * time.Minute

	connectionIdle = 5 * time.Minute
	connectionLife = time.Hour // a new password, or another host behind the name, is noticed by then

	// migrationLock is the number of the advisory lock under which tables are changed.
	migrationLock = 0x6f7267636f6e736f // "orgconso"
)

func isPostgres(rawURL string) bool {
	scheme, _, _ := strings.Cut(rawURL, ":")
	return scheme == "postgres" || scheme == "postgresql"
}

// postgresConfig reads the address of a store. Its errors repeat nothing of it.
func postgresConfig(rawURL string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(rawURL)
	if err == nil && !saysTLS(rawURL) && leavesHost(config) {
		// The driver's own default would go on in the clear when whoever is in between asks for it.
		separator := "?"
		if strings.Contains(rawURL, "?") {
			separator = "&"
		}
		config, err = pgx.ParseConfig(rawURL + separator + "sslmode=verify-full")
	}
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("the address names a file that cannot be read: %w", missing)
	}
	_, rest, _ := strings.Cut(rawURL, ":")
	switch {
	case err != nil || !strings.HasPrefix(rest, "//"):
		return nil, errors.New("not an address of PostgreSQL")
	case config.Database == "":
		return nil, errors.New("the address names no database")
	case config.RuntimeParams["synchronous_commit"] == "off":
		return nil, errors.New("with synchronous_commit=off a crash would lose what was recorded")
	}
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, connectTimeout)
	for name, value := range map[string]string{
		"application_name":                    "orgconsole",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(readerIdle),
		"synchronous_commit":                  "on", // whatever the role's or the database's default is
	} {
		if _, ok := config.RuntimeParams[name]; !ok {
			config.RuntimeParams[name] = value
		}
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["standard_conforming_strings"] = "on"
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// saysTLS reports whether the address itself decides about TLS.
func saysTLS(rawURL string) bool {
	_, query, _ := strings.Cut(rawURL, "?")
	values, err := url.ParseQuery(query)
	return err == nil && (values.Has("sslmode") || values.Has("ssl"))
}

// leavesHost reports whether any of the hosts is another one than this.
func leavesHost(config *pgx.ConnConfig) bool {
	return slices.ContainsFunc(hosts(config), func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return !filepath.IsAbs(host) && host != "localhost" && (err != nil || !addr.Unmap().IsLoopback())
	})
}

func hosts(config *pgx.ConnConfig) []string {
	list := []string{config.Host}
	for _, f := range config.Fallbacks {
		list = append(list, f.Host)
	}
	return list
}

// postgresName is the address without user and password: the same for every role, as it names the place.
func postgresName(config *pgx.ConnConfig) string {
	u := url.URL{Scheme: "postgres", Path: "/" + config.Database}
	query := url.Values{}
	var places []string
	add := func(host string, port uint16) {
		switch {
		case filepath.IsAbs(host):
			query.Set("host", host)
			query.Set("port", strconv.Itoa(int(port)))
		case port == 5432 && !strings.Contains(host, ":"):
			places = append(places, host)
		default:
			places = append(places, net.JoinHostPort(host, strconv.Itoa(int(port))))
		}
	}
	add(config.Host, config.Port)
	for _, f := range config.Fallbacks {
		add(f.Host, f.Port)
	}
	// A host is there twice when it may be tried with TLS and without.
	u.Host = strings.Join(slices.Compact(places), ",")
	if path := config.RuntimeParams["search_path"]; path != "" {
		query.Set("search_path", path)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Transactions of Write see at each statement what was committed before it, so that after Lock they see what the
// holder of the lock before them wrote. Those of readers see one state of the store from their first statement to
// their last.
const (
	asWriter = `SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE`
	asReader = `SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`
)

func postgresPool(config *pgx.ConnConfig, role string, size int) *sql.DB {
	pool := sql.OpenDB(connector{stdlib.GetConnector(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, role)
		return err
	}))})
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(connectionIdle)
	pool.SetConnMaxLifetime(connectionLife)
	return pool
}

func openPostgres(ctx context.Context, rawURL string) (*DB, error) {
	config, err := postgresConfig(rawURL)
	if err != nil {
		return nil, badURL(err)
	}
	if err := migratePostgres(ctx, config); err != nil {
		return nil, explainPostgres(config, err)
	}
	db, err := newPostgres(ctx, config)
	if err != nil {
		return nil, err
	}
	config = config.Copy()
	if idle := "idle_in_transaction_session_timeout"; config.RuntimeParams[idle] == milliseconds(readerIdle) {
		config.RuntimeParams[idle] = milliseconds(idleTimeout)
	}
	db.writer = postgresPool(config, asWriter, maxWriters)
	return db, nil
}

func openPostgresReadOnly(ctx context.Context, rawURL string) (*DB, error) {
	config, err := postgresConfig(rawURL)
	if err != nil {
		return nil, badURL(err)
	}
	db, err := newPostgres(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := checkPostgresSchema(ctx, db.reader); err != nil {
		return nil, errors.Join(explainPostgres(config, err), db.reader.Close())
	}
	return db, nil
}

// newPostgres is a store with readers only.
func newPostgres(ctx context.Context, config *pgx.ConnConfig) (*DB, error) {
	reader := postgresPool(config, asReader, maxReaders)
	dialect := new(postgresDialect)
	if err := dialect.clock.set(ctx, reader); err != nil {
		return nil, errors.Join(explainPostgres(config, err), reader.Close())
	}
	return &DB{dialect: dialect, name: postgresName(config), reader: reader, hooks: map[*sql.Tx][]func(){}}, nil
}

func explainPostgres(config *pgx.ConnConfig, err error) error {
	if postgresCode(err) == pgNoDatabase {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return fmt.Errorf("open %s: %w", postgresName(config), err)
}

// migratePostgres brings the tables up to date, one process at a time. Where
// they are, it needs no right to change any.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	config = config.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	config.RuntimeParams["lock_timeout"] = milliseconds(migrateTimeout)
	pool := postgresPool(config, asWriter, 2)
	defer pool.Close() // which also gives up the lock
	var encoding string
	if err := pool.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s: create the database with ENCODING 'UTF8'", encoding)
	}
	if err := checkPostgresSchema(ctx, pool); err == nil {
		return nil
	}
	lock, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_lock(?)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for another process to migrate: %w", err)
	}
	return migrate(ctx, goose.DialectPostgres, pool)
}

func checkPostgresSchema(ctx context.Context, db *sql.DB) error {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil {
		return err
	}
	if !there {
		return errNotAStore
	}
	return checkSchema(ctx, goose.DialectPostgres, db)
}

// postgresDialect is that of a store with many writers on many hosts.
type postgresDialect struct{ clock storeClock }

func (*postgresDialect) Lock(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	res, err := tx.ExecContext(ctx, query+` FOR UPDATE`, args...)
	if err != nil {
		return err
	}
	if found, err := res.RowsAffected(); err != nil || found > 0 {
		return err
	}
	return sql.ErrNoRows
}

func (*postgresDialect) Exec(ctx context.Context, tx *sql.Tx, statements ...Statement) ([]int64, error) {
	b := &batch{statements: statements}
	if _, err := tx.ExecContext(ctx, "", b); err != nil {
		return nil, err
	}
	return b.changed, nil
}

func (d *postgresDialect) Now() time.Time { return d.clock.now() }

func (d *postgresDialect) beforeWrite(ctx context.Context, tx *sql.Tx) error {
	if !d.clock.old() {
		return nil
	}
	return d.clock.set(ctx, tx)
}

func (*postgresDialect) Damage(ctx context.Context, tx *sql.Tx) (string, error) {
	names, err := createdTables()
	if err != nil {
		return "", err
	}
	tables := make([]any, len(names))
	for i, name := range names {
		tables[i] = name
	}
	// Each of these may show one thing to whoever verifies, and another to the console.
	const replaced = `SELECT relname, relkind::text FROM pg_class WHERE (relkind <> 'r' OR relrowsecurity) AND oid IN (to_regclass(?)`
	var name, kind string
	err = tx.QueryRowContext(ctx, replaced+strings.Repeat(`, to_regclass(?)`, len(tables)-1)+`) ORDER BY relname LIMIT 1`, tables...).Scan(&name, &kind)
	switch {
	case err == nil && kind == "r":
		return "a policy hides rows of the table " + name, nil
	case err == nil:
		return name + " is not a table any more", nil
	case !errors.Is(err, sql.ErrNoRows):
		return "", fmt.Errorf("look at tables: %w", err)
	}
	return damagedIndex(ctx, tx, tables)
}

// damagedIndex holds each index against its table, where the extension
// amcheck is there and may be used.
func damagedIndex(ctx context.Context, tx *sql.Tx, tables []any) (string, error) {
	var check string
	const function = `SELECT p.oid::regproc::text FROM pg_extension e JOIN pg_proc p ON p.pronamespace = e.extnamespace
		WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs = 2 AND has_function_privilege(p.oid, 'EXECUTE')`
	err := tx.QueryRowContext(ctx, function).Scan(&check)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0`)
	}
	if err != nil {
		return "", fmt.Errorf("look for amcheck: %w", err)
	}
	//nolint:gosec // G202: the server itself spells the name
	indexes := `SELECT ` + check + `(i.indexrelid::regclass, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		WHERE a.amname = 'btree' AND i.indrelid IN (to_regclass(?)` + strings.Repeat(`, to_regclass(?)`, len(tables)-1) + `)`
	_, err = tx.ExecContext(ctx, indexes, tables...)
	if IsDamaged(err) {
		return err.Error(), nil
	}
	if err != nil {
		return "", fmt.Errorf("check indexes: %w", err)
	}
	return "", nil
}

// clockAge is how far this host's clock may have drifted from the store's since they were compared.
const clockAge = 5 * time.Second

// storeClock is the clock of the server, read now and then and carried on in
// between by this host's monotonic clock: processes whose hosts disagree about
// the time, or are set to another time, agree about leases and deadlines.
type storeClock struct {
	mu   sync.Mutex
	at   time.Time // when it was read, by this host
	time time.Time // what it said
}

func (c *storeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time.Add(time.Since(c.at))
}

func (c *storeClock) old() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	passed := time.Since(c.at)
	// This host was set to another time, or slept, which its monotonic clock does not notice.
	jumped := (time.Now().Round(0).Sub(c.at.Round(0)) - passed).Abs()
	return passed > clockAge || jumped > time.Second
}

func (c *storeClock) set(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) error {
	var said time.Time
	asked := time.Now()
	if err := q.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(&said); err != nil {
		return fmt.Errorf("read the store's clock: %w", err)
	}
	answered := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.time = answered, said.UTC().Add(answered.Sub(asked)/2)
	return nil
}
