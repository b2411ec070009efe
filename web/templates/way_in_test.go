package templates_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"orgconsole/web/templates"
)

// What a sign-in page offers, from top to bottom. The first is what Enter
// presses, and the only one in full colour.
func TestLoginOffers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"login-error":        {"* Sign in → /login/password"},
		"login-every-way":    {"* Sign in → /login/password", "or", "Email me a sign-in link → /login/link, unchecked", "Email me a code → /login/code, unchecked", "Other ways to sign in → /login/organization, unchecked"},
		"login-chosen":       {"* Sign in → /login/password", "or", "Email me a sign-in link → /login/link, unchecked", "Email me a code → /login/code, unchecked", "Continue with Acme Okta → /login/sso/start", "Continue with Google → /login/oauth/google/start", "Continue with Microsoft → /login/oauth/microsoft/start"},
		"login-sso-and-link": {"* Email me a sign-in link → /login/link", "or", "Continue with Acme Okta → /login/sso/start", "Sign in → /login/password"},
		"login-sso-only":     {"* Continue with Acme Okta → /login/sso/start", "Continue with Google → /login/oauth/google/start", "Continue with Microsoft → /login/oauth/microsoft/start", "Sign in → /login/password"},
		"login-code-only":    {"* Email me a code → /login/code", "or", "Continue with Google → /login/oauth/google/start"},
		"login-no-way":       {"Sign in → /login/password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, doc := render(t, pageNamed(t, name))
			var got []string
			doc.Find(".login .btn, .login .or").Each(func(_ int, s *goquery.Selection) {
				if s.Is(".or") {
					got = append(got, s.Text())
					return
				}
				form, _ := s.Closest("form").Attr("action")
				to, _, _ := strings.Cut(s.AttrOr("href", s.AttrOr("formaction", form)), "?")
				says := s.Text() + " → " + to
				if s.Is(".btn-primary") {
					says = "* " + says
				}
				if s.Is("[formnovalidate]") {
					says += ", unchecked"
				}
				got = append(got, says)
			})
			doc.Find(".login form").Each(func(_ int, f *goquery.Selection) {
				action := f.AttrOr("action", "")
				if first := f.Find("[type=submit]").First().AttrOr("formaction", action); first != action {
					t.Errorf("Enter leads to %s, the form to %s", first, action)
				}
			})
			if !slices.Equal(got, want) {
				t.Errorf("offered:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// Each form of the page sends where to go on to, and a chosen organization.
func TestLoginFormsSayWhatIsChosen(t *testing.T) {
	t.Parallel()
	_, doc := render(t, templates.LoginPage(chosen(templates.Login{Link: true, Emergency: true, Email: "ada@acme.example"})))
	forms := doc.Find(".login form")
	if forms.Length() != 2 {
		t.Fatalf("%d forms, want 2", forms.Length())
	}
	forms.Each(func(_ int, f *goquery.Selection) {
		for name, want := range map[string]string{"organization": "acme", "chosen": "1", "return": "/audit", "email": "ada@acme.example"} {
			field := f.Find("input[name='" + name + "']")
			if got := field.AttrOr("value", ""); field.Length() != 1 || got != want {
				t.Errorf("%s: %d fields %s with %q, want %q", f.AttrOr("action", ""), field.Length(), name, got, want)
			}
		}
	})
	_, doc = render(t, templates.LoginPage(templates.Login{Page: signedOut("Sign in"), Organization: "acme"}))
	if doc.Find("input[name=chosen]").Length() != 0 || doc.Find("input#organization:not([type=hidden])").AttrOr("value", "") != "acme" {
		t.Error("a page where nothing is chosen says that something is, or lost what was typed")
	}
}

func TestNoPasswordIsFilledIn(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		html, doc := render(t, s.page)
		doc.Find("input[type=password]").Each(func(_ int, f *goquery.Selection) {
			if got := f.AttrOr("value", ""); got != "" {
				t.Errorf("%s: the password field holds %q", s.name, got)
			}
		})
		if strings.Contains(html, "never shown") {
			t.Errorf("%s: a typed password is on the page", s.name)
		}
	}
}

func TestOrStandsBetweenForms(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"step-sent": 0, "step-code": 1, "step-code-wrong": 0, "step-mfa": 1, "step-mfa-enrol": 1, "step-organizations": 0, "step-find": 1} {
		_, doc := render(t, pageNamed(t, name))
		if got := doc.Find(".or").Length(); got != want {
			t.Errorf("%s: %d dividers, want %d", name, got, want)
		}
	}
}

func TestCodeField(t *testing.T) {
	t.Parallel()
	_, doc := render(t, pageNamed(t, "step-code-wrong"))
	want := map[string]string{
		"name": "code", "type": "text", "value": "123456", "class": "form-control is-invalid code", "inputmode": "numeric", "autocomplete": "one-time-code",
		"maxlength": "12", "required": "", "autofocus": "", "aria-invalid": "true", "aria-describedby": "code-error",
	}
	for key, value := range want {
		if got, ok := doc.Find("#code").Attr(key); !ok || got != value {
			t.Errorf("%s: %q (%v), want %q", key, got, ok, value)
		}
	}
	for kind, want := range map[string]string{"": "text", "text": "text", "email": "email", "password": "password", "tel": "tel", "file": "text", "hidden": "text"} {
		_, doc := render(t, templates.SignInStepPage(templates.SignInStep{Page: signedOut("x"), Form: &templates.StepForm{Fields: []templates.Input{{Name: "f", Type: kind}}}}))
		f := doc.Find("#f")
		if got := f.AttrOr("type", ""); got != want {
			t.Errorf("type %q is %q, want %q", kind, got, want)
		}
		for _, none := range []string{"maxlength", "inputmode", "autocomplete", "required", "autofocus", "aria-invalid", "aria-describedby"} {
			if got, ok := f.Attr(none); ok {
				t.Errorf("a bare field has %s=%q", none, got)
			}
		}
	}
}

// Only a picture that is in the page itself is shown.
func TestQRPicture(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]int{
		qrPicture(): 1, "": 0, "https://evil.example/x.png": 0, "data:image/svg+xml;base64,PHN2Zz4=": 0, "data:text/html,x": 0, "//evil.example/x.png": 0,
	} {
		_, doc := render(t, templates.SignInStepPage(templates.SignInStep{Page: signedOut("x"), QR: &templates.QR{Image: image, Secret: "ABCD EFGHI", Alt: "QR code"}}))
		pictures := doc.Find(".qr img")
		if pictures.Length() != want || want == 1 && (pictures.AttrOr("src", "") != image || pictures.AttrOr("alt", "") != "QR code") {
			t.Errorf("%.30q: %d pictures, want %d", image, pictures.Length(), want)
		}
		if got := doc.Find("#secret span").Map(func(_ int, s *goquery.Selection) string { return s.Text() }); !slices.Equal(got, []string{"ABCD", "EFGH", "I"}) {
			t.Errorf("the secret stands as %q", got)
		}
	}
}

func TestSessionLife(t *testing.T) {
	t.Parallel()
	p := page("Account")
	p.Session = &templates.SessionLife{IdleSeconds: 1770, EndSeconds: 12, EndsAt: templates.Time{ISO: "2026-11-23T20:31:00Z", Text: "20:31"}}
	_, doc := render(t, templates.AccountPage(templates.Account{Page: p}))
	if body := doc.Find("body"); body.AttrOr("data-idle", "") != "1770" || body.AttrOr("data-end", "") != "12" {
		t.Errorf("the body says idle %q, end %q", body.AttrOr("data-idle", ""), body.AttrOr("data-end", ""))
	}
	if got := doc.Find("footer time[datetime='2026-11-23T20:31:00Z']").Text(); got != "20:31 UTC" {
		t.Errorf("the footer's time: %q", got)
	}
	if got := doc.Find("footer").Text(); !strings.Contains(got, "idle pages end after 30 minutes.") {
		t.Errorf("the footer: %s", got)
	}
	if doc.Find("dialog[open]").Length() != 0 {
		t.Error("the warning is open from the start")
	}
	if doc.Find(".impersonation, .impersonated").Length() != 0 {
		t.Error("nobody is impersonated, and the page says so")
	}
	p.Session, p.Actor = nil, nil
	_, doc = render(t, templates.AccountPage(templates.Account{Page: p}))
	if doc.Find("[data-idle], [data-end], dialog").Length() != 0 || strings.Contains(doc.Find("footer").Text(), "Signed in") {
		t.Error("signed out, the page tells of a session")
	}
}

// The banner stands on whatever page, and nothing on it closes it.
func TestImpersonationBanner(t *testing.T) {
	t.Parallel()
	p := page("x")
	p.Actor.Impersonator = "support@stytch.example"
	for name, c := range map[string]templ.Component{
		"members":   templates.MembersPage(templates.Members{Page: p}),
		"failure":   templates.FailurePage(failureOf(p)),
		"step":      templates.SignInStepPage(templates.SignInStep{Page: p}),
		"account":   templates.AccountPage(templates.Account{Page: p}),
		"confirm":   templates.ConfirmPage(templates.Confirm{Page: p}),
		"audit":     templates.AuditPage(templates.Audit{Page: p}),
		"operation": templates.OperationPage(templates.Operation{Page: p}),
	} {
		_, doc := render(t, c)
		checkPage(t, doc)
		note := doc.Find("body.impersonated [role=note][aria-label=Impersonation]")
		if note.Length() != 1 || !strings.Contains(note.Text(), "support@stytch.example is signed in as Ada Admin") {
			t.Errorf("%s: %d banners: %s", name, note.Length(), note.Text())
		}
		if n := doc.Find(".impersonation").Find("button, a, input, summary").Length(); n != 1 {
			t.Errorf("%s: %d controls in the banner, want the one to sign out", name, n)
		}
	}
}

// mark sets every string of a view model to a word that says where it stands,
// every bool to true, every slice to two elements and every pointer to a value.
func mark(v reflect.Value, path string, all map[string]bool) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			word := "/" + strings.ToLower(strings.NewReplacer(".", "-", "[", "", "]", "").Replace(path)) + "/"
			all[word] = true
			v.SetString(word)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			if v.Index(i).Type() == reflect.TypeFor[templates.Row]() {
				all["/"+strings.ToLower(path)+"/"] = true
				v.Index(i).Set(reflect.ValueOf(templates.Row{Label: "/" + strings.ToLower(path) + "/"}))
				continue
			}
			mark(v.Index(i), fmt.Sprintf("%s[%d]", path, i), all)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		mark(v.Elem(), path, all)
	case reflect.Struct:
		for f, field := range v.Fields() {
			mark(field, path+"."+f.Name, all)
		}
	default:
	}
}

// marked renders a view model full of marks and returns those that are not shown.
func marked[T any](t *testing.T, change func(*T), page func(T) templ.Component) (missing []string) {
	t.Helper()
	var v T
	all := map[string]bool{}
	mark(reflect.ValueOf(&v).Elem(), "m", all)
	change(&v)
	html, _ := render(t, page(v))
	for word := range maps.Keys(all) {
		if !strings.Contains(html, word) {
			missing = append(missing, word)
		}
	}
	slices.Sort(missing)
	return missing
}

// Every text that a handler can set is on the page, except for what is listed.
func TestEveryFieldIsShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		missing []string
		except  string
	}{
		"login": {marked(t, func(*templates.Login) {}, templates.LoginPage), ``},
		"login, first": {
			marked(t, func(v *templates.Login) { v.Chosen = false }, templates.LoginPage),
			`^/m-(noway|otherurl)/$`,
		},
		"login, break-glass": {
			marked(t, func(v *templates.Login) { v.Password, v.Link, v.Code = false, false, false }, templates.LoginPage), ``,
		},
		// A type is one of a few, a picture is in the page itself or not there, and a secret stands in fours.
		"step":    {marked(t, func(*templates.SignInStep) {}, templates.SignInStepPage), `-(type|qr-image|qr-alt|qr-secret)/$|^/m-choices.-(url|button)/$`},
		"account": {marked(t, func(*templates.Account) {}, templates.AccountPage), ``},
		"step, choices that lead on": {
			marked(t, func(v *templates.SignInStep) {
				for i := range v.Choices {
					v.Choices[i].Form = nil
				}
			}, templates.SignInStepPage),
			`-(type|qr-image|qr-alt|qr-secret)/$|^/m-choices.-form-`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, word := range c.missing {
				if c.except == "" || !regexp.MustCompile(c.except).MatchString(word) {
					t.Errorf("%s is not shown", word)
				}
			}
		})
	}
}

// What the script looks for by attribute is on some page.
func TestScriptFindsItsHooks(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../static/js/console.js")
	if err != nil {
		t.Fatal(err)
	}
	var pages strings.Builder
	for _, s := range samples() {
		html, _ := render(t, s.page)
		pages.WriteString(html)
	}
	hooks := map[string]bool{}
	for _, m := range regexp.MustCompile(`\[(data-[a-z]+)[\]=]`).FindAllSubmatch(script, -1) {
		hooks[string(m[1])] = true
	}
	delete(hooks, "data-sent") // the script's own
	if len(hooks) < 8 {
		t.Errorf("only %d attributes found in the script", len(hooks))
	}
	for hook := range hooks {
		if !strings.Contains(pages.String(), " "+hook) {
			t.Errorf("the script looks for %s, which no page has", hook)
		}
	}
	for _, id := range regexp.MustCompile(`getElementById\("([^"]+)"\)`).FindAllSubmatch(script, -1) {
		if !strings.Contains(pages.String(), `id="`+string(id[1])+`"`) {
			t.Errorf("the script looks for #%s, which no page has", id[1])
		}
	}
}
