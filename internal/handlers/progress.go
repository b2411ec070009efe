package handlers

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/labstack/echo/v4"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

const (
	// progressTime is how long a sign-in may take: as long as a mailed link is good for.
	progressTime = time.Hour
	// provenTime is how long an intermediate session token lives, by the API's default.
	provenTime = 10 * time.Minute
	// maxAsked bounds how many ways in may be under way at once in one browser: tabs, and mails asked for again.
	maxAsked = 4
	// maxToken bounds a token from an address; the API's have about 44 characters.
	maxToken = 512
	// maxCookie is what browsers take, name and attributes included.
	maxCookie = 4096
)

// progress is what this browser knows of a sign-in under way. It lives in a
// cookie of its own, signed and encrypted, as it holds secrets.
type progress struct {
	ID     string      `json:"id"` // ties the posts of one sign-in together
	At     int64       `json:"at"` // unix ms of the last change
	Return string      `json:"return,omitempty"`
	Typed  *typedLogin `json:"typed,omitempty"`
	Asked  []asked     `json:"asked,omitempty"` // newest first
	Landed *landed     `json:"landed,omitempty"`
	Proven *proven     `json:"proven,omitempty"`
	Codes  []string    `json:"codes,omitempty"`  // recovery codes of Holder, until they are said to be kept
	Holder string      `json:"holder,omitempty"` // member id
}

// typedLogin is what was typed before an organization's own page was opened.
type typedLogin struct {
	Organization string `json:"organization"`
	Email        string `json:"email"`
}

// asked is a way in that leaves this browser and comes back: by mail, or by an
// identity provider. State finds it again, Verifier proves that it was us.
type asked struct {
	ID           string `json:"id"` // what the form for its code says
	State        string `json:"state"`
	Verifier     string `json:"verifier,omitempty"`
	Way          way    `json:"way"`
	Organization string `json:"organization,omitempty"` // as typed
	Email        string `json:"email,omitempty"`        // as typed
	At           int64  `json:"at"`
}

// landed is a token that came back in an address and waits for the button.
type landed struct {
	ID       string `json:"id"`   // what the button says, so that it redeems what its page spoke of
	Type     string `json:"type"` // stytch_token_type
	Redirect string `json:"redirect,omitempty"`
	Token    string `json:"token"`
	State    string `json:"state,omitempty"` // of the asked it belongs to; "" for one that nobody here asked for
	At       int64  `json:"at"`
}

// proven is what the upstream has taken as proof so far, in the form of an
// intermediate session token, and what it still wants.
type proven struct {
	ID               string     `json:"id"` // what a form says, so that it goes on with what its page spoke of
	Token            string     `json:"token"`
	Until            int64      `json:"until"` // unix ms
	Discovery        bool       `json:"discovery,omitempty"`
	OrganizationID   string     `json:"organization_id,omitempty"`
	OrganizationName string     `json:"organization_name,omitempty"`
	Slug             string     `json:"slug,omitempty"`
	MemberID         string     `json:"member_id,omitempty"`
	Email            string     `json:"email,omitempty"`
	Ways             []string   `json:"ways,omitempty"` // primary_required: the methods that are left
	MFA              *mfaNeed   `json:"mfa,omitempty"`
	Enrolling        *enrolling `json:"enrolling,omitempty"`
	Switch           bool       `json:"switch,omitempty"` // it began with another organization's session
	Since            int64      `json:"since,omitempty"`  // unix ms: when the sign-in began that is switched from
	Own              bool       `json:"own,omitempty"`    // no token: somebody signed in adds a factor to their own session
}

// mfaNeed is what a second factor may be.
type mfaNeed struct {
	SMS     bool   `json:"sms,omitempty"`     // a phone is enrolled and allowed
	TOTP    bool   `json:"totp,omitempty"`    // an authenticator app is
	Phone   string `json:"phone,omitempty"`   // its last digits
	Sent    bool   `json:"sent,omitempty"`    // a code is on its way
	Default string `json:"default,omitempty"` // sms_otp or totp
	AddSMS  bool   `json:"add_sms,omitempty"` // nothing is enrolled; these may be
	AddTOTP bool   `json:"add_totp,omitempty"`
}

// enrolling is a second factor on its way to being enrolled.
type enrolling struct {
	Now    way      `json:"now,omitempty"` // the one that is asked for; "" at the choice
	Phone  string   `json:"phone,omitempty"`
	Secret string   `json:"secret,omitempty"` // of the authenticator app
	Codes  []string `json:"codes,omitempty"`
}

// proofField has a form say which proof its page spoke of.
func proofField(b *proven) templates.Hidden { return templates.Hidden{Name: "proof", Value: b.ID} }

// otherTab is said where a form is about another sign-in than the one under way.
func otherTab() *templates.Notice {
	return &templates.Notice{
		Kind: templates.Warn, Title: "Another sign-in was begun in this browser meanwhile", Lines: []string{"Nothing was done. This is about the newer one."},
	}
}

// bound returns the proof if it is for one organization.
func (p *progress) bound() *proven {
	if p.Proven == nil || p.Proven.Discovery {
		return nil
	}
	return p.Proven
}

// begin notes a way in that leaves the browser; what is oldest goes.
func (p *progress) begin(a asked) {
	p.Asked = slices.Insert(p.Asked, 0, a)
	if len(p.Asked) > maxAsked {
		p.Asked = p.Asked[:maxAsked]
	}
}

// find returns the way in that a state belongs to.
func (p *progress) find(state string) *asked {
	for i := range p.Asked {
		if state != "" && p.Asked[i].State == state {
			return &p.Asked[i]
		}
	}
	return nil
}

// newAsked makes state and verifier. Both are bound to this browser by the
// cookie: a link that is opened elsewhere finds neither.
func (s *Server) newAsked(w way, organization, email string) asked {
	return asked{
		ID: rand.Text(), State: rand.Text(), Verifier: rand.Text() + rand.Text(), Way: w, Organization: organization, Email: email, At: s.now().UnixMilli(),
	}
}

// challenge is the S256 code challenge of RFC 7636.
func (a asked) challenge() string {
	sum := sha256.Sum256([]byte(a.Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// landingURL is where the upstream sends the browser back to.
func (s *Server) landingURL(a asked) string {
	u := *s.config.PublicURL
	u.Path, u.RawQuery = "/authenticate", "state="+a.State
	return u.String()
}

func (s *Server) progressName() string { return s.cookieName() + "-sign-in" }

// readProgress returns what the browser's cookie says of a sign-in under way;
// a new one where there is none, or none that is still good.
func (s *Server) readProgress(c echo.Context) *progress {
	fresh := &progress{ID: rand.Text()}
	cookie, err := c.Request().Cookie(s.progressName())
	if err != nil {
		return fresh
	}
	var text []byte
	if securecookie.DecodeMulti(s.progressName(), cookie.Value, &text, s.forms...) != nil {
		return fresh
	}
	p := &progress{}
	if json.Unmarshal(text, p) != nil || p.ID == "" {
		return fresh
	}
	now := s.now()
	old := func(at int64, d time.Duration) bool {
		age := now.Sub(time.UnixMilli(at))
		return age >= d || age < -time.Minute
	}
	if old(p.At, progressTime) {
		return fresh
	}
	p.Asked = slices.DeleteFunc(p.Asked, func(a asked) bool { return old(a.At, progressTime) })
	if p.Landed != nil && old(p.Landed.At, provenTime) {
		p.Landed = nil
	}
	if p.Proven != nil && now.UnixMilli() >= p.Proven.Until {
		p.Proven = nil
	}
	return p
}

// writeProgress keeps p in the browser, or clears what is there when p is nil.
func (s *Server) writeProgress(c echo.Context, p *progress) error {
	name := s.progressName()
	if p == nil {
		s.removeCookie(c, name)
		return nil
	}
	kept := *p // a step may be taken twice at once
	kept.At = s.now().UnixMilli()
	for {
		text, err := json.Marshal(kept)
		if err != nil {
			return fmt.Errorf("keep sign-in: %w", err)
		}
		value, err := securecookie.EncodeMulti(name, text, s.forms...)
		if err != nil {
			return fmt.Errorf("keep sign-in: %w", err)
		}
		if fitsCookie(name, value) {
			s.putCookie(c, name, value, 0)
			return nil
		}
		switch path, query, _ := strings.Cut(kept.Return, "?"); {
		case len(kept.Asked) > 1:
			kept.Asked = kept.Asked[:len(kept.Asked)-1]
		case kept.Typed != nil:
			kept.Typed = nil
		case query != "":
			kept.Return = path
		default:
			return errors.New("keep sign-in: too much for a cookie")
		}
	}
}

// fitsCookie reports whether browsers take a cookie this long.
func fitsCookie(name, value string) bool {
	const attributes = "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	return len(name)+len(value)+len(attributes) <= maxCookie
}

// putCookie sets a cookie for as long as the browser is open, in place of any
// of its name that this answer set before. A negative age removes it.
func (s *Server) putCookie(c echo.Context, name, value string, maxAge int) {
	dropCookie(c, name)
	//nolint:gosec // G124: Secure follows the public address, which is http on loopback only
	http.SetCookie(c.Response(), &http.Cookie{
		Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.https, MaxAge: maxAge,
	})
}

// removeCookie takes a cookie out of the browser, if it has it.
func (s *Server) removeCookie(c echo.Context, name string) {
	dropCookie(c, name)
	if _, err := c.Request().Cookie(name); err == nil {
		s.putCookie(c, name, "", -1)
	}
}

func dropCookie(c echo.Context, name string) {
	h := c.Response().Header()
	kept := slices.DeleteFunc(slices.Clone(h.Values(echo.HeaderSetCookie)), func(line string) bool {
		return len(line) > len(name) && line[:len(name)] == name && line[len(name)] == '='
	})
	h.Del(echo.HeaderSetCookie)
	for _, line := range kept {
		h.Add(echo.HeaderSetCookie, line)
	}
}

// remember puts what an answer left open into the progress: the intermediate
// session token, which may be the same as before, and what is still wanted.
func (p *progress) remember(now time.Time, answer *stytch.AuthenticateResponse, switching bool, since time.Time) {
	until := answer.IntermediateSessionExpiresAt
	if limit := now.Add(provenTime); until.IsZero() || until.After(limit) {
		until = limit
	}
	o, m := answer.Organization, answer.Member
	p.Proven = &proven{
		ID: rand.Text(), Token: answer.IntermediateSessionToken.Reveal(), Until: until.UnixMilli(),
		OrganizationID: o.OrganizationID, OrganizationName: o.OrganizationName, Slug: o.OrganizationSlug,
		MemberID: m.MemberID, Email: m.EmailAddress, Switch: switching,
	}
	if !since.IsZero() {
		p.Proven.Since = since.UnixMilli()
	}
	if answer.PrimaryRequired != nil {
		p.Proven.Ways = append([]string{}, answer.PrimaryRequired.AllowedAuthMethods...)
		return
	}
	if answer.MFARequired != nil {
		p.Proven.MFA = newMFANeed(answer)
	}
}

// newMFANeed sorts out which second factors there are and which may be
// enrolled. Break-glass accounts are exempt from an organization's restriction.
func newMFANeed(answer *stytch.AuthenticateResponse) *mfaNeed {
	o, m := answer.Organization, answer.Member
	allowed := func(method string) bool {
		return o.MFAMethods != restricted || m.IsBreakglass || slices.Contains(o.AllowedMFAMethods, method)
	}
	need := &mfaNeed{Sent: answer.MFARequired.SecondaryAuthInitiated == methodSMS, Default: m.DefaultMFAMethod}
	if options := answer.MFARequired.MemberOptions; options != nil {
		need.SMS = options.MFAPhoneNumber != "" && allowed(methodSMS)
		need.TOTP = options.TOTPRegistrationID != "" && allowed(methodTOTP)
		if n := len(options.MFAPhoneNumber); need.SMS && n >= 2 {
			need.Phone = options.MFAPhoneNumber[n-2:]
		}
	}
	if !need.SMS && !need.TOTP {
		need.AddSMS, need.AddTOTP = allowed(methodSMS), allowed(methodTOTP)
	}
	return need
}

// addable is which second factors somebody who is signed in could enrol: those
// that are allowed and not there yet.
func addable(o stytch.Organization, m stytch.Member) *mfaNeed {
	need := newMFANeed(&stytch.AuthenticateResponse{Organization: o, Member: m, MFARequired: &stytch.MFARequired{}})
	need.AddSMS = need.AddSMS && m.MFAPhoneNumber == ""
	need.AddTOTP = need.AddTOTP && m.TOTPRegistrationID == ""
	return need
}
