package e2e_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wiretap is a proxy before the sandbox that remembers every secret that passes, in both directions.
type wiretap struct {
	mu      sync.Mutex
	secrets map[string]string // secret → what it is
	kinds   map[string]bool   // what passed
	echo    string            // path whose next request is answered by an error that repeats all of it
}

func (w *wiretap) note(what, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(secret) < 6 {
		return
	}
	w.kinds[what] = true
	if _, known := w.secrets[secret]; !known {
		w.secrets[secret] = what
	}
	if parts := strings.Split(secret, "."); len(parts) == 3 && len(parts[2]) > 40 {
		w.secrets[parts[2]] = what + ", its signature"
	}
}

// secretField are the names of the fields that carry secrets, on the way there and back.
var secretField = regexp.MustCompile(`^(session_token|session_jwt|intermediate_session_token|.*_token|code|secret|recovery_codes?|.*code_verifier|password|.*_password)$`)

// walk notes every secret of a JSON value, and the state in every address.
func (w *wiretap) walk(where, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			w.walk(where, key, value)
		}
	case []any:
		for _, value := range v {
			w.walk(where, name, value)
		}
	case string:
		if secretField.MatchString(name) && name != "public_token" {
			w.note(name+" in "+where, v)
		}
		if u, err := url.Parse(v); err == nil && strings.HasSuffix(name, "_url") {
			w.note("state in "+where, u.Query().Get("state"))
		}
	}
}

func (w *wiretap) body(where string, raw []byte) {
	var v any
	if json.Unmarshal(raw, &v) == nil {
		w.walk(where, "", v)
	}
}

// repeat makes the next request to a path be answered by an error that holds all its secrets.
func (w *wiretap) repeat(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.echo = path
}

func tap(t *testing.T, target string) (*wiretap, string) {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{secrets: map[string]string{}, kinds: map[string]bool{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }} // which sets the Host too
	proxy.ModifyResponse = func(r *http.Response) error {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		w.body("an answer", raw)
		if back, err := url.Parse(r.Header.Get("Location")); err == nil {
			w.note("landing token of a redirect", back.Query().Get("token"))
			w.note("state of a redirect", back.Query().Get("state"))
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		w.body("a request", raw)
		w.note("session token in a header", r.Header.Get(tokenHeader))
		w.note("session JWT in a header", r.Header.Get(jwtHeader))
		for name, values := range r.URL.Query() {
			w.walk("a query", name, values[0])
		}
		w.mu.Lock()
		echo := w.echo != "" && strings.HasSuffix(r.URL.Path, w.echo)
		if echo {
			w.echo = ""
		}
		w.mu.Unlock()
		if !echo {
			proxy.ServeHTTP(answer, r)
			return
		}
		said := string(raw) + r.Header.Get(tokenHeader) + r.Header.Get(jwtHeader) + r.Header.Get("Authorization")
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(answer).Encode(map[string]any{
			"status_code": http.StatusBadRequest, "error_type": "bad_request", "request_id": "request-id-test-echo",
			"error_message": "You sent " + said, "error_url": "https://stytch.com/docs/" + url.QueryEscape(said),
		})
	}))
	t.Cleanup(server.Close)
	return w, server.URL
}

// place is somewhere a secret must not be.
type place struct{ name, path, text string }

// seen remembers the pages of a browser: what is in them, and where they lead.
type seen struct {
	console string
	places  []place
}

func (s *seen) page(p *page) {
	text := p.body
	// What leads to Stytch is meant for Stytch.
	if to := p.header.Get("Location"); !strings.Contains(to, "/v1/") {
		text += "\n" + to
	}
	for name, values := range p.header {
		if name != "Set-Cookie" && name != "Location" {
			text += "\n" + strings.Join(values, "\n")
		}
	}
	// Keys are written in groups.
	text += "\n" + strings.Join(strings.Fields(p.doc.Text()), "")
	s.places = append(s.places, place{name: p.method + " " + p.url.Path, path: p.url.Path, text: text})
}

// allowed are the pages that are there to show a secret.
func allowed(what string, at place) bool {
	switch {
	case strings.HasPrefix(what, "secret in an answer"):
		return at.path == "/mfa" || at.path == "/mfa/totp"
	case strings.HasPrefix(what, "recovery_codes in an answer"):
		return at.path == "/mfa/recovery-codes"
	case strings.HasPrefix(what, "key of "):
		return at.path == strings.TrimPrefix(what, "key of ")
	}
	return false
}

// shortSecret are codes of a few digits, which other numbers may happen to hold.
var shortSecret = regexp.MustCompile(`^[0-9]{4,10}$`)

// logNumbers are numbers of the log that could happen to be a code.
var logNumbers = regexp.MustCompile(`"(duration|bytes|size)":[0-9]+`)

// dump is every value of a store, one a line: in the file they stand without anything between them.
func dump(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Clean(path)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	names := query(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	for _, name := range names {
		for _, value := range query(t, db, `SELECT * FROM "`+name[0]+`"`) {
			all.WriteString(strings.Join(value, "\n") + "\n")
		}
	}
	if len(names) < 5 || all.Len() < 1000 {
		t.Fatalf("the store has %d tables and %d bytes, the test does not see what it looks through", len(names), all.Len())
	}
	return all.String()
}

func query(t *testing.T, db *sql.DB, text string) [][]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = fmt.Sprint(v)
			if raw, ok := v.([]byte); ok {
				row[i] = string(raw)
			}
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// No token, secret or password is in a log, a page, an address, a header that
// leads on, or the store: not those that are typed, not those that are made,
// and not those that the upstream repeats in an error.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	w, address := tap(t, sandbox.Stytch)
	wired := *sandbox
	wired.Stytch = address
	folder := t.TempDir()
	s := wired.serve(append(wired.settings(folder), "CONSOLE_SHARED_COOKIES="+tokenCookie+","+jwtCookie))
	c := &canary{site: s, tap: w, seen: seen{console: s.Console}}
	c.desk()
	c.mails()
	c.providers()
	c.factors()
	c.account()
	c.shared()
	s.process.stop()
	for _, what := range []string{
		"session_token in an answer", "session_jwt in an answer", "intermediate_session_token in an answer", "intermediate_session_token in a request",
		"session token in a header", "session JWT in a header", "magic_links_token in a request", "discovery_magic_links_token in a request", "sso_token in a request",
		"oauth_token in a request", "discovery_oauth_token in a request", "impersonation_token in a request", "password_reset_token in a request", "pkce_code_verifier in a request",
		"code_verifier in a request", "code in a request", "recovery_code in a request", "recovery_codes in an answer", "secret in an answer", "state in a request", "state of a redirect",
		"password in a request", "existing_password in a request", "new_password in a request", "landing token of a redirect",
	} {
		if !w.kinds[what] {
			t.Errorf("the test saw no %s pass", what)
		}
	}

	secrets := w.secrets
	secrets[s.Secret] = "project secret"
	log := s.process.stderr.String()
	places := slices.Concat(c.seen.places, []place{{name: "the log", text: log}})
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		places = append(places, place{name: path, path: path, text: string(raw)})
		if strings.Contains(d.Name(), "key") {
			for key := range strings.FieldsSeq(string(raw)) {
				secrets[key] = "key of " + path
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	places = append(places, place{name: "the store's values", text: dump(t, filepath.Join(folder, "console.db"))})
	whole := func(in string) bool {
		return slices.ContainsFunc(places, func(p place) bool { return strings.Contains(p.text, in) })
	}
	if !strings.Contains(log, "/members/:member_id") || !whole("Maria Silvestri") || !whole("member.password.delete") {
		t.Fatalf("the test does not see what it looks through; log:\n%s", log)
	}
	t.Logf("%d secrets, %d places", len(secrets), len(places))
	for i := range places {
		places[i].text = logNumbers.ReplaceAllString(places[i].text, "")
	}
	for secret, what := range secrets {
		if shortSecret.MatchString(secret) {
			alone := regexp.MustCompile(`(^|[^0-9A-Za-z.])` + secret + `($|[^0-9A-Za-z])`)
			for _, at := range places {
				if found := alone.FindStringIndex(at.text); found != nil {
					t.Errorf("the %s is in %s: …%q…", what, at.name, at.text[max(0, found[0]-60):min(len(at.text), found[1]+20)])
				}
			}
			continue
		}
		for form, value := range map[string]string{
			"": secret, "in base64 ": base64.StdEncoding.EncodeToString([]byte(secret)), "in a Basic header ": base64.StdEncoding.EncodeToString([]byte(s.ProjectID + ":" + secret)),
			"escaped for an address ": url.QueryEscape(secret), "escaped for a page ": html.EscapeString(secret),
		} {
			if value == secret && form != "" {
				continue
			}
			for _, at := range places {
				if i := strings.Index(at.text, value); i >= 0 && !allowed(what, at) {
					t.Errorf("the %s is %sin %s: …%q…", what, form, at.name, at.text[max(0, i-60):min(len(at.text), i+len(value)+20)])
				}
			}
		}
	}
	if strings.Contains(log, "q=maria") || strings.Contains(log, "return=") || strings.Contains(log, "stytch_token_type=") {
		t.Error("the log holds queries")
	}
}

// canary does everything that has to do with secrets once, and with an upstream that repeats them.
type canary struct {
	*site
	tap  *wiretap
	seen seen
}

// browser is watched: its pages and its cookies are kept.
func (c *canary) browser() *browser {
	c.t.Helper()
	b := c.site.browser()
	b.watch = func(p *page) {
		c.seen.page(p)
		for _, set := range (&http.Response{Header: p.header}).Cookies() {
			c.tap.note("cookie "+set.Name, set.Value)
		}
	}
	return b
}

// twice posts a form: the first time the upstream repeats what it was sent.
func (c *canary) twice(b *browser, p *page, button, endpoint string, fill map[string]string) {
	c.t.Helper()
	c.tap.repeat(endpoint)
	b.press(p, button, fill)
	if c.tap.mu.Lock(); c.tap.echo != "" {
		c.t.Errorf("%s was not called by %q", endpoint, button)
	}
	c.tap.mu.Unlock()
	b.press(p, button, fill).wants(http.StatusOK)
}

func (c *canary) signInAs(role string) *browser {
	c.t.Helper()
	who, b := c.person(role), c.browser()
	b.press(b.get("/login"), "Sign in", map[string]string{"organization": who.Organization, "email": who.Email, "password": who.Password}).wants(http.StatusOK)
	return b
}

// desk is what a helpdesk does, and the audit of it.
func (c *canary) desk() {
	who, b := c.person("org_admin"), c.browser()
	const mistyped = "Mistyped-canary-7f3a"
	p := b.press(b.get("/login"), "Sign in", map[string]string{"organization": who.Organization, "email": who.Email, "password": mistyped})
	c.twice(b, p, "Sign in", "/passwords/authenticate", map[string]string{"organization": who.Organization, "email": who.Email, "password": who.Password})
	target := c.id("maria.silvestri@acme.example")
	c.control.fault(fault{Endpoint: epResetStart, Kind: "garbage", Times: 1})
	done := b.deletePassword(target, map[string]string{"sign_out": "1", "send_reset": "1"}).wants(http.StatusOK)
	c.control.fault(fault{Endpoint: epDeletePassword, Kind: "wrong_shape", Times: 1})
	b.deletePassword(c.id("paula@acme.example"), nil).wants(http.StatusOK)
	b.get(done.operation())
	b.get("/members?q=maria")
	b.get("/members/" + target + "?view=raw")
	c.tap.repeat("/members/search")
	b.get("/members")
	c.control.fault(fault{Endpoint: "*", Kind: "server_error", Times: 3})
	b.get("/members")
	b.get("/nothing")
	c.control.clearFaults()
	// A form without a session: what was typed is kept.
	confirm := b.confirm(c.id("luis@acme.example"))
	for _, open := range c.control.member(c.id(who.Email)).Sessions {
		c.control.endSession(open.ID)
	}
	b.submit(confirm, confirmForm, map[string]string{"reason": "typed before", "ticket": "INC-1"})
	b.submit(c.signInAs("org_admin").get("/members").wants(http.StatusOK), signOutForm, nil)
}

// mails are links, codes and resets, with the whole of discovery.
func (c *canary) mails() {
	const maxi, sam = "max@acme.example", "sam@partners.example"
	b := c.browser()
	ask := map[string]string{"organization": "acme", "email": maxi}
	c.twice(b, b.get("/login"), "Email me a sign-in link", "/login_or_signup", ask)
	link := c.control.message("login_link", maxi).URL
	c.tap.note("token of a mail", queryOf(c.t, link, "token"))
	c.tap.repeat("/magic_links/authenticate")
	b.press(b.arrive(link), "Sign in", nil)
	b.press(b.arrive(link), "Sign in", nil).wants(http.StatusOK)
	c.browser().arrive(link).wants(http.StatusForbidden)

	b = c.browser()
	p := b.press(b.get("/login"), "Email me a code", ask)
	code := c.control.message("login_code", maxi).Code
	p = b.press(p, "Sign in", map[string]string{"code": wrongCode(code)})
	c.twice(b, p, "Sign in", "/otps/email/authenticate", map[string]string{"code": code})

	b = c.browser()
	p = b.press(b.get("/login/find"), "Email me a code", map[string]string{"email": sam})
	c.twice(b, p, "Sign in", "/otps/email/discovery/authenticate", map[string]string{"code": c.control.message("discovery_code", sam).Code})
	c.tap.repeat("/discovery/organizations")
	b.get("/login/organizations")
	b = c.browser()
	b.press(b.get("/login/find"), "Email me a link", map[string]string{"email": sam})
	link = c.control.message("discovery_link", sam).URL
	p = b.press(b.arrive(link), "Sign in", nil).wants(http.StatusOK)
	c.tap.repeat("/intermediate_sessions/exchange")
	b.choose(p, "Globex")
	b.press(b.choose(p, "Northwind").wants(http.StatusOK), "Use an authenticator app", nil) // and leaves it at that

	b = c.browser()
	b.press(b.get("/login/forgot"), "Email me a link", ask)
	p = b.arrive(c.control.message("password_reset", maxi).URL)
	p = b.press(p, "Set password and sign in", map[string]string{"new_password": "qwertyuiop"})
	c.twice(b, p, "Set password and sign in", "/passwords/strength_check", map[string]string{"new_password": "canary-" + strong})
	c.tap.note("token of a mail", c.control.message("password_reset", maxi).Token)
}

// providers are single sign-on and OAuth.
func (c *canary) providers() {
	const hiro = "hiro@acme.example"
	b := c.browser()
	back := c.provider(b.once(b.ofOrganization("acme", "/account").href("Continue with Acme Okta")), hiro)
	c.tap.repeat("/sso/authenticate")
	b.press(b.arrive(back), "Sign in", nil)
	b.press(b.arrive(back), "Sign in", nil).wants(http.StatusOK)
	b = c.browser()
	more := b.press(b.arrive(c.provider(b.once(b.ofOrganization("acme", "").href("Continue with GitHub")), hiro)), "Sign in", nil).wants(http.StatusOK)
	p := b.press(more, "Email me a code", nil)
	b.press(p, "Sign in", map[string]string{"code": c.control.message("login_code", hiro).Code}).wants(http.StatusOK)
	b = c.browser()
	p = b.press(b.arrive(c.provider(b.once(b.get("/login/find").href("Continue with Google")), hiro)), "Sign in", nil).wants(http.StatusOK)
	b.choose(p, "Acme Corporation").wants(http.StatusOK)
}

// factors are second factors, enrolled and used.
func (c *canary) factors() {
	half := func(email string) (*browser, *page) {
		who, b := c.control.stranger(email), c.browser()
		return b, b.press(b.get("/login"), "Sign in", map[string]string{"organization": who.Organization, "email": who.Email, "password": who.Password}).wants(http.StatusOK)
	}
	b, p := half("nell@northwind.test")
	c.tap.repeat("/totp")
	b.press(p, "Use an authenticator app", nil)
	p = b.press(p, "Use an authenticator app", nil).wants(http.StatusOK)
	code := appCode(c.t, p.key(), time.Now())
	p = b.press(p, "Confirm the app", map[string]string{"code": wrongCode(code)})
	c.twice(b, p, "Confirm the app", "/totp/authenticate", map[string]string{"code": code})
	b.get("/members")
	b.press(b.get("/mfa/recovery-codes").wants(http.StatusOK), "I have kept them", nil).wants(http.StatusOK)
	b.get("/mfa/recovery-codes")
	b.get("/account")

	tom := c.control.stranger("tom@northwind.test")
	b, _ = half(tom.Email)
	c.twice(b, b.get("/mfa?with=recovery_code"), "Sign in", "/recovery_codes/recover", map[string]string{"code": c.control.factors(tom.MemberID).RecoveryCodes[0]})
	b, p = half("sms@northwind.test")
	c.tap.repeat("/sms/send")
	b.press(p, "Send another code", nil)
	c.twice(b, p, "Sign in", "/otps/sms/authenticate", map[string]string{"code": c.control.message("sms_code", "+15005550007").Code})
}

// account is one's own password, another organization, and impersonation.
func (c *canary) account() {
	b := c.signInAs("helpdesk")
	p := b.get("/account/password")
	fill := map[string]string{"current_password": c.person("helpdesk").Password, "new_password": strong + "-too"}
	c.twice(b, p, "Change password", "/existing_password/reset", fill)
	c.tap.repeat("/discovery/organizations")
	b.get("/account/organizations")
	b = c.browser()
	const sam = "sam@partners.example"
	p = b.press(b.get("/login"), "Email me a code", map[string]string{"organization": "acme", "email": sam})
	b.press(p, "Sign in", map[string]string{"code": c.control.message("login_code", sam).Code}).wants(http.StatusOK)
	p = b.get("/account/organizations")
	c.tap.repeat("/sessions/exchange")
	b.choose(p, "Globex")
	b.choose(p, "Globex").wants(http.StatusOK)

	// A second factor of one's own, set up by who is signed in.
	luis := c.control.stranger("luis@acme.example")
	b = c.browser()
	b.press(b.get("/login"), "Sign in", map[string]string{"organization": "acme", "email": luis.Email, "password": luis.Password}).wants(http.StatusOK)
	p = b.press(b.press(b.get("/account"), "Set up a second factor", nil), "Use an authenticator app", nil).wants(http.StatusOK)
	b.press(p, "Confirm the app", map[string]string{"code": appCode(c.t, p.key(), time.Now())}).wants(http.StatusOK)
	b.get("/account")

	b = c.browser()
	landing := c.control.impersonation(c.id("max@acme.example"))
	c.tap.repeat("/impersonation/authenticate")
	b.press(b.arrive(landing), "Start impersonation", nil)
	b.press(b.arrive(landing), "Start impersonation", nil).wants(http.StatusOK)
	b.get("/account")
	audit := c.signInAs("auditor")
	for _, row := range audit.audit("") {
		audit.get(row.event)
	}
	c.tap.repeat("/sessions/revoke")
	audit.submit(audit.get("/members"), signOutForm, nil)
}

// shared are the cookies of another application.
func (c *canary) shared() {
	ada := c.id("ada@acme.example")
	one, two, old := c.control.open(ada, nil), c.control.open(ada, nil), c.control.open(ada, map[string]any{"jwt_age": "10m"})
	for _, o := range []opened{one, two, old} {
		c.tap.note("session token of another application", o.Token)
		c.tap.note("session JWT of another application", o.JWT)
	}
	for name, value := range map[string]string{tokenCookie: one.Token, jwtCookie: two.JWT} {
		b := c.browser()
		b.put(&http.Cookie{Name: name, Value: value})
		c.tap.repeat("/sessions/authenticate")
		b.get("/members")
		b.get("/members?q=maria").wants(http.StatusOK)
		b.get("/members/" + ada + "?view=raw")
	}
	b := c.browser()
	b.put(&http.Cookie{Name: jwtCookie, Value: old.JWT})
	b.get("/account").wants(http.StatusOK)
	for _, bad := range forged(c.t.(*testing.T), one.JWT) {
		c.tap.note("forged JWT", bad)
		b = c.browser()
		b.put(&http.Cookie{Name: jwtCookie, Value: bad})
		b.get("/members")
	}
}
