package audit

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"time"

	"orgconsole/internal/database"
)

// Options are what a Log needs from outside. All are required but Logger.
type Options struct {
	Now    func() time.Time
	Rand   io.Reader // safe for concurrent use
	Build  string    // program and version, written into every event
	Logger *slog.Logger
}

// Log appends to the audit and reads it. It is safe for concurrent use.
type Log struct{ db *database.DB }

// New returns a log that signs with a private key as NewKey makes it. Call Start before anything else.
func New(db *database.DB, signer string, opts Options) (*Log, error) { return nil, errors.New("todo") }

// Start checks the newest record of every tree and records that the console started.
func (l *Log) Start(ctx context.Context) error { return errors.New("todo") }

// Write runs fn in a transaction of the store, for what Append has to be in one transaction with.
func (l *Log) Write(ctx context.Context, fn func(tx *sql.Tx) error) error { return l.db.Write(ctx, fn) }

// Append records an event in a transaction of Write, or of database.DB.Write.
func (l *Log) Append(ctx context.Context, tx *sql.Tx, ev Event) (Event, error) {
	return Event{}, errors.New("todo")
}

// Record is Append in a transaction of its own.
func (l *Log) Record(ctx context.Context, ev Event) (Event, error) {
	return Event{}, errors.New("todo")
}

// Checkpoint returns the newest signed checkpoint of a tree, or ErrNotFound.
func (l *Log) Checkpoint(ctx context.Context, organizationID string) (string, error) {
	return "", errors.New("todo")
}
