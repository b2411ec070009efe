package helpdesk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orgconsole/internal/audit"
)

// errSettled says another worker made the operation final first, or began the step.
var errSettled = errors.New("already settled or begun by another worker")

func insertOperation(ctx context.Context, tx *sql.Tx, op *Operation) error {
	record, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("encode operation: %w", err)
	}
	const q = `INSERT INTO operations (id, organization_id, root_id, retry_of, attempt, action, state, outcome,
		target_id, password_id, actor_id, record, created_at, called_until, lease_owner, lease_until)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0)`
	_, err = tx.ExecContext(ctx, q, op.ID, op.OrganizationID, op.RootID, op.RetryOf, op.Attempt, string(op.Action),
		string(op.State), string(op.Outcome), op.Target.MemberID, op.PasswordID, op.Actor.MemberID, string(record),
		op.CreatedAt.UnixMilli(), op.CallUntil.UnixMilli())
	return err
}

// updateOperation writes the operation unless it is final already, which is
// how there is at most one final outcome whoever gets there first.
func updateOperation(ctx context.Context, tx *sql.Tx, op *Operation) error {
	return replaceOperation(ctx, tx, op, `state <> 'final'`)
}

// beginOperation writes a step that still waits for its turn. Where another
// process began or cancelled it meanwhile, nothing may be sent for it.
func beginOperation(ctx context.Context, tx *sql.Tx, op *Operation) error {
	return replaceOperation(ctx, tx, op, `state = 'asked'`)
}

func replaceOperation(ctx context.Context, tx *sql.Tx, op *Operation, condition string) error {
	record, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("encode operation: %w", err)
	}
	const q = `UPDATE operations SET state = ?, outcome = ?, record = ?, called_until = ?, lease_owner = '', lease_until = 0
		WHERE id = ? AND `
	res, err := tx.ExecContext(ctx, q+condition, string(op.State), string(op.Outcome), string(record), op.CallUntil.UnixMilli(), op.ID)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errSettled, err)
	}
	return nil
}

func scanOperations(rows *sql.Rows, err error) ([]*Operation, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ops []*Operation
	for rows.Next() {
		var record string
		if err := rows.Scan(&record); err != nil {
			return nil, err
		}
		op := new(Operation)
		if err := json.Unmarshal([]byte(record), op); err != nil {
			return nil, fmt.Errorf("decode operation: %w", err)
		}
		ops = append(ops, op)
	}
	return ops, rows.Err()
}

// Operation returns one operation of an organization with its steps, or ErrNotFound.
func (d *Desk) Operation(ctx context.Context, organizationID, id string) (*Operation, error) {
	const one = `SELECT record FROM operations WHERE organization_id = ? AND id = ?`
	ops, err := scanOperations(d.db.Reader().QueryContext(ctx, one, organizationID, id))
	if err != nil {
		return nil, fmt.Errorf("read operation: %w", err)
	}
	if len(ops) == 0 {
		return nil, ErrNotFound
	}
	op := ops[0]
	const steps = `SELECT record FROM operations WHERE organization_id = ? AND root_id = ? AND id <> ?
		ORDER BY created_at, attempt, id`
	op.Steps, err = scanOperations(d.db.Reader().QueryContext(ctx, steps, organizationID, op.ID, op.ID))
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	return op, nil
}

// Unsettled returns the operations whose outcome nobody knows yet, newest first.
func (d *Desk) Unsettled(ctx context.Context, organizationID string, limit int) ([]*Operation, error) {
	// An intent still within its deadline is under way, not unknown.
	const q = `SELECT record FROM operations WHERE organization_id = ? AND state <> 'final'
		AND (state = 'unknown' OR (state = 'intent' AND called_until < ?)) ORDER BY created_at DESC LIMIT ?`
	ops, err := scanOperations(d.db.Reader().QueryContext(ctx, q, organizationID, d.now().UnixMilli(), limit))
	if err != nil {
		return nil, fmt.Errorf("read unsettled operations: %w", err)
	}
	return ops, nil
}

// CountUnsettled returns how many operations, of all organizations, nobody knows the outcome of yet.
func (d *Desk) CountUnsettled(ctx context.Context) (int64, error) {
	var n int64
	const q = `SELECT count(*) FROM operations WHERE state <> 'final' AND (state = 'unknown' OR (state = 'intent' AND called_until < ?))`
	if err := d.db.Reader().QueryRowContext(ctx, q, d.now().UnixMilli()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count unsettled operations: %w", err)
	}
	return n, nil
}

// LastDeletion returns the newest successful deletion of a member's password, or nil.
func (d *Desk) LastDeletion(ctx context.Context, organizationID, memberID string) (*Operation, error) {
	const q = `SELECT record FROM operations WHERE organization_id = ? AND target_id = ? AND action = ?
		AND state = 'final' AND outcome = 'succeeded' ORDER BY created_at DESC LIMIT 1`
	ops, err := scanOperations(d.db.Reader().QueryContext(ctx, q, organizationID, memberID, string(audit.ActionDeletePassword)))
	if err != nil {
		return nil, fmt.Errorf("read last deletion: %w", err)
	}
	if len(ops) == 0 {
		return nil, nil
	}
	return ops[0], nil
}

// lease takes the next operation that waits to be settled, or returns nil. A
// lease that was not given back (its holder died) may be taken over.
func (d *Desk) lease(ctx context.Context) (*Operation, error) {
	var op *Operation
	err := d.db.Write(ctx, func(tx *sql.Tx) (err error) {
		op, err = d.takeLease(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lease an unsettled operation: %w", err)
	}
	return op, nil
}

func (d *Desk) takeLease(ctx context.Context, tx *sql.Tx) (*Operation, error) {
	now := d.now()
	const waits = `lease_until < ? AND called_until < ? AND state <> 'final'
		AND (state IN ('asked', 'intent') OR (state = 'unknown' AND action = ?))`
	args := []any{now.UnixMilli(), now.UnixMilli(), string(audit.ActionDeletePassword)}
	for {
		ops, err := scanOperations(tx.QueryContext(ctx, `SELECT record FROM operations WHERE `+waits+` ORDER BY called_until LIMIT 1`, args...))
		if err != nil || len(ops) == 0 {
			return nil, err
		}
		take := append([]any{d.instance, now.Add(leaseTime).UnixMilli(), ops[0].ID}, args...)
		res, err := tx.ExecContext(ctx, `UPDATE operations SET lease_owner = ?, lease_until = ? WHERE id = ? AND `+waits, take...)
		if err != nil {
			return nil, err
		}
		// None where another process took it, or settled it, since it was read.
		if taken, err := res.RowsAffected(); err != nil || taken == 1 {
			return ops[0], err
		}
	}
}

func (d *Desk) putBack(ctx context.Context, op *Operation, until time.Time) error {
	return d.db.Write(ctx, func(tx *sql.Tx) error {
		const q = `UPDATE operations SET lease_owner = '', lease_until = ? WHERE id = ? AND lease_owner = ?`
		_, err := tx.ExecContext(ctx, q, until.UnixMilli(), op.ID, d.instance)
		return err
	})
}
