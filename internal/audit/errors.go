package audit

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrTampered says that the audit is not what was recorded. A *TamperedError tells more.
	ErrTampered = errors.New("the audit log was tampered with")
	// ErrWrongKey says that a checkpoint is signed by another key than the one given. Verify wraps it in a
	// *TamperedError, since a store that somebody signed anew looks the same.
	ErrWrongKey = errors.New("signed by another key")
	// ErrNotFound says that there is no such event in the organization.
	ErrNotFound = errors.New("no such audit event")
	// ErrBadCursor says that a cursor is not one that List gave.
	ErrBadCursor = errors.New("not a cursor of the audit log")
)

// TamperedError names the first record that does not fit. errors.Is finds ErrTampered in it.
type TamperedError struct {
	Tree    string // organization id, "" for the system tree
	Seq     int64  // -1 when no single record is to blame
	ID      string // "" when it is not known, as of a record that is gone
	Problem string
	Err     error // more to match by errors.Is, or nil
}

func (e *TamperedError) Error() string {
	var b strings.Builder
	if e.Tree == "" {
		b.WriteString("system tree")
	} else {
		b.WriteString("tree of " + e.Tree)
	}
	if e.Seq >= 0 {
		fmt.Fprintf(&b, ", record seq %d", e.Seq)
		if e.ID != "" {
			b.WriteString(" id " + e.ID)
		}
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}

// Is matches ErrTampered.
func (e *TamperedError) Is(target error) bool { return target == ErrTampered }

func (e *TamperedError) Unwrap() error { return e.Err }
