package handlers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"orgconsole/web/templates"
)

// render sends a page whole, or nothing of it.
func render(c echo.Context, status int, page templ.Component) error {
	var b bytes.Buffer
	// Rendering is quick, and half a page helps nobody: whether somebody still waits is left to the sending.
	ctx := context.WithoutCancel(c.Request().Context())
	if zone, ok := c.Get(keyZone).(*time.Location); ok {
		ctx = templates.WithZone(ctx, zone)
	}
	if err := page.Render(ctx, &b); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	return c.Blob(status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// renderLastWord renders, once and at the start, the page that is sent when
// the page of an error cannot be rendered.
func renderLastWord(build string) ([]byte, error) {
	var b bytes.Buffer
	err := templates.FailurePage(templates.Failure{
		Page: templates.Page{Title: "Something went wrong", Build: build},
		Text: "The console could not show this page.",
		Next: []string{"Go back and try again.", "If it happens again, tell the operator of the console."},
		Links: []templates.Link{{
			Text: "Start page", URL: "/",
		}},
	}).Render(context.Background(), &b)
	return b.Bytes(), err
}

func (s *Server) sendLastWord(c echo.Context, status int) error {
	if status < http.StatusBadRequest {
		status = http.StatusInternalServerError
	}
	return c.Blob(status, echo.MIMETextHTMLCharsetUTF8, s.lastWord)
}
