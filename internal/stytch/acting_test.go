package stytch_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"orgconsole/internal/stytch"
)

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	a := acting(t)
	var logged bytes.Buffer
	type hidden struct{ a stytch.ActingSession }
	values := map[string]any{
		"secret":           stytch.Secret(token),
		"secret field":     stytch.AuthenticateResponse{SessionToken: token, SessionJWT: token, IntermediateSessionToken: token},
		"acting":           a,
		"acting pointer":   &a,
		"acting in struct": struct{ A stytch.ActingSession }{a},
		"acting hidden":    hidden{a},
		"request":          stytch.PasswordAuthenticateRequest{Password: token},
		"slice":            []any{a, stytch.Secret(token)},
		"sign-in":          stytch.SignIn{IntermediateSessionToken: token, Own: a},
		"token request":    stytch.TokenRequest{Token: token, CodeVerifier: token, SignIn: stytch.SignIn{IntermediateSessionToken: token}},
		"code request":     stytch.EmailOTPRequest{Code: token, SignIn: stytch.SignIn{Own: a}},
		"factor":           &stytch.SecondFactor{SignIn: stytch.SignIn{IntermediateSessionToken: token}},
		"reset request":    stytch.ResetPasswordRequest{Token: token, CodeVerifier: token, Password: token},
		"existing request": stytch.ExistingPasswordRequest{Existing: token, New: token},
		"totp":             &stytch.TOTPResponse{Secret: token, RecoveryCodes: []stytch.Secret{token}},
		"discovery":        &stytch.DiscoveryResponse{IntermediateSessionToken: token},
		"recover":          &stytch.RecoverResponse{AuthenticateResponse: stytch.AuthenticateResponse{SessionToken: token}},
	}
	for name, v := range values {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if encoded, err := json.Marshal(v); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			out.Write(encoded)
		}
		logged.Reset()
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", slog.Any("v", v))
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", slog.Any("v", v))
		out.Write(logged.Bytes())
		for _, leak := range []string{token, hex.EncodeToString([]byte(token))} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%s prints the credential:\n%s", name, out.String())
			}
		}
	}
	if got := stytch.Secret(token).Reveal(); got != token {
		t.Errorf("Reveal = %q", got)
	}
}

func TestActingSession(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", " ", "a b", "a\r\nX-Stytch-Member-Session: b", "ü", strings.Repeat("a", 16<<10+1)} {
		for name, from := range map[string]func(string) (stytch.ActingSession, error){"token": stytch.ActingToken, "jwt": stytch.ActingJWT} {
			a, err := from(bad)
			if err == nil || !a.IsZero() {
				t.Errorf("%s %.20q: got %v, error %v; want it refused", name, bad, a.IsZero(), err)
			}
			if bad == "" && !errors.Is(err, stytch.ErrNoActingSession) {
				t.Errorf("%s: error = %v, want ErrNoActingSession", name, err)
			}
		}
	}
	a := acting(t)
	sum := sha256.Sum256([]byte(token))
	if a.IsZero() || a.Hash() != hex.EncodeToString(sum[:]) {
		t.Errorf("IsZero %v, Hash %q", a.IsZero(), a.Hash())
	}
	var zero stytch.ActingSession
	if !zero.IsZero() || zero.Hash() != "" || zero.Equal(a) || !a.Equal(acting(t)) || a.Equal(actingJWT(t)) || !zero.Equal(stytch.ActingSession{}) {
		t.Error("zero value or Equal is wrong")
	}
}
