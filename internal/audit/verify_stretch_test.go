package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"orgconsole/internal/audit"
)

// Stretches are verified apart from each other, and at once; what is found is what a walk from the first record on finds.
func TestVerifyOfManyStretches(t *testing.T) {
	manyRecords(t)
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const stretch = 1 << 16
		records := 2*stretch + 3000
		if s.Postgres {
			records = stretch + 3000 // it takes long enough
		}
		if err := s.log.Fill(t.Context(), acme, records, func(n int) audit.Event { return deletion(acme, n) }); err != nil {
			t.Fatal(err)
		}
		if n, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-20000", Reason: "DPO-7"}); err != nil || n == 0 {
			t.Fatalf("Erase: %d, %v", n, err)
		}
		state := filepath.Join(t.TempDir(), "state")
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		s.record(t, deletion(acme, records))
		if err := s.verifyFile(t, state); err != nil {
			t.Errorf("Verify where it was verified before: %v", err)
		}
		check := func(workers int) audit.Report {
			t.Helper()
			report, walked, err := audit.VerifyStretches(t.Context(), s.db, s.public, workers)
			if err != nil || workers > 0 && walked > 0 {
				t.Errorf("Verify with %d workers: %v; %d stretches were not intact", workers, err, walked)
			}
			return report
		}
		want := check(0)
		for _, workers := range []int{1, 3} {
			if got := check(workers); !slices.Equal(got.Trees, want.Trees) {
				t.Errorf("Verify with %d workers: %+v, want %+v", workers, got, want)
			}
		}
		if got := want.Trees[1]; got.Erased == 0 || got.Texts != 4*int64(records+1)-got.Erased {
			t.Errorf("Verify: %+v", got)
		}

		// A checkpoint that is remembered, in the second stretch, of another tree.
		checkpoint := fmt.Sprintf("%s\n%d\n%s\n", want.Trees[1].Origin, stretch+100, want.Trees[1].Root)
		signer, err := note.NewSigner(s.signer)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: checkpoint}, signer)
		if err != nil {
			t.Fatal(err)
		}
		other := t.TempDir()
		file := filepath.Join(other, fmt.Sprintf("checkpoint-%x.note", sha256.Sum256([]byte(want.Trees[1].Origin))))
		if err := os.WriteFile(file, signed, 0o600); err != nil {
			t.Fatal(err)
		}
		named := func(err error, seq int64, what string) {
			t.Helper()
			tampered, ok := errors.AsType[*audit.TamperedError](err)
			if !ok || tampered.Seq != seq || !strings.Contains(err.Error(), what) {
				t.Errorf("Verify: %v; want %q at seq %d", err, what, seq)
			}
		}
		named(s.verifyFile(t, other), stretch+99, "the last time")

		for _, c := range []struct {
			sql, undo, what string
			seq             int64
		}{
			{
				`UPDATE audit_events SET phase = 'info' WHERE tree = 2 AND seq IN (65536, 67001)`, `UPDATE audit_events SET phase = 'intent' WHERE tree = 2 AND seq = 65536;
				UPDATE audit_events SET phase = 'outcome' WHERE tree = 2 AND seq = 67001`, "column phase", stretch,
			},
			// Of the hashes of the last record of the second stretch the last is of both together.
			{
				`CREATE TABLE kept AS SELECT hashes FROM audit_events WHERE tree = 2 AND seq = 131071; UPDATE audit_events SET hashes = substr(hashes, 1, 17 * 32) WHERE tree = 2 AND seq = 131071`,
				`UPDATE audit_events SET hashes = (SELECT hashes FROM kept) WHERE tree = 2 AND seq = 131071; DROP TABLE kept`, "is missing", 2*stretch - 1,
			},
			{
				`UPDATE audit_texts SET seq = 999999 WHERE tree = 2 AND seq = 65535`, `UPDATE audit_texts SET seq = 65535 WHERE tree = 2 AND seq = 999999`, "is gone", stretch - 1,
			},
			{
				`UPDATE audit_events SET seq = 999999 WHERE tree = 2 AND seq = 65535`, `UPDATE audit_events SET seq = 65535 WHERE tree = 2 AND seq = 999999`, "it is missing", stretch - 1,
			},
		} {
			if c.seq >= int64(records) {
				continue
			}
			s.tamper(t, c.sql)
			named(s.verifyFile(t, ""), c.seq, c.what)
			s.tamper(t, c.undo)
		}

		// A change of keys in the last stretch, which is of all records before.
		old := s.signer
		s.signer, s.public = mustKey(t)
		if err := s.openWith(t, s.signer, old).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(3)
	})
}

// Rows of texts are read as lines. A text with a line feed must not stand for two rows.
func TestVerifyTellsRowsOfTextsApart(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 4 {
			s.record(t, deletion(acme, n))
		}
		const all = `o.seq || char(10) || o.actor_email || char(10) || o.target_label || char(10) || o.target_email || char(10) || o.source_ip || char(10) ||
			o.actor_email_salt || char(10) || o.target_label_salt || char(10) || o.target_email_salt || char(10) || o.source_ip_salt`
		s.tamper(t, `UPDATE audit_texts SET source_ip_salt = source_ip_salt || char(10) || (SELECT `+all+` FROM audit_texts o WHERE o.tree = 2 AND o.seq = 2) WHERE tree = 2 AND seq = 1`,
			`DELETE FROM audit_texts WHERE tree = 2 AND seq = 2`)
		if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "seq 1 ") {
			t.Errorf("Verify: %v, want ErrTampered about seq 1", err)
		}
	})
}

// In SQLite the character that stands for NULL may be in a text.
func TestVerifyTellsTheCharacterZeroFromNull(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	if _, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-0", Reason: "DPO-7"}); err != nil {
		t.Fatal(err)
	}
	s.tamper(t, `UPDATE audit_texts SET target_label = char(0), target_label_salt = char(0) WHERE tree = 2 AND seq = 0`)
	if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "target.label does not fit") {
		t.Errorf("Verify: %v, want ErrTampered", err)
	}
}

// redefine replaces a part of the definition of a table or an index of SQLite, and nothing that is stored.
func (s *store) redefine(tb testing.TB, name, from, to string) {
	tb.Helper()
	quote := func(text string) string { return strings.ReplaceAll(text, `'`, `''`) }
	s.tamper(tb, `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '`+quote(from)+`', '`+quote(to)+`') WHERE name = '`+name+`'`)
}

// An index can have as many entries as it should, and others.
func TestVerifyHoldsIndexesAgainstTheirTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ index, before, meanwhile string }{
		"another operation":   {"audit_events_by_operation", `(tree, operation_id, seq)`, `(tree, 'x' || operation_id, seq)`},
		"another time":        {"audit_events_by_time", `(tree, time, seq)`, `(tree, time + 1, seq)`},
		"another record":      {"audit_events_by_time", `(tree, time, seq)`, `(tree, time, 4 - seq)`},
		"another order":       {"audit_events_by_time", `(tree, time, seq)`, `(tree, time DESC, seq)`},
		"a record too many":   {"audit_events_covering", `IN ('audit.purge', 'audit.erase', 'audit.key.change')`, `IN ('member.password.delete')`},
		"bytes":               {"audit_events_by_operation", `(tree, operation_id, seq)`, `(tree, CAST(operation_id AS BLOB), seq)`},
		"a record too little": {"audit_events_by_operation", `<> ''`, `<> '' AND seq <> 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for n := range 4 {
				s.record(t, deletion(acme, n))
			}
			s.db.Close()
			s.redefine(t, c.index, c.before, c.meanwhile)
			s.tamper(t, `REINDEX `+c.index)
			s.redefine(t, c.index, c.meanwhile, c.before)
			if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("Verify: %v, want damage", err)
			}
		})
	}
}

// Bytes in place of a text read the same, and no query finds them.
func TestVerifyFindsBytesInPlaceOfATextOfSQLite(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"id", "bytes", "action", "phase", "operation_id", "outcome", "actor_id", "target_id"} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for n := range 4 {
				s.record(t, deletion(acme, n))
			}
			s.db.Close()
			s.redefine(t, "audit_events", `) STRICT`, `) /* lax */`)
			s.tamper(t, `UPDATE audit_events SET `+column+` = CAST(`+column+` AS BLOB) WHERE tree = 2 AND seq = 1`)
			s.redefine(t, "audit_events", `) /* lax */`, `) STRICT`)
			if err := s.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("Verify: %v, want ErrTampered", err)
			}
			s.open(t)
			if _, err := s.log.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("Log.Verify: %v, want ErrTampered", err)
			}
		})
	}
}
