package database

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	emptyTries = 20
	emptyPause = 10 * time.Millisecond
)

// EmptyLog puts what is in the write-ahead log of an SQLite store into its
// file, where Pages can read it, and with that removes from the log what was
// deleted. While somebody reads the log it does not come to that, and nobody
// waits for it: then a later call, or the end of the last process on the
// store, does.
func (db *DB) EmptyLog(ctx context.Context) error {
	if _, ok := db.dialect.(sqliteDialect); !ok || db.writer == nil {
		return nil
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("empty write-ahead log: %w", err)
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, `PRAGMA busy_timeout = 0`) // or writers would wait for readers
	for try := 0; err == nil && try < emptyTries; try++ {
		if try > 0 {
			select {
			case <-time.After(emptyPause):
			case <-ctx.Done():
			}
		}
		busy := 0
		if err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, new(any), new(any)); busy == 0 {
			break
		}
	}
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA busy_timeout = 10000`)
	if err := errors.Join(err, restored); err != nil {
		return fmt.Errorf("empty write-ahead log: %w", err)
	}
	return nil
}
