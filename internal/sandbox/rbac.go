package sandbox

import (
	"slices"
)

// Resources, roles and actions that the code itself names.
const (
	resourceMember = "stytch.member"
	resourceSelf   = "stytch.self"
	resourceAudit  = "console.audit"

	roleMember    = "stytch_member"
	roleAdmin     = "stytch_admin"
	roleHelpdesk  = "helpdesk"
	roleAuditor   = "auditor"
	roleShiftLead = "shift-lead" // a custom role of acme

	actionCreate         = "create"
	actionSearch         = "search"
	actionDeletePassword = "update.info.delete.password"
	actionRevokeSessions = "revoke-sessions"
)

// actor is the member whose session came in a header.
type actor struct {
	ref       rowRef
	sessionID string
	roles     []string
}

func (p *project) policy() rbacPolicy {
	every := []string{"*"}
	admin := []rbacPermission{
		{ResourceID: "stytch.organization", Actions: every},
		{ResourceID: resourceMember, Actions: every},
		{ResourceID: "stytch.sso", Actions: every},
		{ResourceID: "stytch.scim", Actions: every},
	}
	auditor := []rbacPermission{{ResourceID: resourceMember, Actions: []string{actionSearch}}}
	resources := builtInResources()
	if !p.switches.consoleResourcesOff {
		admin = append(admin, rbacPermission{ResourceID: resourceAudit, Actions: every})
		auditor = append(auditor, rbacPermission{ResourceID: resourceAudit, Actions: []string{"read", "export"}})
		resources = append(resources, rbacResource{
			ResourceID: resourceAudit, Description: "The audit log of the console.", Actions: []string{"read", "export"},
		})
	}
	return rbacPolicy{
		Roles: []rbacRole{
			{RoleID: roleMember, Description: "Every member has it.", Permissions: []rbacPermission{{ResourceID: resourceSelf, Actions: every}}},
			{RoleID: roleAdmin, Description: "Looks after the whole organization.", Permissions: admin},
			{RoleID: roleHelpdesk, Description: "Takes calls: finds members, deletes passwords, signs members out.", Permissions: []rbacPermission{
				{ResourceID: resourceMember, Actions: []string{actionSearch, actionDeletePassword, actionRevokeSessions}},
			}},
			{RoleID: roleAuditor, Description: "Reviews who did what.", Permissions: auditor},
		},
		Resources: resources,
		Scopes: []rbacScope{{
			Scope: "read:members", Description: "See the members of the organization.",
			Permissions: []rbacPermission{{ResourceID: resourceMember, Actions: []string{actionSearch}}},
		}},
	}
}

func builtInResources() []rbacResource {
	crud := []string{"create", "get", "update", "delete"}
	return []rbacResource{
		{ResourceID: "stytch.organization", Description: "The organization and its settings.", Actions: []string{
			"update.info.name", "update.info.slug", "update.info.logo-url", "update.settings.default-sso-connection",
			"update.settings.sso-jit-provisioning", "update.settings.allowed-domains", "update.settings.email-jit-provisioning",
			"update.settings.email-invites", "update.settings.allowed-auth-methods", "update.settings.mfa-policy",
			"update.settings.implicit-roles", "update.settings.allowed-mfa-methods", "update.settings.oauth-tenant-jit-provisioning",
			"update.settings.allowed-oauth-tenants", "delete",
		}},
		{ResourceID: resourceMember, Description: "The members of the organization.", Actions: []string{
			actionCreate, actionSearch, "delete", actionRevokeSessions, "update.info.name", "update.info.email",
			"update.info.untrusted-metadata", "update.info.mfa-phone", "update.info.delete.mfa-phone", "update.info.delete.mfa-totp",
			actionDeletePassword, "update.info.unlink.retired-email", "update.settings.is-breakglass", "update.settings.mfa-enrolled",
			"update.settings.default-mfa-method", "update.settings.roles", "get.connected-apps", "revoke.connected-app",
		}},
		{ResourceID: resourceSelf, Description: "The member's own record.", Actions: []string{
			"delete", actionRevokeSessions, "update.info.name", "update.info.email", "update.info.untrusted-metadata",
			"update.info.mfa-phone", "update.info.delete.mfa-phone", "update.info.delete.mfa-totp", actionDeletePassword,
			"update.info.unlink.retired-email", "update.settings.mfa-enrolled", "update.settings.default-mfa-method",
			"get.connected-apps", "revoke.connected-app",
		}},
		{ResourceID: "stytch.sso", Description: "The SSO connections of the organization.", Actions: crud},
		{ResourceID: "stytch.scim", Description: "The SCIM connection of the organization.", Actions: crud},
		{ResourceID: "stytch.custom-org-roles", Description: "The organization's own roles.", Actions: crud},
	}
}

// grantingRoles lists which of a session's roles allow an action. Roles of the project and of the organization add up;
// a role that neither defines grants nothing. There is no deny, no hierarchy and no prefix matching.
func (p *project) grantingRoles(o *organization, roles []string, resource, action string) []string {
	granting := []string{}
	for _, role := range slices.Concat(p.policy().Roles, o.json.CustomRoles) {
		if !slices.Contains(roles, role.RoleID) || slices.Contains(granting, role.RoleID) {
			continue
		}
		if slices.ContainsFunc(role.Permissions, func(perm rbacPermission) bool {
			return perm.ResourceID == resource && (slices.Contains(perm.Actions, action) || slices.Contains(perm.Actions, "*"))
		}) {
			granting = append(granting, role.RoleID)
		}
	}
	return granting
}

// allowed is the rule "member or self": the action on stytch.member, or on stytch.self when the target is the actor.
func (p *project) allowed(a *actor, self bool, action string) error {
	o := p.orgs[a.ref.org]
	if len(p.grantingRoles(o, a.roles, resourceMember, action)) > 0 {
		return nil
	}
	if self && len(p.grantingRoles(o, a.roles, resourceSelf, action)) > 0 {
		return nil
	}
	return errAuthorization(resourceMember, action)
}

type policyReply struct {
	reply
	Policy rbacPolicy `json:"policy"`
}

type organizationPolicy struct {
	Roles []rbacRole `json:"roles"`
}

type organizationPolicyReply struct {
	reply
	OrgPolicy organizationPolicy `json:"org_policy"`
}

func getPolicy(c *call) (answer, error) {
	c.project.mu.RLock()
	defer c.project.mu.RUnlock()
	return &policyReply{Policy: c.project.policy()}, nil
}

func getOrganizationPolicy(c *call) (answer, error) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, err := p.findOrganization(c.params["organization_id"])
	if err != nil {
		return nil, err
	}
	return &organizationPolicyReply{OrgPolicy: organizationPolicy{Roles: o.json.CustomRoles}}, nil
}
