package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

// sharedSession is what another application of the same parent domain keeps of
// its Stytch session in a cookie of its own.
type sharedSession struct {
	acting    stytch.ActingSession
	sessionID string // of a JWT that was verified here; "" of a token
	expired   bool   // the JWT is past its five minutes; its session may be alive
}

// readShared reads the first of the configured cookies that holds a session. A
// JWT that is forged, of another project or cut costs no call to the upstream.
func (s *Server) readShared(ctx context.Context, c echo.Context) (sharedSession, error) {
	for _, name := range s.config.SharedCookies {
		cookie, err := c.Request().Cookie(name)
		if err != nil || cookie.Value == "" {
			continue
		}
		if strings.Count(cookie.Value, ".") != 2 {
			acting, err := stytch.ActingToken(cookie.Value)
			if err != nil {
				continue
			}
			return sharedSession{acting: acting}, nil
		}
		acting, err := stytch.ActingJWT(cookie.Value)
		if err != nil {
			continue
		}
		session, _, err := s.jwts.Verify(ctx, cookie.Value)
		switch {
		case errors.Is(err, stytch.ErrJWTExpired) && session != nil:
			return sharedSession{acting: acting, sessionID: session.MemberSessionID, expired: true}, nil
		case errors.Is(err, stytch.ErrJWTInvalid), errors.Is(err, stytch.ErrJWTExpired):
			continue
		case err != nil:
			// Without the keys the upstream is asked, as about any token.
			return sharedSession{acting: acting}, nil //nolint:nilerr // not knowing is no refusal
		}
		return sharedSession{acting: acting, sessionID: session.MemberSessionID}, nil
	}
	return sharedSession{}, errNoSession
}

// identifyShared finds out who another application's cookie belongs to, with
// the same checks as for a session of ours. Its times are kept in our own
// cookie: who lay idle here must sign in here, whatever the other does.
func (s *Server) identifyShared(ctx context.Context, c echo.Context, v sessionCookie, was error) (*actor, sessionCookie, error) {
	shared, err := s.readShared(ctx, c)
	if err != nil {
		if errors.Is(err, errNoSession) && was == nil {
			err = errSessionEnded // the other application has signed out
		}
		return nil, v, err
	}
	session, acting, err := s.askShared(ctx, c, shared, v.Shared)
	if err != nil {
		return nil, v, err
	}
	hash, live := helpdesk.SessionHash(session.SessionID), c.Request().Context()
	//nolint:contextcheck // ctx may be one with which no call is made, and this is none
	if err := errors.Join(s.refuseEnded(live, hash), s.refuseEnded(live, shared.acting.Hash())); err != nil {
		return nil, v, err
	}
	now := s.now().UTC()
	same := v.Shared && v.SessionID == session.SessionID && v.MemberID == session.MemberID && v.OrganizationID == session.OrganizationID
	over := same && errors.Is(was, errSessionEnded)
	if over || !now.Before(session.ExpiresAt) || now.Sub(session.StartedAt) >= s.config.SessionMax {
		s.authz.ForgetSession(session)
		if over {
			err = s.desk.EndHere(ctx, hash, session.ExpiresAt)
		}
		return nil, v, errors.Join(errSessionEnded, err)
	}
	if !same {
		v = sessionCookie{
			Shared: true, SessionID: session.SessionID, Factors: session.Factors, MemberID: session.MemberID, OrganizationID: session.OrganizationID, IssuedAt: now, SeenAt: now,
		}
		if err := s.acceptShared(ctx, c, v, session); err != nil {
			return nil, v, err
		}
	}
	return s.newActor(c, acting, session), v, nil
}

// errManyStrangers says that too many sessions that were none came from an address.
var errManyStrangers = echo.NewHTTPError(http.StatusTooManyRequests, "Too many sessions that are none came from your network. Wait a minute, or sign in here.")

// askShared asks the upstream about a session, at most so often for an address
// where nothing speaks for it: known is a cookie of ours, which does.
func (s *Server) askShared(ctx context.Context, c echo.Context, shared sharedSession, known bool) (*authz.Session, stytch.ActingSession, error) {
	if known || s.authz.Knows(shared.acting, shared.sessionID) {
		return s.authz.SharedSession(ctx, shared.acting, shared.sessionID, shared.expired)
	}
	tried, _ := s.throttle.beginShared(c.RealIP())
	if tried == nil {
		return nil, shared.acting, errManyStrangers
	}
	session, acting, err := s.authz.SharedSession(ctx, shared.acting, shared.sessionID, shared.expired)
	if err == nil || !s.classify(err).toSignIn {
		tried.giveBack(costFailure)
	}
	return session, acting, err
}

// acceptShared records that a session of another application came in here, once.
func (s *Server) acceptShared(ctx context.Context, c echo.Context, v sessionCookie, session *authz.Session) error {
	_, err := s.once.do(session.SessionID, wayShared, "", func() (step, error) {
		a := newAttempt(c, "", "")
		a.OrganizationID, a.MemberID, a.Email, a.SessionID = session.OrganizationID, session.MemberID, session.Email, session.SessionID
		a.Action, a.Outcome, a.Detail, a.Factors = audit.ActionSignIn, audit.OutcomeSucceeded, string(wayShared), session.Factors
		return step{}, s.desk.RecordSignIn(context.WithoutCancel(ctx), a)
	})
	if err != nil {
		return fmt.Errorf("record shared session: %w", err)
	}
	return s.setCookie(c, v)
}
