package database

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"

	"orgconsole/internal/database/sqlitefile"
)

// Pages reads the tables of the audit out of the file of an SQLite store (see
// package sqlitefile for why), as far as a transaction sees nothing but what is
// in the file. It is safe for concurrent use until that transaction ends.
type Pages struct {
	file    *sqlitefile.File
	roots   map[string]uint32
	readers sync.Pool // of *pageReaders
}

// pageReaders are what one goroutine reads with.
type pageReaders struct{ index, rows, texts *sqlitefile.Reader }

// storeFile is the main file of a store, open as long as the store is: where a process closes a file, the locks that
// SQLite has on it are gone.
type storeFile struct {
	*os.File
	path string
}

func openStoreFile(path string) (*storeFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &storeFile{f, path}, nil
}

// Pages returns nil where the transaction sees more than what is in the file, or where the tables are not ours to the letter.
//
// It reads one state: while a transaction reads past an empty write-ahead log, SQLite writes nothing to the file; see
// https://www.sqlite.org/walformat.html#reader_locks on WAL_READ_LOCK(0). That the log is empty now says that it was when
// the transaction began, as it is not emptied under a reader.
func (db *DB) Pages(ctx context.Context, tx *sql.Tx) (*Pages, error) {
	if db.file == nil {
		return nil, nil
	}
	// What a transaction wrote itself is nowhere yet. It begins with the first thing that it reads.
	var readsOnly bool
	if err := tx.QueryRowContext(ctx, `SELECT query_only FROM pragma_query_only`).Scan(&readsOnly); err != nil || !readsOnly {
		return nil, err
	}
	roots, err := rootsOfOurs(ctx, tx)
	if err != nil || roots == nil {
		return nil, err
	}
	p := &Pages{roots: roots}
	if somethingBeside(db.file.path) {
		return nil, nil
	}
	info, err := db.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at store: %w", err)
	}
	if p.file, err = sqlitefile.New(db.file, info.Size()); err != nil {
		return nil, err
	}
	p.readers.New = func() any { return &pageReaders{p.file.Reader(), p.file.Reader(), p.file.Reader()} }
	return p, nil
}

// The columns of the tables and of the key of audit_events, as they are stored. Bytes may be NULL.
const (
	keyShape    sqlitefile.Shape = "nnn"
	eventsShape sqlitefile.Shape = "nntTnttttttb"
	textsShape  sqlitefile.Shape = "nnTTTTTTTT"
)

// Texts calls each for the rows of audit_texts of some records of a tree, in
// their order. Packed has the place, the texts and the salts.
func (p *Pages) Texts(tree, first, last int64, each func(*StreamedRow)) error {
	r := p.readers.Get().(*pageReaders) //nolint:forcetypeassert // of New
	defer p.readers.Put(r)
	row := &StreamedRow{}
	var b []byte
	return r.texts.Index(p.roots["audit_texts"], &sqlitefile.Range{Key: tree, First: first, Last: last}, textsShape, func(v []sqlitefile.Value) error {
		b = appendPacked(b[:0], v[1:])
		row.Packed = string(b)
		each(row)
		return nil
	})
}

// appendPacked writes values as Stream packs them.
func appendPacked(b []byte, values []sqlitefile.Value) []byte {
	for i := range values {
		b = append(values[i].Append(b), '\n')
	}
	return b
}

// Events calls each for the rows of audit_events of some records of a tree, in
// the order of their key. Packed has which row it is, tree, place, time and the
// other columns, Plain has bytes and hashes.
func (p *Pages) Events(tree, first, last int64, each func(*StreamedRow)) error {
	r := p.readers.Get().(*pageReaders) //nolint:forcetypeassert // of New
	defer p.readers.Put(r)
	row := &StreamedRow{Plain: make([]string, 2), Null: make([]bool, 2)}
	events := p.roots["audit_events"]
	var b []byte
	return r.index.Index(p.roots[eventsKey], &sqlitefile.Range{Key: tree, First: first, Last: last}, keyShape, func(key []sqlitefile.Value) error {
		id := key[2].Number
		v, err := r.rows.Row(events, id, eventsShape)
		if err != nil {
			return err
		}
		// All in one, as it is so many.
		b = append(strconv.AppendInt(b[:0], id, 10), '\n')
		b = appendPacked(b, v[:2])
		b = appendPacked(b, v[4:5])
		b = appendPacked(b, v[2:3])
		b = appendPacked(b, v[5:11])
		packed := len(b)
		b = append(b, v[3].Bytes...)
		plain := len(b)
		all := string(append(b, v[11].Bytes...))
		row.Packed, row.Plain[0], row.Plain[1], row.Null[0] = all[:packed], all[packed:plain], all[plain:], v[3].Null
		each(row)
		return nil
	})
}

// Entries calls each with the entries of an index of audit_events, as EntryReader.Each does.
func (p *Pages) Entries(index Index, each func(entry string)) error {
	shape := sqlitefile.Shape("")
	for _, column := range index.Key {
		if isText(column) {
			shape += "t"
		} else {
			shape += "n"
		}
	}
	last := ""
	var b []byte
	return p.file.Reader().Index(p.roots[index.Name], nil, shape+"n", func(v []sqlitefile.Value) error {
		b = appendPacked(b[:0], v)
		entry := string(b)
		if last != "" && !inOrder(index, last, entry) {
			return fmt.Errorf("%w: %s", errNoOrder, index.Name)
		}
		last = entry
		each(entry)
		return nil
	})
}

// TextsInOrder is nil when the rows of audit_texts stand in order, all of them, so that whoever looks for one finds it.
func (p *Pages) TextsInOrder() error {
	var before [2]int64
	some := false
	return p.file.Reader().Index(p.roots["audit_texts"], nil, textsShape, func(v []sqlitefile.Value) error {
		place := [2]int64{v[0].Number, v[1].Number}
		if some && slices.Compare(place[:], before[:]) <= 0 {
			return fmt.Errorf("%w: audit_texts", errNoOrder)
		}
		some, before = true, place
		return nil
	})
}

// close closes what may be nil.
func (f *storeFile) close() error {
	if f == nil {
		return nil
	}
	return f.Close()
}
