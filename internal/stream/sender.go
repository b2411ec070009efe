package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"orgconsole/internal/audit"
)

const (
	lookEvery = time.Second
	// firstWait is doubled with each failure, up to lastWait.
	firstWait, lastWait = time.Second, 5 * time.Minute
	recordTime          = 10 * time.Second
)

// Options are what a Sender needs. All are required.
type Options struct {
	Outbox   *audit.Outbox
	Endpoint *Endpoint
	Logger   *slog.Logger
	Random   func() float64      // from 0 to before 1, for the jitter
	Count    func(result string) // is told how each attempt ended
}

// Sender sends what is in an outbox. Nothing is given up: what is not accepted
// is sent again until it is.
type Sender struct {
	Options

	failures int       // in a row, of the receiver as a whole
	until    time.Time // nothing is sent before
}

// New returns a sender. Call Run to have it send.
func New(o Options) *Sender { return &Sender{Options: o} }

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := survive(func() error { return s.pass(ctx) }); err != nil && ctx.Err() == nil {
			s.hold(0)
			s.Logger.WarnContext(ctx, "send audit", slog.String("stream", s.Outbox.Stream()), slog.Any("error", err), slog.Time("next", s.until))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
			defer cancel()
			if err := s.Outbox.Release(last); err != nil {
				s.Logger.WarnContext(last, "send audit", slog.String("stream", s.Outbox.Stream()), slog.Any("error", err))
			}
			return
		}
	}
}

// pass sends what is due, until nothing is, the receiver is in trouble or
// another process has the lease. The error is that of the store.
func (s *Sender) pass(ctx context.Context) error {
	for ctx.Err() == nil && !s.waits() {
		turns, err := s.Outbox.Due(ctx)
		if err != nil || len(turns) == 0 {
			return err
		}
		if again, err := s.turns(ctx, turns); err != nil || !again {
			return err
		}
	}
	return nil
}

// waits reports whether the receiver is left alone for now.
func (s *Sender) waits() bool {
	now := s.Outbox.Now()
	return s.until.After(now) && !s.until.After(now.Add(longestWait)) // or the clock was set back
}

// turns gives each tree its turn. It reports whether there may be more to do.
func (s *Sender) turns(ctx context.Context, turns []*audit.Turn) (again bool, err error) {
	for _, turn := range turns {
		if s.waits() {
			return false, nil
		}
		// For each anew, so that it is not lost meanwhile.
		held, fresh, err := s.Outbox.Hold(ctx)
		switch {
		case err != nil || !held:
			return false, err
		case fresh:
			return true, nil // what was read may be out of date
		}
		err = survive(func() error { return s.turn(ctx, turn) })
		if err != nil && ctx.Err() == nil {
			// Of this tree, as far as is known: it would stay the first and hold up the others. Where the store as a
			// whole is in trouble this fails, too.
			f := &failure{result: ResultBroken, problem: "The console could not read the log, or failed at sending it. Its own log says how.", detail: err, single: true}
			err = s.failed(ctx, turn, f)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *Sender) turn(ctx context.Context, turn *audit.Turn) error {
	p, err := s.Outbox.Pack(ctx, turn)
	if tampered, ok := errors.AsType[*audit.TamperedError](err); ok {
		f := &failure{result: ResultTampered, problem: "The log does not verify, and is not sent: " + tampered.Error() + ".", detail: err, single: true}
		return s.failed(ctx, turn, f)
	}
	if errors.Is(err, audit.ErrOutOfTurn) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(p.Body) == 0 {
		return s.Outbox.Delivered(ctx, p)
	}
	switch f := s.Endpoint.send(ctx, p); {
	case f != nil && ctx.Err() != nil:
		return nil // it was us who broke it off
	case f != nil:
		return s.failed(ctx, turn, f)
	}
	s.Count(ResultAccepted)
	if s.failures > 0 || turn.Failures > 0 {
		s.Logger.InfoContext(ctx, "audit is accepted again", slog.String("stream", s.Outbox.Stream()), slog.String("organization_id", turn.OrganizationID))
	}
	s.failures, s.until = 0, time.Time{}
	// What was accepted is recorded even if the console is just told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	return s.Outbox.Delivered(ctx, p)
}

// panicError is what was recovered of a panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// survive has a panic of fn be an error, or it would end the process, and the next one at the same place.
func survive(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	return fn()
}

// failed has the tree wait, and the others too unless they may fare better.
func (s *Sender) failed(ctx context.Context, turn *audit.Turn, f *failure) error {
	s.Count(f.result)
	next := s.Outbox.Now().Add(max(backoff(turn.Failures, s.Random()), f.wait))
	attrs := []slog.Attr{
		slog.String("stream", s.Outbox.Stream()), slog.String("receiver", s.Endpoint.Host()), slog.String("organization_id", turn.OrganizationID),
		slog.String("problem", f.problem), slog.Int("failures", turn.Failures+1), slog.Time("next", next),
	}
	if f.detail != nil {
		attrs = append(attrs, slog.Any("error", f.detail))
	}
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "audit not accepted", attrs...)
	if !f.single {
		s.hold(f.wait)
	}
	return s.Outbox.Failed(ctx, turn, f.problem, next)
}

// hold leaves the receiver alone for a while, and for as long as it asked for.
func (s *Sender) hold(asked time.Duration) {
	s.until = s.Outbox.Now().Add(max(backoff(s.failures, s.Random()), asked))
	s.failures++
}

// backoff is how long to wait after a number of failures before the last one:
// between half of it and all, so that processes do not come in step.
func backoff(before int, random float64) time.Duration {
	d := lastWait
	if before = max(before, 0); before < 20 {
		d = min(firstWait<<before, lastWait)
	}
	return d/2 + time.Duration(random*float64(d/2))
}
