package handlers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

const (
	chartDays = 30 // shown without dates
	maxBars   = 92
	day       = 24 * time.Hour
)

// chartBars are the bars of the chart: the days of the filter in UTC as the
// list has them, or where there are too many, stretches of whole weeks.
func chartBars(first, end, now time.Time) (starts []time.Time, days int) {
	today := now.UTC().Truncate(day)
	if end.IsZero() || end.After(today.Add(day)) {
		end = today.Add(day)
	}
	if first.IsZero() || !first.Before(end) {
		first = end.AddDate(0, 0, -chartDays)
	}
	span := int((end.Unix() - first.Unix()) / int64(day/time.Second)) // a Duration holds no more than 292 years
	days = 1
	if span > maxBars {
		days = 7 * ((span + 7*maxBars - 1) / (7 * maxBars))
	}
	for at := first; at.Before(end); at = at.AddDate(0, 0, days) {
		starts = append(starts, at)
	}
	return append(starts, end), days
}

// chartView draws how what the filters find ended, day by day.
func (s *Server) chartView(ctx context.Context, a *actor, v *templates.Audit, q auditQuery, who auditViewer) {
	if q.backwards() {
		return // there are no such days
	}
	starts, days := chartBars(q.first, q.end, s.now())
	f := q.filter(who)
	f.From, f.To = starts[0], starts[len(starts)-1]
	ctx, cancel := context.WithTimeout(ctx, hintTime)
	defer cancel()
	counted, err := s.audit.Days(ctx, a.Session.OrganizationID, f, starts)
	if err != nil {
		// The list shows what does not fit; the chart is left out.
		v.NoChart = "There are too many events to draw the chart in a moment. Choose fewer days, or more filters."
		return
	}
	chart := templates.Chart{Unit: "day"}
	if days > 1 {
		chart.Unit = plural(days/7, "week")
		if days == 7 {
			chart.Unit = "week"
		}
	}
	totals := map[audit.Outcome]int64{}
	most := int64(0)
	for _, d := range counted {
		n := int64(0)
		for outcome, count := range d.Outcomes {
			totals[outcome] += count
			n += count
		}
		most = max(most, n)
	}
	chart.Title = fmt.Sprintf("Outcomes per %s, %s to %s, UTC", chart.Unit, dateOf(starts[0]), dateOf(starts[len(starts)-1].AddDate(0, 0, -1)))
	if most == 0 {
		v.NoChart = fmt.Sprintf("No outcome was recorded from %s to %s that fits.", dateOf(starts[0]), dateOf(starts[len(starts)-1].AddDate(0, 0, -1)))
		return
	}
	for _, outcome := range audit.Outcomes() {
		if totals[outcome] > 0 {
			chart.Kinds = append(chart.Kinds, templates.ChartKind{Word: string(outcome), Total: thousands(int(totals[outcome]))})
		}
	}
	chart.Most, chart.First, chart.Last = thousands(int(most)), dateOf(starts[0]), dateOf(starts[len(starts)-1].AddDate(0, 0, -1))
	busiest := 0
	for i, d := range counted {
		bar := templates.ChartBar{Label: dateOf(d.Start), URL: q.days(d.Start, starts[i+1])}
		if last := starts[i+1].AddDate(0, 0, -1); days > 1 {
			bar.Label += " to " + dateOf(last)
		}
		var words []string
		base, n := int64(0), int64(0)
		for _, kind := range chart.Kinds {
			count := d.Outcomes[audit.Outcome(kind.Word)]
			bar.Counts = append(bar.Counts, thousands(int(count)))
			if count == 0 {
				continue
			}
			n += count
			words = append(words, thousands(int(count))+" "+kind.Word)
			bar.Parts = append(bar.Parts, chartPart(kind.Word, base, base+count, most))
			base += count
		}
		if n == most {
			busiest = i
		}
		bar.Says = bar.Label + ": none"
		if n > 0 {
			bar.Says = bar.Label + ": " + strings.Join(words, ", ")
		}
		chart.Bars = append(chart.Bars, bar)
	}
	all := make([]string, 0, len(chart.Kinds))
	for _, kind := range chart.Kinds {
		all = append(all, kind.Total+" "+kind.Word)
	}
	chart.Desc = fmt.Sprintf("In all %s. The most are on %s. The same numbers stand in the table below the chart.", strings.Join(all, ", "), chart.Bars[busiest].Says)
	v.Chart = &chart
}

// chartPart is a piece of a bar, in the hundredths of the chart's height.
func chartPart(word string, from, to, most int64) templates.ChartPart {
	y := func(n int64) float64 { return 100 - 100*float64(n)/float64(most) }
	format := func(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
	return templates.ChartPart{Word: word, Y: format(y(to)), Height: format(y(from) - y(to))}
}

func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// days is the address of the same filters for some days. The end is not included.
func (q auditQuery) days(first, end time.Time) string {
	v := q.values()
	v.Set("from", dateOf(first))
	v.Set("to", dateOf(end.AddDate(0, 0, -1)))
	return auditAddress(v)
}
