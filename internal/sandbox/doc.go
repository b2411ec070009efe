// Package sandbox is a local Stytch B2B API: one project with seeded organizations, served over HTTP.
package sandbox
