package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"orgconsole/internal/audit"
)

// ocsfObject is a table taken from the schema, version 1.8.0: which attributes an object must have, of which it must
// have one, and which others it may have of those that are used here, with the object that each is.
type ocsfObject struct {
	required []string
	oneOf    []string
	may      map[string]*ocsfObject // nil: no object
	must     map[string]*ocsfObject // required, and an object
}

func plain(names ...string) map[string]*ocsfObject {
	m := map[string]*ocsfObject{}
	for _, name := range names {
		m[name] = nil
	}
	return m
}

func with(m map[string]*ocsfObject, more map[string]*ocsfObject) map[string]*ocsfObject {
	all := maps.Clone(m)
	maps.Copy(all, more)
	return all
}

func ocsfClasses() map[int]*ocsfObject {
	product := &ocsfObject{oneOf: []string{"name", "uid"}, may: plain("name", "uid", "vendor_name", "version")}
	user := &ocsfObject{oneOf: []string{"account", "name", "uid"}, may: plain("name", "uid", "email_addr", "full_name", "type_id")}
	session := &ocsfObject{may: plain("uid")}
	actor := &ocsfObject{
		oneOf: []string{"process", "user", "invoked_by", "session", "app_name", "app_uid"},
		may:   map[string]*ocsfObject{"user": user, "session": session, "app_name": nil},
	}
	endpoint := &ocsfObject{oneOf: []string{"ip", "uid", "name", "hostname", "svc_name", "domain"}, may: plain("ip")}
	named := &ocsfObject{oneOf: []string{"name", "uid"}, may: plain("name", "uid")}
	base := ocsfObject{
		required: []string{"activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time"},
		must: map[string]*ocsfObject{"metadata": {
			required: []string{"version"}, must: map[string]*ocsfObject{"product": product},
			may: plain("uid", "correlation_uid", "sequence", "event_code", "log_name", "log_version", "original_time", "tenant_uid"),
		}},
		may: with(plain("activity_name", "category_name", "class_name", "type_name", "severity", "status_id", "status", "status_code", "status_detail",
			"count", "message", "unmapped"),
			map[string]*ocsfObject{
				"actor": actor, "src_endpoint": endpoint, "http_request": {may: plain("uid", "user_agent")},
				"http_response": {required: []string{"code"}},
			}),
	}
	class := func(must, may map[string]*ocsfObject, oneOf ...string) *ocsfObject {
		return &ocsfObject{required: base.required, oneOf: oneOf, must: with(base.must, must), may: with(base.may, may)}
	}
	return map[int]*ocsfObject{
		3001: class(map[string]*ocsfObject{"user": user}, nil),
		3002: class(map[string]*ocsfObject{"user": user}, with(plain("account_switch_type", "account_switch_type_id"), map[string]*ocsfObject{
			"service": named, "session": session, "auth_factors": {required: []string{"factor_type_id"}, may: plain("factor_type")},
		}), "service", "dst_endpoint"),
		3004: class(map[string]*ocsfObject{"entity": {oneOf: []string{"name", "uid"}, may: plain("name", "uid", "type")}}, nil),
		6001: class(map[string]*ocsfObject{"web_resources": {oneOf: []string{"name", "uid"}, may: plain("name", "uid", "type", "desc")}}, nil),
		6002: class(map[string]*ocsfObject{"app": product}, nil),
	}
}

// ocsfCaptions are the activities of each class that are used here, by the names the schema gives them.
func ocsfCaptions() map[int]map[int]string {
	return map[int]map[int]string{
		3001: {3: "Password Change", 4: "Password Reset"},
		3002: {1: "Logon", 2: "Logoff", 6: "Preauth", 7: "Account Switch"},
		3004: {1: "Create", 3: "Update"},
		6001: {7: "Export"},
		6002: {3: "Start"},
	}
}

// check holds a value against the table.
func (o *ocsfObject) check(t *testing.T, where string, v any) {
	t.Helper()
	if list, ok := v.([]any); ok {
		for i, one := range list {
			o.check(t, fmt.Sprintf("%s[%d]", where, i), one)
		}
		if len(list) == 0 {
			t.Errorf("%s is empty", where)
		}
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		t.Errorf("%s is %v, want an object", where, v)
		return
	}
	for _, name := range slices.Concat(o.required, slices.Collect(maps.Keys(o.must))) {
		if m[name] == nil || m[name] == "" {
			t.Errorf("%s has no %s", where, name)
		}
	}
	if len(o.oneOf) > 0 && !slices.ContainsFunc(o.oneOf, func(name string) bool { return m[name] != nil && m[name] != "" }) {
		t.Errorf("%s has none of %v", where, o.oneOf)
	}
	for name, inner := range m {
		object, known := o.must[name]
		if !known {
			object, known = o.may[name]
		}
		if !known && !slices.Contains(o.required, name) {
			t.Errorf("%s has a %s, which the schema does not", where, name)
		}
		if object != nil {
			object.check(t, where+"."+name, inner)
		}
	}
}

func readOCSF(t *testing.T, file []byte) []map[string]any {
	t.Helper()
	var events []map[string]any
	for line := range bytes.Lines(file) {
		var ev map[string]any
		if err := json.Unmarshal(line, &ev); err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}

// Every action, in every phase and with every outcome, by somebody, by nobody and by the console, is an event of the schema.
func TestOCSFHoldsToTheSchema(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	full := deletion(acme, 1)
	for _, action := range audit.Actions() {
		for _, actor := range []audit.Actor{full.Actor, {Email: "typed@acme.example"}, {}, {System: true}} {
			for _, target := range []audit.Target{full.Target, {}} {
				for _, outcome := range append(audit.Outcomes(), "") {
					ev := audit.Event{OrganizationID: acme, Action: action, Actor: actor, Target: target, Outcome: outcome, Phase: audit.PhaseInfo}
					if outcome == "succeeded" {
						ev.HTTP, ev.Source, ev.RequestID, ev.Count = audit.HTTP{Status: 200}, full.Source, "r", 3
					}
					s.record(t, ev)
				}
			}
		}
	}
	s.recordHostile(t)
	if _, err := s.erase(t, acme, audit.Erasure{MemberID: full.Target.ID, Email: "typed@acme.example", Reason: "DPO-7"}); err != nil {
		t.Fatal(err)
	}
	classes, captions := ocsfClasses(), ocsfCaptions()
	events := readOCSF(t, s.export(t, audit.FormatOCSF, acme, audit.Filter{}))
	for i, ev := range events {
		class, activity := int(ev["class_uid"].(float64)), int(ev["activity_id"].(float64))
		table, ok := classes[class]
		if !ok {
			t.Fatalf("event %d: class %d is none of the table", i, class)
		}
		table.check(t, fmt.Sprintf("event %d of class %d", i, class), ev)
		if want := captions[class][activity]; activity != 99 && (want == "" || ev["activity_name"] != want) {
			t.Errorf("event %d: activity %d of class %d is called %v, want %q", i, activity, class, ev["activity_name"], want)
		}
		if got := int(ev["type_uid"].(float64)); got != class*100+activity {
			t.Errorf("event %d: type_uid %d", i, got)
		}
		if got := int(ev["category_uid"].(float64)); got != class/1000 {
			t.Errorf("event %d: category_uid %d", i, got)
		}
		if version := ev["metadata"].(map[string]any)["version"]; version != "1.8.0" {
			t.Errorf("event %d: version %v", i, version)
		}
		if t.Failed() {
			t.Fatalf("%v", ev)
		}
	}
	if want := len(audit.Actions())*4*2*7 + len(hostile()); len(events) < want+1 {
		t.Errorf("%d events, want %d and the erasure", len(events), want)
	}
}

// What a deleted password is, in the words that SIEMs search for.
func TestOCSFOfADeletion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	recorded := s.record(t, deletion(acme, 1))
	for _, outcome := range audit.Outcomes() {
		ev := deletion(acme, 1)
		ev.Outcome = outcome
		s.record(t, ev)
	}
	s.record(t, deletion(acme, 0))
	events := readOCSF(t, s.export(t, audit.FormatOCSF, acme, audit.Filter{}))
	first := events[0]
	for name, want := range map[string]any{
		"class_uid": 3001.0, "category_uid": 3.0, "activity_id": 4.0, "type_uid": 300104.0, "time": float64(recorded.Time.UnixMilli()),
		"status_id": 1.0, "severity_id": 1.0, "status_detail": "answer",
	} {
		if first[name] != want {
			t.Errorf("%s is %v, want %v", name, first[name], want)
		}
	}
	user, actor := first["user"].(map[string]any), first["actor"].(map[string]any)["user"].(map[string]any)
	if user["uid"] != "member-test-0" || actor["uid"] != "member-test-helpdesk" {
		t.Errorf("user %v, actor %v: want the target and who did it", user, actor)
	}
	for i, want := range []float64{1, 2, 2, 2, 99, 0, 99} {
		if got := events[i+1]["status_id"]; got != want {
			t.Errorf("status of %v is %v, want %v", events[i+1]["message"], got, want)
		}
	}
}
