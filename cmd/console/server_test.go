package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

func TestDrainLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by the draining")
		}
		io.WriteString(w, "done")
	})
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	s := serve(l, handler, logger)

	answered := make(chan string, 1)
	go func() {
		defer close(answered)
		res, err := request(t.Context(), listenURL(l), "")
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		answered <- res.Status + " " + string(body)
	}()
	<-arrived
	signalled, signal := context.WithCancel(t.Context())
	signal() // as when SIGTERM came
	drained := make(chan struct{})
	go func() {
		s.drain(signalled, logger)
		close(drained)
	}()
	refused := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := request(ctx, listenURL(l), "")
		if err == nil {
			res.Body.Close()
		}
		return err != nil
	}
	for deadline := time.Now().Add(10 * time.Second); !refused(); pause(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatal("new connections are still taken")
		}
	}
	select {
	case <-drained:
		t.Error("drained while a request was under way")
	default:
	}
	close(release)
	if got, want := <-answered, "200 OK done"; got != want {
		t.Errorf("the request under way got %q, want %q", got, want)
	}
	<-drained
	select {
	case err := <-s.failed:
		t.Errorf("serving ended with %v", err)
	default:
	}
}

func TestListenSaysThatThePortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if second, err := listen(t.Context(), l.Addr().String()); err == nil {
		second.Close()
		t.Error("listen() took a port twice")
	}
}

// An operation may take several upstream deadlines of up to 15 s; the answer must still get out.
func TestServerLimits(t *testing.T) {
	t.Parallel()
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(l, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	defer s.drain(t.Context(), slog.New(slog.DiscardHandler))
	if s.http.WriteTimeout < 90*time.Second {
		t.Errorf("WriteTimeout = %v, want 90 s at least", s.http.WriteTimeout)
	}
	for name, limit := range map[string]time.Duration{"ReadHeaderTimeout": s.http.ReadHeaderTimeout, "ReadTimeout": s.http.ReadTimeout, "IdleTimeout": s.http.IdleTimeout} {
		if limit <= 0 {
			t.Errorf("%s is not set", name)
		}
	}
}
