package handlers_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/handlers"
)

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestThrottleLetsABusyDeskThrough(t *testing.T) {
	t.Parallel()
	c := newClock()
	throttle := handlers.NewThrottle(c.Now)
	// An hour of 20 a minute from one address, 10 of them for one account.
	for minute := range 60 {
		for i := range 20 {
			email := "shared@acme.example"
			if i%2 == 1 {
				email = fmt.Sprintf("agent-%d@acme.example", i)
			}
			if wait := throttle.Try("192.0.2.1", "acme", email, true); wait > 0 {
				t.Fatalf("minute %d, sign-in %d: told to wait %s", minute, i, wait)
			}
		}
		c.add(time.Minute)
	}
}

func TestThrottleSlowsGuessing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		try       func(i int) (ip, organization, email string)
		atOnce    int // how many pass at once
		perMinute int // and then in a minute, at most
	}{
		{"one account", func(i int) (string, string, string) {
			return fmt.Sprintf("192.0.%d.%d", i/250, i%250), "acme", "ada@acme.example"
		}, 20, 8},
		{"one account, spelled differently", func(i int) (string, string, string) {
			return fmt.Sprintf("192.0.%d.%d", i/250, i%250), []string{"acme", "ACME"}[i%2], []string{"ada@acme.example", "Ada@Acme.example"}[i/2%2]
		}, 20, 8},
		{"one person in many organizations", func(i int) (string, string, string) {
			return fmt.Sprintf("192.0.%d.%d", i/250, i%250), fmt.Sprintf("org-%d", i), "ada@acme.example"
		}, 40, 15},
		{"one address", func(i int) (string, string, string) {
			return "192.0.2.1", fmt.Sprintf("org-%d", i), fmt.Sprintf("p%d@x.example", i)
		}, 60, 30},
		{"one IPv6 network", func(i int) (string, string, string) {
			return fmt.Sprintf("2001:db8::%x", i+1), fmt.Sprintf("org-%d", i), fmt.Sprintf("p%d@x.example", i)
		}, 60, 30},
		{"one organization", func(i int) (string, string, string) {
			return fmt.Sprintf("192.%d.%d.1", i/250, i%250), "acme", fmt.Sprintf("p%d@acme.example", i)
		}, 300, 150},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			throttle := handlers.NewThrottle(c.Now)
			n := 0
			pass := func() (passed int) {
				for {
					ip, organization, email := tt.try(n)
					if throttle.Try(ip, organization, email, false) > 0 {
						return passed
					}
					n++
					passed++
				}
			}
			// Keys may meet in one bucket, rarely; then a little less passes.
			if got := pass(); got > tt.atOnce || got < tt.atOnce*8/10 {
				t.Errorf("%d failures pass at once, want %d", got, tt.atOnce)
			}
			passed := 0
			for range 60 {
				c.add(time.Second)
				passed += pass()
			}
			if passed > tt.perMinute || passed < tt.perMinute*8/10 {
				t.Errorf("%d failures pass in the minute after, want %d", passed, tt.perMinute)
			}
		})
	}
}

func TestThrottleSaysHowLong(t *testing.T) {
	t.Parallel()
	c := newClock()
	throttle := handlers.NewThrottle(c.Now)
	var wait time.Duration
	for wait == 0 {
		wait = throttle.Try("192.0.2.1", "acme", "ada@acme.example", false)
	}
	if again := throttle.Try("192.0.2.1", "acme", "ada@acme.example", false); again != wait {
		t.Errorf("being refused costs: %s, then %s", wait, again)
	}
	c.add(wait - time.Millisecond)
	if throttle.Try("192.0.2.1", "acme", "ada@acme.example", false) == 0 {
		t.Error("let through before the time it said")
	}
	c.add(2 * time.Millisecond)
	if left := throttle.Try("192.0.2.1", "acme", "ada@acme.example", false); left > 0 {
		t.Errorf("told to wait %s more", left)
	}
}

func TestThrottledSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	wrong := loginForm(ada)
	wrong.Set("organization", "nowhere") // so that nobody gets locked
	b := s.browser()
	var resp *answer
	for range 50 {
		if resp = b.post("/login/password", wrong); resp.StatusCode != http.StatusUnauthorized {
			break
		}
	}
	resp.wantStatus(http.StatusTooManyRequests)
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
	resp.wantAlert("Too many attempts", "Wait "+strconv.Itoa(seconds)+" second")
	if got := resp.doc().Find("#email").AttrOr("value", ""); got != ada.Email {
		t.Errorf("email %q is kept, want %q", got, ada.Email)
	}
	upstream := len(s.calls("passwords.authenticate"))
	b.post("/login/password", wrong).wantStatus(http.StatusTooManyRequests)
	if got := len(s.calls("passwords.authenticate")); got != upstream {
		t.Error("a throttled attempt was sent upstream")
	}
	if !strings.Contains(s.logs.String(), `"msg":"sign-in throttled","since_start":2`) {
		t.Error("throttled attempts are not counted in the log")
	}
	s.browser().post("/login/password", loginForm(ada)).wantStatus(http.StatusSeeOther) // another account, another organization
	s.clock.add(time.Duration(seconds) * time.Second)
	b.post("/login/password", wrong).wantStatus(http.StatusUnauthorized)
}

// Over a day few codes of one person are guessed and few mails fill one mailbox,
// from however many networks and in however many organizations' names.
func TestThrottleByTheHourAndTheDay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		try   func(handlers.Throttle, int) time.Duration
		hours int
		most  int
	}{
		"codes in an hour": {func(th handlers.Throttle, i int) time.Duration {
			return th.Guess(fmt.Sprintf("192.%d.%d.1", i/250, i%250), fmt.Sprintf("org-%d", i), "ada@acme.example")
		}, 1, 120},
		"mails in a day": {func(th handlers.Throttle, i int) time.Duration {
			return th.Mail(fmt.Sprintf("192.%d.%d.1", i/250, i%250), fmt.Sprintf("org-%d", i), "Ada@acme.example")
		}, 24, 110},
	} {
		c := newClock()
		throttle := handlers.NewThrottle(c.Now)
		passed := 0
		for minute := range tt.hours * 60 {
			for i := range 5 {
				if tt.try(throttle, minute*5+i) == 0 {
					passed++
				}
			}
			c.add(time.Minute)
		}
		if passed > tt.most || passed < tt.most/2 {
			t.Errorf("%s: %d passed, want at most %d", name, passed, tt.most)
		}
	}
}
