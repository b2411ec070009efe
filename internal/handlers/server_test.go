package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/handlers"
)

// The recorder keeps bodies of HEAD answers; a server does not.
func TestHead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	for _, path := range []string{"/login", "/members", "/healthz", "/favicon.ico", "/nowhere", "/audit"} {
		get, head := s.signInCopy(b).get(path), s.signInCopy(b).do(http.MethodHead, path, nil)
		if get.StatusCode != head.StatusCode {
			t.Errorf("HEAD %s: %d, GET: %d", path, head.StatusCode, get.StatusCode)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = s.public.Host
		s.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, srv.URL+"/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); len(body) != 0 || resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD /login: %d with %d bytes", resp.StatusCode, len(body))
	}
}

// signInCopy is another browser with the same cookies.
func (s *site) signInCopy(b *browser) *browser {
	return &browser{s: s, cookies: maps.Clone(b.cookies), header: b.header.Clone()}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	asset := b.get("/login").doc().Find(`link[rel="stylesheet"]`).AttrOr("href", "")
	for _, encoding := range []string{"gzip", "zstd"} {
		for _, path := range []string{"/login", asset} {
			resp := b.get(path, func(r *http.Request) { r.Header.Set("Accept-Encoding", encoding) })
			if got := resp.Header.Get("Content-Encoding"); got != encoding {
				t.Errorf("%s with %s: Content-Encoding %q", path, encoding, got)
			}
			if !slices.Contains(resp.Header.Values("Vary"), "Accept-Encoding") {
				t.Errorf("%s with %s: no Vary", path, encoding)
			}
		}
	}
	if got := b.get("/login").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding %q though none was accepted", got)
	}
}

// Nothing that a person or a browser sends may make an error of our own.
func TestNoRequestMakesAnError(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin, stranger := s.signIn("ada@acme.example"), s.browser()
	long := strings.Repeat("a", 5000)
	paths := []string{
		"/", "/members", "/audit", "/operations", "/members/", "/audit/", "//members", "/members//", "/%2e%2e/members", "/members/%00", "/members/%ff",
		"/members/..%2f..%2fetc", "/members/member-test-" + long, "/members/x/password/delete", "/members/x/password/delete/", "/audit/%3Cscript%3E", "/audit/x/y/z",
		"/operations/x", "/operations/x/retry", "/operations/x/retry/y", "/login", "/login/password", "/logout", "/login/other", "/static/", "/static/x", "/static/../../etc/passwd",
		"/static/%2e%2e/app.css", "/favicon.ico", "/healthz", "/readyz", "/" + long, "/*", "/:member_id", "/members/:member_id",
	}
	queries := []string{
		"", "?", "?%zz", "?q=%ff", "?q=" + long, "?cursor=x", "?cursor=%00", "?cursor=" + long, "?status=x", "?role=%ff", "?password=x", "?skip=-1&searched=x",
		"?scan=x&searched=1", "?back=x&back=y", "?from=x", "?to=0000-00-00", "?outcome=x&action=y", "?operation=x", "?view=raw", "?return=%2F%2Fevil.example", "?a;b",
		"?notice=x",
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "PROPFIND"}
	for _, b := range []*browser{admin, stranger} {
		for _, method := range methods {
			for _, path := range paths {
				for _, query := range queries {
					if method != "GET" && query != "" && query != "?%zz" {
						continue
					}
					if b == admin && method == "POST" && path == "/logout" {
						continue
					}
					who := s.signInCopy(b)
					resp := who.do(method, "/", nil, func(r *http.Request) {
						u, err := url.Parse(path)
						if err != nil {
							t.Fatal(err)
						}
						r.URL = u
						r.URL.RawQuery = strings.TrimPrefix(query, "?")
						r.RequestURI = path + query
					})
					if resp.StatusCode >= 500 {
						t.Errorf("%s %s%.40s: %d %s", method, path, query, resp.StatusCode, resp.alert())
					}
				}
			}
		}
	}
	for name, values := range map[string][]string{
		"Cookie": {"console=x", "console=" + long, "=;=;", "console=\x7f"}, "Content-Type": {"x", "multipart/form-data"}, "Referer": {"::", "http://[::1"},
		"X-Forwarded-For": {long}, "Accept-Encoding": {"gzip;q=x", "*"}, "If-None-Match": {"*", long}, "Range": {"bytes=0-1"}, "User-Agent": {"\xff" + long},
		"Content-Encoding": {"gzip"}, "Transfer-Encoding": {"x"}, "X-HTTP-Method-Override": {"DELETE"}, "Accept": {"\x00"}, "Origin": {"%", "http://[::1"},
	} {
		for _, value := range values {
			for _, method := range []string{"GET", "POST"} {
				for _, path := range []string{"/members", "/login", "/login/password", "/logout", "/audit"} {
					resp := stranger.do(method, path, nil, func(r *http.Request) { r.Header.Set(name, value) })
					if resp.StatusCode >= 500 {
						t.Errorf("%s %s with %s %.40q: %d", method, path, name, value, resp.StatusCode)
					}
				}
			}
		}
	}
}

func TestReadinessNeedsTheStore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	b.get("/readyz").wantStatus(http.StatusOK)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.get("/readyz").wantStatus(http.StatusServiceUnavailable)
	b.get("/healthz").wantStatus(http.StatusOK)
}

func TestHealthWhileTheUpstreamIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.upstream.Close()
	b := s.browser()
	b.get("/healthz").wantStatus(http.StatusOK)
	b.get("/readyz").wantStatus(http.StatusOK)
	b.get("/login").wantStatus(http.StatusOK)
}

// Tokens and passwords must not reach the log, whatever happens.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.browser()
	canary := "canary-Pa55word-%41-<x>"
	b.post("/login/password", url.Values{"organization": {"acme"}, "email": {ada.Email}, "password": {canary}})
	b.post("/login/password", url.Values{"organization": {canary + " /"}, "email": {canary + "@"}, "password": {canary}})
	b.get("/login?password=" + url.QueryEscape(canary))
	b.post("/login/password?password="+url.QueryEscape(canary), url.Values{"organization": {"acme"}, "email": {ada.Email}})
	for _, kind := range []string{"garbage", "server_error", "reset", "giant_body", "redirect"} {
		s.faults(map[string]any{"endpoint": "*", "kind": kind})
		b.post("/login/password", url.Values{"organization": {"acme"}, "email": {ada.Email}, "password": {canary}})
	}
	s.faults()
	b.post("/login/password", loginForm(ada)).wantStatus(http.StatusSeeOther)
	cookie := b.cookies["console"].Value
	b.get("/members")
	s.faults(map[string]any{"endpoint": "*", "kind": "garbage"})
	b.get("/members")
	s.faults()
	b.post("/logout", nil)
	log := s.logs.String()
	if !strings.Contains(log, "/login/password") {
		t.Error("the log holds no request at all")
	}
	secret := s.sandbox.Info().Secret
	for _, hidden := range []string{canary, url.QueryEscape(canary), "canary", ada.Password, cookie, secret} {
		if i := strings.Index(log, hidden); i >= 0 {
			t.Errorf("%.12q… is in the log: %s", hidden, log[max(0, i-200):min(len(log), i+50)])
		}
	}
	tokens := strings.Fields(s.tokens.String())
	if len(tokens) == 0 {
		t.Error("no session token was seen to look for")
	}
	for _, token := range tokens {
		if strings.Contains(log, token) || strings.Contains(log, token[len(token)/2:]) {
			t.Error("a session token is in the log")
		}
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	before := s.logs.String()
	resp := s.signIn("ada@acme.example").get("/members/member-test-none?q=hidden-query", func(r *http.Request) { r.RemoteAddr = "192.0.2.9:1" })
	var line map[string]any
	for text := range strings.SplitSeq(strings.TrimPrefix(s.logs.String(), before), "\n") {
		var candidate map[string]any
		if json.Unmarshal([]byte(text), &candidate) == nil && candidate["msg"] == "request" && candidate["route"] == "/members/:member_id" {
			line = candidate
		}
	}
	want := map[string]any{
		"method": "GET", "route": "/members/:member_id", "status": float64(http.StatusNotFound), "ip": "192.0.2.9", "request_id": resp.Header.Get("X-Request-Id"),
	}
	for name, value := range want {
		if line[name] != value {
			t.Errorf("%s = %v, want %v", name, line[name], value)
		}
	}
	if _, ok := line["duration"]; !ok {
		t.Error("no duration")
	}
	if n, _ := line["bytes"].(float64); n < 100 {
		t.Errorf("bytes = %v", line["bytes"])
	}
	if strings.Contains(s.logs.String(), "hidden-query") {
		t.Error("a query is in the log")
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	public := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	background := func(func(context.Context)) { t.Error("something runs already") }
	good := handlers.Config{PublicURL: public, SessionKeys: [][]byte{newKey(t)}, SessionIdle: time.Minute, SessionMax: time.Hour}
	for name, spoil := range map[string]func(*handlers.Config){
		"no address":     func(c *handlers.Config) { c.PublicURL = nil },
		"no keys":        func(c *handlers.Config) { c.SessionKeys = nil },
		"short key":      func(c *handlers.Config) { c.SessionKeys = [][]byte{make([]byte, 32)} },
		"short old key":  func(c *handlers.Config) { c.SessionKeys = append(c.SessionKeys, []byte("x")) },
		"no idle time":   func(c *handlers.Config) { c.SessionIdle = 0 },
		"no longest age": func(c *handlers.Config) { c.SessionMax = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			config.SessionKeys = slices.Clone(good.SessionKeys)
			spoil(&config)
			if _, err := handlers.New(handlers.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Config: config, Background: background}); err == nil {
				t.Error("New accepted it")
			}
		})
	}
	if _, err := handlers.New(handlers.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Config: good, Background: background}); err != nil {
		t.Errorf("New: %v", err)
	}
	if _, err := handlers.New(handlers.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Config: good}); err == nil {
		t.Error("New accepted that nothing runs in the background")
	}
}

// What is counted of a request holds nothing that somebody typed.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	counted := map[string]int{}
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) {
			d.Count = func(method, route string, status int, took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				counted[fmt.Sprint(method, " ", route, " ", status)]++
			}
		}
	})
	b := s.browser()
	for _, path := range []string{"/login?secret=hidden", "/members/hidden", "/hidden", "/members/hidden/hidden", "/static/hidden", "/operations/hidden"} {
		b.get(path)
	}
	b.do("HIDDEN", "/login", nil)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"GET /login 200", "GET /members/:member_id 303", "GET /operations/:operation_id 303"} {
		if counted[want] != 1 {
			t.Errorf("%q is not counted", want)
		}
	}
	total := 0
	for key, n := range counted {
		total += n
		if method, route, _ := strings.Cut(key, " "); strings.Contains(route, "hidden") && method != "HIDDEN" {
			t.Errorf("counted %q", key)
		}
	}
	if total != 7 {
		t.Errorf("counted %v", counted)
	}
}
