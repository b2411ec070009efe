package templates_test

import (
	"bytes"
	"compress/gzip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"orgconsole/web/templates"
)

func render(t *testing.T, c templ.Component) (string, *goquery.Document) {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatalf("Render: %v", err)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return b.String(), doc
}

// checkPage holds for every page whatever is on it.
func checkPage(t *testing.T, doc *goquery.Document) {
	t.Helper()
	if n := doc.Find("h1").Length(); n != 1 {
		t.Errorf("%d h1, want 1", n)
	}
	if n := doc.Find("script").Length(); n != 1 {
		t.Errorf("%d scripts, want 1", n)
	}
	if n := doc.Find("style").Length(); n != 0 {
		t.Errorf("%d style elements, want none", n)
	}
	ids := map[string]bool{}
	doc.Find("*").Each(func(_ int, s *goquery.Selection) {
		node := s.Get(0)
		for _, a := range node.Attr {
			switch {
			case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>: inline style or script", node.Data, a.Key, a.Val)
			case a.Key == "src", a.Key == "href" && (node.Data == "link" || node.Data == "use"):
				picture := node.Data == "img" && strings.HasPrefix(a.Val, "data:image/png;base64,")
				if !picture && !strings.HasPrefix(a.Val, "/static/") {
					t.Errorf("<%s %s=%q> is loaded from elsewhere", node.Data, a.Key, a.Val)
				}
			case a.Key == "href", a.Key == "action":
				u, err := url.Parse(a.Val)
				if err == nil && u.Hostname() == "127.0.0.1" && s.Closest(".people").Length() == 1 && s.AttrOr("rel", "") == "noopener" {
					break // the demo's inbox
				}
				if err != nil || u.Host != "" || u.Scheme != "" && a.Val != string(templ.FailedSanitizationURL) {
					t.Errorf("<%s %s=%q> leads elsewhere", node.Data, a.Key, a.Val)
				}
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("id %q twice", a.Val)
				}
				ids[a.Val] = true
			}
		}
		if node.Data == "script" && s.Text() != "" {
			t.Errorf("inline script: %s", s.Text())
		}
	})
	doc.Find("[aria-describedby], [aria-labelledby], label[for]").Each(func(_ int, s *goquery.Selection) {
		for _, key := range []string{"aria-describedby", "aria-labelledby", "for"} {
			for id := range strings.FieldsSeq(s.AttrOr(key, "")) {
				if !ids[id] {
					t.Errorf("%s names %q, which is not there", key, id)
				}
			}
		}
	})
	doc.Find("input:not([type=hidden]), select, textarea").Each(func(_ int, s *goquery.Selection) {
		if doc.Find("label[for='"+s.AttrOr("id", "?")+"']").Length() != 1 {
			t.Errorf("field %q has no label", s.AttrOr("name", ""))
		}
	})
	doc.Find("table").Each(func(_ int, s *goquery.Selection) {
		if s.Find("caption").Length() != 1 || s.Find("thead th:not([scope=col])").Length() != 0 {
			t.Error("a table without caption or column scopes")
		}
	})
	signedIn := doc.Find("nav[aria-label=Main]").Length() == 1
	out := doc.Find("form[method=post][action='/logout'] button")
	out.Each(func(_ int, s *goquery.Selection) {
		if got := s.Text(); got != "Sign out" {
			t.Errorf("sign-out button %q", got)
		}
	})
	if wants := doc.Find(".impersonation").Length(); out.Length() < 1 == signedIn || signedIn && out.Length() != 1+wants {
		t.Errorf("%d sign-out buttons, signed in %v, banners %d", out.Length(), signedIn, wants)
	}
	if doc.Find("a.skip[href='#main']").Length() != 1 || doc.Find("main#main").Length() != 1 {
		t.Error("no way to skip to the content")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, doc := render(t, s.page)
			checkPage(t, doc)
		})
	}
}

// has is a part of a page that people and scripts rely on.
type has struct{ selector, text string }

func TestPageParts(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]has{
		"login-demo": {
			{"title", "Sign in · Org Console"},
			{"h1", "Sign in"},
			{"form[method=post][action='/login/password'] button[type=submit]", "Sign in"},
			{"label[for=organization]", "Organization"},
			{"label[for=email]", "Email"},
			{"label[for=password]", "Password"},
			{"aside.demo strong", "Demo."},
			{".people tbody tr:nth-child(1) td:nth-child(3) code", "ada@acme.example"},
		},
		"login-error": {{"[role=alert] .title", "Sign-in failed"}},
		"login-every-way": {
			{"form a[href='/login/forgot']", "Forgot password?"},
			{"main > p a[href='/login/find']", "Find my organization"},
			{".people a[target=_blank][rel=noopener]", "sandbox inbox"},
		},
		"login-chosen":   {{".chosen bdi", "acme"}, {".chosen a[href='/login']", "Another organization"}, {"label[for=email]", "Email"}},
		"login-sso-only": {{"details summary", "Break-glass account"}, {"details form[action='/login/password'] button", "Sign in"}, {"details label[for=emergency-password]", "Password"}},
		"login-no-way":   {{".alert bdi", "This organization allows no way of signing in that the console offers."}},
		"step-code-wrong": {
			{"h1", "Enter the code"},
			{"form[action='/login/code/verify'] label[for=code]", "Code"},
			{"#code-error", "That is not the code, or it is no longer good."},
			{"[role=alert] .title", "You are not signed in"},
		},
		"step-organizations": {
			{".choices li:nth-child(2) .title", "Northwind Traders of the Outer Hebrides and Surrounding Isles"},
			{".choices li:nth-child(2) .badge", "invited"},
			{".choices li:nth-child(2) form[method=post][action='/login/organizations'] button[aria-describedby=choice-1]", "Continue"},
			{".choices li:nth-child(3) a[href='/login?organization=initech'][aria-describedby=choice-2]", "Sign in"},
		},
		"step-find": {
			{"form[action='/login/find/link'] button.btn-primary", "Email me a link"},
			{"form button[formaction='/login/find/code']:not(.btn-primary)", "Email me a code"},
			{"section > a.btn[href='/login/oauth/google/start?organization=acme']", "Continue with Google"},
		},
		"step-totp-enrol":     {{"#secret", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, {"#secret span:nth-child(2)", "Y3DP"}, {"button[data-copy=secret][hidden]", "Copy"}},
		"step-recovery-codes": {{"#codes li:nth-child(10) code", "ug4q-8mlp-zvm2"}, {"button[data-copy=codes][hidden]", "Copy"}, {"button[data-print][hidden]", "Print"}},
		"step-continue":       {{"form[data-autosubmit][action='/authenticate'] button", "Continue"}},
		"step-new-password":   {{"[role=alert] li:nth-child(2)", "Add another word or two."}, {"label[for=password]", "New password"}},
		"account": {
			{"h1", "Account"},
			{"[role=status] .title", "Your password is changed"},
			{"a.btn[href='/account/password']", "Change password"},
			{".who a[href='/account']", "Account"},
			{".who a[href='/account/organizations']", "Switch organization"},
			{"footer span:last-child", "Signed in until 20:31 UTC at the latest; idle pages end after 30 minutes."},
			{"dialog#session-warning:not([open]) button[data-stay]", "Stay signed in"},
			{"#session-warning a[href='/login'][target=_blank][rel=noopener]", "Sign in again"},
			{"#session-warning p[data-when=ended]", "Your session has ended. What you typed is still here. Sign in again in another tab, then come back."},
		},
		"impersonated": {
			{"[role=note][aria-label=Impersonation]", "Impersonated session. support@stytch.example is signed in as Ada Admin (ada@acme.example). Everything done is recorded as such."},
			{".impersonation form[method=post][action='/logout'] button", "Sign out"},
		},
		"members-full": {
			{"h1", "Members"},
			{"form[method=get][action='/members'] label[for=q]", "Search"},
			{"form[method=get] button[type=submit]", "Apply"},
			{"nav a[aria-current=page]", "Members"},
			{"a[rel=next]", "Next"},
			{"a[rel=prev]", "Previous"},
			{".pager p", "100 shown of 250 members"},
			{"tbody tr:nth-child(1) th a[href^='/members/member-']", "Marisol Ruiz"},
			{"tbody tr:nth-child(1) td:nth-child(5)", "not set"},
		},
		"members-scan":      {{".scan a[href='/members?q=ruiz&searched=5000']", "Go on searching"}, {"[role=status] .title", "Signed in"}},
		"members-empty":     {{".empty .title", "No member matches these filters."}, {"a[href='/members'].btn", "Clear"}},
		"members-trouble":   {{"[role=alert] code", "request-id-test-1"}},
		"members-forbidden": {{"[role=alert] .title", "Your roles do not allow searching members"}},
		"member-full": {
			{"h1", "Marisol Ruiz"},
			{"[role=status] .title", "Password deleted"},
			{"[role=status] .change ins", "not set"},
			{"[role=status] .change del", "set"},
			{".alert[role=status] .rid code", "request-id-test-b05c992f-ebdc-489d-a754-c7e70ba13141"},
			{".steps li:nth-child(2) [role=alert] .badge", "failed"},
			{".steps li:nth-child(2) form[method=post] button", "Retry"},
			{".tell strong", "Tell the caller:"},
			{".result a[href='/operations/0199-op']", "Receipt of this operation"},
			{".actions a.btn-danger[href$='/password/delete']", "Delete password"},
			{".actions button[disabled]", "Require password reset"},
			{".actions .reason", "Needs stytch.member: update.info.delete.password. Roles that have it: stytch_admin, helpdesk."},
			{".f-ok bdi", "The member is active."},
			{"code.url", "https://lh3.example/a-/photo.png?size=96"},
		},
		"member-raw": {{"dialog[open] button[data-copy=raw-json][hidden]", "Copy"}, {"dialog[open] a", "Close"}},
		"delete-password": {
			{"h1", "Delete password"},
			{"form[method=post][action$='/password/delete'] button.btn-danger", "Delete password"},
			{"label[for=reason]", "Reason"},
			{"label[for=ticket]", "Ticket"},
			{"label[for=sign_out]", "Sign out everywhere"},
			{"label[for=send_reset]", "Send reset email"},
			{"form a[href='" + memberURL + "']", "Cancel"},
			{".person code", "member-test-32fc5024-9c09-4da3-bd2e-c9ce4da9375f"},
		},
		"delete-password-refused": {
			{"#reason-error", "A reason is required."},
			{"form [role=alert] .title", "Nothing was sent. Two fields need another value."},
		},
		"delete-password-disabled": {{"[role=status] .title", "No password is set"}},
		"require-reset":            {{"h1", "Require password reset"}, {"button.btn-danger", "Require password reset"}},
		"operation":                {{".timeline li:nth-child(2) .badge", "succeeded"}, {".person a", "Marisol Ruiz"}, {"a[download][href='/operations/0199-op/receipt.json']", "Download receipt"}, {"button[data-print][hidden]", "Print"}},
		"operation-bare":           {{".result [role=alert] form button", "Retry"}},
		"audit-full": {
			{"h1", "Audit"},
			{"#unsettled", "Outcome not known yet"},
			{"label[for=actor]", "Actor"},
			{"label[for=outcome]", "Outcome"},
			{"a[rel=next]", "Older"},
			{"#to-error", "A date is YYYY-MM-DD."},
			{"details.export summary", "Export"},
			{"details.export a[download][href='/audit/export?actor=ada&format=csv']", "CSV"},
			{"details.export strong", "1,234 events."},
		},
		"audit-no-export": {
			{"details.export a[aria-disabled=true][aria-describedby=export-disabled]:not([href])", "NDJSON"},
			{"#export-disabled", "Needs console.audit: export. Roles that have it: auditor."},
		},
		"audit-empty":            {{".empty .title", "No event matches these filters."}},
		"audit-event":            {{".alert-success .title bdi", "Verified"}},
		"audit-event-unverified": {{"[role=alert] .title", "Not verified"}},
		"failure-signed-in":      {{"[role=alert] .title", "Stytch answered with something that is not an answer."}},
		"failure-signed-out":     {{"h1", "Not found"}},
		"signed-out":             {{"a[href='/login']", "Sign in"}, {"[role=alert] .title", "You are signed out here, but Stytch did not confirm it."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, doc := render(t, pageNamed(t, name))
			for _, p := range parts {
				if got := strings.TrimSpace(doc.Find(p.selector).First().Text()); got != p.text {
					t.Errorf("%s: %q, want %q", p.selector, got, p.text)
				}
			}
		})
	}
}

func pageNamed(t *testing.T, name string) templ.Component {
	t.Helper()
	for _, s := range samples() {
		if s.name == name {
			return s.page
		}
	}
	t.Fatalf("no sample %q", name)
	return nil
}

func TestConfirmationKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	_, doc := render(t, pageNamed(t, "delete-password-refused"))
	for selector, want := range map[string]string{
		"#ticket[value]":                    "abc",
		"input[type=hidden][name=form]":     "v1.signed.token",
		"#send_reset[checked][name]":        "1",
		"#sign_out[disabled][name]":         "1",
		"#reason[aria-describedby][name]":   "",
		"#ticket[aria-invalid=true][value]": "abc",
	} {
		if got, ok := doc.Find(selector).Attr("value"); got != want || doc.Find(selector).Length() != 1 {
			t.Errorf("%s: value %q (%v), want %q", selector, got, ok, want)
		}
	}
	if doc.Find("#reason[required]").Length() != 1 {
		t.Error("the reason is not required")
	}
}

func TestDisabledConfirmationHasNoForm(t *testing.T) {
	t.Parallel()
	_, doc := render(t, pageNamed(t, "delete-password-disabled"))
	if n := doc.Find("main form").Length(); n != 0 {
		t.Errorf("%d forms, want none", n)
	}
}

func TestAuditOutcomeStandsAlone(t *testing.T) {
	t.Parallel()
	_, doc := render(t, pageNamed(t, "audit-full"))
	var got []string
	doc.Find("table.audit").Last().Find("td:nth-child(6)").Each(func(_ int, s *goquery.Selection) { got = append(got, strings.TrimSpace(s.Text())) })
	if want := "unknown failed succeeded  denied cancelled failed"; strings.Join(got, " ") != want {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// hostile tries markup, an attribute, a script address and a direction mark at once.
const hostile = "javascript:alert(1)//\u202e\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;</bdi></td></form>"

// fill sets every string of a view model to the hostile text, every bool to
// true, every slice to two elements and every pointer to a value.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if depth == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), depth-1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, depth)
		}
	default:
	}
}

func hostilePage[T any](page func(T) templ.Component) templ.Component {
	var v T
	fill(reflect.ValueOf(&v).Elem(), 5)
	return page(v)
}

func TestHostileText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]templ.Component{
		"login":           hostilePage(templates.LoginPage),
		"members":         hostilePage(func(v templates.Members) templ.Component { v.Problem = nil; return templates.MembersPage(v) }),
		"members-problem": hostilePage(templates.MembersPage),
		"member": hostilePage(func(v templates.Member) templ.Component {
			unname(v.Groups)
			unname(v.Rules)
			return templates.MemberPage(v)
		}),
		"delete-password": hostilePage(func(v templates.Confirm) templ.Component {
			v.Disabled = nil
			return templates.ConfirmPage(v)
		}),
		"delete-password-disabled": hostilePage(templates.ConfirmPage),
		"require-reset":            hostilePage(func(v templates.Confirm) templ.Component { v.Disabled = nil; return templates.ConfirmPage(v) }),
		"operation":                hostilePage(func(v templates.Operation) templ.Component { unname(v.Groups); return templates.OperationPage(v) }),
		"audit":                    hostilePage(func(v templates.Audit) templ.Component { v.Problem = nil; return templates.AuditPage(v) }),
		"audit-event":              hostilePage(func(v templates.AuditEvent) templ.Component { unname(v.Groups); return templates.AuditEventPage(v) }),
		"audit-event-unverified": hostilePage(func(v templates.AuditEvent) templ.Component {
			unname(v.Groups)
			v.Evidence.Verified = false
			return templates.AuditEventPage(v)
		}),
		"login-first": hostilePage(func(v templates.Login) templ.Component { v.Chosen = false; return templates.LoginPage(v) }),
		"login-emergency": hostilePage(func(v templates.Login) templ.Component {
			v.Password, v.Link, v.Code = false, false, false
			return templates.LoginPage(v)
		}),
		"step": hostilePage(func(v templates.SignInStep) templ.Component { unnameStep(&v); return templates.SignInStepPage(v) }),
		"step-signed-out": hostilePage(func(v templates.SignInStep) templ.Component {
			unnameStep(&v)
			v.Page.Actor, v.Page.Session, v.Choices = nil, nil, nil
			return templates.SignInStepPage(v)
		}),
		"account":    hostilePage(templates.AccountPage),
		"failure":    hostilePage(templates.FailurePage),
		"signed-out": hostilePage(templates.SignedOutPage),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html, doc := render(t, c)
			checkPage(t, doc)
			if strings.Contains(html, "<script>") || strings.Contains(html, "<img src=x") {
				t.Error("markup in a field reached the page as markup")
			}
			if !strings.Contains(doc.Text(), "<script>alert(1)</script>") {
				t.Error("the text is not shown as it is")
			}
			if doc.Find("footer").Length() != 1 || doc.Find("main").Length() != 1 {
				t.Error("a field closed an element of the page")
			}
		})
	}
}

// unname drops the ids, which are the handlers' own and differ on a page.
func unname(groups []templates.Group) {
	for i := range groups {
		groups[i].ID = ""
	}
}

// unnameStep gives the fields the names that handlers give, each once in a form.
func unnameStep(v *templates.SignInStep) {
	name := func(f *templates.StepForm) {
		for i := range f.Fields {
			f.Fields[i].Name = []string{"first", "second"}[i]
		}
	}
	name(v.Form)
	for i := range v.Others {
		name(&v.Others[i])
	}
	for i := range v.Choices {
		name(v.Choices[i].Form)
	}
}

// Names in either direction stand in a bdi, so that they turn nothing else around.
func TestNamesAreIsolated(t *testing.T) {
	t.Parallel()
	v := memberFilters(templates.Members{Page: page("Members"), Rows: memberRows(1)})
	v.Rows[0].Name, v.Rows[0].Email = "فاطمة \u202e", "\u202efdp.exe@acme.example"
	_, doc := render(t, templates.MembersPage(v))
	for selector, want := range map[string]string{"tbody th bdi": v.Rows[0].Name, "tbody td:nth-child(2) bdi": v.Rows[0].Email} {
		if got := doc.Find(selector).Text(); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
}

func TestMembersPageIsLean(t *testing.T) {
	t.Parallel()
	html, _ := render(t, pageNamed(t, "members-full"))
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(html))
	_ = w.Close()
	const limit = 12 << 10
	t.Logf("100 members: %d bytes, %d compressed", len(html), b.Len())
	if b.Len() > limit {
		t.Errorf("100 members compress to %d bytes, want at most %d", b.Len(), limit)
	}
}
