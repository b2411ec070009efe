package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const readyTime = 2 * time.Second

// showHealth is GET /healthz: the process answers. Nothing else is asked, so
// that an upstream in trouble does not get the console restarted.
func (s *Server) showHealth(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
}

// showReady is GET /readyz: the store can be reached.
func (s *Server) showReady(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTime)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		s.log.WarnContext(ctx, "not ready", slog.String("request_id", requestID(c)), slog.Any("error", err))
		return c.String(http.StatusServiceUnavailable, "the store cannot be reached\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
