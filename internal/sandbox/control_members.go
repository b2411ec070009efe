package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// maxControlDuration is the longest lock or session that the control endpoint makes.
const maxControlDuration = 366 * 24 * time.Hour

func faultKinds() []string { return slices.Sorted(maps.Keys(kindRules())) }

type controlPerson struct {
	Person
	Note           string `json:"note"`
	MemberID       string `json:"member_id"`
	OrganizationID string `json:"organization_id"`
	Status         string `json:"status"`
	PasswordID     string `json:"member_password_id"`
}

func (s *Sandbox) controlPeople(map[string]string, *http.Request) (any, error) {
	p := s.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := []controlPerson{}
	for _, noted := range p.people {
		m, o := p.member(noted.ref), p.orgs[noted.ref.org]
		person := controlPerson{
			Person: Person{Name: m.json.Name, Role: noted.role, Email: m.json.EmailAddress, Organization: o.json.OrganizationSlug},
			Note:   noted.note, MemberID: m.json.MemberID, OrganizationID: o.json.OrganizationID, Status: m.json.Status,
			PasswordID: m.json.MemberPasswordID,
		}
		// The seeded password is only told while it is the one that works.
		if m.json.MemberPasswordID == p.passwordID(noted.ref) {
			person.Password = p.ids.password(m.json.MemberID)
		}
		list = append(list, person)
	}
	return map[string]any{"people": list}, nil
}

type controlMember struct {
	Member         memberJSON    `json:"member"`
	Sessions       []sessionJSON `json:"sessions"`
	SeededPassword string        `json:"seeded_password"` // "" once it is no longer the member's
	Failures       int           `json:"failures"`
	ResetRequired  bool          `json:"reset_required"`
	TOTPCode       string        `json:"totp_code"` // that is accepted next; "": no authenticator app
	RecoveryCodes  []string      `json:"recovery_codes"`
}

// inspect needs project.mu.
func (s *Sandbox) inspect(ref rowRef) controlMember {
	p, now := s.project, s.now()
	m := p.member(ref)
	out := controlMember{Member: m.show(s.nowUTC()), Sessions: []sessionJSON{}, Failures: m.failures, ResetRequired: m.resetRequired}
	out.TOTPCode, out.RecoveryCodes = s.nextCode(m), []string{}
	if app := p.authenticator(m); app != nil {
		out.RecoveryCodes = app.recovery
	}
	for _, open := range p.byMember[ref] {
		if p.alive(open, now) {
			out.Sessions = append(out.Sessions, p.showSession(open))
		}
	}
	if m.json.MemberPasswordID == p.passwordID(ref) {
		out.SeededPassword = p.ids.password(m.json.MemberID)
	}
	return out
}

func (s *Sandbox) controlMember(params map[string]string, _ *http.Request) (any, error) {
	s.project.mu.RLock()
	defer s.project.mu.RUnlock()
	ref, _, ok := s.project.memberByID(params["member_id"])
	if !ok {
		return nil, absentError("member")
	}
	return s.inspect(ref), nil
}

// memberChange is what POST /_sandbox/members/{member_id} may say. Fields are applied in this order.
type memberChange struct {
	Name           *string   `json:"name"`
	Status         *string   `json:"status"`
	Roles          *[]string `json:"roles"` // replaces all but stytch_member, as direct assignments
	IsBreakglass   *bool     `json:"is_breakglass"`
	MFAEnrolled    *bool     `json:"mfa_enrolled"`
	LockFor        *Duration `json:"lock_for"` // "0s" unlocks
	ResetRequired  *bool     `json:"reset_required"`
	DeletePassword bool      `json:"delete_password"`
	Password       *string   `json:"password"` // sets it, under a new password id
	EndSessions    bool      `json:"end_sessions"`
}

func (in memberChange) check() error {
	switch {
	case in.Status != nil && !slices.Contains([]string{statusActive, statusPending, statusInvited, statusDeleted}, *in.Status):
		return refuse("status %q: accepted are active, pending, invited, deleted", *in.Status)
	case in.LockFor != nil && (*in.LockFor < 0 || time.Duration(*in.LockFor) > maxControlDuration):
		return refuse("lock_for %s: accepted are 0s (unlock) to %s", time.Duration(*in.LockFor), maxControlDuration)
	case in.Password != nil && *in.Password == "":
		return refuse("password: accepted is any but the empty one; delete_password removes it")
	case in.Password != nil && in.DeletePassword:
		return refuse("password and delete_password: accepted is one of them")
	case in.Roles != nil && slices.Contains(*in.Roles, roleMember):
		return refuse("roles: stytch_member is automatic")
	}
	return nil
}

func (s *Sandbox) controlChangeMember(params map[string]string, r *http.Request) (any, error) {
	var in memberChange
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	passwordID := ""
	if in.Password != nil {
		passwordID = s.newID("member-password-test-")
		s.hashes.set(passwordID, *in.Password)
	}
	p := s.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, _, ok := p.memberByID(params["member_id"])
	if !ok {
		return nil, absentError("member")
	}
	p.update(ref, func(m *member) {
		if in.Name != nil {
			m.json.Name = *in.Name
		}
		if in.Status != nil {
			m.json.Status = *in.Status
		}
		if in.Roles != nil {
			m.json.Roles = []memberRole{{RoleID: roleMember, Sources: []roleSource{direct()}}}
			for _, role := range *in.Roles {
				m.json.Roles = append(m.json.Roles, memberRole{RoleID: role, Sources: []roleSource{direct()}})
			}
		}
		if in.IsBreakglass != nil {
			m.json.IsBreakglass = *in.IsBreakglass
		}
		if in.MFAEnrolled != nil {
			m.json.MFAEnrolled = *in.MFAEnrolled
		}
		if in.LockFor != nil {
			m.json.LockCreatedAt, m.json.LockExpiresAt = nil, nil
			if *in.LockFor > 0 {
				s.lock(m, time.Duration(*in.LockFor))
			}
			m.failures = 0
		}
		if in.ResetRequired != nil {
			m.resetRequired = *in.ResetRequired
		}
		if in.DeletePassword || m.json.Status == statusDeleted {
			s.clearPassword(m)
		}
		if passwordID != "" {
			m.json.MemberPasswordID, m.resetRequired = passwordID, false
			p.passwords[passwordID] = ref
		}
		m.json.UpdatedAt = s.nowUTC()
	})
	if in.EndSessions || p.member(ref).json.Status == statusDeleted {
		p.endSessionsOf(ref)
	}
	return s.inspect(ref), nil
}

func (s *Sandbox) controlOpenSession(_ map[string]string, r *http.Request) (any, error) {
	var in struct {
		MemberID  string    `json:"member_id"`
		ExpiresIn *Duration `json:"expires_in"` // 60m by default
		JWTAge    *Duration `json:"jwt_age"`    // how long ago the JWT was made: above 5m it has expired
		SSO       string    `json:"sso"`        // connection id: the session has this SSO factor instead of a password
	}
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	length, age := Duration(defaultSessionMinutes*time.Minute), Duration(0)
	if in.ExpiresIn != nil {
		length = *in.ExpiresIn
	}
	if in.JWTAge != nil {
		age = *in.JWTAge
	}
	for name, d := range map[string]Duration{"expires_in": length, "jwt_age": age} {
		if d < 0 || time.Duration(d) > maxControlDuration {
			return nil, refuse("%s %s: accepted are 0s to %s", name, time.Duration(d), maxControlDuration)
		}
	}
	key, now, p := s.keys.get(), s.nowUTC(), s.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, m, ok := p.memberByID(in.MemberID)
	if !ok {
		return nil, absentError("member")
	}
	if m.json.Status == statusDeleted {
		return nil, refuse("member_id: a deleted member has no sessions")
	}
	factor := authFactor{Type: "password", DeliveryMethod: "knowledge", LastAuthenticatedAt: now, CreatedAt: now, UpdatedAt: now}
	if in.SSO != "" {
		factor.Type, factor.DeliveryMethod = "sso", "sso_saml"
		factor.SAMLSSOFactor = &ssoFactor{ID: s.newID("sso-registration-test-"), ProviderID: in.SSO, ExternalID: m.json.EmailAddress}
	}
	opened := &session{
		id: s.newID("session-test-"), token: s.newToken(), ref: ref, started: now, accessed: now, expires: now.Add(time.Duration(length)),
		factors: []authFactor{factor}, claims: map[string]any{},
	}
	p.startSession(opened)
	view := p.showSession(opened)
	jwt, err := s.signJWT(key, view, now.Add(-time.Duration(age)))
	if err != nil {
		return nil, err
	}
	return map[string]any{"member_session": view, "session_token": opened.token, "session_jwt": jwt}, nil
}

func (s *Sandbox) controlEndSession(params map[string]string, _ *http.Request) (any, error) {
	s.project.mu.Lock()
	defer s.project.mu.Unlock()
	found, ok := s.project.sessions[params["member_session_id"]]
	if !ok {
		return nil, absentError("session")
	}
	s.project.endSession(found)
	return map[string]any{"member_session_id": found.id}, nil
}
