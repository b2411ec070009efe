package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/labstack/echo/v4"
)

const (
	// maxBody bounds what is read of a request.
	maxBody = 64 << 10
	// formTime is how long a sealed form is good for.
	formTime = time.Hour
	// formCodec is part of what a sealed form is signed with, so that no cookie passes for one.
	formCodec = "form"
	maxForm   = 8 << 10
)

var (
	// ErrFormExpired says that a sealed form is ours but older than an hour.
	ErrFormExpired = errors.New("the form has expired")
	// ErrFormInvalid says that a sealed form is not one of ours.
	ErrFormInvalid = errors.New("the form is not one of ours")
)

// sealedForm is what a sealed form holds.
type sealedForm struct {
	At    int64           `json:"at"` // unix ms
	Value json.RawMessage `json:"value"`
}

// newFormCodecs leaves the age to openForm, which has the server's clock and
// tells an old form from a wrong one.
func newFormCodecs(pairs [][]byte) []securecookie.Codec {
	codecs := securecookie.CodecsFromPairs(pairs...)
	for _, c := range codecs {
		if sc, ok := c.(*securecookie.SecureCookie); ok {
			sc.MaxAge(0).MaxLength(maxForm).SetSerializer(securecookie.NopEncoder{})
		}
	}
	return codecs
}

// sealForm signs and encrypts what a page showed, for a hidden field. It says
// nothing of what may be done: only that this was shown, and when.
func (s *Server) sealForm(v any) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal form: %w", err)
	}
	sealed, err := json.Marshal(sealedForm{At: s.now().UnixMilli(), Value: value})
	if err != nil {
		return "", fmt.Errorf("seal form: %w", err)
	}
	token, err := securecookie.EncodeMulti(formCodec, sealed, s.forms...)
	if err != nil {
		return "", fmt.Errorf("seal form: %w", err)
	}
	return token, nil
}

// openForm reads back what sealForm made with any of the session keys: it
// returns ErrFormExpired, with v filled in all the same, or ErrFormInvalid.
func (s *Server) openForm(token string, v any) error {
	var opened []byte
	if err := securecookie.DecodeMulti(formCodec, token, &opened, s.forms...); err != nil {
		return ErrFormInvalid
	}
	var sealed sealedForm
	if err := json.Unmarshal(opened, &sealed); err != nil {
		return ErrFormInvalid
	}
	if err := json.Unmarshal(sealed.Value, v); err != nil {
		return ErrFormInvalid
	}
	if age := s.now().Sub(time.UnixMilli(sealed.At)); age > formTime || age < -time.Minute {
		return ErrFormExpired
	}
	return nil
}

// readForm parses the body of a POST. From then on FormValue sees the body
// alone: a value in the address is no field of a form.
func readForm(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength != 0 {
			mediaType, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
			if err != nil || mediaType != echo.MIMEApplicationForm {
				return echo.NewHTTPError(http.StatusUnsupportedMediaType, "The console reads forms as application/x-www-form-urlencoded only.")
			}
		}
		if err := r.ParseForm(); err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return echo.NewHTTPError(http.StatusRequestEntityTooLarge, "The form is too large.").SetInternal(err)
			}
			return echo.NewHTTPError(http.StatusBadRequest, "The form could not be read.").SetInternal(err)
		}
		r.Form = r.PostForm
		return next(c)
	}
}
