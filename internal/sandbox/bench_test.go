package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orgconsole/internal/sandbox"
)

// benchmarkSearch searches 100,000 members, without a network.
func benchmarkSearch(b *testing.B, filter string) {
	b.Helper()
	s, err := sandbox.New(sandbox.Options{OrgSize: sandbox.MaxOrgSize})
	if err != nil {
		b.Fatal(err)
	}
	handler, info := s.Handler(), s.Info()
	send := func(method, path, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(b.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
		req.SetBasicAuth(info.ProjectID, info.Secret)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w
	}
	var o object
	if err := json.Unmarshal(send("GET", "/v1/b2b/organizations/acme", "").Body.Bytes(), &o); err != nil {
		b.Fatal(err)
	}
	body := `{"organization_ids":["` + o.text("organization.organization_id") + `"],"query":{"operator":"AND","operands":[{"filter_name":` + filter + `}]}}`
	for b.Loop() {
		send("POST", searchPath, body)
	}
}
