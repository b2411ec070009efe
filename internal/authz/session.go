package authz

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"orgconsole/internal/stytch"
)

const (
	// sessionAge bounds how long a revoked session can go unnoticed on pages
	// that make no call with it.
	sessionAge = 60 * time.Second
	// maxCached bounds each cache; beyond it the cache starts anew.
	maxCached = 10_000
)

// Session is what the upstream last said of a signed-in member.
type Session struct {
	SessionID        string // member_session_id: not a secret
	MemberID         string
	OrganizationID   string
	OrganizationSlug string
	OrganizationName string
	Email            string
	Name             string
	Roles            []string // effective in this session, which may be more or fewer than the member's
	Factors          []string // authentication factor types, such as "password"; of an impersonation also "impersonator:" and who
	Impersonator     string   // who is behind an impersonated session, for people; "" when nobody is
	StartedAt        time.Time
	ProvenAt         time.Time // when the newest of the factors was shown
	ExpiresAt        time.Time
	Member           stytch.Member
	Organization     stytch.Organization
}

// HasRole reports whether the role is effective in this session.
func (s *Session) HasRole(id string) bool { return slices.Contains(s.Roles, id) }

// Impersonated reports whether somebody else than the member is behind the session.
func (s *Session) Impersonated() bool { return s.Impersonator != "" }

// NewSession reads the parts of an authenticate answer that the console keeps.
func NewSession(ms stytch.MemberSession, m stytch.Member, o stytch.Organization) *Session {
	s := &Session{
		SessionID: ms.MemberSessionID, MemberID: ms.MemberID, OrganizationID: ms.OrganizationID,
		OrganizationSlug: o.OrganizationSlug, OrganizationName: o.OrganizationName,
		Email: m.EmailAddress, Name: m.Name, Roles: ms.Roles, StartedAt: ms.StartedAt, ExpiresAt: ms.ExpiresAt,
		Member: m, Organization: o,
	}
	for _, f := range ms.AuthenticationFactors {
		s.Factors = append(s.Factors, f.Type)
		if f.LastAuthenticatedAt != nil && f.LastAuthenticatedAt.After(s.ProvenAt) {
			s.ProvenAt = *f.LastAuthenticatedAt
		}
	}
	if id, email, ok := ms.Impersonator(); ok {
		s.Factors = append(s.Factors, "impersonator:"+id)
		s.Impersonator = cmp.Or(email, id, "somebody")
	}
	return s
}

// Authorizer asks the upstream who somebody is and what they may do.
type Authorizer struct {
	client *stytch.Client
	now    func() time.Time

	policies policies
	mu       sync.Mutex // guards sessions
	sessions map[string]cachedSession
}

type cachedSession struct {
	session *Session
	acting  stytch.ActingSession
	readAt  time.Time
}

// New returns an Authorizer with empty caches.
func New(client *stytch.Client, now func() time.Time) *Authorizer {
	return &Authorizer{
		client: client, now: now,
		policies: policies{orgs: map[string]orgRoles{}},
		sessions: map[string]cachedSession{},
	}
}

// Session returns what the upstream says of the acting session, at most a
// minute old. Errors are the client's.
func (a *Authorizer) Session(ctx context.Context, acting stytch.ActingSession) (*Session, error) {
	a.mu.Lock()
	c, ok := a.sessions[acting.Hash()]
	a.mu.Unlock()
	if ok && a.now().Sub(c.readAt) < sessionAge && a.now().Before(c.session.ExpiresAt) {
		return c.session, nil
	}
	answer, err := a.client.AuthenticateSession(ctx, acting, nil)
	if err != nil {
		a.Forget(acting)
		return nil, err
	}
	s := NewSession(answer.Session, answer.Member, answer.Organization)
	a.Remember(acting, s)
	return s, nil
}

// Remember puts an answer the upstream just gave into the cache.
func (a *Authorizer) Remember(acting stytch.ActingSession, s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sessions) >= maxCached {
		clear(a.sessions)
	}
	a.sessions[acting.Hash()] = cachedSession{session: s, acting: acting, readAt: a.now()}
}

// SharedSession is Session for a session that another application keeps. Its
// JWTs are many and speak of one session: sessionID, which a verified JWT
// named, is what they have in common, so a new JWT costs no call as long as
// the upstream's last word about the session is at most a minute old. It
// returns what to act with: the JWT itself, or, as the upstream may refuse an
// expired one in a header, the token it gave in exchange.
func (a *Authorizer) SharedSession(ctx context.Context, acting stytch.ActingSession, sessionID string, expired bool) (*Session, stytch.ActingSession, error) {
	if sessionID == "" {
		s, err := a.Session(ctx, acting)
		return s, acting, err
	}
	key := "member_session_id " + sessionID
	a.mu.Lock()
	c, ok := a.sessions[key]
	a.mu.Unlock()
	if ok && a.now().Sub(c.readAt) < sessionAge && a.now().Before(c.session.ExpiresAt) {
		if expired {
			acting = c.acting
		}
		return c.session, acting, nil
	}
	answer, err := a.client.AuthenticateSession(ctx, acting, nil)
	if err != nil {
		return nil, acting, err
	}
	token, err := stytch.ActingToken(answer.SessionToken.Reveal())
	if err != nil || answer.Session.MemberSessionID != sessionID {
		return nil, acting, &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the answer is about another session"}
	}
	s := NewSession(answer.Session, answer.Member, answer.Organization)
	a.mu.Lock()
	if len(a.sessions) >= maxCached {
		clear(a.sessions)
	}
	a.sessions[key] = cachedSession{session: s, acting: token, readAt: a.now()}
	a.mu.Unlock()
	if expired {
		acting = token
	}
	return s, acting, nil
}

// Knows reports whether SharedSession would answer without a call.
func (a *Authorizer) Knows(acting stytch.ActingSession, sessionID string) bool {
	key := acting.Hash()
	if sessionID != "" {
		key = "member_session_id " + sessionID
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.sessions[key]
	return ok && a.now().Sub(c.readAt) < sessionAge && a.now().Before(c.session.ExpiresAt)
}

// ForgetSession drops what is cached of a session, by whatever it was shown.
func (a *Authorizer) ForgetSession(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.sessions, func(_ string, c cachedSession) bool { return c.session.SessionID == s.SessionID })
}

// Forget drops what is cached of an acting session.
func (a *Authorizer) Forget(acting stytch.ActingSession) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, acting.Hash())
}

// Check asks the upstream, now, whether the acting session of this member
// holds the permission in this organization. It returns the request id of the
// answer. A refusal is a *DeniedError; an answer without a verdict, or about
// somebody else, is an *UncheckedError; other errors are the client's.
func (a *Authorizer) Check(ctx context.Context, acting stytch.ActingSession, s *Session, perm Permission) (string, error) {
	answer, err := a.client.AuthenticateSession(ctx, acting, &stytch.AuthorizationCheck{
		OrganizationID: s.OrganizationID, ResourceID: perm.Resource, Action: perm.Action,
	})
	if err != nil {
		var refused *stytch.Error
		if !errors.As(err, &refused) {
			return "", err
		}
		if refused.Status == http.StatusForbidden {
			return refused.RequestID, a.denied(ctx, s, perm, refused)
		}
		return refused.RequestID, err
	}
	problem := ""
	switch {
	case answer.Session.OrganizationID != s.OrganizationID || answer.Session.MemberID != s.MemberID:
		problem = "the answer is about another session"
	case answer.Verdict == nil:
		problem = "the answer has no verdict"
	case !answer.Verdict.Authorized:
		return answer.RequestID, a.denied(ctx, s, perm, &stytch.Error{RequestID: answer.RequestID, Status: answer.StatusCode})
	}
	if problem != "" {
		return answer.RequestID, &UncheckedError{Permission: perm, RequestID: answer.RequestID, Problem: problem}
	}
	return answer.RequestID, nil
}

// CheckMember asks for a permission on one member: the one on all members, or,
// when the member is oneself, the one on oneself first ("member or self"). The
// error of a refusal names the permission on all members.
func (a *Authorizer) CheckMember(ctx context.Context, acting stytch.ActingSession, s *Session, memberID string, member, self Permission) error {
	if memberID == s.MemberID {
		_, err := a.Check(ctx, acting, s, self)
		if _, denied := errors.AsType[*DeniedError](err); !denied {
			return err
		}
	}
	_, err := a.Check(ctx, acting, s, member)
	return err
}

// CheckConsole decides on the console's own resources. Where the project's
// policy defines the resource the upstream decides; where it was read and does
// not list it, members with stytch_admin in their session hold it.
func (a *Authorizer) CheckConsole(ctx context.Context, acting stytch.ActingSession, s *Session, perm Permission) error {
	p, err := a.Policy(ctx, s.OrganizationID, s.Organization.CustomRoles)
	if err != nil {
		return err
	}
	if p.Defines(perm.Resource) {
		_, err := a.Check(ctx, acting, s, perm)
		return err
	}
	if s.HasRole(RoleAdmin) {
		return nil
	}
	return &DeniedError{Permission: perm, RolesWith: []string{RoleAdmin}}
}

// MayMember is the local guess of CheckMember, for buttons.
func (p *Policy) MayMember(s *Session, memberID string, member, self Permission) bool {
	return p.Allows(s.Roles, member) || memberID == s.MemberID && p.Allows(s.Roles, self)
}

// MayConsole is the local guess of CheckConsole, for buttons and navigation.
func (p *Policy) MayConsole(roles []string, perm Permission) bool {
	if p.Defines(perm.Resource) {
		return p.Allows(roles, perm)
	}
	return slices.Contains(roles, RoleAdmin)
}

func (a *Authorizer) denied(ctx context.Context, s *Session, perm Permission, refused *stytch.Error) *DeniedError {
	d := &DeniedError{Permission: perm, RequestID: refused.RequestID, Status: refused.Status, Type: string(refused.Type)}
	if p, err := a.Policy(ctx, s.OrganizationID, s.Organization.CustomRoles); err == nil {
		d.RolesWith = p.RolesWith(perm)
	}
	return d
}
