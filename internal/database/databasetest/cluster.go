package databasetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the adversary's SQL shell
)

// superuser is who owns the cluster; owner is the role that a console has in production.
const (
	superuser = "postgres"
	owner     = "console"
)

// errNoPostgres says that PostgreSQL is not installed.
var errNoPostgres = errors.New("PostgreSQL is not installed: no initdb on the PATH or under /usr/lib/postgresql")

// cluster is a PostgreSQL server that only this test binary uses.
type cluster struct {
	dir   string
	admin *sql.DB // as superuser

	// The server is stopped, and its folder removed, when this is closed: at the latest when the process ends, however
	// it ends.
	lifeline io.WriteCloser

	stores atomic.Int64
}

// Each is started by the first test that needs it: one that forgets everything when the machine stops, and one for
// benchmarks that keeps what it promises, as in production.
var (
	hastyCluster   = sync.OnceValues(func() (*cluster, error) { return startCluster(place(), hasty) })
	durableCluster = sync.OnceValues(func() (*cluster, error) { return startCluster("/tmp", "") })
)

const hasty = " -c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0"

// supervise starts a server in a folder, says so, and ends it with its standard input.
const supervise = `trap '' INT TERM HUP
bin=$1 dir=$2 settings=$3
"$bin/initdb" -D "$dir/data" -U ` + superuser + ` -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 &&
echo "local all locked scram-sha-256
local all all trust" >"$dir/data/pg_hba.conf" &&
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 -o "-k '$dir' -c listen_addresses= -c max_connections=300 -c shared_buffers=64MB$settings" start >>"$dir/log" 2>&1 &&
echo ready || tail -n 5 "$dir/log" | tr '\n' ' '
read -r _
"$bin/pg_ctl" -D "$dir/data" -m immediate stop
rm -rf "$dir"`

func startCluster(place, settings string) (*cluster, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(place, "orgconsole-pg-")
	if err != nil {
		return nil, fmt.Errorf("make folder of the cluster: %w", err)
	}
	cmd := exec.CommandContext(context.Background(), "sh", "-c", supervise, "sh", bin, dir, settings)
	cmd.Dir = dir
	if os.Getuid() == 0 {
		// The server refuses to run as root.
		uid, gid, err := unprivileged()
		if err == nil {
			err = os.Chown(dir, uid, gid)
		}
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	c := &cluster{dir: dir}
	if c.lifeline, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %s", line), err, c.lifeline.Close())
	}
	if c.admin, err = sql.Open("pgx", c.url(superuser, superuser)); err != nil {
		return nil, err
	}
	for _, q := range []string{`CREATE ROLE ` + owner + ` LOGIN`, `CREATE ROLE auditor LOGIN`, `CREATE ROLE locked LOGIN PASSWORD 'correct-horse'`} {
		if _, err := c.admin.ExecContext(context.Background(), q); err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	return c, nil
}

// place is where the cluster lies: in memory if there is room, as making databases is mostly writing. It is never where
// TMPDIR says, since a socket's path has at most 107 bytes, and the server's user has to get there.
func place() string {
	const memory, room = "/dev/shm", 4 << 30
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err != nil || stat.Bavail*uint64(stat.Bsize) < room {
		return "/tmp"
	}
	return memory
}

// findPostgres returns the folder of the server's programs.
func findPostgres() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian
	if err != nil || len(found) == 0 {
		return "", errNoPostgres
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

func unprivileged() (uid, gid int, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("find a user who may run PostgreSQL: %w", err)
	}
	uid, err = strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err, gidErr)
}

func (c *cluster) url(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database, RawQuery: url.Values{"host": {c.dir}}.Encode()}
	return u.String()
}

func (c *cluster) exec(tb testing.TB, query string) {
	tb.Helper()
	if _, err := c.admin.ExecContext(context.Background(), query); err != nil { // also when the test has ended
		tb.Errorf("%s: %v", query, err)
	}
}

func postgresCluster(tb testing.TB) *cluster {
	tb.Helper()
	start := hastyCluster
	if _, ok := tb.(*testing.B); ok {
		start = durableCluster
	}
	c, err := start()
	switch {
	case errors.Is(err, errNoPostgres) && os.Getenv("CI") != "true":
		tb.Skip(err)
	case err != nil:
		tb.Fatal(err)
	}
	return c
}
