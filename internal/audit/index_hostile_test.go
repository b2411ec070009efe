package audit_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// indexBlock is a row of audit_terms of the segment that indexed makes.
type indexBlock struct{ first, data []byte }

func (s *store) blocks(tb testing.TB) (all []indexBlock) {
	tb.Helper()
	rows, err := s.db.Reader().QueryContext(tb.Context(), `SELECT first, block FROM audit_terms WHERE tree = 2 ORDER BY first`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b indexBlock
		if err := rows.Scan(&b.first, &b.data); err != nil {
			tb.Fatal(err)
		}
		b.first = append([]byte{}, b.first...)
		all = append(all, b)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// put writes a block of the segment that indexed makes, in place of one that begins alike.
func (s *store) put(tb testing.TB, first, data []byte) {
	tb.Helper()
	q := `INSERT INTO audit_terms (tree, level, segment, first, block) VALUES (2, 0, 0, ?, ?) ON CONFLICT (tree, level, segment, first) DO UPDATE SET block = excluded.block`
	if s.Postgres {
		q = `INSERT INTO audit_terms (tree, level, segment, first, block) VALUES (2, 0, 0, $1, $2) ON CONFLICT (tree, level, segment, first) DO UPDATE SET block = excluded.block`
	}
	shell := s.Shell(tb)
	defer shell.Close()
	if _, err := shell.ExecContext(tb.Context(), q, first, data); err != nil {
		tb.Fatal(err)
	}
}

// chain is a block with another one after it.
func chain(next string, data []byte) []byte {
	n, size := binary.Uvarint(data)
	return append(append(binary.AppendUvarint(nil, uint64(len(next))), next...), data[size+int(n):]...)
}

// blockOf is the block in which a term is looked for.
func (s *store) blockOf(tb testing.TB, term string) indexBlock {
	tb.Helper()
	var at indexBlock
	for _, b := range s.blocks(tb) {
		if string(b.first) <= term {
			at = b
		}
	}
	return at
}

// nextOf is the first term of the block after it.
func nextOf(data []byte) string {
	n, size := binary.Uvarint(data)
	return string(data[size : size+int(n)])
}

// An empty block, or one that begins too early, keeps a search away from where a term is, and takes nothing out.
func TestVerifyFindsBlocksThatLeadASearchAstray(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		for _, term := range []string{"phone", "\x01odenied"} {
			s := indexed(t, place)
			at := s.blockOf(t, term)
			s.put(t, []byte(term), chain(nextOf(at.data), []byte{0}))
			s.put(t, at.first, chain(term, at.data))
			if _, err := audit.Verify(t.Context(), s.db, s.public, audit.VerifyOptions{}); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("%q behind an empty block: %v", term, err)
			}
			if _, err := s.log.Verify(t.Context(), acme, nil); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("%q behind an empty block, from within: %v", term, err)
			}
		}
		s := indexed(t, place)
		all := s.blocks(t)
		if len(all) < 2 {
			t.Fatalf("%d blocks", len(all))
		}
		s.tamper(t, `DELETE FROM audit_terms WHERE tree = 2 AND length(first) > 0`)
		early := string(all[1].first[:1])
		s.put(t, all[0].first, chain(early, all[0].data))
		s.put(t, []byte(early), all[1].data)
		for _, b := range all[2:] {
			s.put(t, b.first, b.data)
		}
		if _, err := audit.Verify(t.Context(), s.db, s.public, audit.VerifyOptions{}); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("a block that begins too early: %v", err)
		}
	})
}

// What is in the index is somebody else's word: it can be wrong, and neither stops a search nor has it run for ever.
func TestSearchOfAHostileIndex(t *testing.T) {
	t.Parallel()
	s := indexed(t, databasetest.SQLite)
	first := s.blocks(t)[0]
	s.put(t, first.first, chain("a", first.data))
	s.put(t, []byte("a"), chain("a", []byte{0})) // followed by itself
	if _, err := s.log.List(t.Context(), acme, audit.Filter{Text: "phone"}, "", 50); err != nil && !errors.Is(err, audit.ErrTampered) {
		t.Errorf("a block that is followed by itself: %v", err)
	}

	s = indexed(t, databasetest.SQLite)
	const term = "\x01t1" // no quarter of an hour, and between two
	at := s.blockOf(t, term)
	body := append([]byte{0, 0, byte(len(term))}, term...)
	body = append(binary.AppendUvarint(body, 32<<1|1), bytes.Repeat([]byte{0xff}, 32)...)
	s.put(t, []byte(term), chain(nextOf(at.data), body))
	s.put(t, at.first, chain(term, at.data))
	now := s.clock.Now().UTC().Truncate(day)
	if _, err := s.log.Days(t.Context(), acme, audit.Filter{}, []time.Time{now.Add(-day), now, now.Add(day)}); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Days with a term that is none: %v", err)
	}

	s = indexed(t, databasetest.SQLite)
	s.tamper(t, `INSERT INTO audit_segments VALUES (2, 2, 5, 1, 0)`)
	if page, err := s.log.List(t.Context(), acme, audit.Filter{Text: "phone"}, "", 50); err != nil || len(page.Events) == 0 {
		t.Errorf("List with a segment beyond the records: %d events, %v", len(page.Events), err)
	}
	if _, err := audit.Verify(t.Context(), s.db, s.public, audit.VerifyOptions{}); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Verify with a segment beyond the records: %v", err)
	}
}

// One damaged record keeps neither other organizations nor other records out of the index.
func TestIndexGoesOnPastADamagedRecord(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		for _, id := range []string{acme, globex} {
			if err := s.log.Fill(t.Context(), id, 600, func(n int) audit.Event { return deletion(id, n) }); err != nil {
				t.Fatal(err)
			}
		}
		s.tamper(t, `UPDATE audit_events SET outcome = 'denied' WHERE tree = 2 AND seq = 7`)
		if err := s.log.Index(t.Context()); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("Index: %v", err)
		}
		if got := s.segments(t); got != "0:1" {
			t.Errorf("segments beside a damaged record: %q", got)
		}
		s.tamper(t, `UPDATE audit_events SET outcome = 'succeeded' WHERE tree = 2 AND seq = 7`, `DELETE FROM audit_segments WHERE tree = 2`, `DELETE FROM audit_terms WHERE tree = 2`)
		if err := s.verifyFile(t, ""); err != nil {
			t.Errorf("the damaged record was not that one: %v", err)
		}
		s.tamper(t, `UPDATE audit_segments SET tree = 2 WHERE tree = 3`)
		if got := s.segments(t); got != "0:0 0:1" {
			t.Errorf("segments of the next organization: %q", got)
		}
	})
}

// Reviews are anybody's who may read the audit. However many there are, what became of an operation is read.
func TestReviewsDoNotPushOutAnOutcome(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		intent := s.record(t, deletion(acme, 0))
		err := s.log.Write(t.Context(), func(tx *sql.Tx) error {
			for n := range 230 {
				_, err := s.log.Append(t.Context(), tx, audit.Event{
					OrganizationID: acme, Action: audit.ActionReview, Phase: audit.PhaseInfo, OperationID: intent.OperationID,
					Actor: audit.Actor{MemberID: "member-test-auditor"}, Target: audit.Target{Type: "audit_event", ID: intent.ID}, Reason: fmt.Sprint(n),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		outcome := s.record(t, deletion(acme, 1))
		events, err := s.log.Operation(t.Context(), acme, intent.OperationID)
		if err != nil || len(events) != 102 || events[0].ID != intent.ID || events[101].ID != outcome.ID || events[100].Reason != "229" {
			t.Errorf("Operation: %d events, %v", len(events), err)
		}
		all, err := s.log.Operations(t.Context(), acme, []string{intent.OperationID})
		if events := all[intent.OperationID]; err != nil || len(events) != 102 || events[101].ID != outcome.ID {
			t.Errorf("Operations: %d events, %v", len(events), err)
		}
		receipt, err := s.log.Receipt(t.Context(), acme, intent.OperationID)
		if err != nil || !bytes.Contains(receipt, []byte(outcome.ID)) {
			t.Errorf("the receipt does not have the outcome: %v", err)
		}
	})
}

// A review of everything is found however far back it is, and whoever reviewed single events since.
func TestLastReview(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, place maker) {
		s := newStoreAt(t, place(t))
		review := func(member, kind, target string) audit.Event {
			return s.record(t, audit.Event{
				OrganizationID: acme, Action: audit.ActionReview, Phase: audit.PhaseInfo, Actor: audit.Actor{MemberID: member}, Target: audit.Target{Type: kind, ID: target},
			})
		}
		if last, err := s.log.LastReview(t.Context(), acme, "member-test-a"); err != nil || last != nil {
			t.Errorf("of no log: %v, %v", last, err)
		}
		review("member-test-a", audit.TargetRecords, "0-0")
		want := review("member-test-a", audit.TargetRecords, "0-1")
		review("member-test-b", audit.TargetRecords, "0-2")
		for range 20 {
			review("member-test-a", "audit_event", "01a20943-55af-76c4-9c14-131cebe97463")
		}
		if last, err := s.log.LastReview(t.Context(), acme, "member-test-a"); err != nil || last == nil || last.ID != want.ID {
			t.Errorf("LastReview: %v, %v, want %s", last, err, want.ID)
		}
		if last, err := s.log.LastReview(t.Context(), acme, "member-test-c"); err != nil || last != nil {
			t.Errorf("of somebody who reviewed nothing: %v, %v", last, err)
		}
	})
}
