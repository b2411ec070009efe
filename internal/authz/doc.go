// Package authz owns what the console knows of permissions: their names, the
// local evaluation of a Stytch project's RBAC policy, and the upstream's own
// word on a check. The local evaluation only decides which buttons to show;
// every decision that matters is asked of the upstream with the acting session.
// What a permission protects (pages, operations) is not in here.
package authz
