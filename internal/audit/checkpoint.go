package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is what is signed of a tree, in the text form of https://c2sp.org/tlog-checkpoint.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

func (c checkpoint) text() string { return fmt.Sprintf("%s\n%d\n%s\n", c.origin, c.size, c.root) }

func (c checkpoint) sign(signers ...note.Signer) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, signers...)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	return string(signed), nil
}

// openCheckpoint checks the signature of a checkpoint and reads it. Its errors
// say what is wrong as the end of a sentence about the checkpoint.
func openCheckpoint(signed string, verifier note.Verifier) (checkpoint, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		by := "no key that has a name"
		if sigs := unverified.Note.UnverifiedSigs; len(sigs) > 0 {
			by = keyID(sigs[0].Name, sigs[0].Hash)
		}
		return checkpoint{}, fmt.Errorf("%w: it is signed by %s, and the key given is %s", ErrWrongKey, by, keyID(verifier.Name(), verifier.KeyHash()))
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("its signature does not fit its text: %w", err)
	}
	if name, hash, _ := firstSigner(signed); !isSignedFirst(signed, verifier) {
		return checkpoint{}, fmt.Errorf("%w: it is signed by %s, to which the key given, %s, was changed", ErrWrongKey, keyID(name, hash), keyID(verifier.Name(), verifier.KeyHash()))
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return checkpoint{}, errors.New("it has not three lines")
	}
	c := checkpoint{origin: lines[0]}
	if c.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.size < 0 {
		return checkpoint{}, errors.New("its second line is no size")
	}
	if c.root, err = parseHash(lines[2]); err != nil {
		return checkpoint{}, errors.New("its third line is no root hash")
	}
	if c.text() != n.Text {
		return checkpoint{}, errors.New("it is not spelled as ours are")
	}
	return c, nil
}

func parseHash(s string) (tlog.Hash, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != tlog.HashSize {
		return tlog.Hash{}, errors.New("not a hash")
	}
	return tlog.Hash(b), nil
}
