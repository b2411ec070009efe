package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// landingKind says where a single-use token is good.
type landingKind string

// Kinds of landings.
const (
	landLink           landingKind = "multi_tenant_magic_links"
	landDiscovery      landingKind = "discovery"
	landReset          landingKind = "multi_tenant_passwords"
	landDiscoveryReset landingKind = "discovery password reset"
	landSSO            landingKind = "sso"
	landOAuth          landingKind = "oauth"
	landDiscoveryOAuth landingKind = "discovery_oauth"
	landImpersonation  landingKind = "multi_tenant_impersonation"
)

// tokenType is the kind as the redirect URL says it.
func (k landingKind) tokenType() string {
	if k == landDiscoveryReset {
		return string(landDiscovery) // told apart by stytch_redirect_type
	}
	return string(k)
}

// landing is what a single-use token stands for: it leads a browser back to the console, by mail or by redirect.
type landing struct {
	kind      landingKind
	ref       *rowRef // nil: an address only
	email     string
	redirect  string // "": the project's default, as it is when the URL is shown
	login     string // password resets: redirect of the second link, which signs in without a password
	challenge string // PKCE; "": none
	expires   time.Time
	factors   []authFactor // proven when the token was made; none for mails
	spent     bool         // remembered, since a used link is answered differently from an unknown one
}

// PKCE wants 43 to 128 of the unreserved characters; a challenge is the hash of that.
var (
	verifierShape  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	challengeShape = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

func checkChallenge(challenge string) error {
	if challenge != "" && !challengeShape.MatchString(challenge) {
		return fail(http.StatusBadRequest, "invalid_pkce_code_challenge", "The code challenge is not a base64url SHA-256 hash without padding.")
	}
	return nil
}

// checkRedirect accepts what any project would have registered; none at all means the project's default.
func checkRedirect(text, errorType string) error {
	if text == "" {
		return nil
	}
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fail(http.StatusBadRequest, errorType, "The redirect URL is not an absolute http or https URL.")
	}
	return nil
}

// The methods below need project.mu, for writing where they change something.

// newLanding makes the token of a landing.
func (s *Sandbox) newLanding(l landing) string {
	token := s.newToken()
	s.project.landings[token] = &l
	return token
}

// findLanding finds the landing of a token without using it up. A wrong verifier does not use it up either: who has seen
// the URL and not the browser it was made for cannot take the link away from its owner.
func (c *call) findLanding(kind landingKind, token, verifier string) (*landing, error) {
	if token == "" {
		return nil, badRequest("The token is missing.")
	}
	l, ok := c.project.landings[token]
	if !ok || l.kind != kind {
		return nil, kind.unknown()
	}
	if l.spent || !c.now().Before(l.expires) {
		return nil, kind.gone()
	}
	if l.ref != nil && c.project.member(*l.ref).json.Status == statusDeleted {
		return nil, kind.gone()
	}
	switch {
	case l.challenge == "" && verifier != "":
		return nil, fail(http.StatusBadRequest, "pkce_did_not_expect_code_verifier", "The flow was started without a code challenge.")
	case l.challenge == "":
		return l, nil
	case verifier == "":
		return nil, fail(http.StatusBadRequest, "pkce_expected_code_verifier", "The flow was started with a code challenge; its code verifier is missing.")
	case !verifierShape.MatchString(verifier):
		return nil, fail(http.StatusBadRequest, "invalid_pkce_code_verifier", "The code verifier is not well formed.")
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(l.challenge)) != 1 {
		return nil, fail(http.StatusBadRequest, "pkce_mismatch", "The code verifier does not belong to the code challenge.")
	}
	return l, nil
}

// spend uses a token up.
func (c *call) spend(l *landing) {
	if !c.dry {
		l.spent = true
	}
}

func (k landingKind) unknown() error {
	if k == landLink || k == landDiscovery {
		return fail(http.StatusNotFound, "magic_link_not_found", "There is no such magic link.")
	}
	return k.gone()
}

// gone is the answer to a token that was used or has expired.
func (k landingKind) gone() error {
	switch k {
	case landReset, landDiscoveryReset:
		return fail(http.StatusUnauthorized, "unable_to_auth_password_reset_token", "The password reset token is unknown, used or expired.")
	case landSSO:
		return fail(http.StatusNotFound, "sso_token_not_found", "The SSO token is unknown, used or expired.")
	case landOAuth, landDiscoveryOAuth:
		return fail(http.StatusBadRequest, "oauth_token_not_found", "The OAuth token is unknown, used or expired.")
	case landImpersonation:
		return fail(http.StatusUnauthorized, "unable_to_auth_impersonation_token", "The impersonation token is unknown, used or expired.")
	default:
		return fail(http.StatusUnauthorized, "unable_to_auth_magic_link", "The magic link was used or has expired.")
	}
}

// redirect is where a landing leads, before the token is added.
func (s *Sandbox) redirect(l landing) string {
	if l.redirect == "" {
		return s.project.redirectURL
	}
	return l.redirect
}

// landingURL is where the token leads. The redirect URL keeps what it says itself.
func (s *Sandbox) landingURL(l landing, token string) string {
	u, err := url.Parse(s.redirect(l))
	if err != nil {
		return "" // checked when it came in
	}
	extra := "stytch_token_type=" + url.QueryEscape(l.kind.tokenType())
	if l.kind == landReset || l.kind == landDiscoveryReset {
		extra += "&stytch_redirect_type=reset_password"
	}
	if l.kind == landReset {
		extra += "&public_token=" + url.QueryEscape(s.info.PublicToken)
	}
	if l.ref != nil {
		extra += "&slug=" + url.QueryEscape(s.project.orgs[l.ref.org].json.OrganizationSlug)
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += extra + "&token=" + url.QueryEscape(token)
	return u.String()
}
