package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

// pageRoute is a page for people: no part of the API, and open to whoever can reach the sandbox.
type pageRoute struct {
	method, template string
	handle           func(s *Sandbox, params map[string]string, r *http.Request) output
}

func pageTable() []pageRoute {
	return append(idpRoutes(), pageRoute{"GET", "/inbox", (*Sandbox).inboxPage})
}

// pageContent is what a page says within the common frame. Body is executed with Data.
type pageContent struct {
	Title string // and heading
	Body  *template.Template
	Data  any
}

const pageStyle = `:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:0 auto;padding:1.5rem;overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:0}
article{border:1px solid #7c7c7c;border-radius:.5rem;padding:1rem;margin:1rem 0}
article p{margin:.4rem 0 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}
code{font:1.4rem ui-monospace,monospace;letter-spacing:.1em;user-select:all}
label{display:block;margin:.8rem 0 .2rem}
input,select,button{font:inherit;padding:.4rem .6rem;box-sizing:border-box;max-width:100%}
input,select{width:100%}
button{margin-top:1rem}`

// pageFrame is parsed once: what is in it is fixed.
var pageFrame = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}}</title>
<link rel="icon" href="data:,">
<style>` + pageStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{.Body}}
</main>
</body>
</html>
`))

// pagePolicy lets the page have its own style and nothing else. A form may lead anywhere: its answer redirects to the
// console, and browsers hold that against form-action as well.
func pagePolicy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action http: https:; base-uri 'none'; frame-ancestors 'none'"
}

func htmlOutput(status int, page pageContent) output {
	var body, whole bytes.Buffer
	err := page.Body.Execute(&body, page.Data)
	if err == nil {
		err = pageFrame.Execute(&whole, map[string]any{
			"Title": page.Title,
			"Body":  template.HTML(body.String()), //nolint:gosec // G203: made by a template just above
		})
	}
	out := output{status: status, body: whole.Bytes(), header: http.Header{
		"Content-Type": {"text/html; charset=utf-8"}, "Content-Security-Policy": {pagePolicy()}, "X-Content-Type-Options": {"nosniff"},
		"Referrer-Policy": {"no-referrer"}, "Cache-Control": {"no-store"},
	}}
	if err != nil {
		out.status, out.body = http.StatusInternalServerError, []byte("The page could not be made.\n")
	}
	return out
}

func redirectOutput(status int, url string) output {
	return output{status: status, header: http.Header{
		"Location": {url}, "Referrer-Policy": {"no-referrer"}, "Cache-Control": {"no-store"},
	}}
}

// page serves a page for people; false: there is none at the path.
func (s *Sandbox) page(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	for _, rt := range pageTable() {
		params, ok := matchTemplate(rt.template, parts)
		if !ok || rt.method != r.Method {
			continue
		}
		if r.Method != http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			http.Error(w, "This form was sent by a page of another site.", http.StatusForbidden)
			return true
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		rt.handle(s, params, r).write(w)
		return true
	}
	return false
}
