package handlers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

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
