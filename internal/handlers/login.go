package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

const (
	maxOrganization = 128
	maxAddress      = 254
	maxPassword     = 1024
)

// What a refused sign-in is recorded with, besides helpdesk's own details.
const (
	detailPassword   = "password_refused"
	detailLocked     = "locked"
	detailFactors    = "more_factors_needed"
	detailMethod     = "method_not_allowed"
	detailReset      = "reset_required"
	detailSuspended  = "organization_suspended"
	detailIncomplete = "not_authenticated"
)

// loginForm is what was typed.
type loginForm struct {
	organization, email, password string
	returnPath                    string
}

func (s *Server) parseLogin(c echo.Context) loginForm {
	return loginForm{
		organization: strings.TrimSpace(c.FormValue("organization")),
		email:        strings.TrimSpace(c.FormValue("email")),
		password:     c.FormValue("password"),
		returnPath:   s.safeReturn(c.FormValue("return")),
	}
}

// problems says what cannot be an organization, an address or a password.
func (f loginForm) problems() []string {
	var all []string
	switch {
	case f.organization == "":
		all = append(all, "Fill in the organization: its short name (slug), for example acme.")
	case len(f.organization) > maxOrganization || !utf8.ValidString(f.organization):
		all = append(all, fmt.Sprintf("An organization's slug has at most %d characters.", maxOrganization))
	}
	switch {
	case f.email == "":
		all = append(all, "Fill in the email address.")
	case len(f.email) > maxAddress || !utf8.ValidString(f.email) || !strings.Contains(f.email, "@"):
		all = append(all, "The email address is not one: it looks like name@example.com.")
	}
	switch {
	case f.password == "":
		all = append(all, "Fill in the password.")
	case len(f.password) > maxPassword || !utf8.ValidString(f.password):
		all = append(all, fmt.Sprintf("A password has at most %d characters.", maxPassword))
	}
	return all
}

// showLogin is GET /login.
func (s *Server) showLogin(c echo.Context) error {
	form := loginForm{returnPath: s.safeReturn(c.QueryParam("return"))}
	switch _, _, err := s.identify(c, true); {
	case err == nil:
		return c.Redirect(http.StatusSeeOther, orHome(form.returnPath))
	case s.classify(err).toSignIn && !errors.Is(err, errNoSession):
		s.clearCookie(c)
	}
	var notice *templates.Notice
	switch c.QueryParam("notice") {
	case noticeSignedOut:
		notice = &templates.Notice{Kind: templates.Good, Text: "You are signed out."}
	case noticeEnded:
		notice = &templates.Notice{Kind: templates.Info, Text: "Your session has ended. Sign in to go on."}
	}
	return s.renderLogin(c, http.StatusOK, form, notice)
}

// renderLogin never gets the password back.
func (s *Server) renderLogin(c echo.Context, status int, form loginForm, notice *templates.Notice) error {
	v := templates.Login{
		Page: s.page(c, "Sign in"), Organization: form.organization, Email: form.email, Return: form.returnPath, Error: notice,
	}
	if s.config.Demo != nil {
		for _, p := range s.config.Demo.People {
			v.People = append(v.People, templates.LoginPerson(p))
		}
	}
	return render(c, status, templates.LoginPage(v))
}

func orHome(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// signIn is POST /login/password.
func (s *Server) signIn(c echo.Context) error {
	ctx, form := c.Request().Context(), s.parseLogin(c)
	if problems := form.problems(); len(problems) > 0 {
		return s.renderLogin(c, http.StatusUnprocessableEntity, form, &templates.Notice{
			Kind: templates.Bad, Title: "You are not signed in", Lines: problems,
		})
	}
	try, wait := s.throttle.begin(c.RealIP(), form.organization, form.email)
	if try == nil {
		return s.slowDown(c, form, wait)
	}
	answer, err := s.stytch.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{
		OrganizationID: form.organization, EmailAddress: form.email, Password: stytch.Secret(form.password),
		SessionDurationMinutes: sessionMinutes(s.config.SessionMax),
	})
	if err == nil && answer.MemberAuthenticated {
		try.succeeded()
		return s.enter(c, form, answer)
	}
	var (
		no             refusal
		organizationID string // where it is recorded
	)
	if err == nil {
		no, organizationID = unfinished(answer), answer.Organization.OrganizationID
	} else {
		no, organizationID = s.refusedSignIn(ctx, form, err)
	}
	if !no.guess {
		try.undecided()
	}
	s.recordRefusal(c, form, organizationID, no)
	if no.failure.retryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(no.failure.retryAfter))
	}
	notice := &templates.Notice{
		Kind: templates.Bad, Title: no.failure.text, Lines: no.failure.next, RequestID: no.failure.upstreamRequestID,
	}
	if no.failure.errorType != "" {
		notice.Text = "Stytch says: " + no.failure.errorType + "."
	}
	return s.renderLogin(c, no.failure.status, form, notice)
}

// sessionMinutes is a session's length as the upstream takes it.
func sessionMinutes(d time.Duration) int {
	return min(max(int(d/time.Minute), stytch.MinSessionMinutes), stytch.MaxSessionMinutes)
}

// slowDown is counted and logged, and not recorded one by one.
func (s *Server) slowDown(c echo.Context, form loginForm, wait time.Duration) error {
	seconds := wholeSeconds(wait)
	s.log.WarnContext(c.Request().Context(), "sign-in throttled", slog.Int64("since_start", s.refused.throttled.Add(1)),
		slog.Int("wait_seconds", seconds), slog.String("request_id", requestID(c)), slog.String("ip", c.RealIP()))
	c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(seconds))
	return s.renderLogin(c, http.StatusTooManyRequests, form, &templates.Notice{
		Kind: templates.Bad, Title: "Too many attempts to sign in",
		Text: fmt.Sprintf("Wait %s, then try again. The password was not checked.", plural(seconds, "second")),
	})
}

// enter makes the session of somebody the upstream has just authenticated.
// Without a record of it nobody comes in.
func (s *Server) enter(c echo.Context, form loginForm, answer *stytch.AuthenticateResponse) error {
	ctx := c.Request().Context()
	if !answersTo(form, answer) {
		// Somebody else's sign-in, mixed up on the way. Nobody gets it.
		return &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the answer is about another sign-in"}
	}
	acting, err := stytch.ActingToken(answer.SessionToken.Reveal())
	if err != nil {
		return &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the session token is not one"}
	}
	session := authz.NewSession(*answer.Session, answer.Member, answer.Organization)
	var together errgroup.Group
	together.Go(func() error {
		return s.desk.RecordSignIn(ctx, helpdesk.SignInAttempt{
			OrganizationID: session.OrganizationID, TypedOrganization: form.organization, TypedEmail: form.email,
			MemberID: session.MemberID, Email: session.Email, SessionID: session.SessionID, Factors: session.Factors,
			Outcome: audit.OutcomeSucceeded, HTTP: audit.HTTP{Status: answer.StatusCode}, UpstreamRequestID: answer.RequestID,
			Detail: helpdesk.DetailAnswer, IP: c.RealIP(), UserAgent: userAgent(c.Request()), RequestID: requestID(c),
		})
	})
	together.Go(func() error {
		_, _ = s.policy(ctx, session) // read ahead for the page that comes next, which copes without
		return nil
	})
	if err := together.Wait(); err != nil {
		return s.turnAway(ctx, c, acting, fmt.Errorf("record sign-in: %w", err))
	}
	s.authz.Remember(acting, session)
	now := s.now().UTC()
	err = s.setCookie(c, sessionCookie{
		Token: answer.SessionToken.Reveal(), MemberID: session.MemberID, OrganizationID: session.OrganizationID, IssuedAt: now, SeenAt: now,
	})
	if err != nil {
		return s.turnAway(ctx, c, acting, fmt.Errorf("make session cookie: %w", err))
	}
	return c.Redirect(http.StatusSeeOther, orHome(form.returnPath))
}

// answersTo reports whether an answer is about the address and organization
// that were typed; an organization has three names.
func answersTo(form loginForm, answer *stytch.AuthenticateResponse) bool {
	o := answer.Organization
	return strings.EqualFold(answer.Member.EmailAddress, form.email) &&
		slices.ContainsFunc([]string{o.OrganizationSlug, o.OrganizationID, o.OrganizationExternalID}, func(name string) bool {
			return strings.EqualFold(name, form.organization)
		})
}

// turnAway ends a session that nobody will use, as far as that can be done.
func (s *Server) turnAway(ctx context.Context, c echo.Context, acting stytch.ActingSession, why error) error {
	if _, err := s.stytch.RevokeSession(ctx, acting); err != nil {
		s.log.WarnContext(ctx, "unused session not revoked", slog.Any("error", err), slog.String("request_id", requestID(c)))
	}
	return why
}

// refusal is a sign-in that did not succeed: what people are told, and what is recorded.
type refusal struct {
	failure failure
	outcome audit.Outcome
	detail  string
	http    audit.HTTP
	guess   bool // it may have been an attempt to find out a password
}

// unfinished is a password that was right and not enough.
func unfinished(answer *stytch.AuthenticateResponse) refusal {
	no := refusal{
		failure: failure{status: http.StatusForbidden, upstreamRequestID: answer.RequestID},
		outcome: audit.OutcomeFailed, http: audit.HTTP{Status: answer.StatusCode},
	}
	switch {
	case answer.MFARequired != nil && answer.PrimaryRequired == nil:
		no.detail = detailFactors
		no.failure.text = "A second factor is needed, which this page cannot ask for yet."
		no.failure.next = []string{"The password was right, but your organization or your account asks for a code as well.", "Ask an admin of your organization."}
	case answer.PrimaryRequired != nil:
		no.detail = detailMethod
		no.failure.text = "A password alone is not enough for this organization."
		no.failure.next = []string{"Your organization wants another way of signing in, which this page cannot offer yet.", "Ask an admin of your organization."}
	default:
		no.detail, no.outcome = detailIncomplete, audit.OutcomeUnknown
		no.failure = upstreamGarbled()
		no.failure.upstreamRequestID = answer.RequestID
	}
	return no
}

// refusedSignIn words what the upstream said to a sign-in, and finds out which
// organization was meant, for the record.
func (s *Server) refusedSignIn(ctx context.Context, form loginForm, err error) (refusal, string) {
	no := s.wordRefusal(err)
	if !answered(err) {
		return no, ""
	}
	// A wrong password and refused project credentials look the same; a call
	// that has only the credentials to be refused for tells them apart.
	named, lookErr := s.stytch.GetOrganization(ctx, form.organization)
	var refused *stytch.Error
	switch {
	case lookErr == nil:
		return no, named.Organization.OrganizationID
	case errors.As(lookErr, &refused) && refused.Status == http.StatusUnauthorized && helpdesk.CredentialsRefused(refused.Type):
		return refusal{
			failure: fromUpstream(refused), outcome: audit.OutcomeFailed, detail: helpdesk.DetailCredentials,
			http: audit.HTTP{Status: refused.Status, ErrorType: string(refused.Type)},
		}, ""
	default:
		return no, ""
	}
}

// answered reports whether the API itself refused the sign-in.
func answered(err error) bool {
	var refused *stytch.Error
	return errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Type != stytch.ErrorTypeTooManyRequests
}

// wordRefusal sorts the upstream's refusals of a password. Which of
// organization, person and password was wrong is never told.
func (s *Server) wordRefusal(err error) refusal {
	no := refusal{outcome: audit.OutcomeFailed, detail: helpdesk.DetailRefused}
	var refused *stytch.Error
	if errors.Is(err, stytch.ErrBadArgument) {
		no.failure, no.detail, no.guess = wrongPassword(), detailPassword, true
		return no
	}
	if !errors.As(err, &refused) {
		no.failure, no.outcome, no.detail = s.classify(err), audit.OutcomeUnknown, helpdesk.DetailNoAnswer
		var (
			lost    *stytch.TransportError
			garbled *stytch.AnswerError
		)
		switch {
		case errors.As(err, &lost) && lost.NotSent:
			no.outcome, no.detail = audit.OutcomeFailed, helpdesk.DetailNotSent
		case errors.As(err, &garbled):
			no.detail = helpdesk.DetailBadAnswer
		}
		return no
	}
	no.http = audit.HTTP{Status: refused.Status, ErrorType: string(refused.Type)}
	no.failure = failure{status: http.StatusForbidden, upstreamRequestID: refused.RequestID}
	switch {
	case refused.Status >= http.StatusInternalServerError:
		no.failure, no.outcome, no.detail = fromUpstream(refused), audit.OutcomeUnknown, helpdesk.DetailFault
	case refused.Type == stytch.ErrorTypeUserLockLimitReached:
		no.failure.status, no.detail = http.StatusTooManyRequests, detailLocked
		no.failure.text = "This account is locked after too many failed attempts to sign in."
		no.failure.next = []string{"It unlocks by itself, usually within an hour. An admin can see until when on the member's page."}
		if refused.HasRetryAfter {
			no.failure.retryAfter = wholeSeconds(refused.RetryAfter)
		}
	case refused.Status == http.StatusTooManyRequests:
		no.failure, no.detail = fromUpstream(refused), helpdesk.DetailRateLimited
		no.failure.next = []string{"You are not signed in. This says nothing about your password."}
	case refused.Type == stytch.ErrorTypeRestrictedByAuthMethods:
		no.detail, no.outcome = detailMethod, audit.OutcomeDenied
		no.failure.text = "This organization does not allow signing in with a password."
		no.failure.next = []string{"It wants another way of signing in, which this page cannot offer yet.", "Ask an admin of your organization."}
	case refused.Type == stytch.ErrorTypeRestrictedByMFAMethods:
		no.detail, no.outcome = detailFactors, audit.OutcomeDenied
		no.failure.text = "This organization does not allow the second factor of this account."
		no.failure.next = []string{"Ask an admin of your organization."}
	case refused.Type == stytch.ErrorTypeMemberResetPassword, refused.Type == stytch.ErrorTypeResetPassword:
		no.detail = detailReset
		no.failure.text = "This password must be reset before it works again."
		no.failure.next = []string{"Stytch found it in a list of leaked passwords, or an admin asked for it. Use the reset link of your own application, or ask an admin for a reset email."}
	case refused.Type == stytch.ErrorTypeOrganizationSuspended:
		no.detail, no.outcome = detailSuspended, audit.OutcomeDenied
		no.failure = fromUpstream(refused)
	case saysWrong(refused):
		no.failure, no.detail, no.guess = wrongPassword(), detailPassword, true
	case refused.Status == http.StatusUnauthorized && helpdesk.CredentialsRefused(refused.Type):
		no.failure, no.detail = fromUpstream(refused), helpdesk.DetailCredentials
	case refused.Status == http.StatusForbidden:
		no.outcome = audit.OutcomeDenied
		no.failure.text, no.failure.errorType = "Stytch does not let this account sign in.", string(refused.Type)
		no.failure.next = []string{"Ask an admin of your organization."}
	default:
		no.failure = fromUpstream(refused)
		if no.failure.toSignIn {
			no.failure = upstreamGarbled()
		}
	}
	return no
}

// saysWrong reports that organization, person or password is wrong. The
// password of a member who has none is wrong too.
func saysWrong(e *stytch.Error) bool {
	switch e.Type {
	case stytch.ErrorTypeUnauthorizedCredentials:
		return e.Status == http.StatusUnauthorized
	case stytch.ErrorTypeOrganizationNotFound, stytch.ErrorTypeInvalidOrganizationID, stytch.ErrorTypeInvalidID,
		stytch.ErrorTypeMemberNotFound, stytch.ErrorTypeMemberDoesNotExistInOrg, stytch.ErrorTypeEmailNotFound, stytch.ErrorTypeInvalidEmail,
		stytch.ErrorTypeMemberPasswordNotFound, stytch.ErrorTypePasswordNotFound:
		return true
	default:
		return false
	}
}

func wrongPassword() failure {
	return failure{
		status: http.StatusUnauthorized, text: "Organization, email or password is wrong.",
		next: []string{"For safety it is not said which. Check all three, then ask an admin of your organization."},
	}
}

// slugLike is what may be recorded of an organization that does not exist:
// people type other things into that field, passwords too.
var slugLike = regexp.MustCompile(`^[A-Za-z0-9._~-]{2,128}$`)

func (s *Server) recordRefusal(c echo.Context, form loginForm, organizationID string, no refusal) {
	a := helpdesk.SignInAttempt{
		OrganizationID: organizationID, Outcome: no.outcome, HTTP: no.http, UpstreamRequestID: no.failure.upstreamRequestID,
		Detail: no.detail, IP: c.RealIP(), UserAgent: userAgent(c.Request()), RequestID: requestID(c),
	}
	if slugLike.MatchString(form.organization) {
		a.TypedOrganization = form.organization
	}
	if parsed, err := mail.ParseAddress(form.email); err == nil && parsed.Address == form.email {
		a.TypedEmail = form.email
	}
	if err := s.desk.RecordSignIn(c.Request().Context(), a); err != nil {
		// Nobody came in, so what is told stays true without the record.
		s.log.ErrorContext(c.Request().Context(), "failed sign-in not recorded", slog.Any("error", err), slog.String("request_id", requestID(c)))
	}
}
