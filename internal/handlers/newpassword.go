package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

func newPasswordInput() templates.Input {
	return templates.Input{
		Name: "new_password", Label: "New password", Type: "password", Autocomplete: "new-password", Required: true,
		Hint: "Several words that do not belong together are strong and easy to type. Stytch checks it before it is set.",
	}
}

// weakness asks the upstream whether a password would be taken, and says what
// would make it better. nil: it would be.
func (s *Server) weakness(ctx context.Context, email string, password stytch.Secret) (*templates.Notice, error) {
	if problem := passwordProblem("new password", password.Reveal()); problem != "" {
		return &templates.Notice{Kind: templates.Bad, Title: "The password was not set", Lines: []string{problem}}, nil
	}
	answer, err := s.stytch.CheckPasswordStrength(ctx, email, password)
	if err != nil {
		return nil, err
	}
	if answer.Valid {
		return nil, nil
	}
	n := &templates.Notice{Kind: templates.Bad, Title: "This password is too weak", RequestID: answer.RequestID}
	if answer.Breached {
		n.Title = "This password is in a list of leaked passwords"
		n.Lines = append(n.Lines, "Whoever attacks accounts tries it early. Take another one.")
	}
	if answer.Policy == "zxcvbn" || answer.LUDS == nil {
		n.Lines = append(n.Lines, fmt.Sprintf("Strength %d of 4; 3 is needed.", answer.Score))
	}
	if answer.Warning != "" {
		n.Lines = append(n.Lines, answer.Warning)
	}
	n.Lines = append(n.Lines, answer.Suggestions...)
	if l := answer.LUDS; l != nil {
		for _, missing := range []struct {
			is   bool
			what string
		}{{l.HasLowerCase, "a small letter"}, {l.HasUpperCase, "a capital letter"}, {l.HasDigit, "a digit"}, {l.HasSymbol, "a sign such as ! or #"}} {
			if !missing.is && l.MissingComplexity > 0 {
				n.Lines = append(n.Lines, "It has not "+missing.what+".")
			}
		}
		if l.MissingCharacters > 0 {
			n.Lines = append(n.Lines, plural(l.MissingCharacters, "character")+" more are needed.")
		}
	}
	return n, nil
}

// weakRefusal reports a refusal of the new password, after which the rest is still good.
func weakRefusal(err error) bool {
	refused, ok := errors.AsType[*stytch.Error](err)
	return ok && (refused.Type == stytch.ErrorTypeWeakPassword || refused.Type == stytch.ErrorTypeBreachedPassword)
}

// showForgot is GET /login/forgot.
func (s *Server) showForgot(c echo.Context) error {
	return s.renderForgot(c, http.StatusOK, loginForm{organization: c.QueryParam("organization"), returnPath: s.safeReturn(c.QueryParam("return"))}, nil)
}

func (s *Server) renderForgot(c echo.Context, status int, form loginForm, notice *templates.Notice) error {
	return render(c, status, templates.SignInStepPage(templates.SignInStep{
		Page: s.page(c, "Forgot password"), Error: notice,
		Text: []string{"You get a mail with a link to set a new password. The old one works until then."},
		Form: &templates.StepForm{
			Action: "/login/forgot", Button: "Email me a link", Hidden: returnField(form.returnPath),
			Fields: []templates.Input{
				{Name: "organization", Label: "Organization", Value: form.organization, Autocomplete: "organization", Required: true, Hint: "Its short name (slug), for example acme.", MaxLength: maxOrganization},
				emailInput(form.email),
			},
		},
		Links: []templates.Link{{Text: "Back to sign in", URL: withReturn("/login", form.returnPath)}},
	}))
}

// mailReset is POST /login/forgot.
func (s *Server) mailReset(c echo.Context) error {
	form := s.parseLogin(c)
	again := func(status int, n *templates.Notice) error { return s.renderForgot(c, status, form, n) }
	if problems := said(organizationProblem(form.organization), emailProblem(form.email)); len(problems) > 0 {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "Nothing was sent", Lines: problems})
	}
	return s.askFor(c, mailed{
		asked: s.newAsked(wayResetPassword, form.organization, form.email), returnPath: form.returnPath, to: "/login/sent", again: again,
		send: func(ctx context.Context, a asked) error {
			_, err := s.stytch.StartPasswordReset(ctx, stytch.ResetStartRequest{
				OrganizationID: a.Organization, EmailAddress: a.Email,
				RedirectURL: s.landingURL(a), LoginRedirectURL: s.landingURL(a), CodeChallenge: a.challenge(),
			})
			return err
		},
	})
}
