package stream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What a secret is, by the specification of Standard Webhooks.
const (
	secretPrefix               = "whsec_"
	shortestSecret, longSecret = 24, 64 // bytes
)

// Secrets sign messages. With several of them, each message carries a
// signature of each, so that a receiver may change from one to another at any
// time. The zero value has none.
type Secrets struct {
	keys *[][]byte // behind a pointer, so that fmt does not reach them
}

// ParseSecrets reads secrets separated by commas or spaces. Its errors hold no part of one.
func ParseSecrets(text string) (Secrets, error) {
	var keys [][]byte
	for i, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		encoded, ok := strings.CutPrefix(field, secretPrefix)
		if !ok {
			return Secrets{}, fmt.Errorf("secret %d does not begin with %s", i+1, secretPrefix)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return Secrets{}, fmt.Errorf("secret %d is not base64", i+1)
		}
		if len(key) < shortestSecret || len(key) > longSecret {
			return Secrets{}, fmt.Errorf("secret %d has %d bytes instead of %d to %d", i+1, len(key), shortestSecret, longSecret)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return Secrets{}, errors.New("there is none")
	}
	return Secrets{&keys}, nil
}

// Format writes nothing of them.
func (Secrets) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// sign is the header webhook-signature, "" without secrets. The timestamp is in seconds.
func (s Secrets) sign(id string, timestamp int64, body []byte) string {
	if s.keys == nil {
		return ""
	}
	signatures := make([]string, 0, len(*s.keys))
	for _, key := range *s.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(timestamp, 10) + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
