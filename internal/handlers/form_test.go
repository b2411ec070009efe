package handlers_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/handlers"
)

type shown struct{ Kind, Target string }

func TestSealedForm(t *testing.T) {
	t.Parallel()
	oldKey := newKey(t)
	s := newSite(t, func(o *siteOptions) { o.keys = [][]byte{oldKey} })
	rotated := s.with(t, func(d *handlers.Deps) { d.Config.SessionKeys = [][]byte{newKey(t), oldKey} })
	want := shown{"delete", "member-test-1"}
	token, err := s.server.SealForm(want)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(token, "member-test-1") {
		t.Error("the form can be read")
	}
	open := func(server *site, token string) error {
		t.Helper()
		var got shown
		err := server.server.OpenForm(token, &got)
		if err == nil && got != want {
			t.Errorf("opened %+v, want %+v", got, want)
		}
		return err
	}
	if err := open(s, token); err != nil {
		t.Errorf("fresh: %v", err)
	}
	if err := open(rotated, token); err != nil {
		t.Errorf("sealed with the older key: %v", err)
	}
	for name, bad := range map[string]string{"empty": "", "nonsense": "x", "changed": flip(token), "cut": token[:len(token)-4], "long": strings.Repeat("A", 20_000)} {
		if err := open(s, bad); !errors.Is(err, handlers.ErrFormInvalid) {
			t.Errorf("%s: %v, want ErrFormInvalid", name, err)
		}
	}
	if err := open(newSite(t), token); !errors.Is(err, handlers.ErrFormInvalid) {
		t.Errorf("another console's: %v, want ErrFormInvalid", err)
	}
	s.clock.add(time.Hour)
	if err := open(s, token); err != nil {
		t.Errorf("after an hour: %v", err)
	}
	s.clock.add(time.Second)
	if err := open(s, token); !errors.Is(err, handlers.ErrFormExpired) {
		t.Errorf("after more than an hour: %v, want ErrFormExpired", err)
	}
	if _, err := s.server.SealForm(strings.Repeat("x", 10_000)); err == nil {
		t.Error("a form that no page could send back was sealed")
	}
}

// A value in the address is no field of a form.
func TestFormFieldsAreReadFromTheBodyAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.someone("ada@acme.example")
	b := s.browser()
	query := loginForm(ada).Encode()
	b.post("/login/password?"+query, url.Values{}).wantStatus(http.StatusUnprocessableEntity)
	if n := len(s.calls("passwords.authenticate")); n != 0 {
		t.Errorf("%d sign-ins upstream, want none", n)
	}
}
