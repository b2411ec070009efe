package stream_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
	"orgconsole/internal/stream"
)

// What a process that sends until it is killed gets from its environment.
const (
	sendFrom = "ORGCONSOLE_TEST_STORE"
	sendKey  = "ORGCONSOLE_TEST_KEY"
	sendTo   = "ORGCONSOLE_TEST_URL"
	sendAt   = "ORGCONSOLE_TEST_TIME"
)

func TestMain(m *testing.M) {
	if store := os.Getenv(sendFrom); store != "" {
		fmt.Fprintln(os.Stderr, sendForEver(store))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func sendForEver(store string) error {
	ctx := context.Background()
	db, err := database.Open(ctx, store)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, os.Getenv(sendAt))
	if err != nil {
		return err
	}
	now := func() time.Time { return at }
	log, err := audit.New(db, os.Getenv(sendKey), audit.Options{Now: now, Rand: rand.Reader, Build: "test"})
	if err != nil {
		return err
	}
	secrets, err := stream.ParseSecrets(exampleSecret + "," + otherSecret)
	if err != nil {
		return err
	}
	endpoint, err := stream.NewEndpoint(os.Getenv(sendTo), secrets, "orgconsole/test", now)
	if err != nil {
		return err
	}
	stream.New(stream.Options{
		Outbox: audit.NewSink(log, fmt.Sprint(os.Getpid()), audit.FormatNDJSON), Endpoint: endpoint,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Random: func() float64 { return 1 }, Count: func(string) {},
	}).Run(ctx)
	return nil
}

func (s *site) startSender(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), sendFrom+"="+s.URL, sendKey+"="+s.signer, sendTo+"="+address, sendAt+"="+s.clock.Now().Format(time.RFC3339))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// A process is killed after the receiver has a message and before it knows
// that it is accepted. The next one sends the same under the same id.
func TestKilledBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		s.record(t, acme, 3)
		r := newReceiver(t, s.clock)
		first, killed := make(chan *exec.Cmd, 1), make(chan struct{})
		var once sync.Once
		r.answers(func(_ int, m message, _ http.ResponseWriter) bool {
			if m.organizationID == acme {
				once.Do(func() {
					cmd := <-first
					cmd.Process.Kill()
					cmd.Wait()
					close(killed)
				})
			}
			return false
		})
		first <- s.startSender(t, r.URL)
		select {
		case <-killed:
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was sent")
		}
		s.record(t, acme, 2)
		s.clock.later(2 * time.Minute) // the lease of the dead
		s.startSender(t, r.URL)
		o := s.sink()
		until(t, "all is accepted", func() bool { return s.lag(t, o).Waiting == 0 })
		var got [][]int64
		var ids []string
		for _, m := range r.got() {
			if m.organizationID == acme {
				got, ids = append(got, m.seqs), append(ids, m.id)
			}
		}
		if diff := cmp.Diff([][]int64{{0, 1, 2}, {0, 1, 2}, {3, 4}}, got); diff != "" {
			t.Fatalf("received (-want +got):\n%s", diff)
		}
		if ids[0] != ids[1] || ids[1] == ids[2] {
			t.Errorf("ids %v", ids)
		}
	})
}

// Several processes send, of which each is taken for dead now and then while
// it sends, and several append. Each log arrives in its order, but for
// messages that come again as they were.
func TestProcessesKeepTheOrder(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := newSite(t, place)
		r := newReceiver(t, s.clock)
		r.jumps = time.Hour // by what others are answered
		r.answers(func(n int, _ message, w http.ResponseWriter) bool {
			switch {
			case n%5 == 0:
				s.clock.later(2 * time.Minute) // its lease is over before it knows the answer
			case n%7 == 0:
				w.WriteHeader(http.StatusServiceUnavailable)
				s.clock.later(10 * time.Minute)
				return true
			}
			return false
		})
		const enough = 60
		var appending, sending sync.WaitGroup
		var recorded [2]int64
		for i, organization := range []string{acme, globex} {
			appending.Go(func() {
				for len(r.got()) < enough {
					s.record(t, organization, 1)
					recorded[i]++
					s.clock.later(time.Second)
				}
			})
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for n := range 3 {
			db := s.Open(t)
			o := audit.NewSink(s.openLog(t, db), fmt.Sprint("process ", n), audit.FormatNDJSON)
			sender := s.sender(t, o, r.URL)
			sending.Go(func() {
				for ctx.Err() == nil {
					if err := sender.Pass(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		appending.Wait()
		o := s.sink()
		until(t, "all is accepted", func() bool {
			s.clock.later(10 * time.Second)
			b, err := o.Backlog(t.Context())
			return err == nil && b.Waiting == 0
		})
		stop()
		sending.Wait()
		next, seen := map[string]int64{}, map[string][]int64{}
		again := 0
		for _, m := range r.got() {
			if before, ok := seen[m.id]; ok {
				again++
				if !slices.Equal(before, m.seqs) {
					t.Errorf("%s was %v, and is %v", m.id, before, m.seqs)
				}
				continue
			}
			seen[m.id] = m.seqs
			for _, seq := range m.seqs {
				if seq != next[m.organizationID] {
					t.Fatalf("record %d of %q came where %d was next", seq, m.organizationID, next[m.organizationID])
				}
				next[m.organizationID]++
			}
		}
		if diff := cmp.Diff(map[string]int64{"": 4, acme: recorded[0], globex: recorded[1]}, next); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		t.Logf("%d messages, %d of them again", len(r.got()), again)
	})
}
