package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// Erase drops, in the tree of an organization or in the system tree, what was
// written beside the bytes about a person: email and IP address of what they
// did, name and email of what was done to them. The bytes and all proofs stay.
// It returns how many texts there were. The erasure is recorded, with the
// member id alone, in the same transaction, which is one of Write; where there
// was nothing, nothing is. A person whose record does not verify is not
// erased: the error then is a *TamperedError.
func (l *Log) Erase(ctx context.Context, tx *sql.Tx, organizationID string, e Erasure) (int, error) {
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
	texts, typed, err := t.textsOf(ctx, tx, e)
	if err != nil || len(texts) == 0 {
		return 0, err
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
func (t *tree) textsOf(ctx context.Context, tx *sql.Tx, e Erasure) (texts []found, typed []int64, err error) {
	email := fold(clean(strings.TrimSpace(e.Email), maxText))
	reason := fold(e.Reason)
	// The store folds ASCII alone: whatever holds another character may be the address, too.
	const about = `WHERE e.tree = ? AND e.seq > ? AND (e.actor_id = ? OR e.target_id = ? OR ? <> '' AND EXISTS (SELECT 1 FROM audit_texts s
		WHERE s.tree = e.tree AND s.seq = e.seq AND (lower(s.actor_email) = ? OR lower(s.target_email) = ?
			OR length(s.actor_email) < octet_length(s.actor_email) OR length(s.target_email) < octet_length(s.target_email)))) ORDER BY e.seq LIMIT ?`
	for after := int64(-1); ; {
		events, err := t.readEvents(ctx, tx, about, t.number, after, e.MemberID, e.MemberID, email, email, email, eraseChunk)
		if err != nil {
			return nil, nil, fmt.Errorf("erase a person: %w", err)
		}
		for i := range events {
			ev := &events[i]
			after = ev.Seq
			byAddress := false
			for _, field := range subjects() {
				text := *ev.subjectText(field)
				whose := ev.whose(field)
				asTyped := whose == "" && email != "" && email == fold(ev.address(field))
				if text == "" || whose != e.MemberID && !asTyped {
					continue
				}
				if field != subjectSourceIP && strings.Contains(reason, fold(text)) {
					return nil, nil, ErrReasonNames
				}
				texts, byAddress = append(texts, found{ev.Seq, field}), byAddress || asTyped
			}
			if byAddress {
				typed = append(typed, ev.Seq)
			}
		}
		if len(events) < eraseChunk {
			return texts, typed, nil
		}
	}
}

// address is the email address of the person that a text tells of.
func (ev *Event) address(s subject) string {
	if s == subjectTargetLabel || s == subjectTargetEmail {
		return ev.Target.Email
	}
	return ev.Actor.Email
}
