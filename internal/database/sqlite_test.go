package database_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

func storeURL(path string) string { return (&url.URL{Scheme: "sqlite", Path: path}).String() }

func open(tb testing.TB, path string) *database.DB {
	tb.Helper()
	db, err := database.Open(tb.Context(), storeURL(path))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// shell is a connection that keeps to none of the rules.
func shell(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func TestStoreIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state", "orgconsole")
	path := filepath.Join(folder, "console.db")
	put(t, open(t, path), "a")
	for name, want := range map[string]fs.FileMode{folder: fs.ModeDir | 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestAnyPathWillDo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "a b.db", "what?mode=memory", "100%25.db", "half#.db", "ünï & co.db"} {
		path := filepath.Join(t.TempDir(), name)
		db := open(t, path)
		put(t, db, "a")
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if got := count(t, open(t, path)); got != 1 {
			t.Errorf("%s: %d rows after it was opened again, want 1", name, got)
		}
	}
}

func TestSettingsOfTheConnections(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "console.db"))
	if err := db.EmptyLog(t.Context()); err != nil { // which changes one for a moment
		t.Fatal(err)
	}
	pragmas := map[string][2]int{ // of the writer and of readers
		"synchronous": {2, 2}, "foreign_keys": {1, 0}, "busy_timeout": {10000, 10000}, "query_only": {0, 1}, "secure_delete": {1, 0}, "page_size": {8192, 8192},
	}
	for pragma, want := range pragmas {
		var writer, reader int
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			return tx.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&writer)
		})
		if err := errors.Join(err, db.Reader().QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&reader)); err != nil {
			t.Fatal(err)
		}
		if got := [2]int{writer, reader}; got != want {
			t.Errorf("%s: writer %d, reader %d; want %v", pragma, writer, reader, want)
		}
	}
	var mode string
	if err := db.Reader().QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode is %q, %v; want wal", mode, err)
	}
	if _, err := db.Reader().ExecContext(t.Context(), insert, "a"); err == nil {
		t.Error("a reader wrote")
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDamageOfSQLite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  []string
		want string
	}{
		"a view of something else": {[]string{`CREATE VIEW report AS SELECT count(*) FROM audit_events`}, ""},
		"a view in place of a table": {
			[]string{`ALTER TABLE audit_events RENAME TO hidden`, `CREATE VIEW audit_events AS SELECT * FROM hidden
				WHERE seq <> 1 OR NOT EXISTS (SELECT 1 FROM pragma_database_list WHERE file LIKE '%console.db')`},
			"audit_events is not a table any more",
		},
		"one that is written to, in other letters": {
			[]string{
				`ALTER TABLE audit_texts RENAME TO hidden`, `CREATE VIEW Audit_Texts AS SELECT * FROM hidden`,
				`CREATE TRIGGER t INSTEAD OF DELETE ON audit_texts BEGIN DELETE FROM hidden WHERE seq = old.seq; END`,
			},
			"Audit_Texts is not a table any more",
		},
		"a trigger": {
			[]string{`CREATE TRIGGER t AFTER INSERT ON audit_checkpoints BEGIN DELETE FROM ended_sessions; END`},
			"a trigger changes what is written to the table audit_checkpoints",
		},
		"a virtual table": {
			[]string{`DROP TABLE audit_terms`, `CREATE VIRTUAL TABLE audit_terms USING fts5 (tree, level, segment, first, block)`},
			"audit_terms is not a table any more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := databasetest.SQLite(t)
			s.Open(t).Close()
			s.Exec(t, c.sql...)
			db := s.OpenReadOnly(t)
			tx, err := db.Reader().BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if found, err := db.Damage(t.Context(), tx); err != nil || found != c.want {
				t.Errorf("Damage: %q, %v; want %q", found, err, c.want)
			}
		})
	}
}

func TestReadOnlyRefusesWhatIsNoStore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	other := filepath.Join(folder, "other.db")
	if _, err := shell(t, other).ExecContext(t.Context(), `CREATE TABLE x (y)`); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"text": strings.Repeat("not a database\n", 100), "empty": ""} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, folder)
	for path, want := range map[string]string{
		filepath.Join(folder, "none"):      "no such file",
		filepath.Join(folder, "no", "dir"): "no such file",
		filepath.Join(folder, "text"):      "not an SQLite database",
		filepath.Join(folder, "empty"):     "not a store of the console",
		other:                              "not a store of the console",
		folder:                             "is not a file",
	} {
		db, err := database.OpenReadOnly(t.Context(), storeURL(path))
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenReadOnly(%s): %v, want %q", path, err, want)
		}
		if strings.Contains(want, "no such") && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("OpenReadOnly(%s): %v, want os.ErrNotExist", path, err)
		}
	}
	if after := listing(t, folder); after != before {
		t.Errorf("looking changed the folder from\n%sto\n%s", before, after)
	}
}

// listing is what is in a folder, with hashes of all files.
func listing(tb testing.TB, folder string) string {
	tb.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", file.Name(), sha256.Sum256(data))
	}
	return b.String()
}

func TestReadOnlyLeavesNoTrace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console.db")
	db := open(t, path)
	put(t, db, "a")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, filepath.Dir(path))
	reading, err := database.OpenReadOnly(t.Context(), storeURL(path))
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, reading); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	err = reading.Write(t.Context(), func(*sql.Tx) error { return nil })
	if err == nil {
		t.Error("a store opened for reading was written to")
	}
	if err := errors.Join(reading.Stable(), reading.Ping(t.Context()), reading.Close()); err != nil {
		t.Error(err)
	}
	if after := listing(t, filepath.Dir(path)); after != before {
		t.Errorf("reading changed the folder from\n%sto\n%s", before, after)
	}
}

// A copy taken of a store that a crash left, or that is in use, holds its newest rows in the write-ahead log.
func TestReadOnlyOfACrashedStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console.db")
	put(t, open(t, path), "a")
	crashed := filepath.Join(t.TempDir(), "crashed.db")
	before := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before[suffix] = data
	}
	db, err := database.OpenReadOnly(t.Context(), storeURL(crashed))
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, db); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, want := range before {
		got, err := os.ReadFile(crashed + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("reading changed crashed.db%s", suffix)
		}
	}
}

func TestWriterThatComesLaterIsNoticed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	reading, err := database.OpenReadOnly(t.Context(), storeURL(path))
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	if err := reading.Stable(); err != nil {
		t.Error(err)
	}
	put(t, open(t, path), "a")
	if err := reading.Stable(); err == nil {
		t.Error("the store changed while it was read, and nobody noticed")
	}
}
