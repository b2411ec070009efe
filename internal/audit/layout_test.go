package audit_test

import (
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// A store of before has a row for each hash and for each text. Opened, it is what it would be had it been made now.
func TestOldLayoutIsConverted(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := aged(t, place)
		s.purge(t)
		for n := range 600 {
			s.record(t, deletion(globex, n))
		}
		if n, err := s.erase(t, globex, audit.Erasure{MemberID: "member-test-10", Reason: "DPO-7"}); err != nil || n == 0 {
			t.Fatalf("Erase: %d, %v", n, err)
		}
		want := s.verify(t)
		s.db.Close()
		before := rows(t, s.Store)
		takeApart(t, s.Store)
		s.open(t)
		if got := s.verify(t); !slices.Equal(got.Trees, want.Trees) {
			t.Errorf("Verify: %+v, want %+v", got, want)
		}
		s.db.Close()
		for table, want := range before {
			if got := rows(t, s.Store)[table]; !slices.Equal(got, want) {
				t.Errorf("%s is not what it was: %d rows, were %d", table, len(got), len(want))
			}
		}
		s.open(t)
		s.record(t, deletion(acme, 20))
		s.verify(t)

		// What was missing before is missing.
		s.db.Close()
		takeApart(t, s.Store)
		s.tamper(t, `DELETE FROM audit_hashes WHERE tree = 3 AND idx = 11`)
		s.open(t)
		if err := s.verifyFile(t, ""); err == nil {
			t.Error("Verify finds nothing where a hash was gone")
		}
	})
}

// takeApart makes the tables of a store that nobody has open what they were before.
func takeApart(t *testing.T, s *databasetest.Store) {
	t.Helper()
	shell := s.Shell(t)
	defer shell.Close()
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := shell.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	mark, blob := []string{"?", "?", "?", "?"}, `BLOB`
	if s.Postgres {
		mark, blob = []string{"$1", "$2", "$3", "$4"}, `bytea`
	}
	run(`CREATE TABLE audit_hashes (tree bigint NOT NULL, idx bigint NOT NULL, hash ` + blob + ` NOT NULL, PRIMARY KEY (tree, idx))`)
	run(`CREATE TABLE audit_subjects (tree bigint NOT NULL, seq bigint NOT NULL, field text NOT NULL, salt text, text text, folded text, PRIMARY KEY (tree, seq, field))`)
	found, err := shell.QueryContext(t.Context(), `SELECT tree, seq, hashes FROM audit_events`)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	type stored struct {
		tree, seq int64
		hashes    []byte
	}
	var all []stored
	for found.Next() {
		var e stored
		if err := found.Scan(&e.tree, &e.seq, &e.hashes); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		for i := 0; len(e.hashes) > 0; i++ {
			run(`INSERT INTO audit_hashes VALUES (`+mark[0]+`, `+mark[1]+`, `+mark[2]+`)`, e.tree, tlog.StoredHashIndex(0, e.seq)+int64(i), e.hashes[:tlog.HashSize])
			e.hashes = e.hashes[tlog.HashSize:]
		}
	}
	for column, field := range map[string]string{"actor_email": "actor.email", "target_label": "target.label", "target_email": "target.email", "source_ip": "source.ip"} {
		run(`INSERT INTO audit_subjects SELECT tree, seq, '` + field + `', ` + column + `_salt, ` + column + `, lower(` + column + `) FROM audit_texts WHERE ` + column + ` IS NULL OR ` + column + ` <> ''`)
	}
	run(`DROP INDEX audit_events_reviews`)
	run(`DROP TABLE audit_texts`)
	run(`ALTER TABLE audit_events DROP COLUMN hashes`)
	run(`DELETE FROM goose_db_version WHERE version_id > 4`)
	if s.Postgres {
		run(`ALTER TABLE audit_hashes OWNER TO console`)
		run(`ALTER TABLE audit_subjects OWNER TO console`)
	}
}
