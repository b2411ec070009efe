package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// outboxSize is how many messages are remembered; the oldest go first.
const outboxSize = 500

// defaultRedirect is what a new test project has registered.
const defaultRedirect = "http://localhost:3000/authenticate"

// minutes is how long a message may be good for.
type minutes struct{ least, most int }

var (
	linkMinutes = minutes{5, 10_080}
	codeMinutes = minutes{2, 15}
)

// until is when a message stops being good, by what the call says.
func (s *Sandbox) until(asked *int, within minutes, fallback int) (time.Time, error) {
	good := fallback
	if asked != nil {
		good = *asked
	}
	if good < within.least || good > within.most {
		return time.Time{}, badRequest(fmt.Sprintf("A message of this kind is good for %d to %d minutes.", within.least, within.most))
	}
	return s.nowUTC().Add(time.Duration(good) * time.Minute), nil
}

// Kinds of messages.
const (
	mailLoginLink      = "login_link"
	mailSignupLink     = "signup_link"
	mailInvite         = "invite"
	mailDiscoveryLink  = "discovery_link"
	mailLoginCode      = "login_code"
	mailDiscoveryCode  = "discovery_code"
	mailPasswordReset  = "password_reset"
	mailDiscoveryReset = "discovery_reset"
	mailSMSCode        = "sms_code"
)

// mail is a message that the API would have sent, by mail or to a phone.
type mail struct {
	Time           time.Time `json:"time"`
	Kind           string    `json:"kind"`
	Channel        string    `json:"channel"` // email or sms
	To             string    `json:"to"`
	OrganizationID string    `json:"organization_id"`
	MemberID       string    `json:"member_id"`
	RedirectURL    string    `json:"redirect_url"`
	ExpiresAt      time.Time `json:"expires_at"`
	Token          string    `json:"token"`
	Code           string    `json:"code"`
	URL            string    `json:"url"`
	LoginURL       string    `json:"login_url"` // password resets: signs in without one

	ref        *rowRef
	loginToken string
}

// send puts a message into the outbox. It needs project.mu for writing.
func (s *Sandbox) send(m mail) {
	p := s.project
	m.Time, m.Channel = s.nowUTC(), "email"
	if m.Kind == mailSMSCode {
		m.Channel = "sms"
	}
	if m.ref != nil {
		m.OrganizationID, m.MemberID = p.orgs[m.ref.org].json.OrganizationID, p.member(*m.ref).json.MemberID
	}
	if len(p.outbox) == outboxSize {
		p.outbox = slices.Delete(p.outbox, 0, 1)
	}
	p.outbox = append(p.outbox, m)
}

// sendLanding mails a single-use link. A reset mail has a second one, which signs in without a password.
func (c *call) sendLanding(kind string, l landing) {
	if !c.dry {
		c.Sandbox.sendLanding(kind, l)
	}
}

func (s *Sandbox) sendLanding(kind string, l landing) {
	m := mail{Kind: kind, To: l.email, ref: l.ref, ExpiresAt: l.expires, Token: s.newLanding(l)}
	if l.kind == landReset || l.kind == landDiscoveryReset {
		login := l
		login.kind = landLink
		if l.kind == landDiscoveryReset {
			login.kind = landDiscovery
		}
		login.redirect = l.login
		m.loginToken = s.newLanding(login)
	}
	s.send(m)
}

// messages are the outbox with its links, which lead to the project's default where the call named nothing. It needs
// project.mu.
func (s *Sandbox) messages() []mail {
	out := append([]mail{}, s.project.outbox...)
	for i := range out {
		m := &out[i]
		if l := s.project.landings[m.Token]; l != nil {
			m.URL, m.RedirectURL = s.landingURL(*l, m.Token), s.redirect(*l)
		}
		if l := s.project.landings[m.loginToken]; l != nil {
			m.LoginURL = s.landingURL(*l, m.loginToken)
		}
	}
	return out
}

func (s *Sandbox) controlOutbox(map[string]string, *http.Request) (any, error) {
	s.project.mu.RLock()
	defer s.project.mu.RUnlock()
	return map[string]any{"mails": s.messages()}, nil
}

func (s *Sandbox) controlClearOutbox(map[string]string, *http.Request) (any, error) {
	s.project.mu.Lock()
	defer s.project.mu.Unlock()
	s.project.outbox = nil
	return map[string]any{"mails": []mail{}}, nil
}
