package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

type auditCopyCmd struct {
	From string `required:"" placeholder:"URL" help:"Store to copy. Stop every console on it first. On PostgreSQL a role that may only read is enough."`
	To   string `required:"" placeholder:"URL" help:"Empty store to copy it to: an SQLite file that is not there yet, or a database with nothing in it."`

	AuditPublicKey     string `setting:"CONSOLE_AUDIT_PUBLIC_KEY" placeholder:"KEY" help:"Public half of the key that signed the log, or several, separated by commas, if it was changed. Unset: that of the audit key, else the one beside the store to copy."`
	AuditPublicKeyFile string `setting:"CONSOLE_AUDIT_PUBLIC_KEY_FILE" placeholder:"PATH" help:"File that holds the public half."`
	AuditKey           string `setting:"CONSOLE_AUDIT_KEY" placeholder:"KEY" help:"Key that signed the log, on the host of the console. Whoever verifies elsewhere has the public half."`
	AuditKeyFile       string `setting:"CONSOLE_AUDIT_KEY_FILE" placeholder:"PATH" help:"File that holds the key."`
}

func (c auditCopyCmd) Run(p *program) error {
	var bad problems
	for flag, address := range map[string]string{"--from": c.From, "--to": c.To} {
		if err := database.CheckURL(address); err != nil {
			bad.add(flag, err.Error(), database.Accepted)
		}
	}
	if err := bad.err(); err != nil {
		return err
	}
	_, public, err := auditStore{
		DatabaseURL: c.From, AuditPublicKey: c.AuditPublicKey, AuditPublicKeyFile: c.AuditPublicKeyFile, AuditKey: c.AuditKey, AuditKeyFile: c.AuditKeyFile,
	}.load(p.getenv)
	if err != nil {
		return err
	}
	from, err := database.OpenReadOnly(p.ctx, c.From)
	if err != nil {
		return usageError(fmt.Errorf("audit copy: cannot copy: %w", err))
	}
	defer from.Close()
	state, err := stateFolder(p.getenv)
	if err != nil {
		fmt.Fprintf(p.stderr, "console: the last checkpoint is not remembered: %v\n", err)
	}
	fmt.Fprintf(p.stderr, "console: copying %s. Every console on it has to be stopped first, and to stay so.\n", from.Name())
	copied, err := audit.Copy(p.ctx, from, c.To, public, audit.VerifyOptions{StateDir: state})
	switch {
	case errors.Is(err, audit.ErrTampered):
		fmt.Fprintf(p.stdout, "not intact: %v\n", err)
		return fmt.Errorf("audit copy: nothing was copied: not intact: %w", err)
	case errors.Is(err, database.ErrChanged):
		return fmt.Errorf("audit copy: nothing was copied: %w", err)
	case err != nil:
		return usageError(fmt.Errorf("audit copy: cannot copy: %w", err))
	}
	if failed := errors.Join(copied.From.NotRemembered, copied.To.NotRemembered); failed != nil {
		fmt.Fprintf(p.stderr, "console: the last checkpoint is not remembered: %v\n", failed)
	}
	printTrees(p.stdout, "from "+from.Name(), copied.From)
	printTrees(p.stdout, "to "+copied.Target, copied.To)
	_, err = fmt.Fprintf(p.stdout, "copied, records: %d, trees: %d. Start the console on the new store, with the same keys, and never again on the old one.\n",
		copied.To.Events, len(copied.To.Trees))
	return err
}

func printTrees(w io.Writer, title string, report audit.Report) {
	fmt.Fprintln(w, title)
	for _, tree := range report.Trees {
		fmt.Fprintf(w, "%-40s %8d records, root %s\n", cmp.Or(tree.OrganizationID, "(system)"), tree.Size, tree.Root)
	}
}
