package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// rows are the member ids of a list page.
func (p *page) rows() []string {
	var ids []string
	p.doc.Find("table.members tbody tr").Each(func(_ int, tr *goquery.Selection) {
		ids = append(ids, strings.TrimPrefix(tr.Find("a").AttrOr("href", ""), "/members/"))
	})
	return ids
}

// asked lists the short names of what the upstream was asked since a mark.
func (s *site) asked(mark int) []string {
	s.t.Helper()
	var names []string
	for _, e := range s.control.journal(mark, "") {
		names = append(names, e.Endpoint)
	}
	return names
}

func TestPagingListsEverybodyOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "--org-size", "350")
	b := s.as("helpdesk")
	b.get("/members") // what is remembered for a while is asked for here
	for name, filter := range map[string]string{"all": "", "filtered": "?password=set&status=active"} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			var trail [][]string
			var p *page
			for next := "/members" + filter; ; {
				mark := s.control.mark()
				p = b.get(next).wants(http.StatusOK)
				if asked := s.asked(mark); len(asked) != 1 || asked[0] != epSearch {
					t.Errorf("%s: the upstream was asked %q, want one search", next, asked)
				}
				ids := p.rows()
				for _, id := range ids {
					if seen[id] {
						t.Errorf("%s is listed twice", id)
					}
					seen[id] = true
				}
				trail = append(trail, ids)
				link := p.doc.Find("a[rel=next]")
				if link.Length() == 0 {
					break
				}
				if len(trail) > 10 {
					t.Fatal("paging does not end")
				}
				next = link.AttrOr("href", "")
			}
			if name == "all" && len(seen) != 350 {
				t.Errorf("%d members listed, want 350", len(seen))
			}
			if name == "filtered" && (len(seen) == 0 || len(seen) >= 350) {
				t.Errorf("%d members listed with a filter", len(seen))
			}
			last := p.url.RequestURI()
			for i := len(trail) - 2; i >= 0; i-- {
				link, ok := p.doc.Find("a[rel=prev]").Attr("href")
				if !ok {
					t.Fatalf("page %d has no way back", i+2)
				}
				p = b.get(link).wants(http.StatusOK)
				if got := p.rows(); strings.Join(got, " ") != strings.Join(trail[i], " ") {
					t.Errorf("going back, page %d lists others than before", i+1)
				}
			}
			if p.doc.Find("a[rel=prev]").Length() != 0 {
				t.Error("the first page leads further back")
			}
			if got := b.get(last).rows(); strings.Join(got, " ") != strings.Join(trail[len(trail)-1], " ") {
				t.Error("the last page's address alone lists others than before")
			}
		})
	}

	s.control.switches(map[string]any{"totals_off": true})
	p := b.get("/members").wants(http.StatusOK)
	if pager := p.text(".pager"); len(p.rows()) != 100 || strings.Contains(pager, "-1") || strings.Contains(pager, " of ") {
		t.Errorf("with a total that is not known the page says: %s", p.text(".pager"))
	}
	if n := p.doc.Find("a[rel=next]").Length(); n != 1 {
		t.Errorf("%d ways to the next page, want 1", n)
	}
}

// A name is looked for by reading the organization, some thousands at a page.
func TestSearchByNameGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, "--org-size", "12000")
	b := s.as("helpdesk")
	last := s.lastMember()
	s.control.change(last, map[string]any{"name": "Zebulon Quagmire"})
	mark := s.control.mark()
	p := b.get("/members?q=quagmire").wants(http.StatusOK)
	if n := len(s.control.journal(mark, epSearch)); n > 5 {
		t.Errorf("one page made %d searches, want at most 5", n)
	}
	p.says(`[role="status"]`, "Searched", "of 12,000")
	for pages := 1; ; pages++ {
		if strings.Contains(p.text("table.members"), "Zebulon Quagmire") {
			if pages < 2 {
				t.Error("the last of 12,000 was found on the first page")
			}
			break
		}
		next, ok := p.doc.Find(`[role="status"] a`).Attr("href")
		if !ok || pages > 5 {
			t.Fatalf("after %d pages the last member is not found: %s", pages, p.words())
		}
		mark = s.control.mark()
		p = b.get(next).wants(http.StatusOK)
		if n := len(s.control.journal(mark, epSearch)); n > 5 {
			t.Errorf("one page made %d searches, want at most 5", n)
		}
	}
	p.says(`[role="status"]`, "Searched 12,000 of 12,000")
	// What has the form of an address is the upstream's to find.
	mark = s.control.mark()
	b.get("/members?q=maria.silvestri%40acme").wants(http.StatusOK)
	if asked := s.asked(mark); len(asked) != 1 {
		t.Errorf("a search for an address asks the upstream %q, want one search", asked)
	}
}

// lastMember is the one whom the upstream lists last in acme.
func (s *site) lastMember() string {
	s.t.Helper()
	organization := s.control.strangerIn("acme", "ada@acme.example").OrganizationID
	last, cursor := "", ""
	for range 100 {
		body, err := json.Marshal(map[string]any{"organization_ids": []string{organization}, "limit": 1000, "cursor": cursor})
		if err != nil {
			s.t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.Stytch+"/v1/b2b/organizations/members/search", bytes.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.SetBasicAuth(s.ProjectID, s.Secret)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client().Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		var out struct {
			Members []struct {
				ID string `json:"member_id"`
			}
			Results struct {
				Next string `json:"next_cursor"`
			} `json:"results_metadata"`
		}
		err = json.NewDecoder(answer.Body).Decode(&out)
		_ = answer.Body.Close()
		if err != nil || len(out.Members) == 0 {
			s.t.Fatalf("search at the upstream: %s: %v", answer.Status, err)
		}
		last, cursor = out.Members[len(out.Members)-1].ID, out.Results.Next
		if cursor == "" {
			return last
		}
	}
	s.t.Fatal("searching at the upstream does not end")
	return last
}

// A members page of 100 rows weighs under 40 KB with all it loads, its CSS and script under 30.
func TestMembersPageWeight(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.as("org_admin")
	weigh := func(path string) int {
		r := b.request("GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
		answer, err := b.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s: %v", path, answer.Status, err)
		}
		return int(n)
	}
	p := b.get("/members").wants(http.StatusOK)
	if n := len(p.rows()); n != 100 {
		t.Fatalf("%d rows, want 100", n)
	}
	assets := map[string]bool{}
	p.doc.Find("[src], link[href], use[href]").Each(func(_ int, e *goquery.Selection) {
		ref := e.AttrOr("src", e.AttrOr("href", ""))
		if u, err := url.Parse(ref); err == nil && strings.HasPrefix(ref, "/") {
			assets[u.Path] = true
		}
	})
	total, code := weigh("/members"), 0
	for path := range assets {
		n := weigh(path)
		total += n
		if strings.HasSuffix(path, ".css") || strings.HasSuffix(path, ".js") {
			code += n
		}
	}
	t.Logf("a members page of 100 rows: %d bytes with %d assets, of them %d of CSS and script", total, len(assets), code)
	if total > 40<<10 || code > 30<<10 || code == 0 {
		t.Errorf("a members page weighs %d bytes, want at most %d; CSS and script %d, want at most %d", total, 40<<10, code, 30<<10)
	}
}
