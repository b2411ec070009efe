package handlers_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"orgconsole/internal/handlers"
)

func TestParseMemberQueryRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, query, says string }{
		{"status", "status=frozen", "active"},
		{"password", "password=maybe", "not-set"},
		{"long search", "q=" + strings.Repeat("x", 201), "200"},
		{"broken text", "q=%ff", "200"},
		{"long cursor", "cursor=" + strings.Repeat("x", 3000), "first page"},
		{"many pages back", strings.Repeat("back=x&", 50), "first page"},
		{"skip", "skip=-1&searched=0", "number"},
		{"searched", "searched=lots", "number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			_, err = handlers.ParseMemberQuery(v)
			var refused *echo.HTTPError
			if !errors.As(err, &refused) || refused.Code != http.StatusBadRequest {
				t.Fatalf("ParseMemberQuery(%q) = %v, want 400", tt.query, err)
			}
			if text, _ := refused.Message.(string); !strings.Contains(text, tt.says) {
				t.Errorf("it says %q, which does not tell what is accepted (%s)", text, tt.says)
			}
		})
	}
}

// TestPagesGoThereAndBack walks forward and back by the addresses alone.
func TestPagesGoThereAndBack(t *testing.T) {
	t.Parallel()
	open := func(address string) handlers.MemberQuery {
		t.Helper()
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q, err := handlers.ParseMemberQuery(u.Query())
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		return q
	}
	at := open("/members?q=ann%40&role=helpdesk")
	if at.PreviousPage() != "" {
		t.Errorf("the first page has a page before it: %s", at.PreviousPage())
	}
	for _, cursor := range []string{"c1", "c/2+ &", "c3"} {
		at = open(at.NextPage(cursor))
		if at.Cursor != cursor || at.Text != "ann@" || at.Role != "helpdesk" {
			t.Fatalf("next page lost something: %+v", at)
		}
	}
	for _, cursor := range []string{"c/2+ &", "c1", ""} {
		at = open(at.PreviousPage())
		if at.Cursor != cursor || at.Text != "ann@" || at.Role != "helpdesk" {
			t.Fatalf("page before: %+v, want cursor %q", at, cursor)
		}
	}
	if at.PreviousPage() != "" {
		t.Error("back on the first page there is a page before it")
	}
}

func TestLongWalkKeepsTheAddressShort(t *testing.T) {
	t.Parallel()
	address := "/members"
	for range 200 {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q, err := handlers.ParseMemberQuery(u.Query())
		if err != nil {
			t.Fatal(err)
		}
		address = q.NextPage("some-cursor-of-the-upstream")
	}
	if len(address) > 4000 {
		t.Errorf("the address has %d bytes after 200 pages", len(address))
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567"} {
		if got := handlers.CountThousands(n); got != want {
			t.Errorf("%d = %s, want %s", n, got, want)
		}
	}
}
