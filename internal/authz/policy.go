package authz

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"orgconsole/internal/stytch"
)

const (
	// policyAge is how long a policy may be reused; Stytch's own SDKs use the same.
	policyAge = 5 * time.Minute
	// policyRetry is how long a failed read is not tried again: every page
	// asks for the policy, and none may wait for a dead endpoint twice.
	policyRetry = 10 * time.Second
)

// Policy is the project's RBAC policy together with one organization's own
// roles. Evaluation follows Stytch's: roles are concatenated, a permission is
// held if any held role grants the action or "*" on the same resource.
type Policy struct {
	roles     []stytch.Role
	resources map[string]bool
}

// NewPolicy joins a project policy with an organization's roles. A role id in
// both means the union of the two.
func NewPolicy(project stytch.Policy, organization []stytch.Role) *Policy {
	p := &Policy{roles: slices.Concat(project.Roles, organization), resources: map[string]bool{}}
	for _, r := range project.Resources {
		p.resources[r.ResourceID] = true
	}
	return p
}

// Allows reports whether a session with these roles holds the permission.
func (p *Policy) Allows(roles []string, perm Permission) bool {
	for _, r := range p.roles {
		if slices.Contains(roles, r.RoleID) && grants(r, perm) {
			return true
		}
	}
	return false
}

// RolesWith returns the ids of the roles that grant the permission, in the
// policy's order, each once.
func (p *Policy) RolesWith(perm Permission) []string {
	var ids []string
	for _, r := range p.roles {
		if grants(r, perm) && !slices.Contains(ids, r.RoleID) {
			ids = append(ids, r.RoleID)
		}
	}
	return ids
}

// Defines reports whether the project's policy lists the resource.
func (p *Policy) Defines(resource string) bool { return p.resources[resource] }

// RoleIDs returns every role a member can hold, in the policy's order, each
// once; the automatic stytch_member is left out.
func (p *Policy) RoleIDs() []string {
	var ids []string
	for _, r := range p.roles {
		if r.RoleID != RoleMember && !slices.Contains(ids, r.RoleID) {
			ids = append(ids, r.RoleID)
		}
	}
	return ids
}

func grants(r stytch.Role, perm Permission) bool {
	for _, g := range r.Permissions {
		if g.ResourceID == perm.Resource &&
			(slices.Contains(g.Actions, perm.Action) || slices.Contains(g.Actions, "*")) {
			return true
		}
	}
	return false
}

// policies caches the project's policy and each organization's own roles.
type policies struct {
	mu       sync.Mutex // guards the fields; never held over a call
	project  *stytch.Policy
	readAt   time.Time
	failed   error // of the last read, when it failed
	failedAt time.Time
	orgs     map[string]orgRoles
}

type orgRoles struct {
	roles   []stytch.Role
	refused bool // the project may not call this (private beta): use what the organization object lists
	readAt  time.Time
}

// Policy returns the policy as one organization sees it, at most five minutes
// old. custom are the roles its organization object lists; they stand in where
// the organization policy call (a private beta) is refused or fails.
func (a *Authorizer) Policy(ctx context.Context, organizationID string, custom []stytch.Role) (*Policy, error) {
	now := a.now()
	a.policies.mu.Lock()
	project, fresh := a.policies.project, now.Sub(a.policies.readAt) < policyAge
	failed, again := a.policies.failed, now.Sub(a.policies.failedAt) >= policyRetry
	org, known := a.policies.orgs[organizationID]
	a.policies.mu.Unlock()

	if project == nil || !fresh {
		if failed != nil && !again {
			return nil, failed
		}
		var err error
		project, err = a.readProjectPolicy(ctx)
		if errors.Is(err, context.Canceled) {
			return nil, err // says nothing about the upstream
		}
		a.policies.mu.Lock()
		a.policies.failed, a.policies.failedAt = err, now
		if err == nil {
			a.policies.project, a.policies.readAt = project, now
		}
		a.policies.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	if !known || now.Sub(org.readAt) >= policyAge {
		org = orgRoles{refused: true, readAt: now}
		answer, err := a.client.GetOrganizationRBACPolicy(ctx, organizationID)
		var refused *stytch.Error
		switch {
		case err == nil && answer.OrgPolicy != nil:
			org.roles, org.refused = answer.OrgPolicy.Roles, false
		case errors.Is(err, context.Canceled):
			return NewPolicy(*project, custom), nil
		case err != nil && (!errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError):
			org.readAt = now.Add(policyRetry - policyAge) // a passing fault: ask again soon
		}
		a.policies.mu.Lock()
		if len(a.policies.orgs) >= maxCached {
			clear(a.policies.orgs)
		}
		a.policies.orgs[organizationID] = org
		a.policies.mu.Unlock()
	}
	if org.refused {
		return NewPolicy(*project, custom), nil
	}
	return NewPolicy(*project, org.roles), nil
}

func (a *Authorizer) readProjectPolicy(ctx context.Context) (*stytch.Policy, error) {
	answer, err := a.client.GetRBACPolicy(ctx)
	if err != nil {
		return nil, &PolicyUnreadError{Err: err}
	}
	// Without the list of resources nothing may be concluded from what it does not list.
	if answer.Policy == nil || answer.Policy.Resources == nil {
		return nil, &PolicyUnreadError{}
	}
	return answer.Policy, nil
}
