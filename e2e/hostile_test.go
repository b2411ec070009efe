package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A name made of markup, quotes and bidi marks is shown as what it is, on
// every page that names a member; so are a reason, a ticket and a search.
func TestHostileTextChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("org_admin")
	bobby := s.control.stranger("bobby.tables@acme.example")
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'` + "\u202e"

	list := b.get("/members?" + url.Values{"q": {hostile}}.Encode()).wants(http.StatusOK)
	if got := list.one("#q").AttrOr("value", ""); got != hostile {
		t.Errorf("the search typed is shown as %q", got)
	}
	confirm := b.confirm(bobby.MemberID)
	refused := b.send(confirm, confirmForm, map[string]string{"reason": "", "ticket": hostile}).wants(http.StatusUnprocessableEntity)
	done := b.submit(confirm, confirmForm, map[string]string{"reason": hostile, "ticket": "<b>T-1</b>"}).wants(http.StatusOK)
	rows := of(b.audit(""), done.operation())
	if len(rows) != 2 || rows[0].reason != squeeze(hostile) || rows[0].ticket != "<b>T-1</b>" {
		t.Fatalf("the audit has %+v", rows)
	}
	pages := map[string]*page{
		"list": b.get("/members?q=bobby.tables").wants(http.StatusOK), "member": b.get("/members/" + bobby.MemberID).wants(http.StatusOK),
		"raw": b.get("/members/" + bobby.MemberID + "?view=raw").wants(http.StatusOK), "confirmation": confirm, "refused form": refused,
		"result": done, "receipt": b.get(done.operation()).wants(http.StatusOK), "audit": b.get("/audit").wants(http.StatusOK),
		"event": b.get(rows[0].event).wants(http.StatusOK), "disabled form": b.confirm(bobby.MemberID),
		"somebody else": b.get("/members?q=silvestri").wants(http.StatusOK),
	}
	for name, p := range pages {
		if p.doc.Find("b:not(dialog b[data-left]), img[src=x], main script, body > script").Length() != 0 {
			t.Errorf("%s: text became markup", name)
		}
		if name == "somebody else" {
			continue
		}
		visible := strings.NewReplacer("\u202e", "", "\u202c", "", "\u200b", "").Replace(p.doc.Find("main").Text())
		want := `<script>alert("pwn'd")</script>`
		if name == "raw" {
			want = `pwn'd`
		}
		if !strings.Contains(visible, want) {
			t.Errorf("%s: the name is not shown as it is: %s", name, p.words())
		}
		// A right-to-left override must not reach past the name it stands in.
		for _, n := range textNodes(p.doc.Nodes[0]) {
			if strings.ContainsRune(n.Data, '\u202e') && !isolated(n) {
				t.Errorf("%s: a bidi override stands in <%s> and not in bdi: %q", name, n.Parent.Data, n.Data)
			}
		}
	}
}

func textNodes(n *html.Node) []*html.Node {
	var all []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			all = append(all, d)
		}
	}
	return all
}

func isolated(n *html.Node) bool {
	for up := n.Parent; up != nil; up = up.Parent {
		switch up.Data {
		case "bdi", "pre", "textarea", "title", "option", "code":
			return true
		}
	}
	return false
}

// No address, method, cursor or header makes an error of our own. Every
// response is checked for headers and markup on its way here.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	b, out := s.as("org_admin"), s.browser()
	member := s.id("paula@acme.example")
	long := strings.Repeat("a", 20_000)
	paths := []string{
		"/nothing", "/members/", "/members/member-test-00000000-0000-4000-8000-000000000000", "/members/..%2f..%2fetc", "/members/%00", "/members/%ff%fe",
		"/members/member-" + strings.Repeat("x", 200), "/members/olga@globex.example", "/members/hr|10-44.7_x", "/members//password/delete", "/members/" + member + "/",
		"/members?cursor=garbage", "/members?cursor=" + long[:3000], "/members?cursor=a&cursor=b", "/members?q=%00%ff", "/members?q=" + long[:5000], "/members?status=odd", "/members?password=%22",
		"/members?role=%3Cscript%3E", "/members?scan=x&skip=-1&searched=9999999999999999999", "/members?skip=1&searched=2&scan=garbage&q=ab", "/members?back=a&back=b&cursor=c",
		"/members?a;b=%zz", "/members?%zz", "/audit?cursor=garbage", "/audit?cursor=%00", "/audit?from=yesterday", "/audit?from=9999-99-99&to=x", "/audit?action=odd&outcome=odd",
		"/audit?actor=%ff&target=%25%5F", "/audit/none", "/audit/%00", "/audit/01890000-0000-7000-8000-000000000000", "/operations/none", "/operations/%00", "/operations/01890000-0000-7000-8000-000000000000",
		"/static/", "/static/none", "/static/../../go.mod", "/static/%2e%2e/%2e%2e/go.mod", "/static/x/app.css", "/favicon.ico", "/.git/config", "/login?return=" + url.QueryEscape(long[:4000]),
		"/login?notice=odd", "/login/password", "/logout", "/healthz", "/readyz", "/HEALTHZ", "/%2e%2e/", "//evil.example/%2f..", "/members/" + member + "?operation=none", "/members/" + member + "?view=odd",
		"/members/" + member + "/password/delete?from=none", "/members/" + member + "/password/odd", "/?" + long[:8000],
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "ODD"}
	for _, who := range []*browser{b, out} {
		for _, path := range paths {
			u, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			request := who.request("GET", "/", nil)
			request.URL.Path, request.URL.RawPath, request.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
			if strings.HasPrefix(path, "//") {
				request.URL.Path, request.URL.RawPath = "//evil.example/", ""
			}
			if p := who.do(request); p.status >= 500 {
				t.Errorf("GET %.100s: %d: %s", path, p.status, p.words())
			}
		}
	}
	for _, method := range methods {
		for _, path := range []string{"/", "/members", "/members/" + member, "/members/" + member + "/password/delete", "/audit", "/login", "/login/password", "/static/x/app.css", "/healthz", "/nothing"} {
			p := b.do(b.request(method, path, nil))
			if p.status >= 500 || method != "GET" && method != "HEAD" && method != "POST" && p.status < 400 && p.status != http.StatusNoContent {
				t.Errorf("%s %s: %d", method, path, p.status)
			}
			if p.status == http.StatusMethodNotAllowed && p.header.Get("Allow") == "" {
				t.Errorf("%s %s: 405 without Allow", method, path)
			}
		}
	}
	for name, value := range map[string]string{
		"Cookie": "orgconsole=" + long[:4000], "Accept-Encoding": "identity;q=0, *;q=0", "Content-Type": "multipart/form-data", "If-None-Match": "*", "Range": "bytes=0-1,2-3,4-",
		"X-Forwarded-For": "not an address", "X-Forwarded-Host": "evil.example", "Accept-Language": "\xff", "Referer": "::::", "Authorization": "Basic ////",
	} {
		for _, path := range []string{"/members", "/login", "/static/x/app.css"} {
			r := b.request("GET", path, nil)
			r.Header.Set(name, value)
			if p := b.do(r); p.status >= 500 {
				t.Errorf("%s with %s: %d", path, name, p.status)
			}
		}
	}
	for name, body := range map[string]string{"not a form": "{}", "broken escapes": "reason=%zz", "huge": "reason=" + strings.Repeat("a", 200_000), "empty": ""} {
		for _, path := range []string{"/login/password", "/members/" + member + "/password/delete"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.address(path).String(), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if p := b.do(r); p.status < 400 || p.status >= 500 {
				t.Errorf("POST %s with a body that is %s: %d", path, name, p.status)
			}
		}
	}
	// What an HTTP client would not send.
	for _, raw := range []string{"OPTIONS * HTTP/1.1\r\nHost: %s\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n\r\n", "GET http://evil.example/ HTTP/1.1\r\nHost: %s\r\n\r\n"} {
		if strings.Contains(raw, "%s") {
			raw = fmt.Sprintf(raw, b.base.Host)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.base.Host)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(raw))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		} else if answer.StatusCode < 400 || answer.StatusCode >= 500 || answer.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%q: %s with headers %v", raw, answer.Status, answer.Header)
		}
		_ = conn.Close()
	}
	if text := s.process.stderr.String(); strings.Contains(text, "panic") {
		t.Errorf("something panicked:\n%s", text)
	}
}

func TestForeignHost(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("org_admin")
	_, port, _ := net.SplitHostPort(b.base.Host)
	for _, host := range []string{"evil.example", "evil.example:" + port, "127.0.0.1", "127.0.0.1:1", "127.0.0.1." + ":" + port, b.base.Host + ".evil.example", "localhost.evil.example:" + port} {
		for _, path := range []string{"/", "/login", "/members", "/nothing", "/static/x/app.css"} {
			r := b.request("GET", path, nil)
			r.Host = host
			if p := b.do(r); p.status != http.StatusMisdirectedRequest {
				t.Errorf("Host %s, %s: %d, want 421", host, path, p.status)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			r := b.request("GET", path, nil)
			r.Host = host
			if p := b.do(r); p.status != http.StatusOK {
				t.Errorf("Host %s, %s: %d, want 200", host, path, p.status)
			}
		}
	}
}

// A POST that does not come from a page of ours changes nothing.
func TestCrossSitePosts(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	target := s.id("paula@acme.example")
	action, body := b.confirm(target).form(confirmForm, map[string]string{"reason": "cross-site"})
	who := s.person("org_admin")
	mark := s.control.mark()
	for _, post := range []struct {
		path string
		body url.Values
	}{
		{action, body},
		{"/logout", url.Values{}},
		{"/operations/01890000-0000-7000-8000-000000000000/retry", url.Values{}},
		{"/members/" + target + "/password/require-reset", body},
		{"/login/password", url.Values{"organization": {who.Organization}, "email": {who.Email}, "password": {who.Password}}},
	} {
		for name, headers := range map[string]map[string]string{
			"cross-site":                 {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
			"same-site":                  {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
			"another origin alone":       {"Origin": "https://evil.example"},
			"null origin":                {"Origin": "null"},
			"neither":                    {},
			"neither, but a Referer":     {"Referer": b.base.String() + "/members"},
			"cross-site, origin spoofed": {"Sec-Fetch-Site": "cross-site", "Origin": b.base.String()},
		} {
			r := b.request("POST", post.path, post.body)
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
			for name, value := range headers {
				r.Header.Set(name, value)
			}
			if p := b.do(r); p.status != http.StatusForbidden {
				t.Errorf("%s to %s: %d, want 403", name, post.path, p.status)
			} else {
				p.one(`[role="alert"]`)
			}
		}
	}
	for _, e := range s.control.journal(mark, "") {
		t.Errorf("a cross-site post reached the upstream: %s", e.Endpoint)
	}
	if p := b.get("/members"); p.url.Path != "/members" {
		t.Errorf("a cross-site post signed out: now at %s", p.url)
	}
	// An Origin of ours alone is enough, for browsers that do not send the other.
	r := b.request("POST", action, body)
	r.Header.Del("Sec-Fetch-Site")
	b.do(r).wants(http.StatusSeeOther)
}
