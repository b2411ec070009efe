package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"orgconsole/internal/audit"
)

const (
	// sendTime bounds one message. It is less than what is left of the lease when a message is begun, 45 s.
	sendTime    = 30 * time.Second
	connectTime = 10 * time.Second

	// maxDrained is how long an answer may be that is read, so that the connection can be used again. Nothing in it matters.
	maxDrained     = 16 << 10
	maxHeaderBytes = 64 << 10
	longestWait    = time.Hour // that a receiver may ask for
)

// Accepted says in one line how the address of a receiver is written.
const Accepted = "an https address such as https://audit.example.com/in; http only on loopback"

// Endpoint is where messages are sent to.
type Endpoint struct {
	url       *string // behind a pointer, so that fmt does not reach it: it may be a secret by itself
	host      string
	secrets   Secrets
	userAgent string
	now       func() time.Time
	transport *http.Transport
	timeout   time.Duration
}

// NewEndpoint returns the receiver at an address. The clock is the one that signatures are dated by.
func NewEndpoint(address string, secrets Secrets, userAgent string, now func() time.Time) (*Endpoint, error) {
	u, err := parse(address)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectTime}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectTime,
		MaxIdleConns:           2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
	whole := u.String()
	return &Endpoint{url: &whole, host: u.Host, secrets: secrets, userAgent: userAgent, now: now, transport: transport, timeout: sendTime}, nil
}

// CheckURL says what is wrong with the address of a receiver, without repeating it.
func CheckURL(address string) error {
	_, err := parse(address)
	return err
}

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("not an address")
	case u.User != nil:
		return nil, errors.New("has a user or a password in it")
	case strings.Contains(address, "#"):
		return nil, errors.New("has a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("would send the audit in the clear")
	}
	return u, nil
}

// isLoopback reports whether a host, by its spelling alone, is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Host is the part of the address that may be told.
func (e *Endpoint) Host() string { return e.host }

// The results of a message, as counted.
const (
	ResultAccepted   = "accepted"   // 2xx
	ResultRefused    = "refused"    // 4xx
	ResultThrottled  = "throttled"  // 429
	ResultRedirected = "redirected" // 3xx
	ResultFailed     = "failed"     // 5xx, and what is no status
	ResultUnanswered = "unanswered" // no connection, no answer, or not HTTP
	ResultTampered   = "tampered"   // nothing was sent: it does not verify
	ResultBroken     = "broken"     // nothing was sent, or it is not known: the console or its store failed
)

// Results returns all of them.
func Results() []string {
	return []string{ResultAccepted, ResultRefused, ResultThrottled, ResultRedirected, ResultFailed, ResultUnanswered, ResultTampered, ResultBroken}
}

// failure is why a message was not accepted.
type failure struct {
	result  string
	problem string        // for people, without a name, an address or a word of the receiver
	detail  error         // for the log; may be nil
	wait    time.Duration // that the receiver asked for
	single  bool          // it is about this message, and says nothing of others
}

// send sends a message once. A 2xx is all that counts as accepted.
func (e *Endpoint) send(ctx context.Context, p *audit.Parcel) *failure {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, *e.url, bytes.NewReader(p.Body))
	if err != nil {
		return &failure{result: ResultUnanswered, problem: "The receiver's address cannot be used."} // the error repeats it
	}
	now := e.now()
	req.Header.Set("Content-Type", p.ContentType)
	req.Header.Set("User-Agent", e.userAgent)
	req.Header.Set("Webhook-Id", p.ID)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	if signature := e.secrets.sign(p.ID, now.Unix(), p.Body); signature != "" {
		req.Header.Set("Webhook-Signature", signature)
	}
	// The transport itself and not an http.Client: it follows no redirect.
	res, err := e.transport.RoundTrip(req)
	if err != nil {
		return unanswered(ctx, err)
	}
	defer res.Body.Close()
	if res.ContentLength >= 0 && res.ContentLength <= maxDrained {
		_, _ = io.CopyN(io.Discard, res.Body, maxDrained)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return nil
	}
	return answered(res, now)
}

// unanswered puts an error into words. Of an error only what is known to hold
// nothing of the request is kept: a receiver may send the request back, and
// what cannot be read of an answer would be in the error.
func unanswered(ctx context.Context, err error) *failure {
	f := &failure{result: ResultUnanswered, problem: "The receiver's answer cannot be read."}
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		f.problem = "The receiver did not answer in time."
	case errors.As(err, &certificate):
		f.problem, f.detail = "The receiver's certificate is not valid.", certificate
	case errors.As(err, &network) && network.Op == "dial":
		f.problem, f.detail = "The receiver cannot be reached.", network
	case errors.As(err, &network):
		f.problem, f.detail = "The connection to the receiver broke off before it answered.", network
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		f.problem = "The receiver closed the connection and did not answer."
	}
	return f
}

func answered(res *http.Response, now time.Time) *failure {
	status := res.StatusCode
	f := &failure{result: ResultFailed, wait: retryAfter(res.Header.Get("Retry-After"), now)}
	f.problem = strings.TrimSpace(fmt.Sprintf("The receiver answered %d %s", status, http.StatusText(status)))
	switch {
	case status >= 300 && status < 400:
		f.result = ResultRedirected
		f.problem += ": a redirect, which is not followed"
	case status == http.StatusTooManyRequests:
		f.result = ResultThrottled
	case status >= 400 && status < 500:
		f.result = ResultRefused
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.problem += ": it does not know the secret, or has another"
	case http.StatusGone:
		f.problem += ": it says that nobody receives there any more"
	case http.StatusRequestEntityTooLarge:
		f.problem += ": it has to take bodies of 1 MiB"
		f.single = true
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		f.single = true
	}
	f.problem += "."
	return f
}

// retryAfter reads the header in either of its forms, RFC 9110 section 10.2.3.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), longestWait)
}
