package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

func TestVerifyRemembersWhatItSaw(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, s *store, backup *databasetest.Store)
		want   string // part of the error; "" when there is none
		seq    int64
	}{
		"nothing": {change: func(*testing.T, *store, *databasetest.Store) {}},
		"more events": {change: func(t *testing.T, s *store, _ *databasetest.Store) {
			t.Helper()
			s.open(t)
			for n := range 7 {
				s.record(t, deletion(acme, n))
			}
		}},
		"an older copy, intact in itself": {
			change: func(t *testing.T, s *store, backup *databasetest.Store) { t.Helper(); s.Replace(t, backup) },
			want:   "4 records were there the last time", seq: 2,
		},
		"an older copy that went on differently": {
			change: func(t *testing.T, s *store, backup *databasetest.Store) {
				t.Helper()
				s.Replace(t, backup)
				s.open(t)
				// As far as the tree that was remembered, and beyond it.
				for n := range 6 {
					s.record(t, deletion(acme, n))
				}
			},
			want: "the last time this log was verified they gave", seq: 3,
		},
		"a new store signed with the same key": {
			change: func(t *testing.T, s *store, _ *databasetest.Store) {
				t.Helper()
				s.Remove(t)
				s.open(t)
				if err := s.log.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			want: "the store is another one", seq: -1,
		},
		"a new store with a new key": {change: func(t *testing.T, s *store, _ *databasetest.Store) {
			t.Helper()
			s.Remove(t)
			s.signer, s.public = mustKey(t)
			s.open(t)
			if err := s.log.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *store) {
				state := filepath.Join(t.TempDir(), "state", "orgconsole")
				for n := range 2 {
					s.record(t, deletion(acme, n))
				}
				s.db.Close()
				backup := s.Copy(t)
				s.open(t)
				for n := range 2 {
					s.record(t, deletion(acme, 2+n))
				}
				if err := s.verifyFile(t, state); err != nil {
					t.Fatal(err)
				}
				s.db.Close()
				c.change(t, s, backup)
				err := s.verifyFile(t, state)
				if c.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || !strings.Contains(err.Error(), c.want) || tampered.Seq != c.seq {
					t.Fatalf("Verify: %v; want %q at seq %d", err, c.want, c.seq)
				}
				// What was refused is not what is remembered.
				if again := s.verifyFile(t, state); !errors.Is(again, audit.ErrTampered) {
					t.Errorf("Verify again: %v", again)
				}
				if err := s.verifyFile(t, filepath.Join(t.TempDir(), "elsewhere")); err != nil {
					t.Errorf("Verify with no memory: %v", err)
				}
			})
		})
	}
}

func TestMemoryIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		state := filepath.Join(t.TempDir(), "state")
		if err := s.verifyFile(t, state); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(state)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 {
			t.Errorf("%d files in %s, want 2", len(files), state)
		}
		for _, file := range files {
			info, err := file.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", file.Name(), info.Mode())
			}
		}
		// A memory that cannot be read is not an empty one.
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(state, file.Name()), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.verifyFile(t, state); err == nil {
			t.Error("Verify forgot what it had seen")
		}
	})
}
