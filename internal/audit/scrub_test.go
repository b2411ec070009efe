package audit_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"orgconsole/internal/audit"
)

// What the index had of a person, and replaced long before the person was erased, is not in a free page of the file.
func TestErasedWordsAreInNoFreePage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const word = "zebedeequx"
	of := func(n int) audit.Event {
		ev := deletion(acme, n)
		if n%250 < 2 {
			ev.Target = audit.Target{Type: "member", ID: "member-test-zeb", Label: "Qq", Email: word + "@acme.example"}
		}
		return ev
	}
	const first, all = 15 * 256, 16*256 + 10 // sixteen parts of the index are made one, and their rows are deleted
	if err := s.log.Fill(t.Context(), acme, first, of); err != nil {
		t.Fatal(err)
	}
	s.index(t)
	if s.left(t, word) == 0 {
		t.Fatal("it was never there")
	}
	for n := first; n < all; n++ {
		s.record(t, deletion(acme, n))
	}
	s.index(t)
	if n, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-zeb", Email: word + "@acme.example", Reason: "asked"}); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if err := s.db.EmptyLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.left(t, word); n != 0 {
		t.Errorf("the word is left %d times in the files of the store", n)
	}
}

// left is how often a word, or all but its first letters, as the index may have it, is in the files of an SQLite store.
func (s *store) left(tb testing.TB, word string) (n int) {
	tb.Helper()
	path := strings.TrimPrefix(s.URL, "sqlite://")
	for _, file := range []string{path, path + "-wal"} {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatal(err)
		}
		n += bytes.Count(content, []byte(word[3:]))
	}
	return n
}
