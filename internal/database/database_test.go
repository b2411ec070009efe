package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

const insert = `INSERT INTO ended_sessions (token_hash, ended_at, expires_at) VALUES (?, 1, 2)`

func count(tb testing.TB, db *database.DB) int {
	tb.Helper()
	var n int
	if err := db.Reader().QueryRowContext(tb.Context(), `SELECT count(*) FROM ended_sessions`).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func put(tb testing.TB, db *database.DB, hash string) {
	tb.Helper()
	err := db.Write(tb.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(tb.Context(), insert, hash)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                                                      "no store is called",
		"console.db":                                            "no store is called",
		"mysql://u:hunter2@host/db":                             "no store is called",
		"sqlite://console.db":                                   "not sqlite://",
		"sqlite:console.db":                                     "not sqlite://",
		"sqlite:///":                                            "not sqlite://",
		"sqlite:///tmp/x.db?mode=memory":                        "not sqlite://",
		"sqlite:///tmp/x.db#x":                                  "not sqlite://",
		"sqlite://host/tmp/x.db":                                "not sqlite://",
		"sqlite:///tmp/%00.db":                                  "not sqlite://",
		"sqlite://user:hunter2@/tmp/x.db":                       "not sqlite://",
		"sqlite://%zz:hunter2@\x7f/x.db":                        "not an address",
		"postgres:hunter2":                                      "not an address of PostgreSQL",
		"postgres://u:hun/ter2:hunter2@host/db":                 "not an address of PostgreSQL",
		"postgres://u:hunter2@host:port/db":                     "not an address of PostgreSQL",
		"postgres://u:%zzhunter2@host/db":                       "not an address of PostgreSQL",
		"postgres://u:hunter2@host/db?sslmode=some":             "not an address of PostgreSQL",
		"postgres://u:hunter2@host":                             "names no database",
		"postgresql://u:hunter2@/?host=/tmp":                    "names no database",
		"postgres://host/db?sslrootcert=/none&password=hunter2": "/none: no such file",
		"postgres://host/db?synchronous_commit=off&password=hunter2": "a crash would lose",
	} {
		for name, open := range map[string]func() (*database.DB, error){
			"Open":         func() (*database.DB, error) { return database.Open(t.Context(), address) },
			"OpenReadOnly": func() (*database.DB, error) { return database.OpenReadOnly(t.Context(), address) },
			"CheckURL":     func() (*database.DB, error) { return nil, database.CheckURL(address) },
		} {
			_, err := open()
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s(%q): %v, want %q and no password", name, address, err, want)
			}
			if name != "CheckURL" && err != nil && !strings.Contains(err.Error(), database.Accepted) {
				t.Errorf("%s(%q): %v does not say what is accepted", name, address, err)
			}
		}
	}
}

func TestBothStoresHaveTheSameTables(t *testing.T) {
	t.Parallel()
	list := func(s *databasetest.Store, query string) []string {
		db := s.Open(t)
		rows, err := db.Reader().QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var names []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	// Columns with their types and whether they may be empty, and the indexes that have names.
	sqlite := list(databasetest.SQLite(t), `SELECT m.name || '.' || c.name || ' ' || c.type || CASE WHEN c."notnull" OR c.pk THEN ' NOT NULL' ELSE '' END
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%'
		UNION ALL SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> ''`)
	if len(sqlite) < 40 {
		t.Fatalf("only %d columns and indexes: %v", len(sqlite), sqlite)
	}
	postgres := list(databasetest.Postgres(t), `SELECT table_name || '.' || column_name || ' ' ||
			CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' WHEN 'text' THEN 'TEXT' ELSE data_type END ||
			CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END ||
			CASE WHEN data_type = 'text' AND collation_name IS DISTINCT FROM 'C' THEN ' sorted otherwise' ELSE '' END
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'
		UNION ALL SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\_key' AND indexname NOT LIKE '%\_pkey'`)
	if diff := cmp.Diff(sqlite, postgres); diff != "" {
		t.Errorf("tables (-sqlite +postgres):\n%s", diff)
	}
}

func TestWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		var told []string
		refused := errors.New("no")
		write := func(hash string, end func() error) error {
			return db.Write(t.Context(), func(tx *sql.Tx) error {
				db.AfterCommit(tx, func() { told = append(told, hash) })
				if _, err := tx.ExecContext(t.Context(), insert, hash); err != nil {
					return err
				}
				return end()
			})
		}
		if err := write("a", func() error { return refused }); !errors.Is(err, refused) {
			t.Errorf("Write: %v, want %v", err, refused)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = write("b", func() error { panic("b") })
		}()
		if err := write("c", func() error { return nil }); err != nil {
			t.Error(err)
		}
		err := write("c", func() error { return nil })
		if !database.IsUnique(err) || !database.IsUnique(fmt.Errorf("wrapped: %w", err)) {
			t.Errorf("the same key twice: %v, want a unique violation", err)
		}
		if database.IsUnique(nil) || database.IsUnique(refused) {
			t.Error("IsUnique of other errors")
		}
		if got := count(t, db); got != 1 {
			t.Errorf("%d rows, want 1", got)
		}
		if !slices.Equal(told, []string{"c"}) {
			t.Errorf("told of commits %v, want [c]", told)
		}
	})
}

func TestStatementsInOneMessage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		exec := func(statements ...database.Statement) (changed []int64, err error) {
			err = db.Write(t.Context(), func(tx *sql.Tx) error {
				changed, err = db.Exec(t.Context(), tx, statements...)
				return err
			})
			return changed, err
		}
		insert := func(hash string) database.Statement { return database.Statement{Query: insert, Args: []any{hash}} }
		all := database.Statement{Query: `UPDATE ended_sessions SET expires_at = 9`}
		changed, err := exec(insert("a"), insert("b\x00\xff?"), all, database.Statement{
			Query: `DELETE FROM ended_sessions WHERE token_hash = ? AND expires_at = ?`, Args: []any{"b\x00\xff?", 9},
		})
		if err != nil || !slices.Equal(changed, []int64{1, 1, 2, 1}) {
			t.Errorf("changed %v rows, %v; want 1, 1, 2, 1", changed, err)
		}
		if _, err := exec(insert("c"), insert("a"), insert("d")); !database.IsUnique(err) {
			t.Errorf("a key that is taken: %v, want a unique violation", err)
		}
		if _, err := exec(); err != nil {
			t.Errorf("no statement: %v", err)
		}
		if got := count(t, db); got != 1 {
			t.Errorf("%d rows, want 1", got)
		}
	})
}

// A transaction that reads before it writes must see what those before it wrote, and neither fail nor lose it.
func TestWritersWaitForEachOther(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		stores := []*database.DB{s.Open(t), s.Open(t)} // as two processes would
		put(t, stores[0], "counter")
		const workers, each = 6, 20
		var all sync.WaitGroup
		for i := range workers {
			all.Go(func() {
				db := stores[i%2]
				for n := range each {
					err := db.Write(t.Context(), func(tx *sql.Tx) error {
						const row = `FROM ended_sessions WHERE token_hash = 'counter'`
						if err := db.Lock(t.Context(), tx, `SELECT 1 `+row); err != nil {
							return err
						}
						var have int
						if err := tx.QueryRowContext(t.Context(), `SELECT expires_at `+row).Scan(&have); err != nil {
							return err
						}
						_, err := tx.ExecContext(t.Context(), `UPDATE ended_sessions SET expires_at = ? WHERE token_hash = 'counter'`, have+1)
						return err
					})
					if err != nil {
						t.Errorf("write %d: %v", n, err)
					}
				}
			})
		}
		all.Wait()
		var got int
		if err := stores[0].Reader().QueryRowContext(t.Context(), `SELECT expires_at FROM ended_sessions`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if want := 2 + workers*each; got != want {
			t.Errorf("counted to %d, want %d", got, want)
		}
	})
}

func TestProcessesMayStartTogether(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				db, err := database.Open(t.Context(), s.URL)
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(db.Ping(t.Context()), db.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestOtherSchemaIsRefused(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		if err := s.Open(t).Close(); err != nil {
			t.Fatal(err)
		}
		try := func(want string, opens ...func(context.Context, string) (*database.DB, error)) {
			t.Helper()
			for _, open := range opens {
				db, err := open(t.Context(), s.URL)
				if err == nil {
					db.Close()
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		}
		s.Exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, '1')`)
		try("its schema has version 99", database.Open, database.OpenReadOnly)
		s.Exec(t, `DELETE FROM goose_db_version WHERE version_id > 0`)
		try("its schema has version 0", database.OpenReadOnly)
		s.Exec(t, `DROP TABLE goose_db_version`)
		try("not a store of the console", database.OpenReadOnly)
	})
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		for name, db := range map[string]*database.DB{"reader of a store": s.Open(t), "store opened for reading": s.OpenReadOnly(t)} {
			if _, err := db.Reader().ExecContext(t.Context(), insert, "a"); err == nil {
				t.Errorf("a %s wrote", name)
			}
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		db := s.OpenReadOnly(t)
		if err := db.Write(t.Context(), func(*sql.Tx) error { return nil }); err == nil {
			t.Error("a store opened for reading was written to")
		}
	})
}

func TestReadOnlyBesideAWriter(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		put(t, db, "a")
		reading := s.OpenReadOnly(t)
		put(t, db, "b")
		if got := count(t, reading); got != 2 {
			t.Errorf("%d rows, want 2", got)
		}
		if err := reading.Stable(); err != nil {
			t.Error(err)
		}
	})
}

func TestTransactionsOfReadersSeeOneState(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		put(t, db, "a")
		tx, err := db.Reader().BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		for range 2 {
			var n int
			if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM ended_sessions`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n != 1 {
				t.Errorf("%d rows in the transaction, want 1", n)
			}
			put(t, db, fmt.Sprint(db.Now().UnixNano()))
		}
		if got := count(t, db); got != 3 {
			t.Errorf("%d rows, want 3", got)
		}
	})
}

// No identifier that somebody makes up may be an error of the store.
func TestOddTextIsText(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		for _, text := range []string{"a\x00b", "\xff\xfe", "\x00", "\xed\xa0\x80", "?", "$1", `\`, `'`, "\U0010ffff"} {
			put(t, db, text)
			var one int
			if err := db.Reader().QueryRowContext(t.Context(), `SELECT 1 FROM ended_sessions WHERE token_hash = ?`, text).Scan(&one); err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if _, err := s.Shell(t).ExecContext(t.Context(), `DELETE FROM ended_sessions`); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNowIsTheTime(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		if off := time.Since(s.Open(t).Now()).Abs(); off > 10*time.Second {
			t.Errorf("it is off by %v", off)
		}
	})
}

func TestDamage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		damage := func() string {
			t.Helper()
			tx, err := db.Reader().BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			found, err := db.Damage(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := damage(); found != "" {
			t.Errorf("a new store: %s", found)
		}
		s.Exec(t, `DROP TABLE audit_texts`)
		_, err := db.Reader().ExecContext(t.Context(), `SELECT 1 FROM audit_texts`)
		if !database.IsDamaged(err) || database.IsDamaged(nil) || database.IsDamaged(sql.ErrNoRows) {
			t.Errorf("a table gone: %v, want IsDamaged", err)
		}
	})
}
