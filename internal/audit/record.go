package audit

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// joinMost is how many events one transaction of Record takes.
	joinMost = 500
	// joinTimeout is how long such a transaction may take that is not one caller's alone.
	joinTimeout = 30 * time.Second
)

// Record is Append in a transaction of its own, or in one with other calls of
// Record for the organization: those that come while a transaction is under way
// wait for it to end and then are one, which costs them together hardly more
// than it costs one. Once the transaction begins that an event is in with
// others, the end of ctx is not looked at any more.
func (l *Log) Record(ctx context.Context, ev Event) (Event, error) {
	if err := ev.check(); err != nil {
		return Event{}, err // and not the others' business
	}
	return l.join.record(ctx, ev, l.recordAll)
}

func (l *Log) recordAll(ctx context.Context, events []Event) (recorded []Event, err error) {
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		recorded, err = l.AppendAll(ctx, tx, events)
		return err
	})
	return recorded, err
}

// joining are the calls of Record that wait for another to end, by organization. There is an entry, which may be empty,
// while a call leads.
type joining struct {
	mu      sync.Mutex
	waiting map[string][]*waiter
}

// waiter is a call of Record.
type waiter struct {
	ctx   context.Context //nolint:containedctx // whoever leads needs it
	event Event
	err   error
	turn  chan bool // true: to lead; false: event and err are what came of it
}

func newJoining() *joining { return &joining{waiting: make(map[string][]*waiter)} }

// record has events of several callers written together. One of them leads: it
// writes its own event and all that wait, once, and then has the first of those
// lead that came meanwhile.
func (j *joining) record(ctx context.Context, ev Event, write func(context.Context, []Event) ([]Event, error)) (Event, error) {
	w := &waiter{ctx: ctx, event: ev, turn: make(chan bool, 1)}
	if j.enter(w) || w.wait(j) {
		j.lead(w, write) //nolint:contextcheck // each has its own
	}
	if w.err != nil {
		return Event{}, w.err
	}
	return w.event, nil
}

// enter reports whether the call leads. If not, it waits.
func (j *joining) enter(w *waiter) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	others, led := j.waiting[w.event.OrganizationID]
	if led {
		others = append(others, w)
	}
	j.waiting[w.event.OrganizationID] = others
	return !led
}

// wait reports whether the call leads from now on. If not, something came of it.
func (w *waiter) wait(j *joining) bool {
	select {
	case lead := <-w.turn:
		return lead
	case <-w.ctx.Done():
	}
	j.mu.Lock()
	others := j.waiting[w.event.OrganizationID]
	i := slices.Index(others, w)
	if i >= 0 {
		j.waiting[w.event.OrganizationID] = slices.Delete(others, i, i+1)
	}
	j.mu.Unlock()
	if i >= 0 {
		w.err = w.ctx.Err()
		return false
	}
	return <-w.turn // it is being written
}

// lead writes the call's event and those that wait.
func (j *joining) lead(w *waiter, write func(context.Context, []Event) ([]Event, error)) {
	organizationID := w.event.OrganizationID
	some := j.take(organizationID)
	defer j.passOn(organizationID)
	if w.err = w.ctx.Err(); w.err == nil {
		some = append([]*waiter{w}, some...)
	}
	if len(some) == 0 {
		return
	}
	ctx, events := some[0].ctx, make([]Event, len(some))
	for i, one := range some {
		events[i], one.err = one.event, errNotWritten
	}
	defer func() {
		for _, one := range some {
			if one != w {
				one.turn <- false
			}
		}
	}()
	if len(some) > 1 {
		// None of them ends it for the others.
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), joinTimeout)
		defer stop()
	}
	recorded, err := write(ctx, events)
	for i, one := range some {
		if one.err = err; err == nil {
			one.event = recorded[i]
		}
	}
}

// errNotWritten is what the others get where a call panics.
var errNotWritten = errors.New("record audit event: it was broken off")

func (j *joining) take(organizationID string) []*waiter {
	j.mu.Lock()
	defer j.mu.Unlock()
	others := j.waiting[organizationID]
	n := min(len(others), joinMost-1)
	j.waiting[organizationID] = slices.Clone(others[n:])
	return slices.Clone(others[:n])
}

// passOn has the first of those lead that wait, if any do.
func (j *joining) passOn(organizationID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	others := j.waiting[organizationID]
	if len(others) == 0 {
		delete(j.waiting, organizationID)
		return
	}
	j.waiting[organizationID] = slices.Clone(others[1:])
	others[0].turn <- true
}
