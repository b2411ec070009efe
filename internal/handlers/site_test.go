package handlers_test

import (
	"bytes"
	"context"
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
	"sync/atomic"
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
	auditKey string // public half
	db       *database.DB
	logs     *lockedBuffer
	deps     handlers.Deps
	tokens   *lockedBuffer   // every secret the upstream gave out, a line each
	headers  *atomic.Value   // of the latest member search
	running  *sync.WaitGroup // what goes on in the background
	wire     *lockedBuffer   // every POST the upstream got, path and body, a line each
}

type siteOptions struct {
	publicURL    string        // http://127.0.0.1:8080
	keys         [][]byte      // one random
	sandboxAhead time.Duration // how far the upstream's clock is ahead
	proxies      []netip.Prefix
	orgSize      int
	demo         bool
	publicToken  bool
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
	s := &site{t: t, public: public, clock: &clock{now: time.Now().Truncate(time.Second)}, logs: &lockedBuffer{}, tokens: &lockedBuffer{}, wire: &lockedBuffer{}, running: &sync.WaitGroup{}, headers: &atomic.Value{}}
	s.sandbox, err = sandbox.New(sandbox.Options{
		Now: func() time.Time { return s.clock.Now().Add(o.sandboxAhead) }, Seed: 1, OrgSize: o.orgSize,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.upstream = httptest.NewServer(s.noteTokens(s.sandbox.Handler()))
	t.Cleanup(s.upstream.Close)
	info := s.sandbox.Info()
	client, err := stytch.New(info.ProjectID, info.Secret, stytch.WithBaseURL(s.upstream.URL), stytch.WithTimeout(2*time.Second), stytch.WithClock(s.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	s.db, err = database.Open(t.Context(), (&url.URL{Scheme: "sqlite", Path: filepath.Join(t.TempDir(), "console.db")}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	var signer string
	signer, s.auditKey, err = audit.NewKey(rand.Reader)
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
		Background: s.background,
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
	if o.publicToken {
		deps.Config.PublicToken = info.PublicToken
	}
	if o.edit != nil {
		o.edit(&deps)
	}
	s.build(deps)
	return s
}

// background runs what goes on when its request is over; the test ends after it.
func (s *site) background(run func(ctx context.Context)) {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	s.running.Go(func() { run(ctx) })
	s.t.Cleanup(func() { stop(); s.running.Wait() })
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

// noteTokens reads along: what the console sent, and every secret that was answered.
func (s *site) noteTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/b2b/") || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/members/search") {
			s.headers.Store(r.Header.Clone())
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Error(err)
		}
		_, _ = s.wire.Write([]byte(r.URL.Path + " " + string(body) + "\n"))
		r.Body = io.NopCloser(bytes.NewReader(body))
		tee := &teeWriter{ResponseWriter: w}
		next.ServeHTTP(tee, r)
		var reply struct {
			Token  string   `json:"session_token"`
			JWT    string   `json:"session_jwt"`
			Proof  string   `json:"intermediate_session_token"`
			Secret string   `json:"secret"`
			Codes  []string `json:"recovery_codes"`
		}
		if json.Unmarshal(tee.b.Bytes(), &reply) == nil {
			for _, secret := range append([]string{reply.Token, reply.JWT, reply.Proof, reply.Secret}, reply.Codes...) {
				if secret != "" {
					_, _ = s.tokens.Write([]byte(secret + "\n"))
				}
			}
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
