package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/web/templates"
)

const (
	auditPageSize  = 50
	unsettledShown = 20
)

// auditQuery is the address of one audit page.
type auditQuery struct {
	filter   audit.Filter
	from, to string // as typed: dates in UTC
	cursor   string
}

func parseAuditQuery(v url.Values) (auditQuery, error) {
	q := auditQuery{
		filter: audit.Filter{ActorQuery: v.Get("actor"), TargetQuery: v.Get("target"), Action: v.Get("action"), Outcome: v.Get("outcome")},
		from:   v.Get("from"), to: v.Get("to"), cursor: v.Get("cursor"),
	}
	for name, into := range map[string]*time.Time{"from": &q.filter.From, "to": &q.filter.To} {
		if v.Get(name) == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, v.Get(name), time.UTC)
		if err != nil {
			return q, echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("The date %q is written as 2026-01-31.", name))
		}
		*into = day
	}
	if !q.filter.To.IsZero() {
		q.filter.To = q.filter.To.AddDate(0, 0, 1) // the day named is included
	}
	if len(q.filter.ActorQuery) > maxQuery || len(q.filter.TargetQuery) > maxQuery {
		return q, echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("A search has at most %d characters.", maxQuery))
	}
	return q, nil
}

func (q auditQuery) filters() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"actor": q.filter.ActorQuery, "target": q.filter.TargetQuery, "action": q.filter.Action, "outcome": q.filter.Outcome,
		"from": q.from, "to": q.to,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func auditAddress(v url.Values) string {
	if len(v) == 0 {
		return "/audit"
	}
	return "/audit?" + v.Encode()
}

// mayReadAudit asks whether the audit may be read, for every page of it.
func (s *Server) mayReadAudit(ctx context.Context, a *actor) error {
	return s.authz.CheckConsole(ctx, a.Acting, a.Session, authz.AuditRead())
}

// showAudit is GET /audit.
func (s *Server) showAudit(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	q, err := parseAuditQuery(c.QueryParams())
	if err != nil {
		return err
	}
	if err := s.mayReadAudit(ctx, a); err != nil {
		return err
	}
	list, err := s.audit.List(ctx, a.Session.OrganizationID, q.filter, q.cursor, auditPageSize)
	if errors.Is(err, audit.ErrBadCursor) {
		return echo.NewHTTPError(http.StatusBadRequest, "The page address is not one of ours. Start from the first page.").SetInternal(err)
	}
	if err != nil {
		return err
	}
	unsettled, err := s.desk.Unsettled(ctx, a.Session.OrganizationID, unsettledShown)
	if err != nil {
		return err
	}
	v := templates.Audit{
		Page: s.page(c, "Audit"), Actor: q.filter.ActorQuery, Target: q.filter.TargetQuery,
		From: templates.Field{Value: q.from}, To: templates.Field{Value: q.to},
		Actions:  []templates.Option{{Text: "Any", Selected: q.filter.Action == ""}},
		Outcomes: []templates.Option{{Text: "Any", Selected: q.filter.Outcome == ""}},
		Filtered: len(q.filters()) > 0, ClearURL: "/audit",
	}
	for _, action := range audit.Actions() {
		v.Actions = append(v.Actions, templates.Option{Value: string(action), Text: action.Label(), Selected: q.filter.Action == string(action)})
	}
	for _, outcome := range audit.Outcomes() {
		v.Outcomes = append(v.Outcomes, templates.Option{Value: string(outcome), Text: string(outcome), Selected: q.filter.Outcome == string(outcome)})
	}
	if q.cursor == "" {
		for _, op := range unsettled {
			v.Unsettled = append(v.Unsettled, unsettledRow(op))
		}
	} else {
		v.FirstURL = auditAddress(q.filters())
	}
	for _, ev := range list.Events {
		v.Rows = append(v.Rows, auditRow(ev))
	}
	if list.Next != "" {
		next := q.filters()
		next.Set("cursor", list.Next)
		v.NextURL = auditAddress(next)
	}
	v.Export = s.exportView(ctx, a, q, list.Next != "" || q.cursor != "")
	if len(v.Rows) == 0 {
		v.Empty = "Nothing was recorded yet."
		if v.Filtered {
			v.Empty = "No event matches these filters."
		}
	}
	return render(c, http.StatusOK, templates.AuditPage(v))
}

func unsettledRow(op *helpdesk.Operation) templates.AuditRow {
	return templates.AuditRow{
		Time: secondOf(op.CreatedAt), Action: op.Action.Label(), Phase: string(audit.PhaseOutcome),
		Actor:  templates.Party{Text: op.Actor.Email, URL: memberPath(op.Actor.MemberID)},
		Target: templates.Party{Text: personName(op.Target), Detail: op.Target.Email, URL: memberPath(op.Target.MemberID)},
		Reason: op.Reason, Ticket: op.Ticket, Outcome: outcomeBadge(audit.OutcomeUnknown),
		OperationURL: operationPath(op.ID),
	}
}

func auditRow(ev audit.Event) templates.AuditRow {
	if ev.Purged != nil {
		return purgedRow(ev)
	}
	row := templates.AuditRow{
		Time: secondOf(ev.Time), Action: ev.Action.Label(), Phase: string(ev.Phase), Reason: ev.Reason, Ticket: ev.Ticket,
		Actor: actorOf(ev), Target: targetOf(ev), EventURL: "/audit/" + ev.ID,
	}
	if ev.Outcome != "" {
		row.Outcome = outcomeBadge(ev.Outcome)
	}
	row.OperationURL = operationOf(ev)
	if ev.Count > 1 {
		row.Count = "×" + strconv.Itoa(ev.Count)
	}
	return row
}

// operationOf is the page of the operation an event belongs to. An export has
// none: its events are all there is of it.
func operationOf(ev audit.Event) string {
	if ev.OperationID == "" || ev.Action == audit.ActionExport {
		return ""
	}
	return operationPath(ev.OperationID)
}

func actorParty(a audit.Actor) templates.Party {
	switch {
	case a.System:
		return templates.Party{Text: "system", Detail: "the console itself"}
	case a.MemberID == "" && a.Email == "":
		return templates.Party{Text: "somebody", Detail: "no address was typed"}
	case a.MemberID == "":
		return templates.Party{Text: a.Email, Detail: "as typed, not signed in"}
	case a.Email == "":
		return templates.Party{Text: a.MemberID, URL: memberPath(a.MemberID)}
	default:
		return templates.Party{Text: a.Email, URL: memberPath(a.MemberID)}
	}
}

func targetParty(t audit.Target) templates.Party {
	p := templates.Party{Text: t.Label, Detail: t.Email}
	if t.Type == "member" && t.ID != "" {
		p.URL = memberPath(t.ID)
		if p.Text == "" {
			p.Text, p.Detail = t.Email, ""
		}
		if p.Text == "" {
			p.Text = t.ID
		}
	}
	return p
}

// showAuditEvent is GET /audit/{event_id}: one event and the proof that it is in the log.
func (s *Server) showAuditEvent(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	if err := s.mayReadAudit(ctx, a); err != nil {
		return err
	}
	ev, evidence, err := s.audit.Event(ctx, a.Session.OrganizationID, c.Param("event_id"))
	if err != nil {
		return err
	}
	page := s.page(c, "Audit event")
	if ev.Purged != nil {
		return render(c, http.StatusOK, templates.AuditEventPage(purgedView(page, ev, evidence)))
	}
	page.Heading = ev.Action.Label()
	page.Lead = utc(ev.Time)
	page.Crumbs = []templates.Link{{Text: "Audit", URL: "/audit"}}
	if ev.Outcome != "" {
		page.Badges = []templates.Badge{outcomeBadge(ev.Outcome)}
	}
	v := templates.AuditEvent{Page: page, Groups: eventGroups(ev), Evidence: evidenceView(evidence), Bytes: string(evidence.Bytes)}
	v.OperationURL = operationOf(ev)
	return render(c, http.StatusOK, templates.AuditEventPage(v))
}

func eventGroups(ev audit.Event) []templates.Group {
	status, count := "", ""
	if ev.HTTP.Status != 0 {
		status = strconv.Itoa(ev.HTTP.Status)
	}
	if ev.Count > 0 {
		count = strconv.Itoa(ev.Count)
	}
	actor := actorOf(ev)
	return []templates.Group{
		{Title: "What", Rows: filled([]templates.Row{
			codeRow("Action", string(ev.Action)), textRow("Phase", string(ev.Phase)), textRow("Outcome", string(ev.Outcome)),
			textRow("Known from", detailText(ev.Detail)), textRow("Reason", ev.Reason), textRow("Ticket", ev.Ticket), textRow("Count", count),
			codeRow("Operation ID", ev.OperationID), textRow("Attempt", strconv.Itoa(ev.Attempt)),
		})},
		{Title: "Who", Rows: filled([]templates.Row{
			textRow("Actor", actor.Text), codeRow("Member ID", ev.Actor.MemberID), codeRow("Session ID", ev.Actor.SessionID),
			listRow("Factors", ev.Actor.AuthFactors), textRow("IP address", orErased(ev.Source.IP, ev.Erased.SourceIP)), textRow("User agent", ev.Source.UserAgent),
		})},
		{Title: "To whom", Empty: "Nobody in particular.", Rows: filled([]templates.Row{
			textRow("Type", ev.Target.Type), textRow("Name", orErased(ev.Target.Label, ev.Erased.TargetLabel)), textRow("Email", orErased(ev.Target.Email, ev.Erased.TargetEmail)),
			codeRow("ID", ev.Target.ID), codeRow("Password ID", ev.Target.PasswordID),
		})},
		{Title: "What Stytch said", Empty: "Nothing, or nothing yet.", Rows: filled([]templates.Row{
			textRow("Status", status), textRow("Error type", ev.HTTP.ErrorType), codeRow("Upstream request ID", ev.UpstreamRequestID),
		})},
		{Title: "Record", Rows: filled([]templates.Row{
			timeRow("Time", &ev.Time), textRow("Sequence number", strconv.FormatInt(ev.Seq, 10)), codeRow("Event ID", ev.ID),
			codeRow("Request ID", ev.RequestID), textRow("Build", ev.Build), textRow("Schema", strconv.Itoa(ev.Schema)),
		})},
	}
}

func evidenceView(e audit.Evidence) templates.Evidence {
	v := templates.Evidence{
		Verified: e.Verified, Problem: e.Problem, LeafHash: e.LeafHash, LeafIndex: strconv.FormatInt(e.LeafIndex, 10),
		TreeSize: strconv.FormatInt(e.TreeSize, 10), Proof: e.Proof, Checkpoint: e.Checkpoint,
	}
	if e.Verified {
		v.Says = []string{
			fmt.Sprintf("These exact bytes are record %d of the %d records that the signed checkpoint below stands for.", e.LeafIndex, e.TreeSize),
			"Had any of them been changed, removed or inserted, the checkpoint would not fit.",
			"The names, email addresses and IP address shown here fit the salted hashes in the bytes; what was erased is in none.",
		}
	}
	return v
}
