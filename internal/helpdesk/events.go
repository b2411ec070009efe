package helpdesk

import "orgconsole/internal/audit"

func (a Actor) event() audit.Actor {
	return audit.Actor{MemberID: a.MemberID, Email: a.Email, SessionID: a.SessionID, AuthFactors: a.Factors}
}

func (a Actor) source() audit.Source { return audit.Source{IP: a.IP, UserAgent: a.UserAgent} }

// system is who acts when a lost answer is settled.
func system() audit.Actor { return audit.Actor{System: true} }

func operationEvent(op *Operation) audit.Event {
	return audit.Event{
		OrganizationID: op.OrganizationID, Action: op.Action, OperationID: op.ID, Attempt: op.Attempt,
		Target: audit.Target{
			Type: "member", ID: op.Target.MemberID, Label: op.Target.Name, Email: op.Target.Email, PasswordID: op.PasswordID,
		},
		Reason: op.Reason, Ticket: op.Ticket,
	}
}

func intentEvent(op *Operation, actor Actor) audit.Event {
	ev := operationEvent(op)
	ev.Phase, ev.Actor, ev.Source, ev.RequestID = audit.PhaseIntent, actor.event(), actor.source(), actor.RequestID
	return ev
}

func outcomeEvent(op *Operation, by audit.Actor, src audit.Source) audit.Event {
	ev := operationEvent(op)
	ev.Phase, ev.Actor, ev.Source = audit.PhaseOutcome, by, src
	ev.Outcome, ev.Detail = op.Outcome, op.Detail
	ev.HTTP = audit.HTTP{Status: op.HTTPStatus, ErrorType: op.ErrorType}
	ev.UpstreamRequestID = op.UpstreamRequestID
	if op.Detail == DetailReread || op.Detail == DetailStillThere {
		ev.UpstreamRequestID = op.EvidenceRequestID
	}
	return ev
}
