package handlers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// What a refused sign-in is recorded with, besides helpdesk's own details.
const (
	detailPassword   = "password_refused"
	detailCode       = "code_refused"
	detailToken      = "token_refused"
	detailLocked     = "locked"
	detailFactors    = "second_factor_not_allowed"
	detailMethod     = "method_not_allowed"
	detailReset      = "reset_required"
	detailSuspended  = "organization_suspended"
	detailIncomplete = "not_authenticated"
	detailTooLate    = "sign_in_expired"
	detailNotHere    = "not_asked_for_here"
	detailWeak       = "weak_password"
)

// refusal is a step of a sign-in that did not succeed: what people are told,
// and what is recorded. It is an error so that it can come back from a try.
type refusal struct {
	failure failure
	outcome audit.Outcome
	detail  string
	http    audit.HTTP
	guess   bool   // it may have been an attempt to find out a secret
	restart bool   // what was proven so far is worth nothing any more
	request string // the upstream's request id, for the record
	err     error
}

func (r *refusal) Error() string {
	if r.err == nil {
		return "sign-in refused: " + r.detail
	}
	return "sign-in refused: " + r.detail + ": " + r.err.Error()
}

func (r *refusal) Unwrap() error { return r.err }

func (r *refusal) notice() *templates.Notice {
	n := &templates.Notice{Kind: templates.Bad, Title: r.failure.text, Lines: r.failure.next, RequestID: r.failure.upstreamRequestID}
	if r.failure.errorType != "" {
		n.Text = "Stytch says: " + r.failure.errorType + "."
	}
	return n
}

// refused words what the upstream said to a step of a sign-in, and finds out
// which organization was meant, for the record.
func (s *Server) refused(ctx context.Context, t *try, err error) (*refusal, string) {
	no := s.wordRefusal(err, t.way)
	no.err = err
	if !answered(err) {
		return no, t.expect.organizationID
	}
	// A wrong secret and refused project credentials look the same; a call
	// that has only the credentials to be refused for tells them apart.
	var (
		named   *stytch.OrganizationResponse
		lookErr error
	)
	switch {
	case t.expect.organization != "":
		named, lookErr = s.stytch.GetOrganization(ctx, t.expect.organization)
	case t.expect.organizationID != "":
		named, lookErr = s.stytch.GetOrganization(ctx, t.expect.organizationID)
	default:
		_, lookErr = s.stytch.WhoAmI(ctx)
	}
	if refused, ok := errors.AsType[*stytch.Error](lookErr); ok && refused.Status == http.StatusUnauthorized && helpdesk.CredentialsRefused(refused.Type) {
		return &refusal{
			failure: fromUpstream(refused), outcome: audit.OutcomeFailed, detail: helpdesk.DetailCredentials,
			http: audit.HTTP{Status: refused.Status, ErrorType: string(refused.Type)}, err: lookErr,
		}, ""
	}
	if lookErr != nil || named == nil {
		return no, t.expect.organizationID
	}
	// Where passwords are not allowed nobody is told more than that: a member
	// who is there would otherwise be told from one who is not.
	if t.way == wayPassword && (no.guess || no.detail == detailMethod) && !allowsMethod(named.Organization, stytch.Member{}, methodPassword) {
		methodNotAllowed(no, t.way)
		no.guess = true
	}
	return no, named.Organization.OrganizationID
}

// answered reports whether the API itself refused the sign-in.
func answered(err error) bool {
	refused, ok := errors.AsType[*stytch.Error](err)
	return ok && refused.Status < http.StatusInternalServerError && refused.Type != stytch.ErrorTypeTooManyRequests
}

// wordRefusal sorts the upstream's refusals. Which of organization, person and
// secret was wrong is never told.
func (s *Server) wordRefusal(err error, w way) *refusal {
	no := &refusal{outcome: audit.OutcomeFailed, detail: helpdesk.DetailRefused}
	if errors.Is(err, stytch.ErrBadArgument) {
		wrongSecret(no, w)
		return no
	}
	refused, ok := errors.AsType[*stytch.Error](err)
	if !ok {
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
	no.http, no.request = audit.HTTP{Status: refused.Status, ErrorType: string(refused.Type)}, refused.RequestID
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
		no.failure.next = []string{"You are not signed in. This says nothing about your password or code."}
	case refused.Type == stytch.ErrorTypeRestrictedByAuthMethods:
		methodNotAllowed(no, w)
	case refused.Type == stytch.ErrorTypeRestrictedByMFAMethods:
		no.detail, no.outcome = detailFactors, audit.OutcomeDenied
		no.failure.text = "This organization does not allow that second factor."
		no.failure.next = []string{"Use another one, or ask an admin of your organization."}
	case refused.Type == stytch.ErrorTypeMemberResetPassword, refused.Type == stytch.ErrorTypeResetPassword:
		no.detail = detailReset
		no.failure.text = "This password must be reset before it works again."
		no.failure.next = []string{"It was found in a list of leaked passwords, or an admin asked for it. Use “Forgot password?” below to set a new one."}
	case refused.Type == stytch.ErrorTypeOrganizationSuspended:
		no.detail, no.outcome = detailSuspended, audit.OutcomeDenied
		no.failure = fromUpstream(refused)
	case proofLost(refused.Type), w.factor() && helpdesk.SessionDead(refused.Type):
		no.detail, no.restart = detailTooLate, true
		no.failure.status = http.StatusUnauthorized
		no.failure.text = "This sign-in took too long, or was finished in another tab."
		no.failure.next = []string{"Start again. A sign-in may take ten minutes after its first step."}
	case wrongFor(w, refused):
		wrongSecret(no, w)
		no.failure.upstreamRequestID = "" // it would be the one thing that differs between the answers
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

func methodNotAllowed(no *refusal, w way) {
	no.detail, no.outcome = detailMethod, audit.OutcomeDenied
	no.failure.upstreamRequestID = "" // as in wordRefusal
	no.failure.status, no.failure.text = http.StatusForbidden, "This organization does not allow signing in with "+w.words()+"."
	no.failure.next = []string{"Use one of the other ways, or ask an admin of your organization."}
}

// proofLost reports the types that mean an intermediate session is no longer good.
func proofLost(t stytch.ErrorType) bool {
	return t == stytch.ErrorTypeIntermediateSessionNotFound || t == stytch.ErrorTypeInvalidIntermediateSessionTokenForOrganization
}

// wrongFor reports the answers that mean: the secret of this way is wrong,
// used or too old, or there is nobody it could belong to.
func wrongFor(w way, e *stytch.Error) bool {
	if e.Type == stytch.ErrorTypeUnauthorizedCredentials {
		return e.Status == http.StatusUnauthorized
	}
	if slices.Contains([]stytch.ErrorType{
		stytch.ErrorTypeOrganizationNotFound, stytch.ErrorTypeInvalidOrganizationID, stytch.ErrorTypeInvalidID,
		stytch.ErrorTypeMemberNotFound, stytch.ErrorTypeMemberDoesNotExistInOrg, stytch.ErrorTypeEmailNotFound, stytch.ErrorTypeInvalidEmail,
		stytch.ErrorTypeMemberPasswordNotFound, stytch.ErrorTypePasswordNotFound,
	}, e.Type) {
		return true
	}
	if w == wayPassword {
		return false
	}
	if w.token() && e.Status != http.StatusForbidden {
		return e.Type != stytch.ErrorTypeWeakPassword && e.Type != stytch.ErrorTypeBreachedPassword // whatever it is, the token is no good
	}
	return slices.Contains([]stytch.ErrorType{
		stytch.ErrorTypeUnableToAuthOTPCode, stytch.ErrorTypeOTPCodeNotFound,
		stytch.ErrorTypeUnableToAuthenticateTOTP, stytch.ErrorTypeTOTPCodeAlreadyAuthenticated, stytch.ErrorTypeRecoveryCodeUsedAsTOTPCode,
		stytch.ErrorTypeUnableToAuthenticateRecoveryCode,
	}, e.Type)
}

func wrongSecret(no *refusal, w way) {
	no.failure.status, no.guess, no.detail = http.StatusUnauthorized, true, detailCode
	switch {
	case w == wayPassword:
		no.detail = detailPassword
		no.failure.text = "Organization, email or password is wrong."
		no.failure.next = []string{"For safety it is not said which. Check all three, then ask an admin of your organization."}
	case w == wayOwnPassword:
		no.detail = detailPassword
		no.failure.text = "The current password is wrong."
	case w.token():
		no.detail, no.guess = detailToken, false
		no.failure.text = "This " + w.thing() + " was used already, is too old, or was asked for in another browser."
		no.failure.next = []string{"Nobody was signed in with it. Start again, in this browser."}
	case w == wayTOTP:
		no.failure.text = "The code is wrong."
		no.failure.next = []string{"Wait for the next one in the app: each is taken once. If none works, look at the clock of the phone."}
	case w == wayRecovery:
		no.failure.text = "The recovery code is wrong, or was used before."
	default:
		no.failure.text = "The code is wrong or too old."
		no.failure.next = []string{"Only the newest one counts. Ask for another if it does not come."}
	}
}

// slugLike is what may be recorded of an organization that does not exist:
// people type other things into that field, passwords too.
var slugLike = regexp.MustCompile(`^[A-Za-z0-9._~-]{2,128}$`)

// newAttempt is the record of one step of a sign-in, as far as it goes without saying.
func newAttempt(c echo.Context, organization, email string) helpdesk.SignInAttempt {
	a := helpdesk.SignInAttempt{IP: c.RealIP(), UserAgent: userAgent(c.Request()), RequestID: requestID(c)}
	if slugLike.MatchString(organization) {
		a.TypedOrganization = organization
	}
	if parsed, err := mail.ParseAddress(email); err == nil && parsed.Address == email {
		a.TypedEmail = email
	}
	return a
}

func (s *Server) recordRefusal(ctx context.Context, c echo.Context, t *try, organizationID string, no *refusal) {
	a := newAttempt(c, t.expect.organization, t.expect.email)
	a.OrganizationID, a.Outcome, a.HTTP, a.Detail = organizationID, no.outcome, no.http, no.detail
	a.UpstreamRequestID, a.Action, a.Factors = cmp.Or(no.request, no.failure.upstreamRequestID), t.failedAction(), []string{t.way.factorType()}
	if t.expect.memberID != "" {
		a.MemberID, a.Email = t.expect.memberID, t.expect.email
	}
	s.recordStep(ctx, a)
}

// recordStep records a step after which nobody is signed in: what people are
// told stays true without the record.
func (s *Server) recordStep(ctx context.Context, a helpdesk.SignInAttempt) {
	ctx = context.WithoutCancel(ctx)
	if err := s.desk.RecordSignIn(ctx, a); err != nil {
		s.log.ErrorContext(ctx, "step of a sign-in not recorded", slog.Any("error", err), slog.String("request_id", a.RequestID))
	}
}

// oneLine joins sentences for a place that has room for one paragraph.
func oneLine(sentences ...string) string { return strings.TrimSpace(strings.Join(sentences, " ")) }
