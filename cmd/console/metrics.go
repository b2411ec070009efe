package main

import (
	"context"
	"log/slog"
	"runtime"

	"orgconsole/internal/metrics"
)

// serveMetrics serves what is counted on an address of its own. Without one
// nothing is counted, and nothing served.
func serveMetrics(ctx context.Context, addr string, logger *slog.Logger) (*metrics.Metrics, *server, error) {
	if addr == "" {
		return nil, new(server), nil
	}
	l, err := listen(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	m := metrics.New(version, buildCommit(), runtime.Version())
	logger.InfoContext(ctx, "serving metrics", slog.String("addr", l.Addr().String()))
	return m, serve(l, m.Handler(logger), logger), nil
}
