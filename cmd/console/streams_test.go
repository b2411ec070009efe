package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
)

const (
	sinkSecret    = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	witnessSecret = "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

func TestLoadReceivers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(sinkSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := minimal()
	env["CONSOLE_AUDIT_SINK_URL"] = "https://audit.example.com/in"
	env["CONSOLE_AUDIT_SINK_SECRET_FILE"] = file
	env["CONSOLE_AUDIT_SINK_FORMAT"] = "ocsf"
	env["CONSOLE_AUDIT_WITNESS_URL"] = "http://[::1]:8000/"
	c, err := loadWith(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.sink == nil || c.sink.url != env["CONSOLE_AUDIT_SINK_URL"] || c.sink.format != audit.FormatOCSF {
		t.Errorf("sink %+v", c.sink)
	}
	if c.witness == nil || c.witness.url != env["CONSOLE_AUDIT_WITNESS_URL"] {
		t.Errorf("witness %+v", c.witness)
	}
}

// inbox keeps what a receiver gets, and checks who sent it.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	ids    []string
	bodies []string
}

func newInbox(t *testing.T, secret string) *inbox {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	in := new(inbox)
	in.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id := r.Header.Get("webhook-id")
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + r.Header.Get("webhook-timestamp") + "."))
		mac.Write(body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signature %s, want %s", r.Header.Get("webhook-signature"), want)
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.ids, in.bodies = append(in.ids, id), append(in.bodies, string(body))
	}))
	t.Cleanup(in.Close)
	return in
}

// wait waits until what came satisfies f.
func (in *inbox) wait(t *testing.T, f func(bodies []string) bool) {
	t.Helper()
	ctx := t.Context()
	for late := time.After(30 * time.Second); ; pause(ctx) {
		in.mu.Lock()
		bodies := append([]string(nil), in.bodies...)
		in.mu.Unlock()
		if f(bodies) {
			return
		}
		select {
		case <-late:
			t.Fatalf("not within half a minute; there came %q", bodies)
		default:
		}
	}
}

func TestServeSendsTheAuditOut(t *testing.T) {
	t.Parallel()
	upstream := start(t, nil, "sandbox", "--json")
	line, err := upstream.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, upstream.stderr)
	}
	var facts demoFacts
	if err := json.Unmarshal(line, &facts); err != nil {
		t.Fatal(err)
	}
	sink, witness := newInbox(t, sinkSecret), newInbox(t, witnessSecret)
	state := t.TempDir()
	env := []string{
		"XDG_STATE_HOME=" + state, "STYTCH_PROJECT_ID=" + facts.ProjectID, "STYTCH_SECRET=" + facts.Secret, "STYTCH_BASE_URL=" + facts.Stytch,
		"CONSOLE_ADDR=127.0.0.1:0", "CONSOLE_AUDIT_SINK_URL=" + sink.URL + "/hunter2", "CONSOLE_AUDIT_SINK_SECRET=" + sinkSecret,
		"CONSOLE_AUDIT_WITNESS_URL=" + witness.URL + "/hunter2", "CONSOLE_AUDIT_WITNESS_SECRET=" + witnessSecret, "CONSOLE_LOG_LEVEL=debug",
		"CONSOLE_METRICS_ADDR=127.0.0.1:0",
	}
	starts := func(bodies []string) int {
		return strings.Count(strings.Join(bodies, ""), `"action":"console.start"`)
	}
	var log string
	for n := range 3 {
		if n == 2 {
			sink.CloseClientConnections()
			sink.Close() // it is down, and what cannot be sent is said
		}
		p := start(t, env, "serve")
		addr := p.served(t)
		if n == 2 {
			for !strings.Contains(p.stderr.String(), "audit not accepted") {
				pause(t.Context())
			}
		} else {
			sink.wait(t, func(bodies []string) bool { return starts(bodies) == n+1 })
		}
		if res, _ := get(t, "http://"+addr+"/login"); res.StatusCode != http.StatusOK {
			t.Errorf("GET /login = %s", res.Status)
		}
		// The tree's creation and each start.
		witness.wait(t, func(bodies []string) bool {
			return len(bodies) > 0 && strings.Contains(bodies[len(bodies)-1], "/system\n"+[]string{"2", "3", "4"}[n]+"\n")
		})
		waiting := `orgconsole_audit_stream_waiting_events{stream="sink"} ` + []string{"0", "0", "1"}[n]
		metrics := "http://" + p.logs(t, "serving metrics") + "/metrics"
		until := time.Now().Add(30 * time.Second)
		for res, body := get(t, metrics); ; res, body = get(t, metrics) {
			if strings.Contains(body, "\n"+waiting+"\n") && strings.Contains(body, `http_request_duration_seconds_count{class="2xx",method="GET",route="/login"} 1`) {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("GET /metrics = %s without %s:\n%s", res.Status, waiting, body)
			}
			pause(t.Context())
		}
		if res, _ := get(t, "http://"+addr+"/metrics"); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET /metrics where people are = %s", res.Status)
		}
		if code := p.terminate(t); code != exitOK {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, p.stderr)
		}
		log += p.stderr.String()
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for _, leak := range []string{"hunter2", "whsec_", strings.TrimPrefix(sinkSecret, "whsec_"), "v1,"} {
		if strings.Contains(log, leak) {
			t.Errorf("the log holds %s:\n%s", leak, log)
		}
	}
	if len(sink.ids) != 2 || sink.ids[0] == sink.ids[1] {
		t.Errorf("ids %v, want two: a restart goes on", sink.ids)
	}
	public, err := os.ReadFile(filepath.Join(state, "orgconsole", "audit.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range sink.bodies {
		if _, err := audit.VerifyExport(bytes.NewReader([]byte(body)), strings.TrimSpace(string(public))); err != nil {
			t.Error(err)
		}
	}
}
