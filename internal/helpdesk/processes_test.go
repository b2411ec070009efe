package helpdesk_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
	"orgconsole/internal/helpdesk"
)

// twoProcesses runs a test on two desks that share a store and an upstream.
func twoProcesses(t *testing.T, test func(t *testing.T, d, d2 *desk)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		up, key := newUpstream(t), newKey(t)
		test(t, openDesk(t, up, place, key), openDesk(t, up, place, key))
	})
}

// The two clicks of a double click may reach two processes.
func TestTwoProcessesSendOneDeletion(t *testing.T) {
	t.Parallel()
	for name, together := range map[string]bool{"both saw the password": true, "one came when it was gone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twoProcesses(t, func(t *testing.T, d, d2 *desk) {
				req := d.request()
				var reads sync.WaitGroup
				reads.Add(2)
				deleted := make(chan struct{})
				d.up.onDelete = func() { close(deleted) }
				var mu sync.Mutex
				n := 0
				d.up.fault(epMember, func(w http.ResponseWriter, _ *http.Request) {
					mu.Lock()
					n++
					second := n == 2
					mu.Unlock()
					if together {
						d.up.answer(w, epMember)
						reads.Done()
						reads.Wait()
						return
					}
					if second {
						<-deleted
					}
					d.up.answer(w, epMember)
				})
				ops := make([]*helpdesk.Operation, 2)
				var all sync.WaitGroup
				for i, each := range []*desk{d, d2} {
					all.Go(func() {
						op, err := each.DeletePassword(t.Context(), each.actor(), req)
						if err != nil {
							t.Errorf("process %d: %v", i, err)
						}
						ops[i] = op
					})
				}
				all.Wait()
				if got := d.up.count(epDelete); got != 1 {
					t.Errorf("%d deletions sent, want 1", got)
				}
				for i, op := range ops {
					if op == nil || op.ID != req.OperationID || op.State == helpdesk.StateFinal && op.Outcome != audit.OutcomeSucceeded {
						t.Errorf("process %d: %+v, want the one operation", i, op)
					}
				}
				if diff := cmp.Diff([]string{"intent", "outcome succeeded/answer"}, d.events(req.OperationID)); diff != "" {
					t.Errorf("audit (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestProcessesRetryAStepOnce(t *testing.T) {
	t.Parallel()
	twoProcesses(t, func(t *testing.T, d, d2 *desk) {
		d.up.fault(epMail, refuseWith(429, "too_many_requests"))
		req := d.request()
		req.SendResetEmail = true
		mail := d.delete(req).Latest(audit.ActionResetEmail)
		d.up.fault(epMail, nil)
		var windows sync.WaitGroup
		for i := range 8 {
			each := []*desk{d, d2}[i%2]
			windows.Go(func() {
				if _, err := each.Retry(t.Context(), each.actor(), mail.ID, each.NewOperationID()); err != nil && !errors.Is(err, helpdesk.ErrNotRetryable) {
					t.Errorf("Retry: %v", err)
				}
			})
		}
		windows.Wait()
		if n := d.up.count(epMail); n != 2 {
			t.Errorf("%d mails asked for, want 2: the one that failed and one more", n)
		}
	})
}

// A process that takes this one for dead cancels the steps that wait, and then they must not be done.
func TestCancelledStepIsNotBegun(t *testing.T) {
	t.Parallel()
	twoProcesses(t, func(t *testing.T, d, d2 *desk) {
		d2.pass(time.Hour)
		d.up.fault(epDelete, func(w http.ResponseWriter, _ *http.Request) {
			d.up.answer(w, epDelete)
			if err := d2.Settle(t.Context()); err != nil {
				t.Error(err)
			}
		})
		req := d.request()
		req.SignOutEverywhere, req.SendResetEmail = true, true
		op := d.delete(req)
		if d.up.count(epRevoke) != 0 || d.up.count(epMail) != 0 {
			t.Errorf("sent %v after the steps were cancelled", d.up.order())
		}
		stored, err := d.Operation(t.Context(), orgID, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range append(stored.Steps, op.Steps...) {
			if step.Outcome != audit.OutcomeCancelled || step.Detail != helpdesk.DetailStopped {
				t.Errorf("%s is %s/%s, want cancelled/%s", step.Action, step.Outcome, step.Detail, helpdesk.DetailStopped)
			}
			if diff := cmp.Diff([]string{"intent", "outcome cancelled/console_stopped by system"}, d.events(step.ID)); diff != "" {
				t.Errorf("audit of %s (-want +got):\n%s", step.Action, diff)
			}
		}
	})
}

// A process that takes this one for dead while it begins a step after all must leave the step to it.
func TestBegunStepIsNotCancelled(t *testing.T) {
	t.Parallel()
	up, key, place := newUpstream(t), newKey(t), databasetest.Postgres(t) // SQLite lets nobody begin anything meanwhile
	d, d2 := openDesk(t, up, place, key), openDesk(t, up, place, key)
	deleting, leased, revoking, cancelled := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	up.fault(epDelete, func(w http.ResponseWriter, _ *http.Request) {
		close(deleting)
		<-leased
		up.answer(w, epDelete)
	})
	up.fault(epRevoke, func(w http.ResponseWriter, _ *http.Request) {
		close(revoking)
		<-cancelled
		up.answer(w, epRevoke)
	})
	ahead := time.Hour
	d2.jump = func() time.Duration {
		var n int
		const q = `SELECT count(*) FROM operations WHERE state = 'asked' AND lease_owner <> ''`
		if err := d2.db.Reader().QueryRowContext(t.Context(), q).Scan(&n); err != nil {
			t.Error(err)
		}
		if n > 0 && ahead > 0 {
			close(leased)
			<-revoking
			ahead = 0
		}
		return ahead
	}
	req := d.request()
	req.SignOutEverywhere = true
	var op *helpdesk.Operation
	var all sync.WaitGroup
	all.Go(func() { op = d.delete(req) })
	<-deleting
	if err := d2.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	close(cancelled)
	all.Wait()
	step := op.Latest(audit.ActionRevokeSessions)
	if diff := cmp.Diff([]string{"intent", "outcome succeeded/answer"}, d.events(step.ID)); diff != "" {
		t.Errorf("audit of the step (-want +got):\n%s", diff)
	}
}

// However many processes settle, each lost answer is looked into once.
func TestProcessesShareTheSettling(t *testing.T) {
	t.Parallel()
	twoProcesses(t, func(t *testing.T, d, d2 *desk) {
		d.up.fault(epDelete, refuseWith(http.StatusInternalServerError, "internal_server_error"))
		const lost = 12
		var ids []string
		for range lost {
			ids = append(ids, d.delete(d.request()).ID)
		}
		d.up.setPassword("")
		before := d.up.count(epMember)
		d.pass(time.Minute)
		d2.pass(time.Minute)
		var all sync.WaitGroup
		for i := range 6 {
			each := []*desk{d, d2}[i%2]
			all.Go(func() {
				if err := each.Settle(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := d.up.count(epMember) - before; got != lost {
			t.Errorf("read %d times, want %d", got, lost)
		}
		for _, id := range ids {
			want := []string{"intent", "outcome unknown/upstream_fault", "outcome succeeded/re-read by system"}
			if diff := cmp.Diff(want, d.events(id)); diff != "" {
				t.Errorf("audit of %s (-want +got):\n%s", id, diff)
			}
		}
	})
}
