package stytch

import (
	"context"
	"fmt"
	"slices"
)

// OAuthProviders are the providers the API knows, as they stand in a start URL.
func OAuthProviders() []string {
	return []string{"google", "microsoft", "github", "slack", "hubspot"}
}

// AuthenticateOAuth signs a member in by the token a provider's sign-in came back with: POST /v1/b2b/oauth/authenticate.
// The provider's own tokens in the answer are not read. A provider that does not verify addresses is not enough alone.
func (c *Client) AuthenticateOAuth(ctx context.Context, req TokenRequest) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/oauth/authenticate",
		body: struct {
			Token        string `json:"oauth_token"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
			signIn
		}{req.Token.Reveal(), req.CodeVerifier.Reveal(), req.wire()},
		secrets: req.secrets(req.Token, req.CodeVerifier),
	}, checkSecret("oauth_token", req.Token), req.check())
}

// AuthenticateDiscoveryOAuth finds somebody's organizations by the token a provider's sign-in came back with:
// POST /v1/b2b/oauth/discovery/authenticate. The verifier may be empty.
func (c *Client) AuthenticateDiscoveryOAuth(ctx context.Context, token, verifier Secret) (*DiscoveryResponse, error) {
	return c.discover(ctx, request{
		endpoint: "POST /v1/b2b/oauth/discovery/authenticate",
		body: struct {
			Token        string `json:"discovery_oauth_token"`
			CodeVerifier string `json:"pkce_code_verifier,omitempty"`
		}{token.Reveal(), verifier.Reveal()},
		secrets: reveal(token, verifier),
	}, checkSecret("discovery_oauth_token", token))
}

// OAuthStartURL is the address that sends a browser to a provider, to sign in to an organization or, where none is named,
// to find one: GET /v1/b2b/public/oauth/{provider}/start or …/discovery/start. Nothing is sent.
func (c *Client) OAuthStartURL(provider string, o RedirectStart) (string, error) {
	const endpoint, discovery = "GET /v1/b2b/public/oauth/{provider}/start", "GET /v1/b2b/public/oauth/{provider}/discovery/start"
	if !slices.Contains(OAuthProviders(), provider) {
		return "", badArgument(endpoint, fmt.Errorf("%w: provider is unknown", ErrBadArgument))
	}
	if o.OrganizationID == "" {
		return c.startURL(discovery, []string{provider}, o, [2]string{}, "discovery_redirect_url")
	}
	return c.startURL(endpoint, []string{provider}, o, [2]string{"organization_id", o.OrganizationID}, "login_redirect_url", "signup_redirect_url")
}
