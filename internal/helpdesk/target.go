package helpdesk

import (
	"context"

	"golang.org/x/sync/errgroup"

	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

// target reads the member an operation is about, gated by a check of the
// operation's permission that runs at the same time: member get cannot carry
// the acting session. Nothing of the read is returned unless the check passed.
func (d *Desk) target(ctx context.Context, actor Actor, targetID string, member, self authz.Permission) (*stytch.MemberResponse, error) {
	var (
		answer  *stytch.MemberResponse
		readErr error
		group   errgroup.Group
	)
	group.Go(func() error { return d.authz.CheckMember(ctx, actor.Acting, actor.session(), targetID, member, self) })
	group.Go(func() error {
		answer, readErr = d.stytch.GetMember(ctx, actor.OrganizationID, targetID)
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if readErr != nil {
		return nil, readErr
	}
	if answer.Member.MemberID != targetID || answer.Member.OrganizationID != actor.OrganizationID {
		return nil, &stytch.AnswerError{
			Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the answer is about another member",
		}
	}
	return answer, nil
}

func personOf(m stytch.Member) Person {
	p := Person{MemberID: m.MemberID, Email: m.EmailAddress, Name: m.Name}
	for _, r := range m.Roles {
		p.Roles = append(p.Roles, r.RoleID)
	}
	return p
}
