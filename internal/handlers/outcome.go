package handlers

import (
	"fmt"
	"strings"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// result is an operation's state in words for people. The words depend on
// nothing but the stored operation, so every page says the same of it.
type result struct {
	kind templates.Kind
	word string // the outcome word of design section 8, or "in progress", "waiting"
	head string
	text string
}

// resultOf words one operation or step.
func resultOf(op *helpdesk.Operation) result {
	r := result{kind: templates.Bad, word: string(op.Outcome)}
	name := operationName(op.Action)
	switch op.State {
	case helpdesk.StateAsked:
		return result{templates.Info, "waiting", name.what + ": waiting for the step before it", ""}
	case helpdesk.StateIntent:
		return result{templates.Info, "in progress", name.what + ": in progress", "Reload this page in a few seconds."}
	case helpdesk.StateUnknown, helpdesk.StateFinal:
	}
	switch op.Outcome {
	case audit.OutcomeSucceeded:
		r.kind, r.head = templates.Good, name.done
		if op.Detail == helpdesk.DetailReread {
			r.text = "Stytch's answer to the deletion was lost or unusable. Reading the member afterwards showed that the password is gone."
		}
	case audit.OutcomeNotFound:
		r.head, r.text = notFoundWords(op)
	case audit.OutcomeCancelled:
		r.head, r.text = cancelledWords(op)
	case audit.OutcomeDenied:
		r.head = name.not + ": denied"
		r.text = deniedText(op)
	case audit.OutcomeFailed:
		r.head, r.text = name.not, failedText(op)
	default:
		r.kind, r.word = templates.Warn, string(audit.OutcomeUnknown)
		r.head, r.text = unknownWords(op)
	}
	return r
}

// operationWords names an action: what it is, that it was done, that it was not.
type operationWords struct{ what, done, not string }

func operationName(a audit.Action) operationWords {
	switch a {
	case audit.ActionDeletePassword:
		return operationWords{"Delete password", "Password deleted", "Password not deleted"}
	case audit.ActionRequireReset:
		return operationWords{"Require password reset", "Password reset required", "Password reset not required"}
	case audit.ActionRevokeSessions:
		return operationWords{"Sign out everywhere", "Signed out everywhere", "Not signed out"}
	case audit.ActionResetEmail:
		return operationWords{"Send reset email", "Reset email sent", "Reset email not sent"}
	case audit.ActionSignOut:
		return operationWords{"Sign out", "Signed out", "Sign-out not confirmed"}
	default:
		return operationWords{string(a), "Done", "Not done"}
	}
}

func notFoundWords(op *helpdesk.Operation) (head, text string) {
	if op.Detail == helpdesk.DetailMemberGone || op.ErrorType == string(stytch.ErrorTypeMemberNotFound) {
		return "The member is gone", "The member was deleted, or does not exist in this organization. Nothing was changed."
	}
	return "There was no such password any more", "Somebody else had removed or changed the password before this deletion reached Stytch."
}

func cancelledWords(op *helpdesk.Operation) (head, text string) {
	switch op.Detail {
	case helpdesk.DetailChanged:
		return "Nothing was deleted: the password has changed",
			"The member has a new password since the confirmation page was opened. Look at the member as it is now, then confirm again if it must go."
	case helpdesk.DetailNoPassword:
		return "Nothing was done: the password was already gone",
			"Somebody removed the password since the confirmation page was opened. No password is set now."
	case helpdesk.DetailMemberGone:
		return "Nothing was done: the member is deleted", "A deleted member cannot sign in."
	case helpdesk.DetailNotAttempted:
		return operationName(op.Action).not + ": not attempted",
			"It is done only once the step before it has succeeded."
	case helpdesk.DetailStopped:
		return operationName(op.Action).not + ": not attempted", "The console stopped before this step's turn."
	default:
		return "Nothing was done", ""
	}
}

func deniedText(op *helpdesk.Operation) string {
	switch {
	case op.Detail == helpdesk.DetailForm:
		return "The form was not made for this person and this member. Nothing was sent."
	case op.Permission != "" && len(op.RolesWith) > 0:
		return fmt.Sprintf("This needs the permission %s. Roles that have it: %s.", op.Permission, strings.Join(op.RolesWith, ", "))
	case op.Permission != "":
		return fmt.Sprintf("This needs the permission %s, which your roles do not have.", op.Permission)
	default:
		return "Stytch says that your roles do not allow it."
	}
}

func failedText(op *helpdesk.Operation) string {
	switch op.Detail {
	case helpdesk.DetailRateLimited:
		if op.RetryAfter > 0 {
			return fmt.Sprintf("Stytch takes no more requests for now. Try again in %s.", plural(op.RetryAfter, "second"))
		}
		return "Stytch takes no more requests for now and did not say for how long. Try again in a minute."
	case helpdesk.DetailSession:
		return "Your session had ended. Sign in, then try again."
	case helpdesk.DetailCredentials:
		return "The console's project credentials were refused. Tell the operator of the console."
	case helpdesk.DetailTooLate:
		return "The console was held up before it could send anything. Nothing was sent. Try again."
	case helpdesk.DetailNotSent:
		return "Stytch could not be reached. Nothing was sent."
	case helpdesk.DetailStillThere:
		return "Reading the member afterwards showed the same password still there. Try again."
	case helpdesk.DetailBadAnswer, helpdesk.DetailFault, helpdesk.DetailNoAnswer:
		return "The permission check before it got no usable answer from Stytch. Nothing was sent. Try again."
	}
	if stytch.ErrorType(op.ErrorType) == stytch.ErrorTypeCrossOrgPasswordsEnabled {
		return "This project shares passwords across organizations, so a password cannot be deleted for one of them. Require a password reset by email instead."
	}
	if stytch.ErrorType(op.ErrorType) == stytch.ErrorTypeCrossOrgPasswordsNotEnabled {
		return "This project keeps a password for each organization. Delete the password instead."
	}
	return fmt.Sprintf("Stytch refused it: %s.", orNone(op.ErrorType))
}

func unknownWords(op *helpdesk.Operation) (head, text string) {
	switch op.Action {
	case audit.ActionDeletePassword:
		return "Not known yet whether the password was deleted",
			"Stytch's answer was lost or unusable. The console keeps reading the member until it knows, usually within a minute of Stytch answering again."
	case audit.ActionResetEmail:
		return "Not known whether the reset email was sent", "Stytch's answer was lost or unusable. Sending it again does no harm."
	case audit.ActionRevokeSessions:
		return "Not known whether the sessions ended", "Stytch's answer was lost or unusable. Signing out again does no harm."
	case audit.ActionRequireReset:
		return "Not known whether the reset is required now", "Stytch's answer was lost or unusable, and what it did cannot be read. Sending it again does no harm."
	default:
		return "Not known", ""
	}
}

// retryLabel is the button that repeats a step alone.
func retryLabel(op *helpdesk.Operation) string {
	switch {
	case op.Action == audit.ActionResetEmail && op.Outcome == audit.OutcomeCancelled:
		return "Send now"
	case op.Action == audit.ActionRevokeSessions && op.Outcome == audit.OutcomeCancelled:
		return "Sign out now"
	case op.Action == audit.ActionRevokeSessions:
		return "Sign out again"
	default:
		return "Send again"
	}
}

func passwordWord(id string) string {
	if id == "" {
		return "not set"
	}
	return "set"
}

func orNone(s string) string {
	if s == "" {
		return "no error type given"
	}
	return s
}

// utc is the form of a time on every page.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
