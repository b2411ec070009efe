package handlers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"orgconsole/internal/audit"
	"orgconsole/web/templates"
)

// signedHead is what a checkpoint says, read from its note. Only Verify and
// the proofs check the signature: this is for showing.
type signedHead struct {
	origin string
	size   int64
	root   string // base64
	signer string // name and id of the key, as the public key begins
}

func readHead(note string) (signedHead, error) {
	body, signature, found := strings.Cut(note, "\n\n")
	lines := strings.Split(body, "\n")
	if !found || len(lines) < 3 {
		return signedHead{}, errors.New("read checkpoint: it is no signed note")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return signedHead{}, fmt.Errorf("read checkpoint: %w", err)
	}
	h := signedHead{origin: lines[0], size: size, root: lines[2]}
	if words := strings.Fields(signature); len(words) >= 3 {
		if id, err := base64.StdEncoding.DecodeString(words[2]); err == nil && len(id) > 4 {
			h.signer = fmt.Sprintf("%s+%08x", words[1], id[:4])
		}
	}
	return h, nil
}

// addProof puts the organization's newest checkpoint into the footer, and
// returns how many records it is of: 0 where nothing was recorded yet.
func (s *Server) addProof(ctx context.Context, a *actor, page *templates.Page) (int64, error) {
	note, err := s.audit.Checkpoint(ctx, a.Session.OrganizationID)
	if errors.Is(err, audit.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	head, err := readHead(note)
	if err != nil {
		return 0, &audit.TamperedError{Tree: a.Session.OrganizationID, Seq: -1, Problem: err.Error(), Err: err}
	}
	page.Proof = &templates.Proof{Records: thousands(int(head.size)), Root: shortRoot(head.root), Note: note}
	return head.size, nil
}

// shortRoot is enough of a root to write down and compare: 96 of its bits, more
// than somebody can search through who rewrites history until they fit.
func shortRoot(root string) string { return root[:min(len(root), 16)] }
