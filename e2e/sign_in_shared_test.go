package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// opened is a session that another application has made.
type opened struct {
	Token  string `json:"session_token"`
	JWT    string `json:"session_jwt"`
	Member struct {
		SessionID string `json:"member_session_id"`
	} `json:"member_session"`
}

func (c *control) open(memberID string, more map[string]any) opened {
	c.t.Helper()
	body := map[string]any{"member_id": memberID, "expires_in": "3h"}
	maps.Copy(body, more)
	var o opened
	c.call("POST", "sessions", body, &o)
	return o
}

// holding is a browser that another application of the same domain has given cookies.
func (s *site) holding(nameValue ...string) *browser {
	s.t.Helper()
	b := s.browser()
	for i := 0; i < len(nameValue); i += 2 {
		b.put(&http.Cookie{Name: nameValue[i], Value: nameValue[i+1]})
	}
	return b
}

const (
	tokenCookie, jwtCookie = "stytch_session", "stytch_session_jwt"
	tokenHeader, jwtHeader = "X-Stytch-Member-Session", "X-Stytch-Member-SessionJWT"
)

// actedAs wants the requests of an endpoint since a mark to carry the session
// of a member in one header alone.
func (c *control) actedAs(mark int, endpoint, header, memberID string) {
	c.t.Helper()
	sent := c.journal(mark, endpoint)
	if len(sent) == 0 {
		c.t.Errorf("%s was not called", endpoint)
	}
	for _, e := range sent {
		if len(e.Session) != 1 || e.Session[0].Header != header || e.Session[0].MemberID != memberID {
			c.t.Errorf("%s acts with %+v, want %s of %s", endpoint, e.Session, header, memberID)
		}
	}
}

func TestSharedCookies(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	ada, hiro := sandbox.id("ada@acme.example"), sandbox.id("hiro@acme.example")
	s := sandbox.serve(append(sandbox.settings(t.TempDir()), "CONSOLE_SHARED_COOKIES="+tokenCookie+","+jwtCookie))

	t.Run("token", func(t *testing.T) {
		s := s.in(t)
		o := s.control.open(ada, nil)
		b, mark := s.holding(tokenCookie, o.Token), s.control.mark()
		b.get("/members").wants(http.StatusOK).says("table.members", "ada@acme.example")
		s.control.actedAs(mark, epSearch, tokenHeader, ada)
		s.control.calls(mark, "sessions.get_jwks", 0)
		target := s.id("paula@acme.example")
		mark = s.control.mark()
		b.deletePassword(target, map[string]string{"ticket": "INC-1"}).wants(http.StatusOK).says(`[role="status"]`, "Password deleted")
		s.control.actedAs(mark, epDeletePassword, tokenHeader, ada)
		row := wantAudit(t, b, "session.sign_in", "ada@acme.example", "succeeded")
		b.get(row.event).says("main", "shared")

		// Signing out here ends the other application's session, and its cookie leads in no more.
		p := b.submit(b.get("/members"), signOutForm, nil).wants(http.StatusOK)
		if p.url.Path != "/login" {
			t.Errorf("signing out leads to %s", p.url)
		}
		b.wantOut()
		if slices.ContainsFunc(s.control.member(ada).Sessions, func(open struct {
			ID string `json:"member_session_id"`
		},
		) bool {
			return open.ID == o.Member.SessionID
		}) {
			t.Error("the session is still open upstream")
		}
	})
	t.Run("JWT", func(t *testing.T) {
		s := s.in(t)
		o := s.control.open(hiro, nil)
		b, mark := s.holding(jwtCookie, o.JWT), s.control.mark()
		b.get("/members").wants(http.StatusOK)
		s.control.actedAs(mark, epSearch, jwtHeader, hiro)
		s.control.calls(mark, "sessions.get_jwks", 1)
		mark = s.control.mark()
		b.deletePassword(s.id("jon.smithson@acme.example"), map[string]string{"ticket": "INC-1"}).wants(http.StatusOK)
		s.control.actedAs(mark, epDeletePassword, jwtHeader, hiro)

		// The keys are known now. A JWT past its five minutes is asked about; what acts then is what the answer gave.
		o = s.control.open(hiro, map[string]any{"jwt_age": "10m"})
		b, mark = s.holding(jwtCookie, o.JWT), s.control.mark()
		b.get("/members").wants(http.StatusOK)
		s.control.calls(mark, "sessions.get_jwks", 0)
		s.control.calls(mark, epAsk, 1)
		for _, e := range s.control.journal(mark, epSearch) {
			if len(e.Session) != 1 || e.Session[0].SessionID != o.Member.SessionID {
				t.Errorf("the search acts with %+v, want the same session", e.Session)
			}
		}
	})
	t.Run("both", func(t *testing.T) {
		s := s.in(t)
		one, two := s.control.open(ada, nil), s.control.open(hiro, nil)
		mark := s.control.mark()
		b := s.holding(tokenCookie, one.Token, jwtCookie, two.JWT)
		b.get("/members").wants(http.StatusOK)
		s.control.actedAs(mark, epSearch, tokenHeader, ada) // the setting's order
		// Somebody else signs in to the other application: it is theirs here too.
		b.put(&http.Cookie{Name: tokenCookie, Value: two.Token})
		if got := b.get("/account").wants(http.StatusOK).row("Signed in as"); got != "hiro@acme.example" {
			t.Errorf("signed in is %q", got)
		}
		// It signs out: nobody is in.
		gone := s.holding("console", b.cookie("console").Value)
		gone.wantOut()
	})
	t.Run("forged", func(t *testing.T) {
		s := s.in(t)
		o := s.control.open(ada, nil)
		mark := s.control.mark()
		for name, bad := range forged(t, o.JWT) {
			was := s.control.mark()
			b := s.holding(jwtCookie, bad)
			if p := b.get("/members"); p.url.Path != "/login" {
				t.Errorf("%s opens %s", name, p.url)
			}
			for _, e := range s.control.journal(was, "") {
				// Between two fetches of the keys an unknown one may be new, and the upstream knows.
				if e.Endpoint != "sessions.get_jwks" && (e.Endpoint != epAsk || name != unknownKey && name != pointsElsewhere) {
					t.Errorf("%s makes the upstream be asked: %s", name, e.Endpoint)
				}
			}
		}
		if n := len(s.control.journal(mark, "sessions.get_jwks")); n > 1 {
			t.Errorf("the keys were fetched %d times", n)
		}
		for name, bad := range map[string]string{"another token": strings.Repeat("x", 44), "a very long one": strings.Repeat("x", 3000), "odd": "a b;c"} {
			if p := s.holding(tokenCookie, bad).get("/members"); p.url.Path != "/login" {
				t.Errorf("%s opens %s", name, p.url)
			}
		}
	})
	t.Run("revoked", func(t *testing.T) {
		s := s.in(t)
		o := s.control.open(ada, nil)
		b := s.holding(tokenCookie, o.Token)
		b.get("/members").wants(http.StatusOK)
		s.control.endSession(o.Member.SessionID)
		b.get("/members?q=maria")
		b.wantOut()
	})
}

const (
	unknownKey      = "another key, another kid"
	pointsElsewhere = "a header that points elsewhere"
)

// forged are JWTs that nobody must take, made from a good one.
func forged(t *testing.T, good string) map[string]string {
	t.Helper()
	part := strings.Split(good, ".")
	head := func(h map[string]any) string {
		raw, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	var claims jwt.MapClaims
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if raw, err = base64.RawURLEncoding.DecodeString(part[0]); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method jwt.SigningMethod, with any, kid any) string {
		token := jwt.NewWithClaims(method, claims)
		if kid != nil {
			token.Header["kid"] = kid
		}
		text, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	return map[string]string{
		"a changed signature":          part[0] + "." + part[1] + "." + strings.Repeat("A", len(part[2])),
		"no signature":                 part[0] + "." + part[1] + ".",
		"alg none":                     head(map[string]any{"alg": "none", "typ": "JWT", "kid": header["kid"]}) + "." + part[1] + ".",
		"another key, the same kid":    signed(jwt.SigningMethodRS256, key, header["kid"]),
		"another key, another kid":     signed(jwt.SigningMethodRS256, key, "jwk-test-other"),
		"another key, no kid":          signed(jwt.SigningMethodRS256, key, nil),
		"HMAC with a guessable secret": signed(jwt.SigningMethodHS256, []byte("secret"), header["kid"]),
		"a path as kid":                signed(jwt.SigningMethodHS256, []byte(""), "../../dev/null"),
		"claims of somebody else":      part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(mustJSON(t, claims)), "member-test-", "member-test-0", 1))) + "." + part[2],
		"no JWT":                       "a.b.c",
		"dots":                         "..",
		"a very long one":              strings.Repeat("a", 3000) + ".b.c",
		pointsElsewhere:                head(map[string]any{"alg": "RS256", "typ": "JWT", "kid": "x", "jku": "https://evil.example/keys", "jwk": map[string]any{}}) + "." + part[1] + "." + part[2],
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A new signing key of the upstream is fetched when it is first seen.
func TestSharedJWTsAfterKeyRotation(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	ada := sandbox.id("ada@acme.example")
	s := sandbox.serve(append(sandbox.settings(t.TempDir()), "CONSOLE_SHARED_COOKIES="+jwtCookie))
	old := s.control.open(ada, nil)
	s.holding(jwtCookie, old.JWT).get("/members").wants(http.StatusOK)
	s.control.call("POST", "keys/rotate", nil, nil)
	mark := s.control.mark()
	fresh := s.control.open(ada, nil)
	for name, o := range map[string]opened{"old": old, "new": fresh} {
		if p := s.holding(jwtCookie, o.JWT).get("/members").wants(http.StatusOK); p.url.Path != "/members" {
			t.Errorf("a JWT of the %s key leads to %s", name, p.url)
		}
	}
	s.control.calls(mark, "sessions.get_jwks", 1)
}

func TestSharedCookiesAreOffByDefault(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.control.open(s.id("ada@acme.example"), nil)
	mark := s.control.mark()
	s.holding(tokenCookie, o.Token, jwtCookie, o.JWT).get("/members").wants(http.StatusOK).says("h1", "Sign in")
	for _, e := range s.control.journal(mark, "") {
		t.Errorf("a cookie of another application makes the upstream be asked: %s", e.Endpoint)
	}
}

// Keys are rotated by putting a new one first: who is signed in stays so until the old one goes.
func TestSessionKeyRotation(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	settings := sandbox.settings(t.TempDir())
	newKey := func() string {
		out, stderr, code := run(t, settings, "keys")
		for line := range strings.Lines(out) {
			if key, ok := strings.CutPrefix(strings.TrimSpace(line), "CONSOLE_SESSION_KEYS="); ok {
				return key
			}
		}
		t.Fatalf("console keys: exit %d: %s%s", code, out, stderr)
		return ""
	}
	first, second := newKey(), newKey()
	s := sandbox.serve(append(slices.Clone(settings), "CONSOLE_SESSION_KEYS="+first))
	in := s.as("helpdesk")
	tom := s.control.stranger("tom@northwind.test")
	half, factor := s.firstFactor(tom, "/account")
	s.process.stop()

	s = sandbox.serve(append(slices.Clone(settings), "CONSOLE_SESSION_KEYS="+second+","+first))
	at := func(b *browser) *browser {
		moved := s.browser() // another port
		moved.client.Jar = b.client.Jar
		return moved
	}
	if p := at(in).get("/members"); p.url.Path != "/members" {
		t.Errorf("with the old key second one is signed out: %s", p.url)
	}
	moved := at(half)
	action, values := factor.form("main form:has(input[name=code])", map[string]string{"code": s.control.factors(tom.MemberID).TOTPCode})
	if p := moved.follow(moved.post(action, values)); p.url.Path != "/account" {
		t.Errorf("with the old key second a sign-in under way leads to %s: %s", p.url, p.words())
	}
	fresh := s.as("org_admin")
	s.process.stop()

	s = sandbox.serve(append(slices.Clone(settings), "CONSOLE_SESSION_KEYS="+second))
	if p := at(in).get("/members"); p.url.Path != "/login" {
		t.Errorf("without the old key its session opens %s", p.url)
	}
	if p := at(fresh).get("/members"); p.url.Path != "/members" {
		t.Errorf("a session of the new key leads to %s", p.url)
	}
}
