package sandbox

import "strings"

const defaultCodeMinutes = 10

// maxGuesses is how many wrong guesses kill a discovery code. There is no member yet whom they could lock.
const maxGuesses = failuresToLock

func sendEmailOTP(c *call) (answer, error) {
	var in struct {
		OrganizationID string `json:"organization_id"`
		EmailAddress   string `json:"email_address"`
		LoginMinutes   *int   `json:"login_expiration_minutes"`
		SignupMinutes  *int   `json:"signup_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	login, err := c.until(in.LoginMinutes, codeMinutes, defaultCodeMinutes)
	if err != nil {
		return nil, err
	}
	signup, err := c.until(in.SignupMinutes, codeMinutes, defaultCodeMinutes)
	if err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, m, err := c.mailed(in.OrganizationID, in.EmailAddress, methodEmailOTP)
	if err != nil {
		return nil, err
	}
	sent := &sentCode{digits: c.newDigits(), expires: login}
	if m.json.Status != statusActive {
		sent.expires = signup
	}
	if !c.dry {
		p.mailCodes[ref] = sent
		c.send(mail{Kind: mailLoginCode, To: m.json.EmailAddress, ref: &ref, ExpiresAt: sent.expires, Code: sent.digits})
	}
	return &sentReply{memberReply: *c.memberReply(ref, m)}, nil
}

type emailOTPReply struct {
	authenticateReply
	MethodID string `json:"method_id"`
}

func authenticateEmailOTP(c *call) (answer, error) {
	var in struct {
		sessionInput
		OrganizationID string `json:"organization_id"`
		EmailAddress   string `json:"email_address"`
		Code           string `json:"code"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	key, p := c.keys.get(), c.project
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
	if err := c.unlocked(m); err != nil {
		return nil, err
	}
	h, err := c.held(ref, in.sessionInput)
	if err != nil {
		return nil, err
	}
	if _, err := c.memberCode(p.mailCodes, ref, in.Code); err != nil {
		return nil, err
	}
	out, err := c.prove(ref, h, key, c.mailFactor(methodEmailOTP, m))
	if err != nil {
		return nil, err
	}
	return &emailOTPReply{authenticateReply: *out, MethodID: p.emailID(m)}, nil
}

// sendDiscoveryOTP mails any address, like sendDiscoveryLink.
func sendDiscoveryOTP(c *call) (answer, error) {
	var in struct {
		EmailAddress string `json:"email_address"`
		Minutes      *int   `json:"discovery_expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkEmail(in.EmailAddress); err != nil {
		return nil, err
	}
	until, err := c.until(in.Minutes, codeMinutes, defaultCodeMinutes)
	if err != nil {
		return nil, err
	}
	if c.dry {
		return &emptyReply{}, nil
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := &sentCode{digits: c.newDigits(), expires: until}
	p.findCodes[address(in.EmailAddress)] = sent
	c.send(mail{Kind: mailDiscoveryCode, To: strings.TrimSpace(in.EmailAddress), ExpiresAt: until, Code: sent.digits})
	return &emptyReply{}, nil
}

func authenticateDiscoveryOTP(c *call) (answer, error) {
	var in struct {
		EmailAddress string `json:"email_address"`
		Code         string `json:"code"`
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
	email := address(in.EmailAddress)
	sent, ok := p.findCodes[email]
	switch {
	case in.Code == "":
		return nil, badRequest("The code is missing.")
	case !ok:
		return nil, errCodeNotFound()
	case sent.digits != in.Code:
		if !c.dry {
			if sent.wrong++; sent.wrong == maxGuesses {
				delete(p.findCodes, email)
			}
		}
		return nil, errCodeWrong()
	case !c.now().Before(sent.expires):
		return nil, errCodeWrong()
	}
	if !c.dry {
		delete(p.findCodes, email)
	}
	return c.discover(email, c.addressFactor(methodEmailOTP, email)), nil
}
