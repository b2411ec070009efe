package templates

// Members is the list of members. The filter form sends q, status, role and
// password.
type Members struct {
	Page      Page
	Search    string
	Statuses  []Option
	Roles     []Option
	Passwords []Option
	Filtered  bool   // offers to clear the filters
	ClearURL  string // the list without filters

	Problem *Notice // upstream trouble or missing permission, instead of the list
	Count   string  // "250 members", "100 shown, total not known"
	Scan    *Scan   // a search by name scans the organization piece by piece
	Rows    []MemberRow
	Empty   string // why there are no rows
	Hint    string // what to try then

	PreviousURL string
	NextURL     string
}

// Scan is how far a search by name has come.
type Scan struct {
	Text  string // "Searched 5,000 of 12,000 members by name."
	GoOn  string // address that goes on; empty when all were looked at
	Label string // of that link
}

// MemberRow is one member of the list.
type MemberRow struct {
	URL         string
	Name        string // may be empty
	Email       string
	Status      Badge
	Roles       []string
	PasswordSet bool
	MFA         string
	Updated     Time
}
