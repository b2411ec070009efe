package handlers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/handlers"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
)

func TestOtherWays(t *testing.T) {
	t.Parallel()
	okta := []stytch.SSOActiveConnection{{ConnectionID: "saml-connection-test-1", DisplayName: "Okta"}}
	tests := []struct {
		name string
		org  stytch.Organization
		m    stytch.Member
		want []string
	}{
		{"only a password", stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"password"}}, stytch.Member{}, nil},
		{"SSO allowed, but no connection", stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"sso", "password"}}, stytch.Member{}, nil},
		{"SSO by a connection", stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"sso"}, SSOActiveConnections: okta}, stytch.Member{}, []string{"single sign-on (Okta)"}},
		{"a link", stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"magic_link", "password"}}, stytch.Member{}, []string{"email magic link"}},
		{
			"breakglass is not restricted",
			stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"sso"}},
			stytch.Member{IsBreakglass: true},
			[]string{"email magic link", "email code", "Google", "Microsoft", "Slack", "GitHub", "HubSpot"},
		},
		{"everything", stytch.Organization{AuthMethods: "ALL_ALLOWED"}, stytch.Member{}, []string{"email magic link", "email code", "Google", "Microsoft", "Slack", "GitHub", "HubSpot"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, handlers.OtherWays(tt.org, tt.m)); diff != "" {
				t.Errorf("OtherWays (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSignInFacts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 0, 0, 0, time.UTC)
	later, before := now.Add(time.Hour), now.Add(-time.Hour)
	good := stytch.Member{Status: "active", MemberPasswordID: "p", EmailAddressVerified: true}
	with := func(change func(*stytch.Member)) stytch.Member {
		m := good
		change(&m)
		return m
	}
	open := stytch.Organization{AuthMethods: "ALL_ALLOWED", MFAMethods: "ALL_ALLOWED", MFAPolicy: "OPTIONAL"}
	ssoOnly := stytch.Organization{AuthMethods: "RESTRICTED", AllowedAuthMethods: []string{"sso"}}
	totpOnly := stytch.Organization{MFAPolicy: "REQUIRED_FOR_ALL", MFAMethods: "RESTRICTED", AllowedMFAMethods: []string{"totp"}}
	tests := []struct {
		name string
		org  stytch.Organization
		m    stytch.Member
		bad  string // part of the one finding that stops them; empty when nothing does
	}{
		{"nothing wrong", open, good, ""},
		{"invited", open, with(func(m *stytch.Member) { m.Status = "invited" }), "has not accepted"},
		{"pending", open, with(func(m *stytch.Member) { m.Status = "pending" }), "not finished"},
		{"deleted", open, with(func(m *stytch.Member) { m.Status = "deleted" }), "deleted"},
		{"locked", open, with(func(m *stytch.Member) { m.IsLocked, m.LockExpiresAt = true, &later }), "until 2026-05-06 08:00:00 UTC"},
		{"lock ran out", open, with(func(m *stytch.Member) { m.IsLocked, m.LockExpiresAt = true, &before }), ""},
		{"no password", open, with(func(m *stytch.Member) { m.MemberPasswordID = "" }), "No password is set"},
		{"password not allowed", ssoOnly, good, "does not allow signing in with one"},
		{"not allowed, but breakglass", ssoOnly, with(func(m *stytch.Member) { m.IsBreakglass = true }), ""},
		{"not verified", open, with(func(m *stytch.Member) { m.EmailAddressVerified = false }), "not verified"},
		{"second factor missing", open, with(func(m *stytch.Member) { m.MFAEnrolled = true }), "none is set up"},
		{"second factor not allowed", totpOnly, with(func(m *stytch.Member) { m.MFAPhoneNumber, m.MFAPhoneNumberVerified = "+1", true }), "allows none of those"},
		{"second factor there", totpOnly, with(func(m *stytch.Member) { m.TOTPRegistrationID = "t" }), ""},
		{"SSO registration of a dead connection", open, with(func(m *stytch.Member) {
			m.SSORegistrations = []stytch.SSORegistration{{ConnectionID: "gone"}}
		}), "none that is active"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var bad []string
			for _, f := range handlers.SignInFacts(tt.org, tt.m, now) {
				if f.Text == "" {
					t.Error("a finding without words")
				}
				if f.Kind == "bad" {
					bad = append(bad, f.Text)
				}
			}
			switch {
			case tt.bad == "" && len(bad) > 0:
				t.Errorf("stopped by %v, want nothing", bad)
			case tt.bad != "" && (len(bad) != 1 || !strings.Contains(bad[0], tt.bad)):
				t.Errorf("stopped by %v, want only %q", bad, tt.bad)
			}
		})
	}
}

func TestLooksLike(t *testing.T) {
	t.Parallel()
	ann := stytch.Member{Name: "Ann Lee", EmailAddress: "ann.lee@acme.example"}
	tests := []struct {
		other stytch.Member
		want  bool
	}{
		{stytch.Member{EmailAddress: "ann.lea@acme.example"}, true},
		{stytch.Member{EmailAddress: "ANN.LEE@acme.example"}, true},
		{stytch.Member{EmailAddress: "ann.lee@acme-corp.example"}, true},
		{stytch.Member{Name: "Ánn  LEE", EmailAddress: "annika@acme.example"}, true},
		{stytch.Member{Name: "ánn lee", EmailAddress: "annika@acme.example"}, true},
		{stytch.Member{Name: "Bob", EmailAddress: "bob@acme.example"}, false},
		{stytch.Member{EmailAddress: "ann@acme.example"}, false},
	}
	for _, tt := range tests {
		if got := handlers.LooksLike(ann, tt.other); got != tt.want {
			t.Errorf("LooksLike(%s %s) = %v, want %v", tt.other.Name, tt.other.EmailAddress, got, tt.want)
		}
	}
}

func TestNameMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, term string
		want       bool
	}{
		{"José Álvarez", "jose alv", true},
		{"José Álvarez", "álvarez José", true},
		{"José Álvarez", "josef", false},
		{"李小龍", "小龍", true},
		{"Ｗｉｄｅ Name", "wide", true},
		{"Straße", "STRASSE", true},
		{"\u202eevil", "evil", true},
		{"Anybody", "  ", false},
	}
	for _, tt := range tests {
		if got := handlers.NameMatches(tt.name, tt.term); got != tt.want {
			t.Errorf("NameMatches(%q, %q) = %v, want %v", tt.name, tt.term, got, tt.want)
		}
	}
}

// TestEveryOutcomeHasWords walks every action, state, outcome and detail: each
// has a headline, and nothing but a final success is shown as good.
func TestEveryOutcomeHasWords(t *testing.T) {
	t.Parallel()
	actions := []audit.Action{
		audit.ActionDeletePassword, audit.ActionRequireReset, audit.ActionRevokeSessions, audit.ActionResetEmail, audit.ActionSignOut,
	}
	details := []string{
		"", helpdesk.DetailAnswer, helpdesk.DetailReread, helpdesk.DetailStillThere, helpdesk.DetailChanged, helpdesk.DetailNoPassword,
		helpdesk.DetailMemberGone, helpdesk.DetailNotSent, helpdesk.DetailTooLate, helpdesk.DetailNotAttempted, helpdesk.DetailStopped, helpdesk.DetailSession,
		helpdesk.DetailCredentials, helpdesk.DetailRefused, helpdesk.DetailRateLimited, helpdesk.DetailBadAnswer, helpdesk.DetailOtherMember,
		helpdesk.DetailIDKept, helpdesk.DetailFault, helpdesk.DetailNoAnswer, helpdesk.DetailCheck, helpdesk.DetailForm,
	}
	states := []helpdesk.State{helpdesk.StateAsked, helpdesk.StateIntent, helpdesk.StateUnknown, helpdesk.StateFinal}
	for _, action := range actions {
		for _, state := range states {
			for _, outcome := range audit.Outcomes() {
				for _, detail := range details {
					if (state == helpdesk.StateUnknown) != (outcome == audit.OutcomeUnknown) {
						continue // unknown is what is not final
					}
					r := handlers.ResultOf(&helpdesk.Operation{Action: action, State: state, Outcome: outcome, Detail: detail})
					at := []string{string(action), string(state), string(outcome), detail}
					if r.Head() == "" {
						t.Errorf("%v has no headline", at)
					}
					if good := r.Kind() == "ok"; good != (state == helpdesk.StateFinal && outcome == audit.OutcomeSucceeded) {
						t.Errorf("%v is shown as %q", at, r.Kind())
					}
					if state == helpdesk.StateFinal && slices.Contains([]audit.Outcome{audit.OutcomeFailed, audit.OutcomeDenied}, outcome) && r.Text() == "" {
						t.Errorf("%v says nothing of why", at)
					}
				}
			}
		}
	}
	wait := handlers.ResultOf(&helpdesk.Operation{
		Action: audit.ActionDeletePassword, State: helpdesk.StateFinal, Outcome: audit.OutcomeFailed, Detail: helpdesk.DetailRateLimited, RetryAfter: 17,
	})
	if !strings.Contains(wait.Text(), "17 seconds") {
		t.Errorf("rate limited says %q, not how long to wait", wait.Text())
	}
}

// Sessions of somebody else in the answer are not counted as this member's.
func TestCountOpen(t *testing.T) {
	t.Parallel()
	own := stytch.MemberSession{MemberSessionID: "session-test-1", MemberID: "member-test-1", OrganizationID: "organization-test-1"}
	other, foreign, bare := own, own, stytch.MemberSession{MemberSessionID: "session-test-2"}
	other.MemberID, foreign.OrganizationID = "member-test-2", "organization-test-2"
	for name, tt := range map[string]struct {
		open []stytch.MemberSession
		want int
	}{
		"none":                 {nil, 0},
		"two":                  {[]stytch.MemberSession{own, own}, 2},
		"ids left out":         {[]stytch.MemberSession{own, bare}, 2},
		"another member's":     {[]stytch.MemberSession{own, other}, -1},
		"another organization": {[]stytch.MemberSession{foreign}, -1},
	} {
		if got := handlers.CountOpen(tt.open, "organization-test-1", "member-test-1"); got != tt.want {
			t.Errorf("%s: %d open, want %d", name, got, tt.want)
		}
	}
}
