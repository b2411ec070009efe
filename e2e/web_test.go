package e2e_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
)

// browser is a person's browser, without script: it keeps cookies, says where
// a form comes from as Chromium does, and follows links and redirects.
type browser struct {
	t      testing.TB
	base   *url.URL
	client *http.Client
	loads  int         // pages loaded: redirects lead to one page and count once
	watch  func(*page) // sees every answer; nil for nobody
}

func (s *site) browser() *browser {
	s.t.Helper()
	return newBrowser(s.t, s.Console)
}

func newBrowser(t testing.TB, console string) *browser {
	t.Helper()
	base, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: base, client: &http.Client{
		Jar:           jar,
		Timeout:       client().Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is one answer.
type page struct {
	t      testing.TB
	method string
	url    *url.URL
	status int
	header http.Header
	body   string
	doc    *goquery.Document
}

func (b *browser) address(path string) *url.URL {
	b.t.Helper()
	u, err := b.base.Parse(path)
	if err != nil {
		b.t.Fatalf("address %q: %v", path, err)
	}
	return u
}

// do sends one request and follows nothing.
func (b *browser) do(r *http.Request) *page {
	b.t.Helper()
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	p := &page{t: b.t, method: r.Method, url: r.URL, status: answer.StatusCode, header: answer.Header, body: string(raw)}
	if p.doc, err = goquery.NewDocumentFromReader(strings.NewReader(p.body)); err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	p.keepsTheRules()
	if b.watch != nil {
		b.watch(p)
	}
	return p
}

// request is a GET as of a link, or a POST as of a form on a page of ours.
func (b *browser) request(method, path string, form url.Values) *http.Request {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.address(path).String(), body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Origin", b.base.Scheme+"://"+b.base.Host)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// once gets an address and follows nothing.
func (b *browser) once(path string) *page {
	b.t.Helper()
	return b.do(b.request(http.MethodGet, path, nil))
}

// post sends a form and follows nothing.
func (b *browser) post(path string, form url.Values) *page {
	b.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	return b.do(b.request(http.MethodPost, path, form))
}

// get opens an address and follows redirects.
func (b *browser) get(path string) *page {
	b.t.Helper()
	return b.follow(b.once(path))
}

// follow goes where redirects lead and counts the page load.
func (b *browser) follow(p *page) *page {
	b.t.Helper()
	for range 10 {
		if p.status < 300 || p.status > 399 {
			b.loads++
			return p
		}
		to, err := p.url.Parse(p.header.Get("Location"))
		if err != nil || to.Host != b.base.Host {
			b.t.Fatalf("%s %s leads away to %q", p.method, p.url, p.header.Get("Location"))
		}
		p = b.once(to.String())
	}
	b.t.Fatalf("%s redirects for ever", p.url)
	return nil
}

// location is where a redirect leads: path and query.
func (p *page) location() string {
	p.t.Helper()
	to, err := p.url.Parse(p.header.Get("Location"))
	if err != nil || p.header.Get("Location") == "" {
		p.t.Fatalf("%s %s: %d without a usable Location: %v", p.method, p.url, p.status, err)
	}
	return to.RequestURI()
}

// wants stops the test unless the page has the status.
func (p *page) wants(status int) *page {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("%s %s: %d, want %d; the page says: %s", p.method, p.url, p.status, status, p.words())
	}
	return p
}

// words is the page's text, for a message.
func (p *page) words() string {
	text := squeeze(p.doc.Find("main").Text())
	if text == "" {
		text = squeeze(p.body)
	}
	return text[:min(len(text), 1500)]
}

// text is what stands in the elements of a selector, white space made single.
func (p *page) text(selector string) string { return squeeze(p.doc.Find(selector).Text()) }

// one returns the only element of a selector.
func (p *page) one(selector string) *goquery.Selection {
	p.t.Helper()
	found := p.doc.Find(selector)
	if found.Length() != 1 {
		p.t.Fatalf("%s: %d elements for %q, want 1; the page says: %s", p.url, found.Length(), selector, p.words())
	}
	return found
}

// says wants each text somewhere in the elements of a selector.
func (p *page) says(selector string, wants ...string) {
	p.t.Helper()
	got := p.text(selector)
	for _, want := range wants {
		if !strings.Contains(got, want) {
			p.t.Errorf("%s: %q does not say %q but: %s", p.url, selector, want, got)
		}
	}
}

// row is the value beside a label in a list of facts.
func (p *page) row(label string) string {
	p.t.Helper()
	value := ""
	p.doc.Find("dl.rows > div").EachWithBreak(func(_ int, s *goquery.Selection) bool {
		if squeeze(s.ChildrenFiltered("dt").Text()) != label {
			return true
		}
		dd := s.ChildrenFiltered("dd").Clone()
		dd.Find("button").Remove()
		value = squeeze(dd.Text())
		return false
	})
	return value
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// form reads a form as a browser would send it, hidden fields included, with
// some fields filled in. It returns where it goes.
func (p *page) form(selector string, fill map[string]string) (action string, values url.Values) {
	p.t.Helper()
	form := p.one(selector)
	return form.AttrOr("action", p.url.RequestURI()), p.fields(form, fill)
}

// fields are what a form sends.
func (p *page) fields(form *goquery.Selection, fill map[string]string) url.Values {
	p.t.Helper()
	values := url.Values{}
	known := map[string]bool{}
	form.Find("input, textarea, select").Each(func(_ int, field *goquery.Selection) {
		name, named := field.Attr("name")
		if _, disabled := field.Attr("disabled"); !named || disabled {
			return
		}
		known[name] = true
		value := field.AttrOr("value", "")
		switch kind := field.AttrOr("type", ""); {
		case goquery.NodeName(field) == "textarea":
			value = field.Text()
		case goquery.NodeName(field) == "select":
			chosen := field.Find("option[selected]")
			if chosen.Length() == 0 {
				chosen = field.Find("option")
			}
			value = chosen.First().AttrOr("value", chosen.First().Text())
		case kind == "checkbox" || kind == "radio":
			if _, checked := field.Attr("checked"); !checked {
				return
			}
		}
		values.Set(name, value)
	})
	for _, name := range slices.Sorted(maps.Keys(fill)) {
		if !known[name] {
			p.t.Fatalf("%s: the form has no enabled field %q: %s", p.url, name, squeeze(form.Text()))
		}
		values.Set(name, fill[name])
	}
	return values
}

// submit sends a form of a page, by its own method, and follows redirects.
func (b *browser) submit(p *page, selector string, fill map[string]string) *page {
	b.t.Helper()
	return b.follow(b.send(p, selector, fill))
}

// send sends a form of a page and follows nothing.
func (b *browser) send(p *page, selector string, fill map[string]string) *page {
	b.t.Helper()
	action, values := p.form(selector, fill)
	to, err := p.url.Parse(action)
	if err != nil {
		b.t.Fatalf("form action %q: %v", action, err)
	}
	if strings.EqualFold(p.one(selector).AttrOr("method", "get"), http.MethodPost) {
		return b.post(to.RequestURI(), values)
	}
	to.RawQuery = values.Encode()
	return b.once(to.RequestURI())
}

// clone is another browser with the same cookies, as another tab has.
func (b *browser) clone() *browser {
	other := newBrowser(b.t, b.base.String())
	other.client.Jar = b.client.Jar
	return other
}

func parseTime(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatalf("time: %v", err)
	}
	return at
}
