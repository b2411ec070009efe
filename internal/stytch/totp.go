package stytch

import (
	"context"
)

// TOTPResponse is a new authenticator app registration, pending until a code of it is authenticated. Secret and
// RecoveryCodes are shown once and cannot be read again.
type TOTPResponse struct {
	MemberResponse

	TOTPRegistrationID string   `json:"totp_registration_id"`
	Secret             Secret   `json:"secret"` // base32, for an otpauth URL
	RecoveryCodes      []Secret `json:"recovery_codes"`
}

// A list of codes that is only half read would lock its owner out.
func (*TOTPResponse) strict() {}

func (r *TOTPResponse) problem() string {
	switch {
	case r.TOTPRegistrationID == "":
		return "totp_registration_id is missing"
	case r.Secret == "":
		return "secret is missing"
	}
	return r.MemberResponse.problem()
}

// CreateTOTP registers an authenticator app: POST /v1/b2b/totp. The picture of a QR code the API sends is not read: it
// would be a foreign image, and the secret is all it says.
func (c *Client) CreateTOTP(ctx context.Context, f SecondFactor) (*TOTPResponse, error) {
	return call[TOTPResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/totp",
		body:     f.unlasting(),
		secrets:  f.secrets(),
	}, f.check())
}

// AuthenticateTOTP ends a sign-in by a code of an authenticator app: POST /v1/b2b/totp/authenticate. With enroll the
// member is asked for a second factor at every sign-in from now on. A code works once.
func (c *Client) AuthenticateTOTP(ctx context.Context, f SecondFactor, code Secret, enroll bool) (*AuthenticateResponse, error) {
	return c.secondFactor(ctx, request{
		endpoint: "POST /v1/b2b/totp/authenticate",
		body: struct {
			secondFactor
			Code       string `json:"code"`
			Enrollment string `json:"set_mfa_enrollment,omitempty"`
		}{f.wire(), code.Reveal(), enrollment(enroll)},
		secrets: f.secrets(code),
	}, f.check(), checkSecret("code", code))
}
