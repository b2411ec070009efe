package handlers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

const (
	methodPassword = "password"
	methodSSO      = "sso"
	restricted     = "RESTRICTED"
	requiredForAll = "REQUIRED_FOR_ALL"
)

// methodNames are Stytch's auth methods in the order people think of them.
func methodNames() []struct{ id, name string } {
	return []struct{ id, name string }{
		{methodPassword, "password"},
		{"magic_link", "email magic link"},
		{"email_otp", "email code"},
		{methodSSO, "single sign-on"},
		{"google_oauth", "Google"},
		{"microsoft_oauth", "Microsoft"},
		{"slack_oauth", "Slack"},
		{"github_oauth", "GitHub"},
		{"hubspot_oauth", "HubSpot"},
	}
}

// allowsMethod reports whether the organization lets this member use a
// primary sign-in method. Breakglass members are exempt from restrictions.
func allowsMethod(o stytch.Organization, m stytch.Member, method string) bool {
	return m.IsBreakglass || o.AuthMethods != restricted || slices.Contains(o.AllowedAuthMethods, method)
}

// otherWays names what the member could sign in with besides a password. SSO
// counts only where a connection is active; whether the operator's app offers
// a method is not known to Stytch.
func otherWays(o stytch.Organization, m stytch.Member) []string {
	var ways []string
	for _, method := range methodNames() {
		switch {
		case method.id == methodPassword, !allowsMethod(o, m, method.id):
		case method.id == methodSSO:
			for _, c := range o.SSOActiveConnections {
				ways = append(ways, "single sign-on ("+c.DisplayName+")")
			}
		default:
			ways = append(ways, method.name)
		}
	}
	return ways
}

// locked reports a lock that holds at now: is_locked may be stale.
func locked(m stytch.Member, now time.Time) bool {
	return m.IsLocked && (m.LockExpiresAt == nil || m.LockExpiresAt.After(now))
}

func mfaFactors(m stytch.Member) []string {
	var factors []string
	if m.MFAPhoneNumber != "" && m.MFAPhoneNumberVerified {
		factors = append(factors, "SMS code")
	}
	if m.TOTPRegistrationID != "" {
		factors = append(factors, "authenticator app")
	}
	return factors
}

func mfaRequired(o stytch.Organization, m stytch.Member) bool {
	return o.MFAPolicy == requiredForAll || m.MFAEnrolled
}

// mfaWord is the members list's column, which has room for little.
func mfaWord(m stytch.Member) string {
	factors := strings.NewReplacer("SMS code", "SMS", "authenticator app", "app").Replace(strings.Join(mfaFactors(m), ", "))
	switch {
	case factors != "" && m.MFAEnrolled:
		return factors
	case factors != "":
		return factors + " (optional)"
	case m.MFAEnrolled:
		return "required, none set up"
	default:
		return "off"
	}
}

// signInFacts answers "why can't this person sign in?" from what is known.
func signInFacts(o stytch.Organization, m stytch.Member, now time.Time) []templates.Finding {
	var facts []templates.Finding
	add := func(t templates.Kind, format string, args ...any) {
		facts = append(facts, templates.Finding{Kind: t, Text: fmt.Sprintf(format, args...)})
	}

	switch m.Status {
	case "active":
		add(templates.Good, "The member is active.")
	case "invited":
		add(templates.Bad, "The member is invited and has not accepted yet. The link in the invitation mail signs them in first.")
	case "pending":
		add(templates.Bad, "The member is pending: they started to sign up and have not finished.")
	case "deleted":
		add(templates.Bad, "The member is deleted. Nobody can sign in as a deleted member.")
		return facts
	default:
		add(templates.Info, "The member's status is %q.", m.Status)
	}

	switch {
	case locked(m, now) && m.LockExpiresAt != nil:
		add(templates.Bad, "Locked after failed sign-ins until %s, %s. It cannot be unlocked sooner from here.", utc(*m.LockExpiresAt), inTime(m.LockExpiresAt.Sub(now)))
	case locked(m, now):
		add(templates.Bad, "Locked after failed sign-ins. Stytch does not say until when.")
	case m.LockExpiresAt != nil && !m.LockExpiresAt.After(now):
		add(templates.Info, "Not locked. A lock after failed sign-ins ended at %s.", utc(*m.LockExpiresAt))
	default:
		add(templates.Good, "Not locked.")
	}

	passwordAllowed := allowsMethod(o, m, methodPassword)
	switch {
	case m.MemberPasswordID == "" && passwordAllowed:
		add(templates.Bad, "No password is set. A reset email lets them set one.")
	case m.MemberPasswordID == "":
		add(templates.Info, "No password is set, and the organization does not allow passwords.")
	case !passwordAllowed:
		add(templates.Bad, "A password is set, but the organization does not allow signing in with one.")
	default:
		add(templates.Good, "A password is set, and the organization allows it.")
	}

	if m.EmailAddressVerified {
		add(templates.Good, "The email address is verified.")
	} else {
		add(templates.Bad, "The email address is not verified. Signing in by a mailed link or code verifies it.")
	}

	factors := mfaFactors(m)
	switch {
	case mfaRequired(o, m) && len(factors) == 0:
		add(templates.Bad, "A second factor is required and none is set up: the next sign-in asks to enrol one.")
	case mfaRequired(o, m) && !anyFactorAllowed(o, m):
		add(templates.Bad, "A second factor is required, and the organization allows none of those set up (%s).", strings.Join(factors, ", "))
	case mfaRequired(o, m):
		add(templates.Info, "A second factor is required at each sign-in: %s.", strings.Join(factors, " or "))
	default:
		add(templates.Good, "No second factor is required.")
	}

	switch n := len(m.SSORegistrations); {
	case n == 0 && len(o.SSOActiveConnections) > 0:
		add(templates.Info, "Never signed in by single sign-on.")
	case n > 0 && !activeRegistration(o, m):
		add(templates.Bad, "Registered with %s, but with none that is active in the organization.", plural(n, "single sign-on connection"))
	case n > 0:
		add(templates.Good, "Registered with %s.", plural(n, "single sign-on connection"))
	}

	switch ways := otherWays(o, m); {
	case o.AuthMethods == restricted && !m.IsBreakglass:
		add(templates.Info, "The organization allows only: %s.", strings.Join(allowedMethodNames(o), ", "))
	case m.IsBreakglass && o.AuthMethods == restricted:
		add(templates.Info, "A breakglass member: the organization's restriction of sign-in methods does not apply.")
	case len(ways) > 0:
		add(templates.Good, "The organization allows every sign-in method.")
	}
	return facts
}

// sortFindings puts what stands in the way first. It returns what to say when
// nothing does.
func sortFindings(facts []templates.Finding) (verdict string) {
	rank := func(f templates.Finding) int {
		if f.Kind == templates.Bad {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(facts, func(a, b templates.Finding) int { return rank(a) - rank(b) })
	if len(facts) > 0 && rank(facts[0]) == 0 {
		return ""
	}
	return "Nothing here keeps them from signing in. Stytch does not show whether a reset is required."
}

// inTime says a wait in the unit that fits it, rounded up.
func inTime(d time.Duration) string {
	unit, name := time.Minute, "minute"
	switch {
	case d > 48*time.Hour:
		unit, name = 24*time.Hour, "day"
	case d > 2*time.Hour:
		unit, name = time.Hour, "hour"
	}
	return "in " + plural(int((d+unit-1)/unit), name)
}

// usedOtherWay reports whether the member has what one of the other ways
// needs: a mailbox, or a registration from an earlier sign-in.
func usedOtherWay(o stytch.Organization, m stytch.Member) bool {
	if allowsMethod(o, m, "magic_link") || allowsMethod(o, m, "email_otp") {
		return true
	}
	if allowsMethod(o, m, methodSSO) && activeRegistration(o, m) {
		return true
	}
	return slices.ContainsFunc(m.OAuthRegistrations, func(r stytch.OAuthRegistration) bool {
		return allowsMethod(o, m, strings.ToLower(r.ProviderType)+"_oauth")
	})
}

func allowedMethodNames(o stytch.Organization) []string {
	var names []string
	for _, id := range o.AllowedAuthMethods {
		name := id
		for _, m := range methodNames() {
			if m.id == id {
				name = m.name
			}
		}
		names = append(names, name)
	}
	return names
}

func anyFactorAllowed(o stytch.Organization, m stytch.Member) bool {
	if o.MFAMethods != restricted || m.IsBreakglass {
		return true
	}
	return m.TOTPRegistrationID != "" && slices.Contains(o.AllowedMFAMethods, "totp") ||
		m.MFAPhoneNumber != "" && m.MFAPhoneNumberVerified && slices.Contains(o.AllowedMFAMethods, "sms_otp")
}

func activeRegistration(o stytch.Organization, m stytch.Member) bool {
	for _, r := range m.SSORegistrations {
		for _, c := range o.SSOActiveConnections {
			if r.ConnectionID == c.ConnectionID {
				return true
			}
		}
	}
	return false
}

func memberLabel(m stytch.Member) string {
	if strings.TrimSpace(m.Name) != "" {
		return m.Name
	}
	return m.EmailAddress
}

// memberBadges stand beside a member's name.
func memberBadges(m stytch.Member, now time.Time) []templates.Badge {
	badges := []templates.Badge{statusBadge(m.Status)}
	if m.IsAdmin {
		badges = append(badges, templates.Badge{Text: "admin", Kind: templates.Info})
	}
	if locked(m, now) {
		badges = append(badges, templates.Badge{Text: "locked", Kind: templates.Bad})
	}
	if m.IsBreakglass {
		badges = append(badges, templates.Badge{Text: "breakglass", Kind: templates.Warn})
	}
	return badges
}
