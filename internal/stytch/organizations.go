package stytch

import (
	"context"
	"encoding/json"
	"time"
)

// Organization is an organization with its sign-in rules. Every field but the id may be zero, as in [Member].
type Organization struct {
	OrganizationID                       string                        `json:"organization_id"`
	OrganizationName                     string                        `json:"organization_name"`
	OrganizationLogoURL                  string                        `json:"organization_logo_url"`
	OrganizationSlug                     string                        `json:"organization_slug"`
	SSOJITProvisioning                   string                        `json:"sso_jit_provisioning"`
	SSOJITProvisioningAllowedConnections []string                      `json:"sso_jit_provisioning_allowed_connections"`
	SSOActiveConnections                 []SSOActiveConnection         `json:"sso_active_connections"`
	EmailAllowedDomains                  []string                      `json:"email_allowed_domains"`
	EmailJITProvisioning                 string                        `json:"email_jit_provisioning"`
	EmailInvites                         string                        `json:"email_invites"`
	AuthMethods                          string                        `json:"auth_methods"` // ALL_ALLOWED or RESTRICTED to AllowedAuthMethods
	AllowedAuthMethods                   []string                      `json:"allowed_auth_methods"`
	MFAPolicy                            string                        `json:"mfa_policy"` // OPTIONAL or REQUIRED_FOR_ALL
	RBACEmailImplicitRoleAssignments     []EmailImplicitRoleAssignment `json:"rbac_email_implicit_role_assignments"`
	MFAMethods                           string                        `json:"mfa_methods"` // ALL_ALLOWED or RESTRICTED to AllowedMFAMethods
	AllowedMFAMethods                    []string                      `json:"allowed_mfa_methods"`
	OAuthTenantJITProvisioning           string                        `json:"oauth_tenant_jit_provisioning"`
	ClaimedEmailDomains                  []string                      `json:"claimed_email_domains"`
	FirstPartyConnectedAppsAllowedType   string                        `json:"first_party_connected_apps_allowed_type"`
	AllowedFirstPartyConnectedApps       []string                      `json:"allowed_first_party_connected_apps"`
	ThirdPartyConnectedAppsAllowedType   string                        `json:"third_party_connected_apps_allowed_type"`
	AllowedThirdPartyConnectedApps       []string                      `json:"allowed_third_party_connected_apps"`
	CustomRoles                          []Role                        `json:"custom_roles"`
	TrustedMetadata                      map[string]any                `json:"trusted_metadata"`
	CreatedAt                            *time.Time                    `json:"created_at"`
	UpdatedAt                            *time.Time                    `json:"updated_at"`
	OrganizationExternalID               string                        `json:"organization_external_id"`
	SSODefaultConnectionID               string                        `json:"sso_default_connection_id"`
	SCIMActiveConnection                 *SCIMActiveConnection         `json:"scim_active_connection"`
	AllowedOAuthTenants                  map[string]any                `json:"allowed_oauth_tenants"` // provider to list of tenants

	// Raw is the object exactly as it was received, with fields this package does not know.
	Raw json.RawMessage `json:"-"`
}

// SSOActiveConnection is an SSO connection in use.
type SSOActiveConnection struct {
	ConnectionID     string `json:"connection_id"`
	DisplayName      string `json:"display_name"`
	IdentityProvider string `json:"identity_provider"`
}

// EmailImplicitRoleAssignment gives a role to every member with an address in a domain.
type EmailImplicitRoleAssignment struct {
	Domain string `json:"domain"`
	RoleID string `json:"role_id"`
}

// SCIMActiveConnection is the organization's SCIM connection.
type SCIMActiveConnection struct {
	ConnectionID         string     `json:"connection_id"`
	DisplayName          string     `json:"display_name"`
	BearerTokenLastFour  string     `json:"bearer_token_last_four"`
	BearerTokenExpiresAt *time.Time `json:"bearer_token_expires_at"`
}

// UnmarshalJSON keeps data as Raw and reads what it can; it never refuses an organization for the type of one field.
func (o *Organization) UnmarshalJSON(data []byte) error {
	type plain Organization
	*o = Organization{}
	if isNull(data) {
		return nil
	}
	wire := struct {
		*plain
		CreatedAt lenientTime `json:"created_at"`
		UpdatedAt lenientTime `json:"updated_at"`
	}{plain: (*plain)(o)}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	o.CreatedAt, o.UpdatedAt = wire.CreatedAt.ptr(), wire.UpdatedAt.ptr()
	o.Raw = append(json.RawMessage(nil), data...)
	return nil
}

// UnmarshalJSON reads what it can.
func (s *SCIMActiveConnection) UnmarshalJSON(data []byte) error {
	type plain SCIMActiveConnection
	*s = SCIMActiveConnection{}
	wire := struct {
		*plain
		BearerTokenExpiresAt lenientTime `json:"bearer_token_expires_at"`
	}{plain: (*plain)(s)}
	err := decodeLenient(data, &wire)
	s.BearerTokenExpiresAt = wire.BearerTokenExpiresAt.ptr()
	return err
}

// OrganizationResponse is what GetOrganization returns.
type OrganizationResponse struct {
	Response

	Organization Organization `json:"organization"`
}

func (r *OrganizationResponse) problem() string {
	if r.Organization.OrganizationID == "" {
		return problemNoOrganization
	}
	return ""
}

// GetOrganization reads one organization: GET /v1/b2b/organizations/{organization_id}.
//
// The argument is an organization id, slug or external id; the answer holds the real id. The endpoint accepts no acting
// session.
func (c *Client) GetOrganization(ctx context.Context, organizationID string) (*OrganizationResponse, error) {
	var out OrganizationResponse
	err := c.do(ctx, request{
		endpoint: "GET /v1/b2b/organizations/{organization_id}",
		path:     []string{organizationID},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
