package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// snapshotTries is how often Snapshots tries to begin in between two appends.
const snapshotTries = 20

// Snapshots begins n transactions for reading, at least one, that all see the
// same state of the audit, so that they can read parts of it at once. Where
// appends follow each other too closely there is only one. The caller rolls
// all of them back.
func (db *DB) Snapshots(ctx context.Context, n int) (txs []*sql.Tx, err error) {
	if most := db.reader.Stats().MaxOpenConnections; most > 0 {
		n = min(n, most)
	}
	first, err := db.beginReading(ctx)
	if err != nil {
		return nil, err
	}
	for range snapshotTries {
		others, err := db.beside(ctx, db.reader, first, n-1)
		if err == nil {
			return append([]*sql.Tx{first}, others...), nil
		}
		if !errors.Is(err, errMoved) {
			return nil, errors.Join(err, first.Rollback())
		}
		// What the first one sees is out of date.
		if err := first.Rollback(); err != nil {
			return nil, fmt.Errorf("begin reading: %w", err)
		}
		if first, err = db.beginReading(ctx); err != nil {
			return nil, err
		}
	}
	return []*sql.Tx{first}, nil
}

// errMoved says that something was appended between the beginnings of two transactions.
var errMoved = errors.New("the store was written to")

func (db *DB) beginReading(ctx context.Context) (*sql.Tx, error) {
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("begin reading: %w", err)
	}
	return tx, nil
}

func rollback(txs []*sql.Tx) {
	for _, tx := range txs {
		_ = tx.Rollback() // there is nothing to lose
	}
}

// beside begins transactions that see what another one does, or returns errMoved.
func (sqliteDialect) beside(ctx context.Context, reader *sql.DB, first *sql.Tx, n int) ([]*sql.Tx, error) {
	heads, err := readHeads(ctx, first)
	if err != nil || n <= 0 {
		return nil, err
	}
	var txs []*sql.Tx
	for range n {
		tx, err := reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err == nil {
			txs = append(txs, tx)
			// Whatever changes the audit adds a record that says so.
			var now []string
			if now, err = readHeads(ctx, tx); err == nil && !slices.Equal(now, heads) {
				err = errMoved
			}
		}
		if err != nil {
			rollback(txs)
			return nil, err
		}
	}
	return txs, nil
}

func readHeads(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return queryNames(ctx, tx, `SELECT concat_ws(' ', tree, size, root) FROM audit_trees ORDER BY tree`)
}

// beside has PostgreSQL do it.
func (*postgresDialect) beside(ctx context.Context, reader *sql.DB, first *sql.Tx, n int) ([]*sql.Tx, error) {
	if n <= 0 {
		return nil, nil
	}
	var snapshot string
	if err := first.QueryRowContext(ctx, `SELECT pg_export_snapshot()`).Scan(&snapshot); err != nil {
		return nil, fmt.Errorf("export snapshot: %w", err)
	}
	var txs []*sql.Tx
	for range n {
		tx, err := reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err == nil {
			txs = append(txs, tx)
			_, err = tx.ExecContext(ctx, `SET TRANSACTION SNAPSHOT '`+snapshot+`'`) // it has no arguments; the server itself wrote it
		}
		if err != nil {
			rollback(txs)
			return nil, fmt.Errorf("begin reading: %w", err)
		}
	}
	return txs, nil
}
