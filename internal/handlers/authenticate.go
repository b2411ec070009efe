package handlers

import (
	"context"
	"crypto/rand"
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// What a token that comes back in an address is for: stytch_token_type.
const (
	tokenMagicLink      = "multi_tenant_magic_links"
	tokenPassword       = "multi_tenant_passwords"
	tokenDiscovery      = "discovery"
	tokenSSO            = "sso"
	tokenOAuth          = "oauth"
	tokenDiscoveryOAuth = "discovery_oauth"
	tokenImpersonation  = "multi_tenant_impersonation"

	// redirectReset beside a discovery token says that it is for a new password.
	redirectReset = "reset_password"

	// What is said of a token that is not taken, at an address without it.
	refusedUnusable = "unusable"
	refusedNotHere  = "not-here"
)

// wayOf is the way a token belongs to, and whether it may come without having
// been asked for in this browser: mails that an admin or another application
// sent, and impersonation, which begins in Stytch's dashboard. All others must
// carry the state this browser was given: whoever follows somebody else's
// link must not end up in somebody else's account.
func (l *landed) wayOf() (w way, unasked bool) {
	switch l.Type {
	case tokenMagicLink:
		return wayMagicLink, true
	case tokenPassword:
		return wayResetPassword, true
	case tokenDiscovery:
		if l.Redirect == redirectReset {
			return wayDiscoveryPassword, true
		}
		return wayDiscoveryLink, false
	case tokenSSO:
		return waySSO, false
	case tokenOAuth:
		return wayOAuth, false
	case tokenDiscoveryOAuth:
		return wayDiscoveryOAuth, false
	case tokenImpersonation:
		return wayImpersonation, true
	default:
		return "", false
	}
}

// land is GET /authenticate. With a token in its address it moves the token
// into this browser's cookie and leads on to itself without; that is all a GET
// does, so that a mail scanner, a preview or a reload uses nothing up.
func (s *Server) land(c echo.Context) error {
	q, p := c.QueryParams(), s.readProgress(c)
	switch {
	case len(q) == 0:
		return s.renderLanding(c, http.StatusOK, p, nil)
	case q.Get("refused") == refusedUnusable:
		return s.renderLanding(c, http.StatusBadRequest, &progress{ID: p.ID, Return: p.Return}, &templates.Notice{
			Kind: templates.Bad, Title: "This is not a link the console can use",
			Lines: []string{"It may have been cut on the way, or the sign-in was cancelled. Start again."},
		})
	case q.Get("refused") == refusedNotHere:
		return s.renderLanding(c, http.StatusForbidden, &progress{ID: p.ID, Return: p.Return}, &templates.Notice{
			Kind: templates.Bad, Title: "This was not asked for in this browser",
			Lines: []string{"Open it in the browser where you asked for it, within an hour. Or start again here."},
		})
	}
	l := landed{
		ID: rand.Text(), Type: q.Get("stytch_token_type"), Redirect: q.Get("stytch_redirect_type"), Token: q.Get("token"), State: q.Get("state"), At: s.now().UnixMilli(),
	}
	w, unasked := l.wayOf()
	switch {
	case w == "" || l.Token == "" || len(l.Token) > maxToken || len(q["token"]) != 1 || len(l.Redirect) > maxOrganization:
		return c.Redirect(http.StatusSeeOther, "/authenticate?refused="+refusedUnusable)
	case l.State == "" && !unasked, l.State != "" && p.find(l.State) == nil:
		// Nothing is kept of it: somebody may have sent it on purpose.
		if tried, wait := s.throttle.beginAddress(c.RealIP()); tried == nil {
			_ = s.slowedDown(c, wait) // counted and logged
		} else {
			record := newAttempt(c, "", "")
			record.Action, record.Outcome, record.Detail = audit.ActionSignIn, audit.OutcomeDenied, detailNotHere
			record.Factors = []string{w.factorType()}
			s.recordStep(c.Request().Context(), record)
		}
		return c.Redirect(http.StatusSeeOther, "/authenticate?refused="+refusedNotHere)
	}
	if !unasked {
		l.Redirect = ""
	}
	p.Landed = &l
	if err := s.writeProgress(c, p); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/authenticate")
}

// renderLanding shows the one button that redeems what came back.
func (s *Server) renderLanding(c echo.Context, status int, p *progress, notice *templates.Notice) error {
	v := templates.SignInStep{
		Page: s.page(c, "Sign in"), Error: notice, Links: []templates.Link{{Text: "Start again", URL: withReturn("/login", p.Return)}},
	}
	l := p.Landed
	if l == nil {
		if notice == nil {
			v.Info = &templates.Notice{
				Kind: templates.Info, Title: "There is nothing to go on with",
				Lines: []string{"The link was used already, or it was opened more than ten minutes ago. Start again."},
			}
		}
		return render(c, status, templates.SignInStepPage(v))
	}
	w, _ := l.wayOf()
	a := p.find(l.State)
	switch w {
	case wayResetPassword, wayDiscoveryPassword:
		v.Page = s.page(c, "Set a new password")
		v.Text = []string{"It replaces the old one and ends all your other sessions."}
		v.Form = &templates.StepForm{Action: "/authenticate/password", Button: "Set password and sign in", Hidden: linkField(l), Fields: []templates.Input{newPasswordInput()}}
	default:
		v.Form = &templates.StepForm{Action: "/authenticate", Button: "Sign in", Hidden: linkField(l)}
		v.Text = []string{"One more click and you are in."}
		if w == wayImpersonation {
			v.Page = s.page(c, "Act as a member")
			v.Text = []string{"You will act as a member of an organization, for at most an hour. Everything you do is recorded as an impersonation."}
			v.Form.Button, v.Form.Danger = "Start impersonation", true
		}
	}
	switch {
	case a != nil && (w == waySSO || w == wayOAuth || w == wayDiscoveryOAuth):
		// Only this browser can have the state, so nobody else's scanner comes this far.
		v.AutoSubmit = status == http.StatusOK
	case a == nil && w != wayImpersonation:
		v.Info = &templates.Notice{
			Kind: templates.Warn, Title: "You did not ask for this in this browser",
			Lines: []string{"Go on only if you expected it, such as an invitation or a mail from your helpdesk."},
		}
	}
	if who := s.actor(c); who != nil {
		v.Facts = []templates.Row{textRow("Signed in now", who.Session.Email), textRow("Organization", who.Session.OrganizationName)}
		v.Text = append(v.Text, "Going on signs you out of that first.")
	}
	return render(c, status, templates.SignInStepPage(v))
}

func linkField(l *landed) []templates.Hidden { return []templates.Hidden{{Name: "link", Value: l.ID}} }

// pressed is what the button of a page redeems: nothing, where another link was
// opened in another tab since the page was shown.
func (s *Server) pressed(c echo.Context, p *progress) *landed {
	if p.Landed == nil || c.FormValue("link") != p.Landed.ID {
		return nil
	}
	return p.Landed
}

// notPressed shows what there is to press now.
func (s *Server) notPressed(c echo.Context, p *progress) error {
	if p.Landed == nil {
		return s.renderLanding(c, http.StatusOK, p, nil)
	}
	return s.renderLanding(c, http.StatusConflict, p, &templates.Notice{
		Kind: templates.Warn, Title: "Another link was opened meanwhile", Lines: []string{"Nothing was done. This is about the newer one."},
	})
}

// redeem is POST /authenticate: the button.
func (s *Server) redeem(c echo.Context) error {
	p := s.readProgress(c)
	l := s.pressed(c, p)
	if l == nil {
		return s.notPressed(c, p)
	}
	again := func(status int, n *templates.Notice) error {
		spent := *p
		spent.Landed = nil
		if err := s.writeProgress(c, &spent); err != nil {
			return err
		}
		return s.renderLanding(c, status, &spent, n)
	}
	w, _ := l.wayOf()
	a := p.find(l.State)
	if a == nil {
		a = &asked{}
	}
	token, verifier := stytch.Secret(l.Token), stytch.Secret(a.Verifier)
	var st step
	var err error
	switch w {
	case wayDiscoveryLink, wayDiscoveryOAuth:
		call := s.stytch.AuthenticateDiscoveryMagicLink
		if w == wayDiscoveryOAuth {
			call = s.stytch.AuthenticateDiscoveryOAuth
		}
		st, err = s.discover(c, p, discovery{way: w, key: l.Token, email: a.Email, call: func(ctx context.Context) (*stytch.DiscoveryResponse, error) {
			return call(ctx, token, verifier)
		}})
	case wayMagicLink, waySSO, wayOAuth, wayImpersonation:
		st, err = s.attempt(c, try{
			way: w, key: l.Token, progress: p, returnPath: p.Return,
			expect: expected{organization: a.Organization, email: a.Email},
			signIn: stytch.SignIn{IntermediateSessionToken: p.proofFor(a.Organization, a.Email)},
			call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
				r := stytch.TokenRequest{Token: token, CodeVerifier: verifier, SignIn: in}
				switch w {
				case waySSO:
					return s.stytch.AuthenticateSSO(ctx, r)
				case wayOAuth:
					return s.stytch.AuthenticateOAuth(ctx, r)
				case wayImpersonation:
					return s.stytch.AuthenticateImpersonation(ctx, token)
				default:
					return s.stytch.AuthenticateMagicLink(ctx, r)
				}
			},
		})
	default:
		return s.renderLanding(c, http.StatusOK, p, nil)
	}
	if err != nil {
		return s.refusedStep(c, p, err, again)
	}
	return s.take(c, st)
}

// redeemPassword is POST /authenticate/password: a new password, by a mail.
func (s *Server) redeemPassword(c echo.Context) error {
	p := s.readProgress(c)
	again := func(status int, n *templates.Notice) error { return s.renderLanding(c, status, p, n) }
	l := s.pressed(c, p)
	if l == nil {
		return s.notPressed(c, p)
	}
	w, _ := l.wayOf()
	if w != wayResetPassword && w != wayDiscoveryPassword {
		return again(http.StatusOK, nil)
	}
	a := p.find(l.State)
	if a == nil {
		a = &asked{}
	}
	password := stytch.Secret(c.FormValue("new_password"))
	tried, wait := s.throttle.begin(c.RealIP(), p.ID, p.ID)
	if tried == nil {
		no := s.slowedDown(c, wait)
		retryHeader(c, no)
		return again(no.failure.status, no.notice())
	}
	tried.undecided()
	if n, err := s.weakness(c.Request().Context(), a.Email, password); err != nil {
		return err
	} else if n != nil {
		return again(http.StatusUnprocessableEntity, n)
	}
	token, verifier := stytch.Secret(l.Token), stytch.Secret(a.Verifier)
	var st step
	var err error
	if w == wayDiscoveryPassword {
		st, err = s.discover(c, p, discovery{way: w, key: l.Token, email: a.Email, call: func(ctx context.Context) (*stytch.DiscoveryResponse, error) {
			return s.stytch.DiscoveryResetPassword(ctx, token, verifier, password)
		}})
	} else {
		st, err = s.attempt(c, try{
			way: w, key: l.Token, progress: p, returnPath: p.Return,
			expect: expected{organization: a.Organization, email: a.Email},
			call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
				return s.stytch.ResetPasswordByEmail(ctx, stytch.ResetPasswordRequest{Token: token, CodeVerifier: verifier, Password: password, SignIn: in})
			},
		})
	}
	if err != nil {
		if weakRefusal(err) {
			// The token is still good: the upstream refused the password, not the link.
			return s.refusedStep(c, p, err, again)
		}
		return s.refusedStep(c, p, err, func(status int, n *templates.Notice) error {
			if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
				return again(status, n)
			}
			spent := *p
			spent.Landed = nil
			if err := s.writeProgress(c, &spent); err != nil {
				return err
			}
			return s.renderLanding(c, status, &spent, n)
		})
	}
	return s.take(c, st)
}
