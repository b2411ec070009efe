package helpdesk

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
)

// SignOut ends the actor's own session: first here, where its token's hash is
// refused from then on until expires, then upstream, tried twice. confirmed
// says that the upstream knows. An error means the store failed and nothing
// was ended.
func (d *Desk) SignOut(ctx context.Context, actor Actor, expires time.Time) (confirmed bool, err error) {
	// A double click is one sign-out.
	done, err, _ := d.signOuts.Do(actor.Acting.Hash(), func() (any, error) { return d.signOut(ctx, actor, expires) })
	confirmed, _ = done.(bool)
	return confirmed, err
}

func (d *Desk) signOut(ctx context.Context, actor Actor, expires time.Time) (confirmed bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationTime)
	defer cancel()
	op := d.newOperation(actor, Request{OperationID: d.NewOperationID(), TargetID: actor.MemberID}, audit.ActionSignOut)
	op.Target = actor.person()
	now := d.now().UTC()
	op.State, op.CreatedAt, op.CallUntil = StateIntent, now, now.Add(2*callTime)
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		if err := endHere(ctx, tx, actor.Acting.Hash(), now, expires); err != nil {
			return err
		}
		if actor.SessionID != "" {
			// A session shown by JWTs has no one token.
			if err := endHere(ctx, tx, SessionHash(actor.SessionID), now, expires); err != nil {
				return err
			}
		}
		if err := insertOperation(ctx, tx, op); err != nil {
			return err
		}
		_, err := d.audit.Append(ctx, tx, intentEvent(op, actor))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("record sign-out: %w", err)
	}
	d.authz.Forget(actor.Acting)
	if actor.Session != nil {
		d.authz.ForgetSession(actor.Session)
	}

	recorded := d.call(ctx, actor, op, func(ctx context.Context, actor Actor, op *Operation) finding {
		f := d.revokeOwn(ctx, actor)
		if f.outcome != audit.OutcomeSucceeded {
			op.Attempt++
			f = d.revokeOwn(ctx, actor)
		}
		return f
	})
	return recorded && op.Done(), nil
}

func endHere(ctx context.Context, tx *sql.Tx, hash string, now, expires time.Time) error {
	const end = `INSERT INTO ended_sessions (token_hash, ended_at, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (token_hash) DO NOTHING`
	_, err := tx.ExecContext(ctx, end, hash, now.UnixMilli(), expires.UnixMilli())
	return err
}

// EndHere has SessionEnded report a hash from now on until expires. It ends
// nothing upstream.
func (d *Desk) EndHere(ctx context.Context, hash string, expires time.Time) error {
	err := d.db.Write(ctx, func(tx *sql.Tx) error { return endHere(ctx, tx, hash, d.now().UTC(), expires) })
	if err != nil {
		return fmt.Errorf("end session here: %w", err)
	}
	return nil
}

// SessionHash is under which the end of a session is kept by its id, which is
// no secret, for those that are shown by JWTs.
func SessionHash(sessionID string) string {
	sum := sha256.Sum256([]byte("member_session_id\x00" + sessionID))
	return hex.EncodeToString(sum[:])
}

func (d *Desk) revokeOwn(ctx context.Context, actor Actor) finding {
	answer, err := d.stytch.RevokeSession(ctx, actor.Acting)
	var refused *stytch.Error
	switch {
	case err == nil:
		return finding{outcome: audit.OutcomeSucceeded, detail: DetailAnswer, status: answer.StatusCode, requestID: answer.RequestID}
	case errors.As(err, &refused) && SessionDead(refused.Type):
		// It had ended already, which is what was wanted.
		f := classifyRefusal(refused)
		f.outcome = audit.OutcomeSucceeded
		return f
	}
	f := classifyError(err)
	f.outcome = audit.OutcomeUnknown // refused or lost, the session may still be open
	return f
}

// SessionEnded reports whether the session with this hash, of its token or of
// its id, was ended here.
func (d *Desk) SessionEnded(ctx context.Context, tokenHash string) (bool, error) {
	var one int
	err := d.db.Reader().QueryRowContext(ctx, `SELECT 1 FROM ended_sessions WHERE token_hash = ?`, tokenHash).Scan(&one)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read ended sessions: %w", err)
	}
	return true, nil
}
