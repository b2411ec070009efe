package sandbox_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const impersonatePath = "/v1/b2b/impersonation/authenticate"

func TestImpersonation(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60, RedirectURL: "http://127.0.0.1:8080/authenticate"})
	people := a.people(t)
	tom := people["tom@northwind.test"] // of whom a second factor is demanded
	minted := a.steer(t, "POST", "impersonations", object{"member_id": tom.text("member_id")})
	u, err := url.Parse(minted.text("url"))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"stytch_token_type": {"multi_tenant_impersonation"}, "slug": {"northwind"}, "token": {minted.text("token")}}
	if diff := cmp.Diff(want, u.Query()); diff != "" || u.Host+u.Path != "127.0.0.1:8080/authenticate" {
		t.Error(u, diff)
	}

	o := a.ok(t, impersonatePath, object{"impersonation_token": minted.text("token"), "session_duration_minutes": 480})
	if diff := cmp.Diff(fields(authFields), keys(o)); diff != "" {
		t.Error(diff)
	}
	f := o.list("member_session.authentication_factors")
	if o.at("member_authenticated") != true || o.text("member_id") != tom.text("member_id") || len(f) != 1 ||
		f[0].text("type") != "impersonated" || f[0].text("delivery_method") != "impersonation" ||
		f[0].text("impersonated_factor.impersonator_id") == "" || f[0].text("impersonated_factor.impersonator_email_address") == "" {
		t.Errorf("%v", o)
	}
	if got := o.text("member_session.expires_at"); got != "2026-03-01T13:00:00Z" {
		t.Errorf("expires %s", got)
	}
	token := o.text("session_token")
	a.refused(t, impersonatePath, object{"impersonation_token": minted.text("token")}, 401, "unable_to_auth_impersonation_token")

	a.ok(t, sessionPath, object{"session_token": token})
	a.refused(t, sessionPath, object{"session_token": token, "session_duration_minutes": 60}, 400, "session_not_mutable")
	named := object{"organization_id": "northwind", "member_id": tom.text("member_id"), "session_token": token}
	a.refused(t, totpPath, named.with("code", a.inspect(t, tom.text("member_id")).text("totp_code")), 400, "session_not_mutable")
	a.refused(t, signInPath, credentials(tom).with("session_token", token), 400, "session_not_mutable")
	a.clock.advance(time.Hour)
	a.refused(t, sessionPath, object{"session_token": token}, 404, "session_not_found")
}

func TestImpersonationRefusals(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 60})
	people := a.people(t)
	mint := func(email string) object {
		return object{"impersonation_token": a.steer(t, "POST", "impersonations", object{"member_id": people[email].text("member_id")}).text("token")}
	}
	a.refused(t, impersonatePath, object{}, 400, "bad_request")
	a.refused(t, impersonatePath, object{"impersonation_token": a.link(t, "acme", "ada@acme.example")}, 401, "unable_to_auth_impersonation_token")
	late := mint("ada@acme.example")
	a.clock.advance(5*time.Minute - time.Second)
	a.ok(t, impersonatePath, late)
	late = mint("ada@acme.example")
	a.clock.advance(5 * time.Minute)
	a.refused(t, impersonatePath, late, 401, "unable_to_auth_impersonation_token")
	for name, body := range map[string]object{
		"unknown": {"member_id": "member-test-x"}, "nobody": {}, "invited": {"member_id": people["ilse@acme.example"].text("member_id")},
		"deleted": {"member_id": people["dora@acme.example"].text("member_id")}, "misspelt": {"member": "x"},
	} {
		if status, o := a.control(t, "POST", "impersonations", body); status != 400 && status != 404 {
			t.Errorf("%s: %d %v", name, status, o)
		}
	}
}
