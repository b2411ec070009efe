package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

func operationPath(id string) string { return "/operations/" + id }

// retryForm is what a retry button proves: which step, for whom.
type retryForm struct {
	Kind           string
	NewID          string
	OperationID    string
	OrganizationID string
	MemberID       string
}

const retryKind = "retry"

// visibleOperation returns an operation to its actor, or to whoever may read
// the audit. To others it is denied.
func (s *Server) visibleOperation(ctx context.Context, a *actor, id string) (*helpdesk.Operation, error) {
	op, err := s.desk.Operation(ctx, a.Session.OrganizationID, id)
	if err != nil {
		return nil, err
	}
	if op.Actor.MemberID != a.Session.MemberID {
		if err := s.authz.CheckConsole(ctx, a.Acting, a.Session, authz.AuditRead()); err != nil {
			return nil, err
		}
	}
	return op, nil
}

// showOperation is GET /operations/{operation_id}: the receipt of one operation.
// It makes no upstream call for the one who did it.
func (s *Server) showOperation(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	op, err := s.visibleOperation(ctx, a, c.Param("operation_id"))
	if errors.Is(err, helpdesk.ErrNotFound) {
		return s.operationGone(ctx, a, c.Param("operation_id"))
	}
	if err != nil {
		return err
	}
	result, err := s.operationResult(a, op)
	if err != nil {
		return err
	}
	if op.RootID != op.ID {
		result.Links = append(result.Links, templates.Link{Text: "The operation it belongs to", URL: operationPath(op.RootID)})
	}
	events, err := s.operationEvents(ctx, op)
	if err != nil {
		return err
	}
	page := s.page(c, "Operation")
	if what := disagreement(op, events); what != "" {
		page.Notices = append(page.Notices, templates.Notice{
			Kind: templates.Bad, Title: "This receipt does not agree with the audit",
			Text: "The audit has another " + what + ". The audit is the evidence; tell the operator of the console to run: console audit verify.",
		})
	}
	page.Heading = operationName(op.Action).what
	page.Lead = "Receipt of what " + personName(op.Actor) + " asked for at " + utc(op.CreatedAt)
	if op.Outcome == audit.OutcomeSucceeded {
		page.Lead = "Receipt of what " + personName(op.Actor) + " did at " + utc(op.CreatedAt)
	}
	r := resultOf(op)
	page.Badges = []templates.Badge{{Text: r.word, Kind: r.kind}}
	page.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}, {Text: personName(op.Target), URL: memberPath(op.Target.MemberID)}}
	return render(c, http.StatusOK, templates.OperationPage(templates.Operation{
		Page: page, Result: result,
		Person: templates.Person{
			Name: op.Target.Name, Email: op.Target.Email, ID: op.Target.MemberID, URL: memberPath(op.Target.MemberID),
			Roles: op.Target.Roles, Self: op.Target.MemberID == a.Session.MemberID,
			Unread: op.Target.Email == "" && !op.Target.Erased,
		},
		Groups: operationGroups(op), Timeline: s.timeline(ctx, a, events), Receipt: receiptPath(op.ID), OnPaper: s.config.PublicURL.JoinPath(receiptPath(op.ID)).String(),
	}))
}

func operationGroups(op *helpdesk.Operation) []templates.Group {
	status, by := "", "Asked by"
	var answered time.Time
	if op.HTTPStatus != 0 {
		status, answered = strconv.Itoa(op.HTTPStatus), op.EndedAt
	}
	if op.Outcome == audit.OutcomeSucceeded {
		by = "Done by"
	}
	rows := []templates.Row{
		textRow(by, personName(op.Actor)), textRow("Their email", op.Actor.Email), codeRow("Their member ID", op.Actor.MemberID),
		textRow("Reason", op.Reason), textRow("Ticket", op.Ticket),
	}
	answer := []templates.Row{
		textRow("Stytch status", status), textRow("Error type", op.ErrorType), codeRow("Stytch request ID", op.UpstreamRequestID),
		codeRow("Stytch request ID of the later read", op.EvidenceRequestID),
	}
	if op.Action == audit.ActionDeletePassword && op.PasswordID != "" {
		rows = append(rows, codeRow("Password ID", op.PasswordID))
	}
	empty := "Nothing was sent."
	if op.Outcome == audit.OutcomeUnknown || op.Outcome == "" {
		empty = "Nothing, or nothing yet."
	}
	settled := op.SettledAt
	return []templates.Group{
		{Title: "Who and why", Rows: rows},
		{Title: "What Stytch said", Empty: empty, Rows: filled(answer)},
		{Title: "Record", Rows: filled([]templates.Row{
			timeRow("Intent recorded", &op.CreatedAt), timeRow("Answered", &answered), timeRow("Settled", &settled), textRow("Known from", detailText(op.Detail)),
			codeRow("Operation ID", op.ID), textRow("Attempt", strconv.Itoa(op.Attempt)),
		})},
	}
}

// filled leaves out rows that have nothing to say.
func filled(rows []templates.Row) []templates.Row {
	return slices.DeleteFunc(rows, func(r templates.Row) bool { return r.Value == "" && len(r.Sub) == 0 })
}

// detailText words the evidence an outcome rests on.
func detailText(detail string) string {
	switch detail {
	case helpdesk.DetailAnswer:
		return "Stytch's answer"
	case helpdesk.DetailReread:
		return "reading the member afterwards"
	case helpdesk.DetailStillThere:
		return "reading the member afterwards: the password was still there"
	case helpdesk.DetailChanged, helpdesk.DetailNoPassword, helpdesk.DetailMemberGone:
		return "the member as read before anything was sent, or after"
	case helpdesk.DetailCheck:
		return "the permission check, before anything was sent"
	case helpdesk.DetailNotSent:
		return "Stytch could not be reached; nothing was sent"
	case helpdesk.DetailNotAttempted:
		return "an earlier step: it did not succeed, so nothing was sent"
	case helpdesk.DetailStopped:
		return "the console stopped before this step's turn; nothing was sent"
	case helpdesk.DetailSession:
		return "Stytch's answer: the session had ended"
	case helpdesk.DetailCredentials:
		return "Stytch's answer: the project's credentials were refused"
	case helpdesk.DetailRefused:
		return "Stytch's answer: a refusal"
	case helpdesk.DetailRateLimited:
		return "Stytch's answer: too many requests"
	case helpdesk.DetailFault:
		return "Stytch's answer: a fault of its own"
	case helpdesk.DetailNoAnswer:
		return "no answer came from Stytch"
	case helpdesk.DetailBadAnswer:
		return "Stytch's answer, which could not be used"
	case helpdesk.DetailOtherMember:
		return "Stytch's answer, which was about somebody else"
	case helpdesk.DetailIDKept:
		return "Stytch's answer, which still showed the password"
	case helpdesk.DetailForm:
		return "the form: it was not made for this person and member; nothing was sent"
	case "":
		return ""
	default:
		return strings.ReplaceAll(detail, "_", " ")
	}
}

// operationResult words an operation and its steps. Retry buttons are there
// for whoever may see the operation; the upstream decides when one is used.
func (s *Server) operationResult(a *actor, op *helpdesk.Operation) (templates.Result, error) {
	r := resultOf(op)
	v := templates.Result{Kind: r.kind, Title: r.head, Text: r.text, RequestID: shownRequestID(op)}
	if op.Action == audit.ActionDeletePassword && op.PasswordID != "" {
		v.Subject, v.Before = "Password", "set"
		switch {
		case op.State == helpdesk.StateFinal && op.Outcome == audit.OutcomeSucceeded && op.PasswordAfter == "":
			v.After = "not set"
		case op.State == helpdesk.StateFinal && op.Outcome == audit.OutcomeSucceeded:
			v.After = "set again, with another password"
		case op.State == helpdesk.StateFinal && op.Outcome == audit.OutcomeCancelled && op.Detail == helpdesk.DetailChanged:
			v.After = "set, changed by somebody else"
		case op.State == helpdesk.StateFinal && (op.Outcome == audit.OutcomeNotFound || op.Detail == helpdesk.DetailNoPassword):
			v.After = "not set, removed by somebody else"
		case op.State == helpdesk.StateFinal:
			v.After = "set, unchanged"
		default:
			v.After = "not known yet"
		}
	}
	if stytch.ErrorType(op.ErrorType) == stytch.ErrorTypeCrossOrgPasswordsEnabled {
		v.Next = append(v.Next, templates.Link{Text: "Require password reset by email", URL: requireResetPath(op.Target.MemberID) + "?from=" + op.ID})
	}
	retry, err := s.retryView(a, op)
	if err != nil {
		return v, err
	}
	if newest := op.Latest(op.Action); newest == nil {
		v.Retry = retry
	}
	if len(op.Steps) == 0 {
		return v, nil
	}
	first, err := s.stepView(a, op)
	if err != nil {
		return v, err
	}
	first.Text, first.RequestID = "", "" // the result above it says both
	v.Steps = append(v.Steps, first)
	for _, action := range []audit.Action{op.Action, audit.ActionRevokeSessions, audit.ActionResetEmail} {
		step := op.Latest(action)
		if step == nil {
			continue
		}
		sv, err := s.stepView(a, step)
		if err != nil {
			return v, err
		}
		if step.Attempt > 1 {
			sv.Name += fmt.Sprintf(" (attempt %d)", step.Attempt)
		}
		if r.kind == templates.Good && step.Action != op.Action && sv.Outcome.Kind != templates.Good {
			v.Title += ". " + sv.Name + ": " + sv.Outcome.Text
		}
		v.Steps = append(v.Steps, sv)
	}
	return v, nil
}

func (s *Server) stepView(a *actor, op *helpdesk.Operation) (templates.Step, error) {
	r := resultOf(op)
	v := templates.Step{
		Name: operationName(op.Action).what, Outcome: templates.Badge{Text: r.word, Kind: r.kind},
		Text: strings.TrimSpace(r.head + ". " + r.text), RequestID: shownRequestID(op),
	}
	if op.RootID == op.ID {
		return v, nil // its own retry stands with the result
	}
	var err error
	v.Retry, err = s.retryView(a, op)
	return v, err
}

func (s *Server) retryView(a *actor, op *helpdesk.Operation) (*templates.Form, error) {
	if !op.Retryable() {
		return nil, nil
	}
	token, err := s.sealForm(retryForm{
		Kind: retryKind, NewID: s.desk.NewOperationID(), OperationID: op.ID,
		OrganizationID: a.Session.OrganizationID, MemberID: a.Session.MemberID,
	})
	if err != nil {
		return nil, err
	}
	return &templates.Form{
		Label: retryLabel(op), Action: operationPath(op.ID) + "/retry", Hidden: []templates.Hidden{{Name: "form", Value: token}},
	}, nil
}

// retryOperation is POST /operations/{operation_id}/retry: repeats one step alone.
func (s *Server) retryOperation(c echo.Context) error {
	ctx, a, id := c.Request().Context(), s.actor(c), c.Param("operation_id")
	prev, err := s.visibleOperation(ctx, a, id)
	if errors.Is(err, helpdesk.ErrNotFound) {
		return echo.NewHTTPError(http.StatusNotFound, "There is no such operation in your organization.")
	}
	if err != nil {
		return err
	}
	var form retryForm
	err = s.openForm(c.FormValue("form"), &form)
	expired := errors.Is(err, ErrFormExpired)
	if err != nil && !expired || form != (retryForm{retryKind, form.NewID, id, a.Session.OrganizationID, a.Session.MemberID}) {
		return s.refuseForm(c, prev.Action, prev.Target.MemberID)
	}
	back := memberPath(prev.Target.MemberID) + "?operation=" + prev.RootID
	if expired {
		return c.Redirect(http.StatusSeeOther, back) // the page has a fresh button
	}
	op, err := s.desk.Retry(ctx, a.helpdeskActor(), id, form.NewID)
	if err != nil && !errors.Is(err, helpdesk.ErrNotRetryable) {
		return err
	}
	if op != nil && op.Detail == helpdesk.DetailSession {
		return sessionDead()
	}
	return c.Redirect(http.StatusSeeOther, back)
}

// refuseForm records a form that was not made for this person and target, and denies it.
func (s *Server) refuseForm(c echo.Context, action audit.Action, targetID string) error {
	if _, err := s.desk.Refuse(c.Request().Context(), s.actor(c).helpdeskActor(), action, targetID); err != nil {
		return err
	}
	return echo.NewHTTPError(http.StatusForbidden, "This form was not made for you and this member. Nothing was sent. Open the member's page and start from there.")
}

// sessionDead is the error that signs out whoever's session an operation
// found dead; the mapper then leads to /login and back.
func sessionDead() error {
	return &stytch.Error{Status: http.StatusNotFound, Type: stytch.ErrorTypeSessionNotFound}
}

// operationEvents returns the recorded events of an operation and its steps,
// in the order they were recorded.
func (s *Server) operationEvents(ctx context.Context, op *helpdesk.Operation) ([]audit.Event, error) {
	var events []audit.Event
	for _, one := range append([]*helpdesk.Operation{op}, op.Steps...) {
		more, err := s.audit.Operation(ctx, op.OrganizationID, one.ID)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	slices.SortFunc(events, func(x, y audit.Event) int { return cmp.Compare(x.Seq, y.Seq) })
	return events, nil
}

// disagreement names what an operation's row says otherwise than its events.
// The row is there for convenience and is not proven; the events are.
func disagreement(op *helpdesk.Operation, events []audit.Event) string {
	var outcome audit.Outcome
	intents := 0
	if len(events) > 0 && !slices.ContainsFunc(events, func(ev audit.Event) bool { return ev.Purged == nil }) {
		return "" // nothing is left to compare with
	}
	for _, ev := range events {
		if ev.OperationID != op.ID || isReview(&ev) {
			continue // a review is about it, and no part of it
		}
		switch {
		case ev.Target.ID != op.Target.MemberID:
			return "member"
		case ev.Reason != op.Reason || ev.Ticket != op.Ticket:
			return "reason or ticket"
		case ev.Phase == audit.PhaseIntent && ev.Actor.MemberID != op.Actor.MemberID:
			return "actor"
		}
		if ev.Phase == audit.PhaseIntent {
			intents++
		}
		if ev.Phase == audit.PhaseOutcome {
			outcome = ev.Outcome
		}
	}
	switch {
	case intents != 1 && op.State != helpdesk.StateAsked:
		return "number of intents"
	case outcome != op.Outcome:
		return "outcome"
	}
	return ""
}

// timeline words recorded events.
func (s *Server) timeline(ctx context.Context, a *actor, events []audit.Event) []templates.Moment {
	mayRead := s.looksLikeAuditor(ctx, a)
	moments := make([]templates.Moment, 0, len(events))
	for _, ev := range events {
		if ev.Purged != nil {
			moments = append(moments, templates.Moment{Time: secondOf(ev.Purged.Time), Text: purgedText(ev.Purged)})
			if mayRead {
				moments[len(moments)-1].URL = "/audit/" + ev.ID
			}
			continue
		}
		m := templates.Moment{
			Time: secondOf(ev.Time), Text: fmt.Sprintf("%s: %s", operationName(ev.Action).what, ev.Phase),
			Detail: detailText(ev.Detail),
		}
		if ev.Outcome != "" {
			m.Outcome = outcomeBadge(ev.Outcome)
		}
		if isReview(&ev) {
			m.Text = reviewText(&ev)
		}
		if mayRead {
			m.URL = "/audit/" + ev.ID
		}
		moments = append(moments, m)
	}
	return moments
}

// looksLikeAuditor guesses whether links to the audit lead anywhere.
func (s *Server) looksLikeAuditor(ctx context.Context, a *actor) bool {
	policy, err := s.policy(ctx, a.Session)
	return err == nil && policy.MayConsole(a.Session.Roles, authz.AuditRead())
}

func outcomeBadge(o audit.Outcome) templates.Badge {
	b := templates.Badge{Text: string(o), Kind: templates.Bad}
	switch o {
	case audit.OutcomeSucceeded:
		b.Kind = templates.Good
	case audit.OutcomeUnknown:
		b.Kind = templates.Warn
	case audit.OutcomeCancelled, audit.OutcomeNotFound:
		b.Kind = templates.Neutral
	case audit.OutcomeFailed, audit.OutcomeDenied:
	}
	return b
}

func shownRequestID(op *helpdesk.Operation) string {
	if op.UpstreamRequestID != "" {
		return op.UpstreamRequestID
	}
	return op.EvidenceRequestID
}
