package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

// erasedText stands where a text was, before the person was erased.
const erasedText = "erased"

func orErased(text string, erased bool) string {
	if erased {
		return erasedText
	}
	return text
}

func purgedText(p *audit.Purged) string {
	return fmt.Sprintf("Purged on %s after %d days", p.Time.UTC().Format(time.DateOnly), p.Days)
}

// actorOf is who acted, also when they were erased.
func actorOf(ev audit.Event) templates.Party {
	if !ev.Erased.ActorEmail {
		return actorParty(ev.Actor)
	}
	if ev.Actor.MemberID == "" {
		return templates.Party{Text: erasedText, Detail: "not signed in"}
	}
	return templates.Party{Text: erasedText, Detail: ev.Actor.MemberID, URL: memberPath(ev.Actor.MemberID)}
}

// targetOf is to whom it was done, also when they were erased.
func targetOf(ev audit.Event) templates.Party {
	p := targetParty(ev.Target)
	if ev.Erased.TargetLabel || ev.Erased.TargetEmail {
		p.Text, p.Detail = erasedText, ev.Target.ID
	}
	return p
}

func purgedRow(ev audit.Event) templates.AuditRow {
	row := templates.AuditRow{Time: secondOf(ev.Purged.Time), Action: "Purged record", Phase: purgedText(ev.Purged), EventURL: eventPath(ev.ID)}
	if ev.OperationID != "" {
		row.OperationURL = operationPath(ev.OperationID)
	}
	return row
}

// purgedView is the page of a record of which only the hash is left.
func purgedView(page templates.Page, ev audit.Event, e audit.Evidence) templates.AuditEvent {
	page.Heading, page.Lead = "Purged record", purgedText(ev.Purged)
	v := templates.AuditEvent{Page: page, Evidence: evidenceView(e), Bytes: "purged"}
	v.Groups = []templates.Group{{Title: "Record", Rows: filled([]templates.Row{
		timeRow("Purged", &ev.Purged.Time), textRow("After days", strconv.Itoa(ev.Purged.Days)),
		textRow("Sequence number", strconv.FormatInt(ev.Seq, 10)), codeRow("Event ID", ev.ID), codeRow("Recorded by the event", ev.Purged.By),
	})}}
	if e.Verified {
		v.Evidence.Says = []string{
			fmt.Sprintf("The leaf hash below is record %d, counted from 0, of the %d records that the signed checkpoint stands for. What it was the hash of is gone.", e.LeafIndex, e.TreeSize),
			"That it was purged is itself recorded, under the same checkpoint.",
			"The event ID and the operation ID are kept to find it by. Nothing proves them any more.",
		}
	}
	if ev.OperationID != "" {
		v.OperationURL = operationPath(ev.OperationID)
	}
	return v
}

// operationGone words why an operation is not there. That it was once is for those who may read the audit.
func (s *Server) operationGone(ctx context.Context, a *actor, id string) error {
	missing := echo.NewHTTPError(http.StatusNotFound, "There is no such operation in your organization.")
	events, err := s.audit.Operation(ctx, a.Session.OrganizationID, id)
	if err != nil {
		return err
	}
	if len(events) == 0 || events[0].Purged == nil || s.mayReadAudit(ctx, a) != nil {
		return missing
	}
	return echo.NewHTTPError(http.StatusGone, purgedText(events[0].Purged)+". Of this operation only the hashes of its records are left; see the audit.")
}
