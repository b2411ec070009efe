package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/helpdesk"
)

type auditEraseCmd struct {
	Member       string `required:"" placeholder:"MEMBER_ID" help:"Whom to erase."`
	Organization string `required:"" placeholder:"ID" help:"Organization of the member."`
	Email        string `placeholder:"ADDRESS" help:"Erase also what was typed as this address by somebody who was not signed in, as in failed sign-ins."`
	Reason       string `required:"" placeholder:"TEXT" help:"Why. It is kept for ever, so it must not repeat the person's name or address: name a case instead."`

	DatabaseURL     string `setting:"CONSOLE_DATABASE_URL" placeholder:"URL" help:"Store. Unset: console.db in the state folder."`
	DatabaseURLFile string `setting:"CONSOLE_DATABASE_URL_FILE" placeholder:"PATH" help:"File that holds the address of the store."`
	AuditKey        string `setting:"CONSOLE_AUDIT_KEY" placeholder:"KEY" help:"Key that signs the log, as the erasure is recorded there. Unset: the one beside the store."`
	AuditKeyFile    string `setting:"CONSOLE_AUDIT_KEY_FILE" placeholder:"PATH" help:"File that holds the key."`
}

func (c auditEraseCmd) Run(p *program) error {
	var bad problems
	store := databaseURL(&bad, c.DatabaseURL, c.DatabaseURLFile, p.getenv)
	signer := secret(&bad, "CONSOLE_AUDIT_KEY", c.AuditKey, c.AuditKeyFile)
	if err := bad.err(); err != nil {
		return err
	}
	if signer == "" {
		folder, err := storeFolder(store)
		if err == nil {
			signer, err = readKey(filepath.Join(folder, auditKeyFile))
		}
		if err != nil {
			bad.add("CONSOLE_AUDIT_KEY", "not set, and "+err.Error(), "the key that signs the log")
			return bad.err()
		}
	}
	if !isAuditKey(signer) {
		bad.add("CONSOLE_AUDIT_KEY", "not a signing key", "a key as `console keys` prints it")
		return bad.err()
	}
	done, err := c.erase(p, store, signer)
	switch {
	case errors.Is(err, audit.ErrReasonNames):
		return usageError(fmt.Errorf("audit erase: nothing was erased: %w", err))
	case err != nil:
		return fmt.Errorf("audit erase: %w", err)
	}
	if done.Unsettled > 0 {
		fmt.Fprintf(p.stderr, "console: operations not settled yet: %d. Once they are, erase again: a console that was at work on one may have written the name anew.\n", done.Unsettled)
	}
	_, err = fmt.Fprintf(p.stdout, "erased, texts in the audit: %d, operations: %d\n", done.Texts, done.Operations)
	return err
}

func (c auditEraseCmd) erase(p *program, store, signer string) (done helpdesk.Erased, err error) {
	// Open would make a store where there is none.
	look, err := database.OpenReadOnly(p.ctx, store)
	if err != nil {
		return done, usageError(err)
	}
	if err := look.Close(); err != nil {
		return done, err
	}
	db, err := database.Open(p.ctx, store)
	if err != nil {
		return done, usageError(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	logger := slog.New(slog.NewJSONHandler(p.stderr, nil))
	log, err := audit.New(db, signer, audit.Options{Now: db.Now, Rand: rand.Reader, Build: buildName(), Logger: logger})
	if err != nil {
		return done, err
	}
	return helpdesk.Erase(p.ctx, db, log, c.Organization, audit.Erasure{MemberID: c.Member, Email: c.Email, Reason: c.Reason})
}
