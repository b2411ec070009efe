// Package sandbox is a local Stytch B2B API: one project with seeded organizations, served over HTTP on loopback.
//
// It answers as Stytch's B2B API documentation says, and where that says nothing, as the most careful reading of it
// would have it. Its JSON types are its own: sharing those of the client would hide the client's mistakes. It holds its
// state in memory, and its passwords, tokens and people are made up.
//
// # Project and people
//
// Everything seeded follows from [Options.Seed]: ids, names, passwords, credentials. The organization acme has
// [Options.OrgSize] members that are not deleted; globex has a dozen, and allows every way in; initech allows single
// sign-on and mailed links; northwind demands a second factor; keystone allows only passwords. [Info.People] are the
// people to sign in as; GET /_sandbox/people lists these and all others worth trying: locked, pending, invited, deleted,
// without a password, with a hostile name, with every field filled, with each source of a role, and so on, with their
// passwords. One address, sam@partners.example, is in acme, globex and northwind, and invited to initech.
//
// Passwords are hashed with argon2id (1 MiB, one pass); those of Info.People at the start, others when they are first
// tried. Locks are those of a project with default settings: 10 failures in a row, of passwords and codes together, lock
// for one hour.
//
// # Signing in
//
// Whatever somebody proves goes through one place (prove, in signin.go). It adds the factor to those in the intermediate
// session or session that was passed, and asks the organization: no factor that it allows, or only one of a provider that
// does not vouch for addresses, is primary_required; a second factor that is demanded and was not shown, and no live
// session of the member, is mfa_required; else there is a session. The same intermediate session comes back until it is
// enough; it lives 10 minutes from its first factor. With a password or SSO in it, it is good for one organization.
//
// Where the documentation is silent:
//   - A wrong or missing PKCE verifier is refused (400 pkce_mismatch, pkce_expected_code_verifier) and does not use the
//     token up; a verifier without a challenge is refused, too. Nor is a token or code used up by a request that is
//     refused for another reason, such as a weak password or a dead session.
//   - A used or expired link is 401 unable_to_auth_magic_link, an unknown one 404 magic_link_not_found. A code that is
//     wrong or expired is 401 unable_to_auth_otp_code, one that was never sent or was used 404 otp_code_not_found.
//   - A code for discovery dies of 10 wrong guesses, as there is no member to lock.
//   - Pending and invited members are active once they have met the primary requirement, before any second factor.
//   - A session that is passed to a sign-in is extended where session_duration_minutes is given, and else ends as before.
//   - A session exchange takes along what was proven by mail or OAuth, no second factor, and leaves the old session open.
//   - Nobody becomes a member by signing in (400 email_jit_provisioning_not_allowed); only an invitation adds one.
//   - A second factor can be added by whoever has shown the one that is there (401 insufficient_factors otherwise), and only
//     once the first factor is one that the organization takes. A text message goes to a member's own number for the
//     holder of a session only; a number that is new is the member's once the code that went there came back.
//   - A registration of an authenticator app that was begun is in the way of another one until it expires (400
//     pending_totp_exists). A code is taken once, and no older one after it: 401 totp_code_already_authenticated, which
//     does not count as wrong; nor does 400 recovery_code_used_as_totp_code. The first factor is the default.
//   - A recovery code is good where the organization allows authenticator apps.
//   - The identity provider's token tells who signed in; whether they may come in is said when it is redeemed. For
//     strangers that is 400 invalid_connection_for_jit_provisioning (SSO) or email_jit_provisioning_not_allowed (OAuth), and
//     the token is used up.
//   - What GitHub, Slack and HubSpot say is registered with the member once a mail has proven the address.
//   - SSO and OAuth tokens live 5 minutes. Sign-ins that cannot be started are answered with a page and 400.
//   - Impersonation asks for no second factor, and only active members can be impersonated.
//   - A new password has a new id. zxcvbn is estimated in the rough: a decimal digit of guesses for each character that is
//     no repetition, sequence, common word or part of the address.
//
// Mails and text messages are not sent: they lie in the outbox, the last 500 of them. The page /inbox shows them to
// people, with links to click. A link leads to the redirect URL of the call, or to [Options.RedirectURL].
//
// Sign-ins by SSO and OAuth lead to a stand-in identity provider, in /idp/: its page asks who signs in, and for no password.
// The form's fields are email, one of the people offered, and other, any address, which wins.
//
// Authenticator apps that are seeded follow from the seed, recovery codes too; the control endpoint tells the code that is
// accepted next.
//
// # Faults
//
// A [Fault] makes an endpoint misbehave: see the Fault constants for the kinds. It strikes before or after the request
// has had its effect, so that an error can hide a success. Kinds that look like a success strike after, the others
// before, unless apply says otherwise. cut_body, wrong_member and id_kept with "before" answer as if, and change nothing.
// All latencies that fit a request add up; of the other faults the first one strikes.
//
// # Control endpoint
//
// It lives under /_sandbox/ and wants "Authorization: Bearer " and [Info.ControlToken]. Mistakes are answered with
// 400 and {"error": what was wrong and what is accepted}.
//
//	GET    /_sandbox/                               what there is
//	GET    /_sandbox/faults                         {"faults": […]}
//	POST   /_sandbox/faults                         adds a fault or an array of them; answers with their ids
//	PUT    /_sandbox/faults                         replaces all faults
//	DELETE /_sandbox/faults, /_sandbox/faults/{id}  clears
//	GET    /_sandbox/journal?since=&endpoint=       {"requests": […], "dropped": n}; the last 10,000, without secrets
//	DELETE /_sandbox/journal                        forgets
//	GET    /_sandbox/switches                       {"cross_org_passwords", "totals_off", "enumeration_protection",
//	                                                "console_resources_off", "luds_passwords", "latency"}
//	PUT    /_sandbox/switches                       sets those that the body names
//	GET    /_sandbox/people                         {"people": […]}
//	GET    /_sandbox/outbox                         {"mails": […]}: messages that would have been sent: "kind" (login_link,
//	                                                signup_link, invite, discovery_link, login_code, discovery_code,
//	                                                password_reset, discovery_reset, sms_code), "channel" (email, sms), "to",
//	                                                "token", "code", "url" and, of resets, "login_url"
//	DELETE /_sandbox/outbox                         forgets
//	GET    /_sandbox/members/{member_id}            {"member", "sessions", "seeded_password", "failures", "reset_required",
//	                                                "totp_code", "recovery_codes"}
//	POST   /_sandbox/members/{member_id}            changes: {"name", "status", "roles", "is_breakglass", "mfa_enrolled",
//	                                                "lock_for", "reset_required", "delete_password", "password", "end_sessions"};
//	                                                a new password has a new password id
//	POST   /_sandbox/sessions                       {"member_id", "expires_in", "jwt_age", "sso"}: opens a session and answers
//	                                                with its token and JWT
//	DELETE /_sandbox/sessions/{member_session_id}   ends a session
//	POST   /_sandbox/organizations/{organization_id}  changes: {"auth_methods", "mfa_methods", "mfa_policy",
//	                                                "trusted_metadata"}; an empty array allows all
//	POST   /_sandbox/impersonations                 {"member_id"}: {"token", "url", "expires_at"}, good once and for 5 minutes
//	POST   /_sandbox/keys/rotate                    signs JWTs with a new key: {"signing", "published"}
//
// A fault is {"endpoint", "kind", "apply", "times", …}, for instance
//
//	{"endpoint": "members.delete_password", "kind": "server_error", "apply": "after", "times": 1}
//	{"endpoint": "members.search", "kind": "rate_limit", "retry_after": 30}
//	{"endpoint": "*", "kind": "latency", "duration": "150ms"}
//
// Requests whose Host is not a loopback name are answered with 421, so that no page of another site reaches the sandbox.
package sandbox
