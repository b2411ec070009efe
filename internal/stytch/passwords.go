package stytch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// PasswordAuthenticateRequest holds what a person typed in.
type PasswordAuthenticateRequest struct {
	OrganizationID         string // id, slug or external id
	EmailAddress           string
	Password               Secret
	SessionDurationMinutes int // 0 is the API's default of 60

	// IntermediateSessionToken adds the password to the factors already proven; it may be empty.
	IntermediateSessionToken Secret
}

// AuthenticatePassword signs a member in by password: POST /v1/b2b/passwords/authenticate.
//
// It acts for nobody, so it carries no acting session. A wrong password is 401 unauthorized_credentials, the same type
// as refused project credentials. A locked member is 429 user_lock_limit_reached. A breached password is refused as
// member_reset_password or reset_password although it is right. A failed call counts towards the member's lock.
func (c *Client) AuthenticatePassword(ctx context.Context, req PasswordAuthenticateRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/passwords/authenticate",
		body: struct {
			OrganizationID           string `json:"organization_id"`
			EmailAddress             string `json:"email_address"`
			Password                 string `json:"password"`
			IntermediateSessionToken string `json:"intermediate_session_token,omitempty"`
			SessionDurationMinutes   int    `json:"session_duration_minutes,omitempty"`
		}{req.OrganizationID, req.EmailAddress, req.Password.Reveal(), req.IntermediateSessionToken.Reveal(), req.SessionDurationMinutes},
		secrets: reveal(req.Password, req.IntermediateSessionToken),
	}, checkID("organization_id", req.OrganizationID), checkMinutes(req.SessionDurationMinutes))
}

// ResetStartRequest names the member who is to get a reset mail.
type ResetStartRequest struct {
	OrganizationID   string
	EmailAddress     string
	RedirectURL      string // where the link to set a password leads; empty is what is set for the project
	LoginRedirectURL string // where the mail's other link leads, which signs in without a password
	CodeChallenge    string // PKCE, S256; empty for none
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
// The endpoint accepts no acting session, so the caller must have authorized it. The link lives for the API's default of
// 30 minutes. A password that is set keeps working until the new one
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
			OrganizationID   string `json:"organization_id"`
			EmailAddress     string `json:"email_address"`
			RedirectURL      string `json:"reset_password_redirect_url,omitempty"`
			LoginRedirectURL string `json:"login_redirect_url,omitempty"`
			CodeChallenge    string `json:"code_challenge,omitempty"` // no pkce_ before it, unlike everywhere else
		}{req.OrganizationID, req.EmailAddress, req.RedirectURL, req.LoginRedirectURL, req.CodeChallenge},
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

// ResetPasswordRequest sets a password with the token of a reset mail.
type ResetPasswordRequest struct {
	Token        Secret // from the query of the redirect URL
	CodeVerifier Secret // of the CodeChallenge the mail was asked with
	Password     Secret
	SignIn
}

// ResetPasswordByEmail sets the password and signs the member in: POST /v1/b2b/passwords/email/reset. All other sessions
// of the member end. A token works once.
func (c *Client) ResetPasswordByEmail(ctx context.Context, req ResetPasswordRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/passwords/email/reset",
		body: struct {
			Token        string `json:"password_reset_token"`
			Password     string `json:"password"`
			CodeVerifier string `json:"code_verifier,omitempty"`
			signIn
		}{req.Token.Reveal(), req.Password.Reveal(), req.CodeVerifier.Reveal(), req.wire()},
		secrets: req.secrets(req.Token, req.CodeVerifier, req.Password),
	}, checkSecret("password_reset_token", req.Token), checkSecret("password", req.Password), req.check())
}

// sessionResetAnswer may leave out the credentials of the session that goes on.
type sessionResetAnswer struct {
	AuthenticateResponse

	own ActingSession
}

// UnmarshalJSON keeps the session the call was made with.
func (r *sessionResetAnswer) UnmarshalJSON(data []byte) error {
	return r.AuthenticateResponse.UnmarshalJSON(data)
}

func (r *sessionResetAnswer) problem() string {
	if own := r.own.own(); r.MemberAuthenticated && r.SessionToken == "" {
		r.SessionToken = Secret(own.SessionToken)
	}
	return r.AuthenticateResponse.problem()
}

// ResetPasswordBySession sets the password of the member whose session it is: POST /v1/b2b/passwords/session/reset. The
// session must hold a factor of the last five minutes. The member's other sessions end; this one goes on, so where the
// answer names no session token, SessionToken is that of own.
func (c *Client) ResetPasswordBySession(ctx context.Context, own ActingSession, organizationID string, password Secret, minutes int) (*AuthenticateResponse, error) {
	r := request{
		endpoint: "POST /v1/b2b/passwords/session/reset",
		body: struct {
			OrganizationID string `json:"organization_id"`
			Password       string `json:"password"`
			signIn
		}{organizationID, password.Reveal(), SignIn{Own: own, SessionDurationMinutes: minutes}.wire()},
		secrets: reveal(own.secret(), password),
	}
	err := errors.Join(checkOwn(own), checkID("organization_id", organizationID), checkSecret("password", password), checkMinutes(minutes))
	if err != nil {
		return nil, badArgument(r.endpoint, err)
	}
	out := sessionResetAnswer{own: own}
	if err := c.do(ctx, r, &out); err != nil {
		return nil, err
	}
	return &out.AuthenticateResponse, nil
}

// ExistingPasswordRequest replaces a password by whoever knows it. Its SignIn takes no intermediate session token.
type ExistingPasswordRequest struct {
	OrganizationID string
	EmailAddress   string
	Existing       Secret
	New            Secret
	SignIn
}

// ResetPasswordByExisting replaces the password and signs the member in: POST /v1/b2b/passwords/existing_password/reset.
// All other sessions of the member end.
func (c *Client) ResetPasswordByExisting(ctx context.Context, req ExistingPasswordRequest) (*AuthenticateResponse, error) {
	var noToken error
	if req.IntermediateSessionToken != "" {
		noToken = fmt.Errorf("%w: intermediate_session_token is not taken here", ErrBadArgument)
	}
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/passwords/existing_password/reset",
		body: struct {
			OrganizationID string `json:"organization_id"`
			EmailAddress   string `json:"email_address"`
			Existing       string `json:"existing_password"`
			New            string `json:"new_password"`
			signIn
		}{req.OrganizationID, req.EmailAddress, req.Existing.Reveal(), req.New.Reveal(), req.wire()},
		secrets: req.secrets(req.Existing, req.New),
	}, checkID("organization_id", req.OrganizationID), checkEmail(req.EmailAddress), noToken,
		checkSecret("existing_password", req.Existing), checkSecret("new_password", req.New), req.check())
}

// AuthenticateDiscoveryPassword finds the organizations of an address by its password, in a project with
// cross-organization passwords: POST /v1/b2b/passwords/discovery/authenticate.
func (c *Client) AuthenticateDiscoveryPassword(ctx context.Context, email string, password Secret) (*DiscoveryResponse, error) {
	return c.discover(ctx, request{
		endpoint: "POST /v1/b2b/passwords/discovery/authenticate",
		body: struct {
			EmailAddress string `json:"email_address"`
			Password     string `json:"password"`
		}{email, password.Reveal()},
		secrets: reveal(password),
	}, checkEmail(email), checkSecret("password", password))
}

// StartDiscoveryPasswordReset sends an address the mail to set its cross-organization password:
// POST /v1/b2b/passwords/discovery/email/reset/start. Both links of the mail lead to the RedirectURL.
func (c *Client) StartDiscoveryPasswordReset(ctx context.Context, req EmailRequest) (*Response, error) {
	return call[Response](ctx, c, request{
		endpoint: "POST /v1/b2b/passwords/discovery/email/reset/start",
		body: struct {
			EmailAddress         string `json:"email_address"`
			RedirectURL          string `json:"reset_password_redirect_url,omitempty"`
			DiscoveryRedirectURL string `json:"discovery_redirect_url,omitempty"`
			CodeChallenge        string `json:"pkce_code_challenge,omitempty"`
		}{req.EmailAddress, req.RedirectURL, req.RedirectURL, req.CodeChallenge},
	}, checkEmail(req.EmailAddress))
}

// DiscoveryResetPassword sets a cross-organization password with the token of a reset mail and finds the organizations of
// the address: POST /v1/b2b/passwords/discovery/email/reset.
func (c *Client) DiscoveryResetPassword(ctx context.Context, token, verifier, password Secret) (*DiscoveryResponse, error) {
	return c.discover(ctx, request{
		endpoint: "POST /v1/b2b/passwords/discovery/email/reset",
		body: struct {
			Token        string `json:"password_reset_token"`
			Password     string `json:"password"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
		}{token.Reveal(), password.Reveal(), verifier.Reveal()},
		secrets: reveal(token, password, verifier),
	}, checkSecret("password_reset_token", token), checkSecret("password", password))
}

// PasswordStrength says whether the project's policy takes a password, and if not, why.
type PasswordStrength struct {
	Response

	Valid       bool
	Score       int    // 0 to 4
	Breached    bool   // found in a collection of leaked passwords
	Policy      string // zxcvbn or luds
	Warning     string // with zxcvbn; may be empty
	Suggestions []string
	LUDS        *LUDSFeedback // with luds

	unsaid bool // whether it is valid
}

// LUDSFeedback says which kinds of characters a password has and how much of them it lacks.
type LUDSFeedback struct {
	HasLowerCase      bool `json:"has_lower_case"`
	HasUpperCase      bool `json:"has_upper_case"`
	HasDigit          bool `json:"has_digit"`
	HasSymbol         bool `json:"has_symbol"`
	MissingComplexity int  `json:"missing_complexity"`
	MissingCharacters int  `json:"missing_characters"`
}

// UnmarshalJSON reads what it can.
func (r *PasswordStrength) UnmarshalJSON(data []byte) error {
	var wire struct {
		RequestID string          `json:"request_id"`
		Valid     json.RawMessage `json:"valid_password"`
		Score     lenientInt      `json:"score"`
		Breached  bool            `json:"breached_password"`
		Policy    string          `json:"strength_policy"`
		LUDS      *LUDSFeedback   `json:"luds_feedback"`
		ZXCVBN    struct {
			Warning     string   `json:"warning"`
			Suggestions []string `json:"suggestions"`
		} `json:"zxcvbn_feedback"`
	}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	valid := string(wire.Valid) == "true"
	*r = PasswordStrength{
		Response: Response{RequestID: wire.RequestID}, Valid: valid, unsaid: !valid && string(wire.Valid) != "false", Score: wire.Score.n, Breached: wire.Breached, Policy: wire.Policy,
		Warning: wire.ZXCVBN.Warning, Suggestions: wire.ZXCVBN.Suggestions, LUDS: wire.LUDS,
	}
	return nil
}

func (r *PasswordStrength) problem() string {
	if r.unsaid {
		return "valid_password is missing"
	}
	return ""
}

// CheckPasswordStrength asks whether a password would be taken, and changes nothing:
// POST /v1/b2b/passwords/strength_check. With an address, which may be empty, a password made of it is weaker.
func (c *Client) CheckPasswordStrength(ctx context.Context, email string, password Secret) (*PasswordStrength, error) {
	return call[PasswordStrength](ctx, c, request{
		endpoint: "POST /v1/b2b/passwords/strength_check",
		body: struct {
			Password     string `json:"password"`
			EmailAddress string `json:"email_address,omitempty"`
		}{password.Reveal(), email},
		secrets: reveal(password),
	}, checkSecret("password", password))
}
