package main

import (
	"os"
	"strings"
	"testing"
)

// TestSettingsAreDocumented holds the table of docs/operations.md against the
// settings there are: each has a row, each row is a setting, defaults agree.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // setting → default
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 && strings.HasPrefix(cells[1], " `") {
			rows[strings.Trim(cells[1], " `")] = strings.Trim(cells[2], " `")
		}
	}
	settings, err := allSettings()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if strings.HasSuffix(s.Name, "_FILE") {
			continue // said of all secrets at once
		}
		documented, ok := rows[s.Name]
		if !ok {
			t.Errorf("%s has no row", s.Name)
		}
		if s.Default != "" && s.Default != documented {
			t.Errorf("%s: the page says %q, the default is %q", s.Name, documented, s.Default)
		}
		if want := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s.Name, "CONSOLE_"), "_", "-")); s.Flag != want {
			t.Errorf("%s: its flag is %s, the page says how to make %s", s.Name, s.Flag, want)
		}
		delete(rows, s.Name)
	}
	for name := range rows {
		t.Errorf("%s is documented, and is no setting", name)
	}
}
