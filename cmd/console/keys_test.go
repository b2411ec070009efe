package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

func TestFillKeysMakesThemOnce(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	first := config{databaseURL: sqliteURL(filepath.Join(folder, "console.db"))}
	second := first
	if err := fillKeys(&first, logger); err != nil {
		t.Fatal(err)
	}
	if len(first.sessionKeys) != 1 || len(first.sessionKeys[0]) != sessionKeySize || !isAuditKey(first.auditKey) {
		t.Fatal("fillKeys() made no usable keys")
	}
	for _, name := range []string{sessionKeyFile, auditKeyFile} {
		path := filepath.Join(folder, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
		if !strings.Contains(log.String(), path) {
			t.Errorf("the log does not say that %s was made:\n%s", path, &log)
		}
	}
	if strings.Contains(log.String(), first.auditKey) {
		t.Error("the log holds the audit key")
	}
	public, err := readKey(filepath.Join(folder, auditPublicFile))
	if want, _ := audit.PublicKey(first.auditKey); err != nil || public != want {
		t.Errorf("%s holds %q, %v, want %q", auditPublicFile, public, err, want)
	}

	log.Reset()
	if err := fillKeys(&second, logger); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("the second start has other keys (-first +second):\n%s", diff)
	}
	if log.Len() != 0 {
		t.Errorf("the second start says it made keys:\n%s", &log)
	}
}

func TestFillKeysKeepsThoseSet(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	signer, _, err := audit.NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	set := config{databaseURL: sqliteURL(filepath.Join(folder, "console.db")), sessionKeys: [][]byte{make([]byte, 64)}, auditKey: signer}
	got := set
	if err := fillKeys(&got, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("fillKeys() changed keys that were set (-want +got):\n%s", diff)
	}
	for _, name := range []string{sessionKeyFile, auditKeyFile} {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			t.Errorf("%s was made although the key was set", name)
		}
	}
}

// Two processes that start on an empty folder must end up with the same keys.
func TestKeepKeyTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	got := make([]string, 8)
	var running sync.WaitGroup
	for i := range got {
		running.Go(func() {
			key, err := keepKey(path, func() (string, error) { return string(rune('a' + i)), nil }, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
			}
			got[i] = key
		})
	}
	running.Wait()
	for _, key := range got {
		if key != got[0] {
			t.Fatalf("keys differ: %q", got)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestKeepKeyRefusesEmptyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := keepKey(path, func() (string, error) { return "new", nil }, slog.New(slog.DiscardHandler)); err == nil {
		t.Errorf("keepKey() = %q with an empty file, want an error: a lost key must not be replaced in silence", key)
	}
}
