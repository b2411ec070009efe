package handlers_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
)

const (
	deleteEndpoint = "members.delete_password"
	getEndpoint    = "members.get"
)

// confirmation opens a confirmation page and returns its form, filled in.
func (b *browser) confirmation(path string) url.Values {
	b.s.t.Helper()
	token, ok := b.get(path).wantStatus(http.StatusOK).doc().Find(`form input[name=form]`).Attr("value")
	if !ok {
		b.s.t.Fatalf("%s has no form", path)
	}
	return url.Values{"form": {token}, "reason": {"laptop stolen"}, "ticket": {""}}
}

func deleteAddress(p someone) string { return "/members/" + p.MemberID + "/password/delete" }

// A form is good for the one person, member, action and hour it was made for.
func TestFormIsBoundToWhatItShowed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		post   func(s *site, target, hiro someone) *answer
		status int
		denied int
	}{
		{"another person's form", func(s *site, target, _ someone) *answer {
			form := s.signIn("ada@acme.example").confirmation(deleteAddress(target))
			return s.signIn("hiro@acme.example").post(deleteAddress(target), form)
		}, http.StatusForbidden, 1},
		{"another member's form", func(s *site, target, hiro someone) *answer {
			b := s.signIn("ada@acme.example")
			return b.post(deleteAddress(target), b.confirmation(deleteAddress(hiro)))
		}, http.StatusForbidden, 1},
		{"the form of another action", func(s *site, target, _ someone) *answer {
			b := s.signIn("ada@acme.example")
			return b.post(deleteAddress(target), b.confirmation("/members/"+target.MemberID+"/password/require-reset"))
		}, http.StatusForbidden, 1},
		{"a form of another organization", func(s *site, target, _ someone) *answer {
			b := s.signIn("ada@acme.example")
			form := b.confirmation(deleteAddress(target))
			return s.signIn("olga@globex.example").post(deleteAddress(target), form)
		}, http.StatusForbidden, 0}, // recorded as denied in that other organization
		{"no form", func(s *site, target, _ someone) *answer {
			return s.signIn("ada@acme.example").post(deleteAddress(target), url.Values{"reason": {"x"}})
		}, http.StatusForbidden, 1},
		{"an hour old", func(s *site, target, _ someone) *answer {
			b := s.signIn("ada@acme.example")
			form := b.confirmation(deleteAddress(target))
			for range 3 {
				s.clock.add(21 * time.Minute)
				b.get("/members") // still at work
			}
			return b.post(deleteAddress(target), form)
		}, http.StatusUnprocessableEntity, 0},
		{"its own", func(s *site, target, _ someone) *answer {
			b := s.signIn("ada@acme.example")
			return b.post(deleteAddress(target), b.confirmation(deleteAddress(target)))
		}, http.StatusSeeOther, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			target, hiro := s.someone("max@acme.example"), s.someone("hiro@acme.example")
			tt.post(s, target, hiro).wantStatus(tt.status)
			sent := 0
			if tt.status == http.StatusSeeOther {
				sent = 1
			}
			if got := len(s.calls(deleteEndpoint)); got != sent {
				t.Errorf("%d deletions sent, want %d", got, sent)
			}
			denied := 0
			for _, action := range []audit.Action{audit.ActionDeletePassword, audit.ActionRequireReset} {
				for _, ev := range s.events(target.OrganizationID, action) {
					if ev.Outcome == audit.OutcomeDenied && ev.Target.ID == target.MemberID {
						denied++
					}
				}
			}
			if denied != tt.denied {
				t.Errorf("%d events say denied, want %d", denied, tt.denied)
			}
		})
	}
}

// What was typed stays when a form has to be shown again.
func TestOldFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("max@acme.example")
	b := s.signIn("ada@acme.example")
	form := b.confirmation(deleteAddress(target))
	form.Set("reason", "")
	form.Set("ticket", "HD-99")
	form.Set("sign_out", "1")
	doc := b.post(deleteAddress(target), form).wantStatus(http.StatusUnprocessableEntity).doc()
	if got, _ := doc.Find(`input[name=ticket]`).Attr("value"); got != "HD-99" {
		t.Errorf("ticket = %q, want what was typed", got)
	}
	if _, checked := doc.Find(`input[name=sign_out]`).Attr("checked"); !checked {
		t.Error("the tick is lost")
	}
	if got, _ := doc.Find(`input[name=form]`).Attr("value"); got != form.Get("form") {
		t.Error("the form became another operation")
	}
	if doc.Find(`[name=reason][aria-invalid=true]`).Length() != 1 {
		t.Error("the field that is wrong is not marked")
	}
}

// An answer about somebody else is not shown, whoever asked.
func TestAnswerAboutAnotherMemberIsNotShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("max@acme.example")
	b := s.signIn("ada@acme.example")
	for _, path := range []string{"/members/" + target.MemberID, deleteAddress(target), "/members/" + target.MemberID + "?view=raw"} {
		s.faults(map[string]any{"endpoint": getEndpoint, "kind": "wrong_member"})
		a := b.get(path).wantStatus(http.StatusNotFound)
		if strings.Contains(a.body, "password/delete") {
			t.Errorf("%s shows something of another member", path)
		}
	}
}

// The receipt is for its actor and for who may read the audit.
func TestReceiptIsNotForEverybody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("max@acme.example")
	ada := s.signIn("ada@acme.example")
	location := ada.post(deleteAddress(target), ada.confirmation(deleteAddress(target))).wantStatus(http.StatusSeeOther).Header.Get("Location")
	_, id, _ := strings.Cut(location, "operation=")
	for email, want := range map[string]int{
		"ada@acme.example": http.StatusOK, "audrey@acme.example": http.StatusOK, "hiro@acme.example": http.StatusForbidden,
		"olga@globex.example": http.StatusNotFound,
	} {
		s.signIn(email).get("/operations/" + id).wantStatus(want)
	}
	// The member's page, for who may see the member but not the operation, is still a page.
	s.signIn("hiro@acme.example").get(location).wantStatus(http.StatusOK)
}

// A deletion that was confirmed, and a member that still has the password: the
// page believes neither, and says so.
func TestReadThatDisagreesIsSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("max@acme.example")
	b := s.signIn("ada@acme.example")
	form := b.confirmation(deleteAddress(target))
	s.faults(map[string]any{"endpoint": deleteEndpoint, "kind": "no_effect"})
	location := b.post(deleteAddress(target), form).wantStatus(http.StatusSeeOther).Header.Get("Location")
	page := b.get(location).wantStatus(http.StatusOK)
	page.wantAlert("still shows the same password", "disagree")
	if strings.Contains(page.status(), "Password deleted") {
		t.Errorf("the page says %q all the same", page.status())
	}
}

// A form that did its work says so for ever, also when it is sent again after its hour.
func TestExpiredFormThatWasUsedLeadsToWhatItDid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	target := s.someone("max@acme.example")
	b := s.signIn("ada@acme.example")
	form := b.confirmation(deleteAddress(target))
	done := b.post(deleteAddress(target), form).wantStatus(http.StatusSeeOther)
	for range 3 {
		s.clock.add(21 * time.Minute)
		b.get("/members")
	}
	b.post(deleteAddress(target), form).wantStatus(http.StatusSeeOther).wantLocation(done.Header.Get("Location"))
	if n := len(s.calls(deleteEndpoint)); n != 1 {
		t.Errorf("%d deletions upstream, want 1", n)
	}
}

// The receipt's row is not proven; where it says otherwise than the audit, the
// page says so.
func TestForgedReceiptIsSaid(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"reason":  `UPDATE operations SET record = replace(record, 'laptop stolen', 'asked to')`,
		"outcome": `UPDATE operations SET record = replace(record, '"outcome":"succeeded"', '"outcome":"failed"')`,
		"actor":   `UPDATE operations SET record = replace(record, '"actor":{"member_id":"member-', '"actor":{"member_id":"member-x')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			target := s.someone("max@acme.example")
			b := s.signIn("ada@acme.example")
			location := b.post(deleteAddress(target), b.confirmation(deleteAddress(target))).wantStatus(http.StatusSeeOther).Header.Get("Location")
			_, id, _ := strings.Cut(location, "operation=")
			if page := b.get("/operations/" + id); strings.Contains(page.body, "does not agree") {
				t.Fatal("a true receipt is said to be forged")
			}
			err := s.db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), forge)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.signIn("audrey@acme.example").get("/operations/" + id).wantAlert("does not agree with the audit")
		})
	}
}

// Of a form that was not made for somebody nothing was sent, and of the member nothing was read.
func TestReceiptOfADenialSaysNoMoreThanIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hiro, target := s.someone("hiro@acme.example"), s.someone("max@acme.example")
	b := s.signIn(hiro.Email)
	b.post(deleteAddress(target), url.Values{"form": {"forged"}, "reason": {"x"}}).wantStatus(http.StatusForbidden)
	id := s.events(hiro.OrganizationID, audit.ActionDeletePassword)[0].OperationID
	page := b.get("/operations/" + id).wantStatus(http.StatusOK)
	if got := page.text(".lead"); !strings.Contains(got, " asked for at ") {
		t.Errorf("it is called %q", got)
	}
	person := page.text(".person")
	if !strings.Contains(person, target.MemberID) || strings.Contains(person, "Email") || strings.Contains(person, "Roles") {
		t.Errorf("of the member it says %q", person)
	}
	said := map[string]string{}
	for _, g := range page.doc().Find("section.group").EachIter() {
		said[g.Find("h3").Text()] = squeeze(g.Text())
	}
	if got := said["What Stytch said"]; got != "What Stytch saidNothing was sent." {
		t.Errorf("it says %q", got)
	}
	if got := said["Record"]; strings.Contains(got, "Answered") || !strings.Contains(got, "Known fromthe form") {
		t.Errorf("it says %q", got)
	}
	if got := said["Who and why"]; !strings.Contains(got, "Asked by") || strings.Contains(got, "Done by") {
		t.Errorf("it says %q", got)
	}

	location := b.post(deleteAddress(target), b.confirmation(deleteAddress(target))).wantStatus(http.StatusSeeOther).Header.Get("Location")
	_, id, _ = strings.Cut(location, "operation=")
	page = b.get("/operations/" + id).wantStatus(http.StatusOK)
	for _, want := range []string{"Done by", "Answered", "Stytch status", "Stytch request ID", target.Email} {
		if got := page.text("main"); !strings.Contains(got, want) {
			t.Errorf("what was done does not say %q: %s", want, got)
		}
	}
	if got := page.text(".on-paper"); !strings.Contains(got, "http://127.0.0.1:8080/operations/"+id+"/receipt.json") {
		t.Errorf("on paper: %q", got)
	}
	if got := page.text("footer .on-paper"); !strings.Contains(got, " by "+hiro.Email) || !strings.HasSuffix(got, "http://127.0.0.1:8080/operations/"+id) {
		t.Errorf("at the foot of the paper: %q", got)
	}
}

// Where nothing but a password is allowed, deleting it is said to lock out.
func TestLastWayInIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lou := s.someone("lou@keystone.test")
	b := s.signIn("kay@keystone.test")
	page := b.get(deleteAddress(lou)).wantStatus(http.StatusOK)
	const warning = "The password is their last way in"
	if !strings.Contains(page.body, warning) {
		t.Error("the confirmation does not warn")
	}
	if ada := s.signIn("ada@acme.example").get(deleteAddress(s.someone("max@acme.example"))); strings.Contains(ada.body, warning) {
		t.Error("it warns where there are other ways")
	}
	done := b.post(deleteAddress(lou), b.confirmation(deleteAddress(lou))).wantStatus(http.StatusSeeOther)
	if after := b.get(done.Header.Get("Location")).wantStatus(http.StatusOK); !strings.Contains(after.body, "no other way to sign in") {
		t.Error("the result does not say what to tell the caller")
	}
}
