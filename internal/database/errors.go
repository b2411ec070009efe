package database

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

// Of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
	pgNoDatabase           = "3D000"
	pgUndefinedTable       = "42P01"
	pgUndefinedColumn      = "42703"
	pgUndefinedFunction    = "42883" // an operator, too: a column has another type than it should
	pgDatatypeMismatch     = "42804"
	pgDataCorrupted        = "XX001"
	pgIndexCorrupted       = "XX002"
)

// postgresCode is PostgreSQL's SQLSTATE, or "".
func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// IsUnique reports whether a row was refused because its key is taken.
func IsUnique(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return true
	}
	return postgresCode(err) == pgUniqueViolation
}

// IsDamaged reports whether a query failed because the store is not what it
// should be (pages that contradict each other, tables or columns gone), not
// because it could not be reached.
func IsDamaged(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT:
		return true
	}
	switch postgresCode(err) {
	case pgUndefinedTable, pgUndefinedColumn, pgUndefinedFunction, pgDatatypeMismatch, pgDataCorrupted, pgIndexCorrupted:
		return true
	}
	// Our arguments have the types of our columns, so a column has another one. The driver has no error of its own for it.
	return err != nil && strings.Contains(err.Error(), "failed to encode args[")
}

// brokenOff reports whether the store ended a transaction because of another one, and left no trace of it.
func brokenOff(err error) bool {
	code := postgresCode(err)
	return code == pgDeadlockDetected || code == pgSerializationFailure
}
