package audit

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// targetKey is the type of the target of a change of keys: the public half of the new one.
const targetKey = "audit_key"

// oldKey is a key that signed before.
type oldKey struct {
	public   string
	verifier note.Verifier
	signer   note.Signer // nil when only its public half is known
}

// PublicHalf returns the public half of a key, of which either half is given.
func PublicHalf(key string) (string, error) {
	if _, err := note.NewVerifier(key); err == nil {
		return key, nil
	}
	return PublicKey(key)
}

func newOldKey(key string) (k oldKey, err error) {
	if k.public, err = PublicHalf(key); err != nil {
		return k, errNotAKey
	}
	if k.verifier, err = note.NewVerifier(k.public); err != nil {
		return k, errNotAKey
	}
	if k.public != key {
		k.signer, err = note.NewSigner(key)
	}
	return k, err
}

// signers sign a checkpoint, the one whose key it is first.
func (l *Log) signers() []note.Signer {
	if l.cosigner == nil {
		return []note.Signer{l.signer}
	}
	return []note.Signer{l.signer, l.cosigner}
}

// firstSigner tells whose checkpoint it is. Where two keys signed, the second
// is the old one: who has only that must not go on.
func firstSigner(signed string) (name string, hash uint32, ok bool) {
	i := strings.LastIndex(signed, "\n\n")
	if i < 0 {
		return "", 0, false
	}
	line, _, _ := strings.Cut(signed[i+2:], "\n")
	rest, isSignature := strings.CutPrefix(line, "— ")
	name, encoded, found := strings.Cut(rest, " ")
	b, err := base64.StdEncoding.DecodeString(encoded)
	if !isSignature || !found || err != nil || len(b) < 4 {
		return "", 0, false
	}
	return name, binary.BigEndian.Uint32(b), true
}

func isSignedFirst(signed string, v note.Verifier) bool {
	name, hash, ok := firstSigner(signed)
	return ok && name == v.Name() && hash == v.KeyHash()
}

// takeOver changes the key of a store that an old key signed: in one
// transaction each tree gets an event that says so, under a checkpoint that
// both keys sign. A store that is signed by anything else is left to the check
// that follows.
func (l *Log) takeOver(ctx context.Context, tx *sql.Tx, trees []*tree) ([]*tree, error) {
	if l.oldKeyOf(trees[0]) == nil {
		return trees, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE audit_trees SET size = size`); err != nil {
		return nil, fmt.Errorf("lock trees: %w", err)
	}
	trees, err := readTrees(ctx, tx)
	if err != nil {
		return nil, err
	}
	old := l.oldKeyOf(trees[0])
	switch {
	case old == nil: // another process was faster
		return trees, nil
	case old.signer == nil:
		return nil, trees[0].tampered(ErrWrongKey, "checkpoint: it is signed by the old key %s, whose private half is needed to change to %s",
			keyID(old.verifier.Name(), old.verifier.KeyHash()), keyID(l.verifier.Name(), l.verifier.KeyHash()))
	}
	present := make(map[string]bool, len(trees))
	for _, t := range trees {
		// All of them: the change is one transaction, so a tree that is ahead or behind was put there.
		if err := t.check(old.verifier, hashesOf(ctx, tx, t)); err != nil {
			return nil, err
		}
		present[t.origin] = true
	}
	if err := missingTree(ctx, tx, trees[0], func(origin string) bool { return present[origin] }); err != nil {
		return nil, err
	}
	both := *l
	both.verifier, both.cosigner = old.verifier, old.signer
	for _, t := range trees {
		root, err := parseHash(t.root)
		if err != nil {
			return nil, err
		}
		sig, err := old.signer.Sign([]byte(handover(checkpoint{t.origin, t.size, root}, l.public)))
		if err != nil {
			return nil, fmt.Errorf("sign change of keys: %w", err)
		}
		_, err = both.add(ctx, tx, t, Event{
			OrganizationID: t.organizationID, Action: ActionKeyChange, Phase: PhaseInfo, Actor: Actor{System: true},
			Target: Target{Type: targetKey, ID: l.public}, Detail: old.public + " " + base64.StdEncoding.EncodeToString(sig),
		})
		if err != nil {
			return nil, fmt.Errorf("change key: %w", err)
		}
	}
	return readTrees(ctx, tx)
}

// oldKeyOf is the old key that signed the tree, or nil.
func (l *Log) oldKeyOf(t *tree) *oldKey {
	i := slices.IndexFunc(l.old, func(k oldKey) bool { return isSignedFirst(t.note.String, k.verifier) })
	if i < 0 || isSignedFirst(t.note.String, l.verifier) {
		return nil
	}
	return &l.old[i]
}

// handover is what an old key signs of the tree as it leaves it, so that whoever trusts it can trust the new one.
func handover(c checkpoint, newPublic string) string {
	return "orgconsole-audit key change\n" + c.text() + newPublic + "\n"
}

// keyChange is a change of keys as its event has it.
type keyChange struct {
	seq       int64
	id        string
	from, to  note.Verifier
	old, new  string // their public halves
	signature []byte
}

// parseKeyChange returns nil for an event that is none.
func parseKeyChange(ev *Event) *keyChange {
	if ev.Action != ActionKeyChange || ev.Target.Type != targetKey {
		return nil
	}
	old, encoded, _ := strings.Cut(ev.Detail, " ")
	sig, err := base64.StdEncoding.DecodeString(encoded)
	from, err2 := note.NewVerifier(old)
	to, err3 := note.NewVerifier(ev.Target.ID)
	if errors.Join(err, err2, err3) != nil {
		return nil
	}
	return &keyChange{seq: ev.Seq, id: ev.ID, from: from, to: to, old: old, new: ev.Target.ID, signature: sig}
}

// holds reports whether the old key signed the change, of the tree as it then was.
func (k *keyChange) holds(origin string, root tlog.Hash) bool {
	return k.from.Verify([]byte(handover(checkpoint{origin, k.seq, root}, k.new)), k.signature)
}

// changeKey takes up a change of keys in the course of verification.
func (w *walk) changeKey(ev *Event) error {
	k := parseKeyChange(ev)
	if k == nil {
		return nil
	}
	if !k.holds(w.t.origin, w.edge.root()) {
		return w.bad(ev.Seq, ev.ID, "the old key did not sign this change of keys")
	}
	if n := len(w.changes); n > 0 && w.changes[n-1].new != k.old {
		return w.bad(ev.Seq, ev.ID, "it changes another key than the one changed to before")
	}
	w.changes = append(w.changes, k)
	return nil
}

// keyChanges holds the changes of a tree against those that the system tree had since it listed the tree.
func (v *verification) keyChanges(t *tree, listed int64) error {
	system := v.changes[v.trees[0].origin]
	first, _ := slices.BinarySearchFunc(system, listed, func(k *keyChange, seq int64) int { return int(min(max(k.seq-seq, -1), 1)) })
	same := func(a, b *keyChange) bool { return a.old == b.old && a.new == b.new }
	if !slices.EqualFunc(v.changes[t.origin], system[first:], same) {
		return t.tampered(nil, "its changes of keys are not those of the system tree")
	}
	return nil
}

// chooseKey finds, of the keys given, the one that signed the store. The
// others may only be those that were changed to it: a key that is given and
// not recorded is one that a store was taken back from.
func (v *verification) chooseKey(ctx context.Context, tx *sql.Tx) error {
	system := v.trees[0]
	if err := system.loadCover(ctx, tx); err != nil {
		return err
	}
	i := slices.IndexFunc(v.keys, func(k oldKey) bool { return isSignedFirst(system.note.String, k.verifier) })
	if i < 0 {
		v.key = v.keys[0].verifier
		return v.changedTo(ctx, tx, system)
	}
	v.key, v.memory.key, v.memory.text = v.keys[i].verifier, v.keys[i].verifier, v.keys[i].public
	for j, k := range v.keys {
		if i != j && !slices.ContainsFunc(system.cover.keys, func(c *keyChange) bool { return c.old == k.public }) {
			return system.tampered(ErrWrongKey, "checkpoint: it is signed by %s, and no record says that %s, which is given too, was ever changed to another key",
				keyID(v.key.Name(), v.key.KeyHash()), keyID(k.verifier.Name(), k.verifier.KeyHash()))
		}
	}
	return nil
}

// changedTo says where a key that is given was changed, when the old key itself says so; else nil.
func (v *verification) changedTo(ctx context.Context, tx *sql.Tx, system *tree) error {
	for _, change := range system.cover.keys {
		if !slices.ContainsFunc(v.keys, func(k oldKey) bool { return k.public == change.old }) {
			continue
		}
		hashes := hashesOf(ctx, tx, system)
		root, err := tlog.TreeHash(change.seq, hashes)
		if hashes.err != nil {
			return hashes.err
		}
		if err == nil && change.holds(system.origin, root) {
			return &TamperedError{
				Seq: change.seq, ID: change.id, Err: ErrWrongKey,
				Problem: fmt.Sprintf("the key was changed here from %s, which is given, to %s: give the public half of that one, too",
					keyID(change.from.Name(), change.from.KeyHash()), keyID(change.to.Name(), change.to.KeyHash())),
			}
		}
	}
	return nil
}

// parseKeys reads public keys separated by commas.
func parseKeys(text string) ([]oldKey, error) {
	var keys []oldKey
	for field := range strings.SplitSeq(text, ",") {
		k, err := newOldKey(strings.TrimSpace(field))
		if err != nil || k.signer != nil {
			return nil, errors.New("the public key is not one of an audit log")
		}
		keys = append(keys, k)
	}
	return keys, nil
}
