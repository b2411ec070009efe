package handlers_test

import (
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"orgconsole/internal/stytch"
)

// BenchmarkMembersPage serves a members page of 100 rows through the whole
// router; BenchmarkBareTable makes the same upstream call and writes the same
// rows into a bare table. The difference is what the console's page costs.
func BenchmarkMembersPage(b *testing.B) {
	s := newSite(b, func(o *siteOptions) { o.orgSize = 250 })
	in := s.signIn("ada@acme.example")
	for b.Loop() {
		in.get("/members").wantStatus(http.StatusOK)
	}
}

func BenchmarkBareTable(b *testing.B) {
	s := newSite(b, func(o *siteOptions) { o.orgSize = 250 })
	ada := s.someone("ada@acme.example")
	signedIn, err := s.deps.Stytch.AuthenticatePassword(b.Context(), stytch.PasswordAuthenticateRequest{
		OrganizationID: ada.Organization, EmailAddress: ada.Email, Password: stytch.Secret(ada.Password),
	})
	if err != nil {
		b.Fatal(err)
	}
	acting, err := stytch.ActingToken(signedIn.SessionToken.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	table := template.Must(template.New("").Parse(`<table>{{range .}}<tr><td>{{.Name}}<td>{{.EmailAddress}}<td>{{.Status}}{{end}}</table>`))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, err := s.deps.Stytch.SearchMembers(r.Context(), acting, stytch.MemberSearchRequest{
			OrganizationIDs: []string{ada.OrganizationID}, Limit: 100,
		})
		if err != nil {
			b.Error(err)
			return
		}
		if err := table.Execute(w, list.Members); err != nil {
			b.Error(err)
		}
	})
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody))
		if n, err := io.Copy(io.Discard, w.Result().Body); err != nil || n == 0 {
			b.Fatal(n, err)
		}
	}
}
