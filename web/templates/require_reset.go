package templates

// RequireReset is the confirmation of requiring a password reset by email.
type RequireReset struct {
	Page     Page
	Person   Person
	Effects  []string // says that it holds in every organization of the project
	Ways     []string
	WaysNote string
	Sessions string
	Warnings []Notice

	Disabled *Notice
	Form     ConfirmForm // SignOut is not offered here unless the handler says so
}
