package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	defaultSearchLimit = 100
	maxSearchLimit     = 1000
	minFuzzy           = 3 // characters of a partial match
)

type searchRequest struct {
	OrganizationIDs []string     `json:"organization_ids"`
	Cursor          *string      `json:"cursor"`
	Limit           *int         `json:"limit"`
	Query           *searchQuery `json:"query"`
}

type searchQuery struct {
	Operator *string           `json:"operator"`
	Operands []json.RawMessage `json:"operands"`
}

// A candidate is one member under the eye of a filter. What only some filters need is derived when one asks.
type candidate struct {
	p     *project
	o     *organization
	index int
	row   *row
}

func (c candidate) traits() traits {
	if c.row.full != nil {
		return traitsOf(c.row.full)
	}
	return c.p.derive(c.o, c.index)
}

type predicate func(candidate) bool

func searchMembers(c *call) (answer, error) {
	var in searchRequest
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.OrganizationIDs) == 0 {
		return nil, fail(http.StatusBadRequest, "member_search_organization_ids_empty", "At least one organization id is needed.")
	}
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	if c.acting != nil {
		own := p.orgs[c.acting.ref.org].json.OrganizationID
		if slices.ContainsFunc(in.OrganizationIDs, func(id string) bool { return id != own }) {
			return nil, errTenancy()
		}
		if err := p.allowed(c.acting, false, actionSearch); err != nil {
			return nil, err
		}
	}
	orgs, err := p.searchedOrganizations(in.OrganizationIDs)
	if err != nil {
		return nil, err
	}
	matches, deleted, err := p.compile(in.Query)
	if err != nil {
		return nil, err
	}
	limit := defaultSearchLimit
	if in.Limit != nil && *in.Limit != 0 {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxSearchLimit {
		return nil, badRequest("The limit is 1 to 1000.")
	}
	mark := fingerprint(in)
	var after *position
	if in.Cursor != nil && *in.Cursor != "" {
		if after, err = parseCursor(*in.Cursor, mark); err != nil {
			return nil, err
		}
	}

	out := &searchReply{Members: []memberJSON{}, Organizations: map[string]organizationJSON{}}
	total, now := 0, c.nowUTC()
	var last position
	more := false
	p.walk(orgs, func(at position, cand candidate) {
		if !deleted && cand.row.status == statusDeleted || !matches(cand) {
			return
		}
		total++
		switch {
		case after != nil && !after.less(at):
		case len(out.Members) == limit:
			more = true
		default:
			ref := rowRef{cand.o.index, cand.index}
			out.Members = append(out.Members, p.member(ref).show(now))
			out.Organizations[cand.o.json.OrganizationID] = *cand.o.json
			last = at
		}
	})
	out.ResultsMetadata.Total = total
	if p.switches.totalsOff {
		out.ResultsMetadata.Total = -1
	}
	if more {
		cursor := last.cursor(mark)
		out.ResultsMetadata.NextCursor = &cursor
	}
	return out, nil
}

func (p *project) searchedOrganizations(ids []string) ([]*organization, error) {
	var orgs []*organization
	for _, id := range ids {
		if !hasShape(id, "organization-test-") {
			return nil, fail(http.StatusBadRequest, "invalid_organization_id", "organization_ids holds something that is not an organization id.")
		}
		o := p.organization(id)
		if o == nil {
			return nil, errOrganizationNotFound()
		}
		if !slices.Contains(orgs, o) {
			orgs = append(orgs, o)
		}
	}
	return orgs, nil
}

// walk visits the members of organizations by created_at, then organization and id.
func (p *project) walk(orgs []*organization, visit func(position, candidate)) {
	next := make([]int, len(orgs))
	for {
		best := -1
		var bestAt position
		for i, o := range orgs {
			if next[i] == len(o.rows) {
				continue
			}
			at := position{created: createdAt(o, next[i]).UnixNano(), org: o.index, index: next[i]}
			if best < 0 || at.less(bestAt) {
				best, bestAt = i, at
			}
		}
		if best < 0 {
			return
		}
		o := orgs[best]
		visit(bestAt, candidate{p: p, o: o, index: next[best], row: &o.rows[next[best]]})
		next[best]++
	}
}

// position is where a member stands in the order of a search, whatever the search asks for.
type position struct {
	created    int64
	org, index int
}

func (a position) less(b position) bool {
	if a.created != b.created {
		return a.created < b.created
	}
	if a.org != b.org {
		return a.org < b.org
	}
	return a.index < b.index
}

// fingerprint ties a cursor to its search: a cursor of another search is refused instead of giving a strange page.
func fingerprint(in searchRequest) [8]byte {
	text, _ := json.Marshal(struct {
		IDs   []string
		Query *searchQuery
	}{in.OrganizationIDs, in.Query})
	sum := sha256.Sum256(text)
	return [8]byte(sum[:8])
}

const cursorSize = 8 + 8 + 4 + 4 + 4

func (a position) cursor(mark [8]byte) string {
	b := make([]byte, 0, cursorSize)
	b = append(b, mark[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.created))
	b = binary.BigEndian.AppendUint32(b, uint32(a.org))
	b = binary.BigEndian.AppendUint32(b, uint32(a.index))
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(append(b, sum[:4]...))
}

func parseCursor(text string, mark [8]byte) (*position, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != cursorSize {
		return nil, badRequest("The cursor is not one of this API.")
	}
	at := &position{
		created: int64(binary.BigEndian.Uint64(b[8:])), org: int(binary.BigEndian.Uint32(b[16:])), index: int(binary.BigEndian.Uint32(b[20:])),
	}
	if at.cursor(mark) != text {
		return nil, badRequest("The cursor belongs to another search.")
	}
	return at, nil
}

// compile turns a query into a predicate. deleted reports whether it asks for deleted members, who else are left out.
func (p *project) compile(q *searchQuery) (matches predicate, deleted bool, err error) {
	everyone := func(candidate) bool { return true }
	if q == nil {
		return everyone, false, nil
	}
	if q.Operator == nil || *q.Operator != "AND" && *q.Operator != "OR" {
		return nil, false, badRequest("The operator of a query is AND or OR.")
	}
	var all []predicate
	for _, raw := range q.Operands {
		one, wantsDeleted, err := p.compileFilter(raw)
		if err != nil {
			return nil, false, err
		}
		deleted = deleted || wantsDeleted
		all = append(all, one)
	}
	switch {
	case len(all) == 0:
		return everyone, false, nil
	case *q.Operator == "OR":
		return func(c candidate) bool {
			return slices.ContainsFunc(all, func(one predicate) bool { return one(c) })
		}, deleted, nil
	default:
		return func(c candidate) bool {
			return !slices.ContainsFunc(all, func(one predicate) bool { return !one(c) })
		}, deleted, nil
	}
}

func searchError(name, message string) error { return fail(http.StatusBadRequest, name, message) }

func fuzzy(value, tooShort string) (string, error) {
	if utf8.RuneCountInString(value) < minFuzzy {
		return "", searchError(tooShort, "A partial match needs at least 3 characters.")
	}
	return strings.ToLower(value), nil
}
