package stytch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	testBaseURL = "https://test.stytch.com"
	liveBaseURL = "https://api.stytch.com"

	defaultTimeout       = 10 * time.Second
	defaultSearchTimeout = 15 * time.Second

	maxBody      = 8 << 20 // a search page of 1,000 members with all fields fits
	maxErrorBody = 256 << 10
	maxID        = 512 // the longest documented id is an external one of 128 characters
	maxText      = 2000
	maxRetry     = 24 * time.Hour

	minScrubbed = 4  // shorter passwords are found in any text
	minSecret   = 16 // shorter ones may be part of a request id
)

// Client calls the API with the credentials of one project. It is safe for concurrent use.
type Client struct {
	projectID     string
	authorization *string // Basic credentials; behind a pointer so that fmt does not reach them
	secret        *string
	base          string // scheme, host and path prefix, no slash at the end
	userAgent     string
	timeout       time.Duration
	searchTimeout time.Duration
	now           func() time.Time
	transport     http.RoundTripper
	observe       func(endpoint string, status int, took time.Duration)
}

// Option changes how New sets up a client.
type Option func(*options)

type options struct {
	base      string
	transport http.RoundTripper
	userAgent string
	timeout   time.Duration
	now       func() time.Time
	observe   func(endpoint string, status int, took time.Duration)
}

// WithBaseURL replaces the API's address, which otherwise follows from the project id. It must be https unless the host
// is loopback; a path prefix is kept.
func WithBaseURL(base string) Option { return func(o *options) { o.base = base } }

// WithTransport replaces the transport. It must not send a request other than GET twice. TransportError.NotSent is known
// only with a transport that reports to net/http/httptrace.
func WithTransport(rt http.RoundTripper) Option { return func(o *options) { o.transport = rt } }

// WithUserAgent replaces the User-Agent header.
func WithUserAgent(name string) Option { return func(o *options) { o.userAgent = name } }

// WithTimeout replaces the deadline of every call, searches included (10 s, searches 15 s).
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithClock replaces the clock by which a Retry-After date becomes a duration.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// WithObserver has a function told of each call that was tried: its method and path template, the HTTP status of the
// answer, 0 when none came, and how long it took.
func WithObserver(f func(endpoint string, status int, took time.Duration)) Option {
	return func(o *options) { o.observe = f }
}

// New returns a client for a project. It refuses empty credentials and a base URL that could leak them.
func New(projectID, secret string, opts ...Option) (*Client, error) {
	o := options{base: testBaseURL, userAgent: "orgconsole", now: time.Now, observe: func(string, int, time.Duration) {}}
	if strings.HasPrefix(projectID, "project-live-") {
		o.base = liveBaseURL
	}
	for _, opt := range opts {
		opt(&o)
	}
	if projectID == "" || !printable(projectID) || strings.Contains(projectID, ":") {
		return nil, errors.New("stytch: project id is empty or not an id")
	}
	if secret == "" || !printable(secret) {
		return nil, errors.New("stytch: secret is empty or holds characters no secret has")
	}
	if strings.ContainsFunc(o.userAgent, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return nil, errors.New("stytch: user agent does not fit in a header")
	}
	if o.timeout < 0 {
		return nil, errors.New("stytch: timeout is negative")
	}
	base, err := checkBaseURL(o.base)
	if err != nil {
		return nil, err
	}
	if o.transport == nil {
		o.transport = newTransport()
	}
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(projectID+":"+secret))
	c := &Client{
		projectID:     projectID,
		authorization: &auth,
		secret:        &secret,
		base:          base,
		userAgent:     o.userAgent,
		timeout:       defaultTimeout,
		searchTimeout: defaultSearchTimeout,
		now:           o.now,
		transport:     o.transport,
		observe:       o.observe,
	}
	if o.timeout > 0 {
		c.timeout, c.searchTimeout = o.timeout, o.timeout
	}
	return c, nil
}

// Format writes the project and the address, never the secret.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "stytch.Client(%s at %s)", c.projectID, c.base)
}

// newTransport speaks HTTP/1.1 only. There net/http sends a request other than GET again only if not one byte of it was
// written; with HTTP/2 it would also do so on a server's word.
func newTransport() http.RoundTripper {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		Protocols:              &protocols,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        30 * time.Second, // short, so that a write seldom meets a connection the server just closed
		MaxResponseHeaderBytes: 256 << 10,
	}
}

func checkBaseURL(base string) (string, error) {
	// The text is not repeated: it may hold a password by mistake.
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "", strings.Contains(u.Host, "%"):
		return "", errors.New("stytch: base URL is not an absolute URL")
	case u.User != nil:
		return "", errors.New("stytch: base URL must not hold credentials")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(base, "#"):
		return "", errors.New("stytch: base URL must not have a query or a fragment")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return "", errors.New("stytch: base URL must be https, or http on a loopback address")
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Response is what all answers have in common.
type Response struct {
	StatusCode int    `json:"-"` // the HTTP status
	RequestID  string `json:"request_id"`
}

func (r *Response) response() *Response { return r }
func (r *Response) problem() string     { return "" }

// answer is a response type: problem says what makes it useless, or nothing.
type answer interface {
	response() *Response
	problem() string
}

// strictAnswer is an answer of which no field may be of a wrong type.
type strictAnswer interface {
	answer
	strict()
}

const (
	problemNoMemberID     = "member_id is missing"
	problemNoMember       = "member is missing or without ids"
	problemNoOrganization = "organization is missing or without id"
	problemNoSession      = "member_session is missing or without id"
	problemHalfSession    = "a session without member_authenticated"
	problemNoProof        = "intermediate_session_token is missing"
	problemContradiction  = "its ids contradict each other"
	problemRedirect       = "a redirect"
	problemCut            = "the body ended early"
	problemTooLarge       = "the body is too large"
	problemNotJSON        = "the body is not a JSON object"
	problemNotAPI         = "the body has neither status_code nor request_id"
	problemBodyStatus     = "the body reports an error"
	problemTypes          = "a value has the wrong type"
)

// request is one call. endpoint is method and path template; path holds the values for its placeholders, in order.
type request struct {
	endpoint string
	path     []string
	query    url.Values
	body     any
	timeout  time.Duration // 0 is the client's
	secrets  []string      // must not appear in errors, besides the client's own and the acting session
	acting   ActingSession // zero sends no header; only doAs sets it
	public   bool          // sends no credentials
}

// call makes a call that acts for nobody, unless one of the checks says why not.
func call[T any, A interface {
	*T
	answer
}](ctx context.Context, c *Client, r request, checks ...error) (*T, error) {
	if err := errors.Join(checks...); err != nil {
		return nil, badArgument(r.endpoint, err)
	}
	out := new(T)
	if err := c.do(ctx, r, A(out)); err != nil {
		return nil, err
	}
	return out, nil
}

// doAs makes a call that runs with a member's permissions.
func (c *Client) doAs(ctx context.Context, acting ActingSession, r request, out answer) error {
	if acting.IsZero() {
		return badArgument(r.endpoint, ErrNoActingSession)
	}
	r.acting = acting
	r.secrets = append(r.secrets, acting.credential.value())
	return c.do(ctx, r, out)
}

// do makes one call, once, and decodes its answer into out.
func (c *Client) do(ctx context.Context, r request, out answer) error {
	method, path, err := expand(r.endpoint, r.path)
	if err != nil {
		return badArgument(r.endpoint, err)
	}
	target := c.base + path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return badArgument(r.endpoint, err)
		}
		body = bytes.NewReader(encoded)
	}

	timeout := c.timeout
	if r.timeout > 0 {
		timeout = r.timeout
	}
	callCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wanted, got atomic.Bool
	callCtx = httptrace.WithClientTrace(callCtx, &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	})
	req, err := http.NewRequestWithContext(callCtx, method, target, body)
	if err != nil {
		return badArgument(r.endpoint, ErrBadArgument)
	}
	if !r.public {
		req.Header.Set("Authorization", *c.authorization)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if !r.acting.IsZero() {
		req.Header.Set(r.acting.header())
	}

	if err := callCtx.Err(); err != nil {
		return c.transportError(ctx, callCtx, r, err, true)
	}
	status, begun := 0, time.Now()
	defer func() { c.observe(r.endpoint, status, time.Since(begun)) }()
	// The transport itself and not an http.Client: it follows no redirect, so credentials go to the configured host only.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return c.transportError(ctx, callCtx, r, err, wanted.Load() && !got.Load())
	}
	defer resp.Body.Close()
	status = resp.StatusCode
	return c.read(ctx, callCtx, r, resp, out)
}

// read turns a response into out or into an error.
func (c *Client) read(ctx, callCtx context.Context, r request, resp *http.Response, out answer) error {
	limit := int64(maxBody)
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = maxErrorBody
	}
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if readErr != nil && ctx.Err() != nil {
		return c.transportError(ctx, callCtx, r, readErr, false)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return c.apiError(r, resp, body)
	}
	if readErr != nil && callCtx.Err() != nil {
		return c.transportError(ctx, callCtx, r, readErr, false)
	}

	problem := func(what string, err error) error {
		id := topLevelString(body, "request_id")
		return &AnswerError{
			Endpoint: r.endpoint, Status: resp.StatusCode, RequestID: c.requestID(r, id), Problem: what, Err: err,
		}
	}
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		return problem(problemRedirect, nil)
	case int64(len(body)) > limit:
		return problem(problemTooLarge, nil)
	case readErr != nil:
		return problem(problemCut, readErr)
	case !json.Valid(body) || !isObject(body):
		return problem(problemNotJSON, nil)
	}
	var envelope struct {
		StatusCode lenientInt      `json:"status_code"`
		RequestID  string          `json:"request_id"`
		ErrorType  json.RawMessage `json:"error_type"`
	}
	if err := decodeLenient(body, &envelope); err != nil {
		return problem(problemNotJSON, err)
	}
	switch {
	case envelope.StatusCode.ok && envelope.StatusCode.n >= http.StatusMultipleChoices,
		len(envelope.ErrorType) > 0 && !isNull(envelope.ErrorType) && string(envelope.ErrorType) != `""`:
		return problem(problemBodyStatus, nil)
	case !envelope.StatusCode.ok && envelope.RequestID == "":
		return problem(problemNotAPI, nil)
	}
	err := decode(body, out)
	if err != nil && !isTypeError(err) {
		return problem(problemNotJSON, err)
	}
	if _, ok := out.(strictAnswer); ok && err != nil {
		return problem(problemTypes, nil)
	}
	if what := out.problem(); what != "" {
		return problem(what, nil)
	}
	answered := out.response()
	answered.StatusCode = resp.StatusCode
	answered.RequestID = c.requestID(r, answered.RequestID)
	return nil
}

// transportError lets the end of a context win over the failure it caused.
func (c *Client) transportError(ctx, callCtx context.Context, r request, err error, notSent bool) error {
	var netErr net.Error
	timeout := errors.As(err, &netErr) && netErr.Timeout()
	if ctxErr := firstErr(ctx.Err(), callCtx.Err()); ctxErr != nil {
		err, timeout = ctxErr, errors.Is(ctxErr, context.DeadlineExceeded)
	}
	return &TransportError{
		Endpoint: r.endpoint, NotSent: notSent, Timeout: timeout,
		Err: &cleanError{text: clip(c.scrub(r, err.Error())), err: err},
	}
}

// cleanError prints without secrets, whatever a transport or a server put into the message.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

func (c *Client) apiError(r request, resp *http.Response, body []byte) error {
	e := &Error{Status: resp.StatusCode, Endpoint: r.endpoint}
	e.RetryAfter, e.HasRetryAfter = retryAfter(resp.Header.Get("Retry-After"), c.now())
	var wire struct {
		RequestID    string          `json:"request_id"`
		ErrorType    string          `json:"error_type"`
		ErrorMessage string          `json:"error_message"`
		ErrorURL     string          `json:"error_url"`
		ErrorDetails json.RawMessage `json:"error_details"`
	}
	if len(body) > maxErrorBody || !json.Valid(body) || decodeLenient(body, &wire) != nil {
		// A proxy answered, or the body was cut. The status is known all the same.
		id := topLevelString(body, "request_id")
		e.RequestID = c.requestID(r, id)
		return e
	}
	e.RequestID = c.requestID(r, wire.RequestID)
	if isErrorType(wire.ErrorType) {
		e.Type = ErrorType(wire.ErrorType)
	}
	e.Message = clip(c.scrub(r, wire.ErrorMessage))
	e.URL = clip(c.scrub(r, wire.ErrorURL))
	if len(wire.ErrorDetails) > 0 && len(wire.ErrorDetails) <= maxText*4 && !isNull(wire.ErrorDetails) {
		e.Details = c.scrubDetails(r, wire.ErrorDetails)
	}
	return e
}

// isErrorType reports whether s looks like one of the API's codes: upstream text must not pass as one.
func isErrorType(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.' {
			return false
		}
	}
	return true
}

// scrub takes the credentials of a call out of a text that came from outside.
func (c *Client) scrub(r request, s string) string {
	secrets := []string{*c.secret, strings.TrimPrefix(*c.authorization, "Basic ")}
	for _, secret := range r.secrets {
		secrets = append(secrets, spellings(secret)...)
	}
	// The longest first: a code that happens to be part of a token must not leave the rest of the token behind.
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		s = replace(s, secret)
	}
	return s
}

// spellings are a secret as it stands in a text, in JSON, and in a query.
func spellings(secret string) []string {
	all := []string{secret}
	for _, html := range []bool{false, true} {
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(html)
		if encoder.Encode(secret) == nil {
			quoted := strings.TrimSuffix(text.String(), "\n")
			all = append(all, quoted[1:len(quoted)-1])
		}
	}
	for _, spelling := range all {
		all = append(all, url.QueryEscape(spelling))
	}
	return all
}

// scrubDetails is scrub for JSON, whichever way its texts are escaped.
func (c *Client) scrubDetails(r request, details json.RawMessage) json.RawMessage {
	var value any
	if decode(details, &value) != nil {
		return nil
	}
	clean, err := json.Marshal(c.scrubValue(r, value))
	if err != nil {
		return nil
	}
	return clean
}

// scrubValue is scrub for every text in a decoded JSON value.
func (c *Client) scrubValue(r request, v any) any {
	switch v := v.(type) {
	case string:
		return c.scrub(r, v)
	case []any:
		for i := range v {
			v[i] = c.scrubValue(r, v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, value := range v {
			clean[c.scrub(r, key)] = c.scrubValue(r, value)
		}
		return clean
	}
	return v
}

func replace(s, secret string) string {
	if len(secret) < minScrubbed {
		return s
	}
	return strings.ReplaceAll(s, secret, redacted)
}

// requestID returns id unchanged or, where it cannot be one, nothing: a short password may well be part of an id.
func (c *Client) requestID(r request, id string) string {
	if len(id) > maxID || !printable(id) {
		return ""
	}
	for _, secret := range append([]string{*c.secret}, r.secrets...) {
		if len(secret) >= minSecret && strings.Contains(id, secret) {
			return ""
		}
	}
	return id
}

// retryAfter reads the header in either of its forms, RFC 9110 section 10.2.3.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetry/time.Second))) * time.Second, true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(date.Sub(now), 0), maxRetry), true
}

// expand puts values into the placeholders of an endpoint. This is the only place where a path is made.
func expand(endpoint string, values []string) (method, path string, err error) {
	method, template, _ := strings.Cut(endpoint, " ")
	var b strings.Builder
	for segment := range strings.SplitSeq(template[1:], "/") {
		b.WriteByte('/')
		name, ok := strings.CutPrefix(segment, "{")
		if !ok {
			b.WriteString(segment)
			continue
		}
		name = strings.TrimSuffix(name, "}")
		if err := checkID(name, values[0]); err != nil {
			return "", "", err
		}
		b.WriteString(url.PathEscape(values[0]))
		values = values[1:]
	}
	return method, b.String(), nil
}

// checkID refuses what no id, slug or external id can be and what servers on the way might take for a path.
func checkID(name, id string) error {
	bad := id == "" || id == "." || id == ".." || len(id) > maxID || !utf8.ValidString(id) ||
		strings.ContainsFunc(id, func(r rune) bool { return r == '/' || r == '\\' || r <= ' ' || r == 0x7f })
	if bad {
		return fmt.Errorf("%w: %s is not an id", ErrBadArgument, name)
	}
	return nil
}

func checkEmail(address string) error {
	if address == "" {
		return fmt.Errorf("%w: email_address is empty", ErrBadArgument)
	}
	return nil
}

// checkSecret refuses a token, code or password that is none.
func checkSecret(name string, secret Secret) error {
	if secret == "" || len(secret) > maxCredential || !utf8.ValidString(secret.Reveal()) {
		return fmt.Errorf("%w: %s is empty, too long or not text", ErrBadArgument, name)
	}
	return nil
}

// reveal is for request.secrets.
func reveal(secrets ...Secret) []string {
	texts := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		if secret != "" {
			texts = append(texts, secret.Reveal())
		}
	}
	return texts
}

func badArgument(endpoint string, err error) error {
	return fmt.Errorf("%s: %w", endpoint, err)
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// clip bounds a text from upstream.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
