package handlers

import (
	"strconv"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

// damagedRow stands where a record is that is not as it was recorded. Nothing of it is shown, as all of it may be made up.
func damagedRow(ev audit.Event) templates.AuditRow {
	return templates.AuditRow{
		Time: templates.Time{Text: "unknown"}, Action: "Damaged record", Phase: "Not as it was recorded: " + ev.Damage + ".",
		Seq: strconv.FormatInt(ev.Seq, 10), EventURL: eventPath(ev.ID),
	}
}

// damageNotice is said above a list in which a record is damaged.
func damageNotice(entries []auditEntry) *templates.Notice {
	damaged := 0
	for i := range entries {
		if entries[i].at.Damage != "" {
			damaged++
		}
	}
	if damaged == 0 {
		return nil
	}
	return &templates.Notice{
		Kind: templates.Bad, Title: plural(damaged, "record") + " on this page not as recorded",
		Text:  "The store was changed past the console, or is damaged. Whether a filter fits such a record cannot be known: it is listed where it may.",
		Lines: []string{"Keep a copy of the store as it is now, and tell the operator of the console to run: console audit verify."},
		Links: []templates.Link{{Text: "Verification", URL: verificationPath}},
	}
}
