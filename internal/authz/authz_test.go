package authz_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
)

const (
	org    = "organization-test-1"
	member = "member-test-1"
)

func policy() stytch.Policy {
	return stytch.Policy{
		Roles: []stytch.Role{
			{RoleID: "stytch_member", Permissions: []stytch.Permission{{ResourceID: "stytch.self", Actions: []string{"*"}}}},
			{RoleID: "stytch_admin", Permissions: []stytch.Permission{{ResourceID: "stytch.member", Actions: []string{"*"}}}},
			{RoleID: "helpdesk", Permissions: []stytch.Permission{
				{ResourceID: "stytch.member", Actions: []string{"search", "update.info.delete.password", "revoke-sessions"}},
			}},
			{RoleID: "auditor", Permissions: []stytch.Permission{
				{ResourceID: "stytch.member", Actions: []string{"search"}},
				{ResourceID: "console.audit", Actions: []string{"read", "export"}},
			}},
		},
		Resources: []stytch.Resource{{ResourceID: "stytch.member"}, {ResourceID: "stytch.self"}, {ResourceID: "console.audit"}},
	}
}

// The whole matrix stands here so that a change of it is seen in review.
func TestPolicyAllows(t *testing.T) {
	t.Parallel()
	p := authz.NewPolicy(policy(), []stytch.Role{
		{RoleID: "auditor", Permissions: []stytch.Permission{{ResourceID: "stytch.member", Actions: []string{"revoke-sessions"}}}},
		{RoleID: "prefix", Permissions: []stytch.Permission{{ResourceID: "stytch.member", Actions: []string{"update"}}}},
	})
	perms := []authz.Permission{
		authz.MemberSearch(), authz.MemberDeletePassword(), authz.MemberRevokeSessions(), authz.SelfRead(),
		authz.SelfDeletePassword(), authz.SelfRevokeSessions(), authz.AuditRead(), authz.AuditExport(),
	}
	tests := []struct {
		name  string
		roles []string
		want  string // one letter a permission, in the order above
	}{
		{"nobody", nil, "--------"},
		{"unknown role", []string{"made_up"}, "--------"},
		{"member", []string{"stytch_member"}, "---yyy--"},
		{"helpdesk", []string{"stytch_member", "helpdesk"}, "yyyyyy--"},
		{"auditor, with what the organization adds", []string{"stytch_member", "auditor"}, "y-yyyyyy"},
		{"admin", []string{"stytch_admin"}, "yyy-----"},
		{"an action is no prefix of another", []string{"prefix"}, "--------"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			for _, perm := range perms {
				if p.Allows(tt.roles, perm) {
					got.WriteByte('y')
				} else {
					got.WriteByte('-')
				}
			}
			if got.String() != tt.want {
				t.Errorf("Allows(%v) = %s, want %s", tt.roles, got.String(), tt.want)
			}
		})
	}
	if diff := cmp.Diff([]string{"stytch_admin", "helpdesk", "auditor"}, p.RolesWith(authz.MemberRevokeSessions())); diff != "" {
		t.Errorf("RolesWith: %s", diff)
	}
	if ids := p.RoleIDs(); slices.Contains(ids, "stytch_member") || len(ids) != 4 {
		t.Errorf("RoleIDs() = %v, want the four that can be assigned, each once", ids)
	}
}

type fake struct {
	checks, policies atomic.Int32
	check            http.HandlerFunc
	policy           http.HandlerFunc
	orgPolicy        http.HandlerFunc
}

func answer(status int, body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func checkAnswer(memberID, orgID string, verdict any) map[string]any {
	return map[string]any{
		"status_code": 200, "request_id": "request-id-1", "session_token": "t", "session_jwt": "j",
		"member":       map[string]any{"member_id": memberID, "organization_id": orgID},
		"organization": map[string]any{"organization_id": orgID},
		"member_session": map[string]any{
			"member_session_id": "session-test-1", "member_id": memberID, "organization_id": orgID,
			"expires_at": "2030-01-01T00:00:00Z",
		},
		"verdict": verdict,
	}
}

func refusal(status int, errorType string) http.HandlerFunc {
	return answer(status, map[string]any{"status_code": status, "error_type": errorType, "request_id": "request-id-2"})
}

func (f *fake) start(t *testing.T) *stytch.Client {
	t.Helper()
	if f.check == nil {
		f.check = answer(200, checkAnswer(member, org, map[string]any{"authorized": true, "granting_roles": []string{"x"}}))
	}
	if f.policy == nil {
		f.policy = answer(200, map[string]any{"status_code": 200, "request_id": "r", "policy": policy()})
	}
	if f.orgPolicy == nil {
		f.orgPolicy = refusal(http.StatusForbidden, "unauthorized_action")
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/sessions/authenticate"):
			f.checks.Add(1)
			f.check(w, r)
		case strings.HasSuffix(r.URL.Path, "/rbac/policy"):
			f.policies.Add(1)
			f.policy(w, r)
		default:
			f.orgPolicy(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	c, err := stytch.New("project-test-1", "secret-test-1", stytch.WithBaseURL(srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func acting(t *testing.T) stytch.ActingSession {
	t.Helper()
	a, err := stytch.ActingToken("token-of-somebody")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCheckNeedsAVerdict(t *testing.T) {
	t.Parallel()
	yes := map[string]any{"authorized": true}
	tests := []struct {
		name      string
		check     http.HandlerFunc
		ok        bool
		denied    bool
		unchecked bool
	}{
		{name: "yes", check: answer(200, checkAnswer(member, org, yes)), ok: true},
		{name: "refused", check: refusal(403, "session_authorization_error"), denied: true},
		{name: "no", check: answer(200, checkAnswer(member, org, map[string]any{"authorized": false})), denied: true},
		{name: "no verdict", check: answer(200, checkAnswer(member, org, nil)), unchecked: true},
		{name: "another member", check: answer(200, checkAnswer("member-test-2", org, yes)), unchecked: true},
		{name: "another organization", check: answer(200, checkAnswer(member, "organization-test-2", yes)), unchecked: true},
		{name: "dead session", check: refusal(404, "session_not_found")},
		{name: "fault", check: refusal(500, "internal_server_error")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := authz.New((&fake{check: tt.check}).start(t), time.Now)
			_, err := a.Check(t.Context(), acting(t), &authz.Session{MemberID: member, OrganizationID: org}, authz.MemberSearch())
			var (
				denied    *authz.DeniedError
				unchecked *authz.UncheckedError
			)
			if (err == nil) != tt.ok || errors.As(err, &denied) != tt.denied || errors.As(err, &unchecked) != tt.unchecked {
				t.Errorf("Check = %v, want ok %v, denied %v, unchecked %v", err, tt.ok, tt.denied, tt.unchecked)
			}
			if denied != nil && !slices.Equal(denied.RolesWith, []string{"stytch_admin", "helpdesk", "auditor"}) {
				t.Errorf("RolesWith = %v", denied.RolesWith)
			}
		})
	}
}

func TestCheckConsole(t *testing.T) {
	t.Parallel()
	undefined := policy()
	undefined.Resources = undefined.Resources[:2]
	without := answer(200, map[string]any{"status_code": 200, "policy": undefined})
	tests := []struct {
		name   string
		policy http.HandlerFunc
		check  http.HandlerFunc
		roles  []string
		ok     bool
		unread bool
		checks int32
	}{
		{name: "defined: the upstream says yes, whatever the roles", roles: []string{"stytch_member"}, ok: true, checks: 1},
		{name: "defined: the upstream says no, even to an admin", check: refusal(403, "session_authorization_error"), roles: []string{"stytch_admin"}, checks: 1},
		{name: "not defined: an admin has it", policy: without, roles: []string{"stytch_admin"}, ok: true},
		{name: "not defined: others do not", policy: without, roles: []string{"auditor"}},
		{name: "unread is not a yes", policy: refusal(500, "internal_server_error"), roles: []string{"stytch_admin"}, unread: true},
		{name: "without a list of resources it is not a yes", policy: answer(200, map[string]any{"status_code": 200, "policy": map[string]any{"roles": []any{}}}), roles: []string{"stytch_admin"}, unread: true},
		{name: "null is not a yes", policy: answer(200, map[string]any{"policy": nil}), roles: []string{"stytch_admin"}, unread: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{policy: tt.policy, check: tt.check}
			a := authz.New(f.start(t), time.Now)
			s := &authz.Session{MemberID: member, OrganizationID: org, Roles: tt.roles}
			err := a.CheckConsole(t.Context(), acting(t), s, authz.AuditRead())
			var unread *authz.PolicyUnreadError
			if (err == nil) != tt.ok || errors.As(err, &unread) != tt.unread {
				t.Errorf("CheckConsole = %v, want ok %v, unread %v", err, tt.ok, tt.unread)
			}
			if got := f.checks.Load(); got != tt.checks {
				t.Errorf("asked the upstream %d times, want %d", got, tt.checks)
			}
		})
	}
}

func TestSessionIsCachedForAMinute(t *testing.T) {
	t.Parallel()
	f := &fake{}
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	a := authz.New(f.start(t), func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		want  int32
	}{{0, 1}, {59 * time.Second, 1}, {2 * time.Second, 2}, {30 * time.Second, 2}} {
		now = now.Add(step.after)
		if _, err := a.Session(t.Context(), acting(t)); err != nil {
			t.Fatal(err)
		}
		if got := f.checks.Load(); got != step.want {
			t.Errorf("after %s more: %d calls, want %d", step.after, got, step.want)
		}
	}
	a.Forget(acting(t))
	if _, err := a.Session(t.Context(), acting(t)); err != nil || f.checks.Load() != 3 {
		t.Errorf("after Forget: %d calls, error %v, want a third call", f.checks.Load(), err)
	}
}

func TestPolicyFallsBackToTheOrganizationsOwnList(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := authz.New(f.start(t), time.Now)
	custom := []stytch.Role{{RoleID: "lead", Permissions: []stytch.Permission{{ResourceID: "stytch.member", Actions: []string{"search"}}}}}
	for range 2 {
		p, err := a.Policy(t.Context(), org, custom)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Allows([]string{"lead"}, authz.MemberSearch()) {
			t.Error("a role that the organization object lists does not count")
		}
	}
	if p, err := a.Policy(t.Context(), org, nil); err != nil || p.Allows([]string{"lead"}, authz.MemberSearch()) {
		t.Errorf("custom roles outlived the organization that listed them (error %v)", err)
	}
	if got := f.policies.Load(); got != 1 {
		t.Errorf("read the policy %d times, want once in five minutes", got)
	}
}

func TestFailedPolicyIsNotAskedForAtEveryPage(t *testing.T) {
	t.Parallel()
	f := &fake{policy: refusal(500, "internal_server_error")}
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	a := authz.New(f.start(t), func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		want  int32
	}{{0, 1}, {9 * time.Second, 1}, {time.Second, 2}} {
		now = now.Add(step.after)
		var unread *authz.PolicyUnreadError
		if _, err := a.Policy(t.Context(), org, nil); !errors.As(err, &unread) {
			t.Fatalf("Policy = %v, want a PolicyUnreadError", err)
		}
		if got := f.policies.Load(); got != step.want {
			t.Errorf("after %s more: asked %d times, want %d", step.after, got, step.want)
		}
	}
}
