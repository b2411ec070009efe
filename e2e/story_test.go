package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// The whole way of a helpdesk call: sign in, find the member, delete the
// password, see the member as it now is, and read who did what in the audit.
func TestDeletePasswordStory(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, b := s.person("org_admin"), s.browser()

	first := b.get("/")
	if first.url.Path != "/login" {
		t.Fatalf("signed out, / leads to %s, want /login", first.url)
	}
	landed := b.signIn(admin.Organization, admin.Email, admin.Password).wants(http.StatusOK)
	if landed.url.Path != "/members" {
		t.Fatalf("signing in leads to %s, want /members", landed.url)
	}
	landed.says("h1", "Members")

	// Search to evidence in four page loads.
	target := s.control.stranger("maria.silvestri@acme.example")
	b.loads = 0
	results := b.submit(landed, searchForm, map[string]string{"q": "maria.silvestri@"}).wants(http.StatusOK)
	row := results.doc.Find("table.members tbody tr").First()
	if !strings.Contains(row.Text(), target.Email) {
		t.Fatalf("the search for %s finds first: %s", target.Email, squeeze(row.Text()))
	}
	member := b.get(row.Find("a").AttrOr("href", "")).wants(http.StatusOK)
	if member.url.Path != "/members/"+target.MemberID {
		t.Fatalf("the row leads to %s", member.url.Path)
	}
	member.says("h1", "Maria Silvestri")
	member.says("main", target.Email, target.MemberID)
	deleteLink, ok := member.doc.Find("main a:contains('Delete password')").Attr("href")
	if !ok {
		t.Fatalf("no link Delete password: %s", member.words())
	}
	confirm := b.get(deleteLink).wants(http.StatusOK)
	confirm.says("h1", "Delete password")
	confirm.says("main", "Maria Silvestri", target.Email, target.MemberID, "stytch_member", "1 session is open")
	confirm.says("main", "No mail is sent", "Another member looks nearly the same", "maria.silvestri2@acme.example")
	if got := squeeze(confirm.one(confirmForm + " button[type=submit]").Text()); got != "Delete password" {
		t.Errorf("the button reads %q", got)
	}
	action, body := confirm.form(confirmForm, map[string]string{"reason": "caller's laptop was stolen", "ticket": "INC-4711"})
	mark := s.control.mark()
	answer := b.post(action, body)
	if answer.wants(http.StatusSeeOther); !strings.HasPrefix(answer.location(), "/members/"+target.MemberID+"?") {
		t.Errorf("the deletion leads to %s", answer.location())
	}
	evidence := b.follow(answer).wants(http.StatusOK)
	if b.loads != 4 {
		t.Errorf("from the submitted search to the evidence took %d page loads, want 4", b.loads)
	}

	sent := s.control.journal(mark, epDeletePassword)
	if len(sent) != 1 {
		t.Fatalf("%d deletions reached the upstream, want 1", len(sent))
	}
	evidence.says(`[role="status"]`, "Password deleted", sent[0].RequestID)
	if got := squeeze(evidence.doc.Find(".change del").Text()) + " → " + squeeze(evidence.doc.Find(".change ins").Text()); got != "set → not set" {
		t.Errorf("before → after reads %q", got)
	}
	evidence.says("section.result", "1 session is still signed in", "Tell the caller", "No mail was sent")
	if got := evidence.row("Password"); !strings.HasPrefix(got, "not set") {
		t.Errorf("the member's password reads %q, want not set", got)
	}
	evidence.says("main", "already deleted")
	if got := s.control.member(target.MemberID).Member.PasswordID; got != "" {
		t.Errorf("upstream the password id is %q", got)
	}

	t.Run("what was sent", func(t *testing.T) {
		del := sent[0]
		if del.Method != http.MethodDelete || !strings.HasSuffix(del.Path, "/members/passwords/"+target.PasswordID) {
			t.Errorf("sent %s %s", del.Method, del.Path)
		}
		if del.Authorization == nil || !del.Authorization.Valid || del.Authorization.User != s.ProjectID {
			t.Errorf("Basic auth: %+v", del.Authorization)
		}
		if len(del.Session) != 1 || del.Session[0].MemberID != s.id(admin.Email) || del.Session[0].SessionID == "" {
			t.Errorf("session headers: %+v, want one, of %s", del.Session, admin.Email)
		}
	})

	operation := evidence.operation()
	t.Run("receipt", func(t *testing.T) {
		if href := evidence.doc.Find("section.result a:contains('Receipt')").AttrOr("href", ""); href != operation {
			t.Errorf("the link to the receipt is %q, want %s", href, operation)
		}
		receipt := b.get(operation).wants(http.StatusOK)
		receipt.says(`[role="status"]`, "Password deleted", sent[0].RequestID)
		receipt.says("main", target.Email, target.MemberID, admin.Name, admin.Email, "caller's laptop was stolen", "INC-4711", "set", "not set")
		for label, want := range map[string]string{
			"Stytch status": "200", "Stytch request ID": sent[0].RequestID, "Reason": "caller's laptop was stolen", "Ticket": "INC-4711",
		} {
			if got := receipt.row(label); got != want {
				t.Errorf("%s: %q, want %q", label, got, want)
			}
		}
	})
	t.Run("audit", func(t *testing.T) {
		rows := of(b.audit(""), operation)
		wantOutcomes(t, rows, "outcome succeeded", "intent")
		for _, r := range rows {
			if !strings.Contains(r.actor, admin.Email) || !strings.Contains(r.target, target.Email) ||
				r.reason != "caller's laptop was stolen" || r.ticket != "INC-4711" {
				t.Errorf("row: %+v", r)
			}
			event := b.get(r.event).wants(http.StatusOK)
			event.says("main", "Verified", sent[0].Path[strings.LastIndex(sent[0].Path, "/")+1:], admin.Email, target.Email)
			if bytes := event.doc.Find(`pre[aria-label^="Exact bytes"]`).Text(); !strings.Contains(bytes, r.reason) ||
				strings.Contains(bytes, admin.Email) || strings.Contains(bytes, target.Email) {
				t.Errorf("the event's bytes should hold the reason and no address: %s", bytes)
			}
		}
		if intent := b.get(rows[1].event); !intentBefore(intent, sent[0]) {
			t.Errorf("the intent was recorded at %q, not before the upstream was asked at %s", intent.row("Time"), sent[0].Time)
		}
	})
	t.Run("replay", func(t *testing.T) {
		again := b.post(action, body).wants(http.StatusSeeOther)
		if again.location() != answer.location() {
			t.Errorf("the replay leads to %s, the first led to %s", again.location(), answer.location())
		}
		b.follow(again).wants(http.StatusOK).says(`[role="status"]`, "Password deleted", sent[0].RequestID)
		if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
			t.Errorf("after the replay the upstream has seen %d deletions, want 1", n)
		}
		wantOutcomes(t, of(b.audit(""), operation), "outcome succeeded", "intent")
	})
}

// intentBefore compares the event page's machine-readable time with a request's.
func intentBefore(p *page, sent entry) bool {
	at, ok := p.doc.Find("dl.rows > div:has(dt:contains('Time')) time").First().Attr("datetime")
	return ok && at != "" && parseTime(p.t, at).Before(sent.Time.Add(1e6)) // event times are cut to milliseconds
}

func TestDoubleSubmitDeletesOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("org_admin")
	target := s.control.stranger("paula@acme.example")
	confirm := b.confirm(target.MemberID)
	action, body := confirm.form(confirmForm, map[string]string{"reason": "double click"})
	// The call is slow, so that all of them are there before it is answered.
	s.control.fault(fault{Endpoint: epDeletePassword, Kind: "latency", Duration: "500ms"})
	mark := s.control.mark()
	answers := make([]*page, 6)
	var all sync.WaitGroup
	for i := range answers {
		tab, request := b.clone(), b.request(http.MethodPost, action, body)
		all.Go(func() { answers[i] = tab.do(request) })
	}
	all.Wait()
	for _, a := range answers {
		if a == nil {
			t.Fatal("a submit got no answer")
		}
		a.wants(http.StatusSeeOther)
		if a.location() != answers[0].location() {
			t.Errorf("one submit leads to %s, another to %s", a.location(), answers[0].location())
		}
	}
	if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
		t.Errorf("%d deletions reached the upstream, want 1", n)
	}
	end := b.follow(answers[0]).wants(http.StatusOK)
	end.says(`[role="status"]`, "Password deleted")
	wantOutcomes(t, of(b.audit(""), end.operation()), "outcome succeeded", "intent")
}

func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.person("org_admin")
	b := s.browser()
	refusal := func(organization, email, password string) *page {
		t.Helper()
		p := b.signIn(organization, email, password)
		if p.url.Path == "/members" {
			t.Fatalf("%s in %s got in", email, organization)
		}
		if p.one(`[role="alert"]`); len(b.client.Jar.Cookies(b.base)) != 0 {
			t.Errorf("a cookie was set for %s: %v", email, b.client.Jar.Cookies(b.base))
		}
		if v, _ := p.doc.Find("input[type=password]").Attr("value"); v != "" {
			t.Error("the password typed is in the page")
		}
		return p
	}
	alert := func(p *page) string {
		return p.text(`[role="alert"] p.title`) + p.text(`[role="alert"] p:not(.title):not(.rid)`)
	}

	one := alert(refusal(admin.Organization, admin.Email, "wrong "+admin.Password))
	for name, p := range map[string]*page{
		"unknown person":       refusal(admin.Organization, "nobody@acme.example", admin.Password),
		"unknown organization": refusal("no-such-organization", admin.Email, admin.Password),
		"person of another":    refusal("globex", admin.Email, admin.Password),
		"no organization slug": refusal("../globex", admin.Email, admin.Password),
	} {
		if got := alert(p); got != one {
			t.Errorf("%s: says %q, a wrong password says %q", name, got, one)
		}
	}
	seen := map[string]string{one: "wrong password"}
	for name, email := range map[string]string{
		"locked": "lena@acme.example", "method not allowed": "ingrid@initech.test",
	} {
		who := s.control.stranger(email)
		got := alert(refusal(who.Organization, who.Email, who.Password))
		if other, ok := seen[got]; ok || got == "" {
			t.Errorf("%s says the same as %s: %q", name, other, got)
		}
		seen[got] = name
	}

	rows := s.as("org_admin").audit("?outcome=failed")
	var typed []string
	for _, r := range rows {
		typed = append(typed, r.actor)
	}
	for _, want := range []string{admin.Email, "nobody@acme.example", "lena@acme.example"} {
		if !strings.Contains(strings.Join(typed, "\n"), want) {
			t.Errorf("no failed sign-in of %s in the audit: %q", want, typed)
		}
	}
}

func TestSearchMembers(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	for _, c := range []struct{ name, query, finds string }{
		{"part of an address", "silvestri2", "maria.silvestri2@acme.example"},
		{"address", "paula@acme", "paula@acme.example"},
		{"name", "everly", "grace@acme.example"},
		{"words of a name in another order", "okafor ada", "ada@acme.example"},
		{"Cyrillic", "петро", "petro@acme.example"},
		{"Arabic", "شيرين", "shirin@acme.example"},
		{"combining marks", "Nguyễn", "minhkhai@acme.example"},
		{"without the accents", "nguyen", "minhkhai@acme.example"},
		{"emoji", "👩🏽‍💻", "zoe@acme.example"},
		{"accented", "Wójcik", "zoe@acme.example"},
		{"markup in a name", "<script>", "bobby.tables@acme.example"},
		{"two letters of a name", "xx", ""},
	} {
		p := b.get("/members?" + url.Values{"q": {c.query}}.Encode()).wants(http.StatusOK)
		if got := p.text("table.members"); c.finds != "" && !strings.Contains(got, c.finds) {
			t.Errorf("%s: %q does not find %s: %s", c.name, c.query, c.finds, p.words())
		}
		if got := p.one("#q").AttrOr("value", ""); got != c.query {
			t.Errorf("%s: the field has %q, want %q", c.name, got, c.query)
		}
	}
	none := b.get("/members?q=nobody.at.all%40nowhere").wants(http.StatusOK)
	none.says("main", "No member matches")
	for query, want := range map[string]string{
		"?status=invited": "ilse@acme.example", "?status=deleted": "dora@acme.example", "?password=not-set": "noor@acme.example",
		"?role=helpdesk": "hiro@acme.example",
	} {
		b.get("/members"+query).wants(http.StatusOK).says("table.members", want)
	}
	if strings.Contains(b.get("/members?q=dora%40acme").text("table.members"), "dora@acme") {
		t.Error("a deleted member is listed without being asked for")
	}
}
