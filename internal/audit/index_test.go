package audit_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// indexed is a store with 300 events of mixed, of which 256 are in the index.
func indexed(tb testing.TB, place maker) *store {
	tb.Helper()
	s := newStoreAt(tb, place(tb))
	if err := s.log.Fill(tb.Context(), acme, 300, mixed); err != nil {
		tb.Fatal(err)
	}
	s.index(tb)
	return s
}

func (s *store) index(tb testing.TB) {
	tb.Helper()
	if err := s.log.Index(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// indexTerms are all terms that the index has of any record, and their size with all places, in bytes.
func (s *store) indexTerms(tb testing.TB) (terms []string, size int) {
	tb.Helper()
	rows, err := s.db.Reader().QueryContext(tb.Context(), `SELECT block FROM audit_terms ORDER BY tree, level, segment, first`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var block []byte
		if err := rows.Scan(&block); err != nil {
			tb.Fatal(err)
		}
		size += len(block)
		terms = append(terms, audit.BlockTerms(block)...)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return terms, size
}

// editIndex replaces a part of every block it is in.
func (s *store) editIndex(tb testing.TB, old, replacement string) {
	tb.Helper()
	shell := s.Shell(tb)
	defer shell.Close()
	rows, err := shell.QueryContext(tb.Context(), `SELECT first, block FROM audit_terms WHERE tree = 2`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	type change struct{ first, block []byte }
	var changes []change
	for rows.Next() {
		var first, block []byte
		if err := rows.Scan(&first, &block); err != nil {
			tb.Fatal(err)
		}
		if bytes.Contains(block, []byte(old)) {
			changes = append(changes, change{append([]byte{}, first...), bytes.ReplaceAll(block, []byte(old), []byte(replacement))})
		}
	}
	if err := rows.Err(); err != nil || len(changes) == 0 {
		tb.Fatalf("no block has %q: %v", old, err)
	}
	update := `UPDATE audit_terms SET block = ? WHERE tree = 2 AND first = ?`
	if s.Postgres {
		update = `UPDATE audit_terms SET block = $1 WHERE tree = 2 AND first = $2`
	}
	for _, c := range changes {
		if _, err := shell.ExecContext(tb.Context(), update, c.block, c.first); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestVerifyFindsWhatTheIndexHides is about an index that was edited so that a search leaves something out.
func TestVerifyFindsWhatTheIndexHides(t *testing.T) {
	t.Parallel()
	changes := map[string]func(t *testing.T, s *store){
		"a word is another": func(t *testing.T, s *store) { s.editIndex(t, "denied", "denjed") },
		"a block is cut": func(t *testing.T, s *store) {
			s.tamper(t, `UPDATE audit_terms SET block = substr(block, 1, length(block) - 1) WHERE tree = 2`)
		},
		"a block is gone": func(t *testing.T, s *store) {
			s.tamper(t, `DELETE FROM audit_terms WHERE tree = 2 AND length(first) > 0`)
		},
		"all blocks are gone":      func(t *testing.T, s *store) { s.tamper(t, `DELETE FROM audit_terms WHERE tree = 2`) },
		"blocks without a segment": func(t *testing.T, s *store) { s.tamper(t, `DELETE FROM audit_segments WHERE tree = 2`) },
		"a segment is too early": func(t *testing.T, s *store) {
			s.tamper(t, `UPDATE audit_segments SET last_time = last_time - 1 WHERE tree = 2`)
		},
		"a segment begins too late": func(t *testing.T, s *store) {
			s.tamper(t, `UPDATE audit_segments SET first_time = first_time + 1 WHERE tree = 2`)
		},
		"a segment is moved": func(t *testing.T, s *store) {
			s.tamper(t, `UPDATE audit_segments SET segment = 1 WHERE tree = 2`, `UPDATE audit_terms SET segment = 1 WHERE tree = 2`)
		},
		"a segment of another level": func(t *testing.T, s *store) { s.tamper(t, `UPDATE audit_segments SET level = 7 WHERE tree = 2`) },
		"a segment of no tree":       func(t *testing.T, s *store) { s.tamper(t, `INSERT INTO audit_segments VALUES (9, 0, 0, 1, 0)`) },
		"a tree that does not exist": func(t *testing.T, s *store) {
			s.tamper(t, `UPDATE audit_segments SET tree = 9 WHERE tree = 2`, `UPDATE audit_terms SET tree = 9 WHERE tree = 2`)
		},
	}
	eachKind(t, func(t *testing.T, place maker) {
		for name, change := range changes {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := indexed(t, place)
				s.verify(t)
				change(t, s)
				_, err := audit.Verify(t.Context(), s.db, s.public, audit.VerifyOptions{})
				if !errors.Is(err, audit.ErrTampered) {
					t.Errorf("Verify: %v, want ErrTampered", err)
				}
			})
		}
	})
}

// A record that the index does not have is named.
func TestVerifyNamesTheRecordThatTheIndexHides(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := indexed(t, place)
		denied := s.listAll(t, audit.Filter{Outcome: "denied"}, 50)
		s.editIndex(t, "denied", "denjed")
		_, err := audit.Verify(t.Context(), s.db, s.public, audit.VerifyOptions{})
		tampered, ok := errors.AsType[*audit.TamperedError](err)
		if first := denied[len(denied)-1].Seq; !ok || tampered.Seq != first {
			t.Errorf("Verify: %v, want seq %d", err, first)
		}
		if got := s.listAll(t, audit.Filter{Outcome: "denjed"}, 50); len(got) > 0 {
			t.Errorf("an index that was edited shows %d events that do not fit", len(got))
		}
	})
}

// TestErasedIsNotInTheIndex looks for a person's words where a search would.
func TestErasedIsNotInTheIndex(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := indexed(t, place)
		const member, word = "member-test-desk-3", "p3"
		person := "member-test-3"
		if terms, _ := s.indexTerms(t); !slices.Contains(terms, word+"\x00t") {
			t.Fatalf("%q is not in the index to begin with", word)
		}
		if n, err := s.erase(t, acme, audit.Erasure{MemberID: person, Reason: "asked for"}); err != nil || n == 0 {
			t.Fatalf("Erase: %d, %v", n, err)
		}
		for range 2 { // at once, and when it was made again
			if terms, _ := s.indexTerms(t); slices.Contains(terms, word+"\x00t") {
				t.Errorf("%q is still in the index", word)
			}
			if got := s.listAll(t, audit.Filter{TargetQuery: word + "_q@acme.example"}, 50); len(got) > 0 {
				t.Errorf("%d events are found by an address that was erased", len(got))
			}
			if got := s.listAll(t, audit.Filter{ActorID: member}, 50); len(got) == 0 {
				t.Errorf("others are not found any more")
			}
			s.index(t)
			s.verify(t)
		}
		if got := s.segments(t); got != "0:0" {
			t.Errorf("segments %q after the index was made again", got)
		}
	})
}

func TestPurgedIsNotInTheIndex(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		s.fill(t, 300) // all of them settled
		s.index(t)
		if terms, _ := s.indexTerms(t); !slices.Contains(terms, "phone\x00r") {
			t.Fatal("no reason is in the index to begin with")
		}
		s.clock.later(100 * day)
		if s.purge(t) == 0 {
			t.Fatal("nothing was purged")
		}
		for range 2 {
			if terms, _ := s.indexTerms(t); slices.Contains(terms, "phone\x00r") {
				t.Error("a reason that was purged is still in the index")
			}
			s.index(t)
			s.verify(t)
		}
	})
}

// TestSegmentsOfManyRecords has one of the largest, made from the records at once and then from smaller ones.
func TestSegmentsOfManyRecords(t *testing.T) {
	manyRecords(t)
	t.Parallel()
	s := newStore(t)
	const events = 1<<16 + 300
	rare := func(n int) audit.Event {
		ev := deletion(acme, n)
		if n%9000 == 17 {
			ev.Reason = "a needle in 針"
		}
		return ev
	}
	if err := s.log.Fill(t.Context(), acme, events, rare); err != nil {
		t.Fatal(err)
	}
	s.index(t)
	if got := s.segments(t); got != "0:256 2:0" {
		t.Fatalf("segments %s", got)
	}
	s.verify(t)
	whole, size := s.indexTerms(t)
	if size > 20*events {
		t.Errorf("the index has %d bytes for a record, want 20 at most", size/events)
	}
	var want []int64
	for n := events - 1; n >= 0; n-- {
		if n%9000 == 17 {
			want = append(want, int64(n))
		}
	}
	for name, f := range map[string]audit.Filter{
		"a word":          {Text: "needle"},
		"one character":   {Text: "針"},
		"with all others": {Text: "needle", Action: "member.password.delete", TargetQuery: "person"},
	} {
		if diff := cmp.Diff(want, seqs(s.listAll(t, f, 3))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Made from smaller ones it is the same.
	s.tamper(t, `DELETE FROM audit_terms WHERE tree = 2`, `DELETE FROM audit_segments WHERE tree = 2`)
	if err := s.log.IndexSmall(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := s.segments(t); !strings.HasPrefix(got, "1:0 1:1 ") {
		t.Fatalf("segments %s", got)
	}
	s.index(t)
	if again, sizeAgain := s.indexTerms(t); !slices.Equal(whole, again) || size != sizeAgain {
		t.Error("a segment made of smaller ones is another than one made of its records")
	}
	s.verify(t)
}

// TestRunIndexes appends until the background has something to do.
func TestRunIndexes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var running sync.WaitGroup
	running.Go(func() { s.log.Run(t.Context()) })
	t.Cleanup(running.Wait)
	if err := s.log.Fill(t.Context(), acme, 255, mixed); err != nil {
		t.Fatal(err)
	}
	s.record(t, deletion(acme, 0))
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for until := time.Now().Add(20 * time.Second); s.segments(t) != "0:0"; <-poll.C {
		if time.Now().After(until) {
			t.Fatalf("segments %q", s.segments(t))
		}
	}
}
