package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/metrics"
)

func ask(t *testing.T, m *metrics.Metrics, method, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
	return w.Code, w.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", "abc", "go1")
	m.Request(http.MethodGet, "/members/:member_id", 200, time.Second)
	m.Request("BREW", "", 404, time.Second)
	m.Call("GET /v1/b2b/organizations/{organization_id}", 503, time.Second)
	m.Call("POST /v1/b2b/sessions/authenticate", 0, time.Second)
	backlog, broken := audit.Backlog{Waiting: 3, Age: time.Minute, Trees: 2, Failing: 1, LastDelivery: time.Unix(1700000000, 0)}, error(nil)
	m.Stream("sink", []string{"accepted", "refused"}, func(ctx context.Context) (audit.Backlog, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a look without a deadline")
		}
		return backlog, broken
	})
	m.Stream("witness", []string{"accepted", "refused"}, func(context.Context) (audit.Backlog, error) { return audit.Backlog{}, nil })
	m.Attempt("sink", "refused")
	m.Unsettled(func(context.Context) (int64, error) { return 7, nil })
	status, body := ask(t, m, http.MethodGet, "/metrics")
	for _, line := range []string{
		`orgconsole_http_request_duration_seconds_count{class="2xx",method="GET",route="/members/:member_id"} 1`,
		`orgconsole_http_request_duration_seconds_count{class="4xx",method="other",route="none"} 1`,
		`orgconsole_upstream_call_duration_seconds_count{class="5xx",operation="GET /v1/b2b/organizations/{organization_id}"} 1`,
		`orgconsole_upstream_call_duration_seconds_count{class="none",operation="POST /v1/b2b/sessions/authenticate"} 1`,
		`orgconsole_audit_stream_waiting_events{stream="sink"} 3`,
		`orgconsole_audit_stream_lag_seconds{stream="sink"} 60`,
		`orgconsole_audit_stream_lag_seconds{stream="witness"} 0`,
		`orgconsole_audit_stream_failing_logs{stream="sink"} 1`,
		`orgconsole_audit_stream_last_success_timestamp_seconds{stream="sink"} 1.7e+09`,
		`orgconsole_audit_stream_last_success_timestamp_seconds{stream="witness"} 0`,
		`orgconsole_audit_stream_attempts_total{result="refused",stream="sink"} 1`,
		`orgconsole_audit_stream_attempts_total{result="accepted",stream="sink"} 0`,
		`orgconsole_operations_unsettled 7`,
		`orgconsole_build_info{commit="abc",goversion="go1",version="v1"} 1`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	for _, name := range []string{"\ngo_goroutines ", "\nprocess_start_time_seconds "} {
		if !strings.Contains(body, name) {
			t.Errorf("there is no%s", name)
		}
	}
	if status != http.StatusOK {
		t.Errorf("status %d:\n%s", status, body)
	}
	// What cannot be read is not told, rather than told to be 0; the rest is.
	broken = errors.New("the store is gone")
	if _, body := ask(t, m, http.MethodGet, "/metrics"); strings.Contains(body, `lag_seconds{stream="sink"}`) ||
		!strings.Contains(body, `lag_seconds{stream="witness"}`) || !strings.Contains(body, "orgconsole_operations_unsettled 7") {
		t.Errorf("without a store:\n%s", body)
	}
	for method, path := range map[string]string{http.MethodPost: "/metrics", http.MethodGet: "/", http.MethodPut: "/debug/pprof/"} {
		if status, _ := ask(t, m, method, path); status == http.StatusOK {
			t.Errorf("%s %s: %d", method, path, status)
		}
	}
}

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var m *metrics.Metrics
	m.Request(http.MethodGet, "/", 200, time.Second)
	m.Call("GET /", 200, time.Second)
	m.Attempt("sink", "accepted")
	m.Stream("sink", nil, nil)
	m.Unsettled(nil)
}
