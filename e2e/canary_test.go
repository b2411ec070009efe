package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// wiretap is a proxy before the sandbox that remembers the tokens that pass.
type wiretap struct {
	mu     sync.Mutex
	tokens map[string]string // token → what it is
}

func (w *wiretap) note(what, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if token != "" {
		w.tokens[token] = what
	}
}

func tap(t *testing.T, target string) (*wiretap, string) {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{tokens: map[string]string{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to) // which sets the Host too
		w.note("session token in a header", r.In.Header.Get("X-Stytch-Member-Session"))
		w.note("session JWT in a header", r.In.Header.Get("X-Stytch-Member-SessionJWT"))
	}}
	proxy.ModifyResponse = func(r *http.Response) error {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		var answer struct {
			Token string `json:"session_token"`
			JWT   string `json:"session_jwt"`
		}
		if json.Unmarshal(raw, &answer) == nil {
			w.note("session token in an answer", answer.Token)
			w.note("session JWT in an answer", answer.JWT)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return w, server.URL
}

// No token, secret or password is in a log, a page, an address, a header that
// leads on, or the store.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	w, address := tap(t, sandbox.Stytch)
	wired := *sandbox
	wired.Stytch = address
	folder := t.TempDir()
	s := wired.serve(wired.settings(folder))
	const mistyped = "Mistyped-canary-7f3a"
	var seen strings.Builder
	remember := func(p *page) {
		seen.WriteString(p.url.String() + "\n" + p.body + "\n" + p.header.Get("Location") + "\n")
	}
	who := s.person("org_admin")
	b := s.browser()
	b.watch = remember
	b.signIn(who.Organization, who.Email, mistyped)
	b.signIn(who.Organization, who.Email, who.Password).wants(http.StatusOK)
	target := s.id("maria.silvestri@acme.example")
	sandbox.control.fault(fault{Endpoint: epResetStart, Kind: "garbage", Times: 1})
	done := b.deletePassword(target, map[string]string{"sign_out": "1", "send_reset": "1"}).wants(http.StatusOK)
	sandbox.control.fault(fault{Endpoint: epDeletePassword, Kind: "wrong_shape", Times: 1})
	b.deletePassword(s.id("paula@acme.example"), nil).wants(http.StatusOK)
	b.get(done.operation())
	for _, r := range b.audit("") {
		b.get(r.event)
	}
	b.get("/members?q=maria")
	b.get("/members/" + target + "?view=raw")
	sandbox.control.fault(fault{Endpoint: "*", Kind: "server_error", Times: 3})
	b.get("/members")
	b.get("/nothing")
	sandbox.control.clearFaults()
	b.submit(b.get("/members").wants(http.StatusOK), signOutForm, nil)
	s.process.stop()

	secrets := map[string]string{who.Password: "password", mistyped: "mistyped password", s.Secret: "project secret"}
	maps.Copy(secrets, w.tokens)
	if len(w.tokens) < 2 {
		t.Fatalf("the test saw %d tokens, want the session's token and JWT", len(w.tokens))
	}
	keys, err := filepath.Glob(filepath.Join(folder, "*key*"))
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"pages": seen.String(), "log": s.process.stderr.String()}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		places[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range keys {
		for line := range strings.FieldsSeq(places[path]) {
			secrets[line] = "key of " + filepath.Base(path)
		}
	}
	if !strings.Contains(places["log"], "/members/:member_id") || !strings.Contains(places["pages"], "Maria Silvestri") {
		t.Fatalf("the test does not see what it looks through; log:\n%s", places["log"])
	}
	for secret, what := range secrets {
		for form, value := range map[string]string{
			"": secret, "in base64 ": base64.StdEncoding.EncodeToString([]byte(secret)), "in a Basic header ": base64.StdEncoding.EncodeToString([]byte(s.ProjectID + ":" + secret)),
			"escaped ": url.QueryEscape(secret),
		} {
			for place, text := range places {
				if strings.HasPrefix(what, "key of ") && place == filepath.Join(folder, strings.TrimPrefix(what, "key of ")) {
					continue
				}
				if i := strings.Index(text, value); i >= 0 {
					t.Errorf("the %s is %sin %s: …%q…", what, form, place, text[max(0, i-60):min(len(text), i+len(value)+20)])
				}
			}
		}
	}
	if strings.Contains(places["log"], "q=maria") || strings.Contains(places["log"], "return=") {
		t.Error("the log holds queries")
	}
}
