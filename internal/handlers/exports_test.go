package handlers_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/handlers"
	"orgconsole/internal/stytch"
)

// deletions records operations of a person on another, each with an intent and an outcome.
func (s *site) deletions(actor, target someone, operations int) {
	s.t.Helper()
	for n := range operations {
		ev := audit.Event{
			OrganizationID: actor.OrganizationID, Action: audit.ActionDeletePassword, Phase: audit.PhaseIntent, OperationID: fmt.Sprintf("operation-%d", n),
			Actor:  audit.Actor{MemberID: actor.MemberID, Email: actor.Email},
			Target: audit.Target{Type: "member", ID: target.MemberID, Email: target.Email}, Reason: "=HYPERLINK(1)" + strings.Repeat(" stolen", 100),
		}
		for _, phase := range []audit.Phase{audit.PhaseIntent, audit.PhaseOutcome} {
			if ev.Phase = phase; phase == audit.PhaseOutcome {
				ev.Outcome = audit.OutcomeSucceeded
			}
			if _, err := s.audit.Record(s.t.Context(), ev); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func (s *site) verifyExport(file string) audit.ExportedTree {
	s.t.Helper()
	report, err := audit.VerifyExport(strings.NewReader(file), s.auditKey)
	if err != nil {
		s.t.Fatal(err)
	}
	return report.Trees[0]
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	s.deletions(hiro, s.someone("noor@acme.example"), 3)
	b := s.signIn("audrey@acme.example")
	file := func(query string, kind, extension string) string {
		t.Helper()
		a := b.get("/audit/export?" + query).wantStatus(http.StatusOK)
		if got := a.Header.Get("Content-Type"); got != kind {
			t.Errorf("%s: Content-Type %q, want %q", query, got, kind)
		}
		want := "attachment; filename=audit-acme-" + s.clock.Now().UTC().Format("20060102T150405Z") + extension
		if got := a.Header.Get("Content-Disposition"); got != want {
			t.Errorf("%s: Content-Disposition %q, want %q", query, got, want)
		}
		wantSecurityHeaders(t, a.Header)
		return a.body
	}
	whole := s.verifyExport(file("format=ndjson", "application/x-ndjson", ".ndjson"))
	if !whole.Complete() || whole.OrganizationID != hiro.OrganizationID {
		t.Errorf("%+v, complete %v", whole, whole.Complete())
	}
	if got := s.verifyExport(file("format=ndjson&outcome=succeeded&actor=hiro%40acme&action=member.password.delete", "application/x-ndjson", ".ndjson")); got.Records != 3 {
		t.Errorf("%d records fit the filter, want 3", got.Records)
	}
	tomorrow := s.clock.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	if got := s.verifyExport(file("format=ndjson&from="+tomorrow, "application/x-ndjson", ".ndjson")); got.Records != 0 {
		t.Errorf("%d records are from tomorrow", got.Records)
	}
	rows, err := csv.NewReader(strings.NewReader(file("format=csv&target=noor", "text/csv; charset=utf-8; header=present", ".csv"))).ReadAll()
	// The export itself was recorded before, as one that looked for this person.
	if err != nil || len(rows) != 1+6+1 || !strings.HasPrefix(rows[1][8], "'=HYPERLINK") {
		t.Errorf("csv: %d rows, %v", len(rows), err)
	}
	for line := range strings.Lines(file("format=ocsf&action=member.password.delete", "application/x-ndjson", ".ocsf.ndjson")) {
		var ev struct {
			TypeUID int `json:"type_uid"`
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.TypeUID != 300104 {
			t.Errorf("ocsf: %d, %v", ev.TypeUID, err)
		}
	}

	for _, query := range []string{"", "format=", "format=xml", "format=NDJSON", "format=csv&from=yesterday"} {
		b.get("/audit/export?" + query).wantStatus(http.StatusBadRequest).wantAlert("")
	}
	s.browser().get("/audit/export?format=csv").wantLocation("/login?return=%2Faudit%2Fexport%3Fformat%3Dcsv")
}

func TestExportIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audrey := s.someone("audrey@acme.example")
	s.deletions(s.someone("hiro@acme.example"), audrey, 2)
	b := s.signIn(audrey.Email)
	before := len(s.events(audrey.OrganizationID, ""))
	b.get("/audit/export?format=csv&outcome=succeeded&action=member.password.delete&from=2000-01-31&target=audrey%40acme.example").wantStatus(http.StatusOK)
	b.get("/audit/export?format=xml").wantStatus(http.StatusBadRequest)
	b.do(http.MethodHead, "/audit/export?format=csv", nil).wantStatus(http.StatusOK)
	b.get("/audit/export?format=csv&actor=hiro", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).wantLocation("/audit?actor=hiro")

	events := s.events(audrey.OrganizationID, audit.ActionExport)
	if len(events) != 2 || len(s.events(audrey.OrganizationID, "")) != before+2 {
		t.Fatalf("%d events of exports, want an intent and an outcome of one", len(events))
	}
	outcome, intent := events[0], events[1]
	if intent.Phase != audit.PhaseIntent || outcome.Phase != audit.PhaseOutcome || outcome.OperationID != intent.OperationID || intent.OperationID == "" {
		t.Errorf("phases %s and %s, operations %q and %q", intent.Phase, outcome.Phase, intent.OperationID, outcome.OperationID)
	}
	if outcome.Outcome != audit.OutcomeSucceeded || outcome.Count != 2 || outcome.Detail != "sent_whole" {
		t.Errorf("outcome %s, count %d, detail %s", outcome.Outcome, outcome.Count, outcome.Detail)
	}
	for _, ev := range events {
		want := audit.Target{Type: "audit_log", Label: "target audrey@acme.example", Email: "audrey@acme.example"}
		if diff := cmp.Diff(want, ev.Target); diff != "" {
			t.Errorf("target (-want +got):\n%s", diff)
		}
		if ev.Actor.MemberID != audrey.MemberID || ev.Reason != "csv, action member.password.delete, outcome succeeded, from 2000-01-31" || ev.RequestID == "" {
			t.Errorf("recorded as %+v", ev)
		}
	}
	// Its events are all there is of it: no page of an operation.
	page := b.get("/audit?action=audit.export").wantStatus(http.StatusOK)
	if got := page.doc().Find(`a[href^="/operations/"]`).Length(); got != 0 {
		t.Errorf("%d links to operations that there are not", got)
	}
	if got := page.text("tbody"); !strings.Contains(got, "Export audit") || !strings.Contains(got, "csv, action member.password.delete") {
		t.Errorf("the audit page shows %q", got)
	}
	b.get("/audit/" + intent.ID).wantStatus(http.StatusOK)
}

func TestExportWithoutPermission(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	b := s.signIn(hiro.Email)
	a := b.get("/audit/export?format=ndjson&actor=ada").wantStatus(http.StatusForbidden).wantAlert("console.audit: export")
	if strings.Contains(a.body, "tree_size") || a.Header.Get("Content-Disposition") != "" {
		t.Error("something was exported all the same")
	}
	b.get("/audit/export?format=xml&from=x").wantStatus(http.StatusForbidden)
	events := s.events(hiro.OrganizationID, audit.ActionExport)
	if len(events) != 2 {
		t.Fatalf("%d events, want one for each try", len(events))
	}
	ev := events[1]
	if ev.Outcome != audit.OutcomeDenied || ev.Phase != audit.PhaseOutcome || ev.Actor.MemberID != hiro.MemberID || ev.Reason != "ndjson" || ev.Target.Label != "actor ada" ||
		ev.HTTP.Status != http.StatusForbidden || ev.UpstreamRequestID == "" {
		t.Errorf("recorded as %+v", ev)
	}
	if events[0].Reason != "format unknown" {
		t.Errorf("recorded as %+v", events[0])
	}
}

// served is a console on a real connection, for what a recorder does not do.
func (s *site) served() *httptest.Server {
	srv := httptest.NewUnstartedServer(s.handler)
	srv.Config.WriteTimeout = 2 * time.Minute
	srv.Start()
	s.t.Cleanup(srv.Close)
	return srv
}

func (b *browser) request(t *testing.T, srv *httptest.Server, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = b.s.public.Host
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func TestExportIsStreamedThroughTheCompression(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deletions(s.someone("hiro@acme.example"), s.someone("noor@acme.example"), 200)
	srv, b := s.served(), s.signIn("audrey@acme.example")
	for _, encoding := range []string{"gzip", "zstd", "identity"} {
		r := b.request(t, srv, "/audit/export?format=ndjson")
		r.Header.Set("Accept-Encoding", encoding)
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Encoding"); got != encoding && encoding != "identity" {
			t.Errorf("Content-Encoding %q, want %q", got, encoding)
		}
		if resp.ContentLength >= 0 {
			t.Errorf("%s: the length was known before: %d", encoding, resp.ContentLength)
		}
		switch encoding {
		case "zstd":
			continue // there is no decoder in the standard library; the encoder is the same library's
		case "gzip":
			unzip, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unzip); err != nil {
				t.Fatal(err)
			}
		}
		if tree := s.verifyExport(string(body)); !tree.Complete() {
			t.Errorf("%s: %+v", encoding, tree)
		}
	}
}

// What breaks late breaks the connection, so that nobody has half a file and thinks it whole.
func TestExportThatDoesNotFitBreaksOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro := s.someone("hiro@acme.example")
	s.deletions(hiro, s.someone("noor@acme.example"), 60)
	srv, b := s.served(), s.signIn("audrey@acme.example")
	get := func() (*http.Response, []byte, error) {
		r := b.request(t, srv, "/audit/export?format=csv")
		resp, err := srv.Client().Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, body, err
	}
	s.tamper(`UPDATE audit_events SET outcome = 'denied' WHERE operation_id = 'operation-59' AND phase = 'outcome'`)
	resp, body, err := get()
	if err == nil || resp == nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
		t.Errorf("%d bytes of %v, error %v; want a part, and an error", len(body), resp, err)
	}
	events := s.events(hiro.OrganizationID, audit.ActionExport)
	events = slices.DeleteFunc(events, func(ev audit.Event) bool { return ev.Damage != "" }) // a record that says nothing fits any filter
	if len(events) != 2 || events[0].Outcome != audit.OutcomeFailed || events[0].Detail != "does_not_fit" || events[0].Count == 0 {
		t.Errorf("recorded as %+v", events)
	}
	if !strings.Contains(s.logs.String(), "its column outcome does not agree") {
		t.Error("the log does not say why")
	}
	// What breaks before anything was sent is a page.
	s.tamper(`UPDATE audit_events SET outcome = 'denied' WHERE operation_id = 'operation-0' AND phase = 'outcome'`)
	b.get("/audit/export?format=csv").wantStatus(http.StatusInternalServerError).wantAlert("does not fit its own checkpoints")
}

// tamper runs SQL on the store behind the console's back.
func (s *site) tamper(query string) {
	s.t.Helper()
	err := s.db.Write(s.t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(s.t.Context(), query)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// stuck is a browser that stops reading.
type stuck struct {
	*httptest.ResponseRecorder
	once    sync.Once
	writing chan struct{}
	goOn    chan struct{}
}

func (w *stuck) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.writing) })
	<-w.goOn
	return len(b), errors.New("the browser is gone")
}

func TestExportsAtOnceAreFew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audrey := s.someone("audrey@acme.example")
	b := s.signIn(audrey.Email)
	goOn := make(chan struct{})
	var running sync.WaitGroup
	for range 2 {
		w := &stuck{ResponseRecorder: httptest.NewRecorder(), writing: make(chan struct{}), goOn: goOn}
		running.Go(func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("panic %v, want http.ErrAbortHandler", err)
				}
			}()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit/export?format=csv", http.NoBody)
			r.Host = s.public.Host
			for _, c := range b.cookies {
				r.AddCookie(c)
			}
			s.handler.ServeHTTP(w, r)
		})
		<-w.writing
	}
	a := b.get("/audit/export?format=csv").wantStatus(http.StatusTooManyRequests).wantAlert("Other exports are under way")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b.get("/audit").wantStatus(http.StatusOK) // pages go on
	close(goOn)
	running.Wait()
	b.get("/audit/export?format=csv").wantStatus(http.StatusOK)
	outcomes := map[string]int{}
	for _, ev := range s.events(audrey.OrganizationID, audit.ActionExport) {
		outcomes[string(ev.Outcome)+" "+ev.Detail]++
	}
	if diff := cmp.Diff(map[string]int{" ": 3, "failed broke_off": 2, "succeeded sent_whole": 1}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestExportMenu(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deletions(s.someone("hiro@acme.example"), s.someone("noor@acme.example"), 52)
	menu := func(b *browser, query string) (links []string, text string) {
		t.Helper()
		page := b.get("/audit" + query).wantStatus(http.StatusOK)
		for _, a := range page.doc().Find("details.export a[href]").EachIter() {
			links = append(links, a.AttrOr("href", ""))
		}
		return links, page.text("details.export")
	}
	audrey := s.signIn("audrey@acme.example")
	links, text := menu(audrey, "?outcome=succeeded&actor=hiro&from=2000-01-01&cursor=NTA")
	const filters = "actor=hiro&format=%s&from=2000-01-01&outcome=succeeded"
	want := []string{"/audit/export?" + fmt.Sprintf(filters, "ndjson"), "/audit/export?" + fmt.Sprintf(filters, "csv"), "/audit/export?" + fmt.Sprintf(filters, "ocsf")}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(text, "Export") || !strings.Contains(text, "52 events.") {
		t.Errorf("menu %q", text)
	}
	for _, link := range links {
		audrey.get(link).wantStatus(http.StatusOK)
	}
	if _, text := menu(audrey, ""); !strings.Contains(text, "111 events.") {
		t.Errorf("menu of all events %q", text)
	}
	if _, text := menu(audrey, "?outcome=denied"); strings.Contains(text, "events.") {
		t.Errorf("menu of few events %q", text)
	}

	// Whoever may read and not export is told why.
	upstream, err := url.Parse(s.upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	without := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host, r.RequestURI, r.Host = upstream.Scheme, upstream.Host, "", upstream.Host
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(resp.StatusCode)
		if strings.HasSuffix(r.URL.Path, "/rbac/policy") {
			body = bytes.ReplaceAll(body, []byte(`"read","export"`), []byte(`"read"`))
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(without.Close)
	info := s.sandbox.Info()
	client, err := stytch.New(info.ProjectID, info.Secret, stytch.WithBaseURL(without.URL), stytch.WithClock(s.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	reading := s.with(t, func(d *handlers.Deps) { d.Authz = authz.New(client, s.clock.Now) })
	links, text = menu(reading.signIn("audrey@acme.example"), "")
	if len(links) != 0 || !strings.Contains(text, "Needs console.audit: export. Roles that have it: stytch_admin.") {
		t.Errorf("links %q, menu %q", links, text)
	}
}

func TestReceiptOfAnOperation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, target := s.someone("hiro@acme.example"), s.someone("ada@acme.example")
	b := s.signIn(hiro.Email)
	confirm := b.get(deleteAddress(target))
	b.submit(confirm, deleteAddress(target), url.Values{"reason": {"laptop stolen"}, "ticket": {"HD-7"}, "sign_out": {"true"}}).wantStatus(http.StatusSeeOther)
	id := s.events(hiro.OrganizationID, audit.ActionDeletePassword)[0].OperationID

	page := b.get("/operations/" + id).wantStatus(http.StatusOK)
	link := page.doc().Find(`main a[download]`).AttrOr("href", "")
	if link != "/operations/"+id+"/receipt.json" || page.doc().Find("main button[data-print][hidden]").Length() != 1 {
		t.Fatalf("the page offers %q", link)
	}
	a := b.get(link).wantStatus(http.StatusOK)
	if got := a.Header.Get("Content-Disposition"); got != "attachment; filename=receipt-"+id+".json" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Disposition %q, Content-Type %q", got, a.Header.Get("Content-Type"))
	}
	report, err := audit.VerifyReceipt(strings.NewReader(a.body), s.auditKey)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(report.Statement, "\n")
	for _, want := range []string{"Delete password: succeeded\n", "- reason: laptop stolen\n", "- ticket: HD-7\n", target.Email, hiro.Email} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	s.signIn("audrey@acme.example").get(link).wantStatus(http.StatusOK)
	stranger := s.signIn("max@acme.example")
	stranger.get("/operations/" + id).wantStatus(http.StatusForbidden)
	stranger.get(link).wantStatus(http.StatusForbidden)
	s.signIn("olga@globex.example").get(link).wantStatus(http.StatusNotFound)
	b.get("/operations/01990000-0000-7000-8000-000000000000/receipt.json").wantStatus(http.StatusNotFound)
}
