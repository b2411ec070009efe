package audit_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

// rows is all that stands in a store, as text: NULL, numbers, texts and bytes differ.
func rows(tb testing.TB, s *databasetest.Store) map[string][]string {
	tb.Helper()
	shell := s.Shell(tb)
	defer shell.Close()
	all := make(map[string][]string)
	for table, columns := range map[string]string{
		"audit_trees":       "tree, organization_id, origin, size, root",
		"audit_events":      "tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes",
		"audit_texts":       "tree, seq, actor_email, target_label, target_email, source_ip, actor_email_salt, target_label_salt, target_email_salt, source_ip_salt",
		"audit_checkpoints": "tree, size, note",
		"operations":        "id, record, created_at, lease_owner",
		"ended_sessions":    "token_hash, ended_at, expires_at",
	} {
		all[table] = texts(tb, shell, `SELECT `+columns+` FROM `+table, strings.Count(columns, ",")+1)
		slices.Sort(all[table])
	}
	return all
}

func texts(tb testing.TB, shell *sql.DB, query string, columns int) (all []string) {
	tb.Helper()
	found, err := shell.QueryContext(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	defer found.Close()
	row, into := make([]any, columns), make([]any, columns)
	for i := range row {
		into[i] = &row[i]
	}
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%#v", row))
	}
	if err := found.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// Everything that a log can hold survives the way to the other kind of store and back.
func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	s := aged(t, databasetest.SQLite)
	s.record(t, deletion(globex, 0))
	s.purge(t)
	if n, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-10", Reason: "DPO-7"}); err != nil || n == 0 {
		t.Fatalf("Erase: %d, %v", n, err)
	}
	s.Exec(t, `INSERT INTO ended_sessions VALUES ('00ff', 1, 2), ('', -1, 9223372036854775807)`,
		`INSERT INTO operations VALUES ('o-1', 'a', 'o-1', '', 1, 'x', 'unknown', '', 't', 'p', 'm', '{"Ö": "''?"}', 1, 2, 'w', 3)`)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	want := rows(t, s.Store)
	if len(want) != 6 {
		t.Fatalf("some tables are empty: %v", want)
	}
	from := s.Store
	for _, place := range []maker{databasetest.Postgres, databasetest.SQLite, databasetest.SQLite, databasetest.Postgres, databasetest.Postgres} {
		to := place(t)
		db := from.OpenReadOnly(t)
		copied, err := audit.Copy(t.Context(), db, to.URL, s.public, audit.VerifyOptions{StateDir: state})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(copied.From, copied.To); diff != "" || len(copied.To.Trees) != 3 || copied.To.NotRemembered != nil {
			t.Errorf("reports (-from +to):\n%s", diff)
		}
		if diff := cmp.Diff(want, rows(t, to)); diff != "" {
			t.Errorf("rows (-first +copy):\n%s", diff)
		}
		for _, store := range []*databasetest.Store{from, to} {
			if _, err := audit.Verify(t.Context(), store.OpenReadOnly(t), s.public, audit.VerifyOptions{StateDir: state}); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
		from = to
	}
	// The last one goes on, with a tree of its own number.
	s.Store = from
	s.open(t)
	s.record(t, deletion("organization-test-initech", 0))
	s.record(t, deletion(acme, 30))
	if err := s.verifyFile(t, state); err != nil {
		t.Error(err)
	}
}

func TestCopyOfWhatIsNotIntact(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		for n := range 4 {
			s.record(t, deletion(acme, n))
		}
		strange := newStore(t).public
		target := databasetest.SQLite(t)
		copyTo := func(public string) error {
			_, err := audit.Copy(t.Context(), s.OpenReadOnly(t), target.URL, public, audit.VerifyOptions{})
			return err
		}
		if err := copyTo(strange); !errors.Is(err, audit.ErrWrongKey) {
			t.Errorf("with another key: %v", err)
		}
		if err := copyTo("hunter2"); err == nil || errors.Is(err, audit.ErrTampered) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("with no key: %v", err)
		}
		s.tamper(t, `UPDATE audit_events SET bytes = bytes || ' ' WHERE tree = 2 AND seq = 1`)
		err := copyTo(s.public)
		if !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "seq 1") {
			t.Errorf("tampered with: %v", err)
		}
		if _, err := database.OpenReadOnly(t.Context(), target.URL); err == nil {
			t.Error("a store was made all the same")
		}
	})
}

// What somebody puts on the way into the copy is found before it is there.
func TestCopyThatArrivesOtherwise(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	target := databasetest.Postgres(t)
	target.Open(t)
	target.Exec(t, `CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.actor_id := 'member-test-mallory'; RETURN NEW; END $$`,
		`CREATE TRIGGER meddle BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION meddle()`)
	_, err := audit.Copy(t.Context(), s.OpenReadOnly(t), target.URL, s.public, audit.VerifyOptions{})
	if err == nil || !strings.Contains(err.Error(), "audit_events: the rows did not arrive") {
		t.Errorf("Copy: %v", err)
	}
	target.Exec(t, `DROP TRIGGER meddle ON audit_events`)
	if _, err := audit.Copy(t.Context(), s.OpenReadOnly(t), target.URL, s.public, audit.VerifyOptions{}); err != nil {
		t.Errorf("again: %v", err)
	}
}
