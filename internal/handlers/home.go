package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
)

// showHome is GET /: it leads to the first page the role may see.
func (s *Server) showHome(c echo.Context) error {
	a := s.actor(c)
	policy, err := s.policy(c.Request().Context(), a.Session)
	switch {
	case err != nil, policy.Allows(a.Session.Roles, authz.MemberSearch()):
		// Without a policy the upstream is left to say.
		return c.Redirect(http.StatusSeeOther, "/members")
	case policy.MayConsole(a.Session.Roles, authz.AuditRead()):
		return c.Redirect(http.StatusSeeOther, "/audit")
	default:
		return c.Redirect(http.StatusSeeOther, memberPath(a.Session.MemberID))
	}
}
