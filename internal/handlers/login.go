package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

const (
	maxOrganization = 128
	maxAddress      = 254
	maxPassword     = 1024
)

// loginForm is what was typed.
type loginForm struct {
	organization, email, password string
	returnPath                    string
	chosen                        bool   // the page showed what the organization allows
	once                          string // of the page the form stood on
}

func (s *Server) parseLogin(c echo.Context) loginForm {
	return loginForm{
		organization: strings.TrimSpace(c.FormValue("organization")),
		email:        strings.TrimSpace(c.FormValue("email")),
		password:     c.FormValue("password"),
		returnPath:   s.safeReturn(c.FormValue("return")),
		chosen:       c.FormValue("chosen") != "",
		once:         c.FormValue("once"),
	}
}

func organizationProblem(name string) string {
	switch {
	case name == "":
		return "Fill in the organization: its short name (slug), for example acme."
	case len(name) > maxOrganization || !utf8.ValidString(name):
		return fmt.Sprintf("An organization's slug has at most %d characters.", maxOrganization)
	}
	return ""
}

func emailProblem(email string) string {
	switch {
	case email == "":
		return "Fill in the email address."
	case len(email) > maxAddress || !utf8.ValidString(email) || !strings.Contains(email, "@"):
		return "The email address is not one: it looks like name@example.com."
	}
	return ""
}

func passwordProblem(name, password string) string {
	switch {
	case password == "":
		return "Fill in the " + name + "."
	case len(password) > maxPassword || !utf8.ValidString(password):
		return fmt.Sprintf("A password has at most %d characters.", maxPassword)
	}
	return ""
}

// said drops what is no problem.
func said(problems ...string) []string {
	var all []string
	for _, p := range problems {
		if p != "" {
			all = append(all, p)
		}
	}
	return all
}

// showLogin is GET /login, of an organization if the address names one.
func (s *Server) showLogin(c echo.Context) error {
	form := loginForm{returnPath: s.safeReturn(c.QueryParam("return")), organization: strings.TrimSpace(c.QueryParam("organization"))}
	switch _, _, err := s.identify(c, true); {
	case err == nil:
		return c.Redirect(http.StatusSeeOther, orHome(form.returnPath))
	case s.classify(err).toSignIn && !errors.Is(err, errNoSession):
		s.clearCookie(c)
	}
	var notice *templates.Notice
	switch c.QueryParam("notice") {
	case noticeSignedOut:
		notice = &templates.Notice{Kind: templates.Good, Text: "You are signed out."}
	case noticeEnded:
		notice = &templates.Notice{Kind: templates.Info, Text: "Your session has ended. Sign in to go on."}
	}
	if form.organization != "" {
		if problem := organizationProblem(form.organization); problem != "" {
			form.organization = ""
			return s.renderLogin(c, http.StatusUnprocessableEntity, form, &templates.Notice{Kind: templates.Bad, Title: "You are not signed in", Lines: []string{problem}})
		}
		form.chosen = true
		form.email = s.readProgress(c).typedEmail(form.organization)
	}
	return s.renderLogin(c, http.StatusOK, form, notice)
}

// typedEmail is what was typed beside an organization's name just before.
func (p *progress) typedEmail(organization string) string {
	if p.Typed != nil && strings.EqualFold(p.Typed.Organization, organization) {
		return p.Typed.Email
	}
	return ""
}

// chooseOrganization is POST /login/organization: it leads to the page of one
// organization. The email address stays out of the address of the page.
func (s *Server) chooseOrganization(c echo.Context) error {
	form := s.parseLogin(c)
	if problem := organizationProblem(form.organization); problem != "" {
		return s.renderLogin(c, http.StatusUnprocessableEntity, form, &templates.Notice{
			Kind: templates.Bad, Title: "Which organization?", Lines: []string{problem},
		})
	}
	p := s.readProgress(c)
	p.Typed = nil
	if emailProblem(form.email) == "" {
		p.Typed = &typedLogin{Organization: form.organization, Email: form.email}
	}
	if err := s.writeProgress(c, p); err != nil {
		return err
	}
	q := url.Values{"organization": {form.organization}}
	if form.returnPath != "" {
		q.Set("return", form.returnPath)
	}
	return c.Redirect(http.StatusSeeOther, "/login?"+q.Encode())
}

// renderLogin never gets the password back.
func (s *Server) renderLogin(c echo.Context, status int, form loginForm, notice *templates.Notice) error {
	v := templates.Login{
		Page: s.page(c, "Sign in"), Organization: form.organization, Email: form.email, Return: form.returnPath, Error: notice,
		Once: rand.Text(), Password: true, Link: true, Code: true, More: true,
		FindURL: withReturn("/login/find", form.returnPath), ForgotURL: withReturn("/login/forgot", form.returnPath),
	}
	if form.chosen {
		s.offer(c.Request().Context(), c, &v, form)
	}
	if s.config.Demo != nil {
		for _, p := range s.config.Demo.People {
			v.People = append(v.People, templates.LoginPerson(p))
		}
		v.InboxURL = s.config.Demo.InboxURL
	}
	return render(c, status, templates.LoginPage(v))
}

// offer shows what one organization allows and nothing else. An organization
// that does not exist, or cannot be read, is offered like one that allows all:
// the page does not tell them apart, and the upstream decides.
func (s *Server) offer(ctx context.Context, c echo.Context, v *templates.Login, form loginForm) {
	v.Chosen, v.More = true, false
	v.OtherURL = withReturn("/login", form.returnPath)
	v.ForgotURL = withQuery("/login/forgot", url.Values{"organization": {form.organization}, "return": {form.returnPath}})
	o := s.lookUp(ctx, c, form.organization)
	s.offerMethods(v, o, form.organization, form.returnPath, func(method string) bool { return allowsMethod(o, stytch.Member{}, method) })
	v.Emergency = !v.Password
	if !v.Password && !v.Link && !v.Code && len(v.Ways) == 0 {
		v.NoWay = "This organization allows no way of signing in that the console offers."
	}
}

// offerMethods shows those ways that allowed grants.
func (s *Server) offerMethods(v *templates.Login, o stytch.Organization, organization, returnPath string, allowed func(method string) bool) {
	v.Password, v.Link, v.Code = allowed(methodPassword), allowed(string(wayMagicLink)), allowed(string(wayEmailOTP))
	if s.config.PublicToken == "" {
		return // the browser cannot be sent to Stytch without it
	}
	if allowed(methodSSO) {
		for _, connection := range o.SSOActiveConnections {
			v.Ways = append(v.Ways, templates.Link{
				Text: "Continue with " + firstOf(connection.DisplayName, "single sign-on"),
				URL:  withQuery("/login/sso/start", url.Values{"organization": {organization}, "connection": {connection.ConnectionID}, "return": {returnPath}}),
			})
		}
	}
	for _, provider := range oauthProviders() {
		if allowed(provider.method) {
			v.Ways = append(v.Ways, templates.Link{
				Text: "Continue with " + provider.name,
				URL:  withQuery("/login/oauth/"+provider.id+"/start", url.Values{"organization": {organization}, "return": {returnPath}}),
			})
		}
	}
}

// lookUp reads an organization for the sign-in page: at most a minute old, and
// within the throttle, as anybody may ask. The zero value allows everything.
func (s *Server) lookUp(ctx context.Context, c echo.Context, name string) stytch.Organization {
	if o, ok := s.lookups.get(name); ok {
		return o
	}
	try, _ := s.throttle.begin(c.RealIP(), name, "")
	if try == nil {
		return stytch.Organization{}
	}
	defer try.succeeded()
	answer, err := s.stytch.GetOrganization(ctx, name)
	switch {
	case err == nil:
		s.lookups.put(name, answer.Organization)
		return answer.Organization
	case answered(err):
		s.lookups.put(name, stytch.Organization{})
	}
	return stytch.Organization{}
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

func withReturn(path, returnPath string) string {
	return withQuery(path, url.Values{"return": {returnPath}})
}

// withQuery is a path with those values that are not empty.
func withQuery(path string, q url.Values) string {
	for name, values := range q {
		if len(values) == 0 || values[0] == "" || name == "return" && values[0] == "/" {
			delete(q, name)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func orHome(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// signIn is POST /login/password.
func (s *Server) signIn(c echo.Context) error {
	form := s.parseLogin(c)
	problems := said(organizationProblem(form.organization), emailProblem(form.email), passwordProblem("password", form.password))
	if len(problems) > 0 {
		return s.renderLogin(c, http.StatusUnprocessableEntity, form, &templates.Notice{
			Kind: templates.Bad, Title: "You are not signed in", Lines: problems,
		})
	}
	p, key := s.readProgress(c), ""
	if form.once != "" {
		// A double click makes one session. The page's own number keeps two browsers apart.
		key = fmt.Sprintf("%q %q %q %q", form.once, form.organization, form.email, form.password)
	}
	st, err := s.attempt(c, try{
		way: wayPassword, key: key, page: form.once, progress: p, returnPath: form.returnPath,
		expect: expected{organization: form.organization, email: form.email},
		signIn: stytch.SignIn{IntermediateSessionToken: p.proofFor(form.organization, form.email)},
		call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			return s.stytch.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{
				OrganizationID: form.organization, EmailAddress: form.email, Password: stytch.Secret(form.password),
				IntermediateSessionToken: in.IntermediateSessionToken, SessionDurationMinutes: in.SessionDurationMinutes,
			})
		},
	})
	if err != nil {
		return s.refusedStep(c, p, err, func(status int, n *templates.Notice) error { return s.renderLogin(c, status, form, n) })
	}
	return s.take(c, st)
}

// proofFor is the intermediate session token to add a factor to, if there is
// one of this organization and person. Who somebody is may come out only later:
// then email is "".
func (p *progress) proofFor(organization, email string) stytch.Secret {
	b := p.bound()
	if b != nil && email != "" && !strings.EqualFold(email, b.Email) {
		return ""
	}
	if b == nil || len(b.Ways) == 0 || !strings.EqualFold(organization, b.Slug) && organization != b.OrganizationID {
		return ""
	}
	return stytch.Secret(b.Token)
}
