package stytch

import "context"

// Policy is a project's RBAC policy.
type Policy struct {
	Roles     []Role     `json:"roles"`
	Resources []Resource `json:"resources"`
	Scopes    []Scope    `json:"scopes"`
}

// OrgPolicy holds an organization's own roles, which add to the project's.
type OrgPolicy struct {
	Roles []Role `json:"roles"`
}

// Role is a role of a policy.
type Role struct {
	RoleID      string       `json:"role_id"`
	Description string       `json:"description"`
	Permissions []Permission `json:"permissions"`
}

// Permission allows actions on one resource; the single action "*" allows all of them.
type Permission struct {
	ResourceID string   `json:"resource_id"`
	Actions    []string `json:"actions"`
}

// Resource is an entry of a policy's catalogue.
type Resource struct {
	ResourceID  string   `json:"resource_id"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
}

// Scope is what a connected app may ask for.
type Scope struct {
	Scope       string       `json:"scope"`
	Description string       `json:"description"`
	Permissions []Permission `json:"permissions"`
}

// UnmarshalJSON accepts an object or the bare name of a scope.
func (s *Scope) UnmarshalJSON(data []byte) error {
	type plain Scope
	*s = Scope{}
	if len(data) > 0 && data[0] == '"' {
		return decodeLenient(data, &s.Scope)
	}
	return decodeLenient(data, (*plain)(s))
}

// PolicyResponse is what GetRBACPolicy returns. Policy is nil when the API sent null.
type PolicyResponse struct {
	Response

	Policy *Policy `json:"policy"`
}

// A policy that is only half understood could look as if it did not define a resource.
func (*PolicyResponse) strict() {}

// GetRBACPolicy reads the project's RBAC policy: GET /v1/b2b/rbac/policy. The endpoint accepts no acting session.
func (c *Client) GetRBACPolicy(ctx context.Context) (*PolicyResponse, error) {
	var out PolicyResponse
	if err := c.do(ctx, request{endpoint: "GET /v1/b2b/rbac/policy"}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// OrgPolicyResponse is what GetOrganizationRBACPolicy returns. OrgPolicy is nil when the API sent null.
type OrgPolicyResponse struct {
	Response

	OrgPolicy *OrgPolicy `json:"org_policy"`
}

func (*OrgPolicyResponse) strict() {}

// GetOrganizationRBACPolicy reads the roles an organization defines for itself:
// GET /v1/b2b/rbac/organizations/{organization_id}. It is in private beta, so a project may be refused;
// Organization.CustomRoles holds the same roles. The endpoint accepts no acting session.
func (c *Client) GetOrganizationRBACPolicy(ctx context.Context, organizationID string) (*OrgPolicyResponse, error) {
	var out OrgPolicyResponse
	err := c.do(ctx, request{
		endpoint: "GET /v1/b2b/rbac/organizations/{organization_id}",
		path:     []string{organizationID},
	}, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
