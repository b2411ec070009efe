package handlers

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// signOut is POST /logout. Who has no session any more is signed out already.
func (s *Server) signOut(c echo.Context) error {
	ctx := c.Request().Context()
	signedOut := func() error {
		s.clearCookie(c)
		s.dropDraft(c)
		if err := s.writeProgress(c, nil); err != nil {
			return err
		}
		return c.Redirect(http.StatusSeeOther, loginAddress(noticeSignedOut, ""))
	}
	confirmed, ended, err := s.endShared(ctx, c)
	if err != nil {
		return err
	}
	// One that has lain idle is ended as well: a copy of its cookie may not have.
	if v, err := s.openCookie(c); err == nil && !v.Shared {
		if acting, err := stytch.ActingToken(v.Token); err == nil {
			own, err := s.endSession(ctx, c, v, acting)
			if err != nil && !errors.Is(err, errSessionEnded) {
				return err
			}
			confirmed = (confirmed || !ended) && (own || err != nil)
			ended = true
		}
	}
	if confirmed || !ended {
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

// endShared ends the session that another application keeps in this browser:
// the next request would come in with it again.
func (s *Server) endShared(ctx context.Context, c echo.Context) (confirmed, ended bool, err error) {
	shared, err := s.readShared(ctx, c)
	if err != nil {
		return false, false, nil //nolint:nilerr // there is none
	}
	v, _ := s.openCookie(c)
	session, acting, err := s.askShared(ctx, c, shared, v.Shared)
	switch {
	case err == nil:
		a := s.newActor(c, acting, session)
		confirmed, err = s.desk.SignOut(ctx, a.helpdeskActor(), s.now().Add(s.config.SessionMax))
		return confirmed, true, err
	case v.Shared && !s.classify(err).toSignIn:
		confirmed, err = s.endSession(ctx, c, v, shared.acting)
		return confirmed, true, err
	default:
		return false, false, nil
	}
}

// endSession ends a session here and upstream, and records it. confirmed says
// that the upstream knows; errSessionEnded that there was nothing left to end.
func (s *Server) endSession(ctx context.Context, c echo.Context, v sessionCookie, acting stytch.ActingSession) (confirmed bool, err error) {
	if err := s.refuseEnded(ctx, acting.Hash()); err != nil {
		return false, err
	}
	session, err := s.authz.Session(ctx, acting)
	switch {
	case err == nil && (session.MemberID != v.MemberID || session.OrganizationID != v.OrganizationID):
		return false, errSessionEnded
	case err != nil && s.classify(err).toSignIn:
		return false, errSessionEnded // the upstream has ended it
	case err != nil:
		// Signing out must work while the upstream does not; the cookie says who.
		session = &authz.Session{MemberID: v.MemberID, OrganizationID: v.OrganizationID, SessionID: v.SessionID, Factors: v.Factors}
	}
	a := s.newActor(c, acting, session)
	return s.desk.SignOut(ctx, a.helpdeskActor(), v.IssuedAt.Add(s.config.SessionMax))
}
