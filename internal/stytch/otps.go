package stytch

import "context"

// SendEmailOTP sends a member a mail with a code to sign in: POST /v1/b2b/otps/email/login_or_signup. It lives for ten
// minutes; only the newest code of an address works.
func (c *Client) SendEmailOTP(ctx context.Context, organizationID, email string) (*EmailSentResponse, error) {
	return call[EmailSentResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/otps/email/login_or_signup",
		body: struct {
			OrganizationID string `json:"organization_id"`
			EmailAddress   string `json:"email_address"`
		}{organizationID, email},
	}, checkID("organization_id", organizationID), checkEmail(email))
}

// EmailOTPRequest holds a mailed code and who got it.
type EmailOTPRequest struct {
	OrganizationID string
	EmailAddress   string
	Code           Secret
	SignIn
}

// AuthenticateEmailOTP signs a member in by a mailed code: POST /v1/b2b/otps/email/authenticate. It makes a pending or
// invited member active and the address verified. A wrong code counts towards the member's lock.
func (c *Client) AuthenticateEmailOTP(ctx context.Context, req EmailOTPRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/otps/email/authenticate",
		body: struct {
			OrganizationID string `json:"organization_id"`
			EmailAddress   string `json:"email_address"`
			Code           string `json:"code"`
			signIn
		}{req.OrganizationID, req.EmailAddress, req.Code.Reveal(), req.wire()},
		secrets: req.secrets(req.Code),
	}, checkID("organization_id", req.OrganizationID), checkEmail(req.EmailAddress), checkSecret("code", req.Code), req.check())
}

// SendDiscoveryEmailOTP sends an address a mail with a code to find its organizations:
// POST /v1/b2b/otps/email/discovery/send. The mail is sent whether or not anybody knows the address.
func (c *Client) SendDiscoveryEmailOTP(ctx context.Context, email string) (*Response, error) {
	return call[Response](ctx, c, request{
		endpoint: "POST /v1/b2b/otps/email/discovery/send",
		body: struct {
			EmailAddress string `json:"email_address"`
		}{email},
	}, checkEmail(email))
}

// AuthenticateDiscoveryEmailOTP finds the organizations of an address by a mailed code:
// POST /v1/b2b/otps/email/discovery/authenticate.
func (c *Client) AuthenticateDiscoveryEmailOTP(ctx context.Context, email string, code Secret) (*DiscoveryResponse, error) {
	return c.discover(ctx, request{
		endpoint: "POST /v1/b2b/otps/email/discovery/authenticate",
		body: struct {
			EmailAddress string `json:"email_address"`
			Code         string `json:"code"`
		}{email, code.Reveal()},
		secrets: reveal(code),
	}, checkEmail(email), checkSecret("code", code))
}

// SecondFactor names the member a second factor is of. What was proven before must come with it: exactly one of
// IntermediateSessionToken and Own.
type SecondFactor struct {
	OrganizationID string
	MemberID       string
	SignIn
}

func (f SecondFactor) check() error { return firstErr(f.checkMember(), f.checkProof()) }

func (f SecondFactor) checkMember() error {
	return firstErr(checkID("organization_id", f.OrganizationID), checkID("member_id", f.MemberID))
}

// secondFactor is the wire form.
type secondFactor struct {
	OrganizationID string `json:"organization_id"`
	MemberID       string `json:"member_id"`
	signIn
}

func (f SecondFactor) wire() secondFactor {
	return secondFactor{f.OrganizationID, f.MemberID, f.SignIn.wire()}
}

// unlasting is the wire form for calls that make no session.
func (f SecondFactor) unlasting() secondFactor {
	f.SessionDurationMinutes = 0
	return f.wire()
}

// factorAnswer is the answer to a second factor. It is complete or an error, so the API does not say which.
type factorAnswer struct{ AuthenticateResponse }

func (r *factorAnswer) problem() string {
	r.MemberAuthenticated = true
	return r.AuthenticateResponse.problem()
}

// secondFactor makes a call that ends a sign-in.
func (c *Client) secondFactor(ctx context.Context, r request, checks ...error) (*AuthenticateResponse, error) {
	out, err := call[factorAnswer](ctx, c, r, checks...)
	if err != nil {
		return nil, err
	}
	return &out.AuthenticateResponse, nil
}

// enrollment is the value of set_mfa_enrollment; without one the member's setting stays.
func enrollment(enroll bool) string {
	if enroll {
		return "enroll"
	}
	return ""
}

// SendSMSOTP sends a member a code by SMS: POST /v1/b2b/otps/sms/send. The phone is for a member who has none, and then
// becomes the member's; it is in E.164 and empty otherwise. A code lives for two minutes and ends the one before it.
func (c *Client) SendSMSOTP(ctx context.Context, f SecondFactor, phone string) (*MemberResponse, error) {
	return call[MemberResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/otps/sms/send",
		body: struct {
			secondFactor
			Phone string `json:"mfa_phone_number,omitempty"`
		}{f.unlasting(), phone},
		secrets: f.secrets(),
	}, f.check())
}

// AuthenticateSMSOTP ends a sign-in by a code sent by SMS: POST /v1/b2b/otps/sms/authenticate. With enroll the member is
// asked for a second factor at every sign-in from now on.
func (c *Client) AuthenticateSMSOTP(ctx context.Context, f SecondFactor, code Secret, enroll bool) (*AuthenticateResponse, error) {
	return c.secondFactor(ctx, request{
		endpoint: "POST /v1/b2b/otps/sms/authenticate",
		body: struct {
			secondFactor
			Code       string `json:"code"`
			Enrollment string `json:"set_mfa_enrollment,omitempty"`
		}{f.wire(), code.Reveal(), enrollment(enroll)},
		secrets: f.secrets(code),
	}, f.check(), checkSecret("code", code))
}
