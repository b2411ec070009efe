package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"orgconsole/internal/stream"
)

// The example of the specification's own libraries.
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	otherSecret      = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func TestSignature(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ secrets, want string }{
		{exampleSecret, exampleSignature},
		{exampleSecret + " " + exampleSecret, exampleSignature + " " + exampleSignature},
		{" " + exampleSecret + ",\n" + exampleSecret, exampleSignature + " " + exampleSignature},
	} {
		secrets, err := stream.ParseSecrets(test.secrets)
		if err != nil {
			t.Fatal(err)
		}
		if got := secrets.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`)); got != test.want {
			t.Errorf("signature %s, want %s", got, test.want)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", secrets, secrets, secrets, secrets); strings.TrimSpace(strings.ReplaceAll(text, "[redacted]", "")) != "" {
			t.Errorf("it prints as %s", text)
		}
	}
	var none stream.Secrets
	if got := none.Sign("msg_1", 1, nil); got != "" {
		t.Errorf("signature without a secret: %q", got)
	}
}

func TestBadSecrets(t *testing.T) {
	t.Parallel()
	const canary = "c2VjcmV0Y2FuYXJ5"
	for _, text := range []string{
		"", " , ", canary, "whsec_" + canary, "whsec_" + canary + "!", "whsec_", exampleSecret + ",whsec_" + canary,
		"whsec_" + strings.Repeat(canary, 6),
	} {
		_, err := stream.ParseSecrets(text)
		if err == nil {
			t.Errorf("%q is taken", text)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("the error has the secret: %v", err)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://audit.example.com/in?key=canary": "",
		"http://127.0.0.1:8000/in":                "",
		"http://localhost/in":                     "",
		"http://[::1]/in":                         "",
		"http://audit.example.com/canary":         "in the clear",
		"http://127.0.0.1.example.com/canary":     "in the clear",
		"ftp://127.0.0.1/canary":                  "in the clear",
		"https://canary:x@audit.example.com/":     "a password",
		"https://canary@audit.example.com/":       "a password",
		"https://audit.example.com/#canary":       "a fragment",
		"canary":                                  "not an address",
		"https:canary":                            "not an address",
		"https://":                                "not an address",
		"https://exa mple/canary":                 "not an address",
		"":                                        "not an address",
	} {
		err := stream.CheckURL(address)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", address, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")):
			t.Errorf("%q: %v, want %s", address, err, want)
		}
		if _, endpointErr := stream.NewEndpoint(address, stream.Secrets{}, "test", nil); (endpointErr == nil) != (err == nil) {
			t.Errorf("%q: NewEndpoint %v, CheckURL %v", address, endpointErr, err)
		}
	}
}
