package handlers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/handlers"
)

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	tests := []struct{ public, name, want string }{
		{"http://127.0.0.1:8080", "console", "Path=/; HttpOnly; SameSite=Lax"},
		{"https://console.example.com", "__Host-console", "Path=/; HttpOnly; Secure; SameSite=Lax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *siteOptions) { o.publicURL = tt.public })
			b := s.browser()
			resp := b.post("/login/password", loginForm(s.someone("ada@acme.example"))).wantStatus(http.StatusSeeOther)
			set := resp.Header.Values("Set-Cookie")
			if len(set) != 1 {
				t.Fatalf("%d cookies set, want one", len(set))
			}
			pair, attributes, _ := strings.Cut(set[0], "; ")
			name, value, _ := strings.Cut(pair, "=")
			if name != tt.name || attributes != tt.want {
				t.Errorf("Set-Cookie: %s=…; %s, want %s=…; %s", name, attributes, tt.name, tt.want)
			}
			for token := range strings.FieldsSeq(s.tokens.String()) {
				if strings.Contains(value, token) {
					t.Error("the token can be read in the cookie")
				}
			}
		})
	}
}

func TestTamperedCookieIsNoSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	good := s.signIn("ada@acme.example").cookies["console"].Value
	for name, value := range map[string]string{
		"changed": good[:len(good)/2] + flip(good[len(good)/2:]), "cut": good[:len(good)-8], "empty": "", "nonsense": "x",
	} {
		b := s.browser()
		b.cookies["console"] = &http.Cookie{Name: "console", Value: value}
		resp := b.get("/members")
		if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/login?") {
			t.Errorf("%s: %d to %q, want the sign-in page", name, resp.StatusCode, resp.Header.Get("Location"))
		}
		if _, kept := b.cookies["console"]; kept {
			t.Errorf("%s: the cookie is kept", name)
		}
	}
	other := newSite(t)
	b := other.browser()
	b.cookies["console"] = &http.Cookie{Name: "console", Value: good}
	b.get("/members").wantStatus(http.StatusSeeOther)
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// A sealed form is signed with the same keys and is no session all the same, and the other way round.
func TestPurposesDoNotMix(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	var v struct{ Token string }
	if err := s.server.OpenForm(b.cookies["console"].Value, &v); err == nil || v.Token != "" {
		t.Errorf("a session cookie was opened as a form: %v", err)
	}
	sealed, err := s.server.SealForm(map[string]string{"token": "x"})
	if err != nil {
		t.Fatal(err)
	}
	b.cookies["console"].Value = sealed
	b.get("/members").wantStatus(http.StatusSeeOther)
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	oldKey, newer := newKey(t), newKey(t)
	s := newSite(t, func(o *siteOptions) { o.keys = [][]byte{oldKey} })
	b := s.signIn("ada@acme.example")
	rotated := s.with(t, func(d *handlers.Deps) { d.Config.SessionKeys = [][]byte{newer, oldKey} })
	gone := s.with(t, func(d *handlers.Deps) { d.Config.SessionKeys = [][]byte{newer} })

	b.s = rotated
	b.get("/members").wantStatus(http.StatusOK)
	s.clock.add(2 * time.Minute) // long enough for a new cookie, which the newest key signs
	b.get("/members").wantStatus(http.StatusOK)
	b.s = gone
	b.get("/members").wantStatus(http.StatusOK)

	stale := s.signIn("ada@acme.example")
	stale.s = gone
	stale.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
}

func TestIdle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ended := "/login?notice=session-ended&return=%2Fmembers"

	idle := s.signIn("ada@acme.example")
	s.clock.add(29 * time.Minute)
	idle.get("/members").wantStatus(http.StatusOK)
	s.clock.add(29 * time.Minute)
	idle.get("/members").wantStatus(http.StatusOK) // being seen moved the end
	s.clock.add(30 * time.Minute)
	idle.get("/members").wantLocation(ended)
	idle.get("/members").wantLocation("/login?return=%2Fmembers") // the cookie is gone, and with it the notice
	resp := idle.get(ended)
	if !strings.Contains(resp.status(), "session has ended") {
		t.Errorf("status %q", resp.status())
	}
}

// forge makes a cookie as only the console can.
func (s *site) forge(token string, who someone, issued, seen time.Time) *browser {
	s.t.Helper()
	value, err := s.server.Cookie(token, who.MemberID, who.OrganizationID, issued, seen)
	if err != nil {
		s.t.Fatal(err)
	}
	b := s.browser()
	b.cookies["console"] = &http.Cookie{Name: "console", Value: value}
	return b
}

func TestWhatTheCookieSaysIsChecked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn("ada@acme.example")
	token := strings.Fields(s.tokens.String())[0]
	ada, hiro, olga := s.someone("ada@acme.example"), s.someone("hiro@acme.example"), s.someone("olga@globex.example")
	now := s.clock.Now()
	mixed := ada
	mixed.OrganizationID = olga.OrganizationID
	tests := []struct {
		name         string
		token        string
		who          someone
		issued, seen time.Time
		status       int
	}{
		{"as it is", token, ada, now, now, 200},
		{"just within the longest age", token, ada, now.Add(-8*time.Hour + time.Second), now, 200},
		{"at the longest age", token, ada, now.Add(-8 * time.Hour), now, 303},
		{"just within the idle time", token, ada, now.Add(-time.Hour), now.Add(-30*time.Minute + time.Second), 200},
		{"at the idle time", token, ada, now.Add(-time.Hour), now.Add(-30 * time.Minute), 303},
		{"another member", token, hiro, now, now, 303},
		{"another organization", token, mixed, now, now, 303},
		{"no token", "", ada, now, now, 303},
		{"another token", "x", ada, now, now, 303},
		{"no times", token, ada, time.Time{}, time.Time{}, 303},
	}
	for _, tt := range tests {
		b := s.forge(tt.token, tt.who, tt.issued, tt.seen)
		if resp := b.get("/members"); resp.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
	}
}

// The codec has a limit of its own, by the machine's clock.
func TestOldCookieIsRefusedByItsSignature(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	s := newSite(t, func(o *siteOptions) { o.keys = [][]byte{key} })
	b := s.signIn("ada@acme.example")
	for _, age := range []time.Duration{8*time.Hour - time.Minute, 8*time.Hour + time.Minute} {
		raw, err := base64.URLEncoding.DecodeString(b.cookies["console"].Value)
		if err != nil {
			t.Fatal(err)
		}
		value := strings.SplitN(string(raw), "|", 3)[1]
		signed := fmt.Sprintf("%d|%s", time.Now().Add(-age).Unix(), value)
		mac := hmac.New(sha256.New, key[:32])
		mac.Write([]byte("console|" + signed))
		old := s.browser()
		old.cookies["console"] = &http.Cookie{Name: "console", Value: base64.URLEncoding.EncodeToString([]byte(signed + "|" + string(mac.Sum(nil))))}
		want := map[bool]int{true: http.StatusOK, false: http.StatusSeeOther}[age < 8*time.Hour]
		if resp := old.get("/members"); resp.StatusCode != want {
			t.Errorf("a value %s old: %d, want %d", age, resp.StatusCode, want)
		}
	}
}

func TestNeverPastTheUpstreamsEnd(t *testing.T) {
	t.Parallel()
	// Seen from here the upstream's sessions end after one hour instead of eight, and it never says so itself.
	s := newSite(t, func(o *siteOptions) { o.sandboxAhead = -7 * time.Hour })
	b := s.signIn("ada@acme.example")
	for range 2 {
		s.clock.add(25 * time.Minute)
		b.get("/members").wantStatus(http.StatusOK)
	}
	s.clock.add(10 * time.Minute)
	b.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
}

func TestLastSeenIsRenewedOnceAMinute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	for _, step := range []struct {
		after time.Duration
		set   bool
	}{{0, false}, {59 * time.Second, false}, {time.Second, true}, {30 * time.Second, false}, {30 * time.Second, true}} {
		s.clock.add(step.after)
		if got := b.get("/members").Header.Get("Set-Cookie") != ""; got != step.set {
			t.Errorf("after %s more: cookie set %v, want %v", step.after, got, step.set)
		}
	}
}

// What the upstream says of a session is asked at most once a minute, and believed at once when it ends it.
func TestSessionEndedUpstream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("max@acme.example")
	self := "/members/" + s.someone("max@acme.example").MemberID
	b.get(self).wantStatus(http.StatusOK)
	s.control(http.MethodPost, "members/"+s.someone("max@acme.example").MemberID, map[string]any{"end_sessions": true}, nil)
	b.get(self).wantLocation("/login?notice=session-ended&return=" + url.QueryEscape(self))
	if len(b.cookies) != 0 {
		t.Error("the cookie is kept")
	}
}

// Once one page found a session dead, no other goes on with what was cached of it.
func TestDeadSessionIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.signIn(ada.Email)
	copied := s.signInCopy(b)
	s.control(http.MethodPost, "members/"+ada.MemberID, map[string]any{"end_sessions": true}, nil)
	b.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
	copied.get("/").wantLocation("/login?notice=session-ended")
}

func TestSessionOfAnotherMember(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	s.clock.add(2 * time.Minute) // past what is cached of it
	s.faults(map[string]any{"endpoint": "sessions.authenticate", "kind": "wrong_member"})
	resp := b.get("/members")
	if resp.StatusCode == http.StatusOK {
		t.Error("a page was shown for a session that the upstream says is somebody else's")
	}
}

func TestSignedOutLeadsToSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	tests := []struct{ method, path, referer, want string }{
		{"GET", "/", "", "/login"},
		{"GET", "/members", "", "/login?return=%2Fmembers"},
		{"GET", "/members?q=a%26b&status=active", "", "/login?return=%2Fmembers%3Fq%3Da%2526b%26status%3Dactive"},
		{"HEAD", "/audit", "", "/login?return=%2Faudit"},
		{"GET", "/members/member-test-1/password/delete", "", "/login?return=%2Fmembers%2Fmember-test-1%2Fpassword%2Fdelete"},
		{"POST", "/members/member-test-1/password/delete", "", "/login?return=%2Fmembers%2Fmember-test-1%2Fpassword%2Fdelete"},
		{"POST", "/operations/x/retry", "", "/login"},
		{"POST", "/operations/x/retry", "http://127.0.0.1:8080/members/member-test-1?operation=x", "/login?return=%2Fmembers%2Fmember-test-1%3Foperation%3Dx"},
		{"POST", "/operations/x/retry", "http://evil.example/members/member-test-1", "/login"},
		{"POST", "/operations/x/retry", "http://127.0.0.1:8080/login", "/login"},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path+tt.referer, func(t *testing.T) {
			t.Parallel()
			s.browser().do(tt.method, tt.path, nil, func(r *http.Request) { r.Header.Set("Referer", tt.referer) }).wantLocation(tt.want)
		})
	}
}

func TestSafeReturn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for raw, want := range map[string]string{
		"/members": "/members", "/members?q=a%20b": "/members?q=a%20b", "/members/member-test-1": "/members/member-test-1", "/": "/",
		"/audit#x": "/audit", "/members?next=//evil.example": "/members?next=//evil.example",
		"": "", "members": "", "//evil.example": "", "///evil.example": "", "/\\evil.example": "", "\\\\evil.example": "", "/members\\..": "", "/members?q=\\x": "", "/members/%5cx": "",
		"http://evil.example/members": "", "https:/members": "", "javascript:alert(1)": "", "/members\n": "", "/members\tx": "", "/mem bers": "",
		"/login": "", "/login?return=/login": "", "/logout": "", "/login/": "", "/Login": "", "/static/x/app.css": "", "/healthz": "", "/nowhere": "",
		"/members/../login": "", "/members/..": "", "/./members": "", "/members/": "", "/%6cogin": "", "/%6dembers": "", "/%2f/evil.example": "", "/members/%2e%2e": "",
		"/members/\u00e9": "", "/members/a@evil.example": "/members/a@evil.example", "@evil.example": "", "/@evil.example": "",
		"/members?" + strings.Repeat("a", 5000): "/members",
	} {
		if got := s.server.SafeReturn(raw); got != want {
			t.Errorf("safeReturn(%.60q) = %q, want %q", raw, got, want)
		}
	}
}

func FuzzSafeReturn(f *testing.F) {
	s := newSite(f)
	for _, seed := range []string{"/members", "//x", "/\\x", "/members?q=//x", "/%2f%2fx", "/members/..//x", "/\t/x", "/audit/%5cx"} {
		f.Add(seed)
	}
	home := &url.URL{Scheme: "https", Host: "console.example.com", Path: "/login"}
	f.Fuzz(func(t *testing.T, raw string) {
		got := s.server.SafeReturn(raw)
		if got == "" {
			return
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Fatalf("safeReturn(%q) = %q", raw, got)
		}
		to, err := home.Parse(got)
		if err != nil || to.Host != home.Host || to.Scheme != home.Scheme || to.User != nil {
			t.Fatalf("safeReturn(%q) = %q leads to %v (%v)", raw, got, to, err)
		}
		if strings.HasPrefix(to.Path, "/log") || strings.Contains(to.Path, "//") {
			t.Fatalf("safeReturn(%q) = %q", raw, got)
		}
		if again := s.server.SafeReturn(got); again != got {
			t.Fatalf("safeReturn(%q) = %q, and of that %q", raw, got, again)
		}
	})
}
