package sandbox

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// faultPlan is what befalls one request.
type faultPlan struct {
	before, after time.Duration
	fault         *Fault // nil: only the delays
}

func (p faultPlan) name() string {
	switch {
	case p.fault != nil:
		return p.fault.Kind
	case p.before > 0 || p.after > 0:
		return FaultLatency
	default:
		return ""
	}
}

// breaker writes what no ordinary answer is, or nothing at all.
type breaker func(http.ResponseWriter, *http.Request)

// respond runs the endpoint as far as the fault lets it, and returns what is sent. run must be called at most once.
// Where it returns a breaker, the output says only what the journal shall.
func (p faultPlan) respond(c *call, requestID string, run func() output) (output, breaker) {
	if p.fault == nil {
		return run(), nil
	}
	f := *p.fault
	switch f.Kind {
	case FaultWrongMember, FaultIDKept: // bend does the rest
		c.dry = f.Apply == ApplyBefore
		return run(), nil
	case FaultNoEffect:
		c.dry = true
		return run(), nil
	case FaultCutBody:
		c.dry = f.Apply == ApplyBefore
		out := run()
		return out, func(w http.ResponseWriter, _ *http.Request) { cutBody(w, out) }
	}
	if f.Apply == ApplyAfter {
		run()
	}
	ok := output{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	switch f.Kind {
	case FaultRateLimit:
		err := errTooManyRequests()
		if f.RetryAfter != nil {
			err.retryAfter = strconv.Itoa(*f.RetryAfter)
		}
		return jsonOutput(requestID, nil, err), nil
	case FaultServerError:
		return jsonOutput(requestID, nil, errInternal()), nil
	case FaultRefuse:
		return jsonOutput(requestID, nil, fail(f.Status, f.ErrorType, "The request was refused.")), nil
	case FaultBadCredentials:
		return jsonOutput(requestID, nil, errCredentials()), nil
	case FaultBadGateway:
		return output{
			status: http.StatusBadGateway, header: http.Header{"Content-Type": {"text/html"}},
			body: []byte("<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"),
		}, nil
	case FaultRedirect:
		return output{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {"/redirected"}}}, nil
	case FaultGarbage:
		ok.body = []byte("\x00\xff{]not json at all <html>")
		return ok, nil
	case FaultWrongShape:
		ok.body = []byte(`{"status_code":"two hundred","member":["not","an","object"],"members":7,"organization":null,"member_session":"x","policy":3}`)
		return ok, nil
	case FaultEmptyBody:
		return ok, nil
	case FaultGiantBody:
		return ok, func(w http.ResponseWriter, _ *http.Request) { giantBody(w, f.Bytes) }
	case FaultHang:
		return output{}, func(_ http.ResponseWriter, r *http.Request) { hang(r, time.Duration(f.Duration)) }
	default: // FaultReset
		return output{}, func(w http.ResponseWriter, _ *http.Request) { resetConnection(w) }
	}
}

// bend changes a true answer into one that says something untrue.
func (p faultPlan) bend(c *call, a answer) {
	if p.fault == nil {
		return
	}
	switch p.fault.Kind {
	case FaultWrongMember:
		c.wrongMember(a, p.fault.MemberID)
	case FaultIDKept:
		if r, ok := a.(*memberReply); ok {
			r.Member.MemberPasswordID = c.params["member_password_id"]
		}
	}
}

// wrongMember puts another member of the first organization in the answer.
func (c *call) wrongMember(a answer, memberID string) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	other := func(id string) memberJSON {
		if _, m, ok := p.memberByID(memberID); ok {
			return m.show(c.nowUTC())
		}
		ref := rowRef{0, 0}
		if own, _, ok := p.memberByID(id); ok {
			ref = rowRef{own.org, (own.index + 1) % len(p.orgs[own.org].rows)}
		}
		return p.member(ref).show(c.nowUTC())
	}
	switch r := a.(type) {
	case interface{ about() *memberReply }:
		r.about().Member = other(r.about().MemberID)
		r.about().MemberID = r.about().Member.MemberID
	case interface{ auth() *authenticateReply }:
		r.auth().Member = other(r.auth().MemberID)
		r.auth().MemberID = r.auth().Member.MemberID
	case *sessionReply:
		r.Member = other(r.Member.MemberID)
	case *resetStartReply:
		r.Member = other(r.MemberID)
		r.MemberID = r.Member.MemberID
	case *requireResetReply:
		if r.Member != nil {
			m := other(r.Member.MemberID)
			r.Member, r.MemberID = &m, &m.MemberID
		}
	case interface {
		organizations() []discoveredOrganization
	}:
		for i, d := range r.organizations() {
			m := other(d.Membership.Member.MemberID)
			r.organizations()[i].Membership.Member = &m
		}
	case *searchReply:
		if len(r.Members) > 0 {
			r.Members[0] = other(r.Members[0].MemberID)
		}
	}
}

func cutBody(w http.ResponseWriter, out output) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body[:len(out.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler) // closes the connection with the body unfinished
}

func giantBody(w http.ResponseWriter, size int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	const start = `{"status_code":200,"request_id":"`
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = 'x'
	}
	if _, err := w.Write([]byte(start)); err != nil {
		return
	}
	for left := size - len(start) - len(`"}`); left > 0; left -= len(chunk) {
		if _, err := w.Write(chunk[:min(left, len(chunk))]); err != nil {
			return // the caller has seen enough
		}
	}
	_, _ = w.Write([]byte(`"}`))
}

func hang(r *http.Request, most time.Duration) {
	var over <-chan time.Time
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
	case <-over:
	}
	panic(http.ErrAbortHandler)
}

func resetConnection(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // close with a reset, not with an orderly end
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}
