package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"orgconsole/internal/database"
)

const (
	// leaseTime is how long a process that died keeps the others from sending.
	leaseTime = 90 * time.Second
	// turnsAtOnce bounds how many trees are looked up at once.
	turnsAtOnce = 100
	// agedWithin is how many records that wait are looked at for one that still has its time.
	agedWithin = 1000

	// Limits of a batch. Many servers refuse a body of more than 1 MiB unless they are told otherwise.
	batchEvents = 500
	batchBytes  = 1_000_000

	// mostFailures bounds how many failures in a row are told: after so many, more make no difference.
	mostFailures = 20

	// longestWait is the longest that a tree may have to wait for its turn. What the store says beyond it was written by a
	// clock that was wrong.
	longestWait = time.Hour

	mediaNote = "text/plain; charset=utf-8"
)

const (
	streamSink    = "sink"
	streamWitness = "witness"
)

// ErrOutOfTurn says that another process has sent, or is about to send, what this one was to.
var ErrOutOfTurn = errors.New("another process sends this")

// Outbox is what still waits to be sent out of the store, and how far each
// tree has come. All of it is in the store: any number of processes may have
// one, and whoever holds its lease sends. It is safe for concurrent use.
type Outbox struct {
	log    *Log
	stream string
	owner  string
	pack   func(ctx context.Context, t *Turn) (*Parcel, error)
}

// NewSink returns the outbox of all events, as NDJSON or OCSF. The owner names this process in the lease.
func NewSink(l *Log, owner string, f Format) *Outbox {
	o := &Outbox{log: l, stream: streamSink, owner: owner}
	o.pack = func(ctx context.Context, t *Turn) (*Parcel, error) { return o.packEvents(ctx, t, f) }
	return o
}

// NewWitness returns the outbox of checkpoints, of which each tree has the newest only.
func NewWitness(l *Log, owner string) *Outbox {
	o := &Outbox{log: l, stream: streamWitness, owner: owner}
	o.pack = o.packCheckpoint
	return o
}

// Stream names the outbox: sink or witness.
func (o *Outbox) Stream() string { return o.stream }

// Now is the clock of the store, which all processes on it share.
func (o *Outbox) Now() time.Time { return o.log.now() }

// Turn is a tree of which something waits.
type Turn struct {
	OrganizationID string
	Failures       int // since the last acceptance, 20 at most

	tree, sent, pending int64
	root                string // of the tree of the records that were sent
}

// continues holds a tree against what was sent of it. One that was put back to
// how it was before, and has grown since, would otherwise leave a gap at the
// receiver, which has other records in that place.
func (turn *Turn) continues(ctx context.Context, q queryer, t *tree) error {
	if turn.sent == 0 {
		return nil
	}
	if t.size < turn.sent {
		return t.tampered(nil, "it has %d records, and %d were sent: it is shorter than it was", t.size, turn.sent)
	}
	root, err := t.rootAt(ctx, q, turn.sent)
	switch {
	case err != nil:
		return err
	case root != turn.root || t.size == turn.sent && root != t.root:
		return t.tampered(nil, "its first %d records are others than those that were sent", turn.sent)
	case t.size == turn.sent:
		return ErrOutOfTurn // it was put right meanwhile
	}
	return nil
}

// rootAt is the root of the tree when it had fewer records, by its stored hashes.
func (t *tree) rootAt(ctx context.Context, q queryer, size int64) (string, error) {
	stored := hashesOf(ctx, q, t)
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		return "", stored.blame(t, err)
	}
	return root.String(), nil
}

// Parcel is what is sent at once.
type Parcel struct {
	*Turn

	// ID is the same whenever the same records are sent again.
	ID          string
	ContentType string
	Body        []byte // empty: the format has no words for what waits, and nothing needs to be sent
	Events      int64

	end  int64
	root string // of the tree up to there
}

// Hold takes the lease, or prolongs it when less than half of it is left. It
// reports whether this process has it, and whether it is new to it: what was
// read before may then have been sent by somebody else.
func (o *Outbox) Hold(ctx context.Context) (held, fresh bool, err error) {
	var owner string
	var until int64
	now := o.Now()
	const read = `SELECT lease_owner, lease_until FROM audit_stream_leases WHERE stream = ?`
	err = o.log.db.Reader().QueryRowContext(ctx, read, o.stream).Scan(&owner, &until)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return false, false, fmt.Errorf("read lease of the %s: %w", o.stream, err)
	case owner == o.owner && until > now.Add(leaseTime/2).UnixMilli() && until <= now.Add(leaseTime).UnixMilli():
		return true, false, nil
	case owner != o.owner && until > now.UnixMilli() && until <= now.Add(leaseTime).UnixMilli():
		return false, false, nil
	}
	fresh = owner != o.owner || until <= now.UnixMilli()
	const take = `INSERT INTO audit_stream_leases (stream, lease_owner, lease_until) VALUES (?, ?, ?)
		ON CONFLICT (stream) DO UPDATE SET lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
		WHERE audit_stream_leases.lease_owner = excluded.lease_owner OR audit_stream_leases.lease_until <= ?
			OR audit_stream_leases.lease_until > excluded.lease_until`
	taken, err := o.exec(ctx, take, o.stream, o.owner, now.Add(leaseTime).UnixMilli(), now.UnixMilli())
	if err != nil {
		return false, false, fmt.Errorf("take lease of the %s: %w", o.stream, err)
	}
	return taken, fresh, nil
}

// Release gives the lease back, so that another process need not wait for its end.
func (o *Outbox) Release(ctx context.Context) error {
	_, err := o.exec(ctx, `UPDATE audit_stream_leases SET lease_owner = '', lease_until = 0 WHERE stream = ? AND lease_owner = ?`, o.stream, o.owner)
	if err != nil {
		return fmt.Errorf("give back lease of the %s: %w", o.stream, err)
	}
	return nil
}

// exec runs one statement and reports whether it changed a row.
func (o *Outbox) exec(ctx context.Context, query string, args ...any) (changed bool, err error) {
	err = o.log.db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		changed = n > 0
		return err
	})
	return changed, err
}

// waiting are the trees of which something waits, and those that are not what
// was sent of them. The stream is its argument.
const waiting = ` FROM audit_trees t LEFT JOIN audit_streams s ON s.stream = ? AND s.tree = t.tree
	WHERE (t.size <> COALESCE(s.sent, 0) OR t.size > 0 AND t.root <> s.sent_root)`

// Due returns trees whose turn it is, those first that wait longest for it: a
// tree with a long backlog, or whose records are refused, does not hold up the
// others.
func (o *Outbox) Due(ctx context.Context) ([]*Turn, error) {
	const q = `SELECT t.organization_id, t.tree, COALESCE(s.sent, 0), COALESCE(s.sent_root, ''), COALESCE(s.pending, 0), COALESCE(s.failures, 0)` + waiting +
		` AND (COALESCE(s.next_at, 0) <= ? OR s.next_at > ?) ORDER BY COALESCE(s.next_at, 0), t.tree LIMIT ?`
	now := o.Now()
	rows, err := o.log.db.Reader().QueryContext(ctx, q, o.stream, now.UnixMilli(), now.Add(longestWait).UnixMilli(), turnsAtOnce)
	if err != nil {
		return nil, fmt.Errorf("read what the %s is to get: %w", o.stream, err)
	}
	defer rows.Close()
	var turns []*Turn
	for rows.Next() {
		t := new(Turn)
		if err := rows.Scan(&t.OrganizationID, &t.tree, &t.sent, &t.root, &t.pending, &t.Failures); err != nil {
			return nil, fmt.Errorf("read what the %s is to get: %w", o.stream, err)
		}
		t.Failures = min(max(t.Failures, 0), mostFailures) // whatever the store says
		turns = append(turns, t)
	}
	return turns, rows.Err()
}

// Pack makes what is to be sent of a tree. What it has once returned it makes
// again, under the same id, until it is accepted: by whatever process, and
// after a crash. Of records that were purged or erased since then, it says so.
// What does not verify is not sent: the error is a *TamperedError.
func (o *Outbox) Pack(ctx context.Context, t *Turn) (*Parcel, error) {
	p, err := o.pack(ctx, t)
	if err != nil && database.IsDamaged(err) {
		err = &TamperedError{Tree: t.OrganizationID, Seq: -1, Problem: "the store is damaged: " + err.Error(), Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("pack for the %s: %w", o.stream, err)
	}
	return p, nil
}

// packEvents packs the records after those that were sent.
func (o *Outbox) packEvents(ctx context.Context, turn *Turn, f Format) (*Parcel, error) {
	b := batch{to: turn.pending, format: f}
	switch n := turn.pending - turn.sent; {
	case turn.pending == 0:
		b.to = turn.sent + batchEvents
	case n < 1 || n > batchEvents:
		const problem = "the store says that the message under way goes from record %d to before %d, which none does"
		return nil, &TamperedError{Tree: turn.OrganizationID, Seq: -1, Problem: fmt.Sprintf(problem, turn.sent, turn.pending)}
	default:
		b.decided = true
	}
	if err := o.log.snapshot(ctx, func(tx *sql.Tx) error { return b.read(ctx, tx, o.log, turn) }); err != nil {
		return nil, err
	}
	if !b.decided {
		// Where it ends is kept before it is sent, or it could end elsewhere the next time.
		const plan = `INSERT INTO audit_streams (stream, tree, sent, sent_root, pending, failures, next_at, problem, delivered_at) VALUES (?, ?, ?, '', ?, 0, 0, '', 0)
			ON CONFLICT (stream, tree) DO UPDATE SET pending = excluded.pending WHERE audit_streams.sent = excluded.sent AND audit_streams.pending = 0`
		planned, err := o.exec(ctx, plan, o.stream, turn.tree, turn.sent, b.end)
		if err != nil {
			return nil, err
		}
		if !planned {
			return nil, ErrOutOfTurn
		}
		turn.pending = b.end
	}
	return &Parcel{
		Turn: turn, ID: messageID(b.origin, strconv.FormatInt(turn.sent, 10), strconv.FormatInt(b.end, 10), b.last.String()),
		ContentType: f.ContentType(), Body: b.body.Bytes(), Events: b.end - turn.sent, end: b.end, root: b.root,
	}, nil
}

// messageID is an id of Standard Webhooks. The hash of the last record tells
// batches apart that are of the same places, as after a backup was put back.
func messageID(of ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", of))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// batch is some records of a tree in a row.
type batch struct {
	format  Format
	decided bool  // to is exactly the end
	to      int64 // the end at most

	end    int64
	origin string
	last   tlog.Hash // leaf of the record before the end
	root   string    // of the tree up to the end
	body   bytes.Buffer
}

// errFull ends the reading of a batch.
var errFull = errors.New("the batch is full")

// read makes an export that holds nothing but the batch, under the newest checkpoint.
func (b *batch) read(ctx context.Context, tx *sql.Tx, l *Log, turn *Turn) error {
	t, err := readTree(ctx, tx, turn.OrganizationID)
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	enc := NewEncoder(&lines, b.format, l.build, l.now())
	s, c, err := newSource(ctx, l.db, tx, t, l.verifier, enc.proofs())
	if err != nil {
		return err
	}
	if err := turn.continues(ctx, tx, t); err != nil {
		return err
	}
	if c.size < b.to && b.decided {
		return t.tampered(nil, "it has %d records, and %d were to be sent", c.size, b.to)
	}
	head := Head{OrganizationID: turn.OrganizationID, Origin: c.origin, Checkpoint: t.note.String, Size: c.size, Filter: Filter{After: turn.sent}}
	if err := enc.Begin(head); err != nil {
		return err
	}
	lines.Reset() // where the batch ends, which the head says, is not known yet
	b.origin, b.end = c.origin, turn.sent
	p, err := s.read(ctx, `WHERE e.tree = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq`, t.number, turn.sent, min(b.to, c.size))
	if err != nil {
		return err
	}
	err = s.open(p, func(e *Entry) error {
		before := lines.Len()
		switch {
		case e.Event.Seq != b.end:
			return t.tampered(nil, "the record seq %d is gone", b.end)
		case enc.Event(e) != nil:
			return fmt.Errorf("write record seq %d", b.end) // a buffer takes all
		case !b.decided && b.end > turn.sent && lines.Len() > batchBytes:
			lines.Truncate(before)
			return errFull
		}
		b.end, b.last = b.end+1, e.Leaf
		return nil
	})
	if lost, ok := errors.AsType[*noWayUpError](err); ok {
		return s.blame(ctx, lost)
	}
	if err != nil && !errors.Is(err, errFull) {
		return err
	}
	if b.end == turn.sent || b.decided && b.end != b.to {
		return t.tampered(nil, "the record seq %d is gone", b.end)
	}
	if b.root, err = t.rootAt(ctx, tx, b.end); err != nil {
		return err
	}
	head.ToSeq = b.end
	enc = NewEncoder(&b.body, b.format, l.build, l.now())
	if err := enc.Begin(head); err != nil {
		return err
	}
	b.body.Write(lines.Bytes())
	return enc.End(b.end - turn.sent)
}

// packCheckpoint packs the newest checkpoint of a tree, whatever came before it.
func (o *Outbox) packCheckpoint(ctx context.Context, turn *Turn) (*Parcel, error) {
	var p *Parcel
	err := o.log.snapshot(ctx, func(tx *sql.Tx) error {
		t, err := readTree(ctx, tx, turn.OrganizationID)
		if err != nil {
			return err
		}
		c, err := t.checkpoint(o.log.verifier)
		if err != nil {
			return err
		}
		p = &Parcel{
			Turn: turn, ID: messageID(t.note.String), ContentType: mediaNote, Body: []byte(t.note.String), Events: c.size - turn.sent, end: c.size, root: c.root.String(),
		}
		return turn.continues(ctx, tx, t)
	})
	return p, err
}

// Delivered records that a parcel was accepted, whoever had it accepted first.
func (o *Outbox) Delivered(ctx context.Context, p *Parcel) error {
	now := o.Now().UnixMilli()
	at := now
	if len(p.Body) == 0 {
		at = 0
	}
	const advance = `INSERT INTO audit_streams (stream, tree, sent, sent_root, pending, failures, next_at, problem, delivered_at) VALUES (?, ?, ?, ?, 0, 0, ?, '', ?)
		ON CONFLICT (stream, tree) DO UPDATE SET sent = excluded.sent, sent_root = excluded.sent_root, pending = 0, failures = 0, next_at = excluded.next_at, problem = '',
			delivered_at = CASE WHEN excluded.delivered_at > 0 THEN excluded.delivered_at ELSE audit_streams.delivered_at END
		WHERE audit_streams.sent = ? AND audit_streams.pending = ?`
	if _, err := o.exec(ctx, advance, o.stream, p.tree, p.end, p.root, now, at, p.sent, p.pending); err != nil {
		return fmt.Errorf("record what the %s got: %w", o.stream, err)
	}
	return nil
}

// Failed records why nothing of a tree was accepted, in words for people, and
// when to try again, which is within an hour.
func (o *Outbox) Failed(ctx context.Context, t *Turn, problem string, next time.Time) error {
	const fail = `INSERT INTO audit_streams (stream, tree, sent, sent_root, pending, failures, next_at, problem, delivered_at) VALUES (?, ?, ?, '', ?, ?, ?, ?, 0)
		ON CONFLICT (stream, tree) DO UPDATE SET failures = excluded.failures, next_at = excluded.next_at, problem = excluded.problem
		WHERE audit_streams.sent = excluded.sent AND audit_streams.pending = excluded.pending`
	if _, err := o.exec(ctx, fail, o.stream, t.tree, t.sent, t.pending, t.Failures+1, min(next.UnixMilli(), o.Now().Add(longestWait).UnixMilli()), problem); err != nil {
		return fmt.Errorf("record what the %s did not get: %w", o.stream, err)
	}
	return nil
}

// StreamLag is how far a stream is behind one tree.
type StreamLag struct {
	Configured   bool
	Waiting      int64     // records that were not accepted yet
	Oldest       time.Time // when the first of them was recorded; zero: nothing waits, or it was purged and nobody knows
	Age          time.Duration
	LastDelivery time.Time // zero: never
	Problem      string    // why the last delivery failed, in plain words; "" when it did not
	NextTry      time.Time // after a failure
}

// Lag says how far the stream is behind the tree of an organization. A nil
// Outbox is one that is not configured.
func (o *Outbox) Lag(ctx context.Context, organizationID string) (StreamLag, error) {
	if o == nil {
		return StreamLag{}, nil
	}
	lag := StreamLag{Configured: true}
	var tree, size, sent, next, delivered int64
	var same bool // as what was sent, as far as both go
	const q = `SELECT t.tree, t.size, COALESCE(s.sent, 0), t.size <> COALESCE(s.sent, 0) OR t.size = 0 OR t.root = s.sent_root, COALESCE(s.next_at, 0), COALESCE(s.problem, ''), COALESCE(s.delivered_at, 0)
		FROM audit_trees t LEFT JOIN audit_streams s ON s.stream = ? AND s.tree = t.tree WHERE t.organization_id = ?`
	reader := o.log.db.Reader()
	err := reader.QueryRowContext(ctx, q, o.stream, organizationID).Scan(&tree, &size, &sent, &same, &next, &lag.Problem, &delivered)
	if errors.Is(err, sql.ErrNoRows) {
		return lag, nil
	}
	if err != nil {
		return StreamLag{}, fmt.Errorf("read lag of the %s: %w", o.stream, err)
	}
	lag.Waiting = max(size-sent, 0)
	if delivered > 0 {
		lag.LastDelivery = time.UnixMilli(delivered).UTC()
	}
	switch {
	case sent > size:
		lag.Problem = fmt.Sprintf("The log has %d records, and %d were sent: it is shorter than it was.", size, sent)
	case !same:
		lag.Problem = "The log's records are others than those that were sent."
	case sent == size:
		lag.Problem = "" // there was one, and it is over
	}
	if lag.Problem != "" && next > 0 {
		lag.NextTry = time.UnixMilli(next).UTC()
	}
	if lag.Waiting == 0 {
		return lag, nil
	}
	var oldest int64
	const aged = `SELECT COALESCE((SELECT time FROM audit_events WHERE tree = ? AND seq >= ? AND seq < ? AND time > 0 ORDER BY seq LIMIT 1), 0)`
	if err := reader.QueryRowContext(ctx, aged, tree, sent, sent+agedWithin).Scan(&oldest); err != nil {
		return StreamLag{}, fmt.Errorf("read lag of the %s: %w", o.stream, err)
	}
	if oldest > 0 {
		lag.Oldest = time.UnixMilli(oldest).UTC()
		lag.Age = max(o.Now().Sub(lag.Oldest), 0)
	}
	return lag, nil
}

// Backlog is how far a stream is behind all trees together.
type Backlog struct {
	Waiting      int64         // records that were not accepted yet
	Age          time.Duration // since the oldest of them was recorded; 0: nothing waits
	Trees        int64         // of which something waits, or that are not what was sent of them
	Failing      int64         // of these, trees whose last delivery failed
	LastDelivery time.Time     // zero: never
}

// Backlog says how far the stream is behind.
func (o *Outbox) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var oldest, delivered int64
	// The first that waits stands for its tree: of one that was purged the time is 0, and is not known.
	const q = `SELECT COALESCE(sum(CASE WHEN t.size > COALESCE(s.sent, 0) THEN t.size - COALESCE(s.sent, 0) ELSE 0 END), 0), count(*), COALESCE(sum(CASE WHEN s.failures > 0 THEN 1 ELSE 0 END), 0),
		COALESCE(min((SELECT e.time FROM audit_events e WHERE e.tree = t.tree AND e.seq = COALESCE(s.sent, 0) AND e.time > 0)), 0)` + waiting
	reader := o.log.db.Reader()
	if err := reader.QueryRowContext(ctx, q, o.stream).Scan(&b.Waiting, &b.Trees, &b.Failing, &oldest); err != nil {
		return Backlog{}, fmt.Errorf("read backlog of the %s: %w", o.stream, err)
	}
	const last = `SELECT COALESCE(max(delivered_at), 0) FROM audit_streams WHERE stream = ?`
	if err := reader.QueryRowContext(ctx, last, o.stream).Scan(&delivered); err != nil {
		return Backlog{}, fmt.Errorf("read backlog of the %s: %w", o.stream, err)
	}
	if oldest > 0 {
		b.Age = max(o.Now().Sub(time.UnixMilli(oldest)), 0)
	}
	if delivered > 0 {
		b.LastDelivery = time.UnixMilli(delivered).UTC()
	}
	return b, nil
}
