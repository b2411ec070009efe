package e2e_test

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
)

// wantHeaders are on every response whatsoever.
func wantHeaders() map[string]string {
	return map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
}

var fingerprinted = regexp.MustCompile(`^/static/[0-9a-zA-Z_-]{8,}/[\w.-]+$`)

// keepsTheRules checks what holds for every response of the console, whatever
// the test is about: every page that a test loads comes through here.
func (p *page) keepsTheRules() {
	p.t.Helper()
	for name, want := range wantHeaders() {
		if got := p.header.Get(name); got != want {
			p.t.Errorf("%s %s: %d has %s: %q, want %q", p.method, p.url, p.status, name, got, want)
		}
	}
	if policy := p.header.Get("Permissions-Policy"); !strings.Contains(policy, "camera=()") || strings.Contains(policy, "=*") {
		p.t.Errorf("%s %s: %d has Permissions-Policy: %q", p.method, p.url, p.status, policy)
	}
	asset := fingerprinted.MatchString(p.url.Path) && p.status == 200
	if got := p.header.Get("Cache-Control"); !asset && got != "no-store" || asset && !strings.Contains(got, "immutable") {
		p.t.Errorf("%s %s: %d has Cache-Control: %q", p.method, p.url, p.status, got)
	}
	if p.status >= 500 && (p.status < 502 || p.status > 504) {
		p.t.Errorf("%s %s: %d is a failure of our own: %s", p.method, p.url, p.status, p.words())
	}
	if strings.HasPrefix(p.header.Get("Content-Type"), "text/html") && p.body != "" {
		p.markupKeepsTheRules()
	}
}

// demoInbox reports the demo's link to the sandbox's inbox, the one link that leads away.
func demoInbox(a *goquery.Selection) bool {
	to, err := url.Parse(a.AttrOr("href", ""))
	return err == nil && a.Is("section.people a[target=_blank][rel=noopener]") && to.Scheme == "http" && to.Hostname() == "127.0.0.1" && to.Path == "/inbox"
}

// markupKeepsTheRules finds what text from outside could have brought in, and
// what the content security policy would stop.
func (p *page) markupKeepsTheRules() {
	p.t.Helper()
	bad := func(format string, n *html.Node, what string) {
		p.t.Errorf("%s %s: "+format+": <%s>", p.method, p.url, what, n.Data)
	}
	p.doc.Find("*").Each(func(_ int, s *goquery.Selection) {
		n := s.Nodes[0]
		src, sourced := s.Attr("src")
		switch n.Data {
		case "script":
			if !sourced || strings.TrimSpace(s.Text()) != "" {
				bad("inline script %q", n, s.Text())
			}
		case "style", "iframe", "object", "embed", "base":
			bad("unwanted element%s", n, "")
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"):
				bad("inline handler %q", n, a.Key)
			case a.Key == "style":
				bad("inline style %q", n, a.Val)
			case a.Key == "href" || a.Key == "action" || a.Key == "formaction":
				if to, err := url.Parse(a.Val); (err != nil || to.Scheme != "" || to.Host != "") && !demoInbox(s) {
					bad("a link away to %q", n, a.Val)
				}
			}
		}
		if sourced && !strings.HasPrefix(src, "/static/") && !strings.HasPrefix(src, "data:") {
			bad("a resource from %q", n, src)
		}
		if n.Data == "use" || n.Data == "link" {
			if href := s.AttrOr("href", ""); !strings.HasPrefix(href, "/static/") {
				bad("a resource from %q", n, href)
			}
		}
	})
	for what, want := range map[string]int{"h1": 1, "main": 1, "title": 1, "body": 1} {
		if n := p.doc.Find(what).Not("svg " + what).Length(); n != want {
			p.t.Errorf("%s %s: %d elements <%s>, want %d", p.method, p.url, n, what, want)
		}
	}
}
