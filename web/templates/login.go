package templates

// Login is the sign-in page. It posts organization, email, password and
// return to /login/password.
type Login struct {
	Page         Page
	Organization string
	Email        string
	Return       string // path to go on to, already checked
	Error        *Notice
	People       []LoginPerson // the demo's; empty elsewhere
}

// LoginPerson is somebody the demo lets anybody sign in as.
type LoginPerson struct{ Name, Role, Email, Password, Organization string }
