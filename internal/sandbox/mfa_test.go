package sandbox_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const (
	smsSendPath = "/v1/b2b/otps/sms/send"
	smsPath     = "/v1/b2b/otps/sms/authenticate"
)

// begun is a sign-in that wants a second factor: the fields that name it in the next call.
func (a *api) begun(t *testing.T, person object) object {
	t.Helper()
	status, o := a.call(t, "POST", signInPath, credentials(person))
	if status != 200 || o["mfa_required"] == nil {
		t.Fatalf("%s: %d %v", person.text("email"), status, o)
	}
	return object{
		"organization_id": o.text("organization_id"), "member_id": o.text("member_id"),
		"intermediate_session_token": o.text("intermediate_session_token"),
	}
}

// signedIn is a live session of a person, named in the same way.
func (a *api) signedIn(t *testing.T, person object) object {
	t.Helper()
	token, _, _ := a.session(t, person.text("member_id"))
	return object{"organization_id": person.text("organization_id"), "member_id": person.text("member_id"), "session_token": token}
}

// sms is the newest code that went to a phone.
func (a *api) sms(t *testing.T, phone string) string {
	t.Helper()
	code := ""
	for _, m := range a.mails(t) {
		if m.text("channel") == "sms" && m.text("to") == phone {
			code = m.text("code")
		}
	}
	if len(code) != 6 {
		t.Fatalf("no code for %s", phone)
	}
	return code
}

func (a *api) inspect(t *testing.T, id string) object {
	t.Helper()
	return a.steer(t, "GET", "members/"+id, nil)
}

const secondFields = "request_id status_code member_id member organization member_session session_token session_jwt member_device"

func TestSMSSignIn(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	sorensen := a.people(t)["sms@northwind.test"]
	status, o := a.call(t, "POST", signInPath, credentials(sorensen))
	if status != 200 || o.text("mfa_required.secondary_auth_initiated") != "sms_otp" {
		t.Fatalf("%d %v", status, o)
	}
	body := object{
		"organization_id": "northwind", "member_id": o.text("member_id"), "intermediate_session_token": o.text("intermediate_session_token"),
	}
	phone := o.text("mfa_required.member_options.mfa_phone_number")
	first := a.sms(t, phone)
	o = a.ok(t, smsSendPath, body)
	if diff := cmp.Diff(fields("request_id status_code member_id member organization"), keys(o)); diff != "" {
		t.Error(diff)
	}
	second := a.sms(t, phone)
	if first != second { // a new code kills the old one
		a.refused(t, smsPath, body.with("code", first), 401, "unable_to_auth_otp_code")
	}
	o = a.ok(t, smsPath, body.with("code", second, "session_duration_minutes", 30))
	if diff := cmp.Diff(fields(secondFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	var types []string
	for _, f := range o.list("member_session.authentication_factors") {
		types = append(types, f.text("type")+" "+f.text("delivery_method")+" "+f.text("phone_number_factor.phone_number"))
	}
	if diff := cmp.Diff([]string{"password knowledge ", "otp sms " + phone}, types); diff != "" {
		t.Error(diff)
	}
	if got := o.text("member_session.expires_at"); got != "2026-03-01T12:30:00Z" {
		t.Errorf("expires %s", got)
	}
	a.ok(t, sessionPath, object{"session_token": o.text("session_token")})
	// The intermediate session is used up.
	a.refused(t, smsSendPath, body, 404, "intermediate_session_not_found")
}

func TestSMSCodeLifetime(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	sorensen := a.people(t)["sms@northwind.test"]
	body := a.begun(t, sorensen)
	phone := a.inspect(t, sorensen.text("member_id")).text("member.mfa_phone_number")
	code := a.sms(t, phone)
	a.clock.advance(2 * time.Minute)
	a.refused(t, smsPath, body.with("code", code), 401, "unable_to_auth_otp_code")

	a.call(t, "POST", smsSendPath, body)
	a.clock.advance(2*time.Minute - time.Second)
	a.ok(t, smsPath, body.with("code", a.sms(t, phone)))

	// The code is used up as well: a session takes no second look at it.
	a.refused(t, smsPath, a.signedIn(t, sorensen).with("code", code), 404, "otp_code_not_found")

	body = a.begun(t, sorensen)
	a.clock.advance(10 * time.Minute)
	a.refused(t, smsSendPath, body, 404, "intermediate_session_not_found")
}

func TestSMSRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	people := a.people(t)
	sorensen, nell, tom, pavel := people["sms@northwind.test"], people["nell@northwind.test"], people["tom@northwind.test"], people["pavel@acme.example"]
	begunSorensen, begunNell, begunTom := a.begun(t, sorensen), a.begun(t, nell), a.begun(t, tom)
	named := func(p object) object {
		return object{"organization_id": p.text("organization_id"), "member_id": p.text("member_id")}
	}
	a.steer(t, "POST", "members/"+people["luis@acme.example"].text("member_id"), object{"lock_for": "1h"})
	tests := []struct {
		name, path string
		body       object
		status     int
		errorType  string
	}{
		{"no organization", smsSendPath, begunSorensen.with("organization_id", ""), 400, "invalid_organization_id"},
		{"no member", smsSendPath, begunSorensen.with("member_id", ""), 400, "invalid_id"},
		{"unknown member", smsSendPath, begunSorensen.with("member_id", "nobody"), 404, "member_not_found"},
		{"deleted", smsSendPath, named(people["dora@acme.example"]), 404, "member_not_found"},
		{"member of another organization", smsSendPath, begunSorensen.with("organization_id", "acme"), 404, "member_not_found"},
		{"another's intermediate session", smsSendPath, begunSorensen.with("member_id", nell.text("member_id")), 400, "invalid_intermediate_session_token_for_organization"},
		{"another's session", smsSendPath, a.signedIn(t, sorensen).with("member_id", nell.text("member_id")), 404, "session_not_found"},
		{"two sessions", smsSendPath, begunSorensen.with("session_token", strings.Repeat("a", 44)), 400, "too_many_session_arguments"},
		{"dead session", smsSendPath, named(sorensen).with("session_token", strings.Repeat("a", 44)), 404, "session_not_found"},
		{"no session at all", smsSendPath, named(sorensen), 400, "no_session_arguments"},
		{"another number", smsSendPath, begunSorensen.with("mfa_phone_number", "+15005550009"), 400, "duplicate_member_phone_number_for_member"},
		{"no number", smsSendPath, begunNell, 404, "member_phone_number_not_found"},
		{"number that is none", smsSendPath, begunNell.with("mfa_phone_number", "0170 1234567"), 400, "invalid_phone_number"},
		{"a second factor besides one not shown", smsSendPath, begunTom.with("mfa_phone_number", "+15005550009"), 401, "insufficient_factors"},
		{"the same without a session", smsSendPath, named(tom).with("mfa_phone_number", "+15005550009"), 401, "insufficient_factors"},
		{"session without the second factor", smsSendPath, a.signedIn(t, tom).with("mfa_phone_number", "+15005550009"), 401, "insufficient_factors"},
		{"pending member", smsSendPath, named(pavel).with("mfa_phone_number", "+15005550009"), 400, "action_available_only_for_active_members"},
		{"locked member", smsSendPath, named(people["luis@acme.example"]), 429, "user_lock_limit_reached"},

		{"check without a session", smsPath, named(sorensen).with("code", "123456"), 400, "no_session_arguments"},
		{"check with two sessions", smsPath, begunSorensen.with("code", "123456", "session_jwt", "x"), 400, "too_many_session_arguments"},
		{"no code", smsPath, begunSorensen, 400, "bad_request"},
		{"no code was sent", smsPath, begunNell.with("code", "123456"), 404, "otp_code_not_found"},
		{"enrolment that is none", smsPath, begunSorensen.with("code", "123456", "set_mfa_enrollment", "maybe"), 400, "bad_request"},
		{"locked", smsPath, named(people["luis@acme.example"]).with("code", "123456", "session_token", strings.Repeat("a", 44)), 429, "user_lock_limit_reached"},
		{"short session", smsPath, begunSorensen.with("code", "123456", "session_duration_minutes", 1), 400, "invalid_session_duration_minutes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a.refused(t, tt.path, tt.body, tt.status, tt.errorType)
		})
	}
}

// Whoever gives a phone number proves it with the code that goes there; only then is it the member's.
func TestSMSEnrolment(t *testing.T) {
	t.Parallel()
	const phone = "+15005550042"
	tests := []struct {
		name, email string
		extra       object
		enrolled    bool
	}{
		{"organization demands it", "nell@northwind.test", object{}, true},
		{"organization demands it, whatever is asked", "nell@northwind.test", object{"set_mfa_enrollment": "unenroll"}, true},
		{"by choice", "hiro@acme.example", object{"set_mfa_enrollment": "enroll"}, true},
		{"without enrolling", "hiro@acme.example", object{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: 10})
			person := a.people(t)[tt.email]
			body := a.signedIn(t, person)
			if tt.email == "nell@northwind.test" {
				body = a.begun(t, person)
			}
			o := a.ok(t, smsSendPath, body.with("mfa_phone_number", phone))
			if got := o.text("member.mfa_phone_number"); got != "" {
				t.Errorf("stored before it was proven: %q", got)
			}
			extra := body.with("code", a.sms(t, phone))
			maps.Copy(extra, tt.extra)
			o = a.ok(t, smsPath, extra)
			want := object{
				"mfa_phone_number": phone, "mfa_phone_number_verified": true, "mfa_enrolled": tt.enrolled, "default_mfa_method": "sms_otp",
				"updated_at": "2026-03-01T12:00:00Z",
			}
			for key, value := range want {
				if got := o.at("member." + key); got != value {
					t.Errorf("%s: %v, want %v", key, got, value)
				}
			}
			// The next sign-in asks for it, where it is to.
			if tt.enrolled {
				o = a.ok(t, signInPath, credentials(person))
				if o.text("mfa_required.member_options.mfa_phone_number") != phone || o.text("mfa_required.secondary_auth_initiated") != "sms_otp" {
					t.Errorf("%v", o["mfa_required"])
				}
			}
		})
	}
}

func TestSecondFactorWithSession(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	sorensen := a.people(t)["sms@northwind.test"]
	body := a.signedIn(t, sorensen)
	before := a.inspect(t, sorensen.text("member_id")).list("sessions")
	a.call(t, "POST", smsSendPath, body)
	o := a.ok(t, smsPath, body.with("code", a.sms(t, "+15005550007")))
	if o.text("session_token") != body.text("session_token") || len(o.list("member_session.authentication_factors")) != 2 {
		t.Errorf("%v", o["member_session"])
	}
	if after := a.inspect(t, sorensen.text("member_id")).list("sessions"); len(after) != len(before) {
		t.Errorf("%d sessions, then %d", len(before), len(after))
	}
}

// Wrong codes of every kind lock, like wrong passwords.
func TestWrongSecondFactorsLock(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		email, path, field, wrong, errorType string
	}{
		"sms":      {"sms@northwind.test", smsPath, "code", "", "unable_to_auth_otp_code"},
		"totp":     {"tom@northwind.test", totpPath, "code", "", "unable_to_authenticate_totp"},
		"recovery": {"tom@northwind.test", recoverPath, "recovery_code", "aaaa-bbbb-cccc", "unable_to_authenticate_recovery_code"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: 10})
			person := a.people(t)[tt.email]
			body := a.begun(t, person)
			wrong := tt.wrong
			switch name {
			case "sms":
				wrong = other(a.sms(t, "+15005550007"))
			case "totp":
				wrong = other(a.inspect(t, person.text("member_id")).text("totp_code"))
			}
			for range 10 {
				a.refused(t, tt.path, body.with(tt.field, wrong), 401, tt.errorType)
			}
			a.refused(t, tt.path, body.with(tt.field, wrong), 429, "user_lock_limit_reached")
			a.refused(t, signInPath, credentials(person), 429, "user_lock_limit_reached")
		})
	}
}

func TestMFAMethodsRestricted(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	people := a.people(t)
	sorensen, tom := people["sms@northwind.test"], people["tom@northwind.test"]
	a.steer(t, "POST", "organizations/northwind", object{"mfa_methods": []string{"totp"}})
	status, o := a.call(t, "POST", signInPath, credentials(sorensen))
	if status != 200 || o.at("mfa_required.secondary_auth_initiated") != nil {
		t.Errorf("%d %v", status, o["mfa_required"])
	}
	body := object{"organization_id": "northwind", "member_id": o.text("member_id"), "intermediate_session_token": o.text("intermediate_session_token")}
	const restricted = "operation_restricted_by_organization_mfa_methods"
	a.refused(t, smsSendPath, body, 400, restricted)
	a.refused(t, smsPath, body.with("code", "123456"), 400, restricted)

	a.steer(t, "POST", "members/"+sorensen.text("member_id"), object{"is_breakglass": true})
	a.ok(t, smsSendPath, body)

	a.steer(t, "POST", "organizations/northwind", object{"mfa_methods": []string{"sms_otp"}})
	body = a.begun(t, tom)
	for path, extra := range map[string]object{totpCreatePath: {}, totpPath: {"code": "123456"}, recoverPath: {"recovery_code": "x"}} {
		maps.Copy(extra, body)
		a.refused(t, path, extra, 400, restricted)
	}
}

// A second factor says nothing where the first was not one that the organization takes.
func TestSecondFactorBeforePrimary(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	sorensen := a.people(t)["sms@northwind.test"]
	body := a.begun(t, sorensen)
	a.steer(t, "POST", "organizations/northwind", object{"auth_methods": []string{"sso"}})
	for path, extra := range map[string]object{
		smsSendPath: {}, smsPath: {"code": a.sms(t, "+15005550007")}, totpCreatePath: {}, totpPath: {"code": "123456"}, recoverPath: {"recovery_code": "x"},
	} {
		maps.Copy(extra, body)
		a.refused(t, path, extra, 400, "action_available_only_once_primary_authentication_is_met")
	}
}

// What was begun before there was a second factor cannot be finished without showing the one that came in between.
func TestSecondFactorsBegunAtOnce(t *testing.T) {
	t.Parallel()
	const phone = "+15005550042"
	type finish func() (path string, body object)
	bySMS := func(t *testing.T, a *api, body object) finish {
		t.Helper()
		a.ok(t, smsSendPath, body.with("mfa_phone_number", phone))
		return func() (string, object) { return smsPath, body.with("code", a.sms(t, phone)) }
	}
	byApp := func(t *testing.T, a *api, body object) finish {
		t.Helper()
		secret := a.ok(t, totpCreatePath, body).text("secret")
		return func() (string, object) { return totpPath, body.with("code", a.appCode(t, secret, 0)) }
	}
	tests := map[string]struct {
		first, second func(*testing.T, *api, object) finish
	}{
		"phone, then app": {bySMS, byApp},
		"app, then phone": {byApp, bySMS},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, sandbox.Options{OrgSize: 10})
			nell := a.people(t)["nell@northwind.test"]
			first, second := tt.first(t, a, a.begun(t, nell)), tt.second(t, a, a.begun(t, nell))
			path, body := second()
			a.ok(t, path, body)
			path, body = first()
			a.refused(t, path, body, 401, "insufficient_factors")
		})
	}
}

func TestChangeOrganization(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	o := a.steer(t, "POST", "organizations/keystone", object{"auth_methods": []string{"sso"}, "mfa_methods": []string{"totp"}, "mfa_policy": "REQUIRED_FOR_ALL"})
	got := object{}
	for _, key := range fields("auth_methods allowed_auth_methods mfa_methods allowed_mfa_methods mfa_policy") {
		got[key] = o.at("organization." + key)
	}
	want := object{
		"auth_methods": "RESTRICTED", "allowed_auth_methods": []any{"sso"}, "mfa_methods": "RESTRICTED", "allowed_mfa_methods": []any{"totp"},
		"mfa_policy": "REQUIRED_FOR_ALL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o = a.steer(t, "POST", "organizations/keystone", object{"auth_methods": []string{}})
	if o.text("organization.auth_methods") != "ALL_ALLOWED" || o.text("organization.mfa_methods") != "RESTRICTED" {
		t.Errorf("%v", o)
	}
	for _, body := range []object{
		{"auth_methods": []string{"telepathy"}}, {"mfa_methods": []string{"sso"}}, {"mfa_policy": "SOMETIMES"}, {"name": "x"},
	} {
		if status, o := a.control(t, "POST", "organizations/keystone", body); status != 400 {
			t.Errorf("%v: %d %v", body, status, o)
		}
	}
	if status, _ := a.control(t, "POST", "organizations/umbrella", object{}); status != 404 {
		t.Errorf("unknown organization: %d", status)
	}
}

// A request that is lost on its way leaves everything as it was, whatever it was answered.
func TestDrySecondSteps(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	people := a.people(t)
	nell, tom, sorensen := people["nell@northwind.test"], people["tom@northwind.test"], people["sms@northwind.test"]
	appCode := a.inspect(t, tom.text("member_id")).text("totp_code")
	recovery, _ := a.inspect(t, tom.text("member_id")).at("recovery_codes").([]any)
	begunSorensen := a.begun(t, sorensen)
	minted := a.steer(t, "POST", "impersonations", object{"member_id": nell.text("member_id")})
	tests := []struct {
		endpoint, path string
		body, member   object
	}{
		{"otps.sms.authenticate", smsPath, begunSorensen.with("code", a.sms(t, "+15005550007")), sorensen},
		{"totp.create", totpCreatePath, a.begun(t, nell), nell},
		{"totp.authenticate", totpPath, a.begun(t, tom).with("code", appCode), tom},
		{"recovery_codes.recover", recoverPath, a.begun(t, tom).with("recovery_code", recovery[0]), tom},
		{"recovery_codes.rotate", "/v1/b2b/recovery_codes/rotate", object{"organization_id": "northwind", "member_id": tom.text("member_id")}, tom},
		{"sso.authenticate", ssoPath, object{"sso_token": a.ssoToken(t, "ada@acme.example")}, people["ada@acme.example"]},
		{"oauth.authenticate", oauthPath, object{"oauth_token": a.oauthToken(t, "google", "acme", "ada@acme.example")}, people["ada@acme.example"]},
		{"impersonation.authenticate", impersonatePath, object{"impersonation_token": minted.text("token")}, nell},
	}
	for _, tt := range tests {
		id := tt.member.text("member_id")
		before := a.inspect(t, id)
		a.steer(t, "POST", "faults", object{"endpoint": tt.endpoint, "kind": "wrong_member", "apply": "before", "times": 1})
		if o := a.ok(t, tt.path, tt.body); o.text("member_id") == id {
			t.Errorf("%s: the right member", tt.endpoint)
		}
		if diff := cmp.Diff(before, a.inspect(t, id)); diff != "" {
			t.Errorf("%s: %s", tt.endpoint, diff)
		}
		if o := a.ok(t, tt.path, tt.body); o.text("member_id") != id {
			t.Errorf("%s: another member", tt.endpoint)
		}
	}
	a.steer(t, "POST", "faults", object{"endpoint": "otps.sms.send", "kind": "wrong_member", "apply": "before", "times": 1})
	sent := len(a.mails(t))
	a.ok(t, smsSendPath, a.begun(t, sorensen)) // which sends one itself
	if got := len(a.mails(t)); got != sent+1 {
		t.Errorf("%d messages, then %d", sent, got)
	}
}
