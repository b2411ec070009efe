package templates

// DeletePassword is the confirmation of a deletion.
type DeletePassword struct {
	Page     Page
	Person   Person
	Effects  []string // what will happen
	Ways     []string // other ways the person can sign in
	NoWays   string   // said when there are none
	Sessions string   // how many sessions are open, in a sentence
	Warnings []Notice

	Disabled *Notice // why it cannot be done, instead of the form
	Form     ConfirmForm
}

// ConfirmForm posts form, reason, ticket, sign_out and send_reset.
type ConfirmForm struct {
	Action    string
	Token     string // what was shown, signed; the field "form"
	CancelURL string
	Reason    Field
	Ticket    Field
	SignOut   Check
	SendReset Check
	Error     string // of the whole form
}
