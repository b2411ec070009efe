package handlers

import (
	"context"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
	"orgconsole/web/templates"
)

// policy is the RBAC policy as the session's organization sees it.
func (s *Server) policy(ctx context.Context, session *authz.Session) (*authz.Policy, error) {
	return s.authz.Policy(ctx, session.OrganizationID, session.Organization.CustomRoles)
}

// page is what every screen has around its content. Without an actor it is a
// page for those who are not signed in.
func (s *Server) page(c echo.Context, title string) templates.Page {
	s.identifyQuickly(c)
	return s.pageAround(c.Request().Context(), c, title)
}

func (s *Server) pageAround(ctx context.Context, c echo.Context, title string) templates.Page {
	p := templates.Page{Title: title, Demo: s.config.Demo != nil, Build: s.config.Build}
	a := s.actor(c)
	if a == nil {
		return p
	}
	c.Set(keyZone, s.localTimeOf(a.Session).zone)
	p.Actor = &templates.Actor{
		Name: a.Session.Name, Email: a.Session.Email, URL: memberPath(a.Session.MemberID), Roles: a.Session.Roles,
		Organization: a.Session.OrganizationName, Impersonator: a.Session.Impersonator,
	}
	if v, ok := c.Get(keyCookie).(sessionCookie); ok {
		p.Session = s.sessionLife(a, v)
	}
	if path := c.Path(); strings.HasPrefix(path, "/audit") || strings.HasPrefix(path, "/operations/") {
		// Only these pages are evidence, and only their addresses are known to hold no secret.
		asked := c.Request().URL
		p.Paper = &templates.Paper{
			Address: s.config.PublicURL.ResolveReference(&url.URL{Path: asked.Path, RawQuery: asked.RawQuery}).String(), Loaded: utc(s.now()),
		}
	}
	// Without a policy everything is shown: the upstream decides anyway.
	policy, err := s.policy(ctx, a.Session)
	if err != nil || policy.Allows(a.Session.Roles, authz.MemberSearch()) {
		p.Nav = append(p.Nav, navItem(c, "Members", "/members", "members"))
	}
	if err != nil || policy.MayConsole(a.Session.Roles, authz.AuditRead()) {
		p.Nav = append(p.Nav, navItem(c, "Audit", "/audit", "audit"))
	}
	return p
}

func navItem(c echo.Context, label, url, icon string) templates.NavItem {
	path := c.Path()
	return templates.NavItem{
		Label: label, URL: url, Icon: icon, Current: path == url || strings.HasPrefix(path, url+"/"),
	}
}
