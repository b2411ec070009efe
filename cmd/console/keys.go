package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

// Files beside an SQLite store whose keys nobody set.
const (
	sessionKeyFile  = "session.keys"
	auditKeyFile    = "audit.key"
	auditPublicFile = "audit.pub"
)

type keysCmd struct{}

// Run keeps standard output to the two lines, so that they can be appended to a file of settings.
func (keysCmd) Run(p *program) error {
	session, err := newSessionKey(rand.Reader)
	if err != nil {
		return err
	}
	signer, public, err := audit.NewKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make audit key: %w", err)
	}
	if _, err := fmt.Fprintf(p.stdout, "CONSOLE_SESSION_KEYS=%s\nCONSOLE_AUDIT_KEY=%s\n", session, signer); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "To verify the audit log elsewhere: CONSOLE_AUDIT_PUBLIC_KEY=%s\n", public)
	return err
}

func newSessionKey(random io.Reader) (string, error) {
	key := make([]byte, sessionKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return "", fmt.Errorf("make session key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(key), nil
}

// isAuditKey reports whether text is the private half of an audit key.
func isAuditKey(text string) bool {
	_, err := audit.PublicKey(text)
	return err == nil
}

// fillKeys gives a config the keys that nobody set: those that lie beside the store, made now if there are none.
// The public half of the audit key is written beside the store whoever set it, so that `audit verify` needs no secret.
func fillKeys(c *config, logger *slog.Logger) error {
	if database.Shared(c.databaseURL) {
		return nil // load has asked for both
	}
	folder, err := storeFolder(c.databaseURL)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make state folder: %w", err)
	}
	if c.sessionKeys == nil {
		path := filepath.Join(folder, sessionKeyFile)
		text, err := keepKey(path, func() (string, error) { return newSessionKey(rand.Reader) }, logger)
		if err != nil {
			return err
		}
		if c.sessionKeys, err = parseSessionKeys(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if c.auditKey == "" {
		path := filepath.Join(folder, auditKeyFile)
		c.auditKey, err = keepKey(path, func() (string, error) {
			signer, _, err := audit.NewKey(rand.Reader)
			return signer, err
		}, logger)
		if err != nil {
			return err
		}
	}
	public, err := audit.PublicKey(c.auditKey)
	if err != nil {
		return fmt.Errorf("audit key: %w", err)
	}
	//nolint:gosec // G306: the public half is for everyone who may look into the folder
	if err := os.WriteFile(filepath.Join(folder, auditPublicFile), []byte(public+"\n"), 0o644); err != nil {
		return fmt.Errorf("write public audit key: %w", err)
	}
	return nil
}

// keepKey reads the key in a file, or makes one and writes it there for this user alone.
func keepKey(path string, generate func() (string, error), logger *slog.Logger) (string, error) {
	text, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	key, err := generate()
	if err != nil {
		return "", err
	}
	// Linked into place when whole: neither a crash nor a second process starting leaves or reads half a key.
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("make key file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(key + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write key file: %w", err)
	}
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return readKey(path)
	} else if err != nil {
		return "", fmt.Errorf("make key file: %w", err)
	}
	logger.Info("key made, keep it with the store", slog.String("file", path))
	return key, nil
}

func readKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read key file: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", fmt.Errorf("read key file: %s is empty", path)
	}
	return text, nil
}
