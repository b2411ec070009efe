package audit

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxPage is the most events that List returns at once.
const maxPage = 500

// Filter narrows a list. The zero value of a field asks for everything.
type Filter struct {
	ActorQuery  string // a member id, or part of the email in any letter case
	TargetQuery string // an id, or part of the name or the email in any letter case
	Action      string
	Outcome     string
	From        time.Time // included
	To          time.Time // not included
	OperationID string
}

// Page is a part of a list.
type Page struct {
	Events []Event
	Next   string // cursor of the next page, "" on the last
}

// List returns the events of an organization that fit the filter, newest
// first. The cursor is "" or Next of the page before; pages do not shift when
// events are added. An organization of which nothing was recorded has no
// events. Nothing is shown of a row whose bytes are no event, or whose columns
// or texts do not fit them: the error then is a *TamperedError. That the bytes
// are in the tree is proved by Event and Verify only.
func (l *Log) List(ctx context.Context, organizationID string, f Filter, cursor string, limit int) (Page, error) {
	limit = min(max(limit, 1), maxPage)
	before, err := parseCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		where, args := f.where()
		args = append(append([]any{t.number, before}, args...), limit+1)
		page.Events, err = t.readEvents(ctx, tx, `WHERE e.tree = ? AND e.seq < ?`+where+` ORDER BY e.seq DESC LIMIT ?`, args...)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("list audit events: %w", err)
	}
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		page.Next = formatCursor(page.Events[limit-1].Seq)
	}
	return page, nil
}

// where is the filter as further conditions of a query on audit_events e.
func (f Filter) where() (conditions string, args []any) {
	var b strings.Builder
	for _, c := range []struct {
		on    bool
		where string
		arg   any
	}{
		{f.Action != "", `e.action = ?`, f.Action},
		{f.Outcome != "", `e.outcome = ?`, f.Outcome},
		{!f.From.IsZero(), `e.time >= ?`, f.From.UnixMilli()},
		{!f.To.IsZero(), `e.time < ?`, f.To.UnixMilli()},
		{f.OperationID != "", `e.operation_id = ?`, f.OperationID},
	} {
		if c.on {
			b.WriteString(` AND ` + c.where)
			args = append(args, c.arg)
		}
	}
	const person = ` AND (e.%s = ? OR EXISTS (SELECT 1 FROM audit_subjects s
		WHERE s.tree = e.tree AND s.seq = e.seq AND s.field IN (%s) AND s.folded LIKE ? ESCAPE '\'))`
	if q := clean(strings.TrimSpace(f.ActorQuery), maxQuery); q != "" {
		fmt.Fprintf(&b, person, `actor_id`, `'actor.email'`)
		args = append(args, q, contains(q))
	}
	if q := clean(strings.TrimSpace(f.TargetQuery), maxQuery); q != "" {
		fmt.Fprintf(&b, person, `target_id`, `'target.label', 'target.email'`)
		args = append(args, q, contains(q))
	}
	return b.String(), args
}

// contains is the LIKE pattern for a part of a folded text.
func contains(q string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(fold(q)) + "%"
}

// A cursor is the seq of the last event shown.
func formatCursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(seq, 10)))
}

func parseCursor(cursor string) (before int64, err error) {
	if cursor == "" {
		return maxCountable, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, ErrBadCursor
	}
	seq, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || seq < 0 || formatCursor(seq) != cursor {
		return 0, ErrBadCursor
	}
	return seq, nil
}

// maxOperation is more events than an operation can have: an intent, and outcomes as often as it was looked at.
const maxOperation = 200

// Operation returns the events of one operation, oldest first.
func (l *Log) Operation(ctx context.Context, organizationID, operationID string) ([]Event, error) {
	var events []Event
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) || operationID == "" {
			return nil
		}
		if err != nil {
			return err
		}
		events, err = t.readEvents(ctx, tx, `WHERE e.tree = ? AND e.operation_id = ? AND e.operation_id <> '' ORDER BY e.seq LIMIT ?`, t.number, operationID, maxOperation)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read audit events of an operation: %w", err)
	}
	return events, nil
}
