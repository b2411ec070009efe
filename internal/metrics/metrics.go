// Package metrics counts what the console does, for Prometheus. No label holds
// an id, an address, a name or a path: of a request it is the route's pattern,
// of a call to the upstream its template.
package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"orgconsole/internal/audit"
)

const (
	// lookTime bounds the queries of one scrape.
	lookTime  = 5 * time.Second
	namespace = "orgconsole"
)

// Metrics has a registry of its own. A nil one counts nothing.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	calls    *prometheus.HistogramVec
	attempts *prometheus.CounterVec
}

// New returns metrics of a process that was built from a version and a commit.
func New(version, commit, goVersion string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Help: "Requests by route and class of the status.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route", "class"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "upstream_call_duration_seconds", Help: "Calls to Stytch by operation and class of the status; none: no answer came.",
			Buckets: []float64{.025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"operation", "class"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "audit_stream_attempts_total", Help: "Messages that this process sent out of the audit, by how that ended.",
		}, []string{"stream", "result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "goversion": goVersion},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.calls, m.attempts, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts a request. The route is its pattern, "" where there is none.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		method = "other" // or anybody could make labels
	}
	m.requests.WithLabelValues(method, route, class(status)).Observe(took.Seconds())
}

// Call counts a call to the upstream by its template. Status 0 is no answer.
func (m *Metrics) Call(operation string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.calls.WithLabelValues(operation, class(status)).Observe(took.Seconds())
}

func class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return fmt.Sprintf("%dxx", status/100)
}

// Attempt counts a message of a stream.
func (m *Metrics) Attempt(stream, result string) {
	if m == nil {
		return
	}
	m.attempts.WithLabelValues(stream, result).Inc()
}

// Stream tells how far a stream is behind, at each scrape, and of which results its attempts can have.
func (m *Metrics) Stream(name string, results []string, backlog func(ctx context.Context) (audit.Backlog, error)) {
	if m == nil {
		return
	}
	for _, result := range results {
		m.attempts.WithLabelValues(name, result).Add(0)
	}
	desc := func(metric, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "audit_stream", metric), help, nil, prometheus.Labels{"stream": name})
	}
	events := desc("waiting_events", "Records of all logs that were not accepted yet.")
	age := desc("lag_seconds", "Age of the oldest record that was not accepted yet; 0: there is none.")
	failing := desc("failing_logs", "Logs of which the last message was not accepted.")
	last := desc("last_success_timestamp_seconds", "When a message was accepted last; 0: never.")
	m.registry.MustRegister(&look{
		descs: []*prometheus.Desc{events, age, failing, last},
		read: func(ctx context.Context) ([]float64, error) {
			b, err := backlog(ctx)
			var at float64
			if !b.LastDelivery.IsZero() {
				at = float64(b.LastDelivery.UnixMilli()) / 1000
			}
			return []float64{float64(b.Waiting), b.Age.Seconds(), float64(b.Failing), at}, err
		},
	})
}

// Unsettled tells at each scrape how many operations have an unknown outcome.
func (m *Metrics) Unsettled(count func(ctx context.Context) (int64, error)) {
	if m == nil {
		return
	}
	desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "operations_unsettled"), "Operations of which nobody knows yet what they did.", nil, nil)
	m.registry.MustRegister(&look{descs: []*prometheus.Desc{desc}, read: func(ctx context.Context) ([]float64, error) {
		n, err := count(ctx)
		return []float64{float64(n)}, err
	}})
}

// look is a collector that asks the store. What it cannot read is left out of
// the scrape, rather than said to be 0.
type look struct {
	descs []*prometheus.Desc
	read  func(ctx context.Context) ([]float64, error)
}

func (l *look) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range l.descs {
		ch <- d
	}
}

func (l *look) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	values, err := l.read(ctx)
	for i, d := range l.descs {
		if err != nil {
			ch <- prometheus.NewInvalidMetric(d, err)
			continue
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, values[i])
	}
}

// Handler answers GET /metrics, and nothing else.
func (m *Metrics) Handler(logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		Registry: m.registry, MaxRequestsInFlight: 2, Timeout: 2 * lookTime,
	}))
	return mux
}
