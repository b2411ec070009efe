package helpdesk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

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
	onEach(t, func(t *testing.T, d *desk) {
		d.up.Close()
		op := d.delete(d.request())
		if op.Outcome != audit.OutcomeFailed || op.Detail != helpdesk.DetailNotSent {
			t.Errorf("outcome %s/%s, want failed/not_sent", op.Outcome, op.Detail)
		}
	})
}

func TestDeleteCarriesActingSessionAfterIntent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

func TestNoIntentNoCall(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
		if err := d.db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.DeletePassword(t.Context(), d.actor(), d.request()); err == nil {
			t.Error("a store that cannot be written is an error")
		}
		if got := d.up.count(epDelete); got != 0 {
			t.Errorf("%d deletions sent without an intent on disk", got)
		}
	})
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
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

func TestTwoAtOnceSendOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

func TestInvalidRequestIsNotRecorded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

// TestNothingIsSentLate stops the process for a minute once its intent is on
// disk: by then another may have settled it.
func TestNothingIsSentLate(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}
