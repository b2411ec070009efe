package sandbox

import "net/http"

func getMember(c *call) (answer, error) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, err := p.findOrganization(c.params["organization_id"])
	if err != nil {
		return nil, err
	}
	id, email := c.query.Get("member_id"), c.query.Get("email_address")
	var (
		ref rowRef
		m   *member
		ok  bool
	)
	switch {
	case id == "" && email == "":
		return nil, fail(http.StatusBadRequest, "invalid_member_get_fields", "One of member_id and email_address is needed.")
	case id != "":
		if !externalShape.MatchString(id) {
			return nil, fail(http.StatusBadRequest, "invalid_id", "The member_id is not well formed.")
		}
		ref, m, ok = p.memberIn(o, id)
	default:
		ref, m, ok = p.memberByEmail(o, email)
	}
	if !ok || m.json.Status == statusDeleted {
		return nil, errMemberNotFound()
	}
	return c.memberReply(ref, m), nil
}

func dangerouslyGetMember(c *call) (answer, error) {
	var deleted bool
	switch c.query.Get("include_deleted") {
	case "", "false":
	case "true":
		deleted = true
	default:
		return nil, badRequest("include_deleted is true or false.")
	}
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !hasShape(c.params["member_id"], "member-test-") {
		return nil, fail(http.StatusBadRequest, "invalid_id", "The member_id is not well formed.")
	}
	ref, m, ok := p.memberByID(c.params["member_id"])
	if !ok || m.json.Status == statusDeleted && !deleted {
		return nil, errMemberNotFound()
	}
	return c.memberReply(ref, m), nil
}

// deletePassword is the endpoint the console is about. The path names the password only: whose it is, is found here.
func deletePassword(c *call) (answer, error) {
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	id := c.params["member_password_id"]
	ref, m, found := p.passwordOwner(id)
	o, err := p.findOrganization(c.params["organization_id"])
	if c.acting != nil {
		// Permission comes before existence, so that nobody can probe ids without it.
		if o == nil || o.index != c.acting.ref.org {
			return nil, errTenancy()
		}
		self := found && ref == c.acting.ref
		if err := p.allowed(c.acting, self, actionDeletePassword); err != nil {
			return nil, err
		}
	}
	switch {
	case err != nil:
		return nil, err
	case p.switches.crossOrgPasswords:
		return nil, fail(http.StatusBadRequest, "cross_org_passwords_enabled",
			"Passwords of this project belong to an email address; require a password reset instead.")
	case !hasShape(id, "member-password-test-"):
		return nil, fail(http.StatusBadRequest, "invalid_password_id", "The member_password_id is not well formed.")
	case !found || ref.org != o.index || m.json.Status == statusDeleted:
		return nil, errPasswordNotFound()
	}
	without := *m
	c.clearPassword(&without)
	if !c.dry {
		p.put(ref, &without)
	}
	return c.memberReply(ref, &without), nil
}

// clearPassword takes a member's password away. Lock, sessions, status and address stay as they are.
func (s *Sandbox) clearPassword(m *member) {
	m.json.MemberPasswordID = ""
	m.resetRequired = false
	m.json.UpdatedAt = s.nowUTC()
}
