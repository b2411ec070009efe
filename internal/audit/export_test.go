package audit

import (
	"crypto/rand"
	"time"
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
