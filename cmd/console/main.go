// Command console is Org Console: an admin console for the organizations of a Stytch B2B project.
//
// This package holds the commands, their settings and the wiring in the order things depend on each other.
// What a page, an operation or an audit record does is decided in internal/.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // organizations name their zone, and containers have no zones

	"github.com/alecthomas/kong"
)

// Exit codes. People's scripts rely on them: `audit verify` answers 1 for "not intact" and 2 for "cannot look".
const (
	exitOK    = 0
	exitNotOK = 1
	exitUsage = 2
)

// cli is the command tree. Only serve, audit and healthcheck have settings, which may also come from the
// environment; demo and sandbox take flags alone, so that nothing exported for a real project reaches them.
type cli struct {
	Demo        demoCmd        `cmd:"" help:"Run the whole product on this machine, against a local stand-in for Stytch."`
	Serve       serveCmd       `cmd:"" help:"Run the console against a Stytch project."`
	Sandbox     sandboxCmd     `cmd:"" help:"Run the local stand-in for Stytch alone."`
	Audit       auditCmd       `cmd:"" help:"Look after the audit log."`
	Keys        keysCmd        `cmd:"" help:"Print fresh session and audit keys as environment lines."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running console whether it is alive (for containers)."`
	Version     versionCmd     `cmd:"" help:"Print version, commit and Go version."`
}

// program is what a command gets from the outside: nothing below main reads the process's environment,
// arguments or standard streams.
type program struct {
	ctx            context.Context // ends with SIGINT or SIGTERM
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal drains; giving the signals back lets a second one end the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{ctx: ctx, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	var commands cli
	exited := false // kong was asked for help and has printed it
	parser, err := newParser(&commands, p, func(int) { exited = true })
	if err != nil {
		fmt.Fprintf(stderr, "console: %v\n", err)
		return exitNotOK
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	selected, err := parser.Parse(args)
	if exited {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "console: %v\nRun \"console --help\" for the commands and their flags.\n", err)
		return exitUsage
	}
	err = selected.Run(p)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "console: %v\n", err)
	if coded, ok := errors.AsType[*exitError](err); ok {
		return coded.code
	}
	return exitNotOK
}

func newParser(commands *cli, p *program, exit func(int)) (*kong.Kong, error) {
	return kong.New(commands,
		kong.Name("console"),
		kong.Description("Org Console: an admin console for the organizations of a Stytch B2B project."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(exit),
		kong.Resolvers(environment(p.getenv)),
		kong.ValueFormatter(describeFlag),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: false, WrapUpperBound: 120}),
	)
}

// exitError carries an exit code other than 1.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError says that the arguments or settings are wrong: exit 2.
func usageError(err error) error { return &exitError{code: exitUsage, err: err} }
