package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// hostileName tries markup, quotes and a right-to-left override; whoever shows it must not be changed by it.
const hostileName = "<script>alert(\"pwn'd\")</script> \u202egnp.exe\u202c & <b>Bobby</b> 'Tables'\u200b"

// acmeOthers are the cases that a console has to get right. They follow the people to sign in as.
func acmeOthers() []handmade {
	return []handmade{
		{name: "Grace Everly", email: "grace@acme.example", note: "every field filled", sessions: 2, build: everyField},
		{name: hostileName, email: "bobby.tables@acme.example", note: "hostile name", sessions: 1, build: func(b *maker) {
			b.j.UntrustedMetadata = map[string]any{"bio": "<img src=x onerror=alert(1)>", "</script>": "javascript:alert(1)", "quote": "\"'`"}
		}},
		{name: "Jon Smithson", email: "jon.smithson@acme.example", note: "looks like john.smithson"},
		{name: "John Smithson", email: "john.smithson@acme.example", note: "looks like jon.smithson"},
		{name: "Maria Silvestri", email: "maria.silvestri@acme.example", note: "looks like maria.silvestri2", sessions: 1},
		{name: "Maria Silvestri", email: "maria.silvestri2@acme.example", note: "looks like maria.silvestri"},
		{name: "Paula Onley", email: "paula@acme.example", note: "has never used another way in than the password", sessions: 1},
		{name: "Mina Faraday", email: "mina@acme.example", note: "needs a second factor: authenticator app or phone", build: func(b *maker) {
			b.totp()
			b.phone("+15005550006")
		}},
		{name: "Lena Lockwood", email: "lena@acme.example", note: "locked", sessions: 1, build: func(b *maker) {
			b.lock(-10*time.Minute, 7*24*time.Hour-10*time.Minute)
		}},
		{name: "Luis Lapsley", email: "luis@acme.example", note: "was locked, the lock is over", build: func(b *maker) {
			b.lock(-26*time.Hour, -25*time.Hour)
		}},
		{name: "Shira Leader", email: "shira@acme.example", note: "custom role of the organization", build: func(b *maker) {
			b.role(roleShiftLead, direct())
		}},
		{name: "Noor Pasword", email: "noor@acme.example", note: "no password", noPassword: true, build: func(b *maker) {
			b.providers("google")
		}},
		{name: "Ilse Invited", email: "ilse@acme.example", note: "invited; the invitation is in the outbox", status: statusInvited, noPassword: true, build: func(b *maker) {
			b.j.EmailAddressVerified = false
		}},
		{name: "Pavel Pending", email: "pavel@acme.example", note: "pending", status: statusPending, noPassword: true, build: func(b *maker) {
			b.j.EmailAddressVerified = false
		}},
		{name: "Dora Deleted", email: "dora@acme.example", note: "deleted", status: statusDeleted, noPassword: true},
		{name: "Sasha Singleton", email: "sasha@acme.example", note: "org admin by SSO only", sessions: 2, build: func(b *maker) {
			b.connections(samlConnection(b.p.ids))
			b.role(roleAdmin, roleSource{Type: "sso_connection", Details: map[string]string{"connection_id": samlConnection(b.p.ids)}})
		}},
		{name: "Gita Grover", email: "gita@acme.example", note: "helpdesk by a SAML group, auditor by a SCIM group", noPassword: true, sessions: 1, build: func(b *maker) {
			saml := samlConnection(b.p.ids)
			b.connections(saml)
			b.scim()
			b.role(roleHelpdesk, roleSource{Type: "sso_connection_group", Details: map[string]string{"connection_id": saml, "group": "it-helpdesk"}})
			b.role(roleAuditor, roleSource{Type: "scim_connection_group", Details: map[string]string{
				"connection_id": scimConnection(b.p.ids), "group_id": "scim-group-test-" + b.p.ids.uuid("scim group", "auditors"),
			}})
		}},
		{name: "Edith Mailer", email: "edith@audit.acme.example", note: "auditor by the address's domain", build: func(b *maker) {
			b.role(roleAuditor, roleSource{Type: "email_assignment", Details: map[string]string{"email_domain": domainAcmeAudit}})
		}},
		{name: "Bea Glasner", email: "bea.breakglass@acme.example", note: "breakglass org admin", build: func(b *maker) {
			b.j.IsBreakglass = true
			b.role(roleAdmin, direct())
		}},
		{name: "Ursula Proven", email: "ursula@acme.example", note: "address not verified", build: func(b *maker) {
			b.j.EmailAddressVerified = false
		}},
		{name: "Sam Sharing", email: "sam@partners.example", note: "the same address is in globex and northwind, and invited to initech", sessions: 1},
		{name: "", email: "nameless@acme.example", note: "no name"},
		{name: "Петро Довженко", email: "petro@acme.example", note: "Cyrillic name"},
		{name: "شيرين عبد الله", email: "shirin@acme.example", note: "Arabic name, right to left", build: func(b *maker) {
			b.external("hr|10-44.7_x")
		}},
		{name: "Nguyễn Thị Minh Khai", email: "minhkhai@acme.example", note: "name with combining marks"},
		{name: "👩🏽‍💻 Zoë Wójcik-Ångström", email: "zoe@acme.example", note: "emoji in the name"},
		{name: strings.Repeat("Wolfeschlegelsteinhausen", 5), email: strings.Repeat("long-", 12) + "name@acme.example", note: "very long name and address"},
	}
}

// everyField fills all that a member can have.
func everyField(b *maker) {
	b.connections(samlConnection(b.p.ids), oidcConnection(b.p.ids))
	b.providers("google", "microsoft", "github")
	b.totp()
	b.phone("+442079460958")
	b.retired("grace.hopper@acme.example", "grace.e@old-acme.example")
	b.external("workday|GE-1906")
	b.lock(-50*time.Hour, -49*time.Hour)
	b.scim()
	b.j.TrustedMetadata = map[string]any{"employee": 1906, "cleared": true, "teams": []string{"navy", "compilers"}, "manager": nil}
	b.j.UntrustedMetadata = map[string]any{"theme": "dark", "shortcuts": map[string]any{"save": "ctrl+s"}, "zoom": 1.25}
	b.role(roleShiftLead, direct(), roleSource{Type: "scim_connection_group", Details: map[string]string{
		"connection_id": scimConnection(b.p.ids), "group_id": "scim-group-test-" + b.p.ids.uuid("scim group", "shift leads"),
	}})
}

// scim is what an identity provider that fills in everything would have sent.
func (p *project) scim(o *organization, memberID string, who person, email string, number int) *scimRegistration {
	given, family, _ := strings.Cut(who.name, " ")
	user := p.ids.uuid("scim", memberID)
	home := "https://" + o.domain() + "/people/" + who.local
	return &scimRegistration{
		ConnectionID: scimConnection(p.ids), RegistrationID: "scim-registration-test-" + p.ids.uuid("scim registration", memberID), ExternalID: "00u" + user[:8],
		SCIMAttributes: &scimAttributes{
			UserName: email, ID: user, ExternalID: "00u" + user[:8], Active: true,
			Groups:      []scimGroup{{Value: "scim-group-test-" + p.ids.uuid("scim group", "everyone"), Display: "Everyone"}},
			DisplayName: who.name, NickName: given, ProfileURL: home, UserType: "Employee",
			Title: []string{"Engineer", "Analyst", "Manager", "Designer"}[number%4], PreferredLanguage: "en-GB", Locale: "en-GB", Timezone: "Europe/London",
			Emails: []scimValue{
				{Value: email, Type: "work", Primary: true}, {Value: who.local + "@home.example", Type: "home"},
			},
			PhoneNumbers: []scimValue{{Value: "+442079460" + fmt.Sprintf("%03d", number%1000), Type: "work", Primary: true}},
			Addresses: []scimAddress{{
				Formatted: "1 Example Street, London EC1A 1BB, GB", StreetAddress: "1 Example Street", Locality: "London", Region: "Greater London",
				PostalCode: "EC1A 1BB", Country: "GB", Type: "work", Primary: true,
			}},
			IMs:              []scimValue{{Value: who.local, Type: "slack", Primary: true}},
			Photos:           []scimValue{{Value: home + "/photo.jpg", Type: "photo", Primary: true}},
			Entitlements:     []scimValue{{Value: "vpn", Type: "access", Primary: false}},
			Roles:            []scimValue{{Value: "staff", Type: "default", Primary: true}},
			X509Certificates: []scimValue{{Value: "TUlJQ0V4YW1wbGVDZXJ0aWZpY2F0ZQ==", Type: "signing", Primary: false}},
			Name: &scimName{
				Formatted: who.name, FamilyName: family, GivenName: given, MiddleName: "Q.", HonorificPrefix: "Dr.", HonorificSuffix: "PhD",
			},
			EnterpriseExtension: &enterpriseExtension{
				EmployeeNumber: fmt.Sprintf("E%06d", number), CostCenter: "CC-4130", Division: "Research", Department: "Platform", Organization: o.json.OrganizationName,
				Manager: scimManager{
					Value: "member-test-" + p.ids.rowUUID(o.index, 0, kindMember), Ref: "https://" + o.domain() + "/people/ada", DisplayName: "Ada Okafor",
				},
			},
		},
	}
}
