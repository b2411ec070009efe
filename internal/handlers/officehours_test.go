package handlers_test

import (
	"strings"
	"testing"
	"time"

	"orgconsole/internal/handlers"
)

func TestOfficeHours(t *testing.T) {
	t.Parallel()
	madrid, err := handlers.ParseTimeZone("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"Mon-Fri 08:00-18:00":      "Mon-Fri 08:00-18:00",
		" mon,TUE,thu 09:30-13:15": "Mon-Tue,Thu 09:30-13:15",
		"Sat-Mon 00:00-24:00":      "Mon,Sat-Sun 00:00-24:00",
		"Sun-Thu 07:45-08:00":      "Mon-Thu,Sun 07:45-08:00",
		"Wed 08:00-18:00":          "Wed 08:00-18:00",
	} {
		h, err := handlers.ParseOfficeHours(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := handlers.OfficeHoursText(h); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		"", "Mon-Fri", "08:00-18:00", "Mon-Fri 8-18", "Mon-Fri 08:00", "Mon-Fri 08:10-18:00", "Mon-Fri 18:00-08:00", "Mon-Fri 08:00-08:00",
		"Mon-Fr 08:00-18:00", "Mon- 08:00-18:00", "Mon-Fri 08:00-24:15", "Mon-Fri 25:00-26:00", "Mon-Fri 24:00-24:00", strings.Repeat("Mon,", 30) + "Tue 08:00-18:00",
	} {
		if h, err := handlers.ParseOfficeHours(text); err == nil {
			t.Errorf("%q is read as %q", text, handlers.OfficeHoursText(h))
		}
	}
	h, err := handlers.ParseOfficeHours("Mon-Fri 08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	h.Location = madrid
	// The 23rd of November 2026 is a Monday; in Madrid it is an hour later than in UTC, and two in summer.
	for at, want := range map[string]bool{
		"2026-11-23T06:59:59Z": false, "2026-11-23T07:00:00Z": true, "2026-11-23T16:59:59Z": true, "2026-11-23T17:00:00Z": false,
		"2026-07-20T06:00:00Z": true, "2026-11-22T12:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if h.Include(when) != want {
			t.Errorf("%s within office hours: %v, want %v", at, !want, want)
		}
	}
}

func TestTimeZoneNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Local", "Mars/Phobos", "../../etc/passwd", "/etc/localtime", "Europe/Madrid\n", strings.Repeat("x", 100)} {
		if zone, err := handlers.ParseTimeZone(name); err == nil {
			t.Errorf("%q is the zone %s", name, zone)
		}
	}
	for _, name := range []string{"UTC", "Asia/Kolkata", "America/Argentina/Buenos_Aires"} {
		if zone, err := handlers.ParseTimeZone(name); err != nil || zone.String() != name {
			t.Errorf("%q: %v, %v", name, zone, err)
		}
	}
}
