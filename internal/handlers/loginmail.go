package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// mailed is a mail that a page asks the upstream for. Whether one is sent is
// not told, as that would tell who is there.
type mailed struct {
	asked      asked
	returnPath string
	to         string // the page that says so
	send       func(context.Context, asked) error
	again      func(status int, n *templates.Notice) error // the form, with what went wrong
}

// askFor has the upstream send a mail. What it says of the address is recorded
// and not shown; what it says of itself is.
func (s *Server) askFor(c echo.Context, m mailed) error {
	ctx, form := c.Request().Context(), m.asked
	organization := form.Organization
	if organization == "" {
		_, domain, _ := strings.Cut(form.Email, "@")
		organization = "@" + domain
	}
	tried, wait := s.throttle.beginMail(c.RealIP(), organization, form.Email)
	if tried == nil {
		no := s.slowedDown(c, wait)
		retryHeader(c, no)
		return m.again(no.failure.status, no.notice())
	}
	begun := time.Now()
	err := m.send(ctx, form)
	if err != nil {
		no, organizationID := s.refused(ctx, &try{way: form.Way, expect: expected{organization: form.Organization}}, err)
		s.recordMail(c, form, organizationID, no)
		if !tellsOfAddress(err) || no.detail == helpdesk.DetailCredentials {
			return m.again(no.failure.status, no.notice())
		}
	} else {
		s.recordMail(c, form, "", nil)
	}
	p := s.readProgress(c)
	if m.returnPath != "" {
		p.Return = m.returnPath
	}
	p.begin(form)
	if err := s.writeProgress(c, p); err != nil {
		return err
	}
	s.evenOut(ctx, begun)
	return c.Redirect(http.StatusSeeOther, m.to)
}

// tellsOfAddress reports a refusal that may be about the address or the
// organization. Too many mails to one address tell that there were mails.
func tellsOfAddress(err error) bool {
	refused, ok := errors.AsType[*stytch.Error](err)
	return ok && refused.Status < http.StatusInternalServerError || errors.Is(err, stytch.ErrBadArgument)
}

// recordMail records that a mail was asked for, in the organization if it exists.
func (s *Server) recordMail(c echo.Context, form asked, organizationID string, no *refusal) {
	a := newAttempt(c, form.Organization, form.Email)
	a.Action, a.Outcome, a.Detail = audit.ActionSignInMail, audit.OutcomeSucceeded, string(form.Way)
	if no != nil {
		a.Outcome, a.HTTP, a.UpstreamRequestID, a.Detail = no.outcome, no.http, no.request, no.detail
	}
	if a.OrganizationID = organizationID; organizationID == "" && form.Organization != "" {
		a.OrganizationID = s.lookUp(c.Request().Context(), c, form.Organization).OrganizationID
	}
	s.recordStep(c.Request().Context(), a)
}

// mailLink is POST /login/link: a sign-in link for one organization.
func (s *Server) mailLink(c echo.Context) error {
	return s.mailFor(c, wayMagicLink, "/login/sent", func(ctx context.Context, a asked) error {
		_, err := s.stytch.SendMagicLink(ctx, stytch.EmailRequest{
			OrganizationID: a.Organization, EmailAddress: a.Email, RedirectURL: s.landingURL(a), CodeChallenge: a.challenge(),
		})
		return err
	})
}

// mailCode is POST /login/code: a code for one organization.
func (s *Server) mailCode(c echo.Context) error {
	return s.mailFor(c, wayEmailOTP, "/login/code", func(ctx context.Context, a asked) error {
		_, err := s.stytch.SendEmailOTP(ctx, a.Organization, a.Email)
		return err
	})
}

func (s *Server) mailFor(c echo.Context, w way, to string, send func(context.Context, asked) error) error {
	form := s.parseLogin(c)
	again := func(status int, n *templates.Notice) error { return s.renderLogin(c, status, form, n) }
	if problems := said(organizationProblem(form.organization), emailProblem(form.email)); len(problems) > 0 {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "Nothing was sent", Lines: problems})
	}
	return s.askFor(c, mailed{asked: s.newAsked(w, form.organization, form.email), returnPath: form.returnPath, to: to, send: send, again: again})
}

// showFind is GET /login/find: for those who do not know their organization's name.
func (s *Server) showFind(c echo.Context) error {
	return s.renderFind(c, http.StatusOK, loginForm{returnPath: s.safeReturn(c.QueryParam("return"))}, nil)
}

func (s *Server) renderFind(c echo.Context, status int, form loginForm, notice *templates.Notice) error {
	v := templates.SignInStep{
		Page: s.page(c, "Find my organization"), Error: notice,
		Text: []string{"You get a mail. With it you choose among the organizations you are in."},
		Form: &templates.StepForm{
			Action: "/login/find/link", Button: "Email me a link", Hidden: returnField(form.returnPath),
			Fields: []templates.Input{emailInput(form.email)}, Also: []templates.StepButton{{Text: "Email me a code", Action: "/login/find/code"}},
		},
		Links: []templates.Link{{Text: "I know my organization", URL: withReturn("/login", form.returnPath)}},
	}
	if s.config.PublicToken != "" {
		for _, provider := range oauthProviders() {
			v.Ways = append(v.Ways, templates.Link{Text: "Continue with " + provider.name, URL: withReturn("/login/oauth/"+provider.id+"/start", form.returnPath)})
		}
	}
	return render(c, status, templates.SignInStepPage(v))
}

func returnField(path string) []templates.Hidden {
	return []templates.Hidden{{Name: "return", Value: path}}
}

func emailInput(value string) templates.Input {
	return templates.Input{Name: "email", Label: "Email", Type: "text", InputMode: "email", Value: value, Autocomplete: "username", Required: true, MaxLength: maxAddress}
}

// findByLink is POST /login/find/link.
func (s *Server) findByLink(c echo.Context) error {
	return s.find(c, wayDiscoveryLink, "/login/sent", func(ctx context.Context, a asked) error {
		_, err := s.stytch.SendDiscoveryMagicLink(ctx, stytch.EmailRequest{
			EmailAddress: a.Email, RedirectURL: s.landingURL(a), CodeChallenge: a.challenge(),
		})
		return err
	})
}

// findByCode is POST /login/find/code.
func (s *Server) findByCode(c echo.Context) error {
	return s.find(c, wayDiscoveryOTP, "/login/code", func(ctx context.Context, a asked) error {
		_, err := s.stytch.SendDiscoveryEmailOTP(ctx, a.Email)
		return err
	})
}

func (s *Server) find(c echo.Context, w way, to string, send func(context.Context, asked) error) error {
	form := s.parseLogin(c)
	again := func(status int, n *templates.Notice) error { return s.renderFind(c, status, form, n) }
	if problem := emailProblem(form.email); problem != "" {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "Nothing was sent", Lines: []string{problem}})
	}
	return s.askFor(c, mailed{asked: s.newAsked(w, "", form.email), returnPath: form.returnPath, to: to, send: send, again: again})
}

// newest is the latest way in under way that is one of these.
func (p *progress) newest(ways ...way) *asked {
	for i := range p.Asked {
		if slices.Contains(ways, p.Asked[i].Way) {
			return &p.Asked[i]
		}
	}
	return nil
}

// showSent is GET /login/sent: a link is perhaps on its way.
func (s *Server) showSent(c echo.Context) error {
	p := s.readProgress(c)
	a := p.newest(wayMagicLink, wayDiscoveryLink, wayResetPassword)
	if a == nil {
		return c.Redirect(http.StatusSeeOther, withReturn("/login", p.Return))
	}
	v := templates.SignInStep{
		Page: s.page(c, "Look into your mail"),
		Text: []string{
			"If " + a.Email + whereTo(a) + ", a link is on its way there.",
			"Open it in this browser: it works nowhere else, and only once.",
		},
		Links: []templates.Link{{Text: "Sign in another way", URL: s.backFrom(a, p.Return)}},
	}
	again := templates.StepForm{Button: "Send it again", Hint: "Nothing after some minutes? Look among the unwanted mail first.", Hidden: append(returnField(p.Return),
		templates.Hidden{Name: "organization", Value: a.Organization}, templates.Hidden{Name: "email", Value: a.Email})}
	switch a.Way {
	case wayMagicLink:
		again.Action = "/login/link"
	case wayDiscoveryLink:
		again.Action = "/login/find/link"
	default:
		again.Action = "/login/forgot"
		v.Text[1] = "Open it in this browser and set a new password. The old one works until then."
	}
	v.Others = []templates.StepForm{again}
	return render(c, http.StatusOK, templates.SignInStepPage(v))
}

func whereTo(a *asked) string {
	if a.Organization == "" {
		return " is in any organization here"
	}
	return " can sign in to " + a.Organization
}

func (s *Server) backFrom(a *asked, returnPath string) string {
	if a.Organization == "" {
		return withReturn("/login/find", returnPath)
	}
	return withQuery("/login", url.Values{"organization": {a.Organization}, "return": {returnPath}})
}

// showCode is GET /login/code: a code is perhaps on its way.
func (s *Server) showCode(c echo.Context) error {
	p := s.readProgress(c)
	return s.renderCode(c, http.StatusOK, p, p.newest(wayEmailOTP, wayDiscoveryOTP), nil)
}

func (s *Server) renderCode(c echo.Context, status int, p *progress, a *asked, notice *templates.Notice) error {
	if a == nil {
		return c.Redirect(http.StatusSeeOther, withReturn("/login", p.Return))
	}
	v := templates.SignInStep{
		Page: s.page(c, "Enter the code"), Error: notice,
		Text: []string{"If " + a.Email + whereTo(a) + ", a code is on its way there. It is good for ten minutes."},
		Form: &templates.StepForm{
			Action: "/login/code/verify", Button: "Sign in", Fields: []templates.Input{codeInput("Code")},
			Hidden: []templates.Hidden{{Name: "asked", Value: a.ID}},
		},
		Links: []templates.Link{{Text: "Sign in another way", URL: s.backFrom(a, p.Return)}},
	}
	again := templates.StepForm{Action: "/login/code", Button: "Send another code", Hidden: append(returnField(p.Return),
		templates.Hidden{Name: "organization", Value: a.Organization}, templates.Hidden{Name: "email", Value: a.Email})}
	if a.Way == wayDiscoveryOTP {
		again.Action = "/login/find/code"
	}
	v.Others = []templates.StepForm{again}
	return render(c, status, templates.SignInStepPage(v))
}

func codeInput(label string) templates.Input {
	return templates.Input{Name: "code", Label: label, Type: "text", InputMode: "numeric", Autocomplete: "one-time-code", Required: true, Focus: true, MaxLength: 32}
}

// typedCode reads a code as people type them: with spaces and hyphens.
func typedCode(c echo.Context) (stytch.Secret, string) {
	code := strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(c.FormValue("code"))
	if code == "" || len(code) > 64 || !utf8.ValidString(code) {
		return "", "Fill in the code."
	}
	return stytch.Secret(code), ""
}

// verifyCode is POST /login/code/verify.
func (s *Server) verifyCode(c echo.Context) error {
	p := s.readProgress(c)
	// The code is for the mail that the form was about, whatever another tab has asked for since.
	i := slices.IndexFunc(p.Asked, func(a asked) bool {
		return a.ID == c.FormValue("asked") && (a.Way == wayEmailOTP || a.Way == wayDiscoveryOTP)
	})
	if i < 0 {
		return s.renderCode(c, http.StatusConflict, p, p.newest(wayEmailOTP, wayDiscoveryOTP), otherTab())
	}
	a := &p.Asked[i]
	again := func(status int, n *templates.Notice) error { return s.renderCode(c, status, p, a, n) }
	code, problem := typedCode(c)
	if problem != "" {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "You are not signed in", Lines: []string{problem}})
	}
	if a.Way == wayDiscoveryOTP {
		st, err := s.discover(c, p, discovery{
			way: a.Way, key: code.Reveal(), email: a.Email,
			call: func(ctx context.Context) (*stytch.DiscoveryResponse, error) {
				return s.stytch.AuthenticateDiscoveryEmailOTP(ctx, a.Email, code)
			},
		})
		if err != nil {
			return s.refusedStep(c, p, err, again)
		}
		return s.take(c, st)
	}
	st, err := s.attempt(c, try{
		way: a.Way, key: code.Reveal(), progress: p, returnPath: p.Return,
		expect: expected{organization: a.Organization, email: a.Email},
		signIn: stytch.SignIn{IntermediateSessionToken: p.proofFor(a.Organization, a.Email)},
		call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			return s.stytch.AuthenticateEmailOTP(ctx, stytch.EmailOTPRequest{
				OrganizationID: a.Organization, EmailAddress: a.Email, Code: code, SignIn: in,
			})
		},
	})
	if err != nil {
		return s.refusedStep(c, p, err, again)
	}
	return s.take(c, st)
}
