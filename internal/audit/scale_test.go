package audit_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// scaleEvents is how many events the store has that the benchmarks share, by BENCH_EVENTS. 10,000,000 need 20 GB in the
// temporary folder and some minutes to be made, once for each kind of store.
func scaleEvents(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("BENCH_EVENTS")
	if text == "" {
		return 200_000
	}
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil || n < 1 {
		tb.Fatalf("BENCH_EVENTS is %q, not a number of events", text)
	}
	return n
}

// shared are the stores that benchmarks share, by kind: made by the first that asks.
var shared = struct { //nolint:gochecknoglobals // a store of millions is not made twice
	mu     sync.Mutex
	stores map[bool]sharedStore // by whether they are PostgreSQL
}{stores: make(map[bool]sharedStore)}

type sharedStore struct {
	store
	plainStore *databasetest.Store
	plainRows  int
	plainBytes string
}

// benchScaled runs a benchmark on a store of each kind with scaleEvents events of acme and their index. It must leave
// the store as it is. A table of plain rows is beside it, see store.plain.
func benchScaled(b *testing.B, bench func(b *testing.B, s *store, events int)) {
	b.Helper()
	events := scaleEvents(b)
	databasetest.BenchShared(b, func(b *testing.B, kind string, place func(name string) *databasetest.Store) {
		shared.mu.Lock()
		made, ok := shared.stores[kind == "postgres"]
		if !ok {
			made.make(b, kind, events, place)
			shared.stores[kind == "postgres"] = made
		}
		shared.mu.Unlock()
		s := made.store
		s.open(b)
		bench(b, &s, events)
	})
}

// make makes the stores that are not there from the last time, and removes none.
func (s *sharedStore) make(b *testing.B, kind string, events int, place func(name string) *databasetest.Store) {
	b.Helper()
	at := place(fmt.Sprintf("events%d", events))
	key := strings.TrimPrefix(at.URL, "sqlite://") + ".key"
	if at.Exists() {
		signer, err := os.ReadFile(key)
		if err != nil {
			b.Fatal("a store of which the key is not there: ", err)
		}
		s.store = *storeAt(at)
		s.signer = string(signer)
		if s.public, err = audit.PublicKey(s.signer); err != nil {
			b.Fatal(err)
		}
	} else {
		began := time.Now()
		s.store = *newStoreAt(b, at)
		s.fillScaled(b, events)
		s.db.Close()
		fmt.Fprintf(os.Stderr, "%s: %d events and their index made in %.0f s\n", kind, events, time.Since(began).Seconds())
		if kind == "sqlite" { // only now it is whole
			if err := os.WriteFile(key, []byte(s.signer), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	s.plainStore, s.plainRows = place(fmt.Sprintf("plain%d", events)), (min(events, plainMost)+999)/1000*1000
	made := s.plainStore.Exists()
	p := newPlain(b, s.plainStore)
	if !made {
		desk := newDesk(events)
		for n := 0; n < s.plainRows; n += 1000 {
			p.insert(b, desk, n, 1000)
		}
	}
	s.plainBytes = p.bytes
	p.db.Close()
}

// plain is the table of plain rows beside a store of benchScaled.
func (s *store) plain(b *testing.B) *plainTable {
	b.Helper()
	shared.mu.Lock()
	made := shared.stores[s.Postgres]
	shared.mu.Unlock()
	return &plainTable{db: made.plainStore.Open(b), rows: made.plainRows, bytes: made.plainBytes}
}

// deskEvent is an event of a desk in acme.
func deskEvent(d *desk, n int) audit.Event {
	ev := d.event(n)
	ev.OrganizationID = acme
	return ev
}

func (s *store) fillScaled(tb testing.TB, events int) {
	tb.Helper()
	desk := newDesk(events)
	if err := s.log.Fill(tb.Context(), acme, events, desk.event); err != nil {
		tb.Fatal(err)
	}
	if err := s.log.Index(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// desk makes up what a help desk does in a year: operations of 200 people on 100,000 members, in pairs of intent and
// outcome, and sign-ins.
type desk struct {
	rand   *rand.Rand
	start  time.Time
	step   time.Duration
	intent audit.Event
}

func newDesk(events int) *desk {
	return &desk{
		rand: rand.New(rand.NewPCG(1, 2)), start: time.Date(2025, 11, 23, 10, 0, 0, 0, time.UTC),
		step: 365 * 24 * time.Hour / time.Duration(max(events, 1)),
	}
}

const deskActors, deskMembers = 200, 100_000

func (d *desk) event(n int) audit.Event {
	at := d.start.Add(time.Duration(n) * d.step)
	if n%2 == 1 && d.intent.OperationID != "" {
		ev := d.intent
		d.intent = audit.Event{}
		return d.outcome(ev, at)
	}
	ev := audit.Event{
		Time: at, Phase: audit.PhaseIntent, Action: d.action(), OperationID: d.uuid(n), Actor: d.actor(), Attempt: 1,
		Source:    audit.Source{IP: fmt.Sprintf("192.0.2.%d", d.rand.IntN(200)), UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
		RequestID: d.uuid(n + 1),
	}
	if d.rand.IntN(5) == 0 { // a sign-in
		ev.Action, ev.Phase, ev.OperationID, ev.Outcome, ev.HTTP.Status = audit.ActionSignIn, audit.PhaseInfo, "", audit.OutcomeSucceeded, 200
		if d.rand.IntN(10) == 0 {
			ev.Outcome, ev.HTTP.Status = audit.OutcomeFailed, 401
		}
		return ev
	}
	member := d.rand.IntN(deskMembers)
	ev.Target = audit.Target{
		Type: "member", ID: memberID(member), Label: deskName(member), Email: deskAddress(member),
		PasswordID: "member-password-live-" + memberID(member)[len("member-live-"):],
	}
	ev.Reason, ev.Ticket = d.words(8), "HD-"+strconv.Itoa(10_000+d.rand.IntN(90_000))
	if d.rand.IntN(50) == 0 {
		ev.Phase, ev.Outcome, ev.HTTP.Status = audit.PhaseOutcome, audit.OutcomeDenied, 403
		return ev
	}
	d.intent = ev
	return ev
}

func (d *desk) outcome(ev audit.Event, at time.Time) audit.Event {
	ev.Time, ev.Phase, ev.Outcome, ev.Detail = at, audit.PhaseOutcome, audit.OutcomeSucceeded, "answer"
	ev.HTTP.Status, ev.UpstreamRequestID = 200, "request-id-live-"+d.uuid(int(ev.Time.UnixMilli()))
	switch d.rand.IntN(40) {
	case 0:
		ev.Outcome, ev.HTTP.Status = audit.OutcomeFailed, 429
	case 1:
		ev.Outcome, ev.HTTP.Status, ev.UpstreamRequestID = audit.OutcomeUnknown, 0, ""
	}
	return ev
}

func (d *desk) action() audit.Action {
	all := []audit.Action{audit.ActionDeletePassword, audit.ActionDeletePassword, audit.ActionRequireReset, audit.ActionResetEmail, audit.ActionRevokeSessions}
	return all[d.rand.IntN(len(all))]
}

func (d *desk) actor() audit.Actor {
	n := d.rand.IntN(deskActors)
	return audit.Actor{
		MemberID: memberID(deskMembers + n), Email: deskAddress(deskMembers + n), SessionID: "session-live-" + d.uuid(n),
		AuthFactors: []string{"password", "totp"},
	}
}

func (d *desk) uuid(n int) string {
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", uint32(n), d.rand.IntN(1<<16), d.rand.IntN(1<<12), d.rand.IntN(1<<16), d.rand.Uint64()>>16)
}

func (d *desk) words(n int) string {
	list := strings.Fields(deskWords)
	words := make([]string, n)
	for i := range words {
		words[i] = list[d.rand.IntN(len(list))]
	}
	return strings.Join(words, " ")
}

const deskWords = `caller lost phone laptop stolen password forgotten asked manager confirmed by badge number left company locked out after
	holiday new device suspected phishing mail reported security incident rotation requested account shared contractor ended
	return from leave cannot sign in code never arrives verified over video callback known`

func memberID(n int) string { return fmt.Sprintf("member-live-%08x-5f3a-4c1e-9b7d-0123456789ab", n) }

func deskName(n int) string {
	return firstNames[n%len(firstNames)] + " " + lastNames[n/7%len(lastNames)]
}

func deskAddress(n int) string {
	return strings.ToLower(firstNames[n%len(firstNames)]+"."+lastNames[n/7%len(lastNames)]) + strconv.Itoa(n) + "@acme.example"
}

var (
	firstNames = strings.Fields("Anna Ben Chloe David Emma Felix Grace Hugo Iris Jonas Karla Liam Mia Noah Olga Paul Quinn Rosa Sven Tara Uwe Vera Willi Xenia Yann Zoe") //nolint:gochecknoglobals // a constant
	lastNames  = strings.Fields("Adams Baker Clark Diaz Evans Frank Green Huber Ito Jones Klein Lopez Meyer Novak Olsen Patel Quade Rossi Smith Taylor Ueda Vogel Weber Xu Young Zhang")
)
