package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// timeLayout has the milliseconds always and UTC only, so that a time has one spelling.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Limits of text, in runes. What is longer is cut: an event must not be lost over the length of a header.
const (
	maxText      = 300
	maxReason    = 2000
	maxFactors   = 16
	maxQuery     = 200
	ellipsis     = '…'
	replacement  = unicode.ReplacementChar
	maxCountable = 1 << 53 // largest number every JSON reader keeps exact
)

// subject is the name of a text that is kept apart from the bytes.
type subject string

const (
	subjectActorEmail  subject = "actor.email"
	subjectTargetLabel subject = "target.label"
	subjectTargetEmail subject = "target.email"
	subjectSourceIP    subject = "source.ip"
)

// subjects in the order of the bytes.
func subjects() [4]subject {
	return [4]subject{subjectActorEmail, subjectTargetLabel, subjectTargetEmail, subjectSourceIP}
}

// column is the name of the column that holds the text; its salt has the same and _salt.
func (s subject) column() string { return strings.Replace(string(s), ".", "_", 1) }

// subjectText is where an event holds the text.
func (ev *Event) subjectText(s subject) *string {
	switch s {
	case subjectActorEmail:
		return &ev.Actor.Email
	case subjectTargetLabel:
		return &ev.Target.Label
	case subjectTargetEmail:
		return &ev.Target.Email
	case subjectSourceIP:
		return &ev.Source.IP
	}
	panic("audit: no subject is called " + string(s))
}

// fits reports whether a salt and a text have the hash that stands in the bytes. A salt has one spelling.
func fits(hash, salt, text string) bool {
	if hash == "" || text == "" || len(salt)%2 != 0 || !isHex(salt) {
		return false
	}
	// On the stack, if it is not longer than usual: there are four for each event that is read.
	b := make([]byte, 0, 256)
	for i := 0; i < len(salt); i += 2 {
		b = append(b, hexDigits[salt[i]]<<4|hexDigits[salt[i+1]])
	}
	sum := sha256.Sum256(append(b, text...))
	var spelled [2 * sha256.Size]byte
	hex.Encode(spelled[:], sum[:])
	return string(spelled[:]) == hash
}

// record is an event as its bytes have it: with hashes where the event has personal text.
type record struct {
	event  Event // its personal texts are empty
	hashes [4]string
}

// salted is the hash that stands in the bytes for a text; nothing stands for nothing.
func salted(salt []byte, text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256(append(append(make([]byte, 0, len(salt)+len(text)), salt...), text...))
	return hex.EncodeToString(sum[:])
}

// encode lays out the bytes of an event. What is here once can never change:
// another layout is another schema, with this one kept for the old events.
// Strings must be clean (see clean), so that only quote and backslash need escaping.
func (r *record) encode() []byte {
	ev := &r.event
	b := make([]byte, 0, 1024)
	b = append(b, `{"schema":`...)
	b = strconv.AppendInt(b, int64(ev.Schema), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, ev.Seq, 10)
	b = appendField(b, `,"id":`, ev.ID)
	b = appendField(b, `,"organization_id":`, ev.OrganizationID)
	b = appendField(b, `,"time":`, ev.Time.UTC().Format(timeLayout))
	b = appendField(b, `,"action":`, string(ev.Action))
	b = appendField(b, `,"phase":`, string(ev.Phase))
	b = appendField(b, `,"operation_id":`, ev.OperationID)
	b = appendField(b, `,"actor":{"member_id":`, ev.Actor.MemberID)
	b = appendField(b, `,"email_hash":`, r.hashes[0])
	b = appendField(b, `,"session_id":`, ev.Actor.SessionID)
	b = append(b, `,"auth_factors":[`...)
	for i, f := range ev.Actor.AuthFactors {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f)
	}
	b = append(b, `],"system":`...)
	b = strconv.AppendBool(b, ev.Actor.System)
	b = appendField(b, `},"target":{"type":`, ev.Target.Type)
	b = appendField(b, `,"id":`, ev.Target.ID)
	b = appendField(b, `,"label_hash":`, r.hashes[1])
	b = appendField(b, `,"email_hash":`, r.hashes[2])
	b = appendField(b, `,"password_id":`, ev.Target.PasswordID)
	b = appendField(b, `},"reason":`, ev.Reason)
	b = appendField(b, `,"ticket":`, ev.Ticket)
	b = appendField(b, `,"outcome":`, string(ev.Outcome))
	b = append(b, `,"http":{"status":`...)
	b = strconv.AppendInt(b, int64(ev.HTTP.Status), 10)
	b = appendField(b, `,"error_type":`, ev.HTTP.ErrorType)
	b = appendField(b, `},"upstream_request_id":`, ev.UpstreamRequestID)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(ev.Attempt), 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(ev.Count), 10)
	b = appendField(b, `,"detail":`, ev.Detail)
	b = appendField(b, `,"source":{"ip_hash":`, r.hashes[3])
	b = appendField(b, `,"user_agent":`, ev.Source.UserAgent)
	b = appendField(b, `},"request_id":`, ev.RequestID)
	b = appendField(b, `,"build":`, ev.Build)
	return append(b, '}')
}

func appendField(b []byte, before, value string) []byte {
	return appendString(append(b, before...), value)
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// parse reads the bytes of an event. It accepts what encode writes and nothing
// else: for any b it accepts, encoding the result gives b again.
func parse(b []byte) (*record, error) { return parseText(string(b)) }

func parseText(b string) (*record, error) {
	r := new(record)
	if err := r.parse(b); err != nil {
		return nil, err
	}
	return r, nil
}

// parse reads the bytes into a record that is empty, but for the room that its event has for factors.
func (r *record) parse(b string) error {
	p := parser{rest: b, plain: plain(b)}
	if !p.plain && !utf8.ValidString(b) {
		return errors.New("the bytes are not UTF-8")
	}
	ev := &r.event
	p.expect(`{"schema":`)
	ev.Schema = int(p.number())
	if p.err == nil && ev.Schema != schema {
		return fmt.Errorf("the bytes have schema %d, this program knows %d", ev.Schema, schema)
	}
	p.expect(`,"seq":`)
	ev.Seq = p.number()
	ev.ID = p.field(`,"id":`)
	ev.OrganizationID = p.field(`,"organization_id":`)
	ev.Time = p.time(`,"time":`)
	ev.Action = Action(p.field(`,"action":`))
	ev.Phase = Phase(p.field(`,"phase":`))
	ev.OperationID = p.field(`,"operation_id":`)
	ev.Actor.MemberID = p.field(`,"actor":{"member_id":`)
	r.hashes[0] = p.hash(`,"email_hash":`)
	ev.Actor.SessionID = p.field(`,"session_id":`)
	p.expect(`,"auth_factors":[`)
	for before := ""; p.err == nil && !strings.HasPrefix(p.rest, "]"); before = "," {
		ev.Actor.AuthFactors = append(ev.Actor.AuthFactors, p.field(before))
	}
	p.expect(`],"system":`)
	ev.Actor.System = p.bool()
	ev.Target.Type = p.field(`},"target":{"type":`)
	ev.Target.ID = p.field(`,"id":`)
	r.hashes[1] = p.hash(`,"label_hash":`)
	r.hashes[2] = p.hash(`,"email_hash":`)
	ev.Target.PasswordID = p.field(`,"password_id":`)
	ev.Reason = p.field(`},"reason":`)
	ev.Ticket = p.field(`,"ticket":`)
	ev.Outcome = Outcome(p.field(`,"outcome":`))
	p.expect(`,"http":{"status":`)
	ev.HTTP.Status = int(p.number())
	ev.HTTP.ErrorType = p.field(`,"error_type":`)
	ev.UpstreamRequestID = p.field(`},"upstream_request_id":`)
	p.expect(`,"attempt":`)
	ev.Attempt = int(p.number())
	p.expect(`,"count":`)
	ev.Count = int(p.number())
	ev.Detail = p.field(`,"detail":`)
	r.hashes[3] = p.hash(`,"source":{"ip_hash":`)
	ev.Source.UserAgent = p.field(`,"user_agent":`)
	ev.RequestID = p.field(`},"request_id":`)
	ev.Build = p.field(`,"build":`)
	p.expect(`}`)
	if p.err == nil && p.rest != "" {
		p.fail("something after the end")
	}
	if p.err != nil {
		return fmt.Errorf("the bytes are not an event: %w at byte %d", p.err, len(b)-len(p.rest))
	}
	return nil
}

// plain reports whether a text has nothing but the letters, digits and signs of ASCII.
func plain(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// A byte has its top bit where it is no ASCII, where it is less than a space, and where it is 0x7f.
		if (w|(w-ones*' ')|(w+ones))&tops != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// parser keeps its first error and then does nothing.
type parser struct {
	rest  string
	plain bool // see plain
	err   error
}

func (p *parser) fail(problem string) {
	if p.err == nil {
		p.err = errors.New(problem)
	}
}

func (p *parser) expect(literal string) {
	if p.err != nil {
		return
	}
	rest, ok := strings.CutPrefix(p.rest, literal)
	if !ok {
		p.fail("expected " + literal)
		return
	}
	p.rest = rest
}

// number reads a natural number without leading zeros.
func (p *parser) number() int64 {
	if p.err != nil {
		return 0
	}
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(p.rest[:n], 10, 64)
	if err != nil || v > maxCountable || (n > 1 && p.rest[0] == '0') {
		p.fail("expected a number")
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) bool() bool {
	if strings.HasPrefix(p.rest, "true") {
		p.expect("true")
		return true
	}
	p.expect("false")
	return false
}

func (p *parser) field(before string) string {
	p.expect(before)
	if p.err != nil {
		return ""
	}
	if p.rest == "" || p.rest[0] != '"' {
		p.fail(`expected "`)
		return ""
	}
	p.rest = p.rest[1:]
	end := strings.IndexByte(p.rest, '"')
	if end < 0 {
		p.fail("a string without end")
		return ""
	}
	s, escaped := p.rest[:end], false
	if strings.IndexByte(s, '\\') >= 0 {
		if end = p.escapedEnd(); end < 0 {
			return ""
		}
		s, escaped = p.rest[:end], true
	}
	if !p.plain && strings.ContainsFunc(s, forbidden) {
		p.fail("a control character")
		return ""
	}
	p.rest = p.rest[end+1:]
	if escaped {
		s = unescape.Replace(s)
	}
	return s
}

// escapedEnd is where a string ends that has escapes.
func (p *parser) escapedEnd() int {
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			return i
		case '\\':
			i++
			if i == len(p.rest) || (p.rest[i] != '"' && p.rest[i] != '\\') {
				p.fail("an escape that is not used")
				return -1
			}
		}
	}
	p.fail("a string without end")
	return -1
}

func (p *parser) time(before string) time.Time {
	s := p.field(before)
	if p.err != nil {
		return time.Time{}
	}
	t, ok := parseTime(s)
	if !ok {
		p.fail("expected a time")
	}
	return t
}

// parseTime reads what a time formatted by timeLayout is, and nothing else.
func parseTime(s string) (time.Time, bool) {
	if len(s) != len(timeLayout) {
		return time.Time{}, false
	}
	number := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			if s[i] < '0' || s[i] > '9' {
				return -1
			}
			n = n*10 + int(s[i]-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second, ms := number(11, 13), number(14, 16), number(17, 19), number(20, 23)
	if s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' ||
		year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || ms < 0 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, ms*int(time.Millisecond), time.UTC)
	return t, t.Day() == day // not the 30th of February
}

func (p *parser) hash(before string) string {
	s := p.field(before)
	if p.err != nil || s == "" {
		return ""
	}
	if len(s) != 2*sha256.Size || !isHex(s) {
		p.fail("expected a hash")
	}
	return s
}

// hexDigits has the value of each small hex digit, and 0xff for all else.
var hexDigits = func() (values [256]byte) { //nolint:gochecknoglobals // a constant
	for i := range values {
		values[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i)
	}
	return values
}()

func isHex(s string) bool {
	all := byte(0)
	for i := range len(s) {
		all |= hexDigits[s[i]]
	}
	return all < 16
}

// unescape undoes what appendString does. A Replacer is safe for concurrent use.
var unescape = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

// forbidden says which characters never stand in the bytes: control characters
// and the two separators that some readers take for the end of a line.
func forbidden(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// clean makes text fit for the bytes: valid UTF-8 on one line, at most limit runes.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case r == '\r':
			return -1
		case forbidden(r):
			return replacement
		}
		return r
	}, strings.ToValidUTF8(s, string(replacement)))
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	runes := []rune(s)
	return string(append(runes[:limit-1], ellipsis))
}

// cleaned is the event as it can be recorded.
func cleaned(ev Event) Event {
	for _, s := range []*string{
		&ev.OrganizationID, &ev.OperationID, &ev.Actor.MemberID, &ev.Actor.Email, &ev.Actor.SessionID,
		&ev.Target.Type, &ev.Target.ID, &ev.Target.Label, &ev.Target.Email, &ev.Target.PasswordID,
		&ev.Ticket, &ev.HTTP.ErrorType, &ev.UpstreamRequestID, &ev.Detail,
		&ev.Source.IP, &ev.Source.UserAgent, &ev.RequestID, &ev.Build,
	} {
		*s = clean(*s, maxText)
	}
	ev.Reason = clean(ev.Reason, maxReason)
	var factors []string
	for _, f := range ev.Actor.AuthFactors[:min(len(ev.Actor.AuthFactors), maxFactors)] {
		factors = append(factors, clean(f, maxText))
	}
	ev.Actor.AuthFactors = factors
	for _, n := range []*int{&ev.HTTP.Status, &ev.Attempt, &ev.Count} {
		*n = min(max(*n, 0), maxCountable)
	}
	return ev
}

// fold makes texts equal that people take for the same: letter case and the
// ways to compose an accent.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
		}
	}
	return strings.ToLower(s)
}
