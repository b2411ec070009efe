package handlers

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/web/templates"
)

// NewServer gives tests what is behind the pages.
func NewServer(d Deps) (*Server, error) { return newServer(d) }

func (s *Server) SealForm(v any) (string, error)     { return s.sealForm(v) }
func (s *Server) OpenForm(token string, v any) error { return s.openForm(token, v) }
func (s *Server) SafeReturn(raw string) string       { return s.safeReturn(raw) }
func (s *Server) ClientIP(r *http.Request) string    { return s.clientIP(r) }

// Cookie is the value of a session cookie with this in it.
func (s *Server) Cookie(token, memberID, organizationID string, issued, seen time.Time) (string, error) {
	v := sessionCookie{Token: token, MemberID: memberID, OrganizationID: organizationID, IssuedAt: issued, SeenAt: seen}
	return securecookie.EncodeMulti(s.cookieName(), map[any]any{sessionKey: v}, s.cookies.Codecs...)
}

// Handler is what New returns.
func (s *Server) Handler() (http.Handler, error) { return s.handler() }

// HeldReaders is how many connections to the store the slow pages may hold at once.
const HeldReaders = maxExports + maxVerifications

// OccupyVerification lets a verification of another organization be under way for ever.
func (s *Server) OccupyVerification(organizationID string) {
	s.verified.begin(organizationID, s.now(), templates.Party{})
}

// AuditRows is how many rows a page makes of what it found up to a place.
func (s *Server) AuditRows(t testing.TB, organizationID string, events []audit.Event, top int64) int {
	entries, err := s.auditEntries(t.Context(), organizationID, audit.Filter{}, events, top)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// SearchedBack is the page of a search that stopped.
func (s *Server) SearchedBack(address url.Values, next string, until time.Time) templates.Audit {
	var v templates.Audit
	q, _ := parseAuditQuery(address)
	s.pagerView(&v, q, auditList{next: next, until: until})
	return v
}

// HandleError is Echo's error handler.
func (s *Server) HandleError(err error, c echo.Context) { s.handleError(err, c) }

// BreakPages makes every page of this request panic while it is made.
func BreakPages(c echo.Context) { c.Set(keyActor, &actor{}) }

// Failure is what an error is to people.
type Failure struct {
	Status, RetryAfter                       int
	Title, Text, ErrorType, UpstreamID, Next string
	ToSignIn                                 bool
	Level                                    slog.Level
}

func (s *Server) Classify(err error) Failure {
	f := s.classify(err)
	return Failure{f.status, f.retryAfter, f.title, f.text, f.errorType, f.upstreamRequestID, strings.Join(f.next, " "), f.toSignIn, f.level}
}

// Row is a row of the route table.
type Row struct {
	Method, Path     string
	Public, SignedIn bool
	Permission       authz.Permission
}

func (s *Server) Rows() []Row {
	var all []Row
	for _, r := range s.routes() {
		all = append(all, Row{r.method, r.path, r.access.public, r.access.signedIn, r.access.permission})
	}
	return all
}

// Throttle is the sign-in throttle.
type Throttle struct{ t *throttle }

func NewThrottle(now func() time.Time) Throttle { return Throttle{newThrottle(now)} }

// Guess is Try for a code that no member's lock stands behind, and always wrong.
func (t Throttle) Guess(ip, organization, email string) time.Duration {
	_, wait := t.t.beginGuess(ip, organization, email)
	return wait
}

// Mail is Try for what sends a mail.
func (t Throttle) Mail(ip, organization, to string) time.Duration {
	_, wait := t.t.beginMail(ip, organization, to)
	return wait
}

// Try makes one attempt and says how it ended, or how long it has to wait.
func (t Throttle) Try(ip, organization, email string, success bool) time.Duration {
	a, wait := t.t.begin(ip, organization, email)
	if a != nil && success {
		a.succeeded()
	}
	return wait
}
