package stytch

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// MemberSession is a session of a member. Its times are zero when the API sent none that could be read: treat a zero
// ExpiresAt as passed.
type MemberSession struct {
	MemberSessionID       string                 `json:"member_session_id"`
	MemberID              string                 `json:"member_id"`
	OrganizationID        string                 `json:"organization_id"`
	OrganizationSlug      string                 `json:"organization_slug"`
	StartedAt             time.Time              `json:"started_at"`
	LastAccessedAt        time.Time              `json:"last_accessed_at"`
	ExpiresAt             time.Time              `json:"expires_at"`
	Roles                 []string               `json:"roles"` // the roles in effect; Member.Roles may name more
	AuthenticationFactors []AuthenticationFactor `json:"authentication_factors"`
	CustomClaims          map[string]any         `json:"custom_claims"`
}

// AuthenticationFactor is a factor of a session. What is particular to its type is in Raw only.
type AuthenticationFactor struct {
	Type                string     `json:"type"` // "impersonated" means that somebody else is behind the session
	DeliveryMethod      string     `json:"delivery_method"`
	LastAuthenticatedAt *time.Time `json:"last_authenticated_at"`
	CreatedAt           *time.Time `json:"created_at"`
	UpdatedAt           *time.Time `json:"updated_at"`

	// Raw is the object exactly as it was received.
	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON reads what it can.
func (s *MemberSession) UnmarshalJSON(data []byte) error {
	type plain MemberSession
	*s = MemberSession{}
	wire := struct {
		*plain
		StartedAt      lenientTime `json:"started_at"`
		LastAccessedAt lenientTime `json:"last_accessed_at"`
		ExpiresAt      lenientTime `json:"expires_at"`
	}{plain: (*plain)(s)}
	err := decodeLenient(data, &wire)
	s.StartedAt, s.LastAccessedAt, s.ExpiresAt = wire.StartedAt.t, wire.LastAccessedAt.t, wire.ExpiresAt.t
	return err
}

// UnmarshalJSON reads what it can.
func (f *AuthenticationFactor) UnmarshalJSON(data []byte) error {
	type plain AuthenticationFactor
	*f = AuthenticationFactor{}
	wire := struct {
		*plain
		LastAuthenticatedAt lenientTime `json:"last_authenticated_at"`
		CreatedAt           lenientTime `json:"created_at"`
		UpdatedAt           lenientTime `json:"updated_at"`
	}{plain: (*plain)(f)}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	f.LastAuthenticatedAt = wire.LastAuthenticatedAt.ptr()
	f.CreatedAt, f.UpdatedAt = wire.CreatedAt.ptr(), wire.UpdatedAt.ptr()
	f.Raw = append(json.RawMessage(nil), data...)
	return nil
}

// Impersonator names who is behind an impersonated session, as far as the API said so. ok is true for every impersonated
// session, also where id and email are empty.
func (s *MemberSession) Impersonator() (id, email string, ok bool) {
	for _, f := range s.AuthenticationFactors {
		if f.Type != "impersonated" {
			continue
		}
		ok = true
		var wire struct {
			Factor struct {
				ID    string `json:"impersonator_id"`
				Email string `json:"impersonator_email_address"`
			} `json:"impersonated_factor"`
		}
		if decodeLenient(f.Raw, &wire) == nil && (wire.Factor.ID != "" || wire.Factor.Email != "") {
			return wire.Factor.ID, wire.Factor.Email, true
		}
	}
	return "", "", ok
}

// AuthorizationCheck asks whether the session may do something. OrganizationID must be the real id.
type AuthorizationCheck struct {
	OrganizationID string `json:"organization_id"`
	ResourceID     string `json:"resource_id"`
	Action         string `json:"action"`
}

// Verdict is the API's answer to an AuthorizationCheck, as given.
type Verdict struct {
	Authorized    bool     `json:"authorized"`
	GrantingRoles []string `json:"granting_roles"`
}

// SessionAuthenticateResponse is what AuthenticateSession returns. Verdict is nil when no check was asked for, or none
// was answered: only a Verdict with Authorized set is a yes.
type SessionAuthenticateResponse struct {
	Response

	Session      MemberSession `json:"member_session"`
	Member       Member        `json:"member"`
	Organization Organization  `json:"organization"`
	SessionToken Secret        `json:"session_token"`
	SessionJWT   Secret        `json:"session_jwt"`
	Verdict      *Verdict      `json:"verdict"`
}

func (r *SessionAuthenticateResponse) problem() string {
	switch {
	case r.Session.MemberSessionID == "" || r.Session.MemberID == "" || r.Session.OrganizationID == "":
		return problemNoSession
	case r.Member.MemberID == "" || r.Member.OrganizationID == "":
		return problemNoMember
	case r.Organization.OrganizationID == "":
		return problemNoOrganization
	case r.Member.MemberID != r.Session.MemberID,
		r.Member.OrganizationID != r.Session.OrganizationID,
		r.Organization.OrganizationID != r.Session.OrganizationID:
		return problemContradiction
	}
	return ""
}

// AuthenticateSession asks whether a session is alive, and with a check also whether it may do something:
// POST /v1/b2b/sessions/authenticate.
//
// It asks for no duration, so the session is not extended. The session is in the body, not in a header. A session that
// is not alive is 404 session_not_found; a check that fails is 403.
func (c *Client) AuthenticateSession(ctx context.Context, own ActingSession, check *AuthorizationCheck) (*SessionAuthenticateResponse, error) {
	const endpoint = "POST /v1/b2b/sessions/authenticate"
	if own.IsZero() {
		return nil, badArgument(endpoint, ErrNoActingSession)
	}
	if check != nil {
		err := errors.Join(
			checkID("organization_id", check.OrganizationID),
			checkID("resource_id", check.ResourceID),
			checkID("action", check.Action),
		)
		if err != nil {
			return nil, badArgument(endpoint, err)
		}
	}
	var out SessionAuthenticateResponse
	err := c.do(ctx, request{
		endpoint: endpoint,
		body: struct {
			ownSession
			AuthorizationCheck *AuthorizationCheck `json:"authorization_check,omitempty"`
		}{own.own(), check},
		secrets: []string{own.credential.value()},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// ExchangeSession turns a session into one of the same person in another organization: POST /v1/b2b/sessions/exchange.
// It accepts an invitation, and may need a further factor like a sign-in. Passwords and SSO do not count in the other
// organization. The session stays as it was.
func (c *Client) ExchangeSession(ctx context.Context, own ActingSession, organizationID string, minutes int) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/sessions/exchange",
		body: struct {
			OrganizationID string `json:"organization_id"`
			signIn
		}{organizationID, SignIn{Own: own, SessionDurationMinutes: minutes}.wire()},
		secrets: reveal(own.secret()),
	}, checkOwn(own), checkID("organization_id", organizationID), checkMinutes(minutes))
}

// SessionsResponse lists a member's sessions.
type SessionsResponse struct {
	Response

	Sessions []MemberSession

	sessions json.RawMessage
}

// UnmarshalJSON tells an absent list from an empty one.
func (r *SessionsResponse) UnmarshalJSON(data []byte) error {
	var wire struct {
		RequestID string          `json:"request_id"`
		Sessions  json.RawMessage `json:"member_sessions"`
	}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	*r = SessionsResponse{Response: Response{RequestID: wire.RequestID}, sessions: wire.Sessions}
	if isArray(wire.Sessions) {
		return decodeLenient(wire.Sessions, &r.Sessions)
	}
	return nil
}

func (r *SessionsResponse) problem() string {
	if !isArray(r.sessions) && !isNull(r.sessions) {
		return "member_sessions is missing"
	}
	for i := range r.Sessions {
		if r.Sessions[i].MemberSessionID == "" {
			return problemNoSession
		}
	}
	r.sessions = nil
	return ""
}

// GetSessions lists a member's active sessions: GET /v1/b2b/sessions.
//
// The endpoint accepts no acting session, so the caller must have authorized the read.
func (c *Client) GetSessions(ctx context.Context, organizationID, memberID string) (*SessionsResponse, error) {
	const endpoint = "GET /v1/b2b/sessions"
	if err := errors.Join(checkID("organization_id", organizationID), checkID("member_id", memberID)); err != nil {
		return nil, badArgument(endpoint, err)
	}
	var out SessionsResponse
	err := c.do(ctx, request{
		endpoint: endpoint,
		query:    url.Values{"organization_id": {organizationID}, "member_id": {memberID}},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// RevokeMemberSessions ends all sessions of a member: POST /v1/b2b/sessions/revoke with member_id.
//
// The acting session needs revoke-sessions on stytch.member, or on stytch.self for oneself. JWTs already issued verify
// locally for up to five minutes more.
func (c *Client) RevokeMemberSessions(ctx context.Context, acting ActingSession, memberID string) (*Response, error) {
	const endpoint = "POST /v1/b2b/sessions/revoke"
	if err := checkID("member_id", memberID); err != nil {
		return nil, badArgument(endpoint, err)
	}
	var out Response
	err := c.doAs(ctx, acting, request{
		endpoint: endpoint,
		body: struct {
			MemberID string `json:"member_id"`
		}{memberID},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// RevokeSession ends one session by its own credential: POST /v1/b2b/sessions/revoke. The session is in the body, not in
// a header. Revoking a session that is not alive may be an error.
func (c *Client) RevokeSession(ctx context.Context, own ActingSession) (*Response, error) {
	const endpoint = "POST /v1/b2b/sessions/revoke"
	if own.IsZero() {
		return nil, badArgument(endpoint, ErrNoActingSession)
	}
	var out Response
	err := c.do(ctx, request{endpoint: endpoint, body: own.own(), secrets: []string{own.credential.value()}}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
