package sandbox

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// Cost of argon2id here: about 1 ms. Modest on purpose: the passwords are made up, and starts and tests should be quick.
const (
	argonTime    = 1
	argonMemory  = 1 << 10 // KiB
	argonThreads = 1
	argonSize    = 32
)

// failuresToLock and lockDuration are the project settings' defaults.
const (
	failuresToLock = 10
	lockDuration   = time.Hour
)

// passwordHashes holds the hash of each password that was set or tried, by password id.
type passwordHashes struct {
	mu sync.Mutex
	by map[string][]byte
}

func newPasswordHashes() *passwordHashes { return &passwordHashes{by: map[string][]byte{}} }

func hashPassword(id, password string) []byte {
	// An id is never used twice, so it serves as the salt.
	return argon2.IDKey([]byte(password), []byte(id), argonTime, argonMemory, argonThreads, argonSize)
}

func (h *passwordHashes) set(id, password string) {
	sum := hashPassword(id, password)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[id] = sum
}

// verify compares a password with the one that has the id; seeded is what it is when nobody ever set it.
func (h *passwordHashes) verify(id, password, seeded string) bool {
	h.mu.Lock()
	want, ok := h.by[id]
	h.mu.Unlock()
	if !ok {
		h.set(id, seeded)
		want = hashPassword(id, seeded)
	}
	return subtle.ConstantTimeCompare(hashPassword(id, password), want) == 1
}

func authenticatePassword(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
		EmailAddress   string `json:"email_address"`
		Password       string `json:"password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	key := c.keys.get()
	ref, _, unlock, err := c.checkPassword(in.OrganizationID, in.EmailAddress, in.Password)
	defer unlock()
	if err != nil {
		return nil, err
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	return c.prove(ref, h, key, c.factor(methodPassword, "knowledge"))
}

// checkPassword finds the member whose password is right. It returns with project.mu held for writing; unlock it.
func (c *call) checkPassword(organizationID, email, password string) (ref rowRef, m *member, unlock func(), err error) {
	p := c.project
	unlock = func() {}
	if err := checkEmail(email); err != nil {
		return rowRef{}, nil, unlock, err
	}
	if password == "" {
		return rowRef{}, nil, unlock, badRequest("The password is missing.")
	}
	p.mu.RLock()
	_, m, err = c.passwordCandidate(organizationID, email)
	p.mu.RUnlock()
	if err != nil {
		return rowRef{}, nil, unlock, err
	}
	// Hashing is slow, so it is done without the lock; what was found is looked up again below.
	right := c.hashes.verify(m.json.MemberPasswordID, password, p.ids.password(m.json.MemberID))

	p.mu.Lock()
	unlock = p.mu.Unlock
	ref, again, err := c.passwordCandidate(organizationID, email)
	switch {
	case err != nil:
	case !right || again.json.MemberPasswordID != m.json.MemberPasswordID:
		err = c.wrong(ref, errWrongPassword())
	case again.resetRequired:
		err = errResetFirst()
	}
	return ref, again, unlock, err
}

func errResetFirst() error {
	return fail(http.StatusBadRequest, "member_reset_password", "The member has to reset the password first.")
}

func errWrongPassword() error {
	return fail(http.StatusUnauthorized, "unauthorized_credentials", "The email address or the password is wrong.")
}

// passwordCandidate finds the member who signs in, as far as a password can matter. It needs project.mu.
func (c *call) passwordCandidate(organizationID, email string) (rowRef, *member, error) {
	o, err := c.project.findOrganization(organizationID)
	if err != nil {
		return rowRef{}, nil, err
	}
	ref, m, ok := c.project.memberByEmail(o, email)
	switch {
	case !ok && c.project.switches.enumerationProtection:
		return rowRef{}, nil, errWrongPassword()
	case !ok:
		return rowRef{}, nil, errMemberNotFound()
	}
	if err := c.unlocked(m); err != nil {
		return rowRef{}, nil, err
	}
	if err := o.permits(m, methodPassword); err != nil {
		return rowRef{}, nil, err
	}
	if m.json.MemberPasswordID == "" {
		return rowRef{}, nil, fail(http.StatusNotFound, "member_password_not_found", "The member has no password.")
	}
	return ref, m, nil
}

func (s *Sandbox) countFailure(m *member) {
	m.failures++
	if m.failures >= failuresToLock {
		s.lock(m, lockDuration)
	}
}

// lock locks a member; the count starts anew when the lock is over.
func (s *Sandbox) lock(m *member, d time.Duration) {
	now := s.nowUTC()
	until := now.Add(d)
	m.json.LockCreatedAt, m.json.LockExpiresAt = &now, &until
	m.failures = 0
}

func checkEmail(email string) error {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || strings.ContainsAny(email, " \t\r\n<>") {
		return fail(http.StatusBadRequest, "invalid_email", "The email_address is missing or not an address.")
	}
	return nil
}

type resetStartReply struct {
	reply
	MemberID      string     `json:"member_id"`
	MemberEmailID string     `json:"member_email_id"`
	Member        memberJSON `json:"member"`
}

func startPasswordReset(c *call) (answer, error) {
	var in struct {
		OrganizationID string `json:"organization_id"`
		EmailAddress   string `json:"email_address"`
		RedirectURL    string `json:"reset_password_redirect_url"`
		LoginURL       string `json:"login_redirect_url"`
		Challenge      string `json:"code_challenge"`
		Minutes        *int   `json:"reset_password_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	until, err := c.until(in.Minutes, linkMinutes, defaultResetMinutes)
	if err != nil {
		return nil, err
	}
	if err := checkRedirect(in.RedirectURL, "invalid_password_reset_redirect_url"); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.LoginURL, "invalid_login_redirect_url"); err != nil {
		return nil, err
	}
	if err := checkChallenge(in.Challenge); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	o, err := p.findOrganization(in.OrganizationID)
	if err != nil {
		return nil, err
	}
	ref, m, ok := p.memberByEmail(o, in.EmailAddress)
	if !ok {
		return nil, errMemberNotFound()
	}
	if err := o.permits(m, methodPassword); err != nil {
		return nil, err
	}
	c.sendLanding(mailPasswordReset, landing{
		kind: landReset, ref: &ref, email: m.json.EmailAddress, redirect: in.RedirectURL, login: in.LoginURL,
		challenge: in.Challenge, expires: until,
	})
	return &resetStartReply{MemberID: m.json.MemberID, MemberEmailID: p.emailID(m), Member: m.show(c.nowUTC())}, nil
}

type requireResetReply struct {
	reply
	MemberID     *string           `json:"member_id"`
	Member       *memberJSON       `json:"member"`
	Organization *organizationJSON `json:"organization"`
}

// requirePasswordReset works on the address in the whole project. Its answer names a member only where the call did.
func requirePasswordReset(c *call) (answer, error) {
	var in struct {
		EmailAddress   string `json:"email_address"`
		OrganizationID string `json:"organization_id"`
		MemberID       string `json:"member_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.organization(in.OrganizationID)
	if c.acting != nil {
		if in.OrganizationID == "" {
			o = p.orgs[c.acting.ref.org]
		}
		if o == nil || o.index != c.acting.ref.org {
			return nil, errTenancy()
		}
		self, _, _ := p.memberByEmail(o, in.EmailAddress)
		if err := p.allowed(c.acting, self == c.acting.ref, actionDeletePassword); err != nil {
			return nil, err
		}
	}
	if !p.switches.crossOrgPasswords {
		return nil, fail(http.StatusBadRequest, "cross_org_passwords_not_enabled",
			"Passwords of this project belong to members; delete the password instead.")
	}
	if in.OrganizationID != "" && o == nil {
		return nil, errOrganizationNotFound()
	}
	target, err := p.resetTarget(o, in.EmailAddress, in.MemberID)
	if err != nil {
		return nil, err
	}
	everywhere := p.activeWithEmail(in.EmailAddress)
	if len(everywhere) == 0 {
		return nil, errMemberNotFound()
	}
	if !c.dry {
		for _, ref := range everywhere {
			p.update(ref, func(m *member) {
				if len(everywhere) == 1 {
					c.clearPassword(m)
				} else {
					m.resetRequired = true
				}
			})
		}
	}
	out := &requireResetReply{}
	if target != nil {
		m := p.member(*target)
		view := m.show(c.nowUTC())
		out.MemberID, out.Member, out.Organization = &m.json.MemberID, &view, p.orgs[target.org].json
	}
	return out, nil
}

// resetTarget finds the one member that a require_reset names, if it names one.
func (p *project) resetTarget(o *organization, email, memberID string) (*rowRef, error) {
	var (
		ref rowRef
		m   *member
		ok  bool
	)
	switch {
	case memberID != "" && o != nil:
		ref, m, ok = p.memberIn(o, memberID)
	case memberID != "":
		ref, m, ok = p.memberByID(memberID)
	case o != nil:
		ref, m, ok = p.memberByEmail(o, email)
	default:
		return nil, nil // an address alone names nobody in particular
	}
	if !ok || m.json.Status == statusDeleted || !strings.EqualFold(m.json.EmailAddress, strings.TrimSpace(email)) {
		return nil, errMemberNotFound()
	}
	return &ref, nil
}
