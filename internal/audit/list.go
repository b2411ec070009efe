package audit

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPage is the most events that List returns at once.
const maxPage = 500

// Page is a part of a list.
type Page struct {
	Events []Event
	Next   string // cursor of the next page, "" on the last

	// Until is not zero when the search stopped before the page was full because it had looked long enough: Next goes on
	// from about there.
	Until time.Time
}

// List returns the events of an organization that fit the filter, newest
// first. The cursor is "" or Next of the page before; pages do not shift when
// events are added. An organization of which nothing was recorded has no
// events. Nothing is shown of a row whose bytes are no event, or whose columns
// or texts do not fit them, but that this is so (Event.Damage), where the index
// says that it may be what is looked for. That the bytes are in the tree is
// proved by Event and Verify only.
func (l *Log) List(ctx context.Context, organizationID string, f Filter, cursor string, limit int) (Page, error) {
	before, err := parseCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	return l.page(ctx, organizationID, f, limit, true, func(s *search) { s.end = min(s.end, before) })
}

// Newer returns the page before that of a cursor: the events that come right
// before it in the list, also newest first. Its Next is the cursor given,
// whether or not the search could look at all in between, and "" when there is
// nothing newer that fits.
func (l *Log) Newer(ctx context.Context, organizationID string, f Filter, cursor string, limit int) (Page, error) {
	before, err := parseCursor(cursor)
	if err != nil || cursor == "" {
		return Page{}, err
	}
	page, err := l.page(ctx, organizationID, f, limit, false, func(s *search) { s.first = max(s.first, before) })
	slices.Reverse(page.Events)
	page.Next = ""
	if len(page.Events) > 0 {
		page.Next = cursor
	}
	return page, err
}

func (l *Log) page(ctx context.Context, organizationID string, f Filter, limit int, down bool, narrow func(s *search)) (page Page, err error) {
	limit = min(max(limit, 1), maxPage)
	err = l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		s, err := newSearch(ctx, tx, t, f, down)
		if err != nil {
			return err
		}
		s.limited = true
		narrow(s)
		page, err = s.page(ctx, limit)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("list audit events: %w", err)
	}
	return page, nil
}

// page searches until it has a page, and one event more that shows that there is another.
func (s *search) page(ctx context.Context, limit int) (Page, error) {
	var page Page
	for {
		found, done, err := s.next(ctx, min(limit+1, searchChunk))
		if err != nil {
			return Page{}, err
		}
		page.Events = append(page.Events, found...)
		switch {
		case len(page.Events) > limit:
			page.Events = page.Events[:limit]
			page.Next = formatCursor(page.Events[limit-1].Seq)
			return page, nil
		case done && s.tired() && s.rest() > s.first:
			page.Next = formatCursor(s.rest())
			page.Until, err = s.timeAt(ctx, s.rest())
			return page, err
		case done:
			return page, nil
		}
	}
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

const (
	// maxOperation is more events than an operation can have: an intent, and outcomes as often as it was looked at.
	maxOperation = 200
	// maxReviews is how many reviews of operations are read with them, the newest. Anybody who may read the audit can add
	// some at will, which must not push out what became of an operation.
	maxReviews = 100
)

// whereOperations finds the events of so many operations by their index. Asked for them in the order of seq alone, the
// store would rather read the whole log in that order.
func whereOperations(n int) string {
	return `WHERE e.tree = ? AND e.operation_id IN (?` + strings.Repeat(`, ?`, n-1) + `) AND e.operation_id <> ''`
}

// operationRows returns the rows of some operations in the order of the tree.
func (t *tree) operationRows(ctx context.Context, q queryer, ids []string) ([]row, error) {
	args := []any{t.number}
	for _, id := range ids {
		args = append(args, id)
	}
	where := whereOperations(len(ids))
	most := len(ids) * maxOperation
	rows, err := queryRows(ctx, q, where+` AND e.action <> 'audit.review' ORDER BY e.operation_id, e.seq LIMIT ?`, append(slices.Clone(args), most+1)...)
	if err != nil {
		return nil, err
	}
	if len(rows) > most {
		return nil, t.tampered(nil, "an operation has more than %d records", maxOperation)
	}
	reviews, err := queryRows(ctx, q, where+` AND e.action = 'audit.review' ORDER BY +e.seq DESC LIMIT ?`, append(args, maxReviews)...)
	if err != nil {
		return nil, err
	}
	rows = append(rows, reviews...)
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.seq, b.seq) })
	return rows, nil
}

// Operation returns the events of one operation, oldest first. Of reviews
// there are only the newest 100.
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
		rows, err := t.operationRows(ctx, tx, []string{operationID})
		if err != nil || len(rows) == 0 {
			return err
		}
		events, err = t.eventsOf(ctx, tx, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read audit events of an operation: %w", err)
	}
	return events, nil
}

// Operations returns the events of some operations, each oldest first. Of
// reviews there are only the newest 100 of all of them. Of a record that is
// damaged only a column says that it belongs to one.
func (l *Log) Operations(ctx context.Context, organizationID string, ids []string) (map[string][]Event, error) {
	all := make(map[string][]Event, len(ids))
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) || len(ids) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for some := range slices.Chunk(ids, maxPage) {
			rows, err := t.operationRows(ctx, tx, some)
			if err != nil || len(rows) == 0 {
				return err
			}
			events, err := t.eventsOrDamage(ctx, tx, rows)
			if err != nil {
				return err
			}
			for i := range rows {
				all[rows[i].operationID] = append(all[rows[i].operationID], events[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read audit events of operations: %w", err)
	}
	return all, nil
}

// TargetRecords is the type of the target of a review of the log, and of a purge. The id then is their places, such as 0-99.
const TargetRecords = targetRecords

// LastReview returns the newest event by which a member marked a stretch of the log as reviewed, or nil.
func (l *Log) LastReview(ctx context.Context, organizationID, memberID string) (*Event, error) {
	// The conditions on action and target are those of an index, word for word.
	const where = `WHERE e.tree = ? AND e.actor_id = ? AND e.action = 'audit.review' AND e.target_id >= '0-' AND e.target_id < '0.' ORDER BY e.seq DESC LIMIT 10`
	var last *Event
	err := l.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, organizationID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := queryRows(ctx, tx, where, t.number, memberID)
		if err != nil || len(rows) == 0 {
			return err
		}
		events, err := t.eventsOrDamage(ctx, tx, rows)
		for i := range events {
			if last == nil && events[i].Action == ActionReview && events[i].Target.Type == TargetRecords {
				last = &events[i]
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read last review: %w", err)
	}
	return last, nil
}
