package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	jwtLifetime       = 5 * time.Minute
	claimSession      = "https://stytch.com/session"
	claimOrganization = "https://stytch.com/organization"
)

// signingKey is not derived from the seed: the standard library makes RSA keys from its own randomness only.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

// signingKeys makes the first key when it is needed: that takes longer than all the rest of the start.
type signingKeys struct {
	first func() *signingKey

	mu    sync.Mutex
	later []*signingKey // in order of rotation
}

// firstKey is shared by the sandboxes of a process, as tests start hundreds of them.
var firstKey = sync.OnceValue(newSigningKey)

func newSigningKeys() *signingKeys { return &signingKeys{first: firstKey} }

func newSigningKey() *signingKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(fmt.Sprintf("sandbox: make signing key: %v", err))
	}
	var b [16]byte
	sum := sha256.Sum256(private.N.Bytes())
	copy(b[:], sum[:])
	return &signingKey{id: "jwk-test-" + formatUUID(b), private: private}
}

// all are the published keys, oldest first. None is ever withdrawn.
func (k *signingKeys) all() []*signingKey {
	first := k.first()
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*signingKey{first}, k.later...)
}

// get is the key that signs.
func (k *signingKeys) get() *signingKey {
	all := k.all()
	return all[len(all)-1]
}

// rotate makes another key, which signs from now on.
func (k *signingKeys) rotate() *signingKey {
	added := newSigningKey()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.later = append(k.later, added)
	return added
}

// find finds the public key that a JWT says it is signed with.
func (k *signingKeys) find(token *jwt.Token) (any, error) {
	for _, key := range k.all() {
		if key.id == token.Header["kid"] {
			return &key.private.PublicKey, nil
		}
	}
	return nil, errors.New("no such key")
}

func (s *Sandbox) controlRotateKeys(map[string]string, *http.Request) (any, error) {
	signing, ids := s.keys.rotate().id, []string{}
	for _, key := range s.keys.all() {
		ids = append(ids, key.id)
	}
	return map[string]any{"signing": signing, "published": ids}, nil
}

func (s *Sandbox) signJWT(key *signingKey, view sessionJSON, now time.Time) (string, error) {
	claims := jwt.MapClaims{}
	maps.Copy(claims, view.CustomClaims)
	maps.Copy(claims, jwt.MapClaims{
		"iss": "stytch.com/" + s.info.ProjectID,
		"aud": []string{s.info.ProjectID},
		"sub": view.MemberID,
		"iat": now.Unix(),
		"nbf": now.Unix(),
		"exp": now.Add(jwtLifetime).Unix(),
		claimSession: map[string]any{
			"id": view.MemberSessionID, "started_at": view.StartedAt, "last_accessed_at": view.LastAccessedAt, "expires_at": view.ExpiresAt,
			"attributes":             map[string]string{"ip_address": "", "user_agent": ""},
			"authentication_factors": view.AuthenticationFactors, "roles": view.Roles,
		},
		claimOrganization: map[string]string{"organization_id": view.OrganizationID, "slug": view.OrganizationSlug},
	})
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = key.id
	text, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("sign session JWT: %w", err)
	}
	return text, nil
}

// verifyJWT returns the id of the session a JWT speaks of. A JWT past its own five minutes is still good here: what
// counts is whether the session is alive.
func (s *Sandbox) verifyJWT(text string) (string, error) {
	token, err := jwt.Parse(text, s.keys.find, jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	if err != nil {
		return "", fmt.Errorf("verify session JWT: %w", err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	inner, _ := claims[claimSession].(map[string]any)
	id, ok := inner["id"].(string)
	if !ok {
		return "", errors.New("verify session JWT: no session in it")
	}
	return id, nil
}

type jwk struct {
	Kty     string   `json:"kty"`
	Use     string   `json:"use"`
	KeyOps  []string `json:"key_ops"`
	Alg     string   `json:"alg"`
	Kid     string   `json:"kid"`
	X5C     []string `json:"x5c"`
	X5TS256 string   `json:"x5tS256"`
	N       string   `json:"n"`
	E       string   `json:"e"`
}

type jwksReply struct {
	reply
	Keys []jwk `json:"keys"`
}

func getJWKS(c *call) (answer, error) {
	if c.params["project_id"] != c.info.ProjectID {
		return nil, fail(http.StatusNotFound, "route_not_found", "There is no such project.")
	}
	out := &jwksReply{Keys: []jwk{}}
	for _, key := range c.keys.all() {
		public := key.private.PublicKey
		sum := sha256.Sum256(public.N.Bytes())
		out.Keys = append(out.Keys, jwk{
			Kty: "RSA", Use: "sig", KeyOps: []string{"verify"}, Alg: "RS256", Kid: key.id, X5C: []string{},
			X5TS256: base64.RawURLEncoding.EncodeToString(sum[:]),
			N:       base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
			E:       base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
		})
	}
	return out, nil
}
