package audit

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// blockSize is how large a block grows, in bytes, before the next is begun. A term that many records have may make it larger.
const blockSize = 3800

var errBadBlock = errors.New("a block of the index is not one")

// A block is the first term of the block that follows (none in the last), as
// its length and its bytes, and then for each of its own terms
//
//	how many bytes it begins with that the term before begins with too,
//	how many bytes follow, and these,
//	how many bytes its places take, times two, and these.
//
// All lengths are uvarints. Places are counted from the first of the segment.
// They are written as uvarints of how far each is from the place after the one
// before; where that takes more bytes than a bit for each record of the
// segment, these bits are written, and one is added to their doubled length.

// postings are the places of each term in a segment.
type postings map[string][]uint16

// block is one of a segment.
type block struct{ first, data []byte }

// blocks lays out the postings of a segment of a size.
func (p postings) blocks(size int) []block {
	terms := make([]string, 0, len(p))
	for term := range p {
		terms = append(terms, term)
	}
	slices.Sort(terms)
	var (
		all    []block
		body   []byte
		first  string // of the block being made
		before string
	)
	finish := func(next string) {
		data := binary.AppendUvarint(make([]byte, 0, len(body)+len(next)+2), uint64(len(next)))
		all = append(all, block{first: []byte(first), data: append(append(data, next...), body...)})
	}
	var places []byte
	for _, term := range terms {
		if len(body) >= blockSize {
			finish(term)
			body, first, before = body[:0], term, ""
		}
		shared := 0
		for shared < min(len(before), len(term)) && before[shared] == term[shared] {
			shared++
		}
		body = binary.AppendUvarint(body, uint64(shared))
		body = binary.AppendUvarint(body, uint64(len(term)-shared))
		body = append(body, term[shared:]...)
		var dense bool
		places, dense = appendPlaces(places[:0], p[term], size)
		n := uint64(len(places)) << 1
		if dense {
			n |= 1
		}
		body = append(binary.AppendUvarint(body, n), places...)
		before = term
	}
	finish("")
	return all
}

func appendPlaces(b []byte, list []uint16, size int) (_ []byte, dense bool) {
	after := 0
	for _, place := range list {
		b = binary.AppendUvarint(b, uint64(int(place)-after))
		after = int(place) + 1
	}
	if len(b) <= size/8 {
		return b, false
	}
	b = append(b[:0], make([]byte, size/8)...)
	for _, place := range list {
		b[place/8] |= 1 << (place % 8)
	}
	return b, true
}

// blockReader reads a block term by term.
type blockReader struct {
	next   []byte // first term of the block that follows; empty in the last
	term   []byte
	places []byte
	dense  bool
	rest   []byte
	err    error
}

func readBlock(data []byte) blockReader {
	r := blockReader{rest: data}
	r.next = r.bytes(r.uvarint())
	return r
}

// scan reads the next term. It reports false at the end, and where err is not nil.
func (r *blockReader) scan() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	shared := r.uvarint()
	added := r.bytes(r.uvarint())
	length := r.uvarint()
	places := r.bytes(length >> 1)
	if shared > uint64(len(r.term)) {
		r.err = errBadBlock
	}
	if r.err != nil {
		return false
	}
	r.term = append(r.term[:shared], added...)
	r.places, r.dense = places, length&1 == 1
	return len(r.term) > 0
}

func (r *blockReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.err, r.rest = errBadBlock, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *blockReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.err, r.rest = errBadBlock, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// each calls fn with the places of the term in a segment of a size, in order.
func (r *blockReader) each(size int, fn func(place int)) error {
	if r.dense {
		if len(r.places) != size/8 {
			return errBadBlock
		}
		for i, b := range r.places {
			for ; b != 0; b &= b - 1 {
				fn(i*8 + bits.TrailingZeros8(b))
			}
		}
		return nil
	}
	after := uint64(0)
	for rest := r.places; len(rest) > 0; {
		gap, n := binary.Uvarint(rest)
		place := after + gap
		if n <= 0 || gap >= uint64(size) || place >= uint64(size) {
			return errBadBlock
		}
		fn(int(place))
		after, rest = place+1, rest[n:]
	}
	return nil
}

// addTo adds the places of the term to a set.
func (r *blockReader) addTo(p *places, size int) error {
	if r.dense && len(r.places) == size/8 {
		for i := range p.words {
			p.words[i] |= binary.LittleEndian.Uint64(r.places[i*8:])
		}
		return nil
	}
	return r.each(size, p.add)
}

// seek is scan until a term is not less than first.
func (r *blockReader) seek(first string) bool {
	for r.scan() {
		if string(r.term) >= first {
			return true
		}
	}
	return false
}
