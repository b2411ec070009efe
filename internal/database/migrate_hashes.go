package database

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"strings"

	"github.com/pressly/goose/v3"
)

// hashesVersion is the number of the migration that puts the stored hashes of
// a record into its row. Which those are, SQL cannot say.
const hashesVersion = 5

// hashesChunk is how many records it moves at once.
const hashesChunk = 250

func hashesMigration(dialect goose.Dialect) *goose.Migration {
	move := moveHashesSQLite
	if dialect == goose.DialectPostgres {
		move = moveHashesPostgres
	}
	return goose.NewGoMigration(hashesVersion, &goose.GoFunc{RunTx: move}, nil)
}

// eventsTable is audit_events as SQLite has it from then on.
const eventsTable = `CREATE TABLE audit_events (
  tree         INTEGER NOT NULL,
  seq          INTEGER NOT NULL,        -- place in the tree, from 0 without gaps
  id           TEXT    NOT NULL UNIQUE, -- UUIDv7
  bytes        TEXT,                    -- the event, exactly as hashed. NULL is for bodies purged by a retention rule
  time         INTEGER NOT NULL,        -- unix ms. From here to target_id: copied out of bytes for searching
  action       TEXT    NOT NULL,
  phase        TEXT    NOT NULL,
  operation_id TEXT    NOT NULL,
  outcome      TEXT    NOT NULL,
  actor_id     TEXT    NOT NULL,
  target_id    TEXT    NOT NULL,
  hashes       BLOB    NOT NULL,        -- hash of the record, then of each subtree (RFC 6962) that it is the last record of, the smallest first
  PRIMARY KEY (tree, seq)
) STRICT`

// SQLite writes the rows anew, in the order in which they are read, as a row that grows would leave its page.
func moveHashesSQLite(ctx context.Context, tx *sql.Tx) error {
	const create = `ALTER TABLE audit_events RENAME TO audit_events_before;
		` + eventsTable
	if _, err := tx.ExecContext(ctx, create); err != nil {
		return err
	}
	const columns = `e.tree, e.seq, e.id, e.bytes, e.time, e.action, e.phase, e.operation_id, e.outcome, e.actor_id, e.target_id`
	err := eachHashes(ctx, tx, `audit_events_before`, func(tree int64, seqs []int64, hashes [][]byte) error {
		args := make([]any, 0, 2*len(seqs)+1)
		for i, seq := range seqs {
			args = append(args, seq, hashes[i])
		}
		//nolint:gosec // G202: as many marks as there are arguments
		insert := `WITH h (seq, hashes) AS (VALUES (?, ?)` + strings.Repeat(`, (?, ?)`, len(seqs)-1) + `)
			INSERT INTO audit_events SELECT ` + columns + `, h.hashes FROM h JOIN audit_events_before e ON e.tree = ? AND e.seq = h.seq ORDER BY e.seq`
		_, err := tx.ExecContext(ctx, insert, append(args, tree)...)
		return err
	})
	if err != nil {
		return err
	}
	const finish = `DROP TABLE audit_events_before;
		CREATE INDEX audit_events_by_operation ON audit_events (tree, operation_id, seq) WHERE operation_id <> '';
		CREATE INDEX audit_events_by_time ON audit_events (tree, time, seq);
		CREATE INDEX audit_events_covering ON audit_events (tree, seq) WHERE action IN ('audit.purge', 'audit.erase', 'audit.key.change');
		DROP TABLE audit_hashes`
	_, err = tx.ExecContext(ctx, finish)
	return err
}

func moveHashesPostgres(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `ALTER TABLE audit_events ADD COLUMN hashes bytea NOT NULL DEFAULT ''`); err != nil {
		return err
	}
	err := eachHashes(ctx, tx, `audit_events`, func(tree int64, seqs []int64, hashes [][]byte) error {
		args := make([]any, 0, 2*len(seqs)+1)
		for i, seq := range seqs {
			args = append(args, seq, hashes[i])
		}
		//nolint:gosec // G202: as many marks as there are arguments
		update := `UPDATE audit_events e SET hashes = h.hashes
			FROM (VALUES (CAST(? AS bigint), CAST(? AS bytea))` + strings.Repeat(`, (?, ?)`, len(seqs)-1) + `) AS h (seq, hashes) WHERE e.tree = ? AND e.seq = h.seq`
		_, err := tx.ExecContext(ctx, update, append(args, tree)...)
		return err
	})
	if err != nil {
		return err
	}
	for _, q := range []string{`ALTER TABLE audit_events ALTER COLUMN hashes DROP DEFAULT`, `DROP TABLE audit_hashes`} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// eachHashes calls fn with all records, some at a time, and with the hashes
// that are stored of each. What is missing stays missing, for verification to
// find.
func eachHashes(ctx context.Context, tx *sql.Tx, table string, fn func(tree int64, seqs []int64, hashes [][]byte) error) error {
	tree, seq := int64(-1<<62), int64(-1<<62)
	for {
		next := `SELECT tree, seq FROM ` + table + ` WHERE tree > ? OR tree = ? AND seq > ? ORDER BY tree, seq LIMIT ?`
		places, err := queryPairs(ctx, tx, next, tree, tree, seq, hashesChunk)
		if err != nil || len(places) == 0 {
			return err
		}
		tree = places[0].first
		var seqs []int64
		for _, p := range places {
			if p.first == tree {
				seqs = append(seqs, p.second)
			}
		}
		seq = seqs[len(seqs)-1]
		hashes, err := storedHashes(ctx, tx, tree, seqs)
		if err != nil {
			return err
		}
		if err := fn(tree, seqs, hashes); err != nil {
			return err
		}
	}
}

func storedHashes(ctx context.Context, tx *sql.Tx, tree int64, seqs []int64) ([][]byte, error) {
	rows, err := tx.QueryContext(ctx, `SELECT idx, hash FROM audit_hashes WHERE tree = ? AND idx >= ? AND idx < ?`, tree, hashIndex(seqs[0]), hashIndex(seqs[len(seqs)-1]+1))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64][]byte)
	for rows.Next() {
		var idx int64
		var hash []byte
		if err := rows.Scan(&idx, &hash); err != nil {
			return nil, err
		}
		found[idx] = hash
	}
	hashes := make([][]byte, len(seqs))
	for i, seq := range seqs {
		hashes[i] = []byte{}
		for idx := hashIndex(seq); idx < hashIndex(seq+1); idx++ {
			hashes[i] = append(hashes[i], found[idx]...)
		}
	}
	return hashes, rows.Err()
}

// hashIndex is the place of a record's first hash among those of its tree, as golang.org/x/mod/sumdb/tlog counts them.
func hashIndex(seq int64) int64 {
	return 2*seq - int64(bits.OnesCount64(uint64(max(seq, 0))))
}

type pair struct{ first, second int64 }

func queryPairs(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]pair, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	defer rows.Close()
	var pairs []pair
	for rows.Next() {
		var p pair
		if err := rows.Scan(&p.first, &p.second); err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, rows.Err()
}
