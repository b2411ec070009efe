package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"orgconsole/internal/handlers"
	"orgconsole/internal/sandbox"
)

type demoCmd struct {
	Addr        string `default:"127.0.0.1:8080" help:"Loopback address of the console; port 0 takes a free one."`
	SandboxAddr string `default:"127.0.0.1:0" help:"Loopback address of the local stand-in for Stytch."`
	Data        string `placeholder:"DIR" help:"Folder for the store. Unset: a temporary one, removed at the end."`
	sandboxFlags
}

func (c demoCmd) Run(p *program) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	logger := demoLogger(p.stderr)
	// The console's address first: the usual mistake is a port in use.
	l, err := listenLoopback(p.ctx, "--addr", c.Addr)
	if err != nil {
		return err
	}
	defer l.Close()
	upstream, err := startSandbox(p.ctx, "--sandbox-addr", c.SandboxAddr, sandbox.Options{OrgSize: c.OrgSize, Latency: c.Latency}, logger)
	if err != nil {
		return err
	}
	defer upstream.server.drain(p.ctx, logger)
	data, remove, err := c.dataFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	facts := upstream.facts()
	facts.Data = data
	facts.Console = listenURL(l)
	upstream.sandbox.SetRedirectURL(facts.Console + "/authenticate")
	cfg, err := demoConfig(facts)
	if err != nil {
		return err
	}
	if err := fillKeys(&cfg, logger); err != nil {
		return err
	}
	console, err := newConsole(p.ctx, cfg, demoPage(facts), nil, logger)
	if err != nil {
		return err
	}
	defer console.close()
	server := serve(l, console.handler, logger)
	defer server.drain(p.ctx, logger)

	if c.JSON {
		err = printJSON(p.stdout, facts)
	} else {
		_, err = fmt.Fprintf(p.stdout, "Console: %s\n\nSign in there as one of these people:\n\n", facts.Console)
		err = errors.Join(err, printPeople(p.stdout, facts.People))
		end := "Ctrl-C ends the demo."
		if c.Data == "" {
			end = "Ctrl-C ends the demo and removes its store; with --data it stays."
		}
		fmt.Fprintf(p.stdout, "\nTheir mail:     %s\nStytch sandbox: %s\nStore:          %s\n%s\n", facts.Inbox, facts.Stytch, data, end)
	}
	if err != nil {
		return err
	}
	select {
	case err := <-server.failed:
		return err
	case err := <-upstream.server.failed:
		return err
	case <-p.ctx.Done():
		return nil
	}
}

// dataFolder is where the demo's store lies, and what to do with it at the end.
func (c demoCmd) dataFolder() (folder string, remove func() error, err error) {
	if c.Data == "" {
		folder, err = os.MkdirTemp("", "orgconsole-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make temporary folder: %w", err)
		}
		return folder, func() error { return os.RemoveAll(folder) }, nil
	}
	folder, err = filepath.Abs(c.Data)
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	return folder, func() error { return nil }, nil
}

// demoConfig is the console's configuration in the demo. Nothing of it comes from the environment.
func demoConfig(facts demoFacts) (config, error) {
	publicURL, err := url.Parse(facts.Console)
	if err != nil {
		return config{}, fmt.Errorf("address of the console: %w", err)
	}
	return config{
		projectID: facts.ProjectID, secret: facts.Secret, publicToken: facts.PublicToken, baseURL: facts.Stytch,
		publicURL: publicURL, databaseURL: sqliteURL(filepath.Join(facts.Data, "console.db")), logLevel: slog.LevelWarn,
		sessionIdle: 30 * time.Minute, sessionMax: 8 * time.Hour, reasonRequired: true,
	}, nil
}

// demoPage is what the sign-in page shows of the people.
func demoPage(facts demoFacts) *handlers.Demo {
	demo := &handlers.Demo{InboxURL: facts.Inbox}
	for _, person := range facts.People {
		demo.People = append(demo.People, handlers.DemoPerson(person))
	}
	return demo
}
