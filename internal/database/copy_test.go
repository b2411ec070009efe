package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

func checkNothing(*database.DB, *sql.Tx) error { return nil }

// endedSessions makes rows, more than one INSERT carries.
func endedSessions(tb testing.TB, s *databasetest.Store, n int) {
	tb.Helper()
	db := s.Open(tb)
	err := db.Write(tb.Context(), func(tx *sql.Tx) error {
		for i := range n {
			if _, err := tx.ExecContext(tb.Context(), insert, fmt.Sprintf("hash ü %d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
}

func TestCopyIsRefusedWhereThereIsSomething(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, target *databasetest.Store) {
		source := databasetest.SQLite(t)
		endedSessions(t, source, 1000)
		copyTo := func() error {
			return database.Copy(t.Context(), source.OpenReadOnly(t), target.URL, checkNothing)
		}
		target.Exec(t, `CREATE TABLE invoices (id INTEGER)`)
		if err := copyTo(); !errors.Is(err, database.ErrNotEmpty) || !strings.Contains(err.Error(), `"invoices", which is not of a console`) {
			t.Errorf("beside another table: %v", err)
		}
		target.Exec(t, `DROP TABLE invoices`)
		// A copy that ends early leaves nothing, and can be begun again.
		ended := errors.New("ended")
		from := source.OpenReadOnly(t)
		err := database.Copy(t.Context(), from, target.URL, func(db *database.DB, tx *sql.Tx) error {
			var n int
			if err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM ended_sessions`).Scan(&n); err != nil || n != 1000 {
				t.Errorf("%d rows, %v", n, err)
			}
			if db != from {
				return ended
			}
			return nil
		})
		if !errors.Is(err, ended) {
			t.Errorf("ended early: %v", err)
		}
		if n := count(t, target.Open(t)); n != 0 {
			t.Errorf("a copy that ended early left %d rows", n)
		}
		if err := copyTo(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, target.Open(t)); n != 1000 {
			t.Errorf("%d rows were copied", n)
		}
		if err := copyTo(); !errors.Is(err, database.ErrNotEmpty) || !strings.Contains(err.Error(), "rows in ended_sessions") {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestCopyOfAStoreThatIsWrittenTo(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, source *databasetest.Store) {
		endedSessions(t, source, 3)
		for _, running := range []bool{false, true} {
			var db *database.DB
			if running {
				db = source.Open(t)
				put(t, db, "running")
			}
			target := databasetest.SQLite(t)
			from := source.OpenReadOnly(t)
			before := count(t, from)
			err := database.Copy(t.Context(), from, target.URL, func(seen *database.DB, _ *sql.Tx) error {
				if seen == from {
					return nil
				}
				if db == nil {
					db = source.Open(t)
				}
				put(t, db, "meanwhile"+fmt.Sprint(running))
				return nil
			})
			if !errors.Is(err, database.ErrChanged) {
				t.Errorf("running %t: %v, want %v", running, err, database.ErrChanged)
			}
			if n := count(t, target.Open(t)); n != 0 {
				t.Errorf("running %t: %d of %d rows were left", running, n, before)
			}
			if err := errors.Join(from.Close(), db.Close()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCopyThatIsInterrupted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, target *databasetest.Store) {
		source := databasetest.SQLite(t)
		endedSessions(t, source, 1)
		ctx, cancel := context.WithCancel(t.Context())
		from := source.OpenReadOnly(t)
		err := database.Copy(ctx, from, target.URL, func(db *database.DB, _ *sql.Tx) error {
			if db != from {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		if err := database.Copy(t.Context(), from, target.URL, checkNothing); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

func TestCopyRefusesAnAddressWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	source := databasetest.SQLite(t)
	endedSessions(t, source, 1)
	for _, address := range []string{"postgres://u:hunter2@/db?host=/none", "postgres://u:hunter2@host", "sqlite://u:hunter2@/x.db", "sqlite:///dev/null"} {
		err := database.Copy(t.Context(), source.OpenReadOnly(t), address, checkNothing)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
