package sandbox

import "time"

// The objects of the wire, as Stytch's B2B API documentation describes them. Fields that are always present have no
// omitempty: a false, an empty string and an empty array are said. Fields that may be null are pointers.

type memberJSON struct {
	OrganizationID         string              `json:"organization_id"`
	MemberID               string              `json:"member_id"`
	EmailAddress           string              `json:"email_address"`
	Status                 string              `json:"status"`
	Name                   string              `json:"name"`
	SSORegistrations       []ssoRegistration   `json:"sso_registrations"`
	IsBreakglass           bool                `json:"is_breakglass"`
	MemberPasswordID       string              `json:"member_password_id"`
	OAuthRegistrations     []oauthRegistration `json:"oauth_registrations"`
	EmailAddressVerified   bool                `json:"email_address_verified"`
	MFAPhoneNumberVerified bool                `json:"mfa_phone_number_verified"`
	IsAdmin                bool                `json:"is_admin"`
	TOTPRegistrationID     string              `json:"totp_registration_id"`
	RetiredEmailAddresses  []retiredEmail      `json:"retired_email_addresses"`
	IsLocked               bool                `json:"is_locked"`
	MFAEnrolled            bool                `json:"mfa_enrolled"`
	MFAPhoneNumber         string              `json:"mfa_phone_number"`
	DefaultMFAMethod       string              `json:"default_mfa_method"`
	Roles                  []memberRole        `json:"roles"`
	TrustedMetadata        map[string]any      `json:"trusted_metadata"`
	UntrustedMetadata      map[string]any      `json:"untrusted_metadata"`
	CreatedAt              time.Time           `json:"created_at"`
	UpdatedAt              time.Time           `json:"updated_at"`
	SCIMRegistration       *scimRegistration   `json:"scim_registration"`
	ExternalID             *string             `json:"external_id"`
	LockCreatedAt          *time.Time          `json:"lock_created_at"`
	LockExpiresAt          *time.Time          `json:"lock_expires_at"`
}

type ssoRegistration struct {
	ConnectionID   string         `json:"connection_id"`
	ExternalID     string         `json:"external_id"`
	RegistrationID string         `json:"registration_id"`
	SSOAttributes  map[string]any `json:"sso_attributes"`
}

type oauthRegistration struct {
	ProviderType              string  `json:"provider_type"`
	ProviderSubject           string  `json:"provider_subject"`
	MemberOAuthRegistrationID string  `json:"member_oauth_registration_id"`
	ProfilePictureURL         *string `json:"profile_picture_url"`
	Locale                    *string `json:"locale"`
}

type retiredEmail struct {
	EmailID      string `json:"email_id"`
	EmailAddress string `json:"email_address"`
}

type memberRole struct {
	RoleID  string       `json:"role_id"`
	Sources []roleSource `json:"sources"`
}

type roleSource struct {
	Type    string            `json:"type"`
	Details map[string]string `json:"details"`
}

type scimRegistration struct {
	ConnectionID   string          `json:"connection_id"`
	RegistrationID string          `json:"registration_id"`
	ExternalID     string          `json:"external_id"`
	SCIMAttributes *scimAttributes `json:"scim_attributes"`
}

type scimAttributes struct {
	UserName            string               `json:"user_name"`
	ID                  string               `json:"id"`
	ExternalID          string               `json:"external_id"`
	Active              bool                 `json:"active"`
	Groups              []scimGroup          `json:"groups"`
	DisplayName         string               `json:"display_name"`
	NickName            string               `json:"nick_name"`
	ProfileURL          string               `json:"profile_url"`
	UserType            string               `json:"user_type"`
	Title               string               `json:"title"`
	PreferredLanguage   string               `json:"preferred_language"`
	Locale              string               `json:"locale"`
	Timezone            string               `json:"timezone"`
	Emails              []scimValue          `json:"emails"`
	PhoneNumbers        []scimValue          `json:"phone_numbers"`
	Addresses           []scimAddress        `json:"addresses"`
	IMs                 []scimValue          `json:"ims"`
	Photos              []scimValue          `json:"photos"`
	Entitlements        []scimValue          `json:"entitlements"`
	Roles               []scimValue          `json:"roles"`
	X509Certificates    []scimValue          `json:"x509certificates"`
	Name                *scimName            `json:"name"`
	EnterpriseExtension *enterpriseExtension `json:"enterprise_extension"`
}

type scimGroup struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

type scimValue struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

type scimAddress struct {
	Formatted     string `json:"formatted"`
	StreetAddress string `json:"street_address"`
	Locality      string `json:"locality"`
	Region        string `json:"region"`
	PostalCode    string `json:"postal_code"`
	Country       string `json:"country"`
	Type          string `json:"type"`
	Primary       bool   `json:"primary"`
}

type scimName struct {
	Formatted       string `json:"formatted"`
	FamilyName      string `json:"family_name"`
	GivenName       string `json:"given_name"`
	MiddleName      string `json:"middle_name"`
	HonorificPrefix string `json:"honorific_prefix"`
	HonorificSuffix string `json:"honorific_suffix"`
}

type enterpriseExtension struct {
	EmployeeNumber string      `json:"employee_number"`
	CostCenter     string      `json:"cost_center"`
	Division       string      `json:"division"`
	Department     string      `json:"department"`
	Organization   string      `json:"organization"`
	Manager        scimManager `json:"manager"`
}

type scimManager struct {
	Value       string `json:"value"`
	Ref         string `json:"ref"`
	DisplayName string `json:"display_name"`
}

type organizationJSON struct {
	OrganizationID                     string                `json:"organization_id"`
	OrganizationName                   string                `json:"organization_name"`
	OrganizationLogoURL                string                `json:"organization_logo_url"`
	OrganizationSlug                   string                `json:"organization_slug"`
	SSOJITProvisioning                 string                `json:"sso_jit_provisioning"`
	SSOJITAllowedConnections           []string              `json:"sso_jit_provisioning_allowed_connections"`
	SSOActiveConnections               []ssoConnection       `json:"sso_active_connections"`
	EmailAllowedDomains                []string              `json:"email_allowed_domains"`
	EmailJITProvisioning               string                `json:"email_jit_provisioning"`
	EmailInvites                       string                `json:"email_invites"`
	AuthMethods                        string                `json:"auth_methods"`
	AllowedAuthMethods                 []string              `json:"allowed_auth_methods"`
	MFAPolicy                          string                `json:"mfa_policy"`
	RBACEmailImplicitRoleAssignments   []emailImplicitRole   `json:"rbac_email_implicit_role_assignments"`
	MFAMethods                         string                `json:"mfa_methods"`
	AllowedMFAMethods                  []string              `json:"allowed_mfa_methods"`
	OAuthTenantJITProvisioning         string                `json:"oauth_tenant_jit_provisioning"`
	ClaimedEmailDomains                []string              `json:"claimed_email_domains"`
	FirstPartyConnectedAppsAllowedType string                `json:"first_party_connected_apps_allowed_type"`
	AllowedFirstPartyConnectedApps     []string              `json:"allowed_first_party_connected_apps"`
	ThirdPartyConnectedAppsAllowedType string                `json:"third_party_connected_apps_allowed_type"`
	AllowedThirdPartyConnectedApps     []string              `json:"allowed_third_party_connected_apps"`
	CustomRoles                        []rbacRole            `json:"custom_roles"`
	TrustedMetadata                    map[string]any        `json:"trusted_metadata"`
	CreatedAt                          time.Time             `json:"created_at"`
	UpdatedAt                          time.Time             `json:"updated_at"`
	OrganizationExternalID             *string               `json:"organization_external_id"`
	SSODefaultConnectionID             *string               `json:"sso_default_connection_id"`
	SCIMActiveConnection               *scimActiveConnection `json:"scim_active_connection"`
	AllowedOAuthTenants                map[string][]string   `json:"allowed_oauth_tenants"`
}

type ssoConnection struct {
	ConnectionID     string `json:"connection_id"`
	DisplayName      string `json:"display_name"`
	IdentityProvider string `json:"identity_provider"`
}

type emailImplicitRole struct {
	Domain string `json:"domain"`
	RoleID string `json:"role_id"`
}

type scimActiveConnection struct {
	ConnectionID         string    `json:"connection_id"`
	DisplayName          string    `json:"display_name"`
	BearerTokenLastFour  string    `json:"bearer_token_last_four"`
	BearerTokenExpiresAt time.Time `json:"bearer_token_expires_at"`
}

type rbacRole struct {
	RoleID      string           `json:"role_id"`
	Description string           `json:"description"`
	Permissions []rbacPermission `json:"permissions"`
}

type rbacPermission struct {
	ResourceID string   `json:"resource_id"`
	Actions    []string `json:"actions"`
}

type rbacResource struct {
	ResourceID  string   `json:"resource_id"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
}

type rbacScope struct {
	Scope       string           `json:"scope"`
	Description string           `json:"description"`
	Permissions []rbacPermission `json:"permissions"`
}

type rbacPolicy struct {
	Roles     []rbacRole     `json:"roles"`
	Resources []rbacResource `json:"resources"`
	Scopes    []rbacScope    `json:"scopes"`
}

type sessionJSON struct {
	MemberSessionID       string         `json:"member_session_id"`
	MemberID              string         `json:"member_id"`
	StartedAt             time.Time      `json:"started_at"`
	LastAccessedAt        time.Time      `json:"last_accessed_at"`
	ExpiresAt             time.Time      `json:"expires_at"`
	AuthenticationFactors []authFactor   `json:"authentication_factors"`
	OrganizationID        string         `json:"organization_id"`
	Roles                 []string       `json:"roles"`
	OrganizationSlug      string         `json:"organization_slug"`
	CustomClaims          map[string]any `json:"custom_claims"`
}

type authFactor struct {
	Type                string          `json:"type"`
	DeliveryMethod      string          `json:"delivery_method"`
	LastAuthenticatedAt time.Time       `json:"last_authenticated_at"`
	CreatedAt           time.Time       `json:"created_at"`
	UpdatedAt           time.Time       `json:"updated_at"`
	EmailFactor         *emailFactor    `json:"email_factor,omitempty"`
	PhoneFactor         *phoneFactor    `json:"phone_number_factor,omitempty"`
	TOTPFactor          *totpFactor     `json:"authenticator_app_factor,omitempty"`
	RecoveryFactor      *recoveryFactor `json:"recovery_code_factor,omitempty"`
	SAMLSSOFactor       *ssoFactor      `json:"saml_sso_factor,omitempty"`
	OIDCSSOFactor       *ssoFactor      `json:"oidc_sso_factor,omitempty"`
	GoogleOAuth         *oauthFactor    `json:"google_oauth_factor,omitempty"`
	MicrosoftOAuth      *oauthFactor    `json:"microsoft_oauth_factor,omitempty"`
	HubspotOAuth        *oauthFactor    `json:"hubspot_oauth_factor,omitempty"`
	SlackOAuth          *oauthFactor    `json:"slack_oauth_factor,omitempty"`
	GithubOAuth         *oauthFactor    `json:"github_oauth_factor,omitempty"`
	Impersonated        *impersonatedBy `json:"impersonated_factor,omitempty"`
}

type ssoFactor struct {
	ID         string `json:"id"`
	ProviderID string `json:"provider_id"`
	ExternalID string `json:"external_id"`
}

type emailFactor struct {
	EmailID      string `json:"email_id"`
	EmailAddress string `json:"email_address"`
}

type totpFactor struct {
	TOTPID string `json:"totp_id"`
}

type phoneFactor struct {
	PhoneID     string `json:"phone_id"`
	PhoneNumber string `json:"phone_number"`
}

type recoveryFactor struct {
	RecoveryCodeID string `json:"totp_recovery_code_id"`
}

type oauthFactor struct {
	ID              string `json:"id"`
	ProviderSubject string `json:"provider_subject"`
	EmailID         string `json:"email_id"`
}

type impersonatedBy struct {
	ImpersonatorID           string `json:"impersonator_id"`
	ImpersonatorEmailAddress string `json:"impersonator_email_address"`
}

// reply is in every answer.
type reply struct {
	RequestID  string `json:"request_id"`
	StatusCode int    `json:"status_code"`
}

func (r *reply) stamp(requestID string, status int) { r.RequestID, r.StatusCode = requestID, status }

// answer is what an endpoint gives back: a struct that embeds reply.
type answer interface {
	stamp(requestID string, status int)
}

type memberReply struct {
	reply
	MemberID     string           `json:"member_id"`
	Member       memberJSON       `json:"member"`
	Organization organizationJSON `json:"organization"`
}

// about reaches the answer within those that say more.
func (r *memberReply) about() *memberReply { return r }

type organizationReply struct {
	reply
	Organization organizationJSON `json:"organization"`
}

type searchReply struct {
	reply
	Members         []memberJSON                `json:"members"`
	ResultsMetadata resultsMetadata             `json:"results_metadata"`
	Organizations   map[string]organizationJSON `json:"organizations"`
}

type resultsMetadata struct {
	Total      int     `json:"total"`
	NextCursor *string `json:"next_cursor"`
}

type authenticateReply struct {
	reply
	MemberID                 string           `json:"member_id"`
	OrganizationID           string           `json:"organization_id,omitempty"` // some calls do not say it
	Member                   memberJSON       `json:"member"`
	Organization             organizationJSON `json:"organization"`
	MemberAuthenticated      bool             `json:"member_authenticated"`
	SessionToken             string           `json:"session_token"`
	SessionJWT               string           `json:"session_jwt"`
	MemberSession            *sessionJSON     `json:"member_session"`
	IntermediateSessionToken string           `json:"intermediate_session_token"`
	ISTExpiresAt             *time.Time       `json:"intermediate_session_token_expires_at"`
	MFARequired              *mfaRequired     `json:"mfa_required"`
	PrimaryRequired          *primaryRequired `json:"primary_required"`
	MemberDevice             *struct{}        `json:"member_device"`
}

// auth reaches the answer within those that say more.
func (r *authenticateReply) auth() *authenticateReply { return r }

type mfaRequired struct {
	MemberOptions          *mfaOptions `json:"member_options"`
	SecondaryAuthInitiated *string     `json:"secondary_auth_initiated"`
}

type mfaOptions struct {
	MFAPhoneNumber     string `json:"mfa_phone_number"`
	TOTPRegistrationID string `json:"totp_registration_id"`
}

type primaryRequired struct {
	AllowedAuthMethods []string `json:"allowed_auth_methods"`
}

// discoveryReply answers a sign-in that is not of an organization yet.
type discoveryReply struct {
	reply
	IntermediateSessionToken string                   `json:"intermediate_session_token"`
	EmailAddress             string                   `json:"email_address"`
	DiscoveredOrganizations  []discoveredOrganization `json:"discovered_organizations"`
}

func (r *discoveryReply) organizations() []discoveredOrganization { return r.DiscoveredOrganizations }

type discoveredOrganization struct {
	MemberAuthenticated bool             `json:"member_authenticated"`
	Organization        organizationJSON `json:"organization"`
	Membership          membership       `json:"membership"`
	PrimaryRequired     *primaryRequired `json:"primary_required"`
	MFARequired         *mfaRequired     `json:"mfa_required"`
}

type membership struct {
	Type    string      `json:"type"`
	Details *struct{}   `json:"details"` // only of who could join, and nobody can
	Member  *memberJSON `json:"member"`
}

type sessionReply struct {
	reply
	MemberSession sessionJSON      `json:"member_session"`
	SessionToken  string           `json:"session_token"`
	SessionJWT    string           `json:"session_jwt"`
	Member        memberJSON       `json:"member"`
	Organization  organizationJSON `json:"organization"`
	Verdict       *verdict         `json:"verdict"`
}

type verdict struct {
	Authorized    bool     `json:"authorized"`
	GrantingRoles []string `json:"granting_roles"`
}

type sessionsReply struct {
	reply
	MemberSessions []sessionJSON `json:"member_sessions"`
}
