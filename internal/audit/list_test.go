package audit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

func seqs(events []audit.Event) []int64 {
	var s []int64
	for _, ev := range events {
		s = append(s, ev.Seq)
	}
	return s
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		var times []time.Time
		for n := range 6 {
			ev := deletion(acme, n)
			switch n {
			case 2, 3:
				ev.Target.Label, ev.Target.Email = "ÅSA Öberg", "asa_oberg@acme.example"
			case 4:
				ev.Actor = audit.Actor{MemberID: "member-test-admin", Email: "Admin@Acme.example"}
			case 5:
				ev.Actor, ev.Outcome = audit.Actor{System: true}, audit.OutcomeUnknown
				ev.Target.Label, ev.Target.Email = "", ""
			}
			times = append(times, s.record(t, ev).Time)
		}
		s.record(t, deletion(globex, 0))
		for name, c := range map[string]struct {
			filter audit.Filter
			want   []int64
		}{
			"none":                     {audit.Filter{}, []int64{5, 4, 3, 2, 1, 0}},
			"action":                   {audit.Filter{Action: "member.password.delete"}, []int64{5, 4, 3, 2, 1, 0}},
			"another action":           {audit.Filter{Action: "session.sign_in"}, nil},
			"no such action":           {audit.Filter{Action: "' OR 1=1 --"}, nil},
			"outcome":                  {audit.Filter{Outcome: "unknown"}, []int64{5}},
			"operation":                {audit.Filter{OperationID: "operation-1"}, []int64{3, 2}},
			"from":                     {audit.Filter{From: times[3]}, []int64{5, 4, 3}},
			"to":                       {audit.Filter{To: times[3]}, []int64{2, 1, 0}},
			"from and to":              {audit.Filter{From: times[1], To: times[3]}, []int64{2, 1}},
			"actor id":                 {audit.Filter{ActorQuery: "member-test-admin"}, []int64{4}},
			"part of an actor id":      {audit.Filter{ActorQuery: "member-test-adm"}, nil},
			"actor email":              {audit.Filter{ActorQuery: " aDMIN@acme "}, []int64{4}},
			"target id":                {audit.Filter{TargetQuery: "member-test-0"}, []int64{1, 0}},
			"target email":             {audit.Filter{TargetQuery: "ASA_O"}, []int64{3, 2}},
			"target name":              {audit.Filter{TargetQuery: "åsa ö"}, []int64{3, 2}},
			"target name, decomposed":  {audit.Filter{TargetQuery: "A\u030asa o\u0308berg"}, []int64{3, 2}},
			"wildcards are characters": {audit.Filter{TargetQuery: "a%o_"}, nil},
			"an underscore is one too": {audit.Filter{TargetQuery: "as__oberg"}, nil},
			"a percent sign":           {audit.Filter{TargetQuery: `"Ö%_"`}, []int64{4, 1, 0}},
			"a backslash":              {audit.Filter{TargetQuery: `\`}, nil},
			"not UTF-8":                {audit.Filter{TargetQuery: "\xff\x00"}, nil},
			"actor is not target":      {audit.Filter{ActorQuery: "åsa"}, nil},
			"several":                  {audit.Filter{ActorQuery: "helpdesk@", TargetQuery: "öberg", Outcome: "succeeded"}, []int64{3}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				page, err := s.log.List(t.Context(), acme, c.filter, "", 100)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, seqs(page.Events)); diff != "" {
					t.Errorf("List (-want +got):\n%s", diff)
				}
				if page.Next != "" {
					t.Errorf("Next = %q on the last page", page.Next)
				}
			})
		}
		if page, err := s.log.List(t.Context(), "organization-test-none", audit.Filter{}, "", 10); err != nil || len(page.Events) > 0 {
			t.Errorf("List of no tree: %d events, %v", len(page.Events), err)
		}
	})
}

func TestPagesDoNotShift(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 7 {
			s.record(t, deletion(acme, n))
		}
		var got [][]int64
		for cursor := ""; ; {
			page, err := s.log.List(t.Context(), acme, audit.Filter{}, cursor, 3)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, seqs(page.Events))
			s.record(t, deletion(acme, 0)) // while somebody pages
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if diff := cmp.Diff([][]int64{{6, 5, 4}, {3, 2, 1}, {0}}, got); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		for _, cursor := range []string{"x", "-", "LTE", "MDA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "Mw==", "' OR 1=1"} {
			if _, err := s.log.List(t.Context(), acme, audit.Filter{}, cursor, 3); !errors.Is(err, audit.ErrBadCursor) {
				t.Errorf("List from cursor %q: %v, want ErrBadCursor", cursor, err)
			}
		}
	})
}

func TestOperation(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store) {
		for n := range 4 {
			s.record(t, deletion(acme, n))
		}
		plain := deletion(acme, 0)
		plain.OperationID = ""
		s.record(t, plain)
		for id, want := range map[string][]int64{"operation-1": {2, 3}, "operation-9": nil, "": nil} {
			events, err := s.log.Operation(t.Context(), acme, id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, seqs(events)); diff != "" {
				t.Errorf("Operation(%q) (-want +got):\n%s", id, diff)
			}
		}
		if events, err := s.log.Operation(t.Context(), globex, "operation-1"); err != nil || len(events) > 0 {
			t.Errorf("Operation of another organization: %d events, %v", len(events), err)
		}
	})
}

func TestWhatDoesNotFitIsNotShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		list bool // List shows it all the same: it does not prove anything
	}{
		"bytes": {sql: `UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2') WHERE tree = 2 AND seq = 1`, list: true},
		"text":  {sql: `UPDATE audit_texts SET target_label = 'x' WHERE tree = 2 AND seq = 1`},
		"head":  {sql: `UPDATE audit_trees SET size = 2 WHERE tree = 2`, list: true},
		"hash":  {sql: `UPDATE audit_events SET hashes = substr(hashes, 1, 0) WHERE tree = 2 AND seq = 0`, list: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, s *store) {
				var ids []string
				for n := range 3 {
					ids = append(ids, s.record(t, deletion(acme, n)).ID)
				}
				s.tamper(t, c.sql)
				ev, evidence, err := s.log.Event(t.Context(), acme, ids[1])
				if err != nil {
					t.Fatal(err)
				}
				if evidence.Verified || evidence.Problem == "" {
					t.Errorf("evidence: verified %v, problem %q", evidence.Verified, evidence.Problem)
				}
				if diff := cmp.Diff(audit.Event{Seq: 1, ID: ids[1], OrganizationID: acme}, ev); diff != "" {
					t.Errorf("event (-want +got):\n%s", diff)
				}
				page, err := s.log.List(t.Context(), acme, audit.Filter{}, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				operations, err := s.log.Operations(t.Context(), acme, []string{"operation-0"})
				if err != nil {
					t.Fatal(err)
				}
				for _, shown := range append(page.Events, operations["operation-0"]...) {
					if shown.Seq != 1 || c.list {
						if shown.Damage != "" || shown.Reason == "" {
							t.Errorf("seq %d is shown as %+v", shown.Seq, shown)
						}
						continue
					}
					want := audit.Event{Seq: 1, ID: ids[1], OrganizationID: acme, Damage: "the text target.label does not fit the hash in its bytes"}
					if diff := cmp.Diff(want, shown); diff != "" {
						t.Errorf("listed event (-want +got):\n%s", diff)
					}
				}
				if page, err = s.log.List(t.Context(), acme, audit.Filter{Outcome: "denied"}, "", 10); err != nil || (len(page.Events) == 0) != c.list {
					t.Errorf("what may be denied: %d events, %v", len(page.Events), err)
				}
			})
		})
	}
}
