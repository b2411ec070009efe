package helpdesk

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"orgconsole/internal/audit"
)

const (
	// failuresSingly is how many failed sign-ins of one address and account
	// are recorded one by one in a minute; the rest is recorded as a count.
	failuresSingly = 10
	failureWindow  = time.Minute
	maxFailureKeys = 10_000
)

// SignInAttempt is one attempt to sign in or one step of it, successful or not.
type SignInAttempt struct {
	Action            audit.Action // zero: audit.ActionSignIn
	OrganizationID    string       // the organization's real id; empty when no such organization is known
	TypedOrganization string       // as typed; recorded only when OrganizationID is empty
	TypedEmail        string       // as typed; recorded only when it is an address
	MemberID          string       // where the upstream has said who it is
	Email             string       // with MemberID
	SessionID         string       // of a session that was made
	Factors           []string
	Outcome           audit.Outcome
	HTTP              audit.HTTP
	UpstreamRequestID string
	Detail            string
	IP                string
	UserAgent         string
	RequestID         string
}

// RecordSignIn records an attempt to sign in, in the organization that was
// named if it exists and in the system's tree if not. Failures anybody may
// cause: of many in a row most are counted instead.
func (d *Desk) RecordSignIn(ctx context.Context, a SignInAttempt) error {
	if a.Outcome != audit.OutcomeSucceeded && !d.failures.singly(a, d.now()) {
		return nil
	}
	_, err := d.audit.Record(ctx, signInEvent(a))
	return err
}

func signInEvent(a SignInAttempt) audit.Event {
	ev := audit.Event{
		OrganizationID: a.OrganizationID, Action: cmp.Or(a.Action, audit.ActionSignIn), Phase: audit.PhaseInfo,
		Actor:   audit.Actor{MemberID: a.MemberID, Email: a.Email, SessionID: a.SessionID, AuthFactors: a.Factors},
		Outcome: a.Outcome, Detail: a.Detail, HTTP: a.HTTP, UpstreamRequestID: a.UpstreamRequestID, Attempt: 1,
		Source: audit.Source{IP: a.IP, UserAgent: a.UserAgent}, RequestID: a.RequestID,
	}
	if a.MemberID == "" {
		ev.Actor.Email = a.TypedEmail
	}
	if a.OrganizationID == "" && a.TypedOrganization != "" {
		ev.Target = audit.Target{Type: "organization", Label: a.TypedOrganization}
	}
	return ev
}

// failureCounter keeps failed sign-ins from filling the audit.
type failureCounter struct {
	mu      sync.Mutex // guards windows
	windows map[failureKey]*failures
}

type failureKey struct{ ip, organizationID, account string }

type failures struct {
	since   time.Time
	seen    int
	counted int
	last    SignInAttempt
}

func newFailureCounter() *failureCounter {
	return &failureCounter{windows: map[failureKey]*failures{}}
}

// singly reports whether a failure is to be recorded by itself; otherwise it
// was counted.
func (c *failureCounter) singly(a SignInAttempt, now time.Time) bool {
	key := failureKey{Network(a.IP), a.OrganizationID, cmp.Or(a.MemberID, a.TypedEmail)}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.windows[key]
	if w == nil {
		if len(c.windows) >= maxFailureKeys {
			// Beyond the bound everything unusual shares one window, and is counted there.
			key = failureKey{}
			w = c.windows[key]
		}
		if w == nil {
			w = &failures{since: now}
			c.windows[key] = w
		}
	}
	if now.Sub(w.since) >= failureWindow && w.counted == 0 {
		w.since, w.seen = now, 0
	}
	w.seen++
	if w.seen <= failuresSingly {
		return true
	}
	w.counted++
	w.last = a
	return false
}

// Network is what one subscriber usually has: an IPv4 address or an IPv6 /64.
func Network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is4() {
		return ip
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}

// due takes out what was counted in windows that are over, or in all.
func (c *failureCounter) due(now time.Time, all bool) []failures {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []failures
	for key, w := range c.windows {
		if !all && now.Sub(w.since) < failureWindow {
			continue
		}
		if w.counted > 0 {
			out = append(out, *w)
		}
		delete(c.windows, key)
	}
	return out
}

// flushFailures records what was counted.
func (d *Desk) flushFailures(ctx context.Context, all bool) error {
	var errs []error
	for _, w := range d.failures.due(d.now(), all) {
		ev := signInEvent(w.last)
		ev.Action, ev.Count = audit.ActionSignInThrottled, w.counted
		_, err := d.audit.Record(ctx, ev)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
