package handlers

import (
	"context"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"orgconsole/internal/stytch"
)

// fold reduces a text to what people mean when they type it: case, width,
// accents and more than one blank do not count.
func fold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(cases.Fold().String(s)) {
		if !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Cf, r) {
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// nameMatches reports whether every word of the term stands in the name.
func nameMatches(name, term string) bool {
	name = fold(name)
	words := strings.Fields(fold(term))
	for _, w := range words {
		if !strings.Contains(name, w) {
			return false
		}
	}
	return len(words) > 0
}

// minFuzzy is the shortest value the upstream takes for a fuzzy filter.
const minFuzzy = 3

// lookalikes finds members that a hurried agent could take for m: nearly the
// same address, or the same name under an address that starts alike.
func (s *Server) lookalikes(ctx context.Context, a *actor, m stytch.Member) ([]stytch.Member, error) {
	address := []rune(m.EmailAddress)
	local, _, _ := strings.Cut(m.EmailAddress, "@")
	n := max(minFuzzy, len([]rune(local))/2)
	if len(address) < n {
		return nil, nil
	}
	answer, err := s.stytch.SearchMembers(ctx, a.Acting, stytch.MemberSearchRequest{
		OrganizationIDs: []string{a.Session.OrganizationID}, Limit: 100,
		Filters: []stytch.Filter{stytch.EmailFuzzy(string(address[:n]))},
	})
	if err != nil {
		return nil, err
	}
	var like []stytch.Member
	for _, other := range answer.Members {
		if other.MemberID != m.MemberID && looksLike(m, other) {
			like = append(like, other)
		}
	}
	return like, nil
}

func looksLike(a, b stytch.Member) bool {
	if distance(fold(a.EmailAddress), fold(b.EmailAddress)) <= 2 {
		return true
	}
	aLocal, _, _ := strings.Cut(fold(a.EmailAddress), "@")
	bLocal, _, _ := strings.Cut(fold(b.EmailAddress), "@")
	return aLocal == bLocal || a.Name != "" && fold(a.Name) == fold(b.Name)
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	ar, br := []rune(a), []rune(b)
	row := make([]int, len(br)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range ar {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range br {
			cost := diagonal
			if x != y {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(br)]
}
