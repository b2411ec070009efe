package sandbox

import (
	"fmt"
	"net/http"
)

// apiError is an error object of the API.
type apiError struct {
	Status     int    `json:"status_code"`
	RequestID  string `json:"request_id"`
	Type       string `json:"error_type"`
	Message    string `json:"error_message"`
	URL        string `json:"error_url"`
	retryAfter string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Type) }

func (e *apiError) stamp(requestID string, _ int) {
	e.RequestID = requestID
	e.URL = fmt.Sprintf("https://stytch.com/docs/b2b/api/errors/%d#%s", e.Status, e.Type)
}

func fail(status int, errorType, message string) *apiError {
	return &apiError{Status: status, Type: errorType, Message: message}
}

func badRequest(message string) *apiError {
	return fail(http.StatusBadRequest, "bad_request", message)
}

func errCredentials() *apiError {
	return fail(http.StatusUnauthorized, "unauthorized_credentials", "The project id and secret are not those of this project.")
}

func errOrganizationNotFound() *apiError {
	return fail(http.StatusNotFound, "organization_not_found", "No organization has this id, slug or external id.")
}

func errMemberNotFound() *apiError {
	return fail(http.StatusNotFound, "member_not_found", "The organization has no such member.")
}

func errPasswordNotFound() *apiError {
	return fail(http.StatusNotFound, "member_password_not_found", "No such member password exists in the organization.")
}

func errSessionNotFound() *apiError {
	return fail(http.StatusNotFound, "session_not_found", "The session is unknown, expired or revoked.")
}

func errInvalidSession() *apiError {
	return fail(http.StatusBadRequest, "invalid_session_token", "The session token or JWT is not well formed.")
}

func errTenancy() *apiError {
	return fail(http.StatusForbidden, "session_authorization_tenancy_error", "The session belongs to another organization.")
}

func errAuthorization(resource, action string) *apiError {
	return fail(http.StatusForbidden, "session_authorization_error",
		fmt.Sprintf("No role of the session allows %s on %s.", action, resource))
}

func errTooManyRequests() *apiError {
	return fail(http.StatusTooManyRequests, "too_many_requests", "Too many requests were made; try again later.")
}

func errInternal() *apiError {
	return fail(http.StatusInternalServerError, "internal_server_error", "Something went wrong on the server.")
}
