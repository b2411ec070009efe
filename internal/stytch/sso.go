package stytch

import "context"

// AuthenticateSSO signs a member in by the token an SSO connection's sign-in came back with: POST /v1/b2b/sso/authenticate.
// Its intermediate session token counts in this organization only.
func (c *Client) AuthenticateSSO(ctx context.Context, req TokenRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/sso/authenticate",
		body: struct {
			Token        string `json:"sso_token"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
			signIn
		}{req.Token.Reveal(), req.CodeVerifier.Reveal(), req.wire()},
		secrets: req.secrets(req.Token, req.CodeVerifier),
	}, checkSecret("sso_token", req.Token), req.check())
}

// SSOStartURL is the address that sends a browser to the identity provider of an SSO connection, or of the organization's
// default connection where none is named: GET /v1/public/sso/start, without the b2b of all other paths. Nothing is sent.
func (c *Client) SSOStartURL(o RedirectStart) (string, error) {
	const endpoint = "GET /v1/public/sso/start"
	target := [2]string{"connection_id", o.ConnectionID}
	if o.ConnectionID == "" {
		target = [2]string{"organization_id", o.OrganizationID}
	}
	return c.startURL(endpoint, nil, o, target, "login_redirect_url", "signup_redirect_url")
}
