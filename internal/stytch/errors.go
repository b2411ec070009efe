package stytch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrBadArgument is returned, before anything is sent, for an argument that cannot be part of a request: an empty id, an
// id that would change the path, a filter value the API is known to refuse.
var ErrBadArgument = errors.New("stytch: argument refused")

// ErrorType is the API's stable, machine-readable error code. Branch on it first and on the status second: which status
// goes with a type is not documented throughout.
type ErrorType string

// Error types the console branches on.
const (
	ErrorTypeBadRequest                      ErrorType = "bad_request"
	ErrorTypeInternalServerError             ErrorType = "internal_server_error"
	ErrorTypeTooManyRequests                 ErrorType = "too_many_requests"
	ErrorTypeUserLockLimitReached            ErrorType = "user_lock_limit_reached"
	ErrorTypeUnauthorizedCredentials         ErrorType = "unauthorized_credentials"
	ErrorTypeUserUnauthenticated             ErrorType = "user_unauthenticated"
	ErrorTypeInvalidSecretAuthentication     ErrorType = "invalid_secret_authentication"
	ErrorTypeInvalidProjectIDAuthentication  ErrorType = "invalid_project_id_authentication"
	ErrorTypeInvalidAuthorizationHeader      ErrorType = "invalid_authorization_header"
	ErrorTypeSessionNotFound                 ErrorType = "session_not_found"
	ErrorTypeInvalidSessionToken             ErrorType = "invalid_session_token"
	ErrorTypeSessionAuthorizationError       ErrorType = "session_authorization_error"
	ErrorTypeSessionAuthorizationTenancy     ErrorType = "session_authorization_tenancy_error"
	ErrorTypeUnauthorizedAction              ErrorType = "unauthorized_action"
	ErrorTypeOrganizationNotFound            ErrorType = "organization_not_found"
	ErrorTypeOrganizationSuspended           ErrorType = "organization_suspended"
	ErrorTypeInvalidOrganizationID           ErrorType = "invalid_organization_id"
	ErrorTypeMemberNotFound                  ErrorType = "member_not_found"
	ErrorTypeMemberPasswordNotFound          ErrorType = "member_password_not_found"
	ErrorTypePasswordNotFound                ErrorType = "password_not_found"
	ErrorTypeMemberDoesNotExistInOrg         ErrorType = "member_does_not_exist_in_organization"
	ErrorTypeEmailNotFound                   ErrorType = "email_not_found"
	ErrorTypeInvalidID                       ErrorType = "invalid_id"
	ErrorTypeInvalidPasswordID               ErrorType = "invalid_password_id"
	ErrorTypeInvalidEmail                    ErrorType = "invalid_email"
	ErrorTypeInvalidMemberGetFields          ErrorType = "invalid_member_get_fields"
	ErrorTypeMemberResetPassword             ErrorType = "member_reset_password"
	ErrorTypeResetPassword                   ErrorType = "reset_password"
	ErrorTypeRestrictedByAuthMethods         ErrorType = "operation_restricted_by_organization_auth_methods"
	ErrorTypeRestrictedByMFAMethods          ErrorType = "operation_restricted_by_organization_mfa_methods"
	ErrorTypeCrossOrgPasswordsEnabled        ErrorType = "cross_org_passwords_enabled"
	ErrorTypeCrossOrgPasswordsNotEnabled     ErrorType = "cross_org_passwords_not_enabled"
	ErrorTypeNoPasswordResetRedirectURL      ErrorType = "no_password_reset_redirect_url"
	ErrorTypeInvalidPasswordResetRedirectURL ErrorType = "invalid_password_reset_redirect_url"

	ErrorTypeUnableToAuthMagicLink                          ErrorType = "unable_to_auth_magic_link"
	ErrorTypeMagicLinkNotFound                              ErrorType = "magic_link_not_found"
	ErrorTypeUnableToAuthOTPCode                            ErrorType = "unable_to_auth_otp_code"
	ErrorTypeOTPCodeNotFound                                ErrorType = "otp_code_not_found"
	ErrorTypeUnableToAuthenticateTOTP                       ErrorType = "unable_to_authenticate_totp"
	ErrorTypeTOTPCodeAlreadyAuthenticated                   ErrorType = "totp_code_already_authenticated"
	ErrorTypeRecoveryCodeUsedAsTOTPCode                     ErrorType = "recovery_code_used_as_totp_code"
	ErrorTypeUnableToAuthenticateRecoveryCode               ErrorType = "unable_to_authenticate_recovery_code"
	ErrorTypeUnableToAuthPasswordResetToken                 ErrorType = "unable_to_auth_password_reset_token"
	ErrorTypeUnableToAuthImpersonationToken                 ErrorType = "unable_to_auth_impersonation_token"
	ErrorTypeSSOTokenNotFound                               ErrorType = "sso_token_not_found"
	ErrorTypeOAuthTokenNotFound                             ErrorType = "oauth_token_not_found"
	ErrorTypeIntermediateSessionNotFound                    ErrorType = "intermediate_session_not_found"
	ErrorTypeInvalidIntermediateSessionTokenForOrganization ErrorType = "invalid_intermediate_session_token_for_organization"
	ErrorTypeWeakPassword                                   ErrorType = "weak_password"
	ErrorTypeBreachedPassword                               ErrorType = "breached_password"
	ErrorTypeStaleFactors                                   ErrorType = "stale_factors"
	ErrorTypeSessionTooOldToResetPassword                   ErrorType = "session_too_old_to_reset_password"
	ErrorTypeEmailJITProvisioningNotAllowed                 ErrorType = "email_jit_provisioning_not_allowed"
	ErrorTypeInvalidEmailForJITProvisioning                 ErrorType = "invalid_email_for_jit_provisioning"
	ErrorTypeActiveTOTPExists                               ErrorType = "active_totp_exists"
	ErrorTypePendingTOTPExists                              ErrorType = "pending_totp_exists"
	ErrorTypeSessionNotMutable                              ErrorType = "session_not_mutable"
	ErrorTypeInactiveEmail                                  ErrorType = "inactive_email"
)

// Error is an answer of the API with a status of 400 or more. Its texts come from upstream: show Type and RequestID to
// people, not Message.
type Error struct {
	Status        int       // the HTTP status, whatever the body says
	Type          ErrorType // empty when the body was not the API's JSON
	Message       string
	URL           string // a documentation page
	RequestID     string
	Endpoint      string
	RetryAfter    time.Duration // from now; meaningful if HasRetryAfter
	HasRetryAfter bool
	Details       json.RawMessage
}

// Error names the endpoint, never an id in its path.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("stytch: " + e.Endpoint + ": " + strconv.Itoa(e.Status))
	if e.Type != "" {
		b.WriteString(" " + string(e.Type))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

// TransportError means that no answer was read. Unless NotSent is set, the request may have had its effect.
type TransportError struct {
	Endpoint string
	NotSent  bool // no connection was ever got, so nothing can have reached the API
	Timeout  bool // a deadline passed, the client's or the caller's
	Err      error
}

func (e *TransportError) Error() string {
	state := "no answer"
	if e.NotSent {
		state = "not sent"
	}
	return fmt.Sprintf("stytch: %s: %s: %v", e.Endpoint, state, e.Err)
}

// Unwrap returns the cause; errors.Is finds context.Canceled and context.DeadlineExceeded.
func (e *TransportError) Unwrap() error { return e.Err }

// AnswerError means that something answered with a status below 400, but not as the API does: garbage, a cut or
// oversized body, a redirect, a missing id, ids that contradict each other. The request may have had its effect.
type AnswerError struct {
	Endpoint  string
	Status    int
	RequestID string // where it could be read
	Problem   string // a fixed phrase of this package
	Err       error  // may be nil
}

func (e *AnswerError) Error() string {
	s := fmt.Sprintf("stytch: %s: answer %d not understood: %s", e.Endpoint, e.Status, e.Problem)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.RequestID != "" {
		s += " (request id " + e.RequestID + ")"
	}
	return s
}

// Unwrap returns the cause, if there is one.
func (e *AnswerError) Unwrap() error { return e.Err }
