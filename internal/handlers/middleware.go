package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"
)

const (
	// requestTime bounds a request. It is longer than the longest operation,
	// which has its own bound, and shorter than the server's write timeout.
	requestTime = 100 * time.Second
	// jitter is how many bytes at most are added to a compressed page, so that
	// its size does not tell what a secret in it begins with (BREACH).
	jitter    = 32
	maxLogged = 200
)

// middleware is around every request, found or not, outermost first.
func (s *Server) middleware() []echo.MiddlewareFunc {
	return []echo.MiddlewareFunc{
		withRequestID,       // first: everything after it may log
		s.securityHeaders,   // before anything answers, so that no answer is without
		s.logAccess,         // turns errors into pages, so it knows every status
		s.recoverPanic,      // inside the log: a panic is an error like others, and is logged as one
		s.requireHost,       // before anything reads the request as one of ours
		s.requireHTTPS,      // before a password or cookie is looked at
		s.requireSameOrigin, // before anything changes
		limitBody,           // before anything reads the body
		withDeadline,        // last: it is for the handlers
	}
}

// compress is around all of it, as the writer of every answer.
func compress(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.EnableZstd(true), gzhttp.ZstdCompressionLevel(int(zstd.SpeedDefault)), gzhttp.RandomJitter(jitter, 0, false),
	)
	if err != nil {
		return nil, fmt.Errorf("handlers: compression: %w", err)
	}
	return wrap(next), nil
}

func withRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := rand.Text()
		c.Set(keyRequestID, id)
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

func requestID(c echo.Context) string {
	id, _ := c.Get(keyRequestID).(string)
	return id
}

// logAccess counts each request, and writes one line: never a query, a cookie or a body.
func (s *Server) logAccess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begun := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		r, took := c.Request(), time.Since(begun)
		route := c.Path()
		s.count(r.Method, route, c.Response().Status, took)
		if route == "" {
			route = clip(r.URL.Path)
		}
		level := slog.LevelInfo
		if p := c.Path(); p == "/healthz" || p == "/readyz" || strings.HasPrefix(p, "/static/") {
			level = slog.LevelDebug
		}
		s.log.LogAttrs(r.Context(), level, "request",
			slog.String("method", clip(r.Method)), slog.String("route", route), slog.Int("status", c.Response().Status),
			slog.Duration("duration", took), slog.Int64("bytes", c.Response().Size), // before compression
			slog.String("request_id", requestID(c)), slog.String("ip", c.RealIP()))
		return nil
	}
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > maxLogged {
		return strings.ToValidUTF8(s[:maxLogged], "") + "…"
	}
	return s
}

// panicError is a panic on its way to the error mapper.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				err = &panicError{v, debug.Stack()}
			}
		}()
		return next(c)
	}
}

// errMisdirected says that a request is for a host that is not ours.
var errMisdirected = errors.New("not our host")

// requireHost refuses requests for another host, so that no name made to
// resolve to this machine can be used to read pages, and no link is built on
// a name somebody else chose. Probes use whatever address they have.
func (s *Server) requireHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		probe := c.Path() == "/healthz" || c.Path() == "/readyz"
		if !probe && canonicalHost(s.config.PublicURL.Scheme, c.Request().Host) != s.host {
			return errMisdirected
		}
		return next(c)
	}
}

// requireHTTPS acts on the word of a listed proxy alone: without one, or with
// one that does not say, nothing is known about how people reach it.
func (s *Server) requireHTTPS(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !s.https || !s.trusts(remoteAddr(r)) || !strings.EqualFold(r.Header.Get(echo.HeaderXForwardedProto), "http") {
			return next(c)
		}
		if c.Path() == "/healthz" || c.Path() == "/readyz" {
			return next(c)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return echo.NewHTTPError(http.StatusForbidden, "The console takes nothing over plain http. Open it by its https address.")
		}
		return c.Redirect(http.StatusPermanentRedirect, "https://"+s.host+r.URL.RequestURI())
	}
}

// refusals counts what is refused without being audited one by one.
type refusals struct {
	crossSite atomic.Int64
	throttled atomic.Int64
}

// errCrossSite says that a request did not come from a page of ours.
var errCrossSite = errors.New("not from a page of ours")

// requireSameOrigin refuses what a page of another site makes a browser send.
func (s *Server) requireSameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		if err := protection.Check(c.Request()); err != nil {
			return s.refuseCrossSite(c, err)
		}
		return next(c)
	}
}

// requireOrigin refuses, on routes that change something, a request that does
// not say at all where it comes from: every browser in use does.
func (s *Server) requireOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
		if h.Get("Sec-Fetch-Site") == "" && h.Get(echo.HeaderOrigin) == "" {
			return s.refuseCrossSite(c, errors.New("neither Sec-Fetch-Site nor Origin"))
		}
		return next(c)
	}
}

func (s *Server) refuseCrossSite(c echo.Context, why error) error {
	s.log.WarnContext(c.Request().Context(), "cross-site request refused", slog.Any("why", why), slog.String("route", c.Path()),
		slog.Int64("since_start", s.refusals.crossSite.Add(1)), slog.String("request_id", requestID(c)), slog.String("ip", c.RealIP()))
	return errCrossSite
}

func limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
		return next(c)
	}
}

func withDeadline(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		limit := requestTime
		if c.Path() == exportPath {
			limit = exportTime
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), limit)
		defer cancel()
		outer := c.Request()
		c.SetRequest(outer.WithContext(ctx))
		err := next(c)
		// The page of an error needs no deadline, least of all one that has passed.
		inner := c.Request()
		outer.Form, outer.PostForm = inner.Form, inner.PostForm // a form can be read once
		c.SetRequest(outer)
		return err
	}
}

// clientIP is the address a request comes from: the connection's, or, behind
// listed proxies, the first from the right that is not one of theirs.
func (s *Server) clientIP(r *http.Request) string {
	ip := remoteAddr(r)
	if !ip.IsValid() {
		return ""
	}
	hops := strings.Split(strings.Join(r.Header.Values(echo.HeaderXForwardedFor), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(ip); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = hop.Unmap().WithZone("")
	}
	return ip.String()
}

func remoteAddr(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}

func (s *Server) trusts(ip netip.Addr) bool {
	for _, p := range s.config.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
