package handlers

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"orgconsole/web/templates"
)

// columnsAge is how long a browser remembers the columns somebody chose.
const columnsAge = 400 * 24 * 60 * 60 // s, the most that browsers keep

// auditColumns are all columns in their order. What was done is always shown.
func auditColumns() []templates.Column {
	return []templates.Column{
		{Key: "time", Label: "Time"},
		{Key: "action", Label: "Action"},
		{Key: "actor", Label: "Actor"},
		{Key: "target", Label: "Target"},
		{Key: "reason", Label: "Reason"},
		{Key: "ticket", Label: "Ticket"},
		{Key: "outcome", Label: "Outcome"},
		{Key: "known", Label: "Known from"},
		{Key: "ip", Label: "IP address"},
		{Key: "factors", Label: "Factors"},
		{Key: "requests", Label: "Request IDs"},
		{Key: "seq", Label: "Record"},
	}
}

const actionColumn = "action"

// usualColumns are shown to whoever chose none. The ticket then stands with the reason.
func usualColumns() []string {
	return []string{"time", actionColumn, "actor", "target", "reason", "outcome"}
}

// parseColumns reads keys, one by one or separated by commas, and returns them
// in the order of the table, or nil when there is no column among them. What
// is no key is left out: an address may be older than the columns.
func parseColumns(values []string) []string {
	asked := strings.Split(strings.Join(values, ","), ",")
	var columns []string
	known := false
	for _, c := range auditColumns() {
		chosen := slices.Contains(asked, c.Key)
		known = known || chosen
		if chosen || c.Key == actionColumn {
			columns = append(columns, c.Key)
		}
	}
	if !known {
		return nil
	}
	return columns
}

func (s *Server) columnsName() string { return s.cookieName() + "-columns" }

// chosenColumns are those of the address, which are remembered when the
// address is from a page of ours, or else those remembered.
func (s *Server) chosenColumns(c echo.Context, q auditQuery) []templates.Column {
	columns := q.columns
	switch site := c.Request().Header.Get("Sec-Fetch-Site"); {
	case columns == nil:
		if cookie, err := c.Request().Cookie(s.columnsName()); err == nil && len(cookie.Value) <= maxColumns {
			columns = parseColumns([]string{strings.ReplaceAll(cookie.Value, ".", ",")})
		}
	case site != "" && site != "same-origin":
		// Somebody else's link shows what it says, once.
	case slices.Equal(columns, usualColumns()):
		s.removeCookie(c, s.columnsName())
	default:
		s.putCookie(c, s.columnsName(), strings.Join(columns, "."), columnsAge)
	}
	if columns == nil {
		columns = usualColumns()
	}
	return slices.DeleteFunc(auditColumns(), func(col templates.Column) bool { return !slices.Contains(columns, col.Key) })
}

// maxColumns is more than all keys take.
const maxColumns = 200

// columnChoices are the boxes to tick.
func columnChoices(shown []templates.Column) []templates.Option {
	var boxes []templates.Option
	for _, col := range auditColumns() {
		if col.Key != actionColumn {
			boxes = append(boxes, templates.Option{Value: col.Key, Text: col.Label, Selected: slices.Contains(shown, col)})
		}
	}
	return boxes
}
