package helpdesk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"orgconsole/internal/audit"
)

const (
	purgeEvery  = 24 * time.Hour
	forgetChunk = 200
)

// Retain purges what is older than a number of days, at once and then daily,
// until ctx ends.
func (d *Desk) Retain(ctx context.Context, days int) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		records, operations, err := d.Purge(ctx, days)
		switch {
		case err != nil && ctx.Err() == nil:
			d.log.ErrorContext(ctx, "purge audit", slog.Int64("records", records), slog.Any("error", err))
		case records > 0 || operations > 0:
			d.log.InfoContext(ctx, "audit purged", slog.Int64("records", records), slog.Int("operations", operations), slog.Int("days", days))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Purge purges the audit (see audit.Log.Purge), and then forgets the
// operations of which it has nothing left.
func (d *Desk) Purge(ctx context.Context, days int) (records int64, operations int, err error) {
	if records, err = d.audit.Purge(ctx, days); err != nil {
		return records, 0, err
	}
	defer func() {
		if records > 0 || operations > 0 {
			err = errors.Join(err, d.db.EmptyLog(ctx))
		}
	}()
	before, after := d.now().AddDate(0, 0, -days), ""
	for {
		ops, err := scanOperations(d.db.Reader().QueryContext(ctx,
			`SELECT record FROM operations WHERE id > ? AND state = 'final' AND created_at < ? ORDER BY id LIMIT ?`, after, before.UnixMilli(), forgetChunk))
		if err != nil {
			return records, operations, fmt.Errorf("read old operations: %w", err)
		}
		n, err := d.forget(ctx, ops)
		if err != nil {
			return records, operations, err
		}
		operations += n
		if len(ops) < forgetChunk {
			return records, operations, nil
		}
		after = ops[len(ops)-1].ID
	}
}

// forget deletes the operations whose events were all purged.
func (d *Desk) forget(ctx context.Context, ops []*Operation) (forgotten int, err error) {
	var gone []string
	for _, op := range ops {
		events, err := d.audit.Operation(ctx, op.OrganizationID, op.ID)
		if err != nil {
			return 0, err
		}
		if len(events) > 0 && !slices.ContainsFunc(events, func(ev audit.Event) bool { return ev.Purged == nil }) {
			gone = append(gone, op.ID)
		}
	}
	if len(gone) == 0 {
		return 0, nil
	}
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range gone {
			if _, err := tx.ExecContext(ctx, `DELETE FROM operations WHERE id = ? AND state = 'final'`, id); err != nil {
				return fmt.Errorf("forget operation: %w", err)
			}
		}
		return nil
	})
	return len(gone), err
}
