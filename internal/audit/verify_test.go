package audit_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"

	"orgconsole/internal/audit"
)

// adversary is what somebody with the store and an SQL shell does, and what verification must say of it.
type adversary struct {
	sql  string
	want string // part of the error
	seq  int64
}

func adversaries() map[string]adversary {
	const one = ` WHERE tree = 2 AND seq = 7`
	return map[string]adversary{
		"a byte":                      {`UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2')` + one, "do not have the hash", 7},
		"a byte, and its hash":        {`UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2')` + one + `; UPDATE audit_events SET hashes = zeroblob(32)` + one, "do not have the hash", 7},
		"bytes that are no event":     {`UPDATE audit_events SET bytes = '{}'` + one, "not an event", 7},
		"bytes with a space":          {`UPDATE audit_events SET bytes = bytes || ' '` + one, "after the end", 7},
		"bytes gone":                  {`UPDATE audit_events SET bytes = NULL` + one, "gone", 7},
		"column id":                   {`UPDATE audit_events SET id = '019234aa-0000-7000-8000-000000000000'` + one, "column id", 7},
		"column time":                 {`UPDATE audit_events SET time = time + 1` + one, "column time", 7},
		"column action":               {`UPDATE audit_events SET action = 'session.sign_in'` + one, "column action", 7},
		"column phase":                {`UPDATE audit_events SET phase = 'info'` + one, "column phase", 7},
		"column operation_id":         {`UPDATE audit_events SET operation_id = ''` + one, "column operation_id", 7},
		"column outcome":              {`UPDATE audit_events SET outcome = 'failed'` + one, "column outcome", 7},
		"column actor_id":             {`UPDATE audit_events SET actor_id = 'member-test-x'` + one, "column actor_id", 7},
		"column target_id":            {`UPDATE audit_events SET target_id = 'member-test-x'` + one, "column target_id", 7},
		"text":                        {`UPDATE audit_texts SET target_email = 'x@acme.example'` + one, "target.email does not fit", 7},
		"another text":                {`UPDATE audit_texts SET actor_email = upper(actor_email)` + one, "actor.email does not fit", 7},
		"texts exchanged":             {`UPDATE audit_texts SET actor_email = target_email, target_email = actor_email` + one, "actor.email does not fit", 7},
		"salt":                        {`UPDATE audit_texts SET target_label_salt = '00'` + one, "target.label does not fit", 7},
		"salt in another spelling":    {`UPDATE audit_texts SET source_ip_salt = upper(source_ip_salt) || ''` + one, "source.ip does not fit", 7},
		"text gone":                   {`UPDATE audit_texts SET target_label = '', target_label_salt = ''` + one, "target.label is gone", 7},
		"texts gone":                  {`DELETE FROM audit_texts` + one, "actor.email is gone", 7},
		"text erased unrecorded":      {`UPDATE audit_texts SET target_email = NULL, target_email_salt = NULL` + one, "no event says so", 7},
		"text without a salt":         {`UPDATE audit_texts SET target_email_salt = NULL` + one, "half gone", 7},
		"text nobody knows":           {`INSERT INTO audit_texts VALUES (1, 0, '', '', 'x@acme.example', '', '', '', '00', '')`, "no text called", 0},
		"texts of nobody":             {`INSERT INTO audit_texts VALUES (1, 0, '', '', '', '', '', '', '', '')`, "no text called", 0},
		"text of no record":           {`INSERT INTO audit_texts VALUES (2, 99, 'x', '', '', '', '00', '', '', '')`, "does not exist", 99},
		"text before all records":     {`INSERT INTO audit_texts VALUES (2, -1, 'x', '', '', '', '00', '', '', '')`, "does not exist", -1},
		"removed in the middle":       {`DELETE FROM audit_events` + one, "missing", 7},
		"removed with all its rows":   {`DELETE FROM audit_events` + one + `; DELETE FROM audit_texts` + one, "missing", 7},
		"removed, the rest moved up":  {`DELETE FROM audit_events` + one + `; UPDATE audit_events SET seq = seq - 1 WHERE tree = 2 AND seq > 7`, "column seq", 7},
		"removed first":               {`DELETE FROM audit_events WHERE tree = 2 AND seq = 0`, "missing", 0},
		"removed last":                {`DELETE FROM audit_events WHERE tree = 2 AND seq = 9`, "missing", 9},
		"removed last, no checkpoint": {`DELETE FROM audit_events WHERE tree = 2 AND seq = 9; DELETE FROM audit_checkpoints WHERE tree = 2`, "it is missing, and so is all after it", 9},
		"removed last, head set back": {`DELETE FROM audit_events WHERE tree = 2 AND seq = 9; UPDATE audit_trees SET size = 9 WHERE tree = 2`, "signed over 10", 9},
		"inserted after the end":      {`INSERT INTO audit_events SELECT tree, 10, 'x', bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes FROM audit_events` + one, "beyond", 10},
		"inserted before the start":   {`INSERT INTO audit_events SELECT tree, -1, 'x', bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes FROM audit_events` + one, "does not belong", -1},
		"swapped bytes": {`UPDATE audit_events SET bytes = (SELECT bytes FROM audit_events o WHERE o.tree = 2 AND o.seq = 15 - audit_events.seq)
			WHERE tree = 2 AND seq IN (7, 8)`, "column seq", 7},
		"swapped rows": {`UPDATE audit_events SET seq = 100 WHERE tree = 2 AND seq = 7; UPDATE audit_events SET seq = 7 WHERE tree = 2 AND seq = 8;
			UPDATE audit_events SET seq = 8 WHERE tree = 2 AND seq = 100`, "column seq", 7},
		"moved to another tree": {`UPDATE audit_events SET tree = 3, seq = 1` + one, "missing", 7},
		"a hash":                {`UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 0`, "hash", 0},
		"a hash of a subtree":   {`UPDATE audit_events SET hashes = (SELECT o.hashes FROM audit_events o WHERE o.tree = 2 AND o.seq = 3)` + one, "hash", 7},
		"a hash gone":           {`UPDATE audit_events SET hashes = substr(hashes, 1, 96)` + one, "hash 14 is missing", 7},
		"all hashes gone":       {`UPDATE audit_events SET hashes = substr(hashes, 1, 0)` + one, "hash 11 is missing", 7},
		"hashes of another":     {`UPDATE audit_events SET hashes = (SELECT o.hashes FROM audit_events o WHERE o.tree = 2 AND o.seq = 7) WHERE tree = 2 AND seq = 0`, "hash", 0},
		"the root":              {`UPDATE audit_trees SET root = 'x' WHERE tree = 2`, "root", -1},
		"the origin":            {`UPDATE audit_trees SET origin = 'x' WHERE tree = 2`, "checkpoint is of", -1},
		"organizations swapped": {`UPDATE audit_trees SET organization_id = 'x' WHERE tree = 2; UPDATE audit_trees SET organization_id = '` + acme + `' WHERE tree = 3;
			UPDATE audit_trees SET organization_id = '` + globex + `' WHERE tree = 2`, "of organization", 0},
		"the checkpoint gone":       {`DELETE FROM audit_checkpoints WHERE tree = 2`, "checkpoint is gone", -1},
		"the checkpoint's size":     {`UPDATE audit_checkpoints SET size = 9 WHERE tree = 2`, "head has", -1},
		"the checkpoint's text":     {`UPDATE audit_checkpoints SET note = replace(note, char(10) || '10' || char(10), char(10) || '11' || char(10)) WHERE tree = 2`, "signature", -1},
		"the checkpoint of another": {`UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE tree = 3) WHERE tree = 2`, "checkpoint is of", -1},
		"the head set back":         {`UPDATE audit_trees SET size = 9 WHERE tree = 2`, "beyond", 9},
		"truncated": {`DELETE FROM audit_events WHERE tree = 2 AND seq > 4; DELETE FROM audit_texts WHERE tree = 2 AND seq > 4;
			UPDATE audit_trees SET size = 5 WHERE tree = 2`, "signed over 10", 5},
		"a tree gone": {`DELETE FROM audit_events WHERE tree = 2; DELETE FROM audit_texts WHERE tree = 2;
			DELETE FROM audit_checkpoints WHERE tree = 2; DELETE FROM audit_trees WHERE tree = 2`, acme + ", which is gone", 2},
		"a tree's head gone":  {`DELETE FROM audit_trees WHERE tree = 3`, "which is gone", 3},
		"a tree nobody lists": {`INSERT INTO audit_trees VALUES (4, 'x', 'x', 0, 'x')`, "missing", 0},
		"rows of no tree":     {`INSERT INTO audit_texts VALUES (9, 0, '', '', '', '', '', '', '', '')`, "does not exist", -1},
		"all trees gone":      {`DELETE FROM audit_trees`, "gone", -1},
		"a table gone":        {`DROP TABLE audit_texts`, "damaged", -1},
	}
}

// treeTwice copies a tree, once nothing keeps its columns unique any more.
const treeTwice = `INSERT INTO audit_trees SELECT 4, organization_id, origin, size, root FROM audit_trees WHERE tree = 3;
	INSERT INTO audit_events SELECT 4, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes FROM audit_events WHERE tree = 3;
	INSERT INTO audit_texts SELECT 4, seq, actor_email, target_label, target_email, source_ip, actor_email_salt, target_label_salt, target_email_salt, source_ip_salt FROM audit_texts WHERE tree = 3;
	INSERT INTO audit_checkpoints SELECT 4, size, note FROM audit_checkpoints WHERE tree = 3`

func sqliteAdversaries() map[string]adversary {
	return map[string]adversary{
		"a hash too many": {`UPDATE audit_events SET hashes = CAST(hashes || hashes AS BLOB) WHERE tree = 2 AND seq = 7`, "more stored hashes", 7},
		"a tree twice": {`CREATE TABLE t AS SELECT * FROM audit_trees; DROP TABLE audit_trees; ALTER TABLE t RENAME TO audit_trees;
			CREATE TABLE e AS SELECT * FROM audit_events; DROP TABLE audit_events; ALTER TABLE e RENAME TO audit_events; ` + treeTwice, "there twice", -1},
		"an index that hides a row": {`PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX audit_events_by_operation ON audit_events (tree, operation_id, seq) WHERE operation_id <> ''operation-3'''
			WHERE name = 'audit_events_by_operation'`, "damaged", -1},
	}
}

func postgresAdversaries() map[string]adversary {
	const one = ` WHERE tree = 2 AND seq = 7`
	return map[string]adversary{
		"a hash too many": {`UPDATE audit_events SET hashes = hashes || hashes` + one, "more stored hashes", 7},
		"a tree twice": {`ALTER TABLE audit_trees DROP CONSTRAINT audit_trees_organization_id_key, DROP CONSTRAINT audit_trees_origin_key;
			ALTER TABLE audit_events DROP CONSTRAINT audit_events_id_key; ` + treeTwice, "there twice", -1},
		"an index that hides a row": {`CREATE EXTENSION amcheck; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO console;
			ALTER INDEX audit_events_by_operation RENAME TO honest;
			CREATE INDEX audit_events_by_operation ON audit_events (tree, operation_id, seq) WHERE operation_id <> '' AND operation_id <> 'operation-3';
			UPDATE pg_index SET indpred = (SELECT indpred FROM pg_index WHERE indexrelid = 'honest'::regclass) WHERE indexrelid = 'audit_events_by_operation'::regclass;
			DROP INDEX honest`, "damaged", -1},
		"a view that hides a row": {`ALTER TABLE audit_events RENAME TO all_events; CREATE VIEW audit_events AS SELECT * FROM all_events WHERE tree <> 2 OR seq <> 7;
			GRANT SELECT ON audit_events TO console`, "missing", 7},
		"a view that hides a row from the console alone": {`ALTER TABLE audit_events RENAME TO all_events;
			CREATE VIEW audit_events AS SELECT * FROM all_events WHERE current_setting('application_name') = 'orgconsole'; GRANT SELECT ON audit_events TO console`, "damaged", -1},
		"a policy that hides a row": {`ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
			CREATE POLICY p ON audit_events USING (tree <> 2 OR seq <> 7)`, "missing", 7},
		"a policy that hides it from others": {`ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON audit_events TO auditor USING (tree <> 2 OR seq <> 7)`, "damaged", -1},
		"a table below that adds rows": {`CREATE TABLE more (LIKE audit_events) INHERITS (audit_events); INSERT INTO more SELECT * FROM audit_events` + one + `;
			GRANT SELECT ON more TO console`, "does not belong", 7},
		"another type":               {`ALTER TABLE audit_events ALTER COLUMN seq TYPE text`, "damaged", -1},
		"another type that can pass": {`ALTER TABLE audit_events ALTER COLUMN hashes TYPE text USING hashes::text`, "hash", 0},
	}
}

func TestVerifyFindsWhatAnAdversaryDid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		var ids []string
		for n := range 10 {
			ids = append(ids, s.record(t, deletion(acme, n)).ID)
		}
		s.record(t, deletion(globex, 0))
		s.db.Close()
		untouched := func(t *testing.T) *store {
			t.Helper()
			return &store{Store: s.Copy(t), public: s.public}
		}
		t.Run("nothing", func(t *testing.T) {
			t.Parallel()
			if err := untouched(t).verifyFile(t, ""); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("another key", func(t *testing.T) {
			t.Parallel()
			c := untouched(t)
			_, c.public = mustKey(t)
			c.tamper(t, `DELETE FROM audit_events`) // that, too, is for another time
			if err := c.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !errors.Is(err, audit.ErrWrongKey) {
				t.Fatalf("Verify: %v, want ErrTampered and ErrWrongKey", err)
			}
		})
		all := adversaries()
		if s.Postgres {
			maps.Copy(all, postgresAdversaries())
		} else {
			maps.Copy(all, sqliteAdversaries())
		}
		for name, a := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := untouched(t)
				c.tamper(t, a.sql)
				err := c.verifyFile(t, "")
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || !errors.Is(err, audit.ErrTampered) {
					t.Fatalf("Verify: %v, want a TamperedError", err)
				}
				if !strings.Contains(err.Error(), a.want) || tampered.Seq != a.seq {
					t.Errorf("Verify: %v; want %q at seq %d", err, a.want, a.seq)
				}
				if a.seq == 7 && tampered.Tree != acme {
					t.Errorf("Verify blames the tree %q, want %q", tampered.Tree, acme)
				}
				if tampered.ID != "" && tampered.Seq == 7 && !strings.HasPrefix(name, "swapped") && name != "column id" && !strings.HasPrefix(name, "removed") && tampered.ID != ids[7] {
					t.Errorf("Verify blames id %s, want %s", tampered.ID, ids[7])
				}
			})
		}
	})
}

// Whoever took a copy of the store and let it go on has checkpoints with good signatures, of events that never were.
func TestVerifyFindsPartsOfAFork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want string
		tree string
	}{
		"head and checkpoint": {`UPDATE audit_trees SET root = (SELECT root FROM fork.audit_trees WHERE tree = 2) WHERE tree = 2;
			UPDATE audit_checkpoints SET note = (SELECT note FROM fork.audit_checkpoints WHERE tree = 2) WHERE tree = 2`, "the records give root", acme},
		"a whole tree": {`INSERT INTO audit_trees SELECT * FROM fork.audit_trees WHERE tree = 3; INSERT INTO audit_events SELECT * FROM fork.audit_events WHERE tree = 3;
			INSERT INTO audit_texts SELECT * FROM fork.audit_texts WHERE tree = 3;
			INSERT INTO audit_checkpoints SELECT * FROM fork.audit_checkpoints WHERE tree = 3`, "does not list it", globex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *store) {
				s.record(t, deletion(acme, 0))
				s.db.Close()
				fork := &store{Store: s.Copy(t), signer: s.signer, clock: s.clock, logged: s.logged}
				s.open(t)
				fork.open(t)
				s.record(t, deletion(acme, 1))
				fork.record(t, deletion(acme, 1))
				fork.record(t, deletion(globex, 0))
				s.ExecBeside(t, fork.Store, c.sql)
				err := s.verifyFile(t, "")
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || !strings.Contains(err.Error(), c.want) || tampered.Tree != c.tree {
					t.Fatalf("Verify: %v; want %q of %s", err, c.want, c.tree)
				}
				// Nor is such a tree written to.
				if _, err := s.log.Record(t.Context(), deletion(c.tree, 2)); name != "a whole tree" && !errors.Is(err, audit.ErrTampered) {
					t.Errorf("Record: %v, want ErrTampered", err)
				}
			})
		})
	}
}

func mustKey(tb testing.TB) (signer, public string) {
	tb.Helper()
	signer, public, err := audit.NewKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, public
}

// verifyFile verifies as the command does: reading only.
func (s *store) verifyFile(tb testing.TB, stateDir string) error {
	tb.Helper()
	db := s.OpenReadOnly(tb)
	defer db.Close()
	report, err := audit.Verify(tb.Context(), db, s.public, audit.VerifyOptions{StateDir: stateDir})
	if report.NotRemembered != nil {
		tb.Error(report.NotRemembered)
	}
	return err
}
