package templates

// SignedOut says that Stytch did not confirm a sign-out.
type SignedOut struct {
	Page      Page
	Text      string
	Next      []string
	ErrorType string
	UpstreamRequestID,
	RequestID string
	SignInURL string
}
