package templates

// Audit is the list of events, newest first. The filter form sends actor,
// target, action, outcome, from and to.
type Audit struct {
	Page     Page
	Actor    string
	Target   string
	Actions  []Option
	Outcomes []Option
	From, To Field // dates, as the browser's date field writes them
	Filtered bool
	ClearURL string

	Export    Export
	Problem   *Notice
	Unsettled []AuditRow // unknown outcomes, on top
	Rows      []AuditRow
	Empty     string
	FirstURL  string // newest events; empty on the first page
	NextURL   string // older events
}

// AuditRow is one event.
type AuditRow struct {
	Time         Time
	Action       string
	Phase        string
	Actor        Party
	Target       Party
	Reason       string
	Ticket       string
	Outcome      Badge // the word alone; empty for an intent
	EventURL     string
	OperationURL string
	Count        string // "×12" when the event counts several; empty otherwise
}

// Party is who acted or who it was done to.
type Party struct {
	Text   string
	Detail string // small text under it
	URL    string
}
