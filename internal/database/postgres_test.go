package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

func TestNumberedArguments(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		``:                                 ``,
		`SELECT $1`:                        `SELECT $1`,
		`?`:                                `$1`,
		`a = ? AND b IN (?, ?)`:            `a = $1 AND b IN ($2, $3)`,
		`a = '?' AND b = ?`:                `a = '?' AND b = $1`,
		`a = 'it''s ?' AND b = ?`:          `a = 'it''s ?' AND b = $1`,
		`a = ? AND c LIKE ? ESCAPE '\'`:    `a = $1 AND c LIKE $2 ESCAPE '\'`,
		`"what?" = ?`:                      `"what?" = $1`,
		"a = ? -- isn't it?\n AND b = ?":   "a = $1 -- isn't it?\n AND b = $2",
		`a = ? -- is it?`:                  `a = $1 -- is it?`,
		`a = ? AND b = 'open ?`:            `a = $1 AND b = 'open ?`,
		`?'`:                               `$1'`,
		`a-?-b`:                            `a-$1-b`,
		`ä = ? AND ü = 'ö?'`:               `ä = $1 AND ü = 'ö?'`,
		strings.Repeat(`?, `, 11) + `''''`: `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ''''`,
	} {
		if got := database.Numbered(query); got != want {
			t.Errorf("numbered(%s) = %s, want %s", query, got, want)
		}
	}
}

func TestSettingsOfPostgresConnections(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	// None of the database's defaults may make a record less safe, or a snapshot none.
	s.Exec(t, `ALTER DATABASE `+s.Name()+` SET synchronous_commit = off`, `ALTER DATABASE `+s.Name()+` SET default_transaction_isolation = 'serializable'`,
		`ALTER DATABASE `+s.Name()+` SET standard_conforming_strings = off`, `ALTER DATABASE `+s.Name()+` SET client_encoding = 'LATIN1'`)
	db := s.Open(t)
	for setting, want := range map[string][2]string{ // of the writer and of readers
		"synchronous_commit": {"on", "on"}, "transaction_isolation": {"read committed", "repeatable read"}, "transaction_read_only": {"off", "on"},
		"statement_timeout": {"1min", "1min"}, "lock_timeout": {"10s", "10s"}, "idle_in_transaction_session_timeout": {"30s", "10min"},
		"application_name": {"orgconsole", "orgconsole"}, "client_encoding": {"UTF8", "UTF8"}, "standard_conforming_strings": {"on", "on"},
	} {
		var writer, reader string
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			return tx.QueryRowContext(t.Context(), `SHOW `+setting).Scan(&writer)
		})
		if err := errors.Join(err, db.Reader().QueryRowContext(t.Context(), `SHOW `+setting).Scan(&reader)); err != nil {
			t.Fatal(err)
		}
		if got := [2]string{writer, reader}; got != want {
			t.Errorf("%s: writer %s, reader %s; want %v", setting, writer, reader, want)
		}
	}
	var timeout string
	other := databasetest.OpenURL(t, s.As(t, url.User("console"), "statement_timeout=2s"))
	if err := other.Reader().QueryRowContext(t.Context(), `SHOW statement_timeout`).Scan(&timeout); err != nil || timeout != "2s" {
		t.Errorf("statement_timeout is %s, %v; want the one of the address, 2s", timeout, err)
	}
}

func TestNameOfAPostgresStore(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://u:hunter2@db.example/console":                       "postgres://db.example/console",
		"postgresql://db.example:5432/console?user=u&password=hunter2":  "postgres://db.example/console",
		"postgres://u:hunter2@db.example:5433/console?sslmode=disable":  "postgres://db.example:5433/console",
		"postgres://u:hunter2@127.0.0.1/console":                        "postgres://127.0.0.1/console",
		"postgres://u:hunter2@[::1]/console":                            "postgres://[::1]:5432/console",
		"postgres://u:hunter2@a,b:5433/console?search_path=x":           "postgres://a,b:5433/console?search_path=x",
		"postgres:///console?host=/run/pg&port=5433&password=hunter2":   "postgres:///console?host=%2Frun%2Fpg&port=5433",
		"postgres://u:hunter2@%2Frun%2Fpg/a%20b%3F?application_name=me": "postgres:///a%20b%3F?host=%2Frun%2Fpg&port=5432",
	} {
		got, err := database.PostgresName(address)
		if err != nil || got != want {
			t.Errorf("Name of %s is %s, %v; want %s", address, got, err, want)
		}
	}
}

// Where the address leaves it open, nothing but this host is spoken to in the clear, or without knowing who answers.
func TestTLSIsDemandedOffThisHost(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://db.example/console":                         "verified",
		"postgres://10.0.0.7/console":                           "verified",
		"postgres://db.example/console?connect_timeout=3":       "verified",
		"postgres://localhost,db.example/console":               "verified",
		"postgres://db.example/console?sslmode=verify-full":     "verified",
		"postgres://db.example/console?sslmode=require":         "encrypted",
		"postgres://db.example/console?sslmode=disable":         "clear",
		"postgres://db.example/console?sslmode=prefer":          "clear",
		"postgres://localhost/console":                          "clear",
		"postgres://127.0.0.1/console":                          "clear",
		"postgres://[::1]/console":                              "clear",
		"postgres:///console?host=/run/postgresql":              "clear",
		"postgres://user@%2Frun%2Fpostgresql:5433/console?ssl=": "clear",
	} {
		if got := database.WeakestTLS(address); got != want {
			t.Errorf("%s: at worst %s, want %s", address, got, want)
		}
	}
}

func TestPasswordIsNeverTold(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	s.Open(t).Close()
	wrong := url.UserPassword("locked", "hunter2")
	for name, address := range map[string]string{
		"wrong password":         s.As(t, wrong),
		"wrong password, asked":  s.As(t, url.User("locked"), "password=hunter2"),
		"no such role":           s.As(t, url.UserPassword("nobody-here", "hunter2")),
		"no such database":       strings.Replace(s.As(t, wrong), s.Name(), "none", 1),
		"no such host":           "postgres://console:hunter2@host.invalid/console",
		"nobody listens":         "postgres://console:hunter2@127.0.0.1:1/console",
		"no such setting":        s.As(t, url.UserPassword("console", "hunter2"), "no_such_setting=1"),
		"a setting of no value":  s.As(t, url.UserPassword("console", "hunter2"), "statement_timeout=long"),
		"no TLS there":           s.As(t, url.UserPassword("console", "hunter2"), "sslmode=require", "host=127.0.0.1", "port=1"),
		"a password of no bytes": "postgres://console:hunter2%00@127.0.0.1:1/console",
	} {
		for _, open := range []func(context.Context, string) (*database.DB, error){database.Open, database.OpenReadOnly} {
			db, err := open(t.Context(), address)
			if err == nil {
				db.Close()
				t.Errorf("%s: opened", name)
				continue
			}
			if told := fmt.Sprintf("%v %+v %#v", err, err, err.Error()); strings.Contains(told, "hunter2") {
				t.Errorf("%s: %s", name, told)
			}
		}
	}
	db := databasetest.OpenURL(t, s.As(t, url.UserPassword("console", "hunter2")))
	if strings.Contains(db.Name(), "hunter2") || strings.Contains(db.Name(), "console:") {
		t.Errorf("Name() = %s", db.Name())
	}
	if _, err := database.OpenReadOnly(t.Context(), strings.Replace(s.URL, s.Name(), "none", 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such database: %v, want fs.ErrNotExist", err)
	}
}

func TestOtherEncodingsAreRefused(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	s.Exec(t, `UPDATE pg_database SET encoding = pg_char_to_encoding('SQL_ASCII') WHERE datname = '`+s.Name()+`'`)
	if db, err := database.Open(t.Context(), s.URL); err == nil || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("Open: %v, %v; want what to do", db, err)
	}
}

// Two transactions that take the same locks in another order wait for each other until the server ends one of them.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	db := s.Open(t)
	put(t, db, "a")
	put(t, db, "b")
	var runs, told int
	var mu sync.Mutex
	var met sync.WaitGroup
	met.Add(2)
	write := func(first, second string) error {
		return db.Write(t.Context(), func(tx *sql.Tx) error {
			mu.Lock()
			runs++
			again := runs > 2
			mu.Unlock()
			db.AfterCommit(tx, func() {
				mu.Lock()
				defer mu.Unlock()
				told++
			})
			const q = `UPDATE ended_sessions SET expires_at = expires_at + 1 WHERE token_hash = ?`
			if _, err := tx.ExecContext(t.Context(), q, first); err != nil {
				return err
			}
			if !again {
				met.Done()
				met.Wait() // until both hold their first lock
			}
			_, err := tx.ExecContext(t.Context(), q, second)
			return err
		})
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := write("a", "b"); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := write("b", "a"); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	// Three, or more where a slow machine lets the two meet again.
	if runs < 3 || told != 2 {
		t.Errorf("run %d times, told of %d commits; want 3 or more and 2", runs, told)
	}
	var sum int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT sum(expires_at) FROM ended_sessions`).Scan(&sum); err != nil || sum != 2+2+4 {
		t.Errorf("the rows sum up to %d, %v; want 8", sum, err)
	}
}

func TestLockWaitsOnlySoLong(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	db := s.Open(t)
	put(t, db, "a")
	hasty := databasetest.OpenURL(t, s.As(t, url.User("console"), "lock_timeout=100ms"))
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		const row = `SELECT 1 FROM ended_sessions WHERE token_hash = ?`
		if err := db.Lock(t.Context(), tx, row, "a"); err != nil {
			return err
		}
		return hasty.Write(t.Context(), func(tx *sql.Tx) error { return hasty.Lock(t.Context(), tx, row, "a") })
	})
	if err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("waiting for a lock that is not given up: %v, want a lock timeout", err)
	}
}

// A process whose host is set to another time must agree with the others about deadlines.
func TestStoreHasOneClock(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	db := s.Open(t)
	database.ShiftClock(db, time.Hour)
	if off := time.Until(db.Now()); off < 50*time.Minute {
		t.Fatalf("the clock was not shifted, it is off by %v", off)
	}
	put(t, db, "a") // compares the clocks once they may have come apart
	if off := time.Since(db.Now()).Abs(); off > 10*time.Second {
		t.Errorf("after a write it is still off by %v", off)
	}
}

// Whoever only verifies needs no more than these rights.
func TestRoleThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	put(t, s.Open(t), "a")
	address := s.As(t, url.User("auditor"))
	if _, err := database.OpenReadOnly(t.Context(), address); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without any right: %v, want permission denied", err)
	}
	s.Exec(t, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor`)
	db, err := database.OpenReadOnly(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got := count(t, db); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	tx, err := db.Reader().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if found, err := db.Damage(t.Context(), tx); err != nil || found != "" {
		t.Errorf("Damage: %q, %v", found, err)
	}
}

// A role that may not change tables can serve once one that may has migrated.
func TestRoleThatMayNotMigrate(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	address := s.As(t, url.User("auditor"))
	if _, err := database.Open(t.Context(), address); err == nil {
		t.Fatal("it migrated")
	}
	s.Open(t)
	s.Exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO auditor`)
	db, err := database.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put(t, db, "a")
}

func TestDamageOfPostgres(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  []string
		want string
	}{
		"a view in place of a table": {
			[]string{`ALTER TABLE audit_events RENAME TO hidden`, `CREATE VIEW audit_events AS SELECT * FROM hidden WHERE seq <> 1`},
			"audit_events is not a table any more",
		},
		"a policy": {
			[]string{`ALTER TABLE audit_texts ENABLE ROW LEVEL SECURITY`, `CREATE POLICY p ON audit_texts USING (seq <> 1)`},
			"a policy hides rows of the table audit_texts",
		},
		"an index that hides a row": {
			[]string{
				`CREATE EXTENSION amcheck`,
				`INSERT INTO ended_sessions VALUES ('a', 1, 2), ('b', 1, 2)`,
				// As if it were an index over all rows.
				`CREATE INDEX narrow ON ended_sessions (token_hash) WHERE token_hash <> 'a'`,
				`UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'narrow'::regclass`,
			},
			"lacks matching index tuple",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := databasetest.Postgres(t)
			s.Open(t).Close()
			s.Exec(t, c.sql...)
			s.Exec(t, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO console`)
			if strings.Contains(c.sql[0], "amcheck") {
				s.Exec(t, `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO console`)
			}
			db := s.OpenReadOnly(t)
			tx, err := db.Reader().BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if found, err := db.Damage(t.Context(), tx); err != nil || !strings.Contains(found, c.want) {
				t.Errorf("Damage: %q, %v; want %q", found, err, c.want)
			}
		})
	}
}

func TestReadOnlyDoesNotCreate(t *testing.T) {
	t.Parallel()
	s := databasetest.Postgres(t)
	if _, err := database.OpenReadOnly(t.Context(), s.URL); err == nil || !strings.Contains(err.Error(), "not a store of the console") {
		t.Errorf("OpenReadOnly: %v", err)
	}
	shell := s.Shell(t)
	defer shell.Close()
	var n int
	if err := shell.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d tables were made, %v", n, err)
	}
}
