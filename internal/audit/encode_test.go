package audit_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

var update = flag.Bool("update", false, "write the golden files")

// counting is no randomness at all, so that bytes can be compared.
type counting struct{ next byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.next
		c.next++
	}
	return len(p), nil
}

// The layout of an event's bytes can never change: whoever kept an event and a
// proof must be able to read them in ten years.
func TestEventBytesAreThoseOfTheGoldenFile(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		signer, public, err := audit.NewKey(&counting{})
		if err != nil {
			t.Fatal(err)
		}
		db := place.Open(t)
		now := func() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.FixedZone("", 3600)) }
		log, err := audit.New(db, signer, audit.Options{Now: now, Rand: &counting{}, Build: "orgconsole 1.0"})
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for n := range 2 {
			ev, err := log.Record(t.Context(), deletion(acme, n))
			if err != nil {
				t.Fatal(err)
			}
			_, evidence, err := log.Event(t.Context(), acme, ev.ID)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(append(evidence.Bytes, '\n'))
		}
		if _, err := audit.Verify(t.Context(), db, public, audit.VerifyOptions{}); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "events.ndjson")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("bytes (-want +got):\n%s", diff)
		}
		for line := range bytes.Lines(want) {
			var fields map[string]any
			if err := json.Unmarshal(line, &fields); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

func TestParseAcceptsOneSpellingOnly(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if _, err := audit.Reencode([]byte(line)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"space":            {`,"id"`, `, "id"`},
		"another schema":   {`"schema":1`, `"schema":2`},
		"leading zero":     {`"seq":0`, `"seq":00`},
		"negative number":  {`"seq":0`, `"seq":-1`},
		"exponent":         {`"attempt":1`, `"attempt":1e0`},
		"huge number":      {`"attempt":1`, `"attempt":9007199254740993`},
		"unicode escape":   {`HD-1`, `\u0048D-1`},
		"escaped slash":    {`HD-1`, `HD\/1`},
		"control":          {`HD-1`, "HD\x01"},
		"line separator":   {`HD-1`, "HD\u2028"},
		"not UTF-8":        {`HD-1`, "HD\xff"},
		"open quote":       {`HD-1`, `HD"1`},
		"time zone":        {`.123Z`, `.123+00:00`},
		"no milliseconds":  {`.123Z`, `Z`},
		"field twice":      {`"ticket":"HD-1"`, `"ticket":"HD-1","ticket":"HD-1"`},
		"field missing":    {`"ticket":"HD-1",`, ``},
		"hash not hex":     {`"email_hash":"`, `"email_hash":"X`},
		"bool as number":   {`"system":false`, `"system":0`},
		"comma at the end": {`"totp"]`, `"totp",]`},
	} {
		changed := strings.Replace(line, change[0], change[1], 1)
		if changed == line {
			t.Errorf("%s: nothing to change in %s", name, line)
		}
		if _, err := audit.Reencode([]byte(changed)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range len(line) {
		if _, err := audit.Reencode([]byte(line[:i])); err == nil {
			t.Errorf("cut after %d bytes: accepted", i)
		}
	}
}

func FuzzParse(f *testing.F) {
	file, err := os.Open(filepath.Join("testdata", "events.ndjson"))
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := audit.Reencode(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("%q is another spelling of %q", b, again)
		}
		if err == nil && !json.Valid(b) {
			t.Errorf("%q is accepted and no JSON", b)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	signer, public := mustKey(t)
	if got, err := audit.PublicKey(signer); err != nil || got != public {
		t.Errorf("PublicKey = %q, %v; want %q", got, err, public)
	}
	for _, bad := range []string{"", "x", public, signer[:len(signer)-4], signer + "AAAA", strings.Replace(signer, "+KEY+", "+KEY+x", 1)} {
		_, err := audit.PublicKey(bad)
		if err == nil {
			t.Errorf("PublicKey(%q) is accepted", bad)
		} else if bad != "" && bad != "x" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}
