package audit_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
)

// hostilePages is an SQLite store whose pages somebody edits.
type hostilePages struct {
	*store
	path string
	data []byte
	page int
}

func (h *hostilePages) read(tb testing.TB) {
	tb.Helper()
	h.path = strings.TrimPrefix(h.URL, "sqlite://")
	var err error
	if h.data, err = os.ReadFile(h.path); err != nil {
		tb.Fatal(err)
	}
	h.page = int(binary.BigEndian.Uint16(h.data[16:]))
}

func (h *hostilePages) write(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile(h.path, h.data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// at is a page.
func (h *hostilePages) at(number uint32) []byte {
	return h.data[int(number-1)*h.page : int(number)*h.page]
}

// root is where a table or an index begins.
func (h *hostilePages) root(tb testing.TB, name string) (number uint32) {
	tb.Helper()
	shell := h.Shell(tb)
	defer shell.Close()
	if err := shell.QueryRowContext(tb.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = ?`, name).Scan(&number); err != nil {
		tb.Fatal(err)
	}
	return number
}

// leaves are the leaves below a page, in order.
func (h *hostilePages) leaves(number uint32) (all []uint32) {
	p := h.at(number)
	if p[0] == 0x0a || p[0] == 0x0d {
		return []uint32{number}
	}
	for i := range int(binary.BigEndian.Uint16(p[3:])) {
		all = append(all, h.leaves(binary.BigEndian.Uint32(p[binary.BigEndian.Uint16(p[12+2*i:]):]))...)
	}
	return append(all, h.leaves(binary.BigEndian.Uint32(p[8:]))...)
}

// cells are those of a leaf, each to the end of the page.
func cells(leaf []byte) (all [][]byte) {
	for i := range int(binary.BigEndian.Uint16(leaf[3:])) {
		all = append(all, leaf[binary.BigEndian.Uint16(leaf[8+2*i:]):])
	}
	return all
}

// add puts a cell into a leaf, and reports whether there is room.
func add(leaf []byte, at int, cell []byte) bool {
	n, start := int(binary.BigEndian.Uint16(leaf[3:])), int(binary.BigEndian.Uint16(leaf[5:]))
	if start -= len(cell); start < 8+2*n+2 {
		return false
	}
	copy(leaf[start:], cell)
	copy(leaf[8+2*at+2:8+2*n+2], leaf[8+2*at:8+2*n])
	binary.BigEndian.PutUint16(leaf[8+2*at:], uint16(start))
	binary.BigEndian.PutUint16(leaf[3:], uint16(n+1))
	binary.BigEndian.PutUint16(leaf[5:], uint16(start))
	return true
}

// What a page reader finds, and SQLite does not, or the other way round, is not intact.
func TestVerifyWhereSQLiteAndThePagesDiffer(t *testing.T) {
	t.Parallel()
	const writable = `PRAGMA writable_schema = ON; `
	const hidden = `WHERE NOT (tree = 2 AND seq BETWEEN 100 AND 199)`
	const columns = `(tree, seq, id, bytes, time, action, phase, operation_id, outcome, actor_id, target_id, hashes)`
	bySQL := func(sql string) func(t *testing.T, h *hostilePages) {
		return func(t *testing.T, h *hostilePages) {
			t.Helper()
			h.tamper(t, sql)
		}
	}
	base := newStore(t)
	if err := base.log.Fill(t.Context(), acme, 3000, func(n int) audit.Event { return deletion(acme, n) }); err != nil {
		t.Fatal(err)
	}
	base.db.Close()
	for name, attack := range map[string]func(t *testing.T, h *hostilePages){
		// SQLite takes the last of several definitions of one name.
		"another index of ids": bySQL(`CREATE TABLE more (id TEXT UNIQUE) STRICT; INSERT INTO more (rowid, id) SELECT rowid, id FROM audit_events ` + hidden + `; ` + writable +
			`INSERT INTO sqlite_schema SELECT 'index', 'sqlite_autoindex_audit_events_1', 'zzz', rootpage, NULL FROM sqlite_schema WHERE name = 'sqlite_autoindex_more_1'`),
		"another index of places": bySQL(`CREATE TABLE more (a INTEGER, b INTEGER, UNIQUE (a, b)) STRICT; INSERT INTO more (rowid, a, b) SELECT rowid, tree, seq FROM audit_events ` + hidden + `; ` + writable +
			`INSERT INTO sqlite_schema SELECT 'index', 'sqlite_autoindex_audit_events_2', 'zzz', rootpage, NULL FROM sqlite_schema WHERE name = 'sqlite_autoindex_more_1'`),
		"other texts": bySQL(`CREATE TABLE more (tree INTEGER NOT NULL, seq INTEGER NOT NULL, a TEXT, b TEXT, c TEXT, d TEXT, e TEXT, f TEXT, g TEXT, h TEXT, PRIMARY KEY (tree, seq)) STRICT, WITHOUT ROWID;
			INSERT INTO more SELECT * FROM audit_texts ` + hidden + `; ` + writable +
			`INSERT INTO sqlite_schema SELECT 'index', 'sqlite_autoindex_audit_texts_1', 'zzz', rootpage, NULL FROM sqlite_schema WHERE name = 'more'`),
		// An index of all columns is the one that queries use.
		"an index of a table in capitals": bySQL(`CREATE TABLE more AS SELECT * FROM audit_events WHERE 0; INSERT INTO more (rowid, ` + columns[1:] + ` SELECT rowid, * FROM audit_events ` + hidden + `;
			CREATE INDEX its ON more ` + columns + `; CREATE INDEX mine ON AUDIT_EVENTS ` + columns + `; ` + writable + `UPDATE sqlite_schema SET tbl_name = 'AUDIT_EVENTS' WHERE name = 'mine';
			UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'its') WHERE name = 'mine'`),
		"a definition that ends in the middle": bySQL(writable + `UPDATE sqlite_schema SET sql = replace(sql, ' WHERE', ' --' || char(0) || char(10) || ' WHERE') WHERE name = 'audit_events_covering'`),
		"entries of nothing in the key's index": func(t *testing.T, h *hostilePages) {
			t.Helper()
			done := false
			for _, number := range h.leaves(h.root(t, "sqlite_autoindex_audit_events_2")) {
				leaf := h.at(number)
				for i, cell := range cells(leaf) {
					// Length, that of the header, and the kinds of tree, place and row, before tree 2 and place 2048, where a chunk begins.
					if cell[1] != 4 || cell[2] != 1 || cell[3] != 2 || cell[5] != 2 || binary.BigEndian.Uint16(cell[6:]) != 2048 {
						continue
					}
					for range 26 {
						done = add(leaf, i, []byte{5, 4, 9, 8, 1, 1}) // tree 1, place 0, row 1
					}
					break
				}
			}
			if !done {
				t.Fatal("there is no such entry, or no room")
			}
			h.write(t)
		},
		// SQLite takes the second byte for a kind, where it knows that one is enough.
		"a length of two bytes": func(t *testing.T, h *hostilePages) {
			t.Helper()
			for _, number := range h.leaves(h.root(t, "sqlite_autoindex_audit_events_1")) {
				leaf := h.at(number)
				n := len(cells(leaf))
				middle := (n - 1) / 2
				cell := cells(leaf)[middle]
				longer := append([]byte{cell[0] + 1, 0x80, 4}, cell[2:int(cell[0])+1]...)
				start := int(binary.BigEndian.Uint16(leaf[5:])) - len(longer)
				if cell[1] != 3 || start < 8+2*n {
					continue
				}
				copy(leaf[start:], longer)
				binary.BigEndian.PutUint16(leaf[8+2*middle:], uint16(start))
				binary.BigEndian.PutUint16(leaf[5:], uint16(start))
				h.write(t)
				return
			}
			t.Fatal("there is no room anywhere")
		},
		"a leaf after the last page": func(t *testing.T, h *hostilePages) {
			t.Helper()
			root := h.at(h.root(t, "audit_events"))
			child := root[binary.BigEndian.Uint16(root[12:]):]
			h.data = append(h.data, h.at(binary.BigEndian.Uint32(child))...)
			root = h.at(h.root(t, "audit_events"))
			child = root[binary.BigEndian.Uint16(root[12:]):]
			binary.BigEndian.PutUint32(child, uint32(len(h.data)/h.page))
			h.write(t)
		},
		"rows out of order": func(t *testing.T, h *hostilePages) {
			t.Helper()
			for _, number := range h.leaves(h.root(t, "audit_events"))[20:] {
				leaf := h.at(number)
				if n := len(cells(leaf)); n > 2 && add(leaf, n/2, []byte{0, 1, 0, 0}) { // row 1
					h.write(t)
					return
				}
			}
			t.Fatal("there is no room anywhere")
		},
		"a link to a store with a log": func(t *testing.T, h *hostilePages) {
			t.Helper()
			there := filepath.Join(filepath.Dir(h.path), "there.db")
			if err := errors.Join(os.Rename(h.path, there), os.Symlink("there.db", h.path)); err != nil {
				t.Fatal(err)
			}
			shell := h.Shell(t)
			defer shell.Close()
			if _, err := shell.ExecContext(t.Context(), `PRAGMA wal_autocheckpoint = 0; DELETE FROM audit_events WHERE tree = 2 AND seq BETWEEN 100 AND 199`); err != nil {
				t.Fatal(err)
			}
			log, err := os.ReadFile(there + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			shell.Close()
			if err := errors.Join(os.WriteFile(there, h.data, 0o600), os.WriteFile(there+"-wal", log, 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hostilePages{store: &store{Store: base.Copy(t), public: base.public}}
			h.read(t)
			if err := h.verifyFile(t, ""); err != nil {
				t.Fatal(err)
			}
			attack(t, h)
			if err := h.verifyFile(t, ""); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("Verify: %v, want ErrTampered", err)
			}
		})
	}
}

// What SQLite would take back when the store is opened for writing is not the state that counts.
func TestVerifyBesideAJournal(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	s.db.Close()
	if err := os.WriteFile(strings.TrimPrefix(s.URL, "sqlite://")+"-journal", []byte("anything"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := database.OpenReadOnly(t.Context(), s.URL)
	if err == nil {
		db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "console.db-journal") {
		t.Errorf("OpenReadOnly: %v", err)
	}
}
