package helpdesk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"orgconsole/internal/audit"
)

// Run settles what a crash or a lost answer left unknown, at once and then
// every 15 s, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		if err := d.Settle(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "settle unknown outcomes", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			// What was counted but not yet written must not be lost at a stop.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := d.flushFailures(last, true); err != nil {
				d.log.ErrorContext(last, "counted sign-in failures not recorded", slog.Any("error", err))
			}
			return
		}
	}
}

// Settle makes one pass over what is unsettled. One operation that cannot be
// looked at does not hold up the others.
func (d *Desk) Settle(ctx context.Context) error {
	var errs []error
	for ctx.Err() == nil {
		op, err := d.lease(ctx)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if op == nil {
			break
		}
		if err := d.settle(ctx, op); err != nil {
			errs = append(errs, fmt.Errorf("operation %s: %w", op.ID, err))
			// Half the pass's interval, so that the next pass finds it again and this one ends.
			if err := d.putBack(ctx, op, d.now().Add(settleEvery/2)); err != nil {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, d.flushFailures(ctx, false), d.forgetEndedSessions(ctx))
	return errors.Join(errs...)
}

func (d *Desk) settle(ctx context.Context, op *Operation) error {
	switch op.State {
	case StateAsked:
		asker := Actor{MemberID: op.Actor.MemberID, Email: op.Actor.Email}
		err := d.cancelStep(ctx, asker, op, DetailStopped, system(), audit.Source{})
		if errors.Is(err, errSettled) {
			return nil // whoever asked has begun it after all
		}
		return err
	case StateIntent:
		// The console stopped, or could not write, between intent and outcome.
		if err := d.conclude(ctx, op, finding{outcome: audit.OutcomeUnknown, detail: DetailNoAnswer}, system(), audit.Source{}); err != nil {
			return err
		}
		if op.Action != audit.ActionDeletePassword {
			return nil // what it did cannot be read: it stays unknown, and can be asked again
		}
	case StateUnknown, StateFinal:
	}
	if op.State == StateFinal {
		return nil
	}
	return d.reread(ctx, op)
}

func (d *Desk) forgetEndedSessions(ctx context.Context) error {
	return d.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM ended_sessions WHERE expires_at < ?`, d.now().UnixMilli())
		return err
	})
}
