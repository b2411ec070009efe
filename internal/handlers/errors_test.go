package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/handlers"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

const hostile = "<b>upstream says</b> sql: no rows *errors.errorString"

func TestClassify(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	refused := func(status int, kind stytch.ErrorType) *stytch.Error {
		return &stytch.Error{Status: status, Type: kind, Message: hostile, RequestID: "request-id-test-1", Endpoint: "GET /x"}
	}
	limited := refused(429, stytch.ErrorTypeTooManyRequests)
	limited.RetryAfter, limited.HasRetryAfter = 1500*time.Millisecond, true
	deadline := fmt.Errorf("read: %w", context.DeadlineExceeded)
	tests := []struct {
		name   string
		err    error
		status int
		signIn bool
		text   string
		id     bool // the upstream's request id is shown
		retry  int
		level  slog.Level
	}{
		{name: "dead session", err: refused(404, stytch.ErrorTypeSessionNotFound), signIn: true, id: true},
		{name: "malformed session", err: refused(400, stytch.ErrorTypeInvalidSessionToken), signIn: true, id: true},
		{name: "unauthenticated", err: refused(401, stytch.ErrorTypeUserUnauthenticated), signIn: true, id: true},
		{name: "no acting session", err: stytch.ErrNoActingSession, signIn: true},
		{name: "project credentials", err: refused(401, stytch.ErrorTypeUnauthorizedCredentials), status: 502, text: "project credentials were refused", id: true, level: slog.LevelError},
		{name: "project secret", err: refused(401, stytch.ErrorTypeInvalidSecretAuthentication), status: 502, text: "project credentials were refused", id: true, level: slog.LevelError},
		{name: "another 401", err: refused(401, "enterprise_endpoint"), status: 502, text: "refused a request", id: true, level: slog.LevelWarn},
		{name: "forbidden", err: refused(403, "session_authorization_error"), status: 403, text: "your roles do not allow", id: true},
		{name: "suspended", err: refused(403, stytch.ErrorTypeOrganizationSuspended), status: 403, text: "suspended", id: true},
		{name: "member not found", err: refused(404, stytch.ErrorTypeMemberNotFound), status: 404, text: "knows nothing", id: true},
		{name: "a 404 that is not the API's", err: refused(404, ""), status: 502, text: "refused a request", id: true, level: slog.LevelWarn},
		{name: "no such route", err: refused(404, "route_not_found"), status: 502, text: "refused a request", id: true, level: slog.LevelWarn},
		{name: "rate limit", err: limited, status: 503, text: "Try again in 2 seconds", id: true, retry: 2, level: slog.LevelWarn},
		{name: "rate limit without a time", err: refused(429, ""), status: 503, text: "in a minute", id: true, level: slog.LevelWarn},
		{name: "other 4xx", err: refused(400, "bad_request"), status: 502, text: "refused a request", id: true, level: slog.LevelWarn},
		{name: "5xx", err: refused(500, stytch.ErrorTypeInternalServerError), status: 502, text: "fault of its own", id: true, level: slog.LevelWarn},
		{name: "5xx of a proxy", err: refused(503, ""), status: 502, text: "fault of its own", id: true, level: slog.LevelWarn},
		{name: "garbage", err: &stytch.AnswerError{Problem: hostile, RequestID: "request-id-test-1"}, status: 502, text: "not in a way", id: true, level: slog.LevelWarn},
		{name: "not sent", err: &stytch.TransportError{NotSent: true, Err: errors.New(hostile)}, status: 503, text: "could not be reached", level: slog.LevelWarn},
		{name: "not sent in time", err: &stytch.TransportError{NotSent: true, Timeout: true, Err: deadline}, status: 503, text: "could not be reached", level: slog.LevelWarn},
		{name: "timeout", err: &stytch.TransportError{Timeout: true, Err: deadline}, status: 504, text: "in time", level: slog.LevelWarn},
		{name: "broken", err: &stytch.TransportError{Err: errors.New(hostile)}, status: 502, text: "broke", level: slog.LevelWarn},
		{name: "browser gone", err: &stytch.TransportError{Err: context.Canceled}, status: 499, text: "cancelled", level: slog.LevelDebug},
		{name: "our deadline", err: deadline, status: 504, text: "in time", level: slog.LevelWarn},
		{name: "denied", err: &authz.DeniedError{Permission: authz.AuditRead(), RequestID: "request-id-test-1"}, status: 403, text: "console.audit: read", id: true},
		{name: "policy unread", err: &authz.PolicyUnreadError{Err: refused(500, "")}, status: 502, text: "permissions could not be used", id: true, level: slog.LevelWarn},
		{name: "policy not found is not a missing page", err: &authz.PolicyUnreadError{Err: refused(404, "policy_not_found")}, status: 502, text: "permissions could not be used", level: slog.LevelWarn},
		{name: "policy refused is not a missing permission", err: &authz.PolicyUnreadError{Err: refused(403, "x")}, status: 502, text: "permissions could not be used", level: slog.LevelWarn},
		{name: "policy null", err: &authz.PolicyUnreadError{}, status: 502, text: "permissions could not be used", level: slog.LevelWarn},
		{name: "policy late", err: &authz.PolicyUnreadError{Err: &stytch.TransportError{Timeout: true, Err: deadline}}, status: 504, text: "permissions could not be used", level: slog.LevelWarn},
		{name: "no verdict", err: &authz.UncheckedError{Permission: authz.AuditRead(), RequestID: "request-id-test-1", Problem: hostile}, status: 502, text: "not in a way", id: true, level: slog.LevelWarn},
		{name: "no event", err: audit.ErrNotFound, status: 404, text: "no such record"},
		{name: "no operation", err: helpdesk.ErrNotFound, status: 404, text: "no such record"},
		{name: "bad cursor", err: audit.ErrBadCursor, status: 400, text: "cannot be asked for"},
		{name: "bad argument", err: stytch.ErrBadArgument, status: 400, text: "cannot be asked for"},
		{name: "tampered", err: &audit.TamperedError{}, status: 500, text: "audit log does not fit", level: slog.LevelError},
		{name: "unknown page", err: echo.ErrNotFound, status: 404, text: "no such page"},
		{name: "wrong method", err: echo.ErrMethodNotAllowed, status: 405, text: "cannot be used in this way"},
		{name: "ours", err: echo.NewHTTPError(400, "Say it so."), status: 400, text: "Say it so."},
		{name: "ours, about the upstream", err: echo.NewHTTPError(400, "Say it so.").SetInternal(refused(500, "x")), status: 400, text: "Say it so.", id: true},
		{name: "too large", err: &http.MaxBytesError{Limit: 1}, status: 413, text: "too large"},
		{name: "anything else", err: errors.New(hostile), status: 500, text: "could not do this", level: slog.LevelError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{tt.err, fmt.Errorf("show something: %w", tt.err)} {
				f := s.server.Classify(err)
				if f.ToSignIn != tt.signIn || f.Status != tt.status || f.RetryAfter != tt.retry || f.Level != tt.level {
					t.Errorf("%v: sign in %v, status %d, retry %d, level %s; want %v, %d, %d, %s", err, f.ToSignIn, f.Status, f.RetryAfter, f.Level, tt.signIn, tt.status, tt.retry, tt.level)
				}
				if !strings.Contains(f.Text, tt.text) {
					t.Errorf("%v: text %q, want %q in it", err, f.Text, tt.text)
				}
				if tt.id && f.UpstreamID != "request-id-test-1" {
					t.Errorf("%v: upstream request id %q", err, f.UpstreamID)
				}
				for _, shown := range []string{f.Title, f.Text, f.Next, f.ErrorType} {
					if strings.Contains(shown, "upstream says") || strings.Contains(shown, "sql") {
						t.Errorf("%v: the error's own text is shown: %q", err, shown)
					}
				}
				if !tt.signIn && tt.status != 499 && f.Title == "" {
					t.Errorf("%v: no title", err)
				}
			}
		})
	}
}

// What a signed-in person sees of each trouble, and that nobody is signed out by it.
func TestPagesWhileTheUpstreamIsInTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  map[string]any
		status int
		alert  string
		retry  string
	}{
		{map[string]any{"kind": "bad_credentials"}, 502, "project credentials were refused", ""},
		{map[string]any{"kind": "rate_limit", "retry_after": 23}, 503, "Try again in 23 seconds", "23"},
		{map[string]any{"kind": "rate_limit"}, 503, "Try again in a minute", ""},
		{map[string]any{"kind": "server_error"}, 502, "fault of its own", ""},
		{map[string]any{"kind": "bad_gateway_html"}, 502, "fault of its own", ""},
		{map[string]any{"kind": "garbage"}, 502, "not in a way", ""},
		{map[string]any{"kind": "wrong_shape"}, 502, "not in a way", ""},
		{map[string]any{"kind": "empty_body"}, 502, "not in a way", ""},
		{map[string]any{"kind": "cut_body"}, 502, "not in a way", ""},
		{map[string]any{"kind": "redirect"}, 502, "not in a way", ""},
		{map[string]any{"kind": "reset"}, 502, "connection to Stytch broke", ""},
		{map[string]any{"kind": "hang"}, 504, "in time", ""},
		{map[string]any{"kind": "refuse", "status": 403, "error_type": "session_authorization_error"}, 403, "stytch.member: search", ""},
		{map[string]any{"kind": "refuse", "status": 400, "error_type": "bad_request"}, 502, "refused a request", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.fault["kind"], tt.status), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.signIn("ada@acme.example")
			tt.fault["endpoint"] = "members.search"
			s.faults(tt.fault)
			resp := b.get("/members").wantStatus(tt.status).wantAlert(tt.alert)
			if got := resp.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After %q, want %q", got, tt.retry)
			}
			if resp.text(".who") == "" || !strings.Contains(resp.text("main"), resp.Header.Get("X-Request-Id")) {
				t.Error("the page lacks who is signed in, or the request id")
			}
			b.get("/healthz").wantStatus(http.StatusOK)
			s.faults()
			b.get("/members").wantStatus(http.StatusOK) // still signed in
		})
	}
}

func TestPagesWithoutAnUpstream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	s.upstream.Close()
	b.get("/members") // may still meet a connection that was open, and see it break
	b.get("/members").wantStatus(http.StatusServiceUnavailable).wantAlert("could not be reached")
	s.clock.add(2 * time.Minute) // past what is cached of the session
	b.get("/members").wantStatus(http.StatusServiceUnavailable).wantAlert("could not be reached")
	if len(b.cookies) != 1 {
		t.Error("signed out by it")
	}
}

// A session that a screen finds dead is cleared, and the way back is kept.
func TestSessionFoundDeadByAScreen(t *testing.T) {
	t.Parallel()
	for _, dead := range []struct {
		status int
		kind   string
	}{{404, "session_not_found"}, {400, "invalid_session_token"}, {401, "user_unauthenticated"}} {
		t.Run(dead.kind, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			b := s.signIn("ada@acme.example")
			s.clock.add(61 * time.Second) // so that the same answer first renews the cookie
			b.get("/login")
			s.faults(map[string]any{"endpoint": "members.search", "kind": "refuse", "status": dead.status, "error_type": dead.kind})
			resp := b.get("/members?q=ada@")
			resp.wantLocation("/login?notice=session-ended&return=%2Fmembers%3Fq%3Dada%40")
			if n := len(resp.Header.Values("Set-Cookie")); n != 1 || len(b.cookies) != 0 {
				t.Errorf("%d cookies set, %d kept", n, len(b.cookies))
			}
		})
	}
}

// The mapper words what the upstream's bare no on a row's permission leaves open.
func TestForbiddenNamesPermissionAndRoles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("max@acme.example")
	resp := b.get("/members").wantStatus(http.StatusForbidden)
	for _, want := range []string{"stytch.member: search", "stytch_admin", "helpdesk", "auditor", "session_authorization_error", "request-id-"} {
		if !strings.Contains(resp.text("main"), want) {
			t.Errorf("the page lacks %q: %s", want, resp.text("main"))
		}
	}
}

func TestMethodNotAllowedSaysWhatIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	resp := s.browser().do(http.MethodDelete, "/members", nil).wantStatus(http.StatusMethodNotAllowed)
	if got := resp.Header.Get("Allow"); !strings.Contains(got, "GET") || !strings.Contains(got, "HEAD") || strings.Contains(got, "POST") {
		t.Errorf("Allow: %q", got)
	}
}

func TestPanicIsAPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	b.s = s.with(t, func(d *handlers.Deps) { d.Audit = nil })
	resp := b.get("/audit").wantStatus(http.StatusInternalServerError).wantAlert("could not do this")
	wantSecurityHeaders(t, resp.Header)
	if strings.Contains(resp.body, "nil pointer") || strings.Contains(resp.body, "goroutine") {
		t.Error("the panic is on the page")
	}
	if log := s.logs.String(); !strings.Contains(log, "nil pointer") || !strings.Contains(log, "goroutine") {
		t.Error("the panic is not in the log")
	}
	b.get("/members").wantStatus(http.StatusOK)
}

// Even where no page can be made, something is sent.
func TestLastWord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/members", nil)
	c := echo.New().NewContext(req, rec)
	handlers.BreakPages(c)
	s.server.HandleError(errors.New(hostile), c)
	if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), `role="alert"`) || strings.Contains(rec.Body.String(), "upstream says") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestBrowserGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	resp := b.get("/members", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if resp.StatusCode != 499 {
		t.Errorf("%d, want 499", resp.StatusCode)
	}
	if strings.Contains(s.logs.String(), `"level":"ERROR"`) {
		t.Error("a browser that left is an error in the log")
	}
}
