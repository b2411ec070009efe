package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"orgconsole/internal/authz"
)

// No row may leave open who it is for.
func TestEveryRouteSaysWhoItIsFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	seen := map[string]bool{}
	var open []string
	for _, r := range s.server.Rows() {
		name := r.Method + " " + r.Path
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
		if r.Public == r.SignedIn {
			t.Errorf("%s is for nobody or for two", name)
		}
		if r.Public && !r.Permission.IsZero() {
			t.Errorf("%s is public and needs a permission", name)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			t.Errorf("%s: forms know GET and POST only", name)
		}
		if r.Public {
			open = append(open, name)
		}
	}
	want := []string{
		"GET /authenticate", "GET /favicon.ico", "GET /healthz", "GET /login", "GET /login/code", "GET /login/find", "GET /login/forgot",
		"GET /login/more", "GET /login/oauth/:provider/start", "GET /login/organizations", "GET /login/sent", "GET /login/sso/start",
		"GET /mfa", "GET /readyz", "GET /session", "GET /static/*",
		"POST /authenticate", "POST /authenticate/password", "POST /login/code", "POST /login/code/verify", "POST /login/find/code",
		"POST /login/find/link", "POST /login/forgot", "POST /login/link", "POST /login/organization", "POST /login/organizations",
		"POST /login/password", "POST /logout", "POST /mfa/enroll/other", "POST /mfa/enroll/sms", "POST /mfa/enroll/totp", "POST /mfa/recovery",
		"POST /mfa/sms", "POST /mfa/sms/send", "POST /mfa/totp",
	}
	slices.Sort(open)
	if !slices.Equal(open, want) {
		t.Errorf("public: %q, want %q", open, want)
	}
}

func (s *site) fill(path string) string {
	return strings.NewReplacer(
		":member_id", s.someone("noor@acme.example").MemberID, ":operation_id", "01990000-0000-7000-8000-000000000000",
		":event_id", "01990000-0000-7000-8000-000000000000",
	).Replace(path)
}

// Whoever lacks a row's permission is told which, and who has it; signed out they are led to sign in.
func TestRoutesAreRefusedWithoutThePermission(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	plain := s.signIn("max@acme.example")
	target := s.someone("noor@acme.example").MemberID
	for _, r := range s.server.Rows() {
		if r.Public {
			continue
		}
		path := s.fill(r.Path)
		s.browser().do(r.Method, path, nil).wantStatus(http.StatusSeeOther)
		if r.Permission.IsZero() {
			continue
		}
		form := url.Values(nil)
		if r.Method == http.MethodPost {
			sealed, err := s.server.SealForm(map[string]any{
				"Kind":        map[bool]string{true: "member.password.delete", false: "member.password.require_reset"}[strings.HasSuffix(path, "delete")],
				"OperationID": fmt.Sprintf("01990000-0000-7000-8000-%012d", len(path)), "OrganizationID": s.someone("max@acme.example").OrganizationID,
				"MemberID": s.someone("max@acme.example").MemberID, "TargetID": target, "PasswordID": "member-password-test-1",
			})
			if err != nil {
				t.Fatal(err)
			}
			form = url.Values{"form": {sealed}, "reason": {"trying"}}
		}
		resp := plain.do(r.Method, path, form)
		resp.wantStatus(http.StatusForbidden).wantAlert(r.Permission.String())
		if text := resp.text("main"); !strings.Contains(text, "Roles that have it") || !strings.Contains(text, "stytch_admin") {
			t.Errorf("%s %s: the page does not name the roles that have %s", r.Method, r.Path, r.Permission)
		}
	}
	if got := s.calls("members.delete_password"); len(got) != 0 {
		t.Errorf("%d deletions were sent", len(got))
	}
}

func TestHomeLeadsToTheFirstPageOfTheRole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for email, want := range map[string]string{
		"ada@acme.example": "/members", "hiro@acme.example": "/members", "audrey@acme.example": "/members",
		"max@acme.example": "/members/" + s.someone("max@acme.example").MemberID,
	} {
		s.signIn(email).get("/").wantLocation(want)
	}
}

func TestNavigationShowsWhatTheRoleMaySee(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	own := func(email string) string { return "/members/" + s.someone(email).MemberID }
	tests := []struct {
		email, path string
		nav         string
	}{
		{"ada@acme.example", "/members", "Members Audit"},
		{"hiro@acme.example", "/members", "Members"},
		{"audrey@acme.example", "/audit", "Members Audit"},
		{"max@acme.example", own("max@acme.example"), ""},
		{"max@acme.example", "/nowhere", ""},
		{"ada@acme.example", "/nowhere", "Members Audit"},
	}
	for _, tt := range tests {
		t.Run(tt.email+tt.path, func(t *testing.T) {
			t.Parallel()
			resp := s.signIn(tt.email).get(tt.path)
			var items []string
			for _, item := range resp.doc().Find(`nav[aria-label="Main"] a`).EachIter() {
				items = append(items, strings.TrimSpace(item.Text()))
			}
			if got := strings.Join(items, " "); got != tt.nav {
				t.Errorf("navigation %q, want %q", got, tt.nav)
			}
			if resp.doc().Find(`form[method="post"][action="/logout"] button`).Length() != 1 {
				t.Error("no button to sign out")
			}
			if got := resp.text(".who"); !strings.Contains(got, "Acme") || !strings.Contains(got, tt.email) {
				t.Errorf("the actor reads %q", got)
			}
		})
	}
}

func TestConsolePermissionsAreUpstreams(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	helpdesk := s.signIn("hiro@acme.example")
	helpdesk.get("/audit").wantStatus(http.StatusForbidden).wantAlert(authz.AuditRead().String())
	s.signIn("audrey@acme.example").get("/audit").wantStatus(http.StatusOK)
}
