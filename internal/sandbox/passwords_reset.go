package sandbox

import (
	"net/http"
	"strings"
)

const defaultResetMinutes = 30

// setPassword gives a member a new password, under a new id; where passwords belong to addresses, it gives it to all
// members of the address. It needs project.mu for writing.
func (c *call) setPassword(ref rowRef, password string) {
	if c.dry {
		return
	}
	p := c.project
	refs := []rowRef{ref}
	if p.switches.crossOrgPasswords {
		refs = p.withEmail(p.member(ref).json.EmailAddress)
	}
	for _, ref := range refs {
		id := c.newID("member-password-test-")
		c.hashes.set(id, password)
		p.passwords[id] = ref
		p.update(ref, func(m *member) {
			m.json.MemberPasswordID, m.resetRequired, m.json.UpdatedAt = id, false, c.nowUTC()
		})
	}
}

// withEmail lists the members of the whole project with an address, but for deleted ones.
func (p *project) withEmail(email string) []rowRef {
	var found []rowRef
	for _, o := range p.orgs {
		if ref, _, ok := p.memberByEmail(o, email); ok {
			found = append(found, ref)
		}
	}
	return found
}

// endAll ends all sessions of a member. The one that was passed has no further use but to have been there.
func (c *call) endAll(ref rowRef, h held) held {
	h.session = nil
	if !c.dry {
		c.project.endSessionsOf(ref)
	}
	return h
}

type passwordResetReply struct {
	authenticateReply
	MemberEmailID string `json:"member_email_id"`
}

func resetPasswordByEmail(c *call) (answer, error) {
	var in struct {
		sessionInput
		Token    string `json:"password_reset_token"`
		Verifier string `json:"code_verifier"`
		Password string `json:"password"`
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
	l, err := c.findLanding(landReset, in.Token, in.Verifier)
	if err != nil {
		return nil, err
	}
	ref := *l.ref
	m := p.member(ref)
	// A password that is refused does not use the token up: there is another try.
	if err := c.acceptable(in.Password, m.json.EmailAddress); err != nil {
		return nil, err
	}
	if err := c.unlocked(m); err != nil {
		return nil, err
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	c.spend(l)
	c.setPassword(ref, in.Password)
	if !c.dry {
		p.update(ref, func(m *member) { m.json.EmailAddressVerified = true })
	}
	out, err := c.prove(ref, c.endAll(ref, h), key, c.factor(methodPassword, "knowledge"))
	if err != nil {
		return nil, err
	}
	return &passwordResetReply{authenticateReply: *out, MemberEmailID: p.emailID(m)}, nil
}

// sessionResetReply is an authentication in which no primary factor can be missing.
type sessionResetReply struct {
	authenticateReply
	PrimaryRequired *struct{} `json:"primary_required,omitempty"` // hides the other one
}

func resetPasswordBySession(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
		Password       string `json:"password"`
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
	o, err := p.findOrganization(in.OrganizationID)
	if err != nil {
		return nil, err
	}
	own, err := c.findSession(in.SessionToken, in.SessionJWT)
	if err != nil {
		return nil, err
	}
	ref := own.ref
	m := p.member(ref)
	if ref.org != o.index {
		return nil, errTenancy()
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	if err := c.unlocked(m); err != nil {
		return nil, err
	}
	if err := o.permits(m, methodPassword); err != nil {
		return nil, err
	}
	if !own.fresh(c.now()) {
		return nil, fail(http.StatusBadRequest, "session_too_old_to_reset_password", "The newest factor of the session is older than five minutes.")
	}
	if err := c.acceptable(in.Password, m.json.EmailAddress); err != nil {
		return nil, err
	}
	c.setPassword(ref, in.Password)
	if !c.dry {
		p.endSessionsOf(ref)
		p.startSession(own)
	}
	out, err := c.prove(ref, h, key, c.factor(methodPassword, "knowledge"))
	if err != nil {
		return nil, err
	}
	out.OrganizationID = ""
	return &sessionResetReply{authenticateReply: *out}, nil
}

func resetPasswordByExisting(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
		EmailAddress   string `json:"email_address"`
		Existing       string `json:"existing_password"`
		New            string `json:"new_password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	in.IST = "" // not taken here
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.New == "" {
		return nil, badRequest("The new_password is missing.")
	}
	key := c.keys.get()
	ref, m, unlock, err := c.checkPassword(in.OrganizationID, in.EmailAddress, in.Existing)
	defer unlock()
	if err != nil {
		return nil, err
	}
	if err := c.acceptable(in.New, m.json.EmailAddress); err != nil {
		return nil, err
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	c.setPassword(ref, in.New)
	out, err := c.prove(ref, c.endAll(ref, h), key, c.factor(methodPassword, "knowledge"))
	if err != nil {
		return nil, err
	}
	out.OrganizationID = ""
	return out, nil
}

// Passwords of an address, for projects where they do not belong to members.

// crossOrg refuses calls that only such projects have. It needs project.mu.
func (c *call) crossOrg() error {
	if c.project.switches.crossOrgPasswords {
		return nil
	}
	return fail(http.StatusBadRequest, "cross_org_passwords_not_enabled", "Passwords of this project belong to members, not to addresses.")
}

func authenticateDiscoveryPassword(c *call) (answer, error) {
	var in struct {
		EmailAddress string `json:"email_address"`
		Password     string `json:"password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	if in.Password == "" {
		return nil, badRequest("The password is missing.")
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := c.crossOrg(); err != nil {
		return nil, err
	}
	var tried []rowRef
	reset := false
	for _, ref := range p.withEmail(in.EmailAddress) {
		m := p.member(ref)
		if m.json.MemberPasswordID == "" {
			continue
		}
		if err := c.unlocked(m); err != nil {
			return nil, err
		}
		if c.hashes.verify(m.json.MemberPasswordID, in.Password, p.ids.password(m.json.MemberID)) {
			if !m.resetRequired {
				return c.discover(in.EmailAddress, c.factor(methodPassword, "knowledge")), nil
			}
			reset = true
		}
		tried = append(tried, ref)
	}
	if reset {
		return nil, errResetFirst()
	}
	err := errWrongPassword()
	for _, ref := range tried {
		err = c.wrong(ref, err)
	}
	return nil, err
}

func startDiscoveryReset(c *call) (answer, error) {
	var in struct {
		linkInput
		RedirectURL string `json:"reset_password_redirect_url"`
		LoginURL    string `json:"discovery_redirect_url"`
		Minutes     *int   `json:"reset_password_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.RedirectURL, "invalid_password_reset_redirect_url"); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.LoginURL, "invalid_discovery_redirect_url"); err != nil {
		return nil, err
	}
	until, err := c.until(in.Minutes, linkMinutes, defaultResetMinutes)
	if err != nil {
		return nil, err
	}
	c.project.mu.Lock()
	defer c.project.mu.Unlock()
	if err := c.crossOrg(); err != nil {
		return nil, err
	}
	c.sendLanding(mailDiscoveryReset, landing{
		kind: landDiscoveryReset, email: strings.TrimSpace(in.EmailAddress), redirect: in.RedirectURL, login: in.LoginURL, challenge: in.Challenge, expires: until,
	})
	return &emptyReply{}, nil
}

// resetDiscoveryPassword sets the password of all members of an address, and ends all their sessions.
func resetDiscoveryPassword(c *call) (answer, error) {
	var in struct {
		Token    string `json:"password_reset_token"`
		Verifier string `json:"pkce_code_verifier"`
		Password string `json:"password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := c.crossOrg(); err != nil {
		return nil, err
	}
	l, err := c.findLanding(landDiscoveryReset, in.Token, in.Verifier)
	if err != nil {
		return nil, err
	}
	if err := c.acceptable(in.Password, l.email); err != nil {
		return nil, err
	}
	members := p.withEmail(l.email)
	for _, ref := range members {
		if err := c.unlocked(p.member(ref)); err != nil {
			return nil, err
		}
	}
	c.spend(l)
	if len(members) > 0 {
		c.setPassword(members[0], in.Password)
	}
	for _, ref := range members {
		if !c.dry {
			p.endSessionsOf(ref)
			p.update(ref, func(m *member) { m.json.EmailAddressVerified, m.failures = true, 0 })
		}
	}
	return c.discover(l.email, c.factor(methodPassword, "knowledge")), nil
}
