package helpdesk

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxReason = 500
	maxTicket = 100
)

// Request is what a confirmed form asks for. ShownPasswordID is what the
// confirmation page showed; it is compared, never sent.
type Request struct {
	OperationID       string
	TargetID          string
	ShownPasswordID   string
	Reason            string
	Ticket            string
	SessionsOpen      int // as the confirmation page showed; -1 when it could not be read
	SignOutEverywhere bool
	SendResetEmail    bool
}

// validate trims the request's texts and says what is wrong with them.
func (d *Desk) validate(req *Request) error {
	req.Reason, req.Ticket = strings.TrimSpace(req.Reason), strings.TrimSpace(req.Ticket)
	fields := map[string]string{}
	switch {
	case d.reasonRequired && req.Reason == "":
		fields["reason"] = "Say why this is done. It is kept in the audit."
	case utf8.RuneCountInString(req.Reason) > maxReason:
		fields["reason"] = fmt.Sprintf("The reason has %d characters. At most %d are kept.", utf8.RuneCountInString(req.Reason), maxReason)
	}
	switch {
	case utf8.RuneCountInString(req.Ticket) > maxTicket:
		fields["ticket"] = fmt.Sprintf("The ticket has %d characters. At most %d are kept.", utf8.RuneCountInString(req.Ticket), maxTicket)
	case d.ticketWhole != nil && !d.ticketWhole.MatchString(req.Ticket):
		fields["ticket"] = fmt.Sprintf("The ticket must match %s.", d.ticketPattern)
	}
	if len(fields) > 0 {
		return &InvalidError{Fields: fields}
	}
	return nil
}
