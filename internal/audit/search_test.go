package audit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// mixed makes events of many kinds; the same n gives the same event.
func mixed(n int) audit.Event {
	r := rand.New(rand.NewPCG(1, uint64(n/2)))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	who := r.IntN(40)
	ev := audit.Event{
		OrganizationID: acme, Action: audit.ActionDeletePassword, Phase: audit.PhaseIntent, OperationID: fmt.Sprintf("operation-%d", n/2),
		Actor:  audit.Actor{MemberID: fmt.Sprintf("member-test-desk-%d", who%5), Email: pick("Ann.Lee", "bob", "çınar", "dee-dee", "e") + "@desk.acme.example"},
		Target: audit.Target{Type: "member", ID: fmt.Sprintf("member-test-%d", who), Label: pick("Åsa Öberg", "Straße", "山田 太郎", "O'Brien", "x"), Email: fmt.Sprintf("p%d_q@acme.example", who)},
		Reason: pick("lost the phone", "laptop stolen, INC-77", "", "phishing: 100% sure", "é́tat"), Ticket: fmt.Sprintf("INC-%d", r.IntN(200)),
		Source: audit.Source{IP: fmt.Sprintf("192.0.2.%d", r.IntN(9))},
	}
	switch {
	case n%2 == 1:
		ev.Phase, ev.Outcome = audit.PhaseOutcome, audit.Outcome(pick("succeeded", "succeeded", "failed", "denied", "unknown", "not_found"))
	case r.IntN(8) == 0:
		ev.Action, ev.Phase, ev.OperationID, ev.Count = audit.ActionSignInThrottled, audit.PhaseInfo, "", r.IntN(4)
		ev.Actor.MemberID, ev.Outcome = "", audit.OutcomeFailed
	}
	return ev
}

// filters ask for something of mixed.
func filters(t *testing.T, at func(share int) time.Time) map[string]audit.Filter {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	office := &audit.OfficeHours{Location: berlin, Days: [7]bool{false, true, true, true, true, true}, From: 8 * time.Hour, To: 18 * time.Hour}
	return map[string]audit.Filter{
		"all":                    {},
		"a word":                 {Text: "phone"},
		"a word begun":           {Text: "stol"},
		"the middle of one":      {Text: "hone"},
		"two words":              {Text: "PHONE lost"},
		"words of two fields":    {Text: "åsa stolen"},
		"folded":                 {Text: "STRASSE"},
		"no spaces":              {Text: "田"},
		"accents":                {Text: "état"},
		"a ticket":               {Text: "inc-77"},
		"half a ticket":          {Text: "inc-7"},
		"an address":             {Text: "ann.lee@desk"},
		"the beginning of an id": {Text: "member-test-3"},
		"an IP address":          {Text: "192.0.2.7"},
		"characters":             {Text: "100%"},
		"one letter":             {Text: "s"},
		"one letter, and a word": {Text: "s laptop"},
		"a letter after a sign":  {Text: "-d"},
		"signs between letters":  {Text: "o'b"},
		"words again and again":  {Text: "lost the lost phone ph pho l lo the t"},
		"more than are asked":    {Text: "lost the phone desk acme example member-test 192.0.2 inc asa åsa"},
		"a name's beginning":     {TargetQuery: "åsa ö"},
		"no words":               {Text: "%"},
		"nothing has it":         {Text: "zebra"},
		"nothing has both":       {Text: "zebra phone"},
		"an actor":               {ActorQuery: "Lee"},
		"an actor's id":          {ActorQuery: "member-test-desk-3"},
		"half an actor's id":     {ActorQuery: "member-test-desk"},
		"exactly an actor":       {ActorID: "member-test-desk-3"},
		"a target":               {TargetQuery: "p3_q@acme"},
		"a target's name":        {TargetQuery: "o'brien"},
		"a target's id":          {TargetQuery: "member-test-3"},
		"outcome":                {Outcome: "denied"},
		"action":                 {Action: "session.sign_in.throttled"},
		"no such action":         {Action: "x"},
		"several":                {Several: true},
		"office":                 {Outside: office},
		"office and outcome":     {Outside: office, Outcome: "unknown"},
		"from":                   {From: at(80)},
		"to":                     {To: at(10)},
		"between":                {From: at(30).Truncate(15 * time.Minute), To: at(60).Truncate(15 * time.Minute), Outcome: "failed"},
		"an operation":           {OperationID: "operation-77"},
		"after":                  {After: 300},
		"after, with a word":     {After: 300, Text: "phishing"},
		"many":                   {Text: "öberg", ActorQuery: "bob", Outcome: "succeeded", From: at(10)},
	}
}

// TestIndexFindsWhatFits holds all that is answered from the index against what the events themselves say.
func TestIndexFindsWhatFits(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const events = 4096 + 256 + 60
		s.clock.step = 7 * time.Minute
		err := s.log.Fill(t.Context(), acme, events, func(n int) audit.Event {
			switch n { // the clock is put back, and forward again
			case 1000:
				s.clock.later(-3 * day)
			case 4200:
				s.clock.later(2 * day)
			}
			return mixed(n)
		})
		if err != nil {
			t.Fatal(err)
		}
		all := s.listAll(t, audit.Filter{}, 500)
		if len(all) != events {
			t.Fatalf("%d events", len(all))
		}
		at := func(share int) time.Time { return all[(100-share)*(events-1)/100].Time }
		for _, indexed := range []bool{false, true} {
			if indexed {
				if err := s.log.Index(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := s.segments(t); got != "0:16 1:0" {
					t.Fatalf("segments %s", got)
				}
			}
			for name, f := range filters(t, at) {
				if !indexed && !slices.Contains([]string{"two words", "characters", "office and outcome", "between"}, name) {
					continue // every record is read for each
				}
				t.Run(fmt.Sprintf("%s/%v", name, indexed), func(t *testing.T) {
					var want []audit.Event
					for _, ev := range all {
						if f.Matches(&ev) {
							want = append(want, ev)
						}
					}
					if diff := cmp.Diff(seqs(want), seqs(s.listAll(t, f, 50))); diff != "" {
						t.Errorf("List (-want +got):\n%s", diff)
					}
					if n, more, err := s.log.Reader().Count(t.Context(), acme, f, 1e6); err != nil || more || n != int64(len(want)) {
						t.Errorf("Count = %d, %v, %v, want %d", n, more, err, len(want))
					}
					exported := exportedSeqs(t, s.export(t, audit.FormatNDJSON, acme, f))
					slices.Reverse(exported)
					if diff := cmp.Diff(seqs(want), exported); diff != "" {
						t.Errorf("Export (-want +got):\n%s", diff)
					}
					s.compareDays(t, f, want, at(0), at(100))
				})
			}
		}
	})
}

func (s *store) compareDays(t *testing.T, f audit.Filter, fitting []audit.Event, first, last time.Time) {
	t.Helper()
	var starts []time.Time
	for at := first.Truncate(24*time.Hour).AddDate(0, 0, 2); at.Before(last); at = at.AddDate(0, 0, 1) {
		starts = append(starts, at)
	}
	days, err := s.log.Days(t.Context(), acme, f, starts)
	if err != nil {
		t.Fatal(err)
	}
	for i, day := range days {
		want := map[audit.Outcome]int64{}
		for _, ev := range fitting {
			if ev.Outcome != "" && !ev.Time.Before(starts[i]) && ev.Time.Before(starts[i+1]) {
				want[ev.Outcome]++
			}
		}
		if diff := cmp.Diff(want, day.Outcomes); diff != "" {
			t.Fatalf("day %s (-want +got):\n%s", day.Start, diff)
		}
	}
}

// listAll pages through a list.
func (s *store) listAll(t *testing.T, f audit.Filter, limit int) (all []audit.Event) {
	t.Helper()
	for cursor := ""; ; {
		page, err := s.log.List(t.Context(), acme, f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Events...)
		if page.Next != "" && len(page.Events) < limit && page.Until.IsZero() {
			t.Fatalf("a page of %d has a next one", len(page.Events))
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// segments lists the index of acme's records, as level:number.
func (s *store) segments(t *testing.T) string {
	t.Helper()
	rows, err := s.db.Reader().QueryContext(t.Context(), `SELECT level, segment FROM audit_segments WHERE tree = 2 ORDER BY level, segment`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var level, number int
		if err := rows.Scan(&level, &number); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d:%d", level, number))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// TestSearchStopsAndGoesOn has a word in the oldest record alone, and nothing indexed.
func TestSearchStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		const events = 4600
		err := s.log.Fill(t.Context(), acme, events, func(n int) audit.Event {
			ev := deletion(acme, n)
			if n == 3 {
				ev.Reason = "needle"
			}
			return ev
		})
		if err != nil {
			t.Fatal(err)
		}
		f := audit.Filter{Text: "needle"}
		first, err := s.log.List(t.Context(), acme, f, "", 50)
		if err != nil || len(first.Events) > 0 || first.Next == "" || first.Until.IsZero() {
			t.Fatalf("first page: %d events, next %q, until %s, %v", len(first.Events), first.Next, first.Until, err)
		}
		second, err := s.log.List(t.Context(), acme, f, first.Next, 50)
		if err != nil || len(second.Events) != 1 || second.Next != "" || !second.Until.IsZero() || !second.Events[0].Time.Before(first.Until) {
			t.Errorf("second page: %d events, next %q, until %s, %v", len(second.Events), second.Next, second.Until, err)
		}
		s.index(t)
		if page, err := s.log.List(t.Context(), acme, f, "", 50); err != nil || len(page.Events) != 1 || page.Next != "" {
			t.Errorf("with an index: %d events, next %q, %v", len(page.Events), page.Next, err)
		}
	})
}

// TestNewerIsThePageBefore goes back from each page of a list to the one before it.
func TestNewerIsThePageBefore(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		if err := s.log.Fill(t.Context(), acme, 600, mixed); err != nil {
			t.Fatal(err)
		}
		s.index(t)
		f := audit.Filter{Outcome: "succeeded"}
		var before []int64
		for cursor := ""; ; {
			page, err := s.log.List(t.Context(), acme, f, cursor, 20)
			if err != nil {
				t.Fatal(err)
			}
			newer, err := s.log.Newer(t.Context(), acme, f, cursor, 20)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, seqs(newer.Events)); diff != "" {
				t.Errorf("before %q (-want +got):\n%s", cursor, diff)
			}
			if (newer.Next == cursor) != (len(before) > 0) && cursor != "" {
				t.Errorf("before %q: next %q", cursor, newer.Next)
			}
			if before, cursor = seqs(page.Events), page.Next; cursor == "" {
				return
			}
		}
	})
}
