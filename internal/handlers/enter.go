package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/internal/helpdesk"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// tryTime bounds one step of a sign-in. A step goes on when the browser leaves:
// a token that was taken upstream must not be lost to a double click.
const tryTime = 30 * time.Second

// try is one step of a sign-in: a call that may make a session, or bring one nearer.
type try struct {
	way        way
	key        string // what a second click has in common with the first; "" where each is its own
	expect     expected
	page       string // what names the browser where progress does not: the number of the page
	progress   *progress
	returnPath string
	switching  bool      // it leaves another organization's session
	own        bool      // it changes something about a session that goes on
	since      time.Time // when the sign-in began that goes on, with switching and own
	codes      []string  // recovery codes that this step brings into force
	call       func(context.Context, stytch.SignIn) (*stytch.AuthenticateResponse, error)
	signIn     stytch.SignIn // what the call may say besides
}

// expected is whom an answer must be about, as far as that is known before.
type expected struct {
	organization   string // any of its names, as typed
	organizationID string
	email          string
	memberID       string
}

func (e expected) fits(answer *stytch.AuthenticateResponse) bool {
	o := answer.Organization
	named := func(name string) bool { return strings.EqualFold(name, e.organization) }
	return (e.organization == "" || slices.ContainsFunc([]string{o.OrganizationSlug, o.OrganizationID, o.OrganizationExternalID}, named)) &&
		(e.organizationID == "" || e.organizationID == o.OrganizationID) &&
		(e.email == "" || strings.EqualFold(e.email, answer.Member.EmailAddress)) &&
		(e.memberID == "" || e.memberID == answer.Member.MemberID)
}

func (t *try) failedAction() audit.Action {
	switch {
	case t.way.factor():
		return audit.ActionSecondFactor
	case t.way == wayOwnPassword:
		return audit.ActionSetPassword
	case t.switching:
		return audit.ActionSwitch
	default:
		return audit.ActionSignIn
	}
}

// step is what came of a try: where to go on, and with which cookies.
type step struct {
	session  *sessionCookie // somebody is signed in
	progress *progress      // what is known then; nil forgets it
	to       string
}

// requestKey is what a second click has in common with the first when that has
// ended the session both were sent with: the page's own number, which a copy of
// the cookie does not have.
func (s *Server) requestKey(c echo.Context) string {
	r := c.Request()
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || r.Method != http.MethodPost || r.ParseForm() != nil || r.PostForm.Get("once") == "" {
		return ""
	}
	return s.once.mac("request", c.Path(), cookie.Value, r.PostForm.Get("once"))
}

// take does what a step says.
func (s *Server) take(c echo.Context, st step) error {
	if st.session != nil {
		if key := s.requestKey(c); key != "" {
			s.once.keep(key, st)
		}
		if err := s.setCookie(c, *st.session); err != nil {
			return fmt.Errorf("make session cookie: %w", err)
		}
	}
	if err := s.writeProgress(c, st.progress); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, st.to)
}

// sessionMinutes is a session's length as the upstream takes it.
func sessionMinutes(d time.Duration) int {
	return min(max(int(d/time.Minute), stytch.MinSessionMinutes), stytch.MaxSessionMinutes)
}

// slowedDown is a try that was not made: too many came before.
func (s *Server) slowedDown(c echo.Context, wait time.Duration) *refusal {
	seconds := wholeSeconds(wait)
	s.log.WarnContext(c.Request().Context(), "sign-in throttled", slog.Int64("since_start", s.refusals.throttled.Add(1)),
		slog.Int("wait_seconds", seconds), slog.String("request_id", requestID(c)), slog.String("ip", c.RealIP()))
	return &refusal{detail: "throttled", failure: failure{
		status: http.StatusTooManyRequests, retryAfter: seconds, text: "Too many attempts to sign in",
		next: []string{fmt.Sprintf("Wait %s, then try again. Nothing was checked.", plural(seconds, "second"))},
	}}
}

// attempt makes one try. What did not succeed is a *refusal, recorded already;
// other errors are not about the sign-in. A second click on the same gets what
// the first one got, and nothing is sent twice.
func (s *Server) attempt(c echo.Context, t try) (step, error) {
	if t.key == "" {
		return s.attemptOnce(c, &t)
	}
	return s.once.do(cmp.Or(t.page, t.progress.ID), t.way, t.key, func() (step, error) { return s.attemptOnce(c, &t) })
}

func (s *Server) attemptOnce(c echo.Context, t *try) (step, error) {
	if b := t.progress.bound(); b != nil && t.signIn.IntermediateSessionToken != "" {
		// What was proven before is one person's: nobody else's factor goes with it.
		if b.Switch {
			t.switching, t.since = true, b.since()
		}
		t.expect.organizationID, t.expect.memberID = b.OrganizationID, b.MemberID
	}
	account := t.expect.memberID
	if account == "" {
		account = t.expect.email
	}
	organization := t.expect.organizationID
	if organization == "" {
		organization = t.expect.organization
	}
	if account == "" && organization == "" {
		// A token names nobody; only the address can be slowed down for it.
		account, organization = t.progress.ID, t.progress.ID
	}
	tried, wait := s.throttle.begin(c.RealIP(), organization, account)
	if tried == nil {
		return step{}, s.slowedDown(c, wait)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), tryTime)
	defer cancel()
	begun := time.Now()
	t.signIn.SessionDurationMinutes = sessionMinutes(s.config.SessionMax)
	answer, err := t.call(ctx, t.signIn)
	if err == nil {
		tried.succeeded()
		return s.onward(ctx, c, t, answer)
	}
	no, organizationID := s.refused(ctx, t, err)
	if !no.guess {
		tried.undecided()
	}
	s.recordRefusal(ctx, c, t, organizationID, no)
	s.evenOut(c.Request().Context(), begun)
	return step{}, no
}

// onward is where an answer leads: in, to what is still wanted, or nowhere.
func (s *Server) onward(ctx context.Context, c echo.Context, t *try, answer *stytch.AuthenticateResponse) (step, error) {
	if !t.expect.fits(answer) {
		// Somebody else's sign-in, mixed up on the way. Nobody gets it.
		mixedUp := &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the answer is about another sign-in"}
		record := newAttempt(c, t.expect.organization, t.expect.email)
		record.OrganizationID, record.MemberID, record.Email = t.expect.organizationID, t.expect.memberID, ""
		record.Action, record.Outcome, record.Detail, record.Factors = t.failedAction(), audit.OutcomeUnknown, helpdesk.DetailOtherMember, []string{t.way.factorType()}
		record.HTTP, record.UpstreamRequestID = audit.HTTP{Status: answer.StatusCode}, answer.RequestID
		s.recordStep(ctx, record)
		if acting, err := stytch.ActingToken(answer.SessionToken.Reveal()); err == nil {
			return step{}, s.turnAway(ctx, c, acting, mixedUp)
		}
		return step{}, mixedUp
	}
	if t.way == wayResetPassword || t.way == wayOwnPassword {
		// It is set, whatever may still be asked for before somebody is in.
		if err := s.recordPassword(ctx, c, t, answer); err != nil {
			return step{}, err
		}
	}
	if answer.MemberAuthenticated {
		return s.enter(ctx, c, t, answer)
	}
	record := newAttempt(c, t.expect.organization, t.expect.email)
	record.OrganizationID, record.MemberID, record.Email = answer.Organization.OrganizationID, answer.Member.MemberID, answer.Member.EmailAddress
	record.Factors, record.HTTP, record.UpstreamRequestID = []string{t.way.factorType()}, audit.HTTP{Status: answer.StatusCode}, answer.RequestID
	record.Action, record.Outcome = audit.ActionFirstFactor, audit.OutcomeSucceeded
	switch {
	case answer.IntermediateSessionToken == "" || len(answer.IntermediateSessionToken) > maxToken,
		answer.MFARequired == nil && answer.PrimaryRequired == nil:
		no := &refusal{failure: upstreamGarbled(), outcome: audit.OutcomeUnknown, detail: detailIncomplete}
		no.failure.upstreamRequestID = answer.RequestID
		record.Action, record.Outcome, record.Detail = t.failedAction(), no.outcome, no.detail
		s.recordStep(ctx, record)
		return step{}, no
	case answer.PrimaryRequired != nil:
		record.Detail = "primary_required"
	default:
		record.Detail = "mfa_required"
	}
	s.recordStep(ctx, record)
	p := t.progress
	if t.returnPath != "" {
		p.Return = t.returnPath
	}
	p.Landed = nil
	p.remember(s.now(), answer, t.switching, t.since)
	if answer.PrimaryRequired != nil {
		return step{progress: p, to: "/login/more"}, nil
	}
	return step{progress: p, to: "/mfa"}, nil
}

// enter makes the session of somebody the upstream has just authenticated.
// Without a record of it nobody comes in.
func (s *Server) enter(ctx context.Context, c echo.Context, t *try, answer *stytch.AuthenticateResponse) (step, error) {
	acting, err := stytch.ActingToken(answer.SessionToken.Reveal())
	if err != nil {
		return step{}, &stytch.AnswerError{Status: answer.StatusCode, RequestID: answer.RequestID, Problem: "the session token is not one"}
	}
	session := authz.NewSession(*answer.Session, answer.Member, answer.Organization)
	var together errgroup.Group
	together.Go(func() error { return s.recordEntry(ctx, c, t, session, answer) })
	together.Go(func() error {
		_, _ = s.policy(ctx, session) // read ahead for the page that comes next, which copes without
		return nil
	})
	if err := together.Wait(); err != nil {
		return step{}, s.turnAway(ctx, c, acting, fmt.Errorf("record sign-in: %w", err))
	}
	s.authz.Remember(acting, session)
	now := s.now().UTC()
	st := step{to: orHome(t.returnPath), session: &sessionCookie{
		Token: answer.SessionToken.Reveal(), MemberID: session.MemberID, OrganizationID: session.OrganizationID, IssuedAt: now, SeenAt: now,
		SessionID: session.SessionID, Factors: session.Factors,
	}}
	if (t.own || t.switching) && !t.since.IsZero() {
		st.session.IssuedAt = t.since.UTC() // the same sign-in goes on, and ends when it would have ended
	}
	if !t.own {
		s.endReplaced(ctx, c, acting)
	}
	if len(t.codes) > 0 {
		st.progress = &progress{ID: t.progress.ID, Codes: t.codes, Holder: session.MemberID, Return: t.returnPath}
		st.to = "/mfa/recovery-codes"
	}
	return st, nil
}

// recordEntry records that somebody came in, and the step that did it where
// that is a thing of its own.
func (s *Server) recordEntry(ctx context.Context, c echo.Context, t *try, session *authz.Session, answer *stytch.AuthenticateResponse) error {
	record := newAttempt(c, t.expect.organization, t.expect.email)
	record.OrganizationID, record.MemberID, record.Email, record.SessionID = session.OrganizationID, session.MemberID, session.Email, session.SessionID
	record.Factors, record.HTTP, record.UpstreamRequestID = session.Factors, audit.HTTP{Status: answer.StatusCode}, answer.RequestID
	record.Outcome, record.Detail = audit.OutcomeSucceeded, helpdesk.DetailAnswer
	if t.way.factor() {
		record.Action = audit.ActionSecondFactor
		if err := s.desk.RecordSignIn(ctx, record); err != nil {
			return err
		}
	}
	if t.own {
		return nil // they were signed in before
	}
	record.Action = audit.ActionSignIn
	if t.switching {
		record.Action = audit.ActionSwitch
	}
	return s.desk.RecordSignIn(ctx, record)
}

// recordPassword records that somebody set a password of their own.
func (s *Server) recordPassword(ctx context.Context, c echo.Context, t *try, answer *stytch.AuthenticateResponse) error {
	record := newAttempt(c, t.expect.organization, t.expect.email)
	record.Action, record.Outcome, record.Detail = audit.ActionSetPassword, audit.OutcomeSucceeded, string(t.way)
	record.OrganizationID, record.MemberID, record.Email = answer.Organization.OrganizationID, answer.Member.MemberID, answer.Member.EmailAddress
	record.HTTP, record.UpstreamRequestID, record.Factors = audit.HTTP{Status: answer.StatusCode}, answer.RequestID, []string{t.way.factorType()}
	if answer.Session != nil {
		record.SessionID, record.Factors = answer.Session.MemberSessionID, nil
		for _, f := range answer.Session.AuthenticationFactors {
			record.Factors = append(record.Factors, f.Type)
		}
	}
	if err := s.desk.RecordSignIn(ctx, record); err != nil {
		return fmt.Errorf("record new password: %w", err)
	}
	return nil
}

// turnAway ends a session that nobody will use, as far as that can be done.
func (s *Server) turnAway(ctx context.Context, c echo.Context, acting stytch.ActingSession, why error) error {
	if _, err := s.stytch.RevokeSession(ctx, acting); err != nil {
		s.log.WarnContext(ctx, "unused session not revoked", slog.Any("error", err), slog.String("request_id", requestID(c)))
	}
	return why
}

// endReplaced ends the session this browser had until now: nobody could use
// it any more, and nobody else should.
func (s *Server) endReplaced(ctx context.Context, c echo.Context, next stytch.ActingSession) {
	v, err := s.openCookie(c) // one that has lain idle too: a copy may not have
	if err != nil || v.Shared {
		return
	}
	old, err := stytch.ActingToken(v.Token)
	if err != nil || old.Equal(next) {
		return
	}
	if _, err := s.endSession(ctx, c, v, old); err != nil && !errors.Is(err, errSessionEnded) {
		s.log.WarnContext(ctx, "replaced session not ended", slog.Any("error", err), slog.String("request_id", requestID(c)))
	}
}

// evenOut lets an answer wait for the next whole multiple of the answer step,
// so that how long it took does not tell what was found.
func (s *Server) evenOut(ctx context.Context, begun time.Time) {
	every := s.config.AnswerStep
	if every <= 0 {
		return
	}
	timer := time.NewTimer(every - time.Since(begun)%every)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// retryHeader says how long to wait, where that is known.
func retryHeader(c echo.Context, no *refusal) {
	if no.failure.retryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(no.failure.retryAfter))
	}
}

// refusedStep shows a page of the sign-in again with what went wrong, or leads
// back to the start where there is nothing to go on with.
func (s *Server) refusedStep(c echo.Context, p *progress, err error, again func(status int, n *templates.Notice) error) error {
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	retryHeader(c, no)
	if no.restart {
		p.Proven, p.Landed = nil, nil
		if err := s.writeProgress(c, p); err != nil {
			return err
		}
		return s.renderLogin(c, no.failure.status, loginForm{returnPath: p.Return}, no.notice())
	}
	return again(no.failure.status, no.notice())
}
