package helpdesk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/database"
	"orgconsole/internal/stytch"
)

const (
	// callTime is twice the client's deadline for any call here: a call is
	// begun in the first half or not at all, so an intent older than this has
	// no call running.
	callTime = 20 * time.Second
	// stepTime is how long a step may wait for the steps before it.
	stepTime = 2 * time.Minute
	// operationTime bounds one operation with all its steps.
	operationTime = 80 * time.Second
	// stillThereAfter is how long after our call a re-read that finds the
	// password still there may be believed: before, the call may yet act.
	stillThereAfter = 10 * time.Second
	leaseTime       = 30 * time.Second
	settleEvery     = 15 * time.Second
)

// Deps is what a Desk works with. TicketPattern nil accepts any ticket.
type Deps struct {
	DB             *database.DB
	Audit          *audit.Log
	Stytch         *stytch.Client
	Authz          *authz.Authorizer
	Now            func() time.Time
	Rand           io.Reader
	Logger         *slog.Logger
	ReasonRequired bool
	TicketPattern  *regexp.Regexp
}

// Desk performs operations. It is safe for concurrent use.
type Desk struct {
	db             *database.DB
	audit          *audit.Log
	stytch         *stytch.Client
	authz          *authz.Authorizer
	now            func() time.Time
	rand           io.Reader
	log            *slog.Logger
	reasonRequired bool
	ticketPattern  *regexp.Regexp // as the setting says, for people
	ticketWhole    *regexp.Regexp // the same, for the whole ticket
	instance       string         // names this process in leases

	mu       sync.Mutex               // guards flights
	flights  map[string]chan struct{} // operation id → closed when it has landed
	failures *failureCounter
	signOuts singleflight.Group // by session hash
}

// New returns a Desk. Call Run to have it settle what is left unknown.
func New(d Deps) (*Desk, error) {
	instance, err := uuid.NewRandomFromReader(d.Rand)
	if err != nil {
		return nil, fmt.Errorf("name this process: %w", err)
	}
	desk := &Desk{
		db: d.DB, audit: d.Audit, stytch: d.Stytch, authz: d.Authz, now: d.Now, rand: d.Rand, log: d.Logger,
		reasonRequired: d.ReasonRequired, ticketPattern: d.TicketPattern, instance: instance.String(),
		flights: map[string]chan struct{}{}, failures: newFailureCounter(),
	}
	if d.TicketPattern != nil {
		if desk.ticketWhole, err = regexp.Compile("^(?:" + d.TicketPattern.String() + ")$"); err != nil {
			return nil, fmt.Errorf("ticket pattern: %w", err)
		}
	}
	return desk, nil
}

// Actor is the signed-in person an operation acts for, and where they sit.
type Actor struct {
	OrganizationID string
	MemberID       string
	Email          string
	Name           string
	SessionID      string
	Factors        []string
	Acting         stytch.ActingSession
	Session        *authz.Session // may be nil where no permission is asked, as at sign-out
	IP             string
	UserAgent      string
	RequestID      string
}

func (a Actor) session() *authz.Session {
	if a.Session != nil {
		return a.Session
	}
	return &authz.Session{MemberID: a.MemberID, OrganizationID: a.OrganizationID}
}

func (a Actor) person() Person { return Person{MemberID: a.MemberID, Email: a.Email, Name: a.Name} }

// NewOperationID returns a fresh UUIDv7.
func (d *Desk) NewOperationID() string {
	id, err := uuid.NewV7FromReader(d.rand)
	if err != nil {
		// The random source of the operating system does not fail; without it
		// nothing here may go on.
		panic(fmt.Sprintf("random source: %v", err))
	}
	return id.String()
}

// once runs do for an operation id, or waits for whoever is running it in this
// process, so that a double click shows both windows the same ending.
func (d *Desk) once(ctx context.Context, id string, do func(context.Context) (*Operation, error)) (*Operation, error) {
	for {
		d.mu.Lock()
		landed, flying := d.flights[id]
		if !flying {
			landed = make(chan struct{})
			d.flights[id] = landed
		}
		d.mu.Unlock()
		if !flying {
			defer func() {
				d.mu.Lock()
				delete(d.flights, id)
				d.mu.Unlock()
				close(landed)
			}()
			// The browser leaving must not abandon an operation half way.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationTime)
			defer cancel()
			return do(ctx)
		}
		select {
		case <-landed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// replayed returns the stored operation when the id was used before. An id
// used by somebody else, or for something else, is not found.
func (d *Desk) replayed(ctx context.Context, actor Actor, id string, action audit.Action, targetID string) (*Operation, error) {
	op, err := d.Operation(ctx, actor.OrganizationID, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if op.Actor.MemberID != actor.MemberID || op.Action != action || op.Target.MemberID != targetID {
		return nil, ErrNotFound
	}
	return op, nil
}

// orReplayed returns what another process did under the same id at the same
// time, when that is why an operation could not be recorded.
func (d *Desk) orReplayed(ctx context.Context, actor Actor, op *Operation, err error) (*Operation, error) {
	if !database.IsUnique(err) {
		return nil, err
	}
	stored, readErr := d.replayed(ctx, actor, op.ID, op.Action, op.Target.MemberID)
	if stored == nil {
		return nil, errors.Join(err, readErr)
	}
	return stored, nil
}

// begin puts the intents on disk: the operation's own, and the rows of the
// steps that wait for it. Nothing may be sent before it returned nil.
func (d *Desk) begin(ctx context.Context, actor Actor, op *Operation, steps ...*Operation) error {
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		op.State, op.CreatedAt = StateIntent, d.now().UTC()
		op.CallUntil = op.CreatedAt.Add(callTime)
		if op.RetryOf != "" {
			if err := d.onlyRetry(ctx, tx, op); err != nil {
				return err
			}
		}
		if err := insertOperation(ctx, tx, op); err != nil {
			return err
		}
		for _, s := range steps {
			s.State, s.CreatedAt, s.CallUntil = StateAsked, op.CreatedAt, op.CreatedAt.Add(stepTime)
			if err := insertOperation(ctx, tx, s); err != nil {
				return err
			}
		}
		_, err := d.audit.Append(ctx, tx, intentEvent(op, actor))
		return err
	})
	if err != nil {
		return fmt.Errorf("record intent: %w", err)
	}
	return nil
}

// onlyRetry refuses a second attempt to repeat the same one, by whatever process.
func (d *Desk) onlyRetry(ctx context.Context, tx *sql.Tx, op *Operation) error {
	if err := d.db.Lock(ctx, tx, `SELECT id FROM operations WHERE id = ?`, op.RetryOf); err != nil {
		return err
	}
	var other bool
	const q = `SELECT EXISTS (SELECT 1 FROM operations WHERE organization_id = ? AND root_id = ? AND retry_of = ? AND id <> ?)`
	if err := tx.QueryRowContext(ctx, q, op.OrganizationID, op.RootID, op.RetryOf, op.ID).Scan(&other); err != nil {
		return err
	}
	if other {
		return ErrNotRetryable
	}
	return nil
}

// beginStep turns a waiting step into an intent on disk.
func (d *Desk) beginStep(ctx context.Context, actor Actor, op *Operation) error {
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		op.State, op.CallUntil = StateIntent, d.now().UTC().Add(callTime)
		if err := beginOperation(ctx, tx, op); err != nil {
			return err
		}
		_, err := d.audit.Append(ctx, tx, intentEvent(op, actor))
		return err
	})
	if err != nil {
		return fmt.Errorf("record intent of a step: %w", err)
	}
	return nil
}

// conclude records an outcome. An unknown one is provisional; of final ones
// the store takes the first, and op then becomes what was stored.
func (d *Desk) conclude(ctx context.Context, op *Operation, f finding, by audit.Actor, src audit.Source) error {
	f.apply(op)
	now := d.now().UTC()
	op.State = StateFinal
	if f.outcome == audit.OutcomeUnknown {
		op.State, op.SawUnknown = StateUnknown, true
	} else {
		op.SettledAt = now
	}
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		if err := updateOperation(ctx, tx, op); err != nil {
			return err
		}
		_, err := d.audit.Append(ctx, tx, outcomeEvent(op, by, src))
		return err
	})
	if errors.Is(err, errSettled) {
		stored, err := d.Operation(ctx, op.OrganizationID, op.ID)
		if err != nil {
			return err
		}
		*op = *stored
		return nil
	}
	if err != nil {
		// The intent stays open on disk and is settled later; people see it as unknown.
		return fmt.Errorf("record outcome: %w", err)
	}
	return nil
}

// refuse records an attempt that ended before anything was sent: intent and
// outcome in one go.
func (d *Desk) refuse(ctx context.Context, actor Actor, op *Operation, f finding) error {
	now := d.now().UTC()
	f.apply(op)
	op.State, op.CreatedAt, op.EndedAt, op.SettledAt, op.CallUntil = StateFinal, now, now, now, now
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		if err := insertOperation(ctx, tx, op); err != nil {
			return err
		}
		if _, err := d.audit.Append(ctx, tx, intentEvent(op, actor)); err != nil {
			return err
		}
		_, err := d.audit.Append(ctx, tx, outcomeEvent(op, actor.event(), actor.source()))
		return err
	})
	if err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	return nil
}

// refused is refuse for an operation whose id was made with its form.
func (d *Desk) refused(ctx context.Context, actor Actor, op *Operation, f finding) (*Operation, error) {
	if err := d.refuse(ctx, actor, op, f); err != nil {
		return d.orReplayed(ctx, actor, op, err)
	}
	return op, nil
}

// Refuse records a POST that was refused before anything was tried, because
// its form was not made for this person and target.
func (d *Desk) Refuse(ctx context.Context, actor Actor, action audit.Action, targetID string) (*Operation, error) {
	op := d.newOperation(actor, Request{OperationID: d.NewOperationID(), TargetID: targetID}, action)
	err := d.refuse(ctx, actor, op, finding{outcome: audit.OutcomeDenied, detail: DetailForm})
	return op, err
}

func (d *Desk) newOperation(actor Actor, req Request, action audit.Action) *Operation {
	return &Operation{
		ID: req.OperationID, OrganizationID: actor.OrganizationID, RootID: req.OperationID, Attempt: 1, Action: action,
		Actor: actor.person(), Target: Person{MemberID: req.TargetID}, Reason: req.Reason, Ticket: req.Ticket,
		SessionsOpen: req.SessionsOpen, SignOut: req.SignOutEverywhere, SendReset: req.SendResetEmail,
	}
}

// step returns an operation that belongs to root, not yet stored.
func (d *Desk) step(root *Operation, action audit.Action) *Operation {
	return &Operation{
		ID: d.NewOperationID(), OrganizationID: root.OrganizationID, RootID: root.ID, Attempt: 1, Action: action,
		Actor: root.Actor, Target: root.Target, Reason: root.Reason, Ticket: root.Ticket, SessionsOpen: root.SessionsOpen,
	}
}
