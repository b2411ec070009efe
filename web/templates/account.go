package templates

// Account is the page of the person who is signed in: this session, and what
// they may do about their own way in.
type Account struct {
	Page    Page
	Notice  *Notice
	Session []Row
	Cards   []AccountCard
}

// AccountCard is one thing to do.
type AccountCard struct {
	Title, Text string
	Links       []Link
	Form        *Form // a button that posts; nil: none
}
