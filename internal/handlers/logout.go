package handlers

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
	"orgconsole/web/templates"
)

// signOut is POST /logout. Who has no session any more is signed out already.
func (s *Server) signOut(c echo.Context) error {
	ctx := c.Request().Context()
	signedOut := func() error {
		s.clearCookie(c)
		return c.Redirect(http.StatusSeeOther, loginAddress(noticeSignedOut, ""))
	}
	v, acting, err := s.readCookie(c)
	if err != nil {
		return signedOut()
	}
	if err := s.refuseEnded(c, acting); errors.Is(err, errSessionEnded) {
		return signedOut()
	} else if err != nil {
		return err
	}
	session, err := s.authz.Session(ctx, acting)
	switch {
	case err == nil && (session.MemberID != v.MemberID || session.OrganizationID != v.OrganizationID):
		return signedOut()
	case err != nil && s.classify(err).toSignIn:
		return signedOut() // the upstream has ended it
	case err != nil:
		// Signing out must work while the upstream does not; the cookie says who.
		session = &authz.Session{MemberID: v.MemberID, OrganizationID: v.OrganizationID}
	}
	a := s.newActor(c, acting, session)
	confirmed, err := s.desk.SignOut(ctx, a.helpdeskActor(), v.IssuedAt.Add(s.config.SessionMax))
	if err != nil {
		return err
	}
	if confirmed {
		return signedOut()
	}
	s.clearCookie(c)
	return render(c, http.StatusBadGateway, templates.SignedOutPage(templates.SignedOut{
		Page: s.page(c, "Signed out here, not confirmed by Stytch"),
		Text: "You are signed out of the console, but Stytch did not confirm that the session has ended.",
		Next: []string{
			"The console takes this session no more, whoever holds it.",
			"Other applications of your organization may still take it until it runs out.",
			"If that matters, ask an admin to sign you out everywhere.",
		},
		RequestID: requestID(c), SignInURL: "/login",
	}))
}
