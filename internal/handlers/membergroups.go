package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

func textRow(label, value string) templates.Row { return templates.Row{Label: label, Value: value} }

func codeRow(label, value string) templates.Row {
	return templates.Row{Label: label, Value: value, Kind: templates.Code}
}

func urlRow(label, value string) templates.Row {
	return templates.Row{Label: label, Value: value, Kind: templates.URL}
}

func yesRow(label string, yes bool) templates.Row { return textRow(label, yesNo(yes)) }

func listRow(label string, values []string) templates.Row {
	return textRow(label, strings.Join(values, ", "))
}

func timeRow(label string, t *time.Time) templates.Row {
	if t == nil {
		return textRow(label, "")
	}
	return templates.Row{Label: label, Value: utc(*t), ISO: isoTime(*t), Kind: templates.When}
}

// jsonRow shows free-form data as it is: its shape is nobody's but the owner's.
func jsonRow(label string, v map[string]any) templates.Row {
	if len(v) == 0 {
		return textRow(label, "")
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the page escapes; \u003c would only be hard to read
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return textRow(label, "cannot be shown")
	}
	return templates.Row{Label: label, Value: strings.TrimSuffix(text.String(), "\n"), Kind: templates.Block}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func isoTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func timeOf(t *time.Time) templates.Time {
	if t == nil || t.IsZero() {
		return templates.Time{}
	}
	return templates.Time{ISO: isoTime(*t), Text: t.UTC().Format("2006-01-02 15:04 UTC")}
}

// secondOf is the form of a time in a record of what happened.
func secondOf(t time.Time) templates.Time {
	return templates.Time{ISO: t.UTC().Format(time.RFC3339Nano), Text: utc(t)}
}

func statusBadge(status string) templates.Badge {
	kind := templates.Neutral
	switch status {
	case stytch.StatusActive:
		kind = templates.Good
	case stytch.StatusInvited, stytch.StatusPending:
		kind = templates.Info
	case stytch.StatusDeleted:
		kind = templates.Bad
	}
	return templates.Badge{Text: status, Kind: kind}
}

// memberGroups shows every field of a member that Stytch documents.
func memberGroups(m stytch.Member, now time.Time) []templates.Group {
	passwordRow := templates.Row{Label: "Password", Value: passwordWord(m.MemberPasswordID), Kind: templates.Word, Tone: templates.Neutral}
	if m.MemberPasswordID != "" {
		passwordRow.Tone = templates.Good
	}
	lockWord := templates.Row{Label: "Locked", Value: yesNo(locked(m, now)), Kind: templates.Word}
	switch {
	case locked(m, now):
		lockWord.Tone = templates.Bad
	case m.IsLocked:
		lockWord.Note = "Stytch still says is_locked; the lock ran out"
	}
	groups := []templates.Group{
		{ID: "identity", Title: "Identity", Rows: []templates.Row{
			textRow("Name", m.Name), textRow("Email", m.EmailAddress), yesRow("Email verified", m.EmailAddressVerified),
			{Label: "Status", Value: m.Status, Kind: templates.Word, Tone: statusBadge(m.Status).Kind},
			codeRow("Member ID", m.MemberID), codeRow("External ID", m.ExternalID),
			codeRow("Organization ID", m.OrganizationID),
			timeRow("Created", m.CreatedAt), timeRow("Last change", m.UpdatedAt),
		}},
		{ID: "sign-in", Title: "Sign-in", Rows: []templates.Row{
			passwordRow, codeRow("Password ID", m.MemberPasswordID),
			lockWord, timeRow("Lock created", m.LockCreatedAt), timeRow("Lock expires", m.LockExpiresAt),
			yesRow("Breakglass", m.IsBreakglass), yesRow("Admin (stytch_admin)", m.IsAdmin),
		}},
		{ID: "mfa", Title: "Second factor", Rows: []templates.Row{
			yesRow("Required for this member", m.MFAEnrolled), textRow("Default method", m.DefaultMFAMethod),
			textRow("Phone number", m.MFAPhoneNumber), yesRow("Phone number verified", m.MFAPhoneNumberVerified),
			codeRow("TOTP registration ID", m.TOTPRegistrationID),
		}},
		{ID: "roles", Title: "Roles", Empty: "No roles.", Rows: roleRows(m.Roles)},
		{ID: "sso", Title: "Single sign-on", Empty: "Never signed in by single sign-on."},
		{ID: "oauth", Title: "OAuth", Empty: "No OAuth registrations."},
		{ID: "retired", Title: "Retired addresses", Empty: "None.", Note: "Former addresses stay reserved in the organization."},
	}
	sso, oauth, retired := &groups[4], &groups[5], &groups[6]
	for i, r := range m.SSORegistrations {
		sso.Rows = append(sso.Rows, templates.Row{Label: fmt.Sprintf("Registration %d", i+1), Sub: []templates.Row{
			codeRow("Connection ID", r.ConnectionID), codeRow("Registration ID", r.RegistrationID),
			textRow("External ID", r.ExternalID), jsonRow("Attributes", r.SSOAttributes),
		}})
	}
	for _, r := range m.OAuthRegistrations {
		oauth.Rows = append(oauth.Rows, templates.Row{Label: r.ProviderType, Sub: []templates.Row{
			codeRow("Subject", r.ProviderSubject), codeRow("Registration ID", r.MemberOAuthRegistrationID),
			textRow("Locale", r.Locale), urlRow("Picture", r.ProfilePictureURL),
		}})
	}
	for _, r := range m.RetiredEmailAddresses {
		retired.Rows = append(retired.Rows, templates.Row{Label: r.EmailAddress, Value: r.EmailID, Kind: templates.Code})
	}
	groups = append(groups, scimGroup(m.SCIMRegistration), templates.Group{
		ID: "metadata", Title: "Metadata", Rows: []templates.Row{
			jsonRow("Trusted", m.TrustedMetadata), jsonRow("Untrusted", m.UntrustedMetadata),
		},
	})
	return groups
}

func roleRows(roles []stytch.MemberRole) []templates.Row {
	var rows []templates.Row
	for _, r := range roles {
		row := templates.Row{Label: r.RoleID}
		var plain []string
		for _, s := range r.Sources {
			if sub := details(s.Details); len(sub) > 0 {
				row.Sub = append(row.Sub, templates.Row{Label: roleSource(s.Type), Sub: sub})
			} else {
				plain = append(plain, roleSource(s.Type))
			}
		}
		if row.Value = strings.Join(plain, ", "); len(r.Sources) == 0 {
			row.Value = "no source given"
		}
		rows = append(rows, row)
	}
	return rows
}

func roleSource(t string) string {
	switch t {
	case "direct_assignment":
		return "assigned directly"
	case "email_assignment":
		return "by email domain"
	case "sso_connection":
		return "by SSO connection"
	case "sso_connection_group":
		return "by SSO group"
	case "scim_connection_group":
		return "by SCIM group"
	default:
		return t
	}
}

// details are what a role's source says of itself, in a fixed order.
func details(d map[string]any) []templates.Row {
	rows := make([]templates.Row, 0, len(d))
	for _, name := range slices.Sorted(maps.Keys(d)) {
		value, ok := d[name].(string)
		if !ok {
			value = fmt.Sprint(d[name])
		}
		rows = append(rows, codeRow(sentence(strings.ReplaceAll(name, "_", " ")), value))
	}
	return rows
}

func scimGroup(r *stytch.SCIMRegistration) templates.Group {
	g := templates.Group{ID: "scim", Title: "SCIM", Empty: "Not provisioned by SCIM."}
	if r == nil {
		return g
	}
	g.Rows = []templates.Row{
		codeRow("Connection ID", r.ConnectionID), codeRow("Registration ID", r.RegistrationID), textRow("External ID", r.ExternalID),
	}
	a := r.SCIMAttributes
	if a == nil {
		return g
	}
	g.Rows = append(
		g.Rows,
		textRow("User name", a.UserName), codeRow("ID", a.ID), textRow("Attribute external ID", a.ExternalID), yesRow("Active", a.Active),
		textRow("Display name", a.DisplayName), textRow("Nickname", a.NickName), urlRow("Profile URL", a.ProfileURL),
		textRow("User type", a.UserType), textRow("Title", a.Title), textRow("Preferred language", a.PreferredLanguage),
		textRow("Locale", a.Locale), textRow("Time zone", a.Timezone),
	)
	if n := a.Name; n != nil {
		g.Rows = append(g.Rows, templates.Row{Label: "Name", Sub: []templates.Row{
			textRow("Formatted", n.Formatted), textRow("Family name", n.FamilyName), textRow("Given name", n.GivenName),
			textRow("Middle name", n.MiddleName), textRow("Prefix", n.HonorificPrefix), textRow("Suffix", n.HonorificSuffix),
		}})
	}
	var groups []templates.Row
	for _, x := range a.Groups {
		groups = append(groups, textRow(x.Display, x.Value))
	}
	g.Rows = appendSub(g.Rows, "Groups", groups)
	for _, list := range []struct {
		label  string
		values []stytch.SCIMValue
	}{
		{"Emails", a.Emails},
		{"Phone numbers", a.PhoneNumbers},
		{"Instant messengers", a.IMs},
		{"Photos", a.Photos},
		{"Entitlements", a.Entitlements},
		{"SCIM roles", a.Roles},
		{"X.509 certificates", a.X509Certificates},
	} {
		var rows []templates.Row
		for _, v := range list.values {
			row := textRow(v.Type, v.Value)
			if v.Primary {
				row.Note = "primary"
			}
			rows = append(rows, row)
		}
		g.Rows = appendSub(g.Rows, list.label, rows)
	}
	for _, v := range a.Addresses {
		label := "Address"
		if v.Primary {
			label = "Address (primary)"
		}
		g.Rows = append(g.Rows, templates.Row{Label: label, Sub: []templates.Row{
			textRow("Type", v.Type), textRow("Formatted", v.Formatted), textRow("Street", v.StreetAddress), textRow("Locality", v.Locality),
			textRow("Region", v.Region), textRow("Postal code", v.PostalCode), textRow("Country", v.Country),
		}})
	}
	if e := a.EnterpriseExtension; e != nil {
		sub := []templates.Row{
			textRow("Employee number", e.EmployeeNumber), textRow("Cost center", e.CostCenter), textRow("Division", e.Division),
			textRow("Department", e.Department), textRow("Organization", e.Organization),
		}
		if m := e.Manager; m != nil {
			sub = append(sub, textRow("Manager", m.DisplayName), codeRow("Manager ID", m.Value), urlRow("Manager reference", m.Ref))
		}
		g.Rows = append(g.Rows, templates.Row{Label: "Enterprise", Sub: sub})
	}
	return g
}

// appendSub leaves out empty lists: SCIM has many, and most people have few.
func appendSub(rows []templates.Row, label string, sub []templates.Row) []templates.Row {
	if len(sub) == 0 {
		return append(rows, textRow(label, ""))
	}
	return append(rows, templates.Row{Label: label, Sub: sub})
}

// organizationGroups shows an organization's sign-in rules and the rest of its fields.
func organizationGroups(o stytch.Organization) []templates.Group {
	var connections, implicit, roles []templates.Row
	for _, c := range o.SSOActiveConnections {
		connections = append(connections, templates.Row{Label: c.DisplayName, Value: c.ConnectionID, Kind: templates.Code, Note: c.IdentityProvider})
	}
	for _, a := range o.RBACEmailImplicitRoleAssignments {
		implicit = append(implicit, textRow(a.Domain, a.RoleID))
	}
	for _, r := range o.CustomRoles {
		row := templates.Row{Label: r.RoleID, Value: r.Description}
		for _, p := range r.Permissions {
			row.Sub = append(row.Sub, textRow(p.ResourceID, strings.Join(p.Actions, ", ")))
		}
		roles = append(roles, row)
	}
	scim := textRow("SCIM connection", "")
	if c := o.SCIMActiveConnection; c != nil {
		scim = templates.Row{Label: "SCIM connection", Sub: []templates.Row{
			textRow("Name", c.DisplayName), codeRow("Connection ID", c.ConnectionID),
			textRow("Bearer token ends in", c.BearerTokenLastFour), timeRow("Bearer token expires", c.BearerTokenExpiresAt),
		}}
	}
	return []templates.Group{
		{ID: "rules", Title: "Sign-in rules", Rows: []templates.Row{
			textRow("Sign-in methods", o.AuthMethods), listRow("Allowed sign-in methods", o.AllowedAuthMethods),
			textRow("MFA policy", o.MFAPolicy), textRow("MFA methods", o.MFAMethods), listRow("Allowed MFA methods", o.AllowedMFAMethods),
		}},
		{ID: "joining", Title: "Joining", Rows: []templates.Row{
			textRow("Email invites", o.EmailInvites), textRow("Joining by email domain", o.EmailJITProvisioning),
			listRow("Allowed email domains", o.EmailAllowedDomains), listRow("Claimed email domains", o.ClaimedEmailDomains),
			textRow("Joining by SSO", o.SSOJITProvisioning), listRow("SSO connections that may join", o.SSOJITProvisioningAllowedConnections),
			textRow("Joining by OAuth tenant", o.OAuthTenantJITProvisioning), jsonRow("Allowed OAuth tenants", o.AllowedOAuthTenants),
		}},
		{ID: "connections", Title: "Connections", Rows: append(
			appendSub(nil, "Active SSO connections", connections),
			codeRow("Default SSO connection", o.SSODefaultConnectionID), scim,
			textRow("First-party apps", o.FirstPartyConnectedAppsAllowedType), listRow("Allowed first-party apps", o.AllowedFirstPartyConnectedApps),
			textRow("Third-party apps", o.ThirdPartyConnectedAppsAllowedType), listRow("Allowed third-party apps", o.AllowedThirdPartyConnectedApps),
		)},
		{ID: "organization", Title: "Organization", Rows: append(
			[]templates.Row{
				textRow("Name", o.OrganizationName), codeRow("Slug", o.OrganizationSlug), codeRow("Organization ID", o.OrganizationID),
				codeRow("External ID", o.OrganizationExternalID), urlRow("Logo", o.OrganizationLogoURL),
				timeRow("Created", o.CreatedAt), timeRow("Last change", o.UpdatedAt), jsonRow("Trusted metadata", o.TrustedMetadata),
			},
			append(appendSub(nil, "Roles by email domain", implicit), appendSub(nil, "Custom roles", roles)...)...,
		)},
	}
}
