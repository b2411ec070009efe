package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/web/templates"
)

// sessionEnds says when a session ends for good: by its age here, or with the
// upstream's own, whichever is first. No activity moves that.
func (s *Server) sessionEnds(a *actor, v sessionCookie) time.Time {
	end := s.began(a, v).Add(s.config.SessionMax)
	if a.Session.ExpiresAt.Before(end) {
		end = a.Session.ExpiresAt
	}
	return end
}

// began is when the sign-in began that the session is of: another application's before it came here.
func (s *Server) began(a *actor, v sessionCookie) time.Time {
	if v.Shared && a.Session.StartedAt.Before(v.IssuedAt) {
		return a.Session.StartedAt
	}
	return v.IssuedAt
}

// sessionLife is what is left of the session, for its page.
func (s *Server) sessionLife(a *actor, v sessionCookie) *templates.SessionLife {
	now, end := s.now(), s.sessionEnds(a, v)
	idle := v.SeenAt.Add(s.config.SessionIdle)
	if idle.After(end) {
		idle = end
	}
	return &templates.SessionLife{
		IdleSeconds: max(0, int(idle.Sub(now).Seconds())), EndSeconds: max(0, int(end.Sub(now).Seconds())), EndsAt: secondOf(end),
	}
}

// sessionLeft is the answer of GET /session, in seconds.
type sessionLeft struct {
	Idle int `json:"idle_seconds"`
	End  int `json:"end_seconds"`
}

// showSession is GET /session: how long the session still lasts. A page asks
// by itself, so it keeps no session alive; without one it is 401.
func (s *Server) showSession(c echo.Context) error {
	a, v, err := s.identify(c, true)
	if err != nil {
		if s.classify(err).toSignIn {
			return c.JSON(http.StatusUnauthorized, sessionLeft{})
		}
		return err
	}
	life := s.sessionLife(a, v)
	return c.JSON(http.StatusOK, sessionLeft{life.IdleSeconds, life.EndSeconds})
}

// extendSession is POST /session/extend: somebody is there and says so.
func (s *Server) extendSession(c echo.Context) error {
	v, ok := c.Get(keyCookie).(sessionCookie)
	if !ok {
		return errNoSession
	}
	v.SeenAt = s.now().UTC()
	if err := s.setCookie(c, v); err != nil {
		return err
	}
	life := s.sessionLife(s.actor(c), v)
	return c.JSON(http.StatusOK, sessionLeft{life.IdleSeconds, life.EndSeconds})
}
