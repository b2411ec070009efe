package stytch

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// Values of Member.Status.
const (
	StatusPending = "pending"
	StatusInvited = "invited"
	StatusActive  = "active"
	StatusDeleted = "deleted"
)

// Member is a member of an organization. Every field but the two ids may be zero: the API may leave it out, send null,
// or send something of another type, which then is in Raw only. Numbers in free-form maps are json.Number.
type Member struct {
	OrganizationID         string                `json:"organization_id"`
	MemberID               string                `json:"member_id"`
	EmailAddress           string                `json:"email_address"`
	Status                 string                `json:"status"`
	Name                   string                `json:"name"`
	SSORegistrations       []SSORegistration     `json:"sso_registrations"`
	IsBreakglass           bool                  `json:"is_breakglass"`
	MemberPasswordID       string                `json:"member_password_id"` // empty when no password is set
	OAuthRegistrations     []OAuthRegistration   `json:"oauth_registrations"`
	EmailAddressVerified   bool                  `json:"email_address_verified"`
	MFAPhoneNumberVerified bool                  `json:"mfa_phone_number_verified"`
	IsAdmin                bool                  `json:"is_admin"` // has the role stytch_admin; a custom role may be as powerful
	TOTPRegistrationID     string                `json:"totp_registration_id"`
	RetiredEmailAddresses  []RetiredEmailAddress `json:"retired_email_addresses"`
	IsLocked               bool                  `json:"is_locked"` // compare LockExpiresAt with the clock before relying on it
	MFAEnrolled            bool                  `json:"mfa_enrolled"`
	MFAPhoneNumber         string                `json:"mfa_phone_number"`
	DefaultMFAMethod       string                `json:"default_mfa_method"`
	Roles                  []MemberRole          `json:"roles"` // what the member may hold; what counts is MemberSession.Roles
	TrustedMetadata        map[string]any        `json:"trusted_metadata"`
	UntrustedMetadata      map[string]any        `json:"untrusted_metadata"`
	CreatedAt              *time.Time            `json:"created_at"`
	UpdatedAt              *time.Time            `json:"updated_at"`
	SCIMRegistration       *SCIMRegistration     `json:"scim_registration"`
	ExternalID             string                `json:"external_id"`
	LockCreatedAt          *time.Time            `json:"lock_created_at"`
	LockExpiresAt          *time.Time            `json:"lock_expires_at"`

	// Raw is the object exactly as it was received, with fields this package does not know.
	Raw json.RawMessage `json:"-"`
}

// SSORegistration links a member to an identity at an SSO connection.
type SSORegistration struct {
	ConnectionID   string         `json:"connection_id"`
	ExternalID     string         `json:"external_id"`
	RegistrationID string         `json:"registration_id"`
	SSOAttributes  map[string]any `json:"sso_attributes"`
}

// OAuthRegistration links a member to an identity at an OAuth provider.
type OAuthRegistration struct {
	ProviderType              string `json:"provider_type"`
	ProviderSubject           string `json:"provider_subject"`
	MemberOAuthRegistrationID string `json:"member_oauth_registration_id"`
	ProfilePictureURL         string `json:"profile_picture_url"`
	Locale                    string `json:"locale"`
}

// RetiredEmailAddress is a former address, still reserved inside the organization. The API's examples also show bare
// strings; those have no EmailID.
type RetiredEmailAddress struct {
	EmailID      string `json:"email_id"`
	EmailAddress string `json:"email_address"`
}

// MemberRole is a role with the reasons why the member has it.
type MemberRole struct {
	RoleID  string       `json:"role_id"`
	Sources []RoleSource `json:"sources"`
}

// RoleSource says where a role comes from: direct_assignment, email_assignment, sso_connection, sso_connection_group or
// scim_connection_group.
type RoleSource struct {
	Type    string         `json:"type"`
	Details map[string]any `json:"details"`
}

// SCIMRegistration links a member to its record in a directory.
type SCIMRegistration struct {
	ConnectionID   string          `json:"connection_id"`
	RegistrationID string          `json:"registration_id"`
	ExternalID     string          `json:"external_id"`
	SCIMAttributes *SCIMAttributes `json:"scim_attributes"`
}

// SCIMAttributes is a SCIM user, RFC 7643, as the directory sent it.
type SCIMAttributes struct {
	UserName            string                   `json:"user_name"`
	ID                  string                   `json:"id"`
	ExternalID          string                   `json:"external_id"`
	Active              bool                     `json:"active"`
	Groups              []SCIMGroup              `json:"groups"`
	DisplayName         string                   `json:"display_name"`
	NickName            string                   `json:"nick_name"`
	ProfileURL          string                   `json:"profile_url"`
	UserType            string                   `json:"user_type"`
	Title               string                   `json:"title"`
	PreferredLanguage   string                   `json:"preferred_language"`
	Locale              string                   `json:"locale"`
	Timezone            string                   `json:"timezone"`
	Emails              []SCIMValue              `json:"emails"`
	PhoneNumbers        []SCIMValue              `json:"phone_numbers"`
	Addresses           []SCIMAddress            `json:"addresses"`
	IMs                 []SCIMValue              `json:"ims"`
	Photos              []SCIMValue              `json:"photos"`
	Entitlements        []SCIMValue              `json:"entitlements"`
	Roles               []SCIMValue              `json:"roles"`
	X509Certificates    []SCIMValue              `json:"x509certificates"`
	Name                *SCIMName                `json:"name"`
	EnterpriseExtension *SCIMEnterpriseExtension `json:"enterprise_extension"`
}

// SCIMGroup is a group of the directory.
type SCIMGroup struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

// SCIMValue is one value of a multi-valued SCIM attribute.
type SCIMValue struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

// SCIMAddress is a postal address.
type SCIMAddress struct {
	Formatted     string `json:"formatted"`
	StreetAddress string `json:"street_address"`
	Locality      string `json:"locality"`
	Region        string `json:"region"`
	PostalCode    string `json:"postal_code"`
	Country       string `json:"country"`
	Type          string `json:"type"`
	Primary       bool   `json:"primary"`
}

// SCIMName is a person's name in parts.
type SCIMName struct {
	Formatted       string `json:"formatted"`
	FamilyName      string `json:"family_name"`
	GivenName       string `json:"given_name"`
	MiddleName      string `json:"middle_name"`
	HonorificPrefix string `json:"honorific_prefix"`
	HonorificSuffix string `json:"honorific_suffix"`
}

// SCIMEnterpriseExtension is the SCIM enterprise user extension.
type SCIMEnterpriseExtension struct {
	EmployeeNumber string       `json:"employee_number"`
	CostCenter     string       `json:"cost_center"`
	Division       string       `json:"division"`
	Department     string       `json:"department"`
	Organization   string       `json:"organization"`
	Manager        *SCIMManager `json:"manager"`
}

// SCIMManager is a person's manager.
type SCIMManager struct {
	Value       string `json:"value"`
	Ref         string `json:"ref"`
	DisplayName string `json:"display_name"`
}

// UnmarshalJSON keeps data as Raw and reads what it can; it never refuses a member for the type of one field.
func (m *Member) UnmarshalJSON(data []byte) error {
	type plain Member
	*m = Member{}
	if isNull(data) {
		return nil
	}
	wire := struct {
		*plain
		CreatedAt     lenientTime `json:"created_at"`
		UpdatedAt     lenientTime `json:"updated_at"`
		LockCreatedAt lenientTime `json:"lock_created_at"`
		LockExpiresAt lenientTime `json:"lock_expires_at"`
	}{plain: (*plain)(m)}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	m.CreatedAt, m.UpdatedAt = wire.CreatedAt.ptr(), wire.UpdatedAt.ptr()
	m.LockCreatedAt, m.LockExpiresAt = wire.LockCreatedAt.ptr(), wire.LockExpiresAt.ptr()
	m.Raw = append(json.RawMessage(nil), data...)
	return nil
}

// UnmarshalJSON accepts an object or a bare address.
func (r *RetiredEmailAddress) UnmarshalJSON(data []byte) error {
	type plain RetiredEmailAddress
	*r = RetiredEmailAddress{}
	if len(data) > 0 && data[0] == '"' {
		return decodeLenient(data, &r.EmailAddress)
	}
	return decodeLenient(data, (*plain)(r))
}

// MemberResponse is what the member endpoints return.
type MemberResponse struct {
	Response

	MemberID     string       `json:"member_id"`
	Member       Member       `json:"member"`
	Organization Organization `json:"organization"`
}

func (r *MemberResponse) problem() string {
	switch {
	case r.MemberID == "":
		return problemNoMemberID
	case r.Member.MemberID == "" || r.Member.OrganizationID == "":
		return problemNoMember
	case r.Member.MemberID != r.MemberID,
		r.Organization.OrganizationID != "" && r.Organization.OrganizationID != r.Member.OrganizationID:
		return problemContradiction
	}
	return ""
}

// GetMember reads one member: GET /v1/b2b/organizations/{organization_id}/member (singular, the id is in the query).
//
// The endpoint accepts no acting session, so the caller must have authorized the read. Both arguments may also be
// external ids and the organization its slug, so the answer may name other ids than were asked for: compare before
// showing it. Deleted members are not found; SearchMembers finds them when asked for all statuses.
func (c *Client) GetMember(ctx context.Context, organizationID, memberID string) (*MemberResponse, error) {
	const endpoint = "GET /v1/b2b/organizations/{organization_id}/member"
	if err := checkID("member_id", memberID); err != nil {
		return nil, badArgument(endpoint, err)
	}
	var out MemberResponse
	err := c.do(ctx, request{
		endpoint: endpoint,
		path:     []string{organizationID},
		query:    url.Values{"member_id": {memberID}},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// DeleteMemberPassword deletes a member's password and returns the member as it is without it:
// DELETE /v1/b2b/organizations/{organization_id}/members/passwords/{member_password_id}.
//
// The acting session needs update.info.delete.password on stytch.member, or on stytch.self for one's own password. The
// member is not part of the request: the API finds it by the password id, so compare the answer's MemberID with the
// member that was meant. It works for organization-scoped passwords only; a project with cross-organization passwords
// needs RequirePasswordReset. A second call for the same id fails as not found. Nothing documents that sessions end or
// that a mail is sent.
func (c *Client) DeleteMemberPassword(ctx context.Context, acting ActingSession, organizationID, memberPasswordID string) (*MemberResponse, error) {
	var out MemberResponse
	err := c.doAs(ctx, acting, request{
		endpoint: "DELETE /v1/b2b/organizations/{organization_id}/members/passwords/{member_password_id}",
		path:     []string{organizationID, memberPasswordID},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
