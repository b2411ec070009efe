package audit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"orgconsole/internal/database"
)

// Copied says what a copy was made of, and what it is.
type Copied struct {
	From, To Report // with the same trees
	Target   string // name of the new store
}

// Copy verifies a store and copies it whole to the place of another one, which
// has to be empty and may be of the other kind. The copy is verified too before
// it is there for anybody: it has the same bytes, roots, checkpoints and proofs,
// and is the same store to whoever remembers a checkpoint of the old one.
//
// What is not intact is not copied: the error is that of Verify. Other errors
// to expect are database.ErrNotEmpty and database.ErrChanged. Any error leaves
// nothing but empty tables in the place of the new store.
func Copy(ctx context.Context, from *database.DB, targetURL, publicKey string, opts VerifyOptions) (Copied, error) {
	keys, err := parseKeys(publicKey)
	if err != nil {
		return Copied{}, fmt.Errorf("copy store: %w", err)
	}
	var source, target *verification
	var name string
	err = database.Copy(ctx, from, targetURL, func(db *database.DB, tx *sql.Tx) error {
		v := newVerification(db, keys, opts)
		if err := v.run(ctx, db, tx); err != nil {
			return fmt.Errorf("verify %s: %w", db.Name(), damage(err))
		}
		if db == from {
			source = v
			return nil
		}
		target, name = v, db.Name()
		if !slices.Equal(source.report.Trees, target.report.Trees) {
			return fmt.Errorf("verify %s: it has not the trees of %s", name, from.Name())
		}
		return nil
	})
	if err != nil {
		return Copied{}, fmt.Errorf("copy store: %w", err)
	}
	for _, v := range []*verification{source, target} {
		v.report.NotRemembered = v.memory.write(v.trees)
	}
	return Copied{From: source.report, To: target.report, Target: name}, nil
}
