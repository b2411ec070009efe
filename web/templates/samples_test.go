package templates_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/a-h/templ"

	"orgconsole/web/templates"
)

// sample is one state of one screen.
type sample struct {
	name string
	page templ.Component
}

const memberURL = "/members/member-test-32fc5024-9c09-4da3-bd2e-c9ce4da9375f"

func page(title string) templates.Page {
	return templates.Page{
		Title: title,
		Nav: []templates.NavItem{
			{Label: "Members", URL: "/members", Icon: "members", Current: title != "Audit"},
			{Label: "Audit", URL: "/audit", Icon: "audit", Current: title == "Audit"},
		},
		Actor: &templates.Actor{
			Name: "Ada Admin", Email: "ada@acme.example", URL: "/members/member-test-ada",
			Roles: []string{"stytch_admin", "helpdesk"}, Organization: "Acme Corporation",
		},
		Demo:  true,
		Build: "v0.1.0",
	}
}

func signedOut(title string) templates.Page { return templates.Page{Title: title, Demo: true} }

func when(day int) templates.Time {
	return templates.Time{ISO: fmt.Sprintf("2026-11-%02dT10:32:00Z", day), Text: fmt.Sprintf("2026-11-%02d 10:32", day)}
}

func statusBadge(i int) templates.Badge {
	switch i % 9 {
	case 3:
		return templates.Badge{Text: "invited", Kind: templates.Info}
	case 5:
		return templates.Badge{Text: "pending", Kind: templates.Warn}
	case 7:
		return templates.Badge{Text: "deleted", Kind: templates.Bad}
	default:
		return templates.Badge{Text: "active", Kind: templates.Good}
	}
}

func memberRows(n int) []templates.MemberRow {
	first := []string{"Marisol", "Øystein", "Nguyễn Thị", "李", "Олена", "فاطمة", "Priya", "Zoë", "Kwame", "Søren"}
	last := []string{"Ruiz", "Haugen", "Lan", "小龍", "Шевченко", "الزهراء", "Raman", "de Vries", "Mensah", "Kierkegaard"}
	rows := make([]templates.MemberRow, n)
	for i := range rows {
		rows[i] = templates.MemberRow{
			URL:         fmt.Sprintf("/members/member-test-%08x-9c09-4da3-%04x-%012x", uint32(i)*2654435761, i*40503%65536, uint64(i+7)*0x9e3779b97f4a7c15>>16),
			Name:        first[i%10] + " " + last[i/10%10],
			Email:       fmt.Sprintf("%s.%d@acme.example", []string{"marisol.ruiz", "oystein", "lan.nguyen", "xiaolong.li", "olena", "fatima", "priya.raman", "zoe", "kwame", "s.kierkegaard"}[i%10], i*7919%1000),
			Status:      statusBadge(i),
			Roles:       [][]string{{}, {"helpdesk"}, {"stytch_admin", "billing_viewer"}, {"auditor"}}[i*7%4],
			PasswordSet: i%3 != 0,
			MFA:         []string{"off", "SMS code", "authenticator app"}[i%3],
			Updated:     when(i%28 + 1),
		}
	}
	return rows
}

func memberFilters(v templates.Members) templates.Members {
	v.Statuses = []templates.Option{{Value: "", Text: "Not deleted", Selected: true}, {Value: "active", Text: "Active"}, {Value: "invited", Text: "Invited"}, {Value: "all", Text: "All"}}
	v.Roles = []templates.Option{{Value: "", Text: "Any"}, {Value: "helpdesk", Text: "helpdesk"}, {Value: "stytch_admin", Text: "stytch_admin"}}
	v.Passwords = []templates.Option{{Value: "", Text: "Any"}, {Value: "set", Text: "Set"}, {Value: "not-set", Text: "Not set"}}
	return v
}

func somebody() templates.Person {
	return templates.Person{
		Name: "Marisol Ruiz", Email: "marisol.ruiz@acme.example", ID: "member-test-32fc5024-9c09-4da3-bd2e-c9ce4da9375f",
		URL: memberURL, Roles: []string{"stytch_member", "billing_viewer"},
		Badges: []templates.Badge{{Text: "active", Kind: templates.Good}},
	}
}

func retry() *templates.Form {
	return &templates.Form{Label: "Retry", Action: "/operations/0199-op/retry", Hidden: []templates.Hidden{{Name: "form", Value: "signed"}}}
}

func deleted() templates.Result {
	return templates.Result{
		Kind: templates.Good, Title: "Password deleted", Subject: "Password", Before: "set", After: "not set",
		RequestID: "request-id-test-b05c992f-ebdc-489d-a754-c7e70ba13141",
		Tell:      "Your password is gone and you are signed out everywhere. Use the reset link to set a new one; the mail may take some minutes.",
		Steps: []templates.Step{
			{Name: "Delete password", Outcome: templates.Badge{Text: "succeeded", Kind: templates.Good}, RequestID: "request-id-test-b05c992f-ebdc-489d-a754-c7e70ba13141"},
			{Name: "Sign out everywhere", Outcome: templates.Badge{Text: "failed", Kind: templates.Bad}, Text: "Stytch takes no more requests for now. Try again in 17 seconds.", RequestID: "request-id-test-5e7c", Retry: retry()},
			{Name: "Send reset email", Outcome: templates.Badge{Text: "unknown", Kind: templates.Warn}, Text: "Stytch did not answer in time. Sending again is harmless.", Retry: retry()},
		},
		Links: []templates.Link{{Text: "Receipt of this operation", URL: "/operations/0199-op"}},
	}
}

func memberGroups() []templates.Group {
	row := func(label, value string) templates.Row { return templates.Row{Label: label, Value: value} }
	return []templates.Group{
		{Title: "Identity", Rows: []templates.Row{
			row("Name", "Marisol Ruiz"),
			row("Email", "marisol.ruiz@acme.example"),
			{Label: "Email verified", Value: "yes", Kind: templates.Word, Tone: templates.Good},
			{Label: "Member id", Value: "member-test-32fc5024-9c09-4da3-bd2e-c9ce4da9375f", Kind: templates.Code},
			{Label: "External id", Value: "hr-00817", Kind: templates.Code},
			{Label: "Breakglass", Value: "no"},
		}},
		{Title: "Sign-in", Rows: []templates.Row{
			{Label: "Password", Value: "set", Kind: templates.Word, Tone: templates.Good, Note: "in this organization only"},
			{Label: "Password id", Value: "member-password-test-5c9c4f92-08b7-4fa1-9b4a-2a2b0f3c4c11", Kind: templates.Code},
		}},
		{Title: "MFA", Rows: []templates.Row{row("Enrolled", "yes"), row("Phone", "+15005550006"), row("Default method", "sms_otp"), {Label: "TOTP registration"}}},
		{Title: "Lock", Rows: []templates.Row{{Label: "Locked", Value: "locked", Kind: templates.Word, Tone: templates.Bad}, {Label: "Until", Value: "2026-11-23 11:32 UTC", ISO: "2026-11-23T11:32:00Z", Kind: templates.When}}},
		{Title: "Roles", Rows: []templates.Row{
			{Label: "billing_viewer", Sub: []templates.Row{row("Source", "sso_connection_group"), {Label: "Connection", Value: "saml-connection-test-51861cbc-d3b9-428b-9761-227f5fb12be9", Kind: templates.Code}, row("Group", "finance")}},
			{Label: "stytch_member", Sub: []templates.Row{row("Source", "direct_assignment")}},
		}},
		{Title: "SSO registrations", Rows: []templates.Row{
			{Label: "saml-registration-test-1", Sub: []templates.Row{
				{Label: "Connection", Value: "saml-connection-test-51861cbc-d3b9-428b-9761-227f5fb12be9", Kind: templates.Code},
				row("External id", "marisol"),
				{Label: "Attributes", Value: "{\n  \"department\": \"Finance\",\n  \"groups\": [\"finance\", \"emea\"]\n}", Kind: templates.Block},
			}},
		}},
		{Title: "OAuth registrations", Rows: []templates.Row{
			{Label: "Google", Sub: []templates.Row{
				row("Subject", "10769150350006150715113082367"),
				{Label: "Picture", Value: "https://lh3.example/a-/photo.png?size=96", Kind: templates.URL},
				row("Locale", "en"),
			}},
		}},
		{Title: "Retired addresses", Empty: "No address was retired."},
		{Title: "SCIM registration", Rows: []templates.Row{
			{Label: "Connection", Value: "scim-connection-test-cdd5415a-c470-42be-8369-5c90cf7762dc", Kind: templates.Code},
			{Label: "Enterprise", Sub: []templates.Row{row("Department", "Finance"), {Label: "Manager", Sub: []templates.Row{row("Name", "Kwame Mensah"), row("Reference", "https://scim.example/Users/26118915")}}}},
		}},
		{Title: "Metadata", Wide: true, Rows: []templates.Row{
			{Label: "Trusted", Value: "{\n  \"cost_center\": \"4130\"\n}", Kind: templates.Block},
			{Label: "Untrusted", Value: "{\n  \"theme\": \"dark\"\n}", Kind: templates.Block},
		}},
	}
}

func memberFull() templates.Member {
	p := page("Marisol Ruiz")
	p.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}}
	p.Lead = "marisol.ruiz@acme.example"
	p.Badges = []templates.Badge{{Text: "active", Kind: templates.Good}, {Text: "locked", Kind: templates.Bad}}
	return templates.Member{
		Page: p, Person: somebody(), Results: []templates.Result{deleted()},
		Actions: []templates.Action{
			{Label: "Delete password", URL: memberURL + "/password/delete", Danger: true, Text: "Asks for a reason first."},
			{Label: "Require password reset", Reason: "Needs stytch.member: update.info.delete.password. Roles that have it: stytch_admin, helpdesk.", Links: []templates.Link{{Text: "What happened", URL: "/operations/0199-op"}}},
		},
		Findings: []templates.Finding{
			{Kind: templates.Good, Text: "The member is active."},
			{Kind: templates.Bad, Text: "Locked after failed sign-ins, until 2026-11-23 11:32 UTC. There is no way to unlock sooner from here."},
			{Kind: templates.Warn, Text: "A password is set, but the organization does not allow signing in with one."},
			{Kind: templates.Info, Text: "A second factor is required at each sign-in: SMS code."},
		},
		Groups: memberGroups(),
		Rules: []templates.Group{
			{Title: "Methods", Rows: []templates.Row{{Label: "Allowed", Value: "RESTRICTED"}, {Label: "Methods", Value: "password, sso, google_oauth"}}},
			{Title: "MFA", Rows: []templates.Row{{Label: "Policy", Value: "REQUIRED_FOR_ALL"}, {Label: "Methods", Value: "sms_otp, totp"}}},
		},
		RawURL: memberURL + "?view=raw",
	}
}

func confirm() templates.ConfirmForm {
	return templates.ConfirmForm{
		Button: "Delete password", Action: memberURL + "/password/delete", Token: "v1.signed.token", CancelURL: memberURL,
		Reason:    templates.Field{Required: true, Hint: "Kept in the audit log."},
		Ticket:    templates.Field{Hint: "Like HELP-1234. May stay empty."},
		SignOut:   templates.Check{Offered: true, Hint: "Ends the 3 open sessions."},
		SendReset: templates.Check{Offered: true, Hint: "Mails marisol.ruiz@acme.example a link to set a new password."},
	}
}

func confirmation() templates.Confirm {
	p := page("Delete password")
	p.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}, {Text: "Marisol Ruiz", URL: memberURL}}
	return templates.Confirm{
		Page: p, Person: somebody(),
		Effects:  []string{"The password is deleted at once. It cannot be brought back.", "It ends no session, and no mail is sent by it.", "It is recorded in the audit log under your name."},
		Ways:     []string{"single sign-on (Okta)", "email magic link"},
		Sessions: "3 sessions are open. Deleting the password ends none of them.",
		Warnings: []templates.Notice{
			{Kind: templates.Warn, Text: "This member is an admin (stytch_admin)."},
			{Kind: templates.Warn, Title: "Another member looks nearly the same", Links: []templates.Link{{Text: "marisol.ruis@acme.example", URL: "/members/x"}}},
		},
		Form: confirm(),
	}
}

func auditRows() []templates.AuditRow {
	party := templates.Party{Text: "ada@acme.example", Detail: "Ada Admin", URL: "/members/member-test-ada"}
	target := templates.Party{Text: "marisol.ruiz@acme.example", Detail: "Marisol Ruiz", URL: memberURL}
	row := func(day int, action, phase, outcome string, kind templates.Kind) templates.AuditRow {
		return templates.AuditRow{
			Timeline: []templates.Moment{
				{Time: when(day), Text: "intent", URL: "/audit/0199-in"},
				{Time: when(day), Outcome: templates.Badge{Text: "outcome " + outcome, Kind: kind}, Detail: "Known from Stytch's answer.", URL: "/audit/0199-ev"},
			},
			Review: &templates.ReviewForm{Token: "t", Event: "0199-ev", Back: "outcome=denied", Button: "Mark reviewed"},
			Time:   when(day), Action: action, Phase: phase, Actor: party, Target: target, Outcome: templates.Badge{Text: outcome, Kind: kind},
			Reason: "Laptop stolen, caller verified by call-back", Ticket: "HELP-1234", EventURL: "/audit/0199-ev", OperationURL: "/operations/0199-op",
		}
	}
	signIn := templates.AuditRow{Time: when(20), Action: "Sign in", Phase: "outcome", Actor: templates.Party{Text: "mallory@nowhere.example"}, Outcome: templates.Badge{Text: "failed", Kind: templates.Bad}, Count: "×12", EventURL: "/audit/0199-si"}
	return []templates.AuditRow{
		row(23, "Send reset email", "outcome", "unknown", templates.Warn), row(23, "Sign out everywhere", "outcome", "failed", templates.Bad),
		row(23, "Delete password", "outcome", "succeeded", templates.Good), row(23, "Delete password", "intent", "", templates.Neutral),
		row(22, "Delete password", "outcome", "denied", templates.Bad), row(21, "Delete password", "outcome", "cancelled", templates.Info), signIn,
	}
}

func auditFull() templates.Audit {
	return templates.Audit{
		Page: proven(page("Audit")), Filtered: true, ClearURL: "/audit", Search: "stolen", Actor: "ada", Preset: "new",
		Presets: []templates.Preset{{Text: "All", URL: "/audit"}, {Text: "New since my last review", URL: "/audit?preset=new", Count: "12", Current: true}},
		Hours:   "Office hours are Mon-Fri 08:00-18:00 in the time zone UTC, from the console's settings.",
		Columns: []templates.Column{{Key: "time", Label: "Time"}, {Key: "action", Label: "Action"}, {Key: "actor", Label: "Actor"}, {Key: "reason", Label: "Reason"}, {Key: "ip", Label: "IP address"}, {Key: "outcome", Label: "Outcome"}},
		Choices: []templates.Option{{Value: "time", Text: "Time", Selected: true}, {Value: "ip", Text: "IP address"}},
		Hidden:  []templates.Hidden{{Name: "actor", Value: "ada"}}, Chart: bars(), Since: "12 new records since your last review.", SinceURL: "/audit/0199-re",
		Review: &templates.ReviewForm{Token: "t", Button: "Mark all 13 records as reviewed"}, PrevURL: "/audit?newer=x",
		Actions:  []templates.Option{{Text: "Any"}, {Value: "member.password.delete", Text: "Delete password", Selected: true}},
		Outcomes: []templates.Option{{Text: "Any"}, {Value: "succeeded", Text: "succeeded"}},
		From:     templates.Field{Value: "2026-11-01"}, To: templates.Field{Value: "2026-13-01", Error: "A date is YYYY-MM-DD."},
		Unsettled: auditRows()[:1], Rows: auditRows(), NextURL: "/audit?cursor=x", FirstURL: "/audit",
		Export: exports(),
	}
}

func proven(p templates.Page) templates.Page {
	p.Proof = &templates.Proof{Records: "1,234", Root: "4zXFrB7y", Note: "orgconsole/x/organization/y\n1234\n4zXFrB7yOZmBzKQ6SgTxoDU1zFFD097YeRx1XdVP3uk=\n\n— orgconsole-audit v5xKnb\n"}
	return p
}

func bars() *templates.Chart {
	return &templates.Chart{
		Unit: "day", Title: "Outcomes per day, 2026-11-22 to 2026-11-23, UTC", Desc: "In all 3 succeeded, 1 denied.", Most: "3", First: "2026-11-22", Last: "2026-11-23",
		Kinds: []templates.ChartKind{{Word: "succeeded", Total: "3"}, {Word: "denied", Total: "1"}},
		Bars: []templates.ChartBar{
			{Label: "2026-11-22", URL: "/audit?from=2026-11-22&to=2026-11-22", Says: "2026-11-22: none", Counts: []string{"0", "0"}},
			{Label: "2026-11-23", URL: "/audit?from=2026-11-23&to=2026-11-23", Says: "2026-11-23: 3 succeeded, 1 denied", Counts: []string{"3", "1"}, Parts: []templates.ChartPart{
				{Word: "succeeded", Y: "25.00", Height: "75.00"}, {Word: "denied", Y: "0.00", Height: "25.00"},
			}},
		},
	}
}

func verification(running bool) templates.Verification {
	p := proven(page("Verification"))
	if running {
		p.Refresh = 2
		return templates.Verification{Page: p, Running: true, Done: 10, Total: 1234, Progress: "10 of 1,234 records", Text: "Begun by audrey@acme.example."}
	}
	return templates.Verification{
		Page: p, Text: "It took 2s.", Result: templates.Notice{Kind: templates.Good, Title: "Intact", Text: "All 1,234 records."},
		Did: []string{"Hashed them."}, DoesNot: []string{"That nothing was cut off."}, Checkpoint: p.Proof.Note, EventURL: "/audit/0199-ve",
	}
}

func exports() templates.Export {
	return templates.Export{Size: "1,234 events.", Formats: []templates.ExportFormat{
		{Text: "NDJSON", Hint: "with what proves each event", URL: "/audit/export?actor=ada&format=ndjson"},
		{Text: "CSV", Hint: "for spreadsheets", URL: "/audit/export?actor=ada&format=csv"},
	}}
}

func operation() templates.Operation {
	p := page("Delete password")
	p.Lead = "Operation 0199f3a2-5b1c-7e55-8a9c-3f1f0a9b7d21"
	p.Paper = &templates.Paper{Address: "https://console.example/operations/0199-op", Loaded: "2026-11-23 10:33:00 UTC"}
	r := deleted()
	r.Links = []templates.Link{{Text: "The member as it is now", URL: memberURL}}
	return templates.Operation{
		Page: p, Result: r, Person: somebody(),
		Groups: []templates.Group{
			{Title: "Asked by", Rows: []templates.Row{{Label: "Actor", Value: "Ada Admin"}, {Label: "Reason", Value: "Laptop stolen, caller verified by call-back"}, {Label: "Ticket", Value: "HELP-1234"}}},
			{Title: "Times", Rows: []templates.Row{{Label: "Recorded", Value: "2026-11-23 10:32:11 UTC", ISO: "2026-11-23T10:32:11Z", Kind: templates.When}, {Label: "Answered", Value: "2026-11-23 10:32:12 UTC", ISO: "2026-11-23T10:32:12Z", Kind: templates.When}}},
			{Title: "Stytch’s answer", Rows: []templates.Row{{Label: "Status", Value: "200"}, {Label: "Request id", Value: "request-id-test-b05c992f-ebdc-489d-a754-c7e70ba13141", Kind: templates.Code}}},
		},
		Timeline: []templates.Moment{
			{Time: when(23), Text: "Intent recorded", URL: "/audit/1"},
			{Time: when(23), Text: "Delete password", Outcome: templates.Badge{Text: "succeeded", Kind: templates.Good}, Detail: "answer, 200", URL: "/audit/2"},
		},
		Receipt: "/operations/0199-op/receipt.json",
	}
}

func auditEvent() templates.AuditEvent {
	p := page("Delete password")
	p.Title, p.Heading = "Audit event", "Delete password: outcome"
	p.Crumbs = []templates.Link{{Text: "Audit", URL: "/audit"}}
	return templates.AuditEvent{
		Page: p, OperationURL: "/operations/0199-op",
		Groups: []templates.Group{
			{Title: "What", Rows: []templates.Row{{Label: "Action", Value: "member.password.delete", Kind: templates.Code}, {Label: "Outcome", Value: "succeeded", Kind: templates.Word, Tone: templates.Good}, {Label: "Time", Value: "2026-11-23 10:32:11.123 UTC", ISO: "2026-11-23T10:32:11.123Z", Kind: templates.When}}},
			{Title: "Who", Rows: []templates.Row{{Label: "Actor", Value: "ada@acme.example"}, {Label: "Session", Value: "member-session-test-fdd0cf4d-8f6a-4c48-8d5c-2f3f0b2e3a11", Kind: templates.Code}}},
		},
		Evidence: templates.Evidence{
			Verified: true,
			Says:     []string{"The bytes below are leaf 41 of the organization’s log.", "The log with 57 events was signed by this console’s key.", "It does not prove that an intruder holding the key wrote nothing."},
			LeafHash: "lGf7mJrXk0lB6oZ6v8b4kZQe0rT4pYtR5h1WcQe9u3A=", Place: "41, counted from 0, of 57 records",
			Proof:      []string{"Zk0lB6oZ6v8b4kZQe0rT4pYtR5h1WcQe9u3AlGf7mJr=", "b4kZQe0rT4pYtR5h1WcQe9u3AlGf7mJrZk0lB6oZ6v8="},
			Checkpoint: "org-console/organization-test-07971b06\n57\nlGf7mJrXk0lB6oZ6v8b4kZQe0rT4pYtR5h1WcQe9u3A=\n\n— org-console Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n",
		},
		Bytes: `{"seq":41,"id":"0199f3a2-5b1c-7e55-8a9c-3f1f0a9b7d21","action":"member.password.delete","phase":"outcome","outcome":"succeeded","reason":"Laptop stolen"}`,
	}
}

func failureOf(p templates.Page) templates.Failure {
	return templates.Failure{
		Page: p, Status: "502", Text: "Stytch answered with something that is not an answer.",
		Next: []string{"Try again in a minute.", "If it stays, give the request id to the operator of the console."}, ErrorType: "internal_server_error",
		UpstreamRequestID: "request-id-test-b05c992f-ebdc-489d-a754-c7e70ba13141", RequestID: "01J9Z3",
		Rows: []templates.Row{{Label: "Permission", Value: "stytch.member: search"}}, Links: []templates.Link{{Text: "Members", URL: "/members"}},
	}
}

func people() []templates.LoginPerson {
	return []templates.LoginPerson{
		{Name: "Ada Admin", Role: "org_admin", Email: "ada@acme.example", Password: "correct-horse-battery", Organization: "acme"},
		{Name: "Hana Helpdesk", Role: "helpdesk", Email: "hana@acme.example", Password: "staple-battery-horse", Organization: "acme"},
		{Name: "Otto Outsider", Role: "outsider", Email: "otto@globex.example", Password: "battery-staple-correct", Organization: "globex"},
	}
}

// qrPicture is a PNG of the right size, though nobody's QR code.
func qrPicture() string {
	const n = 29
	m := image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{color.White, color.Black})
	for i := range m.Pix {
		x, y := i%n, i/n
		fx, fy := min(x, n-1-x), min(y, n-1-y) // a finder pattern stands in three of four corners
		switch ring := max(abs(fx-3), abs(fy-3)); {
		case ring <= 4 && (x < n/2 || y < n/2):
			m.Pix[i] = uint8((1 - ring/4) * (1 - ring/2%2*(1-ring%2)))
		default:
			m.Pix[i] = uint8((i*i*31 + i*7 + x*y) >> 3 & 1)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

func abs(i int) int { return max(i, -i) }

func chosen(v templates.Login) templates.Login {
	v.Page, v.Chosen, v.Organization, v.Return, v.OtherURL = templates.Page{Title: "Sign in"}, true, "acme", "/audit", "/login"
	return v
}

func waysIn() []templates.Link {
	return []templates.Link{
		{Text: "Continue with Acme Okta", URL: "/login/sso/start?organization=acme&connection=saml-connection-test-1"},
		{Text: "Continue with Google", URL: "/login/oauth/google/start?organization=acme"},
		{Text: "Continue with Microsoft", URL: "/login/oauth/microsoft/start?organization=acme"},
	}
}

func codeForm() *templates.StepForm {
	return &templates.StepForm{
		Action: "/login/code/verify", Button: "Sign in",
		Fields: []templates.Input{{Name: "code", Label: "Code", Autocomplete: "one-time-code", InputMode: "numeric", Required: true, Focus: true, MaxLength: 12}},
	}
}

func passwordForm() *templates.StepForm {
	return &templates.StepForm{
		Action: "/account/password", Button: "Set password", Hidden: []templates.Hidden{{Name: "form", Value: "signed"}},
		Fields: []templates.Input{
			{Name: "email", Label: "Email", Type: "email", Value: "ada@acme.example", Autocomplete: "username"},
			{Name: "password", Label: "New password", Type: "password", Value: "never shown", Hint: "Length helps more than odd signs.", Error: "Choose a stronger password.", Autocomplete: "new-password", Required: true, Focus: true},
		},
	}
}

// wayInSamples are the pages on the way in, and those about it.
func wayInSamples() []sample {
	all := []sample{
		{"login-every-way", templates.LoginPage(templates.Login{Page: signedOut("Sign in"), Return: "/members", Password: true, Link: true, Code: true, More: true, FindURL: "/login/find", ForgotURL: "/login/forgot", People: people(), InboxURL: "http://127.0.0.1:4010/inbox"})},
		{"login-chosen", templates.LoginPage(chosen(templates.Login{Password: true, Emergency: true, Link: true, Code: true, More: true, Ways: waysIn(), FindURL: "/login/find", ForgotURL: "/login/forgot", Email: "ada@acme.example"}))},
		{"login-sso-and-link", templates.LoginPage(chosen(templates.Login{Link: true, Ways: waysIn()[:1], Emergency: true, FindURL: "/login/find"}))},
		{"login-sso-only", templates.LoginPage(chosen(templates.Login{Ways: waysIn(), Emergency: true, ForgotURL: "/login/forgot"}))},
		{"login-code-only", templates.LoginPage(chosen(templates.Login{Code: true, Ways: waysIn()[1:2]}))},
		{"login-no-way", templates.LoginPage(chosen(templates.Login{NoWay: "This organization allows no way of signing in that the console offers.", Emergency: true, FindURL: "/login/find"}))},
	}
	step := func(name, title string, v templates.SignInStep) {
		if v.Page.Title == "" {
			v.Page = templates.Page{Title: title}
		}
		all = append(all, sample{name, templates.SignInStepPage(v)})
	}
	again := []templates.StepForm{{Action: "/login/link", Button: "Send it again", Hint: "Only the newest link works.", Hidden: []templates.Hidden{{Name: "email", Value: "ada@acme.example"}}}}
	start := []templates.Link{{Text: "Start again", URL: "/login"}}
	step("step-sent", "Check your email", templates.SignInStep{
		Text: []string{"If ada@acme.example may sign in to acme, a link is on its way.", "It works once, within an hour, in this browser."}, Others: again, Links: start,
	})
	step("step-code", "Enter the code", templates.SignInStep{
		Text: []string{"It was sent to ada@acme.example and works for 10 minutes."}, Form: codeForm(), Others: []templates.StepForm{{Action: "/login/code", Button: "Send a new code"}}, Links: start,
	})
	wrong := codeForm()
	wrong.Fields[0].Error, wrong.Fields[0].Value = "That is not the code, or it is no longer good.", "123456"
	step("step-code-wrong", "Enter the code", templates.SignInStep{
		Error: &templates.Notice{Kind: templates.Bad, Title: "You are not signed in", Text: "Three more tries, then the account is locked for an hour.", RequestID: "request-id-test-9"}, Form: wrong, Links: start,
	})
	enter := func(id string) *templates.StepForm {
		return &templates.StepForm{Action: "/login/organizations", Button: "Continue", Hidden: []templates.Hidden{{Name: "organization_id", Value: id}}}
	}
	step("step-find", "Find my organization", templates.SignInStep{
		Text: []string{"You get a mail. With it you choose among the organizations you are in."},
		Form: &templates.StepForm{
			Action: "/login/find/link", Button: "Email me a link", Fields: []templates.Input{{Name: "email", Label: "Email", Type: "email", Autocomplete: "username", Required: true}},
			Also: []templates.StepButton{{Text: "Email me a code", Action: "/login/find/code"}},
		},
		Ways: waysIn()[1:], Links: []templates.Link{{Text: "I know my organization", URL: "/login"}},
	})
	step("step-organizations", "Choose an organization", templates.SignInStep{
		Text: []string{"ada@acme.example belongs to these."},
		Choices: []templates.StepChoice{
			{Title: "Acme Corporation", Text: "acme", Form: enter("organization-test-1")},
			{Title: "Northwind Traders of the Outer Hebrides and Surrounding Isles", Text: "northwind · asks for a second factor", Badge: templates.Badge{Text: "invited", Kind: templates.Info}, Form: enter("organization-test-2")},
			{Title: "Initech", Text: "Sign in again: this organization wants single sign-on.", URL: "/login?organization=initech", Button: "Sign in"},
		}, Links: []templates.Link{{Text: "Use another email address", URL: "/login/find"}},
	})
	step("step-organizations-none", "Choose an organization", templates.SignInStep{
		Info: &templates.Notice{Kind: templates.Info, Title: "No organization", Text: "mallory@nowhere.example belongs to none."}, Links: []templates.Link{{Text: "Use another email address", URL: "/login/find"}},
	})
	step("step-mfa", "Second factor", templates.SignInStep{
		Text: []string{"Enter the code your authenticator app shows for Org Console."}, Form: codeForm(),
		Others: []templates.StepForm{
			{Action: "/mfa/sms/send", Button: "Send a code to +1 ··· ··06"},
			{Action: "/mfa/recovery", Button: "Use recovery code", Fields: []templates.Input{{Name: "recovery_code", Label: "Recovery code", Hint: "Each works once.", Autocomplete: "off", Required: true}}},
		}, Links: start,
	})
	step("step-mfa-enrol", "Set up a second factor", templates.SignInStep{
		Text: []string{"Northwind Traders asks for one from everybody."},
		Choices: []templates.StepChoice{
			{Title: "Authenticator app", Text: "Works without a network. An app on your phone shows a new code every 30 seconds.", Badge: templates.Badge{Text: "safer", Kind: templates.Good}, Form: &templates.StepForm{Action: "/mfa/enroll/totp", Button: "Set up"}},
		},
		Others: []templates.StepForm{{Action: "/mfa/enroll/sms", Button: "Send a code", Fields: []templates.Input{{Name: "phone", Label: "Mobile phone", Type: "tel", Autocomplete: "tel", Hint: "With country code, like +1 500 555 0006.", Required: true}}}},
	})
	step("step-totp-enrol", "Set up your authenticator app", templates.SignInStep{
		Text: []string{"Scan this with an authenticator app, then enter the code it shows."},
		QR:   &templates.QR{Image: qrPicture(), Secret: "JBSW Y3DPEHPK3PXPJBSWY3DPEHPK3PXP", Alt: "QR code with the key below"}, Form: codeForm(),
	})
	step("step-recovery-codes", "Recovery codes", templates.SignInStep{
		Text:  []string{"Each signs you in once when your phone is gone. They are shown only now: print them or keep them where you keep passwords."},
		Codes: []string{"ckss-2skx-ebow", "spbc-424h-usw0", "hi08-n5tk-lns5", "1n6i-l5na-8axe", "aduj-eszy-pb1q", "ajv6-8uic-q3m4", "yhpb-ma5r-pnx3", "lizx-jdnr-wvn1", "gbdt-x3ln-aznq", "ug4q-8mlp-zvm2"},
		Form:  &templates.StepForm{Action: "/mfa/recovery-codes", Button: "I have kept them"},
	})
	step("step-continue", "Signing in", templates.SignInStep{
		Text: []string{"One more click, so that a mail scanner cannot use up your link."}, Form: &templates.StepForm{Action: "/authenticate", Button: "Continue"}, AutoSubmit: true,
	})
	step("step-forgot", "Forgot password", templates.SignInStep{
		Text: []string{"A link to set a new one goes to your address."},
		Form: &templates.StepForm{Action: "/login/forgot", Button: "Send link", Fields: []templates.Input{
			{Name: "organization", Label: "Organization", Value: "acme", Autocomplete: "organization", Required: true},
			{Name: "email", Label: "Email", Type: "email", Autocomplete: "username", Required: true},
		}}, Links: []templates.Link{{Text: "Sign in", URL: "/login"}},
	})
	weak := &templates.Notice{Kind: templates.Bad, Title: "This password is too easy to guess", Lines: []string{"It contains your email address.", "Add another word or two.", "It was found in a leak of another site’s passwords."}}
	step("step-new-password", "New password", templates.SignInStep{Error: weak, Facts: []templates.Row{{Label: "Account", Value: "ada@acme.example"}, {Label: "Organization", Value: "Acme Corporation"}}, Form: passwordForm(), Links: start})
	step("step-danger", "Replace the authenticator app", templates.SignInStep{
		Info: &templates.Notice{Kind: templates.Warn, Text: "The codes of the old one stop working."}, Form: &templates.StepForm{Action: "/x", Button: "Replace", Danger: true, Hint: "You are asked for a code of the new one next."},
	})

	signedIn := page("Change password")
	signedIn.Crumbs = []templates.Link{{Text: "Account", URL: "/account"}}
	signedIn.Session = sessionLife()
	all = append(all, sample{"account-password", templates.SignInStepPage(templates.SignInStep{Page: signedIn, Error: weak, Form: passwordForm()})})
	account := templates.Account{
		Page: page("Account"), Notice: &templates.Notice{Kind: templates.Good, Title: "Your password is changed", Text: "Your other sessions have ended.", RequestID: "request-id-test-8"},
		Session: []templates.Row{{Label: "Signed in with", Value: "Password, authenticator app"}, {Label: "Since", Value: "2026-11-23 12:31 UTC", ISO: "2026-11-23T12:31:00Z", Kind: templates.When}, {Label: "Session", Value: "member-session-test-fdd0cf4d-8f6a-4c48-8d5c-2f3f0b2e3a11", Kind: templates.Code}},
		Cards: []templates.AccountCard{
			{Title: "Password", Text: "Set. Changing it ends your other sessions.", Links: []templates.Link{{Text: "Change password", URL: "/account/password"}}},
			{Title: "Organizations", Text: "You are in Acme Corporation.", Links: []templates.Link{{Text: "Switch organization", URL: "/account/organizations"}}},
			{Title: "Second factor", Text: "Authenticator app. Whoever looks after members can remove it."},
		},
	}
	account.Page.Session = sessionLife()
	all = append(all, sample{"account", templates.AccountPage(account)})
	imposed := memberFull()
	imposed.Page.Session = sessionLife()
	imposed.Page.Actor.Impersonator = "support@stytch.example"
	all = append(all, sample{"impersonated", templates.MemberPage(imposed)})
	return all
}

func sessionLife() *templates.SessionLife {
	return &templates.SessionLife{IdleSeconds: 1800, EndSeconds: 28795, EndsAt: templates.Time{ISO: "2026-11-23T20:31:00Z", Text: "20:31 UTC"}}
}

// samples is every screen in the states that look different.
func samples() []sample {
	trouble := templates.Notice{Kind: templates.Bad, Title: "Stytch did not answer in time", Text: "Nothing was changed. Reload the page to try again.", RequestID: "request-id-test-1"}
	forbidden := templates.Notice{Kind: templates.Bad, Title: "Your roles do not allow searching members", Text: "It needs stytch.member: search. Roles that have it: stytch_admin, helpdesk, auditor."}

	refused := confirmation()
	refused.Form.Reason.Error = "A reason is required."
	refused.Form.Ticket.Value, refused.Form.Ticket.Error = "abc", "A ticket looks like HELP-1234."
	refused.Form.Error = "Nothing was sent. Two fields need another value."
	refused.Form.SignOut = templates.Check{Offered: true, Disabled: "Needs stytch.member: revoke-sessions."}
	refused.Form.SendReset.Checked = true
	refused.Person.Self = true
	refused.Ways, refused.WaysNote = nil, "None. Without a password this member cannot sign in until they set a new one."

	cannot := confirmation()
	cannot.Disabled = &templates.Notice{Kind: templates.Info, Title: "No password is set", Text: "Already deleted 10:32 UTC by Ada Admin.", Links: []templates.Link{{Text: "Receipt", URL: "/operations/0199-op"}}}

	reset := templates.Confirm{
		Page: page("Require password reset"), Person: somebody(), WaysNote: "None.", Form: confirm(),
		Effects: []string{"The password of marisol.ruiz@acme.example stops working in every organization of the project."},
	}
	reset.Form.SignOut, reset.Form.Button = templates.Check{}, "Require password reset"

	raw := memberFull()
	raw.Raw = &templates.Raw{JSON: "{\n  \"member_id\": \"member-test-32fc5024\",\n  \"name\": \"Marisol Ruiz\"\n}", RequestID: "request-id-test-2", CloseURL: memberURL}

	noticed := page("Members")
	noticed.Notices = []templates.Notice{{Kind: templates.Good, Title: "Signed in", Lines: []string{"As Ada Admin."}}}

	noExport := auditFull()
	noExport.Export.Size, noExport.Export.Disabled = "", "Needs console.audit: export. Roles that have it: auditor."
	unverified := auditEvent()
	unverified.Evidence = templates.Evidence{Problem: "The stored bytes do not give the leaf hash in the tree."}

	return append(wayInSamples(), []sample{
		{"login-demo", templates.LoginPage(templates.Login{Page: signedOut("Sign in"), Return: "/members?q=x", People: people()})},
		{"login-error", templates.LoginPage(templates.Login{Page: templates.Page{Title: "Sign in"}, Organization: "acme", Email: "ada@acme.example", Error: &templates.Notice{Kind: templates.Bad, Title: "Sign-in failed", Text: "The organization, email or password is not right."}})},
		{"members-full", templates.MembersPage(memberFilters(templates.Members{Page: page("Members"), Rows: memberRows(100), Count: "100 shown of 250 members", NextURL: "/members?cursor=x", PreviousURL: "/members"}))},
		{"members-scan", templates.MembersPage(memberFilters(templates.Members{Page: noticed, Search: "ruiz", Filtered: true, ClearURL: "/members", Rows: memberRows(4), Count: "4 found so far", Scan: &templates.Scan{Text: "Searched 5,000 of 12,000 members by name.", GoOn: "/members?q=ruiz&searched=5000", Label: "Go on searching"}}))},
		{"members-empty", templates.MembersPage(memberFilters(templates.Members{Page: page("Members"), Search: "zz", Filtered: true, ClearURL: "/members", Empty: "No member matches these filters.", Hint: "Search by at least three characters of the email, or by name.", Count: "0 members"}))},
		{"members-trouble", templates.MembersPage(memberFilters(templates.Members{Page: page("Members"), Problem: &trouble}))},
		{"members-forbidden", templates.MembersPage(templates.Members{Page: page("Members"), Problem: &forbidden})},
		{"member-full", templates.MemberPage(memberFull())},
		{"member-raw", templates.MemberPage(raw)},
		{"member-bare", templates.MemberPage(templates.Member{Page: page("nobody@acme.example")})},
		{"delete-password", templates.ConfirmPage(confirmation())},
		{"delete-password-refused", templates.ConfirmPage(refused)},
		{"delete-password-disabled", templates.ConfirmPage(cannot)},
		{"require-reset", templates.ConfirmPage(reset)},
		{"operation", templates.OperationPage(operation())},
		{"operation-bare", templates.OperationPage(templates.Operation{Page: page("Delete password"), Result: templates.Result{Kind: templates.Warn, Title: "Delete password: outcome unknown", Text: "The member is read again every 15 seconds.", Retry: retry()}})},
		{"audit-full", templates.AuditPage(auditFull())},
		{"audit-no-export", templates.AuditPage(noExport)},
		{"verification", templates.VerificationPage(verification(false))},
		{"verification-running", templates.VerificationPage(verification(true))},
		{"audit-empty", templates.AuditPage(templates.Audit{Page: page("Audit"), Empty: "No event matches these filters.", Filtered: true, ClearURL: "/audit"})},
		{"audit-trouble", templates.AuditPage(templates.Audit{Page: page("Audit"), Problem: &trouble})},
		{"audit-event", templates.AuditEventPage(auditEvent())},
		{"audit-event-unverified", templates.AuditEventPage(unverified)},
		{"failure-signed-in", templates.FailurePage(failureOf(page("Stytch is in trouble")))},
		{"failure-signed-out", templates.FailurePage(failureOf(signedOut("Not found")))},
		{"signed-out", templates.SignedOutPage(templates.SignedOut{Page: signedOut("Signed out"), Text: "You are signed out here, but Stytch did not confirm it.", Next: []string{"Close the browser if the computer is not yours."}, UpstreamRequestID: "request-id-test-3", RequestID: "01J9Z4", SignInURL: "/login"})},
	}...)
}
