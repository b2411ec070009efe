package helpdesk_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
	"orgconsole/internal/helpdesk"
)

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
			onEach(t, func(t *testing.T, d *desk) {
				d.up.fault(epDelete, refuseWith(500, "internal_server_error"))
				op := d.delete(d.request())
				if op.State != helpdesk.StateUnknown {
					t.Fatalf("state %s, want unknown", op.State)
				}
				if n, err := d.CountUnsettled(t.Context()); err != nil || n != 1 {
					t.Errorf("CountUnsettled = %d, %v, want 1", n, err)
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
		})
	}
}

// TestCrashIsSettled lets the process die between intent and outcome, and a
// new one open the store.
func TestCrashIsSettled(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		up, key := newUpstream(t), newKey(t)
		d := openDesk(t, up, place, key)
		req := d.request()
		req.SignOutEverywhere = true
		up.fault(epDelete, func(w http.ResponseWriter, r *http.Request) {
			up.setPassword("")
			_ = d.db.Close() // from here on this process can write nothing, as if it were dead
			drop(w, r)
		})
		_, _ = d.DeletePassword(t.Context(), d.actor(), req)

		up.fault(epDelete, nil)
		d2 := openDesk(t, up, place, key)
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
	})
}

func TestLeaseKeepsTwoProcessesApart(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		up, key := newUpstream(t), newKey(t)
		d := openDesk(t, up, place, key)
		up.fault(epDelete, refuseWith(500, "internal_server_error"))
		op := d.delete(d.request())
		up.setPassword("")
		d.pass(time.Minute)
		d2 := openDesk(t, up, place, key)
		d2.pass(time.Minute)
		var wg sync.WaitGroup
		for _, each := range []*desk{d, d2, d, d2} {
			wg.Go(func() { _ = each.Settle(t.Context()) })
		}
		wg.Wait()
		if diff := cmp.Diff([]string{"intent", "outcome unknown/upstream_fault", "outcome succeeded/re-read by system"}, d.events(op.ID)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

// TestFirstFinalOutcomeStands lets another process settle an operation while
// this one is still reading the member again.
func TestFirstFinalOutcomeStands(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		up, key := newUpstream(t), newKey(t)
		d := openDesk(t, up, place, key)
		d2 := openDesk(t, up, place, key)
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
	})
}
