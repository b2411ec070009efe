package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

func startSSO(c *call) output { return c.toIDP(landSSO, "/idp/sso") }

// connectionOf finds the active SSO connection that a sign-in is started with, and whose it is. It needs p.mu.
func (p *project) connectionOf(organizationID, connectionID string) (*organization, ssoConnection, error) {
	var (
		o   *organization
		err error
	)
	switch {
	case organizationID != "":
		if o, err = p.findOrganization(organizationID); err != nil {
			return nil, ssoConnection{}, err
		}
	case connectionID == "":
		return nil, ssoConnection{}, fail(http.StatusBadRequest, "missing_sso_connection_locator", "One of connection_id and organization_id is needed.")
	default:
		at := slices.IndexFunc(p.orgs, func(o *organization) bool { _, ok := o.connection(connectionID); return ok })
		if at < 0 {
			return nil, ssoConnection{}, errConnectionNotFound()
		}
		o = p.orgs[at]
	}
	active := o.json.SSOActiveConnections
	switch {
	case connectionID != "":
	case o.json.SSODefaultConnectionID != nil:
		connectionID = *o.json.SSODefaultConnectionID
	case len(active) == 1:
		connectionID = active[0].ConnectionID
	case len(active) == 0:
		return nil, ssoConnection{}, fail(http.StatusBadRequest, "no_sso_connection_exists_for_organization", "The organization has no SSO connection.")
	default:
		return nil, ssoConnection{}, fail(http.StatusBadRequest, "indeterminate_sso_connection_for_organization",
			"The organization has several SSO connections and no default; name one by connection_id.")
	}
	connection, ok := o.connection(connectionID)
	if !ok {
		return nil, ssoConnection{}, errConnectionNotFound()
	}
	return o, connection, nil
}

func errConnectionNotFound() error {
	return fail(http.StatusNotFound, "sso_connection_not_found", "There is no such active SSO connection, or it is another organization's.")
}

// saml reports whether a connection speaks SAML; all others speak OIDC.
func (connection ssoConnection) saml() bool {
	return strings.HasPrefix(connection.ConnectionID, "saml-")
}

// ssoFactor is what the identity provider says of a member. It needs project.mu.
func (s *Sandbox) ssoFactor(m *member, connection ssoConnection) authFactor {
	r := s.project.sso(m.json.MemberID, connection.ConnectionID, m.json.EmailAddress)
	own := &ssoFactor{ID: r.RegistrationID, ProviderID: r.ConnectionID, ExternalID: r.ExternalID}
	if connection.saml() {
		f := s.factor(methodSSO, "sso_saml")
		f.SAMLSSOFactor = own
		return f
	}
	f := s.factor(methodSSO, "sso_oidc")
	f.OIDCSSOFactor = own
	return f
}

type ssoReply struct {
	authenticateReply
	ResetSession bool `json:"reset_session"`
}

func authenticateSSO(c *call) (answer, error) {
	var in struct {
		sessionInput
		Token    string `json:"sso_token"`
		Verifier string `json:"pkce_code_verifier"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	done, _, err := c.redeem(landSSO, in.Token, in.Verifier, in.sessionInput)
	if err != nil {
		return nil, err
	}
	return &ssoReply{authenticateReply: *done}, nil
}

// redeem signs a member in with the token that the identity provider's page made.
func (c *call) redeem(kind landingKind, token, verifier string, in sessionInput) (*authenticateReply, *landing, error) {
	key := c.keys.get() // slow the first time, so not under the lock
	c.project.mu.Lock()
	defer c.project.mu.Unlock()
	l, err := c.findLanding(kind, token, verifier)
	if err != nil {
		return nil, nil, err
	}
	if l.ref == nil {
		c.spend(l)
		if kind == landSSO {
			return nil, nil, fail(http.StatusBadRequest, "invalid_connection_for_jit_provisioning", "Nobody becomes a member by signing in with this connection.")
		}
		return nil, nil, fail(http.StatusBadRequest, "email_jit_provisioning_not_allowed", "Nobody becomes a member of the organization by signing in.")
	}
	if err := c.unlocked(c.project.member(*l.ref)); err != nil {
		return nil, nil, err
	}
	h, err := c.held(*l.ref, in)
	if err != nil {
		return nil, nil, err
	}
	c.spend(l)
	done, err := c.prove(*l.ref, h, key, l.factors...)
	return done, l, err
}
