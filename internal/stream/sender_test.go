package stream_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
	"orgconsole/internal/stream"
)

func TestSenderSendsAll(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		r := newReceiver(t, s.clock)
		s.record(t, acme, 3)
		s.record(t, globex, 2)
		o := s.sink()
		sender := s.sender(t, o, r.URL+"/in?key=hidden")
		pass(t, sender)
		got := map[string][]int64{}
		for _, m := range r.got() {
			got[m.organizationID] = append(got[m.organizationID], m.seqs...)
			if m.contentType != "application/x-ndjson" {
				t.Errorf("Content-Type %s", m.contentType)
			}
			if _, err := audit.VerifyExport(bytes.NewReader(m.body), s.public); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(map[string][]int64{"": {0, 1, 2, 3}, acme: {0, 1, 2}, globex: {0, 1}}, got); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		pass(t, sender)
		if n := len(r.got()); n != 3 {
			t.Errorf("%d messages, want 3: something was sent twice", n)
		}
		s.record(t, acme, 1)
		// A restart goes on where the one before was.
		pass(t, s.sender(t, audit.NewSink(s.openLog(t, s.Open(t)), "one", audit.FormatNDJSON), r.URL))
		all := r.got()
		if last := all[len(all)-1]; len(all) != 4 || !cmp.Equal(last.seqs, []int64{3}) {
			t.Errorf("after a restart: %d messages, the last of %v", len(all), last.seqs)
		}
		if lag := s.lag(t, o); lag.Waiting != 0 || lag.Problem != "" || !lag.LastDelivery.Equal(s.clock.Now()) {
			t.Errorf("lag %+v", lag)
		}
		if s.logged.String() != "" {
			t.Errorf("it complains:\n%s", s.logged)
		}
	})
}

func TestSenderSendsOCSF(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	r := newReceiver(t, s.clock)
	s.record(t, acme, 2)
	pass(t, s.sender(t, audit.NewSink(s.log, "one", audit.FormatOCSF), r.URL))
	for _, m := range r.got() {
		for line := range bytes.Lines(m.body) {
			if !bytes.Contains(line, []byte(`"version":"1.8.0"`)) {
				t.Errorf("not OCSF: %s", line)
			}
		}
	}
	if n := len(r.got()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// What a receiver answers other than a 2xx is said and sent again later, as
// the same message; nothing after it overtakes.
func TestSenderRetries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answer  func(int, message, http.ResponseWriter) bool
		wait    time.Duration // at least, after the first
		result  string
		problem string
	}{
		{"500", status(500), stream.FirstWait, stream.ResultFailed, "500 Internal Server Error"},
		{"503 with seconds", status(503, "Retry-After", "120"), 2 * time.Minute, stream.ResultFailed, "503"},
		{"429", status(429, "Retry-After", "90"), 90 * time.Second, stream.ResultThrottled, "429 Too Many Requests"},
		{"429 with a date", status(429, "Retry-After", newClock().Now().Add(7*time.Minute).Format(http.TimeFormat)), 7 * time.Minute, stream.ResultThrottled, "429"},
		{"429 for ever", status(429, "Retry-After", "99999999999"), time.Hour, stream.ResultThrottled, "429"},
		{"429 with nonsense", status(429, "Retry-After", "soon"), stream.FirstWait, stream.ResultThrottled, "429"},
		{"410", status(410), stream.FirstWait, stream.ResultRefused, "nobody receives there any more"},
		{"400", status(400), stream.FirstWait, stream.ResultRefused, "400 Bad Request"},
		{"401", status(401), stream.FirstWait, stream.ResultRefused, "the secret"},
		{"413", status(413), stream.FirstWait, stream.ResultRefused, "1 MiB"},
		{"redirect", status(307, "Location", "/elsewhere"), stream.FirstWait, stream.ResultRedirected, "not followed"},
		{"304", status(304), stream.FirstWait, stream.ResultRedirected, "304"},
		{"a status nobody knows", status(799), stream.FirstWait, stream.ResultFailed, "799"},
		{"garbage", raw("\x00\x01 hidden\r\n\r\n"), stream.FirstWait, stream.ResultUnanswered, "cannot be read"},
		{"closes", raw(""), stream.FirstWait, stream.ResultUnanswered, "connection"},
		{"endless headers", endless, stream.FirstWait, stream.ResultUnanswered, "cannot be read"},
		{"hangs", hang, stream.FirstWait, stream.ResultUnanswered, "in time"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, databasetest.SQLite(t))
			s.record(t, acme, 2)
			o := s.sink()
			r := newReceiver(t, s.clock)
			var endpoint *stream.Endpoint
			sender := s.sender(t, o, r.URL+"/hidden?hidden=hidden", func(e *stream.Endpoint) {
				e.SetTimeout(10 * time.Second)
				endpoint = e
			})
			// The system's tree is through before the receiver gets into trouble.
			r.answers(func(n int, m message, w http.ResponseWriter) bool {
				return m.organizationID != "" && test.answer(n, m, w)
			})
			if test.name == "hangs" { // the other answers may take their time
				endpoint.SetTimeout(time.Second)
			}
			pass(t, sender)
			endpoint.SetTimeout(10 * time.Second)
			if s.results[test.result] != 1 || s.results[stream.ResultAccepted] != 1 {
				t.Errorf("counted %v, want one %s", s.results, test.result)
			}
			lag := s.lag(t, o)
			if !strings.Contains(lag.Problem, test.problem) || lag.Waiting != 2 || !lag.NextTry.Equal(s.clock.Now().Add(test.wait)) {
				t.Errorf("lag %+v at %v, want a problem with %q and another try after %v", lag, s.clock.Now(), test.problem, test.wait)
			}
			s.record(t, acme, 1)
			s.clock.later(test.wait - time.Millisecond)
			pass(t, sender)
			if n := len(r.got()); n != 2 {
				t.Errorf("%d messages before the time, want 2", n)
			}
			r.answers(nil)
			s.clock.later(time.Millisecond)
			pass(t, sender)
			all := r.got()
			if len(all) != 4 || all[1].id != all[2].id || all[2].id == all[3].id ||
				!cmp.Equal([][]int64{all[1].seqs, all[2].seqs, all[3].seqs}, [][]int64{{0, 1}, {0, 1}, {2}}) {
				t.Fatalf("%d messages: %+v", len(all), all)
			}
			if lag := s.lag(t, o); lag.Waiting != 0 || lag.Problem != "" || !lag.NextTry.IsZero() {
				t.Errorf("lag %+v", lag)
			}
			// What is over is forgotten: the next trouble begins with the shortest wait.
			r.answers(status(500))
			s.record(t, acme, 1)
			pass(t, sender)
			if next := s.lag(t, o).NextTry; !next.Equal(s.clock.Now().Add(stream.FirstWait)) {
				t.Errorf("another trouble waits for %v", next.Sub(s.clock.Now()))
			}
			r.answers(nil)
			s.clock.later(stream.FirstWait)
			pass(t, sender)
			if lag := s.lag(t, o); lag.Waiting != 0 {
				t.Errorf("lag %+v", lag)
			}
			if log := s.logged.String(); strings.Contains(log+lag.Problem, "hidden") || strings.Contains(log, "whsec_") || strings.Contains(log, "v1,") ||
				!strings.Contains(log, test.problem) || !strings.Contains(log, "accepted again") {
				t.Errorf("the log tells too much or too little:\n%s", log)
			}
		})
	}
}

// raw answers bytes and closes the connection.
func raw(text string) func(int, message, http.ResponseWriter) bool {
	return func(_ int, _ message, w http.ResponseWriter) bool {
		conn := hijack(w)
		fmt.Fprint(conn, text)
		conn.Close()
		return true
	}
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

func endless(_ int, _ message, w http.ResponseWriter) bool {
	conn := hijack(w)
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n")
	for {
		if _, err := fmt.Fprintf(conn, "X-Hidden: %s\r\n", strings.Repeat("x", 1000)); err != nil {
			return true
		}
	}
}

// hang never answers.
func hang(_ int, m message, _ http.ResponseWriter) bool {
	<-m.gone
	return true
}

// A huge body, or one that never ends, after a 2xx is no reason to send again, nor to read it.
func TestSenderReadsNoAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	s.record(t, acme, 1)
	r := newReceiver(t, s.clock)
	r.answers(func(n int, m message, w http.ResponseWriter) bool {
		if n == 1 {
			w.Header().Set("Content-Length", "999999999999")
		}
		fmt.Fprint(w, "x")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-m.gone
		return true
	})
	o := s.sink()
	begun := time.Now()
	pass(t, s.sender(t, o, r.URL))
	if lag := s.lag(t, o); lag.Waiting != 0 || s.results[stream.ResultAccepted] != 2 {
		t.Errorf("lag %+v, counted %v", lag, s.results)
	}
	if took := time.Since(begun); took > stream.SendTime/2 {
		t.Errorf("it read for %v", took)
	}
}

func TestSenderFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	elsewhere := newReceiver(t, s.clock)
	for _, code := range []int{301, 302, 303, 307, 308} {
		r := newReceiver(t, s.clock)
		r.answers(status(code, "Location", elsewhere.URL))
		pass(t, s.sender(t, s.sink(), r.URL))
		s.clock.later(time.Hour)
		if len(r.got()) == 0 || len(elsewhere.got()) != 0 {
			t.Errorf("%d: %d messages, and %d where it led to", code, len(r.got()), len(elsewhere.got()))
		}
	}
}

func TestSenderChecksCertificates(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	var asked int
	tls := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	t.Cleanup(tls.Close)
	s.record(t, acme, 1)
	o := s.sink()
	// The system's tree is the first, so acme's turn does not come.
	pass(t, s.sender(t, o, tls.URL))
	if !strings.Contains(s.logged.String(), "certificate is not valid") || asked != 0 {
		t.Errorf("asked %d times; log:\n%s", asked, s.logged)
	}
	s.clock.later(time.Minute)
	pass(t, s.sender(t, o, tls.URL, func(e *stream.Endpoint) {
		roots := x509.NewCertPool()
		roots.AddCert(tls.Certificate())
		e.Trust(roots)
	}))
	if lag := s.lag(t, o); lag.Waiting != 0 {
		t.Errorf("lag %+v", lag)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	want := stream.FirstWait
	for n := range 100 {
		if low, high := stream.Backoff(n, 0), stream.Backoff(n, 1); low != want/2 || high != want {
			t.Errorf("after %d failures %v to %v, want %v to %v", n, low, high, want/2, want)
		}
		want = min(2*want, stream.LastWait)
	}
}

// A receiver that is down gets one message now and then, however many logs there are.
func TestSenderLeavesAReceiverInTroubleAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	for n := range 20 {
		s.record(t, fmt.Sprintf("organization-test-%d", n), 1)
	}
	r := newReceiver(t, s.clock)
	r.answers(status(500))
	sender := s.sender(t, s.sink(), r.URL)
	for range 3600 {
		pass(t, sender)
		s.clock.later(time.Second)
	}
	if n := len(r.got()); n < 12 || n > 25 {
		t.Errorf("%d messages in an hour", n)
	}
	r.answers(nil)
	for range 300 {
		pass(t, sender)
		s.clock.later(time.Second)
	}
	if b, err := s.sink().Backlog(t.Context()); err != nil || b.Waiting != 0 || b.Failing != 0 {
		t.Errorf("five minutes after it is back: %+v, %v", b, err)
	}
}

// One log that a receiver does not take does not hold up the others: whether it says that the message is bad, or just fails.
func TestSenderIsNotHeldUpByOneLog(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 413, 422, 500} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, databasetest.SQLite(t))
			s.record(t, acme, 1)
			s.record(t, globex, 1)
			r := newReceiver(t, s.clock)
			r.answers(func(_ int, m message, w http.ResponseWriter) bool {
				if m.organizationID == acme {
					w.WriteHeader(code)
				}
				return m.organizationID == acme
			})
			o := s.sink()
			sender := s.sender(t, o, r.URL)
			for range 600 {
				pass(t, sender)
				s.clock.later(time.Second)
			}
			lag, err := o.Lag(t.Context(), globex)
			if err != nil || lag.Waiting != 0 {
				t.Errorf("lag of the other %+v, %v", lag, err)
			}
			if lag := s.lag(t, o); lag.Waiting != 1 || !strings.Contains(lag.Problem, fmt.Sprint(code)) {
				t.Errorf("lag %+v", lag)
			}
		})
	}
}

func TestSenderSendsNothingThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		s.record(t, acme, 2)
		s.record(t, globex, 2)
		s.Exec(t, `UPDATE audit_events SET bytes = replace(bytes, 'asked', 'given') WHERE tree = 2 AND seq = 1`)
		r := newReceiver(t, s.clock)
		o := s.sink()
		pass(t, s.sender(t, o, r.URL))
		for _, m := range r.got() {
			if m.organizationID == acme {
				t.Errorf("sent %s", m.body)
			}
		}
		if lag := s.lag(t, o); lag.Waiting != 2 || !strings.Contains(lag.Problem, "does not verify") || !strings.Contains(lag.Problem, "seq 1") {
			t.Errorf("lag %+v", lag)
		}
		if s.results[stream.ResultTampered] != 1 || s.results[stream.ResultAccepted] != 2 {
			t.Errorf("counted %v", s.results)
		}
	})
}

// While one process sends, another one does not.
func TestOneProcessSends(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		s.record(t, acme, 1)
		r := newReceiver(t, s.clock)
		got, answer := make(chan struct{}, 10), make(chan struct{})
		r.answers(func(int, message, http.ResponseWriter) bool {
			got <- struct{}{}
			<-answer
			return false
		})
		one := s.sender(t, s.sink(), r.URL)
		passed := make(chan error)
		go func() { passed <- one.Pass(t.Context()) }()
		<-got
		two := s.sender(t, audit.NewSink(s.openLog(t, s.Open(t)), "two", audit.FormatNDJSON), r.URL, func(e *stream.Endpoint) { e.SetTimeout(time.Second) })
		pass(t, two)
		if n := len(r.got()); n != 1 {
			t.Errorf("%d messages at once", n)
		}
		close(answer)
		if err := <-passed; err != nil {
			t.Error(err)
		}
		if lag := s.lag(t, s.sink()); lag.Waiting != 0 || len(r.got()) != 2 {
			t.Errorf("%d messages, lag %+v", len(r.got()), lag)
		}
	})
}

// What was read before the lease was there may have been sent by its last holder.
func TestNewHolderLooksAgain(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		r := newReceiver(t, s.clock)
		r.answers(status(500))
		first := s.sink()
		one := s.sender(t, first, r.URL)
		pass(t, one)
		r.answers(nil)
		s.clock.later(time.Minute)
		// The other one's third look at its clock is when it has read what is due and asks for the lease.
		looks := 0
		log, err := audit.New(s.Open(t), s.signer, audit.Options{Rand: rand.Reader, Now: func() time.Time {
			if looks++; looks == 3 {
				pass(t, one)
				if err := first.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return s.clock.Now()
		}})
		if err != nil {
			t.Fatal(err)
		}
		pass(t, s.sender(t, audit.NewSink(log, "two", audit.FormatNDJSON), r.URL))
		if n := len(r.got()); n != 2 || looks < 3 {
			t.Errorf("%d messages, want the refused and the accepted one; %d looks", n, looks)
		}
	})
}

func TestSenderStops(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	s.record(t, acme, 1)
	r := newReceiver(t, s.clock)
	got := make(chan struct{}, 10)
	r.answers(func(_ int, m message, w http.ResponseWriter) bool {
		got <- struct{}{}
		return hang(0, m, w)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	o := s.sink()
	go func() {
		defer close(ended)
		s.sender(t, o, r.URL).Run(ctx)
	}()
	<-got
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
	backlog, err := o.Backlog(t.Context())
	if err != nil || backlog.Failing != 0 || strings.Contains(s.logged.String(), "not accepted") {
		t.Errorf("its own end counts as the receiver's failure: %+v, %v\n%s", backlog, err, s.logged)
	}
	// And the next process need not wait for the lease.
	if held, _, err := audit.NewSink(s.log, "two", audit.FormatNDJSON).Hold(t.Context()); err != nil || !held {
		t.Errorf("Hold after the stop: %v, %v", held, err)
	}
}

func TestWitnessIsSentTheNewest(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		r := newReceiver(t, s.clock)
		o := audit.NewWitness(s.log, "one")
		sender := s.sender(t, o, r.URL)
		s.record(t, acme, 2)
		pass(t, sender)
		r.answers(status(503))
		s.record(t, acme, 2)
		pass(t, sender)
		s.record(t, acme, 3)
		s.clock.later(time.Minute)
		r.answers(nil)
		pass(t, sender)
		pass(t, sender)
		want, err := s.log.Checkpoint(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		all := r.got()
		var sizes []string
		for _, m := range all {
			lines := strings.Split(string(m.body), "\n")
			sizes = append(sizes, lines[1])
			if !strings.HasPrefix(m.contentType, "text/plain") {
				t.Errorf("Content-Type %s", m.contentType)
			}
		}
		// The system's tree, acme's of 2 and of 4, which was refused, and of 7.
		if diff := cmp.Diff([]string{"3", "2", "4", "7"}, sizes); diff != "" {
			t.Errorf("sizes (-want +got):\n%s", diff)
		}
		if last := all[len(all)-1]; string(last.body) != want {
			t.Errorf("the newest is\n%s\nwant\n%s", last.body, want)
		}
		if lag := s.lag(t, o); lag.Waiting != 0 || lag.Problem != "" {
			t.Errorf("lag %+v", lag)
		}
	})
}

// What the store says of failures is a number that anybody may have put there.
func TestSenderWhateverTheStoreSaysOfFailures(t *testing.T) {
	t.Parallel()
	for _, failures := range []int64{-1, math.MinInt64, 63, 64, math.MaxInt64} {
		databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
			s := newSite(t, place)
			s.record(t, acme, 1)
			s.record(t, globex, 1)
			r := newReceiver(t, s.clock)
			r.answers(func(_ int, m message, w http.ResponseWriter) bool {
				if m.organizationID == acme {
					w.WriteHeader(http.StatusBadRequest)
				}
				return m.organizationID == acme
			})
			s.Exec(t, fmt.Sprintf(`INSERT INTO audit_streams (stream, tree, sent, sent_root, pending, failures, next_at, problem, delivered_at) VALUES ('sink', 2, 0, '', 0, %d, 0, '', 0)`, failures))
			o := s.sink()
			pass(t, s.sender(t, o, r.URL))
			lag := s.lag(t, o)
			if wait := lag.NextTry.Sub(s.clock.Now()); wait < stream.FirstWait || wait > stream.LastWait || !strings.Contains(lag.Problem, "400") {
				t.Errorf("after %d failures: lag %+v", failures, lag)
			}
			if b, err := o.Backlog(t.Context()); err != nil || b.Failing != 1 || b.Waiting != 1 {
				t.Errorf("after %d failures: backlog %+v, %v", failures, b, err)
			}
		})
	}
}

// What panics at one log is told as its failure, and holds up nothing else.
func TestSenderSurvivesAPanicOfOneTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	s.record(t, acme, 1)
	r := newReceiver(t, s.clock)
	o := s.sink()
	sender := s.sender(t, o, r.URL)
	panicked := false
	sender.Count = func(result string) {
		s.count(result)
		if !panicked {
			panicked = true
			panic("out of order")
		}
	}
	pass(t, sender)
	if lag := s.lag(t, o); lag.Waiting != 0 || s.results[stream.ResultBroken] != 1 {
		t.Errorf("the other log: lag %+v, counted %v", lag, s.results)
	}
	if log := s.logged.String(); !strings.Contains(log, "panic: out of order") || !strings.Contains(log, "sender_test.go") {
		t.Errorf("the log does not say where:\n%s", log)
	}
	if b, err := o.Backlog(t.Context()); err != nil || b.Failing != 1 {
		t.Errorf("backlog %+v, %v", b, err)
	}
	s.clock.later(stream.FirstWait)
	pass(t, sender)
	if b, err := o.Backlog(t.Context()); err != nil || b.Failing != 0 || b.Waiting != 0 {
		t.Errorf("later: backlog %+v, %v", b, err)
	}
}

// A log that cannot be read, for whatever reason, is not the first for ever.
func TestSenderIsNotHeldUpByOneLogItCannotRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	s.record(t, acme, 1)
	s.record(t, globex, 1)
	// Neither damaged nor tampered with: just an error, and of one log alone.
	s.Exec(t, `CREATE TRIGGER refuse BEFORE INSERT ON audit_streams WHEN new.tree = 2 AND new.pending > 0 BEGIN SELECT raise(ABORT, 'not today'); END`)
	r := newReceiver(t, s.clock)
	o := s.sink()
	sender := s.sender(t, o, r.URL)
	pass(t, sender)
	if lag, err := o.Lag(t.Context(), globex); err != nil || lag.Waiting != 0 {
		t.Errorf("lag of the other %+v, %v", lag, err)
	}
	lag := s.lag(t, o)
	if !strings.Contains(lag.Problem, "could not read") || !lag.NextTry.After(s.clock.Now()) || s.results[stream.ResultBroken] != 1 {
		t.Errorf("lag %+v, counted %v", lag, s.results)
	}
	if !strings.Contains(s.logged.String(), "not today") {
		t.Errorf("the log does not say why:\n%s", s.logged)
	}
	s.Exec(t, `DROP TRIGGER refuse`)
	s.clock.later(stream.FirstWait)
	pass(t, sender)
	if lag := s.lag(t, o); lag.Waiting != 0 || lag.Problem != "" {
		t.Errorf("later: lag %+v", lag)
	}
}

func TestRunSurvivesAPanic(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	s.record(t, acme, 1)
	r := newReceiver(t, s.clock)
	var looks atomic.Int64
	log, err := audit.New(s.db, s.signer, audit.Options{Rand: rand.Reader, Now: func() time.Time {
		if looks.Add(1) == 1 {
			panic("no time")
		}
		return s.clock.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.sender(t, audit.NewSink(log, "one", audit.FormatNDJSON), r.URL).Run(ctx)
	}()
	until(t, "it sends", func() bool {
		s.clock.later(stream.FirstWait)
		return s.lag(t, s.sink()).Waiting == 0
	})
	cancel()
	<-ended
	if !strings.Contains(s.logged.String(), "panic: no time") {
		t.Errorf("it does not say so:\n%s", s.logged)
	}
}

// A store that cannot be reached is asked again, and not all the time.
func TestSenderWithoutAStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, databasetest.SQLite(t))
	sender := s.sender(t, s.sink(), "http://127.0.0.1:1")
	s.db.Close()
	if err := sender.Pass(t.Context()); err == nil || errors.Is(err, audit.ErrTampered) {
		t.Errorf("Pass: %v", err)
	}
}
