package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

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
	page.Crumbs = []templates.Link{{Text: "Audit", URL: "/audit"}}
	size, err := s.addProof(ctx, a, &page)
	if err != nil {
		return err
	}
	if ev.Purged != nil {
		return render(c, http.StatusOK, templates.AuditEventPage(purgedView(page, ev, evidence)))
	}
	page.Heading = ev.Action.Label()
	page.Lead = utc(ev.Time)
	if ev.Outcome != "" {
		page.Badges = []templates.Badge{outcomeBadge(ev.Outcome)}
	}
	if err := s.reviewNotice(c, a, &page); err != nil {
		return err
	}
	v := templates.AuditEvent{Page: page, Groups: eventGroups(ev), Evidence: evidenceView(evidence), Bytes: string(evidence.Bytes)}
	v.OperationURL = operationOf(ev)
	if err := s.eventReviews(ctx, a, &v, ev, size); err != nil {
		return err
	}
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
			textRow("Stytch status", status), textRow("Error type", ev.HTTP.ErrorType), codeRow("Stytch request ID", ev.UpstreamRequestID),
		})},
		{Title: "Record", Rows: filled([]templates.Row{
			timeRow("Time", &ev.Time), textRow("Sequence number", strconv.FormatInt(ev.Seq, 10)), codeRow("Event ID", ev.ID),
			codeRow("Request ID", ev.RequestID), textRow("Build", ev.Build), textRow("Schema", strconv.Itoa(ev.Schema)),
		})},
	}
}

func evidenceView(e audit.Evidence) templates.Evidence {
	v := templates.Evidence{
		Verified: e.Verified, Problem: e.Problem, LeafHash: e.LeafHash, Place: fmt.Sprintf("%d, counted from 0, of %s", e.LeafIndex, plural(int(e.TreeSize), "record")),
		Proof: e.Proof, Checkpoint: e.Checkpoint,
	}
	if e.Verified {
		v.Says = []string{
			fmt.Sprintf("Unchanged since it was recorded: record %d of records 0–%d, proven against the signed checkpoint.", e.LeafIndex, e.TreeSize-1),
			"The names, email addresses and IP address shown here are the recorded ones, or erased.",
		}
	}
	return v
}
