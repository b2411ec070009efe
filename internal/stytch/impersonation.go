package stytch

import "context"

// AuthenticateImpersonation makes the session of somebody else out of a token minted in the vendor's dashboard:
// POST /v1/b2b/impersonation/authenticate. The token lives for five minutes and works once. The session lasts an hour,
// cannot be extended, and MemberSession.Impersonator names who is behind it.
func (c *Client) AuthenticateImpersonation(ctx context.Context, token Secret) (*AuthenticateResponse, error) {
	return call[AuthenticateResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/impersonation/authenticate",
		body: struct {
			Token string `json:"impersonation_token"`
		}{token.Reveal()},
		secrets: reveal(token),
	}, checkSecret("impersonation_token", token))
}
