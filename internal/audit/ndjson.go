package audit

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// The kinds of the lines that are not events.
const (
	kindExport    = "orgconsole_audit_export"
	kindExportEnd = "orgconsole_audit_export_end"
	exportVersion = 1
)

// ndjsonEncoder writes lines of JSON: for each organization one that says what
// follows and under which checkpoint, one for each event, and one with their
// number, so that a file that was cut is noticed.
type ndjsonEncoder struct {
	w       io.Writer
	build   string
	created time.Time
	line    []byte
}

func (*ndjsonEncoder) proofs() bool { return true }

// exportHead is the first line. Nothing in it is proven but what the checkpoint says.
type exportHead struct {
	Kind           string       `json:"kind"`
	Version        int          `json:"version"`
	Origin         string       `json:"origin"`
	OrganizationID string       `json:"organization_id"`
	TreeSize       int64        `json:"tree_size"`
	Checkpoint     string       `json:"checkpoint"`
	Filter         exportFilter `json:"filter"`
	Created        string       `json:"created"`
	Build          string       `json:"build"`
}

type exportFilter struct {
	Text        string `json:"text,omitempty"`
	Actor       string `json:"actor,omitempty"`
	ActorID     string `json:"actor_id,omitempty"`
	Target      string `json:"target,omitempty"`
	Action      string `json:"action,omitempty"`
	Outcome     string `json:"outcome,omitempty"`
	From        string `json:"from,omitempty"` // included
	To          string `json:"to,omitempty"`   // not included
	OperationID string `json:"operation_id,omitempty"`
	Several     bool   `json:"several,omitempty"`
	Outside     string `json:"outside_office_hours,omitempty"`
	After       int64  `json:"from_seq,omitempty"` // included
	ToSeq       int64  `json:"to_seq,omitempty"`   // not included
}

// exportEnd is the last line.
type exportEnd struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
}

func (f Filter) exported() exportFilter {
	e := exportFilter{
		Text: f.Text, ActorID: f.ActorID, Several: f.Several, After: f.After, Actor: f.ActorQuery, Target: f.TargetQuery, Action: f.Action, Outcome: f.Outcome, OperationID: f.OperationID,
	}
	if f.Outside != nil {
		e.Outside = f.Outside.String()
	}
	if !f.From.IsZero() {
		e.From = f.From.UTC().Format(timeLayout)
	}
	if !f.To.IsZero() {
		e.To = f.To.UTC().Format(timeLayout)
	}
	return e
}

func (n *ndjsonEncoder) Begin(h Head) error {
	filter := h.Filter.exported()
	filter.ToSeq = h.ToSeq
	return n.object(exportHead{
		Kind: kindExport, Version: exportVersion, Origin: h.Origin, OrganizationID: h.OrganizationID, TreeSize: h.Size, Checkpoint: h.Checkpoint,
		Filter: filter, Created: n.created.UTC().Format(timeLayout), Build: n.build,
	})
}

func (n *ndjsonEncoder) End(count int64) error { return n.object(exportEnd{kindExportEnd, count}) }

func (n *ndjsonEncoder) object(v any) error {
	enc := json.NewEncoder(n.w) // one Write, with the end of the line
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (n *ndjsonEncoder) Event(e *Entry) error {
	n.line = append(appendEntry(n.line[:0], e), '\n')
	_, err := n.w.Write(n.line)
	return err
}

// appendEntry writes an entry as one line of JSON. What the bytes say, and the
// texts, stand in it a second time for people and their tools; verification
// writes the line anew from bytes, texts and proof, so the layout of a version
// never changes. A text that was erased is null.
func appendEntry(b []byte, e *Entry) []byte {
	ev := &e.Event
	if ev.Purged != nil {
		return e.appendPurged(b)
	}
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, ev.Seq, 10)
	b = appendJSON(append(b, `,"id":`...), ev.ID)
	b = appendJSON(append(b, `,"organization_id":`...), ev.OrganizationID)
	b = append(b, `,"time":"`...)
	b = ev.Time.UTC().AppendFormat(b, timeLayout)
	b = appendJSON(append(b, `","action":`...), string(ev.Action))
	b = appendJSON(append(b, `,"phase":`...), string(ev.Phase))
	b = appendJSON(append(b, `,"operation_id":`...), ev.OperationID)
	b = appendJSON(append(b, `,"outcome":`...), string(ev.Outcome))
	b = appendJSON(append(b, `,"reason":`...), ev.Reason)
	b = appendJSON(append(b, `,"ticket":`...), ev.Ticket)
	b = appendJSON(append(b, `,"actor":{"member_id":`...), ev.Actor.MemberID)
	b = e.appendText(append(b, `,"email":`...), subjectActorEmail)
	b = appendJSON(append(b, `,"session_id":`...), ev.Actor.SessionID)
	b = append(b, `,"auth_factors":[`...)
	for i, f := range ev.Actor.AuthFactors {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, f)
	}
	b = append(b, `],"system":`...)
	b = strconv.AppendBool(b, ev.Actor.System)
	b = appendJSON(append(b, `},"target":{"type":`...), ev.Target.Type)
	b = appendJSON(append(b, `,"id":`...), ev.Target.ID)
	b = e.appendText(append(b, `,"label":`...), subjectTargetLabel)
	b = e.appendText(append(b, `,"email":`...), subjectTargetEmail)
	b = appendJSON(append(b, `,"password_id":`...), ev.Target.PasswordID)
	b = append(b, `},"http":{"status":`...)
	b = strconv.AppendInt(b, int64(ev.HTTP.Status), 10)
	b = appendJSON(append(b, `,"error_type":`...), ev.HTTP.ErrorType)
	b = appendJSON(append(b, `},"upstream_request_id":`...), ev.UpstreamRequestID)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(ev.Attempt), 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(ev.Count), 10)
	b = appendJSON(append(b, `,"detail":`...), ev.Detail)
	b = e.appendText(append(b, `,"source":{"ip":`...), subjectSourceIP)
	b = appendJSON(append(b, `,"user_agent":`...), ev.Source.UserAgent)
	b = appendJSON(append(b, `},"request_id":`...), ev.RequestID)
	b = appendJSON(append(b, `,"build":`...), ev.Build)
	b = appendJSON(append(b, `,"bytes":`...), e.Bytes)
	b = append(b, `,"subjects":[`...)
	for i, s := range e.Subjects {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(append(b, `{"field":`...), s.Field)
		if s.Erased {
			b = append(b, `,"salt":null,"text":null}`...)
			continue
		}
		b = appendJSON(append(b, `,"salt":`...), s.Salt)
		b = append(appendJSON(append(b, `,"text":`...), s.Text), '}')
	}
	return e.appendProof(append(b, ']'))
}

// appendPurged writes what is left of a record that was purged. Its ids are a help to find it, and not proven.
func (e *Entry) appendPurged(b []byte) []byte {
	ev, by := &e.Event, e.Event.Purged
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, ev.Seq, 10)
	b = appendJSON(append(b, `,"id":`...), ev.ID)
	b = appendJSON(append(b, `,"organization_id":`...), ev.OrganizationID)
	b = appendJSON(append(b, `,"operation_id":`...), ev.OperationID)
	b = append(b, `,"purged":{"time":"`...)
	b = by.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","days":`...)
	b = strconv.AppendInt(b, int64(by.Days), 10)
	b = appendJSON(append(b, `,"by":`...), by.By)
	b = append(b, `,"by_seq":`...)
	b = strconv.AppendInt(b, by.Seq, 10)
	return e.appendProof(append(b, `},"bytes":null`...))
}

func (e *Entry) appendProof(b []byte) []byte {
	b = append(b, `,"leaf_hash":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.Leaf[:])
	b = append(b, `","proof":[`...)
	for i := range e.Proof {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, e.Proof[i][:])
		b = append(b, '"')
	}
	return append(b, `]}`...)
}

// appendText writes a personal text, or null when it was erased.
func (e *Entry) appendText(b []byte, field subject) []byte {
	if e.erased(field) {
		return append(b, `null`...)
	}
	return appendJSON(b, *e.Event.subjectText(field))
}

func (e *Entry) erased(field subject) bool {
	for i := range e.Subjects {
		if e.Subjects[i].Erased && e.Subjects[i].Field == string(field) {
			return true
		}
	}
	return false
}

// appendJSON writes any text as a string of JSON.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	if plain(s) && strings.IndexByte(s, '\\') < 0 {
		for quote := strings.IndexByte(s, '"'); quote >= 0; quote = strings.IndexByte(s, '"') {
			b = append(append(b, s[:quote]...), '\\', '"')
			s = s[quote+1:]
		}
		return append(append(b, s...), '"')
	}
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[from:i]...), string(utf8.RuneError)...)
				from = i + size
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

// parseProof reads the hashes of a proof.
func parseProof(texts []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(texts))
	for _, text := range texts {
		h, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}
