// Package sandbox is a local Stytch B2B API: one project with seeded organizations, served over HTTP on loopback.
//
// It answers as Stytch's B2B API documentation says, and where that says nothing, as the most careful reading of it
// would have it. Its JSON types are its own: sharing those of the client would hide the client's mistakes. It holds its
// state in memory, and its passwords, tokens and people are made up.
//
// # Project and people
//
// Everything seeded follows from [Options.Seed]: ids, names, passwords, credentials. The organization acme has
// [Options.OrgSize] members that are not deleted; globex has a dozen; initech does not allow passwords; northwind demands
// a second factor; keystone allows only passwords. [Info.People] are the people to sign in as; GET /_sandbox/people lists these and all others worth
// trying: locked, pending, invited, deleted, without a password, with a hostile name, with every field filled, with each
// source of a role, and so on, with their passwords.
//
// Passwords are hashed with argon2id (1 MiB, one pass); those of Info.People at the start, others when they are first
// tried. Locks are those of a project with default settings: 10 failures in a row lock for one hour.
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
//	                                                "console_resources_off", "latency"}
//	PUT    /_sandbox/switches                       sets those that the body names
//	GET    /_sandbox/people                         {"people": […]}
//	GET    /_sandbox/outbox                         {"mails": […]}: mails that would have been sent, with their tokens
//	DELETE /_sandbox/outbox                         forgets
//	GET    /_sandbox/members/{member_id}            {"member", "sessions", "seeded_password", "failures", "reset_required"}
//	POST   /_sandbox/members/{member_id}            changes: {"name", "status", "roles", "is_breakglass", "mfa_enrolled",
//	                                                "lock_for", "reset_required", "delete_password", "password", "end_sessions"};
//	                                                a new password has a new password id
//	POST   /_sandbox/sessions                       {"member_id", "expires_in", "jwt_age", "sso"}: opens a session and answers
//	                                                with its token and JWT
//	DELETE /_sandbox/sessions/{member_session_id}   ends a session
//
// A fault is {"endpoint", "kind", "apply", "times", …}, for instance
//
//	{"endpoint": "members.delete_password", "kind": "server_error", "apply": "after", "times": 1}
//	{"endpoint": "members.search", "kind": "rate_limit", "retry_after": 30}
//	{"endpoint": "*", "kind": "latency", "duration": "150ms"}
//
// Requests whose Host is not a loopback name are answered with 421, so that no page of another site reaches the sandbox.
package sandbox
