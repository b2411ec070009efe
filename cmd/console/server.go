package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Time limits of both listeners. An answer may take several upstream calls of up to 15 s each, one after the other,
// so writing gets far longer than reading.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 120 * time.Second
	idleTimeout       = 120 * time.Second
	drainTimeout      = 30 * time.Second
	maxHeaderBytes    = 64 << 10
)

// server is one HTTP listener; the zero value is none. It exists only while it listens: a port that is taken is an error of listen.
type server struct {
	http     *http.Server
	listener net.Listener
	failed   chan error // what Serve returned, unless it was told to stop
}

// listen takes the address; serve starts answering. In between the caller knows the port and can build its handler.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

func serve(l net.Listener, handler http.Handler, logger *slog.Logger) *server {
	s := &server{
		http: &http.Server{
			Handler: handler,
			// OPTIONS * would be answered by net/http, without the headers that every response of ours carries.
			DisableGeneralOptionsHandler: true,

			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		},
		listener: l,
		failed:   make(chan error, 1),
	}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}()
	return s
}

// drain stops taking connections and lets the requests under way finish. What is still running after drainTimeout is
// cut off: an operation among them is an unknown that the next start settles.
func (s *server) drain(ctx context.Context, logger *slog.Logger) {
	if s.http == nil {
		return
	}
	// The context that ended is what brought us here; draining has its own time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		logger.WarnContext(ctx, "requests cut off", slog.Any("error", err))
		if err := s.http.Close(); err != nil {
			logger.WarnContext(ctx, "close", slog.Any("error", err))
		}
	}
}
