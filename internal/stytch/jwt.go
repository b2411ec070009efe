package stytch

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	jwtLeeway = 5 * time.Second // between the API's clock and the client's
	minRSA    = 2048

	keysFresh   = time.Hour        // then the keys are read again
	keysUsable  = 24 * time.Hour   // then they are not used any more, if they cannot be read again
	keysUnknown = 5 * time.Minute  // between two looks for a key that is not there
	keysRetry   = 30 * time.Second // between a look that failed and the next
)

// What [JWTVerifier.Verify] returns.
var (
	ErrJWTInvalid    = errors.New("stytch: session JWT refused")
	ErrJWTExpired    = errors.New("stytch: session JWT expired")
	ErrJWTUnverified = errors.New("stytch: session JWT not verified for lack of its key")
)

// JWTVerifier verifies session JWTs without asking the API about each. It is safe for concurrent use.
//
// A session that was revoked verifies until its JWT expires, up to five minutes: do not let anything be changed on a
// JWT's word alone.
type JWTVerifier struct {
	client  *Client
	parser  *jwt.Parser
	keyfunc keyfunc.Keyfunc
}

// NewJWTVerifier returns a verifier for the client's project. It reads the keys from
// GET /v1/b2b/sessions/jwks/{project_id} when it first needs them, again once they are an hour old, and for a key it does
// not know, for that at most every five minutes. The end of ctx ends the reading.
func (c *Client) NewJWTVerifier(ctx context.Context) (*JWTVerifier, error) {
	keys := &jwtKeys{Storage: jwkset.NewMemoryStorage(), client: c, ctx: ctx}
	byID, err := keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: keys, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, fmt.Errorf("stytch: %w", err)
	}
	return &JWTVerifier{
		client:  c,
		keyfunc: byID,
		// The claims are validated here: the API has two issuers, and expiry must come last.
		parser: jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
	}, nil
}

// Verify returns the session a JWT speaks of and when the JWT was issued.
//
// The error is ErrJWTInvalid for what the API did not sign for this project; ErrJWTExpired, with the session all the
// same, if nothing else is wrong than that its time has passed; or ErrJWTUnverified, which is neither yes nor no, if the
// key could not be read. For the last two [Client.AuthenticateSession] knows more.
func (v *JWTVerifier) Verify(ctx context.Context, token string) (*MemberSession, time.Time, error) {
	if len(token) > maxCredential || !printable(token) {
		// The decoder would skip line breaks.
		return nil, time.Time{}, refuseJWT("it is too long or not a token")
	}
	var claims jwtClaims
	var cause error
	_, err := v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		var key any
		if cause = v.addressed(t, claims); cause == nil {
			key, cause = v.keyfunc.KeyfuncCtx(ctx)(t)
		}
		return key, cause
	})
	switch {
	case errors.Is(cause, ErrJWTInvalid), errors.Is(cause, ErrJWTUnverified):
		return nil, time.Time{}, cause
	case err != nil:
		// Its text is not passed on: it quotes the header, which anybody may have written.
		return nil, time.Time{}, refuseJWT("it is malformed or not signed by its key")
	}
	return v.session(claims)
}

func refuseJWT(why string) error { return fmt.Errorf("%w: %s", ErrJWTInvalid, why) }

// addressed refuses what is not for this project before a key is looked for, so that it costs nothing.
func (v *JWTVerifier) addressed(t *jwt.Token, claims jwtClaims) error {
	kid, _ := t.Header["kid"].(string)
	_, critical := t.Header["crit"]
	switch {
	case t.Header["typ"] != "JWT":
		return refuseJWT("its type is not JWT")
	case critical:
		return refuseJWT("it has extensions")
	case kid == "" || len(kid) > maxID:
		return refuseJWT("it names no key")
	}
	if iss, err := claims.GetIssuer(); err != nil || iss != "stytch.com/"+v.client.projectID && iss != v.client.base {
		return refuseJWT("its issuer is another")
	}
	if audience, err := claims.GetAudience(); err != nil || !slices.Contains(audience, v.client.projectID) {
		return refuseJWT("its audience is another")
	}
	return nil
}

// session is what signed claims say.
func (v *JWTVerifier) session(claims jwtClaims) (*MemberSession, time.Time, error) {
	var (
		s    MemberSession
		name struct {
			ID string `json:"id"`
		}
		organization struct {
			ID   string `json:"organization_id"`
			Slug string `json:"slug"`
		}
	)
	sub, subErr := claims.GetSubject()
	inner, org := claims[claimSession], claims[claimOrganization]
	err := errors.Join(subErr, decodeLenient(inner, &s), decodeLenient(inner, &name), decodeLenient(org, &organization))
	switch {
	case err != nil || sub == "":
		return nil, time.Time{}, refuseJWT("it is of no member")
	case name.ID == "" || organization.ID == "":
		return nil, time.Time{}, refuseJWT("it is of no session")
	case s.MemberSessionID != "" && s.MemberSessionID != name.ID,
		s.MemberID != "" && s.MemberID != sub,
		s.OrganizationID != "" && s.OrganizationID != organization.ID:
		return nil, time.Time{}, refuseJWT(problemContradiction)
	}
	s.MemberSessionID, s.MemberID, s.OrganizationID, s.OrganizationSlug = name.ID, sub, organization.ID, organization.Slug
	if s.CustomClaims, err = claims.custom(); err != nil {
		return nil, time.Time{}, refuseJWT("its claims are malformed")
	}

	issued, iatErr := claims.GetIssuedAt()
	notBefore, nbfErr := claims.GetNotBefore()
	expires, expErr := claims.GetExpirationTime()
	if errors.Join(iatErr, nbfErr, expErr) != nil || issued == nil || expires == nil {
		return nil, time.Time{}, refuseJWT("its times are missing")
	}
	now := v.client.now()
	if early := now.Add(jwtLeeway); issued.After(early) || notBefore != nil && notBefore.After(early) {
		return nil, time.Time{}, refuseJWT("it is of a time to come")
	}
	if s.ExpiresAt.IsZero() {
		s.ExpiresAt = expires.UTC()
	}
	if late := now.Add(-jwtLeeway); !late.Before(expires.Time) || !late.Before(s.ExpiresAt) {
		return &s, issued.UTC(), ErrJWTExpired
	}
	return &s, issued.UTC(), nil
}

const (
	claimPrefix       = "https://stytch.com/"
	claimSession      = claimPrefix + "session"
	claimOrganization = claimPrefix + "organization"
)

// jwtClaims are found by their exact names. A struct would also take a project's own claim "Sub" for "sub".
type jwtClaims map[string]json.RawMessage

func claim[T any](c jwtClaims, name string) (value T, err error) {
	if raw, ok := c[name]; ok {
		err = decode(raw, &value)
	}
	return value, err
}

// The methods of jwt.Claims.

func (c jwtClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return claim[*jwt.NumericDate](c, "exp")
}

func (c jwtClaims) GetIssuedAt() (*jwt.NumericDate, error) {
	return claim[*jwt.NumericDate](c, "iat")
}

func (c jwtClaims) GetNotBefore() (*jwt.NumericDate, error) {
	return claim[*jwt.NumericDate](c, "nbf")
}

func (c jwtClaims) GetIssuer() (string, error)             { return claim[string](c, "iss") }
func (c jwtClaims) GetSubject() (string, error)            { return claim[string](c, "sub") }
func (c jwtClaims) GetAudience() (jwt.ClaimStrings, error) { return claim[jwt.ClaimStrings](c, "aud") }

// custom are the project's own claims, nil without any.
func (c jwtClaims) custom() (map[string]any, error) {
	var own map[string]any
	for name := range c {
		switch name {
		case "iss", "aud", "sub", "iat", "nbf", "exp", "jti":
			continue
		}
		if strings.HasPrefix(name, claimPrefix) {
			continue
		}
		value, err := claim[any](c, name)
		if err != nil {
			return nil, err
		}
		if own == nil {
			own = map[string]any{}
		}
		own[name] = value
	}
	return own, nil
}

// keysAnswer is the project's JWK set.
type keysAnswer struct {
	Response

	Keys []json.RawMessage `json:"keys"`

	usable []jwkset.JWK
}

func (r *keysAnswer) problem() string {
	for _, raw := range r.Keys {
		if key, ok := usableKey(raw); ok {
			r.usable = append(r.usable, key)
		}
	}
	if len(r.usable) == 0 {
		return "there is no usable key in it"
	}
	return ""
}

// usableKey takes nothing but the public key and what it is for: a certificate's address would be fetched.
func usableKey(raw json.RawMessage) (jwkset.JWK, bool) {
	var wire jwkset.JWKMarshal
	if json.Unmarshal(raw, &wire) != nil {
		return jwkset.JWK{}, false
	}
	public := jwkset.JWKMarshal{KTY: wire.KTY, KID: wire.KID, ALG: wire.ALG, USE: wire.USE, N: wire.N, E: wire.E}
	key, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, false
	}
	rsaKey, ok := key.Key().(*rsa.PublicKey)
	return key, ok && rsaKey.N.BitLen() >= minRSA
}

// jwtKeys are the project's keys, read when they are needed.
type jwtKeys struct {
	jwkset.Storage

	client *Client
	ctx    context.Context // of the reading, which serves more than one caller

	mu        sync.Mutex
	reading   *keyReading // under way, or nil
	readAt    time.Time   // of the keys in the store; zero without any
	unknownAt time.Time   // of the last look for an unknown key
	failedAt  time.Time   // of the last look, if it failed
	err       error       // why
}

type keyReading struct {
	done chan struct{}
	err  error
}

// KeyRead finds a key by its id, reading the keys first if that is due.
func (k *jwtKeys) KeyRead(ctx context.Context, kid string) (jwkset.JWK, error) {
	reading := k.due(ctx, kid)
	if reading != nil {
		select {
		case <-reading.done:
		case <-ctx.Done():
			return jwkset.JWK{}, fmt.Errorf("%w: %w", ErrJWTUnverified, ctx.Err())
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	key, err := k.Storage.KeyRead(ctx, kid)
	switch {
	case err == nil && k.client.now().Sub(k.readAt) < keysUsable:
		return key, nil
	case reading != nil && reading.err == nil:
		return jwkset.JWK{}, refuseJWT("the project has no such key")
	case k.err != nil:
		return jwkset.JWK{}, fmt.Errorf("%w: %w", ErrJWTUnverified, k.err)
	default:
		return jwkset.JWK{}, fmt.Errorf("%w: the keys were read a moment ago", ErrJWTUnverified)
	}
}

// due returns the reading to wait for, which it may have begun, or nil.
func (k *jwtKeys) due(ctx context.Context, kid string) *keyReading {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.client.now()
	_, err := k.Storage.KeyRead(ctx, kid)
	known, fresh := err == nil, !k.readAt.IsZero() && now.Sub(k.readAt) < keysFresh
	switch {
	case known && fresh:
		return nil
	case k.reading != nil:
		return k.reading
	case k.err != nil && now.Sub(k.failedAt) < keysRetry:
		return nil
	case fresh && !k.unknownAt.IsZero() && now.Sub(k.unknownAt) < keysUnknown:
		return nil
	case fresh:
		k.unknownAt = now
	}
	k.reading = &keyReading{done: make(chan struct{})}
	go k.read(k.reading)
	return k.reading
}

// read replaces the keys, or keeps them if it cannot.
func (k *jwtKeys) read(r *keyReading) {
	answer, err := call[keysAnswer](k.ctx, k.client, request{
		endpoint: "GET /v1/b2b/sessions/jwks/{project_id}",
		path:     []string{k.client.projectID},
		public:   true,
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		err = k.KeyReplaceAll(k.ctx, answer.usable)
	}
	if now := k.client.now(); err == nil {
		k.readAt = now
	} else {
		k.failedAt = now
	}
	k.err, r.err, k.reading = err, err, nil
	close(r.done)
}
