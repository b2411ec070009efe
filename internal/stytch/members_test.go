package stytch_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

// Every documented field, each with a value of its own, and one field the package does not know.
const memberWithAllFields = `{"organization_id":"o1","member_id":"m1","email_address":"ada@example.com","status":"active","name":"Ada",` +
	`"sso_registrations":[{"connection_id":"c1","external_id":"x1","registration_id":"r1","sso_attributes":{"n":12345678901234567890}}],` +
	`"is_breakglass":true,"member_password_id":"pw1",` +
	`"oauth_registrations":[{"provider_type":"Google","provider_subject":"s1","member_oauth_registration_id":"or1","profile_picture_url":"https://p","locale":"en"}],` +
	`"email_address_verified":true,"mfa_phone_number_verified":true,"is_admin":true,"totp_registration_id":"t1",` +
	`"retired_email_addresses":[{"email_id":"e1","email_address":"old@example.com"},"older@example.com"],` +
	`"is_locked":true,"mfa_enrolled":true,"mfa_phone_number":"+4512345678","default_mfa_method":"totp",` +
	`"roles":[{"role_id":"helpdesk","sources":[{"type":"email_assignment","details":{"email_domain":"example.com"}},{"type":"direct_assignment"}]}],` +
	`"trusted_metadata":{"a":1.50},"untrusted_metadata":{"b":null},` +
	`"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-02T00:00:00.123456789Z",` +
	`"scim_registration":{"connection_id":"sc1","registration_id":"sr1","external_id":"sx1","scim_attributes":{` +
	`"user_name":"ada","id":"i1","external_id":"e2","active":true,"groups":[{"value":"g1","display":"Group"}],"display_name":"Ada L","nick_name":"A",` +
	`"profile_url":"https://u","user_type":"employee","title":"Countess","preferred_language":"en","locale":"en-GB","timezone":"Europe/London",` +
	`"emails":[{"value":"v1","type":"work","primary":true}],"phone_numbers":[{"value":"v2","type":"t2","primary":false}],` +
	`"addresses":[{"formatted":"f","street_address":"sa","locality":"l","region":"rg","postal_code":"pc","country":"GB","type":"home","primary":true}],` +
	`"ims":[{"value":"v3","type":"t3","primary":true}],"photos":[{"value":"v4","type":"t4","primary":true}],` +
	`"entitlements":[{"value":"v5","type":"t5","primary":true}],"roles":[{"value":"v6","type":"t6","primary":true}],` +
	`"x509certificates":[{"value":"v7","type":"t7","primary":true}],` +
	`"name":{"formatted":"nf","family_name":"fn","given_name":"gn","middle_name":"mn","honorific_prefix":"hp","honorific_suffix":"hs"},` +
	`"enterprise_extension":{"employee_number":"en","cost_center":"cc","division":"dv","department":"dp","organization":"og",` +
	`"manager":{"value":"mv","ref":"mr","display_name":"md"}}}},` +
	`"external_id":"ext1","lock_created_at":"2026-01-03T00:00:00.5Z","lock_expires_at":"2026-01-03T01:00:00+01:00",` +
	`"not_yet_invented":{"kept": [1, 2]}}`

func instant(t *testing.T, s string) *time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return &at
}

func TestMemberAllFields(t *testing.T) {
	t.Parallel()
	value := func(v, typ string, primary bool) []stytch.SCIMValue {
		return []stytch.SCIMValue{{Value: v, Type: typ, Primary: primary}}
	}
	want := stytch.Member{
		OrganizationID: "o1", MemberID: "m1", EmailAddress: "ada@example.com", Status: stytch.StatusActive, Name: "Ada",
		SSORegistrations: []stytch.SSORegistration{{
			ConnectionID: "c1", ExternalID: "x1", RegistrationID: "r1",
			SSOAttributes: map[string]any{"n": json.Number("12345678901234567890")},
		}},
		IsBreakglass: true, MemberPasswordID: "pw1",
		OAuthRegistrations: []stytch.OAuthRegistration{{
			ProviderType: "Google", ProviderSubject: "s1", MemberOAuthRegistrationID: "or1", ProfilePictureURL: "https://p", Locale: "en",
		}},
		EmailAddressVerified: true, MFAPhoneNumberVerified: true, IsAdmin: true, TOTPRegistrationID: "t1",
		RetiredEmailAddresses: []stytch.RetiredEmailAddress{{EmailID: "e1", EmailAddress: "old@example.com"}, {EmailAddress: "older@example.com"}},
		IsLocked:              true, MFAEnrolled: true, MFAPhoneNumber: "+4512345678", DefaultMFAMethod: "totp",
		Roles: []stytch.MemberRole{{RoleID: "helpdesk", Sources: []stytch.RoleSource{
			{Type: "email_assignment", Details: map[string]any{"email_domain": "example.com"}}, {Type: "direct_assignment"},
		}}},
		TrustedMetadata: map[string]any{"a": json.Number("1.50")}, UntrustedMetadata: map[string]any{"b": nil},
		CreatedAt: instant(t, "2026-01-01T00:00:00Z"), UpdatedAt: instant(t, "2026-01-02T00:00:00.123456789Z"),
		SCIMRegistration: &stytch.SCIMRegistration{
			ConnectionID: "sc1", RegistrationID: "sr1", ExternalID: "sx1",
			SCIMAttributes: &stytch.SCIMAttributes{
				UserName: "ada", ID: "i1", ExternalID: "e2", Active: true, Groups: []stytch.SCIMGroup{{Value: "g1", Display: "Group"}},
				DisplayName: "Ada L", NickName: "A", ProfileURL: "https://u", UserType: "employee", Title: "Countess",
				PreferredLanguage: "en", Locale: "en-GB", Timezone: "Europe/London",
				Emails: value("v1", "work", true), PhoneNumbers: value("v2", "t2", false),
				Addresses: []stytch.SCIMAddress{{
					Formatted: "f", StreetAddress: "sa", Locality: "l", Region: "rg", PostalCode: "pc", Country: "GB", Type: "home", Primary: true,
				}},
				IMs: value("v3", "t3", true), Photos: value("v4", "t4", true), Entitlements: value("v5", "t5", true),
				Roles: value("v6", "t6", true), X509Certificates: value("v7", "t7", true),
				Name: &stytch.SCIMName{
					Formatted: "nf", FamilyName: "fn", GivenName: "gn", MiddleName: "mn", HonorificPrefix: "hp", HonorificSuffix: "hs",
				},
				EnterpriseExtension: &stytch.SCIMEnterpriseExtension{
					EmployeeNumber: "en", CostCenter: "cc", Division: "dv", Department: "dp", Organization: "og",
					Manager: &stytch.SCIMManager{Value: "mv", Ref: "mr", DisplayName: "md"},
				},
			},
		},
		ExternalID: "ext1", LockCreatedAt: instant(t, "2026-01-03T00:00:00.5Z"), LockExpiresAt: instant(t, "2026-01-03T00:00:00Z"),
		Raw: json.RawMessage(memberWithAllFields),
	}
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ok(`"member_id":"m1","member":`+memberWithAllFields))
	})
	out, err := client.GetMember(t.Context(), "o1", "m1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.Member); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	noZero(t, "member", out.Member)
}

const organizationWithAllFields = `{"organization_id":"o1","organization_name":"Acme","organization_logo_url":"https://l","organization_slug":"acme",` +
	`"sso_jit_provisioning":"RESTRICTED","sso_jit_provisioning_allowed_connections":["c1"],` +
	`"sso_active_connections":[{"connection_id":"c1","display_name":"Okta","identity_provider":"okta"}],` +
	`"email_allowed_domains":["d1"],"email_jit_provisioning":"NOT_ALLOWED","email_invites":"ALL_ALLOWED","auth_methods":"RESTRICTED2",` +
	`"allowed_auth_methods":["password"],"mfa_policy":"OPTIONAL","rbac_email_implicit_role_assignments":[{"domain":"d2","role_id":"r1"}],` +
	`"mfa_methods":"M","allowed_mfa_methods":["totp"],"oauth_tenant_jit_provisioning":"T","claimed_email_domains":["d3"],` +
	`"first_party_connected_apps_allowed_type":"F","allowed_first_party_connected_apps":["a1"],` +
	`"third_party_connected_apps_allowed_type":"G","allowed_third_party_connected_apps":["a2"],` +
	`"custom_roles":[{"role_id":"r2","description":"d","permissions":[{"resource_id":"x","actions":["y"]}]}],` +
	`"trusted_metadata":{"k":"v"},"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-02T00:00:00Z",` +
	`"organization_external_id":"oe1","sso_default_connection_id":"c2",` +
	`"scim_active_connection":{"connection_id":"s1","display_name":"SCIM","bearer_token_last_four":"abcd","bearer_token_expires_at":"2027-01-01T00:00:00Z"},` +
	`"allowed_oauth_tenants":{"slack":["t1"]},"later":1}`

func TestOrganizationAllFields(t *testing.T) {
	t.Parallel()
	want := stytch.Organization{
		OrganizationID: "o1", OrganizationName: "Acme", OrganizationLogoURL: "https://l", OrganizationSlug: "acme",
		SSOJITProvisioning: "RESTRICTED", SSOJITProvisioningAllowedConnections: []string{"c1"},
		SSOActiveConnections: []stytch.SSOActiveConnection{{ConnectionID: "c1", DisplayName: "Okta", IdentityProvider: "okta"}},
		EmailAllowedDomains:  []string{"d1"}, EmailJITProvisioning: "NOT_ALLOWED", EmailInvites: "ALL_ALLOWED", AuthMethods: "RESTRICTED2",
		AllowedAuthMethods: []string{"password"}, MFAPolicy: "OPTIONAL",
		RBACEmailImplicitRoleAssignments: []stytch.EmailImplicitRoleAssignment{{Domain: "d2", RoleID: "r1"}},
		MFAMethods:                       "M", AllowedMFAMethods: []string{"totp"}, OAuthTenantJITProvisioning: "T", ClaimedEmailDomains: []string{"d3"},
		FirstPartyConnectedAppsAllowedType: "F", AllowedFirstPartyConnectedApps: []string{"a1"},
		ThirdPartyConnectedAppsAllowedType: "G", AllowedThirdPartyConnectedApps: []string{"a2"},
		CustomRoles: []stytch.Role{{
			RoleID: "r2", Description: "d", Permissions: []stytch.Permission{{ResourceID: "x", Actions: []string{"y"}}},
		}},
		TrustedMetadata: map[string]any{"k": "v"}, CreatedAt: instant(t, "2026-01-01T00:00:00Z"), UpdatedAt: instant(t, "2026-01-02T00:00:00Z"),
		OrganizationExternalID: "oe1", SSODefaultConnectionID: "c2",
		SCIMActiveConnection: &stytch.SCIMActiveConnection{
			ConnectionID: "s1", DisplayName: "SCIM", BearerTokenLastFour: "abcd", BearerTokenExpiresAt: instant(t, "2027-01-01T00:00:00Z"),
		},
		AllowedOAuthTenants: map[string]any{"slack": []any{"t1"}},
		Raw:                 json.RawMessage(organizationWithAllFields),
	}
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ok(`"organization":`+organizationWithAllFields))
	})
	out, err := client.GetOrganization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.Organization); diff != "" {
		t.Errorf("organization (-want +got):\n%s", diff)
	}
	noZero(t, "organization", out.Organization)
}

// noZero fails for a field that the golden object does not fill: encoding the struct back shows every field it has.
func noZero(t *testing.T, what string, v any) {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if s := string(value); s == "null" || s == `""` || s == "false" || s == "0" {
			t.Errorf("%s: %s is not filled", what, name)
		}
	}
}

// The fields of the structs are those of the API's documentation, by name, no more and no less.
func TestDocumentedFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"member", stytch.Member{}, `organization_id member_id email_address status name sso_registrations is_breakglass member_password_id
			oauth_registrations email_address_verified mfa_phone_number_verified is_admin totp_registration_id retired_email_addresses
			is_locked mfa_enrolled mfa_phone_number default_mfa_method roles trusted_metadata untrusted_metadata created_at updated_at
			scim_registration external_id lock_created_at lock_expires_at`},
		{"organization", stytch.Organization{}, `organization_id organization_name organization_logo_url organization_slug sso_jit_provisioning
			sso_jit_provisioning_allowed_connections sso_active_connections email_allowed_domains email_jit_provisioning email_invites
			auth_methods allowed_auth_methods mfa_policy rbac_email_implicit_role_assignments mfa_methods allowed_mfa_methods
			oauth_tenant_jit_provisioning claimed_email_domains first_party_connected_apps_allowed_type allowed_first_party_connected_apps
			third_party_connected_apps_allowed_type allowed_third_party_connected_apps custom_roles trusted_metadata created_at updated_at
			organization_external_id sso_default_connection_id scim_active_connection allowed_oauth_tenants`},
		{"scim attributes", stytch.SCIMAttributes{}, `user_name id external_id active groups display_name nick_name profile_url user_type title
			preferred_language locale timezone emails phone_numbers addresses ims photos entitlements roles x509certificates name
			enterprise_extension`},
		{"session", stytch.MemberSession{}, `member_session_id member_id organization_id organization_slug started_at last_accessed_at
			expires_at roles authentication_factors custom_claims`},
	}
	for _, tt := range tests {
		encoded, err := json.Marshal(tt.v)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(encoded, &fields); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(strings.Fields(tt.want)))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(fields))); diff != "" {
			t.Errorf("%s (-documented +struct):\n%s", tt.name, diff)
		}
	}
}

// No field but an id can lose a member, nor its organization.
func TestOddValues(t *testing.T) {
	t.Parallel()
	for _, golden := range []string{memberWithAllFields, organizationWithAllFields} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(golden), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if name == "member_id" || name == "organization_id" {
				continue
			}
			for _, odd := range []string{`null`, `"odd"`, `5`, `1e400`, `true`, `[]`, `{}`, `[null]`, `["odd"]`, `[5]`, `[{"role_id":5,"sources":"x"}]`, `{"connection_id":[]}`} {
				changed := maps.Clone(fields)
				changed[name] = json.RawMessage(odd)
				object, err := json.Marshal(changed)
				if err != nil {
					t.Fatal(err)
				}
				var m stytch.Member
				var o stytch.Organization
				if err := json.Unmarshal(object, &m); err != nil || m.OrganizationID != "o1" || string(m.Raw) != string(object) {
					t.Errorf("member with %s %s: %v", name, odd, err)
				}
				if err := json.Unmarshal(object, &o); err != nil || o.OrganizationID != "o1" || string(o.Raw) != string(object) {
					t.Errorf("organization with %s %s: %v", name, odd, err)
				}
				if golden == memberWithAllFields && (m.MemberID != "m1" || (name != "email_address" && m.EmailAddress != "ada@example.com")) {
					t.Errorf("member with %s %s lost other fields: %+v", name, odd, m)
				}
			}
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`"2026-01-02T03:04:05Z"`:           "2026-01-02T03:04:05Z",
		`"2026-01-02T03:04:05.1Z"`:         "2026-01-02T03:04:05.1Z",
		`"2026-01-02T03:04:05.123456789Z"`: "2026-01-02T03:04:05.123456789Z",
		`"2026-01-02T03:04:05+02:00"`:      "2026-01-02T01:04:05Z",
		`""`:                               "", `null`: "", `"soon"`: "", `17`: "", `{}`: "", `"0001-01-01T00:00:00Z"`: "",
	}
	for in, want := range tests {
		var m stytch.Member
		if err := json.Unmarshal([]byte(`{"member_id":"m","updated_at":`+in+`}`), &m); err != nil {
			t.Fatal(err)
		}
		got := ""
		if m.UpdatedAt != nil {
			got = m.UpdatedAt.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", in, got, want)
		}
	}
}

func TestSearchMetadata(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, fields string
		total        int
		cursor       string
		members      int
	}{
		{"full", `"members":[` + memberJSON + `],"results_metadata":{"total":7,"next_cursor":"c"},"organizations":{"organization-test-1":` + organizationJSON + `}`, 7, "c", 1},
		{"totals off", `"members":[],"results_metadata":{"total":-1,"next_cursor":null}`, -1, "", 0},
		{"no cursor", `"members":[],"results_metadata":{"total":0}`, 0, "", 0},
		{"empty cursor", `"members":[],"results_metadata":{"total":0,"next_cursor":""}`, 0, "", 0},
		{"no total", `"members":[],"results_metadata":{}`, -1, "", 0},
		{"null metadata", `"members":null,"results_metadata":null,"organizations":null`, -1, "", 0},
		{"total as string", `"members":[],"results_metadata":{"total":"12"}`, 12, "", 0},
		{"null total", `"members":[],"results_metadata":{"total":null}`, -1, "", 0},
		{"odd metadata", `"members":[],"results_metadata":"x","organizations":[]`, -1, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, ok(tt.fields)) })
			out, err := client.SearchMembers(t.Context(), acting(t), stytch.MemberSearchRequest{OrganizationIDs: []string{"organization-test-1"}})
			if err != nil {
				t.Fatal(err)
			}
			if out.Total != tt.total || out.NextCursor != tt.cursor || len(out.Members) != tt.members {
				t.Errorf("total %d, cursor %q, %d members", out.Total, out.NextCursor, len(out.Members))
			}
		})
	}
}

func TestSignInNeedsMore(t *testing.T) {
	t.Parallel()
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ok(`"member_id":"member-test-1","member":`+memberJSON+`,"organization":`+organizationJSON+
			`,"organization_id":"organization-test-1","member_authenticated":false,"session_token":"","session_jwt":"","member_session":null,`+
			`"intermediate_session_token":"ist","primary_required":null,`+
			`"mfa_required":{"member_options":{"mfa_phone_number":"+45","totp_registration_id":""},"secondary_auth_initiated":"sms_otp"}`))
	})
	out, err := client.AuthenticatePassword(t.Context(), stytch.PasswordAuthenticateRequest{OrganizationID: "acme", EmailAddress: "a@b", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	want := &stytch.MFARequired{MemberOptions: &stytch.MemberOptions{MFAPhoneNumber: "+45"}, SecondaryAuthInitiated: "sms_otp"}
	if diff := cmp.Diff(want, out.MFARequired); diff != "" || out.PrimaryRequired != nil || out.Session != nil ||
		out.MemberAuthenticated || out.IntermediateSessionToken.Reveal() != "ist" {
		t.Errorf("got %+v, diff %s", out, diff)
	}
}

func TestSessionAnswer(t *testing.T) {
	t.Parallel()
	const factor = `{"type":"impersonated","delivery_method":"impersonation","last_authenticated_at":"2026-03-01T09:00:00Z","impersonated_factor":{"impersonator_id":"x"}}`
	session := strings.TrimSuffix(sessionJSON, "}") + `,"authentication_factors":[` + factor + `],"custom_claims":null}`
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, ok(`"member_session":`+session+`,"member":`+memberJSON+`,"organization":`+organizationJSON+
			`,"session_jwt":"fresh","verdict":{"authorized":false,"granting_roles":null}`))
	})
	out, err := client.AuthenticateSession(t.Context(), acting(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := stytch.MemberSession{
		MemberSessionID: "session-test-1", MemberID: "member-test-1", OrganizationID: "organization-test-1", Roles: []string{"helpdesk"},
		ExpiresAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		AuthenticationFactors: []stytch.AuthenticationFactor{{
			Type: "impersonated", DeliveryMethod: "impersonation", LastAuthenticatedAt: instant(t, "2026-03-01T09:00:00Z"), Raw: json.RawMessage(factor),
		}},
	}
	if diff := cmp.Diff(want, out.Session); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	if out.Verdict == nil || out.Verdict.Authorized || out.SessionJWT.Reveal() != "fresh" {
		t.Errorf("verdict %+v, jwt %q", out.Verdict, out.SessionJWT.Reveal())
	}
}
