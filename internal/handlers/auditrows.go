package handlers

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

const (
	maxSeq = math.MaxInt64
	// reviewsRead is how many reviews are looked through for those of single
	// events: of a page far back, only the newest reviews are seen.
	reviewsRead = 500
)

// targetEvent is the type of the target of a review of one event or operation.
const targetEvent = "audit_event"

// auditEntry is what is one row: an operation, or an event that stands alone.
type auditEntry struct {
	at      audit.Event   // the newest event that fits: it says where the row stands
	events  []audit.Event // all of the operation, oldest first
	reviews []audit.Event // of an event that stands alone, oldest first
}

// auditEntries makes entries of events, newest first. An operation is there at
// its newest event that fits and nowhere else, whatever page that is on; what
// is newer than top is not looked at for that.
func (s *Server) auditEntries(ctx context.Context, organizationID string, f audit.Filter, events []audit.Event, top int64) ([]auditEntry, error) {
	var ids []string
	alone := false
	for i := range events {
		if id := events[i].OperationID; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		} else if id == "" {
			alone = true
		}
	}
	operations, err := s.audit.Operations(ctx, organizationID, ids)
	if err != nil {
		return nil, err
	}
	reviews := map[string][]audit.Event{}
	if alone {
		if reviews, err = s.reviewsSince(ctx, organizationID, events[len(events)-1].Seq); err != nil {
			return nil, err
		}
	}
	entries := make([]auditEntry, 0, len(events))
	for _, ev := range events {
		if ev.OperationID == "" {
			entries = append(entries, auditEntry{at: ev, events: []audit.Event{ev}, reviews: reviews[ev.ID]})
			continue
		}
		all := operations[ev.OperationID]
		newest := ev.Seq
		for i := range all {
			if all[i].Seq > newest && all[i].Seq <= top && f.Matches(&all[i]) {
				newest = all[i].Seq
			}
		}
		if newest == ev.Seq {
			entries = append(entries, auditEntry{at: ev, events: all})
		}
	}
	return entries, nil
}

// reviewsSince are the reviews of events that stand alone, by the event's id, oldest first.
func (s *Server) reviewsSince(ctx context.Context, organizationID string, seq int64) (map[string][]audit.Event, error) {
	page, err := s.audit.List(ctx, organizationID, audit.Filter{Action: string(audit.ActionReview), After: seq}, "", reviewsRead)
	if err != nil {
		return nil, err
	}
	reviews := map[string][]audit.Event{}
	for _, ev := range slices.Backward(page.Events) {
		if isReview(&ev) && ev.OperationID == "" && ev.Target.Type == targetEvent {
			reviews[ev.Target.ID] = append(reviews[ev.Target.ID], ev)
		}
	}
	return reviews, nil
}

// isReview reports whether an event says that somebody reviewed something. A review that was denied does not.
func isReview(ev *audit.Event) bool {
	return ev.Purged == nil && ev.Action == audit.ActionReview && ev.Phase == audit.PhaseInfo
}

// main is the event that says what the entry is about: of an operation its first.
func (e *auditEntry) main() *audit.Event {
	for i := range e.events {
		if ev := &e.events[i]; ev.Purged == nil && ev.Damage == "" && !isReview(ev) {
			return ev
		}
	}
	return &e.at
}

// outcomes are the outcomes of the entry's events, oldest first, without repeats.
func (e *auditEntry) outcomes() []*audit.Event {
	var all []*audit.Event
	for i := range e.events {
		if ev := &e.events[i]; ev.Outcome != "" && (len(all) == 0 || all[len(all)-1].Outcome != ev.Outcome) {
			all = append(all, ev)
		}
	}
	return all
}

func (e *auditEntry) reviewed() bool {
	return len(e.reviews) > 0 || slices.ContainsFunc(e.events, func(ev audit.Event) bool { return isReview(&ev) && e.at.OperationID != "" })
}

// happened is the newest event that is no review: a review does not change when something was done.
func (e *auditEntry) happened() *audit.Event {
	if !isReview(&e.at) || e.at.OperationID == "" {
		return &e.at
	}
	for i := range slices.Backward(e.events) {
		if ev := &e.events[i]; ev.Seq < e.at.Seq && ev.Purged == nil && ev.Damage == "" && !isReview(ev) {
			return ev
		}
	}
	return &e.at
}

// isNew reports whether there is more that is new to somebody than reviews of their own.
func (e *auditEntry) isNew(who auditViewer) bool {
	events := e.events
	if len(events) == 0 {
		events = []audit.Event{e.at}
	}
	return slices.ContainsFunc(events, func(ev audit.Event) bool {
		return who.review.isNew(ev) && (!isReview(&ev) || ev.Actor.MemberID != who.memberID)
	})
}

func (e *auditEntry) row() templates.AuditRow {
	if e.at.Damage != "" {
		return damagedRow(e.at)
	}
	ev := e.main()
	if ev.Purged != nil {
		row := purgedRow(*ev)
		row.Seq = strconv.FormatInt(ev.Seq, 10)
		row.Timeline = e.timeline()
		return row
	}
	happened := e.happened()
	row := templates.AuditRow{
		Time: secondOf(happened.Time), Action: ev.Action.Label(), Reason: ev.Reason, Ticket: ev.Ticket, Actor: actorOf(*ev), Target: targetOf(*ev),
		IP: orErased(ev.Source.IP, ev.Erased.SourceIP), Factors: strings.Join(ev.Actor.AuthFactors, ", "), Seq: strconv.FormatInt(happened.Seq, 10),
		EventURL: eventPath(happened.ID), OperationURL: operationOf(*ev), Reviewed: e.reviewed(),
	}
	if e.at.Purged != nil { // the newest that fits is gone, and what is left is older
		row.Time = secondOf(e.at.Purged.Time)
	}
	outcomes := e.outcomes()
	if len(outcomes) > 0 {
		newest := outcomes[len(outcomes)-1]
		row.Outcome = outcomeBadge(newest.Outcome)
		row.Known = detailText(newest.Detail)
	}
	if len(outcomes) > 1 {
		var before []string
		for _, o := range outcomes[:len(outcomes)-1] {
			before = append(before, string(o.Outcome))
		}
		row.Before = "was " + strings.Join(before, ", ")
	}
	if ev.OperationID == "" && ev.Phase == audit.PhaseIntent {
		row.Phase = string(ev.Phase)
	} else if ev.OperationID != "" && len(outcomes) == 0 {
		row.Before = "not known yet"
	}
	for i := range e.events {
		ev := &e.events[i]
		for _, id := range []string{ev.RequestID, ev.UpstreamRequestID} {
			if id != "" && !slices.Contains(row.Requests, id) {
				row.Requests = append(row.Requests, id)
			}
		}
		if ev.Count > 1 {
			row.Count = "×" + thousands(ev.Count)
		}
	}
	row.Timeline = e.timeline()
	return row
}

// timeline is what an operation consists of, and who reviewed it or a single event.
func (e *auditEntry) timeline() []templates.Moment {
	var moments []templates.Moment
	if e.at.OperationID != "" {
		for i := range e.events {
			moments = append(moments, momentOf(&e.events[i], e.main()))
		}
	}
	for i := range e.reviews {
		moments = append(moments, momentOf(&e.reviews[i], e.main()))
	}
	return moments
}

func eventPath(id string) string { return "/audit/" + id }

// momentOf words one event of an operation for the list, where its outcome
// must not look like that of the row.
func momentOf(ev, first *audit.Event) templates.Moment {
	if ev.Damage != "" {
		return templates.Moment{Time: templates.Time{Text: "unknown"}, Text: "Damaged record: " + ev.Damage, URL: eventPath(ev.ID)}
	}
	if ev.Purged != nil {
		return templates.Moment{Time: secondOf(ev.Purged.Time), Text: purgedText(ev.Purged), URL: eventPath(ev.ID)}
	}
	m := templates.Moment{Time: secondOf(ev.Time), Text: string(ev.Phase), URL: eventPath(ev.ID)}
	if known := detailText(ev.Detail); known != "" {
		m.Detail = upperFirst(known) + "."
	}
	if ev.Action != first.Action {
		m.Text = ev.Action.Label() + ": " + m.Text
	}
	if ev.Outcome != "" {
		m.Outcome = outcomeBadge(ev.Outcome)
		m.Outcome.Text = "outcome " + m.Outcome.Text
		m.Text = strings.TrimSuffix(m.Text, string(ev.Phase))
	}
	if isReview(ev) {
		m.Text = reviewText(ev)
	} else if ev.Actor.MemberID != first.Actor.MemberID || ev.Actor.System {
		m.Detail = strings.TrimSpace("By " + actorOf(*ev).Text + ". " + m.Detail)
	}
	return m
}

// reviewText says who reviewed, and what they had to say.
func reviewText(ev *audit.Event) string {
	text := "Reviewed by " + actorOf(*ev).Text
	if ev.Reason != "" {
		text += ": " + ev.Reason
	}
	return text
}

// operationOf is the page of the operation an event belongs to. What is asked
// of the audit itself has none: its events are all there is of it.
func operationOf(ev audit.Event) string {
	if ev.OperationID == "" || ev.Action == audit.ActionExport || ev.Action == audit.ActionReview {
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
	switch {
	case t.Type == "member" && t.ID != "":
		p.URL = memberPath(t.ID)
		if p.Text == "" {
			p.Text, p.Detail = t.Email, ""
		}
		if p.Text == "" {
			p.Text = t.ID
		}
	case t.Type == targetEvent:
		p.Text, p.URL = "an event", eventPath(t.ID)
	case t.Type == audit.TargetRecords && p.Text == "":
		p.Text = fmt.Sprintf("records %s", strings.Replace(t.ID, "-", " to ", 1))
	}
	return p
}
