package stytch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orgconsole/internal/stytch"
)

func TestDiscoveryAnswer(t *testing.T) {
	t.Parallel()
	const found = `"email_address":"ada@example.com","intermediate_session_token":"ist","organization_id_hint":null,"discovered_organizations":[` +
		`{"member_authenticated":false,"organization":` + organizationJSON + `,"membership":{"type":"invited_member","details":null,"member":` + memberJSON + `},` +
		`"primary_required":{"allowed_auth_methods":["sso"]},"mfa_required":{"member_options":{"totp_registration_id":"t"},"secondary_auth_initiated":null}},` +
		`{"organization":{"organization_id":"organization-test-2"},"membership":{"type":"eligible_to_join_by_email_domain","details":{"domain":"example.com"},"member":null}},` +
		`{"organization":{"organization_id":"organization-test-3"},"membership":null},` +
		`{"organization":{"organization_id":"organization-test-4"},"membership":{"type":"not_yet_invented"}}]`
	got, err := answering(t, found).AuthenticateDiscoveryMagicLink(t.Context(), landed, "")
	if err != nil {
		t.Fatal(err)
	}
	organization := func(id, slug string) stytch.Organization {
		return stytch.Organization{OrganizationID: id, OrganizationSlug: slug}
	}
	want := []stytch.DiscoveredOrganization{
		{
			Organization: organization("organization-test-1", "acme"),
			Membership: stytch.Membership{Type: stytch.MembershipInvited, Member: &stytch.Member{
				MemberID: "member-test-1", OrganizationID: "organization-test-1", EmailAddress: "ada@example.com",
			}},
			PrimaryRequired: &stytch.PrimaryRequired{AllowedAuthMethods: []string{"sso"}},
			MFARequired:     &stytch.MFARequired{MemberOptions: &stytch.MemberOptions{TOTPRegistrationID: "t"}},
		},
		{Organization: organization("organization-test-2", ""), Membership: stytch.Membership{Type: stytch.MembershipByDomain}},
		{Organization: organization("organization-test-3", "")},
		{Organization: organization("organization-test-4", ""), Membership: stytch.Membership{Type: "not_yet_invented"}},
	}
	raw := cmpopts.IgnoreFields
	if diff := cmp.Diff(want, got.DiscoveredOrganizations, raw(stytch.Member{}, "Raw"), raw(stytch.Organization{}, "Raw")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.EmailAddress != "ada@example.com" || got.IntermediateSessionToken.Reveal() != "ist" {
		t.Errorf("got %+v", got)
	}
}

func TestDiscoveryOfNothing(t *testing.T) {
	t.Parallel()
	for _, fields := range []string{
		`"discovered_organizations":[]`, `"discovered_organizations":null`,
		`"discovered_organizations":null,"email_address":null,"intermediate_session_token":null`,
		`"discovered_organizations":[],"email_address":5,"intermediate_session_token":{}`,
	} {
		got, err := answering(t, fields).DiscoverOrganizations(t.Context(), proven)
		if err != nil || len(got.DiscoveredOrganizations) != 0 || got.EmailAddress != "" || got.IntermediateSessionToken != "" {
			t.Errorf("%s: got %+v, %v", fields, got, err)
		}
	}
}
