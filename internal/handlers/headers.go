package handlers

import (
	"strings"

	"github.com/labstack/echo/v4"
)

const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissionsPolicy turns off what browsers would otherwise let a page ask for.
// A name that Chromium does not know is a warning in the console of every page.
func permissionsPolicy() string {
	features := []string{
		"accelerometer", "autoplay", "browsing-topics", "camera",
		"clipboard-read", "display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope",
		"hid", "identity-credentials-get", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "payment",
		"picture-in-picture", "publickey-credentials-create", "publickey-credentials-get", "screen-wake-lock", "serial",
		"storage-access", "usb", "window-management", "xr-spatial-tracking",
	}
	return strings.Join(features, "=(), ") + "=()"
}

// securityHeaders puts the same headers on every answer. Handlers of what may
// be cached replace Cache-Control.
func (s *Server) securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	all := map[string]string{
		"Content-Security-Policy":      contentSecurityPolicy,
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           permissionsPolicy(),
		"Cache-Control":                "no-store",
	}
	if s.https {
		all["Strict-Transport-Security"] = "max-age=31536000"
	}
	return func(c echo.Context) error {
		h := c.Response().Header()
		for name, value := range all {
			h.Set(name, value)
		}
		return next(c)
	}
}
