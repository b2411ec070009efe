package e2e_test

import (
	"context"
	"encoding/csv"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// verifyFile verifies what was downloaded, with the program and the public key alone.
func (s *site) verifyFile(kind, content string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	env := environment(s.t, "CONSOLE_AUDIT_PUBLIC_KEY_FILE="+filepath.Join(s.Data, "audit.pub"))
	out, stderr, code := run(s.t, env, "audit", "verify", "--"+kind, path)
	if code != 0 {
		s.t.Errorf("audit verify --%s: exit %d: %s%s", kind, code, out, stderr)
	}
	return out
}

// A helpdesk agent attaches the receipt to the ticket, an auditor exports; whoever has the public key verifies both.
func TestEvidenceLeavesTheConsole(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	target := s.control.stranger("max@acme.example")
	done := agent.deletePassword(target.MemberID, map[string]string{"reason": "=HYPERLINK(\"http://evil.example\")", "ticket": "INC-4711"}).wants(http.StatusOK)

	receipt := agent.get(done.operation()).wants(http.StatusOK)
	file := agent.once(receipt.doc.Find("main a:contains('Download receipt')").AttrOr("href", ""))
	if got := file.header.Get("Content-Disposition"); file.status != http.StatusOK || !strings.HasPrefix(got, "attachment; filename=receipt-") {
		t.Errorf("the receipt is %d, %q", file.status, got)
	}
	if out := s.verifyFile("receipt", file.body); !strings.Contains(out, "Delete password: succeeded\n") || !strings.Contains(out, target.Email) || !strings.Contains(out, "- ticket: INC-4711\n") {
		t.Errorf("the receipt says\n%s", out)
	}

	page := auditor.get("/audit?outcome=succeeded&action=member.password.delete").wants(http.StatusOK)
	links := map[string]string{}
	for _, a := range page.doc.Find("details.export a[href]").EachIter() {
		links[squeeze(a.Text())] = a.AttrOr("href", "")
	}
	filtered := auditor.once(links["NDJSON"])
	if out := s.verifyFile("export", filtered.body); !strings.Contains(out, "intact, records: 1, logs: 1") || !strings.Contains(out, "Not proven: that no record was left out") {
		t.Errorf("a filtered export: %s", out)
	}
	whole := auditor.once("/audit/export?format=ndjson")
	if out := s.verifyFile("export", whole.body); !strings.Contains(out, "Proven: none is missing.") {
		t.Errorf("a whole export: %s", out)
	}
	table, err := csv.NewReader(strings.NewReader(auditor.once(links["CSV"]).body)).ReadAll()
	if err != nil || len(table) != 2 || table[1][8] != `'=HYPERLINK("http://evil.example")` {
		t.Errorf("csv: %q, %v", table, err)
	}
	if got := auditor.once(links["OCSF"]).body; strings.Count(got, "\n") != 1 || !strings.Contains(got, `"type_uid":300104`) {
		t.Errorf("ocsf: %s", got)
	}
	agent.once("/audit/export?format=csv").wants(http.StatusForbidden)

	auditor.get("/audit?action=audit.export").wants(http.StatusOK).says("table.audit", "Export audit", "ndjson, action member.password.delete, outcome succeeded", "denied", s.person("helpdesk").Email)
}

// An operation's page prints as a receipt; the menu of files opens, also on a narrow window.
func testEvidence(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s)
	tb.signIn("org_admin")
	tb.open("/members/" + s.control.stranger("max@acme.example").MemberID + "/password/delete")
	tb.fill("Reason", "The laptop was stolen")
	tb.load(chromedp.Click(button("Delete password")))
	tb.load(chromedp.Click(link("Receipt of this operation")))
	tb.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return chromedp.Void{}, err
	})
	for _, gone := range []string{".side", ".receipt", ".copy", "form"} {
		if eval[bool](tb, `[...document.querySelectorAll("`+gone+`")].some((e) => e.checkVisibility())`) {
			t.Errorf("%s is on the printed page", gone)
		}
	}
	if got := eval[string](tb, `getComputedStyle(document.body).backgroundImage`); got != "none" {
		t.Errorf("the side's colour is on the printed page: %s", got)
	}
	if got := tb.text("main"); !strings.Contains(got, "The laptop was stolen") || !strings.Contains(got, "Timeline") {
		t.Errorf("the printed page says %s", got)
	}
	tb.do(chromedp.Evaluate[chromedp.Void](`dispatchEvent(new Event("beforeprint"))`))
	if got := tb.text("footer"); !strings.Contains(got, "Acme Corporation. Printed 20") || !strings.Contains(got, " UTC by "+s.person("org_admin").Email) || !strings.Contains(got, s.Console+"/operations/") || strings.Contains(got, "Signed in") {
		t.Errorf("the foot of the printed page says %s", got)
	}
	if got := tb.text("main > .on-paper"); !strings.Contains(got, "/receipt.json") {
		t.Errorf("where the signed receipt is: %s", got)
	}
	if eval[bool](tb, `[...document.querySelectorAll("main .card, main .alert")].some((e) => getComputedStyle(e).borderRadius !== "0px" || e.matches(".card") && getComputedStyle(e).boxShadow !== "none")`) {
		t.Error("a round card is on the printed page")
	}
	tb.picture("receipt-printed.png")

	tb.look(wide, "light")
	tb.open("/audit")
	tb.do(chromedp.Click(`details.export summary`))
	if !eval[bool](tb, `document.querySelector("details.export a").checkVisibility()`) {
		t.Error("the menu does not open")
	}
	tb.lookAt("audit-export")
}
