package helpdesk_test

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

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
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

func TestRetryRepeatsOneStepAlone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
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
	})
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
