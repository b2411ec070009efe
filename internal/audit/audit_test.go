package audit_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

const (
	acme   = "organization-test-acme"
	globex = "organization-test-globex"
)

// clock goes on a step with every look at it, a second unless it says otherwise.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(cmp.Or(c.step, time.Second))
	return c.now
}

// store is a store with a started log on it.
type store struct {
	*databasetest.Store
	db             *database.DB
	log            *audit.Log
	signer, public string
	clock          *clock
	logged         *logged
}

// logged keeps the messages of a logger.
type logged struct {
	slog.Handler
	mu      sync.Mutex
	records []slog.Record
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	return nil
}

func (l *logged) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// onEach runs a test on a new store of each kind.
func onEach(t *testing.T, test func(t *testing.T, s *store)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) { test(t, newStoreAt(t, place)) })
}

// newStore is a store of the kind that is a file.
func newStore(tb testing.TB) *store {
	tb.Helper()
	return newStoreAt(tb, databasetest.SQLite(tb))
}

func newStoreAt(tb testing.TB, place *databasetest.Store) *store {
	tb.Helper()
	s := storeAt(place)
	var err error
	if s.signer, s.public, err = audit.NewKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	s.open(tb)
	if err := s.log.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

func storeAt(place *databasetest.Store) *store {
	return &store{
		Store: place,
		clock: &clock{now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}, logged: new(logged),
	}
}

// open opens the store, without starting the log.
func (s *store) open(tb testing.TB) {
	tb.Helper()
	s.db = s.Open(tb)
	var err error
	s.log, err = audit.New(s.db, s.signer, audit.Options{Now: s.clock.Now, Rand: rand.Reader, Build: "test", Logger: slog.New(s.logged)})
	if err != nil {
		tb.Fatal(err)
	}
}

// tamper runs SQL on the store behind everybody's back.
func (s *store) tamper(tb testing.TB, sqls ...string) {
	tb.Helper()
	s.Exec(tb, sqls...)
}

// copyTo copies the file of an SQLite store as a backup would be taken.
func (s *store) copyTo(tb testing.TB, path string) {
	tb.Helper()
	s.Exec(tb, `VACUUM INTO '`+path+`'`)
}

func (s *store) record(tb testing.TB, ev audit.Event) audit.Event {
	tb.Helper()
	recorded, err := s.log.Record(tb.Context(), ev)
	if err != nil {
		tb.Fatal(err)
	}
	return recorded
}

func (s *store) verify(tb testing.TB) audit.Report {
	tb.Helper()
	report, err := audit.Verify(tb.Context(), s.db, s.public, audit.VerifyOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// deletion is the intent (n even) or the outcome (n odd) of a deleted password.
func deletion(organizationID string, n int) audit.Event {
	ev := audit.Event{
		OrganizationID: organizationID, Action: audit.ActionDeletePassword, Phase: audit.PhaseIntent,
		OperationID: fmt.Sprintf("operation-%d", n/2),
		Actor: audit.Actor{
			MemberID: "member-test-helpdesk", Email: "helpdesk@acme.example", SessionID: "session-test-1",
			AuthFactors: []string{"password", "totp"},
		},
		Target: audit.Target{
			Type: "member", ID: fmt.Sprintf("member-test-%d", n/2), Label: fmt.Sprintf("Person %d \"Ö%%_\"", n/2),
			Email: fmt.Sprintf("person%d@acme.example", n/2), PasswordID: fmt.Sprintf("member-password-test-%d", n/2),
		},
		Reason: "caller lost the phone\nand said so", Ticket: "HD-1", Attempt: 1,
		Source: audit.Source{IP: "192.0.2.7", UserAgent: "test"}, RequestID: fmt.Sprintf("request-%d", n),
	}
	if n%2 == 1 {
		ev.Phase, ev.Outcome, ev.Detail = audit.PhaseOutcome, audit.OutcomeSucceeded, "answer"
		ev.HTTP, ev.UpstreamRequestID = audit.HTTP{Status: 200}, fmt.Sprintf("request-id-test-%d", n)
	}
	return ev
}
