package audit

import (
	"context"
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// paths makes the proofs that records are under one checkpoint, and checks
// each. The records must come in the order of the tree: what the path of a
// record has in common with that of the record before was checked with it, so
// that in a long row a record costs two hashes more, not two for each level.
//
// A node is named by its level, 0 for the leaves, and its place in it.
type paths struct {
	c      checkpoint
	levels int // of the root
	// edge is the last node of each level. Where it stands for fewer records than others of its level it is not stored.
	edge [64]tlog.Hash
	last int64         // the record proven last; -1: none
	read int64         // the last one whose proof was fetched; -1: none
	node [64]tlog.Hash // on the path of last, leaf first
	next [64]tlog.Hash // beside it
}

func newPaths(ctx context.Context, q queryer, t *tree, c checkpoint) (*paths, error) {
	p := &paths{c: c, last: -1, read: -1, levels: bits.Len64(uint64(c.size - 1))}
	stored := hashesOf(ctx, q, t)
	for level := range p.levels {
		if level == 0 || p.whole(level) {
			continue
		}
		left, err := p.inner(stored, level-1, p.rightmost(level)*2)
		if err != nil {
			return nil, stored.blame(t, err)
		}
		p.edge[level] = left
		if right := p.rightmost(level)*2 + 1; right <= p.rightmost(level-1) {
			h, err := p.inner(stored, level-1, right)
			if err != nil {
				return nil, stored.blame(t, err)
			}
			p.edge[level] = tlog.NodeHash(left, h)
		}
	}
	return p, nil
}

// rightmost is the place of the last node of a level.
func (p *paths) rightmost(level int) int64 { return (p.c.size - 1) >> level }

// whole reports whether the last node of a level stands for as many records as the others.
func (p *paths) whole(level int) bool { return p.c.size&(1<<level-1) == 0 }

// inner is any node below the root.
func (p *paths) inner(stored *storedHashes, level int, n int64) (tlog.Hash, error) {
	if n == p.rightmost(level) && !p.whole(level) {
		return p.edge[level], nil
	}
	hashes, err := stored.ReadHashes([]int64{tlog.StoredHashIndex(level, n)})
	if err != nil {
		return tlog.Hash{}, err
	}
	return hashes[0], nil
}

// beside is where the nodes beside some paths are found.
type beside struct {
	near   subtrees
	stored map[int64]tlog.Hash // by index
}

// fetch reads what the proofs of some records need of the store. It may be called before the records before are proven.
func (p *paths) fetch(ctx context.Context, q queryer, t *tree, some *part) error {
	stored := hashesOf(ctx, q, t)
	some.near, some.stored = newSubtrees(some), stored.seen
	var indexes []int64
	for i := range some.rows {
		seq := some.seq(i)
		for level := 0; level < p.levels && (p.read < 0 || seq>>level != p.read>>level); level++ {
			n := seq>>level ^ 1
			if n > p.rightmost(level) || n == p.rightmost(level) && !p.whole(level) || p.read >= 0 && n == p.read>>level {
				continue
			}
			if _, ok := some.near.node(level, n); !ok {
				indexes = append(indexes, tlog.StoredHashIndex(level, n))
			}
		}
		p.read = seq
	}
	if err := stored.readAll(indexes); err != nil {
		return stored.blame(t, err)
	}
	return nil
}

// hashesAtOnce bounds the arguments of a query.
const hashesAtOnce = 500

// readAll reads hashes in as few queries as it can; they are then in seen.
func (s *storedHashes) readAll(indexes []int64) error {
	for len(indexes) > 0 {
		n := min(len(indexes), hashesAtOnce)
		if _, err := s.ReadHashes(indexes[:n]); err != nil {
			return err
		}
		indexes = indexes[n:]
	}
	return nil
}

// blame finds out whether the store could not be read or holds something else than it should.
func (s *storedHashes) blame(t *tree, err error) error {
	if s.err != nil {
		return s.err
	}
	return t.tampered(err, "no proof can be made: %v", err)
}

// climb appends to proof what stands beside the path of a record, after it has
// gone up until a node that is known to be right, and reports whether it fits.
func (p *paths) climb(some *part, i int, proof []tlog.Hash) ([]tlog.Hash, bool) {
	seq, h := some.seq(i), some.leaves[i]
	for level := 0; ; level++ {
		n := seq >> level
		if p.last >= 0 && n == p.last>>level {
			if h != p.node[level] {
				return proof, false
			}
			break
		}
		if level == p.levels {
			p.node[level] = h
			if h != p.c.root {
				return proof, false
			}
			break
		}
		if n^1 > p.rightmost(level) {
			p.node[level] = h // it is its parent as well
			continue
		}
		next, ok := p.found(some, level, n^1)
		if !ok {
			return proof, false
		}
		p.next[level], p.node[level] = next, h
		if n&1 == 0 {
			h = tlog.NodeHash(h, next)
		} else {
			h = tlog.NodeHash(next, h)
		}
	}
	p.last = seq
	for level := range p.levels {
		if seq>>level^1 <= p.rightmost(level) {
			proof = append(proof, p.next[level])
		}
	}
	return proof, true
}

// found is a node that fetch saw to.
func (p *paths) found(some *part, level int, n int64) (tlog.Hash, bool) {
	switch {
	case p.last >= 0 && n == p.last>>level:
		return p.node[level], true
	case n == p.rightmost(level) && !p.whole(level):
		return p.edge[level], true
	}
	if h, ok := some.near.node(level, n); ok {
		return h, true
	}
	h, ok := some.stored[tlog.StoredHashIndex(level, n)]
	return h, ok
}

// subtrees are the nodes that stand for records of one row without a gap, which need not be read.
type subtrees struct {
	levels [][]tlog.Hash
	first  []int64 // place of the first of each level
}

// newSubtrees has none when there is a gap.
func newSubtrees(some *part) (s subtrees) {
	level, first := some.leaves, some.seq(0)
	if some.seq(len(level)-1)-first != int64(len(level))-1 {
		return s
	}
	for len(level) > 0 {
		s.levels, s.first = append(s.levels, level), append(s.first, first)
		if first&1 == 1 {
			level, first = level[1:], first+1
		}
		up := make([]tlog.Hash, len(level)/2)
		for i := range up {
			up[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level, first = up, first/2
	}
	return s
}

func (s *subtrees) node(level int, n int64) (tlog.Hash, bool) {
	if level >= len(s.levels) {
		return tlog.Hash{}, false
	}
	i := n - s.first[level]
	if i < 0 || i >= int64(len(s.levels[level])) {
		return tlog.Hash{}, false
	}
	return s.levels[level][i], true
}

// recordHasher is tlog.RecordHash for many records.
type recordHasher struct{ buf []byte }

func (r *recordHasher) hash(bytes string) tlog.Hash {
	r.buf = append(append(r.buf[:0], 0), bytes...) // RFC 6962: a zero byte before a leaf
	return sha256.Sum256(r.buf)
}
