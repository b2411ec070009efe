package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const (
	sendCodePath     = "/v1/b2b/otps/email/login_or_signup"
	codePath         = "/v1/b2b/otps/email/authenticate"
	sendFindCodePath = "/v1/b2b/otps/email/discovery/send"
	findCodePath     = "/v1/b2b/otps/email/discovery/authenticate"
)

// other is a code that is not the given one.
func other(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestEmailOTPRefuses(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	body := object{"organization_id": "acme", "email_address": "max@acme.example"}
	tests := []struct {
		name, path string
		body       object
		status     int
		errorType  string
	}{
		{"unknown person", sendCodePath, body.with("email_address", "nobody@acme.example"), 400, "email_jit_provisioning_not_allowed"},
		{"unknown organization", sendCodePath, body.with("organization_id", "umbrella"), 404, "organization_not_found"},
		{"codes not allowed", sendCodePath, object{"organization_id": "initech", "email_address": "ingrid@initech.test"}, 400, "operation_restricted_by_organization_auth_methods"},
		{"breakglass all the same", sendCodePath, object{"organization_id": "initech", "email_address": "bram@initech.test"}, 200, ""},
		{"no address", sendCodePath, body.with("email_address", ""), 400, "invalid_email"},
		{"too short", sendCodePath, body.with("login_expiration_minutes", 1), 400, "bad_request"},
		{"too long", sendCodePath, body.with("signup_expiration_minutes", 16), 400, "bad_request"},
		{"no code", codePath, body, 400, "bad_request"},
		{"none was sent", codePath, body.with("code", "123456"), 404, "otp_code_not_found"},
		{"nobody", codePath, body.with("code", "123456", "email_address", "nobody@acme.example"), 404, "member_not_found"},
		{"no organization", codePath, body.with("code", "123456", "organization_id", ""), 400, "invalid_organization_id"},
		{"discovery: no address", sendFindCodePath, object{"email_address": ""}, 400, "invalid_email"},
		{"discovery: too long", sendFindCodePath, object{"email_address": "a@b.example", "discovery_expiration_minutes": 16}, 400, "bad_request"},
		{"discovery: no code", findCodePath, object{"email_address": "a@b.example"}, 400, "bad_request"},
		{"discovery: none was sent", findCodePath, object{"email_address": "a@b.example", "code": "123456"}, 404, "otp_code_not_found"},
	}
	for _, tt := range tests {
		status, o := a.call(t, "POST", tt.path, tt.body)
		if status != tt.status || o.text("error_type") != tt.errorType {
			t.Errorf("%s: %d %v", tt.name, status, o)
		}
	}
}

func TestEmailOTP(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{})
	body := object{"organization_id": "acme", "email_address": "max@acme.example"}
	o := a.ok(t, sendCodePath, body)
	if diff := cmp.Diff(fields("request_id status_code member_id member organization member_created"), keys(o)); diff != "" {
		t.Error(diff)
	}
	sent := a.mail(t, "login_code")
	if sent.text("expires_at") != "2026-03-01T12:10:00Z" || sent.text("channel") != "email" || sent.text("url") != "" || len(sent.text("code")) != 6 {
		t.Errorf("%v", sent)
	}
	a.refused(t, codePath, body.with("code", sent.text("code"), "session_token", "0123456789012345678901234567890123456789abcd"), 404, "session_not_found")
	o = a.ok(t, codePath, body.with("code", sent.text("code")))
	if diff := cmp.Diff(fields(authFields+" method_id"), keys(o)); diff != "" || types(o) != "email_otp" || o.text("method_id") == "" {
		t.Errorf("%v %s", o, diff)
	}
	a.refused(t, codePath, body.with("code", sent.text("code")), 404, "otp_code_not_found")

	// Only the newest code is good, and only as long as it was said.
	a.ok(t, sendCodePath, body)
	old := a.mail(t, "login_code").text("code")
	fresh := old
	for fresh == old {
		a.ok(t, sendCodePath, body.with("login_expiration_minutes", 2))
		fresh = a.mail(t, "login_code").text("code")
	}
	a.refused(t, codePath, body.with("code", old), 401, "unable_to_auth_otp_code")
	a.clock.advance(2 * time.Minute)
	a.refused(t, codePath, body.with("code", fresh), 401, "unable_to_auth_otp_code")

	o = a.ok(t, sendCodePath, object{"organization_id": "acme", "email_address": "pavel@acme.example", "signup_expiration_minutes": 15})
	sent = a.mail(t, "login_code")
	if o.text("member.status") != "pending" || sent.text("expires_at") != "2026-03-01T12:17:00Z" {
		t.Errorf("%v %v", o, sent)
	}
	o = a.ok(t, codePath, object{"organization_id": "acme", "email_address": "pavel@acme.example", "code": sent.text("code")})
	if o.text("member.status") != "active" || o.at("member.email_address_verified") != true {
		t.Errorf("%v", o)
	}
}

// Wrong codes and wrong passwords are counted together.
func TestWrongCodesLock(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	moreau := a.people(t)["max@acme.example"]
	body := object{"organization_id": "acme", "email_address": "max@acme.example"}
	a.ok(t, sendCodePath, body)
	code := a.mail(t, "login_code").text("code")
	for range 5 {
		a.refused(t, codePath, body.with("code", other(code)), 401, "unable_to_auth_otp_code")
		a.refused(t, signInPath, credentials(moreau).with("password", "wrong"), 401, "unauthorized_credentials")
	}
	a.refused(t, codePath, body.with("code", code), 429, "user_lock_limit_reached")
	if a.member(t, "acme", "max@acme.example").at("is_locked") != true {
		t.Error("not locked")
	}
	a.steer(t, "POST", "members/"+moreau.text("member_id"), object{"lock_for": "0s"})
	a.ok(t, codePath, body.with("code", code))
}

func TestDiscoveryOTP(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	body := object{"email_address": "Max@acme.example"}
	o := a.ok(t, sendFindCodePath, body)
	if diff := cmp.Diff(fields("request_id status_code"), keys(o)); diff != "" {
		t.Error(diff)
	}
	code := a.mail(t, "discovery_code").text("code")
	a.refused(t, findCodePath, body.with("code", other(code)), 401, "unable_to_auth_otp_code")
	o = a.ok(t, findCodePath, object{"email_address": "max@acme.example", "code": code})
	if diff := cmp.Diff(fields("request_id status_code intermediate_session_token email_address discovered_organizations"), keys(o)); diff != "" {
		t.Error(diff)
	}
	if list := o.list("discovered_organizations"); len(list) != 1 || list[0].text("organization.organization_slug") != "acme" {
		t.Errorf("%v", o)
	}
	a.refused(t, findCodePath, body.with("code", code), 404, "otp_code_not_found")

	// A code dies of too many guesses: there is nobody to lock.
	a.ok(t, sendFindCodePath, body)
	code = a.mail(t, "discovery_code").text("code")
	for range 10 {
		a.refused(t, findCodePath, body.with("code", other(code)), 401, "unable_to_auth_otp_code")
	}
	a.refused(t, findCodePath, body.with("code", code), 404, "otp_code_not_found")

	a.ok(t, sendFindCodePath, body.with("discovery_expiration_minutes", 2))
	a.clock.advance(2 * time.Minute)
	a.refused(t, findCodePath, body.with("code", a.mail(t, "discovery_code").text("code")), 401, "unable_to_auth_otp_code")
}
