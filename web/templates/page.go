package templates

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Page is what every screen has around its content.
type Page struct {
	Title   string    // of the document, and the h1 unless Heading is set
	Heading string    // h1 where it differs from the title
	Lead    string    // a sentence under the h1
	Badges  []Badge   // beside the h1
	Crumbs  []Link    // the way here, without the page itself
	Nav     []NavItem // first level; empty when signed out
	Actor   *Actor    // nil when signed out
	Demo    bool      // shows the demo banner
	Notices []Notice  // above everything else
	Build   string    // version, in the footer
	Session *SessionLife
	Proof   *Proof // of the audit, in the footer of its pages
	Paper   *Paper // of a page that is printed as evidence
	Refresh int    // seconds after which a page without script loads itself anew; 0 never
}

// Proof is the newest signed checkpoint of the organization's audit.
type Proof struct {
	Records string
	Root    string // the beginning of it
	Note    string // whole, signed
}

// Paper is what only the printed page says of itself.
type Paper struct {
	Address string // whole
	Loaded  string // when, in UTC
}

// SessionLife is how long a session still lasts: nil when signed out.
type SessionLife struct {
	IdleSeconds int // without another request
	EndSeconds  int // for good
	EndsAt      Time
}

// NavItem is an entry of the side navigation. Icon is one of: members, audit.
type NavItem struct {
	Label, URL, Icon string
	Current          bool
}

// Actor is the person who is signed in.
type Actor struct {
	Name, Email  string // Name may be empty
	URL          string // their own member page
	Roles        []string
	Organization string

	// Impersonator is who is signed in as this person. Non-empty puts a banner
	// on the page.
	Impersonator string
}

// Kind is how a result or fact is coloured and announced.
type Kind string

// Good results are a role="status"; bad ones a role="alert".
const (
	Good    Kind = "ok"
	Bad     Kind = "bad"
	Warn    Kind = "warn"
	Info    Kind = "info"
	Neutral Kind = ""
)

// Badge is a short word with a colour.
type Badge struct {
	Text string
	Kind Kind
}

// Link is an address and its words.
type Link struct{ Text, URL string }

// Notice is something said at the top of a page. It stays until the page is left.
type Notice struct {
	Kind      Kind
	Title     string
	Text      string
	Lines     []string
	RequestID string // Stytch's
	Links     []Link
}

// Time is an instant: ISO is RFC 3339 for machines, Text is short for people
// and ends in UTC. The zero value is shown as "never".
type Time struct{ ISO, Text string }

type zoneKey struct{}

// WithZone says in which zone the reader's organization is. A page rendered
// with it shows on hover what each time was there.
func WithZone(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, zoneKey{}, zone)
}

// localTime is a time where the organization is, or "" where that is no news.
func localTime(ctx context.Context, iso string) string {
	zone, _ := ctx.Value(zoneKey{}).(*time.Location)
	if zone == nil || zone == time.UTC {
		return ""
	}
	t, err := time.Parse(time.RFC3339Nano, iso)
	if err != nil {
		return ""
	}
	return t.In(zone).Format("Mon 2 Jan 2006 15:04:05 MST") + ", " + zone.String()
}

// Option is one choice of a select.
type Option struct {
	Value, Text string
	Selected    bool
}

// Field is a form field with what was typed and what is wrong with it.
type Field struct {
	Value    string
	Hint     string
	Error    string
	Required bool
}

// Check is a checkbox. One that is not offered is not shown; one with a
// Disabled reason is shown and cannot be ticked.
type Check struct {
	Offered  bool
	Checked  bool
	Hint     string
	Disabled string
}

// Hidden is a hidden form value.
type Hidden struct{ Name, Value string }

// Form is a button that posts: retrying a step, for one.
type Form struct {
	Label  string
	Action string
	Hidden []Hidden
}

// Person is a member as a confirmation or receipt names them.
type Person struct {
	Name, Email, ID string // Name may be empty
	URL             string
	Roles           []string
	Self            bool // the actor
	Unread          bool // nobody looked: neither email nor roles are known
	Badges          []Badge
}

// Result is what became of an operation.
type Result struct {
	Kind          Kind
	Title         string // "Password deleted"
	Text          string
	Subject       string // what changed: "Password"
	Before, After string // "set", "not set"; both empty when nothing is known
	RequestID     string // Stytch's
	Lines         []string
	Tell          string // what to tell the caller
	Steps         []Step
	Retry         *Form
	Next          []Link // what to do about it, as buttons
	Links         []Link // the operation's page
}

// Step is one part of an operation with an outcome of its own.
type Step struct {
	Name      string // "Sign out everywhere"
	Outcome   Badge  // the outcome word alone
	Text      string
	RequestID string
	Retry     *Form
}

// Group is a titled list of facts. Handlers fill it generically.
type Group struct {
	ID    string // fragment of the page's address; may be empty
	Title string
	Note  string
	Empty string // said instead of rows when there are none
	Wide  bool   // takes the whole width
	Rows  []Row
}

// RowKind says how a value is shown.
type RowKind string

// URLs are text, never links: nothing from upstream is loaded or followed.
const (
	Text  RowKind = ""
	Code  RowKind = "code"  // ids: monospace, with a copy button
	When  RowKind = "time"  // Value is the text, ISO the machine's form
	Word  RowKind = "badge" // Value in a badge of Tone's colour
	URL   RowKind = "url"
	Block RowKind = "block" // preformatted, such as JSON
)

// Row is one fact. An empty Value without Sub is shown as "none".
type Row struct {
	Label string
	Value string
	ISO   string
	Kind  RowKind
	Tone  Kind
	Note  string // small text after the value
	Sub   []Row  // facts that belong to this one; Label and Value are then its heading
}

// heading is the h1.
func (p Page) heading() string {
	if p.Heading != "" {
		return p.Heading
	}
	return p.Title
}

func (p Page) documentTitle() string { return p.Title + " · Org Console" }

func (a Actor) name() string { return firstNonEmpty(a.Name, a.Email) }

// ends is when the session ends, which is read far from what says that times are UTC.
func (l SessionLife) ends() Time {
	return Time{ISO: l.EndsAt.ISO, Text: strings.TrimSuffix(l.EndsAt.Text, " UTC") + " UTC"}
}

// minutes is how long an idle page lasts, in whole minutes.
func (l SessionLife) minutes() string { return strconv.Itoa((l.IdleSeconds + 30) / 60) }

func (p Page) refresh() string { return strconv.Itoa(p.Refresh) }

func (p Page) impersonated() bool { return p.Actor != nil && p.Actor.Impersonator != "" }

func (p Person) title() string { return firstNonEmpty(p.Name, p.Email, p.ID) }

func firstNonEmpty(words ...string) string {
	for _, w := range words {
		if strings.TrimSpace(w) != "" {
			return w
		}
	}
	return ""
}

// breakable is a text that may break before its "@", and so not within a name or a host where there is room.
func breakable(text string) templ.Component {
	return templ.Raw(strings.ReplaceAll(templ.EscapeString(text), "@", "<wbr>@"))
}

// live is the ARIA role that says a result of this kind.
func (k Kind) live() string {
	if k == Bad || k == Warn {
		return "alert"
	}
	return "status"
}

// icon is the symbol of the sprite that goes with a kind, so that colour is
// never the only sign.
func (k Kind) icon() string {
	switch k {
	case Good:
		return "check"
	case Bad:
		return "cross"
	case Warn:
		return "warn"
	default:
		return "info"
	}
}

// badgeClass is the colour of a badge. The names are spelled out so that the
// asset build finds them.
func (k Kind) badgeClass() string {
	switch k {
	case Good:
		return "badge b-ok"
	case Bad:
		return "badge b-bad"
	case Warn:
		return "badge b-warn"
	case Info:
		return "badge b-info"
	default:
		return "badge"
	}
}

func (k Kind) noticeClass() string {
	switch k {
	case Good:
		return "alert alert-success"
	case Bad:
		return "alert alert-danger"
	case Warn:
		return "alert alert-warning"
	default:
		return "alert alert-info"
	}
}

func (k Kind) findingClass() string {
	switch k {
	case Good:
		return "f-ok"
	case Bad:
		return "f-bad"
	case Warn:
		return "f-warn"
	default:
		return "f-info"
	}
}

// word is said to those who do not see the icon.
func (k Kind) word() string {
	switch k {
	case Good:
		return "Good: "
	case Bad:
		return "Problem: "
	case Warn:
		return "Warning: "
	default:
		return "Note: "
	}
}

// attributes ties a field to its hint and error, which fieldNotes writes.
func (f Field) attributes(id string) templ.Attributes {
	all := templ.Attributes{}
	var notes []string
	if f.Error != "" {
		all["aria-invalid"] = "true"
		notes = append(notes, id+"-error")
	}
	if f.Hint != "" {
		notes = append(notes, id+"-hint")
	}
	if len(notes) > 0 {
		all["aria-describedby"] = strings.Join(notes, " ")
	}
	return all
}
