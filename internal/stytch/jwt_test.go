package stytch_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys take a while to make, so all tests share them.
var (
	theKey     = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	nextKey    = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	foreignKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	weakKey    = sync.OnceValue(func() *rsa.PrivateKey { return newKey(1024) })
)

func newKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

type object = map[string]any

func header() object { return object{"alg": "RS256", "typ": "JWT", "kid": "jwk-test-1"} }

func claims() object {
	return object{
		"iss": "stytch.com/" + projectID, "aud": []string{projectID}, "sub": "member-test-1",
		"iat": noon.Unix(), "nbf": noon.Unix(), "exp": noon.Add(5 * time.Minute).Unix(),
		"https://stytch.com/session": object{
			"id": "session-test-1", "started_at": "2026-03-01T11:00:00Z", "last_accessed_at": "2026-03-01T11:59:00Z", "expires_at": "2026-03-01T13:00:00Z",
			"attributes": object{"ip_address": "", "user_agent": ""}, "roles": []string{"helpdesk", "stytch_member"},
			"authentication_factors": []object{{"type": "password", "delivery_method": "knowledge", "last_authenticated_at": "2026-03-01T11:00:00Z"}},
		},
		"https://stytch.com/organization": object{"organization_id": "organization-test-1", "slug": "acme"},
	}
}

// with is o with one value set, or removed for nil.
func with(o object, name string, value any) object {
	o = maps.Clone(o)
	if o[name] = value; value == nil {
		delete(o, name)
	}
	return o
}

func segment(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func hashed(h crypto.Hash, text string) []byte {
	hash := h.New()
	hash.Write([]byte(text))
	return hash.Sum(nil)
}

// rs signs whatever the header says.
func rs(key *rsa.PrivateKey, h crypto.Hash, header, claims object) string {
	text := segment(header) + "." + segment(claims)
	signature, err := rsa.SignPKCS1v15(nil, key, h, hashed(h, text))
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func sign(header, claims object) string { return rs(theKey(), crypto.SHA256, header, claims) }

func jwkOf(kid string, key *rsa.PrivateKey) object {
	return object{
		"kty": "RSA", "use": "sig", "key_ops": []string{"verify"}, "alg": "RS256", "kid": kid, "x5c": []string{}, "x5tS256": "not checked",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

// keyServer is the keys endpoint, and a clock.
type keyServer struct {
	mu    sync.Mutex
	now   time.Time
	keys  []object
	reply http.HandlerFunc // instead of the keys
	asked int
}

func (k *keyServer) set(f func(k *keyServer)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

func (k *keyServer) pass(d time.Duration) { k.set(func(k *keyServer) { k.now = k.now.Add(d) }) }

func (k *keyServer) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *keyServer) wantAsked(t *testing.T, want int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked != want {
		t.Errorf("the keys were read %d times, want %d", k.asked, want)
	}
}

func (k *keyServer) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.asked++
	reply, keys := k.reply, k.keys
	k.mu.Unlock()
	if reply != nil {
		reply(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(object{"keys": keys, "request_id": "request-id-test-1", "status_code": 200})
}

func startKeys(t *testing.T, keys ...object) (*stytch.JWTVerifier, *keyServer) {
	t.Helper()
	if keys == nil {
		keys = []object{jwkOf("jwk-test-0", nextKey()), jwkOf("jwk-test-1", theKey())}
	}
	k := &keyServer{now: noon, keys: keys}
	client := setup(t, func(w http.ResponseWriter, r *http.Request) {
		want := prefix + "/v1/b2b/sessions/jwks/" + projectID
		if r.Method != http.MethodGet || r.URL.EscapedPath() != want || r.URL.RawQuery != "" || r.UserAgent() != "test-agent/1" {
			t.Errorf("asked %s %s as %q", r.Method, r.URL, r.UserAgent())
		}
		for name := range r.Header {
			if name == "Authorization" || strings.HasPrefix(name, "X-Stytch") || name == "Cookie" {
				t.Errorf("the keys were asked for with %s", name)
			}
		}
		k.serve(w, r)
	}, stytch.WithClock(k.clock), stytch.WithUserAgent("test-agent/1"))
	v, err := client.NewJWTVerifier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v, k
}

// wantVerified fails unless the token is good.
func wantVerified(t *testing.T, v *stytch.JWTVerifier, token string) {
	t.Helper()
	if s, _, err := v.Verify(t.Context(), token); err != nil || s.MemberID != "member-test-1" {
		t.Errorf("Verify = %+v, %v", s, err)
	}
}

// wantRefused fails unless the error is this one, and nothing of the token is in it.
func wantRefused(t *testing.T, v *stytch.JWTVerifier, token string, want error) {
	t.Helper()
	s, at, err := v.Verify(t.Context(), token)
	if !errors.Is(err, want) || s != nil || !at.IsZero() {
		t.Errorf("Verify = %+v, %v, %v; want %v", s, at, err, want)
	}
	for _, other := range []error{stytch.ErrJWTInvalid, stytch.ErrJWTExpired, stytch.ErrJWTUnverified} {
		if other != want && errors.Is(err, other) { //nolint:errorlint // the sentinels themselves
			t.Errorf("error = %v, which is also %v", err, other)
		}
	}
	for part := range strings.SplitSeq(token, ".") {
		if err != nil && len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error holds a part of the token: %v", err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	k.wantAsked(t, 0) // not before it is needed
	c := claims()
	c["team"], c["level"], c["jti"], c["https://stytch.com/later"] = "blue", 12345678901234567, "j", object{}
	got, at, err := v.Verify(t.Context(), sign(header(), c))
	if err != nil {
		t.Fatal(err)
	}
	want := &stytch.MemberSession{
		MemberSessionID: "session-test-1", MemberID: "member-test-1", OrganizationID: "organization-test-1", OrganizationSlug: "acme",
		StartedAt: noon.Add(-time.Hour), LastAccessedAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(time.Hour),
		Roles: []string{"helpdesk", "stytch_member"},
		AuthenticationFactors: []stytch.AuthenticationFactor{{
			Type: "password", DeliveryMethod: "knowledge", LastAuthenticatedAt: instant(t, "2026-03-01T11:00:00Z"),
			Raw: json.RawMessage(`{"delivery_method":"knowledge","last_authenticated_at":"2026-03-01T11:00:00Z","type":"password"}`),
		}},
		CustomClaims: map[string]any{"team": "blue", "level": json.Number("12345678901234567")},
	}
	if diff := cmp.Diff(want, got); diff != "" || !at.Equal(noon) || at.Location() != time.UTC {
		t.Errorf("issued %v, session (-want +got):\n%s", at, diff)
	}
	for range 3 {
		wantVerified(t, v, sign(header(), claims()))
	}
	k.wantAsked(t, 1)
}

// What else is good.
func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	v, _ := startKeys(t)
	c := claims()
	session, _ := c["https://stytch.com/session"].(object)
	good := map[string]object{
		"audience as a string":  with(c, "aud", projectID),
		"two audiences":         with(c, "aud", []string{"other", projectID}),
		"no not-before":         with(c, "nbf", nil),
		"a clock that is ahead": with(with(c, "iat", noon.Add(5*time.Second).Unix()), "nbf", noon.Add(5*time.Second).Unix()),
		"a clock that is late":  with(c, "exp", noon.Add(-4*time.Second).Unix()),
		"parts of a second":     with(c, "exp", float64(noon.Unix())+0.5),
		"fewer values":          with(c, "https://stytch.com/session", object{"id": "s"}),
		"odd values":            with(c, "https://stytch.com/session", object{"id": "s", "roles": "x", "authentication_factors": 5, "expires_at": 7}),
		"ids said twice":        with(c, "https://stytch.com/session", with(session, "member_id", "member-test-1")),
		// Only the exact name is the claim.
		"another Sub": with(c, "Sub", "member-test-2"), "another EXP": with(c, "EXP", 1), "another ISS": with(c, "ISS", "x"),
	}
	for name, claims := range good {
		s, _, err := v.Verify(t.Context(), sign(header(), claims))
		if err != nil || s.MemberID != "member-test-1" || s.ExpiresAt.IsZero() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	s, _, err := v.Verify(t.Context(), sign(header(), good["fewer values"]))
	if err != nil || !s.ExpiresAt.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("expires %v, %v; want when the JWT does", s.ExpiresAt, err)
	}
	wantVerified(t, v, sign(with(header(), "kid", "jwk-test-1"), c))
	wantVerified(t, v, rs(nextKey(), crypto.SHA256, with(header(), "kid", "jwk-test-0"), c))
}

func TestVerifyIssuerOfCustomDomain(t *testing.T) {
	t.Parallel()
	k := &keyServer{now: noon, keys: []object{jwkOf("jwk-test-1", theKey())}}
	server := httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(server.Close)
	v, err := newClient(t, server.URL+"/", stytch.WithClock(k.clock)).NewJWTVerifier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantVerified(t, v, sign(header(), with(claims(), "iss", server.URL)))
	wantVerified(t, v, sign(header(), claims()))
	wantRefused(t, v, sign(header(), with(claims(), "iss", server.URL+"/")), stytch.ErrJWTInvalid)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	wantVerified(t, v, sign(header(), claims()))
	h, c := header(), claims()
	der, err := x509.MarshalPKIXPublicKey(&theKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hs := func(secret []byte) string {
		text := segment(with(h, "alg", "HS256")) + "." + segment(c)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	ps := func() string {
		text := segment(with(h, "alg", "PS256")) + "." + segment(c)
		signature, err := rsa.SignPSS(rand.Reader, theKey(), crypto.SHA256, hashed(crypto.SHA256, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	unsigned := func(alg string) string { return segment(with(h, "alg", alg)) + "." + segment(c) + "." }
	good := sign(h, c)
	parts := strings.Split(good, ".")
	session, _ := c["https://stytch.com/session"].(object)
	organization, _ := c["https://stytch.com/organization"].(object)
	bySession := func(name string, value any) string {
		return sign(h, with(c, "https://stytch.com/session", with(session, name, value)))
	}
	bad := map[string]string{
		"none": unsigned("none"), "None": unsigned("None"), "NONE": unsigned("NONE"), "unsigned RS256": unsigned("RS256"),
		"none, signed":            rs(theKey(), crypto.SHA256, with(h, "alg", "none"), c),
		"HS256 by the DER":        hs(der),
		"HS256 by the PEM":        hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 by the PKCS1 PEM":  hs(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&theKey().PublicKey)})),
		"HS256 by the modulus":    hs(theKey().N.Bytes()),
		"HS256 by nothing":        hs(nil),
		"RS384":                   rs(theKey(), crypto.SHA384, with(h, "alg", "RS384"), c),
		"RS512":                   rs(theKey(), crypto.SHA512, with(h, "alg", "RS512"), c),
		"RS512 called RS256":      rs(theKey(), crypto.SHA512, h, c),
		"PS256":                   ps(),
		"no algorithm":            sign(with(h, "alg", nil), c),
		"a number for algorithm":  sign(with(h, "alg", 256), c),
		"an unknown algorithm":    sign(with(h, "alg", "RS257"), c),
		"another key":             rs(foreignKey(), crypto.SHA256, h, c),
		"another key of ours":     rs(nextKey(), crypto.SHA256, h, c),
		"no kid":                  sign(with(h, "kid", nil), c),
		"empty kid":               sign(with(h, "kid", ""), c),
		"a number for kid":        sign(with(h, "kid", 1), c),
		"a list for kid":          sign(with(h, "kid", []string{"jwk-test-1"}), c),
		"a giant kid":             sign(with(h, "kid", strings.Repeat("k", 513)), c),
		"no type":                 sign(with(h, "typ", nil), c),
		"another type":            sign(with(h, "typ", "at+jwt"), c),
		"extensions":              sign(with(h, "crit", []string{"exp"}), c),
		"another project":         sign(h, with(c, "iss", "stytch.com/project-test-2")),
		"an address for issuer":   sign(h, with(c, "iss", "https://stytch.com/"+projectID)),
		"a longer issuer":         sign(h, with(c, "iss", "stytch.com/"+projectID+"0")),
		"no issuer":               sign(h, with(c, "iss", nil)),
		"a list for issuer":       sign(h, with(c, "iss", []string{"stytch.com/" + projectID})),
		"another audience":        sign(h, with(c, "aud", []string{"project-test-2"})),
		"a longer audience":       sign(h, with(c, "aud", projectID+"0")),
		"no audience":             sign(h, with(c, "aud", nil)),
		"an empty audience":       sign(h, with(c, "aud", []string{})),
		"a number for audience":   sign(h, with(c, "aud", 1)),
		"no member":               sign(h, with(c, "sub", nil)),
		"an empty member":         sign(h, with(c, "sub", "")),
		"a number for member":     sign(h, with(c, "sub", 1)),
		"no session":              sign(h, with(c, "https://stytch.com/session", nil)),
		"a text for session":      sign(h, with(c, "https://stytch.com/session", "session-test-1")),
		"a list for session":      sign(h, with(c, "https://stytch.com/session", []object{session})),
		"no session id":           bySession("id", nil),
		"a number for session id": bySession("id", 1),
		"two sessions":            bySession("member_session_id", "session-test-2"),
		"two members":             bySession("member_id", "member-test-2"),
		"two organizations":       bySession("organization_id", "organization-test-2"),
		"no organization":         sign(h, with(c, "https://stytch.com/organization", nil)),
		"no organization id":      sign(h, with(c, "https://stytch.com/organization", with(organization, "organization_id", nil))),
		"no expiry":               sign(h, with(c, "exp", nil)),
		"a text for expiry":       sign(h, with(c, "exp", "tomorrow")),
		"no issue":                sign(h, with(c, "iat", nil)),
		"a text for issue":        sign(h, with(c, "iat", "now")),
		"a text for not-before":   sign(h, with(c, "nbf", "now")),
		"not yet":                 sign(h, with(c, "nbf", noon.Add(6*time.Second).Unix())),
		"issued later":            sign(h, with(c, "iat", noon.Add(6*time.Second).Unix())),
		// Expired, and more: it is nobody's business when.
		"expired, another key":       rs(foreignKey(), crypto.SHA256, h, with(c, "exp", 1)),
		"expired, another audience":  sign(h, with(with(c, "exp", 1), "aud", "x")),
		"expired, another issuer":    sign(h, with(with(c, "exp", 1), "iss", "x")),
		"expired, not yet":           sign(h, with(with(c, "exp", 1), "nbf", noon.Add(time.Hour).Unix())),
		"expired, of no member":      sign(h, with(with(c, "exp", 1), "sub", nil)),
		"expired, of two members":    sign(h, with(with(c, "exp", 1), "https://stytch.com/session", with(session, "member_id", "x"))),
		"empty":                      "",
		"dots":                       "..",
		"many dots":                  strings.Repeat(".", 16<<10),
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 good + ".",
		"parts swapped":              parts[1] + "." + parts[0] + "." + parts[2],
		"another's signature":        parts[0] + "." + segment(with(c, "sub", "member-test-2")) + "." + parts[2],
		"another's header":           segment(with(h, "x", "y")) + "." + parts[1] + "." + parts[2],
		"no header":                  "." + parts[1] + "." + parts[2],
		"null header":                segment(nil) + "." + parts[1] + "." + parts[2],
		"a list for header":          segment([]object{h}) + "." + parts[1] + "." + parts[2],
		"padding":                    good + "=",
		"a line break":               good + "\n",
		"a break within":             parts[0] + "." + parts[1] + "." + parts[2][:9] + "\n" + parts[2][9:],
		"a space before":             " " + good,
		"standard base64":            parts[0] + "." + parts[1] + "." + base64.RawStdEncoding.EncodeToString(decoded(t, parts[2])),
		"huge":                       sign(h, with(c, "padding", strings.Repeat("x", 16<<10))),
		"huge and empty":             strings.Repeat("x", 1<<20),
		"a signature of another len": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(decoded(t, parts[2])[1:]),
	}
	signature := decoded(t, parts[2])
	for i := 0; i < len(signature); i += 16 {
		flipped := append([]byte(nil), signature...)
		flipped[i] ^= 1
		bad[fmt.Sprintf("bit in byte %d", i)] = parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(flipped)
	}
	for i := 0; i < len(good); i += 7 {
		bad[fmt.Sprintf("cut to %d", i)] = good[:i]
	}
	// null for claims is an object without any.
	null := parts[0] + ".bnVsbA"
	nullSignature, err := rsa.SignPKCS1v15(nil, theKey(), crypto.SHA256, hashed(crypto.SHA256, null))
	if err != nil {
		t.Fatal(err)
	}
	bad["null claims"] = null + "." + base64.RawURLEncoding.EncodeToString(nullSignature)
	for name, token := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, v, token, stytch.ErrJWTInvalid)
		})
	}
	t.Cleanup(func() { k.wantAsked(t, 1) }) // no bad token makes the console ask for keys
}

func decoded(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a token says of itself is not repeated.
func TestRefusalQuotesNothing(t *testing.T) {
	t.Parallel()
	v, _ := startKeys(t)
	for _, token := range []string{
		rs(theKey(), crypto.SHA512, with(header(), "alg", "RS512"), claims()), sign(with(header(), "alg", "RS257"), claims()),
		sign(with(header(), "typ", "RS512"), claims()), sign(with(header(), "kid", "RS512"), claims()), sign(header(), with(claims(), "iss", "RS512")),
	} {
		if _, _, err := v.Verify(t.Context(), token); err == nil || strings.Contains(err.Error(), "RS") {
			t.Errorf("error = %v", err)
		}
	}
}

// The last character of a signature has bits that mean nothing, so one signature has several spellings.
func TestVerifyTakesOneSpellingOnly(t *testing.T) {
	t.Parallel()
	v, _ := startKeys(t)
	good := sign(header(), claims())
	wantVerified(t, v, good)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	wantRefused(t, v, good[:len(good)-1]+string(alphabet[last^1]), stytch.ErrJWTInvalid)
}

func TestVerifyExpired(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	c := claims()
	session, _ := c["https://stytch.com/session"].(object)
	for name, token := range map[string]string{
		"the JWT":     sign(header(), with(c, "exp", noon.Add(-5*time.Second).Unix())),
		"long ago":    sign(header(), with(with(c, "iat", 1), "exp", 2)),
		"the session": sign(header(), with(c, "https://stytch.com/session", with(session, "expires_at", "2026-03-01T11:59:55Z"))),
	} {
		s, at, err := v.Verify(t.Context(), token)
		if !errors.Is(err, stytch.ErrJWTExpired) || s == nil || s.MemberID != "member-test-1" || s.MemberSessionID != "session-test-1" || at.IsZero() {
			t.Errorf("%s: %+v, %v, %v", name, s, at, err)
		}
	}
	good := sign(header(), c)
	wantVerified(t, v, good)
	k.pass(5*time.Minute + 5*time.Second)
	if _, _, err := v.Verify(t.Context(), good); !errors.Is(err, stytch.ErrJWTExpired) {
		t.Errorf("after five minutes: %v", err)
	}
}

// Where a token says that its key is found does not count.
func TestVerifyLooksNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the token's own address was asked")
		_ = json.NewEncoder(w).Encode(object{"keys": []object{jwkOf("jwk-test-1", foreignKey())}, "status_code": 200})
	}))
	t.Cleanup(elsewhere.Close)
	key := jwkOf("jwk-test-1", theKey())
	key["x5u"] = elsewhere.URL // nor what a key says of its certificate
	v, _ := startKeys(t, key)
	h := header()
	h["jku"], h["x5u"], h["jwk"] = elsewhere.URL, elsewhere.URL, jwkOf("jwk-test-1", foreignKey())
	wantRefused(t, v, rs(foreignKey(), crypto.SHA256, h, claims()), stytch.ErrJWTInvalid)
	wantVerified(t, v, sign(h, claims()))
}

// Keys of other kinds are passed over, and the good one among them is found.
func TestKeysOfOtherKinds(t *testing.T) {
	t.Parallel()
	octet := object{"kty": "oct", "alg": "HS256", "use": "sig", "kid": "octet", "k": base64.RawURLEncoding.EncodeToString([]byte("known"))}
	bare := object{"kty": "RSA", "kid": "bare", "n": jwkOf("", theKey())["n"], "e": "AQAB"}
	unusable := map[string]object{
		"octet": octet,
		"enc":   with(jwkOf("enc", theKey()), "use", "enc"),
		"RS512": with(jwkOf("RS512", theKey()), "alg", "RS512"),
		"weak":  jwkOf("weak", weakKey()),
		"no n":  with(jwkOf("no n", theKey()), "n", nil),
		"bad n": with(jwkOf("bad n", theKey()), "n", "%"),
		"odd":   with(jwkOf("odd", theKey()), "use", 5),
		"EC":    {"kty": "EC", "kid": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
	}
	keys := []object{nil, {}, jwkOf("", theKey()), jwkOf("jwk-test-1", theKey()), bare}
	for _, key := range unusable {
		keys = append(keys, key)
	}
	v, k := startKeys(t, keys...)
	wantVerified(t, v, sign(header(), claims()))
	wantVerified(t, v, sign(with(header(), "kid", "bare"), claims()))
	for name := range unusable {
		k.pass(5 * time.Minute) // so that each is looked for
		key := theKey()
		if name == "weak" {
			key = weakKey()
		}
		c := with(claims(), "exp", noon.Add(24*time.Hour).Unix())
		wantRefused(t, v, rs(key, crypto.SHA256, with(header(), "kid", name), c), stytch.ErrJWTInvalid)
	}
	text := segment(with(with(header(), "alg", "HS256"), "kid", "octet")) + "." + segment(claims())
	mac := hmac.New(sha256.New, []byte("known"))
	mac.Write([]byte(text))
	wantRefused(t, v, text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), stytch.ErrJWTInvalid)
}

// Without keys nothing is verified, and nothing is refused either.
func TestKeysEndpointFails(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the redirect was followed")
		_ = json.NewEncoder(w).Encode(object{"keys": []object{jwkOf("jwk-test-1", theKey())}, "status_code": 200})
	}))
	t.Cleanup(elsewhere.Close)
	said := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	apiError := func(err error) bool { return errors.As(err, new(*stytch.Error)) }
	answerError := func(err error) bool { return errors.As(err, new(*stytch.AnswerError)) }
	for name, tt := range map[string]struct {
		reply http.HandlerFunc
		class func(error) bool
	}{
		"500":        {said(500, `{"status_code":500,"error_type":"internal_server_error"}`), apiError},
		"404":        {said(404, ``), apiError},
		"html":       {said(200, `<html>`), answerError},
		"empty":      {said(200, ``), answerError},
		"no keys":    {said(200, ok("")), answerError},
		"null":       {said(200, ok(`"keys":null`)), answerError},
		"none":       {said(200, ok(`"keys":[]`)), answerError},
		"an object":  {said(200, ok(`"keys":{}`)), answerError},
		"a text":     {said(200, ok(`"keys":["x",5,null,[]]`)), answerError},
		"an error":   {said(200, `{"status_code":500,"keys":[]}`), answerError},
		"oversized":  {said(200, ok(`"x":"`+strings.Repeat("x", stytch.MaxBody)+`"`)), answerError},
		"cut":        {said(200, `{"keys":[{"kty":"RSA"`), answerError},
		"redirect":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, answerError},
		"broken off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(err error) bool { return errors.As(err, new(*stytch.TransportError)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, k := startKeys(t)
			k.set(func(k *keyServer) { k.reply = tt.reply })
			good := sign(header(), claims())
			wantRefused(t, v, good, stytch.ErrJWTUnverified)
			if _, _, err := v.Verify(t.Context(), good); !tt.class(err) {
				t.Errorf("error = %#v", err)
			}
			// What needs no key is refused all the same.
			wantRefused(t, v, sign(header(), with(claims(), "aud", "x")), stytch.ErrJWTInvalid)
			k.wantAsked(t, 1) // it is not asked again at once
			k.set(func(k *keyServer) { k.reply = nil })
			k.pass(30 * time.Second)
			wantVerified(t, v, good)
			k.wantAsked(t, 2)
		})
	}
}

func TestKeysEndpointIsDown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	v, err := newClient(t, server.URL, stytch.WithClock(func() time.Time { return noon })).NewJWTVerifier(t.Context())
	if err != nil {
		t.Fatalf("the start failed: %v", err)
	}
	wantRefused(t, v, sign(header(), claims()), stytch.ErrJWTUnverified)
}

func TestKeysAreReadHourly(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	good := sign(header(), with(with(claims(), "exp", noon.Add(100*time.Hour).Unix()), "https://stytch.com/session", object{"id": "s"}))
	wantVerified(t, v, good)
	k.pass(59 * time.Minute)
	wantVerified(t, v, good)
	k.wantAsked(t, 1)
	k.pass(time.Minute)
	wantVerified(t, v, good)
	k.wantAsked(t, 2)

	// While they cannot be read the old ones go on, asked for now and then, but not for ever.
	k.set(func(k *keyServer) { k.reply = http.NotFound })
	k.pass(time.Hour)
	for range 3 {
		wantVerified(t, v, good)
	}
	k.wantAsked(t, 3)
	k.pass(30 * time.Second)
	wantVerified(t, v, good)
	k.wantAsked(t, 4)
	k.pass(23 * time.Hour)
	wantRefused(t, v, good, stytch.ErrJWTUnverified)
	k.wantAsked(t, 5)

	// A key that was taken back is not used any more.
	k.set(func(k *keyServer) { k.reply, k.keys = nil, []object{jwkOf("jwk-test-2", nextKey())} })
	k.pass(30 * time.Second)
	wantRefused(t, v, good, stytch.ErrJWTInvalid)
	k.wantAsked(t, 6)
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t, jwkOf("jwk-test-1", theKey()))
	c := with(claims(), "exp", noon.Add(time.Hour).Unix())
	old, renewed := sign(header(), c), rs(nextKey(), crypto.SHA256, with(header(), "kid", "jwk-test-2"), c)
	wantVerified(t, v, old)
	k.set(func(k *keyServer) { k.keys = append(k.keys, jwkOf("jwk-test-2", nextKey())) })
	wantVerified(t, v, renewed) // at once
	wantVerified(t, v, old)
	k.wantAsked(t, 2)

	// Then not for five minutes, whoever makes keys up.
	for i := range 5 {
		wantRefused(t, v, rs(foreignKey(), crypto.SHA256, with(header(), "kid", fmt.Sprint("made-up-", i)), c), stytch.ErrJWTUnverified)
	}
	wantVerified(t, v, renewed)
	k.wantAsked(t, 2)
	k.pass(5*time.Minute - time.Second)
	wantRefused(t, v, rs(foreignKey(), crypto.SHA256, with(header(), "kid", "made-up"), c), stytch.ErrJWTUnverified)
	k.wantAsked(t, 2)
	k.pass(time.Second)
	wantRefused(t, v, rs(foreignKey(), crypto.SHA256, with(header(), "kid", "made-up"), c), stytch.ErrJWTInvalid)
	k.wantAsked(t, 3)

	// A look that fails counts, and takes nothing away.
	k.set(func(k *keyServer) { k.reply = http.NotFound })
	k.pass(5 * time.Minute)
	for range 3 {
		wantRefused(t, v, rs(foreignKey(), crypto.SHA256, with(header(), "kid", "made-up"), c), stytch.ErrJWTUnverified)
	}
	k.wantAsked(t, 4)
	wantVerified(t, v, renewed)
}

func TestKeysAreReadOnceForMany(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	release := make(chan struct{})
	k.set(func(k *keyServer) {
		k.reply = func(w http.ResponseWriter, _ *http.Request) {
			<-release
			_ = json.NewEncoder(w).Encode(object{"keys": k.keys, "status_code": 200})
		}
	})
	good := sign(header(), claims())
	var all, begun sync.WaitGroup
	for range 50 {
		begun.Add(1)
		all.Go(func() {
			begun.Done()
			wantVerified(t, v, good)
		})
	}
	begun.Wait()

	// Who gives up does not take the others along.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := v.Verify(ctx, good); !errors.Is(err, stytch.ErrJWTUnverified) || !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want ErrJWTUnverified and context.Canceled", err)
	}
	close(release)
	all.Wait()
	k.wantAsked(t, 1)
}

// A key that is known needs not wait for one that is not.
func TestKnownKeysDoNotWait(t *testing.T) {
	t.Parallel()
	v, k := startKeys(t)
	good := sign(header(), claims())
	wantVerified(t, v, good)
	asked, release := make(chan struct{}), make(chan struct{})
	k.set(func(k *keyServer) {
		k.reply = func(w http.ResponseWriter, r *http.Request) {
			close(asked)
			<-release
			http.NotFound(w, r)
		}
	})
	var unknown sync.WaitGroup
	unknown.Go(func() {
		wantRefused(t, v, sign(with(header(), "kid", "jwk-test-9"), claims()), stytch.ErrJWTUnverified)
	})
	<-asked
	wantVerified(t, v, good)
	close(release)
	unknown.Wait()
}

// The end of the server ends the reading of keys.
func TestVerifierEnds(t *testing.T) {
	t.Parallel()
	client := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") }, stytch.WithClock(func() time.Time { return noon }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := client.NewJWTVerifier(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, v, sign(header(), claims()), stytch.ErrJWTUnverified)
}

func FuzzVerify(f *testing.F) {
	k := &keyServer{keys: []object{jwkOf("jwk-test-1", theKey())}}
	body, err := json.Marshal(object{"keys": k.keys, "status_code": 200})
	if err != nil {
		f.Fatal(err)
	}
	client, err := stytch.New(projectID, secret, stytch.WithClock(func() time.Time { return noon }),
		stytch.WithTransport(transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(body)))}, nil
		})))
	if err != nil {
		f.Fatal(err)
	}
	v, err := client.NewJWTVerifier(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	good := sign(header(), claims())
	for _, seed := range []string{good, good[:len(good)-2], "", "..", "e30.e30.", segment(with(header(), "alg", "none")) + "." + segment(claims()) + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s, _, err := v.Verify(t.Context(), token)
		if (err == nil) != (token == good) || (err == nil) != (s != nil) {
			t.Errorf("%q: %+v, %v", token, s, err)
		}
	})
}
