package sandbox

import "time"

// Slugs of the organizations.
const (
	slugAcme      = "acme"      // large, with everything filled in
	slugGlobex    = "globex"    // small, its defaults untouched: every method allowed
	slugInitech   = "initech"   // allows single sign-on and links by mail, not passwords
	slugNorthwind = "northwind" // demands a second factor of everybody
	slugKeystone  = "keystone"  // allows nothing but passwords
)

const (
	domainAcme      = "acme.example"
	domainAcmeAudit = "audit.acme.example" // whose members are auditors by the organization's setting
	domainGlobex    = "globex.example"
	domainInitech   = "initech.test"
	domainNorthwind = "northwind.test"
	domainKeystone  = "keystone.test"
)

// organizationNamed has the defaults of a new organization.
func organizationNamed(ids idMaker, slug, name, domain string) *organizationJSON {
	return &organizationJSON{
		OrganizationID: "organization-test-" + ids.uuid("organization", slug), OrganizationName: name, OrganizationSlug: slug,
		SSOJITProvisioning: "ALL_ALLOWED", SSOJITAllowedConnections: []string{}, SSOActiveConnections: []ssoConnection{},
		EmailAllowedDomains: []string{domain}, EmailJITProvisioning: "NOT_ALLOWED", EmailInvites: "ALL_ALLOWED",
		AuthMethods: "ALL_ALLOWED", AllowedAuthMethods: []string{}, MFAPolicy: "OPTIONAL",
		RBACEmailImplicitRoleAssignments: []emailImplicitRole{}, MFAMethods: "ALL_ALLOWED", AllowedMFAMethods: []string{},
		OAuthTenantJITProvisioning: "NOT_ALLOWED", ClaimedEmailDomains: []string{},
		FirstPartyConnectedAppsAllowedType: "ALL_ALLOWED", AllowedFirstPartyConnectedApps: []string{},
		ThirdPartyConnectedAppsAllowedType: "ALL_ALLOWED", AllowedThirdPartyConnectedApps: []string{},
		CustomRoles: []rbacRole{}, TrustedMetadata: map[string]any{}, AllowedOAuthTenants: map[string][]string{},
		CreatedAt: seedStart.Add(-48 * time.Hour), UpdatedAt: seedStart.Add(-47 * time.Hour),
	}
}

func samlConnection(ids idMaker) string { return "saml-connection-test-" + ids.uuid("saml", slugAcme) }

func initechConnection(ids idMaker) string {
	return "saml-connection-test-" + ids.uuid("saml", slugInitech)
}

func oidcConnection(ids idMaker) string { return "oidc-connection-test-" + ids.uuid("oidc", slugAcme) }

func scimConnection(ids idMaker) string { return "scim-connection-test-" + ids.uuid("scim", slugAcme) }

func acme(ids idMaker) *organizationJSON {
	o := organizationNamed(ids, slugAcme, "Acme Corporation", domainAcme)
	saml, oidc := samlConnection(ids), oidcConnection(ids)
	external := "crm|acme-0042"
	o.OrganizationLogoURL = "https://static.acme.example/logo.svg"
	o.SSOJITProvisioning, o.SSOJITAllowedConnections = "RESTRICTED", []string{saml}
	o.SSOActiveConnections = []ssoConnection{
		{ConnectionID: saml, DisplayName: "Acme Okta", IdentityProvider: "okta"},
		{ConnectionID: oidc, DisplayName: "Acme Entra", IdentityProvider: "microsoft-entra"},
	}
	o.SSODefaultConnectionID = &saml
	o.EmailAllowedDomains = []string{domainAcme, domainAcmeAudit}
	o.EmailInvites = "RESTRICTED"
	o.AuthMethods = "RESTRICTED"
	o.AllowedAuthMethods = []string{"sso", "password", "magic_link", "email_otp", "google_oauth", "microsoft_oauth", "github_oauth"}
	o.RBACEmailImplicitRoleAssignments = []emailImplicitRole{{Domain: domainAcmeAudit, RoleID: roleAuditor}}
	o.MFAMethods, o.AllowedMFAMethods = "RESTRICTED", []string{"sms_otp", "totp"}
	o.OAuthTenantJITProvisioning = "RESTRICTED"
	o.AllowedOAuthTenants = map[string][]string{"slack": {"T0ACME001"}, "github": {"acme-engineering"}, "hubspot": {"4711001"}}
	o.ClaimedEmailDomains = []string{domainAcme}
	first, third := "connected-app-test-"+ids.uuid("app", "first"), "connected-app-test-"+ids.uuid("app", "third")
	o.FirstPartyConnectedAppsAllowedType, o.AllowedFirstPartyConnectedApps = "RESTRICTED", []string{first}
	o.ThirdPartyConnectedAppsAllowedType, o.AllowedThirdPartyConnectedApps = "RESTRICTED", []string{third}
	o.CustomRoles = []rbacRole{{
		RoleID: roleShiftLead, Description: "Leads a shift: may look members up and sign them out.",
		Permissions: []rbacPermission{{ResourceID: resourceMember, Actions: []string{actionSearch, actionRevokeSessions}}},
	}}
	o.TrustedMetadata = map[string]any{"plan": "enterprise", "seats": 500, "support": map[string]any{"tier": "gold", "region": "eu"}}
	o.OrganizationExternalID = &external
	o.SCIMActiveConnection = &scimActiveConnection{
		ConnectionID: scimConnection(ids), DisplayName: "Acme Okta SCIM", BearerTokenLastFour: "x7Qk",
		BearerTokenExpiresAt: seedStart.AddDate(8, 0, 0),
	}
	return o
}

func globex(ids idMaker) *organizationJSON {
	return organizationNamed(ids, slugGlobex, "Globex", domainGlobex)
}

func initech(ids idMaker) *organizationJSON {
	o := organizationNamed(ids, slugInitech, "Initech", domainInitech)
	o.AuthMethods, o.AllowedAuthMethods = "RESTRICTED", []string{"sso", "magic_link"}
	okta := initechConnection(ids)
	o.SSOActiveConnections = []ssoConnection{{ConnectionID: okta, DisplayName: "Initech Okta", IdentityProvider: "okta"}}
	o.SSODefaultConnectionID = &okta
	return o
}

func northwind(ids idMaker) *organizationJSON {
	o := organizationNamed(ids, slugNorthwind, "Northwind", domainNorthwind)
	o.MFAPolicy = "REQUIRED_FOR_ALL"
	return o
}

func keystone(ids idMaker) *organizationJSON {
	o := organizationNamed(ids, slugKeystone, "Keystone", domainKeystone)
	o.AuthMethods, o.AllowedAuthMethods = "RESTRICTED", []string{"password"}
	return o
}
