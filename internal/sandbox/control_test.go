package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

func TestControlWantsItsToken(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	for name, header := range map[string]string{
		"none": "", "project credentials": "basic", "wrong": "Bearer x", "empty": "Bearer ", "token without Bearer": a.info.ControlToken + "x",
	} {
		req := a.request(t, "GET", "/_sandbox/people", nil)
		if header != "basic" {
			req.Header.Set("Authorization", header)
		}
		if status, o := a.do(t, req); status != 401 || strings.Contains(fmt.Sprint(o), a.info.People[0].Email) {
			t.Errorf("%s: %d %v", name, status, o)
		}
	}
	for _, path := range []string{"/_sandbox", "/_sandbox/"} {
		req := a.request(t, "GET", path, nil)
		req.Header.Set("Authorization", "Bearer "+a.info.ControlToken)
		if status, o := a.do(t, req); status != 200 || len(o.list("control")) == 0 || len(o.list("endpoints")) == 0 {
			t.Errorf("%s: %d %v", path, status, o)
		}
	}
}

func TestControlRefuses(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	member := "members/" + a.people(t)["ada@acme.example"].text("member_id")
	tests := []struct {
		name, method, path, body string
		status                   int
	}{
		{"no such route", "GET", "nothing", "", 404},
		{"method", "PATCH", "faults", "", 405},
		{"fault", "POST", "faults", `{"endpoint":"*","kind":"explode"}`, 400},
		{"fault that is no JSON", "PUT", "faults", `x`, 400},
		{"no such fault", "DELETE", "faults/fault-9", "", 404},
		{"switch", "PUT", "switches", `{"totals":true}`, 400},
		{"switch value", "PUT", "switches", `{"totals_off":"yes"}`, 400},
		{"negative latency", "PUT", "switches", `{"latency":"-1s"}`, 400},
		{"long latency", "PUT", "switches", `{"latency":"2m"}`, 400},
		{"journal since", "GET", "journal?since=x", "", 400},
		{"journal endpoint", "GET", "journal?endpoint=x", "", 400},
		{"no such member", "GET", "members/member-test-x", "", 404},
		{"change of no such member", "POST", "members/member-test-x", `{}`, 404},
		{"member field", "POST", member, `{"email":"x"}`, 400},
		{"member status", "POST", member, `{"status":"gone"}`, 400},
		{"member lock", "POST", member, `{"lock_for":"-1h"}`, 400},
		{"member password", "POST", member, `{"password":""}`, 400},
		{"member password and none", "POST", member, `{"password":"x","delete_password":true}`, 400},
		{"member roles", "POST", member, `{"roles":["stytch_member"]}`, 400},
		{"session of no such member", "POST", "sessions", `{"member_id":"x"}`, 404},
		{"session length", "POST", "sessions", `{"member_id":"x","expires_in":"-1s"}`, 400},
		{"no such session", "DELETE", "sessions/x", "", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.control(t, tt.method, tt.path, tt.body)
			if status != tt.status || o.text("error") == "" {
				t.Errorf("%d %v", status, o)
			}
		})
	}
}

func TestControlFaults(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	first := a.steer(t, "POST", "faults", `{"endpoint":"debug.whoami","kind":"server_error"}`).list("faults")[0].text("id")
	a.steer(t, "POST", "faults", `[{"endpoint":"debug.whoami","kind":"rate_limit"},{"endpoint":"*","kind":"latency","duration":"1ms"}]`)
	if status, _ := a.call(t, "GET", "/v1/debug/whoami", nil); status != 500 {
		t.Errorf("the first does not win: %d", status)
	}
	if left := a.steer(t, "DELETE", "faults/"+first, nil).list("faults"); len(left) != 2 {
		t.Errorf("%v", left)
	}
	if status, _ := a.call(t, "GET", "/v1/debug/whoami", nil); status != 429 {
		t.Errorf("%d", status)
	}
	// What GET answers can be put back.
	before := a.steer(t, "GET", "faults", nil)
	if again := a.steer(t, "PUT", "faults", before).list("faults"); len(again) != 2 {
		t.Errorf("%v", again)
	}
	if left := a.steer(t, "DELETE", "faults", nil).list("faults"); len(left) != 0 {
		t.Errorf("%v", left)
	}
	if status, _ := a.call(t, "GET", "/v1/debug/whoami", nil); status != 200 {
		t.Errorf("%d", status)
	}
}

func TestControlSwitches(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4, CrossOrgPasswords: true, Latency: 1})
	want := object{
		"cross_org_passwords": true, "totals_off": false, "enumeration_protection": false, "console_resources_off": false, "luds_passwords": false, "latency": "1ns",
	}
	if diff := cmp.Diff(want, a.steer(t, "GET", "switches", nil)); diff != "" {
		t.Error(diff)
	}
	want["totals_off"], want["latency"] = true, "2ms"
	if diff := cmp.Diff(want, a.steer(t, "PUT", "switches", object{"totals_off": true, "latency": "2ms"})); diff != "" {
		t.Error(diff)
	}
}

func TestControlMember(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	moreau := a.people(t)["max@acme.example"]
	path := "members/" + moreau.text("member_id")
	read := func() object {
		_, o := a.call(t, "GET", "/v1/b2b/organizations/acme/member?member_id="+moreau.text("member_id"), nil)
		return o
	}
	changed := a.steer(t, "POST", path, object{"password": "a new one", "name": "Max Changed", "roles": []string{"helpdesk"}, "lock_for": "1h"})
	id := changed.text("member.member_password_id")
	if id == moreau.text("member_password_id") || !strings.HasPrefix(id, "member-password-test-") {
		t.Errorf("password id %q", id)
	}
	o := read()
	if o.text("member.member_password_id") != id || o.text("member.name") != "Max Changed" || o.at("member.is_locked") != true {
		t.Errorf("%v", o.at("member"))
	}
	status, gone := a.call(t, "DELETE", passwordsPath+moreau.text("member_password_id"), nil)
	wantError(t, status, gone, 404, "member_password_not_found")
	a.steer(t, "POST", path, object{"lock_for": "0s"})
	if o := read(); o.at("member.is_locked") != false {
		t.Error("still locked")
	}
	status, o = a.call(t, "POST", signInPath, credentials(moreau).with("password", "a new one"))
	if status != 200 || len(o.at("member_session.roles").([]any)) != 2 { //nolint:forcetypeassert // a test
		t.Errorf("%d %v", status, o)
	}
	if status, o := a.call(t, "DELETE", passwordsPath+id, nil); status != 200 {
		t.Errorf("%d %v", status, o)
	}
	if o := a.steer(t, "POST", path, object{"status": "deleted"}); len(o.list("sessions")) != 0 {
		t.Errorf("%v", o)
	}
	status, o = a.call(t, "GET", "/v1/b2b/organizations/acme/member?member_id="+moreau.text("member_id"), nil)
	wantError(t, status, o, 404, "member_not_found")
	if got := len(a.all(t, "acme", 1000)); got != 249 {
		t.Errorf("%d members", got)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	hiro := a.people(t)["hiro@acme.example"]
	token, jwt, sessionID := a.session(t, hiro.text("member_id"))
	const pin = "correct horse battery"
	a.call(t, "POST", signInPath, credentials(hiro).with("password", pin, "session_token", token))
	a.call(t, "DELETE", passwordsPath+hiro.text("member_password_id")+"?token="+token, nil, acting, token, "X-Trace", "7")
	a.call(t, "POST", sessionPath, object{"session_jwt": jwt}, actingJWT, jwt)
	a.call(t, "POST", "/v1/b2b/sessions/revoke", `not JSON, `+token, acting, "malformed token")
	wrong := a.request(t, "GET", "/v1/nothing", nil)
	wrong.SetBasicAuth("somebody", "something secret")
	a.do(t, wrong)

	status, o := a.control(t, "GET", "journal", nil)
	list := o.list("requests")
	if status != 200 || len(list) != 5 {
		t.Fatalf("%d, %d requests", status, len(list))
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, jwt, pin, a.info.Secret, "something secret", "somebody", "malformed token", hiro.text("password")} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the journal tells %q", secret)
		}
	}
	for _, entry := range list {
		for _, header := range []string{"Authorization", acting, "X-Stytch-Member-Sessionjwt"} {
			if entry.at("headers."+header) != nil {
				t.Errorf("the journal keeps the header %s", header)
			}
		}
	}
	signIn, remove, check, garbled, nowhere := list[0], list[1], list[2], list[3], list[4]
	if diff := cmp.Diff(any(map[string]any{
		"organization_id": "acme", "email_address": "hiro@acme.example", "password": "[redacted]", "session_token": "[redacted]",
	}), signIn["body"]); diff != "" {
		t.Error(diff)
	}
	if signIn.at("status") != float64(401) || signIn.text("error_type") != "unauthorized_credentials" || signIn.text("endpoint") != "passwords.authenticate" {
		t.Errorf("%v", signIn)
	}
	wantSession := []any{map[string]any{"header": acting, "session_id": sessionID, "member_id": hiro.text("member_id")}}
	if diff := cmp.Diff(any(wantSession), remove["session"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(any(map[string]any{"user": a.info.ProjectID, "valid": true}), remove["authorization"]); diff != "" {
		t.Error(diff)
	}
	if remove.text("method") != http.MethodDelete || remove.text("path") != passwordsPath+hiro.text("member_password_id") ||
		fmt.Sprint(remove.at("headers.X-Trace")) != "[7]" || fmt.Sprint(remove.at("query.token")) != "[[redacted]]" || remove["body"] != nil {
		t.Errorf("%v", remove)
	}
	if check.list("session")[0].text("session_id") != sessionID || check.text("request_id") == "" || check.at("done") != true {
		t.Errorf("%v", check)
	}
	if garbled.list("session")[0].text("session_id") != "" || !strings.Contains(garbled.text("body"), "not JSON") {
		t.Errorf("%v", garbled)
	}
	if nowhere.text("endpoint") != "" || nowhere.at("authorization.valid") != false || nowhere.at("status") != float64(404) {
		t.Errorf("%v", nowhere)
	}

	if got := a.steer(t, "GET", "journal?endpoint=members.delete_password", nil).list("requests"); len(got) != 1 {
		t.Errorf("%d deletes", len(got))
	}
	if got := a.steer(t, "GET", fmt.Sprintf("journal?since=%v", check["seq"]), nil).list("requests"); len(got) != 2 {
		t.Errorf("%d since", len(got))
	}
	a.steer(t, "DELETE", "journal", nil)
	if got := a.steer(t, "GET", "journal", nil).list("requests"); len(got) != 0 {
		t.Errorf("%d after clearing", len(got))
	}
}

// Many callers at once: one of them deletes the password, whoever it is.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	paula := people["paula@acme.example"]
	token, _, _ := a.session(t, people["hiro@acme.example"].text("member_id"))
	acme := a.organizationID(t, "acme")
	var wg sync.WaitGroup
	deleted := make([]int, 8)
	for i := range deleted {
		wg.Go(func() {
			deleted[i], _ = a.call(t, "DELETE", passwordsPath+paula.text("member_password_id"), nil, acting, token)
		})
		wg.Go(func() { a.call(t, "POST", searchPath, object{"organization_ids": []string{acme}}, acting, token) })
		wg.Go(func() { a.call(t, "POST", signInPath, credentials(people["max@acme.example"])) })
		wg.Go(func() { a.call(t, "POST", sessionPath, object{"session_token": token}) })
		wg.Go(func() { a.control(t, "GET", "journal", nil) })
		wg.Go(func() { a.control(t, "POST", "faults", object{"endpoint": "debug.whoami", "kind": "server_error"}) })
		wg.Go(func() { a.call(t, "GET", "/v1/debug/whoami", nil) })
	}
	wg.Wait()
	won := 0
	for _, status := range deleted {
		if status == 200 {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %v deleted the password", won, deleted)
	}
}
