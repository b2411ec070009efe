package helpdesk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

// askedSteps returns what was ticked beside an operation, in the order it is
// done: whoever holds a stolen laptop is put out before a mail is written,
// except that signing oneself out ends the session the mail needs.
func (d *Desk) askedSteps(actor Actor, root *Operation) []*Operation {
	var steps []*Operation
	if root.SignOut {
		steps = append(steps, d.step(root, audit.ActionRevokeSessions))
	}
	if root.SendReset {
		steps = append(steps, d.step(root, audit.ActionResetEmail))
	}
	if len(steps) == 2 && root.Target.MemberID == actor.MemberID {
		steps[0], steps[1] = steps[1], steps[0]
	}
	return steps
}

// runSteps does what was asked together with root. Signing out does not wait
// for the password: it goes on unless nobody may act at all. A mail that asks
// for a new password is sent only when the old one is known to be gone.
func (d *Desk) runSteps(ctx context.Context, actor Actor, root *Operation, steps []*Operation) {
	for _, s := range steps {
		if !goesOn(root, s.Action) {
			if err := d.cancelStep(ctx, actor, s, DetailNotAttempted, actor.event(), actor.source()); err != nil {
				d.log.ErrorContext(ctx, "step not recorded, left to be settled", slog.String("operation", s.ID), slog.Any("error", err))
			}
			continue
		}
		if err := d.beginStep(ctx, actor, s); err != nil {
			d.log.ErrorContext(ctx, "step not started", slog.String("operation", s.ID), slog.Any("error", err))
			if stored, err := d.Operation(ctx, s.OrganizationID, s.ID); err == nil {
				*s = *stored
			}
			continue
		}
		d.call(ctx, actor, s, d.stepCall(s.Action))
	}
	root.Steps = steps
}

func goesOn(root *Operation, action audit.Action) bool {
	switch action {
	case audit.ActionResetEmail:
		return root.State == StateFinal &&
			(root.Outcome == audit.OutcomeSucceeded || root.Outcome == audit.OutcomeNotFound)
	default:
		return root.Outcome != audit.OutcomeDenied && root.Detail != DetailSession &&
			root.Detail != DetailCredentials && root.Detail != DetailNotSent
	}
}

type caller func(context.Context, Actor, *Operation) finding

// call makes the one upstream call of an operation whose intent is on disk and
// records the outcome. It must not be used for deletions, which are re-read.
// It reports whether the outcome is on disk; if not, the intent is, and is
// settled later.
func (d *Desk) call(ctx context.Context, actor Actor, op *Operation, do caller) bool {
	f := do(ctx, actor, op)
	op.EndedAt = d.now().UTC()
	op.CallUntil = op.EndedAt
	if err := d.conclude(ctx, op, f, actor.event(), actor.source()); err != nil {
		d.log.ErrorContext(ctx, "outcome not recorded, left to be settled", slog.String("operation", op.ID), slog.Any("error", err))
		op.State = StateIntent
		return false
	}
	return true
}

func (d *Desk) stepCall(action audit.Action) caller {
	switch action {
	case audit.ActionRevokeSessions:
		return d.revokeSessions
	case audit.ActionResetEmail:
		return d.sendResetEmail
	case audit.ActionRequireReset:
		return d.requireReset
	default:
		return nil
	}
}

func (d *Desk) revokeSessions(ctx context.Context, actor Actor, op *Operation) finding {
	answer, err := d.stytch.RevokeMemberSessions(ctx, actor.Acting, op.Target.MemberID)
	if err != nil {
		return classifyError(err)
	}
	return finding{outcome: audit.OutcomeSucceeded, detail: DetailAnswer, status: answer.StatusCode, requestID: answer.RequestID}
}

// sendResetEmail is gated by a check, as the call cannot carry the acting
// session.
func (d *Desk) sendResetEmail(ctx context.Context, actor Actor, op *Operation) finding {
	err := d.authz.CheckMember(ctx, actor.Acting, actor.session(), op.Target.MemberID,
		authz.MemberDeletePassword(), authz.SelfDeletePassword())
	if err != nil {
		return nothingSent(classifyError(err))
	}
	answer, err := d.stytch.StartPasswordReset(ctx, stytch.ResetStartRequest{
		OrganizationID: op.OrganizationID, EmailAddress: op.Target.Email,
	})
	if err != nil {
		return classifyError(err)
	}
	f := finding{outcome: audit.OutcomeSucceeded, detail: DetailAnswer, status: answer.StatusCode, requestID: answer.RequestID}
	if answer.MemberID != op.Target.MemberID {
		f.outcome, f.detail = audit.OutcomeUnknown, DetailOtherMember
	}
	return f
}

// cancelStep ends a step that never had its turn.
func (d *Desk) cancelStep(ctx context.Context, actor Actor, s *Operation, detail string, by audit.Actor, src audit.Source) error {
	if err := d.beginStep(ctx, actor, s); err != nil {
		return err
	}
	return d.conclude(ctx, s, finding{outcome: audit.OutcomeCancelled, detail: detail}, by, src)
}

// Retryable reports whether an attempt may be repeated on its own. A deletion
// never is: its confirmation page must be read again.
func (op *Operation) Retryable() bool {
	switch op.Action {
	case audit.ActionRevokeSessions, audit.ActionResetEmail, audit.ActionRequireReset:
	default:
		return false
	}
	return op.State == StateUnknown || op.State == StateFinal && op.Outcome != audit.OutcomeSucceeded
}

// Retry repeats one step that did not succeed as a new attempt under newID.
// It returns the new attempt, or the stored one when newID was used before,
// and ErrNotRetryable when the step's newest attempt is done or under way.
func (d *Desk) Retry(ctx context.Context, actor Actor, id, newID string) (*Operation, error) {
	// One at a time for each step, so that of two windows only one repeats it.
	return d.once(ctx, id, func(ctx context.Context) (*Operation, error) {
		prev, err := d.Operation(ctx, actor.OrganizationID, id)
		if err != nil {
			return nil, err
		}
		if op, err := d.replayed(ctx, actor, newID, prev.Action, prev.Target.MemberID); op != nil || err != nil {
			return op, err
		}
		newest, err := d.newestAttempt(ctx, prev)
		if err != nil {
			return nil, err
		}
		if newest.ID != prev.ID || !prev.Retryable() {
			return nil, ErrNotRetryable
		}
		op := d.step(prev, prev.Action)
		op.ID, op.RootID, op.RetryOf, op.Attempt = newID, prev.RootID, prev.ID, prev.Attempt+1
		op.Actor, op.PasswordID = actor.person(), prev.PasswordID
		if err := d.begin(ctx, actor, op); err != nil {
			return d.orReplayed(ctx, actor, op, err)
		}
		d.call(ctx, actor, op, d.stepCall(op.Action))
		return op, nil
	})
}

// newestAttempt follows the retries of an operation to the last one.
func (d *Desk) newestAttempt(ctx context.Context, op *Operation) (*Operation, error) {
	root, err := d.Operation(ctx, op.OrganizationID, op.RootID)
	if errors.Is(err, ErrNotFound) {
		return op, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the operation it belongs to: %w", err)
	}
	if newest := root.Latest(op.Action); newest != nil && newest.Attempt > op.Attempt {
		return newest, nil
	}
	return op, nil
}
