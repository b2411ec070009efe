package handlers

import (
	"errors"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

func receiptPath(operationID string) string { return operationPath(operationID) + "/receipt.json" }

// downloadReceipt is GET /operations/{operation_id}/receipt.json, for whoever
// may open the operation: what the audit, and not the operation's row, has of
// it and its steps.
func (s *Server) downloadReceipt(c echo.Context) error {
	ctx, a, id := c.Request().Context(), s.actor(c), c.Param("operation_id")
	op, err := s.visibleOperation(ctx, a, id)
	if errors.Is(err, helpdesk.ErrNotFound) {
		return s.operationGone(ctx, a, id)
	}
	if err != nil {
		return err
	}
	ids := []string{op.ID}
	for _, step := range op.Steps {
		ids = append(ids, step.ID)
	}
	file, err := s.audit.Receipt(ctx, op.OrganizationID, ids...)
	if errors.Is(err, audit.ErrNotFound) {
		return echo.NewHTTPError(http.StatusNotFound, "Nothing is recorded of this operation yet.")
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": "receipt-" + op.ID + ".json"}))
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, file)
}
