package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

const (
	verifyPath       = "/audit/verify"
	verificationPath = "/audit/verification"
	// verifyTime bounds a verification: ten million records take minutes at most.
	verifyTime = 15 * time.Minute
	// maxVerifications run at once: each holds a state of the store, and a processor.
	maxVerifications = 2
	// verifyPause is how long a result is shown instead of verifying again: whoever may read the audit could otherwise
	// keep a processor and a connection to the store busy for ever.
	verifyPause = time.Minute
	// maxVerified is of how many organizations the last result is kept.
	maxVerified = 1000
	// verifyRefresh is how often a page without script looks again.
	verifyRefresh = 2 // s
	// recordTime is what the record of a verification may take once the console is told to stop.
	recordTime = 10 * time.Second
)

// How a verification ended.
const (
	detailIntact  = "intact"
	detailNoLook  = "could_not_look"
	detailStopped = "stopped"
)

// verifications are those under way and the last of each organization, in this
// process alone: what lasts is the event that each records.
type verifications struct {
	mu      sync.Mutex // guards the rest
	last    map[string]*verification
	running int
}

// verification is one, of one organization's log.
type verification struct {
	started time.Time
	by      templates.Party
	done    atomic.Int64
	total   atomic.Int64

	ended chan struct{} // closed when what follows is final
	found verified
}

// verified is how a verification ended.
type verified struct {
	report audit.TreeReport
	err    error
	at     time.Time
	event  string // id of the event that says so; "" when it could not be recorded
}

func newVerifications() *verifications { return &verifications{last: map[string]*verification{}} }

// of returns the last verification of an organization, or nil.
func (all *verifications) of(organizationID string) *verification {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.last[organizationID]
}

// begin returns a new verification, or nil when one of the organization is
// under way, or was over just now, which is as good. It is busy when too many
// others are under way.
func (all *verifications) begin(organizationID string, now time.Time, by templates.Party) (v *verification, busy bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if v := all.last[organizationID]; v != nil && (!v.over() || v.fresh(now)) {
		return nil, false
	}
	if all.running >= maxVerifications {
		return nil, true
	}
	if len(all.last) >= maxVerified {
		for id, v := range all.last {
			if v.over() {
				delete(all.last, id)
			}
		}
	}
	v = &verification{started: now, by: by, ended: make(chan struct{})}
	all.last[organizationID] = v
	all.running++
	return v, false
}

func (all *verifications) end(v *verification, found verified) {
	all.mu.Lock()
	defer all.mu.Unlock()
	v.found = found
	close(v.ended)
	all.running--
}

func (v *verification) over() bool {
	select {
	case <-v.ended:
		return true
	default:
		return false
	}
}

// fresh reports whether a verification that is over is not to be done again yet.
func (v *verification) fresh(now time.Time) bool {
	age := now.Sub(v.found.at)
	return age >= 0 && age < verifyPause
}

// verifyAudit is POST /audit/verify: it begins to verify the organization's
// log, or joins the verification that is under way or just over. It goes on when the page is left.
func (s *Server) verifyAudit(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	ev := audit.Event{
		OrganizationID: a.Session.OrganizationID, Action: audit.ActionVerify, Phase: audit.PhaseOutcome, Actor: a.auditActor(),
		Target: audit.Target{Type: "audit_log"}, Source: audit.Source{IP: a.IP, UserAgent: a.UserAgent}, RequestID: a.RequestID,
	}
	if err := s.mayReadAudit(ctx, a); err != nil {
		s.recordDenied(ctx, ev, err)
		return err
	}
	v, busy := s.verified.begin(a.Session.OrganizationID, s.now(), actorParty(ev.Actor))
	if busy {
		c.Response().Header().Set(echo.HeaderRetryAfter, "30")
		return echo.NewHTTPError(http.StatusTooManyRequests, "Other logs are being verified. Try again in half a minute.")
	}
	if v != nil {
		s.background(func(ctx context.Context) { s.verify(ctx, v, ev) })
	}
	return c.Redirect(http.StatusSeeOther, verificationPath)
}

// verify verifies and records what was found. What panics here would end the process.
func (s *Server) verify(ctx context.Context, v *verification, ev audit.Event) {
	found := verified{err: errors.New("it broke off")}
	defer func() {
		if r := recover(); r != nil {
			s.log.ErrorContext(ctx, "verification panicked", slog.Any("panic", r))
		}
		found.at = s.now()
		found.event = s.recordVerified(ctx, v, found, ev)
		s.verified.end(v, found)
	}()
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	found.report, found.err = s.audit.Verify(ctx, ev.OrganizationID, func(done, total int64) {
		v.done.Store(done)
		v.total.Store(total)
	})
}

// recordVerified records how a verification ended, and logs it when the store does not take it any more.
func (s *Server) recordVerified(ctx context.Context, v *verification, found verified, ev audit.Event) (id string) {
	tampered, _ := errors.AsType[*audit.TamperedError](found.err)
	took := found.at.Sub(v.started).Round(time.Millisecond)
	switch {
	case found.err == nil:
		r := found.report
		ev.Outcome, ev.Detail = audit.OutcomeSucceeded, detailIntact
		ev.Reason = fmt.Sprintf("%d records, of which %d purged; %d texts, %d erased; %d stored hashes; root %s; in %s",
			r.Size, r.Purged, r.Texts, r.Erased, r.Hashes, r.Root, spanText(took))
	case tampered != nil:
		ev.Outcome, ev.Detail, ev.Reason = audit.OutcomeFailed, detailNotSound, tampered.Error()
	case ctx.Err() != nil:
		ev.Outcome, ev.Detail = audit.OutcomeCancelled, detailStopped
	default:
		ev.Outcome, ev.Detail = audit.OutcomeFailed, detailNoLook
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	recorded, err := s.audit.Record(ctx, ev)
	if err != nil {
		s.log.ErrorContext(ctx, "verification not recorded", slog.Any("error", err), slog.String("outcome", string(ev.Outcome)),
			slog.String("detail", ev.Detail), slog.String("found", ev.Reason), slog.String("request_id", ev.RequestID))
		return ""
	}
	return recorded.ID
}

// showVerification is GET /audit/verification: how far it is, or what it did and found.
func (s *Server) showVerification(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	if err := s.mayReadAudit(ctx, a); err != nil {
		return err
	}
	page := s.page(c, "Verification")
	page.Crumbs = []templates.Link{{Text: "Audit", URL: "/audit"}}
	v := templates.Verification{Page: page}
	last := s.verified.of(a.Session.OrganizationID)
	switch {
	case last == nil:
		if err := s.recordedVerification(ctx, a, &v); err != nil {
			return err
		}
	case !last.over():
		v.Running, v.Page.Refresh = true, verifyRefresh
		v.Done, v.Total = last.done.Load(), last.total.Load()
		v.Text = fmt.Sprintf("Begun by %s at %s. It goes on if you leave this page.", last.by.Text, utc(last.started))
		if v.Total > 0 {
			v.Progress = fmt.Sprintf("%s of %s records", thousands(int(v.Done)), thousands(int(v.Total)))
		}
	default:
		verificationView(&v, last)
		if last.fresh(s.now()) {
			v.Again = fmt.Sprintf("The log can be verified again from %s. Until then this result is shown.", utc(last.found.at.Add(verifyPause)))
		}
	}
	size, err := s.addProof(ctx, a, &v.Page)
	if err != nil && !errors.Is(err, audit.ErrTampered) {
		return err // a checkpoint that cannot be read is what this page is about
	}
	if v.Checkpoint != "" && v.EventURL != "" && size == last.found.report.Size+1 {
		v.Longer = "The newest record is this verification itself, so the newest checkpoint, below, is one record longer."
	}
	return render(c, http.StatusOK, templates.VerificationPage(v))
}

// recordedVerification says what the log has of the last one, where this process knows of none.
func (s *Server) recordedVerification(ctx context.Context, a *actor, v *templates.Verification) error {
	v.Text = "Nothing was verified yet."
	list, err := s.audit.List(ctx, a.Session.OrganizationID, audit.Filter{Action: string(audit.ActionVerify)}, "", 1)
	if err != nil && !errors.Is(err, audit.ErrTampered) {
		return err
	}
	if err == nil && len(list.Events) > 0 && list.Events[0].Purged == nil && list.Events[0].Damage == "" {
		ev := list.Events[0]
		v.Text = fmt.Sprintf("The last one, by %s at %s, ended so: %s. %s", actorOf(ev).Text, utc(ev.Time), ev.Outcome, ev.Reason)
		v.EventURL = eventPath(ev.ID)
	}
	return nil
}

// verificationView words a verification that is over.
func verificationView(v *templates.Verification, last *verification) {
	found := last.found
	took := found.at.Sub(last.started).Round(time.Millisecond)
	v.Text = fmt.Sprintf("Begun by %s at %s; it took %s.", last.by.Text, utc(last.started), spanText(took))
	if found.event != "" {
		v.EventURL = eventPath(found.event)
	} else {
		v.Unrecorded = "This result could not be recorded in the audit. It is in the console's own log."
	}
	tampered, _ := errors.AsType[*audit.TamperedError](found.err)
	switch {
	case found.err == nil:
		intactView(v, found.report, took)
	case tampered != nil:
		v.Result = templates.Notice{Kind: templates.Bad, Title: "Not intact", Text: upperFirst(tampered.Problem) + "."}
		switch {
		case tampered.Tree == "" && tampered.Seq >= 0:
			v.Result.Text = fmt.Sprintf("Record %d of the console's own log, which lists all organizations' logs: %s.", tampered.Seq, tampered.Problem)
		case tampered.Seq >= 0:
			v.Result.Text = fmt.Sprintf("The first record that does not fit is record %d: %s.", tampered.Seq, tampered.Problem)
			if tampered.ID != "" {
				v.Result.Links = []templates.Link{{Text: fmt.Sprintf("Record %d", tampered.Seq), URL: eventPath(tampered.ID)}}
			}
		}
		v.Result.Lines = []string{
			"What comes before it was found intact. What comes after was not looked at.",
			"Keep a copy of the store as it is now, and tell the operator of the console to run: console audit verify.",
		}
	case errors.Is(found.err, audit.ErrNoLog):
		v.Result = templates.Notice{Kind: templates.Info, Title: "Nothing to verify", Text: "Nothing was ever recorded of this organization."}
	default:
		v.Result = templates.Notice{
			Kind: templates.Warn, Title: "It could not be verified",
			Text: "The store could not be read to the end, or it took too long. This says nothing about the records. Try again, or run: console audit verify.",
		}
	}
}

// intactView says what was compared with what, and what follows from it.
func intactView(v *templates.Verification, r audit.TreeReport, took time.Duration) {
	v.Result = templates.Notice{
		Kind: templates.Good, Title: "Intact",
		Text: fmt.Sprintf("Records 0 to %d are as they were recorded, in order, with no gap, and match the signed checkpoint. Whether later records were cut off: see below.", r.Size-1),
	}
	if r.Size == 1 {
		v.Result.Text = "Record 0 is as it was recorded, and matches the signed checkpoint. Whether later records were cut off: see below."
	}
	read := r.Size - r.Purged
	v.Did = []string{
		fmt.Sprintf("Hashed the bytes of %s, built the tree of the log from them, and compared it with the %s stored hashes.", plural(int(read), "record"), thousands(int(r.Hashes))),
		fmt.Sprintf("Compared %s (names, email addresses, IP addresses) with the salted hashes in the records, and what is copied for searching with the bytes.", plural(int(r.Texts), "text")),
	}
	if r.Purged > 0 {
		v.Did = append(v.Did, fmt.Sprintf("Found %s purged: only the hash is left of each, and a record says when and why.", plural(int(r.Purged), "record")))
	}
	if r.Erased > 0 {
		v.Did = append(v.Did, fmt.Sprintf("Found %s erased, each as a record of an erasure says.", plural(int(r.Erased), "text")))
	}
	signer := "the console's key"
	if head, err := readHead(r.Checkpoint); err == nil && head.signer != "" {
		signer = "the key " + head.signer
	}
	v.Did = append(v.Did,
		fmt.Sprintf("Computed the root of the tree anew: %s. It is the one that the checkpoint signs.", r.Root),
		fmt.Sprintf("Checked the checkpoint's signature with %s, and that the console's own log lists this log.", signer),
	)
	if seconds := took.Seconds(); seconds >= 1 {
		v.Did = append(v.Did, fmt.Sprintf("That was %s records a second.", thousands(int(float64(r.Size)/seconds))))
	}
	v.DoesNot = []string{
		"That nothing was cut off at the end, and that the log was not replaced by an older copy or by another with the same key. Compare with a checkpoint that you kept: the number of records must not be smaller. That the new checkpoint continues the old is shown by: console audit verify.",
		"That this console tells the truth: it checked itself. If you do not trust its host, run console audit verify elsewhere, on a copy or an export. It needs only the public key.",
		"That nothing was done past the console, such as in the Stytch dashboard.",
	}
	v.Checkpoint = r.Checkpoint
}

// spanText is a span of time as people write it: "3 ms", "1.2 s", "2 min 5 s".
func spanText(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
}

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
