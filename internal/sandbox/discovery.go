package sandbox

import "strings"

// Types of a membership in a discovered organization. Nobody can join one here without an invitation.
const (
	membershipActive  = "active_member"
	membershipPending = "pending_member"
	membershipInvited = "invited_member"
)

// discover answers a sign-in of an address alone: an intermediate session, and where it leads. It needs project.mu for
// writing.
func (c *call) discover(email string, factor authFactor) *discoveryReply {
	email = strings.ToLower(strings.TrimSpace(email))
	kept := &ist{token: c.newToken(), email: email, factors: []authFactor{factor}, expires: c.nowUTC().Add(istLifetime)}
	if !c.dry {
		c.project.ists[kept.token] = kept
	}
	return &discoveryReply{
		IntermediateSessionToken: kept.token, EmailAddress: email, DiscoveredOrganizations: c.discovered(email, kept.factors, nil),
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
