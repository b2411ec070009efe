package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

const (
	hashKeySize  = 32
	blockKeySize = 32

	// seenEvery is how often a session in use gets a cookie with a new last-seen time.
	seenEvery    = time.Minute
	maxUserAgent = 300
	maxReturn    = 1 << 10 // it has to fit into the cookie of a sign-in

	keyActor      = "actor"
	keyCookie     = "cookie"
	keyPermission = "permission"
	keyRequestID  = "request_id"
	keyZone       = "zone" // of the organization, for the times of the page
)

// sessionCookie is all that the session cookie holds. The Stytch session is
// the session; this only carries its token, signed and encrypted.
type sessionCookie struct {
	Token          string    `json:"token"`
	MemberID       string    `json:"member_id"`
	OrganizationID string    `json:"organization_id"`
	IssuedAt       time.Time `json:"issued_at"`
	SeenAt         time.Time `json:"seen_at"`

	// What is recorded of the end of a session that nobody can be asked about.
	SessionID string   `json:"session_id,omitempty"`
	Factors   []string `json:"factors,omitempty"`

	// Shared says that the token stays in another application's cookie; then
	// Token is empty and SessionID says which session it was.
	Shared bool `json:"shared,omitempty"`
}

// sessionKey is the one key under which gorilla/sessions keeps the struct.
const sessionKey = "session"

// sessionSerializer writes the one struct as JSON: the library's JSON encoder
// cannot encode its map of values, and gob would need a registered type.
type sessionSerializer struct{}

func (sessionSerializer) Serialize(src any) ([]byte, error) {
	values, ok := src.(map[any]any)
	if !ok {
		return nil, fmt.Errorf("session of type %T", src)
	}
	v, ok := values[sessionKey].(sessionCookie)
	if !ok {
		return nil, errors.New("no session to write")
	}
	return json.Marshal(v)
}

func (sessionSerializer) Deserialize(data []byte, dst any) error {
	values, ok := dst.(*map[any]any)
	if !ok {
		return fmt.Errorf("session into %T", dst)
	}
	var v sessionCookie
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*values = map[any]any{sessionKey: v}
	return nil
}

// keyPairs splits the session keys into what to sign and what to encrypt with.
func keyPairs(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, errors.New("handlers: no session keys")
	}
	pairs := make([][]byte, 0, 2*len(keys))
	for i, k := range keys {
		if len(k) != hashKeySize+blockKeySize {
			return nil, fmt.Errorf("handlers: session key %d has %d bytes, want %d", i+1, len(k), hashKeySize+blockKeySize)
		}
		pairs = append(pairs, k[:hashKeySize], k[hashKeySize:])
	}
	return pairs, nil
}

// newCookieStore sets every option: the library's defaults are a month, any
// site and no limit by the codecs' own clock.
func newCookieStore(pairs [][]byte, maxAge time.Duration, https bool) *sessions.CookieStore {
	store := sessions.NewCookieStore(pairs...)
	store.Options = &sessions.Options{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: https}
	for _, c := range store.Codecs {
		if sc, ok := c.(*securecookie.SecureCookie); ok {
			sc.MaxAge(int(maxAge / time.Second)).SetSerializer(sessionSerializer{})
		}
	}
	return store
}

func (s *Server) cookieName() string {
	if s.https {
		return "__Host-console"
	}
	return "console"
}

func (s *Server) setCookie(c echo.Context, v sessionCookie) error {
	session := sessions.NewSession(s.cookies, s.cookieName())
	session.Values[sessionKey] = v
	options := *s.cookies.Options
	session.Options = &options
	return s.saveCookie(c, session)
}

func (s *Server) clearCookie(c echo.Context) {
	session := sessions.NewSession(s.cookies, s.cookieName())
	session.Values[sessionKey] = sessionCookie{}
	options := *s.cookies.Options
	options.MaxAge = -1
	session.Options = &options
	if err := s.saveCookie(c, session); err != nil {
		panic(err) // an empty session always fits
	}
}

// saveCookie puts the cookie in place of any of its name that this answer set before.
func (s *Server) saveCookie(c echo.Context, session *sessions.Session) error {
	dropCookie(c, s.cookieName())
	return s.cookies.Save(c.Request(), c.Response(), session)
}

// Why there is no session.
var (
	errNoSession    = errors.New("no session")
	errSessionEnded = errors.New("the session has ended")
)

// openCookie returns what the request's cookie says, whatever its times.
func (s *Server) openCookie(c echo.Context) (sessionCookie, error) {
	if _, err := c.Request().Cookie(s.cookieName()); err != nil {
		return sessionCookie{}, errNoSession
	}
	session, err := s.cookies.New(c.Request(), s.cookieName())
	if err != nil {
		// Not ours, changed, too old, or signed with a key that was rotated out.
		return sessionCookie{}, errSessionEnded
	}
	v, _ := session.Values[sessionKey].(sessionCookie)
	return v, nil
}

// readCookie returns what the request's cookie says, within its times.
func (s *Server) readCookie(c echo.Context) (sessionCookie, stytch.ActingSession, error) {
	v, err := s.openCookie(c)
	if err != nil {
		return sessionCookie{}, stytch.ActingSession{}, err
	}
	now := s.now()
	over := now.Sub(v.IssuedAt) >= s.config.SessionMax || now.Sub(v.SeenAt) >= s.config.SessionIdle
	if v.Shared {
		if over {
			return v, stytch.ActingSession{}, errSessionEnded
		}
		return v, stytch.ActingSession{}, nil
	}
	acting, err := stytch.ActingToken(v.Token)
	if err != nil || over {
		return sessionCookie{}, stytch.ActingSession{}, errSessionEnded
	}
	return v, acting, nil
}

// actor is the person who is signed in, and where they sit.
type actor struct {
	Acting    stytch.ActingSession
	Session   *authz.Session
	IP        string
	UserAgent string
	RequestID string
}

// helpdeskActor is the actor as operations know one.
func (a *actor) helpdeskActor() helpdesk.Actor {
	return helpdesk.Actor{
		OrganizationID: a.Session.OrganizationID, MemberID: a.Session.MemberID, Email: a.Session.Email, Name: a.Session.Name,
		SessionID: a.Session.SessionID, Factors: a.Session.Factors, Acting: a.Acting, Session: a.Session,
		IP: a.IP, UserAgent: a.UserAgent, RequestID: a.RequestID,
	}
}

// actor returns who is signed in; on routes that need a session never nil.
func (s *Server) actor(c echo.Context) *actor {
	a, _ := c.Get(keyActor).(*actor)
	return a
}

func (s *Server) newActor(c echo.Context, acting stytch.ActingSession, session *authz.Session) *actor {
	return &actor{
		Acting: acting, Session: session, IP: c.RealIP(), UserAgent: userAgent(c.Request()), RequestID: requestID(c),
	}
}

func userAgent(r *http.Request) string {
	ua := strings.ToValidUTF8(r.UserAgent(), "\uFFFD")
	if len(ua) > maxUserAgent {
		ua = strings.ToValidUTF8(ua[:maxUserAgent], "")
	}
	return ua
}

// identify finds out who the request's cookie belongs to, asking the upstream
// where that is more than a minute old and ask is set. It returns errNoSession,
// errSessionEnded, or what the store or the upstream said.
func (s *Server) identify(c echo.Context, ask bool) (*actor, sessionCookie, error) {
	ctx := c.Request().Context()
	if !ask {
		ctx = noCall(c)
	}
	v, acting, err := s.readCookie(c)
	if len(s.config.SharedCookies) > 0 && (v.Shared || errors.Is(err, errNoSession)) {
		return s.identifyShared(ctx, c, v, err)
	}
	if err != nil {
		return nil, v, err
	}
	if v.Shared {
		return nil, v, errSessionEnded // it was accepted once, and is no more
	}
	if err := s.refuseEnded(c.Request().Context(), acting.Hash()); err != nil {
		return nil, v, err
	}
	session, err := s.authz.Session(ctx, acting)
	if err != nil {
		return nil, v, err
	}
	if session.MemberID != v.MemberID || session.OrganizationID != v.OrganizationID || !s.now().Before(session.ExpiresAt) {
		s.authz.Forget(acting)
		return nil, v, errSessionEnded
	}
	return s.newActor(c, acting, session), v, nil
}

// refuseEnded returns errSessionEnded for a session that was signed out here.
func (s *Server) refuseEnded(ctx context.Context, hash string) error {
	ended, err := s.desk.SessionEnded(ctx, hash)
	if err == nil && ended {
		return errSessionEnded
	}
	return err
}

// requireSession lets in only whoever is signed in, and leads others to the sign-in page.
func (s *Server) requireSession(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		a, v, err := s.identify(c, true)
		if err != nil {
			if key := s.requestKey(c); key != "" {
				if st, ok := s.once.recall(key); ok {
					return s.take(c, st) // the second click on what ended this session
				}
			}
			return err
		}
		c.Set(keyActor, a)
		if now := s.now(); now.Sub(v.SeenAt) >= seenEvery && active(c.Request()) {
			v.SeenAt = now.UTC()
			if err := s.setCookie(c, v); err != nil {
				return fmt.Errorf("renew session cookie: %w", err)
			}
		}
		c.Set(keyCookie, v)
		return next(c)
	}
}

// active reports a request that somebody made: what a browser fetches ahead by
// itself does not keep a session alive.
func active(r *http.Request) bool {
	purpose := r.Header.Get("Sec-Purpose") + r.Header.Get("Purpose")
	return !strings.Contains(purpose, "prefetch") && !strings.Contains(purpose, "prerender")
}

// identifyQuickly sets the actor of a page that needs none, such as that of
// an error, from what is known already: the upstream is not asked.
func (s *Server) identifyQuickly(c echo.Context) {
	if s.actor(c) != nil {
		return
	}
	if a, v, err := s.identify(c, false); err == nil {
		c.Set(keyActor, a)
		c.Set(keyCookie, v)
	}
}

// noCall is a context with which caches answer and upstream calls fail at once.
func noCall(c echo.Context) context.Context {
	ctx, cancel := context.WithCancel(c.Request().Context())
	cancel()
	return ctx
}

// Notices of the sign-in page, by the value that asks for one.
const (
	noticeSignedOut = "signed-out"
	noticeEnded     = "session-ended"
)

// loginAddress is the sign-in page that leads on to a path, which may be empty.
func loginAddress(notice, returnPath string) string {
	q := url.Values{}
	if notice != "" {
		q.Set("notice", notice)
	}
	if returnPath != "" && returnPath != "/" {
		q.Set("return", returnPath)
	}
	if len(q) == 0 {
		return "/login"
	}
	return "/login?" + q.Encode()
}

// toLogin clears what is left of a session and leads to the sign-in page, and
// from there back to where the request came from.
func (s *Server) toLogin(c echo.Context, notice string) error {
	if err := s.keepDraft(c); err != nil {
		return err
	}
	if _, err := c.Request().Cookie(s.cookieName()); err == nil || c.Response().Header().Get(echo.HeaderSetCookie) != "" {
		s.clearCookie(c)
	}
	return c.Redirect(http.StatusSeeOther, loginAddress(notice, s.wayBack(c.Request())))
}

// wayBack is the page to go on to after signing in: the one asked for, or for
// a POST, which must not be repeated, the one it was sent from.
func (s *Server) wayBack(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.safeReturn(r.URL.RequestURI())
	}
	if from, err := url.Parse(r.Referer()); err == nil && canonicalHost(from.Scheme, from.Host) == s.host {
		if p := s.safeReturn(from.RequestURI()); p != "" {
			return p
		}
	}
	return s.safeReturn(r.URL.EscapedPath()) // many actions have a page at their own address
}

// safeReturn returns a path if it leads to a page of the console, and nothing
// if it could lead anywhere else: another host, signing in again, signing out.
func (s *Server) safeReturn(raw string) string {
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") {
		return ""
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] >= 0x7f || raw[i] == '\\' {
			return ""
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	if u.RawPath != "" || path.Clean(u.Path) != u.Path || strings.ContainsAny(u.Path, "\\") || !s.isPage(u.Path) {
		return "" // none of our pages needs an escape in its path
	}
	if u.RawQuery == "" {
		return u.EscapedPath()
	}
	if len(u.RawQuery) > maxReturn {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}
