package audit

import (
	"crypto/rand"
	"time"
)

// Reencode parses the bytes of an event and encodes the result.
func Reencode(b []byte) ([]byte, error) {
	r, err := parse(b)
	if err != nil {
		return nil, err
	}
	return r.encode(), nil
}

// NewID makes an event's id.
func NewID(t time.Time) (string, error) { return newID(t, rand.Reader) }
