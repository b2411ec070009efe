package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/handlers"
	"orgconsole/internal/stytch"
)

const wrongText = "Organization, email or password is wrong."

func TestSignInPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	resp := s.browser().get("/login?return=%2Fmembers%3Fq%3Dx").wantStatus(http.StatusOK)
	doc := resp.doc()
	if got := resp.text("h1"); got != "Sign in" {
		t.Errorf("h1 %q", got)
	}
	for label, name := range map[string]string{"Organization": "organization", "Email": "email", "Password": "password"} {
		field := doc.Find("#" + doc.Find("label:contains('"+label+"')").AttrOr("for", "none"))
		if field.AttrOr("name", "") != name {
			t.Errorf("label %s belongs to no field %s", label, name)
		}
	}
	form := doc.Find("form[action='/login/password'][method='post']")
	if got := form.Find("input[name='return']").AttrOr("value", ""); got != "/members?q=x" {
		t.Errorf("return %q", got)
	}
	if got := strings.TrimSpace(form.Find("button[type='submit']").First().Text()); got != "Sign in" {
		t.Errorf("button %q", got)
	}
	if strings.Contains(resp.text("main"), "demo") || doc.Find("table").Length() != 0 {
		t.Error("people are listed without a demo")
	}
	if got := s.browser().get("/login?return=%2F%2Fevil.example").doc().Find("input[name='return']").AttrOr("value", ""); got != "" {
		t.Errorf("return %q, want none", got)
	}
}

func TestDemoListsItsPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *siteOptions) { o.demo = true })
	resp := s.browser().get("/login")
	for _, p := range s.sandbox.Info().People {
		if text := resp.text("table"); !strings.Contains(text, p.Email) || !strings.Contains(text, p.Password) {
			t.Errorf("%s is not listed with a password", p.Email)
		}
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	for sent, want := range map[string]string{
		"": "/", "/audit": "/audit", "/members?q=a%20b": "/members?q=a%20b", "//evil.example": "/", "https://evil.example/": "/", "/logout": "/", "/login": "/",
	} {
		form := loginForm(ada)
		form.Set("return", sent)
		form.Set("email", "  "+ada.Email+" ")
		b := s.browser()
		b.post("/login/password", form).wantLocation(want)
		b.get("/members").wantStatus(http.StatusOK)
		b.get("/login").wantLocation("/")
		b.get("/login?return=%2Faudit").wantLocation("/audit")
	}
	call := s.calls("passwords.authenticate")[0]
	var body struct {
		Minutes int `json:"session_duration_minutes"`
	}
	if err := json.Unmarshal(call.Body, &body); err != nil || body.Minutes != 480 {
		t.Errorf("session_duration_minutes = %d, want 480 (error %v)", body.Minutes, err)
	}
	if len(call.Session) != 0 {
		t.Error("the sign-in carried a session")
	}
	events := s.events(ada.OrganizationID, audit.ActionSignIn)
	if len(events) != 7 {
		t.Fatalf("%d sign-ins recorded, want 7", len(events))
	}
	ev := events[0]
	if ev.Outcome != audit.OutcomeSucceeded || ev.Actor.MemberID != ada.MemberID || ev.Actor.Email != ada.Email || ev.Actor.SessionID == "" ||
		ev.UpstreamRequestID == "" || ev.Source.IP != "192.0.2.1" {
		t.Errorf("recorded %+v", ev)
	}
}

// After signing in the next page asks the upstream for nothing it has just said.
func TestFirstPageAfterSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	before := len(s.calls(""))
	b.get("/members").wantStatus(http.StatusOK)
	calls := s.calls("")[before:]
	if len(calls) != 1 || calls[0].Endpoint != "members.search" {
		t.Errorf("the list made %d calls upstream, want one search: %+v", len(calls), calls)
	}
}

func TestEachSignInGetsANewCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	first := b.cookies["console"].Value
	b.post("/login/password", loginForm(s.someone("hiro@acme.example"))).wantStatus(http.StatusSeeOther)
	if b.cookies["console"].Value == first {
		t.Error("the cookie stayed the same")
	}
	if got := b.get("/members").text(".who"); !strings.Contains(got, "hiro@acme.example") {
		t.Errorf("signed in as %q", got)
	}
}

func TestSignInRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, lena, noor := s.someone("ada@acme.example"), s.someone("lena@acme.example"), s.someone("noor@acme.example")
	reset := s.someone("ursula@acme.example")
	s.control(http.MethodPost, "members/"+reset.MemberID, map[string]any{"reset_required": true}, nil)
	with := func(p someone, change url.Values) url.Values {
		form := loginForm(p)
		maps.Copy(form, change)
		return form
	}
	tests := []struct {
		name   string
		form   url.Values
		status int
		alert  string
		org    string // where it is recorded
		detail string
		out    audit.Outcome
	}{
		{"wrong password", with(ada, url.Values{"password": {"not-ada's"}}), 401, wrongText, ada.OrganizationID, "password_refused", audit.OutcomeFailed},
		{"unknown person", with(ada, url.Values{"email": {"nobody@acme.example"}}), 401, wrongText, ada.OrganizationID, "password_refused", audit.OutcomeFailed},
		{"unknown organization", with(ada, url.Values{"organization": {"nowhere"}}), 401, wrongText, "", "password_refused", audit.OutcomeFailed},
		{"no organization can be called that", with(ada, url.Values{"organization": {"../x y"}}), 401, wrongText, "", "password_refused", audit.OutcomeFailed},
		{"no password set", with(noor, url.Values{"password": {"whatever"}}), 401, wrongText, ada.OrganizationID, "password_refused", audit.OutcomeFailed},
		{"locked", loginForm(lena), 429, "locked after too many failed attempts", ada.OrganizationID, "locked", audit.OutcomeFailed},
		{
			"method not allowed", loginForm(s.someone("ingrid@initech.test")), 403, "does not allow signing in with a password",
			s.someone("ingrid@initech.test").OrganizationID, "method_not_allowed", audit.OutcomeDenied,
		},
		{"must reset", loginForm(reset), 403, "must be reset", ada.OrganizationID, "reset_required", audit.OutcomeFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := s.browser()
			mark := "agent " + tt.name
			tt.form.Set("return", "/audit")
			resp := b.post("/login/password", tt.form, func(r *http.Request) { r.Header.Set("User-Agent", mark) })
			resp.wantStatus(tt.status).wantAlert(tt.alert)
			if len(resp.Header.Values("Set-Cookie")) != 0 {
				t.Error("a cookie was set")
			}
			doc := resp.doc()
			for field, want := range map[string]string{
				"organization": tt.form.Get("organization"), "email": tt.form.Get("email"), "password": "", "return": "/audit",
			} {
				if got := doc.Find("input[name='"+field+"']").AttrOr("value", ""); got != want {
					t.Errorf("field %s holds %q, want %q", field, got, want)
				}
			}
			if pw := tt.form.Get("password"); strings.Contains(resp.body, pw) {
				t.Error("the password is on the page")
			}
			var found *audit.Event
			for _, ev := range s.events(tt.org, audit.ActionSignIn) {
				if ev.Source.UserAgent == mark {
					found = &ev
				}
			}
			switch {
			case found == nil:
				t.Errorf("not recorded in %q", tt.org)
			case found.Detail != tt.detail || found.Outcome != tt.out || found.Actor.Email != tt.form.Get("email"):
				t.Errorf("recorded %s, %s for %q; want %s, %s for %q", found.Outcome, found.Detail, found.Actor.Email, tt.out, tt.detail, tt.form.Get("email"))
			}
		})
	}
}

// The three mistakes cannot be told apart by anything in the answer.
func TestWrongPasswordPersonAndOrganizationReadAlike(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, protected := range []bool{true, false} {
		s.control(http.MethodPut, "switches", map[string]any{"enumeration_protection": protected}, nil)
		var bodies []string
		for _, form := range []url.Values{
			{"organization": {"acme"}, "email": {"ada@acme.example"}, "password": {"x"}},
			{"organization": {"acme"}, "email": {"nobody@acme.example"}, "password": {"x"}},
			{"organization": {"nowhere"}, "email": {"ada@acme.example"}, "password": {"x"}},
			{"organization": {"acme"}, "email": {"noor@acme.example"}, "password": {"x"}},
		} {
			resp := s.browser().post("/login/password", form).wantStatus(http.StatusUnauthorized)
			once := resp.doc().Find("input[name='once']").AttrOr("value", "none")
			text := strings.NewReplacer(once, "", `value="`+form.Get("organization")+`"`, "", `value="`+form.Get("email")+`"`, "").Replace(resp.body)
			bodies = append(bodies, text)
		}
		for i := range bodies {
			if bodies[i] != bodies[0] {
				t.Errorf("protected %v: answer %d differs from the first", protected, i)
			}
		}
	}
}

func TestTenFailuresLockAndTheNextSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	locked := s.someone("max@acme.example")
	wrong := loginForm(locked)
	wrong.Set("password", "wrong")
	b := s.browser()
	for range 10 {
		b.post("/login/password", wrong).wantStatus(http.StatusUnauthorized)
	}
	b.post("/login/password", loginForm(locked)).wantStatus(http.StatusTooManyRequests).wantAlert("locked")
}

func TestSignInValidation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, form := range map[string]url.Values{
		"nothing":         {},
		"no organization": {"email": {"a@b.example"}, "password": {"x"}},
		"blank":           {"organization": {"  "}, "email": {"a@b.example"}, "password": {"x"}},
		"no email":        {"organization": {"acme"}, "password": {"x"}},
		"no address":      {"organization": {"acme"}, "email": {"ada"}, "password": {"x"}},
		"no password":     {"organization": {"acme"}, "email": {"a@b.example"}},
		"long":            {"organization": {strings.Repeat("a", 200)}, "email": {"a@b.example"}, "password": {"x"}},
		"long password":   {"organization": {"acme"}, "email": {"a@b.example"}, "password": {strings.Repeat("a", 2000)}},
		"not text":        {"organization": {"acme"}, "email": {"a@b.example"}, "password": {"\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := s.browser().post("/login/password", form).wantStatus(http.StatusUnprocessableEntity).wantAlert("You are not signed in")
			if got := resp.doc().Find("#email").AttrOr("value", ""); got != form.Get("email") {
				t.Errorf("email %q is kept, want %q", got, form.Get("email"))
			}
			if pw := form.Get("password"); len(pw) > 10 && strings.Contains(resp.body, pw) {
				t.Error("the password is on the page")
			}
		})
	}
	if n := len(s.calls("passwords.authenticate")); n != 0 {
		t.Errorf("%d sign-ins upstream, want none", n)
	}
}

func TestSignInWhileTheUpstreamIsInTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  map[string]any
		status int
		alert  string
		retry  string
	}{
		{"project credentials", map[string]any{"endpoint": "*", "kind": "bad_credentials"}, 502, "project credentials were refused", ""},
		{"rate limit", map[string]any{"endpoint": "*", "kind": "rate_limit", "retry_after": 17}, 503, "Try again in 17 seconds", "17"},
		{"rate limit without a time", map[string]any{"endpoint": "*", "kind": "rate_limit"}, 503, "Try again in a minute", ""},
		{"fault", map[string]any{"endpoint": "*", "kind": "server_error"}, 502, "fault of its own", ""},
		{"proxy page", map[string]any{"endpoint": "*", "kind": "bad_gateway_html"}, 502, "fault of its own", ""},
		{"garbage", map[string]any{"endpoint": "*", "kind": "garbage"}, 502, "not in a way the console can use", ""},
		{"cut", map[string]any{"endpoint": "*", "kind": "cut_body"}, 502, "not in a way the console can use", ""},
		{"giant", map[string]any{"endpoint": "*", "kind": "giant_body"}, 502, "not in a way the console can use", ""},
		{"redirect", map[string]any{"endpoint": "*", "kind": "redirect"}, 502, "not in a way the console can use", ""},
		{"somebody else", map[string]any{"endpoint": "passwords.authenticate", "kind": "wrong_shape"}, 502, "not in a way the console can use", ""},
		{"hang", map[string]any{"endpoint": "*", "kind": "hang"}, 504, "did not answer in time", ""},
		{"reset", map[string]any{"endpoint": "*", "kind": "reset"}, 502, "connection to Stytch broke", ""},
		{"suspended", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 403, "error_type": "organization_suspended"}, 403, "suspended", ""},
		{"refused otherwise", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 403, "error_type": "attribute_mismatch"}, 403, "attribute_mismatch", ""},
		{"refused in an unknown way", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 400, "error_type": "bad_request"}, 502, "bad_request", ""},
		{"a dead session, of which there is none", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 404, "error_type": "session_not_found"}, 502, "not in a way", ""},
		{"reset by another name", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 400, "error_type": "reset_password"}, 403, "must be reset", ""},
		{"locked with a time", map[string]any{"endpoint": "passwords.authenticate", "kind": "refuse", "status": 429, "error_type": "user_lock_limit_reached"}, 429, "locked", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.faults(tt.fault)
			b := s.browser()
			resp := b.post("/login/password", loginForm(s.someone("ada@acme.example"))).wantStatus(tt.status).wantAlert(tt.alert)
			if got := resp.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After %q, want %q", got, tt.retry)
			}
			if got := resp.doc().Find("#email").AttrOr("value", ""); got != "ada@acme.example" {
				t.Errorf("email %q is kept", got)
			}
			if len(b.cookies) != 0 {
				t.Error("a cookie was set")
			}
			s.faults()
			b.post("/login/password", loginForm(s.someone("ada@acme.example"))).wantStatus(http.StatusSeeOther)
		})
	}
}

func TestSignInWithoutAnUpstream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := loginForm(s.someone("ada@acme.example"))
	s.upstream.Close()
	s.browser().post("/login/password", form).wantStatus(http.StatusServiceUnavailable).wantAlert("could not be reached")
}

// Trouble upstream says nothing about a password and is not held against anybody.
func TestTroubleIsNotThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	form := loginForm(s.someone("ada@acme.example"))
	s.faults(map[string]any{"endpoint": "*", "kind": "server_error"})
	for range 60 {
		b.post("/login/password", form).wantStatus(http.StatusBadGateway)
	}
}

// What the upstream refuses without a look at the password is no guess, but
// nobody may fill the audit and the upstream's rate limit with it either.
func TestRefusalsThatAreNoGuessAreThrottledByAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	form := loginForm(s.someone("ada@acme.example"))
	s.faults(map[string]any{
		"endpoint": "passwords.authenticate", "kind": "refuse", "status": 400, "error_type": "operation_restricted_by_organization_auth_methods",
	})
	for i := range 119 {
		form.Set("email", fmt.Sprintf("somebody%d@acme.example", i))
		b.post("/login/password", form).wantStatus(http.StatusForbidden)
	}
	form.Set("email", "another@acme.example")
	b.post("/login/password", form).wantStatus(http.StatusTooManyRequests)
	if got := len(s.calls("passwords.authenticate")); got != 119 {
		t.Errorf("%d sign-ins upstream, want 119", got)
	}
	s.clock.add(2 * time.Second)
	b.post("/login/password", form).wantStatus(http.StatusForbidden)
}

func TestOnlyAddressesAndSlugsAreRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i, email := range []string{"hunter2 @ home", "hunter2 <ada@acme.example>", "@hunter2"} {
		s.browser().post("/login/password", url.Values{"organization": {"My secret pass phrase"}, "email": {email}, "password": {"x"}}).
			wantStatus(http.StatusUnauthorized)
		events := s.events("", audit.ActionSignIn)
		if len(events) != i+1 {
			t.Fatalf("%d recorded, want %d", len(events), i+1)
		}
		if ev := events[0]; ev.Actor.Email != "" || ev.Target.Label != "" {
			t.Errorf("recorded address %q and organization %q, want neither", ev.Actor.Email, ev.Target.Label)
		}
	}
}

// Nobody comes in without a record of it, and the session that nobody uses is ended.
func TestNoSignInWithoutARecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	form := loginForm(s.someone("ada@acme.example"))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	b.post("/login/password", form).wantStatus(http.StatusInternalServerError).wantAlert("could not do this")
	if len(b.cookies) != 0 {
		t.Error("a cookie was set")
	}
	if n := len(s.calls("sessions.revoke")); n != 1 {
		t.Errorf("%d revocations upstream, want 1", n)
	}
}

func TestSessionMinutesStayWithinWhatTheUpstreamTakes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{time.Second: 5, time.Hour: 60, 90 * time.Minute: 90, 10000 * time.Hour: 527040} {
		s := newSite(t, func(o *siteOptions) { o.edit = func(d2 *handlers.Deps) { d2.Config.SessionMax = d } })
		s.browser().post("/login/password", loginForm(s.someone("ada@acme.example")))
		var body struct {
			Minutes int `json:"session_duration_minutes"`
		}
		if err := json.Unmarshal(s.calls("passwords.authenticate")[0].Body, &body); err != nil || body.Minutes != want {
			t.Errorf("for %s asked for %d minutes, want %d (error %v)", d, body.Minutes, want, err)
		}
	}
}

// A way to the upstream that mixes up two people's sign-ins lets neither in.
func TestSomebodyElsesSignInIsNotTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	to, err := url.Parse(s.upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	mixing := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if strings.HasSuffix(r.In.URL.Path, "/passwords/authenticate") {
			body, err := json.Marshal(map[string]any{
				"organization_id": ada.Organization, "email_address": ada.Email, "password": ada.Password, "session_duration_minutes": 480,
			})
			if err != nil {
				t.Error(err)
			}
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
	}})
	t.Cleanup(mixing.Close)
	info := s.sandbox.Info()
	client, err := stytch.New(info.ProjectID, info.Secret, stytch.WithBaseURL(mixing.URL))
	if err != nil {
		t.Fatal(err)
	}
	mixed := s.with(t, func(d *handlers.Deps) { d.Stytch = client })
	b := mixed.browser()
	b.post("/login/password", loginForm(s.someone("max@acme.example"))).wantStatus(http.StatusBadGateway)
	if len(b.cookies) != 0 {
		t.Error("somebody else's session was handed out")
	}
	b.post("/login/password", loginForm(ada)).wantStatus(http.StatusSeeOther)
}

// A double click on Sign in makes one session, whichever of the two answers the browser takes.
func TestDoubleClickOnSignInMakesOneSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	who := s.someone("ada@acme.example")
	b := s.browser()
	once := b.get("/login").doc().Find("input[name='once']").AttrOr("value", "")
	form := loginForm(who)
	form.Set("once", once)
	var clicks sync.WaitGroup
	for range 3 {
		clicks.Go(func() { s.browser().post("/login/password", form).wantLocation("/") })
	}
	clicks.Wait()
	s.browser().post("/login/password", form).wantLocation("/")
	if n := len(s.calls("passwords.authenticate")); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	if n := len(s.events(who.OrganizationID, audit.ActionSignIn)); n != 1 {
		t.Errorf("%d sign-ins recorded, want 1", n)
	}
	form.Set("once", s.browser().get("/login").doc().Find("input[name='once']").AttrOr("value", ""))
	s.browser().post("/login/password", form).wantLocation("/")
	if n := len(s.calls("passwords.authenticate")); n != 2 {
		t.Errorf("%d calls after another page, want 2", n)
	}
}

// A refusal takes its time, so that what took how long upstream tells nothing.
func TestRefusalsTakeTheirTime(t *testing.T) {
	t.Parallel()
	const every = 120 * time.Millisecond
	s := newSite(t, func(o *siteOptions) { o.edit = func(d *handlers.Deps) { d.Config.AnswerStep = every } })
	for path, form := range map[string]url.Values{
		"/login/password": {"organization": {"nowhere"}, "email": {"a@b.example"}, "password": {"x"}},
		"/login/link":     {"organization": {"acme"}, "email": {"nobody@acme.example"}},
	} {
		begun := time.Now()
		s.browser().post(path, form)
		if took := time.Since(begun); took < every {
			t.Errorf("%s was answered after %s", path, took)
		}
	}
}

// An answer about somebody else lets nobody in, whatever the way.
func TestNoWayTakesSomebodyElsesAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, tom := s.someone("hiro@acme.example"), s.someone("tom@northwind.test")
	byCode := func(b *browser) *answer {
		page := b.then(b.post("/login/code", url.Values{"organization": {"acme"}, "email": {hiro.Email}}))
		s.faults(map[string]any{"endpoint": "otps.email.authenticate", "kind": "wrong_member"})
		return b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("login_code").Code}})
	}
	byLink := func(b *browser) *answer {
		b.post("/login/link", url.Values{"organization": {"acme"}, "email": {hiro.Email}})
		s.faults(map[string]any{"endpoint": "magic_links.authenticate", "kind": "wrong_member"})
		return b.land(s.newest("login_link").URL)
	}
	byApp := func(b *browser) *answer {
		page := b.then(b.post("/login/password", loginForm(tom)))
		s.faults(map[string]any{"endpoint": "totp.authenticate", "kind": "wrong_member"})
		return b.submit(page, "/mfa/totp", url.Values{"code": {s.facts(tom.MemberID).TOTPCode}})
	}
	byChoice := func(b *browser) *answer {
		page := b.then(b.post("/login/find/code", url.Values{"email": {"sam@partners.example"}}))
		page = b.then(b.submit(page, "/login/code/verify", url.Values{"code": {s.newest("discovery_code").Code}}))
		s.faults(map[string]any{"endpoint": "discovery.intermediate_sessions.exchange", "kind": "wrong_member"})
		return b.submitChoice(page, "/login/organizations", s.someone("olga@globex.example").OrganizationID)
	}
	for name, way := range map[string]func(*browser) *answer{"code": byCode, "link": byLink, "app": byApp, "choice": byChoice} {
		b := s.browser()
		if resp := way(b); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %d to %q, want 502; %s", name, resp.StatusCode, resp.Header.Get("Location"), resp.alert())
		}
		b.wantSignedOut()
		s.faults()
	}
}
