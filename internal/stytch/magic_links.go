package stytch

import "context"

// EmailRequest names who is to get a mail. A method that finds organizations by the address takes no OrganizationID.
type EmailRequest struct {
	OrganizationID string // id, slug or external id
	EmailAddress   string
	RedirectURL    string // where its link leads; empty is what is set for the project
	CodeChallenge  string // PKCE, S256; empty for none
}

// EmailSentResponse says to whom a mail went, as far as the API does: every field may be zero.
type EmailSentResponse struct {
	Response

	MemberID      string        `json:"member_id"`
	MemberCreated bool          `json:"member_created"` // the address was unknown and the organization lets it join
	Member        *Member       `json:"member"`
	Organization  *Organization `json:"organization"`
}

func (r *EmailSentResponse) problem() string {
	switch m, o := r.Member, r.Organization; {
	case m != nil && m.MemberID != "" && r.MemberID != "" && m.MemberID != r.MemberID,
		m != nil && o != nil && m.OrganizationID != "" && o.OrganizationID != "" && m.OrganizationID != o.OrganizationID:
		return problemContradiction
	}
	return ""
}

// SendMagicLink sends a member a mail with a link to sign in: POST /v1/b2b/magic_links/email/login_or_signup. A pending or
// invited member gets the mail to sign up, whose link leads to the same RedirectURL.
func (c *Client) SendMagicLink(ctx context.Context, req EmailRequest) (*EmailSentResponse, error) {
	return call[EmailSentResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/magic_links/email/login_or_signup",
		body: struct {
			OrganizationID    string `json:"organization_id"`
			EmailAddress      string `json:"email_address"`
			LoginRedirectURL  string `json:"login_redirect_url,omitempty"`
			SignupRedirectURL string `json:"signup_redirect_url,omitempty"`
			CodeChallenge     string `json:"pkce_code_challenge,omitempty"`
		}{req.OrganizationID, req.EmailAddress, req.RedirectURL, req.RedirectURL, req.CodeChallenge},
	}, checkID("organization_id", req.OrganizationID), checkEmail(req.EmailAddress))
}

// AuthenticateMagicLink signs a member in by the token of a mailed link, an invitation's included:
// POST /v1/b2b/magic_links/authenticate. It makes a pending or invited member active and the address verified.
func (c *Client) AuthenticateMagicLink(ctx context.Context, req TokenRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/magic_links/authenticate",
		body: struct {
			Token        string `json:"magic_links_token"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
			signIn
		}{req.Token.Reveal(), req.CodeVerifier.Reveal(), req.wire()},
		secrets: req.secrets(req.Token, req.CodeVerifier),
	}, checkSecret("magic_links_token", req.Token), req.check())
}

// SendDiscoveryMagicLink sends an address a mail with a link to find its organizations:
// POST /v1/b2b/magic_links/email/discovery/send. The mail is sent whether or not anybody knows the address.
func (c *Client) SendDiscoveryMagicLink(ctx context.Context, req EmailRequest) (*Response, error) {
	return call[Response](ctx, c, request{
		endpoint: "POST /v1/b2b/magic_links/email/discovery/send",
		body: struct {
			EmailAddress  string `json:"email_address"`
			RedirectURL   string `json:"discovery_redirect_url,omitempty"`
			CodeChallenge string `json:"pkce_code_challenge,omitempty"`
		}{req.EmailAddress, req.RedirectURL, req.CodeChallenge},
	}, checkEmail(req.EmailAddress))
}

// AuthenticateDiscoveryMagicLink finds the organizations of an address by the token of a mailed link:
// POST /v1/b2b/magic_links/discovery/authenticate. The verifier may be empty.
func (c *Client) AuthenticateDiscoveryMagicLink(ctx context.Context, token, verifier Secret) (*DiscoveryResponse, error) {
	return c.discover(ctx, request{
		endpoint: "POST /v1/b2b/magic_links/discovery/authenticate",
		body: struct {
			Token        string `json:"discovery_magic_links_token"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
		}{token.Reveal(), verifier.Reveal()},
		secrets: reveal(token, verifier),
	}, checkSecret("discovery_magic_links_token", token))
}
