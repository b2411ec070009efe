package audit

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"orgconsole/internal/database"
)

const (
	saltSize    = 16
	storeIDSize = 16
)

// Options are what a Log needs from outside. All but Logger are required.
type Options struct {
	Now    func() time.Time
	Rand   io.Reader // safe for concurrent use, as crypto/rand's is
	Build  string    // program and version, written into every event
	Logger *slog.Logger

	// OldKeys are keys that signed before, either half of each. A store that one of them signed is changed to the new
	// key by Start if its private half is here.
	OldKeys []string
}

// Log appends to the audit and reads it. It is safe for concurrent use, and
// keeps nothing of its own that matters: what is true is in the store.
type Log struct {
	db       *database.DB
	signer   note.Signer
	verifier note.Verifier
	now      func() time.Time
	rand     io.Reader
	build    string
	logger   *slog.Logger

	public   string // half of the key
	old      []oldKey
	cosigner note.Signer // nil but for the change of keys

	wake chan struct{} // that Run has something to do
	join *joining
}

// New returns a log that signs with a private key as NewKey makes it. Call Start before anything else.
func New(db *database.DB, signer string, opts Options) (*Log, error) {
	if db == nil || opts.Now == nil || opts.Rand == nil {
		return nil, errors.New("audit log: a database, a clock and a source of randomness are required")
	}
	s, err := note.NewSigner(signer)
	if err != nil {
		return nil, errNotAKey
	}
	public, err := PublicKey(signer)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("read public half of audit key: %w", err)
	}
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{db: db, signer: s, verifier: verifier, now: opts.Now, rand: opts.Rand, build: opts.Build, logger: logger, public: public, wake: make(chan struct{}, 1), join: newJoining()}
	for _, key := range opts.OldKeys {
		old, err := newOldKey(key)
		if err != nil {
			return nil, err
		}
		l.old = append(l.old, old)
	}
	return l, nil
}

// Start makes the system tree of a new store. On any other it holds the head
// of every tree against its checkpoint and its newest hashes, and refuses to
// start when they disagree (ErrTampered) or were signed by another key
// (ErrWrongKey), unless that is one of Options.OldKeys. Then it records that the console started.
func (l *Log) Start(ctx context.Context) error {
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		trees, err := l.lockedTrees(ctx, tx)
		if err == nil && len(trees) == 0 {
			if err := l.createSystemTree(ctx, tx); err != nil {
				return err
			}
			trees, err = l.lockedTrees(ctx, tx) // another process may have made it first, and more
		}
		if err != nil {
			return err
		}
		if trees, err = l.takeOver(ctx, tx, trees); err != nil {
			return err
		}
		present := make(map[string]bool, len(trees))
		for _, t := range trees {
			if err := t.check(l.verifier, hashesOf(ctx, tx, t)); err != nil {
				return err
			}
			present[t.origin] = true
		}
		if err := missingTree(ctx, tx, trees[0], func(origin string) bool { return present[origin] }); err != nil {
			return err
		}
		_, err = l.Append(ctx, tx, Event{Action: ActionStart, Phase: PhaseInfo, Actor: Actor{System: true}})
		return err
	})
}

// lockedTrees returns all trees, and has no other process make one until the transaction ends.
func (l *Log) lockedTrees(ctx context.Context, tx *sql.Tx) ([]*tree, error) {
	err := l.lock(ctx, tx, "")
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // and if there is one by now, it is not locked
	}
	if err != nil {
		return nil, err
	}
	return readTrees(ctx, tx)
}

// lockedTree is readTree, and has no other process append to the tree until the transaction ends.
func (l *Log) lockedTree(ctx context.Context, tx *sql.Tx, organizationID string) (*tree, error) {
	if err := l.lock(ctx, tx, organizationID); err != nil {
		return nil, err
	}
	return readTree(ctx, tx, organizationID)
}

func (l *Log) lock(ctx context.Context, tx *sql.Tx, organizationID string) error {
	if err := l.db.Lock(ctx, tx, `SELECT tree FROM audit_trees WHERE organization_id = ?`, organizationID); err != nil {
		return fmt.Errorf("lock head of tree: %w", err)
	}
	return nil
}

func (l *Log) createSystemTree(ctx context.Context, tx *sql.Tx) error {
	// Without a single tree the store is new, or somebody emptied one table and left the others.
	var left bool
	const records = `SELECT NOT EXISTS (SELECT 1 FROM audit_trees) AND (EXISTS (SELECT 1 FROM audit_events) OR EXISTS (SELECT 1 FROM audit_texts)
		OR EXISTS (SELECT 1 FROM audit_checkpoints))`
	if err := tx.QueryRowContext(ctx, records).Scan(&left); err != nil {
		return fmt.Errorf("look for records: %w", err)
	}
	if left {
		return &TamperedError{Seq: -1, Problem: "there are records, and no tree is left"}
	}
	id := make([]byte, storeIDSize)
	if _, err := io.ReadFull(l.rand, id); err != nil {
		return fmt.Errorf("make store id: %w", err)
	}
	_, err := l.createTree(ctx, tx, "", originPrefix+hex.EncodeToString(id)+originSystem)
	return err
}

func (l *Log) createOrganizationTree(ctx context.Context, tx *sql.Tx, organizationID string) (*tree, error) {
	system, err := l.lockedTree(ctx, tx, "")
	if err != nil {
		return nil, err
	}
	// Until the lock was free another process may have made it.
	if t, err := l.lockedTree(ctx, tx, organizationID); !errors.Is(err, sql.ErrNoRows) {
		return t, err
	}
	origin := organizationOrigin(system.origin, organizationID)
	// A tree that was dropped must not grow anew as if nothing had been.
	if err := missingTree(ctx, tx, system, func(listed string) bool { return listed != origin }); err != nil {
		return nil, err
	}
	t, err := l.createTree(ctx, tx, organizationID, origin)
	if err == nil && t == nil {
		err = errors.New("create tree: it is there and cannot be read")
	}
	return t, err
}

// createTree makes an empty tree and lists it in the system tree, itself when
// it is that one. It returns nil when another process has made it meanwhile.
func (l *Log) createTree(ctx context.Context, tx *sql.Tx, organizationID, origin string) (*tree, error) {
	const insert = `INSERT INTO audit_trees (organization_id, origin, size, root) VALUES (?, ?, 0, ?) ON CONFLICT (organization_id) DO NOTHING`
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return nil, fmt.Errorf("create tree: %w", err)
	}
	res, err := tx.ExecContext(ctx, insert, organizationID, origin, empty.String())
	if err != nil {
		return nil, fmt.Errorf("create tree: %w", err)
	}
	if made, err := res.RowsAffected(); err != nil || made == 0 {
		return nil, err
	}
	system, err := readTree(ctx, tx, "")
	if err != nil {
		return nil, err
	}
	system.fresh = organizationID == ""
	listing := Event{
		Action: ActionTreeCreate, Phase: PhaseInfo, Actor: Actor{System: true},
		Target: Target{Type: "audit_tree", ID: origin},
	}
	if _, err := l.add(ctx, tx, system, listing); err != nil {
		return nil, err
	}
	t, err := readTree(ctx, tx, organizationID)
	if err != nil {
		return nil, err
	}
	t.fresh = organizationID != ""
	return t, nil
}

// missingTree returns a TamperedError when the system tree lists a tree that is not among those given.
func missingTree(ctx context.Context, q queryer, system *tree, present func(origin string) bool) error {
	const listed = `SELECT seq, id, target_id FROM audit_events WHERE tree = ? AND action = ? ORDER BY seq`
	rows, err := q.QueryContext(ctx, listed, system.number, string(ActionTreeCreate))
	if err != nil {
		return fmt.Errorf("read list of trees: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		gone := TamperedError{}
		var origin string
		if err := rows.Scan(&gone.Seq, &gone.ID, &origin); err != nil {
			return fmt.Errorf("read list of trees: %w", err)
		}
		if !present(origin) {
			gone.Problem = "it lists the tree " + origin + ", which is gone"
			return &gone
		}
	}
	return rows.Err()
}

// Write runs fn in a transaction of the store, for what Append has to be in one transaction with.
func (l *Log) Write(ctx context.Context, fn func(tx *sql.Tx) error) error { return l.db.Write(ctx, fn) }

// Append records an event in a transaction of Write, or of database.DB.Write,
// and returns it as recorded: with its place, id and time, and with text that
// cannot be recorded replaced or cut. It first checks the tree as Start does.
// The organization's tree is made by its first event. The event is there once
// the transaction is committed, and only then is its checkpoint logged.
func (l *Log) Append(ctx context.Context, tx *sql.Tx, ev Event) (Event, error) {
	recorded, err := l.AppendAll(ctx, tx, []Event{ev})
	if err != nil {
		return Event{}, err
	}
	return recorded[0], nil
}

// AppendAll is Append for several events of one organization, in their order
// and all or none of them: the tree is locked and checked once, and one
// checkpoint is signed. What it costs in memory grows with their number.
func (l *Log) AppendAll(ctx context.Context, tx *sql.Tx, events []Event) ([]Event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	fit := make([]Event, len(events))
	for i, ev := range events {
		if err := ev.check(); err != nil {
			return nil, err
		}
		if ev.OrganizationID != events[0].OrganizationID {
			return nil, errors.New("append audit events: they are of several organizations")
		}
		fit[i] = cleaned(ev)
	}
	organizationID := fit[0].OrganizationID
	t, err := l.lockedTree(ctx, tx, organizationID)
	if errors.Is(err, sql.ErrNoRows) && organizationID != "" {
		t, err = l.createOrganizationTree(ctx, tx, organizationID)
	}
	if err == nil {
		fit, err = l.add(ctx, tx, t, fit...)
	}
	if err != nil {
		return nil, fmt.Errorf("append audit event: %w", err)
	}
	return fit, nil
}

// check refuses an event that no tree takes.
func (ev *Event) check() error {
	if problem := ev.misfit(); problem != "" {
		return fmt.Errorf("append audit event: %s not in the catalogue: action %q, phase %q, outcome %q", problem, ev.Action, ev.Phase, ev.Outcome)
	}
	return nil
}

// add puts events at the end of a tree.
func (l *Log) add(ctx context.Context, tx *sql.Tx, t *tree, events ...Event) ([]Event, error) {
	edge := hashesOf(ctx, tx, t)
	if !t.fresh {
		if err := t.check(l.verifier, edge); err != nil {
			return nil, err
		}
	}
	head := checkpoint{origin: t.origin, size: t.size}
	rows := make([]insertedRow, len(events))
	for i := range events {
		ev := &events[i]
		now := l.now().UTC().Truncate(time.Millisecond)
		id, err := newID(now, l.rand)
		if err != nil {
			return nil, err
		}
		ev.Seq, ev.ID, ev.Time, ev.Build, ev.Schema = head.size, id, now, clean(l.build, maxText), schema
		if rows[i], err = l.newRow(*ev); err != nil {
			return nil, err
		}
		rows[i].hashes, err = tlog.StoredHashesForRecordHash(head.size, tlog.RecordHash(rows[i].bytes), edge)
		if err != nil {
			return nil, fmt.Errorf("hash event: %w", err)
		}
		first := tlog.StoredHashIndex(0, head.size)
		for i, h := range rows[i].hashes {
			edge.seen[first+int64(i)] = h
		}
		head.size++
	}
	var err error
	if head.root, err = tlog.TreeHash(head.size, edge); err != nil {
		return nil, fmt.Errorf("hash tree: %w", err)
	}
	err = l.advance(ctx, tx, t, head, inserts(t, rows)...)
	if database.IsUnique(err) {
		// Not wrapped: to the caller a key that is taken means one of its own.
		return nil, &TamperedError{Tree: t.organizationID, Seq: t.size, Problem: "there is a record or a hash beyond the head: " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return events, nil
}

// insertedRow is a row of audit_events and one of audit_texts.
type insertedRow struct {
	event  Event // without personal texts
	bytes  []byte
	apart  sides
	hashes []tlog.Hash
}

// newRow is the row of an event, without its hashes.
func (l *Log) newRow(ev Event) (insertedRow, error) {
	r, apart, err := l.split(ev)
	if err != nil {
		return insertedRow{}, err
	}
	bytes := r.encode()
	if _, err := parse(bytes); err != nil { // nobody could verify it later
		return insertedRow{}, fmt.Errorf("encode event: %w", err)
	}
	return insertedRow{event: r.event, bytes: bytes, apart: *apart}, nil
}

// sides are what a row of audit_texts holds, in the order of subjects.
type sides struct{ text, salt [4]string }

// split takes the personal texts out of an event and leaves their salted hashes.
func (l *Log) split(ev Event) (*record, *sides, error) {
	r := &record{event: ev}
	apart := new(sides)
	for i, field := range subjects() {
		text := *ev.subjectText(field)
		if text == "" {
			continue
		}
		salt := make([]byte, saltSize)
		if _, err := io.ReadFull(l.rand, salt); err != nil {
			return nil, nil, fmt.Errorf("make salt: %w", err)
		}
		r.hashes[i] = salted(salt, text)
		*r.event.subjectText(field) = ""
		apart.text[i], apart.salt[i] = text, hex.EncodeToString(salt)
	}
	return r, apart, nil
}

// rowsAtOnce bounds the arguments of an INSERT.
const rowsAtOnce = 50

// inserts are the statements that store records.
func inserts(t *tree, rows []insertedRow) (statements []database.Statement) {
	const event = `INSERT INTO audit_events (tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes) VALUES `
	const texts = `INSERT INTO audit_texts (tree, seq, ` + textColumns + `, ` + saltColumns + `) VALUES `
	insert := func(query, marks string, args []any) {
		if n := len(args) / strings.Count(marks, "?"); n > 0 {
			statements = append(statements, database.Statement{Query: query + marks + strings.Repeat(`, `+marks, n-1), Args: args})
		}
	}
	for some := range slices.Chunk(rows, rowsAtOnce) {
		var events, apart []any
		for i := range some {
			r := &some[i]
			ev := &r.event
			stored := make([]byte, 0, len(r.hashes)*tlog.HashSize)
			for _, h := range r.hashes {
				stored = append(stored, h[:]...)
			}
			events = append(events, t.number, ev.Seq, ev.ID, string(r.bytes), ev.Time.UnixMilli(), string(ev.Action), string(ev.Phase),
				ev.OperationID, string(ev.Outcome), ev.Actor.MemberID, ev.Target.ID, stored)
			if r.apart != (sides{}) {
				apart = append(apart, t.number, ev.Seq)
				for _, values := range [][4]string{r.apart.text, r.apart.salt} {
					apart = append(apart, values[0], values[1], values[2], values[3])
				}
			}
		}
		insert(event, `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, events)
		insert(texts, `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, apart)
	}
	return statements
}

// advance runs the statements and replaces the head and the checkpoint of a tree.
func (l *Log) advance(ctx context.Context, tx *sql.Tx, t *tree, head checkpoint, before ...database.Statement) error {
	signed, err := head.sign(l.signers()...)
	if err != nil {
		return err
	}
	const swap = `UPDATE audit_trees SET size = ?, root = ? WHERE tree = ? AND size = ? AND root = ?`
	const replace = `INSERT INTO audit_checkpoints (tree, size, note) VALUES (?, ?, ?)
		ON CONFLICT (tree) DO UPDATE SET size = excluded.size, note = excluded.note`
	changed, err := l.db.Exec(ctx, tx, append(before,
		database.Statement{Query: replace, Args: []any{t.number, head.size, signed}},
		database.Statement{Query: swap, Args: []any{head.size, head.root.String(), t.number, t.size, t.root}})...)
	if err != nil {
		return fmt.Errorf("insert record: %w", err)
	}
	if changed[len(changed)-1] != 1 {
		return fmt.Errorf("replace head: it is not the one of %d records any more", t.size)
	}
	// Where key and store are on one host, only what left the host can speak against a history written anew.
	l.db.AfterCommit(tx, func() {
		l.logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "audit checkpoint",
			slog.String("origin", head.origin), slog.Int64("size", head.size), slog.String("root", head.root.String()), slog.String("note", signed))
		if head.size>>segmentLevels[0] != t.size>>segmentLevels[0] {
			select {
			case l.wake <- struct{}{}:
			default: // it will look anyway
			}
		}
	})
	return nil
}

// newID makes a UUIDv7 (RFC 9562) of a time and random bits.
func newID(t time.Time, rand io.Reader) (string, error) {
	var id uuid.UUID
	if _, err := io.ReadFull(rand, id[6:]); err != nil {
		return "", fmt.Errorf("make event id: %w", err)
	}
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String(), nil
}

// Checkpoint returns the newest signed checkpoint of a tree, or ErrNotFound.
func (l *Log) Checkpoint(ctx context.Context, organizationID string) (string, error) {
	t, err := readTree(ctx, l.db.Reader(), organizationID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return t.note.String, nil
}
