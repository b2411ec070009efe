package handlers

import "slices"

// way is one way of proving who one is. It names what is recorded and what
// people are told; the upstream alone decides whether it is enough.
type way string

// The ways. Those that are Stytch's auth methods have its names.
const (
	wayPassword          way = "password"
	wayMagicLink         way = "magic_link"
	wayEmailOTP          way = "email_otp"
	waySSO               way = "sso"
	wayOAuth             way = "oauth"
	wayDiscoveryLink     way = "discovery_magic_link"
	wayDiscoveryOTP      way = "discovery_email_otp"
	wayDiscoveryOAuth    way = "discovery_oauth"
	wayDiscovered        way = "discovery" // choosing among one's organizations
	wayExchange          way = "exchange"  // another organization, with the session of this one
	wayResetPassword     way = "password_reset"
	wayDiscoveryPassword way = "discovery_password_reset"
	wayOwnPassword       way = "password_change"
	wayImpersonation     way = "impersonation"
	waySMS               way = "sms_otp"
	wayTOTP              way = "totp"
	wayRecovery          way = "recovery_code"
	wayShared            way = "shared_session"
)

// factor reports a second factor.
func (w way) factor() bool { return w == waySMS || w == wayTOTP || w == wayRecovery }

// token reports a way whose secret comes back in an address.
func (w way) token() bool {
	return slices.Contains([]way{
		wayMagicLink, waySSO, wayOAuth, wayDiscoveryLink, wayDiscoveryOAuth, wayResetPassword, wayDiscoveryPassword, wayImpersonation,
	}, w)
}

// words are for "signing in with …".
func (w way) words() string {
	switch w {
	case wayPassword, wayOwnPassword, wayResetPassword, wayDiscoveryPassword:
		return "a password"
	case wayMagicLink, wayDiscoveryLink:
		return "a link by email"
	case wayEmailOTP, wayDiscoveryOTP:
		return "a code by email"
	case waySSO:
		return "single sign-on"
	case wayOAuth, wayDiscoveryOAuth:
		return "this provider"
	case waySMS:
		return "a text message"
	case wayTOTP:
		return "an authenticator app"
	default:
		return "this"
	}
}

// thing is what was opened, for a token.
func (w way) thing() string {
	if w == waySSO || w == wayOAuth || w == wayDiscoveryOAuth {
		return "sign-in"
	}
	return "link"
}

// factorType is the authentication factor type, as Stytch names those of a session.
func (w way) factorType() string {
	switch w {
	case wayDiscoveryLink, wayMagicLink:
		return "magic_link"
	case wayDiscoveryOTP, wayEmailOTP:
		return "email_otp"
	case wayDiscoveryOAuth, wayOAuth:
		return "oauth"
	case wayOwnPassword, wayResetPassword, wayDiscoveryPassword, wayPassword:
		return "password"
	case waySMS:
		return "otp"
	case wayRecovery:
		return "recovery_codes"
	case wayImpersonation:
		return "impersonated"
	default:
		return string(w)
	}
}

// oauthProvider is one that a browser can be sent to. method is its name among
// an organization's allowed auth methods.
type oauthProvider struct{ id, name, method string }

func oauthProviders() []oauthProvider {
	return []oauthProvider{
		{"google", "Google", "google_oauth"},
		{"microsoft", "Microsoft", "microsoft_oauth"},
		{"github", "GitHub", "github_oauth"},
		{"slack", "Slack", "slack_oauth"},
		{"hubspot", "HubSpot", "hubspot_oauth"},
	}
}
