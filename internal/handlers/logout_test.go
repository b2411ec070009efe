package handlers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
)

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.signIn(ada.Email)
	stolen := s.signInCopy(b)
	other := s.signIn(ada.Email)

	b.post("/logout", nil).wantLocation("/login?notice=signed-out")
	if len(b.cookies) != 0 {
		t.Error("the cookie is kept")
	}
	resp := b.get("/login?notice=signed-out")
	if got := resp.status(); !strings.Contains(got, "You are signed out") {
		t.Errorf("status %q", got)
	}
	b.get("/members").wantLocation("/login?return=%2Fmembers")

	calls := s.calls("sessions.revoke")
	if len(calls) != 1 || calls[0].Status != http.StatusOK {
		t.Errorf("%d revocations upstream, want one: %+v", len(calls), calls)
	}
	if len(calls) == 1 && len(calls[0].Session) != 0 {
		t.Error("the revocation carried a session header")
	}
	stolen.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
	other.get("/members").wantStatus(http.StatusOK)

	var phases []string
	for _, ev := range s.events(ada.OrganizationID, audit.ActionSignOut) {
		phases = append(phases, string(ev.Phase)+" "+string(ev.Outcome))
		if ev.Actor.MemberID != ada.MemberID || ev.Actor.Email != ada.Email {
			t.Errorf("recorded actor %+v", ev.Actor)
		}
	}
	if got := strings.Join(phases, ", "); got != "outcome succeeded, intent " {
		t.Errorf("recorded %q", got)
	}

	// Signing out again is harmless and sends nothing.
	b.post("/logout", nil).wantLocation("/login?notice=signed-out")
	stolen2 := s.signInCopy(other)
	other.post("/logout", nil).wantLocation("/login?notice=signed-out")
	stolen2.post("/logout", nil).wantLocation("/login?notice=signed-out")
	if n := len(s.calls("sessions.revoke")); n != 2 {
		t.Errorf("%d revocations upstream for two sessions", n)
	}
}

// The session is refused here from the moment of signing out, whatever the upstream says.
func TestSignOutNotConfirmed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.signIn(ada.Email)
	stolen := s.signInCopy(b)
	s.faults(map[string]any{"endpoint": "sessions.revoke", "kind": "server_error"})
	resp := b.post("/logout", nil).wantStatus(http.StatusBadGateway).wantAlert("did not confirm")
	if len(b.cookies) != 0 {
		t.Error("the cookie is kept")
	}
	if resp.doc().Find("form[action='/logout']").Length() != 0 {
		t.Error("the page is one of somebody signed in")
	}
	if n := len(s.calls("sessions.revoke")); n != 2 {
		t.Errorf("%d revocations upstream, want two attempts", n)
	}
	s.faults()
	stolen.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
	events := s.events(ada.OrganizationID, audit.ActionSignOut)
	if len(events) != 2 || events[0].Outcome != audit.OutcomeUnknown {
		t.Errorf("recorded %+v, want an unknown outcome", events)
	}
}

func TestSignOutOnceTheUpstreamAnswersAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	s.faults(map[string]any{"endpoint": "sessions.revoke", "kind": "server_error", "times": 1})
	b.post("/logout", nil).wantLocation("/login?notice=signed-out")
	if n := len(s.calls("sessions.revoke")); n != 2 {
		t.Errorf("%d revocations upstream, want two attempts", n)
	}
}

// Signing out works while nothing can be asked about the session.
func TestSignOutWhileTheUpstreamIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.signIn(ada.Email)
	stolen := s.signInCopy(b)
	s.clock.add(2 * time.Minute) // past what is cached of the session
	s.faults(map[string]any{"endpoint": "*", "kind": "server_error"})
	b.post("/logout", nil).wantStatus(http.StatusBadGateway)
	s.faults()
	stolen.get("/members").wantLocation("/login?notice=session-ended&return=%2Fmembers")
	if events := s.events(ada.OrganizationID, audit.ActionSignOut); len(events) != 2 || events[0].Actor.MemberID != ada.MemberID {
		t.Errorf("recorded %+v", events)
	}
}

func TestSignOutOfASessionThatEndedUpstream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.signIn(ada.Email)
	s.control(http.MethodPost, "members/"+ada.MemberID, map[string]any{"end_sessions": true}, nil)
	b.post("/logout", nil).wantLocation("/login?notice=signed-out")
	if len(b.cookies) != 0 {
		t.Error("the cookie is kept")
	}
}

func TestSignOutWithoutASession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.browser().post("/logout", nil).wantLocation("/login?notice=signed-out")
	s.browser().get("/logout").wantStatus(http.StatusMethodNotAllowed)
}

// Where the store does not take the end of the session, nobody is told that it ended.
func TestSignOutWithoutAStore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signIn("ada@acme.example")
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.post("/logout", nil).wantStatus(http.StatusInternalServerError)
	if n := len(s.calls("sessions.revoke")); n != 0 {
		t.Errorf("%d revocations upstream without a record", n)
	}
}
