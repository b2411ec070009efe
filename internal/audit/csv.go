package audit

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// csvErased stands where a text was erased.
const csvErased = "(erased)"

// csvColumns is the first row.
func csvColumns() []string {
	return []string{
		"organization_id", "seq", "id", "time", "operation_id", "action", "phase", "outcome", "reason", "ticket",
		"actor_member_id", "actor_email", "actor_session_id", "actor_auth_factors", "actor_system",
		"target_type", "target_id", "target_label", "target_email", "target_password_id",
		"http_status", "http_error_type", "upstream_request_id", "attempt", "count", "detail",
		"source_ip", "source_user_agent", "request_id", "build", "leaf_hash", "purged",
	}
}

// csvEncoder writes RFC 4180 in UTF-8, one table whatever the number of
// organizations. It is for reading and sorting; nothing in it is proven.
type csvEncoder struct {
	w     io.Writer
	csv   *csv.Writer
	cells []string
}

func (*csvEncoder) proofs() bool { return false }

func (c *csvEncoder) Begin(Head) error {
	if c.csv != nil {
		return nil
	}
	c.csv = csv.NewWriter(c.w)
	c.csv.UseCRLF = true
	return c.row(csvColumns())
}

func (c *csvEncoder) row(cells []string) error {
	if err := c.csv.Write(cells); err != nil {
		return err
	}
	c.csv.Flush()
	return c.csv.Error()
}

func (c *csvEncoder) End(int64) error { return nil }

func (c *csvEncoder) Event(e *Entry) error {
	ev := &e.Event
	text := func(field subject) string {
		if e.erased(field) {
			return csvErased
		}
		return *ev.subjectText(field)
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	at, purged := ev.Time.UTC().Format(timeLayout), ""
	if ev.Purged != nil {
		at, purged = "", ev.Purged.Time.UTC().Format(timeLayout)
	}
	c.cells = append(c.cells[:0],
		ev.OrganizationID, strconv.FormatInt(ev.Seq, 10), ev.ID, at, ev.OperationID,
		string(ev.Action), string(ev.Phase), string(ev.Outcome), ev.Reason, ev.Ticket,
		ev.Actor.MemberID, text(subjectActorEmail), ev.Actor.SessionID, strings.Join(ev.Actor.AuthFactors, " "), strconv.FormatBool(ev.Actor.System),
		ev.Target.Type, ev.Target.ID, text(subjectTargetLabel), text(subjectTargetEmail), ev.Target.PasswordID,
		number(ev.HTTP.Status), ev.HTTP.ErrorType, ev.UpstreamRequestID, number(ev.Attempt), number(ev.Count), ev.Detail,
		text(subjectSourceIP), ev.Source.UserAgent, ev.RequestID, ev.Build, e.Leaf.String(), purged,
	)
	for i, cell := range c.cells {
		c.cells[i] = inert(cell)
	}
	return c.row(c.cells)
}

// inert keeps a spreadsheet from taking a cell for a formula, in any of the
// widths it knows, or for a command: an apostrophe before it makes it text.
// What begins with an apostrophe gets another, so that taking one away always
// gives the text back.
func inert(cell string) string {
	if cell == "" {
		return cell
	}
	switch cell[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n', '\'':
		return "'" + cell
	}
	for _, wide := range []string{"＝", "＋", "－", "＠", "\ufeff"} {
		if strings.HasPrefix(cell, wide) {
			return "'" + cell
		}
	}
	return cell
}
