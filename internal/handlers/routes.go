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

// routes is the one table. A GET changes nothing, but that an export is recorded, and answers HEAD too.
func (s *Server) routes() []route {
	const (
		get  = http.MethodGet
		post = http.MethodPost
	)
	return []route{
		// Signing in and out.
		{get, "/login", public(), s.showLogin},
		{post, "/login/organization", public(), s.chooseOrganization},
		{post, "/login/password", public(), s.signIn},
		{post, "/login/link", public(), s.mailLink},
		{post, "/login/code", public(), s.mailCode},
		{get, "/login/code", public(), s.showCode},
		{post, "/login/code/verify", public(), s.verifyCode},
		{get, "/login/sent", public(), s.showSent},
		{get, "/login/sso/start", public(), s.startSSO},
		{get, "/login/oauth/:provider/start", public(), s.startOAuth},
		{get, "/login/find", public(), s.showFind},
		{post, "/login/find/link", public(), s.findByLink},
		{post, "/login/find/code", public(), s.findByCode},
		{get, "/login/organizations", public(), s.showOrganizations},
		{post, "/login/organizations", public(), s.chooseDiscovered},
		{get, "/login/more", public(), s.showMore},
		{get, "/login/forgot", public(), s.showForgot},
		{post, "/login/forgot", public(), s.mailReset},
		{get, "/authenticate", public(), s.land},
		{post, "/authenticate", public(), s.redeem},
		{post, "/authenticate/password", public(), s.redeemPassword},
		{get, "/mfa", public(), s.showMFA},
		{post, "/mfa/sms/send", public(), s.sendSMS},
		{post, "/mfa/sms", public(), s.verifySMS},
		{post, "/mfa/totp", public(), s.verifyTOTP},
		{post, "/mfa/recovery", public(), s.verifyRecovery},
		{post, "/mfa/enroll/sms", public(), s.enrolSMS},
		{post, "/mfa/enroll/totp", public(), s.enrolTOTP},
		{post, "/mfa/enroll/other", public(), s.enrolOther},
		{get, "/mfa/recovery-codes", signedIn(), s.showRecoveryCodes},
		{post, "/mfa/recovery-codes", signedIn(), s.keptRecoveryCodes},
		{post, "/logout", public(), s.signOut},

		// One's own session.
		{get, "/session", public(), s.showSession},
		{post, "/session/extend", signedIn(), s.extendSession},
		{get, "/account", signedIn(), s.showAccount},
		{get, "/account/password", signedIn(), s.showOwnPassword},
		{post, "/account/password", signedIn(), s.changeOwnPassword},
		{post, "/account/second-factor", signedIn(), s.addFactor},
		{get, "/account/organizations", signedIn(), s.showSwitch},
		{post, "/account/organizations", signedIn(), s.switchOrganization},

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
		{get, "/operations/:operation_id/receipt.json", signedIn(), s.downloadReceipt},
		{post, "/operations/:operation_id/retry", signedIn(), s.retryOperation},

		{get, "/audit", needs(authz.AuditRead()), s.showAudit},
		{get, exportPath, needs(authz.AuditExport()), s.exportAudit},
		{get, reviewsPath, signedIn(), leadTo("/audit")}, // whoever had to sign in for the post comes here
		{post, reviewsPath, needs(authz.AuditRead()), s.reviewAudit},
		{get, verifyPath, signedIn(), leadTo(verificationPath)},
		{post, verifyPath, needs(authz.AuditRead()), s.verifyAudit},
		{get, verificationPath, needs(authz.AuditRead()), s.showVerification},
		{get, "/audit/:event_id", needs(authz.AuditRead()), s.showAuditEvent},

		// For machines and browsers.
		{get, "/healthz", public(), s.showHealth},
		{get, "/readyz", public(), s.showReady},
		{get, "/favicon.ico", public(), s.showFavicon},
		{get, "/static/*", public(), s.showStatic},
	}
}

// leadTo is a page that is another.
func leadTo(path string) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, path) }
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
