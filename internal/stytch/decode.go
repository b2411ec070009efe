package stytch

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// decode keeps numbers in free-form values as they were written.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(v)
}

// decodeLenient leaves values of a wrong type zero: encoding/json goes on after one and reports the first at the end.
func decodeLenient(data []byte, v any) error {
	if err := decode(data, v); err != nil && !isTypeError(err) {
		return err
	}
	return nil
}

func isTypeError(err error) bool {
	var wrongType *json.UnmarshalTypeError
	return errors.As(err, &wrongType)
}

// lenientTime is RFC 3339 with any number of fractional digits; anything else is the zero time.
type lenientTime struct{ t time.Time }

func (l *lenientTime) UnmarshalJSON(data []byte) error {
	l.t = time.Time{}
	s, err := strconv.Unquote(string(data))
	if err != nil {
		return nil //nolint:nilerr // not a string, so not a time; the raw object still has it
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		l.t = t.UTC()
	}
	return nil
}

func (l lenientTime) ptr() *time.Time {
	if l.t.IsZero() {
		return nil
	}
	return &l.t
}

// lenientInt is a number, or a number in a string.
type lenientInt struct {
	n  int
	ok bool
}

func (l *lenientInt) UnmarshalJSON(data []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(data), `"`))
	*l = lenientInt{n: n, ok: err == nil}
	return nil
}

func isNull(data []byte) bool   { return string(data) == "null" }
func isArray(data []byte) bool  { return len(data) > 0 && data[0] == '[' }
func isObject(data []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) }

// topLevelString finds a string member of the outermost object, also where the text breaks off or goes on after it.
func topLevelString(data []byte, key string) string {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ""
		}
		if name == key {
			value, err := d.Token()
			if s, ok := value.(string); ok && err == nil {
				return s
			}
			return ""
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return ""
		}
	}
	return ""
}
