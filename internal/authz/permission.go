package authz

import "fmt"

// Permission is one action on one RBAC resource.
type Permission struct {
	Resource string
	Action   string
}

// String is the form shown to people: "stytch.member: search".
func (p Permission) String() string { return p.Resource + ": " + p.Action }

// IsZero reports a permission that was never set.
func (p Permission) IsZero() bool { return p == Permission{} }

const (
	resourceMember = "stytch.member"
	resourceSelf   = "stytch.self"
	resourceAudit  = "console.audit"

	// RoleAdmin is the built-in administrator role of every Stytch project.
	RoleAdmin = "stytch_admin"
	// RoleMember is the built-in role every member has; it cannot be assigned.
	RoleMember = "stytch_member"
)

// MemberSearch lists and reads members: Stytch has no action for reading one
// member or listing sessions, search is the closest gate.
func MemberSearch() Permission { return Permission{resourceMember, "search"} }

// MemberDeletePassword deletes any member's password, and requires a reset.
func MemberDeletePassword() Permission {
	return Permission{resourceMember, "update.info.delete.password"}
}

// MemberRevokeSessions ends any member's sessions.
func MemberRevokeSessions() Permission { return Permission{resourceMember, "revoke-sessions"} }

// SelfRead stands for reading one's own record, which has no action of its
// own; the least of the actions on oneself is asked instead.
func SelfRead() Permission { return Permission{resourceSelf, "update.info.name"} }

// SelfDeletePassword deletes one's own password.
func SelfDeletePassword() Permission { return Permission{resourceSelf, "update.info.delete.password"} }

// SelfRevokeSessions ends one's own sessions.
func SelfRevokeSessions() Permission { return Permission{resourceSelf, "revoke-sessions"} }

// AuditRead reads the audit of one's organization. The resource is a custom one.
func AuditRead() Permission { return Permission{resourceAudit, "read"} }

// AuditExport exports it.
func AuditExport() Permission { return Permission{resourceAudit, "export"} }

// DeniedError says that the acting session lacks a permission.
type DeniedError struct {
	Permission Permission
	RolesWith  []string // roles of the organization that hold it, when the policy could be read
	RequestID  string   // of the upstream's answer; empty when decided by the console's own rule
	Status     int      // HTTP status of that answer, or 0
	Type       string   // its error type, or ""
}

func (e *DeniedError) Error() string { return fmt.Sprintf("denied: %s is missing", e.Permission) }

// PolicyUnreadError says that the project's RBAC policy could not be read, so
// that nothing may be concluded from what it does not list.
type PolicyUnreadError struct{ Err error }

func (e *PolicyUnreadError) Error() string {
	if e.Err == nil {
		return "the project's RBAC policy, or its list of resources, was answered as null"
	}
	return "read the project's RBAC policy: " + e.Err.Error()
}

func (e *PolicyUnreadError) Unwrap() error { return e.Err }

// UncheckedError says that the upstream answered a session check without the
// verdict that was asked for, or for somebody else. It is never a yes.
type UncheckedError struct {
	Permission Permission
	RequestID  string
	Problem    string
}

func (e *UncheckedError) Error() string {
	return fmt.Sprintf("check %s: %s", e.Permission, e.Problem)
}
