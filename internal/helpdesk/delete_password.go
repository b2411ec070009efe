package helpdesk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

// DeletePassword deletes a member's password, and then does what was asked
// together with it. It returns the operation as stored, whatever its outcome;
// an error means the store failed, the request is invalid (*InvalidError), or
// the id is not this actor's (ErrNotFound). A repeated id returns what the
// first did and sends nothing.
func (d *Desk) DeletePassword(ctx context.Context, actor Actor, req Request) (*Operation, error) {
	return d.once(ctx, req.OperationID, func(ctx context.Context) (*Operation, error) {
		return d.deletePassword(ctx, actor, req)
	})
}

func (d *Desk) deletePassword(ctx context.Context, actor Actor, req Request) (*Operation, error) {
	if op, err := d.replayed(ctx, actor, req.OperationID, audit.ActionDeletePassword, req.TargetID); op != nil || err != nil {
		return op, err
	}
	if err := d.validate(&req); err != nil {
		return nil, err
	}
	op := d.newOperation(actor, req, audit.ActionDeletePassword)
	op.PasswordID = req.ShownPasswordID

	read, err := d.target(ctx, actor, req.TargetID, authz.MemberDeletePassword(), authz.SelfDeletePassword())
	if err != nil {
		return d.refused(ctx, actor, op, nothingSent(classifyError(err)))
	}
	op.Target = personOf(read.Member)
	if detail := stale(req, read.Member); detail != "" {
		return d.refused(ctx, actor, op, finding{
			outcome: audit.OutcomeCancelled, detail: detail, passwordAfter: read.Member.MemberPasswordID,
		})
	}

	steps := d.askedSteps(actor, op)
	if err := d.begin(ctx, actor, op, steps...); err != nil {
		return d.orReplayed(ctx, actor, op, err)
	}
	f := finding{outcome: audit.OutcomeFailed, detail: DetailTooLate}
	// A process that was stopped since its intent may have been settled by
	// another: what is sent now could make that outcome a lie.
	if d.now().Before(op.CreatedAt.Add(callTime / 2)) {
		answer, err := d.stytch.DeleteMemberPassword(ctx, actor.Acting, op.OrganizationID, op.PasswordID)
		f = classifyDelete(op, answer, err)
	}
	op.EndedAt = d.now().UTC()
	op.CallUntil = op.EndedAt
	reread := f.outcome == audit.OutcomeUnknown || f.outcome == audit.OutcomeNotFound
	if reread {
		f.outcome = audit.OutcomeUnknown // not_found, too, is believed only once it was read
	}
	if err := d.conclude(ctx, op, f, actor.event(), actor.source()); err != nil {
		d.log.ErrorContext(ctx, "outcome not recorded, left to be settled", slog.String("operation", op.ID), slog.Any("error", err))
		op.State = StateIntent
		return op, nil
	}
	if reread {
		if err := d.reread(ctx, op); err != nil {
			d.log.WarnContext(ctx, "unknown outcome not settled yet", slog.String("operation", op.ID), slog.Any("error", err))
		}
	}
	d.runSteps(ctx, actor, op, steps)
	return op, nil
}

// stale says why the member is no longer what the confirmation page showed.
func stale(req Request, m stytch.Member) string {
	switch {
	case m.Status == "deleted":
		return DetailMemberGone
	case m.MemberPasswordID == "":
		return DetailNoPassword
	case m.MemberPasswordID != req.ShownPasswordID:
		return DetailChanged
	}
	return ""
}

// reread settles an unknown deletion by reading the member as the system
// actor. The member read is used for nothing else. A password still there is
// final only when the read is late enough that our call cannot act any more.
func (d *Desk) reread(ctx context.Context, op *Operation) error {
	answer, err := d.stytch.GetMember(ctx, op.OrganizationID, op.Target.MemberID)
	f := finding{status: op.HTTPStatus, errorType: op.ErrorType, requestID: op.UpstreamRequestID, detail: DetailReread}
	var refused *stytch.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Type == stytch.ErrorTypeMemberNotFound:
		f.outcome, f.detail, f.evidence = audit.OutcomeNotFound, DetailMemberGone, refused.RequestID
	case err != nil:
		return err
	case answer.Member.MemberID != op.Target.MemberID || answer.Member.OrganizationID != op.OrganizationID:
		return errors.New("the re-read is about another member")
	case answer.Member.MemberPasswordID != op.PasswordID:
		f.outcome, f.evidence, f.passwordAfter = audit.OutcomeSucceeded, answer.RequestID, answer.Member.MemberPasswordID
		if op.ErrorType == string(stytch.ErrorTypeMemberPasswordNotFound) {
			f.outcome = audit.OutcomeNotFound
		}
	case d.now().Sub(op.CallUntil) < stillThereAfter:
		return errors.New("the password is still there, and the call may yet act")
	default:
		f.outcome, f.detail, f.evidence = audit.OutcomeFailed, DetailStillThere, answer.RequestID
		f.passwordAfter = answer.Member.MemberPasswordID
	}
	return d.conclude(ctx, op, f, system(), audit.Source{})
}
