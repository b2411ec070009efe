package stytch

import (
	"context"
	"fmt"
)

// Session durations the API accepts, in minutes.
const (
	MinSessionMinutes = 5
	MaxSessionMinutes = 527040
)

// PasswordAuthenticateRequest holds what a person typed in.
type PasswordAuthenticateRequest struct {
	OrganizationID         string // id, slug or external id
	EmailAddress           string
	Password               Secret
	SessionDurationMinutes int // 0 is the API's default of 60
}

// AuthenticateResponse is the answer to a primary sign-in. Either MemberAuthenticated is true and the session fields are
// set, or IntermediateSessionToken is and MFARequired or PrimaryRequired say what else is needed.
type AuthenticateResponse struct {
	Response

	MemberID                 string           `json:"member_id"`
	OrganizationID           string           `json:"organization_id"`
	Member                   Member           `json:"member"`
	Organization             Organization     `json:"organization"`
	MemberAuthenticated      bool             `json:"member_authenticated"`
	SessionToken             Secret           `json:"session_token"`
	SessionJWT               Secret           `json:"session_jwt"`
	IntermediateSessionToken Secret           `json:"intermediate_session_token"`
	Session                  *MemberSession   `json:"member_session"`
	MFARequired              *MFARequired     `json:"mfa_required"`
	PrimaryRequired          *PrimaryRequired `json:"primary_required"`
}

// MFARequired says that a second factor is missing.
type MFARequired struct {
	MemberOptions          *MemberOptions `json:"member_options"`           // nil when nothing is enrolled yet
	SecondaryAuthInitiated string         `json:"secondary_auth_initiated"` // "sms_otp" when a code is on its way
}

// MemberOptions are the second factors a member has; those it has not are empty.
type MemberOptions struct {
	MFAPhoneNumber     string `json:"mfa_phone_number"`
	TOTPRegistrationID string `json:"totp_registration_id"`
}

// PrimaryRequired says that the organization wants another primary factor; with no method left the member cannot join.
type PrimaryRequired struct {
	AllowedAuthMethods []string `json:"allowed_auth_methods"`
}

func (r *AuthenticateResponse) problem() string {
	switch {
	case r.MemberID == "":
		return problemNoMemberID
	case r.Member.MemberID == "" || r.Member.OrganizationID == "":
		return problemNoMember
	case r.Organization.OrganizationID == "":
		return problemNoOrganization
	case r.Member.MemberID != r.MemberID,
		r.Organization.OrganizationID != r.Member.OrganizationID,
		r.OrganizationID != "" && r.OrganizationID != r.Member.OrganizationID:
		return problemContradiction
	}
	if !r.MemberAuthenticated {
		return ""
	}
	switch {
	case r.SessionToken == "" || r.Session == nil || r.Session.MemberSessionID == "":
		return problemNoSession
	case r.Session.MemberID != r.MemberID || r.Session.OrganizationID != r.Member.OrganizationID:
		return problemContradiction
	}
	return ""
}

// AuthenticatePassword signs a member in by password: POST /v1/b2b/passwords/authenticate.
//
// It acts for nobody, so it carries no acting session. A wrong password is 401 unauthorized_credentials, the same type
// as refused project credentials. A locked member is 429 user_lock_limit_reached. A breached password is refused as
// member_reset_password or reset_password although it is right. A failed call counts towards the member's lock.
func (c *Client) AuthenticatePassword(ctx context.Context, req PasswordAuthenticateRequest) (*AuthenticateResponse, error) {
	const endpoint = "POST /v1/b2b/passwords/authenticate"
	if err := checkID("organization_id", req.OrganizationID); err != nil {
		return nil, badArgument(endpoint, err)
	}
	if m := req.SessionDurationMinutes; m != 0 && (m < MinSessionMinutes || m > MaxSessionMinutes) {
		return nil, badArgument(endpoint, fmt.Errorf("%w: session_duration_minutes is not between %d and %d",
			ErrBadArgument, MinSessionMinutes, MaxSessionMinutes))
	}
	var out AuthenticateResponse
	err := c.do(ctx, request{
		endpoint: endpoint,
		body: struct {
			OrganizationID         string `json:"organization_id"`
			EmailAddress           string `json:"email_address"`
			Password               string `json:"password"`
			SessionDurationMinutes int    `json:"session_duration_minutes,omitempty"`
		}{req.OrganizationID, req.EmailAddress, req.Password.Reveal(), req.SessionDurationMinutes},
		secrets: []string{req.Password.Reveal()},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// ResetStartRequest names the member who is to get a reset mail.
type ResetStartRequest struct {
	OrganizationID string
	EmailAddress   string
}

// ResetStartResponse names the member and the address the mail went to.
type ResetStartResponse struct {
	Response

	MemberID      string `json:"member_id"`
	MemberEmailID string `json:"member_email_id"`
	Member        Member `json:"member"`
}

func (r *ResetStartResponse) problem() string {
	switch {
	case r.MemberID == "":
		return problemNoMemberID
	case r.Member.MemberID != "" && r.Member.MemberID != r.MemberID:
		return problemContradiction
	}
	return ""
}

// StartPasswordReset sends a member the mail to set a new password: POST /v1/b2b/passwords/email/reset/start.
//
// The endpoint accepts no acting session, so the caller must have authorized it. The link leads to the redirect URL set
// for the project and lives for the API's default of 30 minutes. A password that is set keeps working until the new one
// is; sessions stay. Every call sends a mail.
func (c *Client) StartPasswordReset(ctx context.Context, req ResetStartRequest) (*ResetStartResponse, error) {
	const endpoint = "POST /v1/b2b/passwords/email/reset/start"
	if err := checkID("organization_id", req.OrganizationID); err != nil {
		return nil, badArgument(endpoint, err)
	}
	if err := checkEmail(req.EmailAddress); err != nil {
		return nil, badArgument(endpoint, err)
	}
	var out ResetStartResponse
	err := c.do(ctx, request{
		endpoint: endpoint,
		body: struct {
			OrganizationID string `json:"organization_id"`
			EmailAddress   string `json:"email_address"`
		}{req.OrganizationID, req.EmailAddress},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// RequireResetRequest names an address; OrganizationID and MemberID may be empty.
type RequireResetRequest struct {
	EmailAddress   string
	OrganizationID string
	MemberID       string
}

// RequireResetResponse names the member where the API does: each of its fields may be zero.
type RequireResetResponse struct {
	Response

	MemberID     string        `json:"member_id"`
	Member       *Member       `json:"member"`
	Organization *Organization `json:"organization"`
}

func (r *RequireResetResponse) problem() string {
	if r.Member != nil && r.MemberID != "" && r.Member.MemberID != r.MemberID {
		return problemContradiction
	}
	return ""
}

// RequirePasswordReset makes the password of an address unusable until it is reset:
// POST /v1/b2b/passwords/email/require_reset.
//
// It is for projects with cross-organization passwords only, and affects the address in every organization of the
// project. The acting session needs the same permission as for DeleteMemberPassword. It sends no mail. What it did
// cannot be read back.
func (c *Client) RequirePasswordReset(ctx context.Context, acting ActingSession, req RequireResetRequest) (*RequireResetResponse, error) {
	const endpoint = "POST /v1/b2b/passwords/email/require_reset"
	if err := checkEmail(req.EmailAddress); err != nil {
		return nil, badArgument(endpoint, err)
	}
	var out RequireResetResponse
	err := c.doAs(ctx, acting, request{
		endpoint: endpoint,
		body: struct {
			EmailAddress   string `json:"email_address"`
			OrganizationID string `json:"organization_id,omitempty"`
			MemberID       string `json:"member_id,omitempty"`
		}{req.EmailAddress, req.OrganizationID, req.MemberID},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
