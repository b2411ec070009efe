package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// providerNames are the OAuth providers as registrations and answers name them.
var providerNames = map[string]string{
	"google": "Google", "microsoft": "Microsoft", "hubspot": "Hubspot", "slack": "Slack", "github": "GitHub",
}

func startOAuth(c *call) output { return c.toIDP(landOAuth, "/idp/oauth/"+c.params["provider"]) }

func startDiscoveryOAuth(c *call) output {
	return c.toIDP(landDiscoveryOAuth, "/idp/oauth/"+c.params["provider"]+"/discovery")
}

// subject is who an address is to a provider, whatever the organization.
func (p *project) subject(provider, email string) string {
	return p.ids.uuid("oauth subject", provider, strings.ToLower(email))[:18]
}

// oauthFactor is what a provider says of an address. Its ids are those of a member, once it is known which. It needs
// project.mu.
func (s *Sandbox) oauthFactor(provider, email string) authFactor {
	f := s.factor("oauth", "oauth_"+provider)
	*f.oauthField() = &oauthFactor{ProviderSubject: s.project.subject(provider, email)}
	return f
}

// register adds to a member the registrations that go with factors it has proven, and reports whether there were new ones.
// What a provider says that does not vouch for addresses counts once something else has proven the address: until then
// anybody could have claimed it.
func (s *Sandbox) register(m *member, factors []authFactor) bool {
	vouched := slices.ContainsFunc(factors, func(f authFactor) bool { return f.method() != "" && !f.unverified() })
	j, before := &m.json, len(m.json.OAuthRegistrations)+len(m.json.SSORegistrations)
	for _, f := range factors {
		if own := f.oauth(); own != nil && (vouched || !f.unverified()) {
			provider := strings.TrimPrefix(f.DeliveryMethod, "oauth_")
			r := s.project.oauth(j.MemberID, provider, j.EmailAddress)
			r.ProviderSubject = own.ProviderSubject
			if !slices.ContainsFunc(j.OAuthRegistrations, func(old oauthRegistration) bool {
				return old.ProviderType == r.ProviderType && old.ProviderSubject == r.ProviderSubject
			}) {
				j.OAuthRegistrations = append(slices.Clone(j.OAuthRegistrations), r)
			}
		}
		for _, own := range []*ssoFactor{f.SAMLSSOFactor, f.OIDCSSOFactor} {
			if own != nil && !slices.ContainsFunc(j.SSORegistrations, func(old ssoRegistration) bool { return old.ConnectionID == own.ProviderID }) {
				j.SSORegistrations = append(slices.Clone(j.SSORegistrations), s.project.sso(j.MemberID, own.ProviderID, j.EmailAddress))
			}
		}
	}
	return len(j.OAuthRegistrations)+len(j.SSORegistrations) > before
}

// providerValues are the provider's own tokens, which whoever asks for a sign-in gets with it.
type providerValues struct {
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	IDToken      string    `json:"id_token"`
	Scopes       []string  `json:"scopes"`
	ExpiresAt    time.Time `json:"expires_at"`
}

type oauthReply struct {
	authenticateReply
	ProviderSubject string          `json:"provider_subject"`
	ProviderType    string          `json:"provider_type"`
	ResetSessions   bool            `json:"reset_sessions"`
	ProviderValues  *providerValues `json:"provider_values"`
}

func authenticateOAuth(c *call) (answer, error) {
	var in struct {
		sessionInput
		Token    string `json:"oauth_token"`
		Verifier string `json:"pkce_code_verifier"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	done, l, err := c.redeem(landOAuth, in.Token, in.Verifier, in.sessionInput)
	if err != nil {
		return nil, err
	}
	provider, own := l.provider()
	return &oauthReply{
		authenticateReply: *done, ProviderSubject: own.ProviderSubject, ProviderType: provider,
		ProviderValues: &providerValues{
			AccessToken: c.newToken(), RefreshToken: c.newToken(), IDToken: c.newToken(), Scopes: []string{"openid", "email", "profile"},
			ExpiresAt: c.nowUTC().Add(time.Hour),
		},
	}, nil
}

// provider is the OAuth provider that made a token, and what it said.
func (l *landing) provider() (string, *oauthFactor) {
	f := l.factors[0]
	return providerNames[strings.TrimPrefix(f.DeliveryMethod, "oauth_")], f.oauth()
}

type oauthDiscoveryReply struct {
	discoveryReply
	ProviderType      string   `json:"provider_type"`
	ProviderTenantID  string   `json:"provider_tenant_id"`
	ProviderTenantIDs []string `json:"provider_tenant_ids"`
	FullName          string   `json:"full_name"`
}

func authenticateDiscoveryOAuth(c *call) (answer, error) {
	var in struct {
		Token    string `json:"discovery_oauth_token"`
		Verifier string `json:"pkce_code_verifier"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := c.findLanding(landDiscoveryOAuth, in.Token, in.Verifier)
	if err != nil {
		return nil, err
	}
	c.spend(l)
	provider, _ := l.provider()
	out := &oauthDiscoveryReply{discoveryReply: *c.discover(l.email, l.factors[0]), ProviderType: provider, ProviderTenantIDs: []string{}}
	for _, found := range out.DiscoveredOrganizations {
		if out.FullName == "" {
			out.FullName = found.Membership.Member.Name
		}
	}
	return out, nil
}

// organizationOf finds the organization that an OAuth sign-in is started for. It needs p.mu.
func (p *project) organizationOf(id, slug string) (*organization, error) {
	switch {
	case id != "" && slug != "":
		return nil, fail(http.StatusBadRequest, "too_many_oauth_organization_locators", "Only one of organization_id and slug may be given.")
	case id == "" && slug == "":
		return nil, fail(http.StatusBadRequest, "missing_oauth_organization_locator", "One of organization_id and slug is needed.")
	}
	return p.findOrganization(id + slug)
}
