package audit_test

import (
	"database/sql"
	"fmt"
	"io"
	"strings"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

// plainTable is a table of the same events as they would be kept without proof: the bytes, the columns copied out of them,
// the personal texts, and the same indexes; no salts, no hashes, no checkpoint, and nothing is checked.
type plainTable struct {
	db    *database.DB
	rows  int
	bytes string // of an event, for each
}

// plainMost is how many rows a baseline for reading has at most: more do not make it slower or faster.
const plainMost = 300_000

const plainRow = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func newPlain(tb testing.TB, place *databasetest.Store) *plainTable {
	tb.Helper()
	place.Open(tb).Close()
	text := "TEXT"
	if place.Postgres {
		text = `text COLLATE "C"`
	}
	number := map[bool]string{false: "INTEGER", true: "bigint"}[place.Postgres]
	place.Exec(tb, strings.NewReplacer("TEXT", text, "INTEGER", number).Replace(`CREATE TABLE IF NOT EXISTS plain_events (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, bytes TEXT,
		time INTEGER NOT NULL, action TEXT NOT NULL, phase TEXT NOT NULL, operation_id TEXT NOT NULL, outcome TEXT NOT NULL, actor_id TEXT NOT NULL, target_id TEXT NOT NULL,
		actor_email TEXT NOT NULL, target_label TEXT NOT NULL, target_email TEXT NOT NULL, source_ip TEXT NOT NULL)`),
		`CREATE INDEX IF NOT EXISTS plain_by_operation ON plain_events (operation_id, seq) WHERE operation_id <> ''`, `CREATE INDEX IF NOT EXISTS plain_by_time ON plain_events (time, seq)`)
	if place.Postgres {
		place.Exec(tb, `ALTER TABLE plain_events OWNER TO console`)
	}
	p := &plainTable{db: place.Open(tb)}
	// The bytes of an event that a desk makes.
	s := newStore(tb)
	recorded := s.record(tb, deskEvent(newDesk(1), 0))
	_, evidence, err := s.log.Event(tb.Context(), acme, recorded.ID)
	if err != nil {
		tb.Fatal(err)
	}
	p.bytes = string(evidence.Bytes)
	return p
}

// insert writes some rows in one transaction, as many at once as the log does.
func (p *plainTable) insert(tb testing.TB, desk *desk, first, rows int) {
	tb.Helper()
	err := p.db.Write(tb.Context(), func(tx *sql.Tx) error {
		var statements []database.Statement
		for done := 0; done < rows; {
			n := min(50, rows-done)
			args := make([]any, 0, 14*n)
			for i := range n {
				ev := deskEvent(desk, first+done+i)
				id, err := audit.NewID(ev.Time)
				if err != nil {
					return err
				}
				args = append(args, first+done+i, id, p.bytes, ev.Time.UnixMilli(), string(ev.Action), string(ev.Phase), ev.OperationID, string(ev.Outcome),
					ev.Actor.MemberID, ev.Target.ID, ev.Actor.Email, ev.Target.Label, ev.Target.Email, ev.Source.IP)
			}
			statements = append(statements, database.Statement{Query: `INSERT INTO plain_events VALUES ` + plainRow + strings.Repeat(`, `+plainRow, n-1), Args: args})
			done += n
		}
		_, err := p.db.Exec(tb.Context(), tx, statements...)
		return err
	})
	if err != nil {
		tb.Error(err)
	}
}

// selectAll reads all rows as anybody would, and writes their bytes.
func (p *plainTable) selectAll(tb testing.TB) {
	tb.Helper()
	rows, err := p.db.Reader().QueryContext(tb.Context(), `SELECT seq, time, id, bytes, action, phase, operation_id, outcome, actor_id, target_id,
		actor_email, target_label, target_email, source_ip FROM plain_events ORDER BY seq`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var seq, at int64
	var text [12]string
	into := []any{&seq, &at}
	for i := range text {
		into = append(into, &text[i])
	}
	n := 0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintln(io.Discard, text[1])
		n++
	}
	if err := rows.Err(); err != nil || n != p.rows {
		tb.Fatal(n, err)
	}
}
