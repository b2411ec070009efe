package helpdesk_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
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
	return openDesk(t, newUpstream(t), databasetest.SQLite(t), newKey(t))
}

// onEach runs a test on a new store of each kind.
func onEach(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) { test(t, openDesk(t, newUpstream(t), place, newKey(t))) })
}

func newKey(t *testing.T) string {
	t.Helper()
	signer, _, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func openDesk(t *testing.T, up *upstream, place *databasetest.Store, key string) *desk {
	t.Helper()
	d := &desk{t: t, up: up, clock: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	d.db = place.Open(t)
	var err error
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

func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
		req := d.request()
		req.SignOutEverywhere, req.SendResetEmail = true, true
		d.delete(req)
		if _, err := d.SignOut(t.Context(), d.actor(), d.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{
			`SELECT record FROM operations`, `SELECT token_hash FROM ended_sessions`, `SELECT bytes FROM audit_events`, `SELECT concat_ws(' ', actor_email, target_label, target_email, source_ip) FROM audit_texts`,
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
	})
}
