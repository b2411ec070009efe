package helpdesk

import (
	"context"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

// RequireReset marks the password of a member's address as needing a reset, in
// every organization of the project: the way to go where passwords are
// cross-organization and cannot be deleted. Results and errors are as of
// DeletePassword. What it did cannot be read, so a lost answer stays unknown;
// asking again is harmless.
func (d *Desk) RequireReset(ctx context.Context, actor Actor, req Request) (*Operation, error) {
	return d.once(ctx, req.OperationID, func(ctx context.Context) (*Operation, error) {
		if op, err := d.replayed(ctx, actor, req.OperationID, audit.ActionRequireReset, req.TargetID); op != nil || err != nil {
			return op, err
		}
		if err := d.validate(&req); err != nil {
			return nil, err
		}
		op := d.newOperation(actor, req, audit.ActionRequireReset)
		read, err := d.target(ctx, actor, req.TargetID, authz.MemberDeletePassword(), authz.SelfDeletePassword())
		if err != nil {
			return d.refused(ctx, actor, op, nothingSent(classifyError(err)))
		}
		op.Target = personOf(read.Member)
		op.PasswordID = read.Member.MemberPasswordID
		if read.Member.Status == "deleted" {
			return d.refused(ctx, actor, op, finding{outcome: audit.OutcomeCancelled, detail: DetailMemberGone})
		}
		steps := d.askedSteps(actor, op)
		if err := d.begin(ctx, actor, op, steps...); err != nil {
			return d.orReplayed(ctx, actor, op, err)
		}
		if d.call(ctx, actor, op, d.requireReset) {
			d.runSteps(ctx, actor, op, steps)
		}
		return op, nil
	})
}

func (d *Desk) requireReset(ctx context.Context, actor Actor, op *Operation) finding {
	answer, err := d.stytch.RequirePasswordReset(ctx, actor.Acting, stytch.RequireResetRequest{
		EmailAddress: op.Target.Email, OrganizationID: op.OrganizationID, MemberID: op.Target.MemberID,
	})
	if err != nil {
		return classifyError(err)
	}
	f := finding{outcome: audit.OutcomeSucceeded, detail: DetailAnswer, status: answer.StatusCode, requestID: answer.RequestID}
	// The answer may name nobody; when it does, it must be the one we meant.
	if answer.MemberID != "" && answer.MemberID != op.Target.MemberID {
		f.outcome, f.detail = audit.OutcomeUnknown, DetailOtherMember
	}
	return f
}
