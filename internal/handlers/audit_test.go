package handlers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/handlers"
	"orgconsole/web/templates"
)

// event records an event of an organization as somebody.
func (s *site) event(who someone, action audit.Action, phase audit.Phase, outcome audit.Outcome, edits ...func(*audit.Event)) audit.Event {
	s.t.Helper()
	ev := audit.Event{
		OrganizationID: who.OrganizationID, Action: action, Phase: phase, Outcome: outcome, Actor: audit.Actor{MemberID: who.MemberID, Email: who.Email},
		Source: audit.Source{IP: "192.0.2.7"},
	}
	for _, edit := range edits {
		edit(&ev)
	}
	ev, err := s.audit.Record(s.t.Context(), ev)
	if err != nil {
		s.t.Fatal(err)
	}
	return ev
}

func of(operation string) func(*audit.Event) {
	return func(ev *audit.Event) { ev.OperationID = operation }
}

func on(who someone) func(*audit.Event) {
	return func(ev *audit.Event) {
		ev.Target = audit.Target{Type: "member", ID: who.MemberID, Email: who.Email}
	}
}

func because(reason, ticket string) func(*audit.Event) {
	return func(ev *audit.Event) { ev.Reason, ev.Ticket = reason, ticket }
}

// auditRows are the rows of the list, without the table of what is unsettled.
func (a *answer) auditRows() *goquery.Selection {
	a.t.Helper()
	a.wantStatus(http.StatusOK)
	return a.doc().Find("table.audit").Last().Find("tbody tr")
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// actions are what the rows say was done, as far as the first words go.
func (a *answer) actions() []string {
	a.t.Helper()
	var all []string
	a.auditRows().Each(func(_ int, tr *goquery.Selection) {
		all = append(all, squeeze(tr.Find("th").Contents().First().Text()))
	})
	return all
}

func TestAuditGroupsOperations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, noor := s.someone("hiro@acme.example"), s.someone("noor@acme.example")
	do := func(phase audit.Phase, outcome audit.Outcome, edits ...func(*audit.Event)) audit.Event {
		return s.event(hiro, audit.ActionDeletePassword, phase, outcome, append([]func(*audit.Event){of("operation-1"), on(noor), because("stolen", "INC-1")}, edits...)...)
	}
	intent := do(audit.PhaseIntent, "")
	do(audit.PhaseOutcome, audit.OutcomeUnknown, func(ev *audit.Event) { ev.Detail = "no_answer" })
	s.event(hiro, audit.ActionSignOut, audit.PhaseInfo, audit.OutcomeSucceeded)
	settled := do(audit.PhaseOutcome, audit.OutcomeSucceeded, func(ev *audit.Event) {
		ev.Actor, ev.Detail = audit.Actor{System: true}, "re-read"
	})
	do(audit.PhaseIntent, "", of("operation-2"))
	b := s.signIn("audrey@acme.example")
	page := b.get("/audit")
	if diff := cmp.Diff([]string{"Sign in", "Delete password", "Delete password", "Sign out"}, page.actions()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	row := page.auditRows().Eq(2)
	for _, want := range []string{hiro.Email, noor.Email, "stolen", "INC-1"} {
		if !strings.Contains(squeeze(row.Text()), want) {
			t.Errorf("the row does not say %q: %s", want, squeeze(row.Text()))
		}
	}
	var words []string // outcome words alone in an element
	row.Find("*").Each(func(_ int, e *goquery.Selection) {
		for _, o := range audit.Outcomes() {
			if e.Children().Length() == 0 && strings.TrimSpace(e.Text()) == string(o) {
				words = append(words, string(o))
			}
		}
	})
	if !slices.Equal(words, []string{"succeeded"}) {
		t.Errorf("outcome words %q, want the newest alone", words)
	}
	var lines []string
	row.Find(".timeline li").Each(func(_ int, li *goquery.Selection) {
		lines = append(lines, squeeze(li.Find("a").Text()+" "+li.Find("p").Text()))
	})
	want := []string{"intent", "outcome unknown No answer came from Stytch.", "outcome succeeded By system. Reading the member afterwards."}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if row.Find("td.c-more > details > summary").Text() != "Timeline and review" {
		t.Error("the timeline is behind no details element")
	}
	for _, id := range []string{intent.ID, settled.ID} {
		if row.Find(`.timeline a[href="/audit/`+id+`"]`).Length() != 1 {
			t.Error("the timeline does not lead to each event")
		}
	}
	if got := page.auditRows().Eq(1).Find(".c-out").Text(); squeeze(got) != "not known yet" {
		t.Errorf("an operation without an outcome says %q", got)
	}

	// An operation stands where its newest event is that fits.
	if got := b.get("/audit?outcome=unknown").auditRows(); got.Length() != 1 || squeeze(got.Find(".c-out .badge").Text()+" "+got.Find(".c-out small").Text()) != "succeeded was unknown" {
		t.Errorf("unknown: %d rows, %q", got.Length(), squeeze(got.Find(".c-out").Text()))
	}
}

// However many pages lie between its events, an operation is in the whole list once.
func TestAuditShowsAnOperationOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	b := s.signIn("audrey@acme.example")
	for n := range 3 {
		s.event(hiro, audit.ActionDeletePassword, audit.PhaseIntent, "", of(fmt.Sprint("operation-", n)))
	}
	for range 240 {
		s.event(hiro, audit.ActionSignIn, audit.PhaseInfo, audit.OutcomeSucceeded)
	}
	for n := range 2 {
		s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeSucceeded, of(fmt.Sprint("operation-", n)))
	}
	seen := map[string]int{}
	rows, pages := 0, 0
	var newer []string
	for address := "/audit"; address != ""; pages++ {
		page := b.get(address)
		page.auditRows().Each(func(_ int, tr *goquery.Selection) {
			rows++
			if operation, ok := tr.Find(`a[href^="/operations/"]`).Attr("href"); ok {
				seen[operation]++
			}
		})
		newer = append(newer, page.doc().Find("a[rel=prev]").AttrOr("href", ""))
		address = page.doc().Find("a[rel=next]").AttrOr("href", "")
	}
	if want := map[string]int{"/operations/operation-0": 1, "/operations/operation-1": 1, "/operations/operation-2": 1}; !cmp.Equal(want, seen) {
		t.Errorf("operations %v, want each once", seen)
	}
	if rows != 244 || pages != 3 { // the operations, the sign-ins, and that of this browser
		t.Errorf("%d rows on %d pages", rows, pages)
	}

	// And back again, page by page, to the first.
	if newer[0] != "" || newer[1] == "" || newer[2] == "" {
		t.Fatalf("links to newer pages %q", newer)
	}
	middle := b.get(newer[2])
	if diff := cmp.Diff(100, middle.auditRows().Length()); diff != "" || middle.doc().Find("a[rel=next]").Length() != 1 {
		t.Errorf("the page before the last has so many rows (-want +got):\n%s", diff)
	}
	b.get(middle.doc().Find("a[rel=prev]").AttrOr("href", "")).wantLocation("/audit")
	b.get("/audit?newer=x").wantStatus(http.StatusBadRequest)
	b.get("/audit?newer=MTAw&outcome=denied&columns=time,ip").wantLocation("/audit?columns=time%2Caction%2Cip&outcome=denied")
}

// What is recorded while a page is made does not take an operation off it.
func TestAuditKeepsWhatMovesOnMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	intent := s.event(hiro, audit.ActionDeletePassword, audit.PhaseIntent, "", of("operation-1"))
	found := []audit.Event{intent}
	outcome := s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeSucceeded, of("operation-1"))
	if got := s.server.AuditRows(t, hiro.OrganizationID, found, intent.Seq); got != 1 {
		t.Errorf("%d rows of the first page", got)
	}
	if got := s.server.AuditRows(t, hiro.OrganizationID, found, outcome.Seq); got != 0 {
		t.Errorf("%d rows of a later page, where the operation is on the first", got)
	}
}

// A search that stopped says how far it got, and goes on from there.
func TestAuditSaysHowFarItSearched(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.server.SearchedBack(url.Values{"q": {"stolen"}}, "MTI", time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	if want := (templates.Scan{Text: "Searched back to 2026-11-23 10:00:00 UTC.", GoOn: "/audit?cursor=MTI&q=stolen", Label: "Go on searching"}); v.Searched == nil || *v.Searched != want {
		t.Errorf("%+v, want %+v", v.Searched, want)
	}
	var page strings.Builder
	if err := templates.AuditPage(v).Render(t.Context(), &page); err != nil || !strings.Contains(page.String(), `<a href="/audit?cursor=MTI&amp;q=stolen">Go on searching</a>`) {
		t.Errorf("%v: %s", err, page.String())
	}
}

func TestAuditSearchAndPresets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.control(http.MethodPost, "organizations/"+hiro.OrganizationID, map[string]any{
		"trusted_metadata": map[string]any{"time_zone": "Asia/Tokyo", "office_hours": "Mon-Sun 08:00-18:00"},
	}, nil)
	now := s.clock.Now()
	at := func(hour int) { // a later day, at an hour in Tokyo
		y, m, d := now.AddDate(0, 0, 2).Date()
		s.clock.add(time.Date(y, m, d, hour-9, 0, 0, 0, time.UTC).Sub(s.clock.Now()))
		now = s.clock.Now()
	}
	at(12)
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied, because("phished, says the caller", "INC-4711"))
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeUnknown, of("operation-u"), because("laptop", "INC-4712"))
	s.event(someone{OrganizationID: hiro.OrganizationID, Email: "eve@evil.example"}, audit.ActionSignInThrottled, audit.PhaseInfo, audit.OutcomeFailed, func(ev *audit.Event) { ev.Count = 12 })
	at(20)
	s.event(hiro, audit.ActionSignOut, audit.PhaseInfo, audit.OutcomeSucceeded)
	at(12)
	s.event(audrey, audit.ActionSetPassword, audit.PhaseInfo, audit.OutcomeSucceeded)
	b := s.signIn(audrey.Email)
	for query, want := range map[string][]string{
		"q=phished":                          {"Delete password"},
		"q=PHISH+4711":                       {"Delete password"},
		"q=inc-471":                          {"Delete password", "Delete password"},
		"q=eve":                              {"Sign in, repeated attempts"},
		"q=nothing-like-it":                  nil,
		"outcome=denied":                     {"Delete password"},
		"preset=bulk":                        {"Sign in, repeated attempts"},
		"preset=outside":                     {"Sign out"},
		"preset=mine":                        {"Sign in", "Set own password"},
		"preset=mine&action=session.sign_in": {"Sign in"},
		"preset=bulk&q=hiro":                 nil,
	} {
		if diff := cmp.Diff(want, b.get("/audit?"+query).actions()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}

	page := b.get("/audit?q=phished&outcome=denied")
	var links []string
	page.doc().Find("nav.presets a").Each(func(_ int, a *goquery.Selection) {
		text := squeeze(a.Contents().First().Text()) + " " + a.AttrOr("href", "")
		if _, current := a.Attr("aria-current"); current {
			text += " current"
		}
		links = append(links, text)
	})
	want := []string{
		"All /audit?q=phished", "Denied /audit?outcome=denied&q=phished current", "Outcome unknown /audit?outcome=unknown&q=phished",
		"Records of many (×N) /audit?outcome=denied&preset=bulk&q=phished", "Outside office hours /audit?outcome=denied&preset=outside&q=phished",
		"My actions /audit?outcome=denied&preset=mine&q=phished", "New since my last review /audit?outcome=denied&preset=new&q=phished",
	}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Errorf("presets (-want +got):\n%s", diff)
	}
	if got := page.doc().Find("label[for=q]").Text(); got != "Search" {
		t.Errorf("the search field is called %q", got)
	}

	outside := b.get("/audit?preset=outside")
	if got := outside.text("main"); !strings.Contains(got, "Office hours are Mon-Sun 08:00-18:00 in the time zone Asia/Tokyo, from the organization's metadata in Stytch.") {
		t.Errorf("the page does not say which office hours: %s", got)
	}
	if got := outside.doc().Find("input[type=hidden][name=preset]").AttrOr("value", ""); got != "outside" {
		t.Errorf("a search would leave the preset: %q", got)
	}
	b.get("/audit?preset=all").wantStatus(http.StatusBadRequest)
	b.get("/audit?q=" + strings.Repeat("x", 300)).wantStatus(http.StatusBadRequest)

	// The export has what the page has, and says so.
	csv := b.get("/audit/export?format=csv&preset=mine&q=audrey").wantStatus(http.StatusOK).body
	if got := strings.Count(csv, "\n"); got != 1+3 { // the export itself is one's own, too
		t.Errorf("%d lines of one's own actions:\n%s", got, csv)
	}
	if ev := s.events(hiro.OrganizationID, audit.ActionExport)[1]; ev.Reason != "csv, preset mine" || ev.Target.Label != "search audrey" {
		t.Errorf("recorded as %+v", ev)
	}
}

func TestAuditSaysWhatMetadataItDoesNotUse(t *testing.T) {
	t.Parallel()
	kolkata, err := handlers.ParseTimeZone("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) { d.Config.TimeZone = kolkata }
	})
	audrey := s.someone("audrey@acme.example")
	for _, c := range []struct {
		metadata map[string]any
		wants    []string
	}{
		{nil, []string{"Office hours are Mon-Fri 08:00-18:00 in the time zone Asia/Kolkata, from the console's settings."}},
		{map[string]any{"time_zone": "Mars/<b>Phobos", "office_hours": 9}, []string{
			`The organization's time_zone in Stytch, "Mars/<b>Phobos", is not used: no time zone of that name.`,
			"The organization's office_hours in Stytch is not used: it is no text.", "in the time zone Asia/Kolkata",
		}},
		{map[string]any{"time_zone": "Europe/Madrid", "office_hours": strings.Repeat("Mon,", 1000)}, []string{
			"The organization's office_hours in Stytch", "…", "are not used: days, a space and times are expected.",
			"Office hours are Mon-Fri 08:00-18:00, from the console's settings, in the time zone Europe/Madrid, from the organization's metadata in Stytch.",
		}},
	} {
		if c.metadata != nil {
			s.control(http.MethodPost, "organizations/"+audrey.OrganizationID, map[string]any{"trusted_metadata": c.metadata}, nil)
		}
		page := s.signIn(audrey.Email).get("/audit?preset=outside").wantStatus(http.StatusOK)
		for _, want := range c.wants {
			if got := page.text("main"); !strings.Contains(got, want) {
				t.Errorf("%v: the page does not say %q: %s", c.metadata, want, got)
			}
		}
		if len(page.body) > 100_000 {
			t.Errorf("%d bytes", len(page.body))
		}
	}
}

// No page asks the upstream for the organization: what the session said is enough.
func TestAuditMakesNoCallForTheTimeZone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("audrey@acme.example")
	b.get("/audit")
	before := len(s.calls(""))
	b.get("/audit?preset=outside").wantStatus(http.StatusOK)
	calls := s.calls("")[before:]
	for _, call := range calls {
		if call.Endpoint != "sessions.authenticate" { // which is the permission check
			t.Errorf("a call of %s", call.Endpoint)
		}
	}
	if len(calls) > 1 {
		t.Errorf("%d calls", len(calls))
	}
}

func TestAuditColumns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied, because("stolen", "INC-1"), func(ev *audit.Event) {
		ev.Actor.AuthFactors, ev.RequestID, ev.UpstreamRequestID = []string{"password", "totp"}, "request-1", "request-id-test-1"
	})
	b := s.signIn("audrey@acme.example")
	heads := func(page *answer) string {
		t.Helper()
		return squeeze(strings.Join(page.doc().Find("table.audit").Last().Find("thead th").Map(func(_ int, th *goquery.Selection) string { return th.Text() }), ","))
	}
	const usual, chosen = "Time,Action,Actor,Target,Reason,Outcome,Details", "Time,Action,Ticket,Outcome,IP address,Factors,Request IDs,Details"
	if got := heads(b.get("/audit")); got != usual {
		t.Errorf("columns %s", got)
	}
	page := b.get("/audit?outcome=denied&columns=requests,factors&columns=ip&columns=outcome,ticket,time,nothing,<b>")
	if got := heads(page); got != chosen {
		t.Errorf("columns %s, want %s", got, chosen)
	}
	for _, want := range []string{"INC-1", "192.0.2.7", "password, totp", "request-1", "request-id-test-1"} {
		if got := squeeze(page.auditRows().Text()); !strings.Contains(got, want) {
			t.Errorf("the row does not say %q: %s", want, got)
		}
	}
	cookie := b.cookies["console-columns"]
	if cookie == nil || cookie.Value != "time.action.ticket.outcome.ip.factors.requests" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge <= 0 {
		t.Fatalf("remembered %+v", cookie)
	}
	if got := heads(b.get("/audit")); got != chosen {
		t.Errorf("columns of the next page %s", got)
	}
	// The form is there without script, and says what is chosen. It keeps the filters.
	form := page.doc().Find(`details form[action="/audit"]`)
	if form.Find(`input[type=checkbox][name=columns][checked]`).Length() != 6 || form.Find(`input[name=outcome][value=denied]`).Length() != 1 {
		t.Error("the form of the columns does not say what is chosen")
	}
	// Somebody else's link shows what it says, and is not remembered.
	link := b.get("/audit?columns=seq", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if got := heads(link); got != "Action,Record,Details" || b.cookies["console-columns"].Value != cookie.Value {
		t.Errorf("a link shows %s and leaves %q", got, b.cookies["console-columns"].Value)
	}
	for _, value := range []string{"", "x", "<script>", strings.Repeat("time.", 100)} {
		b.cookies["console-columns"] = &http.Cookie{Name: "console-columns", Value: value}
		if got := heads(b.get("/audit")); got != usual {
			t.Errorf("with the cookie %.20q: %s", value, got)
		}
	}
	b.get("/audit?columns=time,actor,target,reason,outcome")
	if _, kept := b.cookies["console-columns"]; kept {
		t.Error("the usual columns are remembered like a choice")
	}
}

func TestAuditEmptyHelps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied, because("stolen", "INC-1"))
	b := s.signIn("audrey@acme.example")
	page := b.get("/audit?q=stolen&outcome=unknown&action=member.password.delete&columns=time").wantStatus(http.StatusOK)
	if got := page.text(".empty .title"); got != "No event matches these filters." {
		t.Errorf("it says %q", got)
	}
	help := page.doc().Find(".empty .links").First().Find("a")
	if help.Length() != 1 || help.Text() != "Clear outcome unknown" || help.AttrOr("href", "") != "/audit?action=member.password.delete&columns=time%2Caction&q=stolen" {
		t.Errorf("it helps with %d links: %s %s", help.Length(), help.Text(), help.AttrOr("href", ""))
	}
	if got := b.get(help.AttrOr("href", "")).auditRows().Length(); got != 1 {
		t.Errorf("%d rows without it", got)
	}
	if got := page.text(".empty .links:last-of-type"); !strings.Contains(got, "Clear search “stolen”") || !strings.Contains(got, "Clear action Delete password") {
		t.Errorf("the other filters: %q", got)
	}
}

// A date before the other finds nothing, which is said where it was typed.
func TestAuditSaysThatToIsBeforeFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("audrey@acme.example")
	page := b.get("/audit?from=2026-11-20&to=2026-11-19").wantStatus(http.StatusOK)
	if got := page.text("#to-error"); got != "To is before From." || page.doc().Find("#to[aria-invalid=true][aria-describedby=to-error]").Length() != 1 {
		t.Errorf("the field says %q", got)
	}
	if got := page.text(".empty .title"); !strings.Contains(got, "To is before From.") || page.doc().Find("figure.chart").Length() != 0 {
		t.Errorf("the list says %q", got)
	}
	for _, dates := range []string{"from=2026-11-20&to=2026-11-20", "from=2026-11-20", "to=2026-11-20"} {
		if b.get("/audit?"+dates).doc().Find("#to-error").Length() != 0 {
			t.Errorf("%s is said to be backwards", dates)
		}
	}
}

// The preset does not find many deletions in a row, and nobody is left to think so.
func TestAuditSaysWhatAPresetFinds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("audrey@acme.example")
	if got := b.get("/audit?preset=bulk").wantStatus(http.StatusOK).text("main"); !strings.Contains(got, "Deletions are a record each") {
		t.Errorf("it says %s", got)
	}
	if got := b.get("/audit").text("main"); strings.Contains(got, "Deletions are a record each") {
		t.Error("it is said where it does not matter")
	}
}

// Links that read the same lead to different things, and are told apart by name.
func TestAuditLinksHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseIntent, "", of("operation-1"))
	names := map[string]bool{}
	links := s.signIn("audrey@acme.example").get("/audit").auditRows().Find(".c-more > a")
	for _, a := range links.EachIter() {
		names[a.AttrOr("aria-label", "")] = true
		if !strings.HasPrefix(a.AttrOr("aria-label", ""), a.Text()+": ") {
			t.Errorf("%q is named %q", a.Text(), a.AttrOr("aria-label", ""))
		}
	}
	if links.Length() != 3 || len(names) != 3 {
		t.Errorf("%d links, named %v", links.Length(), names)
	}
}

func TestAuditChart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	first := s.clock.Now().UTC().Format(time.DateOnly)
	for range 3 {
		s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeSucceeded)
	}
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied)
	s.clock.add(3 * 24 * time.Hour)
	last := s.clock.Now().UTC().Format(time.DateOnly)
	b := s.signIn("audrey@acme.example")
	page := b.get("/audit?action=member.password.delete")
	svg := page.doc().Find("figure.chart svg[role=img]")
	if svg.Length() != 1 || svg.Find("title").Text() == "" || svg.Find("style, [style]").Length() != 0 {
		t.Fatalf("%d charts, called %q", svg.Length(), svg.Find("title").Text())
	}
	for what, got := range map[string]string{"aria-labelledby": svg.AttrOr("aria-labelledby", ""), "ids": svg.Find("title").AttrOr("id", "") + " " + svg.Find("desc").AttrOr("id", "")} {
		if got != "chart-title chart-desc" {
			t.Errorf("%s %q", what, got)
		}
	}
	if got := svg.Find("desc").Text(); !strings.Contains(got, "3 succeeded, 1 denied") || !strings.Contains(got, first) {
		t.Errorf("described as %q", got)
	}
	if svg.Find("rect").Length() != 2 || svg.Find("rect.x-ok").AttrOr("height", "") != "75.00" || svg.Find("rect.x-denied").AttrOr("height", "") != "25.00" || svg.Find("rect.x-denied").AttrOr("y", "") != "0.00" {
		t.Error("the bar is not three quarters and a quarter")
	}
	rows := page.doc().Find("figure.chart details table tbody tr")
	if rows.Length() != 30 || squeeze(rows.Eq(26).Text()) != first+"31" || !strings.HasPrefix(squeeze(rows.Eq(29).Text()), last) {
		t.Errorf("%d rows, %q, the last %q", rows.Length(), squeeze(rows.Eq(26).Text()), squeeze(rows.Eq(29).Text()))
	}
	if got := squeeze(page.doc().Find(".legend li").Last().Text()); got != "denied 1" {
		t.Errorf("legend %q", got)
	}
	day := "/audit?action=member.password.delete&from=" + first + "&to=" + first
	if rows.Eq(26).Find("a").AttrOr("href", "") != day || page.doc().Find(".spots a").Eq(26).AttrOr("href", "") != day {
		t.Error("a day does not lead to its events")
	}
	if got := b.get(day).actions(); len(got) != 4 {
		t.Errorf("the day has %q", got)
	}
	if got := b.get("/audit?from=2020-01-01&to=2026-12-31").doc().Find(".spots a").Length(); got > 92 || got < 50 {
		t.Errorf("seven years are %d bars", got)
	}
	if got := b.get("/audit?outcome=not_found"); got.doc().Find("figure.chart").Length() != 0 || !strings.Contains(got.text("main"), "No outcome was recorded from") {
		t.Error("a chart of nothing")
	}
}

func TestChartBars(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	date := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		from, to string // to is not included
		first    string
		bars     int
		days     int
	}{
		{"", "", "2026-10-25", 30, 1},
		{"2026-11-20", "", "2026-11-20", 4, 1},
		{"", "2026-11-10", "2026-10-11", 30, 1},
		{"2026-08-24", "", "2026-08-24", 92, 1},
		{"2026-08-23", "", "2026-08-23", 14, 7},
		{"2025-01-01", "", "2025-01-01", 99, 7},
		{"0002-01-01", "9999-12-31", "0002-01-01", 0, 0},
		{"2027-01-01", "", "2026-10-25", 30, 1},
		{"2026-11-20", "2026-11-10", "2026-10-11", 30, 1},
	} {
		starts, days := handlers.ChartBars(date(c.from), date(c.to), now)
		bars := len(starts) - 1
		if bars > 92 || bars < 1 {
			t.Errorf("%s to %s: %d bars", c.from, c.to, bars)
		}
		if got := starts[0].Format(time.DateOnly); got != c.first {
			t.Errorf("%s to %s begins on %s, want %s", c.from, c.to, got, c.first)
		}
		if c.bars > 0 && c.bars <= 92 && (bars != c.bars || days != c.days) {
			t.Errorf("%s to %s: %d bars of %d days, want %d of %d", c.from, c.to, bars, days, c.bars, c.days)
		}
	}
}

func TestAuditProofInTheFooter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audrey := s.someone("audrey@acme.example")
	ev := s.event(audrey, audit.ActionSetPassword, audit.PhaseInfo, audit.OutcomeSucceeded)
	b := s.signIn(audrey.Email)
	note, err := s.audit.Checkpoint(t.Context(), audrey.OrganizationID)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(note, "\n")
	for _, path := range []string{"/audit", "/audit/" + ev.ID, "/audit/verification"} {
		page := b.get(path).wantStatus(http.StatusOK)
		if got := page.text("footer .proof > p"); !strings.Contains(got, lines[1]+" records, root "+lines[2][:16]) {
			t.Errorf("%s: the footer says %q", path, got)
		}
		if got := page.doc().Find("footer .proof details pre").Text(); got != note {
			t.Errorf("%s: the note is %q, want %q", path, got, note)
		}
		if got := page.doc().Find("footer .proof > pre.on-paper").Text(); got != note {
			t.Errorf("%s: paper has %q", path, got)
		}
	}
	if got := b.get("/members"); got.doc().Find(".proof").Length() != 0 {
		t.Error("a checkpoint where nobody asks for it")
	}
}

type lagger func() (audit.StreamLag, error)

func (l lagger) Lag(context.Context, string) (audit.StreamLag, error) { return l() }

func TestAuditSaysHowFarTheSinkIsBehind(t *testing.T) {
	t.Parallel()
	var lag audit.StreamLag
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) { d.Lag = lagger(func() (audit.StreamLag, error) { return lag, nil }) }
	})
	b := s.signIn("audrey@acme.example")
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lag   audit.StreamLag
		wants []string
	}{
		{audit.StreamLag{}, nil},
		{audit.StreamLag{Configured: true, LastDelivery: at}, []string{"Streaming out: every record was accepted.", "Last accepted at 2026-11-23 10:00:00 UTC."}},
		{audit.StreamLag{Configured: true, Waiting: 12, Oldest: at, Problem: "The sink answered 503.", NextTry: at.Add(time.Minute)}, []string{
			"Streaming out: 12 records not accepted yet. The first of them is from 2026-11-23 10:00:00 UTC.", "The sink answered 503.", "Tried again at 2026-11-23 10:01:00 UTC.",
		}},
	} {
		lag = c.lag
		got := b.get("/audit").wantStatus(http.StatusOK).text("main")
		if c.wants == nil && strings.Contains(got, "Streaming") {
			t.Errorf("without a sink: %s", got)
		}
		for _, want := range c.wants {
			if !strings.Contains(got, want) {
				t.Errorf("the page does not say %q: %s", want, got)
			}
		}
	}
}

func TestTimesOnHover(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audrey := s.someone("audrey@acme.example")
	s.control(http.MethodPost, "organizations/"+audrey.OrganizationID, map[string]any{"trusted_metadata": map[string]any{"time_zone": "Asia/Kolkata"}}, nil)
	b := s.signIn(audrey.Email)
	zone, err := handlers.ParseTimeZone("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/audit", "/members"} {
		page := b.get(path).wantStatus(http.StatusOK)
		n := 0
		page.doc().Find("table time").Each(func(_ int, e *goquery.Selection) {
			n++
			at, err := time.Parse(time.RFC3339Nano, e.AttrOr("datetime", ""))
			if err != nil {
				t.Fatal(err)
			}
			if want := at.In(zone).Format("Mon 2 Jan 2006 15:04:05") + " IST, Asia/Kolkata"; e.AttrOr("title", "") != want {
				t.Errorf("%s: on hover %q, want %q", path, e.AttrOr("title", ""), want)
			}
			if !strings.HasSuffix(e.Text(), " UTC") {
				t.Errorf("%s: %q does not say UTC", path, e.Text())
			}
		})
		if n == 0 {
			t.Errorf("%s has no times", path)
		}
	}
}
