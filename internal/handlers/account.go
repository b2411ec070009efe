package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// showAccount is GET /account: one's own session, and what one may do about it.
func (s *Server) showAccount(c echo.Context) error {
	a := s.actor(c)
	v, _ := c.Get(keyCookie).(sessionCookie)
	end := s.sessionEnds(a, v)
	view := templates.Account{
		Page: s.page(c, "Account"),
		Session: filled([]templates.Row{
			textRow("Signed in as", a.Session.Email), textRow("Organization", a.Session.OrganizationName),
			listRow("Factors", factorNames(a.Session.Factors)), timeRow("Since", &v.IssuedAt), timeRow("Ends at the latest", &end),
			codeRow("Session ID", a.Session.SessionID), textRow("Impersonated by", a.Session.Impersonator),
		}),
		Cards: []templates.AccountCard{
			{Title: "Organization", Text: "Go to another organization that you are in, or accept an invitation.", Links: []templates.Link{{Text: "Switch organization", URL: "/account/organizations"}}},
			{Title: "Member", Text: "Your own page, as the helpdesk sees it.", Links: []templates.Link{{Text: "My member page", URL: memberPath(a.Session.MemberID)}}},
		},
	}
	switch c.QueryParam("notice") {
	case noticePassword:
		view.Notice = &templates.Notice{Kind: templates.Good, Text: "Your password is changed. All your other sessions are ended."}
	case noticeFactor:
		view.Notice = &templates.Notice{Kind: templates.Good, Text: "Your second factor is set up. It is asked for when you sign in."}
	}
	password := templates.AccountCard{Title: "Password", Text: "Change it, if you still know the old one.", Links: []templates.Link{{Text: "Change password", URL: "/account/password"}}}
	if a.Session.Member.MemberPasswordID == "" {
		password.Text, password.Links[0].Text = "You have none.", "Set a password"
	}
	if !a.Session.Impersonated() {
		view.Cards = append([]templates.AccountCard{factorCard(a.Session)}, view.Cards...)
		if allowsMethod(a.Session.Organization, a.Session.Member, methodPassword) {
			view.Cards = append([]templates.AccountCard{password}, view.Cards...)
		}
	}
	return render(c, http.StatusOK, templates.AccountPage(view))
}

// freshTime is how old a sign-in may be where a stolen session must not be
// enough; Stytch has the same limit for setting a first password.
const freshTime = 5 * time.Minute

// Notices of the account page, by the value that asks for one.
const (
	noticePassword = "password"
	noticeFactor   = "second-factor"
)

// factorCard says which second factors there are, and offers to set one up.
func factorCard(session *authz.Session) templates.AccountCard {
	card := templates.AccountCard{Title: "Second factor", Text: "You have none."}
	if factors := mfaFactors(session.Member); len(factors) > 0 {
		card.Text = "You have: " + strings.Join(factors, ", ") + "."
	}
	if need := addable(session.Organization, session.Member); need.AddSMS || need.AddTOTP {
		card.Form = &templates.Form{Label: "Set up a second factor", Action: "/account/second-factor"}
	}
	return card
}

// factorNames are authentication factor types in words.
func factorNames(types []string) []string {
	names := map[string]string{
		"password": "password", "magic_link": "email link", "email_otp": "email code", "otp": "text message", "totp": "authenticator app",
		"recovery_codes": "recovery code", "sso": "single sign-on", "oauth": "OAuth", "impersonated": "impersonation",
	}
	all := make([]string, 0, len(types))
	for _, t := range types {
		if !strings.HasPrefix(t, "impersonator:") {
			all = append(all, firstOf(names[t], t))
		}
	}
	return all
}

// showOwnPassword is GET /account/password.
func (s *Server) showOwnPassword(c echo.Context) error {
	return s.renderOwnPassword(c, http.StatusOK, nil)
}

func (s *Server) renderOwnPassword(c echo.Context, status int, notice *templates.Notice) error {
	a := s.actor(c)
	v := templates.SignInStep{
		Page: s.page(c, "Change password"), Error: notice, Text: []string{"All your other sessions end. This one goes on."},
		Form:  &templates.StepForm{Action: "/account/password", Button: "Change password"},
		Links: []templates.Link{{Text: "Back to the account", URL: "/account"}},
	}
	v.Page.Crumbs = []templates.Link{{Text: "Account", URL: "/account"}}
	switch {
	case a.Session.Impersonated():
		v.Form, v.Text = nil, nil
		v.Info = &templates.Notice{Kind: templates.Warn, Title: "Not while impersonating", Text: "Only the member may change their own password."}
	case a.Session.Member.MemberPasswordID == "":
		v.Page.Title, v.Form.Button = "Set a password", "Set password"
		v.Text = append(v.Text, "Stytch takes it for five minutes after you signed in. Later, sign in again first.")
		v.Form.Fields = []templates.Input{newPasswordInput()}
	default:
		v.Form.Fields = []templates.Input{
			{Name: "current_password", Label: "Current password", Type: "password", Autocomplete: "current-password", Required: true}, newPasswordInput(),
		}
	}
	return render(c, status, templates.SignInStepPage(v))
}

// changeOwnPassword is POST /account/password. Who has a password must know
// it; who has none needs a session whose factor is fresh.
func (s *Server) changeOwnPassword(c echo.Context) error {
	a := s.actor(c)
	cookie, _ := c.Get(keyCookie).(sessionCookie)
	again := func(status int, n *templates.Notice) error { return s.renderOwnPassword(c, status, n) }
	if a.Session.Impersonated() {
		s.recordImpersonator(c, audit.ActionSetPassword)
		return again(http.StatusForbidden, nil)
	}
	current, next := stytch.Secret(c.FormValue("current_password")), stytch.Secret(c.FormValue("new_password"))
	has := a.Session.Member.MemberPasswordID != ""
	if problem := passwordProblem("current password", current.Reveal()); has && problem != "" {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "The password was not changed", Lines: []string{problem}})
	}
	if n, err := s.weakness(c.Request().Context(), a.Session.Email, next); err != nil {
		return err
	} else if n != nil {
		return again(http.StatusUnprocessableEntity, n)
	}
	organizationID, email := a.Session.OrganizationID, a.Session.Email
	st, err := s.attempt(c, try{
		way: wayOwnPassword, own: true, since: cookie.IssuedAt, key: cookie.Token + "\x00" + next.Reveal(), progress: &progress{ID: a.Session.SessionID}, returnPath: "/account?notice=" + noticePassword,
		expect: expected{organizationID: organizationID, memberID: a.Session.MemberID, email: email},
		call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			if !has {
				return s.stytch.ResetPasswordBySession(ctx, a.Acting, organizationID, next, 0)
			}
			// The session that comes instead ends when this one would have.
			in.Own, in.SessionDurationMinutes = a.Acting, sessionMinutes(s.sessionEnds(a, cookie).Sub(s.now()))
			return s.stytch.ResetPasswordByExisting(ctx, stytch.ExistingPasswordRequest{
				OrganizationID: organizationID, EmailAddress: email, Existing: current, New: next, SignIn: in,
			})
		},
	})
	if no, ok := errors.AsType[*refusal](err); ok {
		retryHeader(c, no)
		if refused, ok := errors.AsType[*stytch.Error](err); ok &&
			(refused.Type == stytch.ErrorTypeStaleFactors || refused.Type == stytch.ErrorTypeSessionTooOldToResetPassword) {
			return again(http.StatusForbidden, &templates.Notice{
				Kind: templates.Bad, Title: "Your sign-in is older than five minutes", RequestID: refused.RequestID,
				Lines: []string{"Sign out, sign in again, and set the password then."},
			})
		}
		if no.restart || no.failure.toSignIn {
			return errSessionEnded
		}
		return again(no.failure.status, no.notice())
	}
	if err != nil {
		return err
	}
	return s.take(c, st)
}

// addFactor is POST /account/second-factor: it leads to the pages that enrol one.
func (s *Server) addFactor(c echo.Context) error {
	a, p := s.actor(c), s.readProgress(c)
	cookie, _ := c.Get(keyCookie).(sessionCookie)
	if s.now().Sub(a.Session.ProvenAt) >= freshTime {
		v := templates.SignInStep{
			Page: s.page(c, "Set up a second factor"), Links: []templates.Link{{Text: "Back to the account", URL: "/account"}},
			Error: &templates.Notice{
				Kind: templates.Bad, Title: "Your sign-in is older than five minutes",
				Lines: []string{"Whoever finds this page open must not set up a factor of theirs. Sign out, sign in again, and set it up then."},
			},
		}
		return render(c, http.StatusForbidden, templates.SignInStepPage(v))
	}
	need := addable(a.Session.Organization, a.Session.Member)
	if a.Session.Impersonated() || !need.AddSMS && !need.AddTOTP {
		return echo.NewHTTPError(http.StatusForbidden, "There is no second factor that you could set up here.")
	}
	p.Return = "/account?notice=" + noticeFactor
	p.Proven = &proven{
		ID: rand.Text(), Own: true, Since: cookie.IssuedAt.UnixMilli(), Until: s.now().Add(provenTime).UnixMilli(), OrganizationID: a.Session.OrganizationID, OrganizationName: a.Session.OrganizationName,
		Slug: a.Session.OrganizationSlug, MemberID: a.Session.MemberID, Email: a.Session.Email, MFA: need,
	}
	return s.take(c, step{progress: p, to: "/mfa"})
}

// recordImpersonator records what an impersonator tried that is the member's own to do.
func (s *Server) recordImpersonator(c echo.Context, action audit.Action) {
	a, record := s.actor(c), newAttempt(c, "", "")
	record.OrganizationID, record.MemberID, record.Email, record.SessionID = a.Session.OrganizationID, a.Session.MemberID, a.Session.Email, a.Session.SessionID
	record.Action, record.Outcome, record.Detail, record.Factors = action, audit.OutcomeDenied, "impersonated", a.Session.Factors
	s.recordStep(c.Request().Context(), record)
}

// showSwitch is GET /account/organizations: where else one is.
func (s *Server) showSwitch(c echo.Context) error { return s.renderSwitch(c, http.StatusOK, nil) }

func (s *Server) renderSwitch(c echo.Context, status int, notice *templates.Notice) error {
	a := s.actor(c)
	answer, err := s.stytch.DiscoverOrganizationsAs(c.Request().Context(), a.Acting)
	if err != nil {
		return err
	}
	v := templates.SignInStep{
		Page: s.page(c, "Switch organization"), Error: notice,
		Text:    []string{"You leave " + a.Session.OrganizationName + " with it. The other organization may ask for another factor."},
		Choices: organizationChoices(answer.DiscoveredOrganizations, "/account/organizations", a.Session.OrganizationID, templates.Hidden{Name: "once", Value: rand.Text()}),
		Links:   []templates.Link{{Text: "Back to the account", URL: "/account"}},
	}
	v.Page.Crumbs = []templates.Link{{Text: "Account", URL: "/account"}}
	if len(v.Choices) < 2 {
		v.Text = nil
		v.Info = &templates.Notice{Kind: templates.Info, Title: "You are in no other organization", Text: "Nobody has invited " + a.Session.Email + " to another one."}
	}
	return render(c, status, templates.SignInStepPage(v))
}

// switchOrganization is POST /account/organizations: the session of this
// organization is exchanged for one of another. The upstream decides whether
// this member may go there; the answer must be about the organization chosen.
func (s *Server) switchOrganization(c echo.Context) error {
	a, id := s.actor(c), c.FormValue("organization_id")
	cookie, _ := c.Get(keyCookie).(sessionCookie)
	again := func(status int, n *templates.Notice) error { return s.renderSwitch(c, status, n) }
	if a.Session.Impersonated() {
		s.recordImpersonator(c, audit.ActionSwitch)
		return again(http.StatusForbidden, &templates.Notice{Kind: templates.Bad, Title: "Not while impersonating", Text: "An impersonation is for one member of one organization."})
	}
	answer, err := s.stytch.DiscoverOrganizationsAs(c.Request().Context(), a.Acting)
	if err != nil {
		return err
	}
	if id == a.Session.OrganizationID || !listed(answer.DiscoveredOrganizations, id) {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "Choose another organization"})
	}
	p := s.readProgress(c)
	p.Return, p.Proven = "", nil
	st, err := s.attempt(c, try{
		way: wayExchange, key: id, page: a.Session.SessionID, progress: p, switching: true, since: s.began(a, cookie),
		expect: expected{organizationID: id, email: a.Session.Email},
		call: func(ctx context.Context, _ stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			return s.stytch.ExchangeSession(ctx, a.Acting, id, sessionMinutes(s.sessionEnds(a, cookie).Sub(s.now())))
		},
	})
	if no, ok := errors.AsType[*refusal](err); ok && no.failure.toSignIn {
		return errSessionEnded
	}
	if err != nil {
		return s.refusedStep(c, p, err, again)
	}
	return s.take(c, st)
}
