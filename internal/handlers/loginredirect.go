package handlers

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// startSSO is GET /login/sso/start: it leads the browser to the organization's
// identity provider, by way of Stytch. It is a GET because no form of ours may
// lead to another host; all it changes is this browser's own cookie.
func (s *Server) startSSO(c echo.Context) error {
	organization, connection := c.QueryParam("organization"), c.QueryParam("connection")
	form := loginForm{organization: organization, returnPath: s.safeReturn(c.QueryParam("return")), chosen: true}
	if problem := organizationProblem(organization); problem != "" || len(connection) > maxOrganization {
		return s.notStarted(c, loginForm{returnPath: form.returnPath})
	}
	o := s.lookUp(c.Request().Context(), c, organization)
	offered := slices.ContainsFunc(o.SSOActiveConnections, func(a stytch.SSOActiveConnection) bool { return a.ConnectionID == connection })
	if !offered {
		return s.notStarted(c, form)
	}
	return s.leave(c, s.newAsked(waySSO, organization, ""), form.returnPath, func(r stytch.RedirectStart) (string, error) {
		r.ConnectionID = connection
		return s.stytch.SSOStartURL(r)
	})
}

// startOAuth is GET /login/oauth/:provider/start, for one organization or, by
// the address the provider vouches for, to find it.
func (s *Server) startOAuth(c echo.Context) error {
	organization := c.QueryParam("organization")
	form := loginForm{organization: organization, returnPath: s.safeReturn(c.QueryParam("return")), chosen: organization != ""}
	provider := slices.IndexFunc(oauthProviders(), func(p oauthProvider) bool { return p.id == c.Param("provider") })
	if provider < 0 || organization != "" && organizationProblem(organization) != "" {
		return s.notStarted(c, loginForm{returnPath: form.returnPath})
	}
	w := wayDiscoveryOAuth
	if organization != "" {
		w = wayOAuth
		if !allowsMethod(s.lookUp(c.Request().Context(), c, organization), stytch.Member{}, oauthProviders()[provider].method) {
			return s.notStarted(c, form)
		}
	}
	return s.leave(c, s.newAsked(w, organization, ""), form.returnPath, func(r stytch.RedirectStart) (string, error) {
		r.OrganizationID = organization // as typed: the real id would tell that there is one
		return s.stytch.OAuthStartURL(oauthProviders()[provider].id, r)
	})
}

// leave sends the browser away with what it needs to come back. Only a page of
// ours may begin that: another site could otherwise have somebody signed in
// anew, with whatever their identity provider thinks they are.
func (s *Server) leave(c echo.Context, a asked, returnPath string, start func(stytch.RedirectStart) (string, error)) error {
	if site := c.Request().Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return c.Redirect(http.StatusSeeOther, s.backFrom(&a, returnPath))
	}
	if s.config.PublicToken == "" {
		return s.notStarted(c, loginForm{organization: a.Organization, returnPath: returnPath, chosen: a.Organization != ""})
	}
	target, err := start(stytch.RedirectStart{PublicToken: s.config.PublicToken, RedirectURL: s.landingURL(a), CodeChallenge: a.challenge()})
	if err != nil {
		return err
	}
	p := s.readProgress(c)
	p.Return = returnPath
	p.begin(a)
	if err := s.writeProgress(c, p); err != nil {
		return err
	}
	return c.Redirect(http.StatusFound, target)
}

func (s *Server) notStarted(c echo.Context, form loginForm) error {
	return s.renderLogin(c, http.StatusNotFound, form, &templates.Notice{
		Kind: templates.Bad, Title: "This way of signing in is not offered here", Lines: []string{"Choose one of those below."},
	})
}
