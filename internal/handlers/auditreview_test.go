package handlers_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

// reviewForm is a form of a page, as a browser would send it.
func (a *answer) reviewForm(selector, comment string) url.Values {
	a.t.Helper()
	form := a.doc().Find(selector + ` form[method=post][action="/audit/reviews"]`).First()
	if form.Length() != 1 {
		a.t.Fatalf("no review form in %q", selector)
	}
	v := url.Values{"comment": {comment}}
	for _, input := range form.Find("input[type=hidden]").EachIter() {
		v.Set(input.AttrOr("name", ""), input.AttrOr("value", ""))
	}
	return v
}

func TestReviewUpToHere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied)
	b := s.signIn(audrey.Email)
	page := b.get("/audit")
	if got := page.text(".since p"); got != "You have not marked anything as reviewed yet." {
		t.Errorf("it says %q", got)
	}
	if got := page.text(".since button"); got != "Mark all 2 records as reviewed" {
		t.Errorf("the button says %q", got)
	}
	form := page.reviewForm(".since", "looked at all, fine")

	// Twice at once, later and elsewhere is once. What came since is not reviewed.
	s.event(hiro, audit.ActionSignOut, audit.PhaseInfo, audit.OutcomeSucceeded)
	var places [3]string
	var running sync.WaitGroup
	for i := range places {
		running.Go(func() { places[i] = b.s.browserOf(b).post("/audit/reviews", form).Header.Get("Location") })
	}
	running.Wait()
	s.clock.add(time.Minute)
	again := b.post("/audit/reviews", form).Header.Get("Location")
	for _, place := range places {
		if place != again || !strings.HasPrefix(place, "/audit?recorded=") {
			t.Errorf("the same form leads to %q and %q", place, again)
		}
	}
	reviews := s.events(audrey.OrganizationID, audit.ActionReview)
	if len(reviews) != 1 {
		t.Fatalf("%d reviews", len(reviews))
	}
	ev := reviews[0]
	if ev.Phase != audit.PhaseInfo || ev.Outcome != "" || ev.Target != (audit.Target{Type: audit.TargetRecords, ID: "0-1"}) || ev.Reason != "looked at all, fine" ||
		ev.Actor.MemberID != audrey.MemberID || ev.Source.IP == "" || ev.RequestID == "" {
		t.Errorf("recorded as %+v", ev)
	}
	page = b.get(again)
	if got := page.status(); !strings.Contains(got, "Reviewed records 0 to 1") || !strings.Contains(got, "as a whole, not row by row") || !strings.Contains(got, "looked at all, fine") {
		t.Errorf("the page says %q", got)
	}
	if got := page.text(".since p"); !strings.HasPrefix(got, "1 new record since your last review on ") || !strings.Contains(got, " UTC.") {
		t.Errorf("it says %q", got)
	}
	if got := page.text("nav.presets li:last-child .badge"); got != "1 record" {
		t.Errorf("the preset counts %q", got)
	}
	var marked []string
	for _, row := range page.auditRows().EachIter() {
		if squeeze(row.Find("th .badge").Text()) == "new" {
			marked = append(marked, squeeze(row.Find("th").Contents().First().Text()))
		}
	}
	if fmt.Sprint(marked) != "[Sign out]" {
		t.Errorf("marked as new: %q", marked)
	}
	if got := b.get("/audit?preset=new").actions(); fmt.Sprint(got) != "[Mark reviewed Sign out]" {
		t.Errorf("new are %q", got)
	}

	// The next review is of what is on the newest page, and leaves nothing new.
	b.post("/audit/reviews", b.get("/audit?preset=new").reviewForm(".since", "")).wantStatus(http.StatusSeeOther)
	page = b.get("/audit?preset=new")
	if got := page.text(".since p"); !strings.HasPrefix(got, "Nothing new since your last review on ") || page.doc().Find(".since form").Length() != 0 {
		t.Errorf("it says %q", got)
	}
	if got := page.text(".empty .title"); got != "Nothing new since your last review." {
		t.Errorf("the list says %q", got)
	}
	// Nobody is told that they reviewed what others did, or what is no review.
	for _, id := range []string{ev.ID, s.events(audrey.OrganizationID, audit.ActionSignIn)[0].ID, "nothing"} {
		if got := s.signIn("ada@acme.example").get("/audit?recorded=" + id).wantStatus(http.StatusOK).status(); got != "" {
			t.Errorf("to ada it says %q", got)
		}
	}
	// Somebody else has another last review.
	if got := s.signIn("ada@acme.example").get("/audit").text(".since p"); got != "You have not marked anything as reviewed yet." {
		t.Errorf("to ada it says %q", got)
	}
}

// browserOf is another browser in the same session, since a browser here does one thing at a time.
func (s *site) browserOf(b *browser) *browser {
	other := s.browser()
	maps.Copy(other.cookies, b.cookies)
	return other
}

// What a filter hides cannot be marked as reviewed with what it shows.
func TestReviewNotThroughAFilter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.event(s.someone("hiro@acme.example"), audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied)
	b := s.signIn("audrey@acme.example")
	page := b.get("/audit?outcome=denied")
	if page.doc().Find(".since form").Length() != 0 || !strings.Contains(page.text(".since"), "clear the filters first") {
		t.Errorf("with a filter: %s", page.text(".since"))
	}
	if page.doc().Find("tbody form").Length() != 1 {
		t.Error("one event cannot be reviewed through a filter")
	}
}

func TestReviewOfAnOperationAndAnEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audrey, noor := s.someone("audrey@acme.example"), s.someone("paula@acme.example")
	agent := s.signIn("hiro@acme.example")
	form := confirmedForm(agent.get("/members/" + noor.MemberID + "/password/delete"))
	form.Set("reason", "stolen")
	agent.post("/members/"+noor.MemberID+"/password/delete", form).wantStatus(http.StatusSeeOther)
	op := s.events(audrey.OrganizationID, audit.ActionDeletePassword)[0]
	b := s.signIn(audrey.Email)
	page := b.get("/audit?target=paula&columns=time,outcome")
	place := b.post("/audit/reviews", page.reviewForm("tbody tr:first-child", "called back, fine")).Header.Get("Location")
	reviews := s.events(audrey.OrganizationID, audit.ActionReview)
	if len(reviews) != 1 || reviews[0].Target != (audit.Target{Type: "audit_event", ID: op.ID}) || reviews[0].OperationID != op.OperationID || reviews[0].Reason != "called back, fine" {
		t.Fatalf("recorded as %+v", reviews)
	}
	if want := "/audit?columns=time%2Caction%2Coutcome&recorded=" + reviews[0].ID + "&target=paula"; place != want {
		t.Errorf("it leads back to %s, want %s", place, want)
	}
	page = b.get(place)
	row := page.auditRows().Eq(0)
	if got := squeeze(row.Find(".c-out").Text()); got != "succeeded" {
		t.Errorf("a review changes the outcome to %q", got)
	}
	if !strings.Contains(squeeze(row.Find("th").Text()), "reviewed") || !strings.Contains(squeeze(row.Find(".timeline").Text()), "Reviewed by audrey@acme.example: called back, fine") {
		t.Errorf("the row does not say who reviewed it: %s", squeeze(row.Text()))
	}
	if page.auditRows().Length() != 1 {
		t.Errorf("%d rows", page.auditRows().Length())
	}
	// The operation's page agrees with the audit all the same, and says who reviewed it.
	receipt := agent.get("/operations/" + op.OperationID).wantStatus(http.StatusOK)
	if receipt.doc().Find("main [role=alert]").Length() != 0 || !strings.Contains(receipt.text(".timeline"), "Reviewed by audrey@acme.example: called back, fine") {
		t.Errorf("the operation's page: %s", receipt.text("main"))
	}
	if file := agent.get("/operations/" + op.OperationID + "/receipt.json").wantStatus(http.StatusOK); !strings.Contains(file.body, "reviewed by audrey@acme.example") {
		t.Error("the receipt does not say who reviewed it")
	}
	for _, format := range []string{"csv", "ocsf", "ndjson"} {
		if got := b.get("/audit/export?format=" + format + "&action=audit.review").wantStatus(http.StatusOK).body; !strings.Contains(got, "called back, fine") || format == "ocsf" && !strings.Contains(got, `"class_uid":3004`) {
			t.Errorf("%s: %s", format, got)
		}
	}
	if settled, err := s.deps.Desk.Operation(t.Context(), audrey.OrganizationID, op.OperationID); err != nil || settled.State != helpdesk.StateFinal || settled.Outcome != audit.OutcomeSucceeded {
		t.Errorf("the operation is %+v, %v", settled, err)
	}

	// An event that stands alone, from its own page.
	signIn := s.events(audrey.OrganizationID, audit.ActionSignIn)[0]
	page = b.get("/audit/" + signIn.ID)
	if got := page.text("section[aria-labelledby=reviews]"); !strings.Contains(got, "Nobody has marked this as reviewed.") {
		t.Errorf("the event's page says %q", got)
	}
	place = b.post("/audit/reviews", page.reviewForm("section", "me <b>myself</b>")).Header.Get("Location")
	page = b.get(place)
	if !strings.HasPrefix(place, "/audit/"+signIn.ID+"?recorded=") || !strings.Contains(page.status(), "Review recorded") ||
		!strings.Contains(page.text("section[aria-labelledby=reviews] .timeline"), "Reviewed by audrey@acme.example: me <b>myself</b>") {
		t.Errorf("%s says %q", place, page.text("main"))
	}
	for _, row := range b.get("/audit?action=session.sign_in").auditRows().EachIter() {
		mine := row.Find(`a[href="/audit/`+signIn.ID+`"]`).Length() > 0
		if reviewed := strings.Contains(squeeze(row.Find("th").Text()), "reviewed"); reviewed != mine {
			t.Errorf("%s: reviewed %v, want %v", squeeze(row.Text()), reviewed, mine)
		}
	}
}

// A review says nothing about when something was done, and one's own is no news to oneself.
func TestReviewDoesNotChangeWhenItHappened(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseIntent, "", of("operation-1"), because("stolen", ""))
	done := s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeSucceeded, of("operation-1"), because("stolen", ""))
	b, ada := s.signIn(audrey.Email), s.signIn("ada@acme.example")
	for _, one := range []*browser{b, ada} {
		one.post("/audit/reviews", one.get("/audit").reviewForm(".since", "")).wantStatus(http.StatusSeeOther)
	}
	s.clock.add(24 * time.Hour)
	b, ada = s.signIn(audrey.Email), s.signIn("ada@acme.example")
	b.post("/audit/reviews", b.get("/audit?q=stolen").reviewForm("tbody tr:first-child", "fine")).wantStatus(http.StatusSeeOther)
	for who, c := range map[*browser]struct {
		name  string
		isNew bool
	}{b: {"who reviewed it", false}, ada: {"somebody else", true}} {
		for _, address := range []string{"/audit", "/audit?preset=new"} {
			row := who.get(address).doc().Find(`table.audit tr:has(a[href="/operations/operation-1"])`)
			if got, want := squeeze(row.Find(".c-time").Text()), done.Time.UTC().Format("2006-01-02 15:04:05 UTC"); row.Length() != 1 || got != want {
				t.Errorf("%s: to %s it happened at %q, want %q", address, c.name, got, want)
			}
			if got := row.Find(".c-more > a").AttrOr("href", ""); got != "/audit/"+done.ID {
				t.Errorf("%s: the row leads to %s, want its outcome", address, got)
			}
			if got := strings.Contains(squeeze(row.Find("th").Text()), "new"); got != c.isNew {
				t.Errorf("%s: to %s it is new: %v", address, c.name, got)
			}
		}
	}
}

// confirmedForm is the form of a confirmation page.
func confirmedForm(page *answer) url.Values {
	page.t.Helper()
	return url.Values{"form": {page.doc().Find(`main form input[name=form]`).AttrOr("value", "")}}
}

func TestReviewRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.event(hiro, audit.ActionDeletePassword, audit.PhaseOutcome, audit.OutcomeDenied)
	b := s.signIn(audrey.Email)
	form := b.get("/audit").reviewForm(".since", "x")
	with := func(name, value string) url.Values {
		v := url.Values{"form": form["form"], "comment": form["comment"]}
		v.Set(name, value)
		return v
	}
	newer := s.event(hiro, audit.ActionSignOut, audit.PhaseInfo, audit.OutcomeSucceeded)
	for what, c := range map[string]struct {
		form url.Values
		want int
	}{
		"no form":                     {url.Values{"comment": {"x"}}, http.StatusForbidden},
		"another form":                {with("form", "x"), http.StatusForbidden},
		"an event that was not there": {with("event", newer.ID), http.StatusUnprocessableEntity},
		"no such event":               {with("event", "nothing"), http.StatusNotFound},
		"a long comment":              {with("comment", strings.Repeat("ö", 501)), http.StatusUnprocessableEntity},
	} {
		if got := b.post("/audit/reviews", c.form).StatusCode; got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
	ada := s.signIn("ada@acme.example")
	ada.post("/audit/reviews", form).wantStatus(http.StatusForbidden)
	b.post("/audit/reviews", form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).wantStatus(http.StatusForbidden)
	s.signIn(hiro.Email).post("/audit/reviews", form).wantStatus(http.StatusForbidden).wantAlert("console.audit: read")
	b.get("/audit/reviews").wantLocation("/audit")
	for range 3 { // the session must not run idle
		s.clock.add(25 * time.Minute)
		b.get("/audit")
	}
	b.post("/audit/reviews", form).wantStatus(http.StatusUnprocessableEntity).wantAlert("more than an hour")
	denied := 0
	for _, ev := range s.events(audrey.OrganizationID, audit.ActionReview) {
		if ev.Phase != audit.PhaseOutcome || ev.Outcome != audit.OutcomeDenied {
			t.Errorf("recorded as %+v", ev)
		}
		denied++
	}
	if denied != 4 {
		t.Errorf("%d denied reviews are recorded, want 4", denied)
	}
	if got := b.get("/audit").text(".since p"); got != "You have not marked anything as reviewed yet." {
		t.Errorf("it says %q", got)
	}
	// A place to go back to is parsed, never followed.
	form = b.get("/audit").reviewForm(".since", "x")
	for i, back := range []string{"https://evil.example/", "//evil.example", "from=yesterday", strings.Repeat("q=x&", 1000), "%zz"} {
		form.Set("back", back)
		form.Set("comment", fmt.Sprint(i))
		if place := b.post("/audit/reviews", form).Header.Get("Location"); !strings.HasPrefix(place, "/audit?recorded=") {
			t.Errorf("back to %.40q is %s", back, place)
		}
	}
}
