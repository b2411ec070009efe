package templates

// Member is everything known about one member.
type Member struct {
	Page     Page
	Person   Person
	Results  []Result // of the operation the address names
	Actions  []Action
	Verdict  string // said when nothing keeps the person from signing in
	Findings []Finding
	Groups   []Group // the member's
	Rules    []Group // the organization's sign-in rules
	RawURL   string  // this page with the raw JSON
	Raw      *Raw    // shown when asked for
}

// Action is something that can be done to the member. Without URL it is shown
// disabled, with the reason.
type Action struct {
	Label  string
	URL    string
	Danger bool
	Text   string // what it does
	Reason string // why it cannot be done
	Links  []Link // that go with the reason
}

// Finding is one fact about why the person can or cannot sign in.
type Finding struct {
	Kind Kind
	Text string
}

// Raw is the member as Stytch sent it.
type Raw struct {
	JSON      string
	RequestID string
	CloseURL  string
}
