package sandbox_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const searchPath = "/v1/b2b/organizations/members/search"

func (a *api) organizationID(t *testing.T, slug string) string {
	t.Helper()
	_, o := a.call(t, "GET", "/v1/b2b/organizations/"+slug, nil)
	return o.text("organization.organization_id")
}

func operand(name string, value any) object {
	return object{"filter_name": name, "filter_value": value}
}

func TestSearchFilters(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	acme, globex := a.organizationID(t, "acme"), a.organizationID(t, "globex")
	everybody := a.all(t, "acme", 1000, everyStatus)
	// count is what a filter should find, counted from the whole list.
	count := func(match func(object) bool) int {
		n := 0
		for _, m := range everybody {
			if m.text("status") != "deleted" && match(m) {
				n++
			}
		}
		return n
	}
	hasRole := func(m object, want string) bool {
		return slices.ContainsFunc(m.list("roles"), func(r object) bool { return r.text("role_id") == want })
	}
	tests := []struct {
		name     string
		operator string
		operands []object
		orgs     []string
		want     int
	}{
		{name: "nothing asked", want: 250},
		{name: "both organizations", orgs: []string{acme, globex}, want: 262},
		{name: "an organization named twice", orgs: []string{globex, globex}, want: 12},
		{name: "member_ids", operands: []object{operand("member_ids", []string{people["ada@acme.example"].text("member_id"), "member-test-x"})}, want: 1},
		{name: "member_ids of another organization", operands: []object{operand("member_ids", []string{people["olga@globex.example"].text("member_id")})}, want: 0},
		{name: "external member_ids", operands: []object{operand("member_ids", []string{"workday|GE-1906", "nobody"})}, want: 1},
		{name: "member_emails", operands: []object{operand("member_emails", []string{"ADA@acme.example", "max@acme.example"})}, want: 2},
		{name: "member_email_fuzzy", operands: []object{operand("member_email_fuzzy", "N.SMITHSON@")}, want: 2},
		{
			name: "member_email_fuzzy of a domain", operands: []object{operand("member_email_fuzzy", "@partners")},
			want: 1,
		},
		{
			name: "member_is_breakglass", operands: []object{operand("member_is_breakglass", true)},
			want: count(func(m object) bool { return m.at("is_breakglass") == true }),
		},
		{
			name: "statuses", operands: []object{operand("statuses", []string{"pending", "invited"})},
			want: count(func(m object) bool { return m.text("status") == "pending" || m.text("status") == "invited" }),
		},
		{
			name: "deleted", operands: []object{operand("statuses", []string{"deleted"})},
			want: len(everybody) - 250,
		},
		{name: "no status", operands: []object{operand("statuses", []string{})}, want: 0},
		{name: "member_mfa_phone_numbers", operands: []object{operand("member_mfa_phone_numbers", []string{"+15005550006"})}, want: 1},
		{name: "member_mfa_phone_number_fuzzy", operands: []object{operand("member_mfa_phone_number_fuzzy", "4420794")}, want: 1},
		{
			name: "member_password_exists", operands: []object{operand("member_password_exists", false)},
			want: count(func(m object) bool { return m.text("member_password_id") == "" }),
		},
		{
			name: "member_roles", operands: []object{operand("member_roles", []string{"helpdesk", "auditor"})},
			want: count(func(m object) bool { return hasRole(m, "helpdesk") || hasRole(m, "auditor") }),
		},
		{
			name: "member_totp_exists", operands: []object{operand("member_totp_exists", true)},
			want: count(func(m object) bool { return m.text("totp_registration_id") != "" }),
		},
		{
			name: "oauth_providers", operands: []object{operand("oauth_providers", []string{"microsoft"})},
			want: count(func(m object) bool {
				return slices.ContainsFunc(m.list("oauth_registrations"), func(r object) bool { return r.text("provider_type") == "Microsoft" })
			}),
		},
		{name: "organization_slug", orgs: []string{acme, globex}, operands: []object{operand("organization_slug", "globex")}, want: 12},
		{name: "organization_slug_fuzzy", orgs: []string{acme, globex}, operands: []object{operand("organization_slug_fuzzy", "LOB")}, want: 12},
		{
			name:     "AND",
			operands: []object{operand("member_email_fuzzy", "smithson"), operand("member_emails", []string{"jon.smithson@acme.example"})}, want: 1,
		},
		{
			name: "OR", operator: "OR",
			operands: []object{operand("member_emails", []string{"ada@acme.example"}), operand("member_emails", []string{"max@acme.example"})}, want: 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := object{"organization_ids": []string{acme}, "limit": 1000}
			if tt.orgs != nil {
				body["organization_ids"] = tt.orgs
			}
			if tt.operands != nil {
				operator := tt.operator
				if operator == "" {
					operator = "AND"
				}
				body["query"] = object{"operator": operator, "operands": tt.operands}
			}
			status, o := a.call(t, "POST", searchPath, body)
			if status != 200 {
				t.Fatalf("%d %v", status, o)
			}
			if got := len(o.list("members")); got != tt.want || o.at("results_metadata.total") != float64(tt.want) {
				t.Errorf("%d members, total %v, want %d", got, o.at("results_metadata.total"), tt.want)
			}
			organizations, _ := o.at("organizations").(map[string]any)
			for _, m := range o.list("members") {
				if _, ok := organizations[m.text("organization_id")]; !ok {
					t.Errorf("organization of %s is missing", m.text("member_id"))
				}
			}
			if tt.want == 0 && (len(organizations) != 0 || o.at("members") == nil) {
				t.Errorf("empty result is %v", o)
			}
		})
	}
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 40})
	acme := a.organizationID(t, "acme")
	with := func(operands string) string {
		return `{"organization_ids":["` + acme + `"],"query":{"operator":"AND","operands":[` + operands + `]}}`
	}
	tests := []struct{ name, body, errorType string }{
		{"no organization", `{}`, "member_search_organization_ids_empty"},
		{"empty organizations", `{"organization_ids":[]}`, "member_search_organization_ids_empty"},
		{"slug as id", `{"organization_ids":["acme"]}`, "invalid_organization_id"},
		{"unknown organization", `{"organization_ids":["organization-test-00000000-0000-4000-8000-000000000000"]}`, "organization_not_found"},
		{"no operator", `{"organization_ids":["` + acme + `"],"query":{"operands":[]}}`, "bad_request"},
		{"strange operator", `{"organization_ids":["` + acme + `"],"query":{"operator":"XOR","operands":[]}}`, "bad_request"},
		{"unknown filter", with(`{"filter_name":"member_name","filter_value":"x"}`), "member_search_filter_name_not_recognized"},
		{"stale filter", with(`{"filter_name":"member_phone_numbers","filter_value":[]}`), "member_search_filter_name_not_recognized"},
		{"name not a string", with(`{"filter_name":7,"filter_value":"x"}`), "member_search_filter_name_must_be_string"},
		{"no name", with(`{"filter_value":"x"}`), "member_search_missing_filter_name"},
		{"no value", with(`{"filter_name":"member_emails"}`), "member_search_missing_filter_value"},
		{"no totp value", with(`{"filter_name":"member_totp_exists"}`), "member_search_missing_totp_exists"},
		{"no providers", with(`{"filter_name":"oauth_providers","filter_value":null}`), "member_search_missing_oauth_providers"},
		{"string expected", with(`{"filter_name":"member_email_fuzzy","filter_value":["abc"]}`), "member_search_expected_string"},
		{"boolean expected", with(`{"filter_name":"member_password_exists","filter_value":"true"}`), "member_search_expected_boolean"},
		{"array expected", with(`{"filter_name":"member_emails","filter_value":"a@b.c"}`), "member_search_expected_array_of_strings"},
		{"array of strings expected", with(`{"filter_name":"member_emails","filter_value":["a",null]}`), "member_search_expected_array_of_strings"},
		{"short email", with(`{"filter_name":"member_email_fuzzy","filter_value":"äb"}`), "member_search_member_email_fuzzy_too_short"},
		{"short phone", with(`{"filter_name":"member_mfa_phone_number_fuzzy","filter_value":"+1"}`), "member_search_member_mfa_phone_number_fuzzy_too_short"},
		{"strange status", with(`{"filter_name":"statuses","filter_value":["gone"]}`), "search_invalid_status_filter"},
		{"mixed ids", with(`{"filter_name":"member_ids","filter_value":["member-test-x","emp-000001"]}`), "member_search_cannot_mix_internal_and_external_member_ids"},
		{"operand not an object", with(`"x"`), "bad_request"},
		{"limit too large", `{"organization_ids":["` + acme + `"],"limit":1001}`, "bad_request"},
		{"negative limit", `{"organization_ids":["` + acme + `"],"limit":-1}`, "bad_request"},
		{"limit not a number", `{"organization_ids":["` + acme + `"],"limit":"10"}`, "bad_request"},
		{"cursor", `{"organization_ids":["` + acme + `"],"cursor":"abc"}`, "bad_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := 400
			if tt.errorType == "organization_not_found" {
				want = 404
			}
			status, o := a.call(t, "POST", searchPath, tt.body)
			wantError(t, status, o, want, tt.errorType)
		})
	}
}

func TestSearchPages(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	var ids [][]string
	for _, limit := range []int{7, 100, 250, 1000} {
		var one []string
		for _, m := range a.all(t, "acme", limit) {
			one = append(one, m.text("member_id"))
		}
		ids = append(ids, one)
	}
	for i := range ids {
		if diff := cmp.Diff(ids[0], ids[i]); diff != "" {
			t.Errorf("limit changes the order: %s", diff)
		}
	}
	acme := a.organizationID(t, "acme")
	_, first := a.call(t, "POST", searchPath, object{"organization_ids": []string{acme}})
	if got := len(first.list("members")); got != 100 {
		t.Errorf("default limit gives %d", got)
	}
	cursor := first.text("results_metadata.next_cursor")
	if cursor == "" || strings.Contains(cursor, "member") {
		t.Errorf("cursor %q", cursor)
	}
	status, o := a.call(t, "POST", searchPath, object{
		"organization_ids": []string{acme}, "cursor": cursor,
		"query": object{"operator": "AND", "operands": []object{operand("member_password_exists", true)}},
	})
	wantError(t, status, o, 400, "bad_request")

	_, last := a.call(t, "POST", searchPath, object{"organization_ids": []string{acme}, "limit": 1000})
	if got, there := last["results_metadata"].(map[string]any)["next_cursor"]; got != nil || !there {
		t.Errorf("next_cursor of the last page: %v", got)
	}
}

func TestTotalsOff(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10, TotalsOff: true})
	body := object{"organization_ids": []string{a.organizationID(t, "acme")}}
	if _, o := a.call(t, "POST", searchPath, body); o.at("results_metadata.total") != float64(-1) {
		t.Errorf("total %v", o.at("results_metadata.total"))
	}
	a.steer(t, "PUT", "switches", object{"totals_off": false})
	if _, o := a.call(t, "POST", searchPath, body); o.at("results_metadata.total") != float64(10) {
		t.Errorf("total %v", o.at("results_metadata.total"))
	}
}

func BenchmarkSearch(b *testing.B) {
	benchmarkSearch(b, `"member_email_fuzzy","filter_value":"zofia.zhang"`)
}

func BenchmarkSearchRoles(b *testing.B) {
	benchmarkSearch(b, `"member_roles","filter_value":["helpdesk"]`)
}
