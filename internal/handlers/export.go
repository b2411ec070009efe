package handlers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/web/templates"
)

const (
	exportPath = "/audit/export"
	// exportTime bounds an export, which other requests' time would cut short.
	exportTime = 30 * time.Minute
	// exportWait is how long the browser may take for one piece: whoever stops reading must not hold a state of the
	// store for the rest of exportTime.
	exportWait  = time.Minute
	exportPiece = 64 << 10
	exportFlush = time.Second
	// maxExports are sent at once: each holds a connection to the store for as long as it takes.
	maxExports = 2
	// countedUpTo and countTime bound what counting the events of a filter may cost a page.
	countedUpTo = 100_000
	countTime   = 150 * time.Millisecond
)

// How an export ended.
const (
	detailSent     = "sent_whole"
	detailBrokeOff = "broke_off"
	detailNotSound = "does_not_fit"
)

// mayExport asks whether the audit may be exported.
func (s *Server) mayExport(ctx context.Context, a *actor) error {
	return s.authz.CheckConsole(ctx, a.Acting, a.Session, authz.AuditExport())
}

// exportAudit is GET /audit/export: the events that the filters of the audit
// page find, as a file. It is recorded before its first byte and at its end.
func (s *Server) exportAudit(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	format := audit.Format(c.QueryParam("format"))
	q, badQuery := parseAuditQuery(c.QueryParams())
	if badQuery != nil {
		q = auditQuery{} // anything may stand there
	}
	ev := exportEvent(a, s.desk.NewOperationID(), q, format)
	if err := s.mayExport(ctx, a); err != nil {
		s.recordDenied(ctx, ev, err)
		return err
	}
	switch {
	case badQuery != nil:
		return badQuery
	case !format.Valid():
		return echo.NewHTTPError(http.StatusBadRequest, "An export has the format ndjson, csv or ocsf.")
	}
	// It is recorded under a name, so no other site may begin it; from there one comes to the page with the button.
	switch c.Request().Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return c.Redirect(http.StatusSeeOther, auditAddress(q.filters()))
	}
	file := newDownload(c, format, exportName(a, s.now(), format))
	if c.Request().Method == http.MethodHead {
		file.setHeaders()
		return c.NoContent(http.StatusOK)
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		c.Response().Header().Set(echo.HeaderRetryAfter, "30")
		return echo.NewHTTPError(http.StatusTooManyRequests, "Other exports are under way. Try again in half a minute.")
	}
	who := s.auditViewer(a)
	if q.preset == presetNew {
		review, err := s.lastReview(ctx, a)
		if err != nil {
			return err
		}
		who.review = review
	}
	if _, err := s.audit.Record(ctx, ev); err != nil {
		return fmt.Errorf("record export: %w", err)
	}
	n, err := s.audit.Reader().Export(ctx, a.Session.OrganizationID, q.filter(who), audit.NewEncoder(file, format, s.config.Build, s.now()))
	if err == nil {
		err = file.end()
	}
	s.recordExportEnd(ctx, ev, n, err)
	if err != nil && c.Response().Committed {
		// The connection is broken off, so that the browser does not take what it has for the whole.
		s.logFailure(c, err, s.classify(err))
		panic(http.ErrAbortHandler)
	}
	return err
}

// exportEvent is the intent of an export. Who was searched for is kept apart
// from the bytes, as every name is; the other filters are in them.
func exportEvent(a *actor, operationID string, q auditQuery, format audit.Format) audit.Event {
	said := []string{"format unknown"}
	if format.Valid() {
		said[0] = string(format)
	}
	for _, f := range [][2]string{{"action", q.action}, {"outcome", q.outcome}, {"from", q.from}, {"to", q.to}, {"preset", q.preset}} {
		if f[1] != "" {
			said = append(said, f[0]+" "+f[1])
		}
	}
	ev := audit.Event{
		OrganizationID: a.Session.OrganizationID, Action: audit.ActionExport, Phase: audit.PhaseIntent, OperationID: operationID,
		Actor: a.auditActor(), Target: audit.Target{Type: "audit_log"}, Reason: strings.Join(said, ", "), Attempt: 1,
		Source: audit.Source{IP: a.IP, UserAgent: a.UserAgent}, RequestID: a.RequestID,
	}
	var people []string
	for _, f := range [][2]string{{"search", q.text}, {"actor", q.actor}, {"target", q.target}} {
		if f[1] == "" {
			continue
		}
		people = append(people, f[0]+" "+f[1])
		if typed, err := mail.ParseAddress(f[1]); err == nil {
			ev.Target.Email = typed.Address // so that erasing the address finds it
		}
	}
	ev.Target.Label = strings.Join(people, ", ")
	return ev
}

func (s *Server) recordExportEnd(ctx context.Context, ev audit.Event, n int64, err error) {
	ev.Phase, ev.Outcome, ev.Count, ev.Detail = audit.PhaseOutcome, audit.OutcomeSucceeded, int(n), detailSent
	switch {
	case errors.Is(err, audit.ErrTampered):
		ev.Outcome, ev.Detail = audit.OutcomeFailed, detailNotSound
	case errors.Is(err, context.Canceled):
		ev.Outcome, ev.Detail = audit.OutcomeCancelled, detailBrokeOff
	case err != nil:
		ev.Outcome, ev.Detail = audit.OutcomeFailed, detailBrokeOff
	}
	s.recordLate(ctx, ev)
}

// recordLate records what has happened already, whether or not anybody waits.
func (s *Server) recordLate(ctx context.Context, ev audit.Event) {
	ctx = context.WithoutCancel(ctx)
	if _, err := s.audit.Record(ctx, ev); err != nil {
		s.log.ErrorContext(ctx, "not recorded", slog.Any("error", err), slog.String("action", string(ev.Action)), slog.String("outcome", string(ev.Outcome)), slog.String("request_id", ev.RequestID))
	}
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// exportName names a file after the organization and the time.
func exportName(a *actor, now time.Time, format audit.Format) string {
	slug := strings.Trim(notInFileNames.ReplaceAllString(a.Session.OrganizationSlug, "-"), "-")
	return "audit-" + slug + "-" + now.UTC().Format("20060102T150405Z") + format.Extension()
}

// download sends a file piece by piece. Nothing is sent before the first piece
// is full or the file ends, so that what fails early is a page.
type download struct {
	c       echo.Context
	control *http.ResponseController
	pieces  *bufio.Writer
	flushed time.Time
	kind    string
	name    string
}

func newDownload(c echo.Context, format audit.Format, name string) *download {
	d := &download{c: c, control: http.NewResponseController(c.Response()), kind: format.ContentType(), name: name, flushed: time.Now()}
	d.pieces = bufio.NewWriterSize(piece{d}, exportPiece)
	return d
}

func (d *download) setHeaders() {
	h := d.c.Response().Header()
	h.Set(echo.HeaderContentType, d.kind)
	h.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
}

// Write takes a line, and sends what there is when the browser has not seen anything for a while.
func (d *download) Write(line []byte) (int, error) {
	n, err := d.pieces.Write(line)
	if err == nil && d.c.Response().Committed && time.Since(d.flushed) >= exportFlush {
		err = d.pieces.Flush()
	}
	return n, err
}

// end sends the rest.
func (d *download) end() error { return d.pieces.Flush() }

// piece sends what download has gathered, through the compression.
type piece struct{ *download }

func (p piece) Write(b []byte) (int, error) {
	if !p.c.Response().Committed {
		p.setHeaders()
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(exportWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("send export: %w", err)
	}
	n, err := p.c.Response().Write(b)
	if err != nil {
		return n, fmt.Errorf("send export: %w", err)
	}
	p.flushed = time.Now()
	if err := p.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return n, fmt.Errorf("send export: %w", err)
	}
	return n, nil
}

// exportView is the menu of the audit page.
func (s *Server) exportView(ctx context.Context, a *actor, q auditQuery, who auditViewer, many bool) templates.Export {
	var v templates.Export
	for _, format := range []struct {
		audit.Format
		text, hint string
	}{
		{audit.FormatNDJSON, "NDJSON", "with what proves each event"},
		{audit.FormatCSV, "CSV", "for spreadsheets"},
		{audit.FormatOCSF, "OCSF", "for a SIEM"},
	} {
		filters := q.filters()
		filters.Set("format", string(format.Format))
		v.Formats = append(v.Formats, templates.ExportFormat{Text: format.text, Hint: format.hint, URL: exportPath + "?" + filters.Encode()})
	}
	if policy, err := s.policy(ctx, a.Session); err == nil && !policy.MayConsole(a.Session.Roles, authz.AuditExport()) {
		v.Disabled = "Needs " + authz.AuditExport().String() + "."
		if roles := policy.RolesWith(authz.AuditExport()); len(roles) > 0 {
			v.Disabled += " Roles that have it: " + strings.Join(roles, ", ") + "."
		}
		return v
	}
	if many {
		v.Size = s.exportSize(ctx, a, q.filter(who))
	}
	return v
}

// exportSize says how many events there are, as far as that is known quickly.
func (s *Server) exportSize(ctx context.Context, a *actor, f audit.Filter) string {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	n, more, err := s.audit.Reader().Count(ctx, a.Session.OrganizationID, f, countedUpTo)
	switch {
	case err != nil:
		return "Too many events to count in a moment."
	case more:
		return "More than " + plural(int(n), "event") + "."
	default:
		return plural(int(n), "event") + "."
	}
}
