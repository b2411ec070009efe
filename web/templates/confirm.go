package templates

// Confirm names a member and what will happen to them, and asks for a reason.
// Every operation on a member is confirmed on it.
type Confirm struct {
	Page     Page
	Person   Person
	Effects  []string // what will happen
	Ways     []string // other ways the person can sign in
	WaysNote string   // said of them, or when there are none
	Sessions string   // how many sessions are open, in a sentence
	Warnings []Notice

	Disabled *Notice // why it cannot be done, instead of the form
	Form     ConfirmForm
}

// ConfirmForm posts form, reason, ticket, sign_out and send_reset.
type ConfirmForm struct {
	Action    string
	Button    string
	Token     string // what was shown, signed; the field "form"
	CancelURL string
	Reason    Field
	Ticket    Field
	SignOut   Check
	SendReset Check
	Error     string // of the whole form
}

// focusReason reports that the page is there to have the form filled in again.
func (f ConfirmForm) focusReason() bool {
	return f.Reason.Error != "" || f.Error != "" && f.Ticket.Error == ""
}

func (f ConfirmForm) focusTicket() bool { return f.Ticket.Error != "" && f.Reason.Error == "" }
