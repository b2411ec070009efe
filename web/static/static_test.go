package static_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"orgconsole/web/static"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for name, contentType := range map[string]string{
		"app.css":     "text/css; charset=utf-8",
		"console.js":  "text/javascript; charset=utf-8",
		"icons.svg":   "image/svg+xml",
		"favicon.svg": "image/svg+xml",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := static.URL(name)
			if !regexp.MustCompile(`^/static/[0-9a-f]{16}/`+regexp.QuoteMeta(name)+`$`).MatchString(u) || u != static.URL(name) {
				t.Errorf("URL(%q) = %q", name, u)
			}
			w := get(t, u)
			if w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Fatalf("GET %s = %d with %d bytes", u, w.Code, w.Body.Len())
			}
			if got := w.Header().Get("Content-Type"); got != contentType {
				t.Errorf("Content-Type %q, want %q", got, contentType)
			}
			if got, want := w.Header().Get("Cache-Control"), "public, max-age=31536000, immutable"; got != want {
				t.Errorf("Cache-Control %q, want %q", got, want)
			}
			if again := get(t, u, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("with its ETag: %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	css := static.URL("app.css")
	hash := strings.Split(css, "/")[2]
	for name, path := range map[string]string{
		"another hash":       "/static/0123456789abcdef/app.css",
		"another file":       "/static/" + hash + "/console.js",
		"no such file":       "/static/" + hash + "/nothing.css",
		"no hash":            "/static/app.css",
		"folder":             "/static/" + hash + "/",
		"source":             "/static/" + hash + "/static.go",
		"below":              css + "/x",
		"up":                 "/static/" + hash + "/../static.go",
		"nothing":            "/static/",
		"vendor description": "/static/" + hash + "/VENDOR.json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w := get(t, path); w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "" {
				t.Errorf("GET %s = %d, Cache-Control %q; want 404 that is not kept", path, w.Code, w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestURLPanicsOnUnknownName(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("URL of an unknown name did not panic")
		}
	}()
	static.URL("app.cs")
}

func TestFavicon(t *testing.T) {
	t.Parallel()
	body, contentType := static.Favicon()
	if contentType != "image/svg+xml" || !bytes.HasPrefix(body, []byte("<svg ")) {
		t.Errorf("Favicon() = %d bytes of %q", len(body), contentType)
	}
}

// Stylesheet and script together stay under 30 KB as sent; what is built stays far under it.
func TestSizeBudget(t *testing.T) {
	t.Parallel()
	const limit = 16 << 10
	total := 0
	for _, name := range []string{"app.css", "console.js"} {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		body := get(t, static.URL(name)).Body.Bytes()
		_, _ = w.Write(body)
		_ = w.Close()
		t.Logf("%s: %d bytes, %d compressed", name, len(body), b.Len())
		total += b.Len()
	}
	if total > limit {
		t.Errorf("stylesheet and script compress to %d bytes, want at most %d", total, limit)
	}
}

func TestNothingIsLoadedFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app.css", "console.js", "icons.svg", "favicon.svg"} {
		body := get(t, static.URL(name)).Body.String()
		for _, bad := range []string{"@import", "url(http", "url(//", `url("http`, `url("//`, "eval(", "innerHTML", "XMLHttpRequest", "WebSocket", "sendBeacon", "style="} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %s", name, bad)
			}
		}
	}
}

// The script asks this console about the session and about the page it is on, and nobody about anything else.
func TestScriptAsksOnlyAboutTheSessionAndItsPage(t *testing.T) {
	t.Parallel()
	body := get(t, static.URL("console.js")).Body.String()
	var got []string
	for _, call := range regexp.MustCompile(`fetch\(([^,)]*)`).FindAllStringSubmatch(body, -1) {
		got = append(got, call[1])
	}
	if want := []string{`location.pathname`, `"/session"`, `"/session/extend"`}; !slices.Equal(got, want) {
		t.Errorf("the script fetches %q, want %q", got, want)
	}
}

func TestVendoredFilesAreDescribed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("vendor/VENDOR.json")
	if err != nil {
		t.Fatal(err)
	}
	var described []struct {
		Package, Version, Integrity, Licence string
		Files                                []string
	}
	if err := json.Unmarshal(raw, &described); err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"VENDOR.json": true}
	for _, d := range described {
		if d.Package == "" || d.Version == "" || !strings.HasPrefix(d.Integrity, "sha512-") || d.Licence == "" {
			t.Errorf("incomplete: %+v", d)
		}
		for _, f := range d.Files {
			named[f] = true
		}
	}
	entries, err := os.ReadDir("vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !named[e.Name()] {
			t.Errorf("vendor/%s is not in VENDOR.json", e.Name())
		}
	}
}
