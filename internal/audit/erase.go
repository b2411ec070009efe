package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrReasonNames says that the reason of an erasure repeats what is to be erased.
var ErrReasonNames = errors.New("the reason repeats a name or an address of the person: it is kept for ever")

// eraseChunk is how many events of a person are in memory at once.
const eraseChunk = 1000

// Erasure says whom to erase.
type Erasure struct {
	MemberID string // required
	Email    string // also what was typed as this address by whom nobody knew; may be ""
	Reason   string // kept in the audit for ever
}

// found is a text to erase.
type found struct {
	seq   int64
	field subject
}

// Candidates are those records of a tree that may name a person, as far as somebody looked.
type Candidates struct {
	before int64 // the first record that was not looked at
	places []int64
}

// about finds records that may name a person. The store folds ASCII alone: whatever holds another character may be the
// address, too.
const about = `WHERE e.tree = ? AND e.seq >= ? AND (e.actor_id = ? OR e.target_id = ? OR ? <> '' AND EXISTS (SELECT 1 FROM audit_texts s
	WHERE s.tree = e.tree AND s.seq = e.seq AND (lower(s.actor_email) = ? OR lower(s.target_email) = ?
		OR length(s.actor_email) < octet_length(s.actor_email) OR length(s.target_email) < octet_length(s.target_email)))) ORDER BY e.seq LIMIT ?`

func (e *Erasure) aboutArgs(t *tree, from int64) []any {
	email := e.address()
	return []any{t.number, from, e.MemberID, e.MemberID, email, email, email, eraseChunk}
}

func (e *Erasure) address() string { return fold(clean(strings.TrimSpace(e.Email), maxText)) }

// Candidates looks through a whole tree for Erase, so that nobody has to wait while it does.
func (l *Log) Candidates(ctx context.Context, organizationID string, e Erasure) (c Candidates, err error) {
	t, err := readTree(ctx, l.db.Reader(), organizationID)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("look for a person: %w", err)
	}
	c.before = t.size
	for from := int64(0); from < t.size; {
		found, err := queryPlaces(ctx, l.db.Reader(), `SELECT e.seq FROM audit_events e `+about, e.aboutArgs(t, from)...)
		if err != nil {
			return c, fmt.Errorf("look for a person: %w", err)
		}
		from = t.size
		if len(found) == eraseChunk {
			from = found[len(found)-1] + 1
		}
		c.places = append(c.places, slices.DeleteFunc(found, func(place int64) bool { return place >= t.size })...) // those since
	}
	return c, nil
}

func queryPlaces(ctx context.Context, q queryer, query string, args ...any) (places []int64, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		places = append(places, seq)
	}
	return places, rows.Err()
}

// Erase drops, in the tree of an organization or in the system tree, what was
// written beside the bytes about a person: email and IP address of what they
// did, name and email of what was done to them. The bytes and all proofs stay.
// It returns how many texts there were. The erasure is recorded, with the
// member id alone, in the same transaction, which is one of Write; where there
// was nothing, nothing is. A person whose record does not verify is not
// erased: the error then is a *TamperedError.
//
// It reads the candidates and all records after those that were looked at, with the log locked.
func (l *Log) Erase(ctx context.Context, tx *sql.Tx, organizationID string, e Erasure, c Candidates) (int, error) {
	if e.MemberID == "" || clean(e.MemberID, maxText) != e.MemberID {
		return 0, errors.New("erase a person: a member id is required")
	}
	t, err := l.lockedTree(ctx, tx, organizationID)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("erase a person: %w", err)
	}
	texts, typed, err := t.textsOf(ctx, tx, e, c)
	if err != nil {
		return 0, fmt.Errorf("erase a person: %w", err)
	}
	if len(texts) == 0 {
		return 0, nil
	}
	// One event for all, unless the places of what was typed do not fit into it.
	for recorded := false; !recorded; recorded = len(typed) == 0 {
		places, taken := spansThatFit(typed)
		typed = typed[taken:]
		_, err := l.Append(ctx, tx, Event{
			OrganizationID: organizationID, Action: ActionErase, Phase: PhaseInfo, Actor: Actor{System: true},
			Target: Target{Type: "member", ID: e.MemberID}, Reason: e.Reason, Count: len(texts), Detail: places.String(),
		})
		if err != nil {
			return 0, fmt.Errorf("erase a person: %w", err)
		}
	}
	places := make([]int64, 0, len(texts))
	for _, f := range texts {
		if n := len(places); n == 0 || places[n-1] != f.seq {
			places = append(places, f.seq)
		}
	}
	if err := t.forgets(ctx, tx, spansOf(places)); err != nil {
		return 0, err
	}
	for _, f := range texts {
		column := f.field.column()
		//nolint:gosec // G202: the names are those of subjects
		erase := `UPDATE audit_texts SET ` + column + ` = NULL, ` + column + `_salt = NULL WHERE tree = ? AND seq = ?`
		if _, err := tx.ExecContext(ctx, erase, t.number, f.seq); err != nil {
			return 0, fmt.Errorf("erase a person: %w", err)
		}
	}
	return len(texts), nil
}

// textsOf finds the texts about a person, and the places of those events of which only a typed address says whose they are.
func (t *tree) textsOf(ctx context.Context, tx *sql.Tx, e Erasure, c Candidates) (texts []found, typed []int64, err error) {
	email, reason := e.address(), fold(e.Reason)
	take := func(events []Event) error {
		for i := range events {
			ev := &events[i]
			byAddress := false
			for _, field := range subjects() {
				text := *ev.subjectText(field)
				whose := ev.whose(field)
				asTyped := whose == "" && email != "" && email == fold(ev.address(field))
				if text == "" || whose != e.MemberID && !asTyped {
					continue
				}
				if field != subjectSourceIP && strings.Contains(reason, fold(text)) {
					return ErrReasonNames
				}
				texts, byAddress = append(texts, found{ev.Seq, field}), byAddress || asTyped
			}
			if byAddress {
				typed = append(typed, ev.Seq)
			}
		}
		return nil
	}
	for places := range slices.Chunk(c.places, eraseChunk) {
		events, err := t.readEvents(ctx, tx, wherePlaces(places), placeArgs(t, places)...)
		if err == nil {
			err = take(events)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for from := c.before; ; {
		events, err := t.readEvents(ctx, tx, about, e.aboutArgs(t, from)...)
		if err == nil {
			err = take(events)
		}
		if err != nil {
			return nil, nil, err
		}
		if len(events) < eraseChunk {
			return texts, typed, nil
		}
		from = events[len(events)-1].Seq + 1
	}
}

// address is the email address of the person that a text tells of.
func (ev *Event) address(s subject) string {
	if s == subjectTargetLabel || s == subjectTargetEmail {
		return ev.Target.Email
	}
	return ev.Actor.Email
}
