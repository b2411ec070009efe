package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/handlers"
)

// settings holds what `console serve` can be told, as it was typed. Every field is a string, because the command
// line parser would stop at the first bad value; load checks all of them and tells about all at once.
// The tag `setting` names the environment variable; a flag on the command line wins over it.
type settings struct {
	StytchProjectID   string `setting:"STYTCH_PROJECT_ID" placeholder:"ID" help:"Project id, such as project-live-…. Required."`
	StytchSecret      string `setting:"STYTCH_SECRET" placeholder:"SECRET" help:"Secret of the project. Required, here or as a file."`
	StytchSecretFile  string `setting:"STYTCH_SECRET_FILE" placeholder:"PATH" help:"File that holds the secret of the project."`
	StytchPublicToken string `setting:"STYTCH_PUBLIC_TOKEN" placeholder:"TOKEN" help:"Public token of the project. Unset: no buttons for single sign-on and OAuth, as a browser cannot be sent to Stytch without it."`
	StytchBaseURL     string `setting:"STYTCH_BASE_URL" placeholder:"URL" help:"Address of the API. Unset: the one that the project id belongs to."`

	Addr      string `setting:"CONSOLE_ADDR" default:"127.0.0.1:8080" help:"Address to listen on."`
	PublicURL string `setting:"CONSOLE_PUBLIC_URL" placeholder:"URL" help:"Address that people type. https, or http on loopback. Unset: http and the address to listen on, if that is loopback."`

	DatabaseURL     string `setting:"CONSOLE_DATABASE_URL" placeholder:"URL" help:"Store, such as sqlite:///var/lib/orgconsole/console.db, or postgres://user@host/database for more than one process. Unset: console.db in the state folder."`
	DatabaseURLFile string `setting:"CONSOLE_DATABASE_URL_FILE" placeholder:"PATH" help:"File that holds the address of the store, as it may hold a password."`

	SessionKeys     string `setting:"CONSOLE_SESSION_KEYS" placeholder:"KEYS" help:"Keys of the session cookie, newest first, separated by commas. Required on PostgreSQL. Unset: made once, beside the store."`
	SessionKeysFile string `setting:"CONSOLE_SESSION_KEYS_FILE" placeholder:"PATH" help:"File that holds the session keys."`
	AuditKey        string `setting:"CONSOLE_AUDIT_KEY" placeholder:"KEY" help:"Key that signs the audit log. Required on PostgreSQL. Unset: made once, beside the store."`
	AuditKeyFile    string `setting:"CONSOLE_AUDIT_KEY_FILE" placeholder:"PATH" help:"File that holds the audit key."`

	AuditOldKeys     string `setting:"CONSOLE_AUDIT_OLD_KEYS" placeholder:"KEYS" help:"Keys that signed the audit log before, separated by commas. With its private half here, a log that one of them signed is changed to the audit key at the start."`
	AuditOldKeysFile string `setting:"CONSOLE_AUDIT_OLD_KEYS_FILE" placeholder:"PATH" help:"File that holds the old audit keys."`
	AuditRetention   string `setting:"CONSOLE_AUDIT_RETENTION" placeholder:"DAYS" help:"Days after which the audit's records are purged, 30 or more; their hashes stay. Unset: never."`

	AuditSinkURL           string `setting:"CONSOLE_AUDIT_SINK_URL" placeholder:"URL" help:"Address that every event of the audit is sent to, https, or http on loopback. Unset: none."`
	AuditSinkSecret        string `setting:"CONSOLE_AUDIT_SINK_SECRET" placeholder:"SECRETS" help:"Secrets that sign what is sent there, whsec_…, separated by commas. Required with an address."`
	AuditSinkSecretFile    string `setting:"CONSOLE_AUDIT_SINK_SECRET_FILE" placeholder:"PATH" help:"File that holds these secrets."`
	AuditSinkFormat        string `setting:"CONSOLE_AUDIT_SINK_FORMAT" default:"ndjson" help:"Format of what is sent there: ndjson, which holds the proofs, or ocsf."`
	AuditWitnessURL        string `setting:"CONSOLE_AUDIT_WITNESS_URL" placeholder:"URL" help:"Address that signed checkpoints of the audit are sent to, to be kept by somebody else. Unset: none."`
	AuditWitnessSecret     string `setting:"CONSOLE_AUDIT_WITNESS_SECRET" placeholder:"SECRETS" help:"Secrets that sign what is sent there, whsec_…, separated by commas. Unset: not signed but by the audit key."`
	AuditWitnessSecretFile string `setting:"CONSOLE_AUDIT_WITNESS_SECRET_FILE" placeholder:"PATH" help:"File that holds these secrets."`

	TrustedProxies string `setting:"CONSOLE_TRUSTED_PROXIES" placeholder:"CIDRS" help:"Addresses of proxies whose X-Forwarded-For is believed, separated by commas. Unset: none."`
	MetricsAddr    string `setting:"CONSOLE_METRICS_ADDR" placeholder:"ADDR" help:"Address to serve Prometheus metrics on, at /metrics, such as 127.0.0.1:9090. Nobody is asked who they are: keep it from the public. Unset: none."`
	LogLevel       string `setting:"CONSOLE_LOG_LEVEL" default:"info" help:"One of debug, info, warn, error."`
	SessionIdle    string `setting:"CONSOLE_SESSION_IDLE" default:"30m" help:"How long a session may lie idle."`
	SessionMax     string `setting:"CONSOLE_SESSION_MAX" default:"8h" help:"How long a session may last, from 5m to 8784h."`
	SharedCookies  string `setting:"CONSOLE_SHARED_COOKIES" placeholder:"NAMES" help:"Cookies in which an application under the same parent domain keeps its Stytch session, such as stytch_session,stytch_session_jwt. Unset: not accepted."`
	ReasonRequired string `setting:"CONSOLE_REASON_REQUIRED" default:"true" help:"Whether an operation needs a reason: true or false."`
	TicketPattern  string `setting:"CONSOLE_TICKET_PATTERN" placeholder:"REGEXP" help:"What a ticket must look like, whole. Unset: anything, or none."`
	TimeZone       string `setting:"CONSOLE_TIME_ZONE" default:"UTC" help:"Time zone, such as Europe/Madrid, of organizations whose trusted_metadata have no time_zone."`
	OfficeHours    string `setting:"CONSOLE_OFFICE_HOURS" default:"Mon-Fri 08:00-18:00" help:"Office hours, in whole quarters of an hour, of organizations whose trusted_metadata have no office_hours."`
}

// config is settings, checked and decoded. It holds secrets and is never printed or logged.
type config struct {
	projectID, secret string
	publicToken       string // "": no single sign-on, no OAuth
	baseURL           string // "" when the project id decides
	addr              string
	publicURL         *url.URL // nil: from the address once it is known
	databaseURL       string
	sessionKeys       [][]byte // nil: made once, beside the store
	auditKey          string   // "": made once, beside the store
	auditOldKeys      []string
	auditRetention    int // days; 0: for ever
	sink, witness     *receiver
	trustedProxies    []netip.Prefix
	metricsAddr       string // "": none
	logLevel          slog.Level
	sessionIdle       time.Duration
	sessionMax        time.Duration
	sharedCookies     []string
	reasonRequired    bool
	ticketPattern     *regexp.Regexp // nil: any
	timeZone          *time.Location
	officeHours       audit.OfficeHours
}

// Stytch's limits on session_duration_minutes.
const (
	shortestSession = 5 * time.Minute
	longestSession  = 527040 * time.Minute
)

// sessionKeySize is 32 bytes to sign the cookie and 32 to encrypt it.
const sessionKeySize = 64

// problems gathers what is wrong with each setting, so that all of it is told in one go.
type problems struct{ found []error }

// add says what is wrong with a setting. What goes in here is printed: never the value of a secret.
func (p *problems) add(setting, wrong, accepted string) {
	p.found = append(p.found, fmt.Errorf("%s: %s; accepted: %s", setting, wrong, accepted))
}

// err is nil when nothing was wrong.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return usageError(fmt.Errorf("bad settings, nothing was started\n%w", errors.Join(p.found...)))
}

// load checks every setting. The error names each bad one.
func (s settings) load(getenv func(string) string) (config, error) {
	var p problems
	// In the order of --help, so that the complaints come in that order too.
	c := config{
		projectID:   s.projectID(&p),
		secret:      s.secret(&p),
		publicToken: s.publicToken(&p),
		baseURL:     s.baseURL(&p),
		addr:        s.Addr,
	}
	c.publicURL = s.publicURL(&p, listenHost(&p, "CONSOLE_ADDR", s.Addr))
	c.databaseURL = databaseURL(&p, s.DatabaseURL, s.DatabaseURLFile, getenv)
	shared := database.Shared(c.databaseURL)
	c.sessionKeys = s.sessionKeys(&p, shared)
	c.auditKey = s.auditKey(&p, shared)
	c.auditOldKeys = s.auditOldKeys(&p)
	c.auditRetention = s.auditRetention(&p)
	c.sink = s.sink(&p)
	c.witness = s.witness(&p)
	c.trustedProxies = s.trustedProxies(&p)
	if c.metricsAddr = s.MetricsAddr; c.metricsAddr != "" {
		listenHost(&p, "CONSOLE_METRICS_ADDR", c.metricsAddr)
	}
	c.logLevel = s.logLevel(&p)
	c.sessionIdle, c.sessionMax = s.sessionTimes(&p)
	c.sharedCookies = s.sharedCookies(&p)
	c.reasonRequired = s.reasonRequired(&p)
	c.ticketPattern = s.ticketPattern(&p)
	c.timeZone = s.timeZone(&p)
	c.officeHours = s.officeHours(&p)
	return c, p.err()
}

func (s settings) projectID(p *problems) string {
	const accepted = "the project id that Stytch shows, project-live-… or project-test-…"
	switch {
	case s.StytchProjectID == "":
		p.add("STYTCH_PROJECT_ID", "not set", accepted)
	case s.StytchBaseURL != "":
		// Whoever names an address need not follow the naming that picks one.
	case !strings.HasPrefix(s.StytchProjectID, "project-live-") && !strings.HasPrefix(s.StytchProjectID, "project-test-"):
		p.add("STYTCH_PROJECT_ID", fmt.Sprintf("%q belongs to no known environment", s.StytchProjectID), accepted)
	}
	return s.StytchProjectID
}

func (s settings) secret(p *problems) string {
	if s.StytchSecret == "" && s.StytchSecretFile == "" {
		p.add("STYTCH_SECRET", "not set", "the secret of the project, or STYTCH_SECRET_FILE with the path of a file that holds it")
	}
	return secret(p, "STYTCH_SECRET", s.StytchSecret, s.StytchSecretFile)
}

func (s settings) publicToken(p *problems) string {
	token := s.StytchPublicToken
	if token != "" && (!strings.HasPrefix(token, "public-token-") || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })) {
		// The value is not repeated: a secret may stand there by mistake.
		p.add("STYTCH_PUBLIC_TOKEN", "not a public token", "the public token that Stytch shows, public-token-live-… or public-token-test-…")
	}
	return token
}

// cookieName is a token of RFC 9110, as the name of a cookie has to be.
var cookieName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (s settings) sharedCookies(p *problems) []string {
	var names []string
	for field := range strings.SplitSeq(s.SharedCookies, ",") {
		name := strings.TrimSpace(field)
		switch {
		case name == "":
		case !cookieName.MatchString(name):
			p.add("CONSOLE_SHARED_COOKIES", fmt.Sprintf("%q is no name of a cookie", name), "names separated by commas, such as stytch_session,stytch_session_jwt")
		case strings.HasPrefix(name, "__Host-"):
			p.add("CONSOLE_SHARED_COOKIES", fmt.Sprintf("%q can never come from another host", name), "a cookie that the application sets for the parent domain")
		default:
			names = append(names, name)
		}
	}
	return names
}

func (s settings) baseURL(p *problems) string {
	if s.StytchBaseURL == "" {
		return ""
	}
	const accepted = "an https address such as https://api.stytch.com; http only on loopback"
	u, err := url.Parse(s.StytchBaseURL)
	switch {
	case err != nil || u.Host == "":
		p.add("STYTCH_BASE_URL", "not an address", accepted)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.add("STYTCH_BASE_URL", "has a user, a query or a fragment", accepted)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		p.add("STYTCH_BASE_URL", fmt.Sprintf("%s would send the project secret in the clear", u.Redacted()), accepted)
	}
	return s.StytchBaseURL
}

func (s settings) publicURL(p *problems, listenHost string) *url.URL {
	const accepted = "https://console.example.com, or http only on loopback, with no path"
	if s.PublicURL == "" {
		if listenHost != "" && !isLoopback(listenHost) {
			p.add("CONSOLE_PUBLIC_URL", "not set, and CONSOLE_ADDR can be reached from other machines", accepted)
		}
		return nil
	}
	u, err := url.Parse(s.PublicURL)
	switch {
	case err != nil || u.Hostname() == "":
		p.add("CONSOLE_PUBLIC_URL", "not an address", accepted)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		p.add("CONSOLE_PUBLIC_URL", "has more than scheme, host and port", accepted)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		p.add("CONSOLE_PUBLIC_URL", fmt.Sprintf("%q would carry sessions in the clear", u.Redacted()), accepted)
	default:
		// As a browser writes it, since the Host of every request is compared with it.
		host := strings.ToLower(u.Host)
		if (u.Scheme == "https" && u.Port() == "443") || (u.Scheme == "http" && u.Port() == "80") {
			host = strings.TrimSuffix(host, ":"+u.Port())
		}
		return &url.URL{Scheme: u.Scheme, Host: host}
	}
	return nil
}

// notMade is why a key is asked for that is made otherwise: all processes need the same.
const notMade = "not set, and a PostgreSQL store has no folder beside it to keep one in"

func (s settings) sessionKeys(p *problems, shared bool) [][]byte {
	const accepted = "keys as `console keys` prints them, newest first, separated by commas"
	if shared && s.SessionKeys == "" && s.SessionKeysFile == "" {
		p.add("CONSOLE_SESSION_KEYS", notMade, accepted)
	}
	text := secret(p, "CONSOLE_SESSION_KEYS", s.SessionKeys, s.SessionKeysFile)
	if text == "" {
		return nil
	}
	keys, err := parseSessionKeys(text)
	if err != nil {
		p.add("CONSOLE_SESSION_KEYS", err.Error(), accepted)
	}
	return keys
}

// parseSessionKeys reads keys separated by commas, each 64 bytes in base64. Its errors hold no part of a key.
func parseSessionKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for i, field := range strings.Split(text, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(field))
		if err != nil {
			return nil, fmt.Errorf("key %d is not base64", i+1)
		}
		if len(key) != sessionKeySize {
			return nil, fmt.Errorf("key %d has %d bytes instead of %d", i+1, len(key), sessionKeySize)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (s settings) auditKey(p *problems, shared bool) string {
	const accepted = "a key as `console keys` prints it"
	if shared && s.AuditKey == "" && s.AuditKeyFile == "" {
		p.add("CONSOLE_AUDIT_KEY", notMade, accepted)
	}
	text := secret(p, "CONSOLE_AUDIT_KEY", s.AuditKey, s.AuditKeyFile)
	if text == "" {
		return ""
	}
	if !isAuditKey(text) {
		p.add("CONSOLE_AUDIT_KEY", "not a signing key", accepted)
	}
	return text
}

func (s settings) auditOldKeys(p *problems) []string {
	var keys []string
	for field := range strings.SplitSeq(secret(p, "CONSOLE_AUDIT_OLD_KEYS", s.AuditOldKeys, s.AuditOldKeysFile), ",") {
		key := strings.TrimSpace(field)
		if key == "" {
			continue
		}
		if _, err := audit.PublicHalf(key); err != nil {
			p.add("CONSOLE_AUDIT_OLD_KEYS", "one of them is no key", "keys as `console keys` prints them, separated by commas; the public half where it need not sign any more")
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

// shortestRetention is long enough that nothing is purged that somebody still waits for, or has just been alarmed about.
const shortestRetention, longestRetention = 30, 36500

func (s settings) auditRetention(p *problems) int {
	if s.AuditRetention == "" {
		return 0
	}
	days, err := strconv.Atoi(s.AuditRetention)
	if err != nil || days < shortestRetention || days > longestRetention {
		p.add("CONSOLE_AUDIT_RETENTION", fmt.Sprintf("%q is no number of days from %d", s.AuditRetention, shortestRetention), "whole days, such as 400; nothing to keep all for ever")
	}
	return days
}

func (s settings) trustedProxies(p *problems) []netip.Prefix {
	var prefixes []netip.Prefix
	for field := range strings.SplitSeq(s.TrustedProxies, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		const accepted = "addresses or networks separated by commas, such as 10.0.0.7, 192.168.0.0/24"
		prefix, err := netip.ParsePrefix(field)
		if err != nil {
			addr, addrErr := netip.ParseAddr(field)
			if addrErr != nil || addr.Zone() != "" {
				p.add("CONSOLE_TRUSTED_PROXIES", fmt.Sprintf("%q is neither an address nor a network", field), accepted)
				continue
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Bits() == 0 {
			p.add("CONSOLE_TRUSTED_PROXIES", fmt.Sprintf("%q would let anyone claim any address", field), accepted)
			continue
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes
}

func (s settings) logLevel(p *problems) slog.Level {
	switch strings.ToLower(s.LogLevel) {
	case "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	p.add("CONSOLE_LOG_LEVEL", fmt.Sprintf("%q is no level", s.LogLevel), "debug, info, warn, error")
	return slog.LevelInfo
}

func (s settings) sessionTimes(p *problems) (idle, longest time.Duration) {
	idle, idleErr := time.ParseDuration(s.SessionIdle)
	if idleErr != nil || idle < time.Minute {
		p.add("CONSOLE_SESSION_IDLE", fmt.Sprintf("%q is no time of a minute or more", s.SessionIdle), "a time such as 30m or 1h")
	}
	longest, maxErr := time.ParseDuration(s.SessionMax)
	if maxErr != nil || longest < shortestSession || longest > longestSession || longest%time.Minute != 0 {
		p.add("CONSOLE_SESSION_MAX", fmt.Sprintf("%q is no time Stytch grants", s.SessionMax), "whole minutes from 5m to 8784h, such as 8h")
	} else if idleErr == nil && idle > longest {
		p.add("CONSOLE_SESSION_IDLE", fmt.Sprintf("%s is more than CONSOLE_SESSION_MAX, %s", s.SessionIdle, s.SessionMax), "a time up to CONSOLE_SESSION_MAX")
	}
	return idle, longest
}

func (s settings) reasonRequired(p *problems) bool {
	required, err := strconv.ParseBool(s.ReasonRequired)
	if err != nil {
		p.add("CONSOLE_REASON_REQUIRED", fmt.Sprintf("%q is neither", s.ReasonRequired), "true, false")
	}
	return required
}

func (s settings) ticketPattern(p *problems) *regexp.Regexp {
	if s.TicketPattern == "" {
		return nil
	}
	pattern, err := regexp.Compile(s.TicketPattern)
	if err != nil {
		p.add("CONSOLE_TICKET_PATTERN", err.Error(), "a regular expression in Go's syntax, such as [A-Z]+-[0-9]+")
	}
	return pattern
}

// secret is the value of a setting that may also be the path of a file. Whitespace around it is dropped, since
// files end in a newline.
func secret(p *problems, name, value, file string) string {
	switch {
	case value != "" && file != "":
		p.add(name, "set, and "+name+"_FILE too", "one of the two")
		return ""
	case file == "":
		return strings.TrimSpace(value)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		p.add(name+"_FILE", err.Error(), "the path of a file that this process can read")
		return ""
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		p.add(name+"_FILE", fmt.Sprintf("%s is empty", file), "a file that holds the value")
	}
	return text
}

func (s settings) timeZone(p *problems) *time.Location {
	zone, err := handlers.ParseTimeZone(s.TimeZone)
	if err != nil {
		p.add("CONSOLE_TIME_ZONE", fmt.Sprintf("%q: %s", s.TimeZone, err), "a name of the IANA time zone database, such as Europe/Madrid")
	}
	return zone
}

func (s settings) officeHours(p *problems) audit.OfficeHours {
	hours, err := handlers.ParseOfficeHours(s.OfficeHours)
	if err != nil {
		p.add("CONSOLE_OFFICE_HOURS", fmt.Sprintf("%q: %s", s.OfficeHours, err), "days and times within one day, in whole quarters of an hour, such as "+handlers.DefaultOfficeHours)
	}
	return hours
}

// databaseURL is the store's address: the one given, or console.db in the state folder.
func databaseURL(p *problems, given, file string, getenv func(string) string) string {
	if given == "" && file == "" {
		folder, err := stateFolder(getenv)
		if err != nil {
			p.add("CONSOLE_DATABASE_URL", "not set, and "+err.Error(), database.Accepted)
			return ""
		}
		return sqliteURL(filepath.Join(folder, "console.db"))
	}
	address := secret(p, "CONSOLE_DATABASE_URL", given, file)
	if address == "" {
		return "" // and why is said
	}
	if err := database.CheckURL(address); err != nil {
		p.add("CONSOLE_DATABASE_URL", err.Error(), database.Accepted)
	}
	return address
}

// sqliteURL writes the path of a store as the setting is written.
func sqliteURL(path string) string {
	return (&url.URL{Scheme: "sqlite", Path: path}).String()
}

// storeFolder is where an SQLite store lies; the keys made on its first start lie there too.
func storeFolder(databaseURL string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme != "sqlite" {
		return "", errors.New("the store is not a file")
	}
	return filepath.Dir(u.Path), nil
}

// stateFolder is where this user's programs keep state, by the XDG base directory specification.
func stateFolder(getenv func(string) string) (string, error) {
	base := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the specification says to ignore what is not absolute
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", errors.New("neither XDG_STATE_HOME nor HOME says where the state folder is")
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "orgconsole"), nil
}

// listenHost checks an address to listen on and returns its host, "0.0.0.0" when it means every address and ""
// when it was bad.
func listenHost(p *problems, setting, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(setting, fmt.Sprintf("%q is no address to listen on", addr), "host:port, such as 127.0.0.1:8080, or :8080 for every address")
		return ""
	}
	return cmp.Or(host, "0.0.0.0")
}

// isLoopback reports whether a host, by its spelling alone, is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// environment gives a flag its value from the variable its `setting` tag names. An empty variable counts as unset:
// container files often export settings without a value.
func environment(getenv func(string) string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if flag.Tag == nil {
			return nil, nil
		}
		name := flag.Tag.Get("setting")
		if name == "" {
			return nil, nil
		}
		if value := getenv(name); value != "" {
			return value, nil
		}
		return nil, nil
	})
}

// describeFlag adds the environment variable to a flag's help.
func describeFlag(value *kong.Value) string {
	if value.Tag == nil || value.Tag.Get("setting") == "" {
		return value.Help
	}
	return value.Help + " ($" + value.Tag.Get("setting") + ")"
}

// setting is one row of the table in docs/operations.md, which a test compares with the code.
type setting struct {
	Name, Flag, Default, Help string
}

// allSettings lists every setting of `console serve`, in the order of its --help.
func allSettings() ([]setting, error) {
	parser, err := newParser(&cli{}, &program{getenv: func(string) string { return "" }}, func(int) {})
	if err != nil {
		return nil, err
	}
	var list []setting
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			if name := flag.Tag.Get("setting"); name != "" {
				list = append(list, setting{Name: name, Flag: "--" + flag.Name, Default: flag.Default, Help: flag.Help})
			}
		}
	}
	return list, nil
}
