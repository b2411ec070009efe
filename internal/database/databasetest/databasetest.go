// Package databasetest gives tests stores of their own: SQLite in a temporary
// folder, and PostgreSQL in a database of a cluster that lives as long as the
// test binary.
package databasetest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the adversary's SQL shell

	"orgconsole/internal/database"
)

// Store is a place for a store. Nothing is there until it is opened.
type Store struct {
	URL      string
	Postgres bool // or SQLite

	path    string   // of SQLite
	cluster *cluster // of PostgreSQL
	name    string   // of its database there
}

// Each runs a test on a store of each kind. Where PostgreSQL is not installed
// that half is skipped, or fails if CI=true says that everything has to be
// there.
func Each(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// Bench is Each for benchmarks.
func Bench(b *testing.B, bench func(b *testing.B, s *Store)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { bench(b, SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, Postgres(b)) })
}

// BenchShared is Bench for stores that several benchmarks share. What place returns is there until the test binary ends,
// and then it is removed, unless BENCH_DIR is a folder where to keep SQLite stores for the next time.
func BenchShared(b *testing.B, bench func(b *testing.B, kind string, place func(name string) *Store)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) {
		bench(b, "sqlite", func(name string) *Store { return sqliteAt(filepath.Join(keptDir(b), name+".db")) })
	})
	b.Run("postgres", func(b *testing.B) {
		c := postgresCluster(b)
		bench(b, "postgres", func(name string) *Store {
			s := &Store{URL: c.url(owner, name), Postgres: true, cluster: c, name: name}
			s.create(b, "template1")
			return s
		})
	})
}

// keptDir is BENCH_DIR, or makes a folder that is removed when the test binary ends, however it ends.
func keptDir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("BENCH_DIR"); dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "orgconsole-bench-") //nolint:usetesting // it outlives the benchmark
	if err != nil {
		tb.Fatal(err)
	}
	const remove = `trap '' INT TERM HUP; read -r _; rm -rf "$1"`
	cmd := exec.CommandContext(context.Background(), "sh", "-c", remove, "sh", dir)
	lifeline, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	lifelines = append(lifelines, lifeline)
	return dir
}

// lifelines are open as long as this process lives.
var lifelines []io.Closer

// SQLite returns a place for an SQLite store.
func SQLite(tb testing.TB) *Store {
	tb.Helper()
	return sqliteAt(filepath.Join(tb.TempDir(), "console.db"))
}

func sqliteAt(path string) *Store {
	return &Store{URL: (&url.URL{Scheme: "sqlite", Path: path}).String(), path: path}
}

// Postgres returns a place for a PostgreSQL store: an empty database.
func Postgres(tb testing.TB) *Store {
	tb.Helper()
	s := postgresCluster(tb).store(tb)
	s.create(tb, "template1")
	return s
}

func (c *cluster) store(tb testing.TB) *Store {
	tb.Helper()
	name := fmt.Sprintf("store%d", c.stores.Add(1))
	tb.Cleanup(func() { c.exec(tb, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`) })
	return &Store{URL: c.url(owner, name), Postgres: true, cluster: c, name: name}
}

func (s *Store) create(tb testing.TB, template string) {
	tb.Helper()
	s.cluster.exec(tb, `CREATE DATABASE `+s.name+` OWNER `+owner+` TEMPLATE `+template)
}

// Exists reports whether there is a file of an SQLite store already.
func (s *Store) Exists() bool {
	_, err := os.Stat(s.path)
	return s.path != "" && err == nil
}

// Name is the name of a PostgreSQL store's database.
func (s *Store) Name() string { return s.name }

// As is the URL with another role, with or without a password, and more settings.
func (s *Store) As(tb testing.TB, who *url.Userinfo, settings ...string) string {
	tb.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = who
	u.RawQuery = strings.Join(append([]string{u.RawQuery}, settings...), "&")
	return u.String()
}

// Open opens the store, until the test ends.
func (s *Store) Open(tb testing.TB) *database.DB {
	tb.Helper()
	return opened(tb, s.URL, database.Open)
}

// OpenReadOnly opens the store for reading, until the test ends.
func (s *Store) OpenReadOnly(tb testing.TB) *database.DB {
	tb.Helper()
	return opened(tb, s.URL, database.OpenReadOnly)
}

// OpenURL opens the store at another address than its own, until the test ends.
func OpenURL(tb testing.TB, address string) *database.DB {
	tb.Helper()
	return opened(tb, address, database.Open)
}

func opened(tb testing.TB, address string, open func(context.Context, string) (*database.DB, error)) *database.DB {
	tb.Helper()
	db, err := open(tb.Context(), address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// Shell is one connection to the store that keeps to none of the rules, with
// every right there is.
func (s *Store) Shell(tb testing.TB) *sql.DB {
	tb.Helper()
	kind, address := "sqlite", (&url.URL{Scheme: "file", Path: s.path}).String()
	if s.Postgres {
		kind, address = "pgx", s.cluster.url(superuser, s.name)
	}
	db, err := sql.Open(kind, address)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// Exec runs SQL on the store behind everybody's back. It is written for
// SQLite; of the functions PostgreSQL has under other names, zeroblob and char
// are translated.
func (s *Store) Exec(tb testing.TB, sqls ...string) {
	tb.Helper()
	shell := s.Shell(tb)
	defer shell.Close()
	s.run(tb, shell, sqls)
}

// ExecElsewhere runs SQL in another database of a PostgreSQL store's cluster.
func (s *Store) ExecElsewhere(tb testing.TB, sqls ...string) {
	tb.Helper()
	for _, q := range sqls {
		s.cluster.exec(tb, q)
	}
}

func (s *Store) run(tb testing.TB, shell *sql.DB, sqls []string) {
	tb.Helper()
	translate := strings.NewReplacer(`zeroblob(32)`, `decode(repeat('00', 32), 'hex')`, `char(10)`, `chr(10)`)
	for _, q := range sqls {
		if s.Postgres {
			q = translate.Replace(q)
		}
		if _, err := shell.ExecContext(tb.Context(), q); err != nil {
			tb.Fatalf("%s: %v", q, err)
		}
	}
}

// ExecBeside runs SQL on the store that finds the tables of another one, of
// the same kind, in the schema fork.
func (s *Store) ExecBeside(tb testing.TB, fork *Store, sqls ...string) {
	tb.Helper()
	shell := s.Shell(tb)
	defer shell.Close()
	if !s.Postgres {
		s.run(tb, shell, append([]string{`ATTACH '` + fork.path + `' AS fork`}, sqls...))
		return
	}
	other := fork.Shell(tb)
	defer other.Close()
	s.run(tb, shell, []string{`CREATE SCHEMA fork`})
	for _, table := range tables(tb, other) {
		s.run(tb, shell, []string{`CREATE TABLE fork.` + table + ` (LIKE ` + table + `)`})
		copyRows(tb, shell, other, table)
	}
	s.run(tb, shell, append(sqls, `DROP SCHEMA fork CASCADE`))
}

func tables(tb testing.TB, db *sql.DB) []string {
	tb.Helper()
	var names string
	const q = `SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'`
	if err := db.QueryRowContext(tb.Context(), q).Scan(&names); err != nil {
		tb.Fatal(err)
	}
	return strings.Fields(names)
}

func copyRows(tb testing.TB, to, from *sql.DB, table string) {
	tb.Helper()
	rows, err := from.QueryContext(tb.Context(), `SELECT * FROM `+table)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	values, into, marks := make([]any, len(columns)), make([]any, len(columns)), make([]string, len(columns))
	for i := range values {
		into[i], marks[i] = &values[i], fmt.Sprintf("$%d", i+1)
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		if _, err := to.ExecContext(tb.Context(), `INSERT INTO fork.`+table+` VALUES (`+strings.Join(marks, ", ")+`)`, values...); err != nil {
			tb.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
}

// Copy copies a store that nobody has open, as a backup would be taken.
func (s *Store) Copy(tb testing.TB) *Store {
	tb.Helper()
	if s.Postgres {
		c := s.cluster.store(tb)
		c.create(tb, s.name)
		return c
	}
	c := SQLite(tb)
	copyFile(tb, s.path, c.path)
	return c
}

// Replace puts a copy in the place of a store that nobody has open.
func (s *Store) Replace(tb testing.TB, by *Store) {
	tb.Helper()
	if s.Postgres {
		s.cluster.exec(tb, `DROP DATABASE `+s.name)
		s.create(tb, by.name)
		return
	}
	s.Remove(tb)
	copyFile(tb, by.path, s.path)
}

// Remove leaves nothing of a store that nobody has open but its place.
func (s *Store) Remove(tb testing.TB) {
	tb.Helper()
	if s.Postgres {
		s.cluster.exec(tb, `DROP DATABASE `+s.name)
		s.create(tb, "template1")
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.path + suffix); err != nil && !os.IsNotExist(err) {
			tb.Fatal(err)
		}
	}
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	if _, err := os.Stat(from + "-wal"); err == nil {
		tb.Fatalf("somebody has %s open", from)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
