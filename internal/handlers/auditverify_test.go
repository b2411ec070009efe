package handlers_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/handlers"
)

// verification is the page once the verification is over.
func (b *browser) verification() *answer {
	b.s.t.Helper()
	b.s.running.Wait()
	return b.get("/audit/verification").wantStatus(http.StatusOK)
}

func TestVerifyNow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.deletions(hiro, audrey, 3)
	b := s.signIn(audrey.Email)
	if got := b.get("/audit/verification").text("main"); !strings.Contains(got, "Nothing was verified yet.") {
		t.Errorf("before: %q", got)
	}
	if b.get("/audit").doc().Find(`form[method=post][action="/audit/verify"] button`).Text() != "Verify now" {
		t.Error("no button")
	}
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	page := b.verification()
	if got := page.status(); !strings.Contains(got, "Intact") || !strings.Contains(got, "Records 0 to 6 are as they were recorded, in order, with no gap, and match the signed checkpoint.") {
		t.Errorf("it says %q", got)
	}
	report, err := s.audit.Verify(t.Context(), audrey.OrganizationID, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(s.auditKey, "+A")
	for _, want := range []string{"Hashed the bytes of 7 records", "Compared", "Checked the checkpoint's signature with the key " + key, "Begun by audrey@acme.example at", "it took "} {
		if got := page.text("main"); !strings.Contains(got, want) {
			t.Errorf("it does not say %q: %s", want, got)
		}
	}
	if got := page.text("section[aria-labelledby=does-not]"); !strings.Contains(got, "cut off at the end") || !strings.Contains(got, "console audit verify") {
		t.Errorf("it does not prove: %q", got)
	}
	const longer = "The newest record is this verification itself"
	if got := page.text("main"); !strings.Contains(got, longer) {
		t.Errorf("it does not say why the newest checkpoint is longer: %s", got)
	}
	if page.doc().Find(`main form[action="/audit/verify"]`).Length() != 0 {
		t.Error("a button that would show the same again")
	}
	events := s.events(audrey.OrganizationID, audit.ActionVerify)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	ev := events[0]
	if ev.Outcome != audit.OutcomeSucceeded || ev.Detail != "intact" || !strings.HasPrefix(ev.Reason, "7 records, of which 0 purged; ") || ev.Actor.MemberID != audrey.MemberID || ev.Count != 0 {
		t.Errorf("recorded as %+v", ev)
	}
	if page.doc().Find(`a[href="/audit/`+ev.ID+`"]`).Length() != 1 || report.Size != 8 {
		t.Errorf("no link to its event, or %d records", report.Size)
	}
	s.event(hiro, audit.ActionSignOut, audit.PhaseInfo, audit.OutcomeSucceeded)
	s.clock.add(time.Minute)
	if later := b.get("/audit/verification"); strings.Contains(later.text("main"), longer) || later.doc().Find(`main form[action="/audit/verify"]`).Length() != 1 {
		t.Errorf("with another record, a minute later: %s", later.text("main"))
	}
	// Another process knows it from the log.
	other := s.with(t, func(*handlers.Deps) {})
	elsewhere := other.browser()
	elsewhere.cookies = b.cookies
	if got := elsewhere.get("/audit/verification").text("main"); !strings.Contains(got, "The last one, by audrey@acme.example at") || !strings.Contains(got, "succeeded. 7 records") {
		t.Errorf("elsewhere: %q", got)
	}
}

func TestVerifyNowNamesTheFirstBadRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.deletions(hiro, audrey, 3)
	bad := s.events(audrey.OrganizationID, audit.ActionDeletePassword)[3] // of six, newest first
	b := s.signIn(audrey.Email)
	s.tamper(`UPDATE audit_events SET bytes = replace(bytes, 'stolen', 'broken') WHERE id = '` + bad.ID + `'`)
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	page := b.verification()
	if got := page.alert(); !strings.Contains(got, "Not intact") || !strings.Contains(got, "The first record that does not fit is record 2") {
		t.Errorf("it says %q", got)
	}
	if page.doc().Find(`[role=alert] a[href="/audit/`+bad.ID+`"]`).Length() != 1 {
		t.Error("no link to the record")
	}
	if events := s.events(audrey.OrganizationID, audit.ActionVerify); len(events) != 1 || events[0].Outcome != audit.OutcomeFailed || events[0].Detail != "does_not_fit" || !strings.Contains(events[0].Reason, bad.ID) {
		t.Errorf("recorded as %+v", events)
	}
}

// Two clicks are one verification, which goes on without the page that began it; others have to wait for a place.
func TestVerifyNowOnceAtATime(t *testing.T) {
	t.Parallel()
	var begun []func(context.Context)
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) {
			d.Background = func(run func(context.Context)) { begun = append(begun, run) }
		}
	})
	b, second := s.signIn("audrey@acme.example"), s.signIn("ada@acme.example")
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	second.post("/audit/verify", nil).wantLocation("/audit/verification")
	if len(begun) != 1 {
		t.Fatalf("%d verifications", len(begun))
	}
	page := second.get("/audit/verification").wantStatus(http.StatusOK)
	if page.doc().Find("progress").Length() != 1 || !strings.Contains(page.text("main"), "Begun by audrey@acme.example") || !strings.Contains(page.text("main"), "It goes on if you leave this page.") {
		t.Errorf("while it runs: %q", page.text("main"))
	}
	if !strings.Contains(page.body, `<noscript><meta http-equiv="refresh" content="2"></noscript>`) || page.doc().Find("[data-poll]").Length() != 1 {
		t.Error("the page does not look again")
	}
	begun[0](t.Context())
	if got := second.get("/audit/verification").status(); !strings.Contains(got, "Intact") {
		t.Errorf("afterwards: %q", got)
	}

	// A console that is told to stop says so, and nothing about the records.
	s.clock.add(time.Minute)
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	begun[1](stopped)
	page = b.get("/audit/verification")
	if !strings.Contains(page.alert(), "It could not be verified") || !strings.Contains(page.alert(), "says nothing about the records") {
		t.Errorf("stopped: %q", page.alert())
	}
	for n := range 3 { // each gives its place back
		s.clock.add(time.Minute)
		b.post("/audit/verify", nil).wantLocation("/audit/verification")
		begun[2+n](stopped)
	}
	events := s.events(s.someone("ada@acme.example").OrganizationID, audit.ActionVerify)
	if len(events) != 5 || events[0].Outcome != audit.OutcomeCancelled || events[0].Detail != "stopped" {
		t.Errorf("recorded as %+v", events)
	}
}

// Whoever asks again and again is shown the result, and keeps nothing busy.
func TestVerifyNowPauses(t *testing.T) {
	t.Parallel()
	begun := 0
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) {
			d.Background = func(run func(context.Context)) {
				begun++
				run(t.Context())
			}
		}
	})
	b, second := s.signIn("audrey@acme.example"), s.signIn("ada@acme.example")
	if strings.Contains(b.get("/audit/verification").text("main"), "again") {
		t.Error("before the first one it can be done again")
	}
	again := "The log can be verified again from " + s.clock.Now().Add(time.Minute).UTC().Format("2006-01-02 15:04:05")
	for _, one := range []*browser{b, b, second} {
		one.post("/audit/verify", nil).wantLocation("/audit/verification")
		page := one.verification()
		if !strings.Contains(page.status(), "Intact") || !strings.Contains(page.text("main"), again) {
			t.Errorf("it says %q, want %q", page.text("main"), again)
		}
	}
	s.clock.add(time.Minute - time.Second)
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	if begun != 1 {
		t.Errorf("%d verifications within a minute", begun)
	}
	s.clock.add(time.Second)
	if strings.Contains(b.verification().text("main"), again) {
		t.Error("a minute later it says the same")
	}
	b.post("/audit/verify", nil).wantLocation("/audit/verification")
	if begun != 2 {
		t.Errorf("%d verifications after a minute, want 2", begun)
	}
}

// Whatever is verified, exported, indexed and sent out, there are connections left for the pages.
func TestSlowPagesLeaveReaders(t *testing.T) {
	t.Parallel()
	const others = 3 // the sink, the witness and the index
	if most := newSite(t).db.Reader().Stats().MaxOpenConnections; most < handlers.HeldReaders+others+4 {
		t.Errorf("%d connections, of which %d may be held", most, handlers.HeldReaders+others)
	}
}

func TestVerifyNowIsBounded(t *testing.T) {
	t.Parallel()
	var begun int
	s := newSite(t, func(o *siteOptions) {
		o.edit = func(d *handlers.Deps) { d.Background = func(func(context.Context)) { begun++ } }
	})
	b := s.signIn("audrey@acme.example")
	var err error
	if s.handler, err = s.server.Handler(); err != nil {
		t.Fatal(err)
	}
	s.server.OccupyVerification("organization-test-1")
	s.server.OccupyVerification("organization-test-2")
	a := b.post("/audit/verify", nil).wantStatus(http.StatusTooManyRequests).wantAlert("Other logs are being verified")
	if a.Header.Get("Retry-After") == "" || begun != 0 {
		t.Errorf("Retry-After %q, %d begun", a.Header.Get("Retry-After"), begun)
	}
	hiro := s.signIn("hiro@acme.example")
	hiro.post("/audit/verify", nil).wantStatus(http.StatusForbidden).wantAlert("console.audit: read")
	hiro.get("/audit/verification").wantStatus(http.StatusForbidden)
	if events := s.events(s.someone("hiro@acme.example").OrganizationID, audit.ActionVerify); len(events) != 1 || events[0].Outcome != audit.OutcomeDenied {
		t.Errorf("recorded as %+v", events)
	}
}
