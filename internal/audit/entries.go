package audit

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"orgconsole/internal/database"
)

// entries holds the indexes of audit_events against the rows that were
// verified, where the store's own check takes longer than all the rest. It
// compares sums over the entries that an index should have and those it has,
// made with a random key of this process: they differ where the entries do, but
// for a chance of one in 2^64. A nil *entries compares nothing.
type entries struct {
	reader  database.EntryReader
	indexes []database.Index
	seed    maphash.Seed

	sums []uint64 // of each index, over the rows verified so far

	tree  string // of the rows that are read, with a line feed
	place string // of the row, with a line feed
	entry []byte
}

func newEntries(ctx context.Context, db *database.DB, tx *sql.Tx) (*entries, error) {
	reader := db.Entries()
	if reader == nil {
		return nil, nil
	}
	indexes, ok, err := reader.Indexes(ctx, tx)
	if err != nil || !ok {
		return nil, err
	}
	return &entries{reader: reader, indexes: indexes, seed: maphash.MakeSeed(), sums: make([]uint64, len(indexes))}, nil
}

// of is for a worker, which counts from nothing in the rows of one tree.
func (e *entries) of(tree int64) *entries {
	if e == nil {
		return nil
	}
	return &entries{reader: e.reader, indexes: e.indexes, seed: e.seed, sums: make([]uint64, len(e.indexes)), tree: strconv.FormatInt(tree, 10) + "\n"}
}

// take adds what a worker counted.
func (e *entries) take(sums []uint64) {
	if e != nil {
		for i, sum := range sums {
			e.sums[i] += sum
		}
	}
}

// selection is the query for the rows of some records.
func (e *entries) selection(tree, first, last int64) database.Selection {
	s := rowsSelection(tree, first, last)
	if e == nil {
		return s
	}
	from, key, place := e.reader.Rows()
	s.From = `FROM ` + from + ` WHERE ` + key + `.tree = ? AND ` + key + `.seq BETWEEN ? AND ? ORDER BY ` + key + `.seq`
	s.Numbers = append([]string{place, "e.tree"}, s.Numbers...)
	return s
}

// begin takes from what is packed of a row which one it is, and its tree, which it checks.
func (e *entries) begin(packed string) string {
	if e == nil {
		return packed
	}
	i := strings.IndexByte(packed, '\n') + 1
	e.place = packed[:i]
	rest, ok := strings.CutPrefix(packed[i:], e.tree)
	if !ok {
		return ""
	}
	return rest
}

// add adds the entries that a row should have.
func (e *entries) add(ev *Event, ms int64) {
	if e == nil {
		return
	}
	for i, index := range e.indexes {
		if index.Where != "" && !belongs(index.Key[1], ev) {
			continue
		}
		b := e.entry[:0]
		for _, column := range index.Key {
			switch column {
			case "id":
				b = append(append(b, ev.ID...), '\n')
			case "tree":
				b = append(b, e.tree...)
			case "operation_id":
				b = append(append(b, ev.OperationID...), '\n')
			case "actor_id":
				b = append(append(b, ev.Actor.MemberID...), '\n')
			case "seq":
				b = append(strconv.AppendInt(b, ev.Seq, 10), '\n')
			case "time":
				b = append(strconv.AppendInt(b, ms, 10), '\n')
			}
		}
		b = append(b, e.place...)
		e.entry = b
		e.sums[i] += maphash.Bytes(e.seed, e.entry)
	}
}

// belongs reports whether an event belongs in a partial index, which its second column tells from the others.
func belongs(second string, ev *Event) bool {
	switch second {
	case "operation_id":
		return ev.OperationID != ""
	case "actor_id":
		return ev.Action == ActionReview && "0-" <= ev.Target.ID && ev.Target.ID < "0."
	case "seq":
		return ev.Action == ActionPurge || ev.Action == ActionErase || ev.Action == ActionKeyChange
	}
	return true
}

// indexes holds the indexes of the store against its tables.
func (v *verification) indexes(ctx context.Context, tx *sql.Tx) error {
	var damage string
	var err error
	if v.entries != nil && !v.odd.Load() {
		if damage, err = v.entries.reader.DamageBeside(ctx, tx); err == nil && damage == "" {
			if v.entriesFit(ctx, tx) && (v.pages == nil || v.pages.TextsInOrder() == nil) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			// The store's own check has better words.
			damage, err = v.db.Damage(ctx, tx)
			if err == nil && damage == "" {
				damage = "an index of the events does not agree with them"
			}
		}
	} else {
		damage, err = v.db.Damage(ctx, tx)
	}
	if err != nil {
		return err
	}
	if damage != "" {
		return &TamperedError{Seq: -1, Problem: "the store is damaged: " + damage}
	}
	return nil
}

// entriesFit reports whether the indexes have the entries that they should.
func (v *verification) entriesFit(ctx context.Context, tx *sql.Tx) bool {
	e := v.entries
	txs := v.workers
	if len(txs) == 0 {
		txs = []*sql.Tx{tx}
	}
	todo := make(chan int, len(e.indexes))
	for i := range e.indexes {
		todo <- i
	}
	close(todo)
	all, ctx := errgroup.WithContext(ctx)
	for _, tx := range txs {
		all.Go(func() error {
			for i := range todo {
				sum := uint64(0)
				add := func(entry string) { sum += maphash.String(e.seed, entry) }
				var err error
				if v.pages != nil {
					err = v.pages.Entries(e.indexes[i], add)
				} else {
					err = e.reader.Each(ctx, tx, e.indexes[i], add)
				}
				if err != nil || sum != e.sums[i] {
					return errDifferent
				}
			}
			return nil
		})
	}
	return all.Wait() == nil
}

var errDifferent = errors.New("an index does not agree with its table")
