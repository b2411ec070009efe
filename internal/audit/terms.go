package audit

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A term is what a record can be found by. A word is followed by a zero byte
// and the field it stands in; what is not a word begins with a 1 and its kind.
// Their order keeps together all fields of a word, and all words that begin alike.
const (
	fieldReason  = 'r'
	fieldTicket  = 'k'
	fieldActor   = 'a' // words of the email
	fieldTarget  = 't' // words of name and email
	fieldActorID = 'A' // whole, and so are these
	fieldTargets = 'T'
	fieldIP      = 'I'

	kindAction  = "\x01a"
	kindOutcome = "\x01o"
	kindSeveral = "\x01s"
	kindQuarter = "\x01t" // of an hour, since 1970, in eight hexadecimal digits

	quarter = 15 * time.Minute

	// maxAsked is how many words of a query the index is asked for; the others are looked for in what it finds.
	maxAsked = 8

	wordFields = "rkat"
	idFields   = "ATI"
)

// termWriter makes the terms of events. Its zero value is ready.
type termWriter struct{ buf []byte }

// each calls fn with the terms of an event. One may come several times; fn must not keep it.
func (w *termWriter) each(ev *Event, fn func(term []byte)) {
	if ev.Purged != nil {
		return
	}
	w.kind(kindQuarter, quarterTerm(ev.Time.UnixMilli()/quarter.Milliseconds()), fn)
	w.kind(kindAction, string(ev.Action), fn)
	if ev.Outcome != "" {
		w.kind(kindOutcome, string(ev.Outcome), fn)
	}
	if ev.Count > 1 {
		w.kind(kindSeveral, "", fn)
	}
	w.words(fieldReason, ev.Reason, fn)
	w.words(fieldTicket, ev.Ticket, fn)
	w.words(fieldActor, ev.Actor.Email, fn)
	w.words(fieldTarget, ev.Target.Label, fn)
	w.words(fieldTarget, ev.Target.Email, fn)
	w.whole(fieldActorID, ev.Actor.MemberID, fn)
	w.whole(fieldTargets, ev.Target.ID, fn)
	w.whole(fieldIP, ev.Source.IP, fn)
}

func (w *termWriter) kind(kind, value string, fn func([]byte)) {
	w.buf = append(append(w.buf[:0], kind...), value...)
	fn(w.buf)
}

func (w *termWriter) words(field byte, text string, fn func([]byte)) {
	if text == "" {
		return
	}
	if plain(text) {
		w.plainWords(field, text, fn)
		return
	}
	for rest := fold(text); ; {
		var word string
		if word, rest = nextWord(rest); word == "" {
			return
		}
		w.word(field, word, fn)
	}
}

// plainWords is words for a text of ASCII.
func (w *termWriter) plainWords(field byte, text string, fn func([]byte)) {
	w.buf = w.buf[:0]
	for i := range len(text) {
		if c := plainFolded[text[i]]; c != 0 {
			w.buf = append(w.buf, c)
		} else if len(w.buf) > 0 {
			w.cut(field, fn)
		}
	}
	if len(w.buf) > 0 {
		w.cut(field, fn)
	}
}

// cut makes a term of the word that stands in buf, and empties it.
func (w *termWriter) cut(field byte, fn func([]byte)) {
	w.buf = append(w.buf[:min(len(w.buf), maxWord)], 0, field)
	fn(w.buf)
	w.buf = w.buf[:0]
}

// plainFolded has the letters and digits of ASCII, folded, and 0 for all else.
var plainFolded = func() (folded [256]byte) { //nolint:gochecknoglobals // a constant
	for c := range folded {
		if r := rune(c); c < utf8.RuneSelf && wordRune(r) {
			folded[c] = byte(unicode.ToLower(r))
		}
	}
	return folded
}()

func (w *termWriter) whole(field byte, id string, fn func([]byte)) {
	switch {
	case id == "":
	case plain(id):
		w.buf = w.buf[:0]
		for i := range min(len(id), maxWord) {
			c := id[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			w.buf = append(w.buf, c)
		}
		w.cut(field, fn)
	default:
		w.word(field, fold(id), fn)
	}
}

func (w *termWriter) word(field byte, word string, fn func([]byte)) {
	w.buf = append(append(w.buf[:0], cutWord(word)...), 0, field)
	fn(w.buf)
}

func quarterTerm(n int64) string {
	digits := strconv.FormatInt(min(max(n, 0), 1<<32-1), 16)
	return "00000000"[len(digits):] + digits
}

// termRange is a stretch of terms, the end not included, of which any will do.
type termRange struct {
	first, end string
	fields     string                 // "" is all
	keep       func(term []byte) bool // nil is all
}

func (r *termRange) has(term []byte) bool {
	return (r.fields == "" || strings.IndexByte(r.fields, term[len(term)-1]) >= 0) && (r.keep == nil || r.keep(term))
}

func exactTerm(term string) termRange { return termRange{first: term, end: term + "\x00"} }

// clause is what a record must have: one of the alternatives, each of which is all of some ranges.
type clause [][]termRange

// query is a filter as terms. A record that fits has all clauses; one that has them need not fit unless exact says so.
type query struct {
	clauses []clause
	exact   bool
}

// compile does not see to OperationID and After, which are no matter of terms.
func (f Filter) compile() query {
	q := query{exact: true}
	must := func(ranges ...termRange) { q.clauses = append(q.clauses, clause{ranges}) }
	// In an order in which the first are likely to rule out the most.
	q.text(queryParts(f.Text), wordFields, idFields)
	q.person(f.TargetQuery, string(rune(fieldTarget)), fieldTargets)
	q.person(f.ActorQuery, string(rune(fieldActor)), fieldActorID)
	if f.ActorID != "" {
		id := fold(clean(f.ActorID, maxText))
		q.exact = q.exact && id == f.ActorID && len(id) <= maxWord
		must(idRange(id, string(rune(fieldActorID))))
	}
	if f.Several {
		must(exactTerm(kindSeveral))
	}
	if f.Outcome != "" {
		must(exactTerm(kindOutcome + f.Outcome))
	}
	if f.Action != "" {
		must(exactTerm(kindAction + f.Action))
	}
	if !f.From.IsZero() || !f.To.IsZero() {
		r := termRange{first: kindQuarter, end: kindQuarter + "g"}
		if !f.From.IsZero() {
			r.first = kindQuarter + quarterTerm(f.From.UnixMilli()/quarter.Milliseconds())
			q.exact = q.exact && f.From.UnixMilli()%quarter.Milliseconds() == 0
		}
		if !f.To.IsZero() {
			last := (f.To.UnixMilli() - 1) / quarter.Milliseconds()
			r.end = kindQuarter + quarterTerm(last+1)
			q.exact = q.exact && f.To.UnixMilli()%quarter.Milliseconds() == 0
		}
		must(r)
	}
	if f.Outside != nil {
		must(termRange{first: kindQuarter, end: kindQuarter + "g", keep: func(term []byte) bool {
			at, ok := quarterOf(term)
			return !ok || !f.Outside.Include(at)
		}})
	}
	return q
}

// quarterOf is when the quarter of an hour of a term begins.
func quarterOf(term []byte) (time.Time, bool) {
	if len(term) != len(kindQuarter)+8 {
		return time.Time{}, false
	}
	var n int64
	for _, c := range term[len(kindQuarter):] {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		default:
			return time.Time{}, false
		}
	}
	return time.UnixMilli(n * quarter.Milliseconds()).UTC(), true
}

// text asks for all parts, each of which is found as words in some fields, or as the beginning of what stands whole in others.
func (q *query) text(parts []string, words, whole string) {
	// Long ones are rare, and where the first has nothing the others are not looked for.
	slices.SortStableFunc(parts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	if len(parts) > maxAsked {
		parts, q.exact = parts[:maxAsked], false
	}
	for _, part := range parts {
		asWords := q.wordsOf(part, words)
		if len(asWords) == 0 {
			q.exact = false
			continue
		}
		q.exact = q.exact && len(part) <= maxWord
		begin := cutWord(part)
		q.clauses = append(q.clauses, clause{asWords, {{first: begin, end: after(begin), fields: whole}}})
	}
}

// oneLetter reports whether more may follow on a letter, in a longer word.
func oneLetter(word string) bool {
	r, n := utf8.DecodeRuneInString(word)
	return word != "" && n == len(word) && !aloneRune(r)
}

// wordsOf are the words of a part, of which the last may go on. The index is not asked for a last one of one letter: too
// many words begin with it, and nearly every record has one of them.
func (q *query) wordsOf(part, fields string) []termRange {
	var ranges []termRange
	word, rest := nextWord(part)
	// What stands between the words of a part, or beside them, no term knows.
	q.exact = q.exact && word == part && len(word) <= maxWord
	for word != "" {
		cut := cutWord(word)
		next, after2 := nextWord(rest)
		if last := next == "" && rest == "" && len(word) <= maxWord; last && oneLetter(word) {
			q.exact = false
		} else if last {
			ranges = append(ranges, termRange{first: cut, end: after(cut), fields: fields})
		} else {
			ranges = append(ranges, idRange(cut, fields))
		}
		word, rest = next, after2
	}
	byLength(ranges)
	return ranges
}

// byLength puts the longest words first: they are likely to rule out the most.
func byLength(ranges []termRange) {
	slices.SortStableFunc(ranges, func(a, b termRange) int { return cmp.Compare(len(b.first), len(a.first)) })
}

// person asks for an id, or for words.
func (q *query) person(queried, words string, whole rune) {
	queried = clean(strings.TrimSpace(queried), maxQuery)
	if queried == "" {
		return
	}
	parts := queryParts(queried)
	id := fold(queried)
	q.exact = q.exact && id == queried && len(id) <= maxWord
	alternative := []termRange{idRange(cutWord(id), string(whole))}
	var all []termRange
	for _, part := range parts {
		all = append(all, q.wordsOf(part, words)...)
	}
	if len(all) == 0 {
		q.exact = false
		return // whatever it is, no term has it
	}
	byLength(all)
	if len(all) > maxAsked {
		all, q.exact = all[:maxAsked], false
	}
	q.clauses = append(q.clauses, clause{alternative, all})
}

// idRange is a whole word.
func idRange(word, fields string) termRange {
	return termRange{first: word + "\x00", end: word + "\x01", fields: fields}
}

// after is the end of all terms that begin so.
func after(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) > 0 {
		b[len(b)-1]++
	}
	return string(b)
}
