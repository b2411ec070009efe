package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
)

// The presets that are more than one value of a filter.
const (
	presetSeveral = "bulk"
	presetOutside = "outside"
	presetMine    = "mine"
	presetNew     = "new"
)

// auditQuery is the address of one audit page.
type auditQuery struct {
	text, actor, target string // as typed
	action, outcome     string
	from, to            string // as typed: dates in UTC
	preset              string
	columns             []string // nil: the address says nothing about them

	cursor string // of the page, "" for the newest
	newer  string // cursor of the page that this is the one before of

	first, end time.Time // what from and to say; end is not included
}

func parseAuditQuery(v url.Values) (auditQuery, error) {
	q := auditQuery{
		text: v.Get("q"), actor: v.Get("actor"), target: v.Get("target"), action: v.Get("action"), outcome: v.Get("outcome"),
		from: v.Get("from"), to: v.Get("to"), preset: v.Get("preset"), columns: parseColumns(v["columns"]),
		cursor: v.Get("cursor"), newer: v.Get("newer"),
	}
	for name, into := range map[string]*time.Time{"from": &q.first, "to": &q.end} {
		if v.Get(name) == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, v.Get(name), time.UTC)
		if err != nil {
			return q, echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("The date %q is written as 2026-01-31.", name))
		}
		*into = day
	}
	if !q.end.IsZero() {
		q.end = q.end.AddDate(0, 0, 1) // the day named is included
	}
	switch q.preset {
	case "", presetSeveral, presetOutside, presetMine, presetNew:
	default:
		return q, echo.NewHTTPError(http.StatusBadRequest, "There is no such preset. Start from the first page.")
	}
	if len(q.text) > maxQuery || len(q.actor) > maxQuery || len(q.target) > maxQuery {
		return q, echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("A search has at most %d characters.", maxQuery))
	}
	return q, nil
}

// backwards reports whether the filter ends before it begins.
func (q auditQuery) backwards() bool {
	return !q.first.IsZero() && !q.end.IsZero() && !q.first.Before(q.end)
}

// auditViewer is what a preset depends on besides the address.
type auditViewer struct {
	memberID string
	local    localTime
	review   *lastReview // nil: they never reviewed
}

// filter is what the address asks for, for somebody.
func (q auditQuery) filter(who auditViewer) audit.Filter {
	f := audit.Filter{
		Text: q.text, ActorQuery: q.actor, TargetQuery: q.target, Action: q.action, Outcome: q.outcome, From: q.first, To: q.end,
	}
	switch q.preset {
	case presetSeveral:
		f.Several = true
	case presetOutside:
		hours := who.local.hours
		f.Outside = &hours
	case presetMine:
		f.ActorID = who.memberID
	case presetNew:
		f.After = who.review.after()
	}
	return f
}

// auditFilter is one filter of the page in words.
type auditFilter struct{ name, value string }

// active lists the filters that are set, as in the address.
func (q auditQuery) active() []auditFilter {
	all := []auditFilter{
		{"q", q.text},
		{"actor", q.actor},
		{"target", q.target},
		{"action", q.action},
		{"outcome", q.outcome},
		{"from", q.from},
		{"to", q.to},
		{"preset", q.preset},
	}
	return slices.DeleteFunc(all, func(f auditFilter) bool { return f.value == "" })
}

// without is the query with one filter less, on its first page.
func (q auditQuery) without(name string) auditQuery {
	v := q.values()
	v.Del(name)
	less, err := parseAuditQuery(v)
	if err != nil { // what is left was parsed before
		return auditQuery{columns: q.columns}
	}
	return less
}

// says is a filter in words for people.
func (f auditFilter) says() string {
	switch f.name {
	case "q":
		return fmt.Sprintf("search “%s”", f.value)
	case "action":
		return "action " + audit.Action(f.value).Label()
	case "preset":
		return presetText(f.value)
	default:
		return f.name + " " + f.value
	}
}

// filters are the filters as in the address.
func (q auditQuery) filters() url.Values {
	v := url.Values{}
	for _, f := range q.active() {
		v.Set(f.name, f.value)
	}
	return v
}

// values are filters and columns as in the address, of the first page.
func (q auditQuery) values() url.Values {
	v := q.filters()
	if q.columns != nil {
		v.Set("columns", strings.Join(q.columns, ","))
	}
	return v
}

func auditAddress(v url.Values) string {
	if len(v) == 0 {
		return "/audit"
	}
	return "/audit?" + v.Encode()
}

// with is the address of the first page with one value set, and others taken out.
func (q auditQuery) with(name, value string, gone ...string) string {
	v := q.values()
	for _, g := range gone {
		v.Del(g)
	}
	if value != "" {
		v.Set(name, value)
	}
	return auditAddress(v)
}

func presetText(preset string) string {
	switch preset {
	case presetSeveral:
		return "Records of many (×N)"
	case presetOutside:
		return "Outside office hours"
	case presetMine:
		return "My actions"
	case presetNew:
		return "New since my last review"
	default:
		return "All"
	}
}

// preset is one of the links above the list. Of denied and unknown, which are
// outcomes, the address is that of the filter.
type auditPreset struct {
	text, url string
	current   bool
}

func (q auditQuery) presets() []auditPreset {
	all := []auditPreset{{text: presetText(""), url: q.with("", "", "preset", "outcome")}}
	for _, o := range []struct {
		outcome audit.Outcome
		text    string
	}{{audit.OutcomeDenied, "Denied"}, {audit.OutcomeUnknown, "Outcome unknown"}} {
		all = append(all, auditPreset{o.text, q.with("outcome", string(o.outcome), "preset"), q.preset == "" && q.outcome == string(o.outcome)})
	}
	all[0].current = q.preset == "" && !all[1].current && !all[2].current
	for _, preset := range []string{presetSeveral, presetOutside, presetMine, presetNew} {
		all = append(all, auditPreset{presetText(preset), q.with("preset", preset), q.preset == preset})
	}
	return all
}
