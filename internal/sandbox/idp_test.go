package sandbox_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const (
	ssoStart          = "/v1/public/sso/start"
	ssoPath           = "/v1/b2b/sso/authenticate"
	oauthPath         = "/v1/b2b/oauth/authenticate"
	discoveryOAuth    = "/v1/b2b/oauth/discovery/authenticate"
	consoleURL        = "https://console.example/authenticate?state=a%20b"
	googleStart       = "/v1/b2b/public/oauth/google/start"
	googleDiscovery   = "/v1/b2b/public/oauth/google/discovery/start"
	unknownConnection = "saml-connection-test-00000000-0000-4000-8000-000000000000"
)

// visit does what a browser does, without credentials.
func (a *api) visit(t *testing.T, method, path string, form url.Values, headers ...string) (*http.Response, *goquery.Document) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if req.Header.Get("Host") != "" {
		req.Host = req.Header.Get("Host")
	}
	res, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	doc, err := goquery.NewDocumentFromReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, doc
}

// start is the path and query of a start of a sign-in, with the project's public token. Pairs are name, value.
func (a *api) startOf(path string, pairs ...string) string {
	query := url.Values{"public_token": {a.info.PublicToken}}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + query.Encode()
}

// travel goes from the start of a sign-in through the identity provider, as somebody, and returns where that leads.
func (a *api) travel(t *testing.T, start, email string) *url.URL {
	t.Helper()
	res, _ := a.visit(t, "GET", start, nil)
	if res.StatusCode != http.StatusFound {
		t.Fatalf("start: %d", res.StatusCode)
	}
	page := res.Header.Get("Location")
	res, doc := a.visit(t, "GET", page, nil)
	action, ok := doc.Find("form").Attr("action")
	if res.StatusCode != http.StatusOK || !ok {
		t.Fatalf("%s: %d %s", page, res.StatusCode, doc.Text())
	}
	res, doc = a.visit(t, "POST", action, url.Values{"email": {email}})
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %d %s", action, res.StatusCode, doc.Text())
	}
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestIDPPage(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	tests := []struct {
		name, start string
		says        []string
		first       string // of the people offered
	}{
		{"SSO", a.startOf(ssoStart, "organization_id", "initech"), []string{"Initech Okta", "Initech"}, "ingrid@initech.test"},
		{"OAuth", a.startOf(googleStart, "slug", "acme"), []string{"Google", "Acme Corporation"}, "max@acme.example"},
		{"discovery", a.startOf(googleDiscovery), []string{"Google"}, "max@acme.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, _ := a.visit(t, "GET", tt.start, nil)
			res, doc := a.visit(t, "GET", res.Header.Get("Location"), nil)
			if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				t.Fatalf("%d %v", res.StatusCode, res.Header)
			}
			if got := doc.Find("title").Text() + "|" + doc.Find("h1").Text(); got != "Stand-in identity provider|Stand-in identity provider" {
				t.Errorf("title %q", got)
			}
			for _, text := range tt.says {
				if !strings.Contains(doc.Find("main").Text(), text) {
					t.Errorf("no %q in %s", text, doc.Find("main").Text())
				}
			}
			if got := doc.Find(`select[name=email] option`).First().AttrOr("value", ""); got != tt.first {
				t.Errorf("first person %q", got)
			}
			var mails []string
			doc.Find(`select[name=email] option`).Each(func(_ int, s *goquery.Selection) { mails = append(mails, s.AttrOr("value", "")) })
			if slices.Contains(mails, "dora@acme.example") {
				t.Error("a deleted member is offered")
			}
			if tt.name == "discovery" && !slices.Contains(mails, "sam@partners.example") {
				t.Error("nobody with several organizations is offered")
			}
			slices.Sort(mails)
			if len(mails) > 20 || len(slices.Compact(slices.Clone(mails))) != len(mails) {
				t.Errorf("people %v", mails)
			}
			if got := doc.Find("form").Length(); got != 1 {
				t.Errorf("%d forms", got)
			}
			if got := strings.TrimSpace(doc.Find("form button").Text()); got != "Continue" {
				t.Errorf("button %q", got)
			}
			doc.Find("select, input").Each(func(_ int, s *goquery.Selection) {
				if doc.Find(`label[for="`+s.AttrOr("id", "")+`"]`).Length() != 1 {
					t.Errorf("no label for %q", s.AttrOr("name", ""))
				}
			})
			// Without a redirect URL in the call, the project's is meant.
			if got := doc.Find("a").Last(); strings.TrimSpace(got.Text()) != "Cancel" || got.AttrOr("href", "") != "http://localhost:3000/authenticate" {
				t.Errorf("%q leads to %q", got.Text(), got.AttrOr("href", ""))
			}
		})
	}
}

func TestIDPStartRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	acme := a.people(t)["ada@acme.example"].text("organization_id")
	_, o := a.call(t, "GET", "/v1/b2b/organizations/initech", nil)
	initech := o.list("organization.sso_active_connections")[0].text("connection_id")
	tests := []struct {
		name, start, errorType string
	}{
		{"no public token", ssoStart + "?organization_id=acme", "public_token_required"},
		{"wrong public token", ssoStart + "?organization_id=acme&public_token=public-token-test-x", "public_token_not_found"},
		{"the secret instead of it", ssoStart + "?organization_id=acme&public_token=" + a.info.Secret, "public_token_not_found"},
		{"nothing to go by", a.startOf(ssoStart), "missing_sso_connection_locator"},
		{"unknown organization", a.startOf(ssoStart, "organization_id", "umbrella"), "organization_not_found"},
		{"unknown connection", a.startOf(ssoStart, "connection_id", unknownConnection), "sso_connection_not_found"},
		{"connection of another organization", a.startOf(ssoStart, "organization_id", acme, "connection_id", initech), "sso_connection_not_found"},
		{"organization without connections", a.startOf(ssoStart, "organization_id", "globex"), "no_sso_connection_exists_for_organization"},
		{"redirect that is none", a.startOf(ssoStart, "organization_id", "acme", "login_redirect_url", "javascript:alert(1)"), "invalid_login_redirect_url"},
		{"the other redirect", a.startOf(ssoStart, "organization_id", "acme", "signup_redirect_url", "/here"), "invalid_signup_redirect_url"},
		{"challenge that is none", a.startOf(ssoStart, "organization_id", "acme", "pkce_code_challenge", "x"), "invalid_pkce_code_challenge"},
		{"unknown provider", a.startOf("/v1/b2b/public/oauth/myspace/start", "slug", "acme"), "invalid_oauth_provider"},
		{"unknown provider, discovery", a.startOf("/v1/b2b/public/oauth/myspace/discovery/start"), "invalid_oauth_provider"},
		{"OAuth for nobody", a.startOf(googleStart), "missing_oauth_organization_locator"},
		{"OAuth for two", a.startOf(googleStart, "slug", "acme", "organization_id", acme), "too_many_oauth_organization_locators"},
		{"OAuth for nobody known", a.startOf(googleStart, "slug", "umbrella"), "organization_not_found"},
		{"discovery redirect", a.startOf(googleDiscovery, "discovery_redirect_url", "ftp://x.example/"), "invalid_discovery_redirect_url"},
		{"the page itself", "/idp/sso?organization_id=acme", "public_token_required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, doc := a.visit(t, "GET", tt.start, nil)
			if res.StatusCode != http.StatusBadRequest || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || !strings.Contains(doc.Text(), tt.errorType) {
				t.Errorf("%d %s", res.StatusCode, doc.Text())
			}
		})
	}
}

func TestIDPContinueRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	page := a.startOf("/idp/sso", "organization_id", "acme")
	tests := []struct {
		name, path string
		form       url.Values
		headers    []string
		status     int
	}{
		{"nobody", page, url.Values{}, nil, 400},
		{"no address", page, url.Values{"email": {"ada"}}, nil, 400},
		{"wrong public token", "/idp/sso?organization_id=acme&public_token=x", url.Values{"email": {"ada@acme.example"}}, nil, 400},
		{"a page of another site", page, url.Values{"email": {"ada@acme.example"}}, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another name for this host", page, url.Values{"email": {"ada@acme.example"}}, []string{"Host", "evil.example"}, 421},
		{"typed", page, url.Values{"email": {"hiro@acme.example"}, "other": {" ada@acme.example "}}, nil, 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if res, doc := a.visit(t, "POST", tt.path, tt.form, tt.headers...); res.StatusCode != tt.status {
				t.Errorf("%d %s", res.StatusCode, doc.Text())
			}
		})
	}
	res, _ := a.visit(t, "POST", page, url.Values{"email": {"hiro@acme.example"}, "other": {"ada@acme.example"}})
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if o := a.ok(t, ssoPath, object{"sso_token": back.Query().Get("token")}); o.text("member.email_address") != "ada@acme.example" {
		t.Errorf("%v", o.at("member"))
	}
}

// What the way back says, besides what the redirect URL says itself.
func TestIDPRedirect(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	tests := []struct {
		name, start, email, to string
		want                   url.Values
	}{
		{
			"SSO", a.startOf(ssoStart, "organization_id", "acme", "login_redirect_url", consoleURL), "ada@acme.example", "https://console.example/authenticate",
			url.Values{"state": {"a b"}, "stytch_token_type": {"sso"}, "slug": {"acme"}},
		},
		{
			"SSO of a stranger", a.startOf(ssoStart, "organization_id", "acme", "login_redirect_url", consoleURL), "stranger@acme.example", "https://console.example/authenticate",
			url.Values{"state": {"a b"}, "stytch_token_type": {"sso"}, "slug": {"acme"}},
		},
		{
			"OAuth", a.startOf(googleStart, "slug", "globex"), "olga@globex.example", "http://localhost:3000/authenticate",
			url.Values{"stytch_token_type": {"oauth"}, "slug": {"globex"}},
		},
		{
			"discovery", a.startOf(googleDiscovery, "discovery_redirect_url", "http://127.0.0.1:1/in"), "new@nowhere.example", "http://127.0.0.1:1/in",
			url.Values{"stytch_token_type": {"discovery_oauth"}},
		},
		{
			"for the first time", a.startOf(googleStart, "slug", "acme", "login_redirect_url", "https://a.example/", "signup_redirect_url", "https://b.example/"), "ilse@acme.example", "https://b.example/",
			url.Values{"stytch_token_type": {"oauth"}, "slug": {"acme"}},
		},
		{
			"not for the first time", a.startOf(googleStart, "slug", "acme", "login_redirect_url", "https://a.example/", "signup_redirect_url", "https://b.example/"), "ada@acme.example", "https://a.example/",
			url.Values{"stytch_token_type": {"oauth"}, "slug": {"acme"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			back := a.travel(t, tt.start, tt.email)
			got := back.Query()
			if len(got.Get("token")) != 44 {
				t.Errorf("token %q", got.Get("token"))
			}
			got.Del("token")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			back.RawQuery = ""
			if back.String() != tt.to {
				t.Errorf("leads to %s", back)
			}
		})
	}
}

// A start is a request like others: in the journal, without its secrets, and open to faults.
func TestStartsAreRecorded(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	for endpoint, path := range map[string]string{
		"sso.start": a.startOf(ssoStart, "organization_id", "acme"), "oauth.start": a.startOf(googleStart, "slug", "acme"),
		"oauth.discovery.start": a.startOf(googleDiscovery),
	} {
		a.visit(t, "GET", path, nil)
		entries := a.steer(t, "GET", "journal?endpoint="+endpoint, nil).list("requests")
		if len(entries) != 1 || entries[0].at("status") != float64(302) || strings.Contains(words(entries[0].at("query.public_token")), "public") {
			t.Errorf("%s: %v", endpoint, entries)
		}
		a.steer(t, "PUT", "faults", object{"endpoint": endpoint, "kind": "bad_gateway_html"})
		if res, _ := a.visit(t, "GET", path, nil); res.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %d", endpoint, res.StatusCode)
		}
	}
}
