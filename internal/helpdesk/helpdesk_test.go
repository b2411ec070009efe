package helpdesk_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/database"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

// desk is a Desk on a store of its own, with a clock that tests move.
type desk struct {
	*helpdesk.Desk
	t     *testing.T
	up    *upstream
	db    *database.DB
	log   *audit.Log
	mu    sync.Mutex
	clock time.Time
	jump  func() time.Duration // how far the clock is ahead just now
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	clock, jump := d.clock, d.jump
	d.mu.Unlock()
	if jump != nil {
		clock = clock.Add(jump())
	}
	return clock
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(by)
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return openDesk(t, newUpstream(t), filepath.Join(t.TempDir(), "console.db"), newKey(t))
}

func newKey(t *testing.T) string {
	t.Helper()
	signer, _, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func openDesk(t *testing.T, up *upstream, path, key string) *desk {
	t.Helper()
	d := &desk{t: t, up: up, clock: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
	if d.db, err = database.Open(t.Context(), "sqlite://"+path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.db.Close() })
	if d.log, err = audit.New(d.db, key, audit.Options{Now: d.now, Rand: rand.Reader, Build: "test", Logger: logger}); err != nil {
		t.Fatal(err)
	}
	if err := d.log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := stytch.New("project-test-1", "secret-test-1", stytch.WithBaseURL(up.URL), stytch.WithTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	d.Desk, err = helpdesk.New(helpdesk.Deps{
		DB: d.db, Audit: d.log, Stytch: client, Authz: authz.New(client, d.now), Now: d.now, Rand: rand.Reader, Logger: logger,
		ReasonRequired: true, TicketPattern: regexp.MustCompile(`([A-Z]+-\d+)?`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) actor() helpdesk.Actor {
	d.t.Helper()
	acting, err := stytch.ActingToken("canary-session-token")
	if err != nil {
		d.t.Fatal(err)
	}
	return helpdesk.Actor{
		OrganizationID: orgID, MemberID: adminID, Email: "desk@acme.example", Name: "Desk", SessionID: "session-test-1",
		Factors: []string{"password"}, Acting: acting, IP: "192.0.2.1", UserAgent: "test", RequestID: "req-1",
	}
}

func (d *desk) request() helpdesk.Request {
	return helpdesk.Request{
		OperationID: d.NewOperationID(), TargetID: targetI, ShownPasswordID: pwID, Reason: "laptop stolen", Ticket: "HD-7", SessionsOpen: 3,
	}
}

func (d *desk) delete(req helpdesk.Request) *helpdesk.Operation {
	d.t.Helper()
	op, err := d.DeletePassword(d.t.Context(), d.actor(), req)
	if err != nil {
		d.t.Fatalf("DeletePassword: %v", err)
	}
	return op
}

// events lists what the audit holds of an operation, as "phase outcome/detail".
func (d *desk) events(id string) []string {
	d.t.Helper()
	events, err := d.log.Operation(d.t.Context(), orgID, id)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []string
	for _, ev := range events {
		s := string(ev.Phase)
		if ev.Outcome != "" {
			s += " " + string(ev.Outcome) + "/" + ev.Detail
		}
		if ev.Actor.System {
			s += " by system"
		}
		got = append(got, s)
	}
	return got
}

// TestDeleteOutcomes is the table of what each upstream answer means.
func TestDeleteOutcomes(t *testing.T) {
	t.Parallel()
	wrongMember := func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, memberAnswer(otherID, "")) }
	idKept := func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, memberAnswer(targetI, pwID)) }
	giant := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		for range 10 {
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", 1<<20) + `"`))
		}
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprint(w, "<h1>Bad gateway</h1>")
	}
	wait := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		reply(w, 429, apiError(429, "too_many_requests"))
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		acted  bool // the upstream did delete it, whatever it said
		want   string
		detail string
		events []string
		sent   int
	}{
		{"good", nil, true, "succeeded", "answer", []string{"intent", "outcome succeeded/answer"}, 1},
		{
			"garbage, done", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "garbage") }, true, "succeeded", "re-read",
			[]string{"intent", "outcome unknown/bad_answer", "outcome succeeded/re-read by system"},
			1,
		},
		{"cut, done", cut, true, "succeeded", "re-read", []string{"intent", "outcome unknown/bad_answer", "outcome succeeded/re-read by system"}, 1},
		{"cut, not done", cut, false, "unknown", "bad_answer", []string{"intent", "outcome unknown/bad_answer"}, 1},
		{"too large, done", giant, true, "succeeded", "re-read", []string{"intent", "outcome unknown/bad_answer", "outcome succeeded/re-read by system"}, 1},
		{"another member", wrongMember, false, "unknown", "other_member", []string{"intent", "outcome unknown/other_member"}, 1},
		{"id still in the answer, gone", idKept, true, "succeeded", "re-read", []string{"intent", "outcome unknown/id_still_in_answer", "outcome succeeded/re-read by system"}, 1},
		{
			"redirect", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			}, false, "unknown", "bad_answer",
			[]string{"intent", "outcome unknown/bad_answer"},
			1,
		},
		{"session not found", refuseWith(404, "session_not_found"), false, "failed", "session_ended", []string{"intent", "outcome failed/session_ended"}, 1},
		{"session malformed", refuseWith(400, "invalid_session_token"), false, "failed", "session_ended", []string{"intent", "outcome failed/session_ended"}, 1},
		{"session unauthenticated", refuseWith(401, "user_unauthenticated"), false, "failed", "session_ended", []string{"intent", "outcome failed/session_ended"}, 1},
		{"project secret refused", refuseWith(401, "unauthorized_credentials"), false, "failed", "project_credentials", []string{"intent", "outcome failed/project_credentials"}, 1},
		{"denied", refuseWith(403, "session_authorization_error"), false, "denied", "refused", []string{"intent", "outcome denied/refused"}, 1},
		{
			"not found, gone", refuseWith(404, "member_password_not_found"), true, "not_found", "re-read",
			[]string{"intent", "outcome unknown/refused", "outcome not_found/re-read by system"},
			1,
		},
		{"not found, but there", refuseWith(404, "member_password_not_found"), false, "unknown", "refused", []string{"intent", "outcome unknown/refused"}, 1},
		{"rate limited", wait, false, "failed", "rate_limited", []string{"intent", "outcome failed/rate_limited"}, 1},
		{"other 4xx", refuseWith(400, "cross_org_passwords_enabled"), false, "failed", "refused", []string{"intent", "outcome failed/refused"}, 1},
		{"500, done", refuseWith(500, "internal_server_error"), true, "succeeded", "re-read", []string{"intent", "outcome unknown/upstream_fault", "outcome succeeded/re-read by system"}, 1},
		{"a fault that speaks of the session", refuseWith(503, "session_not_found"), false, "unknown", "upstream_fault", []string{"intent", "outcome unknown/upstream_fault"}, 1},
		{"HTML 502", html, false, "unknown", "upstream_fault", []string{"intent", "outcome unknown/upstream_fault"}, 1},
		{"reset after sending, done", drop, true, "succeeded", "re-read", []string{"intent", "outcome unknown/no_answer", "outcome succeeded/re-read by system"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			if tt.answer != nil {
				d.up.fault(epDelete, func(w http.ResponseWriter, r *http.Request) {
					if tt.acted {
						d.up.setPassword("")
					}
					tt.answer(w, r)
				})
			}
			op := d.delete(d.request())
			if string(op.Outcome) != tt.want || op.Detail != tt.detail {
				t.Errorf("outcome %s/%s, want %s/%s", op.Outcome, op.Detail, tt.want, tt.detail)
			}
			if diff := cmp.Diff(tt.events, d.events(op.ID)); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			if got := d.up.count(epDelete); got != tt.sent {
				t.Errorf("%d deletions sent, want %d", got, tt.sent)
			}
			stored, err := d.Operation(t.Context(), orgID, op.ID)
			if err != nil || stored.Outcome != op.Outcome || stored.State != op.State {
				t.Errorf("stored %+v (%v), returned %+v", stored, err, op)
			}
			if tt.name == "rate limited" && op.RetryAfter != 17 {
				t.Errorf("RetryAfter = %d, want 17", op.RetryAfter)
			}
		})
	}
}

func TestNothingSentWhereNobodyListens(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.up.Close()
	op := d.delete(d.request())
	if op.Outcome != audit.OutcomeFailed || op.Detail != helpdesk.DetailNotSent {
		t.Errorf("outcome %s/%s, want failed/not_sent", op.Outcome, op.Detail)
	}
}

func TestDeleteCarriesActingSessionAfterIntent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	req := d.request()
	var seen []string
	d.up.fault(epDelete, func(w http.ResponseWriter, _ *http.Request) {
		seen = d.events(req.OperationID)
		d.up.answer(w, epDelete)
	})
	d.delete(req)
	if diff := cmp.Diff([]string{"intent"}, seen); diff != "" {
		t.Errorf("recorded when the deletion arrived (-want +got):\n%s", diff)
	}
	h := d.up.header(epDelete)
	if got := h.Get("X-Stytch-Member-Session"); got != "canary-session-token" {
		t.Errorf("acting session header = %q", got)
	}
	if h.Get("Authorization") == "" {
		t.Error("no project credentials")
	}
	if got := d.up.header(epMember).Get("X-Stytch-Member-Session"); got != "" {
		t.Errorf("member get carried the acting session %q, which it does not take", got)
	}
}

func TestNoIntentNoCall(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.DeletePassword(t.Context(), d.actor(), d.request()); err == nil {
		t.Error("a store that cannot be written is an error")
	}
	if got := d.up.count(epDelete); got != 0 {
		t.Errorf("%d deletions sent without an intent on disk", got)
	}
}

func TestNothingSentWhenTheMemberChanged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*upstream)
		want   audit.Outcome
		detail string
	}{
		{"another password", func(u *upstream) { u.setPassword(newPwID) }, audit.OutcomeCancelled, helpdesk.DetailChanged},
		{"password gone", func(u *upstream) { u.setPassword("") }, audit.OutcomeCancelled, helpdesk.DetailNoPassword},
		{"member gone", func(u *upstream) { u.setGone() }, audit.OutcomeNotFound, helpdesk.DetailRefused},
		{"check denied", func(u *upstream) { u.fault(epCheck, refuseWith(403, "session_authorization_error")) }, audit.OutcomeDenied, helpdesk.DetailCheck},
		{"session dead", func(u *upstream) { u.fault(epCheck, refuseWith(404, "session_not_found")) }, audit.OutcomeFailed, helpdesk.DetailSession},
		{"read lost", func(u *upstream) { u.fault(epMember, cut) }, audit.OutcomeFailed, helpdesk.DetailBadAnswer},
		{"read lies", func(u *upstream) {
			u.fault(epMember, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, memberAnswer(otherID, pwID)) })
		}, audit.OutcomeFailed, helpdesk.DetailBadAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			tt.change(d.up)
			op := d.delete(d.request())
			if op.Outcome != tt.want || op.Detail != tt.detail || op.State != helpdesk.StateFinal {
				t.Errorf("%s %s/%s, want final %s/%s", op.State, op.Outcome, op.Detail, tt.want, tt.detail)
			}
			if got := d.up.count(epDelete); got != 0 {
				t.Errorf("%d deletions sent, want none", got)
			}
			want := []string{"intent", "outcome " + string(tt.want) + "/" + tt.detail}
			if diff := cmp.Diff(want, d.events(op.ID)); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplaySendsNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	req := d.request()
	first := d.delete(req)
	d.up.setPassword(pwID) // even if it came back
	again := d.delete(req)
	if again.ID != first.ID || again.Outcome != first.Outcome || d.up.count(epDelete) != 1 {
		t.Errorf("replay: %s %s, %d deletions sent; want the first's result and one", again.ID, again.Outcome, d.up.count(epDelete))
	}
	other := d.actor()
	other.MemberID = otherID
	if _, err := d.DeletePassword(t.Context(), other, req); !errors.Is(err, helpdesk.ErrNotFound) {
		t.Errorf("another actor's replay: %v, want ErrNotFound", err)
	}
	req.TargetID = otherID
	if _, err := d.DeletePassword(t.Context(), d.actor(), req); !errors.Is(err, helpdesk.ErrNotFound) {
		t.Errorf("the same id for another target: %v, want ErrNotFound", err)
	}
}

func TestTwoAtOnceSendOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	req := d.request()
	entered, release := make(chan struct{}), make(chan struct{})
	d.up.fault(epDelete, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		d.up.answer(w, epDelete)
	})
	var wg sync.WaitGroup
	ops := make([]*helpdesk.Operation, 5)
	errs := make([]error, len(ops))
	for i := range ops {
		wg.Go(func() { ops[i], errs[i] = d.DeletePassword(t.Context(), d.actor(), req) })
	}
	<-entered
	close(release)
	wg.Wait()
	for i, op := range ops {
		if errs[i] != nil || op.Outcome != audit.OutcomeSucceeded {
			t.Errorf("window %d: %+v, %v", i, op, errs[i])
		}
	}
	if got := d.up.count(epDelete); got != 1 {
		t.Errorf("%d deletions sent, want 1", got)
	}
}

func TestInvalidRequestIsNotRecorded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, change := range map[string]func(*helpdesk.Request){
		"reason": func(r *helpdesk.Request) { r.Reason = " \n" },
		"ticket": func(r *helpdesk.Request) { r.Ticket = "HD-7 and more" },
	} {
		req := d.request()
		change(&req)
		_, err := d.DeletePassword(t.Context(), d.actor(), req)
		var invalid *helpdesk.InvalidError
		if !errors.As(err, &invalid) || invalid.Fields[name] == "" {
			t.Errorf("%s: %v, want the field named", name, err)
		}
		if _, err := d.Operation(t.Context(), orgID, req.OperationID); !errors.Is(err, helpdesk.ErrNotFound) {
			t.Errorf("%s: recorded (%v)", name, err)
		}
	}
	if calls := d.up.order(); len(calls) != 0 {
		t.Errorf("the upstream was asked: %v", calls)
	}
}

func TestUnknownIsSettled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		later  func(*upstream)
		after  time.Duration
		want   string
		detail string
	}{
		{"gone", func(u *upstream) { u.setPassword("") }, time.Second, "succeeded", "re-read"},
		{"replaced", func(u *upstream) { u.setPassword(newPwID) }, time.Second, "succeeded", "re-read"},
		{"member gone", func(u *upstream) { u.setGone() }, time.Second, "not_found", "member_gone"},
		{"still there, too early", func(*upstream) {}, 9 * time.Second, "unknown", "upstream_fault"},
		{"still there", func(*upstream) {}, 10 * time.Second, "failed", "still_there"},
		{"cannot look", func(u *upstream) { u.fault(epMember, refuseWith(500, "internal_server_error")) }, time.Hour, "unknown", "upstream_fault"},
		{"the look lies", func(u *upstream) {
			u.fault(epMember, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, memberAnswer(otherID, "")) })
		}, time.Hour, "unknown", "upstream_fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.up.fault(epDelete, refuseWith(500, "internal_server_error"))
			op := d.delete(d.request())
			if op.State != helpdesk.StateUnknown {
				t.Fatalf("state %s, want unknown", op.State)
			}
			if list, err := d.Unsettled(t.Context(), orgID, 10); err != nil || len(list) != 1 {
				t.Errorf("Unsettled = %v, %v; want the one", list, err)
			}
			tt.later(d.up)
			d.pass(tt.after)
			_ = d.Settle(t.Context()) // an error here says it could not look, which the row below shows
			got, err := d.Operation(t.Context(), orgID, op.ID)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Outcome) != tt.want || got.Detail != tt.detail {
				t.Errorf("after %s: %s/%s, want %s/%s", tt.after, got.Outcome, got.Detail, tt.want, tt.detail)
			}
			if finals := len(d.events(op.ID)) - 2; finals > 1 || (finals == 1) != (tt.want != "unknown") {
				t.Errorf("audit: %v", d.events(op.ID))
			}
			// A second pass finds nothing more to do.
			d.pass(time.Hour)
			d.up.fault(epMember, nil)
			_ = d.Settle(t.Context())
			if n := len(d.events(op.ID)); n != 3 {
				t.Errorf("after everything is readable again: %v, want one final outcome", d.events(op.ID))
			}
		})
	}
}

// TestCrashIsSettled lets the process die between intent and outcome, and a
// new one open the store.
func TestCrashIsSettled(t *testing.T) {
	t.Parallel()
	up, path, key := newUpstream(t), filepath.Join(t.TempDir(), "console.db"), newKey(t)
	d := openDesk(t, up, path, key)
	req := d.request()
	req.SignOutEverywhere = true
	up.fault(epDelete, func(w http.ResponseWriter, r *http.Request) {
		up.setPassword("")
		_ = d.db.Close() // from here on this process can write nothing, as if it were dead
		drop(w, r)
	})
	_, _ = d.DeletePassword(t.Context(), d.actor(), req)

	up.fault(epDelete, nil)
	d2 := openDesk(t, up, path, key)
	if err := d2.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := d2.Operation(t.Context(), orgID, req.OperationID); err != nil || got.State != helpdesk.StateIntent {
		t.Errorf("settled while the dead process's call could still run: %+v, %v", got, err)
	}
	d2.pass(5 * time.Minute)
	if err := d2.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := d2.Operation(t.Context(), orgID, req.OperationID)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != helpdesk.StateFinal || got.Outcome != audit.OutcomeSucceeded {
		t.Errorf("after a restart: %s %s, want final succeeded", got.State, got.Outcome)
	}
	want := []string{"intent", "outcome unknown/no_answer by system", "outcome succeeded/re-read by system"}
	if diff := cmp.Diff(want, d2.events(got.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	step := got.Latest(audit.ActionRevokeSessions)
	if step == nil || step.Outcome != audit.OutcomeCancelled || step.Detail != helpdesk.DetailStopped {
		t.Errorf("the step that was asked for is %+v, want cancelled, and still there", step)
	}
	if up.count(epDelete) != 1 || up.count(epRevoke) != 0 {
		t.Errorf("sent %v, want no second deletion and no sign-out", up.order())
	}
}

func TestLeaseKeepsTwoProcessesApart(t *testing.T) {
	t.Parallel()
	up, path, key := newUpstream(t), filepath.Join(t.TempDir(), "console.db"), newKey(t)
	d := openDesk(t, up, path, key)
	up.fault(epDelete, refuseWith(500, "internal_server_error"))
	op := d.delete(d.request())
	up.setPassword("")
	d.pass(time.Minute)
	d2 := openDesk(t, up, path, key)
	d2.pass(time.Minute)
	var wg sync.WaitGroup
	for _, each := range []*desk{d, d2, d, d2} {
		wg.Go(func() { _ = each.Settle(t.Context()) })
	}
	wg.Wait()
	if diff := cmp.Diff([]string{"intent", "outcome unknown/upstream_fault", "outcome succeeded/re-read by system"}, d.events(op.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	both := []string{"member.sessions.revoke", "member.password.reset_email"}
	tests := []struct {
		name      string
		fault     map[string]http.HandlerFunc
		deleted   string
		out, mail string // outcome/detail of each step
		wantSent  []string
		outRetry  bool
		mailRetry bool
	}{
		{"all good", nil, "succeeded", "succeeded/answer", "succeeded/answer", []string{epRevoke, epMail}, false, false},
		{
			"sign-out refused",
			map[string]http.HandlerFunc{epRevoke: refuseWith(403, "session_authorization_error")},
			"succeeded",
			"denied/refused", "succeeded/answer",
			[]string{epRevoke, epMail},
			true, false,
		},
		{
			"mail rate limited",
			map[string]http.HandlerFunc{epMail: refuseWith(429, "too_many_requests")},
			"succeeded",
			"succeeded/answer", "failed/rate_limited",
			[]string{epRevoke, epMail},
			false, true,
		},
		{"mail lost", map[string]http.HandlerFunc{epMail: drop}, "succeeded", "succeeded/answer", "unknown/no_answer", []string{epRevoke, epMail}, false, true},
		{
			"deletion failed: sign-out goes on, mail waits",
			map[string]http.HandlerFunc{epDelete: refuseWith(429, "too_many_requests")},
			"failed",
			"succeeded/answer", "cancelled/not_attempted",
			[]string{epRevoke},
			false, true,
		},
		{
			"deletion unknown: mail waits",
			map[string]http.HandlerFunc{epDelete: refuseWith(500, "internal_server_error")},
			"unknown",
			"succeeded/answer", "cancelled/not_attempted",
			[]string{epRevoke},
			false, true,
		},
		{
			"denied: nothing goes on",
			map[string]http.HandlerFunc{epDelete: refuseWith(403, "session_authorization_error")},
			"denied",
			"cancelled/not_attempted", "cancelled/not_attempted", nil, true, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			for ep, h := range tt.fault {
				d.up.fault(ep, h)
			}
			req := d.request()
			req.SignOutEverywhere, req.SendResetEmail = true, true
			op := d.delete(req)
			if string(op.Outcome) != tt.deleted {
				t.Errorf("deletion %s, want %s", op.Outcome, tt.deleted)
			}
			for i, want := range []string{tt.out, tt.mail} {
				step := op.Latest(audit.Action(both[i]))
				if step == nil {
					t.Fatalf("no step %s", both[i])
				}
				if got := string(step.Outcome) + "/" + step.Detail; got != want {
					t.Errorf("%s is %s, want %s", both[i], got, want)
				}
				if got, want := step.Retryable(), []bool{tt.outRetry, tt.mailRetry}[i]; got != want {
					t.Errorf("%s retryable: %v, want %v", both[i], got, want)
				}
				if diff := cmp.Diff([]string{"intent", "outcome " + want}, d.events(step.ID)); diff != "" {
					t.Errorf("audit of %s (-want +got):\n%s", both[i], diff)
				}
			}
			var sent []string
			for _, c := range d.up.order() {
				if c == epRevoke || c == epMail {
					sent = append(sent, c)
				}
			}
			if !slices.Equal(sent, tt.wantSent) {
				t.Errorf("sent %v, want %v", sent, tt.wantSent)
			}
			if got := d.up.header(epRevoke).Get("X-Stytch-Member-Session"); slices.Contains(sent, epRevoke) && got == "" {
				t.Error("the sign-out did not carry the acting session")
			}
		})
	}
}

// Two windows have two forms; the mail is still sent again only once.
func TestRetryFromManyWindowsIsOneAttempt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.up.fault(epMail, refuseWith(429, "too_many_requests"))
	req := d.request()
	req.SendResetEmail = true
	mail := d.delete(req).Latest(audit.ActionResetEmail)
	d.up.fault(epMail, nil)
	var windows sync.WaitGroup
	for range 8 {
		windows.Go(func() {
			if _, err := d.Retry(t.Context(), d.actor(), mail.ID, d.NewOperationID()); err != nil && !errors.Is(err, helpdesk.ErrNotRetryable) {
				t.Errorf("Retry: %v", err)
			}
		})
	}
	windows.Wait()
	if n := d.up.count(epMail); n != 2 {
		t.Errorf("%d mails asked for, want 2: the one that failed and one more", n)
	}
}

func TestRetryRepeatsOneStepAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.up.fault(epMail, refuseWith(429, "too_many_requests"))
	req := d.request()
	req.SignOutEverywhere, req.SendResetEmail = true, true
	op := d.delete(req)
	mail, out := op.Latest(audit.ActionResetEmail), op.Latest(audit.ActionRevokeSessions)
	d.up.fault(epMail, nil)

	if _, err := d.Retry(t.Context(), d.actor(), out.ID, d.NewOperationID()); !errors.Is(err, helpdesk.ErrNotRetryable) {
		t.Errorf("retry of what succeeded: %v, want ErrNotRetryable", err)
	}
	if _, err := d.Retry(t.Context(), d.actor(), op.ID, d.NewOperationID()); !errors.Is(err, helpdesk.ErrNotRetryable) {
		t.Errorf("retry of the deletion: %v, want ErrNotRetryable", err)
	}
	newID := d.NewOperationID()
	for range 2 { // the second is a double click
		again, err := d.Retry(t.Context(), d.actor(), mail.ID, newID)
		if err != nil || again.ID != newID || again.Attempt != 2 || again.Outcome != audit.OutcomeSucceeded {
			t.Fatalf("Retry = %+v, %v", again, err)
		}
	}
	if _, err := d.Retry(t.Context(), d.actor(), mail.ID, d.NewOperationID()); !errors.Is(err, helpdesk.ErrNotRetryable) {
		t.Errorf("retry of an attempt that was repeated: %v, want ErrNotRetryable", err)
	}
	if d.up.count(epMail) != 2 || d.up.count(epRevoke) != 1 || d.up.count(epDelete) != 1 {
		t.Errorf("sent %v", d.up.order())
	}
	stored, err := d.Operation(t.Context(), orgID, op.ID)
	if err != nil || !stored.Latest(audit.ActionResetEmail).Done() {
		t.Errorf("the operation's newest mail is %+v, %v", stored.Latest(audit.ActionResetEmail), err)
	}
}

func TestRequireReset(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
		mail   string
		retry  bool
	}{
		{"good", nil, "succeeded", "succeeded", false},
		{"lost", drop, "unknown", "cancelled", true},
		{"not cross-organization", refuseWith(400, "cross_org_passwords_not_enabled"), "failed", "cancelled", true},
		{"another member", func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 200, map[string]any{"request_id": "r", "member_id": otherID})
		}, "unknown", "cancelled", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			if tt.answer != nil {
				d.up.fault(epRequire, tt.answer)
			}
			req := d.request()
			req.SendResetEmail = true
			op, err := d.RequireReset(t.Context(), d.actor(), req)
			if err != nil {
				t.Fatal(err)
			}
			mail := op.Latest(audit.ActionResetEmail)
			if string(op.Outcome) != tt.want || string(mail.Outcome) != tt.mail || op.Retryable() != tt.retry {
				t.Errorf("%s, mail %s, retryable %v; want %s, %s, %v", op.Outcome, mail.Outcome, op.Retryable(), tt.want, tt.mail, tt.retry)
			}
			if d.up.header(epRequire).Get("X-Stytch-Member-Session") == "" {
				t.Error("it did not carry the acting session")
			}
			// What it did cannot be read, so no settling makes it final.
			d.pass(time.Hour)
			if err := d.Settle(t.Context()); err != nil {
				t.Error(err)
			}
			if got, err := d.Operation(t.Context(), orgID, op.ID); err != nil || got.Outcome != op.Outcome {
				t.Errorf("after settling: %s, %v; want %s still", got.Outcome, err, op.Outcome)
			}
		})
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		answer    http.HandlerFunc
		confirmed bool
		calls     int
	}{
		{"good", nil, true, 1},
		{"already over", refuseWith(404, "session_not_found"), true, 1},
		{"refused twice", refuseWith(500, "internal_server_error"), false, 2},
		{"lost twice", drop, false, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			a := d.actor()
			ended := func() bool {
				ok, err := d.SessionEnded(t.Context(), a.Acting.Hash())
				if err != nil {
					t.Error(err)
				}
				return ok
			}
			var endedFirst atomic.Bool
			d.up.fault(epRevoke, func(w http.ResponseWriter, r *http.Request) {
				endedFirst.Store(ended())
				if tt.answer != nil {
					tt.answer(w, r)
					return
				}
				d.up.answer(w, epRevoke)
			})
			if ended() {
				t.Fatal("ended before it began")
			}
			confirmed, err := d.SignOut(t.Context(), a, d.now().Add(time.Hour))
			if err != nil || confirmed != tt.confirmed || d.up.count(epRevoke) != tt.calls {
				t.Errorf("SignOut = %v, %v after %d calls; want %v after %d", confirmed, err, d.up.count(epRevoke), tt.confirmed, tt.calls)
			}
			if !endedFirst.Load() || !ended() {
				t.Errorf("refused here before Stytch was asked: %v, and now: %v; want both", endedFirst.Load(), ended())
			}
			if got := d.up.header(epRevoke).Get("X-Stytch-Member-Session"); got != "" {
				t.Errorf("signing oneself out carried the acting session header %q", got)
			}
			d.pass(2 * time.Hour)
			if err := d.Settle(t.Context()); err != nil {
				t.Error(err)
			}
			if ended() {
				t.Error("kept after the session could no longer be used")
			}
		})
	}
}

func TestFailedSignInsAreCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	attempt := helpdesk.SignInAttempt{
		OrganizationID: orgID, TypedEmail: "ann@acme.example", Outcome: audit.OutcomeFailed, IP: "192.0.2.9",
		HTTP: audit.HTTP{Status: 401, ErrorType: "unauthorized_credentials"},
	}
	for range 25 {
		if err := d.RecordSignIn(t.Context(), attempt); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (single, counted int) {
		p, err := d.log.List(t.Context(), orgID, audit.Filter{ActorQuery: "ann@acme"}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range p.Events {
			switch ev.Action {
			case audit.ActionSignIn:
				single++
			case audit.ActionSignInThrottled:
				counted += ev.Count
			default:
				t.Errorf("unexpected %s", ev.Action)
			}
		}
		return single, counted
	}
	if single, counted := list(); single != 10 || counted != 0 {
		t.Errorf("in the first minute: %d singly, %d counted; want 10 and none yet", single, counted)
	}
	d.pass(61 * time.Second)
	if err := d.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if single, counted := list(); single != 10 || counted != 15 {
		t.Errorf("after it: %d singly, %d counted; want 10 and 15", single, counted)
	}
	if err := d.RecordSignIn(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	if single, _ := list(); single != 11 {
		t.Errorf("the next minute: %d singly, want 11", single)
	}
}

func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	req := d.request()
	req.SignOutEverywhere, req.SendResetEmail = true, true
	d.delete(req)
	if _, err := d.SignOut(t.Context(), d.actor(), d.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`SELECT record FROM operations`, `SELECT token_hash FROM ended_sessions`, `SELECT bytes FROM audit_events`, `SELECT text FROM audit_subjects`,
	} {
		rows, err := d.db.Reader().QueryContext(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(s, "canary-session-token") || strings.Contains(s, "secret-test-1") {
				t.Errorf("%s holds a secret: %s", q, s)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFirstFinalOutcomeStands lets another process settle an operation while
// this one is still reading the member again.
func TestFirstFinalOutcomeStands(t *testing.T) {
	t.Parallel()
	up, path, key := newUpstream(t), filepath.Join(t.TempDir(), "console.db"), newKey(t)
	d := openDesk(t, up, path, key)
	d2 := openDesk(t, up, path, key)
	d2.pass(time.Minute)
	reads := 0
	up.fault(epDelete, refuseWith(http.StatusInternalServerError, "internal_server_error"))
	up.fault(epMember, func(w http.ResponseWriter, _ *http.Request) {
		reads++
		if reads == 2 { // the re-read of the first process
			up.setPassword("")
			if err := d2.Settle(t.Context()); err != nil {
				t.Error(err)
			}
		}
		up.answer(w, epMember)
	})
	op := d.delete(d.request())
	if op.State != helpdesk.StateFinal || op.Outcome != audit.OutcomeSucceeded {
		t.Errorf("%s %s, want what the other process found", op.State, op.Outcome)
	}
	want := []string{"intent", "outcome unknown/upstream_fault", "outcome succeeded/re-read by system"}
	if diff := cmp.Diff(want, d.events(op.ID)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// TestNothingIsSentLate stops the process for a minute once its intent is on
// disk: by then another may have settled it.
func TestNothingIsSentLate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	req := d.request()
	d.jump = func() time.Duration {
		var n int
		if err := d.db.Reader().QueryRowContext(context.Background(), `SELECT count(*) FROM operations`).Scan(&n); err != nil {
			t.Error(err)
		}
		return time.Duration(n) * time.Minute
	}
	op := d.delete(req)
	if op.Outcome != audit.OutcomeFailed || op.Detail != helpdesk.DetailTooLate {
		t.Errorf("outcome %s/%s, want failed/too_late", op.Outcome, op.Detail)
	}
	if got := d.up.count(epDelete); got != 0 {
		t.Errorf("%d deletions sent, want none", got)
	}
}
