package sandbox_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// all reads every member of an organization, page by page.
func (a *api) all(t *testing.T, slug string, limit int, operands ...object) []object {
	t.Helper()
	_, o := a.call(t, "GET", "/v1/b2b/organizations/"+slug, nil)
	body := object{"organization_ids": []string{o.text("organization.organization_id")}, "limit": limit}
	if len(operands) > 0 {
		body["query"] = object{"operator": "AND", "operands": operands}
	}
	var out []object
	for {
		status, page := a.call(t, "POST", "/v1/b2b/organizations/members/search", body)
		if status != 200 {
			t.Fatalf("search: %d %v", status, page)
		}
		out = append(out, page.list("members")...)
		cursor := page.text("results_metadata.next_cursor")
		if cursor == "" {
			return out
		}
		body["cursor"] = cursor
	}
}

var everyStatus = object{"filter_name": "statuses", "filter_value": []string{"active", "pending", "invited", "deleted"}}

func TestSeedIsDeterministic(t *testing.T) {
	t.Parallel()
	one, two := start(t, sandbox.Options{Seed: 7}), start(t, sandbox.Options{Seed: 7})
	if diff := cmp.Diff(one.info, two.info); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(one.all(t, "acme", 1000, everyStatus), two.all(t, "acme", 100, everyStatus)); diff != "" {
		t.Error(diff)
	}
	other := start(t, sandbox.Options{Seed: 8})
	if other.info.ProjectID == one.info.ProjectID || other.info.Secret == one.info.Secret || other.info.ControlToken == one.info.ControlToken {
		t.Error("another seed, the same credentials")
	}
}

func TestSeedSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{sandbox.MinOrgSize, 20, 250, 7000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: size})
			members := a.all(t, "acme", 1000)
			if len(members) != size {
				t.Errorf("%d members, want %d", len(members), size)
			}
			emails, ids, last := map[string]bool{}, map[string]bool{}, ""
			for _, m := range members {
				emails[m.text("email_address")], ids[m.text("member_id")] = true, true
				if m.text("status") == "deleted" {
					t.Errorf("%s is deleted", m.text("email_address"))
				}
				created, err := time.Parse(time.RFC3339, m.text("created_at"))
				if err != nil || !strings.HasSuffix(m.text("created_at"), "Z") {
					t.Errorf("created_at %q", m.text("created_at"))
				}
				if key := created.Format("2006-01-02T15:04:05.000000000"); key <= last {
					t.Errorf("created_at %s after %s", key, last)
				} else {
					last = key
				}
			}
			if len(emails) != size || len(ids) != size {
				t.Errorf("%d addresses and %d ids of %d members", len(emails), len(ids), size)
			}
			if got := len(a.all(t, "globex", 1000)); got != 12 {
				t.Errorf("globex has %d", got)
			}
		})
	}
}

// Fields that the documentation's member and organization objects have.
const (
	memberFields = `organization_id member_id email_address status name sso_registrations is_breakglass member_password_id oauth_registrations
		email_address_verified mfa_phone_number_verified is_admin totp_registration_id retired_email_addresses is_locked mfa_enrolled mfa_phone_number
		default_mfa_method roles trusted_metadata untrusted_metadata created_at updated_at scim_registration external_id lock_created_at lock_expires_at`
	organizationFields = `organization_id organization_name organization_logo_url organization_slug sso_jit_provisioning
		sso_jit_provisioning_allowed_connections sso_active_connections email_allowed_domains email_jit_provisioning email_invites auth_methods
		allowed_auth_methods mfa_policy rbac_email_implicit_role_assignments mfa_methods allowed_mfa_methods oauth_tenant_jit_provisioning
		claimed_email_domains first_party_connected_apps_allowed_type allowed_first_party_connected_apps third_party_connected_apps_allowed_type
		allowed_third_party_connected_apps custom_roles trusted_metadata created_at updated_at organization_external_id sso_default_connection_id
		scim_active_connection allowed_oauth_tenants`
)

func keys(o object) []string {
	var out []string
	for key := range o {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func fields(text string) []string {
	out := strings.Fields(text)
	slices.Sort(out)
	return out
}

// filled reports whether a value says something, nested values included.
func filled(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return true
	}
}

func TestEveryFieldIsFilledForSomebody(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	members := a.all(t, "acme", 1000, everyStatus)
	seen := map[string]bool{}
	var note func(prefix string, value any)
	note = func(prefix string, value any) {
		if filled(value) {
			seen[prefix] = true
		}
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				if _, ok := seen[prefix+"."+key]; !ok {
					seen[prefix+"."+key] = false
				}
				note(prefix+"."+key, inner)
			}
		case []any:
			for _, inner := range v {
				note(prefix+"[]", inner)
			}
		}
	}
	for _, m := range members {
		if diff := cmp.Diff(fields(memberFields), keys(m)); diff != "" {
			t.Fatal(diff)
		}
		for _, array := range []string{"sso_registrations", "oauth_registrations", "retired_email_addresses", "roles"} {
			if _, ok := m[array].([]any); !ok {
				t.Fatalf("%s of %s is %v", array, m.text("email_address"), m[array])
			}
		}
		note("member", map[string]any(m))
	}
	_, o := a.call(t, "GET", "/v1/b2b/organizations/acme", nil)
	organization, _ := o.at("organization").(map[string]any)
	if diff := cmp.Diff(fields(organizationFields), keys(organization)); diff != "" {
		t.Error(diff)
	}
	note("organization", organization)
	for path, ok := range seen {
		// Metadata is free-form, a detail may be a false in one place, and direct assignments have no details.
		if !ok && !strings.Contains(path, "metadata.") && !strings.HasSuffix(path, ".primary") {
			t.Errorf("%s is filled for nobody", path)
		}
	}

	sources, statuses := map[string]bool{}, map[string]int{}
	scriptsSeen := map[string]bool{}
	for _, m := range members {
		statuses[m.text("status")]++
		for _, role := range m.list("roles") {
			for _, source := range role.list("sources") {
				sources[source.text("type")] = true
			}
		}
		for _, r := range m.text("name") {
			for _, name := range []string{"Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Thai"} {
				if unicode.Is(unicode.Scripts[name], r) {
					scriptsSeen[name] = true
				}
			}
		}
	}
	for _, want := range []string{"direct_assignment", "email_assignment", "sso_connection", "sso_connection_group", "scim_connection_group"} {
		if !sources[want] {
			t.Errorf("no role by %s", want)
		}
	}
	for _, want := range []string{"active", "pending", "invited", "deleted"} {
		if statuses[want] == 0 {
			t.Errorf("nobody is %s", want)
		}
	}
	if len(scriptsSeen) < 5 {
		t.Errorf("names in %v only", scriptsSeen)
	}
}

func TestSeedPeopleAreAsNoted(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	get := func(email string) object {
		return a.steer(t, "GET", "members/"+people[email].text("member_id"), nil)
	}
	tests := []struct {
		email, path string
		want        any
	}{
		{"lena@acme.example", "member.is_locked", true},
		{"luis@acme.example", "member.is_locked", false},
		{"noor@acme.example", "member.member_password_id", ""},
		{"ada@acme.example", "member.is_admin", true},
		{"hiro@acme.example", "member.is_admin", false},
		{"bea.breakglass@acme.example", "member.is_breakglass", true},
		{"dora@acme.example", "member.status", "deleted"},
		{"mina@acme.example", "member.mfa_enrolled", true},
	}
	for _, tt := range tests {
		if got := get(tt.email).at(tt.path); got != tt.want {
			t.Errorf("%s %s: %v, want %v", tt.email, tt.path, got, tt.want)
		}
	}
	if got := len(get("max@acme.example").list("sessions")); got != 3 {
		t.Errorf("plain member has %d sessions", got)
	}
	if luis := get("luis@acme.example"); luis.text("member.lock_expires_at") == "" {
		t.Error("a lapsed lock has no times")
	}
	name := people["bobby.tables@acme.example"].text("name")
	for _, want := range []string{"<script>", "\"", "'", "\u202e"} {
		if !strings.Contains(name, want) {
			t.Errorf("hostile name lacks %q", want)
		}
	}
}

// BenchmarkNew shows that the start does not depend on the size: members are derived, not made.
func BenchmarkNew(b *testing.B) {
	for _, size := range []int{250, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if _, err := sandbox.New(sandbox.Options{OrgSize: size}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestInfoIsJSONFriendly(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	text, err := json.Marshal(a.info.People[0])
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"email", "name", "organization", "password", "role"}, keys(o)); diff != "" {
		t.Error(diff)
	}
}
