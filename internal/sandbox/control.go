package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const controlRoot = "/_sandbox"

// switches change how the whole project behaves. They are guarded by project.mu.
type switches struct {
	crossOrgPasswords     bool
	totalsOff             bool
	enumerationProtection bool
	consoleResourcesOff   bool
	ludsPasswords         bool
	latency               time.Duration
}

type switchesJSON struct {
	CrossOrgPasswords     *bool     `json:"cross_org_passwords"`
	TotalsOff             *bool     `json:"totals_off"`
	EnumerationProtection *bool     `json:"enumeration_protection"`
	ConsoleResourcesOff   *bool     `json:"console_resources_off"`
	LUDSPasswords         *bool     `json:"luds_passwords"`
	Latency               *Duration `json:"latency"`
}

type controlRoute struct {
	method, template string
	does             string
	handle           func(s *Sandbox, params map[string]string, r *http.Request) (any, error)
}

func controlTable() []controlRoute {
	return []controlRoute{
		{"GET", "/_sandbox/", "this list", (*Sandbox).controlIndex},
		{"GET", "/_sandbox/faults", "the faults in force", (*Sandbox).controlFaults},
		{"POST", "/_sandbox/faults", "add a fault, or an array of them", (*Sandbox).controlAddFaults},
		{"PUT", "/_sandbox/faults", "replace all faults", (*Sandbox).controlReplaceFaults},
		{"DELETE", "/_sandbox/faults", "clear all faults", (*Sandbox).controlClearFaults},
		{"DELETE", "/_sandbox/faults/{id}", "clear one fault", (*Sandbox).controlClearFaults},
		{"GET", "/_sandbox/journal", "every request received; ?since=seq, ?endpoint=name", (*Sandbox).controlJournal},
		{"DELETE", "/_sandbox/journal", "forget the requests", (*Sandbox).controlClearJournal},
		{"GET", "/_sandbox/switches", "the switches of the project", (*Sandbox).controlSwitches},
		{"PUT", "/_sandbox/switches", "set those switches that the body names", (*Sandbox).controlSetSwitches},
		{"GET", "/_sandbox/people", "members worth trying, with passwords", (*Sandbox).controlPeople},
		{"GET", "/_sandbox/outbox", "the mails that would have been sent", (*Sandbox).controlOutbox},
		{"DELETE", "/_sandbox/outbox", "forget the mails", (*Sandbox).controlClearOutbox},
		{"GET", "/_sandbox/members/{member_id}", "one member, its sessions and seeded password", (*Sandbox).controlMember},
		{"POST", "/_sandbox/members/{member_id}", "change a member behind everybody's back", (*Sandbox).controlChangeMember},
		{"POST", "/_sandbox/organizations/{organization_id}", "change what an organization allows and demands", (*Sandbox).controlChangeOrganization},
		{"POST", "/_sandbox/sessions", "open a session for a member", (*Sandbox).controlOpenSession},
		{"DELETE", "/_sandbox/sessions/{member_session_id}", "end a session", (*Sandbox).controlEndSession},
		{"POST", "/_sandbox/impersonations", "mint an impersonation token for a member", (*Sandbox).controlImpersonate},
		{"POST", "/_sandbox/keys/rotate", "sign JWTs with a new key; the old ones stay published", (*Sandbox).controlRotateKeys},
	}
}

// controlError is a mistake of the caller of the control endpoint.
type controlError struct {
	status  int
	message string
}

func (e *controlError) Error() string { return e.message }

func refuse(format string, args ...any) error {
	return &controlError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func absentError(what string) error {
	return &controlError{status: http.StatusNotFound, message: "there is no such " + what}
}

func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	value, err := func() (any, error) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.info.ControlToken)) != 1 {
			return nil, &controlError{http.StatusUnauthorized, "Authorization: Bearer with the control token is needed"}
		}
		path := r.URL.EscapedPath()
		if path == controlRoot {
			path += "/"
		}
		parts, known := strings.Split(path, "/"), false
		for _, rt := range controlTable() {
			params, ok := matchTemplate(rt.template, parts)
			if ok && rt.method == r.Method {
				r.Body = http.MaxBytesReader(w, r.Body, maxBody)
				return rt.handle(s, params, r)
			}
			known = known || ok
		}
		if known {
			return nil, &controlError{http.StatusMethodNotAllowed, "the method is not accepted; GET /_sandbox/ lists what is"}
		}
		return nil, &controlError{http.StatusNotFound, "no such route; GET /_sandbox/ lists what there is"}
	}()
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if e, ok := errors.AsType[*controlError](err); ok {
			status = e.status
		}
		value = map[string]any{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // the caller may be gone
}

// controlBody reads a body strictly: what is misspelt is refused, not ignored.
func controlBody(r *http.Request, into any) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return refuse("body: %v", err)
	}
	if err := strictJSON(raw, into); err != nil {
		return refuse("body: %v", err)
	}
	return nil
}

func (s *Sandbox) controlIndex(map[string]string, *http.Request) (any, error) {
	type entry struct {
		Route string `json:"route"`
		Does  string `json:"does"`
	}
	index := struct {
		ProjectID string   `json:"project_id"`
		Control   []entry  `json:"control"`
		Endpoints []entry  `json:"endpoints"`
		Kinds     []string `json:"fault_kinds"`
	}{ProjectID: s.info.ProjectID}
	for _, rt := range controlTable() {
		index.Control = append(index.Control, entry{rt.method + " " + rt.template, rt.does})
	}
	for _, rt := range s.routes {
		index.Endpoints = append(index.Endpoints, entry{rt.endpoint(), rt.name})
	}
	index.Kinds = faultKinds()
	return index, nil
}

type faultsJSON struct {
	Faults []Fault `json:"faults"`
}

func (s *Sandbox) controlFaults(map[string]string, *http.Request) (any, error) {
	return faultsJSON{s.faults.snapshot()}, nil
}

// requestedFaults reads a fault, an array of them, or what GET answers.
func requestedFaults(r *http.Request) ([]Fault, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, refuse("body: %v", err)
	}
	var wrapped struct {
		Faults json.RawMessage `json:"faults"`
	}
	if json.Unmarshal(raw, &wrapped) == nil && wrapped.Faults != nil {
		raw = wrapped.Faults
	}
	list, err := ParseFaults(string(raw))
	if err != nil {
		return nil, refuse("%v", err)
	}
	return list, nil
}

func (s *Sandbox) controlAddFaults(_ map[string]string, r *http.Request) (any, error) {
	list, err := requestedFaults(r)
	if err != nil {
		return nil, err
	}
	added, err := s.faults.add(list)
	if err != nil {
		return nil, refuse("%v", err)
	}
	return faultsJSON{added}, nil
}

func (s *Sandbox) controlReplaceFaults(_ map[string]string, r *http.Request) (any, error) {
	list, err := requestedFaults(r)
	if err != nil {
		return nil, err
	}
	if err := s.faults.replace(list); err != nil {
		return nil, refuse("%v", err)
	}
	return faultsJSON{s.faults.snapshot()}, nil
}

func (s *Sandbox) controlClearFaults(params map[string]string, _ *http.Request) (any, error) {
	if !s.faults.clear(params["id"]) && params["id"] != "" {
		return nil, absentError("fault")
	}
	return faultsJSON{s.faults.snapshot()}, nil
}

func (s *Sandbox) controlJournal(_ map[string]string, r *http.Request) (any, error) {
	since := 0
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = strconv.Atoi(text); err != nil || since < 0 {
			return nil, refuse("since: accepted is the seq of a request")
		}
	}
	endpoint := r.URL.Query().Get("endpoint")
	if endpoint != "" {
		f := Fault{Endpoint: endpoint}
		if err := f.checkEndpoint(kindRule{}); err != nil || endpoint == "*" {
			return nil, refuse("endpoint: accepted are the short names that GET /_sandbox/ lists")
		}
		endpoint = f.Endpoint
	}
	entries, dropped := s.journal.list(since, endpoint)
	return map[string]any{"requests": entries, "dropped": dropped}, nil
}

func (s *Sandbox) controlClearJournal(map[string]string, *http.Request) (any, error) {
	s.journal.clear()
	return map[string]any{"requests": []journalEntry{}, "dropped": 0}, nil
}

func (s *Sandbox) controlSwitches(map[string]string, *http.Request) (any, error) {
	s.project.mu.RLock()
	defer s.project.mu.RUnlock()
	w, latency := s.project.switches, Duration(s.project.switches.latency)
	return switchesJSON{&w.crossOrgPasswords, &w.totalsOff, &w.enumerationProtection, &w.consoleResourcesOff, &w.ludsPasswords, &latency}, nil
}

func (s *Sandbox) controlSetSwitches(params map[string]string, r *http.Request) (any, error) {
	var in switchesJSON
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	if in.Latency != nil && (*in.Latency < 0 || time.Duration(*in.Latency) > MaxLatency) {
		return nil, refuse("latency %s: accepted are 0s to %s", time.Duration(*in.Latency), MaxLatency)
	}
	set := func(to *bool, from *bool) {
		if from != nil {
			*to = *from
		}
	}
	s.project.mu.Lock()
	w := &s.project.switches
	set(&w.crossOrgPasswords, in.CrossOrgPasswords)
	set(&w.totalsOff, in.TotalsOff)
	set(&w.enumerationProtection, in.EnumerationProtection)
	set(&w.consoleResourcesOff, in.ConsoleResourcesOff)
	set(&w.ludsPasswords, in.LUDSPasswords)
	if in.Latency != nil {
		w.latency = time.Duration(*in.Latency)
	}
	s.project.mu.Unlock()
	return s.controlSwitches(params, r)
}
