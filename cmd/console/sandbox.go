package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"orgconsole/internal/sandbox"
)

// sandboxFlags are the flags that demo and sandbox share.
type sandboxFlags struct {
	OrgSize int           `default:"250" help:"Members of the organization acme, up to 100000."`
	Latency time.Duration `default:"0s" help:"How long each answer of the sandbox takes, such as 150ms, up to 1m."`
	JSON    bool          `name:"json" help:"Print one JSON object first, instead of words."`
}

// check names every flag that makes no sense.
func (f sandboxFlags) check() error {
	var bad problems
	if f.OrgSize < sandbox.MinOrgSize || f.OrgSize > sandbox.MaxOrgSize {
		bad.add("--org-size", fmt.Sprintf("%d members", f.OrgSize), fmt.Sprintf("%d, the people with a name and a role, to %d", sandbox.MinOrgSize, sandbox.MaxOrgSize))
	}
	if f.Latency < 0 || f.Latency > sandbox.MaxLatency {
		bad.add("--latency", fmt.Sprintf("%s is no time an answer may take", f.Latency), "0s to 1m")
	}
	return bad.err()
}

type sandboxCmd struct {
	Addr string `default:"127.0.0.1:0" help:"Loopback address to listen on; port 0 takes a free one."`
	sandboxFlags
	Faults            string `placeholder:"JSON" help:"Faults to start with: one object, or an array of them."`
	CrossOrgPasswords bool   `help:"One password per email address, in all organizations of the project."`
	TotalsOff         bool   `help:"Answer member searches with a total of -1."`
}

func (c sandboxCmd) Run(p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	var faults []sandbox.Fault
	if c.Faults != "" {
		var err error
		if faults, err = sandbox.ParseFaults(c.Faults); err != nil {
			return usageError(fmt.Errorf("--faults: %w", err))
		}
	}
	logger := demoLogger(p.stderr)
	upstream, err := startSandbox(p.ctx, "--addr", c.Addr, sandbox.Options{
		OrgSize: c.OrgSize, Latency: c.Latency, CrossOrgPasswords: c.CrossOrgPasswords, TotalsOff: c.TotalsOff, Faults: faults,
	}, logger)
	if err != nil {
		return err
	}
	defer upstream.server.drain(p.ctx, logger)
	facts := upstream.facts()
	if c.JSON {
		err = printJSON(p.stdout, facts)
	} else {
		_, err = fmt.Fprintf(p.stdout, "Stytch sandbox: %s\nProject id:     %s\nSecret:         %s\nPublic token:   %s\nControl token:  %s\nInbox:          %s\n\n",
			facts.Stytch, facts.ProjectID, facts.Secret, facts.PublicToken, facts.ControlToken, facts.Inbox)
		err = errors.Join(err, printPeople(p.stdout, facts.People))
	}
	if err != nil {
		return err
	}
	select {
	case err := <-upstream.server.failed:
		return err
	case <-p.ctx.Done():
		return nil
	}
}

// runningSandbox is a sandbox on its own listener.
type runningSandbox struct {
	sandbox *sandbox.Sandbox
	server  *server
	url     string
}

func startSandbox(ctx context.Context, flag, addr string, options sandbox.Options, logger *slog.Logger) (*runningSandbox, error) {
	options.Now = time.Now
	box, err := sandbox.New(options)
	if err != nil {
		return nil, usageError(fmt.Errorf("sandbox: %w", err))
	}
	l, err := listenLoopback(ctx, flag, addr)
	if err != nil {
		return nil, err
	}
	return &runningSandbox{sandbox: box, server: serve(l, onlyLoopbackHosts(box.Handler()), logger), url: listenURL(l)}, nil
}

// demoFacts is the JSON object of demo and sandbox. Scripts read it: the keys are a contract.
type demoFacts struct {
	Console      string       `json:"console,omitempty"`
	Stytch       string       `json:"stytch"`
	Inbox        string       `json:"inbox"` // page with the mails and text messages that would have been sent
	ProjectID    string       `json:"project_id"`
	Secret       string       `json:"secret"`
	PublicToken  string       `json:"public_token"`
	ControlToken string       `json:"control_token"`
	Data         string       `json:"data"` // folder of the store; the sandbox has none
	People       []demoPerson `json:"people"`
}

type demoPerson struct {
	Name         string `json:"name"`
	Role         string `json:"role"`
	Email        string `json:"email"`
	Password     string `json:"password"`
	Organization string `json:"organization"`
}

func (r *runningSandbox) facts() demoFacts {
	info := r.sandbox.Info()
	facts := demoFacts{
		Stytch: r.url, Inbox: r.url + "/inbox", ProjectID: info.ProjectID, Secret: info.Secret, PublicToken: info.PublicToken, ControlToken: info.ControlToken,
	}
	for _, person := range info.People {
		facts.People = append(facts.People, demoPerson(person))
	}
	return facts
}

func printJSON(w io.Writer, facts demoFacts) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(facts) //nolint:gosec // G117: printing the sandbox's secret is the purpose
}

func printPeople(w io.Writer, people []demoPerson) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tROLE\tORGANIZATION\tEMAIL\tPASSWORD")
	for _, person := range people {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", person.Name, person.Role, person.Organization, person.Email, person.Password)
	}
	return table.Flush()
}

// demoLogger writes for a person at a terminal, and only what they should know.
func demoLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
