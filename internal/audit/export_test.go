package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"orgconsole/internal/database"
)

// Reencode parses the bytes of an event and encodes the result.
func Reencode(b []byte) ([]byte, error) {
	r, err := parse(b)
	if err != nil {
		return nil, err
	}
	return r.encode(), nil
}

// NewID makes an event's id.
func NewID(t time.Time) (string, error) { return newID(t, rand.Reader) }

// OperationQueries are the queries for the events of so many operations, as List's page and a receipt ask.
func OperationQueries(n int) []string {
	return []string{
		selectRow + " " + whereOperations(n) + ` AND e.action <> 'audit.review' ORDER BY e.operation_id, e.seq LIMIT 100`,
		selectRow + " " + whereOperations(n) + ` AND e.action = 'audit.review' ORDER BY +e.seq DESC LIMIT 100`,
	}
}

// ParseTime reads a time as the bytes of an event have it.
func ParseTime(s string) (time.Time, bool) { return parseTime(s) }

// Plain reports whether a text needs no further look at its characters.
func Plain(s string) bool { return plain(s) }

// VerifyStretches is Verify by one worker or several, with how many stretches it left to a walk; with none it walks
// through all.
func VerifyStretches(ctx context.Context, db *database.DB, publicKey string, workers int) (report Report, walked int, err error) {
	keys, err := parseKeys(publicKey)
	if err != nil {
		return Report{}, 0, err
	}
	txs, err := db.Snapshots(ctx, max(workers, 1))
	if err != nil {
		return Report{}, 0, err
	}
	defer func() {
		for _, tx := range txs {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	v := newVerification(db, keys, VerifyOptions{})
	v.workers, v.walkAll = txs[1:], workers == 0
	err = v.run(ctx, db, txs[0])
	return v.report, v.walked, err
}

// Waiting is how many calls of Record wait for another.
func (l *Log) Waiting(organizationID string) int {
	l.join.mu.Lock()
	defer l.join.mu.Unlock()
	return len(l.join.waiting[organizationID])
}

// Leads reports whether a call of Record is under way that others wait for.
func (l *Log) Leads(organizationID string) bool {
	l.join.mu.Lock()
	defer l.join.mu.Unlock()
	_, leads := l.join.waiting[organizationID]
	return leads
}
