package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// memberRead is one member as the upstream just said, with what goes with it.
type memberRead struct {
	member       stytch.Member
	organization stytch.Organization
	requestID    string
	sessions     int // open sessions; -1 when they could not be read
}

var memberID = regexp.MustCompile(`^member-[A-Za-z0-9._~-]{1,120}$`)

// memberParam is the member the path names. Only Stytch's own ids are
// accepted: the upstream would take an external id too, and one page must have
// one address.
func memberParam(c echo.Context) (string, error) {
	id := c.Param("member_id")
	if !memberID.MatchString(id) {
		return "", echo.NewHTTPError(http.StatusNotFound, "There is no such member in your organization.")
	}
	return id, nil
}

// readMember reads a member, their organization and how many sessions they
// have open. The reads cannot carry the acting session, so a permission check
// runs beside them and nothing is returned unless it passed. Whoever member
// get does not find is looked for once among all statuses, deleted included.
func (s *Server) readMember(ctx context.Context, a *actor, id string) (*memberRead, error) {
	var (
		answer   *stytch.MemberResponse
		readErr  error
		sessions = -1
		group    errgroup.Group
	)
	group.Go(func() error {
		return s.authz.CheckMember(ctx, a.Acting, a.Session, id, authz.MemberSearch(), authz.SelfRead())
	})
	group.Go(func() error {
		answer, readErr = s.stytch.GetMember(ctx, a.Session.OrganizationID, id)
		return nil
	})
	group.Go(func() error {
		if got, err := s.stytch.GetSessions(ctx, a.Session.OrganizationID, id); err == nil {
			sessions = countOpen(got.Sessions, a.Session.OrganizationID, id)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read member: %w", err)
	}
	var refused *stytch.Error
	if errors.As(readErr, &refused) && refused.Status == http.StatusNotFound {
		return s.findGoneMember(ctx, a, id)
	}
	if readErr != nil {
		return nil, fmt.Errorf("read member: %w", readErr)
	}
	if answer.Member.MemberID != id || answer.Member.OrganizationID != a.Session.OrganizationID {
		return nil, noSuchMember()
	}
	return &memberRead{answer.Member, answer.Organization, answer.RequestID, sessions}, nil
}

// countOpen is -1, not known, where any session is said to be of somebody else.
func countOpen(open []stytch.MemberSession, organizationID, memberID string) int {
	for _, o := range open {
		if o.MemberID != "" && o.MemberID != memberID || o.OrganizationID != "" && o.OrganizationID != organizationID {
			return -1
		}
	}
	return len(open)
}

func (s *Server) findGoneMember(ctx context.Context, a *actor, id string) (*memberRead, error) {
	found, err := s.stytch.SearchMembers(ctx, a.Acting, stytch.MemberSearchRequest{
		OrganizationIDs: []string{a.Session.OrganizationID}, Limit: 1,
		Filters: []stytch.Filter{stytch.MemberIDs(id), stytch.Statuses(statusChoices()...)},
	})
	if err != nil {
		return nil, fmt.Errorf("look for a deleted member: %w", err)
	}
	for _, m := range found.Members {
		if m.MemberID == id && m.OrganizationID == a.Session.OrganizationID {
			organization, ok := found.Organizations[m.OrganizationID]
			if !ok {
				organization = a.Session.Organization
			}
			return &memberRead{m, organization, found.RequestID, -1}, nil
		}
	}
	return nil, noSuchMember()
}

func noSuchMember() error {
	return echo.NewHTTPError(http.StatusNotFound, "There is no such member in your organization.")
}

// showMember is GET /members/{member_id}. With ?operation= it tells what
// became of that operation beside what the member is now; with ?view=raw it
// shows the member as the upstream sent it.
func (s *Server) showMember(c echo.Context) error {
	id, err := memberParam(c)
	if err != nil {
		return err
	}
	ctx, a := c.Request().Context(), s.actor(c)
	read, err := s.readMember(ctx, a, id)
	if err != nil {
		return err
	}
	page := s.page(c, memberLabel(read.member))
	page.Crumbs = []templates.Link{{Text: "Members", URL: "/members"}}
	page.Badges = memberBadges(read.member, s.now())
	if page.Heading = memberLabel(read.member); page.Heading != read.member.EmailAddress {
		page.Lead = read.member.EmailAddress
	}
	v := templates.Member{
		Page: page, Person: personView(a, read.member), Findings: signInFacts(read.organization, read.member, s.now()),
		Groups: memberGroups(read.member, s.now()), Rules: organizationGroups(read.organization),
		RawURL: memberPath(id) + "?view=raw#raw",
	}
	if c.QueryParam("view") == "raw" {
		v.Raw = rawView(read)
	}
	v.Verdict = sortFindings(v.Findings)
	if read.sessions >= 0 {
		v.Findings = append(v.Findings, templates.Finding{Kind: templates.Info, Text: openSessionsText(read.sessions)})
	}
	action, err := s.deleteAction(ctx, a, read)
	if err != nil {
		return err
	}
	v.Actions = []templates.Action{action}
	if opID := c.QueryParam("operation"); opID != "" {
		op, err := s.visibleOperation(ctx, a, opID)
		_, denied := errors.AsType[*authz.DeniedError](err)
		switch {
		case denied, errors.Is(err, helpdesk.ErrNotFound), err == nil && op.Target.MemberID != id:
			// A link from somebody else's ticket, or a stale one: the member is what matters.
		case err != nil:
			return err
		default:
			result, err := s.resultView(a, op, read)
			if err != nil {
				return err
			}
			v.Results = []templates.Result{result}
			if op.Action == audit.ActionRequireReset && op.Done() {
				v.Verdict = ""
				v.Findings = slices.Insert(v.Findings, 0, templates.Finding{
					Kind: templates.Bad, Text: "A password reset was required at " + utc(op.SettledAt) + ". The password does not work until it has been reset.",
				})
			}
			// The result above has that link too.
			v.Actions[0].Links = slices.DeleteFunc(v.Actions[0].Links, func(l templates.Link) bool { return l.URL == operationPath(op.ID) })
		}
	}
	return render(c, http.StatusOK, templates.MemberPage(v))
}

func rawView(read *memberRead) *templates.Raw {
	var b bytes.Buffer
	if err := json.Indent(&b, read.member.Raw, "", "  "); err != nil {
		b.Write(read.member.Raw)
	}
	return &templates.Raw{JSON: b.String(), RequestID: read.requestID, CloseURL: memberPath(read.member.MemberID)}
}

func personView(a *actor, m stytch.Member) templates.Person {
	p := templates.Person{
		Name: m.Name, Email: m.EmailAddress, ID: m.MemberID, URL: memberPath(m.MemberID),
		Self: m.MemberID == a.Session.MemberID, Badges: []templates.Badge{statusBadge(m.Status)},
	}
	for _, r := range m.Roles {
		p.Roles = append(p.Roles, r.RoleID)
	}
	return p
}

func openSessionsText(n int) string {
	switch n {
	case 0:
		return "No sessions are open."
	case 1:
		return "1 session is open."
	default:
		return fmt.Sprintf("%s sessions are open.", thousands(n))
	}
}

// deleteAction offers to delete the password, or says why it cannot be done.
func (s *Server) deleteAction(ctx context.Context, a *actor, read *memberRead) (templates.Action, error) {
	act := templates.Action{
		Label: "Delete password", Danger: true,
	}
	reason, links, err := s.cannotDelete(ctx, a, read)
	if err != nil {
		return act, err
	}
	if reason == "" {
		act.URL = deletePath(read.member.MemberID)
		act.Text = "You see what it does and give a reason before anything is done."
	}
	act.Reason, act.Links = reason, links
	return act, nil
}

// cannotDelete says why the password cannot be deleted, or nothing. The
// permission is judged by the policy read here, which only ever disables what
// the upstream would refuse; without a policy the upstream is left to say.
func (s *Server) cannotDelete(ctx context.Context, a *actor, read *memberRead) (reason string, links []templates.Link, err error) {
	m := read.member
	if m.Status == stytch.StatusDeleted {
		return "The member is deleted.", nil, nil
	}
	if m.MemberPasswordID == "" {
		last, err := s.desk.LastDeletion(ctx, a.Session.OrganizationID, m.MemberID)
		if err != nil {
			return "", nil, err
		}
		if last == nil {
			return "No password set.", nil, nil
		}
		if last.Actor.MemberID == a.Session.MemberID || s.looksLikeAuditor(ctx, a) {
			links = []templates.Link{{Text: "Receipt of that operation", URL: operationPath(last.ID)}}
		}
		return fmt.Sprintf("No password set: already deleted %s by %s.", last.SettledAt.UTC().Format("2006-01-02 15:04 UTC"), personName(last.Actor)), links, nil
	}
	return s.mayNotDelete(ctx, a, m), nil, nil
}

// mayNotDelete names the permission that is missing for a member's password, or nothing.
func (s *Server) mayNotDelete(ctx context.Context, a *actor, m stytch.Member) string {
	policy, err := s.policy(ctx, a.Session)
	if err == nil && !policy.MayMember(a.Session, m.MemberID, authz.MemberDeletePassword(), authz.SelfDeletePassword()) {
		return missingPermission(authz.MemberDeletePassword(), policy)
	}
	return ""
}

func missingPermission(p authz.Permission, policy *authz.Policy) string {
	if roles := policy.RolesWith(p); len(roles) > 0 {
		return fmt.Sprintf("This needs the permission %s. Roles that have it: %s.", p, strings.Join(roles, ", "))
	}
	return fmt.Sprintf("This needs the permission %s, which no role has.", p)
}

func personName(p helpdesk.Person) string {
	if p.Erased {
		return "erased person"
	}
	for _, s := range []string{p.Name, p.Email, p.MemberID} {
		if strings.TrimSpace(s) != "" {
			return s
		}
	}
	return "somebody"
}

func personEmail(p helpdesk.Person) string {
	if p.Erased {
		return "an address that was erased"
	}
	return p.Email
}

// resultView words an operation for the member's page: its outcome, each step
// alone, and whether what was just read agrees with it.
func (s *Server) resultView(a *actor, op *helpdesk.Operation, read *memberRead) (templates.Result, error) {
	v, err := s.operationResult(a, op)
	if err != nil {
		return v, err
	}
	v.Links = append(v.Links, templates.Link{Text: "Receipt of this operation", URL: operationPath(op.ID)})
	m := read.member
	if op.Action != audit.ActionDeletePassword {
		if op.Done() {
			v.Tell = tellReset(op)
		}
		return v, nil
	}
	if op.State == helpdesk.StateUnknown {
		v.Tell = "It is not certain yet that the old password is gone. Do not say that it is."
		v.Next = append(v.Next, templates.Link{Text: "Look again", URL: memberPath(m.MemberID) + "?operation=" + op.ID})
	}
	if !op.Done() {
		if deletable := m.MemberPasswordID != "" && m.Status != stytch.StatusDeleted; deletable && againable(op) {
			v.Next = append(v.Next, templates.Link{Text: "Review and try again", URL: deletePath(m.MemberID) + "?from=" + op.ID})
		}
		return v, nil
	}
	switch {
	case m.MemberPasswordID == op.PasswordID:
		v.Kind = templates.Bad
		v.Title = "Stytch confirmed the deletion, but the member still shows the same password"
		v.Text = "The deletion's answer and the member as just read disagree. Do not tell the caller that it is done. Reload this page; if the password stays, delete it again."
		v.Next = append(v.Next, templates.Link{Text: "Delete it again", URL: deletePath(m.MemberID) + "?from=" + op.ID})
		return v, nil
	case m.MemberPasswordID != "":
		v.Lines = append(v.Lines, "A new password was set since.")
	}
	if op.Latest(audit.ActionRevokeSessions) == nil {
		v.Lines = append(v.Lines, stillOpen(read.sessions, op.SessionsOpen))
	}
	v.Tell = tellCaller(read.organization, m, op)
	return v, nil
}

// againable reports an outcome after which confirming again makes sense.
func againable(op *helpdesk.Operation) bool {
	return op.State == helpdesk.StateFinal && op.Outcome != audit.OutcomeDenied &&
		stytch.ErrorType(op.ErrorType) != stytch.ErrorTypeCrossOrgPasswordsEnabled
}

// stillOpen says how many sessions go on, by what was read now or, failing
// that, when the deletion was confirmed.
func stillOpen(now, then int) string {
	switch {
	case now == 0:
		return "No session is open."
	case now == 1:
		return "1 session is still signed in. Deleting the password ended none."
	case now > 1:
		return fmt.Sprintf("%s sessions are still signed in. Deleting the password ended none.", thousands(now))
	case then > 0:
		return fmt.Sprintf("%s were signed in when this was confirmed; how many are now could not be read.", plural(then, "session"))
	default:
		return "How many sessions are still signed in could not be read."
	}
}

func tellCaller(o stytch.Organization, m stytch.Member, op *helpdesk.Operation) string {
	var say []string
	say = append(say, "The old password no longer works.")
	if out := op.Latest(audit.ActionRevokeSessions); out != nil && out.Done() {
		say = append(say, "Every device is signed out.")
	}
	if mail := op.Latest(audit.ActionResetEmail); mail != nil && mail.Done() {
		say = append(say, "A mail to "+personEmail(op.Target)+" has a link to set a new one.")
	} else {
		say = append(say, "No mail was sent.")
	}
	if ways := otherWays(o, m); len(ways) > 0 {
		say = append(say, "Your organization also allows signing in with "+orList(ways)+".")
	} else {
		say = append(say, "There is no other way to sign in until a new password is set by a reset mail.")
	}
	return strings.Join(say, " ")
}

// tellReset is what to tell the caller of a reset that is required now.
func tellReset(op *helpdesk.Operation) string {
	say := []string{"The password of " + personEmail(op.Target) + " must be reset before it works again, in every organization that it is used for."}
	if out := op.Latest(audit.ActionRevokeSessions); out != nil && out.Done() {
		say = append(say, "Every device is signed out here.")
	}
	if mail := op.Latest(audit.ActionResetEmail); mail != nil && mail.Done() {
		say = append(say, "A mail has a link to set a new one.")
	} else {
		say = append(say, "No mail was sent.")
	}
	return strings.Join(say, " ")
}

// orList joins words as a sentence does.
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
