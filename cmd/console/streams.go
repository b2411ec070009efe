package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/metrics"
	"orgconsole/internal/stream"
)

// receiver is where a part of the audit is sent to.
type receiver struct {
	url     string // may be a secret by itself
	secrets stream.Secrets
	format  audit.Format // of the sink
}

const acceptedSecret = "whsec_ and 24 to 64 random bytes in base64; several, separated by commas, while the receiver changes from one to another"

// sink is nil when the events go nowhere.
func (s settings) sink(p *problems) *receiver {
	r := s.receiver(p, "CONSOLE_AUDIT_SINK", s.AuditSinkURL, s.AuditSinkSecret, s.AuditSinkSecretFile)
	if r != nil && s.AuditSinkSecret == "" && s.AuditSinkSecretFile == "" {
		p.add("CONSOLE_AUDIT_SINK_SECRET", "not set, and CONSOLE_AUDIT_SINK_URL is", acceptedSecret)
	}
	format := audit.Format(s.AuditSinkFormat)
	if format != audit.FormatNDJSON && format != audit.FormatOCSF {
		p.add("CONSOLE_AUDIT_SINK_FORMAT", fmt.Sprintf("%q is no format", s.AuditSinkFormat), "ndjson, ocsf")
	}
	if r != nil {
		r.format = format
	}
	return r
}

// witness is nil when the checkpoints go nowhere.
func (s settings) witness(p *problems) *receiver {
	return s.receiver(p, "CONSOLE_AUDIT_WITNESS", s.AuditWitnessURL, s.AuditWitnessSecret, s.AuditWitnessSecretFile)
}

func (s settings) receiver(p *problems, name, address, value, file string) *receiver {
	text := secret(p, name+"_SECRET", value, file)
	if address == "" {
		if value != "" || file != "" {
			p.add(name+"_SECRET", "set, and "+name+"_URL is not", "both or neither")
		}
		return nil
	}
	r := &receiver{url: address}
	if err := stream.CheckURL(address); err != nil {
		p.add(name+"_URL", err.Error(), stream.Accepted)
	}
	if text != "" {
		var err error
		if r.secrets, err = stream.ParseSecrets(text); err != nil {
			p.add(name+"_SECRET", err.Error(), acceptedSecret)
		}
	}
	return r
}

// streams are the ways out of the audit that are configured.
type streams struct {
	sink, witness *audit.Outbox // nil: not configured
	senders       []*stream.Sender
}

// newStreams sets up what the settings ask for.
func newStreams(log *audit.Log, cfg config, logger *slog.Logger, counted *metrics.Metrics) (*streams, error) {
	s := new(streams)
	owner := rand.Text() // names this process in leases
	if cfg.sink != nil {
		s.sink = audit.NewSink(log, owner, cfg.sink.format)
		if err := s.add(s.sink, cfg.sink, logger, counted); err != nil {
			return nil, err
		}
	}
	if cfg.witness != nil {
		s.witness = audit.NewWitness(log, owner)
		if err := s.add(s.witness, cfg.witness, logger, counted); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *streams) add(o *audit.Outbox, r *receiver, logger *slog.Logger, counted *metrics.Metrics) error {
	endpoint, err := stream.NewEndpoint(r.url, r.secrets, "orgconsole/"+version, time.Now)
	if err != nil {
		return fmt.Errorf("receiver of the %s: %w", o.Stream(), err)
	}
	counted.Stream(o.Stream(), stream.Results(), o.Backlog)
	s.senders = append(s.senders, stream.New(stream.Options{
		Outbox: o, Endpoint: endpoint, Logger: logger, Random: mathrand.Float64,
		Count: func(result string) { counted.Attempt(o.Stream(), result) },
	}))
	return nil
}

// run sends until ctx ends.
func (s *streams) run(ctx context.Context, running *sync.WaitGroup) {
	for _, sender := range s.senders {
		running.Go(func() { sender.Run(ctx) })
	}
}
