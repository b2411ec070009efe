package helpdesk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

// Erased is what an erasure found.
type Erased struct {
	Texts      int // in the audit
	Operations int // that named the person
	Unsettled  int // of these: a process that is at work on one may write the name once more
}

// Erase drops the name, the addresses and the IP addresses of a person from
// the audit of an organization and of the system, as audit.Log.Erase does, and
// their name and email from the organization's operations. Two transactions,
// one for each tree: after an error it can be done again.
func Erase(ctx context.Context, db *database.DB, log *audit.Log, organizationID string, e audit.Erasure) (Erased, error) {
	var done Erased
	candidates, err := log.Candidates(ctx, organizationID, e)
	if err != nil {
		return Erased{}, err
	}
	err = db.Write(ctx, func(tx *sql.Tx) (err error) {
		done = Erased{}
		if done.Texts, err = log.Erase(ctx, tx, organizationID, e, candidates); err != nil {
			return err
		}
		return done.operations(ctx, db, tx, organizationID, e.MemberID)
	})
	if err != nil {
		return Erased{}, err
	}
	if candidates, err = log.Candidates(ctx, "", e); err != nil {
		return done, err
	}
	inSystem := 0
	err = db.Write(ctx, func(tx *sql.Tx) (err error) {
		inSystem, err = log.Erase(ctx, tx, "", e, candidates)
		return err
	})
	done.Texts += inSystem
	return done, errors.Join(err, db.EmptyLog(ctx))
}

func (e *Erased) operations(ctx context.Context, db *database.DB, tx *sql.Tx, organizationID, memberID string) error {
	const about = ` FROM operations WHERE organization_id = ? AND (actor_id = ? OR target_id = ?)`
	args := []any{organizationID, memberID, memberID}
	if err := db.Lock(ctx, tx, `SELECT id`+about, args...); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("lock operations: %w", err)
	}
	ops, err := scanOperations(tx.QueryContext(ctx, `SELECT record`+about, args...))
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	for _, op := range ops {
		named := false
		for _, p := range []*Person{&op.Actor, &op.Target} {
			if p.MemberID == memberID && (p.Name != "" || p.Email != "") {
				p.Name, p.Email, p.Erased, named = "", "", true, true
			}
		}
		if !named {
			continue
		}
		record, err := json.Marshal(op)
		if err != nil {
			return fmt.Errorf("encode operation: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE operations SET record = ? WHERE id = ?`, string(record), op.ID); err != nil {
			return fmt.Errorf("erase a person from an operation: %w", err)
		}
		e.Operations++
		if op.State != StateFinal {
			e.Unsettled++
		}
	}
	return nil
}
