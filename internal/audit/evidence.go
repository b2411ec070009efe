package audit

import (
	"context"
	"errors"
)

// Evidence is what proves that an event is in the log. Hashes are in base64.
type Evidence struct {
	Bytes      []byte // as hashed
	LeafHash   string
	Checkpoint string // signed note
	LeafIndex  int64
	TreeSize   int64
	Proof      []string // from the leaf to the root
	Verified   bool     // the proof was checked just now
	Problem    string   // why it is not verified
}

// Event returns one event of an organization and its evidence, or ErrNotFound.
func (l *Log) Event(ctx context.Context, organizationID, id string) (Event, Evidence, error) {
	return Event{}, Evidence{}, errors.New("todo")
}
