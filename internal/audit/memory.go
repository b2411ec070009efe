package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// memory is what Verify remembers from one time to the next, outside of the
// store: for each tree its checkpoint, and for each place of a store which
// store was there. With no folder it remembers nothing.
type memory struct {
	dir   string
	store string // address of the store
	key   note.Verifier
	text  string // of the key
}

func (m *memory) checkpointFile(origin string) string {
	return filepath.Join(m.dir, fmt.Sprintf("checkpoint-%x.note", sha256.Sum256([]byte(origin))))
}

// storeFile is one for each store and key: where the key was made anew, too, nobody pretends it is the old log.
func (m *memory) storeFile(key string) string {
	return filepath.Join(m.dir, fmt.Sprintf("store-%x.origin", sha256.Sum256([]byte(m.store+"\n"+key))))
}

// read returns the checkpoint remembered of a tree, or nil. One of an old key
// counts if the tree has a change from that key after it.
func (m *memory) read(t *tree) (*checkpoint, error) {
	origin := t.origin
	if m.dir == "" {
		return nil, nil
	}
	file := m.checkpointFile(origin)
	signed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read remembered checkpoint: %w", err)
	}
	c, err := openCheckpoint(string(signed), m.key)
	if errors.Is(err, ErrWrongKey) {
		for _, change := range t.cover.keys {
			if old, oldErr := openCheckpoint(string(signed), change.from); oldErr == nil && old.size <= change.seq {
				c, err = old, nil
			}
		}
	}
	if errors.Is(err, ErrWrongKey) {
		return nil, t.tampered(err, "the last time this log was verified it had another key, and no record says that the key was changed since: %v. What is remembered is %s", err, file)
	}
	if err != nil {
		return nil, fmt.Errorf("remembered checkpoint %s: %w", file, err)
	}
	if c.origin != origin {
		return nil, fmt.Errorf("remembered checkpoint %s: it is of %s, not of %s", file, c.origin, origin)
	}
	return &c, nil
}

// checkStore refuses another store in the place of the one that was seen there.
func (m *memory) checkStore(system *tree) error {
	if m.dir == "" {
		return nil
	}
	keys := []string{m.text}
	for _, change := range system.cover.keys {
		keys = append(keys, change.old)
	}
	for _, key := range keys {
		file := m.storeFile(key)
		origin, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read remembered store: %w", err)
		}
		if string(origin) != system.origin+"\n" {
			return system.tampered(nil, "the store is another one (%s) than the last time it was verified here, with the same key. If it was replaced on purpose, remove %s", system.origin, file)
		}
	}
	return nil
}

// write remembers the trees of a verified store.
func (m *memory) write(trees []*tree) error {
	if m.dir == "" {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("remember checkpoints: %w", err)
	}
	for _, t := range trees {
		if err := replaceFile(m.checkpointFile(t.origin), t.note.String); err != nil {
			return fmt.Errorf("remember checkpoint: %w", err)
		}
	}
	if err := replaceFile(m.storeFile(m.text), trees[0].origin+"\n"); err != nil {
		return fmt.Errorf("remember store: %w", err)
	}
	return nil
}

// replaceFile leaves either the old content or the new one, whenever it is interrupted.
func replaceFile(name, content string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
