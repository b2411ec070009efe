package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kinds of faults.
const (
	FaultLatency        = "latency"          // the answer takes longer
	FaultRateLimit      = "rate_limit"       // 429, with Retry-After where retry_after is given
	FaultServerError    = "server_error"     // 500 with an error object
	FaultBadGateway     = "bad_gateway_html" // 502 with a page of a proxy
	FaultCutBody        = "cut_body"         // the true answer, broken off in the middle
	FaultGarbage        = "garbage"          // 200 with something that is not JSON
	FaultWrongShape     = "wrong_shape"      // 200 with JSON that is not the expected object
	FaultEmptyBody      = "empty_body"       // 200 with nothing
	FaultGiantBody      = "giant_body"       // 200 with a very long body
	FaultWrongMember    = "wrong_member"     // the true answer, but another member in it
	FaultIDKept         = "id_kept"          // the true answer, but the password id is still in it
	FaultNoEffect       = "no_effect"        // the answer of a success, and nothing has happened
	FaultRedirect       = "redirect"         // 307 to another path of the sandbox
	FaultHang           = "hang"             // no answer, then the connection is closed
	FaultReset          = "reset"            // the connection is closed at once
	FaultRefuse         = "refuse"           // an error object of choice
	FaultBadCredentials = "bad_credentials"  // 401 unauthorized_credentials
)

// When a fault strikes: before or after what the request asks for has happened.
const (
	ApplyBefore = "before"
	ApplyAfter  = "after"
)

// Limits of what a fault may ask for.
const (
	maxFaultDuration  = 10 * time.Minute
	maxFaultBytes     = 1 << 30
	defaultGiantBytes = 32 << 20
	maxFaults         = 100
)

// Duration is a time.Duration written like "150ms".
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads the duration.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 150ms or 2s", text)
	}
	*d = Duration(parsed)
	return nil
}

// Fault is one way to misbehave at one endpoint.
type Fault struct {
	ID         string   `json:"id,omitempty"`          // given by the sandbox
	Endpoint   string   `json:"endpoint"`              // "members.delete_password", "DELETE /v1/b2b/…/{member_password_id}" or "*"
	Kind       string   `json:"kind"`                  // one of the Fault constants
	Duration   Duration `json:"duration,omitzero"`     // latency: how long; hang: how long at most, otherwise until the caller leaves
	RetryAfter *int     `json:"retry_after,omitempty"` // rate_limit: seconds; absent: no header
	Times      int      `json:"times,omitempty"`       // how often; 0: until cleared
	Apply      string   `json:"apply,omitempty"`       // "before" or "after" the effect; default by kind
	Status     int      `json:"status,omitempty"`      // refuse: HTTP status, 403 by default
	ErrorType  string   `json:"error_type,omitempty"`  // refuse: needed
	Bytes      int      `json:"bytes,omitempty"`       // giant_body: how many, 32 MiB by default
	MemberID   string   `json:"member_id,omitempty"`   // wrong_member: whom to answer with; default: some other member
	Hits       int      `json:"hits,omitempty"`        // how often it struck, counted by the sandbox
}

// kindRule says what a kind of fault takes. Kinds that bend a true answer, or that look like a success, come after the
// effect unless told otherwise: that is how an answer gets lost.
type kindRule struct {
	apply      string
	duration   bool
	retryAfter bool
	refuse     bool
	bytes      bool
	memberID   bool
	only       func(*route) bool // nil: every endpoint
}

func kindRules() map[string]kindRule {
	answersMember := func(r *route) bool { return r.member }
	deletes := func(r *route) bool { return r.name == "members.delete_password" }
	return map[string]kindRule{
		FaultLatency:        {apply: ApplyBefore, duration: true},
		FaultRateLimit:      {apply: ApplyBefore, retryAfter: true},
		FaultServerError:    {apply: ApplyBefore},
		FaultBadGateway:     {apply: ApplyBefore},
		FaultRedirect:       {apply: ApplyBefore},
		FaultHang:           {apply: ApplyBefore, duration: true},
		FaultReset:          {apply: ApplyBefore},
		FaultRefuse:         {apply: ApplyBefore, refuse: true},
		FaultBadCredentials: {apply: ApplyBefore},
		FaultGarbage:        {apply: ApplyAfter},
		FaultWrongShape:     {apply: ApplyAfter},
		FaultEmptyBody:      {apply: ApplyAfter},
		FaultGiantBody:      {apply: ApplyAfter, bytes: true},
		FaultCutBody:        {apply: ApplyAfter},
		FaultWrongMember:    {apply: ApplyAfter, memberID: true, only: answersMember},
		FaultIDKept:         {apply: ApplyAfter, only: deletes},
		FaultNoEffect:       {apply: ApplyBefore, only: deletes},
	}
}

// ParseFaults reads faults as JSON: one object, or an array of them. It refuses what makes no sense.
func ParseFaults(text string) ([]Fault, error) { return readFaults(strings.NewReader(text)) }

func readFaults(r io.Reader) ([]Fault, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	raw = bytes.TrimSpace(raw)
	var list []Fault
	if len(raw) > 0 && raw[0] == '{' {
		list = make([]Fault, 1)
		err = strictJSON(raw, &list[0])
	} else {
		err = strictJSON(raw, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("faults are a JSON object or an array of them: %w", err)
	}
	for i := range list {
		if err := list[i].complete(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	return list, nil
}

// strictJSON refuses unknown fields: a fault that is misspelt must not become one that never strikes.
func strictJSON(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON")
	}
	return nil
}

// complete checks a fault and fills in its defaults.
func (f *Fault) complete() error {
	rules := kindRules()
	rule, ok := rules[f.Kind]
	if !ok {
		kinds := make([]string, 0, len(rules))
		for kind := range rules {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		return fmt.Errorf("kind %q: accepted are %s", f.Kind, strings.Join(kinds, ", "))
	}
	if err := f.checkEndpoint(rule); err != nil {
		return err
	}
	if f.Apply == "" {
		f.Apply = rule.apply
	}
	switch {
	case f.Apply != ApplyBefore && f.Apply != ApplyAfter:
		return fmt.Errorf("apply %q: accepted are %s, %s", f.Apply, ApplyBefore, ApplyAfter)
	case f.Times < 0:
		return fmt.Errorf("times %d: accepted are 0 (until cleared) and more", f.Times)
	case f.Duration != 0 && !rule.duration:
		return fmt.Errorf("duration: not accepted by kind %s", f.Kind)
	case f.Duration < 0 || time.Duration(f.Duration) > maxFaultDuration:
		return fmt.Errorf("duration %s: accepted are 0s to %s", time.Duration(f.Duration), maxFaultDuration)
	case f.Kind == FaultLatency && f.Duration == 0:
		return errors.New("duration: needed by kind latency, such as 2s")
	case f.RetryAfter != nil && !rule.retryAfter:
		return fmt.Errorf("retry_after: not accepted by kind %s", f.Kind)
	case f.RetryAfter != nil && (*f.RetryAfter < 0 || *f.RetryAfter > 86_400):
		return fmt.Errorf("retry_after %d: accepted are 0 to 86400 seconds", *f.RetryAfter)
	case (f.Status != 0 || f.ErrorType != "") && !rule.refuse:
		return fmt.Errorf("status and error_type: not accepted by kind %s", f.Kind)
	case rule.refuse && f.ErrorType == "":
		return errors.New("error_type: needed by kind refuse, such as session_authorization_error")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status %d: accepted are 400 to 599", f.Status)
	case f.Bytes != 0 && !rule.bytes:
		return fmt.Errorf("bytes: not accepted by kind %s", f.Kind)
	case f.Bytes < 0 || f.Bytes > maxFaultBytes:
		return fmt.Errorf("bytes %d: accepted are 1 to %d", f.Bytes, maxFaultBytes)
	case f.MemberID != "" && !rule.memberID:
		return fmt.Errorf("member_id: not accepted by kind %s", f.Kind)
	case f.MemberID != "" && !hasShape(f.MemberID, "member-test-"):
		return fmt.Errorf("member_id %q: not a member id", f.MemberID)
	}
	if rule.refuse && f.Status == 0 {
		f.Status = 403
	}
	if rule.bytes && f.Bytes == 0 {
		f.Bytes = defaultGiantBytes
	}
	return nil
}

func (f *Fault) checkEndpoint(rule kindRule) error {
	if f.Endpoint == "*" {
		if rule.only != nil {
			return fmt.Errorf("endpoint *: kind %s does not fit every endpoint", f.Kind)
		}
		return nil
	}
	var names []string
	for _, r := range (&Sandbox{}).table() {
		fits := rule.only == nil || rule.only(&r)
		if fits {
			names = append(names, r.name)
		}
		if f.Endpoint == r.name || f.Endpoint == r.endpoint() {
			if !fits {
				return fmt.Errorf("endpoint %s: kind %s does not fit it", f.Endpoint, f.Kind)
			}
			f.Endpoint = r.name
			return nil
		}
	}
	return fmt.Errorf("endpoint %q: accepted are *, %s, or the method and path of one as documented", f.Endpoint, strings.Join(names, ", "))
}

// faultSet holds the faults in force, in the order they were set.
type faultSet struct {
	mu   sync.Mutex
	last int
	list []Fault
}

func newFaultSet() *faultSet { return &faultSet{} }

func (s *faultSet) add(list []Fault) ([]Fault, error) {
	list = slices.Clone(list)
	for i := range list {
		if err := list[i].complete(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list)+len(list) > maxFaults {
		return nil, fmt.Errorf("%d faults: accepted are at most %d", len(s.list)+len(list), maxFaults)
	}
	for i := range list {
		s.last++
		list[i].ID, list[i].Hits = "fault-"+strconv.Itoa(s.last), 0
	}
	s.list = append(s.list, list...)
	return list, nil
}

func (s *faultSet) replace(list []Fault) error {
	for i := range list {
		f := list[i]
		if err := f.complete(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.clear("")
	_, err := s.add(list)
	return err
}

// clear removes one fault, or all; it reports whether there was one.
func (s *faultSet) clear(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(f Fault) bool { return id == "" || f.ID == id })
	return len(s.list) < n
}

func (s *faultSet) snapshot() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Fault{}, s.list...)
}

// take picks the faults that strike a request: every latency, and the first of the others.
func (s *faultSet) take(rt *route) faultPlan {
	s.mu.Lock()
	defer s.mu.Unlock()
	var plan faultPlan
	for i := range s.list {
		f := &s.list[i]
		fits := f.Endpoint == "*" || rt != nil && f.Endpoint == rt.name
		if !fits || f.Times > 0 && f.Hits >= f.Times || f.Kind != FaultLatency && plan.fault != nil {
			continue
		}
		f.Hits++
		switch {
		case f.Kind != FaultLatency:
			struck := *f
			plan.fault = &struck
		case f.Apply == ApplyBefore:
			plan.before += time.Duration(f.Duration)
		default:
			plan.after += time.Duration(f.Duration)
		}
	}
	return plan
}
