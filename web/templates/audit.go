package templates

// Audit is the list of operations and events, newest first. The filter form
// sends q, actor, target, action, outcome, from and to, and what else the
// address holds.
type Audit struct {
	Page          Page
	Search        string
	Actor, Target string
	Actions       []Option
	Outcomes      []Option
	From, To      Field // dates, as the browser's date field writes them
	Preset        string
	Presets       []Preset
	Hours         string   // which office hours hold, where that matters
	HoursWrong    []string // why the organization's own are not used
	Filtered      bool
	ClearURL      string

	Columns      []Column // in their order
	Choices      []Option // all that can be chosen
	ColumnsInURL string   // those of the address; empty when it has none
	Hidden       []Hidden // the filters, for the form of the columns

	Export     Export
	Problem    *Notice
	Since      string // what is new since one's last review
	SinceURL   string // the event of that review
	Review     *ReviewForm
	ReviewNote string // why everything cannot be marked here
	Stream     *Notice
	Chart      *Chart
	NoChart    string     // why there is none
	Unsettled  []AuditRow // unknown outcomes, on top
	Rows       []AuditRow
	Searched   *Scan // how far back was searched, when not to the end
	Empty      string
	Helps      []Link // filters without which there is something
	Others     []Link // the other filters
	FirstURL   string // newest events; empty on the first page
	PrevURL    string // newer events
	NextURL    string // older events
}

// manyColumns have no room for their usual widths.
const manyColumns = 7

// Preset is a list that people come back to.
type Preset struct {
	Text, URL string
	Count     string // may be empty
	Current   bool
}

// Column is a column of the list.
type Column struct{ Key, Label string }

// AuditRow is one operation, or one event that stands alone.
type AuditRow struct {
	Time         Time
	Action       string
	Phase        string // of an event that stands alone
	Actor        Party
	Target       Party
	Reason       string
	Ticket       string
	Outcome      Badge  // the newest word alone; empty before there is one
	Before       string // what it was before, or that there is none yet
	Known        string // how it is known
	IP, Factors  string
	Requests     []string // the console's and Stytch's
	Seq          string   // of the newest event, "" where it has none
	EventURL     string
	OperationURL string
	Count        string // "×12" when the event counts several; empty otherwise
	New          bool   // since one's last review
	Reviewed     bool   // by anybody
	Timeline     []Moment
	Review       *ReviewForm
}

// ReviewForm is a form that marks something as reviewed. An empty Event is
// everything there was when the page was made.
type ReviewForm struct {
	Token  string
	Event  string
	Back   string // says which page to come back to
	Button string
}

// Party is who acted or who it was done to.
type Party struct {
	Text   string
	Detail string // small text under it
	URL    string
}

// Chart is how what was found ended, in bars of stacked parts.
type Chart struct {
	Unit        string // what a bar is: "day", "week", "2 weeks"
	Title       string
	Desc        string
	Kinds       []ChartKind // from below
	Bars        []ChartBar
	Most        string // the height of the chart
	First, Last string // days
}

// ChartKind is an outcome that there is.
type ChartKind struct{ Word, Total string }

// ChartBar is a day, or several.
type ChartBar struct {
	Label  string
	URL    string // the same filters for these days
	Says   string
	Parts  []ChartPart
	Counts []string // in the order of the kinds
}

// ChartPart is a piece of a bar. The chart is 100 high.
type ChartPart struct{ Word, Y, Height string }

// details is the word for what a row opens.
func (r AuditRow) details() string {
	switch {
	case len(r.Timeline) == 0:
		return "Review"
	case r.Review == nil:
		return "Timeline"
	default:
		return "Timeline and review"
	}
}

// named is the name of a link of the row where the row is not seen with it.
func (r AuditRow) named(link string) string { return link + ": " + r.Action + ", " + r.Time.Text }

// has reports whether a column is shown.
func (v Audit) has(key string) bool {
	for _, c := range v.Columns {
		if c.Key == key {
			return true
		}
	}
	return false
}

// usual are the columns of a table that nobody chooses those of.
func usual() []Column {
	return []Column{{"time", "Time"}, {"action", "Action"}, {"actor", "Actor"}, {"target", "Target"}, {"reason", "Reason"}, {"outcome", "Outcome"}}
}

// fill is the class of a part of a bar. The names are spelled out so that the asset build finds them.
func (p ChartPart) fill() string { return chartFill(p.Word) }
func (k ChartKind) fill() string { return chartFill(k.Word) }

func chartFill(word string) string {
	switch word {
	case "succeeded":
		return "x-ok"
	case "failed":
		return "x-bad"
	case "denied":
		return "x-denied"
	case "unknown":
		return "x-unknown"
	case "not_found":
		return "x-gone"
	default:
		return "x-none"
	}
}

// cell is the text of a column that is no more than text.
func (r AuditRow) cell(key string) string {
	switch key {
	case "ticket":
		return r.Ticket
	case "known":
		return r.Known
	case "ip":
		return r.IP
	case "factors":
		return r.Factors
	case "seq":
		return r.Seq
	default:
		return ""
	}
}
