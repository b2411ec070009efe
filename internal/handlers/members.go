package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/authz"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// showMembers is GET /members.
func (s *Server) showMembers(c echo.Context) error {
	q, err := parseMemberQuery(c.QueryParams())
	if err != nil {
		return err
	}
	a := s.actor(c)
	list, err := s.findMembers(c.Request().Context(), a, q)
	var refused *stytch.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && (q.Cursor != "" || q.Scan != "") {
		return echo.NewHTTPError(http.StatusBadRequest, "Stytch does not know this place in the list any more. Start from the first page.").SetInternal(err)
	}
	if err != nil {
		return err
	}
	policy, _ := s.policy(c.Request().Context(), a.Session) // nil: only the role filter is shorter
	return render(c, http.StatusOK, templates.MembersPage(s.membersView(c, q, list, policy)))
}

func (s *Server) membersView(c echo.Context, q memberQuery, list memberList, policy *authz.Policy) templates.Members {
	v := templates.Members{
		Page: s.page(c, "Members"), Search: q.Text, Filtered: q.filtered(), ClearURL: "/members",
		Statuses: []templates.Option{
			{Value: "", Text: "All but deleted", Selected: q.Status == ""},
			{Value: "all", Text: "All", Selected: q.Status == "all"},
		},
		Roles: []templates.Option{{Value: "", Text: "Any role", Selected: q.Role == ""}},
		Passwords: []templates.Option{
			{Value: "", Text: "Any", Selected: q.Password == ""},
			{Value: "set", Text: "Set", Selected: q.Password == "set"},
			{Value: "not-set", Text: "Not set", Selected: q.Password == "not-set"},
		},
		PreviousURL: q.previousPage(),
	}
	for _, st := range statusChoices() {
		v.Statuses = append(v.Statuses, templates.Option{Value: st, Text: sentence(st), Selected: q.Status == st})
	}
	var roles []string
	if policy != nil {
		roles = policy.RoleIDs()
	}
	if q.Role != "" && !slices.Contains(roles, q.Role) {
		roles = append(roles, q.Role)
	}
	for _, r := range roles {
		v.Roles = append(v.Roles, templates.Option{Value: r, Text: r, Selected: q.Role == r})
	}
	for _, m := range list.members {
		v.Rows = append(v.Rows, memberRow(m))
	}
	if list.next != "" {
		v.NextURL = q.nextPage(list.next)
	}
	v.Count = countText(q, list)
	if list.scanned != nil {
		v.Scan = scanView(q, *list.scanned)
	}
	if len(v.Rows) == 0 {
		v.Empty, v.Hint = emptyText(q, list)
	}
	return v
}

func memberRow(m stytch.Member) templates.MemberRow {
	row := templates.MemberRow{
		URL: memberPath(m.MemberID), Name: m.Name, Email: m.EmailAddress, Status: statusBadge(m.Status),
		PasswordSet: m.MemberPasswordID != "", MFA: mfaWord(m), Updated: timeOf(m.UpdatedAt),
	}
	for _, r := range m.Roles {
		if r.RoleID != authz.RoleMember {
			row.Roles = append(row.Roles, r.RoleID)
		}
	}
	return row
}

// countText never promises a total that the upstream did not give.
func countText(q memberQuery, list memberList) string {
	n := len(list.members)
	switch {
	case n == 0:
		return ""
	case list.scanned != nil && list.scanned.done && list.next == "":
		return plural(n, "member") + " found"
	case list.scanned != nil:
		return plural(n, "member") + " found so far"
	case list.total >= 0 && list.next == "" && q.Cursor == "":
		return plural(n, "member")
	case list.total >= 0:
		return fmt.Sprintf("%s shown of %s", thousands(n), plural(list.total, "member"))
	case list.next == "":
		return plural(n, "member") + " on this last page"
	default:
		return plural(n, "member") + " shown, total not known"
	}
}

func scanView(q memberQuery, p scanPlace) *templates.Scan {
	v := &templates.Scan{Text: fmt.Sprintf("Searched %s by name.", plural(p.searched, "member"))}
	if p.total >= 0 {
		v.Text = fmt.Sprintf("Searched %s of %s by name.", thousands(p.searched), plural(p.total, "member"))
	}
	if !p.done {
		v.GoOn, v.Label = q.scanOn(p), "Search on"
	}
	return v
}

func emptyText(q memberQuery, list memberList) (empty, hint string) {
	switch {
	case list.scanned != nil && !list.scanned.done:
		return "No match so far.", "Not everybody was looked at yet. Search on, or search by email."
	case q.Text != "" && !q.byAddress():
		return "No member matches.", "Try fewer letters, or part of the email address. To find deleted members too, set Status to All."
	case q.Text != "":
		return "No member matches.", "Check the spelling of the address. To find deleted members too, set Status to All."
	case q.filtered():
		return "No member matches these filters.", "Clear a filter to see more."
	case q.Cursor != "":
		return "This page is empty now.", "Members may have left since the page before it was shown. Start from the first page."
	default:
		return "This organization has no members.", ""
	}
}

func memberPath(id string) string { return "/members/" + id }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
