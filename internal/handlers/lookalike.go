package handlers

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"
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
// same address, or the same name under an address that shares half of its local
// part. The upstream's filter wants a text that stands in the address, so both
// halves are asked for: one slip of the pen leaves one of them whole.
func (s *Server) lookalikes(ctx context.Context, a *actor, m stytch.Member) ([]stytch.Member, error) {
	halves := addressHalves(m.EmailAddress)
	found := make([][]stytch.Member, len(halves))
	var group errgroup.Group
	for i, half := range halves {
		group.Go(func() error {
			answer, err := s.stytch.SearchMembers(ctx, a.Acting, stytch.MemberSearchRequest{
				OrganizationIDs: []string{a.Session.OrganizationID}, Limit: 100,
				Filters: []stytch.Filter{stytch.EmailFuzzy(half)},
			})
			if err != nil {
				return err
			}
			found[i] = answer.Members
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var like []stytch.Member
	seen := map[string]bool{m.MemberID: true}
	for _, other := range slices.Concat(found...) {
		if !seen[other.MemberID] && looksLike(m, other) {
			like = append(like, other)
		}
		seen[other.MemberID] = true
	}
	return like, nil
}

// addressHalves are the first and the second half of an address's local part,
// each long enough to be looked for.
func addressHalves(email string) []string {
	address := []rune(email)
	local, _, _ := strings.Cut(email, "@")
	end := len([]rune(local))
	n := max(minFuzzy, end/2)
	if len(address) < n {
		return nil
	}
	first, second := string(address[:n]), string(address[max(0, end-n):max(end, n)])
	if first == second {
		return []string{first}
	}
	return []string{first, second}
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
