package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/labstack/echo/v4"
)

// maxDraft is how many bytes of what was typed are kept; with the encryption
// around it, it fits into a cookie.
const maxDraft = 2000

// draft is a form that was sent after the session had ended: what was typed is
// kept in the browser, encrypted, for the same person, until they are back.
type draft struct {
	At             int64  `json:"at"` // unix ms
	Path           string `json:"path"`
	OrganizationID string `json:"organization_id"`
	MemberID       string `json:"member_id"`
	Reason         string `json:"reason"`
	Ticket         string `json:"ticket"`
	SignOut        bool   `json:"sign_out"`
	SendReset      bool   `json:"send_reset"`
}

func (s *Server) draftName() string { return s.cookieName() + "-draft" }

// keepDraft keeps what was typed into a confirmation whose post found no
// session. The sealed value of the form says whose it is.
func (s *Server) keepDraft(c echo.Context) error {
	r := c.Request()
	if r.Method != http.MethodPost || !s.isPage(r.URL.Path) {
		return nil
	}
	if err := r.ParseForm(); err != nil {
		return nil //nolint:nilerr // a form that cannot be read has nothing to keep
	}
	var form confirmForm
	if err := s.openForm(r.PostForm.Get("form"), &form); err != nil && !errors.Is(err, ErrFormExpired) {
		return nil
	}
	d := draft{
		At: s.now().UnixMilli(), Path: r.URL.Path, OrganizationID: form.OrganizationID, MemberID: form.MemberID,
		Reason: r.PostForm.Get("reason"), Ticket: r.PostForm.Get("ticket"),
		SignOut: r.PostForm.Get("sign_out") != "", SendReset: r.PostForm.Get("send_reset") != "",
	}
	if len(d.Reason)+len(d.Ticket) > maxDraft {
		return nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	value, err := securecookie.EncodeMulti(s.draftName(), text, s.forms...)
	if err != nil {
		return err
	}
	if fitsCookie(s.draftName(), value) {
		s.putCookie(c, s.draftName(), value, 0)
	}
	return nil
}

func (s *Server) dropDraft(c echo.Context) { s.removeCookie(c, s.draftName()) }

// takeDraft gives back what was typed on this page before the session ended,
// once, and to nobody but who typed it.
func (s *Server) takeDraft(c echo.Context) (typed, bool) {
	cookie, err := c.Request().Cookie(s.draftName())
	if err != nil {
		return typed{}, false
	}
	var text []byte
	var d draft
	if securecookie.DecodeMulti(s.draftName(), cookie.Value, &text, s.forms...) != nil || json.Unmarshal(text, &d) != nil {
		s.dropDraft(c)
		return typed{}, false
	}
	a := s.actor(c)
	if d.MemberID != a.Session.MemberID || d.OrganizationID != a.Session.OrganizationID || s.now().Sub(time.UnixMilli(d.At)) >= formTime {
		s.dropDraft(c)
		return typed{}, false
	}
	if d.Path != c.Request().URL.Path {
		return typed{}, false
	}
	s.dropDraft(c)
	return typed{reason: d.Reason, ticket: d.Ticket, signOut: d.SignOut, sendReset: d.SendReset, restored: true}, true
}
