package sandbox_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

const strengthPath = "/v1/b2b/passwords/strength_check"

func TestStrengthCheck(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 4})
	tests := []struct {
		password, email string
		valid           bool
		score           int
		breached        bool
		warning         bool
	}{
		{"x", "", false, 1, false, false},
		{"aaaaaaaaaaaaaaaa", "", false, 1, false, false},
		{"abcdefghijklmnop", "", false, 1, false, false},
		{"kvxmtq", "", false, 2, false, false},
		{"kvxmtqgr", "", true, 3, false, false},
		{"passwordkvx", "", false, 1, false, true},
		{"maxmoreaukvx", "maxmoreau@acme.example", false, 1, false, true},
		{"maxmoreaukvx", "", true, 4, false, false},
		{goodPassword, "max@acme.example", true, 4, false, false},
		{"Password123", "", false, 1, true, true},
		{"correct horse battery staple", "", false, 4, true, false},
	}
	for _, tt := range tests {
		o := a.ok(t, strengthPath, object{"password": tt.password, "email_address": tt.email})
		want := fields(`request_id status_code valid_password score breached_password strength_policy breach_detection_on_create zxcvbn_feedback luds_feedback`)
		if diff := cmp.Diff(want, keys(o)); diff != "" {
			t.Fatal(diff)
		}
		got := []any{o.at("valid_password"), o.at("score"), o.at("breached_password"), o.text("zxcvbn_feedback.warning") != ""}
		if diff := cmp.Diff([]any{tt.valid, float64(tt.score), tt.breached, tt.warning}, got); diff != "" || o.text("strength_policy") != "zxcvbn" {
			t.Errorf("%s %s: %v %s", tt.password, tt.email, o, diff)
		}
	}
	a.refused(t, strengthPath, object{"password": ""}, 400, "bad_request")

	a.steer(t, "PUT", "switches", object{"luds_passwords": true})
	o := a.ok(t, strengthPath, object{"password": "abc12"})
	want := object{
		"has_lower_case": true, "has_upper_case": false, "has_digit": true, "has_symbol": false, "missing_complexity": float64(1), "missing_characters": float64(3),
	}
	if diff := cmp.Diff(any(map[string]any(want)), o.at("luds_feedback")); diff != "" || o.text("strength_policy") != "luds" || o.at("valid_password") != false || o["zxcvbn_feedback"] != nil {
		t.Errorf("%v %s", o, diff)
	}
	if o := a.ok(t, strengthPath, object{"password": "Abcdef12"}); o.at("valid_password") != true {
		t.Errorf("%v", o)
	}
}
