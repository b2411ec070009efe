package helpdesk_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	orgID   = "organization-test-11111111-1111-4111-8111-111111111111"
	adminID = "member-test-22222222-2222-4222-8222-222222222222"
	targetI = "member-test-33333333-3333-4333-8333-333333333333"
	otherID = "member-test-44444444-4444-4444-8444-444444444444"
	pwID    = "member-password-test-55555555-5555-4555-8555-555555555555"
	newPwID = "member-password-test-66666666-6666-4666-8666-666666666666"
)

// Names of the endpoints, for faults and for the journal.
const (
	epDelete  = "delete"
	epMember  = "member"
	epCheck   = "check"
	epRevoke  = "revoke"
	epMail    = "mail"
	epRequire = "require"
)

// upstream is the smallest Stytch an operation can be told apart with: one
// member, one password, and a hook in front of every endpoint.
type upstream struct {
	*httptest.Server

	mu       sync.Mutex
	password string // id, or ""
	gone     bool   // member get answers member_not_found
	calls    []string
	headers  map[string]http.Header
	before   map[string]http.HandlerFunc // replaces the endpoint's answer
	onDelete func()                      // runs when the deletion took effect
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{password: pwID, before: map[string]http.HandlerFunc{}, headers: map[string]http.Header{}}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) fault(endpoint string, h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h == nil {
		delete(u.before, endpoint)
		return
	}
	u.before[endpoint] = h
}

func (u *upstream) setPassword(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.password = id
}

func (u *upstream) setGone() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone = true
}

// count returns how often an endpoint was asked.
func (u *upstream) count(endpoint string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, c := range u.calls {
		if c == endpoint {
			n++
		}
	}
	return n
}

func (u *upstream) order() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.calls)
}

func (u *upstream) header(endpoint string) http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.headers[endpoint]
}

func endpointOf(r *http.Request) string {
	switch {
	case r.Method == http.MethodDelete:
		return epDelete
	case strings.HasSuffix(r.URL.Path, "/member"):
		return epMember
	case strings.HasSuffix(r.URL.Path, "/sessions/authenticate"):
		return epCheck
	case strings.HasSuffix(r.URL.Path, "/sessions/revoke"):
		return epRevoke
	case strings.HasSuffix(r.URL.Path, "/reset/start"):
		return epMail
	case strings.HasSuffix(r.URL.Path, "/require_reset"):
		return epRequire
	default:
		return r.URL.Path
	}
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ep := endpointOf(r)
	_, _ = io.Copy(io.Discard, r.Body)
	u.mu.Lock()
	u.calls = append(u.calls, ep)
	u.headers[ep] = r.Header.Clone()
	instead := u.before[ep]
	u.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	u.answer(w, ep)
}

func (u *upstream) answer(w http.ResponseWriter, ep string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch ep {
	case epDelete:
		u.password = ""
		if u.onDelete != nil {
			u.onDelete()
		}
		reply(w, http.StatusOK, memberAnswer(targetI, ""))
	case epMember:
		if u.gone {
			reply(w, http.StatusNotFound, apiError(http.StatusNotFound, "member_not_found"))
			return
		}
		reply(w, http.StatusOK, memberAnswer(targetI, u.password))
	case epCheck:
		reply(w, http.StatusOK, map[string]any{
			"status_code": 200, "request_id": "request-id-check", "session_token": "t", "session_jwt": "j",
			"member":         map[string]any{"member_id": adminID, "organization_id": orgID},
			"organization":   map[string]any{"organization_id": orgID},
			"member_session": map[string]any{"member_session_id": "session-test-1", "member_id": adminID, "organization_id": orgID},
			"verdict":        map[string]any{"authorized": true, "granting_roles": []string{"helpdesk"}},
		})
	case epRevoke:
		reply(w, http.StatusOK, map[string]any{"status_code": 200, "request_id": "request-id-revoke"})
	case epMail:
		reply(w, http.StatusOK, map[string]any{
			"status_code": 200, "request_id": "request-id-mail", "member_id": targetI, "member_email_id": "email-test-1",
			"member": map[string]any{"member_id": targetI, "organization_id": orgID},
		})
	case epRequire:
		reply(w, http.StatusOK, map[string]any{"status_code": 200, "request_id": "request-id-require", "member_id": nil, "member": nil, "organization": nil})
	default:
		reply(w, http.StatusNotFound, apiError(http.StatusNotFound, "route_not_found"))
	}
}

func memberAnswer(id, password string) map[string]any {
	return map[string]any{
		"status_code": 200, "request_id": "request-id-member", "member_id": id,
		"member": map[string]any{
			"member_id": id, "organization_id": orgID, "email_address": "ann@acme.example", "name": "Ann", "status": "active",
			"member_password_id": password,
		},
		"organization": map[string]any{"organization_id": orgID, "organization_slug": "acme"},
	}
}

func apiError(status int, errorType string) map[string]any {
	return map[string]any{
		"status_code": status, "request_id": "request-id-" + errorType, "error_type": errorType,
		"error_message": "upstream words that never reach a page", "error_url": "https://stytch.com/docs",
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuseWith(status int, errorType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, status, apiError(status, errorType)) }
}

// cut sends a good status and half a body.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "4096")
	w.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprint(w, `{"status_code": 200, "member_id": "`)
}

// drop closes the connection without an answer.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
