package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Review records that somebody reviewed the event's target, or returns the
// record of the same person reviewing the same, if there is one at or after a
// place: the form that it comes from was then sent twice.
func (l *Log) Review(ctx context.Context, ev Event, since int64) (Event, error) {
	if ev.Action != ActionReview || ev.Phase != PhaseInfo || ev.OrganizationID == "" {
		return Event{}, errors.New("record review: it is none")
	}
	var recorded Event
	err := l.db.Write(ctx, func(tx *sql.Tx) error {
		// While the head is locked nobody else appends: who came first is there to be seen.
		t, err := l.lockedTree(ctx, tx, ev.OrganizationID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil {
			const where = `WHERE e.tree = ? AND e.seq >= ? AND e.action = ? AND e.phase = ? AND e.actor_id = ? AND e.target_id = ? ORDER BY e.seq LIMIT 1`
			earlier, err := t.readEvents(ctx, tx, where, t.number, since, string(ActionReview), string(PhaseInfo), ev.Actor.MemberID, ev.Target.ID)
			if err != nil {
				return err
			}
			if len(earlier) > 0 && earlier[0].Target.Type == ev.Target.Type {
				recorded = earlier[0]
				return nil
			}
		}
		recorded, err = l.Append(ctx, tx, ev)
		return err
	})
	if err != nil {
		return Event{}, fmt.Errorf("record review: %w", err)
	}
	return recorded, nil
}
