package sandbox

import (
	"net/http"
	"regexp"
	"slices"
)

// memberMFA is what a member's second factors keep to themselves. What it points to is replaced, never changed.
type memberMFA struct {
	active  *authenticator // nil: as seeded
	pending *authenticator // begun and not confirmed yet
}

// secondInput is what every call about a second factor says: whose it is, and what they have proven so far.
type secondInput struct {
	sessionInput
	OrganizationID string `json:"organization_id"`
	MemberID       string `json:"member_id"`
}

// checkSecond wants at most one session of any kind; needed: exactly one.
func (in secondInput) checkSecond(needed bool) error {
	if err := in.check(); err != nil {
		return err
	}
	given := 0
	for _, value := range []string{in.IST, in.SessionToken, in.SessionJWT} {
		if value != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return fail(http.StatusBadRequest, "too_many_session_arguments",
			"Only one of intermediate_session_token, session_token and session_jwt may be given.")
	case given == 0 && needed:
		return errNoSession()
	}
	return nil
}

func errNoSession() error {
	return fail(http.StatusBadRequest, "no_session_arguments", "One of intermediate_session_token, session_token and session_jwt is needed.")
}

func errPrimaryFirst() error {
	return fail(http.StatusBadRequest, "action_available_only_once_primary_authentication_is_met",
		"The organization wants another primary factor first.")
}

// enrolment is what a call that proves a second factor may say about the next sign-ins.
type enrolment struct {
	Enroll  string `json:"set_mfa_enrollment"`
	Default bool   `json:"set_default_mfa"`
}

func (e enrolment) checkEnrolment() error {
	if !slices.Contains([]string{"", "enroll", "unenroll"}, e.Enroll) {
		return badRequest("set_mfa_enrollment is enroll or unenroll.")
	}
	return nil
}

// apply changes a member who has just proven a second factor. An organization that demands one leaves no choice, and the
// first factor of all is the default.
func (e enrolment) apply(o *organization, m *member, method string) {
	if e.Enroll != "" {
		m.json.MFAEnrolled = e.Enroll == "enroll"
	}
	if o.json.MFAPolicy == "REQUIRED_FOR_ALL" {
		m.json.MFAEnrolled = true
	}
	if e.Default || m.json.DefaultMFAMethod == "" {
		m.json.DefaultMFAMethod = method
	}
}

// mfaReply answers a call that proves a second factor.
type mfaReply struct {
	memberReply
	MemberSession *sessionJSON `json:"member_session"`
	SessionToken  string       `json:"session_token"`
	SessionJWT    string       `json:"session_jwt"`
	MemberDevice  *struct{}    `json:"member_device"`
}

// The methods of call below need project.mu for writing.

// second finds whose factor a call is about, and what they hold. They must have met the primary requirement: without that
// a second factor says nothing.
func (c *call) second(in secondInput, method string) (rowRef, held, error) {
	p := c.project
	o, err := p.findOrganization(in.OrganizationID)
	if err != nil {
		return rowRef{}, held{}, err
	}
	if !externalShape.MatchString(in.MemberID) {
		return rowRef{}, held{}, fail(http.StatusBadRequest, "invalid_id", "The member_id is missing or not well formed.")
	}
	ref, m, ok := p.memberIn(o, in.MemberID)
	if !ok || m.json.Status == statusDeleted {
		return rowRef{}, held{}, errMemberNotFound()
	}
	if err := c.unlocked(m); err != nil {
		return rowRef{}, held{}, err
	}
	if !m.json.IsBreakglass && !o.allowsMFA(method) {
		return rowRef{}, held{}, fail(http.StatusBadRequest, "operation_restricted_by_organization_mfa_methods",
			"The organization does not allow this second factor.")
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return rowRef{}, held{}, err
	}
	if h.session == nil && (in.SessionToken != "" || in.SessionJWT != "") {
		return rowRef{}, held{}, errSessionNotFound() // it lives, but is another member's
	}
	if h.ist != nil {
		if primary, _ := missing(o, m, h.factors()); primary != nil {
			return rowRef{}, held{}, errPrimaryFirst()
		}
	}
	if m.json.Status != statusActive {
		return rowRef{}, held{}, fail(http.StatusBadRequest, "action_available_only_for_active_members",
			"A second factor can be given to active members only.")
	}
	return ref, h, nil
}

// mayAdd refuses another second factor to whoever has not shown the one that is there: else a stolen password would be
// enough to get around it.
func (m *member) mayAdd(h held) error {
	enrolled := m.json.TOTPRegistrationID != "" || m.json.MFAPhoneNumber != "" && m.json.MFAPhoneNumberVerified
	if enrolled && !slices.ContainsFunc(h.factors(), authFactor.second) {
		return fail(http.StatusUnauthorized, "insufficient_factors", "Show the second factor that is there before another is added.")
	}
	return nil
}

// proveSecond adds a second factor to what is held, and changes what the member says of their factors.
func (c *call) proveSecond(ref rowRef, h held, key *signingKey, f authFactor, change func(*member)) (*mfaReply, error) {
	if !c.dry {
		c.project.update(ref, func(m *member) {
			before := m.json
			change(m)
			after := m.json
			if before.MFAPhoneNumber != after.MFAPhoneNumber || before.MFAPhoneNumberVerified != after.MFAPhoneNumberVerified ||
				before.TOTPRegistrationID != after.TOTPRegistrationID || before.MFAEnrolled != after.MFAEnrolled ||
				before.DefaultMFAMethod != after.DefaultMFAMethod {
				m.json.UpdatedAt = c.nowUTC()
			}
		})
	}
	done, err := c.prove(ref, h, key, f)
	if err != nil {
		return nil, err
	}
	return &mfaReply{
		memberReply:   memberReply{MemberID: done.MemberID, Member: done.Member, Organization: done.Organization},
		MemberSession: done.MemberSession, SessionToken: done.SessionToken, SessionJWT: done.SessionJWT,
	}, nil
}

var phoneShape = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // E.164

func sendSMSCode(c *call) (answer, error) {
	var in struct {
		secondInput
		Phone string `json:"mfa_phone_number"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.checkSecond(false); err != nil {
		return nil, err
	}
	if in.Phone != "" && !phoneShape.MatchString(in.Phone) {
		return nil, fail(http.StatusBadRequest, "invalid_phone_number", "The mfa_phone_number is not in the E.164 format.")
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, h, err := c.second(in.secondInput, mfaSMS)
	if err != nil {
		return nil, err
	}
	m := p.member(ref)
	phone := m.json.MFAPhoneNumber
	switch {
	case phone == "" && in.Phone == "":
		return nil, fail(http.StatusNotFound, "member_phone_number_not_found", "The member has no phone number, and none was given.")
	case phone != "" && in.Phone != "" && in.Phone != phone:
		return nil, fail(http.StatusBadRequest, "duplicate_member_phone_number_for_member", "The member has another phone number; remove it first.")
	case phone == "" || !m.json.MFAPhoneNumberVerified:
		err = m.mayAdd(h)
	case h.ist == nil && h.session == nil:
		err = errNoSession() // nobody's phone rings before their first factor
	}
	if err != nil {
		return nil, err
	}
	if phone == "" {
		phone = in.Phone
	}
	c.sendSMS(ref, phone)
	return c.memberReply(ref, m), nil
}

func authenticateSMSCode(c *call) (answer, error) {
	var in struct {
		secondInput
		enrolment
		Code string `json:"code"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.checkSecond(true); err != nil {
		return nil, err
	}
	if err := in.checkEnrolment(); err != nil {
		return nil, err
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, h, err := c.second(in.secondInput, mfaSMS)
	if err != nil {
		return nil, err
	}
	m := p.member(ref)
	if m.json.MFAPhoneNumber == "" || !m.json.MFAPhoneNumberVerified {
		if err := m.mayAdd(h); err != nil {
			return nil, err
		}
	}
	phone, err := c.smsCode(ref, in.Code)
	if err != nil {
		return nil, err
	}
	f := c.factor("otp", "sms")
	f.PhoneFactor = &phoneFactor{PhoneID: "phone-number-test-" + p.ids.uuid("phone", m.json.MemberID, phone), PhoneNumber: phone}
	return c.proveSecond(ref, h, key, f, func(m *member) {
		m.json.MFAPhoneNumber, m.json.MFAPhoneNumberVerified = phone, true
		in.apply(p.orgs[ref.org], m, mfaSMS)
	})
}
