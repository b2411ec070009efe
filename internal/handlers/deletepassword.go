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

func deletePath(memberID string) string { return memberPath(memberID) + "/password/delete" }

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
}

// confirmDeletePassword is GET /members/{member_id}/password/delete.
func (s *Server) confirmDeletePassword(c echo.Context) error {
	id, err := memberParam(c)
	if err != nil {
		return err
	}
	in, err := s.prefill(c, id)
	if err != nil {
		return err
	}
	return s.renderDeletePassword(c, http.StatusOK, id, in)
}

// prefill takes reason, ticket and ticks over from an earlier attempt of the same actor.
func (s *Server) prefill(c echo.Context, targetID string) (typed, error) {
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

func (s *Server) renderDeletePassword(c echo.Context, status int, id string, in typed) error {
	ctx, a := c.Request().Context(), s.actor(c)
	read, err := s.readMember(ctx, a, id)
	if err != nil {
		return err
	}
	m := read.member
	v := templates.DeletePassword{
		Page: s.page(c, "Delete password"), Person: personView(a, m),
	}
	v.Page.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}, {Text: memberLabel(m), URL: memberPath(id)}}
	reason, links, err := s.cannotDelete(ctx, a, read)
	if err != nil {
		return err
	}
	if reason != "" {
		v.Disabled = &templates.Notice{Kind: templates.Info, Title: "This password cannot be deleted", Text: reason, Links: links}
		return render(c, status, templates.DeletePasswordPage(v))
	}
	v.Sessions = confirmSessions(read.sessions)
	v.Effects = []string{
		"The password stops working at once.",
		"No mail is sent by it.",
		"It ends no session: whoever is signed in stays signed in.",
		"What was done, by whom and why is recorded.",
	}
	if v.Ways = otherWays(read.organization, m); len(v.Ways) == 0 {
		v.NoWays = "None. The organization allows nothing else for this member."
	}
	v.Warnings = append(s.deleteWarnings(a, read), s.lookalikeWarnings(ctx, a, m)...)
	v.Form, err = s.confirmView(ctx, a, audit.ActionDeletePassword, read, in)
	if err != nil {
		return err
	}
	v.Form.Action = deletePath(id)
	return render(c, status, templates.DeletePasswordPage(v))
}

func confirmSessions(n int) string {
	switch {
	case n < 0:
		return "How many sessions are open could not be read."
	case n == 0:
		return "No session is open."
	case n == 1:
		return "1 session is open. Deleting the password does not end it."
	default:
		return fmt.Sprintf("%s sessions are open. Deleting the password ends none of them.", thousands(n))
	}
}

func (s *Server) deleteWarnings(a *actor, read *memberRead) []templates.Notice {
	var warn []templates.Notice
	m := read.member
	if m.MemberID == a.Session.MemberID {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "This is you",
			Text: "You delete your own password. With \"Sign out everywhere\" you are signed out here too.",
		})
	}
	if m.IsAdmin || holds(m, authz.RoleAdmin) {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "This is an admin of the organization", Text: "Make sure the caller is who they say they are.",
		})
	}
	if len(otherWays(read.organization, m)) == 0 {
		warn = append(warn, templates.Notice{
			Kind: templates.Warn, Title: "The password is their last way in",
			Text: "Without it they cannot sign in until they set a new one from a reset mail.",
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
		n.Links = append(n.Links, templates.Link{Text: strings.TrimSpace(o.Name + " " + o.EmailAddress), URL: memberPath(o.MemberID)})
	}
	return []templates.Notice{n}
}

// confirmView is the form both confirmation pages share.
func (s *Server) confirmView(ctx context.Context, a *actor, action audit.Action, read *memberRead, in typed) (templates.ConfirmForm, error) {
	m := read.member
	token := in.token
	if token == "" {
		var err error
		token, err = s.sealForm(confirmForm{
			Kind: string(action), OperationID: s.desk.NewOperationID(), OrganizationID: a.Session.OrganizationID, MemberID: a.Session.MemberID,
			TargetID: m.MemberID, PasswordID: m.MemberPasswordID, SessionsOpen: read.sessions,
		})
		if err != nil {
			return templates.ConfirmForm{}, err
		}
	}
	f := templates.ConfirmForm{
		Token: token, CancelURL: memberPath(m.MemberID), Error: in.notice,
		Reason: templates.Field{
			Value: in.reason, Error: in.errors["reason"], Required: s.config.ReasonRequired,
			Hint: "Why this is done, for the audit. Up to 500 characters.",
		},
		Ticket:  templates.Field{Value: in.ticket, Error: in.errors["ticket"]},
		SignOut: templates.Check{Offered: true, Checked: in.signOut, Hint: "Ends every session of this member."},
		SendReset: templates.Check{
			Offered: true, Checked: in.sendReset, Hint: "Mails " + m.EmailAddress + " a link to set a new password.",
		},
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

// deletePassword is POST /members/{member_id}/password/delete.
func (s *Server) deletePassword(c echo.Context) error {
	return s.confirmed(c, audit.ActionDeletePassword, s.desk.DeletePassword, s.renderDeletePassword)
}

type perform func(context.Context, helpdesk.Actor, helpdesk.Request) (*helpdesk.Operation, error)

type showAgain func(c echo.Context, status int, id string, in typed) error

// confirmed takes a confirmed form, performs its operation, and leads to the
// member's page, which tells what became of it. A form sent again leads there
// too and sends nothing.
func (s *Server) confirmed(c echo.Context, action audit.Action, do perform, again showAgain) error {
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
	if err != nil && !expired || form.Kind != string(action) || form.OrganizationID != a.Session.OrganizationID ||
		form.MemberID != a.Session.MemberID || form.TargetID != id {
		return s.refuseForm(c, action, id)
	}
	if expired {
		in.notice = "This page was open for more than an hour. Nothing was done. Look at it again, then confirm."
		return again(c, http.StatusUnprocessableEntity, id, in)
	}
	op, err := do(c.Request().Context(), a.helpdeskActor(), helpdesk.Request{
		OperationID: form.OperationID, TargetID: form.TargetID, ShownPasswordID: form.PasswordID, SessionsOpen: form.SessionsOpen,
		Reason: in.reason, Ticket: in.ticket, SignOutEverywhere: in.signOut, SendResetEmail: in.sendReset,
	})
	var invalid *helpdesk.InvalidError
	switch {
	case errors.As(err, &invalid):
		in.errors, in.token = invalid.Fields, c.FormValue("form")
		return again(c, http.StatusUnprocessableEntity, id, in)
	case errors.Is(err, helpdesk.ErrNotFound):
		return s.refuseForm(c, action, id)
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
