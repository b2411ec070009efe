package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// confirmForm is what a confirmation page shows, sealed into its form. It
// proves only what was shown and to whom; what is sent upstream is read anew.
type confirmForm struct {
	Kind           string // audit action
	OperationID    string
	OrganizationID string
	MemberID       string // the acting member
	TargetID       string
	PasswordID     string // as shown
	SessionsOpen   int    // as shown; -1 when they could not be read
}

// typed is what a person put into a confirmation form.
type typed struct {
	reason, ticket     string
	signOut, sendReset bool
	errors             map[string]string // field → what is wrong
	notice             string            // of the whole form
	token              string            // of a form shown again, which stays one operation
	restored           bool              // typed before the session ended
}

// confirmation is an operation as its confirmation page shows it.
type confirmation struct {
	action  audit.Action
	title   string // of the page, and on its button
	refused string // headline where it cannot be done
	what    string // "Deleting the password", of what does not end sessions
	path    func(memberID string) string
	effects func(stytch.Member) []string
	cannot  func(context.Context, *actor, *memberRead) (reason string, links []templates.Link, err error)
	perform func(context.Context, helpdesk.Actor, helpdesk.Request) (*helpdesk.Operation, error)
}

// confirm is the GET of an operation.
func (s *Server) confirm(c echo.Context, o confirmation) error {
	id, err := memberParam(c)
	if err != nil {
		return err
	}
	in, err := s.prefill(c, id)
	if err != nil {
		return err
	}
	return s.renderConfirmation(c, http.StatusOK, id, o, in)
}

// prefill takes reason, ticket and ticks over from an earlier attempt of the same actor.
func (s *Server) prefill(c echo.Context, targetID string) (typed, error) {
	if in, ok := s.takeDraft(c); ok {
		return in, nil
	}
	from := c.QueryParam("from")
	if from == "" {
		return typed{}, nil
	}
	a := s.actor(c)
	op, err := s.desk.Operation(c.Request().Context(), a.Session.OrganizationID, from)
	if errors.Is(err, helpdesk.ErrNotFound) {
		return typed{}, nil
	}
	if err != nil {
		return typed{}, err
	}
	if op.Actor.MemberID != a.Session.MemberID || op.Target.MemberID != targetID {
		return typed{}, nil
	}
	return typed{reason: op.Reason, ticket: op.Ticket, signOut: op.SignOut, sendReset: op.SendReset}, nil
}

func (s *Server) renderConfirmation(c echo.Context, status int, id string, o confirmation, in typed) error {
	ctx, a := c.Request().Context(), s.actor(c)
	read, err := s.readMember(ctx, a, id)
	if err != nil {
		return err
	}
	m := read.member
	v := templates.Confirm{Page: s.page(c, o.title), Person: personView(a, m)}
	v.Page.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}, {Text: memberLabel(m), URL: memberPath(id)}}
	if in.restored {
		v.Page.Notices = append(v.Page.Notices, templates.Notice{
			Kind: templates.Info, Title: "Your session had ended. Nothing was done.", Text: "What you had typed is back below. Look at it, then confirm.",
		})
	}
	reason, links, err := o.cannot(ctx, a, read)
	if err != nil {
		return err
	}
	if reason != "" {
		links = append(links, templates.Link{Text: "Back to the member", URL: memberPath(id)})
		v.Disabled = &templates.Notice{Kind: templates.Info, Title: o.refused, Text: reason, Links: links}
		return render(c, status, templates.ConfirmPage(v))
	}
	v.Sessions = confirmSessions(read.sessions, o.what)
	v.Effects = o.effects(m)
	v.Ways, v.WaysNote = otherWaysView(read.organization, m)
	v.Warnings = append(s.confirmWarnings(a, read), s.lookalikeWarnings(ctx, a, m)...)
	if v.Form, err = s.confirmView(ctx, a, o, read, in); err != nil {
		return err
	}
	return render(c, status, templates.ConfirmPage(v))
}

// otherWaysView says what the organization allows besides a password, and
// whether the member has ever used any of it.
func otherWaysView(o stytch.Organization, m stytch.Member) (ways []string, note string) {
	switch ways = otherWays(o, m); {
	case len(ways) == 0:
		note = "None. The organization allows nothing else for this member."
	case !usedOtherWay(o, m):
		note = "The organization allows these, but this member has used none of them yet."
	}
	return ways, note
}

// confirmSessions says how many sessions are open, and that what is to be done ends none.
func confirmSessions(n int, what string) string {
	switch {
	case n < 0:
		return "How many sessions are open could not be read."
	case n == 0:
		return "No session is open."
	case n == 1:
		return "1 session is open. " + what + " does not end it."
	default:
		return fmt.Sprintf("%s sessions are open. %s ends none of them.", thousands(n), what)
	}
}

func (s *Server) confirmWarnings(a *actor, read *memberRead) []templates.Notice {
	var warn []templates.Notice
	m := read.member
	if m.MemberID == a.Session.MemberID {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "This is you",
			Text: "It is your own password. If you tick Sign out everywhere, you are signed out here too.",
		})
	}
	if m.IsAdmin || holds(m, authz.RoleAdmin) {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "This is an admin of the organization", Text: "Make sure that the caller is who they say they are.",
		})
	}
	if len(otherWays(read.organization, m)) == 0 {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "The password is their last way in",
			Text: "Without it they cannot sign in until they set a new one from a reset email.",
		})
	}
	return warn
}

func holds(m stytch.Member, role string) bool {
	for _, r := range m.Roles {
		if r.RoleID == role {
			return true
		}
	}
	return false
}

func (s *Server) lookalikeWarnings(ctx context.Context, a *actor, m stytch.Member) []templates.Notice {
	like, err := s.lookalikes(ctx, a, m)
	if err != nil {
		return []templates.Notice{{
			Kind: templates.Warn, Title: "Could not look for members who look alike",
			Text: "Compare the email address with what the caller says, letter by letter.",
		}}
	}
	if len(like) == 0 {
		return nil
	}
	n := templates.Notice{
		Kind: templates.Warn, Title: "Another member looks nearly the same",
		Text: "Compare the email address with what the caller says, letter by letter.",
	}
	for _, o := range like[:min(len(like), 5)] {
		n.Links = append(n.Links, templates.Link{Text: strings.TrimPrefix(o.Name+" · "+o.EmailAddress, " · "), URL: memberPath(o.MemberID)})
	}
	return []templates.Notice{n}
}

// confirmView is the form of a confirmation page.
func (s *Server) confirmView(ctx context.Context, a *actor, o confirmation, read *memberRead, in typed) (templates.ConfirmForm, error) {
	m := read.member
	token := in.token
	if token == "" {
		var err error
		token, err = s.sealForm(confirmForm{
			Kind: string(o.action), OperationID: s.desk.NewOperationID(), OrganizationID: a.Session.OrganizationID, MemberID: a.Session.MemberID,
			TargetID: m.MemberID, PasswordID: m.MemberPasswordID, SessionsOpen: read.sessions,
		})
		if err != nil {
			return templates.ConfirmForm{}, err
		}
	}
	f := templates.ConfirmForm{
		Action: o.path(m.MemberID), Button: o.title, Token: token, CancelURL: memberPath(m.MemberID), Error: in.notice,
		Reason: templates.Field{
			Value: in.reason, Error: in.errors["reason"], Required: s.config.ReasonRequired,
			Hint: "Kept in the audit. Up to 500 characters.",
		},
		Ticket:  templates.Field{Value: in.ticket, Error: in.errors["ticket"], Hint: "May stay empty."},
		SignOut: templates.Check{Offered: true, Checked: in.signOut, Hint: "Ends every session of this member."},
		SendReset: templates.Check{
			Offered: true, Checked: in.sendReset, Hint: "Mails " + m.EmailAddress + " a link to set a new password.",
		},
	}
	if f.Error == "" && len(in.errors) > 0 {
		f.Error = "Nothing was done yet. Correct what is marked, then confirm again."
	}
	if p := s.config.TicketPattern; p != nil {
		f.Ticket.Hint = "Must match " + p.String() + "."
	}
	if policy, err := s.policy(ctx, a.Session); err == nil &&
		!policy.MayMember(a.Session, m.MemberID, authz.MemberRevokeSessions(), authz.SelfRevokeSessions()) {
		f.SignOut.Checked, f.SignOut.Disabled = false, missingPermission(authz.MemberRevokeSessions(), policy)
	}
	return f, nil
}

// confirmed takes a confirmed form, performs its operation, and leads to the
// member's page, which tells what became of it. A form sent again leads there
// too and sends nothing.
func (s *Server) confirmed(c echo.Context, o confirmation) error {
	id, err := memberParam(c)
	if err != nil {
		return err
	}
	a := s.actor(c)
	in := typed{
		reason: c.FormValue("reason"), ticket: c.FormValue("ticket"),
		signOut: c.FormValue("sign_out") != "", sendReset: c.FormValue("send_reset") != "",
	}
	var form confirmForm
	err = s.openForm(c.FormValue("form"), &form)
	expired := errors.Is(err, ErrFormExpired)
	if err != nil && !expired || form.Kind != string(o.action) || form.OrganizationID != a.Session.OrganizationID ||
		form.MemberID != a.Session.MemberID || form.TargetID != id {
		return s.refuseForm(c, o.action, id)
	}
	if expired {
		// What was done with it while it was good is not done again, and not denied.
		if op, err := s.desk.Operation(c.Request().Context(), a.Session.OrganizationID, form.OperationID); err == nil {
			return c.Redirect(http.StatusSeeOther, memberPath(id)+"?operation="+op.ID)
		} else if !errors.Is(err, helpdesk.ErrNotFound) {
			return err
		}
		in.notice = "This page was open for more than an hour. Nothing was done. Look at it again, then confirm."
		return s.renderConfirmation(c, http.StatusUnprocessableEntity, id, o, in)
	}
	op, err := o.perform(c.Request().Context(), a.helpdeskActor(), helpdesk.Request{
		OperationID: form.OperationID, TargetID: form.TargetID, ShownPasswordID: form.PasswordID, SessionsOpen: form.SessionsOpen,
		Reason: in.reason, Ticket: in.ticket, SignOutEverywhere: in.signOut, SendResetEmail: in.sendReset,
	})
	var invalid *helpdesk.InvalidError
	switch {
	case errors.As(err, &invalid):
		in.errors, in.token = invalid.Fields, c.FormValue("form")
		return s.renderConfirmation(c, http.StatusUnprocessableEntity, id, o, in)
	case errors.Is(err, helpdesk.ErrNotFound):
		return s.refuseForm(c, o.action, id)
	case err != nil:
		return err
	case op.State == helpdesk.StateFinal && op.Detail == helpdesk.DetailSession:
		return sessionDead()
	case op.State == helpdesk.StateFinal && op.Outcome == audit.OutcomeDenied:
		return &authz.DeniedError{
			Permission: authz.MemberDeletePassword(), RolesWith: op.RolesWith, RequestID: op.UpstreamRequestID,
			Status: op.HTTPStatus, Type: op.ErrorType,
		}
	}
	return c.Redirect(http.StatusSeeOther, memberPath(id)+"?operation="+op.ID)
}
