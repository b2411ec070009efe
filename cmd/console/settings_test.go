package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// parseSettings parses arguments and environment as serve does.
func parseSettings(t *testing.T, env map[string]string, args ...string) settings {
	t.Helper()
	var commands cli
	p := &program{ctx: t.Context(), getenv: func(name string) string { return env[name] }, stdout: t.Output(), stderr: t.Output()}
	parser, err := newParser(&commands, p, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return commands.Serve.settings
}

// minimal are the settings that have no default.
func minimal() map[string]string {
	return map[string]string{
		"HOME":              "/home/ana",
		"STYTCH_PROJECT_ID": "project-test-11111111-1111-4111-8111-111111111111",
		"STYTCH_SECRET":     "secret-test-hunter2",
	}
}

func loadWith(t *testing.T, env map[string]string) (config, error) {
	t.Helper()
	return parseSettings(t, env).load(func(name string) string { return env[name] })
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	c, err := loadWith(t, minimal())
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		projectID: "project-test-11111111-1111-4111-8111-111111111111", secret: "secret-test-hunter2",
		addr: "127.0.0.1:8080", databaseURL: "sqlite:///home/ana/.local/state/orgconsole/console.db",
		logLevel: slog.LevelInfo, sessionIdle: 30 * time.Minute, sessionMax: 8 * time.Hour, reasonRequired: true,
		officeHours: audit.OfficeHours{Days: [7]bool{false, true, true, true, true, true, false}, From: 8 * time.Hour, To: 18 * time.Hour},
	}
	if c.timeZone != time.UTC {
		t.Errorf("time zone %s", c.timeZone)
	}
	c.timeZone = nil
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("load() (-want +got):\n%s", diff)
	}
}

func TestLoadEverything(t *testing.T) {
	t.Parallel()
	older, newer := slices.Repeat([]byte{1}, 64), slices.Repeat([]byte{2}, 64)
	env := minimal()
	env["STYTCH_PROJECT_ID"] = "anything" // beside a base URL
	env["STYTCH_BASE_URL"] = "http://127.0.0.1:9000"
	env["CONSOLE_ADDR"] = ":8443"
	env["CONSOLE_PUBLIC_URL"] = "https://Console.Example.com:443/"
	env["CONSOLE_DATABASE_URL"] = "sqlite:///srv/a%20b/console.db"
	env["CONSOLE_SESSION_KEYS"] = base64.StdEncoding.EncodeToString(newer) + ", " + base64.StdEncoding.EncodeToString(older)
	env["CONSOLE_TRUSTED_PROXIES"] = "10.1.2.3/8, 192.0.2.7,2001:db8::/32"
	env["CONSOLE_LOG_LEVEL"] = "DEBUG"
	env["CONSOLE_SESSION_IDLE"] = "10m"
	env["CONSOLE_SESSION_MAX"] = "2h"
	env["CONSOLE_REASON_REQUIRED"] = "false"
	env["CONSOLE_TICKET_PATTERN"] = "[A-Z]+-[0-9]+"
	env["CONSOLE_TIME_ZONE"] = "Asia/Kolkata"
	env["CONSOLE_OFFICE_HOURS"] = "Sun,Tue 00:00-24:00"
	c, err := loadWith(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.publicURL.String(), "https://console.example.com"; got != want {
		t.Errorf("public URL = %s, want %s", got, want)
	}
	if got, want := c.ticketPattern.String(), "[A-Z]+-[0-9]+"; got != want {
		t.Errorf("ticket pattern = %s, want %s", got, want)
	}
	folder, err := storeFolder(c.databaseURL)
	if err != nil || folder != "/srv/a b" {
		t.Errorf("storeFolder(%q) = %q, %v", c.databaseURL, folder, err)
	}
	if got, want := c.timeZone.String(), "Asia/Kolkata"; got != want {
		t.Errorf("time zone = %s, want %s", got, want)
	}
	c.publicURL, c.ticketPattern, c.timeZone = nil, nil, nil
	want := config{
		projectID: "anything", secret: "secret-test-hunter2", baseURL: "http://127.0.0.1:9000", addr: ":8443",
		databaseURL: "sqlite:///srv/a%20b/console.db", sessionKeys: [][]byte{newer, older},
		trustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		logLevel:       slog.LevelDebug, sessionIdle: 10 * time.Minute, sessionMax: 2 * time.Hour,
		officeHours: audit.OfficeHours{Days: [7]bool{true, false, true}, To: 24 * time.Hour},
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("load() (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, setting, value string
		want                 string // in the complaint
	}{
		{"no project", "STYTCH_PROJECT_ID", "", "STYTCH_PROJECT_ID: not set"},
		{"project of no environment", "STYTCH_PROJECT_ID", "project-x", `STYTCH_PROJECT_ID: "project-x" belongs to no known environment`},
		{"no secret", "STYTCH_SECRET", "", "STYTCH_SECRET: not set"},
		{"API in the clear", "STYTCH_BASE_URL", "http://api.example.com", "STYTCH_BASE_URL: http://api.example.com would send the project secret in the clear"},
		{"API with a user", "STYTCH_BASE_URL", "https://a:hunter2@api.example.com", "STYTCH_BASE_URL: has a user"},
		{"API without host", "STYTCH_BASE_URL", "https://", "STYTCH_BASE_URL: not an address"},
		{"address without port", "CONSOLE_ADDR", "127.0.0.1", `CONSOLE_ADDR: "127.0.0.1" is no address`},
		{"port too large", "CONSOLE_ADDR", "127.0.0.1:65536", "CONSOLE_ADDR: "},
		{"port by name", "CONSOLE_ADDR", "127.0.0.1:http", "CONSOLE_ADDR: "},
		{"open address, no public URL", "CONSOLE_ADDR", ":8080", "CONSOLE_PUBLIC_URL: not set, and CONSOLE_ADDR can be reached"},
		{"public URL in the clear", "CONSOLE_PUBLIC_URL", "http://console.example.com", "CONSOLE_PUBLIC_URL: "},
		{"public URL like loopback", "CONSOLE_PUBLIC_URL", "http://127.0.0.1.example.com", "CONSOLE_PUBLIC_URL: "},
		{"public URL with a path", "CONSOLE_PUBLIC_URL", "https://example.com/console", "CONSOLE_PUBLIC_URL: has more than"},
		{"public URL of another scheme", "CONSOLE_PUBLIC_URL", "ftp://127.0.0.1", "CONSOLE_PUBLIC_URL: "},
		{"public URL without scheme", "CONSOLE_PUBLIC_URL", "console.example.com", "CONSOLE_PUBLIC_URL: not an address"},
		{"another store", "CONSOLE_DATABASE_URL", "mysql://u:hunter2@db/x", `CONSOLE_DATABASE_URL: no store is called "mysql"`},
		{"store by relative path", "CONSOLE_DATABASE_URL", "sqlite://console.db", "CONSOLE_DATABASE_URL: not sqlite://"},
		{"store that is a folder", "CONSOLE_DATABASE_URL", "sqlite:///srv/", "CONSOLE_DATABASE_URL: not sqlite://"},
		{"store with options", "CONSOLE_DATABASE_URL", "sqlite:///srv/x.db?_pragma=synchronous(0)", "CONSOLE_DATABASE_URL: not sqlite://"},
		{"store of no address", "CONSOLE_DATABASE_URL", "sqlite:///%zz", "CONSOLE_DATABASE_URL: not an address"},
		{"store twice", "CONSOLE_DATABASE_URL_FILE", "/nonexistent/url", "CONSOLE_DATABASE_URL_FILE: open /nonexistent/url"},
		{"session key of no encoding", "CONSOLE_SESSION_KEYS", "hunter2", "CONSOLE_SESSION_KEYS: key 1 is not base64"},
		{"session key too short", "CONSOLE_SESSION_KEYS", "aHVudGVyMg==", "CONSOLE_SESSION_KEYS: key 1 has 7 bytes instead of 64"},
		{"audit key", "CONSOLE_AUDIT_KEY", "hunter2", "CONSOLE_AUDIT_KEY: not a signing key"},
		{"old audit key", "CONSOLE_AUDIT_OLD_KEYS", "hunter2", "CONSOLE_AUDIT_OLD_KEYS: one of them is no key"},
		{"retention of no number", "CONSOLE_AUDIT_RETENTION", "a year", `CONSOLE_AUDIT_RETENTION: "a year" is no number of days`},
		{"retention too short", "CONSOLE_AUDIT_RETENTION", "29", `CONSOLE_AUDIT_RETENTION: "29" is no number of days`},
		{"sink's secret without a sink", "CONSOLE_AUDIT_SINK_SECRET", "whsec_hunter2", "CONSOLE_AUDIT_SINK_SECRET: set, and CONSOLE_AUDIT_SINK_URL is not"},
		{"sink without a secret", "CONSOLE_AUDIT_SINK_URL", "https://example.com/hunter2", "CONSOLE_AUDIT_SINK_SECRET: not set"},
		{"sink's format", "CONSOLE_AUDIT_SINK_FORMAT", "csv", `CONSOLE_AUDIT_SINK_FORMAT: "csv" is no format`},
		{"witness in the clear", "CONSOLE_AUDIT_WITNESS_URL", "http://example.com/hunter2", "CONSOLE_AUDIT_WITNESS_URL: would send the audit in the clear"},
		{"witness with a password", "CONSOLE_AUDIT_WITNESS_URL", "https://a:hunter2@example.com/", "CONSOLE_AUDIT_WITNESS_URL: has a user or a password"},
		{"proxy by name", "CONSOLE_TRUSTED_PROXIES", "10.0.0.1,proxy", `CONSOLE_TRUSTED_PROXIES: "proxy" is neither`},
		{"everyone a proxy", "CONSOLE_TRUSTED_PROXIES", "::/0", `CONSOLE_TRUSTED_PROXIES: "::/0" would let anyone`},
		{"metrics without a port", "CONSOLE_METRICS_ADDR", "127.0.0.1", `CONSOLE_METRICS_ADDR: "127.0.0.1" is no address`},
		{"log level", "CONSOLE_LOG_LEVEL", "loud", `CONSOLE_LOG_LEVEL: "loud" is no level`},
		{"idle time without unit", "CONSOLE_SESSION_IDLE", "30", `CONSOLE_SESSION_IDLE: "30" is no time`},
		{"idle time of nothing", "CONSOLE_SESSION_IDLE", "0s", `CONSOLE_SESSION_IDLE: "0s" is no time`},
		{"idle longer than all", "CONSOLE_SESSION_IDLE", "9h", "CONSOLE_SESSION_IDLE: 9h is more than CONSOLE_SESSION_MAX"},
		{"session too short", "CONSOLE_SESSION_MAX", "4m", `CONSOLE_SESSION_MAX: "4m" is no time`},
		{"session too long", "CONSOLE_SESSION_MAX", "8785h", `CONSOLE_SESSION_MAX: "8785h" is no time`},
		{"session of broken minutes", "CONSOLE_SESSION_MAX", "90m30s", `CONSOLE_SESSION_MAX: "90m30s" is no time`},
		{"reason", "CONSOLE_REASON_REQUIRED", "maybe", `CONSOLE_REASON_REQUIRED: "maybe" is neither`},
		{"ticket pattern", "CONSOLE_TICKET_PATTERN", "(", "CONSOLE_TICKET_PATTERN: error parsing regexp"},
		{"time zone", "CONSOLE_TIME_ZONE", "Mars/Phobos", `CONSOLE_TIME_ZONE: "Mars/Phobos": no time zone of that name`},
		{"time zone of the machine", "CONSOLE_TIME_ZONE", "Local", `CONSOLE_TIME_ZONE: "Local": not the name`},
		{"office hours", "CONSOLE_OFFICE_HOURS", "Mon-Fri 8-18", `CONSOLE_OFFICE_HOURS: "Mon-Fri 8-18": "8" is no time`},
		{"secret twice", "STYTCH_SECRET_FILE", "/dev/null", "STYTCH_SECRET: set, and STYTCH_SECRET_FILE too"},
		{"key file that is missing", "CONSOLE_AUDIT_KEY_FILE", "/nonexistent/key", "CONSOLE_AUDIT_KEY_FILE: open /nonexistent/key"},
		{"key file that is empty", "CONSOLE_SESSION_KEYS_FILE", "/dev/null", "CONSOLE_SESSION_KEYS_FILE: /dev/null is empty"},
		{"no state folder", "HOME", "", "CONSOLE_DATABASE_URL: not set, and neither XDG_STATE_HOME nor HOME"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := minimal()
			env[test.setting] = test.value
			_, err := loadWith(t, env)
			if err == nil {
				t.Fatalf("load() with %s=%q = nil, want an error", test.setting, test.value)
			}
			var coded *exitError
			if !errors.As(err, &coded) || coded.code != exitUsage {
				t.Errorf("load() = %T, want exit code %d", err, exitUsage)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[1], test.want) || !strings.Contains(lines[1], "; accepted: ") {
				t.Errorf("load() = %q, want one complaint that starts with %q and says what is accepted", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("load() = %q tells a secret", err)
			}
		})
	}
}

func TestLoadTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	env := minimal()
	names := []string{
		"STYTCH_PROJECT_ID", "STYTCH_BASE_URL", "CONSOLE_ADDR", "CONSOLE_PUBLIC_URL", "CONSOLE_DATABASE_URL", "CONSOLE_SESSION_KEYS",
		"CONSOLE_AUDIT_KEY", "CONSOLE_AUDIT_OLD_KEYS", "CONSOLE_AUDIT_RETENTION", "CONSOLE_AUDIT_SINK_URL",
		"CONSOLE_AUDIT_SINK_SECRET", "CONSOLE_AUDIT_SINK_FORMAT", "CONSOLE_AUDIT_WITNESS_URL", "CONSOLE_AUDIT_WITNESS_SECRET", "CONSOLE_TRUSTED_PROXIES", "CONSOLE_METRICS_ADDR", "CONSOLE_LOG_LEVEL", "CONSOLE_SESSION_IDLE", "CONSOLE_SESSION_MAX", "CONSOLE_REASON_REQUIRED", "CONSOLE_TICKET_PATTERN", "CONSOLE_TIME_ZONE", "CONSOLE_OFFICE_HOURS",
	}
	for _, name := range names {
		env[name] = "(bad"
	}
	env["STYTCH_PROJECT_ID"], env["STYTCH_SECRET"] = "", ""
	_, err := loadWith(t, env)
	if err == nil {
		t.Fatal("load() = nil, want an error")
	}
	for _, name := range append(names, "STYTCH_SECRET") {
		if !strings.Contains(err.Error(), "\n"+name+": ") {
			t.Errorf("load() does not complain about %s:\n%v", name, err)
		}
	}
}

// On PostgreSQL every process needs the same keys, so none makes its own.
func TestPostgresNeedsKeys(t *testing.T) {
	t.Parallel()
	signer, _, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{"CONSOLE_SESSION_KEYS": base64.StdEncoding.EncodeToString(make([]byte, 64)), "CONSOLE_AUDIT_KEY": signer}
	for _, address := range []string{"postgres://console:hunter2@db/console", "postgresql://db/console"} {
		env := minimal()
		env["CONSOLE_DATABASE_URL"] = address
		env["HOME"] = "" // nor is a state folder needed
		_, err := loadWith(t, env)
		for name := range keys {
			if err == nil || !strings.Contains(err.Error(), "\n"+name+": not set, and a PostgreSQL store has no folder") {
				t.Errorf("load() with %s = %v, want a complaint about %s", address, err, name)
			}
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Count(err.Error(), "\n") != len(keys)) {
			t.Errorf("load() = %q, want %d complaints and no password", err, len(keys))
		}
		maps.Copy(env, keys)
		c, err := loadWith(t, env)
		if err != nil || c.databaseURL != address || len(c.sessionKeys) != 1 || c.auditKey != signer {
			t.Errorf("load() with all keys: %v", err)
		}
		before := c
		if err := fillKeys(&c, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a == b })
		if diff := cmp.Diff(before, c, cmp.AllowUnexported(config{}), sameZone); diff != "" {
			t.Errorf("fillKeys() made something (-want +got):\n%s", diff)
		}
	}
}

func TestStoreFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("sqlite:///srv/from-file.db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := minimal()
	env["CONSOLE_DATABASE_URL_FILE"] = path
	c, err := loadWith(t, env)
	if err != nil || c.databaseURL != "sqlite:///srv/from-file.db" {
		t.Errorf("store = %q, %v, want the one in the file", c.databaseURL, err)
	}
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := minimal()
	env["STYTCH_SECRET"] = ""
	env["STYTCH_SECRET_FILE"] = path
	c, err := loadWith(t, env)
	if err != nil || c.secret != "from-file" {
		t.Errorf("secret = %q, %v, want from-file", c.secret, err)
	}
}

func TestFlagsWinOverEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"CONSOLE_ADDR": "127.0.0.1:1", "CONSOLE_LOG_LEVEL": "", "CONSOLE_SESSION_IDLE": "5m"}
	s := parseSettings(t, env, "--addr", "127.0.0.1:2")
	if s.Addr != "127.0.0.1:2" {
		t.Errorf("Addr = %q, want the flag's", s.Addr)
	}
	if s.LogLevel != "info" {
		t.Errorf("LogLevel = %q with an empty variable, want the default", s.LogLevel)
	}
	if s.SessionIdle != "5m" {
		t.Errorf("SessionIdle = %q, want the variable's", s.SessionIdle)
	}
}

// Nothing exported for a real project may reach the demo or the sandbox.
func TestDemoHasNoSettings(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&cli{}, &program{getenv: func(string) string { return "" }}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, command := range parser.Model.Children {
		if command.Name != "demo" && command.Name != "sandbox" {
			continue
		}
		for _, flag := range command.Flags {
			seen++
			if name := flag.Tag.Get("setting"); name != "" || len(flag.Envs) != 0 {
				t.Errorf("console %s --%s reads the environment", command.Name, flag.Name)
			}
		}
	}
	if seen == 0 {
		t.Error("saw no flags")
	}
}

func TestAllSettings(t *testing.T) {
	t.Parallel()
	list, err := allSettings()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]setting{}
	for _, s := range list {
		if s.Help == "" {
			t.Errorf("%s has no help", s.Name)
		}
		byName[s.Name] = s
	}
	for name, want := range map[string]struct{ flag, value string }{
		"STYTCH_PROJECT_ID":       {"--stytch-project-id", ""},
		"STYTCH_SECRET_FILE":      {"--stytch-secret-file", ""},
		"CONSOLE_ADDR":            {"--addr", "127.0.0.1:8080"},
		"CONSOLE_PUBLIC_URL":      {"--public-url", ""},
		"CONSOLE_DATABASE_URL":    {"--database-url", ""},
		"CONSOLE_SESSION_KEYS":    {"--session-keys", ""},
		"CONSOLE_AUDIT_KEY":       {"--audit-key", ""},
		"CONSOLE_TRUSTED_PROXIES": {"--trusted-proxies", ""},
		"CONSOLE_SESSION_MAX":     {"--session-max", "8h"},
		"CONSOLE_REASON_REQUIRED": {"--reason-required", "true"},
		"CONSOLE_TICKET_PATTERN":  {"--ticket-pattern", ""},
		"CONSOLE_TIME_ZONE":       {"--time-zone", "UTC"},
		"CONSOLE_OFFICE_HOURS":    {"--office-hours", "Mon-Fri 08:00-18:00"},
	} {
		if got := byName[name]; got.Flag != want.flag || got.Default != want.value {
			t.Errorf("%s is flag %q with default %q, want %q and %q", name, got.Flag, got.Default, want.flag, want.value)
		}
	}
}
