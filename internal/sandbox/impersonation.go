package sandbox

import (
	"net/http"
	"time"
)

// impersonationLifetime is how long an operator has to use a token.
const impersonationLifetime = 5 * time.Minute

// impersonator is the operator who mints the tokens, in place of the dashboard's user.
func (s *Sandbox) impersonator() *impersonatedBy {
	return &impersonatedBy{ImpersonatorID: "dashboard-user-" + s.ids.uuid("impersonator"), ImpersonatorEmailAddress: "operator@sandbox.example"}
}

// authenticateImpersonation asks for no other factor: the operator has proven who they are elsewhere.
func authenticateImpersonation(c *call) (answer, error) {
	var in struct {
		Token string `json:"impersonation_token"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := c.findLanding(landImpersonation, in.Token, "")
	if err != nil {
		return nil, err
	}
	c.spend(l)
	f := c.factor("impersonated", "impersonation")
	f.Impersonated = c.impersonator()
	return c.openSession(*l.ref, held{}, key, f)
}

// controlImpersonate stands in for the dashboard, where operators mint impersonation tokens.
func (s *Sandbox) controlImpersonate(_ map[string]string, r *http.Request) (any, error) {
	var in struct {
		MemberID string `json:"member_id"`
	}
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	p := s.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, m, ok := p.memberByID(in.MemberID)
	if !ok {
		return nil, absentError("member")
	}
	if m.json.Status != statusActive {
		return nil, refuse("member_id: only active members can be impersonated")
	}
	l := landing{kind: landImpersonation, ref: &ref, email: m.json.EmailAddress, expires: s.nowUTC().Add(impersonationLifetime)}
	token := s.newLanding(l)
	return map[string]any{"token": token, "url": s.landingURL(l, token), "expires_at": l.expires}, nil
}
