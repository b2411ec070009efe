package stytch_test

import (
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"orgconsole/internal/sandbox"
	"orgconsole/internal/stytch"
)

type box struct {
	*stytch.Client
	base   string
	info   sandbox.Info
	people map[string]sandbox.Person
}

func startSandbox(t *testing.T, opts sandbox.Options) box {
	t.Helper()
	if opts.OrgSize == 0 {
		opts.OrgSize = 30
	}
	sb, err := sandbox.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb.Handler())
	t.Cleanup(server.Close)
	info := sb.Info()
	client, err := stytch.New(info.ProjectID, info.Secret, stytch.WithBaseURL(server.URL), stytch.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	b := box{client, server.URL, info, map[string]sandbox.Person{}}
	for _, p := range info.People {
		b.people[p.Role] = p
	}
	return b
}

func (b box) signIn(t *testing.T, role string) (*stytch.AuthenticateResponse, stytch.ActingSession) {
	t.Helper()
	p := b.people[role]
	out, err := b.AuthenticatePassword(t.Context(), stytch.PasswordAuthenticateRequest{
		OrganizationID: p.Organization, EmailAddress: p.Email, Password: stytch.Secret(p.Password), SessionDurationMinutes: 60,
	})
	if err != nil {
		t.Fatalf("sign in as %s: %v", role, err)
	}
	if !out.MemberAuthenticated || out.Session == nil {
		t.Fatalf("sign in as %s: not authenticated", role)
	}
	a, err := stytch.ActingToken(out.SessionToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return out, a
}

// withPassword returns a member that has a password and is nobody the test signs in as.
func (b box) withPassword(t *testing.T, a stytch.ActingSession, organizationID string) stytch.Member {
	t.Helper()
	out, err := b.SearchMembers(t.Context(), a, stytch.MemberSearchRequest{
		OrganizationIDs: []string{organizationID}, Limit: 100,
		Filters: []stytch.Filter{stytch.PasswordExists(true), stytch.Statuses(stytch.StatusActive)},
	})
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{}
	for _, p := range b.people {
		addresses[p.Email] = true
	}
	for _, m := range out.Members {
		if m.MemberPasswordID != "" && !addresses[m.EmailAddress] {
			return m
		}
	}
	t.Fatal("nobody has a password")
	return stytch.Member{}
}

func wantType(t *testing.T, err error, status int, types ...stytch.ErrorType) {
	t.Helper()
	var e *stytch.Error
	if !errors.As(err, &e) || e.Status != status || !slices.Contains(types, e.Type) || e.RequestID == "" {
		t.Errorf("error = %v, want %d %v", err, status, types)
	}
}

// The client and the sandbox are written apart from each other; here they meet, over every method.
func TestAgainstSandbox(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1})
	ctx := t.Context()

	if out, err := b.WhoAmI(ctx); err != nil || out.ProjectID == "" {
		t.Errorf("WhoAmI = %+v, %v", out, err)
	}
	desk, a := b.signIn(t, sandbox.RoleHelpdesk)
	organizationID := desk.Organization.OrganizationID

	org, err := b.GetOrganization(ctx, desk.Organization.OrganizationSlug)
	if err != nil || org.Organization.OrganizationID != organizationID || org.RequestID == "" {
		t.Errorf("GetOrganization = %+v, %v", org, err)
	}

	// All pages together are the organization, each member once.
	seen := map[string]bool{}
	req := stytch.MemberSearchRequest{OrganizationIDs: []string{organizationID}, Limit: 7}
	total := 0
	for range 100 {
		page, err := b.SearchMembers(ctx, a, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Members {
			if seen[m.MemberID] {
				t.Errorf("member %s on two pages", m.MemberID)
			}
			seen[m.MemberID] = true
		}
		total = page.Total
		if req.Cursor = page.NextCursor; req.Cursor == "" {
			break
		}
	}
	if len(seen) != total || total < 30 {
		t.Errorf("%d members on all pages, total %d", len(seen), total)
	}
	for _, f := range []stytch.Filter{
		stytch.MemberIDs(desk.MemberID), stytch.MemberEmails(desk.Member.EmailAddress), stytch.EmailFuzzy(desk.Member.EmailAddress[:5]),
		stytch.MemberRoles("helpdesk"),
	} {
		page, err := b.SearchMembers(ctx, a, stytch.MemberSearchRequest{
			OrganizationIDs: []string{organizationID}, Limit: 100, Filters: []stytch.Filter{f, stytch.PasswordExists(true), stytch.Statuses("active")},
		})
		found := err == nil && slices.ContainsFunc(page.Members, func(m stytch.Member) bool { return m.MemberID == desk.MemberID })
		if !found {
			t.Errorf("search by %s did not find the member: %v", f.Name, err)
		}
	}

	// Sessions and checks.
	check := &stytch.AuthorizationCheck{OrganizationID: organizationID, ResourceID: "stytch.member", Action: "update.info.delete.password"}
	session, err := b.AuthenticateSession(ctx, a, check)
	if err != nil || session.Verdict == nil || !session.Verdict.Authorized || len(session.Verdict.GrantingRoles) == 0 {
		t.Fatalf("AuthenticateSession = %+v, %v", session, err)
	}
	if session.Session.ExpiresAt.IsZero() || session.Session.StartedAt.IsZero() || len(session.Session.AuthenticationFactors) == 0 {
		t.Errorf("session = %+v", session.Session)
	}
	byJWT, err := stytch.ActingJWT(session.SessionJWT.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AuthenticateSession(ctx, byJWT, nil); err != nil {
		t.Errorf("AuthenticateSession by JWT: %v", err)
	}
	check.ResourceID, check.Action = "console.audit", "read"
	_, err = b.AuthenticateSession(ctx, a, check)
	wantType(t, err, 403, stytch.ErrorTypeSessionAuthorizationError)

	if out, err := b.GetSessions(ctx, organizationID, desk.MemberID); err != nil || len(out.Sessions) == 0 {
		t.Errorf("GetSessions = %+v, %v", out, err)
	}
	if out, err := b.GetRBACPolicy(ctx); err != nil || out.Policy == nil || len(out.Policy.Roles) < 4 || len(out.Policy.Resources) == 0 {
		t.Errorf("GetRBACPolicy = %+v, %v", out, err)
	}
	if out, err := b.GetOrganizationRBACPolicy(ctx, organizationID); err != nil || out.OrgPolicy == nil {
		t.Errorf("GetOrganizationRBACPolicy = %+v, %v", out, err)
	}

	// Delete, by token and by JWT; the same id a second time is gone.
	var gone []string
	for _, by := range []stytch.ActingSession{a, byJWT} {
		victim := b.withPassword(t, a, organizationID)
		out, err := b.DeleteMemberPassword(ctx, by, organizationID, victim.MemberPasswordID)
		if err != nil || out.MemberID != victim.MemberID || out.Member.MemberPasswordID != "" {
			t.Fatalf("DeleteMemberPassword = %+v, %v", out, err)
		}
		read, err := b.GetMember(ctx, organizationID, victim.MemberID)
		if err != nil || read.Member.MemberPasswordID != "" || read.Member.EmailAddress != victim.EmailAddress {
			t.Errorf("GetMember = %+v, %v", read, err)
		}
		gone = append(gone, victim.MemberPasswordID)
		reset, err := b.StartPasswordReset(ctx, stytch.ResetStartRequest{OrganizationID: organizationID, EmailAddress: victim.EmailAddress})
		if err != nil || reset.MemberID != victim.MemberID || reset.MemberEmailID == "" {
			t.Errorf("StartPasswordReset = %+v, %v", reset, err)
		}
	}
	_, err = b.DeleteMemberPassword(ctx, a, organizationID, gone[0])
	wantType(t, err, 404, stytch.ErrorTypeMemberPasswordNotFound)
	_, err = b.GetMember(ctx, organizationID, "member-test-00000000-0000-4000-8000-00000000dead")
	wantType(t, err, 404, stytch.ErrorTypeMemberNotFound)

	// Those who may not.
	victim := b.withPassword(t, a, organizationID)
	_, plain := b.signIn(t, sandbox.RoleMember)
	_, err = b.DeleteMemberPassword(ctx, plain, organizationID, victim.MemberPasswordID)
	wantType(t, err, 403, stytch.ErrorTypeSessionAuthorizationError)
	_, outsider := b.signIn(t, sandbox.RoleOutsider)
	_, err = b.DeleteMemberPassword(ctx, outsider, organizationID, victim.MemberPasswordID)
	wantType(t, err, 403, stytch.ErrorTypeSessionAuthorizationTenancy, stytch.ErrorTypeSessionAuthorizationError)
	_, err = b.SearchMembers(ctx, outsider, req)
	wantType(t, err, 403, stytch.ErrorTypeSessionAuthorizationTenancy, stytch.ErrorTypeSessionAuthorizationError)
	dead, err := stytch.ActingToken("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.DeleteMemberPassword(ctx, dead, organizationID, victim.MemberPasswordID)
	wantType(t, err, 404, stytch.ErrorTypeSessionNotFound)
	_, err = b.RequirePasswordReset(ctx, a, stytch.RequireResetRequest{
		EmailAddress: victim.EmailAddress, OrganizationID: organizationID, MemberID: victim.MemberID,
	})
	wantType(t, err, 400, stytch.ErrorTypeCrossOrgPasswordsNotEnabled)
	person := b.people[sandbox.RoleHelpdesk]
	_, err = b.AuthenticatePassword(ctx, stytch.PasswordAuthenticateRequest{
		OrganizationID: person.Organization, EmailAddress: person.Email, Password: "wrong",
	})
	wantType(t, err, 401, stytch.ErrorTypeUnauthorizedCredentials)

	// Sign others out, then oneself.
	member, own := b.signIn(t, sandbox.RoleMember)
	if _, err := b.RevokeMemberSessions(ctx, a, member.MemberID); err != nil {
		t.Errorf("RevokeMemberSessions: %v", err)
	}
	_, err = b.AuthenticateSession(ctx, own, nil)
	wantType(t, err, 404, stytch.ErrorTypeSessionNotFound)
	if _, err := b.RevokeSession(ctx, a); err != nil {
		t.Errorf("RevokeSession: %v", err)
	}
	_, err = b.AuthenticateSession(ctx, a, nil)
	wantType(t, err, 404, stytch.ErrorTypeSessionNotFound)
}

func TestAgainstSandboxCrossOrganization(t *testing.T) {
	t.Parallel()
	b := startSandbox(t, sandbox.Options{Seed: 1, CrossOrgPasswords: true, TotalsOff: true})
	desk, a := b.signIn(t, sandbox.RoleHelpdesk)
	organizationID := desk.Organization.OrganizationID
	victim := b.withPassword(t, a, organizationID)
	_, err := b.DeleteMemberPassword(t.Context(), a, organizationID, victim.MemberPasswordID)
	wantType(t, err, 400, stytch.ErrorTypeCrossOrgPasswordsEnabled)
	_, err = b.RequirePasswordReset(t.Context(), a, stytch.RequireResetRequest{
		EmailAddress: victim.EmailAddress, OrganizationID: organizationID, MemberID: victim.MemberID,
	})
	if err != nil {
		t.Errorf("RequirePasswordReset: %v", err)
	}
	page, err := b.SearchMembers(t.Context(), a, stytch.MemberSearchRequest{OrganizationIDs: []string{organizationID}, Limit: 1})
	if err != nil || page.Total != -1 || page.NextCursor == "" {
		t.Errorf("SearchMembers = %+v, %v", page, err)
	}
}

// Each way the sandbox can misbehave at the delete is one class of error.
func TestAgainstSandboxFaults(t *testing.T) {
	t.Parallel()
	apiError := func(err error) bool { return errors.As(err, new(*stytch.Error)) }
	answerError := func(err error) bool { return errors.As(err, new(*stytch.AnswerError)) }
	lost := func(err error) bool {
		var e *stytch.TransportError
		return errors.As(err, &e) && !e.NotSent
	}
	seconds := 7
	tests := []struct {
		fault sandbox.Fault
		class func(error) bool
	}{
		{sandbox.Fault{Kind: sandbox.FaultServerError}, apiError},
		{sandbox.Fault{Kind: sandbox.FaultBadGateway}, apiError},
		{sandbox.Fault{Kind: sandbox.FaultBadCredentials}, apiError},
		{sandbox.Fault{Kind: sandbox.FaultRateLimit, RetryAfter: &seconds}, func(err error) bool {
			var e *stytch.Error
			return errors.As(err, &e) && e.HasRetryAfter && e.RetryAfter == 7*time.Second
		}},
		{sandbox.Fault{Kind: sandbox.FaultCutBody}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultGarbage}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultWrongShape}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultEmptyBody}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultGiantBody}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultRedirect}, answerError},
		{sandbox.Fault{Kind: sandbox.FaultReset}, lost},
		{sandbox.Fault{Kind: sandbox.FaultHang, Duration: sandbox.Duration(10 * time.Millisecond)}, lost},
	}
	for _, tt := range tests {
		t.Run(tt.fault.Kind, func(t *testing.T) {
			t.Parallel()
			tt.fault.Endpoint = "members.delete_password"
			b := startSandbox(t, sandbox.Options{Seed: 1, Faults: []sandbox.Fault{tt.fault}})
			desk, a := b.signIn(t, sandbox.RoleHelpdesk)
			victim := b.withPassword(t, a, desk.Organization.OrganizationID)
			_, err := b.DeleteMemberPassword(t.Context(), a, desk.Organization.OrganizationID, victim.MemberPasswordID)
			if err == nil || !tt.class(err) {
				t.Errorf("error = %#v", err)
			}
		})
	}
}
