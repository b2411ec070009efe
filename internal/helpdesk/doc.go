// Package helpdesk owns the operations a helpdesk agent performs on a member:
// delete the password, require a reset, sign out everywhere, send the reset
// mail, and signing in and out of the console itself. It decides the order of
// the steps, records the intent of each before anything is sent and its outcome
// after, and settles what a lost answer or a crash left unknown.
// Who may do what is asked of authz; how the record is kept belongs to audit;
// forms and pages belong to handlers.
package helpdesk
