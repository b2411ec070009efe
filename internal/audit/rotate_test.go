package audit_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/audit"
)

// rotated is a store whose key was changed, with what it was before.
type rotated struct {
	*store

	oldSigner, oldPublic string
	oldLog               *audit.Log
	putBack              func() // the store as it was before
	state                string // where its last checkpoint was seen before
}

func (s *store) openWith(tb testing.TB, signer string, old ...string) *audit.Log {
	tb.Helper()
	log, err := audit.New(s.db, signer, audit.Options{Now: s.clock.Now, Rand: rand.Reader, Build: "test", Logger: slog.New(s.logged), OldKeys: old})
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

func rotate(tb testing.TB, place maker) *rotated {
	tb.Helper()
	s := newStoreAt(tb, place(tb))
	for n := range 4 {
		s.record(tb, deletion(acme, n))
	}
	r := &rotated{store: s, oldSigner: s.signer, oldPublic: s.public, state: filepath.Join(tb.TempDir(), "state")}
	if err := s.verifyFile(tb, r.state); err != nil {
		tb.Fatal(err)
	}
	r.putBack = s.backup(tb)
	r.oldLog = s.log
	var err error
	if s.signer, s.public, err = audit.NewKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	s.log = s.openWith(tb, s.signer, r.oldSigner)
	if err := s.log.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

// with verifies with other public keys.
func (s *store) with(tb testing.TB, stateDir, public string) error {
	tb.Helper()
	kept := s.public
	defer func() { s.public = kept }()
	s.public = public
	return s.verifyFile(tb, stateDir)
}

func TestKeyChange(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		r := rotate(t, place)
		signatures := func(want int) {
			t.Helper()
			signed, err := r.log.Checkpoint(t.Context(), acme)
			if got := strings.Count(signed, "\n— "); err != nil || got != want {
				t.Errorf("the checkpoint has %d signatures, %v; want %d:\n%s", got, err, want, signed)
			}
		}
		check := func() {
			t.Helper()
			for _, public := range []string{r.public, r.public + "," + r.oldPublic, r.oldPublic + ", " + r.public} {
				if err := r.with(t, "", public); err != nil {
					t.Errorf("Verify with %s: %v", public, err)
				}
			}
			err := r.with(t, "", r.oldPublic)
			tampered, ok := errors.AsType[*audit.TamperedError](err)
			id := strings.Join(strings.Split(r.public, "+")[:2], "+")
			if !ok || !errors.Is(err, audit.ErrWrongKey) || tampered.Seq != 3 || tampered.Tree != "" || !strings.Contains(err.Error(), "the key was changed here") || !strings.Contains(err.Error(), id) {
				t.Errorf("Verify with the old key: %v; want the change at seq 3 to %s", err, id)
			}
		}
		signatures(2)
		check()
		page, err := r.log.List(t.Context(), acme, audit.Filter{}, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		change := page.Events[0]
		if change.Action != audit.ActionKeyChange || change.Target.ID != r.public || !strings.HasPrefix(change.Detail, r.oldPublic+" ") {
			t.Errorf("the change is recorded as %+v", change)
		}
		if _, evidence, err := r.log.Event(t.Context(), acme, change.ID); err != nil || !evidence.Verified {
			t.Errorf("evidence of the change: %+v, %v", evidence, err)
		}

		r.record(t, deletion(acme, 4))
		r.record(t, deletion(globex, 0))
		signatures(1)
		check()
		// What was seen under the old key is continued, and the next time it is the new one.
		for range 2 {
			if err := r.verifyFile(t, r.state); err != nil {
				t.Fatal(err)
			}
		}
		// Started again, with and without the old key, and with its public half alone.
		for _, old := range [][]string{{r.oldSigner}, {r.oldPublic}, nil} {
			if err := r.openWith(t, r.signer, old...).Start(t.Context()); err != nil {
				t.Errorf("Start: %v", err)
			}
		}
		check()

		// And once more.
		middle := r.public
		last := r.signer
		if r.signer, r.public, err = audit.NewKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
		r.log = r.openWith(t, r.signer, r.oldSigner, last)
		if err := r.log.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, public := range []string{r.public, r.public + "," + middle, r.oldPublic + "," + middle + "," + r.public} {
			if err := r.with(t, r.state, public); err != nil {
				t.Errorf("Verify with %s: %v", public, err)
			}
		}
		if err := r.with(t, "", r.oldPublic+","+middle); !errors.Is(err, audit.ErrWrongKey) || !strings.Contains(err.Error(), "the key was changed here") {
			t.Errorf("Verify with both old keys: %v", err)
		}
	})
}

func TestWhoHasTheOldKeyAloneStops(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		r := rotate(t, place)
		for _, organization := range []string{acme, globex, ""} {
			if _, err := r.oldLog.Record(t.Context(), deletion(organization, 6)); !errors.Is(err, audit.ErrWrongKey) {
				t.Errorf("Record in %q with the old key: %v, want ErrWrongKey", organization, err)
			}
		}
		if err := r.oldLog.Start(t.Context()); !errors.Is(err, audit.ErrWrongKey) {
			t.Errorf("Start with the old key: %v, want ErrWrongKey", err)
		}
		if _, err := r.oldLog.Purge(t.Context(), 0); !errors.Is(err, audit.ErrWrongKey) {
			t.Errorf("Purge with the old key: %v, want ErrWrongKey", err)
		}
		if err := r.verifyFile(t, r.state); err != nil {
			t.Error(err)
		}
	})
}

func TestStartChangesNoKeyItMayNot(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		s.record(t, deletion(acme, 0))
		other, _ := mustKey(t)
		strange, _ := mustKey(t)
		for name, old := range map[string][]string{"no old key": nil, "the public half": {s.public}, "another": {strange}} {
			if err := s.openWith(t, other, old...).Start(t.Context()); !errors.Is(err, audit.ErrWrongKey) {
				t.Errorf("Start with %s: %v, want ErrWrongKey", name, err)
			}
		}
		if _, err := audit.New(s.db, other, audit.Options{Now: s.clock.Now, Rand: rand.Reader, OldKeys: []string{"hunter2"}}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New with an old key that is none: %v", err)
		}
		// One tree that is not like the others was put there.
		s.tamper(t, `UPDATE audit_trees SET root = (SELECT root FROM audit_trees WHERE tree = 1) WHERE tree = 2`)
		if err := s.openWith(t, other, s.signer).Start(t.Context()); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Start on a changed store: %v, want ErrTampered", err)
		}
	})
}

func TestVerifyFindsAKeyChangeRolledBack(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		r := rotate(t, place)
		if err := r.verifyFile(t, r.state); err != nil {
			t.Fatal(err)
		}
		r.putBack()
		for name, c := range map[string]struct{ state, public, want string }{
			"the new key":             {"", r.public, "signed by another key"},
			"both":                    {"", r.oldPublic + "," + r.public, "no record says"},
			"the old one, and memory": {r.state, r.oldPublic, "no record says that the key was changed"},
		} {
			if err := r.with(t, c.state, c.public); !errors.Is(err, audit.ErrTampered) || !errors.Is(err, audit.ErrWrongKey) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify with %s: %v; want %q", name, err, c.want)
			}
		}
	})
}

func TestVerifyFindsWhatAnAdversaryDidToAKeyChange(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		_, strange := mustKey(t)
		for name, c := range map[string]struct {
			sql  func(r *rotated) string
			want string
		}{
			"another key in the record": {func(r *rotated) string {
				return `UPDATE audit_events SET target_id = '` + strange + `', bytes = replace(bytes, '` + r.public + `', '` + strange + `') WHERE action = 'audit.key.change'`
			}, "did not sign"},
			"another old key in the record": {func(r *rotated) string {
				return `UPDATE audit_events SET bytes = replace(bytes, '` + r.oldPublic + `', '` + strange + `') WHERE action = 'audit.key.change'`
			}, "did not sign"},
			"the old key first": {func(r *rotated) string {
				signed, err := r.log.Checkpoint(t.Context(), acme)
				lines := strings.SplitAfter(signed, "\n")
				if err != nil || len(lines) < 6 {
					return ""
				}
				lines[4], lines[5] = lines[5], lines[4]
				return `UPDATE audit_checkpoints SET note = '` + strings.Join(lines, "") + `' WHERE tree = 2`
			}, "signed by another key"},
			"the new key's signature gone": {func(r *rotated) string {
				signed, err := r.log.Checkpoint(t.Context(), acme)
				lines := strings.SplitAfter(signed, "\n")
				if err != nil || len(lines) < 6 {
					return ""
				}
				return `UPDATE audit_checkpoints SET note = '` + strings.Join(append(lines[:4], lines[5:]...), "") + `' WHERE tree = 2`
			}, "signed by another key"},
			"the record gone": {func(*rotated) string { return `DELETE FROM audit_events WHERE action = 'audit.key.change'` }, "missing"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := rotate(t, place)
				r.tamper(t, c.sql(r))
				if err := r.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Verify: %v; want %q", err, c.want)
				}
				// Nor does a forged record lead whoever trusts the old key anywhere.
				if err := r.with(t, "", r.oldPublic); !errors.Is(err, audit.ErrTampered) || strings.HasPrefix(name, "another") && strings.Contains(err.Error(), "the key was changed here") {
					t.Errorf("Verify with the old key: %v", err)
				}
			})
		}
	})
}

// A tree that an old checkpoint is put back to, by somebody who still has the old key, is not like the others.
func TestVerifyFindsOneTreeRolledBack(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		r := rotate(t, place)
		r.tamper(t, `UPDATE audit_trees SET size = 4 WHERE tree = 2`, `DELETE FROM audit_events WHERE tree = 2 AND seq = 4`)
		if err := r.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Verify: %v, want ErrTampered", err)
		}
		if _, err := r.log.Record(t.Context(), deletion(acme, 4)); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Record: %v, want ErrTampered", err)
		}
	})
}
