package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// journalSize is how many requests are remembered; the oldest go first.
const journalSize = 10_000

const redacted = "[redacted]"

// journalEntry is one request as it came, without its secrets.
type journalEntry struct {
	Seq           int                 `json:"seq"`
	Time          time.Time           `json:"time"`
	Method        string              `json:"method"`
	Path          string              `json:"path"`
	Query         url.Values          `json:"query"`
	Endpoint      string              `json:"endpoint"` // short name; "" for no route
	Headers       http.Header         `json:"headers"`
	Authorization *journalCredentials `json:"authorization"`
	Session       []journalActing     `json:"session"` // one for each member session header
	Body          any                 `json:"body"`
	Done          bool                `json:"done"` // false: still in the works, or never answered
	Status        int                 `json:"status"`
	ErrorType     string              `json:"error_type"`
	RequestID     string              `json:"request_id"`
	Fault         string              `json:"fault"` // kind of the fault that struck
}

type journalCredentials struct {
	User  string `json:"user"`
	Valid bool   `json:"valid"`
}

type journalActing struct {
	Header    string `json:"header"`
	SessionID string `json:"session_id"` // "" when the header names no live session
	MemberID  string `json:"member_id"`
}

type journal struct {
	mu      sync.Mutex
	seq     int
	dropped int
	entries []*journalEntry
}

func newJournal() *journal { return &journal{} }

func (j *journal) begin(e journalEntry) *journalEntry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq = j.seq
	if len(j.entries) == journalSize {
		j.entries = slices.Delete(j.entries, 0, 1)
		j.dropped++
	}
	j.entries = append(j.entries, &e)
	return &e
}

func (j *journal) end(e *journalEntry, out output, fault string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Done, e.Status, e.ErrorType, e.Fault = out.status != 0, out.status, out.errorType, fault
}

// list returns the requests after a sequence number, of one endpoint where that is named.
func (j *journal) list(since int, endpoint string) (entries []journalEntry, dropped int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries = []journalEntry{}
	for _, e := range j.entries {
		if e.Seq > since && (endpoint == "" || e.Endpoint == endpoint) {
			entries = append(entries, *e)
		}
	}
	return entries, j.dropped
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries, j.dropped = nil, 0
}

// describe is the entry of a request that has just arrived.
func (s *Sandbox) describe(r *http.Request, body []byte, rt *route, requestID string) journalEntry {
	e := journalEntry{
		Time: s.nowUTC(), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Headers: http.Header{},
		Session: []journalActing{}, Body: redactBody(body), RequestID: requestID,
	}
	if rt != nil {
		e.Endpoint = rt.name
	}
	for name := range e.Query {
		if secretKey(name) {
			e.Query[name] = []string{redacted}
		}
	}
	for name, values := range r.Header {
		switch name {
		case "Authorization", http.CanonicalHeaderKey(headerSession), http.CanonicalHeaderKey(headerSessionJWT), "Cookie", "Proxy-Authorization":
		default:
			e.Headers[name] = slices.Clone(values)
		}
	}
	if r.Header.Get("Authorization") != "" {
		user, _, _ := r.BasicAuth()
		if !strings.HasPrefix(user, "project-") {
			user = redacted // whatever that is, it is no project id
		}
		e.Authorization = &journalCredentials{User: user, Valid: s.credentialsOK(r)}
	}
	s.project.mu.RLock()
	defer s.project.mu.RUnlock()
	for _, name := range []string{headerSession, headerSessionJWT} {
		for _, value := range r.Header.Values(name) {
			acting := journalActing{Header: name}
			token, jwt := value, ""
			if name == headerSessionJWT {
				token, jwt = "", value
			}
			if value != "" {
				if found, err := s.findSession(token, jwt); err == nil {
					acting.SessionID, acting.MemberID = found.id, s.project.member(found.ref).json.MemberID
				}
			}
			e.Session = append(e.Session, acting)
		}
	}
	return e
}

func secretKey(name string) bool {
	name = strings.ToLower(name)
	switch {
	case name == "session_duration_minutes":
		return false
	case strings.Contains(name, "password") && !strings.HasPrefix(name, "member_password") && !strings.HasPrefix(name, "reset_password"):
		return true
	}
	return slices.ContainsFunc([]string{"token", "jwt", "secret", "code", "hash", "verifier"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

func redactBody(body []byte) any {
	if len(body) == 0 {
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Sprintf("[%d bytes that are not JSON]", len(body))
	}
	return redactValue(value)
}

func redactValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if secretKey(key) && inner != nil {
				v[key] = redacted
			} else {
				v[key] = redactValue(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = redactValue(v[i])
		}
	}
	return value
}
