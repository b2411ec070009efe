package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"orgconsole/internal/stytch"
)

const (
	pageSize = 100
	// The API has no filter for names, so a name is matched here over the
	// whole organization, this many members at a call and calls at a page.
	scanSize  = 1000
	scanCalls = 5
	maxQuery  = 200
	maxTrail  = 40
	maxCursor = 2048
)

// memberQuery is the address of one members page: its filters and its place.
type memberQuery struct {
	Text     string
	Status   string // "", all, or one of Stytch's statuses
	Role     string
	Password string // "", set, not-set

	Cursor string   // upstream cursor of this page
	Trail  []string // cursors of the pages before it, first page first

	Scanning bool   // this page goes on with the search by name
	Scan     string // upstream cursor the search by name goes on from
	Skip     int    // members of that batch already looked at
	Searched int    // members looked at before this page
}

func statusChoices() []string { return []string{"active", "invited", "pending", "deleted"} }

// parseMemberQuery reads a members address. Its errors say what is accepted.
func parseMemberQuery(v url.Values) (memberQuery, error) {
	q := memberQuery{
		Text: strings.TrimSpace(v.Get("q")), Status: v.Get("status"), Role: v.Get("role"), Password: v.Get("password"),
		Cursor: v.Get("cursor"), Trail: v["back"], Scan: v.Get("scan"), Scanning: v.Has("searched"),
	}
	bad := func(format string, args ...any) (memberQuery, error) {
		return memberQuery{}, echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf(format, args...))
	}
	switch {
	case !utf8.ValidString(q.Text) || utf8.RuneCountInString(q.Text) > maxQuery:
		return bad("A search has at most %d characters.", maxQuery)
	case q.Status != "" && q.Status != "all" && !slices.Contains(statusChoices(), q.Status):
		return bad("Status is one of: all, %s.", strings.Join(statusChoices(), ", "))
	case q.Password != "" && q.Password != "set" && q.Password != "not-set":
		return bad("Password is set or not-set.")
	case len(q.Role) > maxQuery || !utf8.ValidString(q.Role):
		return bad("A role id has at most %d characters.", maxQuery)
	case len(q.Trail) > maxTrail:
		return bad("The page address is too long. Start from the first page.")
	}
	for _, c := range append([]string{q.Cursor, q.Scan}, q.Trail...) {
		if len(c) > maxCursor || !utf8.ValidString(c) {
			return bad("The page address is not one of ours. Start from the first page.")
		}
	}
	for name, into := range map[string]*int{"skip": &q.Skip, "searched": &q.Searched} {
		if !v.Has(name) {
			continue
		}
		n, err := strconv.Atoi(v.Get(name))
		if err != nil || n < 0 {
			return bad("%s is a number of members.", name)
		}
		*into = n
	}
	return q, nil
}

// filters is the query without its place.
func (q memberQuery) filters() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.Text, "status": q.Status, "role": q.Role, "password": q.Password} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func (q memberQuery) filtered() bool { return len(q.filters()) > 0 }

func membersAddress(v url.Values) string {
	if len(v) == 0 {
		return "/members"
	}
	return "/members?" + v.Encode()
}

func (q memberQuery) nextPage(cursor string) string {
	v := q.filters()
	v.Set("cursor", cursor)
	trail := append(slices.Clone(q.Trail), q.Cursor)
	v["back"] = trail[max(0, len(trail)-maxTrail):]
	return membersAddress(v)
}

// previousPage is empty on the first page.
func (q memberQuery) previousPage() string {
	if q.Cursor == "" || len(q.Trail) == 0 {
		return ""
	}
	v := q.filters()
	last := len(q.Trail) - 1
	if q.Trail[last] != "" {
		v.Set("cursor", q.Trail[last])
	}
	if last > 0 {
		v["back"] = q.Trail[:last]
	}
	return membersAddress(v)
}

func (q memberQuery) scanOn(p scanPlace) string {
	v := q.filters()
	v.Set("scan", p.cursor)
	v.Set("skip", strconv.Itoa(p.skip))
	v.Set("searched", strconv.Itoa(p.searched))
	return membersAddress(v)
}

// byAddress reports whether the text can only be (part of) an address, so
// that the upstream's own filter is the whole answer.
func (q memberQuery) byAddress() bool { return strings.Contains(q.Text, "@") }

// upstream returns the filters the API has, without the text.
func (q memberQuery) upstream() []stytch.Filter {
	var f []stytch.Filter
	switch q.Status {
	case "":
	case "all":
		f = append(f, stytch.Statuses(statusChoices()...))
	default:
		f = append(f, stytch.Statuses(q.Status))
	}
	if q.Role != "" {
		f = append(f, stytch.MemberRoles(q.Role))
	}
	if q.Password != "" {
		f = append(f, stytch.PasswordExists(q.Password == "set"))
	}
	return f
}

// memberList is what one members page found.
type memberList struct {
	members []stytch.Member
	total   int    // matches in all by the upstream's count; -1 unknown
	next    string // upstream cursor of the next page, or ""

	scanned *scanPlace // set when names were searched
}

// scanPlace is how far a search by name has come.
type scanPlace struct {
	searched int // members looked at so far
	total    int // members there are to look at; -1 unknown
	cursor   string
	skip     int
	done     bool
}

// findMembers answers a members page. Without a text, or with one that is
// part of an address, that is one upstream call. Other texts are looked for in
// addresses by the upstream and in names here.
func (s *Server) findMembers(ctx context.Context, a *actor, q memberQuery) (memberList, error) {
	byEmail := utf8.RuneCountInString(q.Text) >= minFuzzy
	switch {
	case q.Text == "":
		return s.listMembers(ctx, a, q, q.upstream())
	case q.byAddress() && byEmail, q.Cursor != "" && byEmail:
		return s.listMembers(ctx, a, q, append(q.upstream(), stytch.EmailFuzzy(q.Text)))
	case q.Scanning || !byEmail:
		return s.scanMembers(ctx, a, q, scanCalls)
	}
	var (
		emails, names memberList
		group, gctx   = errgroup.WithContext(ctx)
	)
	group.Go(func() (err error) {
		emails, err = s.listMembers(gctx, a, q, append(q.upstream(), stytch.EmailFuzzy(q.Text)))
		return err
	})
	group.Go(func() (err error) {
		names, err = s.scanMembers(gctx, a, q, scanCalls-1)
		return err
	})
	if err := group.Wait(); err != nil {
		return memberList{}, err
	}
	for _, m := range names.members {
		if !slices.ContainsFunc(emails.members, func(o stytch.Member) bool { return o.MemberID == m.MemberID }) {
			emails.members = append(emails.members, m)
		}
	}
	emails.scanned, emails.total = names.scanned, -1
	return emails, nil
}

func (s *Server) listMembers(ctx context.Context, a *actor, q memberQuery, filters []stytch.Filter) (memberList, error) {
	answer, err := s.stytch.SearchMembers(ctx, a.Acting, stytch.MemberSearchRequest{
		OrganizationIDs: []string{a.Session.OrganizationID}, Cursor: q.Cursor, Limit: pageSize, Filters: filters,
	})
	if err != nil {
		return memberList{}, err
	}
	return memberList{members: answer.Members, total: answer.Total, next: answer.NextCursor}, nil
}

// scanMembers looks through the organization by name, from where the query
// says, until a page is full, calls are used up, or everybody was looked at.
func (s *Server) scanMembers(ctx context.Context, a *actor, q memberQuery, calls int) (memberList, error) {
	place := scanPlace{searched: q.Searched, total: -1, cursor: q.Scan, skip: q.Skip}
	list := memberList{total: -1, scanned: &place}
	for range calls {
		answer, err := s.stytch.SearchMembers(ctx, a.Acting, stytch.MemberSearchRequest{
			OrganizationIDs: []string{a.Session.OrganizationID}, Cursor: place.cursor, Limit: scanSize, Filters: q.upstream(),
		})
		if err != nil {
			return memberList{}, err
		}
		place.total = answer.Total
		members := answer.Members
		for i := min(place.skip, len(members)); i < len(members); i++ {
			place.searched++
			place.skip = i + 1
			if nameMatches(members[i].Name, q.Text) {
				list.members = append(list.members, members[i])
			}
			if len(list.members) == pageSize && place.skip < len(members) {
				return list, nil
			}
		}
		if answer.NextCursor == "" || answer.NextCursor == place.cursor {
			place.done = true
			return list, nil
		}
		place.cursor, place.skip = answer.NextCursor, 0
		if len(list.members) >= pageSize {
			return list, nil
		}
	}
	return list, nil
}
