package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keyName is the name of the keys in notes. Keys are told apart by their hash.
const keyName = "orgconsole-audit"

// errNotAKey says nothing of what was given instead: it may be a key all the same.
var errNotAKey = errors.New("not an audit key")

// NewKey makes a key pair in the encoding of golang.org/x/mod/sumdb/note.
func NewKey(rand io.Reader) (signer, public string, err error) {
	signer, public, err = note.GenerateKey(rand, keyName)
	if err != nil {
		return "", "", fmt.Errorf("make audit key: %w", err)
	}
	return signer, public, nil
}

// PublicKey returns the public half of a private key of NewKey.
func PublicKey(signer string) (string, error) {
	s, err := note.NewSigner(signer)
	if err != nil {
		return "", errNotAKey
	}
	// PRIVATE+KEY+<name>+<hash>+<base64 of one byte for the algorithm and the seed>, as NewSigner has checked.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(signer, "+", 5)[4])
	if err != nil {
		return "", errNotAKey
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errNotAKey
	}
	return note.NewEd25519VerifierKey(s.Name(), public)
}

// keyID names a key in messages.
func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }
