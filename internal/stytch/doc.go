// Package stytch is a client for the part of Stytch's B2B API that the console uses: one method per endpoint, in files
// named after the areas of the API's documentation. It owns the wire format, the credentials on the wire, deadlines,
// size limits and typed errors.
//
// It does not decide who may do what, does not cache, does not log and never retries: a lost answer to a write is the
// caller's to settle by reading the state back.
//
// A call that can carry a member's session takes an [ActingSession] and refuses an empty one, because without that
// header the API runs the call with the whole authority of the project.
package stytch
