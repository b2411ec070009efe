package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/handlers"
)

type auditExportCmd struct {
	auditStore

	Format       string `required:"" enum:"ndjson,csv,ocsf" help:"ndjson, with what proves each record; csv; or ocsf, which is lines of JSON."`
	Organization string `placeholder:"ID" help:"Only this organization. Unset: every one, and the system's own log."`
	Search       string `placeholder:"TEXT" help:"Only where reason, ticket, actor, target or IP address have these words, or words that begin so."`
	Actor        string `placeholder:"TEXT" help:"Only what somebody did: a member id, or words of an email address."`
	Target       string `placeholder:"TEXT" help:"Only what was done to somebody: an id, or words of a name or an email address."`
	Action       string `placeholder:"NAME" help:"Only one action, such as member.password.delete."`
	Outcome      string `placeholder:"WORD" help:"Only one outcome, such as denied."`
	From         string `placeholder:"TIME" help:"Not before this day, such as 2026-01-31, in UTC, or this time, such as 2026-01-31T08:00:00Z."`
	To           string `placeholder:"TIME" help:"To the end of this day, or before this time."`
	Operation    string `placeholder:"ID" help:"Only one operation."`
	Several      bool   `help:"Only records that stand for several things, such as an export of many events or failed sign-ins counted together."`
	Outside      string `placeholder:"HOURS" help:"Only outside of these office hours, such as 'Mon-Fri 08:00-18:00'."`
	TimeZone     string `default:"UTC" placeholder:"ZONE" help:"Time zone of the office hours, such as Europe/Berlin."`
}

func (c auditExportCmd) Run(p *program) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	store, public, err := c.load(p.getenv)
	if err != nil {
		return err
	}
	db, err := database.OpenReadOnly(p.ctx, store)
	if err != nil {
		return usageError(fmt.Errorf("audit export: cannot look: %w", err))
	}
	defer db.Close()
	reader, err := audit.NewReader(db, public)
	if err != nil {
		return usageError(fmt.Errorf("audit export: %w", err))
	}
	organizations := []string{c.Organization}
	if c.Organization == "" {
		if organizations, err = reader.Organizations(p.ctx); err != nil {
			return usageError(fmt.Errorf("audit export: cannot look: %w", err))
		}
	}
	out := bufio.NewWriterSize(p.stdout, 1<<16)
	enc := audit.NewEncoder(&progress{w: out, stderr: p.stderr, last: time.Now()}, audit.Format(c.Format), buildName(), time.Now())
	var total int64
	for _, id := range organizations {
		n, err := reader.Export(p.ctx, id, filter, enc)
		total += n
		if err == nil {
			continue
		}
		// What is written so far has no end, so that nobody takes it for the whole.
		err = fmt.Errorf("audit export: after %d events: %w", total, errors.Join(err, out.Flush()))
		if errors.Is(err, audit.ErrNoLog) {
			return usageError(err)
		}
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit export: %w", err)
	}
	fmt.Fprintf(p.stderr, "console: exported, events: %d\n", total)
	return nil
}

// filter tells of every bad value at once.
func (c auditExportCmd) filter() (audit.Filter, error) {
	var bad problems
	f := audit.Filter{Text: c.Search, ActorQuery: c.Actor, TargetQuery: c.Target, Action: c.Action, Outcome: c.Outcome, OperationID: c.Operation, Several: c.Several}
	if c.Action != "" && !slices.Contains(audit.Actions(), audit.Action(c.Action)) {
		bad.add("--action", fmt.Sprintf("%q is no action", c.Action), fmt.Sprint(audit.Actions()))
	}
	if c.Outcome != "" && !slices.Contains(audit.Outcomes(), audit.Outcome(c.Outcome)) {
		bad.add("--outcome", fmt.Sprintf("%q is no outcome", c.Outcome), fmt.Sprint(audit.Outcomes()))
	}
	f.From = c.time(&bad, "--from", c.From, 0)
	f.To = c.time(&bad, "--to", c.To, 1) // the day named is included
	f.Outside = c.outside(&bad)
	return f, bad.err()
}

func (c auditExportCmd) outside(bad *problems) *audit.OfficeHours {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		bad.add("--time-zone", fmt.Sprintf("%q is no time zone", c.TimeZone), "a name of the IANA time zone database, such as Europe/Berlin")
	}
	if c.Outside == "" {
		return nil
	}
	hours, err := handlers.ParseOfficeHours(c.Outside)
	if err != nil {
		bad.add("--outside", fmt.Sprintf("%q: %s", c.Outside, err), "days and times within one day, in whole quarters of an hour, such as "+handlers.DefaultOfficeHours)
	}
	hours.Location = zone
	return &hours
}

// time reads a time, or a day and days after it.
func (auditExportCmd) time(bad *problems, flag, text string, days int) time.Time {
	if text == "" {
		return time.Time{}
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, days)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		bad.add(flag, fmt.Sprintf("%q is no time", text), "a day such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z")
	}
	return t
}

// progressEvery is how often a long export says how far it has come.
const progressEvery = 5 * time.Second

// progress counts lines on their way.
type progress struct {
	w      io.Writer
	stderr io.Writer
	last   time.Time
	lines  int
}

func (p *progress) Write(line []byte) (int, error) {
	if p.lines++; p.lines%1000 == 0 && time.Since(p.last) >= progressEvery {
		p.last = time.Now()
		fmt.Fprintf(p.stderr, "console: exporting, lines: %d\n", p.lines)
	}
	return p.w.Write(line)
}
