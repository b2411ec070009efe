package stytch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every secret value prints as.
const redacted = "[redacted]"

// maxCredential bounds a session credential: a JWT may carry 4 KB of custom claims besides its own.
const maxCredential = 16 << 10

// Secret is a string that prints as "[redacted]" in fmt, slog and JSON. It decodes from JSON as a plain string.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder.
func (s Secret) GoString() string { return redacted }

// Format writes a placeholder for every verb, %x and %d included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes a placeholder; request bodies are built with Reveal.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// ErrNoActingSession is returned, before anything is sent, by a method that was given the zero [ActingSession].
var ErrNoActingSession = errors.New("stytch: no acting session")

// ActingSession is the session of the member on whose behalf a call is made: a session token or a session JWT. Its zero
// value is refused by every method. It prints as "[redacted]".
type ActingSession struct {
	credential *credential
}

// credential keeps its text behind a second pointer: fmt calls no method on a value in another struct's unexported
// field, and for a verb that does not fit it follows the first.
type credential struct {
	text *string
	jwt  bool
}

func (c *credential) value() string { return *c.text }

// ActingToken returns the acting session of an opaque session token.
func ActingToken(token string) (ActingSession, error) {
	return newActing(token, false)
}

// ActingJWT returns the acting session of a session JWT. An expired JWT of a session that is still alive may be refused
// by the API in a header; AuthenticateSession accepts it and returns a fresh one.
func ActingJWT(jwt string) (ActingSession, error) {
	return newActing(jwt, true)
}

func newActing(value string, jwt bool) (ActingSession, error) {
	if value == "" {
		return ActingSession{}, ErrNoActingSession
	}
	if len(value) > maxCredential || !printable(value) {
		return ActingSession{}, fmt.Errorf("session credential: %w", ErrBadArgument)
	}
	return ActingSession{credential: &credential{text: &value, jwt: jwt}}, nil
}

// IsZero reports whether a is the zero value, which acts for nobody.
func (a ActingSession) IsZero() bool { return a.credential == nil }

// Hash returns the SHA-256 of the credential in hex: a key for caches and stores that must not hold the credential. It
// is empty for the zero value.
func (a ActingSession) Hash() string {
	if a.credential == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(a.credential.value()))
	return hex.EncodeToString(sum[:])
}

// Equal reports whether both hold the same credential.
func (a ActingSession) Equal(b ActingSession) bool {
	if a.credential == nil || b.credential == nil {
		return a.credential == b.credential
	}
	return a.credential.jwt == b.credential.jwt && a.credential.value() == b.credential.value()
}

// String returns a placeholder.
func (a ActingSession) String() string { return redacted }

// GoString returns a placeholder.
func (a ActingSession) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (a ActingSession) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (a ActingSession) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes a placeholder.
func (a ActingSession) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// header returns the one header that carries the session.
func (a ActingSession) header() (name, value string) {
	if a.credential.jwt {
		return "X-Stytch-Member-SessionJWT", a.credential.value()
	}
	return "X-Stytch-Member-Session", a.credential.value()
}

// ownSession is the part of a body that names a session by its own credential; exactly one field is set.
type ownSession struct {
	SessionToken string `json:"session_token,omitempty"`
	SessionJWT   string `json:"session_jwt,omitempty"`
}

func (a ActingSession) own() ownSession {
	switch {
	case a.credential == nil:
		return ownSession{}
	case a.credential.jwt:
		return ownSession{SessionJWT: a.credential.value()}
	default:
		return ownSession{SessionToken: a.credential.value()}
	}
}

// secret is the credential, empty for the zero value.
func (a ActingSession) secret() Secret {
	if a.credential == nil {
		return ""
	}
	return Secret(a.credential.value())
}

// printable reports whether s consists of visible ASCII only, so that it is safe in a header.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
