package helpdesk_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

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
	onEach(t, func(t *testing.T, d *desk) {
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
	})
}

func TestTwoSignOutsAtOnceRevokeOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
		entered, release := make(chan struct{}), make(chan struct{})
		d.up.fault(epRevoke, func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			d.up.answer(w, epRevoke)
		})
		var wg sync.WaitGroup
		signOut := func() {
			if confirmed, err := d.SignOut(t.Context(), d.actor(), d.now().Add(time.Hour)); !confirmed || err != nil {
				t.Errorf("SignOut = %v, %v; want it confirmed in every window", confirmed, err)
			}
		}
		wg.Go(signOut)
		<-entered
		for range 4 {
			wg.Go(signOut)
		}
		for limit := time.Now().Add(10 * time.Second); waitingSignOuts() < 4; runtime.Gosched() {
			if time.Now().After(limit) {
				t.Error("the other windows do not wait for the first")
				break
			}
		}
		close(release)
		wg.Wait()
		if got := d.up.count(epRevoke); got != 1 {
			t.Errorf("%d revocations sent, want 1", got)
		}
	})
}

// waitingSignOuts counts the goroutines that wait for somebody else's sign-out.
func waitingSignOuts() int {
	all := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if strings.Contains(stack, "singleflight.(*Group).Do(") && strings.Contains(stack, "sync.(*WaitGroup).Wait(") {
			n++
		}
	}
	return n
}
