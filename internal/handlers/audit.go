package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/web/templates"
)

const (
	// auditPageSize is in events: as rows an operation's are one.
	auditPageSize  = 100
	unsettledShown = 20
	// auditLists bounds how often a page reads on when all events it found
	// belong to operations that are shown further up.
	auditLists = 4
	// hintTime is what a page may spend on what it could do without.
	hintTime = 150 * time.Millisecond
)

// mayReadAudit asks whether the audit may be read, for every page of it.
func (s *Server) mayReadAudit(ctx context.Context, a *actor) error {
	return s.authz.CheckConsole(ctx, a.Acting, a.Session, authz.AuditRead())
}

// auditViewer is what the presets of the signed-in person mean.
func (s *Server) auditViewer(a *actor) auditViewer {
	return auditViewer{memberID: a.Session.MemberID, local: s.localTimeOf(a.Session)}
}

// auditList is what one page found.
type auditList struct {
	entries []auditEntry
	newest  int64 // seq of the newest event found, -1 for none
	next    string
	prev    string // cursor for the page before, "" on the first
	until   time.Time
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
	who := s.auditViewer(a)
	if who.review, err = s.lastReview(ctx, a); err != nil {
		return err
	}
	list, err := s.findAudit(ctx, a, q, who)
	if errors.Is(err, audit.ErrBadCursor) {
		return echo.NewHTTPError(http.StatusBadRequest, "The page address is not one of ours. Start from the first page.").SetInternal(err)
	}
	if err != nil {
		return err
	}
	if q.newer != "" && list.prev == "" {
		return c.Redirect(http.StatusSeeOther, auditAddress(q.values())) // the first page, which is whole
	}
	v := s.auditView(c, q, who)
	size, err := s.addProof(ctx, a, &v.Page)
	if err != nil {
		return err
	}
	s.presetsView(&v, q, who, size)
	if q.cursor == "" && q.newer == "" {
		unsettled, err := s.desk.Unsettled(ctx, a.Session.OrganizationID, unsettledShown)
		if err != nil {
			return err
		}
		for _, op := range unsettled {
			v.Unsettled = append(v.Unsettled, unsettledRow(op))
		}
		s.chartView(ctx, a, &v, q, who)
	}
	if v.Stream, err = s.streamView(ctx, a); err != nil {
		return err
	}
	v.Columns = s.chosenColumns(c, q)
	v.Choices = columnChoices(v.Columns)
	if err := s.rowsView(a, &v, q, list, who, size); err != nil {
		return err
	}
	s.pagerView(&v, q, list)
	if err := s.reviewView(c, a, &v, q, who, list, size); err != nil {
		return err
	}
	v.Export = s.exportView(ctx, a, q, who, v.NextURL != "" || v.PrevURL != "")
	if len(v.Rows) == 0 && v.Searched == nil {
		s.emptyView(ctx, a, &v, q, who)
	}
	return render(c, http.StatusOK, templates.AuditPage(v))
}

// findAudit reads one page. Its rows stand where the newest event is that fits.
func (s *Server) findAudit(ctx context.Context, a *actor, q auditQuery, who auditViewer) (auditList, error) {
	organizationID, f := a.Session.OrganizationID, q.filter(who)
	list := auditList{newest: -1, prev: q.cursor}
	if q.newer != "" {
		page, err := s.audit.Newer(ctx, organizationID, f, q.newer, auditPageSize)
		if err != nil {
			return list, err
		}
		list.next, list.until = page.Next, page.Until
		if len(page.Events) > 0 {
			prev := audit.Cursor(page.Events[0].Seq + 1)
			before, err := s.audit.Newer(ctx, organizationID, f, prev, 1)
			if err != nil {
				return list, err
			}
			if len(before.Events) > 0 {
				list.prev = prev
			}
		}
		list.entries, err = s.auditEntries(ctx, organizationID, f, page.Events, maxSeq)
		return list, err
	}
	cursor, top := q.cursor, int64(maxSeq)
	for range auditLists {
		page, err := s.audit.List(ctx, organizationID, f, cursor, auditPageSize)
		if err != nil {
			return list, err
		}
		if list.newest < 0 && len(page.Events) > 0 {
			list.newest = page.Events[0].Seq
			if q.cursor == "" {
				top = list.newest // what was recorded since belongs to the next look
			}
		}
		entries, err := s.auditEntries(ctx, organizationID, f, page.Events, top)
		if err != nil {
			return list, err
		}
		list.entries = append(list.entries, entries...)
		cursor, list.next, list.until = page.Next, page.Next, page.Until
		if len(list.entries) > 0 || page.Next == "" || !page.Until.IsZero() {
			break
		}
	}
	return list, nil
}

// auditView is the page without what it found.
func (s *Server) auditView(c echo.Context, q auditQuery, who auditViewer) templates.Audit {
	v := templates.Audit{
		Page: s.page(c, "Audit"), Search: q.text, Actor: q.actor, Target: q.target, Preset: q.preset,
		From: templates.Field{Value: q.from}, To: templates.Field{Value: q.to},
		Actions:  []templates.Option{{Text: "Any", Selected: q.action == ""}},
		Outcomes: []templates.Option{{Text: "Any", Selected: q.outcome == ""}},
		Filtered: len(q.active()) > 0, ClearURL: auditQuery{columns: q.columns}.with("", ""),
		ColumnsInURL: strings.Join(q.columns, ","), HoursWrong: who.local.wrong,
	}
	switch q.preset {
	case presetOutside:
		v.Hours = who.local.says
	case presetSeveral:
		v.Hours = "One record can stand for many attempts or mails alike; ×N says how many. Deletions are a record each, however many there are, and are not found here."
	}
	if q.backwards() {
		v.To.Error = "To is before From."
	}
	for name, values := range q.filters() {
		v.Hidden = append(v.Hidden, templates.Hidden{Name: name, Value: values[0]})
	}
	slices.SortFunc(v.Hidden, func(x, y templates.Hidden) int { return strings.Compare(x.Name, y.Name) })
	for _, action := range audit.Actions() {
		v.Actions = append(v.Actions, templates.Option{Value: string(action), Text: action.Label(), Selected: q.action == string(action)})
	}
	for _, outcome := range audit.Outcomes() {
		v.Outcomes = append(v.Outcomes, templates.Option{Value: string(outcome), Text: string(outcome), Selected: q.outcome == string(outcome)})
	}
	return v
}

// presetsView are the links above the list.
func (s *Server) presetsView(v *templates.Audit, q auditQuery, who auditViewer, size int64) {
	for _, p := range q.presets() {
		link := templates.Preset{Text: p.text, URL: p.url, Current: p.current}
		if p.text == presetText(presetNew) {
			link.Count = plural(int(who.review.news(size)), "record")
		}
		v.Presets = append(v.Presets, link)
	}
}

// streamView says how far the sink is behind, or nil where there is none.
func (s *Server) streamView(ctx context.Context, a *actor) (*templates.Notice, error) {
	if s.lag == nil {
		return nil, nil
	}
	lag, err := s.lag.Lag(ctx, a.Session.OrganizationID)
	if err != nil || !lag.Configured {
		return nil, err
	}
	n := &templates.Notice{Kind: templates.Good, Text: "Streaming out: every record was accepted."}
	if lag.Waiting > 0 {
		n.Kind, n.Text = templates.Info, fmt.Sprintf("Streaming out: %s not accepted yet.", plural(int(lag.Waiting), "record"))
		if !lag.Oldest.IsZero() {
			n.Text += fmt.Sprintf(" The first of them is from %s.", utc(lag.Oldest))
		}
	}
	if lag.Problem != "" {
		n.Kind = templates.Warn
		n.Lines = append(n.Lines, lag.Problem)
		if !lag.NextTry.IsZero() {
			n.Lines = append(n.Lines, "Tried again at "+utc(lag.NextTry)+". Nothing is left out meanwhile.")
		}
	}
	if !lag.LastDelivery.IsZero() {
		n.Lines = append(n.Lines, "Last accepted at "+utc(lag.LastDelivery)+".")
	}
	return n, nil
}

// rowsView are the rows of the list.
func (s *Server) rowsView(a *actor, v *templates.Audit, q auditQuery, list auditList, who auditViewer, size int64) error {
	token, err := s.sealReview(a, size)
	if err != nil {
		return err
	}
	if damage := damageNotice(list.entries); damage != nil {
		v.Page.Notices = append(v.Page.Notices, *damage)
	}
	for _, e := range list.entries {
		row := e.row()
		row.New = e.isNew(who)
		if e.at.Purged == nil && e.at.Damage == "" {
			row.Review = reviewOfEvent(token, &e, q.backOf())
		}
		v.Rows = append(v.Rows, row)
	}
	return nil
}

func (s *Server) pagerView(v *templates.Audit, q auditQuery, list auditList) {
	page := func(name, cursor string) string {
		values := q.values()
		values.Set(name, cursor)
		return auditAddress(values)
	}
	if q.cursor != "" || q.newer != "" {
		v.FirstURL = auditAddress(q.values())
	}
	if list.prev != "" {
		v.PrevURL = page("newer", list.prev)
	}
	if list.next != "" {
		v.NextURL = page("cursor", list.next)
	}
	if !list.until.IsZero() && v.NextURL != "" {
		v.Searched = &templates.Scan{Text: "Searched back to " + utc(list.until) + ".", GoOn: v.NextURL, Label: "Go on searching"}
	}
}

// emptyView says why there is nothing, and which filter to take out.
func (s *Server) emptyView(ctx context.Context, a *actor, v *templates.Audit, q auditQuery, who auditViewer) {
	active := q.active()
	if len(active) == 0 {
		v.Empty = "Nothing was recorded yet."
		return
	}
	v.Empty = "No event matches these filters."
	if q.backwards() {
		v.Empty += " To is before From."
	}
	if len(active) == 1 && active[0].value == presetNew {
		v.Empty = "Nothing new since your last review."
	}
	ctx, cancel := context.WithTimeout(ctx, hintTime)
	defer cancel()
	for _, f := range active {
		less := q.without(f.name)
		link := templates.Link{Text: "Clear " + f.says(), URL: auditAddress(less.values())}
		page, err := s.audit.List(ctx, a.Session.OrganizationID, less.filter(who), "", 1)
		if err == nil && len(page.Events) > 0 {
			v.Helps = append(v.Helps, link)
		} else {
			v.Others = append(v.Others, link)
		}
	}
}

func unsettledRow(op *helpdesk.Operation) templates.AuditRow {
	return templates.AuditRow{
		Time: secondOf(op.CreatedAt), Action: op.Action.Label(),
		Actor:  templates.Party{Text: op.Actor.Email, URL: memberPath(op.Actor.MemberID)},
		Target: templates.Party{Text: personName(op.Target), Detail: op.Target.Email, URL: memberPath(op.Target.MemberID)},
		Reason: op.Reason, Ticket: op.Ticket, Outcome: outcomeBadge(audit.OutcomeUnknown),
		OperationURL: operationPath(op.ID),
	}
}
