package templates

import "strings"

// SignInStep is every page on the way in other than the first: a form, a choice,
// a remark, codes to keep.
type SignInStep struct {
	Page   Page
	Error  *Notice
	Info   *Notice // a remark, not announced
	Text   []string
	Facts  []Row
	QR     *QR
	Codes  []string // recovery codes, shown this once
	Form   *StepForm
	Ways   []Link     // other ways on, as buttons below the form
	Others []StepForm // smaller, below

	// AutoSubmit has the script submit Form at once. Without script it is a
	// page with a button.
	AutoSubmit bool

	Choices []StepChoice
	Links   []Link
}

// QR is a picture to scan and the same to type by hand.
type QR struct {
	Image  string // data: URI of a PNG; anything else is not shown
	Secret string
	Alt    string
}

// StepForm is a form of a step. One without fields is a button.
type StepForm struct {
	Action string
	Hidden []Hidden
	Fields []Input
	Button string
	Also   []StepButton // send the same fields elsewhere
	Hint   string
	Danger bool
}

// StepButton is a second button of a form.
type StepButton struct{ Text, Action string }

// Input is a field of a step's form. A password typed before is never filled in.
type Input struct {
	Name, Label     string
	Type            string // text, email, password or tel
	Value           string
	Hint, Error     string
	Autocomplete    string
	InputMode       string
	Required, Focus bool
	MaxLength       int // 0: any
}

// StepChoice is one of several, such as an organization: a button or a link.
type StepChoice struct {
	Title, Text string
	Badge       Badge
	Form        *StepForm
	URL, Button string
}

// card reports whether there is more than words above the choices.
func (v SignInStep) card() bool {
	return len(v.Facts) > 0 || v.QR != nil || len(v.Codes) > 0 || v.Form != nil || len(v.Choices) == 0 && v.more()
}

func (v SignInStep) more() bool { return len(v.Ways) > 0 || len(v.Others) > 0 }

func (q QR) image() string {
	if strings.HasPrefix(q.Image, "data:image/png;base64,") {
		return q.Image
	}
	return ""
}

// groups is the secret in fours.
func (q QR) groups() []string {
	var all []string
	rest := []rune(strings.Join(strings.Fields(q.Secret), ""))
	for len(rest) > 4 {
		all, rest = append(all, string(rest[:4])), rest[4:]
	}
	if len(rest) > 0 {
		all = append(all, string(rest))
	}
	return all
}

func (f StepForm) class(quiet bool) string {
	switch {
	case f.Danger:
		return "btn btn-danger"
	case quiet:
		return "btn"
	default:
		return "btn btn-primary"
	}
}

func (i Input) kind() string {
	switch i.Type {
	case "email", "password", "tel":
		return i.Type
	default:
		return "text"
	}
}

func (i Input) value() string {
	if i.Type == "password" {
		return ""
	}
	return i.Value
}

// code reports whether the field takes a code of a few digits.
func (i Input) code() bool { return i.Autocomplete == "one-time-code" }

func (i Input) field() Field { return Field{Hint: i.Hint, Error: i.Error} }
