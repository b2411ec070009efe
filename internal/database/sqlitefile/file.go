package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrFormat says that something is not as SQLite writes it.
var ErrFormat = errors.New("the file is not as SQLite writes it")

// File is the file of a database. It is safe for concurrent use.
type File struct {
	from   io.ReaderAt
	size   int64 // of the pages that SQLite knows of
	page   int   // bytes of a page
	usable int   // of them, what SQLite itself uses
}

// New returns the file of a database of so many bytes.
func New(from io.ReaderAt, size int64) (*File, error) {
	var header [100]byte
	if _, err := from.ReadAt(header[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	number := func(at int) uint32 { return binary.BigEndian.Uint32(header[at:]) }
	f := &File{from: from, page: int(binary.BigEndian.Uint16(header[16:]))}
	if f.page == 1 {
		f.page = 1 << 16
	}
	f.usable = f.page - int(header[20])
	f.size = int64(number(28)) * int64(f.page)
	const utf8 = 1
	switch {
	case f.page < 512 || f.page&(f.page-1) != 0 || f.usable < 480 || f.size == 0 || f.size > size:
	case number(24) != number(92): // the number of pages is out of date
	case number(52) != 0: // SQLite may find the rest of a long record by its map of pointers
	case number(44) != formatOfNumbers || number(56) != utf8:
	default:
		return f, nil
	}
	return nil, ErrFormat
}

// formatOfNumbers is the schema format in which 0 and 1 take no byte.
const formatOfNumbers = 4

func (f *File) pages() int64 { return f.size / int64(f.page) }

// read reads a page.
func (f *File) read(number uint32, into []byte) error {
	offset := (int64(number) - 1) * int64(f.page)
	if number < 2 || offset+int64(f.page) > f.size { // the first is that of the schema
		return ErrFormat
	}
	if _, err := f.from.ReadAt(into, offset); err != nil {
		return fmt.Errorf("read page %d: %w", number, err)
	}
	return nil
}

// The kinds of pages that trees consist of.
const (
	interiorIndex = 0x02
	interiorTable = 0x05
	leafIndex     = 0x0a
	leafTable     = 0x0d
)

// node is a page of a tree.
type node struct {
	data  []byte // as far as SQLite uses it
	kind  byte
	cells int
	array int // where the places of the cells stand
}

func newNode(data []byte) (n node, err error) {
	n = node{data: data, kind: data[0], cells: int(binary.BigEndian.Uint16(data[3:])), array: 8}
	switch n.kind {
	case interiorIndex, interiorTable:
		n.array = 12
	case leafIndex, leafTable:
	default:
		return n, ErrFormat
	}
	if n.array+2*n.cells > len(data) {
		return n, ErrFormat
	}
	return n, nil
}

// ascends reports whether the rows of a node of a table stand in order, so that whoever looks for one finds it.
func (n *node) ascends() error {
	before := int64(math.MinInt64)
	for i := range n.cells {
		row, err := n.row(i)
		if err != nil {
			return err
		}
		if row <= before && i > 0 {
			return ErrFormat
		}
		before = row
	}
	return nil
}

// cell is what stands from a cell on, at least four bytes.
func (n *node) cell(i int) ([]byte, error) {
	at := int(binary.BigEndian.Uint16(n.data[n.array+2*i:]))
	if at < n.array+2*n.cells || at+4 > len(n.data) {
		return nil, ErrFormat
	}
	return n.data[at:], nil
}

// child is the page below that has what comes before a cell of an interior node, or after the last one.
func (n *node) child(i int) (uint32, error) {
	if i == n.cells {
		return binary.BigEndian.Uint32(n.data[8:]), nil
	}
	cell, err := n.cell(i)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(cell), nil
}

// row is which row of a table a cell is of, or, in an interior node, the last one of those below.
func (n *node) row(i int) (int64, error) {
	cell, err := n.cell(i)
	if err != nil {
		return 0, err
	}
	if n.kind == interiorTable {
		cell = cell[4:]
	} else {
		_, size := varint(cell) // length of the record
		cell = cell[size:]
	}
	row, size := varint(cell)
	if size == 0 {
		return 0, ErrFormat
	}
	return int64(row), nil
}

// varint reads a number of up to nine bytes. size is 0 when it is cut, or longer than it has to be: where SQLite knows
// that a number is small it looks at one byte only.
func varint(b []byte) (v uint64, size int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			if v = v<<8 | uint64(b[i]); v>>56 == 0 {
				return 0, 0
			}
			return v, 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			if i > 0 && v>>(7*i) == 0 {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}
