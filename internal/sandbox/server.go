package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxBody is more than any request of the API needs.
const maxBody = 1 << 20

// route is one endpoint of the API.
type route struct {
	method   string
	template string // as the documentation writes it
	name     string // short, for faults and the journal
	acting   bool   // takes the member session headers
	open     bool   // needs no project credentials
	member   bool   // answers with a member
	handle   func(*call) (answer, error)
	browse   func(*call) output // instead of handle, for what a browser is sent to
}

func (r *route) endpoint() string { return r.method + " " + r.template }

func (s *Sandbox) table() []route {
	const org = "/v1/b2b/organizations"
	return []route{
		{method: "GET", template: "/v1/debug/whoami", name: "debug.whoami", handle: whoami},
		{method: "GET", template: org + "/{organization_id}", name: "organizations.get", handle: getOrganization},
		{method: "POST", template: org + "/members/search", name: "members.search", acting: true, member: true, handle: searchMembers},
		{method: "GET", template: org + "/members/dangerously_get/{member_id}", name: "members.dangerously_get", member: true, handle: dangerouslyGetMember},
		{method: "GET", template: org + "/{organization_id}/member", name: "members.get", member: true, handle: getMember},
		{method: "DELETE", template: org + "/{organization_id}/members/passwords/{member_password_id}", name: "members.delete_password", acting: true, member: true, handle: deletePassword},
		{method: "POST", template: "/v1/b2b/passwords/authenticate", name: "passwords.authenticate", member: true, handle: authenticatePassword},
		{method: "POST", template: "/v1/b2b/passwords/email/reset/start", name: "passwords.email.reset_start", member: true, handle: startPasswordReset},
		{method: "POST", template: "/v1/b2b/passwords/email/require_reset", name: "passwords.email.require_reset", acting: true, member: true, handle: requirePasswordReset},
		{method: "POST", template: "/v1/b2b/passwords/strength_check", name: "passwords.strength_check", handle: checkStrength},
		{method: "POST", template: "/v1/b2b/passwords/email/reset", name: "passwords.email.reset", member: true, handle: resetPasswordByEmail},
		{method: "POST", template: "/v1/b2b/passwords/session/reset", name: "passwords.session.reset", member: true, handle: resetPasswordBySession},
		{method: "POST", template: "/v1/b2b/passwords/existing_password/reset", name: "passwords.existing_password.reset", member: true, handle: resetPasswordByExisting},
		{method: "POST", template: "/v1/b2b/passwords/discovery/authenticate", name: "passwords.discovery.authenticate", member: true, handle: authenticateDiscoveryPassword},
		{method: "POST", template: "/v1/b2b/passwords/discovery/email/reset/start", name: "passwords.discovery.email.reset_start", handle: startDiscoveryReset},
		{method: "POST", template: "/v1/b2b/passwords/discovery/email/reset", name: "passwords.discovery.email.reset", member: true, handle: resetDiscoveryPassword},
		{method: "POST", template: "/v1/b2b/magic_links/email/login_or_signup", name: "magic_links.email.login_or_signup", member: true, handle: sendMagicLink},
		{method: "POST", template: "/v1/b2b/magic_links/email/invite", name: "magic_links.email.invite", acting: true, member: true, handle: inviteMember},
		{method: "POST", template: "/v1/b2b/magic_links/authenticate", name: "magic_links.authenticate", member: true, handle: authenticateMagicLink},
		{method: "POST", template: "/v1/b2b/magic_links/email/discovery/send", name: "magic_links.email.discovery.send", handle: sendDiscoveryLink},
		{method: "POST", template: "/v1/b2b/magic_links/discovery/authenticate", name: "magic_links.discovery.authenticate", member: true, handle: authenticateDiscoveryLink},
		{method: "POST", template: "/v1/b2b/otps/email/login_or_signup", name: "otps.email.login_or_signup", member: true, handle: sendEmailOTP},
		{method: "POST", template: "/v1/b2b/otps/email/authenticate", name: "otps.email.authenticate", member: true, handle: authenticateEmailOTP},
		{method: "POST", template: "/v1/b2b/otps/email/discovery/send", name: "otps.email.discovery.send", handle: sendDiscoveryOTP},
		{method: "POST", template: "/v1/b2b/otps/email/discovery/authenticate", name: "otps.email.discovery.authenticate", member: true, handle: authenticateDiscoveryOTP},
		{method: "POST", template: "/v1/b2b/discovery/organizations", name: "discovery.organizations", member: true, handle: listDiscovered},
		{method: "POST", template: "/v1/b2b/discovery/intermediate_sessions/exchange", name: "discovery.intermediate_sessions.exchange", member: true, handle: exchangeIntermediateSession},
		{method: "POST", template: "/v1/b2b/sessions/exchange", name: "sessions.exchange", member: true, handle: exchangeSession},
		{method: "POST", template: "/v1/b2b/otps/sms/send", name: "otps.sms.send", member: true, handle: sendSMSCode},
		{method: "POST", template: "/v1/b2b/otps/sms/authenticate", name: "otps.sms.authenticate", member: true, handle: authenticateSMSCode},
		{method: "POST", template: "/v1/b2b/totp", name: "totp.create", member: true, handle: createTOTP},
		{method: "POST", template: "/v1/b2b/totp/authenticate", name: "totp.authenticate", member: true, handle: authenticateTOTP},
		{method: "POST", template: "/v1/b2b/recovery_codes/recover", name: "recovery_codes.recover", member: true, handle: recoverMember},
		{method: "POST", template: "/v1/b2b/recovery_codes/rotate", name: "recovery_codes.rotate", member: true, handle: rotateRecoveryCodes},
		{method: "GET", template: "/v1/b2b/recovery_codes/{organization_id}/{member_id}", name: "recovery_codes.get", member: true, handle: getRecoveryCodes},
		{method: "GET", template: "/v1/public/sso/start", name: "sso.start", open: true, browse: startSSO},
		{method: "POST", template: "/v1/b2b/sso/authenticate", name: "sso.authenticate", member: true, handle: authenticateSSO},
		{method: "GET", template: "/v1/b2b/public/oauth/{provider}/start", name: "oauth.start", open: true, browse: startOAuth},
		{method: "POST", template: "/v1/b2b/oauth/authenticate", name: "oauth.authenticate", member: true, handle: authenticateOAuth},
		{method: "GET", template: "/v1/b2b/public/oauth/{provider}/discovery/start", name: "oauth.discovery.start", open: true, browse: startDiscoveryOAuth},
		{method: "POST", template: "/v1/b2b/oauth/discovery/authenticate", name: "oauth.discovery.authenticate", member: true, handle: authenticateDiscoveryOAuth},
		{method: "POST", template: "/v1/b2b/impersonation/authenticate", name: "impersonation.authenticate", member: true, handle: authenticateImpersonation},
		{method: "GET", template: "/v1/b2b/sessions", name: "sessions.get", handle: getSessions},
		{method: "POST", template: "/v1/b2b/sessions/authenticate", name: "sessions.authenticate", member: true, handle: authenticateSession},
		{method: "POST", template: "/v1/b2b/sessions/revoke", name: "sessions.revoke", acting: true, handle: revokeSessions},
		{method: "GET", template: "/v1/b2b/sessions/jwks/{project_id}", name: "sessions.get_jwks", open: true, handle: getJWKS},
		{method: "GET", template: "/v1/b2b/rbac/policy", name: "rbac.policy", handle: getPolicy},
		{method: "GET", template: "/v1/b2b/rbac/organizations/{organization_id}", name: "rbac.organizations.get_org_policy", handle: getOrganizationPolicy},
	}
}

// call is one request on its way through an endpoint.
type call struct {
	*Sandbox
	ctx    context.Context
	params map[string]string
	query  url.Values
	body   []byte
	acting *actor // nil: the project itself calls
	dry    bool   // answer as if, change nothing: for faults that lose the request but not the answer
}

// decode reads the request's body. Unknown fields are fine: the vendor's own clients repeat path ids in bodies.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return badRequest("The request has no body; a JSON object is expected.")
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return badRequest("The body of the request is not the expected JSON object.")
	}
	return nil
}

// output is an answer ready to be written.
type output struct {
	status    int
	errorType string
	header    http.Header
	body      []byte
}

func jsonOutput(requestID string, a answer, err error) output {
	out := output{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = errInternal()
		}
		out.status, out.errorType, a = e.Status, e.Type, e
		if e.retryAfter != "" {
			out.header.Set("Retry-After", e.retryAfter)
		}
	}
	a.stamp(requestID, out.status)
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a); err != nil {
		out.status, buf = http.StatusInternalServerError, bytes.Buffer{}
	}
	out.body = buf.Bytes()
	return out
}

func (o output) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), o.header)
	w.WriteHeader(o.status)
	// The client may be gone; there is nobody to tell.
	_, _ = w.Write(o.body)
}

func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request) {
	if !loopbackHost(r.Host) {
		err := fail(http.StatusMisdirectedRequest, "misdirected_request", "The sandbox answers to loopback names only.")
		jsonOutput(s.newID("request-id-test-"), nil, err).write(w)
		return
	}
	if r.URL.Path == controlRoot || strings.HasPrefix(r.URL.Path, controlRoot+"/") {
		s.control(w, r)
		return
	}
	if s.page(w, r) {
		return
	}
	s.api(w, r)
}

func (s *Sandbox) api(w http.ResponseWriter, r *http.Request) {
	requestID := s.newID("request-id-test-")
	body, bodyErr := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	rt, params, other := s.match(r.Method, r.URL.EscapedPath())
	entry := s.journal.begin(s.describe(r, body, rt, requestID))
	plan := s.faults.take(rt)
	c := &call{Sandbox: s, ctx: r.Context(), params: params, query: r.URL.Query(), body: body}

	run := func() output {
		if rt != nil && rt.browse != nil {
			return rt.browse(c)
		}
		a, err := func() (answer, error) {
			switch {
			case rt == nil && other:
				return nil, fail(http.StatusMethodNotAllowed, "method_not_allowed", "The route does not take this method.")
			case rt == nil:
				return nil, fail(http.StatusNotFound, "route_not_found", "There is no such route.")
			case !rt.open && !s.credentialsOK(r):
				return nil, errCredentials()
			case bodyErr != nil:
				return nil, badRequest("The body of the request is too large or was cut.")
			}
			if rt.acting {
				acting, err := s.actingSession(r.Header)
				if err != nil {
					return nil, err
				}
				c.acting = acting
			}
			a, err := rt.handle(c)
			if err == nil {
				plan.bend(c, a)
			}
			return a, err
		}()
		return jsonOutput(requestID, a, err)
	}

	sleep(r.Context(), s.project.latency()+plan.before)
	out, broken := plan.respond(c, requestID, run)
	sleep(r.Context(), plan.after)
	s.journal.end(entry, out, plan.name())
	if broken != nil {
		broken(w, r)
		return
	}
	out.write(w)
}

// match finds the route of a path. other reports that the path exists with another method.
func (s *Sandbox) match(method, escaped string) (rt *route, params map[string]string, other bool) {
	parts := strings.Split(escaped, "/")
	for i := range s.routes {
		got, ok := matchTemplate(s.routes[i].template, parts)
		if !ok {
			continue
		}
		if s.routes[i].method == method {
			return &s.routes[i], got, false
		}
		other = true
	}
	return nil, nil, other
}

func matchTemplate(template string, parts []string) (map[string]string, bool) {
	want := strings.Split(template, "/")
	if len(want) != len(parts) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		got, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(w, "{"); ok {
			if got == "" {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = got
		} else if got != w {
			return nil, false
		}
	}
	return params, true
}

func (s *Sandbox) credentialsOK(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user == s.info.ProjectID && password == s.info.Secret
}

// loopbackHost keeps pages of other sites from reaching the sandbox under a name of theirs.
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// sleep waits, or less if the client goes away.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
