package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// Defaults, in minutes.
const (
	defaultLinkMinutes   = 60
	defaultInviteMinutes = 7 * 24 * 60
)

// Parts of requests that start or end a flow with a link.

type linkInput struct {
	EmailAddress string `json:"email_address"`
	Challenge    string `json:"pkce_code_challenge"`
}

func (in linkInput) check() error {
	if err := checkEmail(in.EmailAddress); err != nil {
		return err
	}
	return checkChallenge(in.Challenge)
}

// sentReply answers what sends a member a link or a code.
type sentReply struct {
	memberReply
	MemberCreated bool `json:"member_created"` // never: nobody joins by signing in
}

func errNoJIT() error {
	return fail(http.StatusBadRequest, "email_jit_provisioning_not_allowed", "The organization has no such member, and lets nobody join by signing in.")
}

// mailed finds the member that a link or code for signing in goes to. It needs project.mu.
func (c *call) mailed(organizationID, email, method string) (rowRef, *member, error) {
	o, err := c.project.findOrganization(organizationID)
	if err != nil {
		return rowRef{}, nil, err
	}
	ref, m, ok := c.project.memberByEmail(o, email)
	if !ok {
		return rowRef{}, nil, errNoJIT()
	}
	return ref, m, o.permits(m, method)
}

func sendMagicLink(c *call) (answer, error) {
	var in struct {
		linkInput
		OrganizationID string `json:"organization_id"`
		LoginURL       string `json:"login_redirect_url"`
		SignupURL      string `json:"signup_redirect_url"`
		LoginMinutes   *int   `json:"login_expiration_minutes"`
		SignupMinutes  *int   `json:"signup_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.LoginURL, "invalid_login_redirect_url"); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.SignupURL, "invalid_signup_redirect_url"); err != nil {
		return nil, err
	}
	login, err := c.until(in.LoginMinutes, linkMinutes, defaultLinkMinutes)
	if err != nil {
		return nil, err
	}
	signup, err := c.until(in.SignupMinutes, linkMinutes, defaultLinkMinutes)
	if err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, m, err := c.mailed(in.OrganizationID, in.EmailAddress, methodMagicLink)
	if err != nil {
		return nil, err
	}
	kind, l := mailLoginLink, landing{
		kind: landLink, ref: &ref, email: m.json.EmailAddress, redirect: in.LoginURL, challenge: in.Challenge, expires: login,
	}
	if m.json.Status != statusActive {
		kind, l.redirect, l.expires = mailSignupLink, in.SignupURL, signup
	}
	c.sendLanding(kind, l)
	return &sentReply{memberReply: *c.memberReply(ref, m)}, nil
}

// inviteMember is the only call by which the organization gets a member.
func inviteMember(c *call) (answer, error) {
	var in struct {
		OrganizationID string         `json:"organization_id"`
		EmailAddress   string         `json:"email_address"`
		RedirectURL    string         `json:"invite_redirect_url"`
		InvitedBy      string         `json:"invited_by_member_id"`
		Name           string         `json:"name"`
		Trusted        map[string]any `json:"trusted_metadata"`
		Untrusted      map[string]any `json:"untrusted_metadata"`
		Roles          []string       `json:"roles"`
		Minutes        *int           `json:"invite_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.RedirectURL, "invalid_invite_redirect_url"); err != nil {
		return nil, err
	}
	until, err := c.until(in.Minutes, linkMinutes, defaultInviteMinutes)
	if err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	o, err := p.findOrganization(in.OrganizationID)
	if c.acting != nil {
		if o == nil || o.index != c.acting.ref.org {
			return nil, errTenancy()
		}
		if err := p.allowed(c.acting, false, actionCreate); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if err := o.mayInvite(in.EmailAddress); err != nil {
		return nil, err
	}
	roles, err := p.explicitRoles(o, in.Roles)
	if err != nil {
		return nil, err
	}
	if in.InvitedBy != "" {
		if _, by, ok := p.memberIn(o, in.InvitedBy); !ok || by.json.Status == statusDeleted {
			return nil, errMemberNotFound()
		}
	}
	ref, m, ok := p.memberByEmail(o, in.EmailAddress)
	if ok && m.json.Status == statusActive {
		return nil, fail(http.StatusBadRequest, "duplicate_member_email", "The organization has an active member with this address.")
	}
	if !ok {
		ref = rowRef{o.index, len(o.rows)}
		m = p.write(ref, handmade{email: strings.TrimSpace(in.EmailAddress), noPassword: true}, c.nowUTC())
		m.json.EmailAddressVerified, m.json.CreatedAt = false, c.nowUTC()
	}
	invited := *m
	invited.json.Status = statusInvited
	invited.json.UpdatedAt = c.nowUTC()
	invited.json.Roles = slices.DeleteFunc(slices.Clone(invited.json.Roles), func(old memberRole) bool {
		return slices.ContainsFunc(roles, func(r memberRole) bool { return r.RoleID == old.RoleID })
	})
	invited.json.Roles = append(invited.json.Roles, roles...)
	if in.Name != "" {
		invited.json.Name = in.Name
	}
	if in.Trusted != nil {
		invited.json.TrustedMetadata = in.Trusted
	}
	if in.Untrusted != nil {
		invited.json.UntrustedMetadata = in.Untrusted
	}
	if !c.dry {
		if !ok {
			o.rows = append(o.rows, row{})
		}
		p.put(ref, &invited)
		c.sendLanding(mailInvite, landing{kind: landLink, ref: &ref, email: invited.json.EmailAddress, redirect: in.RedirectURL, expires: until})
	}
	return c.memberReply(ref, &invited), nil
}

// mayInvite asks the organization whom it lets be invited.
func (o *organization) mayInvite(email string) error {
	_, domain, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case o.json.EmailInvites == "NOT_ALLOWED":
		return fail(http.StatusBadRequest, "email_invites_not_allowed", "The organization does not allow invitations by mail.")
	case o.json.EmailInvites == "RESTRICTED" && !slices.Contains(o.json.EmailAllowedDomains, domain):
		return fail(http.StatusBadRequest, "invalid_email_for_invites", "The organization invites addresses of its own domains only.")
	default:
		return nil
	}
}

// explicitRoles are roles as a call assigns them.
func (p *project) explicitRoles(o *organization, ids []string) ([]memberRole, error) {
	var roles []memberRole
	for _, id := range ids {
		known := slices.ContainsFunc(slices.Concat(p.policy().Roles, o.json.CustomRoles), func(r rbacRole) bool { return r.RoleID == id })
		switch {
		case id == roleMember:
			return nil, fail(http.StatusBadRequest, "cannot_assign_default_rbac_role_id", "Every member has "+roleMember+".")
		case !known:
			return nil, fail(http.StatusBadRequest, "invalid_role", "The policy has no such role.")
		}
		roles = append(roles, memberRole{RoleID: id, Sources: []roleSource{direct()}})
	}
	return roles, nil
}

type magicLinkReply struct {
	authenticateReply
	MethodID      string `json:"method_id"`
	ResetSessions bool   `json:"reset_sessions"`
}

func authenticateMagicLink(c *call) (answer, error) {
	var in struct {
		sessionInput
		Token    string `json:"magic_links_token"`
		Verifier string `json:"pkce_code_verifier"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := c.findLanding(landLink, in.Token, in.Verifier)
	if err != nil {
		return nil, err
	}
	ref := *l.ref
	if err := c.unlocked(p.member(ref)); err != nil {
		return nil, err
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	c.spend(l)
	out, err := c.prove(ref, h, key, c.mailFactor(methodMagicLink, p.member(ref)))
	if err != nil {
		return nil, err
	}
	return &magicLinkReply{authenticateReply: *out, MethodID: p.emailID(p.member(ref))}, nil
}

// sendDiscoveryLink mails any address: whether it is anybody's shows only to who reads the mail.
func sendDiscoveryLink(c *call) (answer, error) {
	var in struct {
		linkInput
		RedirectURL string `json:"discovery_redirect_url"`
		Minutes     *int   `json:"discovery_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.RedirectURL, "invalid_discovery_redirect_url"); err != nil {
		return nil, err
	}
	until, err := c.until(in.Minutes, linkMinutes, defaultLinkMinutes)
	if err != nil {
		return nil, err
	}
	c.project.mu.Lock()
	defer c.project.mu.Unlock()
	c.sendLanding(mailDiscoveryLink, landing{
		kind: landDiscovery, email: strings.TrimSpace(in.EmailAddress), redirect: in.RedirectURL, challenge: in.Challenge, expires: until,
	})
	return &emptyReply{}, nil
}

func authenticateDiscoveryLink(c *call) (answer, error) {
	var in struct {
		Token    string `json:"discovery_magic_links_token"`
		Verifier string `json:"pkce_code_verifier"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	c.project.mu.Lock()
	defer c.project.mu.Unlock()
	l, err := c.findLanding(landDiscovery, in.Token, in.Verifier)
	if err != nil {
		return nil, err
	}
	c.spend(l)
	return c.discover(l.email, c.addressFactor(methodMagicLink, l.email)), nil
}
