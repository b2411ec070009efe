package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

// Deps is what the pages work with.
type Deps struct {
	Stytch *stytch.Client
	Authz  *authz.Authorizer
	Audit  *audit.Log
	Desk   *helpdesk.Desk
	JWTs   *stytch.JWTVerifier // needed with shared cookies only
	DB     Pinger
	Lag    Lagger                                                     // optional
	Count  func(method, route string, status int, took time.Duration) // optional: is told of each request, its route by the pattern
	Logger *slog.Logger
	Now    func() time.Time
	Config Config

	// Background runs what goes on when its request is over, with a context that ends when the console does.
	Background func(run func(ctx context.Context))
}

// Pinger says whether the store can be reached.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Lagger says how far what is sent out of the audit is behind the log of an organization.
type Lagger interface {
	Lag(ctx context.Context, organizationID string) (audit.StreamLag, error)
}

// Config is what the operator decides about the pages.
type Config struct {
	PublicURL      *url.URL       // the one address the console is served under: scheme, host and port
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	PublicToken    string         // of the project, for sending browsers to Stytch; "": no single sign-on, no OAuth
	SharedCookies  []string       // names of cookies in which another application keeps its Stytch session; none: not accepted
	AnswerStep     time.Duration  // refused sign-ins are answered at whole multiples of this; 0: at once
	SessionKeys    [][]byte       // 64 bytes each, 32 to sign and 32 to encrypt; newest first
	SessionIdle    time.Duration
	SessionMax     time.Duration
	ReasonRequired bool
	TicketPattern  *regexp.Regexp    // nil: any
	TimeZone       *time.Location    // of organizations whose metadata name none; nil: UTC
	OfficeHours    audit.OfficeHours // of those whose metadata name none, without a zone; no day: Mon-Fri 08:00-18:00
	Demo           *Demo             // nil: no demo
	Build          string
}

// Demo is what the sign-in page of the demo shows.
type Demo struct {
	People   []DemoPerson
	InboxURL string // where its mails and text messages can be read
}

// DemoPerson is somebody the demo lets anybody sign in as.
type DemoPerson struct {
	Name, Role, Email, Password, Organization string
}

// Server holds what the handlers share. It is safe for concurrent use.
type Server struct {
	stytch *stytch.Client
	authz  *authz.Authorizer
	audit  *audit.Log
	desk   *helpdesk.Desk
	db     Pinger
	lag    Lagger // may be nil
	count  func(method, route string, status int, took time.Duration)
	log    *slog.Logger
	now    func() time.Time
	config Config

	background func(run func(ctx context.Context))

	host     string // of the public address, as a browser writes it
	https    bool   // people reach the console by https
	pages    []pagePattern
	cookies  *sessions.CookieStore
	forms    []securecookie.Codec
	throttle *throttle
	lookups  *lookups
	once     *onceSteps
	jwts     *stytch.JWTVerifier // nil: no shared cookies
	refusals refusals
	verified *verifications
	exports  chan struct{} // one place for each that may be under way
	lastWord []byte        // the page for when no page can be rendered
}

// New returns the console's pages as one handler.
func New(d Deps) (http.Handler, error) {
	s, err := newServer(d)
	if err != nil {
		return nil, err
	}
	return s.handler()
}

func (s *Server) handler() (http.Handler, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.handleError
	e.IPExtractor = s.clientIP
	e.Use(s.middleware()...)
	for _, r := range s.routes() {
		h := r.wrap(s)
		e.Add(r.method, r.path, h)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, h) // net/http drops the body
		}
	}
	return compress(e)
}

func newServer(d Deps) (*Server, error) {
	c := d.Config
	switch {
	case c.PublicURL == nil || c.PublicURL.Host == "":
		return nil, errors.New("handlers: no public URL")
	case c.SessionIdle <= 0 || c.SessionMax <= 0:
		return nil, errors.New("handlers: session times must be positive")
	case len(c.SharedCookies) > 0 && d.JWTs == nil:
		return nil, errors.New("handlers: shared cookies without a verifier of JWTs")
	case d.Background == nil:
		return nil, errors.New("handlers: nothing to run in the background with")
	}
	if d.Count == nil {
		d.Count = func(string, string, int, time.Duration) {}
	}
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	if c.OfficeHours == (audit.OfficeHours{}) {
		var err error
		if c.OfficeHours, err = ParseOfficeHours(DefaultOfficeHours); err != nil {
			return nil, fmt.Errorf("handlers: %w", err)
		}
	}
	s := &Server{
		stytch: d.Stytch, authz: d.Authz, audit: d.Audit, desk: d.Desk, db: d.DB, lag: d.Lag, count: d.Count, log: d.Logger, now: d.Now, config: c,
		host: canonicalHost(c.PublicURL.Scheme, c.PublicURL.Host), https: c.PublicURL.Scheme == "https",
		throttle: newThrottle(d.Now), lookups: newLookups(d.Now), once: newOnceSteps(d.Now), jwts: d.JWTs,
		exports: make(chan struct{}, maxExports), verified: newVerifications(), background: d.Background,
	}
	pairs, err := keyPairs(c.SessionKeys)
	if err != nil {
		return nil, err
	}
	s.cookies = newCookieStore(pairs, c.SessionMax, s.https)
	s.forms = newFormCodecs(pairs)
	s.pages = s.pagePatterns()
	if s.lastWord, err = renderLastWord(c.Build); err != nil {
		return nil, fmt.Errorf("handlers: render the page of last resort: %w", err)
	}
	return s, nil
}

// canonicalHost is a host with its port, in lower case and without the port
// that goes without saying.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(host, port)
}
