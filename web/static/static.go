// Package static holds the stylesheet, script and pictures of the console,
// embedded, and serves each under an address that names its content. It does
// not know any page.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Prefix is where Handler is to be mounted.
const Prefix = "/static/"

//go:embed vendor/app.css js/console.js img/icons.svg img/favicon.svg
var embedded embed.FS

// asset is one file as served: its hash stands in its address, so that an
// address never changes its content.
type asset struct {
	name, hash, contentType string
	body                    []byte
}

// assets maps a file's base name to the file. It is read once and never
// changed after that.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	for _, file := range []string{"vendor/app.css", "js/console.js", "img/icons.svg", "img/favicon.svg"} {
		body, err := embedded.ReadFile(file)
		if err != nil {
			panic(fmt.Sprintf("static: %v", err)) // the directive above names each of them
		}
		sum := sha256.Sum256(body)
		all[path.Base(file)] = asset{
			name:        path.Base(file),
			hash:        hex.EncodeToString(sum[:8]),
			contentType: contentType(file),
			body:        body,
		}
	}
	return all
})

// contentType does not ask the machine's own table, which differs by machine.
func contentType(file string) string {
	switch path.Ext(file) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(path.Ext(file))
	}
}

// URL is the address of a file, such as "app.css". It panics on a name that is
// not embedded: that is a mistake in a template, found by rendering it once.
func URL(name string) string {
	a, ok := assets()[name]
	if !ok {
		panic("static: no file " + name)
	}
	return Prefix + a.hash + "/" + a.name
}

// Favicon is the picture for /favicon.ico, and its content type.
func Favicon() (body []byte, contentType string) {
	a := assets()["favicon.svg"]
	return a.body, a.contentType
}

// Handler serves the files under Prefix. An address with another hash is not
// found, so that no cache keeps new content under an old name.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
		a, ok := assets()[name]
		if !ok || a.hash != hash {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("ETag", `"`+a.hash+`"`)
		if r.Header.Get("If-None-Match") == `"`+a.hash+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(a.body) // a client that went away is nobody's error
	})
}
