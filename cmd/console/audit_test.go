package main

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// recorded is a store with a few operations of two organizations, and a receipt of one of them.
type recorded struct {
	url, public string
	receipt     []byte
}

func record(t *testing.T, place *databasetest.Store) recorded {
	t.Helper()
	signer, public, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	db := place.Open(t)
	log, err := audit.New(db, signer, audit.Options{Now: time.Now, Rand: rand.Reader, Build: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		for _, id := range []string{"organization-test-a", "organization-test-b"} {
			ev := audit.Event{
				OrganizationID: id, Action: audit.ActionDeletePassword, Phase: audit.PhaseIntent, OperationID: fmt.Sprintf("operation-%d", n/2),
				Actor: audit.Actor{MemberID: "member-test-1", Email: "hiro@acme.example"}, Reason: "=1+1", Source: audit.Source{IP: "192.0.2.7"},
				Target: audit.Target{Type: "member", ID: "member-test-2", Email: "noor@acme.example"},
			}
			if n%2 == 1 {
				ev.Phase, ev.Outcome = audit.PhaseOutcome, audit.OutcomeSucceeded
			}
			if _, err := log.Record(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	receipt, err := log.Receipt(t.Context(), "organization-test-a", "operation-1")
	if err != nil {
		t.Fatal(err)
	}
	return recorded{place.URL, public, receipt}
}

// command runs the program in a place of its own.
func (r recorded) command(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	env := map[string]string{"CONSOLE_DATABASE_URL": r.url, "CONSOLE_AUDIT_PUBLIC_KEY": r.public, "XDG_STATE_HOME": t.TempDir()}
	var out, errs bytes.Buffer
	code = run(t.Context(), args, func(name string) string { return env[name] }, stdin, &out, &errs)
	return out.String(), errs.String(), code
}

func (r recorded) export(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := r.command(t, nil, append([]string{"audit", "export"}, args...)...)
	if code != exitOK {
		t.Fatalf("audit export %q = %d: %s", args, code, errs)
	}
	return out
}

func TestAuditExport(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, place *databasetest.Store) {
		r := record(t, place)
		whole := r.export(t, "--format", "ndjson")
		for _, c := range []struct {
			file string
			want []string
		}{
			{whole, []string{
				"(system) ", "organization-test-a ", "organization-test-b ", "6 of 6 records", "intact, records: 16, logs: 3\n",
				"Proven: none is missing.",
			}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a"), []string{"intact, records: 6, logs: 1\n", "Proven: none is missing."}},
			{r.export(t, "--format=ndjson", "--outcome=succeeded"), []string{"3 of 6 records", "intact, records: 6, logs: 3\n", "Not proven: that no record was left out"}},
			{r.export(t, "--format=ndjson", "--operation=operation-1", "--actor=HIRO", "--target=noor", "--action=member.password.delete"), []string{"intact, records: 4, "}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--search=192.0.2.7 noor"), []string{"intact, records: 6, "}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--search=nobody"), []string{"0 of 6 records"}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--several"), []string{"0 of 6 records"}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--outside=Mon-Sun 00:00-24:00", "--time-zone=Asia/Kolkata"), []string{"0 of 6 records"}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--from=2000-01-01", "--to=2100-01-01T00:00:00Z"), []string{"intact, records: 6, "}},
			{r.export(t, "--format=ndjson", "--organization=organization-test-a", "--to=2000-01-01"), []string{"0 of 6 records", "Not proven: that no record"}},
		} {
			out, errs, code := r.command(t, strings.NewReader(c.file), "audit", "verify", "--export", "-")
			if code != exitOK {
				t.Errorf("audit verify --export = %d: %s", code, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("audit verify --export: no %q in\n%s", want, out)
				}
			}
		}

		rows, err := csv.NewReader(strings.NewReader(r.export(t, "--format", "csv"))).ReadAll()
		if err != nil || len(rows) != 1+16 || rows[len(rows)-1][8] != "'=1+1" {
			t.Errorf("csv: %d rows, %v", len(rows), err)
		}
		if lines := strings.Split(r.export(t, "--format=ocsf", "--organization=organization-test-b"), "\n"); len(lines) != 7 || !strings.Contains(lines[0], `"type_uid":300104`) {
			t.Errorf("ocsf: %d lines, %s", len(lines), lines[0])
		}
	})
}

func TestAuditExportSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	place := databasetest.SQLite(t)
	r := record(t, place)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "missing flags: --format"},
		{[]string{"--format=xml"}, exitUsage, "--format must be one of"},
		{[]string{"--format=csv", "--organization=organization-test-z"}, exitUsage, "nothing was recorded of this organization"},
		{[]string{"--format=csv", "--action=x", "--outcome=y", "--from=z", "--to=1 May"}, exitUsage, "--to: \"1 May\" is no time"},
		{[]string{"--format=csv", "--outside=always", "--time-zone=Mars"}, exitUsage, "--outside: "},
		{[]string{"--format=csv", "--outside=always", "--time-zone=Mars"}, exitUsage, "\"Mars\" is no time zone"},
		{[]string{"--format=csv", "--database-url=sqlite:///nonexistent/console.db"}, exitUsage, "cannot look"},
		{[]string{"--format=csv", "--audit-public-key=hunter2"}, exitUsage, "not one of an audit log"},
	} {
		out, errs, code := r.command(t, nil, append([]string{"audit", "export"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || out != "" || strings.Contains(errs, "hunter2") {
			t.Errorf("audit export %q = %d, %q, output %q; want %d and %q", c.args, code, errs, out, c.code, c.want)
		}
	}
	place.Exec(t, `UPDATE audit_events SET bytes = replace(bytes, '=1+1', '=1+2') WHERE tree = 3 AND seq = 4`)
	out, errs, code := r.command(t, nil, "audit", "export", "--format=ndjson")
	if code != exitNotOK || !strings.Contains(errs, "tree of organization-test-b, record seq 4") || strings.Count(out, "audit_export_end") != 2 {
		t.Errorf("audit export of a changed store = %d, %q, with %d ends", code, errs, strings.Count(out, "audit_export_end"))
	}
	_, errs, code = r.command(t, strings.NewReader(out), "audit", "verify", "--export=-")
	if code != exitNotOK || !strings.Contains(errs, "the end is missing") {
		t.Errorf("audit verify of what was written until then = %d, %q", code, errs)
	}
}

func TestAuditVerifyFile(t *testing.T) {
	t.Parallel()
	r := record(t, databasetest.SQLite(t))
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := r.export(t, "--format=ndjson")
	changed := strings.Replace(whole, `"outcome":"succeeded","reason"`, `"outcome":"denied","reason"`, 1)
	export, receipt := write("export.ndjson", whole), write("receipt.json", string(r.receipt))
	_, other, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
		errs string
	}{
		"export":               {[]string{"--export", export}, exitOK, "intact, records: 16, logs: 3", ""},
		"changed":              {[]string{"--export", write("changed", changed)}, exitNotOK, "not intact: ", "line 9, record seq 1 id "},
		"cut":                  {[]string{"--export", write("cut", whole[:len(whole)/2])}, exitNotOK, "not intact: ", "line "},
		"wrong key":            {[]string{"--export", export, "--audit-public-key", other}, exitNotOK, "not intact: ", "line 1: checkpoint: signed by another key"},
		"bad key":              {[]string{"--export", export, "--audit-public-key", "hunter2"}, exitUsage, "", "not one of an audit log"},
		"no file":              {[]string{"--export", filepath.Join(folder, "none")}, exitUsage, "", "no such file"},
		"a receipt, as export": {[]string{"--export", receipt}, exitUsage, "", "not an NDJSON export"},
		"csv":                  {[]string{"--export", write("csv", r.export(t, "--format=csv"))}, exitUsage, "", "not an NDJSON export"},
		"receipt":              {[]string{"--receipt", receipt}, exitOK, "\nDelete password: succeeded\n", ""},
		"receipt, changed":     {[]string{"--receipt", write("forged.json", strings.Replace(string(r.receipt), "succeeded", "failed", 1))}, exitNotOK, "not intact: ", "the file"},
		"export, as receipt":   {[]string{"--receipt", export}, exitUsage, "", "nor a receipt"},
		"both":                 {[]string{"--receipt", receipt, "--export", export}, exitUsage, "", "one of the two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// No store is needed.
			r := recorded{url: "sqlite:///nonexistent/console.db", public: r.public}
			out, errs, code := r.command(t, nil, append([]string{"audit", "verify"}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || strings.Contains(errs, "hunter2") {
				t.Errorf("audit verify %q = %d\n%s%s", c.args, code, out, errs)
			}
		})
	}
}

// The key is looked for beside the store when none is given.
func TestAuditVerifyFileFindsTheKeyBesideTheStore(t *testing.T) {
	t.Parallel()
	place := databasetest.SQLite(t)
	r := record(t, place)
	whole := r.export(t, "--format=ndjson")
	folder, err := storeFolder(place.URL)
	if err != nil {
		t.Fatal(err)
	}
	public := r.public
	r.public = ""
	if _, errs, code := r.command(t, strings.NewReader(whole), "audit", "verify", "--export=-"); code != exitUsage || !strings.Contains(errs, "CONSOLE_AUDIT_PUBLIC_KEY: not set, and there is no audit.pub") {
		t.Errorf("without a key = %d, %s", code, errs)
	}
	if err := os.WriteFile(filepath.Join(folder, auditPublicFile), []byte(public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := r.command(t, strings.NewReader(whole), "audit", "verify", "--export=-"); code != exitOK {
		t.Errorf("with the key beside the store = %d, %s", code, errs)
	}
}
