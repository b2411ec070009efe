package main

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/database/databasetest"
)

func TestAuditCopy(t *testing.T) {
	t.Parallel()
	signer, public := newAuditKey(t)
	env := recordedStore(t, signer)
	from := sqliteURL(filepath.Join(env["XDG_STATE_HOME"], "orgconsole", "console.db"))
	target := databasetest.Postgres(t)
	to := target.As(t, url.UserPassword("console", "hunter2")) // which the server does not ask for
	try := func(want int, from, to string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, code := command(t, env, "audit", "copy", "--from", from, "--to", to)
		if code != want {
			t.Errorf("audit copy = %d, want %d: %s%s", code, want, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "hunter") {
			t.Errorf("a password was printed: %s%s", stdout, stderr)
		}
		return stdout, stderr
	}
	if _, complaint := try(exitUsage, "console.db", "mysql://u:hunter2@h/d"); !strings.Contains(complaint, "--from: ") || !strings.Contains(complaint, "--to: ") {
		t.Errorf("bad addresses: %s", complaint)
	}
	try(exitUsage, sqliteURL(filepath.Join(t.TempDir(), "none.db")), to)
	try(exitUsage, from, target.As(t, url.UserPassword("nobody", "hunter3")))
	delete(env, "CONSOLE_AUDIT_KEY")
	if _, complaint := try(exitUsage, from, to); !strings.Contains(complaint, "CONSOLE_AUDIT_PUBLIC_KEY: not set") {
		t.Errorf("without a key: %s", complaint)
	}
	_, env["CONSOLE_AUDIT_PUBLIC_KEY"] = newAuditKey(t)
	if out, _ := try(exitNotOK, from, to); !strings.HasPrefix(out, "not intact: ") {
		t.Errorf("with another key: %s", out)
	}
	env["CONSOLE_AUDIT_PUBLIC_KEY"] = public
	out, _ := try(exitOK, from, to)
	trees, last, _ := strings.Cut(out, "\ncopied, records: 4, trees: 2. ")
	before, after, _ := strings.Cut(trees, "\nto postgres:///"+target.Name())
	_, before, _ = strings.Cut(before, "\n")
	_, after, _ = strings.Cut(after, "\n")
	if last == "" || before != after || strings.Count(after, ", root ") != 2 {
		t.Errorf("audit copy says:\n%s", out)
	}
	if _, complaint := try(exitUsage, from, to); !strings.Contains(complaint, "not empty: ") || !strings.Contains(complaint, "rows in audit_trees") {
		t.Errorf("a second time: %s", complaint)
	}
	for _, store := range []string{from, to} {
		env["CONSOLE_DATABASE_URL"] = store
		if out, complaint, code := command(t, env, "audit", "verify"); code != exitOK {
			t.Errorf("verify: %d, %s%s", code, out, complaint)
		}
	}
	target.Exec(t, `UPDATE audit_events SET bytes = bytes || ' ' WHERE seq = 1`)
	if out, _ := try(exitNotOK, to, sqliteURL(filepath.Join(t.TempDir(), "console.db"))); !strings.Contains(out, "seq 1") {
		t.Errorf("of a changed store: %s", out)
	}
}
