package audit

import (
	"math/bits"
	"slices"
)

// places is a set of places of a stretch of records, counted from its first.
type places struct{ words []uint64 }

func noPlaces(size int) *places { return &places{make([]uint64, (size+63)/64)} }

func allPlaces(size int) *places {
	p := noPlaces(size)
	for i := range p.words {
		p.words[i] = ^uint64(0)
	}
	p.limit(0, size)
	return p
}

// limit removes what is not in [first, end).
func (p *places) limit(first, end int) {
	for i := range p.words {
		low, high := i*64, i*64+64
		if high <= first || low >= end {
			p.words[i] = 0
			continue
		}
		if low < first {
			p.words[i] &= ^uint64(0) << (first - low)
		}
		if high > end {
			p.words[i] &= ^uint64(0) >> (high - end)
		}
	}
}

func (p *places) add(n int) { p.words[n/64] |= 1 << (n % 64) }

// countBoth counts what is in both sets.
func (p *places) countBoth(q *places) (n int64) {
	for i, w := range q.words {
		n += int64(bits.OnesCount64(p.words[i] & w))
	}
	return n
}

func (p *places) or(q *places) {
	for i, w := range q.words {
		p.words[i] |= w
	}
}

func (p *places) and(q *places) {
	for i, w := range q.words {
		p.words[i] &= w
	}
}

func (p *places) empty() bool {
	for _, w := range p.words {
		if w != 0 {
			return false
		}
	}
	return true
}

func (p *places) count() (n int64) {
	for _, w := range p.words {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// takeFirst removes the first of them and returns it, or -1.
func (p *places) takeFirst() int {
	for i, w := range p.words {
		if w != 0 {
			p.words[i] &= w - 1
			return i*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// takeLast removes the last of them and returns it, or -1.
func (p *places) takeLast() int {
	n := p.last()
	if n >= 0 {
		p.words[n/64] &^= 1 << (n % 64)
	}
	return n
}

// last is the last of them, or -1.
func (p *places) last() int {
	for i, w := range slices.Backward(p.words) {
		if w != 0 {
			return i*64 + bits.Len64(w) - 1
		}
	}
	return -1
}
