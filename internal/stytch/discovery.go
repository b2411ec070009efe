package stytch

import (
	"context"
	"encoding/json"
)

// Values of Membership.Type.
const (
	MembershipActive   = "active_member"
	MembershipPending  = "pending_member"
	MembershipInvited  = "invited_member"
	MembershipByDomain = "eligible_to_join_by_email_domain"
	MembershipByTenant = "eligible_to_join_by_oauth_tenant"
)

// DiscoveryResponse lists the organizations somebody is in or may join. It holds an IntermediateSessionToken if the call
// proved a factor.
type DiscoveryResponse struct {
	Response

	IntermediateSessionToken Secret                   `json:"intermediate_session_token"`
	EmailAddress             string                   `json:"email_address"`
	DiscoveredOrganizations  []DiscoveredOrganization `json:"-"`

	found json.RawMessage
}

// DiscoveredOrganization is an organization with what entering it takes.
type DiscoveredOrganization struct {
	MemberAuthenticated bool             `json:"member_authenticated"` // nothing more is needed
	Organization        Organization     `json:"organization"`
	Membership          Membership       `json:"membership"`
	PrimaryRequired     *PrimaryRequired `json:"primary_required"`
	MFARequired         *MFARequired     `json:"mfa_required"`
}

// Membership says how somebody belongs to an organization. Member is nil for those who could join but have not.
type Membership struct {
	Type   string  `json:"type"`
	Member *Member `json:"member"`
}

// UnmarshalJSON tells an absent list from an empty one.
func (r *DiscoveryResponse) UnmarshalJSON(data []byte) error {
	type plain DiscoveryResponse
	*r = DiscoveryResponse{}
	wire := struct {
		*plain
		Found json.RawMessage `json:"discovered_organizations"`
	}{plain: (*plain)(r)}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	r.found = wire.Found
	if isArray(wire.Found) {
		return decodeLenient(wire.Found, &r.DiscoveredOrganizations)
	}
	return nil
}

func (r *DiscoveryResponse) problem() string {
	if !isArray(r.found) && !isNull(r.found) {
		return "discovered_organizations is missing"
	}
	r.found = nil
	for _, d := range r.DiscoveredOrganizations {
		switch m := d.Membership.Member; {
		case d.Organization.OrganizationID == "":
			return problemNoOrganization
		case m == nil:
		case m.MemberID == "" || m.OrganizationID == "":
			return problemNoMember
		case m.OrganizationID != d.Organization.OrganizationID:
			return problemContradiction
		}
	}
	return ""
}

// discoveryAnswer is the answer to a factor, which is worth nothing without the token.
type discoveryAnswer struct{ DiscoveryResponse }

func (r *discoveryAnswer) problem() string {
	if r.IntermediateSessionToken == "" {
		return problemNoProof
	}
	return r.DiscoveryResponse.problem()
}

// discover makes a call that proves a factor for no organization in particular.
func (c *Client) discover(ctx context.Context, r request, checks ...error) (*DiscoveryResponse, error) {
	out, err := call[discoveryAnswer](ctx, c, r, checks...)
	if err != nil {
		return nil, err
	}
	return &out.DiscoveryResponse, nil
}

const discoverEndpoint = "POST /v1/b2b/discovery/organizations"

// DiscoverOrganizations lists the organizations of whoever holds an intermediate session token, and leaves it as it is:
// POST /v1/b2b/discovery/organizations. A token that a password or SSO made cannot be used here.
func (c *Client) DiscoverOrganizations(ctx context.Context, intermediate Secret) (*DiscoveryResponse, error) {
	return call[DiscoveryResponse](ctx, c, request{
		endpoint: discoverEndpoint,
		body:     signIn{IntermediateSessionToken: intermediate.Reveal()},
		secrets:  reveal(intermediate),
	}, checkSecret("intermediate_session_token", intermediate))
}

// DiscoverOrganizationsAs lists the organizations of whoever has a session: those the person is a member of, pending or
// invited, and not those to join: POST /v1/b2b/discovery/organizations. The session is in the body, not in a header.
func (c *Client) DiscoverOrganizationsAs(ctx context.Context, own ActingSession) (*DiscoveryResponse, error) {
	return call[DiscoveryResponse](ctx, c, request{
		endpoint: discoverEndpoint,
		body:     own.own(),
		secrets:  reveal(own.secret()),
	}, checkOwn(own))
}

// ExchangeIntermediateSession enters an organization with what was proven so far:
// POST /v1/b2b/discovery/intermediate_sessions/exchange. It accepts an invitation, joins where the address or the
// provider's tenant allows it, and may need a further factor, for which the token goes on; otherwise the token ends.
func (c *Client) ExchangeIntermediateSession(ctx context.Context, organizationID string, s SignIn) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/discovery/intermediate_sessions/exchange",
		body: struct {
			OrganizationID string `json:"organization_id"`
			signIn
		}{organizationID, s.wire()},
		secrets: s.secrets(),
	}, checkID("organization_id", organizationID), checkSecret("intermediate_session_token", s.IntermediateSessionToken), s.check())
}
