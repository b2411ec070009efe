package sandbox

import (
	"html/template"
	"net/http"
	"slices"
)

// inboxMail is a message as a person reads it.
type inboxMail struct {
	Subject, Channel, To, Organization string
	Sent, Expires                      string
	Code                               string
	Links                              []inboxLink
}

type inboxLink struct{ Text, URL string }

var inboxBody = template.Must(template.New("inbox").Parse(`<p>Mails and text messages that Stytch would have sent, newest first. This is a local stand-in: nothing leaves the machine.</p>
{{range .Mails}}<article>
<h2>{{.Subject}}</h2>
<p>{{if eq .Channel "sms"}}Text message{{else}}Mail{{end}} to {{.To}}{{with .Organization}}, {{.}}{{end}}<br>Sent {{.Sent}}, good until {{.Expires}}</p>
{{with .Code}}<p>Code: <code>{{.}}</code></p>
{{end}}{{range .Links}}<p><a href="{{.URL}}" rel="noreferrer">{{.Text}}</a></p>
{{end}}</article>
{{else}}<p>Nothing was sent yet.</p>
{{end}}<h2>People worth trying</h2>
<p>What an authenticator app would show changes every half minute: reload this page.</p>
<div class="wide"><table>
<thead><tr><th>Email</th><th>Organization</th><th>Password</th><th>Authenticator app</th><th>Why</th></tr></thead>
<tbody>{{range .People}}<tr><td>{{.Email}}</td><td>{{.Organization}}</td><td>{{.Password}}</td><td>{{.AppCode}}</td><td>{{.Note}}</td></tr>
{{end}}</tbody></table></div>`))

// inboxPerson is somebody to sign in as, with what they know and hold.
type inboxPerson struct{ Email, Organization, Password, AppCode, Note string }

// inboxWords are the subject of a kind of message and what its link says.
func inboxWords(kind string) (subject, link string) {
	switch kind {
	case mailLoginLink:
		return "Your sign-in link", "Sign in"
	case mailSignupLink:
		return "Confirm your address and sign in", "Sign in"
	case mailInvite:
		return "You are invited", "Accept the invitation"
	case mailDiscoveryLink:
		return "Your sign-in link for all your organizations", "Sign in"
	case mailLoginCode:
		return "Your sign-in code", ""
	case mailDiscoveryCode:
		return "Your sign-in code for all your organizations", ""
	case mailPasswordReset, mailDiscoveryReset:
		return "Set a new password", "Set a new password"
	default:
		return "Your code", ""
	}
}

// inboxPage shows the outbox to people. Whoever reaches the sandbox is on its machine, so it asks for nothing.
func (s *Sandbox) inboxPage(map[string]string, *http.Request) output {
	p := s.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	const clock = "2006-01-02 15:04:05 MST"
	var list []inboxMail
	var people []inboxPerson
	for _, m := range slices.Backward(s.messages()) {
		subject, link := inboxWords(m.Kind)
		shown := inboxMail{
			Subject: subject, Channel: m.Channel, To: m.To, Sent: m.Time.Format(clock), Expires: m.ExpiresAt.Format(clock), Code: m.Code,
		}
		if m.ref != nil {
			shown.Organization = p.orgs[m.ref.org].json.OrganizationName
		}
		if m.URL != "" {
			shown.Links = append(shown.Links, inboxLink{link, m.URL})
		}
		if m.LoginURL != "" {
			shown.Links = append(shown.Links, inboxLink{"Sign in without a password", m.LoginURL})
		}
		list = append(list, shown)
	}
	for _, noted := range p.people {
		m := p.member(noted.ref)
		who := inboxPerson{Email: m.json.EmailAddress, Organization: p.orgs[noted.ref.org].json.OrganizationSlug, AppCode: s.nextCode(m), Note: noted.note}
		if m.json.MemberPasswordID == p.passwordID(noted.ref) {
			who.Password = p.ids.password(m.json.MemberID)
		}
		people = append(people, who)
	}
	return htmlOutput(http.StatusOK, pageContent{Title: "Sandbox inbox", Body: inboxBody, Data: map[string]any{"Mails": list, "People": people}})
}
