package stream

import (
	"context"
	"crypto/x509"
	"time"
)

// Pass makes one pass.
func (s *Sender) Pass(ctx context.Context) error { return s.pass(ctx) }

// Sign is the header webhook-signature.
func (s Secrets) Sign(id string, timestamp int64, body []byte) string {
	return s.sign(id, timestamp, body)
}

// SetTimeout bounds a message.
func (e *Endpoint) SetTimeout(d time.Duration) { e.timeout = d }

// Trust has the endpoint trust other certificates than this machine does.
func (e *Endpoint) Trust(roots *x509.CertPool) { e.transport.TLSClientConfig.RootCAs = roots }

// Times that tests wait for.
const (
	FirstWait = firstWait
	LastWait  = lastWait
	SendTime  = sendTime
)

// Backoff is how long to wait after a number of failures before the last one.
func Backoff(before int, random float64) time.Duration { return backoff(before, random) }
