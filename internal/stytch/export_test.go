package stytch

import "net/http"

// MaxBody is the size cap of an answer.
const MaxBody = maxBody

// NewTransport is the transport of a client that was given none.
func NewTransport() http.RoundTripper { return newTransport() }
