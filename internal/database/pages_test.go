package database_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

// paged is a store that nobody has open, with rows of every length in two trees.
func paged(t *testing.T) *databasetest.Store {
	t.Helper()
	s := databasetest.SQLite(t)
	db := s.Open(t)
	random := rand.New(rand.NewPCG(1, 2))
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for n := range 6000 {
			tree, seq := 1+n%2, n/2
			var bytes any = strings.Repeat("ü", random.IntN(1500))
			switch n % 50 {
			case 0:
				bytes = nil
			case 1:
				bytes = strings.Repeat("long ", random.IntN(5000))
			}
			const event = `INSERT INTO audit_events VALUES (?, ?, ?, ?, ?, ?, 'phase', ?, '', '', '0-target', ?)`
			_, err := tx.ExecContext(t.Context(), event, tree, seq, fmt.Sprintf("id %08d", 7919*n%6000), bytes, random.Int64()-random.Int64(),
				[]string{"a", "audit.purge", "audit.review"}[n%3], []string{"", "operation 7"}[n%2], make([]byte, 32*(n%7)))
			if err != nil {
				return err
			}
			if n%3 == 0 {
				continue
			}
			const texts = `INSERT INTO audit_texts VALUES (?, ?, 'actor', '', NULL, ?, 'salt', '', NULL, 's')`
			if _, err := tx.ExecContext(t.Context(), texts, tree, seq, strings.Repeat("x", random.IntN(3000))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPagesReadWhatSQLiteReads(t *testing.T) {
	t.Parallel()
	s := paged(t)
	db := s.OpenReadOnly(t)
	tx := beginReading(t, db)
	pages, err := db.Pages(t.Context(), tx)
	if err != nil || pages == nil {
		t.Fatal(pages, err)
	}
	var got []string
	row := func(r *database.StreamedRow) { got = append(got, fmt.Sprintf("%q %q %v", r.Packed, r.Plain, r.Null)) }
	same := func(what string, read, stream func() error) {
		t.Helper()
		got = nil
		if err := read(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		pages := got
		got = nil
		if err := stream(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if len(pages) != len(got) {
			t.Errorf("%s: %d rows, want %d", what, len(pages), len(got))
			return
		}
		for i := range got {
			if pages[i] != got[i] {
				t.Errorf("%s, row %d: %.300s, want %.300s", what, i, pages[i], got[i])
				return
			}
		}
	}
	from, key, _ := db.Entries().Rows()
	for _, c := range [][3]int64{{1, 0, 2999}, {2, 0, 0}, {2, 2999, 2999}, {1, 1000, 1500}, {2, 700, 701}, {2, -5, 10}, {2, 2990, 1 << 40}, {0, 0, 100}, {3, 0, 100}, {1, 5, 4}} {
		args := c[:]
		same(fmt.Sprint("events ", c), func() error { return pages.Events(c[0], c[1], c[2], row) }, func() error {
			return db.Stream(t.Context(), tx, database.Selection{
				Numbers: []string{"e.rowid", "e.tree", "e.seq", "e.time"},
				Texts:   []string{"e.id", "e.action", "e.phase", "e.operation_id", "e.outcome", "e.actor_id", "e.target_id"}, Plain: []string{"e.bytes", "e.hashes"},
				From: `FROM ` + from + ` WHERE ` + key + `.tree = ? AND ` + key + `.seq BETWEEN ? AND ? ORDER BY ` + key + `.seq`, Args: args,
			}, row)
		})
		same(fmt.Sprint("texts ", c), func() error { return pages.Texts(c[0], c[1], c[2], row) }, func() error {
			return db.Stream(t.Context(), tx, database.Selection{
				Numbers: []string{"seq"}, Texts: []string{
					"actor_email", "target_label", "target_email", "source_ip", "actor_email_salt", "target_label_salt", "target_email_salt", "source_ip_salt",
				},
				From: `FROM audit_texts WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq`, Args: args,
			}, row)
		})
	}
	indexes, ok, err := db.Entries().Indexes(t.Context(), tx)
	if err != nil || !ok {
		t.Fatal(err)
	}
	entry := func(entry string) { got = append(got, entry) }
	for _, index := range indexes {
		if index.Name == "audit_events_by_time" {
			continue // none of ours is before 1970
		}
		same(index.Name, func() error { return pages.Entries(index, entry) }, func() error { return db.Entries().Each(t.Context(), tx, index, entry) })
		if len(got) == 0 {
			t.Errorf("%s is empty", index.Name)
		}
	}
}

// Whatever the pages are, reading them ends, and without a panic.
func TestPagesThatAreDamaged(t *testing.T) {
	t.Parallel()
	s := paged(t)
	path := strings.TrimPrefix(s.URL, "sqlite://")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pageSize := int(binary.BigEndian.Uint16(whole[16:]))
	random := rand.New(rand.NewPCG(3, 4))
	damaged, failed := 0, 0
	for range 150 {
		data := append([]byte{}, whole...)
		for range 200 {
			page := pageSize * (1 + random.IntN(len(data)/pageSize-1))
			at := page + random.IntN(16) // where it says what it is
			if random.IntN(2) == 0 {
				at = page + random.IntN(pageSize)
			}
			data[at] = byte(random.Uint32())
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := database.OpenReadOnly(t.Context(), s.URL)
		if err != nil {
			continue // the schema is damaged
		}
		tx, err := db.Reader().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if pages, _ := db.Pages(t.Context(), tx); pages != nil {
			damaged++
			err := pages.Events(1, 0, 5000, func(*database.StreamedRow) {})
			if texts := pages.Texts(2, 0, 5000, func(*database.StreamedRow) {}); err == nil {
				err = texts
			}
			if entries := pages.Entries(database.Index{Name: "sqlite_autoindex_audit_events_1", Key: []string{"id"}}, func(string) {}); err == nil {
				err = entries
			}
			if err != nil {
				failed++
			}
		}
		_ = tx.Rollback()
		db.Close()
	}
	if damaged == 0 || failed == 0 {
		t.Errorf("of %d damaged stores %d were found to be so", damaged, failed)
	}
}

func beginReading(t *testing.T, db *database.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Reader().BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// What SQLite takes for a column is what the schema says, whatever stands in the pages.
func TestPagesOfAnotherSchema(t *testing.T) {
	t.Parallel()
	for _, change := range []string{
		`UPDATE sqlite_schema SET sql = replace(replace(replace(sql, 'actor_email ', 'x '), 'target_email ', 'actor_email '), ' x ', ' target_email ') WHERE name = 'audit_texts'`,
		`UPDATE sqlite_schema SET sql = replace(sql, 'operation_id TEXT', 'operation_id TEXT COLLATE NOCASE') WHERE name = 'audit_events'`,
		`UPDATE sqlite_schema SET sql = replace(sql, 'time, seq', 'time, seq DESC') WHERE name = 'audit_events_by_time'`,
		`CREATE INDEX mine ON audit_events (phase)`,
	} {
		s := paged(t)
		before := s.OpenReadOnly(t)
		if pages, err := before.Pages(t.Context(), beginReading(t, before)); pages == nil || err != nil {
			t.Fatalf("Pages: %v, %v", pages, err)
		}
		before.Close()
		s.Exec(t, `PRAGMA writable_schema = ON; `+change)
		db := s.OpenReadOnly(t)
		if pages, err := db.Pages(t.Context(), beginReading(t, db)); pages != nil || err != nil {
			t.Errorf("%s: Pages: %v, %v", change, pages, err)
		}
	}
}

// What is in the write-ahead log is for SQLite to read.
func TestPagesOfAStoreInUse(t *testing.T) {
	t.Parallel()
	s := databasetest.SQLite(t)
	db := s.Open(t)
	write := func(name string) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO audit_trees VALUES (?, ?, ?, 0, '')`, len(name), name, name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // half of what a writer waits for others
		defer cancel()
		if err := db.EmptyLog(ctx); err != nil {
			t.Fatal(err)
		}
	}
	pagesOf := func(db *database.DB) *database.Pages {
		t.Helper()
		tx, err := db.Reader().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		pages, err := db.Pages(t.Context(), tx)
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	write("a")
	beside := s.OpenReadOnly(t)
	for _, db := range []*database.DB{db, beside} {
		if pagesOf(db) != nil {
			t.Error("there are pages of a store with something in the log")
		}
	}
	empty()
	for _, db := range []*database.DB{db, beside} {
		if pagesOf(db) == nil {
			t.Error("there are no pages of a store with nothing in the log")
		}
	}
	// A reader of what is in the log keeps it there, and does not keep anybody waiting.
	write("bb")
	reading := beginReading(t, beside)
	var n int
	if err := reading.QueryRowContext(t.Context(), `SELECT count(*) FROM audit_trees`).Scan(&n); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	write("ccc")
	empty()
	if pagesOf(db) != nil {
		t.Error("there are pages of a store with something in the log that somebody reads")
	}
	write("dddd")
	if err := reading.Rollback(); err != nil {
		t.Fatal(err)
	}
	empty()
	if pagesOf(db) == nil {
		t.Error("there are no pages once nobody reads the log any more")
	}
}

// While pages are read others write, and what is read stays as it was.
func TestPagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	s := paged(t)
	db := s.Open(t)
	tx := beginReading(t, db)
	pages, err := db.Pages(t.Context(), tx)
	if err != nil || pages == nil {
		t.Fatal(pages, err)
	}
	read := func() (all string) {
		t.Helper()
		if err := pages.Texts(1, 0, 50, func(r *database.StreamedRow) { all += r.Packed }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := read()
	path := strings.TrimPrefix(s.URL, "sqlite://")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE audit_texts SET source_ip = ?`, fmt.Sprint("another ", n))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(path); err != nil || string(is) != string(was) {
		t.Errorf("the file was written to under a reader: %v", err)
	}
	if read() != before {
		t.Error("what is read has changed")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(path); err != nil || string(is) == string(was) {
		t.Errorf("the file was not written to when nobody reads it any more: %v", err)
	}
}
