package handlers_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/database"
	"orgconsole/internal/handlers"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/sandbox"
	"orgconsole/internal/stytch"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lockedBuffer takes the log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a whole console on a store of its own and a sandbox of its own.
type site struct {
	t        testing.TB
	handler  http.Handler
	server   *handlers.Server // behind other pages on the same keys and clock
	public   *url.URL
	clock    *clock
	sandbox  *sandbox.Sandbox
	upstream *httptest.Server
	audit    *audit.Log
	db       *database.DB
	logs     *lockedBuffer
	deps     handlers.Deps
	tokens   *lockedBuffer // every session token the upstream gave out at a sign-in, a line each
}

type siteOptions struct {
	publicURL    string        // http://127.0.0.1:8080
	keys         [][]byte      // one random
	sandboxAhead time.Duration // how far the upstream's clock is ahead
	proxies      []netip.Prefix
	orgSize      int
	demo         bool
	edit         func(*handlers.Deps)
}

func newKey(t testing.TB) []byte {
	t.Helper()
	key := make([]byte, 64)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	return key
}

func newSite(t testing.TB, options ...func(*siteOptions)) *site {
	t.Helper()
	o := siteOptions{publicURL: "http://127.0.0.1:8080", keys: [][]byte{newKey(t)}, orgSize: 40}
	for _, option := range options {
		option(&o)
	}
	public, err := url.Parse(o.publicURL)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, public: public, clock: &clock{now: time.Now().Truncate(time.Second)}, logs: &lockedBuffer{}, tokens: &lockedBuffer{}}
	s.sandbox, err = sandbox.New(sandbox.Options{
		Now: func() time.Time { return s.clock.Now().Add(o.sandboxAhead) }, Seed: 1, OrgSize: o.orgSize,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.upstream = httptest.NewServer(s.noteTokens(s.sandbox.Handler()))
	t.Cleanup(s.upstream.Close)
	info := s.sandbox.Info()
	client, err := stytch.New(info.ProjectID, info.Secret, stytch.WithBaseURL(s.upstream.URL), stytch.WithTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	s.db, err = database.Open(t.Context(), (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "console.db")}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	signer, _, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.audit, err = audit.New(s.db, signer, audit.Options{Now: s.clock.Now, Rand: rand.Reader, Build: "test", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.audit.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	authorizer := authz.New(client, s.clock.Now)
	desk, err := helpdesk.New(helpdesk.Deps{
		DB: s.db, Audit: s.audit, Stytch: client, Authz: authorizer, Now: s.clock.Now, Rand: rand.Reader, Logger: logger, ReasonRequired: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	deps := handlers.Deps{
		Stytch: client, Authz: authorizer, Audit: s.audit, Desk: desk, DB: s.db, Logger: logger, Now: s.clock.Now,
		Config: handlers.Config{
			PublicURL: public, TrustedProxies: o.proxies, SessionKeys: o.keys, SessionIdle: 30 * time.Minute, SessionMax: 8 * time.Hour,
			ReasonRequired: true, Build: "test",
		},
	}
	if o.demo {
		deps.Config.Demo = &handlers.Demo{}
		for _, p := range info.People {
			deps.Config.Demo.People = append(deps.Config.Demo.People, handlers.DemoPerson(p))
		}
	}
	if o.edit != nil {
		o.edit(&deps)
	}
	s.build(deps)
	return s
}

func (s *site) build(deps handlers.Deps) {
	s.t.Helper()
	var err error
	if s.handler, err = handlers.New(deps); err != nil {
		s.t.Fatal(err)
	}
	if s.server, err = handlers.NewServer(deps); err != nil {
		s.t.Fatal(err)
	}
	s.deps = deps
}

// with is another console process on the same store and upstream.
func (s *site) with(t testing.TB, edit func(*handlers.Deps)) *site {
	t.Helper()
	other, deps := *s, s.deps
	edit(&deps)
	other.build(deps)
	return &other
}

// noteTokens reads along what sign-ins answer.
func (s *site) noteTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/b2b/passwords/authenticate" {
			next.ServeHTTP(w, r)
			return
		}
		tee := &teeWriter{ResponseWriter: w}
		next.ServeHTTP(tee, r)
		var reply struct {
			Token string `json:"session_token"`
		}
		if json.Unmarshal(tee.b.Bytes(), &reply) == nil && reply.Token != "" {
			_, _ = s.tokens.Write([]byte(reply.Token + "\n"))
		}
	})
}

type teeWriter struct {
	http.ResponseWriter
	b bytes.Buffer
}

func (w *teeWriter) Write(p []byte) (int, error) {
	w.b.Write(p)
	return w.ResponseWriter.Write(p)
}

func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// control talks to the sandbox behind everybody's back.
func (s *site) control(method, path string, body, into any) {
	s.t.Helper()
	var send io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		send = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.upstream.URL+"/_sandbox/"+path, send)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.sandbox.Info().ControlToken)
	resp, err := s.upstream.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s, error %v", method, path, resp.StatusCode, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			s.t.Fatal(err)
		}
	}
}

// faults puts these in force in place of all others.
func (s *site) faults(all ...map[string]any) {
	s.t.Helper()
	if all == nil {
		all = []map[string]any{}
	}
	s.control(http.MethodPut, "faults", all, nil)
}

type upstreamCall struct {
	Endpoint string          `json:"endpoint"`
	Status   int             `json:"status"`
	Body     json.RawMessage `json:"body"`
	Session  []struct {
		MemberID string `json:"member_id"`
	} `json:"session"`
}

// calls lists what the upstream received at an endpoint, or at all.
func (s *site) calls(endpoint string) []upstreamCall {
	s.t.Helper()
	var journal struct {
		Requests []upstreamCall `json:"requests"`
	}
	path := "journal"
	if endpoint != "" {
		path += "?endpoint=" + endpoint
	}
	s.control(http.MethodGet, path, nil, &journal)
	return journal.Requests
}

// someone is a member of the sandbox, by email.
type someone struct {
	Email, Password, Organization string
	MemberID                      string `json:"member_id"`
	OrganizationID                string `json:"organization_id"`
}

func (s *site) someone(email string) someone {
	s.t.Helper()
	var all struct {
		People []someone `json:"people"`
	}
	s.control(http.MethodGet, "people", nil, &all)
	for _, p := range all.People {
		if p.Email == email {
			return p
		}
	}
	s.t.Fatalf("nobody is %s", email)
	return someone{}
}

// browser keeps cookies and says where its forms come from, as browsers do.
type browser struct {
	s       *site
	cookies map[string]*http.Cookie
	header  http.Header // sent along with every request
}

func (s *site) browser() *browser {
	return &browser{s: s, cookies: map[string]*http.Cookie{}, header: http.Header{}}
}

// answer is one response, read.
type answer struct {
	t testing.TB
	*http.Response
	body string
}

func (b *browser) do(method, path string, form url.Values, edits ...func(*http.Request)) *answer {
	b.s.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req := httptest.NewRequestWithContext(b.s.t.Context(), method, path, body)
	req.Host = b.s.public.Host
	maps.Copy(req.Header, b.header)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if method == http.MethodPost {
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Origin", b.s.public.String())
	}
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		req.AddCookie(b.cookies[name])
	}
	for _, edit := range edits {
		edit(req)
	}
	rec := httptest.NewRecorder()
	b.s.handler.ServeHTTP(rec, req)
	resp := rec.Result()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return &answer{b.s.t, resp, rec.Body.String()}
}

func (b *browser) get(path string, edits ...func(*http.Request)) *answer {
	b.s.t.Helper()
	return b.do(http.MethodGet, path, nil, edits...)
}

func (b *browser) post(path string, form url.Values, edits ...func(*http.Request)) *answer {
	b.s.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	return b.do(http.MethodPost, path, form, edits...)
}

func loginForm(p someone) url.Values {
	return url.Values{"organization": {p.Organization}, "email": {p.Email}, "password": {p.Password}, "return": {""}}
}

// signIn signs a person of the sandbox in, in a fresh browser.
func (s *site) signIn(email string) *browser {
	s.t.Helper()
	b := s.browser()
	if resp := b.post("/login/password", loginForm(s.someone(email))); resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d %s", email, resp.StatusCode, resp.alert())
	}
	return b
}

func (a *answer) doc() *goquery.Document {
	a.t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(a.body))
	if err != nil {
		a.t.Fatal(err)
	}
	return doc
}

func (a *answer) text(selector string) string {
	a.t.Helper()
	return strings.Join(strings.Fields(a.doc().Find(selector).Text()), " ")
}

func (a *answer) alert() string  { a.t.Helper(); return a.text(`[role="alert"]`) }
func (a *answer) status() string { a.t.Helper(); return a.text(`[role="status"]`) }

// wantStatus fails the test unless the answer has the status.
func (a *answer) wantStatus(want int) *answer {
	a.t.Helper()
	if a.StatusCode != want {
		a.t.Errorf("%d, want %d; Location %q, alert %q", a.StatusCode, want, a.Header.Get("Location"), a.alert())
	}
	return a
}

func (a *answer) wantLocation(want string) {
	a.t.Helper()
	a.wantStatus(http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != want {
		a.t.Errorf("Location %q, want %q", got, want)
	}
}

// wantAlert fails the test unless the alert holds each text.
func (a *answer) wantAlert(wants ...string) *answer {
	a.t.Helper()
	for _, want := range wants {
		if got := a.alert(); !strings.Contains(got, want) {
			a.t.Errorf("alert %q, want %q in it", got, want)
		}
	}
	return a
}

// events lists an organization's audit, newest first; "" is the system's.
func (s *site) events(organizationID string, action audit.Action) []audit.Event {
	s.t.Helper()
	page, err := s.audit.List(s.t.Context(), organizationID, audit.Filter{Action: string(action)}, "", 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Events
}

// securityHeaders are those of every answer.
func wantSecurityHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := h.Get("Permissions-Policy"); !strings.Contains(got, "camera=()") || strings.Contains(got, "self") {
		t.Errorf("Permissions-Policy: %q, want all off", got)
	}
	if h.Get("X-Request-Id") == "" {
		t.Error("no request id")
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signIn("ada@acme.example")
	stranger := s.browser()
	asset := stranger.get("/login").doc().Find(`link[rel="stylesheet"]`).AttrOr("href", "")
	tests := []struct {
		name   string
		answer *answer
		status int
		cached bool
	}{
		{"sign-in page", stranger.get("/login"), 200, false},
		{"redirect to sign in", stranger.get("/members"), 303, false},
		{"page", admin.get("/members"), 200, false},
		{"unknown page", stranger.get("/nowhere"), 404, false},
		{"unknown page, signed in", admin.get("/nowhere"), 404, false},
		{"wrong method", stranger.do(http.MethodDelete, "/login", nil), 405, false},
		{"odd method", stranger.do("BREW", "/members", nil), 405, false},
		{"options", stranger.do(http.MethodOptions, "/login", nil), 204, false},
		{"static file", stranger.get(asset), 200, true},
		{"unknown static file", stranger.get("/static/0000/app.css"), 404, false},
		{"favicon", stranger.get("/favicon.ico"), 200, false},
		{"liveness", stranger.get("/healthz"), 200, false},
		{"readiness", stranger.get("/readyz"), 200, false},
		{"foreign host", stranger.get("/login", func(r *http.Request) { r.Host = "evil.example" }), 421, false},
		{"cross-site post", stranger.post("/logout", nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), 403, false},
		{"large form", stranger.post("/login/password", url.Values{"email": {strings.Repeat("x", 70<<10)}}), 413, false},
		{"no form", stranger.do(http.MethodPost, "/login/password", url.Values{"a": {"b"}}, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), 415, false},
		{"broken form", stranger.post("/login/password", nil, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a=%zz")), 5
		}), 400, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.answer.StatusCode != tt.status {
				t.Errorf("status %d, want %d", tt.answer.StatusCode, tt.status)
			}
			wantSecurityHeaders(t, tt.answer.Header)
			want := "no-store"
			if tt.cached {
				want = "public, max-age=31536000, immutable"
			}
			if got := tt.answer.Header.Get("Cache-Control"); got != want {
				t.Errorf("Cache-Control: %q, want %q", got, want)
			}
			if got := tt.answer.Header.Get("Strict-Transport-Security"); got != "" {
				t.Errorf("Strict-Transport-Security %q over plain http", got)
			}
			if tt.status >= 400 && strings.HasPrefix(tt.answer.Header.Get("Content-Type"), "text/html") && tt.answer.alert() == "" {
				t.Error("an error page without an alert")
			}
		})
	}
}

func TestHSTSOnHTTPS(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) { o.publicURL = "https://console.example.com" })
	if got := s.browser().get("/login").Header.Get("Strict-Transport-Security"); !strings.Contains(got, "max-age=31536000") {
		t.Errorf("Strict-Transport-Security: %q", got)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	plain := newSite(t)
	secure := newSite(t, func(o *siteOptions) { o.publicURL = "https://console.example.com" })
	tests := []struct {
		site   *site
		host   string
		path   string
		status int
	}{
		{plain, "127.0.0.1:8080", "/login", 200},
		{plain, "127.0.0.1", "/login", 421},
		{plain, "127.0.0.1:8081", "/login", 421},
		{plain, "localhost:8080", "/login", 421},
		{plain, "evil.example", "/", 421},
		{plain, "evil.example", "/static/x/app.css", 421},
		{plain, "evil.example", "/healthz", 200},
		{plain, "evil.example", "/readyz", 200},
		{plain, "evil.example", "/healthz/", 421},
		{plain, "", "/login", 421},
		{secure, "console.example.com", "/login", 200},
		{secure, "CONSOLE.example.com:443", "/login", 200},
		{secure, "console.example.com:80", "/login", 421},
		{secure, "console.example.com.", "/login", 421},
	}
	for _, tt := range tests {
		t.Run(tt.host+tt.path, func(t *testing.T) {
			t.Parallel()
			resp := tt.site.browser().get(tt.path, func(r *http.Request) { r.Host = tt.host })
			if resp.StatusCode != tt.status {
				t.Errorf("%d, want %d", resp.StatusCode, tt.status)
			}
			if tt.status == http.StatusMisdirectedRequest && !strings.Contains(resp.body, tt.site.public.String()) {
				t.Error("the page does not say which address is right")
			}
		})
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) { o.proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	tests := []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"direct", "192.0.2.7:1234", nil, "192.0.2.7"},
		{"direct, and lying", "192.0.2.7:1234", []string{"198.51.100.1"}, "192.0.2.7"},
		{"by a proxy", "10.1.1.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"by two proxies", "10.1.1.1:80", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"by a proxy, and lying", "10.1.1.1:80", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"in two headers", "10.1.1.1:80", []string{"1.2.3.4", "198.51.100.1"}, "198.51.100.1"},
		{"garbage", "10.1.1.1:80", []string{"<script>"}, "10.1.1.1"},
		{"garbage behind a proxy", "10.1.1.1:80", []string{"nobody, 10.2.2.2"}, "10.2.2.2"},
		{"mapped", "[::ffff:10.1.1.1]:80", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"no address", "@", []string{"198.51.100.1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			for _, f := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := s.server.ClientIP(r); got != tt.want {
				t.Errorf("clientIP = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlainHTTPBehindAProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) {
		o.publicURL, o.proxies = "https://console.example.com", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	from := func(remote, proto string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = remote
			r.Header.Set("X-Forwarded-Proto", proto)
		}
	}
	b := s.browser()
	resp := b.get("/members?q=x", from("10.0.0.1:1", "http"))
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != "https://console.example.com/members?q=x" {
		t.Errorf("plain http: %d to %q, want a redirect to https", resp.StatusCode, got)
	}
	b.post("/login/password", nil, from("10.0.0.1:1", "http")).wantStatus(http.StatusForbidden)
	b.get("/login", from("10.0.0.1:1", "https")).wantStatus(http.StatusOK)
	b.get("/login", from("192.0.2.1:1", "http")).wantStatus(http.StatusOK) // not a listed proxy: not believed
	b.get("/healthz", from("10.0.0.1:1", "http")).wantStatus(http.StatusOK)
}

func TestCrossSite(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	set := func(site, origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
			if site != "" {
				r.Header.Set("Sec-Fetch-Site", site)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}
	}
	tests := []struct {
		name, site, origin string
		refused            bool
	}{
		{"same origin", "same-origin", "http://127.0.0.1:8080", false},
		{"typed by hand", "none", "", false},
		{"older browser", "", "http://127.0.0.1:8080", false},
		{"another site", "cross-site", "https://evil.example", true},
		{"another origin of the site", "same-site", "http://127.0.0.1:9", true},
		{"older browser, another site", "", "https://evil.example", true},
		{"sandboxed frame", "", "null", true},
		{"nothing said", "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/login/password", "/logout", "/members/member-test-1/password/delete", "/operations/x/retry"} {
				b := s.browser()
				resp := b.post(path, nil, set(tt.site, tt.origin))
				if refused := resp.StatusCode == http.StatusForbidden; refused != tt.refused {
					t.Errorf("POST %s: %d, want refused %v", path, resp.StatusCode, tt.refused)
				}
				if tt.refused {
					resp.wantAlert("did not come from a page of the console")
				}
			}
			s.browser().get("/login", set(tt.site, tt.origin)).wantStatus(http.StatusOK)
		})
	}
}

func TestCrossSiteSignOutChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	b.post("/logout", nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).wantStatus(http.StatusForbidden)
	b.get("/members").wantStatus(http.StatusOK)
	if n := len(s.calls("sessions.revoke")); n != 0 {
		t.Errorf("%d revocations upstream, want none", n)
	}
}

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
			if _, err := handlers.New(handlers.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Config: config}); err == nil {
				t.Error("New accepted it")
			}
		})
	}
	if _, err := handlers.New(handlers.Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Config: good}); err != nil {
		t.Errorf("New: %v", err)
	}
}
