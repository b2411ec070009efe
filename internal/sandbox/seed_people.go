package sandbox

import (
	"strings"
	"time"
)

// handmade is a member written by hand. Where nothing is said the member is active, verified and has a password.
type handmade struct {
	name, email string
	role        string // one of the roles of Person, for the people to sign in as
	note        string // why the member is there, for the control endpoint
	status      string
	noPassword  bool
	sessions    int // open at the start
	build       func(*maker)
}

type notedPerson struct {
	ref        rowRef
	role, note string
}

// maker is what a handmade member's build may use.
type maker struct {
	p   *project
	o   *organization
	m   *member
	j   *memberJSON
	now time.Time
}

func handwritten(slug string) []handmade {
	switch slug {
	case slugAcme:
		return append(acmePeople(), acmeOthers()...)
	case slugGlobex:
		return globexPeople()
	case slugInitech:
		return initechPeople()
	case slugNorthwind:
		return northwindPeople()
	default:
		return keystonePeople()
	}
}

// acmePeople come first, in the order of Info.People, so that the smallest acme has them.
func acmePeople() []handmade {
	return []handmade{
		{name: "Ada Okafor", email: "ada@acme.example", role: RoleOrgAdmin, note: "org admin", build: func(b *maker) {
			b.role(roleAdmin, direct())
		}},
		{name: "Hiro Tanaka", email: "hiro@acme.example", role: RoleHelpdesk, note: "helpdesk agent", build: func(b *maker) {
			b.role(roleHelpdesk, direct())
		}},
		{name: "Audrey Lind", email: "audrey@acme.example", role: RoleAuditor, note: "auditor", build: func(b *maker) {
			b.role(roleAuditor, direct())
		}},
		{name: "Max Moreau", email: "max@acme.example", role: RoleMember, note: "plain member with 3 open sessions; good to impersonate", sessions: 3, build: func(b *maker) {
			b.providers("google")
		}},
	}
}

func globexPeople() []handmade {
	return []handmade{
		{name: "Olga Petrova", email: "olga@globex.example", role: RoleOutsider, note: "org admin of another organization", build: func(b *maker) {
			b.role(roleAdmin, direct())
		}},
		{name: "Sam Sharing", email: "sam@partners.example", note: "the same address is in acme and northwind, and invited to initech"},
		{name: "Gus Gone", email: "gus.gone@globex.example", note: "deleted", status: statusDeleted, noPassword: true},
	}
}

func initechPeople() []handmade {
	return []handmade{
		{name: "Ingrid Nolte", email: "ingrid@initech.test", note: "the organization does not allow passwords", build: func(b *maker) {
			b.connections(initechConnection(b.p.ids))
		}},
		{name: "Bram Glas", email: "bram@initech.test", note: "breakglass: may use a password all the same", build: func(b *maker) {
			b.j.IsBreakglass = true
			b.role(roleAdmin, direct())
		}},
		{name: "Sam Sharing", email: "sam@partners.example", note: "invited; a member of acme, globex and northwind", status: statusInvited, noPassword: true, build: func(b *maker) {
			b.j.EmailAddressVerified = false
		}},
	}
}

func northwindPeople() []handmade {
	return []handmade{
		{name: "Nell Frost", email: "nell@northwind.test", note: "the organization demands a second factor; none is enrolled"},
		{name: "Tom Totp", email: "tom@northwind.test", note: "the organization demands a second factor; an authenticator app is enrolled", build: func(b *maker) {
			b.totp()
		}},
		{name: "Sms Sorensen", email: "sms@northwind.test", note: "the organization demands a second factor; a phone is enrolled", build: func(b *maker) {
			b.phone("+15005550007")
		}},
		{name: "Sam Sharing", email: "sam@partners.example", note: "the same address is in acme and globex, and invited to initech"},
	}
}

func keystonePeople() []handmade {
	return []handmade{
		{name: "Kay Marsh", email: "kay@keystone.test", note: "org admin where nothing but passwords is allowed", build: func(b *maker) {
			b.role(roleAdmin, direct())
		}},
		{name: "Lou Solo", email: "lou@keystone.test", note: "the password is the only way in", sessions: 2},
	}
}

// write makes the member of a handmade entry.
func (p *project) write(ref rowRef, h handmade, now time.Time) *member {
	o := p.orgs[ref.org]
	id := "member-test-" + p.ids.rowUUID(ref.org, ref.index, kindMember)
	created := createdAt(o, ref.index)
	m := &member{json: memberJSON{
		OrganizationID: o.json.OrganizationID, MemberID: id, EmailAddress: h.email, Status: h.status, Name: h.name,
		SSORegistrations: []ssoRegistration{}, OAuthRegistrations: []oauthRegistration{}, RetiredEmailAddresses: []retiredEmail{},
		EmailAddressVerified: true, Roles: []memberRole{{RoleID: roleMember, Sources: []roleSource{direct()}}},
		TrustedMetadata: map[string]any{}, UntrustedMetadata: map[string]any{}, CreatedAt: created, UpdatedAt: created.Add(36 * time.Hour),
	}}
	if m.json.Status == "" {
		m.json.Status = statusActive
	}
	if !h.noPassword {
		m.json.MemberPasswordID = p.passwordID(ref)
	}
	if h.build != nil {
		h.build(&maker{p: p, o: o, m: m, j: &m.json, now: now})
	}
	return m
}

func (b *maker) role(id string, sources ...roleSource) {
	b.j.Roles = append(b.j.Roles, memberRole{RoleID: id, Sources: sources})
}

func (b *maker) providers(names ...string) {
	for _, name := range names {
		b.j.OAuthRegistrations = append(b.j.OAuthRegistrations, b.p.oauth(b.j.MemberID, name, b.j.EmailAddress))
	}
}

func (b *maker) connections(ids ...string) {
	for _, id := range ids {
		b.j.SSORegistrations = append(b.j.SSORegistrations, b.p.sso(b.j.MemberID, id, b.j.EmailAddress))
	}
}

func (b *maker) totp() {
	b.j.TOTPRegistrationID = "totp-registration-test-" + b.p.ids.uuid("totp", b.j.MemberID)
	b.j.DefaultMFAMethod = "totp"
	b.j.MFAEnrolled = true
}

func (b *maker) phone(number string) {
	b.j.MFAPhoneNumber, b.j.MFAPhoneNumberVerified, b.j.MFAEnrolled = number, true, true
	if b.j.DefaultMFAMethod == "" {
		b.j.DefaultMFAMethod = "sms_otp"
	}
}

func (b *maker) retired(addresses ...string) {
	for _, address := range addresses {
		b.j.RetiredEmailAddresses = append(b.j.RetiredEmailAddresses, retiredEmail{
			EmailID: "email-test-" + b.p.ids.uuid("email", b.j.MemberID, address), EmailAddress: address,
		})
	}
}

func (b *maker) external(id string) { b.j.ExternalID = &id }

func (b *maker) lock(from, until time.Duration) {
	created, expires := b.now.Add(from), b.now.Add(until)
	b.j.LockCreatedAt, b.j.LockExpiresAt = &created, &expires
}

func (b *maker) scim() {
	given, _, _ := strings.Cut(b.j.Name, " ")
	b.j.SCIMRegistration = b.p.scim(b.o, b.j.MemberID, person{name: b.j.Name, local: strings.ToLower(given)}, b.j.EmailAddress, 7)
}

func (p *project) oauth(memberID, provider, email string) oauthRegistration {
	r := oauthRegistration{
		ProviderType:              map[string]string{"google": "Google", "microsoft": "Microsoft", "github": "GitHub", "slack": "Slack", "hubspot": "Hubspot"}[provider],
		ProviderSubject:           p.subject(provider, email),
		MemberOAuthRegistrationID: "member-oauth-registration-test-" + p.ids.uuid("oauth", memberID, provider),
	}
	if provider == "google" {
		local, _, _ := strings.Cut(email, "@")
		picture, locale := "https://pictures.google.example/"+local+".png", "en"
		r.ProfilePictureURL, r.Locale = &picture, &locale
	}
	return r
}

func (p *project) sso(memberID, connectionID, email string) ssoRegistration {
	return ssoRegistration{
		ConnectionID: connectionID, ExternalID: email, RegistrationID: "sso-registration-test-" + p.ids.uuid("sso", memberID, connectionID),
		SSOAttributes: map[string]any{"email": email, "groups": []string{"everyone", "engineering"}, "department": "Engineering"},
	}
}
