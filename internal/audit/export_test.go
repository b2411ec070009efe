package audit

// Reencode parses the bytes of an event and encodes the result.
func Reencode(b []byte) ([]byte, error) {
	r, err := parse(b)
	if err != nil {
		return nil, err
	}
	return r.encode(), nil
}
