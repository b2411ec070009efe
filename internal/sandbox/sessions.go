package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Limits of a session's length, in minutes.
const (
	minSessionMinutes     = 5
	maxSessionMinutes     = 527_040
	defaultSessionMinutes = 60
	maxClaimsBytes        = 4 << 10
)

// session is guarded by project.mu.
type session struct {
	id, token string
	ref       rowRef
	started   time.Time
	accessed  time.Time
	expires   time.Time
	factors   []authFactor
	claims    map[string]any
}

// sessionInput is what every call that makes or reads a session may say about it.
type sessionInput struct {
	SessionToken string         `json:"session_token"`
	SessionJWT   string         `json:"session_jwt"`
	Minutes      *int           `json:"session_duration_minutes"`
	CustomClaims map[string]any `json:"session_custom_claims"`
	IST          string         `json:"intermediate_session_token"` // sign-ins only
}

func (in sessionInput) check() error {
	if in.SessionToken != "" && in.SessionJWT != "" {
		return fail(http.StatusBadRequest, "too_many_session_arguments", "Only one of session_token and session_jwt may be given.")
	}
	if in.Minutes != nil && (*in.Minutes < minSessionMinutes || *in.Minutes > maxSessionMinutes) {
		return fail(http.StatusBadRequest, "invalid_session_duration_minutes", "session_duration_minutes is 5 to 527040.")
	}
	if text, err := json.Marshal(in.CustomClaims); err != nil || len(text) > maxClaimsBytes {
		return fail(http.StatusBadRequest, "custom_claims_too_large", "Custom claims are limited to 4 KB.")
	}
	return nil
}

// The methods below need p.mu, for writing where they change something.

func (p *project) startSession(s *session) {
	p.sessions[s.id], p.tokens[s.token] = s, s
	p.byMember[s.ref] = append(p.byMember[s.ref], s)
}

func (p *project) endSession(s *session) {
	delete(p.sessions, s.id)
	delete(p.tokens, s.token)
	p.byMember[s.ref] = slices.DeleteFunc(p.byMember[s.ref], func(other *session) bool { return other == s })
}

func (p *project) endSessionsOf(ref rowRef) {
	for _, s := range slices.Clone(p.byMember[ref]) {
		p.endSession(s)
	}
}

func (p *project) alive(s *session, now time.Time) bool {
	return s != nil && now.Before(s.expires) && p.member(s.ref).json.Status != statusDeleted
}

func (p *project) roles(s *session) []string {
	roles := []string{}
	for _, role := range p.member(s.ref).json.Roles {
		if slices.ContainsFunc(role.Sources, s.holds) {
			roles = append(roles, role.RoleID)
		}
	}
	return roles
}

// holds reports whether a source of a role counts in the session: one by SSO does only where the session has that factor.
func (s *session) holds(source roleSource) bool {
	if source.Type != "sso_connection" && source.Type != "sso_connection_group" {
		return true
	}
	return slices.ContainsFunc(s.factors, func(f authFactor) bool {
		return f.SAMLSSOFactor != nil && f.SAMLSSOFactor.ProviderID == source.Details["connection_id"]
	})
}

func (p *project) showSession(s *session) sessionJSON {
	o := p.orgs[s.ref.org]
	return sessionJSON{
		MemberSessionID: s.id, MemberID: p.member(s.ref).json.MemberID, StartedAt: s.started, LastAccessedAt: s.accessed,
		ExpiresAt: s.expires, AuthenticationFactors: s.factors, OrganizationID: o.json.OrganizationID, Roles: p.roles(s),
		OrganizationSlug: o.json.OrganizationSlug, CustomClaims: s.claims,
	}
}

// impersonated reports whether an operator stands behind the session. Such a session cannot be extended or changed.
func (s *session) impersonated() bool {
	return slices.ContainsFunc(s.factors, func(f authFactor) bool { return f.Impersonated != nil })
}

func errNotMutable() error {
	return fail(http.StatusBadRequest, "session_not_mutable", "An impersonated session cannot be extended or changed.")
}

// findSession finds a live session by token or JWT; exactly one of them is given.
func (s *Sandbox) findSession(token, jwt string) (*session, error) {
	now := s.now()
	if jwt != "" {
		id, err := s.verifyJWT(jwt)
		if err != nil {
			return nil, errInvalidSession()
		}
		if found := s.project.sessions[id]; s.project.alive(found, now) {
			return found, nil
		}
		return nil, errSessionNotFound()
	}
	if _, isIST := s.project.ists[token]; isIST || !tokenShape.MatchString(token) {
		return nil, errInvalidSession()
	}
	if found := s.project.tokens[token]; s.project.alive(found, now) {
		return found, nil
	}
	return nil, errSessionNotFound()
}

// Headers that carry the session of the member in whose name a call is made.
const (
	headerSession    = "X-Stytch-Member-Session"
	headerSessionJWT = "X-Stytch-Member-SessionJWT"
)

func (s *Sandbox) actingSession(header http.Header) (*actor, error) {
	tokens, jwts := header.Values(headerSession), header.Values(headerSessionJWT)
	if len(tokens)+len(jwts) == 0 {
		return nil, nil // the project itself calls
	}
	if len(tokens) > 1 || len(jwts) > 1 {
		return nil, tooManySessions()
	}
	p := s.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	var acting *session
	for i, values := range [][]string{tokens, jwts} {
		if len(values) == 0 {
			continue
		}
		if values[0] == "" {
			return nil, errInvalidSession()
		}
		token, jwt := values[0], ""
		if i == 1 {
			token, jwt = "", values[0]
		}
		found, err := s.findSession(token, jwt)
		if err != nil {
			return nil, err
		}
		if acting != nil && acting != found {
			return nil, tooManySessions()
		}
		acting = found
	}
	return &actor{ref: acting.ref, sessionID: acting.id, roles: p.roles(acting)}, nil
}

func tooManySessions() error {
	return fail(http.StatusBadRequest, "too_many_session_arguments", "The headers name more than one session.")
}

type authorizationCheck struct {
	OrganizationID string `json:"organization_id"`
	ResourceID     string `json:"resource_id"`
	Action         string `json:"action"`
}

func authenticateSession(c *call) (answer, error) {
	var in struct {
		sessionInput
		Check *authorizationCheck `json:"authorization_check"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.SessionToken == "" && in.SessionJWT == "" {
		return nil, fail(http.StatusBadRequest, "no_session_arguments", "One of session_token and session_jwt is needed.")
	}
	key := c.keys.get() // slow the first time, so not under the lock
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	found, err := c.findSession(in.SessionToken, in.SessionJWT)
	if err != nil {
		return nil, err
	}
	if found.impersonated() && (in.Minutes != nil || len(in.CustomClaims) > 0) {
		return nil, errNotMutable()
	}
	granted, err := p.check(found, in.Check)
	if err != nil {
		return nil, err
	}
	if !c.dry {
		found.accessed = c.nowUTC()
		if in.Minutes != nil {
			found.expires = found.accessed.Add(time.Duration(*in.Minutes) * time.Minute)
		}
		found.claims = mergeClaims(found.claims, in.CustomClaims)
	}
	view := p.showSession(found)
	jwt, err := c.signJWT(key, view, c.nowUTC())
	if err != nil {
		return nil, err
	}
	return &sessionReply{
		MemberSession: view, SessionToken: found.token, SessionJWT: jwt, Verdict: granted,
		Member: p.member(found.ref).show(c.nowUTC()), Organization: *p.orgs[found.ref.org].json,
	}, nil
}

// check answers an authorization check. The verdict is null when there is none.
func (p *project) check(s *session, check *authorizationCheck) (*verdict, error) {
	if check == nil {
		return nil, nil
	}
	if check.OrganizationID == "" || check.ResourceID == "" || check.Action == "" {
		return nil, badRequest("An authorization_check names organization_id, resource_id and action.")
	}
	o := p.organization(check.OrganizationID)
	if o == nil || o.index != s.ref.org {
		return nil, errTenancy()
	}
	granting := p.grantingRoles(o, p.roles(s), check.ResourceID, check.Action)
	if len(granting) == 0 {
		return nil, errAuthorization(check.ResourceID, check.Action)
	}
	return &verdict{Authorized: true, GrantingRoles: granting}, nil
}

// mergeClaims merges new claims into old ones: null deletes, what the JWT itself says is ignored.
func mergeClaims(old, added map[string]any) map[string]any {
	merged := map[string]any{}
	maps.Copy(merged, old)
	for key, value := range added {
		switch {
		case slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}, key):
		case value == nil:
			delete(merged, key)
		default:
			merged[key] = value
		}
	}
	return merged
}

func getSessions(c *call) (answer, error) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, err := p.findOrganization(c.query.Get("organization_id"))
	if err != nil {
		return nil, err
	}
	id := c.query.Get("member_id")
	if !externalShape.MatchString(id) {
		return nil, fail(http.StatusBadRequest, "invalid_id", "The member_id is missing or not well formed.")
	}
	ref, m, ok := p.memberIn(o, id)
	if !ok || m.json.Status == statusDeleted {
		return nil, errMemberNotFound()
	}
	out := &sessionsReply{MemberSessions: []sessionJSON{}}
	for _, s := range p.byMember[ref] {
		if p.alive(s, c.now()) {
			out.MemberSessions = append(out.MemberSessions, p.showSession(s))
		}
	}
	return out, nil
}

type emptyReply struct{ reply }

func revokeSessions(c *call) (answer, error) {
	var in struct {
		sessionInput
		SessionID string `json:"member_session_id"`
		MemberID  string `json:"member_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	given := 0
	for _, value := range []string{in.SessionID, in.SessionToken, in.SessionJWT, in.MemberID} {
		if value != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, fail(http.StatusBadRequest, "no_session_revoke_arguments",
			"One of member_session_id, session_token, session_jwt and member_id is needed.")
	case given > 1:
		return nil, fail(http.StatusBadRequest, "too_many_session_revoke_arguments",
			"Only one of member_session_id, session_token, session_jwt and member_id may be given.")
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	var (
		target *session // nil: all sessions of ref
		ref    rowRef
		err    error
	)
	switch {
	case in.MemberID != "":
		ref, err = c.revokedMember(in.MemberID)
	case in.SessionID != "":
		if !hasShape(in.SessionID, "session-test-") {
			err = fail(http.StatusBadRequest, "invalid_session_id", "The member_session_id is not well formed.")
		} else if target = p.sessions[in.SessionID]; !p.alive(target, c.now()) {
			err = errSessionNotFound()
		}
	default:
		target, err = c.findSession(in.SessionToken, in.SessionJWT)
	}
	if err == nil && target != nil {
		ref = target.ref
	}
	if c.acting != nil {
		if denied := p.allowed(c.acting, err == nil && ref == c.acting.ref, actionRevokeSessions); denied != nil {
			return nil, denied
		}
		if err == nil && ref.org != c.acting.ref.org {
			return nil, errTenancy()
		}
	}
	if err != nil {
		return nil, err
	}
	switch {
	case c.dry:
	case target != nil:
		p.endSession(target)
	default:
		p.endSessionsOf(ref)
	}
	return &emptyReply{}, nil
}

// revokedMember resolves the member of a revoke. An external id means something only where an organization is known.
func (c *call) revokedMember(id string) (rowRef, error) {
	ref, m, ok := c.project.memberByID(id)
	if !ok && c.acting != nil {
		ref, m, ok = c.project.memberByExternalID(c.project.orgs[c.acting.ref.org], id)
	}
	if !ok || m.json.Status == statusDeleted {
		return rowRef{}, errMemberNotFound()
	}
	return ref, nil
}
