package audit

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// ask finds out what the next segments have, as many as make a batch.
func (s *search) ask(ctx context.Context) error {
	n := min(s.batch, len(s.segments))
	before := s.blocks
	defer func() {
		s.batch = min(s.batch*2, maxBatch)
		if each := (s.blocks - before) / n; s.limited && each > 0 {
			s.batch = min(s.batch, max((maxBlocks-s.blocks)/each, 1))
		}
	}()
	asked := make([]segment, n)
	for i := range asked {
		if s.down {
			asked[i] = s.segments[len(s.segments)-1-i]
		} else {
			asked[i] = s.segments[i]
		}
	}
	s.answered = make([]*places, n)
	for i, g := range asked {
		if f := &s.filter; !f.From.IsZero() && g.last < f.From.UnixMilli() || !f.To.IsZero() && g.first >= f.To.UnixMilli() {
			continue
		}
		s.answered[i] = s.every(g)
	}
	for _, c := range s.query.clauses {
		if err := s.askClause(ctx, asked, s.answered, c); err != nil {
			return err
		}
	}
	return nil
}

// every is all places of a segment. It must not be changed, and is none of those that askRange returns.
func (s *search) every(g segment) *places {
	if s.all[g.level] == nil {
		s.all[g.level] = allPlaces(g.size())
	}
	return s.all[g.level]
}

// askClause leaves of the places found in some segments those that a clause leaves. nil is none.
func (s *search) askClause(ctx context.Context, asked []segment, found []*places, c clause) error {
	one := make([]*places, len(asked))
	for _, ranges := range c {
		all := slices.Clone(found)
		for r := range ranges {
			with, err := s.askRange(ctx, asked, all, &ranges[r])
			if err != nil {
				return err
			}
			for i := range with {
				if with[i] != nil {
					with[i].and(all[i])
				}
			}
			all = with
		}
		for i := range all {
			switch {
			case one[i] == nil:
				one[i] = all[i]
			case all[i] != nil:
				one[i].or(all[i])
			}
		}
	}
	copy(found, one)
	return nil
}

// askRange finds the places of the terms of a range in those of some segments in which there is a place left. nil is none.
func (s *search) askRange(ctx context.Context, asked []segment, left []*places, r *termRange) ([]*places, error) {
	with := make([]*places, len(asked))
	var at []int
	for i, p := range left {
		if p != nil && !p.empty() {
			at = append(at, i)
		}
	}
	first, err := s.firstBlocks(ctx, asked, at, r.first)
	if err != nil {
		return nil, err
	}
	for _, i := range at {
		err := s.readRange(ctx, asked[i], first[i], r, func(b *blockReader) error {
			if with[i] == nil {
				with[i] = noPlaces(asked[i].size())
			}
			return b.addTo(with[i], asked[i].size())
		})
		if err != nil {
			return nil, err
		}
	}
	return with, nil
}

// firstBlocks reads, of some of the segments, the blocks in which a term is if it is there.
func (s *search) firstBlocks(ctx context.Context, asked []segment, at []int, term string) (map[int][]byte, error) {
	blocks := make(map[int][]byte, len(at))
	for len(at) > 0 {
		// Segments of one level that follow one another are one query.
		n := 1
		for n < len(at) && asked[at[n]].level == asked[at[0]].level {
			n++
		}
		if err := s.blocksAt(ctx, asked, at[:n], term, blocks); err != nil {
			return nil, err
		}
		at = at[n:]
	}
	return blocks, nil
}

func (s *search) blocksAt(ctx context.Context, asked []segment, at []int, term string, blocks map[int][]byte) error {
	const query = `SELECT s.segment, (SELECT b.block FROM audit_terms b
			WHERE b.tree = s.tree AND b.level = s.level AND b.segment = s.segment AND b.first <= ? ORDER BY b.first DESC LIMIT 1)
		FROM audit_segments s WHERE s.tree = ? AND s.level = ? AND s.segment BETWEEN ? AND ?`
	low, high := asked[at[0]].number, asked[at[len(at)-1]].number
	number := make(map[int64]int, len(at))
	for _, i := range at {
		number[asked[i].number] = i
	}
	rows, err := s.tx.QueryContext(ctx, query, []byte(term), s.t.number, asked[at[0]].level, min(low, high), max(low, high))
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var data []byte
		if err := rows.Scan(&n, &data); err != nil {
			return unreadable(ctx, err)
		}
		if i, ok := number[n]; ok {
			blocks[i] = data
			s.blocks++
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	return nil
}

// readRange calls fn with each term of a range, from the block on in which its first one is.
func (s *search) readRange(ctx context.Context, g segment, data []byte, r *termRange, fn func(*blockReader) error) error {
	bad := func() error { return s.t.tampered(nil, "its index of seq %d to %d is not one", g.start(), g.end()-1) }
	next, err := readBlockRange(data, r, fn)
	if err != nil {
		return bad()
	}
	if next == "" || next >= r.end {
		return nil
	}
	const following = `SELECT first, block FROM audit_terms WHERE tree = ? AND level = ? AND segment = ? AND first >= ? AND first < ? ORDER BY first`
	rows, err := s.tx.QueryContext(ctx, following, s.t.number, g.level, g.number, []byte(next), []byte(r.end))
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	for next != "" && next < r.end {
		if !rows.Next() {
			break
		}
		var first, data sql.RawBytes
		if err := rows.Scan(&first, &data); err != nil {
			return unreadable(ctx, err)
		}
		s.blocks++
		if string(first) != next {
			return bad()
		}
		if next, err = readBlockRange(data, r, fn); err != nil {
			return bad()
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	if next != "" && next < r.end {
		return bad()
	}
	return nil
}

// readBlockRange calls fn with the terms of a range that are in a block, and returns the first term of the next block.
func readBlockRange(data []byte, r *termRange, fn func(*blockReader) error) (next string, err error) {
	if len(data) == 0 {
		return "", errBadBlock
	}
	b := readBlock(data)
	for more := b.seek(r.first); more && string(b.term) < r.end; more = b.scan() {
		if !r.has(b.term) {
			continue
		}
		if err := fn(&b); err != nil {
			return "", err
		}
	}
	return string(b.next), b.err
}
