package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// statusClientGone is what the log shows when the browser left before the
// answer; nobody reads the answer.
const statusClientGone = 499

// failure is what an error is to people: a status, fixed sentences and ids.
// Nothing else of an error reaches a page.
type failure struct {
	status            int
	title             string
	text              string
	next              []string
	errorType         string
	upstreamRequestID string
	rows              []templates.Row
	retryAfter        int // seconds; 0 says nothing
	level             slog.Level
	signIn            string // leads to the sign-in page with this notice instead
	toSignIn          bool
}

// Sentences that stand in more than one place.
const (
	nextReload   = "Reload the page in a minute."
	nextOperator = "If it goes on, tell the operator of the console and give the request IDs below."
	nextStart    = "Go back, or begin at the start page."

	textCredentials = "The console's project credentials were refused by Stytch."
	nextCredentials = "Tell the operator of the console. You are still signed in, and nothing was changed."
)

// classify is the one place where an error gets a status and words.
func (s *Server) classify(err error) failure {
	var (
		worded    *echo.HTTPError
		panicked  *panicError
		unread    *authz.PolicyUnreadError
		unchecked *authz.UncheckedError
		denied    *authz.DeniedError
		refused   *stytch.Error
		lost      *stytch.TransportError
		garbled   *stytch.AnswerError
		tooLarge  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &panicked):
		return internal()
	case errors.As(err, &worded):
		return fromHTTPError(worded)
	case errors.Is(err, errNoSession):
		return failure{toSignIn: true, level: slog.LevelDebug}
	case errors.Is(err, errSessionEnded), errors.Is(err, stytch.ErrNoActingSession):
		return failure{toSignIn: true, signIn: noticeEnded, level: slog.LevelInfo}
	case errors.Is(err, errCrossSite):
		return failure{
			status: http.StatusForbidden, title: "Refused", level: slog.LevelInfo,
			text: "This request did not come from a page of the console. Nothing was done.",
			next: []string{"Open the console and do it there.", "If you did, your browser is too old to say where a form comes from, or something on the way removes that."},
		}
	case errors.Is(err, errMisdirected):
		return failure{
			status: http.StatusMisdirectedRequest, title: "Wrong address", level: slog.LevelInfo,
			text: "The console is not served under this address.",
			next: []string{"Open " + s.config.PublicURL.String() + " instead."},
		}
	case errors.As(err, &unread):
		// What the policy does not list may only be concluded from a policy that was read.
		f := s.classify(unreadCause(unread))
		if f.status < http.StatusBadGateway {
			f = upstreamGarbled()
		}
		f.text = "Stytch's answer about the project's permissions could not be used, so nothing is shown. " + f.text
		return f
	case errors.As(err, &unchecked):
		f := upstreamGarbled()
		f.upstreamRequestID = unchecked.RequestID
		return f
	case errors.As(err, &denied):
		return forbidden(denied)
	case errors.As(err, &refused):
		return fromUpstream(refused)
	case errors.As(err, &garbled):
		f := upstreamGarbled()
		f.upstreamRequestID = garbled.RequestID
		return f
	case errors.Is(err, context.Canceled):
		return failure{
			status: statusClientGone, title: "Cancelled", level: slog.LevelDebug, text: "The request was cancelled before it was answered.",
		}
	case errors.As(err, &lost) && lost.NotSent:
		return failure{
			status: http.StatusServiceUnavailable, title: "Stytch cannot be reached", level: slog.LevelWarn,
			text: "Stytch could not be reached. Nothing was sent.", next: []string{nextReload, nextOperator},
		}
	case errors.As(err, &lost) && lost.Timeout, errors.Is(err, context.DeadlineExceeded):
		return failure{
			status: http.StatusGatewayTimeout, title: "Stytch did not answer in time", level: slog.LevelWarn,
			text: "Stytch did not answer in time.", next: []string{nextReload, nextOperator},
		}
	case errors.As(err, &lost):
		return failure{
			status: http.StatusBadGateway, title: "Stytch did not answer", level: slog.LevelWarn,
			text: "The connection to Stytch broke before it answered.", next: []string{nextReload, nextOperator},
		}
	case errors.Is(err, audit.ErrNotFound), errors.Is(err, helpdesk.ErrNotFound):
		return notFound("There is no such record in your organization.")
	case errors.Is(err, audit.ErrBadCursor), errors.Is(err, stytch.ErrBadArgument):
		return badRequest("The address or the form holds a value that cannot be asked for.")
	case errors.As(err, &tooLarge):
		return failure{
			status: http.StatusRequestEntityTooLarge, title: "Too large", level: slog.LevelInfo, text: "The form is too large.",
		}
	case errors.Is(err, audit.ErrTampered):
		f := internal()
		f.text = "The audit log does not fit its own checkpoints. Nothing is done until an operator has looked at it."
		f.next = []string{"Tell the operator of the console to run: console audit verify."}
		return f
	default:
		return internal()
	}
}

func unreadCause(e *authz.PolicyUnreadError) error {
	if e.Err == nil {
		return &stytch.AnswerError{}
	}
	return e.Err
}

func internal() failure {
	return failure{
		status: http.StatusInternalServerError, title: "Something went wrong", level: slog.LevelError,
		text: "The console could not do this. The reason is in its log.",
		next: []string{"Go back and try again.", "If it happens again, tell the operator of the console and give the request ID below."},
	}
}

func notFound(text string) failure {
	return failure{status: http.StatusNotFound, title: "Not found", level: slog.LevelInfo, text: text, next: []string{nextStart}}
}

func badRequest(text string) failure {
	return failure{status: http.StatusBadRequest, title: "Not understood", level: slog.LevelInfo, text: text, next: []string{nextStart}}
}

func upstreamGarbled() failure {
	return failure{
		status: http.StatusBadGateway, title: "Stytch's answer is unusable", level: slog.LevelWarn,
		text: "Stytch answered, but not in a way the console can use.", next: []string{nextReload, nextOperator},
	}
}

// fromHTTPError takes the console's own errors as they are worded, and words those of Echo.
func fromHTTPError(e *echo.HTTPError) failure {
	f := failure{status: e.Code, title: titleOf(e.Code), level: slog.LevelInfo, next: []string{nextStart}}
	text, _ := e.Message.(string)
	switch {
	case text != "" && text != http.StatusText(e.Code):
		f.text = text
	case e.Code == http.StatusNotFound:
		f.text = "There is no such page."
	case e.Code == http.StatusMethodNotAllowed:
		f.text = "This page cannot be used in this way."
	case e.Code >= http.StatusInternalServerError:
		return internal()
	default:
		f.text = "The request was refused."
	}
	if e.Code >= http.StatusInternalServerError {
		f.level = slog.LevelError
	}
	if refused, ok := errors.AsType[*stytch.Error](e.Internal); ok {
		f.errorType, f.upstreamRequestID = string(refused.Type), refused.RequestID
	}
	return f
}

// titleOf is the heading of an error that has only a status.
func titleOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "Not understood"
	case http.StatusForbidden:
		return "Not allowed"
	}
	if text := http.StatusText(status); text != "" {
		return sentence(text)
	}
	return "Refused"
}

// sentence begins a word with a capital letter and has no other.
func sentence(s string) string { return strings.ToUpper(s[:1]) + strings.ToLower(s[1:]) }

// forbidden names what is missing and who has it.
func forbidden(e *authz.DeniedError) failure {
	f := failure{
		status: http.StatusForbidden, title: "Not allowed", level: slog.LevelInfo,
		text: fmt.Sprintf("Your roles do not have %s.", e.Permission), errorType: e.Type, upstreamRequestID: e.RequestID,
		rows: []templates.Row{codeRow("Missing permission", e.Permission.String())},
		next: []string{"Ask an admin of your organization, or somebody with one of the roles that have it."},
	}
	if len(e.RolesWith) > 0 {
		f.rows = append(f.rows, textRow("Roles that have it", strings.Join(e.RolesWith, ", ")))
	} else {
		f.next = []string{"Ask an admin of your organization."}
	}
	return f
}

// fromUpstream words an answer of Stytch with an error status, on any call but
// a sign-in by password.
func fromUpstream(e *stytch.Error) failure {
	f := failure{level: slog.LevelWarn, errorType: string(e.Type), upstreamRequestID: e.RequestID, next: []string{nextReload, nextOperator}}
	switch {
	case helpdesk.SessionDead(e.Type):
		return failure{toSignIn: true, signIn: noticeEnded, level: slog.LevelInfo, errorType: f.errorType, upstreamRequestID: f.upstreamRequestID}
	case e.Status == http.StatusUnauthorized && helpdesk.CredentialsRefused(e.Type):
		f.status, f.title, f.text, f.level = http.StatusBadGateway, "Project credentials refused", textCredentials, slog.LevelError
		f.next = []string{nextCredentials}
	case e.Type == stytch.ErrorTypeOrganizationSuspended:
		f.status, f.title, f.level = http.StatusForbidden, "Organization suspended", slog.LevelInfo
		f.text, f.next = "Stytch says that this organization is suspended.", []string{"Ask whoever runs the project."}
	case e.Status == http.StatusForbidden:
		f.status, f.title, f.level = http.StatusForbidden, "Not allowed", slog.LevelInfo
		f.text, f.next = "Stytch says that your roles do not allow this.", []string{"Ask an admin of your organization."}
	case e.Status == http.StatusNotFound && strings.HasSuffix(string(e.Type), "_not_found") && e.Type != "route_not_found":
		missing := notFound("Stytch knows nothing under this address in your organization.")
		missing.errorType, missing.upstreamRequestID = f.errorType, f.upstreamRequestID
		return missing
	case e.Status == http.StatusTooManyRequests:
		f.status, f.title = http.StatusServiceUnavailable, "Too many requests"
		f.text, f.retryAfter = rateLimitText(e)
		f.next = []string{"Wait, then reload the page."}
	case e.Status >= http.StatusInternalServerError:
		f.status, f.title, f.text = http.StatusBadGateway, "Stytch has a fault", "Stytch answered with a fault of its own."
	default:
		f.status, f.title, f.text = http.StatusBadGateway, "Stytch refused the request", "Stytch refused a request of the console."
		f.next = []string{nextOperator}
	}
	return f
}

func rateLimitText(e *stytch.Error) (text string, seconds int) {
	if !e.HasRetryAfter {
		return "Stytch takes no more requests for now and did not say for how long. Try again in a minute.", 0
	}
	seconds = wholeSeconds(e.RetryAfter)
	return fmt.Sprintf("Stytch takes no more requests for now. Try again in %s.", plural(seconds, "second")), seconds
}

// wholeSeconds rounds up: who waits that long has waited enough.
func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// handleError is where every error of a request ends: one page, one log line.
func (s *Server) handleError(err error, c echo.Context) {
	f := s.classify(s.nameDenied(c, err))
	s.logFailure(c, err, f)
	if c.Response().Committed {
		return
	}
	if f.toSignIn {
		if a := s.actor(c); a != nil {
			s.authz.Forget(a.Acting)
			s.authz.ForgetSession(a.Session)
		}
		if err := s.toLogin(c, f.signIn); err != nil {
			s.logFailure(c, err, internal())
		}
		return
	}
	if f.retryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(f.retryAfter))
	}
	if err := s.renderFailure(c, f); err != nil {
		s.logFailure(c, err, internal())
		if err := s.sendLastWord(c, f.status); err != nil {
			s.logFailure(c, err, internal())
		}
	}
}

// nameDenied gives a refusal the words it lacks: the route's permission where
// the upstream only said no, and the roles that have it.
func (s *Server) nameDenied(c echo.Context, err error) error {
	var (
		worded  *echo.HTTPError
		unread  *authz.PolicyUnreadError
		denied  *authz.DeniedError
		refused *stytch.Error
	)
	if errors.As(err, &worded) || errors.As(err, &unread) {
		return err
	}
	permission, _ := c.Get(keyPermission).(authz.Permission)
	switch {
	case errors.As(err, &denied):
		named := *denied
		denied = &named
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden &&
		refused.Type != stytch.ErrorTypeOrganizationSuspended && !permission.IsZero():
		denied = &authz.DeniedError{Permission: permission, RequestID: refused.RequestID, Status: refused.Status, Type: string(refused.Type)}
	default:
		return err
	}
	if a := s.actor(c); a != nil && len(denied.RolesWith) == 0 {
		if policy, err := s.policy(c.Request().Context(), a.Session); err == nil {
			denied.RolesWith = policy.RolesWith(denied.Permission)
		}
	}
	return denied
}

// renderFailure may fail or panic like any page; the caller has a last word.
func (s *Server) renderFailure(c echo.Context, f failure) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v}
		}
	}()
	s.identifyQuickly(c)
	page := s.pageAround(noCall(c), c, f.title)
	v := templates.Failure{
		Page: page, Status: strconv.Itoa(f.status), Text: f.text, Next: f.next, ErrorType: f.errorType,
		UpstreamRequestID: f.upstreamRequestID, RequestID: requestID(c), Rows: f.rows,
	}
	if f.status != http.StatusMisdirectedRequest {
		v.Links = []templates.Link{{Text: "Start page", URL: "/"}}
	}
	return render(c, f.status, templates.FailurePage(v))
}

func (s *Server) logFailure(c echo.Context, err error, f failure) {
	attrs := []slog.Attr{
		slog.Any("error", err), slog.Int("status", f.status), slog.String("route", c.Path()), slog.String("request_id", requestID(c)),
	}
	if panicked, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(panicked.stack)))
	}
	if f.upstreamRequestID != "" {
		attrs = append(attrs, slog.String("upstream_request_id", f.upstreamRequestID))
	}
	s.log.LogAttrs(c.Request().Context(), f.level, "request failed", attrs...)
}
