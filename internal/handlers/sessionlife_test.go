package handlers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/handlers"
	"orgconsole/internal/stytch"
)

type left struct {
	Idle int `json:"idle_seconds"`
	End  int `json:"end_seconds"`
}

func (b *browser) left() left {
	b.s.t.Helper()
	var l left
	resp := b.get("/session").wantStatus(http.StatusOK)
	if len(resp.Header.Values("Set-Cookie")) != 0 {
		b.s.t.Error("asking how long a session lasts keeps it alive")
	}
	if err := json.Unmarshal([]byte(resp.body), &l); err != nil {
		b.s.t.Fatal(err)
	}
	return l
}

// Looking how much is left, and what a browser fetches ahead, is no activity; pages and the button are.
func TestOnlyRealActivityKeepsASessionAlive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	minute := func(n int) { s.clock.add(time.Duration(n) * time.Minute) }
	if got := b.left(); got.Idle != 1800 || got.End != 8*3600 {
		t.Errorf("at first %+v", got)
	}
	minute(10)
	b.get("/members", func(r *http.Request) { r.Header.Set("Sec-Purpose", "prefetch") }).wantStatus(http.StatusOK)
	if got := b.left(); got.Idle != 1200 {
		t.Errorf("after a prefetch %+v", got)
	}
	b.get("/members").wantStatus(http.StatusOK)
	if got := b.left(); got.Idle != 1800 {
		t.Errorf("after a page %+v", got)
	}
	minute(29)
	b.post("/session/extend", nil).wantStatus(http.StatusOK)
	if got := b.left(); got.Idle != 1800 || got.End != 8*3600-39*60 {
		t.Errorf("after the button %+v", got)
	}
	minute(30)
	b.get("/session").wantStatus(http.StatusUnauthorized)
	b.wantSignedOutAfter()
	// No activity moves the absolute end.
	b = s.signIn("ada@acme.example")
	for range 7*3 + 2 {
		minute(20)
		b.post("/session/extend", nil).wantStatus(http.StatusOK)
	}
	if got := b.left(); got.End != 1200 || got.Idle != 1200 {
		t.Errorf("before the absolute end %+v", got)
	}
	minute(20)
	b.get("/session").wantStatus(http.StatusUnauthorized)
}

func TestRevokedUpstreamIsSaidToThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("ada@acme.example")
	b := s.signIn(who.Email)
	s.control(http.MethodPost, "members/"+who.MemberID, map[string]any{"end_sessions": true}, nil)
	s.clock.add(61 * time.Second)
	b.get("/session").wantStatus(http.StatusUnauthorized)
}

// Who signs in again after the session has ended finds what was typed, where it was typed; nobody else does.
func TestWhatWasTypedSurvivesTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("paula@acme.example")
	path := "/members/" + target.MemberID + "/password/delete"
	typed := url.Values{"reason": {"Caller says the laptop is gone; <b>ünïcode</b>"}, "ticket": {"HD-4711"}, "sign_out": {"1"}}
	lose := func() *browser {
		b := s.signIn("ada@acme.example")
		page := b.get(path).wantStatus(http.StatusOK)
		s.clock.add(31 * time.Minute)
		resp := b.submit(page, path, typed)
		resp.wantLocation("/login?notice=session-ended&return=" + url.QueryEscape(path))
		if n := len(s.calls("members.delete_password")); n != 0 {
			t.Fatalf("%d deletions", n)
		}
		return b
	}
	b := lose()
	form := loginForm(s.someone("ada@acme.example"))
	form.Set("return", path)
	back := b.then(b.post("/login/password", form))
	doc := back.doc()
	if got := doc.Find("textarea[name='reason']").Text(); strings.TrimSpace(got) != typed.Get("reason") {
		t.Errorf("the reason is %q", got)
	}
	if got := doc.Find("input[name='ticket']").AttrOr("value", ""); got != "HD-4711" {
		t.Errorf("the ticket is %q", got)
	}
	_, signOut := doc.Find("input[name='sign_out']").Attr("checked")
	_, reset := doc.Find("input[name='send_reset']").Attr("checked")
	if !signOut || reset {
		t.Errorf("ticked: sign out %v, reset mail %v", signOut, reset)
	}
	if got := back.text("main"); !strings.Contains(got, "Nothing was done") || !strings.Contains(got, "is back") {
		t.Error("the page does not say what happened")
	}
	if got := b.get(path).doc().Find("textarea[name='reason']").Text(); strings.TrimSpace(got) != "" {
		t.Error("it comes back a second time")
	}
	// The same where only the upstream knows that the session is over.
	b = s.signIn("ada@acme.example")
	page := b.get(path).wantStatus(http.StatusOK)
	s.control(http.MethodPost, "members/"+s.someone("ada@acme.example").MemberID, map[string]any{"end_sessions": true}, nil)
	b.submit(page, path, typed).wantLocation("/login?notice=session-ended&return=" + url.QueryEscape(path))
	if got := b.then(b.post("/login/password", form)).doc().Find("textarea[name='reason']").Text(); strings.TrimSpace(got) != typed.Get("reason") {
		t.Errorf("after the upstream ended the session the reason is %q", got)
	}
	b = lose()
	form = loginForm(s.someone("hiro@acme.example"))
	form.Set("return", path)
	if got := b.then(b.post("/login/password", form)).doc().Find("textarea[name='reason']").Text(); strings.TrimSpace(got) != "" {
		t.Errorf("somebody else finds %q", got)
	}
}

// shared is a console that takes the session of another application.
func shared(t *testing.T, names ...string) *site {
	t.Helper()
	return newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) {
			verifier, err := d.Stytch.NewJWTVerifier(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d.JWTs, d.Config.SharedCookies = verifier, names
		}
	})
}

type opened struct {
	Token  string `json:"session_token"`
	JWT    string `json:"session_jwt"`
	Member struct {
		SessionID string `json:"member_session_id"`
	} `json:"member_session"`
}

func (s *site) open(email string, more map[string]any) opened {
	s.t.Helper()
	body := map[string]any{"member_id": s.someone(email).MemberID, "expires_in": "3h"}
	maps.Copy(body, more)
	var o opened
	s.control(http.MethodPost, "sessions", body, &o)
	return o
}

func (b *browser) has(name, value string) *browser {
	b.cookies[name] = &http.Cookie{Name: name, Value: value}
	return b
}

func TestSharedSession(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session", "stytch_session_jwt")
	who := s.someone("ada@acme.example")
	for name, cookie := range map[string]func(opened) string{
		"stytch_session": func(o opened) string { return o.Token }, "stytch_session_jwt": func(o opened) string { return o.JWT },
	} {
		o := s.open(who.Email, nil)
		b := s.browser().has(name, cookie(o))
		b.get("/members?q=").wantStatus(http.StatusOK)
		b.wantSignedIn(who.Email)
		ins := s.events(who.OrganizationID, audit.ActionSignIn)
		if len(ins) == 0 || ins[0].Detail != "shared_session" || ins[0].Actor.Email != who.Email {
			t.Errorf("%s: recorded %+v", name, ins)
		}
		for _, c := range b.cookies {
			if strings.HasPrefix(c.Name, "console") && strings.Contains(c.Value, cookie(o)) {
				t.Error("the token was copied into a cookie in the clear")
			}
		}
		// The other application signs out: here too, at once.
		gone := *b
		gone.cookies = map[string]*http.Cookie{"console": b.cookies["console"]}
		gone.get("/account").wantStatus(http.StatusSeeOther)
		// Somebody else in the other application: here too, in a session of their own.
		was := b.cookies["console"].Value
		b.has(name, cookie(s.open("hiro@acme.example", nil)))
		b.wantSignedIn("hiro@acme.example")
		if b.cookies["console"].Value == was {
			t.Error("another session has the same cookie")
		}
		// Signing out ends the session, and its cookie leads in no more.
		b.post("/logout", nil).wantStatus(http.StatusSeeOther)
		b.get("/account").wantStatus(http.StatusSeeOther)
	}
}

func TestSharedSessionIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o := s.open("ada@acme.example", nil)
	s.browser().has("stytch_session", o.Token).has("stytch_session_jwt", o.JWT).wantSignedOut()
}

// Idleness and age here count for a shared session too, however lively it is elsewhere.
func TestSharedSessionEndsHere(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session")
	o := s.open("ada@acme.example", map[string]any{"expires_in": "20h"})
	b := s.browser().has("stytch_session", o.Token)
	b.wantSignedIn("ada@acme.example")
	s.clock.add(31 * time.Minute)
	b.get("/account").wantStatus(http.StatusSeeOther)
	b.get("/account").wantStatus(http.StatusSeeOther) // and is not taken anew
	o = s.open("ada@acme.example", map[string]any{"expires_in": "20h"})
	b = s.browser().has("stytch_session", o.Token)
	s.clock.add(8*time.Hour + time.Minute)
	b.get("/account").wantStatus(http.StatusSeeOther)
}

// A JWT is read here before anybody is asked about it: what is forged costs no
// call, and what is new of a session just seen costs none either.
func TestSharedJWTIsVerifiedHere(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session_jwt")
	o := s.open("ada@acme.example", nil)
	asked := func() int { return len(s.calls("sessions.authenticate")) }
	forged := o.JWT[:len(o.JWT)-8] + "AAAAAAAA"
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0" + o.JWT[strings.Index(o.JWT, "."):strings.LastIndex(o.JWT, ".")+1]
	for _, bad := range []string{forged, none, "a.b.c", "..", strings.Repeat("x", 9000) + ".y.z"} {
		s.browser().has("stytch_session_jwt", bad).wantSignedOut()
	}
	if n := asked(); n != 0 {
		t.Errorf("%d calls about forged JWTs", n)
	}
	b := s.browser().has("stytch_session_jwt", o.JWT)
	b.get("/members").wantStatus(http.StatusOK)
	n := asked()
	acting, err := stytch.ActingJWT(o.JWT)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := s.deps.Stytch.AuthenticateSession(t.Context(), acting, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.has("stytch_session_jwt", fresh.SessionJWT.Reveal()).get("/account").wantStatus(http.StatusOK)
	if got := asked(); got != n+1 { // the test's own
		t.Errorf("%d calls more for a new JWT of the same session", got-n-1)
	}
	// Past its five minutes the upstream is asked; what then acts is the token it gives.
	s.clock.add(6 * time.Minute)
	b.get("/members").wantStatus(http.StatusOK)
	if got := asked(); got != n+2 {
		t.Errorf("%d calls for an expired JWT, want 1", got-n-1)
	}
	// Revoked upstream: noticed within a minute, though the JWT still verifies.
	late := s.open("hiro@acme.example", nil)
	h := s.browser().has("stytch_session_jwt", late.JWT)
	h.get("/account").wantStatus(http.StatusOK)
	s.control(http.MethodPost, "members/"+s.someone("hiro@acme.example").MemberID, map[string]any{"end_sessions": true}, nil)
	s.clock.add(61 * time.Second)
	h.get("/account").wantStatus(http.StatusSeeOther)
}

// Both headers are used: the one of the token, and the one of a JWT that is still good.
func TestBothSessionHeaders(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session", "stytch_session_jwt")
	seen := func() (token, jwt string) {
		header := s.headers.Load().(http.Header)
		return header.Get("X-Stytch-Member-Session"), header.Get("X-Stytch-Member-SessionJWT")
	}
	o := s.open("ada@acme.example", nil)
	s.browser().has("stytch_session", o.Token).get("/members").wantStatus(http.StatusOK)
	if token, jwt := seen(); token != o.Token || jwt != "" {
		t.Errorf("acted with token %v, JWT %v", token != "", jwt != "")
	}
	s.browser().has("stytch_session_jwt", o.JWT).get("/members").wantStatus(http.StatusOK)
	if token, jwt := seen(); token != "" || jwt != o.JWT {
		t.Errorf("acted with token %v, JWT %v", token != "", jwt != "")
	}
}

// Signing out where the upstream does not answer still ends the session here, in whichever JWT it comes back.
func TestSharedSessionStaysEnded(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session_jwt")
	o := s.open("ada@acme.example", nil)
	acting, err := stytch.ActingJWT(o.JWT)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.add(2 * time.Second)
	other, err := s.deps.Stytch.AuthenticateSession(t.Context(), acting, nil)
	if err != nil || other.SessionJWT.Reveal() == o.JWT {
		t.Fatalf("no other JWT: %v", err)
	}
	b := s.browser().has("stytch_session_jwt", o.JWT)
	b.wantSignedIn("ada@acme.example")
	s.faults(map[string]any{"endpoint": "sessions.revoke", "kind": "server_error"})
	b.post("/logout", nil).wantStatus(http.StatusBadGateway)
	s.browser().has("stytch_session_jwt", other.SessionJWT.Reveal()).get("/account").wantStatus(http.StatusSeeOther)
}

// Sessions that are none are asked about a few times, and no more.
func TestRefusedSharedSessionsAreThrottled(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session")
	for i := range 100 {
		s.browser().has("stytch_session", fmt.Sprintf("made-up-token-made-up-token-made-up-%06d", i)).get("/account")
	}
	if n := len(s.calls("sessions.authenticate")); n > 40 {
		t.Errorf("%d calls", n)
	}
	b := s.browser().has("stytch_session", s.open("ada@acme.example", nil).Token)
	b.get("/account").wantStatus(http.StatusTooManyRequests)
	s.clock.add(time.Minute)
	b.wantSignedIn("ada@acme.example")
	// Whoever was taken before stays in, whatever comes from the same address.
	s.clock.add(61 * time.Second)
	for i := range 100 {
		s.browser().has("stytch_session", fmt.Sprintf("made-up-token-made-up-token-made-up-%07d", i)).get("/account")
	}
	b.wantSignedIn("ada@acme.example")
}

// Whatever leads in is ended, also without a cookie of the console's own.
func TestSignOutWithoutACookieOfOurs(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session")
	o := s.open("ada@acme.example", nil)
	b := s.browser().has("stytch_session", o.Token)
	b.post("/logout", nil).wantStatus(http.StatusSeeOther)
	b.get("/account").wantStatus(http.StatusSeeOther)
	// What is made up is not kept.
	var before, after int
	count := func(n *int) {
		if err := s.db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM ended_sessions").Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	count(&before)
	for i := range 10 {
		s.browser().has("stytch_session", fmt.Sprintf("made-up-token-made-up-token-made-up-%06d", i)).post("/logout", nil)
	}
	if count(&after); after != before {
		t.Errorf("%d sessions that never were are kept as ended", after-before)
	}
}

// Signing out ends what the cookie holds, idle or not, and what would lead in again.
func TestSignOutEndsEverythingAtHand(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session")
	ada := s.someone("ada@acme.example")
	// Idle here, while a copy of the cookie was kept alive elsewhere.
	b := s.signIn(ada.Email)
	copied := s.browser()
	copied.cookies = maps.Clone(b.cookies)
	s.clock.add(20 * time.Minute)
	copied.get("/account").wantStatus(http.StatusOK)
	s.clock.add(11 * time.Minute)
	b.post("/logout", nil).wantLocation("/login?notice=signed-out")
	copied.get("/account").wantStatus(http.StatusSeeOther)
	// Idle in another application's session.
	b = s.browser().has("stytch_session", s.open(ada.Email, map[string]any{"expires_in": "20h"}).Token)
	b.wantSignedIn(ada.Email)
	s.clock.add(31 * time.Minute)
	b.post("/logout", nil).wantStatus(http.StatusSeeOther)
	b.get("/account").wantStatus(http.StatusSeeOther)
	// The same while the upstream does not answer.
	b = s.browser().has("stytch_session", s.open(ada.Email, nil).Token)
	b.wantSignedIn(ada.Email)
	s.clock.add(61 * time.Second)
	s.faults(map[string]any{"endpoint": "*", "kind": "server_error"})
	b.post("/logout", nil).wantStatus(http.StatusBadGateway)
	s.faults()
	b.get("/account").wantStatus(http.StatusSeeOther)
	// Switched away from it: signing out of the other organization leads back into neither.
	sam := s.someone("sam@partners.example")
	b = s.browser().has("stytch_session", s.open(sam.Email, nil).Token)
	b.submitChoice(b.get("/account/organizations"), "/account/organizations", s.someone("olga@globex.example").OrganizationID).wantStatus(http.StatusSeeOther)
	b.post("/logout", nil).wantStatus(http.StatusSeeOther)
	b.get("/account").wantStatus(http.StatusSeeOther)
}

// What another application began an hour ago is an hour old here.
func TestSharedSessionIsAsOldAsItIs(t *testing.T) {
	t.Parallel()
	s := shared(t, "stytch_session")
	o := s.open("ada@acme.example", map[string]any{"expires_in": "20h"})
	s.clock.add(time.Hour)
	b := s.browser().has("stytch_session", o.Token)
	b.wantSignedIn("ada@acme.example")
	if got := b.left(); got.End != 7*3600 {
		t.Errorf("%d s are left, want 7 hours", got.End)
	}
}
