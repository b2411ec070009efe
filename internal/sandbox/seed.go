package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Members come into being in the order of their index, spread over seedSpan.
var seedStart = time.Date(2023, 1, 9, 8, 0, 0, 0, time.UTC)

const seedSpan = 1000 * 24 * time.Hour

// generatedSessions is how many of an organization's first members may have sessions from the start.
const generatedSessions = 250

// traits are what search asks about a generated member. Deriving them is cheap; deriving the whole member is not.
type traits struct {
	status    string
	hasPass   bool
	verified  bool
	totp      bool
	enrolled  bool
	phone     string
	roles     []string
	providers []string
	sso, scim bool
	external  bool
	dice      uint64
}

// seed fills the project. Organizations with few members come first, as acme may be large.
func (s *Sandbox) seed(opts Options) error {
	p := newProject(s.ids)
	s.project = p
	p.switches = switches{
		crossOrgPasswords: opts.CrossOrgPasswords, totalsOff: opts.TotalsOff, latency: opts.Latency,
	}
	p.redirectURL = opts.RedirectURL
	now := s.nowUTC()
	pool := people()
	p.pool, p.stride = pool, stride(len(pool))
	sizes := map[string]int{slugAcme: opts.OrgSize, slugGlobex: 12, slugInitech: 5, slugNorthwind: 5, slugKeystone: 5}
	for i, build := range []func(idMaker) *organizationJSON{acme, globex, initech, northwind, keystone} {
		o := &organization{index: i, json: build(s.ids)}
		size := sizes[o.json.OrganizationSlug]
		hand := handwritten(o.json.OrganizationSlug)
		p.orgs = append(p.orgs, o)
		o.rows = make([]row, 0, size+size/32+len(hand))
		alive := 0
		for _, h := range hand {
			if alive == size {
				break
			}
			if h.status != statusDeleted {
				alive++
			}
			o.rows = append(o.rows, row{})
			ref := rowRef{i, len(o.rows) - 1}
			p.created(o, size)
			m := p.write(ref, h, now)
			p.put(ref, m)
			if m.json.ExternalID != nil {
				p.external[externalKey{i, *m.json.ExternalID}] = ref
			}
			p.openSessions(ref, h.sessions, now)
			if h.role != "" {
				s.info.People = append(s.info.People, Person{
					Name: m.json.Name, Role: h.role, Email: m.json.EmailAddress, Password: s.ids.password(m.json.MemberID),
					Organization: o.json.OrganizationSlug,
				})
				s.hashes.set(m.json.MemberPasswordID, s.ids.password(m.json.MemberID))
			}
			if h.note != "" {
				p.people = append(p.people, notedPerson{ref: ref, role: h.role, note: h.note})
			}
		}
		p.created(o, size)
		for alive < size {
			index := len(o.rows)
			t := p.derive(o, index)
			if t.status != statusDeleted {
				alive++
			}
			o.rows = append(o.rows, row{email: p.email(o, index), status: t.status, hasPass: t.hasPass})
			if index < generatedSessions && t.status == statusActive && t.dice%7 == 0 {
				p.openSessions(rowRef{i, index}, int(t.dice>>50%2)+1, now)
			}
		}
	}
	for _, noted := range p.people {
		// Of those who are invited, one has the mail that says so.
		if m := p.member(noted.ref); m.json.Status == statusInvited && p.orgs[noted.ref.org].json.OrganizationSlug == slugAcme {
			s.sendLanding(mailInvite, landing{
				kind: landLink, ref: &noted.ref, email: m.json.EmailAddress, expires: now.Add(defaultInviteMinutes * time.Minute),
			})
		}
	}
	if len(s.info.People) == 0 {
		return errors.New("nobody to sign in as")
	}
	return nil
}

// created sets the distance between two members' creation, so that the last one is made before the span ends.
func (p *project) created(o *organization, size int) {
	// A whole number of 10 ms plus one millisecond per organization: no two members of the project share a created_at.
	o.step = (seedSpan / time.Duration(2*size+200)).Truncate(10 * time.Millisecond)
}

func createdAt(o *organization, index int) time.Time {
	return seedStart.Add(time.Duration(index)*o.step + time.Duration(o.index)*time.Millisecond)
}

// stride visits all of n combinations of names, each next one far from the last.
func stride(n int) int {
	step := n * 618 / 1000 // near the golden section
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (p *project) person(o *organization, index int) (person, int) {
	n := len(p.pool)
	offset := int(mix(p.ids.seed^uint64(o.index)<<8) % uint64(n))
	return p.pool[(index*p.stride+offset)%n], index / n
}

// email is unique: a name that comes up again gets a number.
func (p *project) email(o *organization, index int) string {
	who, again := p.person(o, index)
	if again > 0 {
		return who.local + strconv.Itoa(again+1) + "@" + o.domain()
	}
	return who.local + "@" + o.domain()
}

func (o *organization) domain() string { return o.json.EmailAllowedDomains[0] }

var (
	rolesMember    = []string{roleMember}
	rolesHelpdesk  = []string{roleMember, roleHelpdesk}
	rolesAuditor   = []string{roleMember, roleAuditor}
	rolesShiftLead = []string{roleMember, roleShiftLead}

	providersNone      []string
	providersGoogle    = []string{"google"}
	providersMicrosoft = []string{"microsoft"}
	providersTwo       = []string{"google", "github"}
)

// derive says what a generated member is like.
func (p *project) derive(o *organization, index int) traits {
	d := p.ids.dice(o.index, index, 1)
	e := mix(d)
	t := traits{dice: d, status: statusActive, roles: rolesMember, providers: providersNone}
	switch r := d % 100; {
	case r < 2:
		t.status = statusDeleted
	case r < 6:
		t.status = statusInvited
	case r < 10:
		t.status = statusPending
	}
	active := t.status == statusActive
	t.hasPass = active && d>>8%100 < 72
	t.verified = active && d>>16%100 < 95
	t.totp = active && d>>24%100 < 12
	if active && d>>32%100 < 18 {
		t.phone = phone(o, index)
	}
	t.enrolled = (t.totp || t.phone != "") && d>>40%3 != 0
	t.sso = active && e%100 < 22
	t.scim = (active || t.status == statusDeleted) && e>>8%100 < 15
	t.external = e>>16%100 < 40
	if active {
		switch r := e >> 24 % 100; {
		case r < 14:
			t.providers = providersGoogle
		case r < 20:
			t.providers = providersMicrosoft
		case r < 24:
			t.providers = providersTwo
		}
		switch r := e >> 32 % 200; {
		case r == 0:
			t.roles = rolesHelpdesk
		case r == 1:
			t.roles = rolesAuditor
		case r < 10 && o.json.OrganizationSlug == slugAcme:
			t.roles = rolesShiftLead
		}
	}
	return t
}

func phone(o *organization, index int) string {
	return fmt.Sprintf("+1555%d%06d", o.index, index)
}

// traitsOf reads the same from a member that is stored whole.
func traitsOf(m *member) traits {
	t := traits{status: m.json.Status, hasPass: m.json.MemberPasswordID != "", totp: m.json.TOTPRegistrationID != "", phone: m.json.MFAPhoneNumber}
	for _, role := range m.json.Roles {
		t.roles = append(t.roles, role.RoleID)
	}
	for _, r := range m.json.OAuthRegistrations {
		t.providers = append(t.providers, strings.ToLower(r.ProviderType))
	}
	return t
}

func generatedExternalID(index int) string { return fmt.Sprintf("emp-%06d", index) }

// generatedIndex is the other way round.
func generatedIndex(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, "emp-")
	index, err := strconv.Atoi(digits)
	return index, ok && err == nil && index >= 0 && generatedExternalID(index) == id
}

// generate makes the whole of a member that nothing has changed yet. It gives the same one each time.
func (p *project) generate(o *organization, index int) *member {
	t := p.derive(o, index)
	who, _ := p.person(o, index)
	id := "member-test-" + p.ids.rowUUID(o.index, index, kindMember)
	created := createdAt(o, index)
	m := &member{json: memberJSON{
		OrganizationID: o.json.OrganizationID, MemberID: id, EmailAddress: o.rows[index].email, Status: t.status, Name: who.name,
		SSORegistrations: []ssoRegistration{}, OAuthRegistrations: []oauthRegistration{}, RetiredEmailAddresses: []retiredEmail{},
		EmailAddressVerified: t.verified, MFAEnrolled: t.enrolled, MFAPhoneNumber: t.phone, MFAPhoneNumberVerified: t.phone != "",
		TrustedMetadata: map[string]any{}, UntrustedMetadata: map[string]any{},
		CreatedAt: created, UpdatedAt: created.Add(time.Duration(t.dice%(40*24*3600)) * time.Second),
		Roles: make([]memberRole, 0, len(t.roles)),
	}}
	j := &m.json
	if t.status == statusInvited {
		j.Name = ""
	}
	if t.hasPass {
		j.MemberPasswordID = p.passwordID(rowRef{o.index, index})
	}
	switch {
	case t.totp:
		j.TOTPRegistrationID = "totp-registration-test-" + p.ids.uuid("totp", id)
		j.DefaultMFAMethod = "totp"
	case t.phone != "":
		j.DefaultMFAMethod = "sms_otp"
	}
	for _, role := range t.roles {
		j.Roles = append(j.Roles, memberRole{RoleID: role, Sources: []roleSource{direct()}})
	}
	for _, provider := range t.providers {
		j.OAuthRegistrations = append(j.OAuthRegistrations, p.oauth(id, provider, j.EmailAddress))
	}
	if t.sso && len(o.json.SSOActiveConnections) > 0 {
		j.SSORegistrations = append(j.SSORegistrations, p.sso(id, o.json.SSOActiveConnections[0].ConnectionID, j.EmailAddress))
	}
	if t.scim && o.json.SCIMActiveConnection != nil {
		j.SCIMRegistration = p.scim(o, id, who, j.EmailAddress, index)
	}
	if t.external {
		external := generatedExternalID(index)
		j.ExternalID = &external
		j.TrustedMetadata = map[string]any{"badge": index + 1000, "building": string(rune('A' + index%6))}
	}
	if t.dice>>44%10 == 0 {
		j.UntrustedMetadata = map[string]any{"theme": "dark", "language": "en"}
	}
	return m
}

func (p *project) passwordID(ref rowRef) string {
	return "member-password-test-" + p.ids.rowUUID(ref.org, ref.index, kindPassword)
}

func (p *project) emailID(m *member) string {
	return "email-test-" + p.ids.uuid("email", m.json.MemberID, m.json.EmailAddress)
}

func direct() roleSource { return roleSource{Type: "direct_assignment", Details: map[string]string{}} }

// openSessions gives a member sessions that began before the start.
func (p *project) openSessions(ref rowRef, n int, now time.Time) {
	if n == 0 {
		return
	}
	m := p.member(ref)
	for i := range n {
		id := m.json.MemberID
		word := strconv.Itoa(i)
		started := now.Add(-time.Duration(17+i*211) * time.Minute)
		factor := authFactor{Type: "password", DeliveryMethod: "knowledge", LastAuthenticatedAt: started, CreatedAt: started, UpdatedAt: started}
		if len(m.json.SSORegistrations) > 0 && (i%2 == 1 || m.json.MemberPasswordID == "") {
			r := m.json.SSORegistrations[0]
			factor.Type, factor.DeliveryMethod = "sso", "sso_saml"
			factor.SAMLSSOFactor = &ssoFactor{ID: r.RegistrationID, ProviderID: r.ConnectionID, ExternalID: r.ExternalID}
		} else if m.json.MemberPasswordID == "" {
			factor.Type, factor.DeliveryMethod = "magic_link", "email"
			factor.EmailFactor = &emailFactor{EmailID: p.emailID(m), EmailAddress: m.json.EmailAddress}
		}
		p.startSession(&session{
			id: "session-test-" + p.ids.uuid("session", id, word), token: p.ids.token("session", id, word), ref: ref,
			started: started, accessed: started.Add(11 * time.Minute), expires: now.Add(time.Duration(8+i) * time.Hour),
			factors: []authFactor{factor}, claims: map[string]any{},
		})
	}
}
