package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Verify the whole audit log of a store, an export or a receipt, offline. The store is only read; the newest checkpoints are remembered in the state folder. Exit 0: intact, 1: not, 2: cannot look."`
	Export auditExportCmd `cmd:"" help:"Write the audit log to standard output, with the public key alone. Exit 0: all of it, 1: not intact, 2: cannot look."`
	Copy   auditCopyCmd   `cmd:"" help:"Copy a store to an empty one of either kind, with the same proofs. Exit 0: copied, 1: not, as it is not intact or being written to, 2: cannot."`
	Erase  auditEraseCmd  `cmd:"" help:"Erase a person from the audit log of a store; all proofs stay valid. Works while the console runs. Exit 0: done, or there was nothing, 1: not, 2: cannot."`
}

type auditVerifyCmd struct {
	auditStore

	Export  string `placeholder:"FILE" help:"Verify an NDJSON export and no store; - is standard input."`
	Receipt string `placeholder:"FILE" help:"Verify the receipt of an operation and no store; - is standard input."`
}

// auditStore says which log to read, and who signed it.
type auditStore struct {
	DatabaseURL        string `setting:"CONSOLE_DATABASE_URL" placeholder:"URL" help:"Store. On PostgreSQL a role that may only read is enough. Unset: console.db in the state folder."`
	DatabaseURLFile    string `setting:"CONSOLE_DATABASE_URL_FILE" placeholder:"PATH" help:"File that holds the address of the store."`
	AuditPublicKey     string `setting:"CONSOLE_AUDIT_PUBLIC_KEY" placeholder:"KEY" help:"Public half of the key that signed the log, or several, separated by commas, if it was changed. Unset: that of the audit key, else the one beside the store."`
	AuditPublicKeyFile string `setting:"CONSOLE_AUDIT_PUBLIC_KEY_FILE" placeholder:"PATH" help:"File that holds the public half."`
	AuditKey           string `setting:"CONSOLE_AUDIT_KEY" placeholder:"KEY" help:"Key that signed the log, on the host of the console. Whoever verifies elsewhere has the public half."`
	AuditKeyFile       string `setting:"CONSOLE_AUDIT_KEY_FILE" placeholder:"PATH" help:"File that holds the key."`
}

func (c auditVerifyCmd) Run(p *program) error {
	if c.Export != "" || c.Receipt != "" {
		return c.verifyFile(p)
	}
	store, public, err := c.load(p.getenv)
	if err != nil {
		return err
	}
	db, err := database.OpenReadOnly(p.ctx, store)
	if err != nil {
		return usageError(fmt.Errorf("audit verify: cannot look: %w", err))
	}
	defer db.Close()
	// Without a state folder nothing is remembered: said, since a shortened log is then found out later.
	state, err := stateFolder(p.getenv)
	if err != nil {
		fmt.Fprintf(p.stderr, "console: the last checkpoint is not remembered: %v\n", err)
	}
	report, err := audit.Verify(p.ctx, db, public, audit.VerifyOptions{StateDir: state})
	switch {
	case errors.Is(err, audit.ErrTampered):
		fmt.Fprintf(p.stdout, "not intact: %v\n", err)
		return fmt.Errorf("audit verify: not intact: %w", err)
	case err != nil:
		return usageError(fmt.Errorf("audit verify: cannot look: %w", err))
	}
	if report.NotRemembered != nil {
		fmt.Fprintf(p.stderr, "console: the last checkpoint is not remembered: %v\n", report.NotRemembered)
	}
	for _, tree := range report.Trees {
		fmt.Fprintf(p.stdout, "%-40s %8d records, root %s\n", cmp.Or(tree.OrganizationID, "(system)"), tree.Size, tree.Root)
	}
	_, err = fmt.Fprintf(p.stdout, "intact, records: %d, trees: %d\n", report.Events, len(report.Trees))
	return err
}

// load finds the store and the public key: the one given, that of the private key given, else the one beside the store.
func (c auditStore) load(getenv func(string) string) (store, public string, err error) {
	var bad problems
	store = databaseURL(&bad, c.DatabaseURL, c.DatabaseURLFile, getenv)
	public = c.publicKey(&bad, store)
	return store, public, bad.err()
}

// loadKey is load for what needs no store, unless the key is beside it.
func (c auditStore) loadKey(getenv func(string) string) (public string, err error) {
	if c.AuditPublicKey+c.AuditPublicKeyFile+c.AuditKey+c.AuditKeyFile == "" {
		_, public, err = c.load(getenv)
		return public, err
	}
	var bad problems
	public = c.publicKey(&bad, "")
	return public, bad.err()
}

func (c auditStore) publicKey(bad *problems, store string) string {
	public, signer := secret(bad, "CONSOLE_AUDIT_PUBLIC_KEY", c.AuditPublicKey, c.AuditPublicKeyFile), ""
	if public == "" {
		signer = secret(bad, "CONSOLE_AUDIT_KEY", c.AuditKey, c.AuditKeyFile)
	}
	if bad.err() != nil {
		return ""
	}
	var err error
	if public == "" && signer == "" {
		if public, signer, err = keyBeside(store); err != nil {
			bad.add("CONSOLE_AUDIT_PUBLIC_KEY", "not set, and "+err.Error(), "the public half of the key that signed the log")
			return ""
		}
	}
	if public != "" {
		return public
	}
	if public, err = audit.PublicKey(signer); err != nil {
		bad.add("CONSOLE_AUDIT_KEY", "not a signing key", "a key as `console keys` prints it")
	}
	return public
}

// keyBeside reads the key that serve left beside the store: the public half, else the whole.
func keyBeside(store string) (public, signer string, err error) {
	folder, err := storeFolder(store)
	if err != nil {
		return "", "", err
	}
	public, err = readKey(filepath.Join(folder, auditPublicFile))
	if errors.Is(err, fs.ErrNotExist) {
		signer, err = readKey(filepath.Join(folder, auditKeyFile))
	}
	if errors.Is(err, os.ErrNotExist) {
		return "", "", fmt.Errorf("there is no %s in %s", auditPublicFile, folder)
	}
	return public, signer, err
}
