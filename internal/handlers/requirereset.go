package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

func requireResetPath(memberID string) string {
	return memberPath(memberID) + "/password/require-reset"
}

// confirmRequireReset is GET /members/{member_id}/password/require-reset. It is
// offered where a project shares passwords across organizations.
func (s *Server) confirmRequireReset(c echo.Context) error {
	id, err := memberParam(c)
	if err != nil {
		return err
	}
	in, err := s.prefill(c, id)
	if err != nil {
		return err
	}
	return s.renderRequireReset(c, http.StatusOK, id, in)
}

func (s *Server) renderRequireReset(c echo.Context, status int, id string, in typed) error {
	ctx, a := c.Request().Context(), s.actor(c)
	read, err := s.readMember(ctx, a, id)
	if err != nil {
		return err
	}
	m := read.member
	v := templates.RequireReset{
		Page: s.page(c, "Require password reset"), Person: personView(a, m),
	}
	v.Page.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}, {Text: memberLabel(m), URL: memberPath(id)}}
	if reason := s.cannotRequireReset(c, a, read); reason != "" {
		v.Disabled = &templates.Notice{Kind: templates.Info, Title: "A reset cannot be required", Text: reason, Links: []templates.Link{{Text: "Back to the member", URL: memberPath(id)}}}
		return render(c, status, templates.RequireResetPage(v))
	}
	v.Sessions = confirmSessions(read.sessions, "Requiring a reset")
	v.Effects = []string{
		"The password of " + m.EmailAddress + " must be reset before it works again, in every organization of the project, not only in yours.",
		"No mail is sent by it, unless you tick Send reset email. The mail is a second step, with its own outcome.",
		"It ends no session: whoever is signed in stays signed in, unless you tick Sign out everywhere.",
		"It is recorded in the audit, with your name and your reason.",
	}
	v.Ways, v.WaysNote = otherWaysView(read.organization, m)
	v.Warnings = append(s.deleteWarnings(a, read), s.lookalikeWarnings(ctx, a, m)...)
	v.Form, err = s.confirmView(ctx, a, audit.ActionRequireReset, read, in)
	if err != nil {
		return err
	}
	v.Form.Action = requireResetPath(id)
	return render(c, status, templates.RequireResetPage(v))
}

func (s *Server) cannotRequireReset(c echo.Context, a *actor, read *memberRead) string {
	if read.member.Status == stytch.StatusDeleted {
		return "The member is deleted."
	}
	policy, err := s.policy(c.Request().Context(), a.Session)
	if err == nil && !policy.MayMember(a.Session, read.member.MemberID, authz.MemberDeletePassword(), authz.SelfDeletePassword()) {
		return missingPermission(authz.MemberDeletePassword(), policy)
	}
	return ""
}

// requireReset is POST /members/{member_id}/password/require-reset.
func (s *Server) requireReset(c echo.Context) error {
	return s.confirmed(c, audit.ActionRequireReset, s.desk.RequireReset, s.renderRequireReset)
}
