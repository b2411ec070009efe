package sandbox_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/sandbox"
)

// A new key signs at once, and whoever holds a JWT of the old one keeps it: the old key stays published.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	a := start(t, sandbox.Options{OrgSize: 10})
	member := a.people(t)["ada@acme.example"].text("member_id")
	published := func() []string {
		_, o := a.call(t, "GET", "/v1/b2b/sessions/jwks/"+a.info.ProjectID, nil)
		var ids []string
		for _, key := range o.list("keys") {
			ids = append(ids, key.text("kid"))
		}
		return ids
	}
	signer := func(text string) string {
		token, _, err := jwt.NewParser().ParseUnverified(text, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		kid, _ := token.Header["kid"].(string)
		return kid
	}
	_, before, _ := a.session(t, member)
	first := published()
	if len(first) != 1 || signer(before) != first[0] {
		t.Fatalf("signed with %s, published are %v", signer(before), first)
	}
	rotated := a.steer(t, "POST", "keys/rotate", nil)
	both := published()
	if len(both) != 2 || both[0] != first[0] || both[1] != rotated.text("signing") {
		t.Fatalf("published are %v", both)
	}
	if diff := cmp.Diff(words(rotated.at("published")), both[0]+" "+both[1]); diff != "" {
		t.Error(diff)
	}
	_, after, _ := a.session(t, member)
	if signer(after) != both[1] {
		t.Errorf("signed with %s", signer(after))
	}
	for _, text := range []string{before, after} {
		o := a.ok(t, sessionPath, object{"session_jwt": text})
		if signer(o.text("session_jwt")) != both[1] {
			t.Error("the old key signs on")
		}
	}
	// A JWT counts only with the key that it names.
	token, _, err := jwt.NewParser().ParseUnverified(before, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	token.Header["kid"] = both[1]
	swapped, err := token.SigningString()
	if err != nil {
		t.Fatal(err)
	}
	a.refused(t, sessionPath, object{"session_jwt": swapped + "." + before[len(before)-342:]}, 400, "invalid_session_token")
}
