package audit_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"orgconsole/internal/audit"
)

// What is read in one go is what the standard library reads and writes alike.
func TestParseTime(t *testing.T) {
	t.Parallel()
	const layout = "2006-01-02T15:04:05.000Z"
	valid := "2028-02-29T23:59:59.999Z"
	check := func(s string) {
		t.Helper()
		want, err := time.Parse(layout, s)
		ok := err == nil && want.Format(layout) == s
		got, gotOK := audit.ParseTime(s)
		if gotOK != ok || ok && !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v, %v", s, got, gotOK, want, ok)
		}
	}
	for i := range len(valid) {
		for c := range byte(128) {
			check(valid[:i] + string(rune(c)) + valid[i+1:])
		}
		check(valid[:i])
	}
	for day := range 32 {
		for month := range 14 {
			for _, year := range []string{"0000", "1900", "2000", "2027", "2028", "9999"} {
				check(year + "-" + two(month) + "-" + two(day) + "T00:00:00.000Z")
			}
		}
	}
	check(valid + "Z")
	check("2028-02-29T24:00:00.000Z")
	check("2028-02-29T23:59:60.000Z")
}

func two(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }

func TestPlain(t *testing.T) {
	t.Parallel()
	for length := range 20 {
		for place := range length {
			for c := range rune(0x120) {
				s := strings.Repeat("~", place) + string(c) + strings.Repeat(" ", length-1-place)
				if got, want := audit.Plain(s), c < unicode.MaxASCII && !unicode.IsControl(c); got != want {
					t.Errorf("Plain(%q) = %v", s, got)
				}
			}
		}
	}
	if audit.Plain("12345678\xff") || audit.Plain("\x80\xff345678") {
		t.Error("bytes that are no text are plain")
	}
}
