package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter narrows a list. The zero value of a field asks for everything.
type Filter struct {
	// Text is what reason, ticket, actor, target or IP address have: parts separated by spaces, all of which must be
	// found, each from where a word begins, in any letter case; or the beginning of an id.
	Text string

	ActorQuery  string // a member id, or such parts of the email
	TargetQuery string // an id, or such parts of the name or the email
	ActorID     string // a member id and nothing else
	Action      string
	Outcome     string
	From        time.Time // included
	To          time.Time // not included
	OperationID string
	Several     bool         // only events that stand for more than one
	Outside     *OfficeHours // only events outside of them
	After       int64        // only records from this place on
}

// OfficeHours are the same hours of some days of the week.
type OfficeHours struct {
	Location *time.Location
	Days     [7]bool       // by time.Weekday
	From, To time.Duration // since midnight, in whole quarters of an hour. To is not included
}

// Include reports whether the quarter of an hour that a time is in belongs to them.
func (h *OfficeHours) Include(t time.Time) bool {
	t = t.In(h.Location)
	since := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	return h.Days[t.Weekday()] && h.From <= since && since < h.To
}

// String is such as "Mon,Tue 08:00-18:00 Europe/Berlin".
func (h *OfficeHours) String() string {
	var b strings.Builder
	for day := range 7 { // from Monday
		day = (day + 1) % 7
		if !h.Days[day] {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(time.Weekday(day).String()[:3])
	}
	at := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	return b.String() + " " + at(h.From) + "-" + at(h.To) + " " + h.Location.String()
}

// IsZero reports whether the filter asks for everything.
func (f Filter) IsZero() bool { return f == Filter{} }

// Matches reports whether an event fits the filter. Of a record that was
// purged nothing is known but its place and its operation. One that is damaged
// may have been anything.
func (f Filter) Matches(ev *Event) bool {
	switch {
	case ev.Damage != "":
		return ev.Seq >= f.After
	case ev.Seq < f.After, f.OperationID != "" && ev.OperationID != f.OperationID:
		return false
	case ev.Purged != nil:
		return f == Filter{After: f.After, OperationID: f.OperationID}
	case f.Action != "" && string(ev.Action) != f.Action,
		f.Outcome != "" && string(ev.Outcome) != f.Outcome,
		!f.From.IsZero() && ev.Time.Before(f.From),
		!f.To.IsZero() && !ev.Time.Before(f.To),
		f.ActorID != "" && ev.Actor.MemberID != f.ActorID,
		f.Several && ev.Count < 2,
		f.Outside != nil && f.Outside.Include(ev.Time):
		return false
	}
	return matchesText(ev, f.Text) &&
		matchesPerson(f.ActorQuery, ev.Actor.MemberID, ev.Actor.Email) &&
		matchesPerson(f.TargetQuery, ev.Target.ID, ev.Target.Label, ev.Target.Email)
}

// queryParts are what is looked for, folded: what another part begins with is found with it.
func queryParts(query string) []string {
	parts := strings.Fields(fold(clean(query, maxQuery)))
	slices.Sort(parts)
	kept := parts[:0]
	for i, part := range parts {
		if i+1 == len(parts) || !strings.HasPrefix(parts[i+1], part) {
			kept = append(kept, part)
		}
	}
	return kept
}

func matchesText(ev *Event, query string) bool {
	parts := queryParts(query)
	if len(parts) == 0 {
		return true
	}
	ids := [...]string{ev.Actor.MemberID, ev.Target.ID, ev.Source.IP}
	texts := [...]string{ev.Reason, ev.Ticket, ev.Actor.Email, ev.Target.Label, ev.Target.Email}
	for i := range texts {
		texts[i] = fold(texts[i])
	}
	for _, part := range parts {
		if !anyHasPrefix(ids[:], part) && !anyBegins(texts[:], part) {
			return false
		}
	}
	return true
}

func matchesPerson(query, id string, texts ...string) bool {
	query = clean(strings.TrimSpace(query), maxQuery)
	if query == "" || query == id {
		return true
	}
	for i := range texts {
		texts[i] = fold(texts[i])
	}
	for _, part := range queryParts(query) {
		if !anyBegins(texts, part) {
			return false
		}
	}
	return true
}

func anyHasPrefix(ids []string, prefix string) bool {
	for _, id := range ids {
		if strings.HasPrefix(fold(id), prefix) {
			return true
		}
	}
	return false
}

func anyBegins(texts []string, part string) bool {
	for _, text := range texts {
		if beginsIn(text, part) {
			return true
		}
	}
	return false
}
