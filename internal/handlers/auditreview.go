package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/authz"
	"orgconsole/web/templates"
)

const (
	reviewsPath = "/audit/reviews"
	reviewKind  = "review"
	maxComment  = 500 // characters
	maxBack     = 2 << 10
	// recordedParam names the review that a page says was just recorded.
	recordedParam = "recorded"
)

// reviewForm is what a page with review forms proves: to whom it was shown,
// and how many records there were then. A review is of nothing newer.
type reviewForm struct {
	Kind           string
	OrganizationID string
	MemberID       string
	Size           int64
}

func (s *Server) sealReview(a *actor, size int64) (string, error) {
	return s.sealForm(reviewForm{Kind: reviewKind, OrganizationID: a.Session.OrganizationID, MemberID: a.Session.MemberID, Size: size})
}

// lastReview is the newest mark of somebody that says how far they came.
type lastReview struct {
	event audit.Event
	upTo  int64 // seq of the newest record reviewed
}

// lastReview returns nil for somebody who never reviewed.
func (s *Server) lastReview(ctx context.Context, a *actor) (*lastReview, error) {
	ev, err := s.audit.LastReview(ctx, a.Session.OrganizationID, a.Session.MemberID)
	if err != nil || ev == nil {
		return nil, err
	}
	_, last, _ := strings.Cut(ev.Target.ID, "-")
	upTo, err := strconv.ParseInt(last, 10, 64)
	if err != nil || upTo >= ev.Seq {
		return nil, nil //nolint:nilerr // not one of ours: as if there were none
	}
	return &lastReview{*ev, upTo}, nil
}

// after is the place of the first record that is new. A mark with nothing
// before it that is new is not new itself.
func (r *lastReview) after() int64 {
	switch {
	case r == nil:
		return 0
	case r.event.Seq == r.upTo+1:
		return r.event.Seq + 1
	default:
		return r.upTo + 1
	}
}

// news is how many of so many records are new, without the mark itself.
func (r *lastReview) news(size int64) int64 {
	n := size - r.after()
	if r != nil && r.event.Seq >= r.after() {
		n--
	}
	return max(n, 0)
}

func (r *lastReview) isNew(ev audit.Event) bool {
	return r != nil && ev.Seq >= r.after() && ev.ID != r.event.ID
}

// reviewView is what the page says about one's last review, and the form of
// the next: on the newest page, and where no filter hides anything but what
// was reviewed before.
func (s *Server) reviewView(c echo.Context, a *actor, v *templates.Audit, q auditQuery, who auditViewer, list auditList, size int64) error {
	if err := s.reviewNotice(c, a, &v.Page); err != nil {
		return err
	}
	switch news := who.review.news(size); {
	case who.review == nil:
		v.Since = "You have not marked anything as reviewed yet."
	case news == 0:
		v.Since = "Nothing new since your last review on " + utc(who.review.event.Time) + "."
	default:
		v.Since = fmt.Sprintf("%s since your last review on %s.", plural(int(news), "new record"), utc(who.review.event.Time))
	}
	if who.review != nil {
		v.SinceURL = eventPath(who.review.event.ID)
	}
	hiding := slices.DeleteFunc(q.active(), func(f auditFilter) bool { return f == auditFilter{"preset", presetNew} })
	switch {
	case list.newest < 0 || q.cursor != "" || q.newer != "" || who.review.news(size) == 0:
		return nil
	case len(hiding) > 0:
		v.ReviewNote = "To mark everything up to now as reviewed, clear the filters first: they hide some of it."
		return nil
	}
	// What was recorded while the page was made is not on it.
	token, err := s.sealReview(a, list.newest+1)
	if err != nil {
		return err
	}
	v.Review = &templates.ReviewForm{Token: token, Button: "Mark the first record as reviewed"}
	if list.newest > 0 {
		v.Review.Button = fmt.Sprintf("Mark all %s as reviewed", plural(int(list.newest+1), "record"))
	}
	return nil
}

// reviewOfEvent is the form beside one event or operation.
func reviewOfEvent(token string, e *auditEntry, back string) *templates.ReviewForm {
	f := &templates.ReviewForm{Token: token, Event: e.at.ID, Back: back, Button: "Mark reviewed"}
	if e.reviewed() {
		f.Button = "Review again"
	}
	return f
}

// backOf is the page as its forms lead back to it.
func (q auditQuery) backOf() string {
	v := q.values()
	for name, value := range map[string]string{"cursor": q.cursor, "newer": q.newer} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v.Encode()
}

// eventReviews puts the reviews of one event, or of its operation, onto its page.
func (s *Server) eventReviews(ctx context.Context, a *actor, v *templates.AuditEvent, ev audit.Event, size int64) error {
	e := auditEntry{at: ev}
	if ev.OperationID != "" {
		var err error
		if e.events, err = s.audit.Operation(ctx, a.Session.OrganizationID, ev.OperationID); err != nil {
			return err
		}
	} else {
		reviews, err := s.audit.List(ctx, a.Session.OrganizationID, audit.Filter{Action: string(audit.ActionReview), TargetQuery: ev.ID}, "", reviewsRead)
		if err != nil {
			return err
		}
		e.reviews = slices.DeleteFunc(reviews.Events, func(r audit.Event) bool { return !isReview(&r) })
		slices.Reverse(e.reviews)
	}
	for _, r := range slices.Concat(e.events, e.reviews) {
		if isReview(&r) && r.ID != ev.ID {
			v.Reviews = append(v.Reviews, momentOf(&r, &ev))
		}
	}
	token, err := s.sealReview(a, size)
	if err != nil {
		return err
	}
	v.Review = reviewOfEvent(token, &e, "event")
	return nil
}

// reviewAudit is POST /audit/reviews: somebody marks one event, one operation,
// or everything up to a record as reviewed. The same form has one effect.
func (s *Server) reviewAudit(c echo.Context) error {
	ctx, a := c.Request().Context(), s.actor(c)
	ev := audit.Event{
		OrganizationID: a.Session.OrganizationID, Action: audit.ActionReview, Phase: audit.PhaseInfo, Actor: a.auditActor(),
		Target: audit.Target{Type: "audit_log"}, Source: audit.Source{IP: a.IP, UserAgent: a.UserAgent}, RequestID: a.RequestID,
	}
	if err := s.mayReadAudit(ctx, a); err != nil {
		s.recordDenied(ctx, ev, err)
		return err
	}
	var form reviewForm
	err := s.openForm(c.FormValue("form"), &form)
	if errors.Is(err, ErrFormExpired) {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, "That page was open for more than an hour. Nothing was recorded. Go back, copy your comment, and open the audit anew.")
	}
	if err != nil || form != (reviewForm{reviewKind, a.Session.OrganizationID, a.Session.MemberID, form.Size}) {
		ev.Phase, ev.Outcome, ev.Detail = audit.PhaseOutcome, audit.OutcomeDenied, "form"
		s.recordLate(ctx, ev)
		return echo.NewHTTPError(http.StatusForbidden, "This form was not made for you. Nothing was recorded. Open the audit and start from there.")
	}
	ev.Reason = strings.TrimSpace(c.FormValue("comment"))
	if utf8.RuneCountInString(ev.Reason) > maxComment {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, fmt.Sprintf("A comment has at most %d characters. Nothing was recorded. Go back and shorten it.", maxComment))
	}
	if err := s.reviewTarget(ctx, &ev, form, c.FormValue("event")); err != nil {
		return err
	}
	recorded, err := s.audit.Review(ctx, ev, form.Size)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, reviewBack(c.FormValue("back"), c.FormValue("event"), recorded.ID))
}

// reviewTarget says what is reviewed. Nothing is that was not there when the page was shown.
func (s *Server) reviewTarget(ctx context.Context, ev *audit.Event, form reviewForm, id string) error {
	if id == "" {
		if form.Size < 1 {
			return echo.NewHTTPError(http.StatusUnprocessableEntity, "There was nothing to review.")
		}
		ev.Target = audit.Target{Type: audit.TargetRecords, ID: fmt.Sprintf("0-%d", form.Size-1)}
		return nil
	}
	reviewed, _, err := s.audit.Event(ctx, ev.OrganizationID, id)
	if err != nil {
		return err
	}
	if reviewed.Seq >= form.Size || reviewed.Purged != nil {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, "That event was not on the page, or is gone. Nothing was recorded.")
	}
	ev.Target, ev.OperationID = audit.Target{Type: targetEvent, ID: reviewed.ID}, reviewed.OperationID
	return nil
}

// reviewBack is the page a review came from. What it says of it is parsed, not followed.
func reviewBack(back, event, recorded string) string {
	if back == "event" && event != "" {
		return eventPath(url.PathEscape(event)) + "?" + recordedParam + "=" + recorded
	}
	values := url.Values{}
	if asked, err := url.ParseQuery(back); err == nil && len(back) <= maxBack {
		if q, err := parseAuditQuery(asked); err == nil {
			values, _ = url.ParseQuery(q.backOf())
		}
	}
	values.Set(recordedParam, recorded)
	return auditAddress(values)
}

// reviewNotice says what a review recorded, on the page it led back to.
func (s *Server) reviewNotice(c echo.Context, a *actor, page *templates.Page) error {
	id := c.QueryParam(recordedParam)
	if id == "" {
		return nil
	}
	ev, _, err := s.audit.Event(c.Request().Context(), a.Session.OrganizationID, id)
	if errors.Is(err, audit.ErrNotFound) || err == nil && (!isReview(&ev) || ev.Actor.MemberID != a.Session.MemberID) {
		return nil
	}
	if err != nil {
		return err
	}
	n := templates.Notice{
		Kind: templates.Good, Title: "Review recorded", Text: reviewText(&ev) + ". " + utc(ev.Time) + ".",
		Links: []templates.Link{{Text: "The event that says so", URL: eventPath(ev.ID)}},
	}
	if ev.Target.Type == audit.TargetRecords {
		n.Title = "Reviewed " + targetParty(ev.Target).Text
		n.Lines = []string{"They were marked as a whole, not row by row: a row says “reviewed” only where it was marked by itself."}
	}
	page.Notices = append(page.Notices, n)
	return nil
}

// auditActor is the actor as events know one.
func (a *actor) auditActor() audit.Actor {
	return audit.Actor{MemberID: a.Session.MemberID, Email: a.Session.Email, SessionID: a.Session.SessionID, AuthFactors: a.Session.Factors}
}

// recordDenied records that somebody tried what they may not. What they are told stays true without the record.
func (s *Server) recordDenied(ctx context.Context, ev audit.Event, err error) {
	denied, ok := errors.AsType[*authz.DeniedError](err)
	if !ok {
		return
	}
	ev.Phase, ev.Outcome, ev.Detail = audit.PhaseOutcome, audit.OutcomeDenied, "check"
	ev.HTTP, ev.UpstreamRequestID = audit.HTTP{Status: denied.Status, ErrorType: denied.Type}, denied.RequestID
	s.recordLate(ctx, ev)
}
