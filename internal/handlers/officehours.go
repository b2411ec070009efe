package handlers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
)

const (
	// maxZoneName and maxHours bound what is read of an organization's metadata: nobody checked it.
	maxZoneName = 64
	maxHours    = 64

	quarter = 15 * time.Minute
)

// DefaultOfficeHours are those of organizations of which nobody said any.
const DefaultOfficeHours = "Mon-Fri 08:00-18:00"

var weekdays = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} // by time.Weekday

// ParseTimeZone reads a name of the IANA time zone database, such as
// Europe/Madrid. The zone of the machine the console runs on is none.
func ParseTimeZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > maxZoneName {
		return nil, errors.New("not the name of a time zone")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("no time zone of that name") // the library's error holds paths
	}
	return zone, nil
}

// ParseOfficeHours reads days and times such as "Mon-Fri 08:00-18:00" or
// "Mon,Tue,Thu 09:30-13:00": whole quarters of an hour, within one day. The
// zone is left out.
func ParseOfficeHours(text string) (audit.OfficeHours, error) {
	var h audit.OfficeHours
	days, times, found := strings.Cut(strings.TrimSpace(text), " ")
	if !found || len(text) > maxHours {
		return h, errors.New("days, a space and times are expected")
	}
	for part := range strings.SplitSeq(days, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := weekday(first), weekday(last)
		if from < 0 || to < 0 {
			return audit.OfficeHours{}, fmt.Errorf("%q is no day or days", part)
		}
		for day := from; ; day = (day + 1) % 7 {
			h.Days[day] = true
			if day == to {
				break
			}
		}
	}
	from, to, _ := strings.Cut(strings.TrimSpace(times), "-")
	var err error
	if h.From, err = timeOfDay(from); err != nil {
		return audit.OfficeHours{}, err
	}
	if h.To, err = timeOfDay(to); err != nil {
		return audit.OfficeHours{}, err
	}
	if h.From >= h.To {
		return audit.OfficeHours{}, errors.New("they end before they begin")
	}
	return h, nil
}

func weekday(name string) int {
	return slices.IndexFunc(weekdays[:], func(day string) bool { return strings.EqualFold(day, strings.TrimSpace(name)) })
}

func timeOfDay(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", text)
	since := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	if err != nil || since%quarter != 0 {
		return 0, fmt.Errorf("%.10q is no time in whole quarters of an hour", text)
	}
	return since, nil
}

// officeHoursText is the form that ParseOfficeHours reads.
func officeHoursText(h audit.OfficeHours) string {
	var days []string
	for i := range 7 {
		day := (i + 1) % 7 // from Monday
		if !h.Days[day] {
			continue
		}
		last := i
		for last < 6 && h.Days[(last+2)%7] {
			last++
		}
		switch before := i > 0 && h.Days[i%7]; {
		case before: // part of a range
		case last == i:
			days = append(days, weekdays[day])
		default:
			days = append(days, weekdays[day]+"-"+weekdays[(last+1)%7])
		}
	}
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	return strings.Join(days, ",") + " " + clock(h.From) + "-" + clock(h.To)
}

// localTime is an organization's time zone and office hours, and where they are from.
type localTime struct {
	zone  *time.Location
	hours audit.OfficeHours
	says  string   // in which zone, which hours, from where
	wrong []string // what the organization's metadata says that is not used, in words
}

// localTimeOf reads the organization's trusted_metadata. It may say anything:
// what does not parse is not used, and that is said.
func (s *Server) localTimeOf(session *authz.Session) localTime {
	l := localTime{zone: s.config.TimeZone, hours: s.config.OfficeHours}
	zoneFrom, hoursFrom := "the console's settings", "the console's settings"
	const organization = "the organization's metadata in Stytch"
	if text, there := metadata(session, "time_zone", &l); there {
		if zone, err := ParseTimeZone(text); err != nil {
			l.wrong = append(l.wrong, fmt.Sprintf("The organization's time_zone in Stytch, %q, is not used: %s.", shortened(text, maxZoneName), err))
		} else {
			l.zone, zoneFrom = zone, organization
		}
	}
	if text, there := metadata(session, "office_hours", &l); there {
		if hours, err := ParseOfficeHours(text); err != nil {
			l.wrong = append(l.wrong, fmt.Sprintf("The organization's office_hours in Stytch, %q, are not used: %s.", shortened(text, maxHours), err))
		} else {
			l.hours, hoursFrom = hours, organization
		}
	}
	l.hours.Location = l.zone
	l.says = fmt.Sprintf("Office hours are %s in the time zone %s, from %s.", officeHoursText(l.hours), l.zone, hoursFrom)
	if zoneFrom != hoursFrom {
		l.says = fmt.Sprintf("Office hours are %s, from %s, in the time zone %s, from %s.", officeHoursText(l.hours), hoursFrom, l.zone, zoneFrom)
	}
	return l
}

func metadata(session *authz.Session, key string, l *localTime) (text string, there bool) {
	v, there := session.Organization.TrustedMetadata[key]
	if !there || v == nil {
		return "", false
	}
	text, isText := v.(string)
	if !isText {
		l.wrong = append(l.wrong, fmt.Sprintf("The organization's %s in Stytch is not used: it is no text.", key))
	}
	return text, isText
}

// shortened cuts a text of somebody else's for a sentence of ours.
func shortened(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit]) + "…"
}
