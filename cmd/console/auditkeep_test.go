package main

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

// command runs the program in this process.
func command(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(t.Context(), args, func(name string) string { return env[name] }, nil, &out, &complaints)
	return out.String(), complaints.String(), code
}

// recordedStore is a store with one event about one person.
func recordedStore(t *testing.T, signer string) (env map[string]string) {
	t.Helper()
	env = map[string]string{"XDG_STATE_HOME": t.TempDir(), "CONSOLE_AUDIT_KEY": signer}
	reopen(t, env, signer)
	return env
}

func reopen(t *testing.T, env map[string]string, signer string, old ...string) {
	t.Helper()
	db, err := database.Open(t.Context(), sqliteURL(filepath.Join(env["XDG_STATE_HOME"], "orgconsole", "console.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	log, err := audit.New(db, signer, audit.Options{Now: time.Now, Rand: rand.Reader, OldKeys: old})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ev := audit.Event{OrganizationID: "organization-test-1", Action: audit.ActionSignOut, Phase: audit.PhaseInfo}
	ev.Actor = audit.Actor{MemberID: "member-test-1", Email: "ada@example.com"}
	if _, err := log.Record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
}

func newAuditKey(t *testing.T) (signer, public string) {
	t.Helper()
	signer, public, err := audit.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

func TestAuditErase(t *testing.T) {
	t.Parallel()
	signer, _ := newAuditKey(t)
	env := recordedStore(t, signer)
	if _, complaint, code := command(t, env, "audit", "verify"); code != exitOK {
		t.Fatalf("verify: %d, %s", code, complaint)
	}
	args := []string{"audit", "erase", "--member", "member-test-1", "--organization", "organization-test-1"}
	if _, complaint, code := command(t, env, args...); code != exitUsage || !strings.Contains(complaint, "--reason") {
		t.Errorf("erase without a reason: %d, %s", code, complaint)
	}
	if _, complaint, code := command(t, env, append(args, "--reason", "Ada@example.com asked")...); code != exitUsage || strings.Contains(strings.ToLower(complaint), "ada@") {
		t.Errorf("erase for a reason that names the person: %d, %s", code, complaint)
	}
	strange, _ := newAuditKey(t)
	env["CONSOLE_AUDIT_KEY"] = strange
	if _, complaint, code := command(t, env, append(args, "--reason", "DPO-7")...); code != exitNotOK || !strings.Contains(complaint, "signed by another key") {
		t.Errorf("erase with another key: %d, %s", code, complaint)
	}
	env["CONSOLE_AUDIT_KEY"] = signer
	if out, complaint, code := command(t, env, append(args, "--reason", "DPO-7")...); code != exitOK || !strings.Contains(out, "texts in the audit: 1,") {
		t.Errorf("erase: %d, %s%s", code, out, complaint)
	}
	if _, complaint, code := command(t, env, "audit", "verify"); code != exitOK {
		t.Errorf("verify: %d, %s", code, complaint)
	}
	// Not in a free page of the file either, nor in its log.
	for _, suffix := range []string{"", "-wal"} {
		if left, _ := readKey(filepath.Join(env["XDG_STATE_HOME"], "orgconsole", "console.db"+suffix)); strings.Contains(left, "ada@example.com") {
			t.Errorf("console.db%s still has the address", suffix)
		}
	}
	env["XDG_STATE_HOME"] = t.TempDir()
	if _, complaint, code := command(t, env, append(args, "--reason", "DPO-7")...); code != exitUsage {
		t.Errorf("erase in no store: %d, %s", code, complaint)
	}
}

func TestAuditVerifyAfterAKeyChange(t *testing.T) {
	t.Parallel()
	oldSigner, oldPublic := newAuditKey(t)
	signer, public := newAuditKey(t)
	env := recordedStore(t, oldSigner)
	if _, complaint, code := command(t, env, "audit", "verify"); code != exitOK {
		t.Fatalf("verify: %d, %s", code, complaint)
	}
	reopen(t, env, signer, oldSigner)
	delete(env, "CONSOLE_AUDIT_KEY")
	for keys, want := range map[string]int{public: exitOK, oldPublic + "," + public: exitOK, oldPublic: exitNotOK, "hunter2": exitUsage, public + ",hunter2": exitUsage} {
		env["CONSOLE_AUDIT_PUBLIC_KEY"] = keys
		out, complaint, code := command(t, env, "audit", "verify")
		if code != want || keys == oldPublic && !strings.Contains(out, "the key was changed here") {
			t.Errorf("verify with %s: %d, %s%s", keys, code, out, complaint)
		}
	}
}

// The settings reach the audit.
func TestServeChangesTheKey(t *testing.T) {
	t.Parallel()
	oldSigner, _ := newAuditKey(t)
	signer, _ := newAuditKey(t)
	env := recordedStore(t, oldSigner)
	path := filepath.Join(env["XDG_STATE_HOME"], "orgconsole", "console.db")
	recorded := func(action string) bool {
		store, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var found bool
		if err := store.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT 1 FROM audit_events WHERE action = ?)`, action).Scan(&found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	p := start(t, []string{
		"XDG_STATE_HOME=" + env["XDG_STATE_HOME"], "STYTCH_PROJECT_ID=project-test-1", "STYTCH_SECRET=x", "STYTCH_BASE_URL=http://127.0.0.1:1",
		"CONSOLE_ADDR=127.0.0.1:0", "CONSOLE_AUDIT_KEY=" + signer, "CONSOLE_AUDIT_OLD_KEYS=" + oldSigner, "CONSOLE_AUDIT_RETENTION=30",
	}, "serve")
	p.served(t)
	if code := p.terminate(t); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, p.stderr)
	}
	if !recorded("audit.key.change") {
		t.Error("the key was not changed")
	}
	if strings.Contains(p.stderr.String(), oldSigner) {
		t.Error("the log holds the old key")
	}
	env["CONSOLE_AUDIT_KEY"] = signer
	if out, complaint, code := command(t, env, "audit", "verify"); code != exitOK {
		t.Errorf("verify: %d, %s%s", code, out, complaint)
	}
}
