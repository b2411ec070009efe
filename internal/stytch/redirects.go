package stytch

import (
	"fmt"
	"net/url"
)

// RedirectStart is what a browser takes along to an identity provider. All of it ends up in an address bar.
type RedirectStart struct {
	PublicToken    string // of the project; not a secret, and not its id
	OrganizationID string // id, slug or external id
	ConnectionID   string // for SSO only, and then enough without an organization
	RedirectURL    string // where it comes back to; empty is what is set for the project
	CodeChallenge  string // PKCE, S256; empty for none
}

func (c *Client) startURL(endpoint string, path []string, o RedirectStart, target [2]string, redirects ...string) (string, error) {
	if o.PublicToken == "" || !printable(o.PublicToken) {
		return "", badArgument(endpoint, fmt.Errorf("%w: public_token is empty or not one", ErrBadArgument))
	}
	query := url.Values{"public_token": {o.PublicToken}}
	if name, id := target[0], target[1]; name != "" {
		if err := checkID(name, id); err != nil {
			return "", badArgument(endpoint, err)
		}
		query.Set(name, id)
	}
	if o.RedirectURL != "" {
		for _, name := range redirects {
			query.Set(name, o.RedirectURL)
		}
	}
	if o.CodeChallenge != "" {
		query.Set("pkce_code_challenge", o.CodeChallenge)
	}
	_, p, err := expand(endpoint, path)
	if err != nil {
		return "", badArgument(endpoint, err)
	}
	return c.base + p + "?" + query.Encode(), nil
}
