package helpdesk

import (
	"errors"
	"math"
	"net/http"
	"slices"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

// finding is what one answer, or its absence, means for the outcome.
type finding struct {
	outcome       audit.Outcome
	detail        string
	status        int
	errorType     string
	requestID     string
	retryAfter    int // seconds
	permission    string
	rolesWith     []string
	evidence      string // request id of a re-read
	passwordAfter string
}

func (f finding) apply(op *Operation) {
	op.Outcome, op.Detail = f.outcome, f.detail
	if f.status != 0 || f.requestID != "" || f.errorType != "" {
		op.HTTPStatus, op.ErrorType, op.UpstreamRequestID = f.status, f.errorType, f.requestID
	}
	if f.evidence != "" {
		op.EvidenceRequestID = f.evidence
	}
	op.RetryAfter, op.Permission, op.RolesWith = f.retryAfter, f.permission, f.rolesWith
	op.PasswordAfter = f.passwordAfter
}

// classifyDelete reads the answer to a password deletion: success is only a
// 2xx about the intended member that no longer carries the intended password.
func classifyDelete(op *Operation, answer *stytch.MemberResponse, err error) finding {
	if err != nil {
		return classifyError(err)
	}
	f := finding{outcome: audit.OutcomeSucceeded, detail: DetailAnswer, status: answer.StatusCode, requestID: answer.RequestID, passwordAfter: answer.Member.MemberPasswordID}
	switch {
	case answer.MemberID != op.Target.MemberID || answer.Member.MemberID != op.Target.MemberID ||
		answer.Member.OrganizationID != op.OrganizationID:
		f.outcome, f.detail, f.passwordAfter = audit.OutcomeUnknown, DetailOtherMember, ""
	case answer.Member.MemberPasswordID == op.PasswordID:
		f.outcome, f.detail = audit.OutcomeUnknown, DetailIDKept
	}
	return f
}

// SessionDead reports the error types that mean the acting session is no
// longer good, and nothing else.
func SessionDead(t stytch.ErrorType) bool {
	return slices.Contains([]stytch.ErrorType{
		stytch.ErrorTypeSessionNotFound, stytch.ErrorTypeInvalidSessionToken, stytch.ErrorTypeUserUnauthenticated,
	}, t)
}

// CredentialsRefused reports the error types that mean the project's own
// secret was refused, on any call but a password sign-in.
func CredentialsRefused(t stytch.ErrorType) bool {
	return slices.Contains([]stytch.ErrorType{
		stytch.ErrorTypeUnauthorizedCredentials, stytch.ErrorTypeInvalidSecretAuthentication, stytch.ErrorTypeInvalidProjectIDAuthentication,
		stytch.ErrorTypeInvalidAuthorizationHeader,
	}, t)
}

// classifyError maps a call that did not come back with 2xx.
func classifyError(err error) finding {
	var (
		refused   *stytch.Error
		lost      *stytch.TransportError
		bad       *stytch.AnswerError
		denied    *authz.DeniedError
		unchecked *authz.UncheckedError
	)
	switch {
	case errors.As(err, &denied):
		return finding{
			outcome: audit.OutcomeDenied, detail: DetailCheck, status: denied.Status, errorType: denied.Type,
			requestID: denied.RequestID, permission: denied.Permission.String(), rolesWith: denied.RolesWith,
		}
	case errors.As(err, &unchecked):
		return finding{outcome: audit.OutcomeFailed, detail: DetailBadAnswer, requestID: unchecked.RequestID}
	case errors.As(err, &bad):
		return finding{outcome: audit.OutcomeUnknown, detail: DetailBadAnswer, status: bad.Status, requestID: bad.RequestID}
	case errors.As(err, &lost) && lost.NotSent:
		return finding{outcome: audit.OutcomeFailed, detail: DetailNotSent}
	case errors.As(err, &refused):
		return classifyRefusal(refused)
	case errors.Is(err, stytch.ErrNoActingSession), errors.Is(err, stytch.ErrBadArgument):
		return finding{outcome: audit.OutcomeFailed, detail: DetailNotSent}
	default:
		// Whatever is not understood was perhaps sent.
		return finding{outcome: audit.OutcomeUnknown, detail: DetailNoAnswer}
	}
}

func classifyRefusal(e *stytch.Error) finding {
	f := finding{outcome: audit.OutcomeFailed, detail: DetailRefused, status: e.Status, errorType: string(e.Type), requestID: e.RequestID}
	switch {
	// Whatever type it gives itself, a fault may hide an effect.
	case e.Status >= http.StatusInternalServerError:
		f.outcome, f.detail = audit.OutcomeUnknown, DetailFault
	case SessionDead(e.Type):
		f.detail = DetailSession
	case e.Status == http.StatusUnauthorized && CredentialsRefused(e.Type):
		f.detail = DetailCredentials
	case e.Status == http.StatusForbidden:
		f.outcome = audit.OutcomeDenied
	case e.Status == http.StatusNotFound &&
		(e.Type == stytch.ErrorTypeMemberPasswordNotFound || e.Type == stytch.ErrorTypeMemberNotFound):
		f.outcome = audit.OutcomeNotFound
	case e.Status == http.StatusTooManyRequests:
		f.detail = DetailRateLimited
		if e.HasRetryAfter {
			f.retryAfter = max(1, int(math.Ceil(e.RetryAfter.Seconds())))
		}
	}
	return f
}

// nothingSent turns the finding of a read or a check that came before the
// call into one about the call: whatever is unknown there, nothing was sent.
func nothingSent(f finding) finding {
	if f.outcome == audit.OutcomeUnknown {
		f.outcome = audit.OutcomeFailed
	}
	return f
}
