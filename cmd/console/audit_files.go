package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"orgconsole/internal/audit"
)

// verifyFile verifies an export or a receipt, for which the public key is enough.
func (c auditVerifyCmd) verifyFile(p *program) error {
	if c.Export != "" && c.Receipt != "" {
		return usageError(errors.New("audit verify: --export and --receipt at once; one of the two"))
	}
	public, err := c.loadKey(p.getenv)
	if err != nil {
		return err
	}
	file := p.stdin
	if name := cmp.Or(c.Export, c.Receipt); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usageError(fmt.Errorf("audit verify: cannot look: %w", err))
		}
		defer f.Close()
		file = f
	}
	if c.Receipt != "" {
		err = verifyReceipt(p, file, public)
	} else {
		err = verifyExport(p, file, public)
	}
	switch {
	case errors.Is(err, audit.ErrTampered):
		fmt.Fprintf(p.stdout, "not intact: %v\n", err)
		return fmt.Errorf("audit verify: not intact: %w", err)
	case err != nil:
		return usageError(fmt.Errorf("audit verify: cannot look: %w", err))
	}
	return nil
}

func verifyExport(p *program, file io.Reader, public string) error {
	report, err := audit.VerifyExport(file, public)
	if err != nil {
		return err
	}
	complete := true
	for _, tree := range report.Trees {
		fmt.Fprintf(p.stdout, "%-40s %8d of %d records, root %s\n", cmp.Or(tree.OrganizationID, "(system)"), tree.Records, tree.Size, tree.Root)
		if tree.Purged > 0 {
			fmt.Fprintf(p.stdout, "%-40s %8d of them purged: their hashes are there, and nothing else\n", "", tree.Purged)
		}
		if tree.Erased > 0 {
			fmt.Fprintf(p.stdout, "%-40s %8d texts erased, or left out of the file\n", "", tree.Erased)
		}
		complete = complete && tree.Complete()
	}
	fmt.Fprintf(p.stdout, "intact, records: %d, logs: %d\n", report.Records, len(report.Trees))
	fmt.Fprintln(p.stdout, "Proven: each record in the file is in its log, as it was recorded and in its place, as of the signed checkpoint.")
	if complete {
		fmt.Fprintln(p.stdout, "Proven: none is missing. The file holds the whole of what was recorded until that checkpoint.")
	} else {
		fmt.Fprintln(p.stdout, "Not proven: that no record was left out that fits the filter. Only an export of the whole log proves that.")
	}
	_, err = fmt.Fprintln(p.stdout, "Not proven: what the file says of its filter, its time and the program that made it.")
	return err
}

func verifyReceipt(p *program, file io.Reader, public string) error {
	report, err := audit.VerifyReceipt(file, public)
	if err != nil {
		return err
	}
	for _, line := range report.Statement {
		fmt.Fprintln(p.stdout, line)
	}
	fmt.Fprintf(p.stdout, "intact, records: %d\n", report.Records)
	if report.Missing > 0 {
		fmt.Fprintf(p.stdout, "%d texts were erased, or left out as the address of a request always is.\n", report.Missing)
	}
	_, err = fmt.Fprintln(p.stdout, "Proven: the console signed this statement, and its records are in the log, as of the signed checkpoint.")
	return err
}
