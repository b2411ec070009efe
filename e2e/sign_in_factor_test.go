package e2e_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/pquerna/otp/totp"
)

func TestSecondFactors(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("text message", func(t *testing.T) {
		s := s.in(t)
		who := s.control.stranger("sms@northwind.test")
		mark := s.control.mark()
		b, p := s.firstFactor(who, "/account")
		p.says("h1", "Second factor")
		p.says("main", who.Email, "Northwind", "the phone that ends in 07")
		// It came with the password; the console asked for no second one.
		s.control.calls(mark, epSMS, 0)
		first := s.control.messages("sms_code", "+15005550007")
		if len(first) != 1 {
			t.Fatalf("%d text messages, want 1", len(first))
		}
		p = b.press(p, "Sign in", map[string]string{"code": wrongCode(first[0].Code)}).alert(http.StatusUnauthorized, "The code is wrong or too old")
		p = b.press(p, "Send another code", nil).wants(http.StatusOK)
		s.control.calls(mark, epSMS, 1)
		if in := b.press(p, "Sign in", map[string]string{"code": s.control.message("sms_code", "+15005550007").Code}).wants(http.StatusOK); in.url.Path != "/account" {
			t.Errorf("the code leads to %s", in.url)
		}
		b.wantIn(who.Email, "Northwind", "password, text message")
	})
	t.Run("authenticator app", func(t *testing.T) {
		s := s.in(t)
		who := s.control.stranger("tom@northwind.test")
		b, p := s.firstFactor(who, "/account")
		code := s.control.factors(who.MemberID).TOTPCode
		p = b.press(p, "Sign in", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "The code is wrong")
		p = b.press(p, "Sign in", map[string]string{"code": " "}).alert(http.StatusUnprocessableEntity, "Fill in the code")
		b.press(p, "Sign in", map[string]string{"code": code[:3] + " " + code[3:]}).wants(http.StatusOK)
		b.wantIn(who.Email, "Northwind", "password, authenticator app")
		other, p := s.firstFactor(who, "")
		other.press(p, "Sign in", map[string]string{"code": code}).alert(http.StatusUnauthorized, "each is taken once")
		other.wantOut()
	})
	t.Run("recovery code", func(t *testing.T) {
		s := s.in(t)
		who := s.control.stranger("tom@northwind.test")
		code := s.control.factors(who.MemberID).RecoveryCodes[3]
		b, p := s.firstFactor(who, "/account")
		p = b.get(p.href("Use a recovery code")).wants(http.StatusOK)
		p = b.press(p, "Sign in", map[string]string{"code": "not-" + code}).alert(http.StatusUnauthorized, "recovery code is wrong")
		b.press(p, "Sign in", map[string]string{"code": " " + code + " "}).wants(http.StatusOK)
		b.wantIn(who.Email, "Northwind", "password, recovery code")
		if slices.Contains(s.control.factors(who.MemberID).RecoveryCodes, code) {
			t.Error("the code is still good")
		}
		other, p := s.firstFactor(who, "")
		other.press(other.get(p.href("Use a recovery code")), "Sign in", map[string]string{"code": code}).alert(http.StatusUnauthorized, "used before")
		other.wantOut()
	})
	t.Run("either", func(t *testing.T) {
		s := s.in(t)
		who := s.control.stranger("mina@acme.example")
		b, p := s.firstFactor(who, "/account")
		p.says("main", "authenticator app") // what she uses by default; no message was sent
		p = b.get(p.href("Use a text message")).wants(http.StatusOK)
		p = b.press(p, "Send me a code", nil).wants(http.StatusOK)
		b.press(p, "Sign in", map[string]string{"code": s.control.message("sms_code", "+15005550006").Code}).wants(http.StatusOK)
		b.wantIn(who.Email, "Acme Corporation", "password, text message")
	})
	t.Run("locked by guessing", func(t *testing.T) {
		s := s.in(t)
		who := s.control.stranger("tom@northwind.test")
		b, p := s.firstFactor(who, "")
		for range 12 {
			if p = b.press(p, "Sign in", map[string]string{"code": wrongCode(s.control.factors(who.MemberID).TOTPCode)}); p.status == http.StatusTooManyRequests {
				break
			}
		}
		p.alert(http.StatusTooManyRequests, "locked")
		b.press(p, "Sign in", map[string]string{"code": s.control.factors(who.MemberID).TOTPCode}).alert(http.StatusTooManyRequests, "locked")
		b.wantOut()
	})
	// Northwind's people may read no audit; an admin of theirs may.
	tom := s.control.stranger("tom@northwind.test")
	s.control.change(s.id("sms@northwind.test"), map[string]any{"roles": []string{"stytch_admin"}})
	b, p := s.firstFactor(s.control.stranger("sms@northwind.test"), "")
	b.press(p, "Sign in", map[string]string{"code": s.control.message("sms_code", "+15005550007").Code}).wants(http.StatusOK)
	wantAudit(t, b, "session.second_factor", "sms@northwind.test", "succeeded")
	wantAudit(t, b, "session.second_factor", tom.Email, "failed")
	row := wantAudit(t, b, "session.sign_in", tom.Email, "succeeded")
	b.get(row.event).wants(http.StatusOK).says("main", "recovery_codes")
}

// key is the key of an authenticator app, as it is written to be typed by hand.
func (p *page) key() string {
	p.t.Helper()
	return strings.Join(strings.Fields(p.one("#secret").Text()), "")
}

// appCode is what an authenticator app shows that was given a key.
func appCode(t testing.TB, key string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(key, at)
	if err != nil {
		t.Fatalf("key %q: %v", key, err)
	}
	return code
}

func TestEnrolAnAuthenticatorApp(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.control.stranger("nell@northwind.test")
	b, choice := s.firstFactor(who, "/account")
	choice.says("h1", "Set up a second factor")
	if got := choice.ways(); !slices.Equal(got, []string{"Use an authenticator app", "Use text messages"}) {
		t.Errorf("offered are %q", got)
	}
	mark := s.control.mark()
	p := b.press(choice, "Use an authenticator app", nil).wants(http.StatusOK)
	key := p.key()
	if again := b.press(choice, "Use an authenticator app", nil); again.key() != key {
		t.Error("a second click makes another key")
	}
	s.control.calls(mark, "totp.create", 1)
	src := p.one("main img").AttrOr("src", "")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(src, "data:image/png;base64,"))
	if err != nil {
		t.Fatalf("the picture: %v", err)
	}
	if picture, err := png.Decode(bytes.NewReader(raw)); err != nil || picture.Bounds().Dx() < 150 {
		t.Errorf("the picture: %v", err)
	}

	code := appCode(t, key, time.Now())
	if p = b.press(p, "Confirm the app", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "The code is wrong"); p.key() != key {
		t.Error("a wrong code loses the key")
	}
	kept := b.press(p, "Confirm the app", map[string]string{"code": code}).wants(http.StatusOK)
	if kept.url.Path != "/mfa/recovery-codes" {
		t.Fatalf("confirming leads to %s: %s", kept.url, kept.words())
	}
	codes := kept.doc.Find("#codes li").Map(func(_ int, li *goquery.Selection) string { return squeeze(li.Text()) })
	if want := s.control.factors(who.MemberID).RecoveryCodes; !slices.Equal(codes, want) || len(codes) == 0 {
		t.Errorf("shown are %q, want %q", codes, want)
	}
	// Until they are said to be kept they are shown, whatever is looked at in between, and on no other page.
	if other := b.get("/account").wants(http.StatusOK); strings.Contains(other.body, codes[0]) || strings.Contains(other.body, key) {
		t.Error("another page shows the codes or the key")
	}
	kept = b.get("/mfa/recovery-codes").wants(http.StatusOK)
	kept.says("#codes", codes...)
	if done := b.press(kept, "I have kept them", nil).wants(http.StatusOK); done.url.Path != "/account" {
		t.Errorf("having kept them leads to %s", done.url)
	}
	if p := b.get("/mfa/recovery-codes"); p.url.Path == "/mfa/recovery-codes" || strings.Contains(p.body, codes[0]) {
		t.Errorf("they are shown again: %s", p.words())
	}
	b.wantIn(who.Email, "Northwind", "password, authenticator app")

	again, p := s.firstFactor(who, "")
	again.press(p, "Sign in", map[string]string{"code": s.control.factors(who.MemberID).TOTPCode}).wants(http.StatusOK)
	again.wantIn(who.Email, "Northwind", "password, authenticator app")
	again, p = s.firstFactor(who, "")
	again.press(again.get(p.href("Use a recovery code")), "Sign in", map[string]string{"code": codes[len(codes)-1]}).wants(http.StatusOK)
	again.wantIn(who.Email, "Northwind", "password, recovery code")
}

func TestEnrolAPhone(t *testing.T) {
	t.Parallel()
	s := start(t)
	who := s.control.stranger("nell@northwind.test")
	b, choice := s.firstFactor(who, "/account")
	p := b.press(choice, "Use text messages", map[string]string{"phone": "020 7946 0958"}).alert(http.StatusUnprocessableEntity, "the country's code")
	p = b.press(p, "Use text messages", map[string]string{"phone": "+44 20 7946 0958"}).wants(http.StatusOK)
	p.says("main", "+442079460958")
	// One may think again.
	p = b.press(p, "Use another second factor", nil).wants(http.StatusOK)
	p = b.press(p, "Use text messages", map[string]string{"phone": "+44 20 7946 0959"}).wants(http.StatusOK)
	code := s.control.message("sms_code", "+442079460959").Code
	p = b.press(p, "Confirm the phone", map[string]string{"code": wrongCode(code)}).alert(http.StatusUnauthorized, "wrong or too old")
	if in := b.press(p, "Confirm the phone", map[string]string{"code": code}).wants(http.StatusOK); in.url.Path != "/account" {
		t.Errorf("confirming leads to %s", in.url)
	}
	b.wantIn(who.Email, "Northwind", "password, text message")
	again, p := s.firstFactor(who, "")
	p.says("main", "the phone that ends in 59")
	again.press(p, "Sign in", map[string]string{"code": s.control.message("sms_code", "+442079460959").Code}).wants(http.StatusOK)
	again.wantIn(who.Email, "Northwind", "password, text message")
}
