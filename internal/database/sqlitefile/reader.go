package sqlitefile

import (
	"encoding/binary"
	"math"
)

const (
	// deepest is more levels than any tree has.
	deepest = 40
	// longest is how many bytes a record has at most. SQLite allows for ten thousand times as many.
	longest = 1 << 17
)

// Reader reads trees of a file, for one goroutine. It keeps the last page of each level.
type Reader struct {
	file   *File
	levels []level
	long   []byte // a record that did not fit into a page
	beyond []byte // a page with the rest of one
	values []Value
	some   bool  // there was a record of this range,
	before int64 // and this was its second number
	left   int64 // pages that Index may still go to: no tree has more than the file

	// The leaf of a table that was read last, and the rows that stand there and nowhere else: those after one, to another.
	leaf      node
	after, to int64
}

type level struct {
	number uint32
	data   []byte
}

// Reader returns a new reader.
func (f *File) Reader() *Reader { return &Reader{file: f} }

// node reads a page, which is valid until the next one is read at its depth.
func (r *Reader) node(number uint32, depth int) (node, error) {
	if depth > deepest || r.left <= 0 {
		return node{}, ErrFormat
	}
	r.left--
	if depth == len(r.levels) {
		r.levels = append(r.levels, level{data: make([]byte, r.file.page)})
	}
	l := &r.levels[depth]
	if l.number != number {
		l.number = 0
		if err := r.file.read(number, l.data); err != nil {
			return node{}, err
		}
		n, err := newNode(l.data[:r.file.usable])
		if err == nil && n.cells == 0 && depth > 0 {
			err = ErrFormat
		}
		if err == nil && (n.kind == leafTable || n.kind == interiorTable) {
			err = n.ascends()
		}
		if err != nil {
			return n, err
		}
		l.number = number
		return n, nil
	}
	return newNode(l.data[:r.file.usable])
}

// record is what begins with its length; skip is a number between the two, as there is in a leaf of a table.
func (r *Reader) record(cell []byte, skip bool) ([]byte, error) {
	length, n := varint(cell)
	if n == 0 || length > longest {
		return nil, ErrFormat
	}
	cell = cell[n:]
	u := r.file.usable
	most, least := (u-12)*64/255-23, (u-12)*32/255-23
	if skip {
		_, n := varint(cell)
		if n == 0 {
			return nil, ErrFormat
		}
		cell, most = cell[n:], u-35
	}
	size := int(length)
	if size <= most {
		if size > len(cell) {
			return nil, ErrFormat
		}
		return cell[:size], nil
	}
	local := least + (size-least)%(u-4)
	if local > most {
		local = least
	}
	if local+4 > len(cell) {
		return nil, ErrFormat
	}
	if r.beyond == nil {
		r.beyond = make([]byte, r.file.page)
	}
	r.long = append(r.long[:0], cell[:local]...)
	for next := binary.BigEndian.Uint32(cell[local:]); len(r.long) < size; {
		if err := r.file.read(next, r.beyond); err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(r.beyond)
		r.long = append(r.long, r.beyond[4:min(u, 4+size-len(r.long))]...)
	}
	return r.long, nil
}

// Range are the records of an index that begin with two numbers, of which the second is one from First to Last.
type Range struct{ Key, First, Last int64 }

// where says whether a record is before them (-1), one of them (0), or after them (1).
func (g *Range) where(record []byte) (int, error) {
	if g == nil {
		return 0, nil
	}
	v, err := pair(record)
	switch {
	case err != nil:
		return 0, err
	case v[0] < g.Key || v[0] == g.Key && v[1] < g.First:
		return -1, nil
	case v[0] > g.Key || v[1] > g.Last:
		return 1, nil
	}
	return 0, nil
}

// Index calls each for the records of an index, or of a table WITHOUT ROWID, in their order: those of a range, or all of
// them where it is nil. They are valid until it returns. Those of a range are in strict order; whether all are is for each
// to see, and whether those beside a range are, is not known.
func (r *Reader) Index(root uint32, of *Range, shape Shape, each func([]Value) error) error {
	r.left = r.file.pages()
	r.some = false
	_, err := r.index(root, 0, of, shape, each)
	return err
}

// follows reports whether a record of a range comes after the one before it.
func (r *Reader) follows(record []byte) bool {
	v, err := pair(record)
	after := err == nil && (!r.some || v[1] > r.before)
	r.some, r.before = true, v[1]
	return after
}

// index reports whether there may be more after it.
func (r *Reader) index(number uint32, depth int, of *Range, shape Shape, each func([]Value) error) (more bool, err error) {
	n, err := r.node(number, depth)
	if err != nil {
		return false, err
	}
	interior := n.kind == interiorIndex
	if !interior && n.kind != leafIndex {
		return false, ErrFormat
	}
	record := func(i int) ([]byte, error) {
		cell, err := n.cell(i)
		if err != nil {
			return nil, err
		}
		if interior {
			cell = cell[4:]
		}
		return r.record(cell, false)
	}
	first, err := firstOf(n.cells, func(i int) (bool, error) {
		record, err := record(i)
		if err != nil {
			return false, err
		}
		where, err := of.where(record)
		return where >= 0, err
	})
	if err != nil {
		return false, err
	}
	for i := first; i <= n.cells; i++ {
		if interior {
			child, err := n.child(i)
			if err != nil {
				return false, err
			}
			if more, err := r.index(child, depth+1, of, shape, each); err != nil || !more {
				return false, err
			}
		}
		if i == n.cells {
			break
		}
		record, err := record(i)
		if err != nil {
			return false, err
		}
		where, err := of.where(record)
		if err == nil && (where < 0 || where == 0 && of != nil && !r.follows(record)) {
			err = ErrFormat
		}
		if err != nil || where > 0 {
			return false, err
		}
		if r.values, err = shape.values(record, r.values); err != nil {
			return false, err
		}
		if err := each(r.values); err != nil {
			return false, err
		}
	}
	return true, nil
}

// firstOf is the first of n for which something is so, as it is for all after it, or n.
func firstOf(n int, is func(i int) (bool, error)) (int, error) {
	low, high := 0, n
	for low < high {
		middle := (low + high) / 2
		yes, err := is(middle)
		if err != nil {
			return 0, err
		}
		if yes {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// Row returns the values of a row of a table, valid until the next call. It must be there. A Reader is for one table.
func (r *Reader) Row(root uint32, row int64, shape Shape) ([]Value, error) {
	if r.leaf.data == nil || row <= r.after || row > r.to {
		if err := r.down(root, row); err != nil {
			r.leaf = node{}
			return nil, err
		}
	}
	n := &r.leaf
	i, err := firstOf(n.cells, func(i int) (bool, error) {
		id, err := n.row(i)
		return id >= row, err
	})
	if err != nil {
		return nil, err
	}
	if i == n.cells {
		return nil, ErrFormat
	}
	if id, err := n.row(i); err != nil || id != row {
		return nil, ErrFormat
	}
	cell, err := n.cell(i)
	if err != nil {
		return nil, err
	}
	record, err := r.record(cell, true)
	if err != nil {
		return nil, err
	}
	r.values, err = shape.values(record, r.values)
	return r.values, err
}

// down finds the leaf where a row should stand.
func (r *Reader) down(root uint32, row int64) error {
	r.after, r.to, r.left = math.MinInt64, math.MaxInt64, deepest
	for number, depth := root, 0; ; depth++ {
		n, err := r.node(number, depth)
		if err != nil {
			return err
		}
		if n.kind == leafTable {
			if n.cells > 0 {
				first, err := n.row(0)
				if err != nil {
					return err
				}
				last, err := n.row(n.cells - 1)
				if err != nil {
					return err
				}
				if first <= r.after && r.after > math.MinInt64 || last > r.to {
					return ErrFormat
				}
			}
			r.leaf = n
			return nil
		}
		if n.kind != interiorTable {
			return ErrFormat
		}
		i, err := firstOf(n.cells, func(i int) (bool, error) {
			last, err := n.row(i)
			return last >= row, err
		})
		if err != nil {
			return err
		}
		if i < n.cells {
			last, err := n.row(i)
			if err != nil {
				return err
			}
			r.to = min(r.to, last)
		}
		if i > 0 {
			last, err := n.row(i - 1)
			if err != nil {
				return err
			}
			r.after = max(r.after, last)
		}
		if number, err = n.child(i); err != nil {
			return err
		}
	}
}
