package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// istLifetime is how long a sign-in may take from its first proven factor to its last.
const istLifetime = 10 * time.Minute

// Names of the ways in, as organizations allow them.
const (
	methodSSO       = "sso"
	methodMagicLink = "magic_link"
	methodEmailOTP  = "email_otp"
	methodPassword  = "password"
)

// Names of the second factors, as organizations allow them.
const (
	mfaSMS  = "sms_otp"
	mfaTOTP = "totp"
)

func everyMethod() []string {
	return []string{
		methodSSO, methodMagicLink, methodEmailOTP, methodPassword, "google_oauth", "microsoft_oauth", "slack_oauth", "github_oauth", "hubspot_oauth",
	}
}

func (o *organization) allowedMethods() []string {
	if o.json.AuthMethods != "RESTRICTED" {
		return everyMethod()
	}
	return slices.Clone(o.json.AllowedAuthMethods)
}

func (o *organization) allows(method string) bool { return slices.Contains(o.allowedMethods(), method) }

// permits refuses to start a way in that the organization does not allow the member.
func (o *organization) permits(m *member, method string) error {
	if o.allows(method) || m.json.IsBreakglass {
		return nil
	}
	return fail(http.StatusBadRequest, "operation_restricted_by_organization_auth_methods", "The organization does not allow "+method+".")
}

func (o *organization) allowsMFA(method string) bool {
	return o.json.MFAMethods != "RESTRICTED" || slices.Contains(o.json.AllowedMFAMethods, method)
}

// connection finds an active SSO connection of the organization.
func (o *organization) connection(id string) (ssoConnection, bool) {
	i := slices.IndexFunc(o.json.SSOActiveConnections, func(c ssoConnection) bool { return c.ConnectionID == id })
	if i < 0 {
		return ssoConnection{}, false
	}
	return o.json.SSOActiveConnections[i], true
}

// factor is one that was proven just now; what it was proven with is for the caller to add.
func (s *Sandbox) factor(kind, delivery string) authFactor {
	now := s.nowUTC()
	return authFactor{Type: kind, DeliveryMethod: delivery, LastAuthenticatedAt: now, CreatedAt: now, UpdatedAt: now}
}

func (s *Sandbox) mailFactor(kind string, m *member) authFactor {
	f := s.factor(kind, "email")
	f.EmailFactor = &emailFactor{EmailID: s.project.emailID(m), EmailAddress: m.json.EmailAddress}
	return f
}

// method is how an organization names this way in; "" for what is none: second factors and impersonation.
func (f authFactor) method() string {
	switch f.Type {
	case methodMagicLink, methodEmailOTP, methodPassword, methodSSO:
		return f.Type
	case "oauth":
		return strings.TrimPrefix(f.DeliveryMethod, "oauth_") + "_oauth"
	default:
		return ""
	}
}

func (f authFactor) second() bool {
	return f.Type == "otp" || f.Type == "totp" || f.Type == "recovery_codes"
}

// byMail reports whether the factor proves the address: its holder has read a mail.
func (f authFactor) byMail() bool { return f.Type == methodMagicLink || f.Type == methodEmailOTP }

// unverified reports whether the factor comes from a provider that does not vouch for the address.
func (f authFactor) unverified() bool {
	return slices.Contains([]string{"github_oauth", "slack_oauth", "hubspot_oauth"}, f.method())
}

// oauthField is where the factor keeps what an OAuth provider said; nil where it is not of one.
func (f *authFactor) oauthField() **oauthFactor {
	switch f.DeliveryMethod {
	case "oauth_google":
		return &f.GoogleOAuth
	case "oauth_microsoft":
		return &f.MicrosoftOAuth
	case "oauth_hubspot":
		return &f.HubspotOAuth
	case "oauth_slack":
		return &f.SlackOAuth
	case "oauth_github":
		return &f.GithubOAuth
	default:
		return nil
	}
}

func (f authFactor) oauth() *oauthFactor {
	if field := f.oauthField(); field != nil {
		return *field
	}
	return nil
}

// same reports whether a factor is another proof of what an earlier one proved, and takes its place.
func (f authFactor) same(other authFactor) bool {
	provider := func(f authFactor) string {
		for _, sso := range []*ssoFactor{f.SAMLSSOFactor, f.OIDCSSOFactor} {
			if sso != nil {
				return sso.ProviderID
			}
		}
		return ""
	}
	return f.Type == other.Type && f.DeliveryMethod == other.DeliveryMethod && provider(f) == provider(other)
}

func addFactors(old []authFactor, added ...authFactor) []authFactor {
	out := slices.Clone(old)
	for _, f := range added {
		if i := slices.IndexFunc(out, f.same); i >= 0 {
			f.CreatedAt = out[i].CreatedAt
			out = slices.Delete(out, i, i+1)
		}
		out = append(out, f)
	}
	return out
}

// ist is an intermediate session: what somebody has proven of an address so far.
type ist struct {
	token   string
	email   string // lower case
	bound   bool   // a password or SSO is among the factors, so it is good for ref alone
	ref     rowRef
	factors []authFactor
	expires time.Time
}

func errISTNotFound() error {
	return fail(http.StatusNotFound, "intermediate_session_not_found", "The intermediate session is unknown, expired or used.")
}

func errISTElsewhere() error {
	return fail(http.StatusBadRequest, "invalid_intermediate_session_token_for_organization",
		"The intermediate session is not one of this member of this organization.")
}

// The functions below need project.mu for writing, and honour c.dry.

func (c *call) findIST(token string) (*ist, error) {
	found, ok := c.project.ists[token]
	if !ok || !c.now().Before(found.expires) {
		return nil, errISTNotFound()
	}
	return found, nil
}

// held is what somebody who proves a factor held before.
type held struct {
	sessionInput
	ist     *ist     // nil: none
	session *session // nil: none of this member
	trusted bool     // a session of this member was passed, so that no second factor is asked for
}

// held looks up the sessions that a request names. A live session of another member is ignored, as documented.
func (c *call) held(ref rowRef, in sessionInput) (held, error) {
	h := held{sessionInput: in}
	if in.IST != "" {
		found, err := c.findIST(in.IST)
		if err != nil {
			return held{}, err
		}
		email := strings.ToLower(c.project.member(ref).json.EmailAddress)
		if found.bound && found.ref != ref || found.email != email {
			return held{}, errISTElsewhere()
		}
		h.ist = found
	}
	if in.SessionToken != "" || in.SessionJWT != "" {
		found, err := c.findSession(in.SessionToken, in.SessionJWT)
		if err != nil {
			return held{}, err
		}
		if found.ref == ref {
			if found.impersonated() {
				return held{}, errNotMutable()
			}
			h.session, h.trusted = found, true
		}
	}
	return h, nil
}

// factors are all that were proven before.
func (h held) factors() []authFactor {
	var out []authFactor
	if h.session != nil {
		out = addFactors(out, h.session.factors...)
	}
	if h.ist != nil {
		out = addFactors(out, h.ist.factors...)
	}
	return out
}

func (c *call) unlocked(m *member) error {
	if m.locked(c.now()) {
		return fail(http.StatusTooManyRequests, "user_lock_limit_reached", "The member is locked after too many failed attempts.")
	}
	return nil
}

// wrong counts a failed attempt of a member, and returns what it is answered with.
func (c *call) wrong(ref rowRef, err error) error {
	if !c.dry {
		c.project.update(ref, c.countFailure)
	}
	return err
}

// missing says what a member still needs after proving some factors; nothing where both are nil.
func missing(o *organization, m *member, factors []authFactor) (*primaryRequired, *mfaRequired) {
	free := m.json.IsBreakglass
	allowed := slices.ContainsFunc(factors, func(f authFactor) bool {
		return f.method() != "" && (free || o.allows(f.method()))
	})
	vouched := slices.ContainsFunc(factors, func(f authFactor) bool { return f.method() != "" && !f.unverified() })
	switch {
	case !allowed:
		return &primaryRequired{AllowedAuthMethods: o.allowedMethods()}, nil
	case !vouched:
		byMail := slices.DeleteFunc([]string{methodMagicLink, methodEmailOTP}, func(method string) bool { return !free && !o.allows(method) })
		return &primaryRequired{AllowedAuthMethods: byMail}, nil
	case (o.json.MFAPolicy == "REQUIRED_FOR_ALL" || m.json.MFAEnrolled) && !slices.ContainsFunc(factors, authFactor.second):
		need := &mfaRequired{}
		if m.json.MFAPhoneNumber != "" || m.json.TOTPRegistrationID != "" {
			need.MemberOptions = &mfaOptions{MFAPhoneNumber: m.json.MFAPhoneNumber, TOTPRegistrationID: m.json.TOTPRegistrationID}
		}
		return nil, need
	default:
		return nil, nil
	}
}

// prove adds factors that a member has just proven to what is held, and answers with a session or with what is missing.
// Without factors it answers for what is held alone. Second factors come here once the primary requirement is met.
func (c *call) prove(ref rowRef, h held, key *signingKey, added ...authFactor) (*authenticateReply, error) {
	p := c.project
	m, o := p.member(ref), p.orgs[ref.org]
	if err := c.unlocked(m); err != nil {
		return nil, err
	}
	factors := addFactors(h.factors(), added...)
	primary, mfa := missing(o, m, factors)
	if primary != nil && h.trusted {
		primary = nil // the session is there, so what it asked for was met
	}
	if h.trusted {
		mfa = nil
	}
	if !c.dry {
		m = p.update(ref, func(m *member) {
			c.proven(m, primary == nil, factors)
			if primary == nil && mfa == nil {
				m.failures = 0 // not before: who has the password must not guess codes for ever
			}
		})
	}
	if primary == nil && mfa == nil {
		return c.openSession(ref, h, key, added...)
	}
	out := c.authenticated(ref, m)
	out.PrimaryRequired, out.MFARequired = primary, mfa
	if mfa != nil && m.json.DefaultMFAMethod == mfaSMS && m.json.MFAPhoneNumberVerified && (m.json.IsBreakglass || o.allowsMFA(mfaSMS)) {
		started := mfaSMS
		mfa.SecondaryAuthInitiated = &started
		c.sendSMS(ref, m.json.MFAPhoneNumber)
	}
	kept := c.keep(h.ist, ref, factors)
	out.IntermediateSessionToken, out.ISTExpiresAt = kept.token, &kept.expires
	return out, nil
}

// proven changes a member who has proven something. Who has met the primary requirement is active, whatever comes next:
// a second factor can be enrolled by active members only.
func (s *Sandbox) proven(m *member, primaryMet bool, factors []authFactor) {
	before := m.json
	if slices.ContainsFunc(factors, authFactor.byMail) {
		m.json.EmailAddressVerified = true
	}
	if primaryMet && (m.json.Status == statusPending || m.json.Status == statusInvited) {
		m.json.Status = statusActive
	}
	registered := s.register(m, factors)
	if registered || m.json.Status != before.Status || m.json.EmailAddressVerified != before.EmailAddressVerified {
		m.json.UpdatedAt = s.nowUTC()
	}
}

// keep puts factors into an intermediate session: the one that was passed, or a new one. Its time does not start anew.
func (c *call) keep(old *ist, ref rowRef, factors []authFactor) *ist {
	kept := &ist{email: strings.ToLower(c.project.member(ref).json.EmailAddress), ref: ref, factors: factors, expires: c.nowUTC().Add(istLifetime)}
	if old != nil {
		kept.token, kept.expires = old.token, old.expires
	} else {
		kept.token = c.newToken()
	}
	kept.bound = old != nil && old.bound || slices.ContainsFunc(factors, c.project.binds)
	if !c.dry {
		c.project.ists[kept.token] = kept
	}
	return kept
}

// binds reports whether a factor is good for one organization only.
func (p *project) binds(f authFactor) bool {
	return f.Type == methodSSO || f.Type == methodPassword && !p.switches.crossOrgPasswords
}

// authenticated is an answer in which nothing is decided yet.
func (c *call) authenticated(ref rowRef, m *member) *authenticateReply {
	o := c.project.orgs[ref.org]
	return &authenticateReply{MemberID: m.json.MemberID, OrganizationID: o.json.OrganizationID, Member: m.show(c.nowUTC()), Organization: *o.json}
}

// openSession answers with a session: the one that was passed, with more factors, or a new one.
func (c *call) openSession(ref rowRef, h held, key *signingKey, added ...authFactor) (*authenticateReply, error) {
	p, now := c.project, c.nowUTC()
	opened := session{id: c.newID("session-test-"), token: c.newToken(), ref: ref, started: now}
	minutes := h.Minutes
	if h.session != nil {
		opened = *h.session
	} else if minutes == nil {
		fallback := defaultSessionMinutes
		minutes = &fallback
	}
	opened.accessed = now
	if minutes != nil {
		opened.expires = now.Add(time.Duration(*minutes) * time.Minute)
	}
	opened.factors = p.factorsOf(p.member(ref), addFactors(h.factors(), added...))
	opened.claims = mergeClaims(opened.claims, h.CustomClaims)
	view := p.showSession(&opened)
	jwt, err := c.signJWT(key, view, now)
	if err != nil {
		return nil, err
	}
	if !c.dry {
		if h.session != nil {
			*h.session = opened
		} else {
			p.startSession(&opened)
		}
		if h.ist != nil {
			delete(p.ists, h.ist.token)
		}
	}
	out := c.authenticated(ref, p.member(ref))
	out.MemberAuthenticated, out.SessionToken, out.SessionJWT, out.MemberSession = true, opened.token, jwt, &view
	return out, nil
}

// factorsOf gives factors that were proven of an address alone the ids that they have for a member.
func (p *project) factorsOf(m *member, factors []authFactor) []authFactor {
	out := slices.Clone(factors)
	for i, f := range out {
		if f.EmailFactor != nil {
			out[i].EmailFactor = &emailFactor{EmailID: p.emailID(m), EmailAddress: m.json.EmailAddress}
		}
		if own := f.oauth(); own != nil {
			filled := *own
			filled.EmailID = p.emailID(m)
			if at := slices.IndexFunc(m.json.OAuthRegistrations, func(r oauthRegistration) bool { return r.ProviderSubject == own.ProviderSubject }); at >= 0 {
				filled.ID = m.json.OAuthRegistrations[at].MemberOAuthRegistrationID
			}
			*out[i].oauthField() = &filled
		}
	}
	return out
}
