package handlers

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// discovery is a call that proves an address, and not yet an organization.
type discovery struct {
	way   way
	key   string
	email string // as typed; "" when it comes from a provider
	call  func(context.Context) (*stytch.DiscoveryResponse, error)
}

// discover is attempt for a proof of an address: it leads to the choice among
// the organizations of that address.
func (s *Server) discover(c echo.Context, p *progress, d discovery) (step, error) {
	return s.once.do(p.ID, d.way, d.key, func() (step, error) { return s.discoverOnce(c, p, d) })
}

func (s *Server) discoverOnce(c echo.Context, p *progress, d discovery) (step, error) {
	account := d.email
	if account == "" {
		account = p.ID
	}
	_, domain, _ := strings.Cut(d.email, "@")
	begin := s.throttle.begin
	if d.way == wayDiscoveryOTP {
		begin = s.throttle.beginGuess
	}
	tried, wait := begin(c.RealIP(), "@"+domain, account)
	if tried == nil {
		return step{}, s.slowedDown(c, wait)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), tryTime)
	defer cancel()
	begun := time.Now()
	answer, err := d.call(ctx)
	if err == nil && (d.email != "" && answer.EmailAddress != "" && !strings.EqualFold(answer.EmailAddress, d.email) || len(answer.IntermediateSessionToken) > maxToken) {
		return step{}, &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the answer is about another sign-in"}
	}
	t := &try{way: d.way, expect: expected{email: d.email}}
	if err != nil {
		no, organizationID := s.refused(ctx, t, err)
		if !no.guess {
			tried.undecided()
		}
		s.recordRefusal(ctx, c, t, organizationID, no)
		s.evenOut(c.Request().Context(), begun)
		return step{}, no
	}
	tried.succeeded()
	record := newAttempt(c, "", answer.EmailAddress)
	record.Action, record.Outcome, record.Detail = audit.ActionFirstFactor, audit.OutcomeSucceeded, "organization_to_choose"
	record.Factors, record.HTTP, record.UpstreamRequestID = []string{d.way.factorType()}, audit.HTTP{Status: answer.StatusCode}, answer.RequestID
	s.recordStep(ctx, record)
	if d.way == wayDiscoveryPassword {
		record.Action, record.Detail = audit.ActionSetPassword, string(d.way)
		s.recordStep(ctx, record)
	}
	p.Landed = nil
	p.Proven = &proven{
		ID: rand.Text(), Token: answer.IntermediateSessionToken.Reveal(), Until: s.now().Add(provenTime).UnixMilli(), Discovery: true, Email: firstOf(answer.EmailAddress, d.email),
	}
	return step{progress: p, to: "/login/organizations"}, nil
}

// showOrganizations is GET /login/organizations: those of the address that was
// just proven, as the upstream now lists them.
func (s *Server) showOrganizations(c echo.Context) error {
	return s.renderOrganizations(c, http.StatusOK, s.readProgress(c), nil)
}

func (s *Server) renderOrganizations(c echo.Context, status int, p *progress, notice *templates.Notice) error {
	if p.Proven == nil || !p.Proven.Discovery {
		return c.Redirect(http.StatusSeeOther, withReturn("/login/find", p.Return))
	}
	answer, err := s.stytch.DiscoverOrganizations(c.Request().Context(), stytch.Secret(p.Proven.Token))
	if err != nil && notice != nil {
		return s.renderFind(c, status, loginForm{returnPath: p.Return}, notice) // what went wrong first is what matters
	}
	if err != nil {
		no := s.wordRefusal(err, wayDiscovered)
		no.err = err
		return s.refusedStep(c, p, no, func(status int, n *templates.Notice) error {
			return s.renderFind(c, status, loginForm{returnPath: p.Return}, n)
		})
	}
	v := templates.SignInStep{
		Page: s.page(c, "Choose an organization"), Error: notice, Text: []string{"You are " + p.Proven.Email + "."},
		Choices: organizationChoices(answer.DiscoveredOrganizations, "/login/organizations", "", proofField(p.Proven)),
		Links:   []templates.Link{{Text: "Use another address", URL: withReturn("/login/find", p.Return)}},
	}
	if len(v.Choices) == 0 {
		v.Info = &templates.Notice{
			Kind: templates.Info, Title: "No organization knows this address",
			Lines: []string{"Use the address that your organization knows, or ask its admin for an invitation."},
		}
	}
	return render(c, status, templates.SignInStepPage(v))
}

// organizationChoices are those that one is in or invited to. Those one could
// join are left out: an admin console is not where people join.
func organizationChoices(all []stytch.DiscoveredOrganization, action, current string, hidden templates.Hidden) []templates.StepChoice {
	var choices []templates.StepChoice
	for _, d := range all {
		o := d.Organization
		if !joined(d) {
			continue
		}
		choice := templates.StepChoice{Title: firstOf(o.OrganizationName, o.OrganizationSlug, o.OrganizationID), Text: o.OrganizationSlug}
		switch d.Membership.Type {
		case stytch.MembershipActive:
		case stytch.MembershipInvited:
			choice.Badge = templates.Badge{Text: "invited", Kind: templates.Info}
		case stytch.MembershipPending:
			choice.Badge = templates.Badge{Text: "pending", Kind: templates.Info}
		}
		if o.OrganizationID == current {
			choice.Badge = templates.Badge{Text: "you are here", Kind: templates.Good}
		} else {
			choice.Form = &templates.StepForm{Action: action, Button: "Continue", Hidden: []templates.Hidden{{Name: "organization_id", Value: o.OrganizationID}, hidden}}
			if choice.Badge.Text == "invited" {
				choice.Form.Button = "Accept and continue"
			}
		}
		choices = append(choices, choice)
	}
	return choices
}

// joined reports an organization that one is in or invited to.
func joined(d stytch.DiscoveredOrganization) bool {
	return slices.Contains([]string{stytch.MembershipActive, stytch.MembershipInvited, stytch.MembershipPending}, d.Membership.Type)
}

// listed reports whether an organization is among those that one may go to. What
// is not must not even be named in a record: anybody can write anything there.
func listed(all []stytch.DiscoveredOrganization, id string) bool {
	return id != "" && slices.ContainsFunc(all, func(d stytch.DiscoveredOrganization) bool { return d.Organization.OrganizationID == id && joined(d) })
}

// chooseDiscovered is POST /login/organizations. The upstream decides whether
// the address may go into the organization that the form names.
func (s *Server) chooseDiscovered(c echo.Context) error {
	p, id := s.readProgress(c), c.FormValue("organization_id")
	if p.Proven == nil || !p.Proven.Discovery {
		return c.Redirect(http.StatusSeeOther, withReturn("/login/find", p.Return))
	}
	proof := stytch.Secret(p.Proven.Token)
	again := func(status int, n *templates.Notice) error { return s.renderOrganizations(c, status, p, n) }
	if c.FormValue("proof") != p.Proven.ID {
		return again(http.StatusConflict, otherTab())
	}
	answer, err := s.stytch.DiscoverOrganizations(c.Request().Context(), proof)
	if err == nil && !listed(answer.DiscoveredOrganizations, id) {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "Choose one of the organizations"})
	}
	if err != nil {
		no := s.wordRefusal(err, wayDiscovered)
		no.err = err
		if st, done := s.once.recall(s.once.mac(p.ID, string(wayDiscovered), p.Proven.Token+id)); done {
			return s.take(c, st) // the second click, after the first has used the proof up
		}
		return s.refusedStep(c, p, no, again)
	}
	st, err := s.attempt(c, try{
		way: wayDiscovered, key: p.Proven.Token + id, progress: p, returnPath: p.Return,
		expect: expected{organizationID: id, email: p.Proven.Email},
		signIn: stytch.SignIn{IntermediateSessionToken: proof},
		call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			return s.stytch.ExchangeIntermediateSession(ctx, id, in)
		},
	})
	if err != nil {
		return s.refusedStep(c, p, err, again)
	}
	return s.take(c, st)
}
