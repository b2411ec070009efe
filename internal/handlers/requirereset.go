package handlers

import (
	"context"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

func requireResetPath(memberID string) string {
	return memberPath(memberID) + "/password/require-reset"
}

// confirmRequireReset is GET /members/{member_id}/password/require-reset. It is
// offered where a project shares passwords across organizations.
func (s *Server) confirmRequireReset(c echo.Context) error {
	return s.confirm(c, s.resetRequirement())
}

// requireReset is POST /members/{member_id}/password/require-reset.
func (s *Server) requireReset(c echo.Context) error { return s.confirmed(c, s.resetRequirement()) }

func (s *Server) resetRequirement() confirmation {
	return confirmation{
		action: audit.ActionRequireReset, title: "Require password reset", refused: "A reset cannot be required",
		what: "Requiring a reset", path: requireResetPath, cannot: s.cannotRequireReset, perform: s.desk.RequireReset,
		effects: func(m stytch.Member) []string {
			return []string{
				"The password of " + m.EmailAddress + " must be reset before it works again, in every organization of the project, not only in yours.",
				"No mail is sent by it, unless you tick Send reset email. The mail is a second step, with its own outcome.",
				"It ends no session: whoever is signed in stays signed in, unless you tick Sign out everywhere.",
				"It is recorded in the audit, with your name and your reason.",
			}
		},
	}
}

func (s *Server) cannotRequireReset(ctx context.Context, a *actor, read *memberRead) (reason string, links []templates.Link, err error) {
	if read.member.Status == stytch.StatusDeleted {
		return "The member is deleted.", nil, nil
	}
	return s.mayNotDelete(ctx, a, read.member), nil, nil
}
