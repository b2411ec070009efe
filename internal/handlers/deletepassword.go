package handlers

import (
	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
)

func deletePath(memberID string) string { return memberPath(memberID) + "/password/delete" }

// confirmDeletePassword is GET /members/{member_id}/password/delete.
func (s *Server) confirmDeletePassword(c echo.Context) error { return s.confirm(c, s.deletion()) }

// deletePassword is POST /members/{member_id}/password/delete.
func (s *Server) deletePassword(c echo.Context) error { return s.confirmed(c, s.deletion()) }

func (s *Server) deletion() confirmation {
	return confirmation{
		action: audit.ActionDeletePassword, title: "Delete password", refused: "This password cannot be deleted",
		what: "Deleting the password", path: deletePath, cannot: s.cannotDelete, perform: s.desk.DeletePassword,
		effects: func(stytch.Member) []string {
			return []string{
				"The password stops working at once.",
				"No mail is sent by it, unless you tick Send reset email.",
				"It ends no session: whoever is signed in stays signed in, unless you tick Sign out everywhere.",
				"It is recorded in the audit, with your name and your reason.",
			}
		},
	}
}
