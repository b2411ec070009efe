package stytch

import (
	"errors"
	"fmt"
	"time"
)

// Session durations the API accepts, in minutes.
const (
	MinSessionMinutes = 5
	MaxSessionMinutes = 527040
)

// SignIn is what every authenticate call may say besides the proof it is about. At most one of IntermediateSessionToken
// and Own may be set.
type SignIn struct {
	IntermediateSessionToken Secret        // the factors already proven
	Own                      ActingSession // a session of the same member, which is reused and extended; zero for none
	SessionDurationMinutes   int           // 0 is the API's default of 60
}

// signIn is the wire form.
type signIn struct {
	IntermediateSessionToken string `json:"intermediate_session_token,omitempty"`
	ownSession
	SessionDurationMinutes int `json:"session_duration_minutes,omitempty"`
}

func (s SignIn) wire() signIn {
	return signIn{s.IntermediateSessionToken.Reveal(), s.Own.own(), s.SessionDurationMinutes}
}

// secrets are those of s and more, for request.secrets.
func (s SignIn) secrets(more ...Secret) []string {
	return reveal(append(more, s.IntermediateSessionToken, s.Own.secret())...)
}

func (s SignIn) check() error {
	var token error
	switch {
	case s.IntermediateSessionToken == "":
	case s.Own.IsZero():
		token = checkSecret("intermediate_session_token", s.IntermediateSessionToken)
	default:
		token = fmt.Errorf("%w: both an intermediate session token and a session", ErrBadArgument)
	}
	return errors.Join(token, checkMinutes(s.SessionDurationMinutes))
}

// checkProof is check where one of the two is needed.
func (s SignIn) checkProof() error {
	if s.IntermediateSessionToken == "" && s.Own.IsZero() {
		return fmt.Errorf("%w: neither an intermediate session token nor a session", ErrBadArgument)
	}
	return s.check()
}

func checkMinutes(m int) error {
	if m != 0 && (m < MinSessionMinutes || m > MaxSessionMinutes) {
		return fmt.Errorf("%w: session_duration_minutes is not between %d and %d", ErrBadArgument, MinSessionMinutes, MaxSessionMinutes)
	}
	return nil
}

func checkOwn(own ActingSession) error {
	if own.IsZero() {
		return ErrNoActingSession
	}
	return nil
}

// AuthenticateResponse is the answer to a step of a sign-in. Either MemberAuthenticated is true and the session fields are
// set, or IntermediateSessionToken is and MFARequired or PrimaryRequired say what else is needed.
//
// Organization and member may be named otherwise in the request, by slug or external id, so the client cannot compare
// them: do it before handing out the session.
type AuthenticateResponse struct {
	Response

	MemberID                 string           `json:"member_id"`
	OrganizationID           string           `json:"organization_id"` // some endpoints leave it out; Organization has it
	Member                   Member           `json:"member"`
	Organization             Organization     `json:"organization"`
	MemberAuthenticated      bool             `json:"member_authenticated"`
	SessionToken             Secret           `json:"session_token"`
	SessionJWT               Secret           `json:"session_jwt"`
	IntermediateSessionToken Secret           `json:"intermediate_session_token"`
	Session                  *MemberSession   `json:"member_session"`
	MFARequired              *MFARequired     `json:"mfa_required"`
	PrimaryRequired          *PrimaryRequired `json:"primary_required"`

	// IntermediateSessionExpiresAt is zero where the API did not say; then it is ten minutes by default.
	IntermediateSessionExpiresAt time.Time `json:"intermediate_session_token_expires_at"`
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

// UnmarshalJSON reads what it can.
func (r *AuthenticateResponse) UnmarshalJSON(data []byte) error {
	type plain AuthenticateResponse
	*r = AuthenticateResponse{}
	wire := struct {
		*plain
		ExpiresAt lenientTime `json:"intermediate_session_token_expires_at"`
	}{plain: (*plain)(r)}
	err := decodeLenient(data, &wire)
	r.IntermediateSessionExpiresAt = wire.ExpiresAt.t
	return err
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
		if r.SessionToken != "" || r.SessionJWT != "" || r.Session != nil {
			return problemHalfSession
		}
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

// TokenRequest authenticates the token that came back in the query of a redirect URL. A token works once.
type TokenRequest struct {
	Token        Secret
	CodeVerifier Secret // of the CodeChallenge it was asked with; empty for none
	SignIn
}
