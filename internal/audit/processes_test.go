package audit_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

// What a process that appends until it is killed gets from its environment.
const (
	appendTo  = "ORGCONSOLE_TEST_STORE"
	appendKey = "ORGCONSOLE_TEST_KEY"
)

func TestMain(m *testing.M) {
	if store := os.Getenv(appendTo); store != "" {
		if err := appendForEver(store, os.Getenv(appendKey), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendForEver appends to three trees, of which one is new every now and then, and tells of each event once it is acknowledged.
func appendForEver(store, key string, told io.Writer) error {
	ctx := context.Background()
	db, err := database.Open(ctx, store)
	if err != nil {
		return err
	}
	defer db.Close()
	looks := 0
	jumping := func() time.Time {
		looks++
		return time.Now().Add(time.Duration(looks*looks%97-48) * time.Hour)
	}
	log, err := audit.New(db, key, audit.Options{Now: jumping, Rand: rand.Reader, Build: "test"})
	if err != nil {
		return err
	}
	if err := log.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(told, "started")
	for n := 0; ; n++ {
		organization := []string{acme, globex, fmt.Sprint("organization-test-", n/20)}[n%3]
		ev, err := log.Record(ctx, deletion(organization, n))
		if errors.Is(err, audit.ErrTampered) {
			return err // which would be a false alarm
		}
		if err == nil {
			fmt.Fprintln(told, organization, ev.Seq, ev.ID)
		}
	}
}

// appender is such a process.
type appender struct {
	cmd  *exec.Cmd
	acks chan ack // closed at its end
}

type ack struct {
	organization, id string
	seq              int64
}

func startAppender(t *testing.T, store, key string) *appender {
	t.Helper()
	a := &appender{cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$"), acks: make(chan ack, 1<<16)}
	a.cmd.Env = append(os.Environ(), appendTo+"="+store, appendKey+"="+key)
	a.cmd.Stderr = t.Output()
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.acks)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return // half a line was not told
			}
			var got ack
			if _, err := fmt.Sscanln(line, &got.organization, &got.seq, &got.id); err == nil {
				a.acks <- got
			} else if line != "started\n" {
				t.Errorf("an appending process says %q", line)
			}
		}
	}()
	return a
}

// get collects what the process tells of its next n events.
func (a *appender) get(t *testing.T, n int, into *[]ack) {
	t.Helper()
	late := time.After(time.Minute)
	for range n {
		select {
		case got, ok := <-a.acks:
			if !ok {
				t.Fatalf("an appending process ended by itself: %v", a.cmd.Wait())
			}
			*into = append(*into, got)
		case <-late:
			t.Fatal("nothing was appended for a minute")
		}
	}
}

func (a *appender) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process in the middle of whatever it does, and collects what it had told until then.
func (a *appender) kill(t *testing.T, into *[]ack) {
	t.Helper()
	a.signal(t, syscall.SIGKILL)
	for got := range a.acks {
		*into = append(*into, got)
	}
	_ = a.cmd.Wait()
}

// Two processes append to the same trees at once, by clocks that jump, and are killed time and again; on PostgreSQL one
// is also stopped with what it has locked. Everything that was acknowledged is there, in one log without gaps.
func TestProcessesAppendAndDie(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		s := &store{Store: place}
		s.signer, s.public = mustKey(t)
		address := place.URL
		if place.Postgres {
			address += "&idle_in_transaction_session_timeout=500ms"
		}
		var acked []ack
		a, b := startAppender(t, address, s.signer), startAppender(t, address, s.signer)
		for n := range 6 {
			b.get(t, 5+n, &acked)
			a.get(t, 5+n, &acked)
			a.kill(t, &acked)
			b.get(t, 5, &acked)
			a, b = b, startAppender(t, address, s.signer)
		}
		for range 3 {
			if !place.Postgres {
				break
			}
			b.get(t, 5, &acked)
			a.signal(t, syscall.SIGSTOP)
			b.get(t, len(b.acks)+10, &acked)
			a.signal(t, syscall.SIGCONT)
			a.get(t, len(a.acks)+5, &acked)
		}
		a.kill(t, &acked)
		b.kill(t, &acked)

		s.db = s.OpenReadOnly(t)
		report := s.verify(t)
		seen := make(map[string]string, len(acked))
		for _, got := range acked {
			var id string
			const q = `SELECT e.id FROM audit_events e JOIN audit_trees t ON t.tree = e.tree WHERE t.organization_id = ? AND e.seq = ?`
			if err := s.db.Reader().QueryRowContext(t.Context(), q, got.organization, got.seq).Scan(&id); err != nil || id != got.id {
				t.Errorf("%s seq %d: %s, %v; acknowledged was %s", got.organization, got.seq, id, err, got.id)
			}
			place := fmt.Sprint(got.organization, " ", got.seq)
			if other := seen[place]; other != "" {
				t.Errorf("%s was acknowledged twice: %s and %s", place, other, got.id)
			}
			seen[place] = got.id
		}
		t.Logf("%d acknowledged, %d there, in %d trees", len(acked), report.Events, len(report.Trees))
	})
}
