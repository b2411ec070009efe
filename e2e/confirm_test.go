package e2e_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// nothingSent wants that no deletion has reached the upstream since a mark.
func (s *site) nothingSent(t testing.TB, mark int) {
	t.Helper()
	if sent := s.control.journal(mark, epDeletePassword); len(sent) != 0 {
		t.Errorf("%d deletions reached the upstream, want none", len(sent))
	}
}

func TestConfirmationWantsAReason(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	target := s.control.stranger("paula@acme.example")
	mark := s.control.mark()
	for name, reason := range map[string]string{"none": "", "white space": " \t\n ", "too long": strings.Repeat("a", 501)} {
		p := b.send(b.confirm(target.MemberID), confirmForm, map[string]string{
			"reason": reason, "ticket": "INC-1", "sign_out": "1",
		})
		if p.wants(http.StatusUnprocessableEntity); p.text(".invalid-feedback") == "" {
			t.Errorf("%s: nothing is said about the reason: %s", name, p.words())
		}
		if got := p.one("input[name=ticket]").AttrOr("value", ""); got != "INC-1" {
			t.Errorf("%s: the ticket typed was %q, the page has %q", name, "INC-1", got)
		}
		if _, checked := p.one("input[name=sign_out]").Attr("checked"); !checked {
			t.Errorf("%s: the tick is lost", name)
		}
		if _, checked := p.one("input[name=send_reset]").Attr("checked"); checked {
			t.Errorf("%s: a tick appeared", name)
		}
		p.says("h1", "Delete password")
	}
	s.nothingSent(t, mark)

	// What was refused can be corrected on the spot.
	p := b.send(b.confirm(target.MemberID), confirmForm, nil).wants(http.StatusUnprocessableEntity)
	b.submit(p, confirmForm, map[string]string{"reason": "now with a reason"}).wants(http.StatusOK).says(`[role="status"]`, "Password deleted")
	if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
		t.Errorf("%d deletions reached the upstream, want 1", n)
	}
}

func TestStaleConfirmation(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	auditor := s.as("auditor")
	for _, c := range []struct {
		name, email string
		meanwhile   map[string]any
		says        string
		outcome     string
		after       string // how the member's password reads then
	}{
		{"password changed", "paula@acme.example", map[string]any{"password": "a-new-Passw0rd-since"}, "the password has changed", "cancelled", "set"},
		{"password removed", "jon.smithson@acme.example", map[string]any{"delete_password": true}, "already gone", "cancelled", "not set"},
		{"member deleted", "luis@acme.example", map[string]any{"status": "deleted"}, "deleted", "not_found", "not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := s.control.stranger(c.email)
			confirm := b.confirm(target.MemberID)
			action, body := confirm.form(confirmForm, map[string]string{"reason": "stale: " + c.name})
			s.control.change(target.MemberID, c.meanwhile)
			now := s.control.member(target.MemberID).Member.PasswordID
			mark := s.control.mark()
			p := b.follow(b.post(action, body).wants(http.StatusSeeOther)).wants(http.StatusOK)
			p.says(`[role="alert"]`, c.says)
			if got := p.row("Password"); !strings.HasPrefix(got, c.after) {
				t.Errorf("the member's password reads %q, want %q", got, c.after)
			}
			// Sent again, it says the same.
			b.follow(b.post(action, body).wants(http.StatusSeeOther)).says(`[role="alert"]`, c.says)
			s.nothingSent(t, mark)
			if got := s.control.member(target.MemberID).Member.PasswordID; got != now {
				t.Errorf("the password id was %q and is %q", now, got)
			}
			rows := of(auditor.audit(""), p.operation())
			if len(rows) == 0 || rows[0].outcome != c.outcome || rows[0].reason != "stale: "+c.name {
				t.Errorf("the audit has %+v, want it %s", rows, c.outcome)
			}
			b.get(p.operation()).wants(http.StatusOK).says(`[role="alert"]`, c.says)
		})
	}
}

// A form proves what was shown to whom; with anything else it is refused and that is recorded.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin, helpdesk := s.as("org_admin"), s.as("helpdesk")
	outsider := s.as("outsider")
	a, z := s.control.stranger("paula@acme.example"), s.control.stranger("jon.smithson@acme.example")
	path := func(id string) string { return "/members/" + id + "/password/delete" }
	fill := map[string]string{"reason": "not my form"}
	_, shown := helpdesk.confirm(a.MemberID).form(confirmForm, fill)
	with := func(change func(url.Values)) url.Values {
		v := maps.Clone(shown)
		change(v)
		return v
	}
	mark := s.control.mark()
	for _, c := range []struct {
		name string
		b    *browser
		path string
		body url.Values
	}{
		{"another member's", helpdesk, path(z.MemberID), shown},
		{"another actor's", admin, path(a.MemberID), shown},
		{"of another action", helpdesk, "/members/" + a.MemberID + "/password/require-reset", shown},
		{"without the value", helpdesk, path(a.MemberID), with(func(v url.Values) { v.Del("form") })},
		{"with a made-up value", helpdesk, path(a.MemberID), with(func(v url.Values) { v.Set("form", "AAAA") })},
		{"with a changed value", helpdesk, path(a.MemberID), with(func(v url.Values) { v.Set("form", v.Get("form")+"A") })},
	} {
		p := c.b.post(c.path, c.body)
		if p.status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403: %s", c.name, p.status, p.words())
			continue
		}
		p.one(`[role="alert"]`)
	}
	if p := outsider.post(path(a.MemberID), shown); p.status != http.StatusForbidden && p.status != http.StatusNotFound {
		t.Errorf("from another organization: %d, want 403 or 404", p.status)
	}
	s.nothingSent(t, mark)
	if rows := admin.audit("?outcome=denied"); len(rows) < 6 {
		t.Errorf("6 forms were refused, the audit has %d denied: %+v", len(rows), rows)
	} else {
		for _, r := range rows {
			if !strings.Contains(r.target, "acme.example") && !strings.Contains(r.target, "member-test-") {
				t.Errorf("a denied row names nobody: %+v", r)
			}
		}
	}
	// The form itself is still good for whom it was made.
	helpdesk.follow(helpdesk.post(path(a.MemberID), shown)).wants(http.StatusOK).says(`[role="status"]`, "Password deleted")
}
