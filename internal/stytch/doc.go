// Package stytch is a client for the part of Stytch's B2B API that the console uses: one method per endpoint, in files
// named after the areas of the API's documentation. It owns the wire format, the credentials on the wire, deadlines,
// size limits and typed errors.
//
// It does not decide who may do what, does not cache, does not log and never retries: a lost answer to a write is the
// caller's to settle by reading the state back. The one thing it keeps is the keys of a [JWTVerifier].
//
// A call that can carry a member's session takes an [ActingSession] and refuses an empty one, because without that
// header the API runs the call with the whole authority of the project.
//
// # Signing in
//
// A call that proves something (a password, a mailed token or code, a provider's token) returns an
// [AuthenticateResponse]: a session, or an intermediate session token, which is a bag of what was proven, good for ten
// minutes. Pass it on as [SignIn].IntermediateSessionToken with the next proof. PrimaryRequired asks for another first
// factor, MFARequired for a second one. Without an organization the answer is a [DiscoveryResponse], and
// ExchangeIntermediateSession enters one of those it lists. These calls act on one's own sign-in, so their session, where
// they take one, is in the body and never in a header.
//
// Where the API's names differ from one endpoint to the next:
//
//   - PKCE is pkce_code_challenge and pkce_code_verifier, but code_challenge and code_verifier for StartPasswordReset and
//     ResetPasswordByEmail, and pkce_ again for their discovery siblings.
//   - The start of SSO is /v1/public/sso/start, that of OAuth /v1/b2b/public/oauth/…. Both take the public token, which is
//     a third credential beside project id and secret.
//   - The answers to second factors have no member_authenticated; the client sets it if there is a session, and refuses
//     the answer otherwise. Answers to ExchangeSession, ExchangeIntermediateSession, ResetPasswordBySession and
//     ResetPasswordByExisting may have no organization_id beside the organization.
//   - unauthorized_credentials stands for a refused project secret and for a wrong password: who made the call must know.
//   - oauth_token_not_found is 400, session_not_found 404. Branch on the type.
//
// What is surprising in how it works:
//
//   - After a first factor an SMS may already be on its way (secondary_auth_initiated); another one ends its code. After
//     discovery none is.
//   - Session durations count on the call that completes a sign-in; those of calls before it are ignored.
//   - A session passed as SignIn.Own spares the second factor, and is ignored if it is another member's.
//   - Intermediate session tokens of SSO and passwords are bound to their organization; those of mail and OAuth are not.
//   - ResetPasswordByEmail and ResetPasswordByExisting end all sessions of the member; ResetPasswordBySession keeps its own
//     and wants a factor of the last five minutes.
//   - Tokens from mails and redirects work once, and mail scanners open links. A token is worth nothing to whoever lacks
//     the PKCE verifier, if it was asked for with a challenge.
//   - A session that was revoked still verifies as a JWT for up to five minutes.
//
// # Limits
//
// A call has ten seconds, a search fifteen; an answer may have 8 MB, an error 256 KB. Sessions last 5 to 527,040 minutes,
// 60 by default; impersonated ones an hour, and they cannot be extended. A mailed link lives for an hour, one to reset a
// password for half an hour, an invitation for a week, a mailed code for ten minutes, a code by SMS for two, an
// impersonation token for five. One address gets a mail a second at most, and ten failures in a row lock a member for an
// hour, unless the project says otherwise.
//
// # Where the facts come from
//
// Paths, fields and types are those of the API reference for B2B SaaS at https://stytch.com/docs/b2b/api, and of the
// OpenAPI description and the SDKs the vendor publishes, as they stood in early 2026; error types are those of its list of
// errors. Which status goes with a type is documented for a few only, and what happens in odd cases mostly not at all. So
// every value but an id may be missing, null or of another type, and then is zero; an answer that would be about nobody,
// or whose ids contradict each other, is an [AnswerError]. Nothing here was tried against the vendor's servers, only
// against internal/sandbox, which was written apart from this package.
package stytch
