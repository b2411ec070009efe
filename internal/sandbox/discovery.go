package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Types of a membership in a discovered organization. Nobody can join one here without an invitation.
const (
	membershipActive  = "active_member"
	membershipPending = "pending_member"
	membershipInvited = "invited_member"
)

// address is how addresses are compared.
func address(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// addressFactor is a factor proven of an address that may belong to several members, or to none.
func (s *Sandbox) addressFactor(kind, email string) authFactor {
	f := s.factor(kind, "email")
	f.EmailFactor = &emailFactor{EmailID: "email-test-" + s.ids.uuid("email", "", address(email)), EmailAddress: address(email)}
	return f
}

// discover answers a sign-in of an address alone: an intermediate session, and where it leads. It needs project.mu for
// writing.
func (c *call) discover(email string, factor authFactor) *discoveryReply {
	kept := &ist{token: c.newToken(), email: address(email), factors: []authFactor{factor}, expires: c.nowUTC().Add(istLifetime)}
	if !c.dry {
		c.project.ists[kept.token] = kept
	}
	return &discoveryReply{
		IntermediateSessionToken: kept.token, EmailAddress: kept.email, DiscoveredOrganizations: c.discovered(kept.email, kept.factors, nil),
	}
}

// discovered lists the organizations of an address, and what each still wants after some factors. A session is all that
// its own organization wants. No message is sent. It needs project.mu.
func (c *call) discovered(email string, factors []authFactor, own *session) []discoveredOrganization {
	p, now := c.project, c.nowUTC()
	list := []discoveredOrganization{}
	for _, o := range p.orgs {
		ref, m, ok := p.memberByEmail(o, email)
		if !ok {
			continue
		}
		view := m.show(now)
		d := discoveredOrganization{Organization: *o.json, Membership: membership{Member: &view}}
		switch m.json.Status {
		case statusPending:
			d.Membership.Type = membershipPending
		case statusInvited:
			d.Membership.Type = membershipInvited
		default:
			d.Membership.Type = membershipActive
		}
		if own == nil || own.ref != ref {
			d.PrimaryRequired, d.MFARequired = missing(o, m, factors)
		}
		d.MemberAuthenticated = d.PrimaryRequired == nil && d.MFARequired == nil
		list = append(list, d)
	}
	return list
}

// transferable are the factors of a session that count in other organizations too: not those that belong to a member, as
// passwords, SSO and second factors do.
func (s *session) transferable() []authFactor {
	return slices.DeleteFunc(slices.Clone(s.factors), func(f authFactor) bool {
		return f.method() == "" || f.method() == methodPassword || f.method() == methodSSO
	})
}

type organizationsReply struct {
	reply
	EmailAddress            string                   `json:"email_address"`
	DiscoveredOrganizations []discoveredOrganization `json:"discovered_organizations"`
	OrganizationIDHint      *string                  `json:"organization_id_hint"`
}

func (r *organizationsReply) organizations() []discoveredOrganization {
	return r.DiscoveredOrganizations
}

func listDiscovered(c *call) (answer, error) {
	var in sessionInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.one(); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	if in.IST != "" {
		found, err := c.findIST(in.IST)
		if err != nil {
			return nil, err
		}
		if found.bound {
			return nil, errISTElsewhere()
		}
		return &organizationsReply{EmailAddress: found.email, DiscoveredOrganizations: c.discovered(found.email, found.factors, nil)}, nil
	}
	own, err := c.findSession(in.SessionToken, in.SessionJWT)
	if err != nil {
		return nil, err
	}
	email := p.member(own.ref).json.EmailAddress
	return &organizationsReply{EmailAddress: email, DiscoveredOrganizations: c.discovered(email, own.transferable(), own)}, nil
}

// one demands exactly one of the sessions.
func (in sessionInput) one() error {
	given := 0
	for _, value := range []string{in.SessionToken, in.SessionJWT, in.IST} {
		if value != "" {
			given++
		}
	}
	switch given {
	case 0:
		return fail(http.StatusBadRequest, "no_session_arguments", "One of the session arguments is needed.")
	case 1:
		return nil
	default:
		return fail(http.StatusBadRequest, "too_many_session_arguments", "Only one of the session arguments may be given.")
	}
}

// exchangeIntermediateSession signs in to one of the organizations of an address.
func exchangeIntermediateSession(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.SessionToken, in.SessionJWT = "", "" // not taken here
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.IST == "" {
		return nil, badRequest("The intermediate_session_token is missing.")
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	o, err := p.findOrganization(in.OrganizationID)
	if err != nil {
		return nil, err
	}
	found, err := c.findIST(in.IST)
	if err != nil {
		return nil, err
	}
	if found.bound && found.ref.org != o.index {
		return nil, errISTElsewhere()
	}
	ref, _, ok := p.memberByEmail(o, found.email)
	if !ok {
		return nil, errNoJIT()
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	out, err := c.prove(ref, h, key)
	if err != nil {
		return nil, err
	}
	out.OrganizationID = ""
	return out, nil
}

// exchangeSession switches to another organization of the same address. The session that is exchanged stays.
func exchangeSession(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.IST = "" // not taken here
	if err := in.one(); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	own, err := c.findSession(in.SessionToken, in.SessionJWT)
	if err != nil {
		return nil, err
	}
	if own.impersonated() {
		return nil, errNotMutable()
	}
	o, err := p.findOrganization(in.OrganizationID)
	if err != nil {
		return nil, err
	}
	ref, _, ok := p.memberByEmail(o, p.member(own.ref).json.EmailAddress)
	if !ok {
		return nil, errMemberNotFound()
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	var added []authFactor
	if ref != own.ref {
		added = own.transferable()
	}
	out, err := c.prove(ref, h, key, added...)
	if err != nil {
		return nil, err
	}
	out.OrganizationID = ""
	return out, nil
}

// freshFor is how old the newest factor of a session may be for it to set a password.
const freshFor = 5 * time.Minute

func (s *session) fresh(now time.Time) bool {
	return slices.ContainsFunc(s.factors, func(f authFactor) bool { return now.Sub(f.LastAuthenticatedAt) <= freshFor })
}
