package stream_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
	"orgconsole/internal/stream"
)

const (
	acme   = "organization-test-acme"
	globex = "organization-test-globex"
)

// clock stands still unless it is told to go on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) later(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lockedBuffer may be written to and read from at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a store with a log, and what is said about sending it.
type site struct {
	*databasetest.Store
	db      *database.DB
	log     *audit.Log
	public  string
	signer  string
	clock   *clock
	logged  *lockedBuffer
	mu      sync.Mutex
	results map[string]int
}

func newSite(tb testing.TB, place *databasetest.Store) *site {
	tb.Helper()
	s := &site{Store: place, clock: newClock(), logged: new(lockedBuffer), results: map[string]int{}}
	var err error
	if s.signer, s.public, err = audit.NewKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	s.db = s.Open(tb)
	s.log = s.openLog(tb, s.db)
	if err := s.log.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *site) openLog(tb testing.TB, db *database.DB) *audit.Log {
	tb.Helper()
	log, err := audit.New(db, s.signer, audit.Options{Now: s.clock.Now, Rand: rand.Reader, Build: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

func (s *site) record(tb testing.TB, organizationID string, n int) {
	tb.Helper()
	for range n {
		_, err := s.log.Record(tb.Context(), audit.Event{
			OrganizationID: organizationID, Action: audit.ActionDeletePassword, Phase: audit.PhaseInfo,
			Actor: audit.Actor{MemberID: "member-test-1", Email: "ada@acme.example"}, Reason: "asked",
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (s *site) count(result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[result]++
}

// sender sends to an address, without jitter.
func (s *site) sender(tb testing.TB, o *audit.Outbox, address string, more ...func(*stream.Endpoint)) *stream.Sender {
	tb.Helper()
	secrets, err := stream.ParseSecrets(exampleSecret + "," + otherSecret)
	if err != nil {
		tb.Fatal(err)
	}
	endpoint, err := stream.NewEndpoint(address, secrets, "orgconsole/test", s.clock.Now)
	if err != nil {
		tb.Fatal(err)
	}
	for _, change := range more {
		change(endpoint)
	}
	return stream.New(stream.Options{
		Outbox: o, Endpoint: endpoint, Logger: slog.New(slog.NewTextHandler(s.logged, nil)),
		Random: func() float64 { return 1 }, Count: s.count,
	})
}

func (s *site) sink() *audit.Outbox { return audit.NewSink(s.log, "one", audit.FormatNDJSON) }

func pass(tb testing.TB, s *stream.Sender) {
	tb.Helper()
	if err := s.Pass(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (s *site) lag(tb testing.TB, o *audit.Outbox) audit.StreamLag {
	tb.Helper()
	lag, err := o.Lag(tb.Context(), acme)
	if err != nil {
		tb.Fatal(err)
	}
	return lag
}

// message is what a receiver got.
type message struct {
	id, contentType, organizationID string
	gone                            <-chan struct{} // closed when the sender has given up
	body                            []byte
	seqs                            []int64
}

// receiver checks each message as the specification of Standard Webhooks says, and keeps what it accepts.
type receiver struct {
	*httptest.Server
	clock *clock
	jumps time.Duration // how far the clock may go on while a message is under way

	mu       sync.Mutex
	asked    int
	accepted []message
	// answer may answer otherwise than with a 204, which is when it returns true. The message counts as accepted all the same.
	answer func(n int, m message, w http.ResponseWriter) bool
}

func newReceiver(tb testing.TB, c *clock) *receiver {
	tb.Helper()
	r := &receiver{clock: c}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.serve(tb, w, req) }))
	tb.Cleanup(r.CloseClientConnections)
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(tb testing.TB, w http.ResponseWriter, req *http.Request) {
	tb.Helper()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // it was cut off
	}
	m := message{id: req.Header.Get("Webhook-Id"), contentType: req.Header.Get("Content-Type"), gone: req.Context().Done(), body: body}
	if err := verifyWebhook(exampleSecret, req.Header, body, r.clock.Now(), 5*time.Minute+r.jumps); err != nil {
		tb.Errorf("%v", err)
	}
	if err := verifyWebhook(otherSecret, req.Header, body, r.clock.Now(), 5*time.Minute+r.jumps); err != nil {
		tb.Errorf("with the other secret: %v", err)
	}
	if req.Method != http.MethodPost || req.Header.Get("User-Agent") != "orgconsole/test" {
		tb.Errorf("%s by %s", req.Method, req.Header.Get("User-Agent"))
	}
	for line := range bytes.Lines(body) {
		var event struct {
			Kind           string
			Seq            int64
			OrganizationID string `json:"organization_id"`
		}
		if json.Unmarshal(line, &event) != nil {
			continue // a checkpoint
		}
		if event.Kind == "" {
			m.seqs = append(m.seqs, event.Seq)
			m.organizationID = event.OrganizationID
		}
	}
	r.mu.Lock()
	r.asked++
	n, answer := r.asked, r.answer
	r.mu.Unlock()
	r.mu.Lock()
	r.accepted = append(r.accepted, m)
	r.mu.Unlock()
	if answer == nil || !answer(n, m, w) {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *receiver) got() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accepted)
}

func (r *receiver) answers(f func(n int, m message, w http.ResponseWriter) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// status answers always with one, and headers.
func status(code int, headers ...string) func(int, message, http.ResponseWriter) bool {
	return func(_ int, _ message, w http.ResponseWriter) bool {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

// verifyWebhook is the specification's recipe for receivers, written without
// a look at how messages are signed here.
func verifyWebhook(secret string, h http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	id, timestamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return fmt.Errorf("webhook-timestamp %q at %v", timestamp, now)
	}
	if id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("webhook-id %q", id)
	}
	key, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	for versioned := range strings.SplitSeq(h.Get("webhook-signature"), " ") {
		version, signature, _ := strings.Cut(versioned, ",")
		got, err := base64.StdEncoding.DecodeString(signature)
		if version == "v1" && err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q fits", h.Get("webhook-signature"))
}

// until calls f until it is true.
func until(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			tb.Fatalf("not within half a minute: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
