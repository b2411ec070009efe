package sandbox_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const recoverPath = "/v1/b2b/recovery_codes/recover"

func TestRecover(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	tom := a.people(t)["tom@northwind.test"]
	path := "/v1/b2b/recovery_codes/northwind/" + tom.text("member_id")
	status, o := a.call(t, "GET", path, nil)
	if status != 200 {
		t.Fatalf("%d %v", status, o)
	}
	if diff := cmp.Diff(fields("request_id status_code member_id member organization recovery_codes"), keys(o)); diff != "" {
		t.Error(diff)
	}
	codes, _ := o.at("recovery_codes").([]any)
	if len(codes) != 10 {
		t.Fatalf("%v", codes)
	}
	first, _ := codes[0].(string)
	o = a.ok(t, recoverPath, a.begun(t, tom).with("recovery_code", " "+strings.ToUpper(first)+" "))
	if diff := cmp.Diff(fields(secondFields+" recovery_codes_remaining"), keys(o)); diff != "" {
		t.Error(diff)
	}
	f := o.list("member_session.authentication_factors")[1]
	if o.at("recovery_codes_remaining") != float64(9) || f.text("type") != "recovery_codes" || f.text("recovery_code_factor.totp_recovery_code_id") == "" {
		t.Errorf("%v", o)
	}
	a.refused(t, recoverPath, a.begun(t, tom).with("recovery_code", first), 401, "unable_to_authenticate_recovery_code")

	_, o = a.call(t, "POST", "/v1/b2b/recovery_codes/rotate", object{"organization_id": "northwind", "member_id": tom.text("member_id")})
	rotated, _ := o.at("recovery_codes").([]any)
	_, o = a.call(t, "GET", path, nil)
	if diff := cmp.Diff(any(rotated), o.at("recovery_codes")); diff != "" || len(rotated) != 10 {
		t.Error(diff)
	}
	a.refused(t, recoverPath, a.begun(t, tom).with("recovery_code", codes[1]), 401, "unable_to_authenticate_recovery_code")
	a.ok(t, recoverPath, a.begun(t, tom).with("recovery_code", rotated[1]))
	// The app goes on working.
	a.ok(t, totpPath, a.begun(t, tom).with("code", a.inspect(t, tom.text("member_id")).text("totp_code")))
}

func TestRecoveryRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	people := a.people(t)
	sorensen, tom := people["sms@northwind.test"], people["tom@northwind.test"]
	const rotate, get = "/v1/b2b/recovery_codes/rotate", "/v1/b2b/recovery_codes/"
	tests := []struct {
		name, method, path string
		body               any
		status             int
		errorType          string
	}{
		{"no app", "POST", recoverPath, a.begun(t, sorensen).with("recovery_code", "x"), 404, "recovery_codes_not_found"},
		{"no code", "POST", recoverPath, a.begun(t, tom), 400, "bad_request"},
		{"no session", "POST", recoverPath, object{"organization_id": "northwind", "member_id": tom.text("member_id"), "recovery_code": "x"}, 400, "no_session_arguments"},
		{"rotate what is not there", "POST", rotate, object{"organization_id": "northwind", "member_id": sorensen.text("member_id")}, 404, "recovery_codes_not_found"},
		{"rotate a stranger's", "POST", rotate, object{"organization_id": "acme", "member_id": tom.text("member_id")}, 404, "member_not_found"},
		{"rotate nobody's", "POST", rotate, object{"organization_id": "acme"}, 400, "invalid_id"},
		{"get what is not there", "GET", get + "northwind/" + sorensen.text("member_id"), nil, 404, "recovery_codes_not_found"},
		{"get of another organization", "GET", get + "acme/" + tom.text("member_id"), nil, 404, "member_not_found"},
		{"get of no organization", "GET", get + "umbrella/" + tom.text("member_id"), nil, 404, "organization_not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, tt.method, tt.path, tt.body)
			wantError(t, status, o, tt.status, tt.errorType)
		})
	}
}
