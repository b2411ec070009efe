package database

import (
	"context"
	"fmt"
)

// EmptyLog removes what was deleted from the write-ahead log of an SQLite
// store, unless somebody is just reading it: then a later call, or the end of
// the last process on the store, does.
func (db *DB) EmptyLog(ctx context.Context) error {
	if _, ok := db.dialect.(sqliteDialect); !ok || db.writer == nil {
		return nil
	}
	if _, err := db.writer.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("empty write-ahead log: %w", err)
	}
	return nil
}
