// Package e2e_test builds the binary and drives it as people do: over plain HTTP here, in Chromium for what only a
// browser shows. It knows pages, commands and the sandbox's control endpoint, and no package of the product.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limits of waiting. They are generous: what is slower than this is broken, not slow.
const (
	startLimit  = 30 * time.Second
	stopLimit   = 40 * time.Second // draining may take 30 s
	settleLimit = 60 * time.Second
)

// buildFolder holds the binary, for as long as the tests run.
var buildFolder = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "orgconsole-e2e-") })

var buildBinary = sync.OnceValues(func() (string, error) {
	folder, err := buildFolder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "console")
	build := exec.Command("go", "build", "-o", path, "./cmd/console")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.Contains(arg, "test.parallel") }) {
		// Many tests wait for a clock: others may use the machine meanwhile.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if folder, err := buildFolder(); err == nil {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

func binary(t testing.TB) string {
	t.Helper()
	path, err := buildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lockedBuffer may be read while a process writes to it.
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

// process is a started binary.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *lockedBuffer
	exited chan struct{} // closed when it is gone; err is set before
	err    error
	ended  bool // stopped or killed by the test
}

// environment is what every process gets: nothing of ours, a home of its own.
func environment(t testing.TB, more ...string) []string {
	home := t.TempDir()
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "TMPDIR=" + t.TempDir()}, more...)
}

// launch starts the binary. Unless the test ended it before, it is stopped at
// the test's end by SIGTERM and has to exit with 0.
func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, stdout: bufio.NewReader(out), stderr: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary(t), args...) // it ends in the cleanup, by SIGTERM
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, in, p.stderr
	p.cmd.Dir = t.TempDir()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if !p.ended {
			p.stop()
		}
		_ = out.Close()
		if t.Failed() && p.stderr.String() != "" {
			t.Logf("stderr of console %v:\n%s", args, p.stderr)
		}
	})
	return p
}

// stop sends SIGTERM and wants exit 0.
func (p *process) stop() {
	p.t.Helper()
	p.ended = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("SIGTERM: %v; stderr:\n%s", err, p.stderr)
		return
	}
	select {
	case <-p.exited:
		if p.err != nil {
			p.t.Errorf("after SIGTERM: %v, want exit 0; stderr:\n%s", p.err, p.stderr)
		}
	case <-time.After(stopLimit):
		p.t.Errorf("still running %s after SIGTERM; stderr:\n%s", stopLimit, p.stderr)
		p.kill()
	}
}

// kill ends it at once, as a crash or a power cut would.
func (p *process) kill() {
	p.t.Helper()
	p.ended = true
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill: %v", err)
	}
	<-p.exited
}

// line reads one line of its standard output.
func (p *process) line() string {
	p.t.Helper()
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := p.stdout.ReadString('\n')
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			p.t.Fatalf("first line of output: %v; stderr:\n%s", a.err, p.stderr)
		}
		return a.text
	case <-time.After(startLimit):
		p.t.Fatalf("no output within %s; stderr:\n%s", startLimit, p.stderr)
		return ""
	}
}

// person is somebody to sign in as.
type person struct {
	Name, Role, Email, Password, Organization string
}

// facts is the first output line of demo and sandbox with --json.
type facts struct {
	Console      string   `json:"console"`
	Stytch       string   `json:"stytch"`
	ProjectID    string   `json:"project_id"`
	Secret       string   `json:"secret"`
	PublicToken  string   `json:"public_token"`
	ControlToken string   `json:"control_token"`
	Data         string   `json:"data"`
	People       []person `json:"people"`
}

func (p *process) facts() facts {
	p.t.Helper()
	line := p.line()
	var f facts
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		p.t.Fatalf("first output line is not the JSON object: %v\n%s", err, line)
	}
	return f
}

// site is a running console with a sandbox behind it.
type site struct {
	facts
	t       testing.TB
	process *process
	control *control
}

// start runs the demo, with a store of its own.
func start(t testing.TB, args ...string) *site {
	t.Helper()
	args = append([]string{"demo", "--json", "--addr", "127.0.0.1:0", "--data", t.TempDir()}, args...)
	p := launch(t, environment(t), args...)
	f := p.facts()
	s := &site{facts: f, t: t, process: p, control: newControl(t, f)}
	waitReady(t, f.Console)
	return s
}

// client waits longer than the console may take for any page.
func client() *http.Client { return &http.Client{Timeout: 2 * time.Minute} }

// waitReady waits for a console to answer.
func waitReady(t testing.TB, console string) {
	t.Helper()
	eventually(t, startLimit, "/healthz answers 200", func() bool {
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, console+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client().Do(ask)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// person returns who has a role: org_admin, helpdesk, auditor, member, outsider.
func (s *site) person(role string) person {
	s.t.Helper()
	for _, p := range s.People {
		if p.Role == role {
			return p
		}
	}
	s.t.Fatalf("no person with the role %s", role)
	return person{}
}

// run runs a command to its end and returns what it said and its exit code.
func run(t testing.TB, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("console %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// eventually looks again and again until something holds.
func eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
