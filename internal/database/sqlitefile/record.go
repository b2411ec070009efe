package sqlitefile

import "strconv"

// Value is one of a record.
type Value struct {
	Null   bool
	Number int64
	Bytes  []byte // of a text or a blob; nil where it is a number or NULL

	isNumber bool
}

// Append writes a number in decimal, a text or a blob as it is, and the character 0 for NULL.
func (v *Value) Append(b []byte) []byte {
	switch {
	case v.isNumber:
		return strconv.AppendInt(b, v.Number, 10)
	case v.Null:
		return append(b, 0)
	}
	return append(b, v.Bytes...)
}

// Shape says what a record consists of, a letter for each value: n for a number, t for a text, b for a blob, T for a text
// or NULL. Numbers are integers.
type Shape string

// values takes apart a record.
func (s Shape) values(record []byte, into []Value) ([]Value, error) {
	header, n := varint(record)
	if n == 0 || header < uint64(n) || header > uint64(len(record)) {
		return nil, ErrFormat
	}
	kinds, body := record[n:header], record[header:]
	into = into[:0]
	for i := range len(s) {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, ErrFormat
		}
		kinds = kinds[n:]
		var v Value
		switch {
		case kind == 0:
			v.Null = true
			if s[i] != 'T' {
				return nil, ErrFormat
			}
		case kind <= 9:
			size := numberSizes[kind]
			if s[i] != 'n' || size < 0 || size > len(body) {
				return nil, ErrFormat
			}
			v.isNumber = true
			if v.Number, body = number(kind, body[:size]), body[size:]; kindOf(v.Number) != kind {
				return nil, ErrFormat
			}
		default:
			size := (kind - 12) / 2
			isText := s[i] == 't' || s[i] == 'T'
			if kind < 12 || size > uint64(len(body)) || isText != (kind%2 == 1) || !isText && s[i] != 'b' {
				return nil, ErrFormat
			}
			v.Bytes, body = body[:size:size], body[size:]
		}
		into = append(into, v)
	}
	if len(kinds) > 0 || len(body) > 0 {
		return nil, ErrFormat
	}
	return into, nil
}

// numberSizes are the bytes that a number takes, by its serial type; 7 is a float.
var numberSizes = [...]int{0, 1, 2, 3, 4, 6, 8, -1, 0, 0} //nolint:gochecknoglobals // a constant

// kindOf is the serial type that SQLite gives to a number: the shortest.
func kindOf(v int64) uint64 {
	if v == 0 || v == 1 {
		return 8 + uint64(v)
	}
	for kind, size := range numberSizes[:6] {
		if kind > 0 && v>>(8*size-1) == v>>63 {
			return uint64(kind)
		}
	}
	return 6
}

func number(kind uint64, b []byte) int64 {
	if len(b) == 0 {
		return int64(kind) - 8
	}
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return v
}

// pair are the first two values of a record, which are numbers.
func pair(record []byte) (values [2]int64, err error) {
	header, n := varint(record)
	if n == 0 || header < uint64(n) || header > uint64(len(record)) {
		return values, ErrFormat
	}
	kinds, body := record[n:header], record[header:]
	for i := range values {
		if len(kinds) == 0 || kinds[0] < 1 || kinds[0] > 9 {
			return values, ErrFormat
		}
		size := numberSizes[kinds[0]]
		if size < 0 || size > len(body) {
			return values, ErrFormat
		}
		if values[i] = number(uint64(kinds[0]), body[:size]); kindOf(values[i]) != uint64(kinds[0]) {
			return values, ErrFormat
		}
		kinds, body = kinds[1:], body[size:]
	}
	return values, nil
}
