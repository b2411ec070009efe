package audit

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// targetRecords is the type of the target of a purge: records of the tree, by their places.
const targetRecords = "audit_records"

// cover is what the events of a tree say of records that are not whole any
// more. That the events themselves are in the tree is for Verify and Event to
// prove. A nil cover covers nothing.
type cover struct {
	purged  []purgedSpan // in order
	erasure []erasure
	keys    []*keyChange
}

type purgedSpan struct {
	span

	by *Purged
}

// erasure is an event that erased a person from the records before it.
type erasure struct {
	seq    int64
	member string
	typed  spans // where nobody's id stands beside the address that was typed
}

// The condition is that of an index, word for word.
const whereCovering = `WHERE e.tree = ? AND e.action IN ('audit.purge', 'audit.erase', 'audit.key.change') ORDER BY e.seq`

// loadCover reads what covers the records of the tree. An event that does not
// fit covers nothing; that it does not fit is found where it stands.
func (t *tree) loadCover(ctx context.Context, q queryer) error {
	rows, err := queryRows(ctx, q, whereCovering, t.number)
	if err != nil {
		return err
	}
	t.cover = nil
	c := new(cover)
	for i := range rows {
		ev, err := t.join(&rows[i], nil) // they hold nobody's name
		if err != nil {
			continue
		}
		switch ev.Action {
		case ActionPurge:
			c.addPurge(&ev)
		case ActionErase:
			typed, ok := parseSpans(ev.Detail)
			if ok && ev.Target.Type == "member" && ev.Target.ID != "" {
				c.erasure = append(c.erasure, erasure{seq: ev.Seq, member: ev.Target.ID, typed: typed})
			}
		default:
			if k := parseKeyChange(&ev); k != nil {
				c.keys = append(c.keys, k)
			}
		}
	}
	c.sort()
	t.cover = c
	return nil
}

func (c *cover) sort() {
	slices.SortFunc(c.purged, func(a, b purgedSpan) int { return cmp.Compare(a.first, b.first) })
}

// loadCoverFor is loadCover where one of the rows asks for it.
func (t *tree) loadCoverFor(ctx context.Context, q queryer, rows []row, sides []sideRow) error {
	if t.cover != nil {
		return nil
	}
	if slices.ContainsFunc(rows, func(r row) bool { return !r.bytes.Valid }) || slices.ContainsFunc(sides, func(s sideRow) bool { return !s.text.Valid }) {
		return t.loadCover(ctx, q)
	}
	return nil
}

// addPurge takes a purge for what it says if it says it as purgeChunk does.
func (c *cover) addPurge(ev *Event) {
	gone, ok := parseSpans(ev.Target.ID)
	days, err := strconv.Atoi(strings.TrimSuffix(ev.Detail, detailDays))
	if !ok || err != nil || ev.Target.Type != targetRecords || gone.count() != int64(ev.Count) || gone.count() == 0 || gone[len(gone)-1].last >= ev.Seq {
		return
	}
	by := &Purged{Time: ev.Time, Days: days, By: ev.ID, Seq: ev.Seq}
	for _, s := range gone {
		c.purged = append(c.purged, purgedSpan{s, by})
	}
}

// purge is what says that a record was purged, or nil.
func (c *cover) purge(seq int64) *Purged {
	if c == nil {
		return nil
	}
	after := sort.Search(len(c.purged), func(i int) bool { return c.purged[i].first > seq })
	if after == 0 || c.purged[after-1].last < seq {
		return nil
	}
	return c.purged[after-1].by
}

// erased reports whether a later event says that a text of ev was erased.
func (c *cover) erased(ev *Event, s subject) bool {
	if c == nil {
		return false
	}
	whose := ev.whose(s)
	return slices.ContainsFunc(c.erasure, func(e erasure) bool {
		return e.seq > ev.Seq && (whose == e.member || whose == "" && e.typed.has(ev.Seq))
	})
}

// whose is the member id of the person that a text tells of, "" when it is not known.
func (ev *Event) whose(s subject) string {
	if s == subjectTargetLabel || s == subjectTargetEmail {
		return ev.Target.ID
	}
	return ev.Actor.MemberID
}

// purged is join for a record without bytes.
func (t *tree) purged(r *row, sides []sideRow) (Event, error) {
	bad := func(problem string) (Event, error) {
		return Event{}, &TamperedError{Tree: t.organizationID, Seq: r.seq, ID: r.id, Problem: problem}
	}
	by := t.cover.purge(r.seq)
	switch {
	case by == nil:
		return bad("its bytes are gone, and no event says that it was purged")
	case r.time != 0 || r.action != "" || r.phase != "" || r.outcome != "" || r.actorID != "" || r.targetID != "":
		return bad("it was purged, and a column says something that nothing proves")
	case len(sides) > 0:
		return bad("it was purged, and its text " + string(sides[0].field) + " is there")
	}
	return Event{Seq: r.seq, ID: r.id, OrganizationID: t.organizationID, OperationID: r.operationID, Purged: by}, nil
}

// span is a run of places in a tree, both ends included.
type span struct{ first, last int64 }

// spans are runs in order, with a gap between each two. There is one way to
// write them, such as 0-99,101.
type spans []span

func (s spans) String() string {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, r.first, 10)
		if r.last > r.first {
			b = strconv.AppendInt(append(b, '-'), r.last, 10)
		}
	}
	return string(b)
}

func (s spans) count() (n int64) {
	for _, r := range s {
		n += r.last - r.first + 1
	}
	return n
}

func (s spans) has(seq int64) bool {
	return slices.ContainsFunc(s, func(r span) bool { return r.first <= seq && seq <= r.last })
}

// spansOf makes runs of places in any order, none twice.
func spansOf(seqs []int64) spans {
	var s spans
	for _, seq := range slices.Sorted(slices.Values(seqs)) {
		if n := len(s); n > 0 && s[n-1].last == seq-1 {
			s[n-1].last = seq
		} else {
			s = append(s, span{seq, seq})
		}
	}
	return s
}

func parseSpans(text string) (spans, bool) {
	var s spans
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRun := strings.Cut(part, "-")
		if !isRun {
			to = from
		}
		first, err := strconv.ParseInt(from, 10, 64)
		last, err2 := strconv.ParseInt(to, 10, 64)
		if err != nil || err2 != nil || first < 0 || last < first || len(s) > 0 && first <= s[len(s)-1].last+1 {
			return nil, false
		}
		s = append(s, span{first, last})
	}
	return s, s.String() == text
}

// spansThatFit takes places from the front of a list for as long as they can be written into one field of an event.
func spansThatFit(seqs []int64) (s spans, taken int) {
	fits := func(n int) bool { return len(spansOf(seqs[:n]).String()) <= maxText }
	// How long they are does not only grow, but what fits is looked for only once.
	taken = len(seqs)
	for taken > 0 && !fits(taken) {
		taken = taken * 3 / 4
	}
	return spansOf(seqs[:taken]), taken
}
