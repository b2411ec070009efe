package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"orgconsole/internal/sandbox"
)

func TestInbox(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	read := func(path string) *goquery.Document {
		t.Helper()
		req := a.request(t, "GET", path, nil)
		req.Header.Del("Authorization") // for people
		res, err := a.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		policy := res.Header.Get("Content-Security-Policy")
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Fatalf("%s: %d %v", path, res.StatusCode, res.Header)
		}
		doc, err := goquery.NewDocumentFromReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Find("title").Text() != "Sandbox inbox" || doc.Find("h1").Text() != "Sandbox inbox" {
			t.Errorf("%s", doc.Text())
		}
		return doc
	}
	a.ok(t, "/v1/b2b/passwords/email/reset/start", object{"organization_id": "acme", "email_address": "max@acme.example"})
	a.ok(t, sendFindCodePath, object{"email_address": "\"<b>x</b>\"@nowhere.example", "discovery_expiration_minutes": 5}.with("email_address", "o'b&x@nowhere.example"))
	a.ok(t, signInPath, credentials(a.people(t)["sms@northwind.test"]))
	mails := a.steer(t, "GET", "outbox", nil).list("mails")
	articles := read("/inbox").Find("article")
	if articles.Length() != 4 {
		t.Fatalf("%d messages", articles.Length())
	}
	at := func(i int) *goquery.Selection { return articles.Eq(i) }
	if got := at(0).Text(); !strings.Contains(got, "Text message to +15005550007, Northwind") || at(0).Find("code").Text() != mails[3].text("code") {
		t.Errorf("%s", got)
	}
	if got := at(1).Text(); !strings.Contains(got, "Mail to o'b&x@nowhere.example") || at(1).Find("code").Text() != mails[2].text("code") {
		t.Errorf("%s", got)
	}
	for i, want := range []string{mails[1].text("url"), mails[1].text("login_url")} {
		if href, _ := at(2).Find("a").Eq(i).Attr("href"); href != want {
			t.Errorf("link %d: %s, want %s", i, href, want)
		}
	}
	if got := at(3).Find("h2").Text(); got != "You are invited" {
		t.Errorf("%s", got)
	}
	a.steer(t, "DELETE", "outbox", nil)
	if got := read("/inbox").Find("main").Text(); !strings.Contains(got, "Nothing was sent yet.") {
		t.Errorf("%s", got)
	}
	// As everything else here, for loopback names only.
	req := a.request(t, "GET", "/inbox", nil)
	req.Host = "evil.example"
	if status, _ := a.do(t, req); status != http.StatusMisdirectedRequest {
		t.Errorf("%d", status)
	}
	if status, _ := a.call(t, "POST", "/inbox", nil); status != 404 {
		t.Errorf("%d", status)
	}
}

// The oldest messages are forgotten.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	for range 501 {
		a.ok(t, sendFindCodePath, object{"email_address": "x@nowhere.example"})
	}
	mails := a.steer(t, "GET", "outbox", nil).list("mails")
	if len(mails) != 500 || mails[0].text("kind") != "discovery_code" {
		t.Errorf("%d messages, first %v", len(mails), mails[0])
	}
}

func TestRedirectURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"/authenticate", "ftp://x/y", "http://"} {
		if _, err := sandbox.New(sandbox.Options{RedirectURL: bad}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	s, err := sandbox.New(sandbox.Options{RedirectURL: "https://one.example/in"})
	if err != nil {
		t.Fatal(err)
	}
	page := func() string {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/inbox", nil))
		return w.Body.String()
	}
	for _, want := range []string{"https://one.example/in?", "http://127.0.0.1:8080/authenticate?", "http://localhost:3000/authenticate?"} {
		if got := page(); !strings.Contains(got, "href=\""+want) {
			t.Errorf("no %s in %s", want, got)
		}
		if strings.Contains(want, "one") {
			s.SetRedirectURL("http://127.0.0.1:8080/authenticate")
		} else {
			s.SetRedirectURL("")
		}
	}
}
