package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
)

// access says who a route is for. Its zero value is a mistake that a test finds.
type access struct {
	public   bool
	signedIn bool
	// permission is what the handler has the upstream decide, with the
	// acting session. It is not decided here a second time: it is declared, for
	// review, for the tests, and for naming what was missing.
	permission authz.Permission
}

// public is for anybody.
func public() access { return access{public: true} }

// signedIn is for whoever is signed in; the handler decides about the object.
func signedIn() access { return access{signedIn: true} }

// needs is for those whom the upstream grants the permission.
func needs(p authz.Permission) access { return access{signedIn: true, permission: p} }

type route struct {
	method  string
	path    string // in Echo's notation
	access  access
	handler echo.HandlerFunc
}

// routes is the one table. A GET changes nothing and answers HEAD too.
func (s *Server) routes() []route {
	const (
		get  = http.MethodGet
		post = http.MethodPost
	)
	return []route{
		// Signing in and out.
		{get, "/login", public(), s.showLogin},
		{post, "/login/password", public(), s.signIn},
		{post, "/logout", public(), s.signOut},
		{get, "/", signedIn(), s.showHome},

		// Members. Reading one is gated by search, or by oneself.
		{get, "/members", needs(authz.MemberSearch()), s.showMembers},
		{get, "/members/:member_id", needs(authz.MemberSearch()), s.showMember},
		{get, "/members/:member_id/password/delete", needs(authz.MemberSearch()), s.confirmDeletePassword},
		{post, "/members/:member_id/password/delete", needs(authz.MemberDeletePassword()), s.deletePassword},
		{get, "/members/:member_id/password/require-reset", needs(authz.MemberSearch()), s.confirmRequireReset},
		{post, "/members/:member_id/password/require-reset", needs(authz.MemberDeletePassword()), s.requireReset},

		// Operations, for their actor and for who may read the audit.
		{get, "/operations/:operation_id", signedIn(), s.showOperation},
		{post, "/operations/:operation_id/retry", signedIn(), s.retryOperation},

		{get, "/audit", needs(authz.AuditRead()), s.showAudit},
		{get, "/audit/:event_id", needs(authz.AuditRead()), s.showAuditEvent},

		// For machines and browsers.
		{get, "/healthz", public(), s.showHealth},
		{get, "/readyz", public(), s.showReady},
		{get, "/favicon.ico", public(), s.showFavicon},
		{get, "/static/*", public(), s.showStatic},
	}
}

// wrap puts around a handler what its row asks for: nothing that changes
// something is run without proof that it came from a page of ours, and nothing
// but public routes without a session.
func (r route) wrap(s *Server) echo.HandlerFunc {
	h := r.handler
	if r.method == http.MethodPost {
		h = readForm(h)
	}
	if r.access.signedIn {
		h = s.requireSession(h)
	}
	if r.method == http.MethodPost {
		h = s.requireOrigin(h)
	}
	if permission := r.access.permission; !permission.IsZero() {
		next := h
		h = func(c echo.Context) error {
			c.Set(keyPermission, permission)
			return next(c)
		}
	}
	return h
}

// pagePattern is the path of a page one can be led back to.
type pagePattern []string

func (s *Server) pagePatterns() []pagePattern {
	var all []pagePattern
	for _, r := range s.routes() {
		if r.method == http.MethodGet && !r.access.public {
			all = append(all, strings.Split(r.path, "/"))
		}
	}
	return all
}

func (p pagePattern) matches(path string) bool {
	segments := strings.Split(path, "/")
	if len(segments) != len(p) {
		return false
	}
	for i, want := range p {
		if strings.HasPrefix(want, ":") {
			if segments[i] == "" {
				return false
			}
			continue
		}
		if segments[i] != want {
			return false
		}
	}
	return true
}

// isPage reports whether a path is one of the console's own pages that need a session.
func (s *Server) isPage(path string) bool {
	for _, p := range s.pages {
		if p.matches(path) {
			return true
		}
	}
	return false
}
