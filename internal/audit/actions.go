package audit

import "slices"

// Action says what was done. The catalogue is closed: what is not in it cannot be recorded.
type Action string

// The catalogue of actions.
const (
	ActionDeletePassword  Action = "member.password.delete"
	ActionRequireReset    Action = "member.password.require_reset"
	ActionResetEmail      Action = "member.password.reset_email"
	ActionRevokeSessions  Action = "member.sessions.revoke"
	ActionSignIn          Action = "session.sign_in"
	ActionSignInThrottled Action = "session.sign_in.throttled"
	ActionSignInMail      Action = "session.sign_in.mail"
	ActionFirstFactor     Action = "session.first_factor"
	ActionSecondFactor    Action = "session.second_factor"
	ActionSwitch          Action = "session.switch"
	ActionSetPassword     Action = "session.password.set"
	ActionSignOut         Action = "session.sign_out"
	ActionExport          Action = "audit.export"
	ActionReview          Action = "audit.review"
	ActionVerify          Action = "audit.verify"
	ActionTreeCreate      Action = "audit.tree.create"
	ActionKeyChange       Action = "audit.key.change"
	ActionPurge           Action = "audit.purge"
	ActionErase           Action = "audit.erase"
	ActionStart           Action = "console.start"
)

// Actions returns the catalogue in the order people look for things.
func Actions() []Action {
	return []Action{
		ActionDeletePassword, ActionRequireReset, ActionResetEmail, ActionRevokeSessions,
		ActionSignIn, ActionSignInThrottled, ActionSignInMail, ActionFirstFactor, ActionSecondFactor, ActionSwitch, ActionSetPassword, ActionSignOut,
		ActionExport, ActionReview, ActionVerify, ActionTreeCreate, ActionKeyChange, ActionPurge, ActionErase, ActionStart,
	}
}

// Label is the action in words for people, or the action itself when it is not in the catalogue.
func (a Action) Label() string {
	switch a {
	case ActionDeletePassword:
		return "Delete password"
	case ActionRequireReset:
		return "Require password reset"
	case ActionResetEmail:
		return "Send reset email"
	case ActionRevokeSessions:
		return "Sign out everywhere"
	case ActionSignIn:
		return "Sign in"
	case ActionSignInThrottled:
		return "Sign in, repeated attempts"
	case ActionSignInMail:
		return "Sign-in mail asked for"
	case ActionFirstFactor:
		return "First factor"
	case ActionSecondFactor:
		return "Second factor"
	case ActionSwitch:
		return "Switch organization"
	case ActionSetPassword:
		return "Set own password"
	case ActionSignOut:
		return "Sign out"
	case ActionExport:
		return "Export audit"
	case ActionReview:
		return "Mark reviewed"
	case ActionVerify:
		return "Verify audit"
	case ActionTreeCreate:
		return "Audit log created"
	case ActionKeyChange:
		return "Audit key changed"
	case ActionPurge:
		return "Purge audit"
	case ActionErase:
		return "Erase a person"
	case ActionStart:
		return "Console started"
	}
	return string(a)
}

// Phase says where in an operation an event stands.
type Phase string

// The phases. An intent is recorded before anything is sent and has no
// outcome yet; an outcome event has one; an info event stands alone.
const (
	PhaseIntent  Phase = "intent"
	PhaseOutcome Phase = "outcome"
	PhaseInfo    Phase = "info"
)

// Outcome says how it ended.
type Outcome string

// The outcomes. Unknown is provisional: another outcome event follows once somebody could look.
const (
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeDenied    Outcome = "denied"
	OutcomeNotFound  Outcome = "not_found"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeUnknown   Outcome = "unknown"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeSucceeded, OutcomeFailed, OutcomeDenied, OutcomeNotFound, OutcomeCancelled, OutcomeUnknown}
}

// misfit reports what keeps the event out of the catalogue, or "".
func (ev *Event) misfit() string {
	switch {
	case !slices.Contains(Actions(), ev.Action):
		return "action"
	case ev.Outcome != "" && !slices.Contains(Outcomes(), ev.Outcome):
		return "outcome"
	}
	switch ev.Phase {
	case PhaseIntent:
		if ev.Outcome != "" {
			return "outcome of an intent"
		}
	case PhaseOutcome:
		if ev.Outcome == "" {
			return "outcome"
		}
	case PhaseInfo:
	default:
		return "phase"
	}
	return ""
}
