package e2e_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// Forms of the pages, as selectors.
const (
	signInForm  = "main form:has(input[type=password])"
	signOutForm = `form[action="/logout"]`
	searchForm  = `form[action="/members"]`
	confirmForm = "main form:has(textarea[name=reason])"
)

// signIn fills the sign-in page and returns where that leads.
func (b *browser) signIn(organization, email, password string) *page {
	b.t.Helper()
	return b.submit(b.get("/login").wants(http.StatusOK), signInForm, map[string]string{
		"organization": organization, "email": email, "password": password,
	})
}

// as returns the browser of somebody who has signed in.
func (s *site) as(role string) *browser {
	s.t.Helper()
	return s.asPerson(s.person(role))
}

func (s *site) asPerson(p person) *browser {
	s.t.Helper()
	b := s.browser()
	if landed := b.signIn(p.Organization, p.Email, p.Password).wants(http.StatusOK); landed.url.Path == "/login" {
		s.t.Fatalf("%s could not sign in: %s", p.Email, landed.words())
	}
	b.loads = 0
	return b
}

// id is the member id of somebody by address.
func (s *site) id(email string) string {
	s.t.Helper()
	return s.control.stranger(email).MemberID
}

// confirm opens the confirmation page of a deletion.
func (b *browser) confirm(memberID string) *page {
	b.t.Helper()
	return b.get("/members/" + memberID + "/password/delete").wants(http.StatusOK)
}

// deletePassword confirms a deletion and returns the page it leads to.
func (b *browser) deletePassword(memberID string, more map[string]string) *page {
	b.t.Helper()
	fill := map[string]string{"reason": "caller's laptop was stolen", "ticket": "INC-4711"}
	maps.Copy(fill, more)
	return b.submit(b.confirm(memberID), confirmForm, fill)
}

// operation is the address of the operation that a member's page tells of.
func (p *page) operation() string {
	p.t.Helper()
	id := p.url.Query().Get("operation")
	if id == "" {
		p.t.Fatalf("%s does not tell of an operation", p.url)
	}
	return "/operations/" + id
}

// auditRow is one event of the audit page: a row, or a line of an operation's timeline.
type auditRow struct {
	action, phase, actor, target, reason, ticket, outcome string
	event, operation                                      string // addresses
}

// audit reads the events on one page of the audit, newest first within each
// row. An outcome in the query leaves out what an operation's row shows besides.
func (b *browser) audit(query string) []auditRow {
	b.t.Helper()
	p := b.get("/audit" + query).wants(http.StatusOK)
	var events []auditRow
	for _, row := range p.auditRows("table.audit:last-of-type") {
		if want := p.url.Query().Get("outcome"); want == "" || row.outcome == want {
			events = append(events, row)
		}
	}
	return events
}

func (p *page) auditRows(selector string) []auditRow {
	var rows []auditRow
	p.doc.Find(selector).Last().Find("tbody tr").Each(func(_ int, tr *goquery.Selection) {
		cells := tr.Children()
		cell := func(i int) string { return squeeze(cells.Eq(i).Text()) }
		row := auditRow{
			action: squeeze(cells.Eq(1).Contents().First().Text()), phase: squeeze(cells.Eq(1).Find("small").Text()),
			actor: cell(2), target: cell(3), reason: squeeze(cells.Eq(4).Children().First().Text()),
			ticket: squeeze(cells.Eq(4).Find("small").Text()), outcome: squeeze(cells.Eq(5).Find(".badge").Text()),
		}
		tr.Find(".c-more > a").Each(func(_ int, a *goquery.Selection) {
			switch href := a.AttrOr("href", ""); {
			case strings.HasPrefix(href, "/audit/"):
				row.event = href
			case strings.HasPrefix(href, "/operations/"):
				row.operation = href
			}
		})
		lines := tr.Find(".timeline li")
		if row.operation == "" || lines.Length() == 0 {
			rows = append(rows, row)
			return
		}
		for i := lines.Length() - 1; i >= 0; i-- {
			event := row
			event.phase, event.outcome, _ = strings.Cut(squeeze(lines.Eq(i).Find("a").Text()), " ")
			event.event = lines.Eq(i).Find("a").AttrOr("href", "")
			rows = append(rows, event)
		}
	})
	return rows
}

// of are the rows of one operation.
func of(rows []auditRow, operation string) []auditRow {
	var mine []auditRow
	for _, r := range rows {
		if r.operation == operation {
			mine = append(mine, r)
		}
	}
	return mine
}

// wantOutcomes wants the phases and outcomes of one operation, newest first.
func wantOutcomes(t testing.TB, rows []auditRow, want ...string) {
	t.Helper()
	var got []string
	for _, r := range rows {
		got = append(got, strings.TrimSpace(r.phase+" "+r.outcome))
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("the audit has %q, newest first, want %q", got, want)
	}
}

// acme is the member id of somebody in acme, where an address may be in globex too.
func (s *site) acme(email string) string {
	s.t.Helper()
	p := s.control.strangerIn("acme", email)
	return p.MemberID
}
