package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"orgconsole/internal/audit"
)

// A record that was changed takes nothing else off the page.
func TestAuditGoesOnPastADamagedRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, audrey := s.someone("hiro@acme.example"), s.someone("audrey@acme.example")
	s.deletions(hiro, audrey, 3)
	bad := s.events(audrey.OrganizationID, audit.ActionDeletePassword)[3] // of six, newest first: an outcome
	b := s.signIn(audrey.Email)
	s.tamper(`UPDATE audit_events SET outcome = 'denied' WHERE id = '` + bad.ID + `'`)
	page := b.get("/audit").wantStatus(http.StatusOK)
	if got := page.alert(); !strings.Contains(got, "1 record on this page not as recorded") || !strings.Contains(got, "console audit verify") {
		t.Errorf("the alert says %q", got)
	}
	if page.doc().Find(`[role=alert] a[href="/audit/verification"]`).Length() != 1 {
		t.Error("no way to the verification")
	}
	row := page.doc().Find(`table.audit tbody tr:has(a[href="/audit/` + bad.ID + `"])`).FilterFunction(func(_ int, row *goquery.Selection) bool {
		return strings.Contains(row.Find("th").Text(), "Damaged record")
	})
	if row.Length() != 1 || !strings.Contains(row.Text(), "its column outcome does not agree with its bytes") || strings.Contains(row.Find("td").Text(), "stolen") {
		t.Errorf("the damaged row: %d, %q", row.Length(), row.Text())
	}
	if got := page.doc().Find("table.audit tbody tr").Length(); got < 4 { // three operations, the damaged record, a sign-in
		t.Errorf("%d rows", got)
	}
	b.get("/audit/" + bad.ID).wantStatus(http.StatusOK)
}
