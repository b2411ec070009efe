package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Member statuses.
const (
	statusActive  = "active"
	statusPending = "pending"
	statusInvited = "invited"
	statusDeleted = "deleted"
)

// project is all that the API can change.
type project struct {
	ids    idMaker
	pool   []person      // names that generated members have
	stride int           // through pool
	people []notedPerson // the members written by hand that are worth trying

	mu        sync.RWMutex // guards everything below
	orgs      []*organization
	sessions  map[string]*session    // by session id
	tokens    map[string]*session    // by session token
	byMember  map[rowRef][]*session  // in order of start
	ists      map[string]*ist        // by intermediate session token
	landings  map[string]*landing    // by single-use token
	mailCodes map[rowRef]*sentCode   // by member
	smsCodes  map[rowRef]*sentCode   // by member
	findCodes map[string]*sentCode   // discovery, by address
	passwords map[string]rowRef      // ids of passwords that were not there at the start
	external  map[externalKey]rowRef // external ids of the members written by hand
	outbox    []mail
	switches  switches

	redirectURL string // where mails lead whose call named nothing
}

type externalKey struct {
	org int
	id  string
}

// organization holds its members in order of creation: created_at rises with the index. Who is invited
// later comes last.
type organization struct {
	index int
	json  *organizationJSON // replaced, never changed
	step  time.Duration     // between the creation of two members
	rows  []row
}

type rowRef struct{ org, index int }

// row is what search looks at. The rest of a seeded member is derived from its index until something changes it.
type row struct {
	email      string // lower case
	status     string
	hasPass    bool
	breakglass bool
	full       *member // replaced, never changed; nil: derive
}

// member is a member as stored. What depends on the clock or on the roles (is_locked, is_admin) is computed when shown.
type member struct {
	json          memberJSON
	failures      int // failed authentications in a row
	resetRequired bool
	mfa           memberMFA
}

func newProject(ids idMaker) *project {
	return &project{
		ids: ids, sessions: map[string]*session{}, tokens: map[string]*session{}, byMember: map[rowRef][]*session{},
		ists: map[string]*ist{}, landings: map[string]*landing{}, mailCodes: map[rowRef]*sentCode{}, smsCodes: map[rowRef]*sentCode{},
		findCodes: map[string]*sentCode{}, passwords: map[string]rowRef{}, external: map[externalKey]rowRef{},
	}
}

func (p *project) latency() time.Duration {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.switches.latency
}

// The methods below need p.mu; update and the other changes need it for writing.

func (p *project) organization(id string) *organization {
	for _, o := range p.orgs {
		if o.json.OrganizationID == id || o.json.OrganizationSlug == id ||
			o.json.OrganizationExternalID != nil && *o.json.OrganizationExternalID == id {
			return o
		}
	}
	return nil
}

// findOrganization is organization with the API's errors.
func (p *project) findOrganization(id string) (*organization, error) {
	if id == "" || !externalShape.MatchString(id) {
		return nil, fail(http.StatusBadRequest, "invalid_organization_id", "The organization_id is missing or not well formed.")
	}
	if o := p.organization(id); o != nil {
		return o, nil
	}
	return nil, errOrganizationNotFound()
}

func (p *project) member(ref rowRef) *member {
	o := p.orgs[ref.org]
	if m := o.rows[ref.index].full; m != nil {
		return m
	}
	return p.generate(o, ref.index)
}

// memberByID finds a member of any status by its id.
func (p *project) memberByID(id string) (rowRef, *member, bool) {
	uuid, ok := strings.CutPrefix(id, "member-test-")
	if !ok {
		return rowRef{}, nil, false
	}
	org, index, ok := p.ids.resolve(uuid, kindMember)
	if !ok || org >= len(p.orgs) || index >= len(p.orgs[org].rows) {
		return rowRef{}, nil, false
	}
	ref := rowRef{org, index}
	return ref, p.member(ref), true
}

// memberIn finds a member of an organization by id or external id, deleted ones included.
func (p *project) memberIn(o *organization, id string) (rowRef, *member, bool) {
	if ref, m, ok := p.memberByID(id); ok {
		return ref, m, ref.org == o.index
	}
	return p.memberByExternalID(o, id)
}

func (p *project) memberByExternalID(o *organization, id string) (rowRef, *member, bool) {
	if ref, ok := p.external[externalKey{o.index, id}]; ok {
		return ref, p.member(ref), true
	}
	index, ok := generatedIndex(id)
	if !ok || index >= len(o.rows) {
		return rowRef{}, nil, false
	}
	ref := rowRef{o.index, index}
	m := p.member(ref)
	return ref, m, m.json.ExternalID != nil && *m.json.ExternalID == id
}

// memberByEmail finds a member that is not deleted by its address.
func (p *project) memberByEmail(o *organization, email string) (rowRef, *member, bool) {
	email = strings.ToLower(strings.TrimSpace(email))
	for i := range o.rows {
		if o.rows[i].email == email && o.rows[i].status != statusDeleted {
			ref := rowRef{o.index, i}
			return ref, p.member(ref), true
		}
	}
	return rowRef{}, nil, false
}

// activeWithEmail lists the active members of the whole project with an address.
func (p *project) activeWithEmail(email string) []rowRef {
	var found []rowRef
	for _, o := range p.orgs {
		if ref, m, ok := p.memberByEmail(o, email); ok && m.json.Status == statusActive {
			found = append(found, ref)
		}
	}
	return found
}

// passwordOwner finds whose current password an id names.
func (p *project) passwordOwner(id string) (rowRef, *member, bool) {
	ref, ok := p.passwords[id]
	if !ok {
		uuid, _ := strings.CutPrefix(id, "member-password-test-")
		org, index, found := p.ids.resolve(uuid, kindPassword)
		if !found || org >= len(p.orgs) || index >= len(p.orgs[org].rows) {
			return rowRef{}, nil, false
		}
		ref = rowRef{org, index}
	}
	m := p.member(ref)
	return ref, m, m.json.MemberPasswordID == id
}

// update changes a copy of a member and puts it in place of the old one. change must not write to shared slices or maps.
func (p *project) update(ref rowRef, change func(*member)) *member {
	m := *p.member(ref)
	change(&m)
	p.put(ref, &m)
	return &m
}

func (p *project) put(ref rowRef, m *member) {
	p.orgs[ref.org].rows[ref.index] = row{
		email: strings.ToLower(m.json.EmailAddress), status: m.json.Status, hasPass: m.json.MemberPasswordID != "",
		breakglass: m.json.IsBreakglass, full: m,
	}
}

// show is a member as the wire says it at a moment.
func (m *member) show(now time.Time) memberJSON {
	j := m.json
	j.IsLocked = m.locked(now)
	j.IsAdmin = slices.ContainsFunc(j.Roles, func(r memberRole) bool { return r.RoleID == roleAdmin })
	return j
}

func (m *member) locked(now time.Time) bool {
	return m.json.LockExpiresAt != nil && now.Before(*m.json.LockExpiresAt)
}

// stampTime is a moment as the API says it: UTC, to the millisecond.
func stampTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// nowUTC is the sandbox's clock, as the API would say it.
func (s *Sandbox) nowUTC() time.Time { return stampTime(s.now()) }

func (s *Sandbox) memberReply(ref rowRef, m *member) *memberReply {
	return &memberReply{MemberID: m.json.MemberID, Member: m.show(s.nowUTC()), Organization: *s.project.orgs[ref.org].json}
}
