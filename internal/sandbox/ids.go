package sandbox

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// An idMaker derives everything that has to be the same for the same seed.
type idMaker struct{ seed uint64 }

func newIDMaker(seed int64) idMaker { return idMaker{seed: uint64(seed)} }

// mix is splitmix64's finisher: cheap, and good enough to scatter seed data.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice gives a stable random number for one aspect of one member.
func (m idMaker) dice(org, index int, aspect uint64) uint64 {
	return mix(mix(m.seed^aspect*0x2545f4914f6cdd1d) ^ uint64(org)<<40 ^ uint64(index))
}

// The last 48 bits of a member's or a password's UUID hold organization and index, scrambled, so that an id is resolved
// by arithmetic and a hundred thousand members need no table.
const (
	nodeBits  = 48
	nodeMask  = 1<<nodeBits - 1
	nodeMul   = 0x5bd1e995a7b5 // odd, so that it has an inverse modulo 2^48
	indexBits = 24
)

func (m idMaker) scramble(org, index int, kind uint64) uint64 {
	x := uint64(org)<<indexBits | uint64(index)
	return ((x ^ mix(m.seed^kind)) * nodeMul) & nodeMask
}

func (m idMaker) unscramble(node, kind uint64) (org, index int) {
	x := (node*inverse(nodeMul) ^ mix(m.seed^kind)) & nodeMask
	return int(x >> indexBits), int(x & (1<<indexBits - 1))
}

// inverse is the multiplicative inverse of an odd number modulo 2^64, and so modulo 2^48, by Newton's method.
func inverse(a uint64) uint64 {
	x := a
	for range 6 {
		x *= 2 - a*x
	}
	return x
}

const (
	kindMember   = 1
	kindPassword = 2
)

func formatUUID(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func (m idMaker) rowUUID(org, index int, kind uint64) string {
	var b [16]byte
	node := m.scramble(org, index, kind)
	high := mix(node ^ m.seed ^ kind<<56)
	binary.BigEndian.PutUint64(b[0:8], high)
	binary.BigEndian.PutUint16(b[8:10], uint16(mix(high)))
	binary.BigEndian.PutUint16(b[10:12], uint16(node>>32))
	binary.BigEndian.PutUint32(b[12:16], uint32(node))
	return formatUUID(b)
}

// resolve turns a UUID made by rowUUID back into its row.
func (m idMaker) resolve(uuid string, kind uint64) (org, index int, ok bool) {
	if len(uuid) != 36 {
		return 0, 0, false
	}
	raw, err := hex.DecodeString(uuid[24:])
	if err != nil {
		return 0, 0, false
	}
	node := uint64(binary.BigEndian.Uint16(raw))<<32 | uint64(binary.BigEndian.Uint32(raw[2:]))
	org, index = m.unscramble(node, kind)
	return org, index, m.rowUUID(org, index, kind) == uuid
}

// uuid derives a UUID from words.
func (m idMaker) uuid(words ...string) string {
	var b [16]byte
	copy(b[:], m.digest(words...))
	return formatUUID(b)
}

func (m idMaker) digest(words ...string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s", m.seed, strings.Join(words, "\x00")))
	return sum[:]
}

// token derives an opaque token of the length that session tokens have.
func (m idMaker) token(words ...string) string {
	return base64.RawURLEncoding.EncodeToString(append(m.digest(words...), 'A'))
}

// password derives the password that a seeded member has.
func (m idMaker) password(memberID string) string {
	text := strings.ToLower(base32.StdEncoding.EncodeToString(m.digest("password", memberID)))
	return text[0:5] + "-" + text[5:10] + "-" + text[10:15]
}

func (m idMaker) credentials() Info {
	return Info{
		ProjectID:    "project-test-" + m.uuid("project"),
		Secret:       "secret-test-" + base64.RawURLEncoding.EncodeToString(m.digest("secret"))[:32],
		PublicToken:  "public-token-test-" + m.uuid("public token"),
		ControlToken: "control-" + base64.RawURLEncoding.EncodeToString(m.digest("control"))[:32],
	}
}

// random fills bytes from the sandbox's source, which need not be safe for concurrent use.
func (s *Sandbox) random(b []byte) {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	if _, err := io.ReadFull(s.rand, b); err != nil {
		panic(fmt.Sprintf("sandbox: source of randomness: %v", err))
	}
}

func (s *Sandbox) newID(prefix string) string {
	var b [16]byte
	s.random(b[:])
	return prefix + formatUUID(b)
}

func (s *Sandbox) newToken() string {
	var b [33]byte
	s.random(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

var (
	tokenShape    = regexp.MustCompile(`^[A-Za-z0-9_-]{32,128}={0,2}$`)
	externalShape = regexp.MustCompile(`^[A-Za-z0-9._|~-]{1,128}$`)
	uuidShape     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// hasShape reports whether id is the prefix and a UUID.
func hasShape(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && uuidShape.MatchString(rest)
}
