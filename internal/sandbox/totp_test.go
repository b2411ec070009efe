package sandbox_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"orgconsole/internal/sandbox"
)

const (
	totpCreatePath = "/v1/b2b/totp"
	totpPath       = "/v1/b2b/totp/authenticate"
)

func (a *api) appCode(t *testing.T, secret string, at time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, a.clock.Now().Add(at))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestTOTPSignIn(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	tom := a.people(t)["tom@northwind.test"]
	status, o := a.call(t, "POST", signInPath, credentials(tom))
	if status != 200 || o.at("mfa_required.secondary_auth_initiated") != nil || o.text("mfa_required.member_options.totp_registration_id") == "" {
		t.Fatalf("%d %v", status, o["mfa_required"])
	}
	registration := o.text("mfa_required.member_options.totp_registration_id")
	body := a.begun(t, tom)
	code := a.inspect(t, tom.text("member_id")).text("totp_code")
	o = a.ok(t, totpPath, body.with("code", code))
	if diff := cmp.Diff(fields(secondFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	f := o.list("member_session.authentication_factors")[1]
	if f.text("type") != "totp" || f.text("delivery_method") != "authenticator_app" || f.text("authenticator_app_factor.totp_id") != registration {
		t.Errorf("%v", f)
	}

	// Each code is good once; the one that comes next is good already.
	body = a.begun(t, tom)
	a.refused(t, totpPath, body.with("code", code), 401, "totp_code_already_authenticated")
	if got := a.inspect(t, tom.text("member_id")).at("failures"); got != float64(0) {
		t.Errorf("a code that was used counts as wrong: %v", got)
	}
	next := a.inspect(t, tom.text("member_id")).text("totp_code")
	a.ok(t, totpPath, body.with("code", next))
	body = a.begun(t, tom)
	a.refused(t, totpPath, body.with("code", code), 401, "totp_code_already_authenticated") // older than the newest that was used
}

func TestTOTPEnrolment(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	nell := a.people(t)["nell@northwind.test"]
	body := a.begun(t, nell)
	a.refused(t, totpPath, body.with("code", "123456"), 404, "totp_not_found")
	o := a.ok(t, totpCreatePath, body)
	if diff := cmp.Diff(fields("request_id status_code member_id member organization totp_registration_id secret qr_code recovery_codes"), keys(o)); diff != "" {
		t.Error(diff)
	}
	if got, _ := o.at("recovery_codes").([]any); len(got) != 10 {
		t.Errorf("%d recovery codes", len(got))
	}
	encoded, ok := strings.CutPrefix(o.text("qr_code"), "data:image/png;base64,")
	picture, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !ok {
		t.Fatal(o.text("qr_code"), err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
	if o.text("member.totp_registration_id") != "" {
		t.Error("registered before it was confirmed")
	}
	secret, registration := o.text("secret"), o.text("totp_registration_id")
	codes, _ := o.at("recovery_codes").([]any)

	a.refused(t, totpCreatePath, body, 400, "pending_totp_exists")
	a.refused(t, totpPath, body.with("code", other(a.appCode(t, secret, 0))), 401, "unable_to_authenticate_totp")
	a.refused(t, totpPath, body.with("code", codes[3]), 400, "recovery_code_used_as_totp_code")
	if got := a.inspect(t, nell.text("member_id")).at("failures"); got != float64(1) {
		t.Errorf("failures %v", got)
	}

	o = a.ok(t, totpPath, body.with("code", a.appCode(t, secret, 0)))
	for key, want := range map[string]any{"totp_registration_id": registration, "mfa_enrolled": true, "default_mfa_method": "totp"} {
		if got := o.at("member." + key); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	a.refused(t, totpCreatePath, object{"organization_id": "northwind", "member_id": nell.text("member_id"), "session_token": o.text("session_token")}, 400, "active_totp_exists")
	a.ok(t, totpPath, a.begun(t, nell).with("code", a.appCode(t, secret, 30*time.Second)))
}

func TestTOTPCreateRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	sorensen, nell := people["sms@northwind.test"], people["nell@northwind.test"]
	nelson := a.begun(t, nell)
	tests := []struct {
		name      string
		body      object
		status    int
		errorType string
	}{
		{"too short", nelson.with("expiration_minutes", 4), 400, "bad_request"},
		{"too long", nelson.with("expiration_minutes", 1441), 400, "bad_request"},
		{"two sessions", nelson.with("session_jwt", "x"), 400, "too_many_session_arguments"},
		{"besides a phone that was not shown", a.begun(t, sorensen), 401, "insufficient_factors"},
		{"besides a phone, without a session", object{"organization_id": "northwind", "member_id": sorensen.text("member_id")}, 401, "insufficient_factors"},
		{"invited", object{"organization_id": "acme", "member_id": people["ilse@acme.example"].text("member_id")}, 400, "action_available_only_for_active_members"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, o := a.call(t, "POST", totpCreatePath, tt.body)
			wantError(t, status, o, tt.status, tt.errorType)
		})
	}
}

// With the phone shown, an app may be added; it is a factor of the same session then.
func TestTOTPBesidesPhone(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	sorensen := a.people(t)["sms@northwind.test"]
	body := a.begun(t, sorensen)
	_, o := a.call(t, "POST", smsPath, body.with("code", a.sms(t, "+15005550007")))
	body = object{"organization_id": "northwind", "member_id": sorensen.text("member_id"), "session_token": o.text("session_token")}
	o = a.ok(t, totpCreatePath, body)
	o = a.ok(t, totpPath, body.with("code", a.appCode(t, o.text("secret"), 0)))
	if o.text("member.default_mfa_method") != "sms_otp" || len(o.list("member_session.authentication_factors")) != 3 {
		t.Errorf("%v", o)
	}
	o = a.ok(t, totpPath, body.with("code", a.inspect(t, sorensen.text("member_id")).text("totp_code"), "set_default_mfa", true))
	if got := o.text("member.default_mfa_method"); got != "totp" {
		t.Errorf("default %q", got)
	}
}

func TestTOTPClock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		drift  time.Duration
		status int
	}{
		{"now", 0, 200},
		{"a period behind", -30 * time.Second, 200},
		{"a period ahead", 30 * time.Second, 200},
		{"two behind", -60 * time.Second, 401},
		{"two ahead", 60 * time.Second, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: 10})
			body := a.begun(t, a.people(t)["nell@northwind.test"])
			_, o := a.call(t, "POST", totpCreatePath, body)
			status, o := a.call(t, "POST", totpPath, body.with("code", a.appCode(t, o.text("secret"), tt.drift)))
			if status != tt.status {
				t.Errorf("%d %v", status, o)
			}
		})
	}
}

func TestTOTPPendingExpires(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	nell := a.people(t)["nell@northwind.test"]
	body := a.begun(t, nell)
	_, begun := a.call(t, "POST", totpCreatePath, body.with("expiration_minutes", 5))
	a.clock.advance(5 * time.Minute)
	a.refused(t, totpPath, body.with("code", a.appCode(t, begun.text("secret"), 0)), 404, "totp_not_found")
	a.ok(t, totpCreatePath, body)
}

func TestTOTPFollowsFromSeed(t *testing.T) {
	t.Parallel()
	codes := func(seed int64) []any {
		a := start(t, sandbox.Options{OrgSize: 10, Seed: seed})
		o := a.inspect(t, a.people(t)["tom@northwind.test"].text("member_id"))
		recovery, _ := o.at("recovery_codes").([]any)
		return append([]any{o.text("totp_code")}, recovery...)
	}
	if diff := cmp.Diff(codes(7), codes(7)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(codes(7), codes(8)) {
		t.Error("another seed gives the same codes")
	}
}
