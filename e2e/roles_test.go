package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// wantDisabled wants the deletion to be shown as impossible, with a reason, on both of its pages.
func wantDisabled(t *testing.T, b *browser, member string, says ...string) {
	t.Helper()
	p := b.get("/members/" + member).wants(http.StatusOK)
	disabled := p.doc.Find("main button[disabled]").FilterFunction(func(_ int, s *goquery.Selection) bool {
		return squeeze(s.Text()) == "Delete password"
	})
	if disabled.Length() != 1 {
		t.Errorf("%s: %d disabled buttons Delete password, want 1: %s", p.url, disabled.Length(), p.words())
	}
	if p.doc.Find("main a:contains('Delete password')").Length() != 0 {
		t.Errorf("%s: there is a link to what cannot be done", p.url)
	}
	p.says("section[aria-labelledby=actions]", says...)
	confirm := b.confirm(member)
	confirm.says("h1", "Delete password")
	confirm.says("main", says...)
	if confirm.doc.Find(confirmForm).Length() != 0 {
		t.Errorf("%s: there is a form for what cannot be done", confirm.url)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := start(t)
	target := s.id("paula@acme.example")
	deletePath := "/members/" + target + "/password/delete"

	t.Run("auditor", func(t *testing.T) {
		b := s.as("auditor")
		b.get("/members").wants(http.StatusOK).says("table.members", "ada@acme.example")
		wantDisabled(t, b, target, "stytch.member: update.info.delete.password", "helpdesk", "stytch_admin")
		mark := s.control.mark()
		b.post(deletePath, nil).wants(http.StatusForbidden).one(`[role="alert"]`)
		s.nothingSent(t, mark)
		rows := b.audit("?outcome=denied")
		if len(rows) != 1 || !strings.Contains(rows[0].actor, "audrey@acme.example") || rows[0].outcome != "denied" {
			t.Errorf("the audit has %+v, want the refused POST as denied", rows)
		}
		b.get("/").wants(http.StatusOK)
	})
	t.Run("helpdesk", func(t *testing.T) {
		b := s.as("helpdesk")
		p := b.get("/audit").wants(http.StatusForbidden)
		p.one(`[role="alert"]`)
		p.says("main", "console.audit: read")
		b.get("/audit/01890000-0000-7000-8000-000000000000").wants(http.StatusForbidden)
		if strings.Contains(b.get("/members").text("nav[aria-label=Main]"), "Audit") {
			t.Error("the navigation offers the audit to whom it is forbidden")
		}
		s.as("org_admin").get("/members").says("nav[aria-label=Main]", "Members", "Audit")
	})
	t.Run("member", func(t *testing.T) {
		b := s.as("member")
		own := s.id("max@acme.example")
		p := b.get("/members").wants(http.StatusForbidden)
		p.one(`[role="alert"]`)
		p.says("main", "stytch.member: search")
		b.get("/audit").wants(http.StatusForbidden)
		b.get("/members/" + target).wants(http.StatusForbidden)
		b.get(deletePath).wants(http.StatusForbidden)
		b.post(deletePath, nil).wants(http.StatusForbidden)
		if p := b.get("/"); p.url.Path != "/members/"+own || p.status != http.StatusOK {
			t.Errorf("/ leads to %s with %d, want one's own page", p.url, p.status)
		}
		confirm := b.confirm(own)
		confirm.says("main", "This is you")
		mark := s.control.mark()
		done := b.submit(confirm, confirmForm, map[string]string{"reason": "I lost my notebook"}).wants(http.StatusOK)
		done.says(`[role="status"]`, "Password deleted")
		if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
			t.Errorf("%d deletions reached the upstream, want 1", n)
		}
		b.get(done.operation()).wants(http.StatusOK)
		s.as("auditor").get(done.operation()).wants(http.StatusOK)
		s.as("helpdesk").get(done.operation()).wants(http.StatusForbidden)
		s.as("outsider").get(done.operation()).wants(http.StatusNotFound)
	})
	t.Run("outsider", func(t *testing.T) {
		b := s.as("outsider")
		list := b.get("/members").wants(http.StatusOK)
		if text := list.text("table.members"); !strings.Contains(text, "olga@globex.example") || strings.Contains(text, "acme.example") {
			t.Errorf("the members of globex are: %s", text)
		}
		for _, path := range []string{"/members/" + target, deletePath} {
			p := b.get(path).wants(http.StatusNotFound)
			if strings.Contains(p.body, "paula") || strings.Contains(p.body, "Paula") {
				t.Errorf("%s tells who that is: %s", path, p.words())
			}
		}
		mark := s.control.mark()
		if p := b.post(deletePath, nil); p.status != http.StatusForbidden && p.status != http.StatusNotFound {
			t.Errorf("POST answers %d, want 403 or 404", p.status)
		}
		s.nothingSent(t, mark)
		for _, r := range b.audit("") {
			if strings.Contains(r.actor, "acme") || strings.Contains(r.target, "acme") {
				t.Errorf("the audit of globex tells of acme: %+v", r)
			}
		}
	})
}

func TestWhatThereIsNothingToDoAbout(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("helpdesk")
	for name, c := range map[string]struct{ email, says string }{
		"deleted": {"dora@acme.example", "The member is deleted"}, "no password": {"noor@acme.example", "No password set"},
		"invited": {"ilse@acme.example", "No password set"},
	} {
		t.Run(name, func(t *testing.T) {
			id := s.id(c.email)
			wantDisabled(t, b, id, c.says)
			mark := s.control.mark()
			b.post("/members/"+id+"/password/delete", map[string][]string{"reason": {"try"}}).wants(http.StatusForbidden)
			s.nothingSent(t, mark)
		})
	}
	b.get("/members/"+s.id("dora@acme.example")).wants(http.StatusOK).says("main", "deleted")

	// After a deletion the disabled button says when and by whom, and leads there.
	target := s.id("paula@acme.example")
	done := b.deletePassword(target, nil).wants(http.StatusOK)
	wantDisabled(t, b, target, "already deleted", "UTC by Hiro Tanaka")
	if n := b.get("/members/" + target).doc.Find(`section[aria-labelledby=actions] a[href="` + done.operation() + `"]`).Length(); n != 1 {
		t.Errorf("%d links to the operation that deleted it, want 1", n)
	}
}

// What a person may do is asked upstream at the deletion, not remembered from the page before.
func TestPermissionIsAskedAtTheDeletion(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	target := s.id("paula@acme.example")
	action, body := agent.confirm(target).form(confirmForm, map[string]string{"reason": "no longer an agent"})
	s.control.change(s.id("hiro@acme.example"), map[string]any{"roles": []string{}})
	mark := s.control.mark()
	p := agent.post(action, body).wants(http.StatusForbidden)
	p.one(`[role="alert"]`)
	p.says("main", "stytch.member: update.info.delete.password")
	s.nothingSent(t, mark)
	rows := auditor.audit("?outcome=denied")
	if len(rows) != 1 || rows[0].reason != "no longer an agent" || !strings.Contains(rows[0].actor, "hiro@acme.example") {
		t.Errorf("the audit has %+v, want the attempt as denied", rows)
	}
	if s.control.member(target).Member.PasswordID == "" {
		t.Error("the password is gone")
	}
}
