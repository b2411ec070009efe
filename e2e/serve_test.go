package e2e_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to break a store behind the console's back
)

// upstream runs the sandbox alone.
func upstream(t testing.TB) *site {
	t.Helper()
	p := launch(t, environment(t), "sandbox", "--json")
	f := p.facts()
	return &site{facts: f, t: t, process: p, control: newControl(t, f)}
}

// settings is the environment of a console against a sandbox, all in one folder.
func (s *site) settings(folder string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "XDG_STATE_HOME=" + filepath.Join(folder, "state"),
		"STYTCH_PROJECT_ID=" + s.ProjectID, "STYTCH_SECRET=" + s.Secret, "STYTCH_PUBLIC_TOKEN=" + s.PublicToken, "STYTCH_BASE_URL=" + s.Stytch,
		"CONSOLE_ADDR=127.0.0.1:0", "CONSOLE_DATABASE_URL=sqlite://" + filepath.Join(folder, "console.db"), "CONSOLE_LOG_LEVEL=debug",
		"CONSOLE_TICKET_PATTERN=INC-[0-9]+",
	}
}

// serve starts a console by its environment alone, against the sandbox of s.
func (s *site) serve(env []string) *site {
	s.t.Helper()
	p := launch(s.t, env, "serve")
	address := ""
	eventually(s.t, startLimit, "the log says where it serves", func() bool {
		select {
		case <-p.exited:
			s.t.Fatalf("serve ended: %v; stderr:\n%s", p.err, p.stderr)
		default:
		}
		for line := range strings.Lines(p.stderr.String()) {
			var entry struct {
				Msg       string
				PublicURL string `json:"public_url"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
				address = entry.PublicURL
			}
		}
		return address != ""
	})
	waitReady(s.t, address)
	console := *s
	console.Console, console.process = address, p
	return &console
}

func TestServeByEnvironmentAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	sandbox := upstream(t)
	env := sandbox.settings(folder)
	s := sandbox.serve(env)
	b := s.as("helpdesk")
	if text := b.get("/login").text("main"); strings.Contains(text, s.person("helpdesk").Password) {
		t.Error("a console that is no demo lists people with their passwords")
	}
	target := s.id("paula@acme.example")
	p := b.send(b.confirm(target), confirmForm, map[string]string{"reason": "r", "ticket": "INC-1 and more"}).wants(http.StatusUnprocessableEntity)
	p.says(".invalid-feedback", "INC-[0-9]+")
	b.submit(p, confirmForm, map[string]string{"ticket": "INC-1"}).wants(http.StatusOK).says(`[role="status"]`, "Password deleted")

	for _, name := range []string{"console.db", "console.db-wal"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v", name, info.Mode())
		}
	}
	s.process.stop()

	// The same folder again: sessions and the log go on.
	s = sandbox.serve(env)
	again := newBrowser(t, s.Console)
	again.client.Jar = b.client.Jar
	if p := again.get("/members"); p.url.Path != "/members" {
		t.Errorf("after a restart one is signed out: %s", p.url)
	}
	if rows := s.as("auditor").audit("?target=" + target); len(rows) != 2 {
		t.Errorf("after a restart the audit has %+v, want an intent and an outcome", rows)
	}
	s.process.stop()

	out, stderr, code := run(t, env, "audit", "verify")
	if code != 0 || !strings.Contains(out, "intact") {
		t.Errorf("audit verify: exit %d, want 0: %s%s", code, out, stderr)
	}
	if _, stderr, code := run(t, append(env, "CONSOLE_DATABASE_URL=sqlite://"+filepath.Join(folder, "none.db")), "audit", "verify"); code != 2 {
		t.Errorf("audit verify of no store: exit %d, want 2: %s", code, stderr)
	}
}

// Whatever is changed in the store, verify says so and names the record.
func TestAuditVerifyNamesTheChangedRecord(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	sandbox := upstream(t)
	env := sandbox.settings(folder)
	s := sandbox.serve(env)
	b := s.as("helpdesk")
	for _, email := range []string{"paula@acme.example", "jon.smithson@acme.example", "luis@acme.example"} {
		b.deletePassword(s.id(email), nil).wants(http.StatusOK)
	}
	rows := s.as("auditor").audit("?action=member.password.delete")
	if len(rows) != 6 {
		t.Fatalf("%d rows, want 6", len(rows))
	}
	victim := strings.TrimPrefix(rows[3].event, "/audit/")
	s.process.stop()
	if out, stderr, code := run(t, env, "audit", "verify"); code != 0 {
		t.Fatalf("audit verify of what nobody touched: exit %d: %s%s", code, out, stderr)
	}
	table, column := eventBytes(t, filepath.Join(folder, "console.db"), victim)
	for name, tamper := range map[string]string{
		"changed": `UPDATE ` + table + ` SET ` + column + ` = replace(` + column + `, 'laptop', 'notebook') WHERE id = ?`,
		"removed": `DELETE FROM ` + table + ` WHERE id = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", "file:"+filepath.Join(copied, "console.db")+"?_pragma=foreign_keys(0)")
			if err != nil {
				t.Fatal(err)
			}
			seq := 0
			if err := db.QueryRowContext(t.Context(), `SELECT seq FROM `+table+` WHERE id = ?`, victim).Scan(&seq); err != nil {
				t.Fatal(err)
			}
			result, err := db.ExecContext(t.Context(), tamper, victim)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := result.RowsAffected(); n != 1 || err != nil {
				t.Fatalf("%d records changed, want 1: %v", n, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			out, stderr, code := run(t, sandbox.settings(copied), "audit", "verify")
			said := out + stderr
			if code != 1 || !strings.Contains(said, victim) && !strings.Contains(said, "record "+itoa(seq)) && !strings.Contains(said, "seq "+itoa(seq)) {
				t.Errorf("exit %d, want 1 and record %d (%s) named: %s", code, seq, victim, said)
			}
		})
	}
}
