package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database/databasetest"
)

// Two processes share a store, one of them dies, the store goes away and comes back; the log is verified by somebody
// who has the public key and may only read.
func TestProcessesOnPostgres(t *testing.T) {
	t.Parallel()
	store := databasetest.Postgres(t)
	upstream := start(t, nil, "sandbox", "--json")
	line, err := upstream.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, upstream.stderr)
	}
	var facts demoFacts
	if err := json.Unmarshal(line, &facts); err != nil {
		t.Fatal(err)
	}
	keys, err := exec.CommandContext(t.Context(), binary(t), "keys").Output()
	if err != nil {
		t.Fatal(err)
	}
	const password = "hunter2-of-the-store"
	store.Exec(t, `GRANT CREATE ON SCHEMA public TO locked; ALTER ROLE locked PASSWORD '`+password+`'`)
	secretFile := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(secretFile, []byte(store.As(t, url.UserPassword("locked", password))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append([]string{
		"STYTCH_PROJECT_ID=" + facts.ProjectID, "STYTCH_SECRET=" + facts.Secret, "STYTCH_BASE_URL=" + facts.Stytch,
		"CONSOLE_ADDR=127.0.0.1:0", "CONSOLE_DATABASE_URL_FILE=" + secretFile,
	}, strings.Fields(string(keys))...)

	var processes []*process
	for range 3 {
		processes = append(processes, start(t, env, "serve"))
	}
	ready := func(p *process, want int) {
		t.Helper()
		url := "http://" + p.served(t) + "/readyz"
		for ctx := t.Context(); ctx.Err() == nil; pause(ctx) {
			if res, _ := get(t, url); res.StatusCode == want {
				return
			}
		}
	}
	for _, p := range processes {
		ready(p, http.StatusOK)
	}
	if err := processes[0].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	processes[0].cmd.Wait()
	name := store.Name()
	store.ExecElsewhere(t, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	ready(processes[1], http.StatusServiceUnavailable)
	store.ExecElsewhere(t, `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`)
	ready(processes[1], http.StatusOK)
	for _, p := range processes[1:] {
		if code := p.terminate(t); code != exitOK {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, p.stderr)
		}
	}
	for _, p := range processes {
		if log := p.stderr.String(); strings.Contains(log, password) {
			t.Errorf("the log holds the password of the store:\n%s", log)
		}
	}

	_, signer, _ := strings.Cut(string(keys), "CONSOLE_AUDIT_KEY=")
	public, err := audit.PublicKey(strings.TrimSpace(signer))
	if err != nil {
		t.Fatal(err)
	}
	store.Exec(t, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor`)
	state := t.TempDir()
	verify := func(address string, env ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), binary(t), "audit", "verify")
		cmd.Env = append([]string{"XDG_STATE_HOME=" + state, "CONSOLE_DATABASE_URL=" + address}, env...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	auditor, key := store.As(t, url.User("auditor")), "CONSOLE_AUDIT_PUBLIC_KEY="+public
	// What created the log, and each start.
	if out, code := verify(auditor, key); code != exitOK || !strings.Contains(out, "\nintact, records: 4, trees: 1\n") {
		t.Errorf("audit verify = %d, want %d:\n%s", code, exitOK, out)
	}
	if out, code := verify(auditor); code != exitUsage || !strings.Contains(out, "CONSOLE_AUDIT_PUBLIC_KEY: not set") {
		t.Errorf("audit verify without a key = %d, want %d:\n%s", code, exitUsage, out)
	}
	if out, code := verify(store.As(t, url.UserPassword("locked", "hunter3")), key); code != exitUsage || strings.Contains(out, "hunter3") {
		t.Errorf("audit verify with a wrong password = %d, want %d:\n%s", code, exitUsage, out)
	}
	if out, code := verify(strings.Replace(auditor, name, "none", 1), key); code != exitUsage {
		t.Errorf("audit verify of no store = %d, want %d:\n%s", code, exitUsage, out)
	}
	store.Exec(t, `UPDATE audit_events SET bytes = bytes || ' ' WHERE seq = 1`)
	if out, code := verify(auditor, key); code != exitNotOK || !strings.Contains(out, "seq 1") {
		t.Errorf("audit verify of a changed store = %d, want %d with seq 1:\n%s", code, exitNotOK, out)
	}
}
