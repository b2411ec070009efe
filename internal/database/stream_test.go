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

func TestStream(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		long := strings.Repeat("ü?'", 100_000)
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			const event = `INSERT INTO audit_events VALUES (1, ?, ?, ?, -7, 'a', '', 'Ö?', '', '', '', ?)`
			for seq, bytes := range []any{"text", nil, "", long} {
				if _, err := tx.ExecContext(t.Context(), event, seq, fmt.Sprintf("id %d", seq), bytes, []byte{0, 255, '\n', byte(seq)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		read := func(tx *sql.Tx, of database.Selection) (got []string, err error) {
			err = db.Stream(t.Context(), tx, of, func(r *database.StreamedRow) {
				got = append(got, fmt.Sprintf("%q %q %v", r.Packed, r.Plain, r.Null))
			})
			return got, err
		}
		tx, err := db.Reader().BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		all := database.Selection{
			Numbers: []string{"seq", "time"}, Texts: []string{"id", "phase", "operation_id"}, Plain: []string{"bytes", "hashes"},
			From: `FROM audit_events WHERE tree = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC`, Args: []int64{1, 0, 3},
		}
		got, err := read(tx, all)
		want := []string{
			fmt.Sprintf("%q %q %v", "3\n-7\nid 3\n\nÖ?\n", []string{long, "\x00\xff\n\x03"}, []bool{false, false}),
			fmt.Sprintf("%q %q %v", "2\n-7\nid 2\n\nÖ?\n", []string{"", "\x00\xff\n\x02"}, []bool{false, false}),
			fmt.Sprintf("%q %q %v", "1\n-7\nid 1\n\nÖ?\n", []string{"", "\x00\xff\n\x01"}, []bool{true, false}),
			fmt.Sprintf("%q %q %v", "0\n-7\nid 0\n\nÖ?\n", []string{"text", "\x00\xff\n\x00"}, []bool{false, false}),
		}
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got %.2000s, %v", got, err)
		}
		// The transaction goes on.
		if got, err := read(tx, database.Selection{Plain: []string{"id"}, From: `FROM audit_events WHERE seq = ?`, Args: []int64{2}}); err != nil || len(got) != 1 {
			t.Errorf("got %s, %v", got, err)
		}
		if got, err := read(tx, database.Selection{Plain: []string{"id"}, From: `FROM audit_events WHERE seq = ?`, Args: []int64{9}}); err != nil || len(got) != 0 {
			t.Errorf("got %s, %v", got, err)
		}
		if _, err := read(tx, database.Selection{Plain: []string{"no_such_column"}, From: `FROM audit_events`}); !database.IsDamaged(err) {
			t.Errorf("a column that is gone: %v", err)
		}
	})
}

func TestSnapshotsSeeTheSame(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, s *databasetest.Store) {
		db := s.Open(t)
		grow := func(size int) error {
			return db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), `INSERT INTO audit_trees (tree, organization_id, origin, size, root) VALUES (7, 'o', 'o', ?, 'r')
					ON CONFLICT (tree) DO UPDATE SET size = excluded.size`, size)
				return err
			})
		}
		if err := grow(0); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		grown := make(chan error)
		go func() {
			var err error
			for size := 1; ctx.Err() == nil && err == nil; size++ {
				err = grow(size)
			}
			grown <- err
		}()
		most := 0
		for range 50 {
			txs, err := db.Snapshots(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(txs))
			sizes := make([]int, len(txs))
			for i, tx := range txs {
				if err := tx.QueryRowContext(t.Context(), `SELECT size FROM audit_trees WHERE tree = 7`).Scan(&sizes[i]); err != nil {
					t.Fatal(err)
				}
				if sizes[i] != sizes[0] {
					t.Errorf("one sees %d, another %d", sizes[0], sizes[i])
				}
			}
			for _, tx := range txs {
				if err := tx.Rollback(); err != nil {
					t.Error(err)
				}
			}
		}
		stop()
		if err := <-grown; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if most != 3 {
			t.Errorf("at most %d at once, want 3", most)
		}
	})
}

// A new index has to be made known to eventIndexes, or verifying falls back to the store's own check, which takes long.
func TestEntriesKnowTheIndexes(t *testing.T) {
	t.Parallel()
	db := databasetest.SQLite(t).Open(t)
	tx, err := db.Reader().BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	indexes, ok, err := db.Entries().Indexes(t.Context(), tx)
	if err != nil || !ok {
		t.Fatalf("Indexes: %v, %v, %v", indexes, ok, err)
	}
	for _, index := range indexes {
		if err := db.Entries().Each(t.Context(), tx, index, func(string) {}); err != nil {
			t.Errorf("%s: %v", index.Name, err)
		}
	}
}
