package stytch_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

func TestStartURLs(t *testing.T) {
	t.Parallel()
	const base = "https://login.example/v/"
	client := newClient(t, base)
	const back = "https://c.example/authenticate?state=a&b=ü"
	full := stytch.RedirectStart{PublicToken: "public-token-test-1", OrganizationID: "acme", RedirectURL: back, CodeChallenge: "ch-_"}
	connection := full
	connection.ConnectionID = "saml-connection-test-1"
	tests := []struct {
		name string
		make func() (string, error)
		path string
		want url.Values
	}{
		{
			"sso", func() (string, error) { return client.SSOStartURL(full) }, "/v/v1/public/sso/start",
			url.Values{
				"public_token": {"public-token-test-1"}, "organization_id": {"acme"}, "login_redirect_url": {back}, "signup_redirect_url": {back},
				"pkce_code_challenge": {"ch-_"},
			},
		},
		{
			"sso by connection", func() (string, error) { return client.SSOStartURL(connection) }, "/v/v1/public/sso/start",
			url.Values{
				"public_token": {"public-token-test-1"}, "connection_id": {"saml-connection-test-1"}, "login_redirect_url": {back},
				"signup_redirect_url": {back}, "pkce_code_challenge": {"ch-_"},
			},
		},
		{
			"barely", func() (string, error) {
				return client.SSOStartURL(stytch.RedirectStart{PublicToken: "p", ConnectionID: "c"})
			}, "/v/v1/public/sso/start",
			url.Values{"public_token": {"p"}, "connection_id": {"c"}},
		},
		{
			"oauth", func() (string, error) { return client.OAuthStartURL("google", full) }, "/v/v1/b2b/public/oauth/google/start",
			url.Values{
				"public_token": {"public-token-test-1"}, "organization_id": {"acme"}, "login_redirect_url": {back}, "signup_redirect_url": {back},
				"pkce_code_challenge": {"ch-_"},
			},
		},
		{
			"oauth discovery", func() (string, error) {
				return client.OAuthStartURL("microsoft", stytch.RedirectStart{PublicToken: "p", RedirectURL: back, CodeChallenge: "ch"})
			}, "/v/v1/b2b/public/oauth/microsoft/discovery/start",
			url.Values{"public_token": {"p"}, "discovery_redirect_url": {back}, "pkce_code_challenge": {"ch"}},
		},
	}
	for _, tt := range tests {
		got, err := tt.make()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "login.example" || u.Path != tt.path || u.User != nil || u.Fragment != "" {
			t.Errorf("%s: %s", tt.name, got)
			continue
		}
		if diff := cmp.Diff(tt.want, u.Query()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if strings.Contains(got, secret) {
			t.Errorf("%s: the secret is in %s", tt.name, got)
		}
	}
	if diff := cmp.Diff([]string{"google", "microsoft", "github", "slack", "hubspot"}, stytch.OAuthProviders()); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
	stytch.OAuthProviders()[0] = "changed"
	for _, p := range stytch.OAuthProviders() {
		if _, err := client.OAuthStartURL(p, full); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	refused := map[string]func() (string, error){
		"sso to nowhere": func() (string, error) { return client.SSOStartURL(stytch.RedirectStart{PublicToken: "p"}) },
		"sso to a path": func() (string, error) {
			return client.SSOStartURL(stytch.RedirectStart{PublicToken: "p", ConnectionID: "a/b"})
		},
		"sso without token": func() (string, error) { return client.SSOStartURL(stytch.RedirectStart{OrganizationID: "o"}) },
		"token of words": func() (string, error) {
			return client.SSOStartURL(stytch.RedirectStart{PublicToken: "a b", OrganizationID: "o"})
		},
		"oauth without token": func() (string, error) {
			return client.OAuthStartURL("google", stytch.RedirectStart{OrganizationID: "o"})
		},
		"oauth to a path": func() (string, error) {
			return client.OAuthStartURL("google", stytch.RedirectStart{PublicToken: "p", OrganizationID: "."})
		},
	}
	for _, provider := range []string{"", "Google", "facebook", "google/discovery", "../x"} {
		refused["provider "+provider] = func() (string, error) { return client.OAuthStartURL(provider, full) }
	}
	for name, do := range refused {
		if got, err := do(); !errors.Is(err, stytch.ErrBadArgument) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
