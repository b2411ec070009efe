package templates

// Login is the sign-in page. Its form posts organization, email, password and
// return, each button to its own address.
type Login struct {
	Page         Page
	Organization string
	Email        string
	Return       string // path to go on to, already checked
	Once         string // makes two clicks on one page one sign-in
	Error        *Notice

	Chosen    bool   // the organization was named: only what it allows is offered
	Password  bool   // the password form; always there while nothing is chosen
	Emergency bool   // no password for most, but for break-glass accounts
	Link      bool   // a sign-in link by email
	Code      bool   // a code by email
	More      bool   // asks for the organization's other ways
	Ways      []Link // single sign-on and the like, which start with a GET
	NoWay     string // why nothing is offered; the break-glass form may be

	FindURL, ForgotURL, OtherURL string // empty ones are not shown

	People   []LoginPerson // the demo's; empty elsewhere
	InboxURL string        // where the demo's mails are read
}

// LoginPerson is somebody the demo lets anybody sign in as.
type LoginPerson struct{ Name, Role, Email, Password, Organization string }

func (v Login) password() bool { return v.Password || !v.Chosen }

// form reports whether there is anything to type, the break-glass form aside.
func (v Login) form() bool { return v.password() || v.Link || v.Code }

func (v Login) emergency() bool { return v.Chosen && v.Emergency && !v.password() }

// action is where the form goes without a button's own address: where its
// first button goes.
func (v Login) action() string {
	switch {
	case v.password():
		return "/login/password"
	case v.Link:
		return "/login/link"
	default:
		return "/login/code"
	}
}

// primary is the class of the button that most will press: the first.
func primary(first bool) string {
	if first {
		return "btn btn-primary"
	}
	return "btn"
}
