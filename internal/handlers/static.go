package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/web/static"
)

// showStatic is GET /static/*. Only what is found there may be cached.
func (s *Server) showStatic(c echo.Context) error {
	static.Handler().ServeHTTP(c.Response(), c.Request())
	return nil
}

// showFavicon is GET /favicon.ico, which browsers ask for by themselves.
func (s *Server) showFavicon(c echo.Context) error {
	body, contentType := static.Favicon()
	return c.Blob(http.StatusOK, contentType, body)
}
