package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The build line of the Dockerfile makes the binary that these tests start, since no container engine runs them.
var buildBinary = sync.OnceValues(func() (string, error) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .* -o )(/console)( \./cmd/console)$`).FindSubmatch(dockerfile)
	if line == nil {
		return "", fmt.Errorf("no build line in the Dockerfile:\n%s", dockerfile)
	}
	folder, err := os.MkdirTemp("", "binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "console")
	build := exec.Command("sh", "-c", string(line[1])+"'"+path+"'"+string(line[3]))
	build.Dir = "../.."
	build.Env = append(os.Environ(), "VERSION=v1.2.3", "COMMIT=0123456789ab", "GOFLAGS=-buildvcs=false") // the image's build has no repository
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return path, nil
})

func binary(t *testing.T) string {
	t.Helper()
	path, err := buildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDockerfileBinaryIsStatic(t *testing.T) {
	t.Parallel()
	path := binary(t)
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %v segment, so an image without a C library cannot start it", segment.Type)
		}
	}
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "orgconsole v1.2.3, commit 0123456789ab, go"; !strings.HasPrefix(string(out), want) {
		t.Errorf("version = %q, want %q…", out, want)
	}
}

// What the image promises beyond the build line.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, ok := strings.Cut(string(dockerfile), "\nFROM gcr.io/distroless/static-")
	if !ok {
		t.Fatal("the last stage is not a distroless static image")
	}
	for _, want := range []string{
		"COPY --from=build /console /console\n",
		"COPY --from=build --chown=65532:65532 /state /var/lib\n",
		"USER 65532:65532\n",
		`CMD ["/console", "healthcheck"]` + "\n",
		`ENTRYPOINT ["/console"]` + "\n",
	} {
		if !strings.Contains(final, want) {
			t.Errorf("the last stage lacks %q", want)
		}
	}
	if strings.Contains(final, "\nRUN ") {
		t.Error("the last stage runs something, but it has no shell")
	}
}

// process is a started binary.
type process struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *lockedBuffer
}

// lockedBuffer may be read while the process writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts the binary with an environment of its own; the test ends it if nothing else does.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), binary(t), args...), stderr: &lockedBuffer{}}
	p.cmd.Env = append([]string{"PATH=/nonexistent", "TMPDIR=" + t.TempDir(), "HOME=" + t.TempDir()}, env...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	return p
}

// terminate sends the signal and returns the exit code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(p.stdout) // to its end, before Wait closes the pipe
	if err != nil {
		t.Fatalf("read output: %v after %q", err, rest)
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// served waits for the console's log line that it serves, and returns its address.
func (p *process) served(t *testing.T) string {
	t.Helper()
	return p.logs(t, "serving")
}

// logs waits for a message with an address, and returns that.
func (p *process) logs(t *testing.T, message string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx) {
		for line := range strings.Lines(p.stderr.String()) {
			var entry struct {
				Msg, Addr string
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
				return entry.Addr
			}
		}
	}
	t.Fatalf("does not say %q:\n%s", message, p.stderr)
	return ""
}

// pause is the time between two looks.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// request is a GET that follows no redirect, for a host other than the URL's if one is given. The connection is its
// own, so that none lies idle.
func request(ctx context.Context, url, host string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Host = host
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
}

// get makes a request and reads its answer whole.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	return getFor(t, url, "")
}

// foreign is get as a page elsewhere would have it, whose name was made to resolve to this machine.
func foreign(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	return getFor(t, url, "attacker.example")
}

func getFor(t *testing.T, url, host string) (*http.Response, string) {
	t.Helper()
	res, err := request(t.Context(), url, host)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// demo starts `console demo --json` and reads its facts.
func demo(t *testing.T, env []string, args ...string) (*process, demoFacts) {
	t.Helper()
	p := start(t, env, append([]string{"demo", "--json", "--addr", "127.0.0.1:0"}, args...)...)
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, p.stderr)
	}
	var facts demoFacts
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&facts); err != nil {
		t.Fatalf("first line %s: %v", line, err)
	}
	return p, facts
}

func TestDemo(t *testing.T) {
	t.Parallel()
	binary(t)
	began := time.Now()
	// What is exported for a real project must not reach the demo.
	p, facts := demo(t, []string{
		"STYTCH_PROJECT_ID=project-live-x", "STYTCH_SECRET=hunter2", "STYTCH_BASE_URL=http://127.0.0.1:1", "CONSOLE_ADDR=0.0.0.0:1",
		"CONSOLE_DATABASE_URL=sqlite:///nonexistent/console.db", "CONSOLE_SESSION_KEYS=bad", "CONSOLE_LOG_LEVEL=loud",
		"CONSOLE_AUDIT_SINK_URL=bad", "CONSOLE_AUDIT_WITNESS_URL=bad", "CONSOLE_METRICS_ADDR=bad",
	})
	t.Logf("ready after %v", time.Since(began))

	roles := map[string]int{}
	for _, person := range facts.People {
		if person.Name == "" || person.Email == "" || person.Password == "" || person.Organization == "" {
			t.Errorf("person %+v lacks something", person)
		}
		roles[person.Role]++
	}
	for _, role := range []string{"org_admin", "helpdesk", "auditor", "member", "outsider"} {
		if roles[role] == 0 {
			t.Errorf("no person is %s", role)
		}
		delete(roles, role)
	}
	if len(roles) != 0 {
		t.Errorf("unknown roles %v", roles)
	}
	for name, value := range map[string]string{
		"project_id": facts.ProjectID, "secret": facts.Secret, "public_token": facts.PublicToken, "control_token": facts.ControlToken, "data": facts.Data,
	} {
		if value == "" {
			t.Errorf("%s is empty", name)
		}
	}
	if res, body := get(t, facts.Console+"/login"); res.StatusCode != http.StatusOK || !strings.Contains(body, facts.People[0].Email) {
		t.Errorf("GET /login = %s, want 200 with the people:\n%s", res.Status, body)
	}
	if res, _ := get(t, facts.Console+"/readyz"); res.StatusCode != http.StatusOK {
		t.Errorf("GET /readyz = %s", res.Status)
	}
	if res, _ := get(t, facts.Stytch+"/v1/debug/whoami"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("GET whoami without credentials at the sandbox = %s, want 401", res.Status)
	}
	if res, body := foreign(t, facts.Console+"/login"); res.StatusCode != http.StatusMisdirectedRequest || strings.Contains(body, facts.People[0].Email) {
		t.Errorf("GET /login for another host = %s, want 421 without the people", res.Status)
	}
	if res, _ := foreign(t, facts.Stytch+"/v1/debug/whoami"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("GET whoami for another host at the sandbox = %s, want 421", res.Status)
	}
	health := exec.CommandContext(t.Context(), binary(t), "healthcheck", "--addr", strings.TrimPrefix(facts.Console, "http://"))
	if out, err := health.CombinedOutput(); err != nil {
		t.Errorf("healthcheck: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(facts.Data, "console.db")); err != nil {
		t.Error(err)
	}
	if code := p.terminate(t); code != exitOK {
		t.Errorf("exit code %d after SIGTERM:\n%s", code, p.stderr)
	}
	if _, err := os.Stat(facts.Data); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	if p.stderr.String() != "" {
		t.Errorf("the demo complains:\n%s", p.stderr)
	}
}

func TestDemoInWords(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "demo", "--addr", "127.0.0.1:0")
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, p.stderr)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "Console: ")
	if !ok {
		t.Fatalf("first line %q, want Console: http://…", line)
	}
	if res, _ := get(t, url+"/healthz"); res.StatusCode != http.StatusOK {
		t.Errorf("GET /healthz = %s", res.Status)
	}
	if code := p.terminate(t); code != exitOK {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

func TestSandboxCommand(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "sandbox", "--json")
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, p.stderr)
	}
	var facts map[string]any
	if err := json.Unmarshal(line, &facts); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key := range facts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"control_token", "data", "inbox", "people", "project_id", "public_token", "secret", "stytch"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if code := p.terminate(t); code != exitOK {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// A store is made, found intact, and a changed record in it is named.
func TestServeDrainsAndItsStoreVerifies(t *testing.T) {
	t.Parallel()
	upstream := start(t, nil, "sandbox", "--json")
	line, err := upstream.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, upstream.stderr)
	}
	var facts demoFacts
	if err := json.Unmarshal(line, &facts); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	env := []string{
		"XDG_STATE_HOME=" + state, "STYTCH_PROJECT_ID=" + facts.ProjectID, "STYTCH_SECRET=" + facts.Secret, "STYTCH_BASE_URL=" + facts.Stytch,
		"CONSOLE_ADDR=127.0.0.1:0",
	}
	for range 2 {
		p := start(t, env, "serve")
		addr := p.served(t)
		if res, _ := get(t, "http://"+addr+"/login"); res.StatusCode != http.StatusOK {
			t.Errorf("GET /login = %s", res.Status)
		}
		if code := p.terminate(t); code != exitOK {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, p.stderr)
		}
		if strings.Contains(p.stderr.String(), facts.Secret) {
			t.Error("the log holds the project secret")
		}
	}

	verify := func(env ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), binary(t), "audit", "verify")
		cmd.Env = append([]string{"XDG_STATE_HOME=" + state}, env...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := verify(); code != exitOK || !strings.Contains(out, "\nintact, records: ") {
		t.Errorf("audit verify = %d, want %d:\n%s", code, exitOK, out)
	}
	other, err := exec.CommandContext(t.Context(), binary(t), "keys").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, _ := strings.Cut(strings.TrimSpace(string(other)), "\n")
	if out, code := verify(otherKey); code != exitNotOK {
		t.Errorf("audit verify with another key = %d, want %d:\n%s", code, exitNotOK, out)
	}
	if out, code := verify("CONSOLE_DATABASE_URL=sqlite:///nonexistent/console.db", otherKey); code != exitUsage {
		t.Errorf("audit verify of no store = %d, want %d:\n%s", code, exitUsage, out)
	}
	if out, code := verify("CONSOLE_AUDIT_KEY=hunter2"); code != exitUsage || strings.Contains(out, "hunter2") {
		t.Errorf("audit verify with a bad key = %d, want %d:\n%s", code, exitUsage, out)
	}

	id := tamper(t, filepath.Join(state, "orgconsole", "console.db"))
	if out, code := verify(); code != exitNotOK || !strings.Contains(out, "seq 1") || !strings.Contains(out, id) {
		t.Errorf("audit verify of a changed store = %d, want %d with seq 1 and id %s:\n%s", code, exitNotOK, id, out)
	}
}

// tamper changes the second record of the store and returns its id.
func tamper(t *testing.T, path string) string {
	t.Helper()
	store, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var id string
	if err := store.QueryRowContext(t.Context(), `SELECT id FROM audit_events WHERE tree = (SELECT tree FROM audit_trees WHERE organization_id = '') AND seq = 1`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ExecContext(t.Context(), `UPDATE audit_events SET bytes = bytes || ' ' WHERE id = ?`, id); err != nil {
		t.Fatal(err)
	}
	return id
}
