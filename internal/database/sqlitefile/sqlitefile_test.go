package sqlitefile_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // what writes the files

	"orgconsole/internal/database/sqlitefile"
)

const (
	tableShape sqlitefile.Shape = "nntTb"
	indexShape sqlitefile.Shape = "nnn"
)

// made is a database of rows with numbers of every width and texts of every length, and what was written to it.
type made struct {
	data              []byte
	table, index, key uint32              // roots; key is a table WITHOUT ROWID that has the same rows
	rows              map[int64][5]any    // by their rowid
	places            map[[2]int64]string // a and b to how a row of key looks
}

func makeDatabase(tb testing.TB, pageSize, rows, longest int) made {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "made.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(q string, args ...any) {
		if _, err := db.ExecContext(tb.Context(), q, args...); err != nil {
			tb.Fatal(err)
		}
	}
	exec(fmt.Sprintf(`PRAGMA page_size = %d`, pageSize))
	exec(`CREATE TABLE t (a INTEGER, b INTEGER, c TEXT, d TEXT, e BLOB);
		CREATE INDEX i ON t (a, b);
		CREATE TABLE k (a INTEGER, b INTEGER, c TEXT, d TEXT, e BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID`)
	m := made{rows: make(map[int64][5]any), places: make(map[[2]int64]string)}
	random := rand.New(rand.NewPCG(1, 2))
	tx, err := db.BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	numbers := []int64{0, 1, -1, 127, 128, -128, -129, 1 << 15, -1 << 15, 1<<23 - 1, -1 << 23, 1 << 31, -1 << 31, 1 << 47, -1 << 47, math.MaxInt64, math.MinInt64}
	for n := range rows {
		b := random.Int64() >> random.IntN(64)
		if n < len(numbers) {
			b = numbers[n]
		}
		row := [5]any{int64(n % 3), b, strings.Repeat("ü", random.IntN(longest>>random.IntN(13)+1)), nil, bytes.Repeat([]byte{byte(n)}, random.IntN(40))}
		if n%4 > 0 {
			row[3] = fmt.Sprint("text ", n)
		}
		place := [2]int64{int64(n % 3), b}
		if m.places[place] != "" {
			continue
		}
		id := int64(n) * int64(1+random.IntN(2)) // with gaps
		if m.rows[id] != [5]any{} {
			continue
		}
		for _, q := range []string{`INSERT INTO t (a, b, c, d, e, rowid) VALUES (?, ?, ?, ?, ?, ?)`, `INSERT INTO k VALUES (?, ?, ?, ?, ?)`} {
			args := append(slices.Clone(row[:]), id)
			if _, err := tx.ExecContext(context.Background(), q, args[:strings.Count(q, "?")]...); err != nil {
				tb.Fatal(err)
			}
		}
		if n%5 == 4 { // so that there are pages that nobody uses
			for _, q := range []string{`DELETE FROM t WHERE a = ? AND b = ?`, `DELETE FROM k WHERE a = ? AND b = ?`} {
				if _, err := tx.ExecContext(context.Background(), q, row[0], row[1]); err != nil {
					tb.Fatal(err)
				}
			}
			continue
		}
		m.rows[id], m.places[place] = row, look(row[:]...)
	}
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
	for name, root := range map[string]*uint32{"t": &m.table, "i": &m.index, "k": &m.key} {
		if err := db.QueryRowContext(tb.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = ?`, name).Scan(root); err != nil {
			tb.Fatal(err)
		}
	}
	db.Close()
	if m.data, err = os.ReadFile(path); err != nil {
		tb.Fatal(err)
	}
	return m
}

func (m *made) open(tb testing.TB) *sqlitefile.File {
	tb.Helper()
	f, err := sqlitefile.New(bytes.NewReader(m.data), int64(len(m.data)))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// look is how values look that Append writes.
func look(values ...any) string {
	var all []string
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			all = append(all, "\x00")
		case []byte:
			all = append(all, string(v))
		default:
			all = append(all, fmt.Sprint(v))
		}
	}
	return strings.Join(all, "\n")
}

func lookAt(values []sqlitefile.Value) string {
	var all []string
	for i := range values {
		all = append(all, string(values[i].Append(nil)))
	}
	return strings.Join(all, "\n")
}

func TestReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, pageSize := range []int{512, 4096, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			t.Parallel()
			m := makeDatabase(t, pageSize, 3000, 4096)
			f := m.open(t)
			places := slices.SortedFunc(mapKeys(m.places), func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
			for _, of := range []*sqlitefile.Range{
				nil,
				{Key: 1, First: math.MinInt64, Last: math.MaxInt64},
				{Key: 0, First: -100, Last: 1 << 40},
				{Key: 2, First: 5, Last: 4},
				{Key: 3, Last: math.MaxInt64},
				{Key: -1, Last: 5},
				{Key: places[10][0], First: places[10][1], Last: places[10][1]},
			} {
				var want, got, rows []string
				for _, p := range places {
					if of == nil || p[0] == of.Key && of.First <= p[1] && p[1] <= of.Last {
						want = append(want, m.places[p])
					}
				}
				if err := f.Reader().Index(m.key, of, tableShape, func(v []sqlitefile.Value) error {
					got = append(got, lookAt(v))
					return nil
				}); err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v: %d of the table WITHOUT ROWID, want %d; %v", of, len(got), len(want), err)
				}
				table := f.Reader()
				if err := f.Reader().Index(m.index, of, indexShape, func(v []sqlitefile.Value) error {
					row, err := table.Row(m.table, v[2].Number, tableShape)
					rows = append(rows, lookAt(row))
					return err
				}); err != nil || !slices.Equal(rows, want) {
					t.Errorf("%+v: %d rows by the index, want %d; %v", of, len(rows), len(want), err)
				}
			}
			table := f.Reader()
			for id := int64(-3); id < 6010; id++ {
				row, err := table.Row(m.table, id, tableShape)
				if want, ok := m.rows[id]; ok && (err != nil || lookAt(row) != look(want[:]...)) || !ok && !errors.Is(err, sqlitefile.ErrFormat) {
					t.Fatalf("row %d, there %v: %.200q, %v", id, ok, lookAt(row), err)
				}
			}
		})
	}
}

func mapKeys[K comparable, V any](m map[K]V) func(yield func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestEndsWithTheError(t *testing.T) {
	t.Parallel()
	m := makeDatabase(t, 512, 300, 4096)
	stop, n := errors.New("enough"), 0
	err := m.open(t).Reader().Index(m.key, nil, tableShape, func([]sqlitefile.Value) error {
		if n++; n == 7 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 7 {
		t.Errorf("Index: %v after %d", err, n)
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	m := makeDatabase(t, 4096, 100, 4096)
	f := m.open(t)
	for shape, ok := range map[sqlitefile.Shape]bool{
		"nntTb": true, "nntTT": false, "nnttb": false, "nnbTb": false, "ntTTb": false, "nntnb": false, "nntT": false, "nntTbn": false, "": false, "nntTB": false,
	} {
		n := 0
		err := f.Reader().Index(m.key, nil, shape, func([]sqlitefile.Value) error {
			n++
			return nil
		})
		if ok != (err == nil) || err != nil && !errors.Is(err, sqlitefile.ErrFormat) || n == 0 && ok {
			t.Errorf("%q: %d records, %v", shape, n, err)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	m := makeDatabase(t, 4096, 10, 4096)
	for name, change := range map[string]func(b []byte) []byte{
		"UTF-16":                  func(b []byte) []byte { b[59] = 2; return b },
		"a page of 3 bytes":       func(b []byte) []byte { b[16], b[17] = 0, 3; return b },
		"a page with no room":     func(b []byte) []byte { b[16], b[17], b[20] = 2, 0, 100; return b },
		"half a page at the end":  func(b []byte) []byte { return b[:len(b)-2048] },
		"not even a whole header": func(b []byte) []byte { return b[:99] },
	} {
		b := change(slices.Clone(m.data))
		if f, err := sqlitefile.New(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// A row can stand in a leaf where SQLite, which goes down from the root, does not find it.
func TestRowIsTheOneThatSQLiteFinds(t *testing.T) {
	t.Parallel()
	m := makeDatabase(t, 512, 1000, 8)
	root := m.data[(m.table-1)*512:]
	for root[0] != 0x05 {
		t.Fatal("the table is too small")
	}
	// The last row of a leaf is called as the first one of the next.
	leaf := leftmost(m.data, m.table)
	cells := int(binary.BigEndian.Uint16(leaf[3:]))
	last := leaf[binary.BigEndian.Uint16(leaf[8+2*(cells-1):]):]
	skip := 1
	for last[skip-1] >= 0x80 {
		skip++
	}
	id := int64(last[skip])
	next := id + 1
	for m.rows[next] == [5]any{} {
		next++
	}
	if next > 127 {
		t.Fatal("the leaf is too large")
	}
	last[skip] = byte(next)
	r := m.open(t).Reader()
	for _, id := range []int64{0, next, 0} {
		want := m.rows[id]
		row, err := r.Row(m.table, id, tableShape)
		if err == nil && lookAt(row) != look(want[:]...) || err != nil && !errors.Is(err, sqlitefile.ErrFormat) {
			t.Errorf("row %d: %.100q, %v", id, lookAt(row), err)
		}
	}
	if _, err := r.Row(m.table, 0, tableShape); err == nil {
		t.Error("a leaf with a row that stands elsewhere was read")
	}
}

// What stands in another order than it should may be found here and not by SQLite, which looks at other places first.
func TestOrder(t *testing.T) {
	t.Parallel()
	swap := func(leaf []byte) {
		leaf[8], leaf[9], leaf[10], leaf[11] = leaf[10], leaf[11], leaf[8], leaf[9]
	}
	m := makeDatabase(t, 512, 1000, 8)
	first := slices.Sorted(mapKeys(m.rows))
	swap(leftmost(m.data, m.table))
	for _, row := range first[:5] {
		if _, err := m.open(t).Reader().Row(m.table, row, tableShape); !errors.Is(err, sqlitefile.ErrFormat) {
			t.Errorf("row %d: %v, want ErrFormat", row, err)
		}
	}
	swap(leftmost(m.data, m.index))
	var last int64
	err := m.open(t).Reader().Index(m.index, &sqlitefile.Range{Key: 0, First: math.MinInt64, Last: math.MaxInt64}, indexShape, func(v []sqlitefile.Value) error {
		last = v[1].Number
		return nil
	})
	if !errors.Is(err, sqlitefile.ErrFormat) {
		t.Errorf("Index to %d: %v, want ErrFormat", last, err)
	}
}

// leftmost is the first leaf of a table or an index.
func leftmost(data []byte, number uint32) []byte {
	for {
		page := data[(number-1)*512 : number*512]
		if page[0] != 0x05 && page[0] != 0x02 {
			return page
		}
		number = binary.BigEndian.Uint32(page[binary.BigEndian.Uint16(page[12:]):])
	}
}

// A tree can have more leaves than there are pages, where many lead to one. Reading them all would take for ever.
func TestTreeThatIsLargerThanItsFile(t *testing.T) {
	t.Parallel()
	m := makeDatabase(t, 512, 3000, 4096)
	root := m.data[(m.index-1)*512 : m.index*512]
	if root[0] != 0x02 {
		t.Fatal("the index is too small")
	}
	// All children of the root are one page, that has such children, and so on, down to a leaf with nothing.
	empty := uint32(0)
	const deep = 12
	for level, number := 0, m.index; level < deep; level++ {
		page := m.data[(number-1)*512 : number*512]
		next := uint32(len(m.data)/512) + 1
		m.data = append(m.data, page...)
		page = m.data[(number-1)*512 : number*512]
		binary.BigEndian.PutUint32(page[8:], next)
		for i := range int(binary.BigEndian.Uint16(page[3:])) {
			binary.BigEndian.PutUint32(page[binary.BigEndian.Uint16(page[12+2*i:]):], next)
		}
		number, empty = next, next
	}
	leaf := m.data[(empty-1)*512 : empty*512]
	clear(leaf)
	leaf[0] = 0x0a
	n := 0
	err := m.open(t).Reader().Index(m.index, nil, indexShape, func([]sqlitefile.Value) error {
		n++
		return nil
	})
	if !errors.Is(err, sqlitefile.ErrFormat) || n > len(m.data) {
		t.Errorf("Index: %v after %d records", err, n)
	}
}
