package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// confirm opens the confirmation of a deletion and fills it in.
func (tb *tab) confirm(memberID string) {
	tb.t.Helper()
	tb.open("/members/" + memberID + "/password/delete")
	tb.fill("Reason", "Asked by the caller")
}

// doubleClick presses the mouse twice as fast as it can on what matches.
func doubleClick(selector string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if _, err := chromedp.ScrollIntoView(selector)(ctx, t); err != nil {
			return chromedp.Void{}, err
		}
		box, err := chromedp.Dimensions(selector)(ctx, t)
		if err != nil {
			return chromedp.Void{}, err
		}
		at := box.Content
		x, y := (at[0]+at[4])/2, (at[1]+at[5])/2
		return chromedp.Steps(
			chromedp.MouseEvent(chromedp.MousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent(chromedp.MouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
			chromedp.MouseEvent(chromedp.MousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(2)),
			chromedp.MouseEvent(chromedp.MouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(2)),
		)(ctx, t)
	}
}

// testOnce: double click, reload, back and sending again are one deletion.
func testOnce(t *testing.T, c *chromium) { once(t, c) }

// testOnceWithoutScript: nothing of that rests on the script that disables the button.
func testOnceWithoutScript(t *testing.T, c *chromium) { once(t, c, withoutScript) }

func once(t *testing.T, c *chromium, options ...tabOption) {
	s := start(t)
	tb := c.tab(t, s, options...)
	tb.signIn("org_admin")
	target := s.control.stranger("max@acme.example")
	// A slow upstream leaves time for the second click.
	s.control.fault(fault{Endpoint: epDeletePassword, Kind: "latency", Duration: "300ms"})

	tb.confirm(target.MemberID)
	mark := s.control.mark()
	one := func(when string) {
		t.Helper()
		if n := len(s.control.journal(mark, epDeletePassword)); n != 1 {
			t.Fatalf("%s: %d DELETEs upstream, want 1", when, n)
		}
		if got := tb.text(".result [role=status]"); !strings.Contains(got, "Password deleted") {
			t.Fatalf("%s: the page does not tell the result: %s", when, tb.where())
		}
	}
	tb.do(doubleClick(button("Delete password")), chromedp.WaitVisible(`.result`, chromedp.NodeVisible))
	one("after a double click")

	tb.load(chromedp.Reload())
	one("after a reload")
	here := tb.path()

	// Back to the form as it was filled in, and once more.
	// A page out of the browser's memory loads nothing: what is there has to be looked at.
	eval[chromedp.Void](tb, `history.back()`)
	eventually(t, stepTime, "back leads to the confirmation", func() bool { return tb.text("h1") == "Delete password" })
	if eval[bool](tb, `document.querySelector("main form button[type=submit]") !== null`) {
		if eval[bool](tb, `document.querySelector("main form button[type=submit]").disabled`) {
			t.Error("after going back the button is still disabled")
		}
		eval[chromedp.Void](tb, `document.querySelector("#reason").value = "Asked again"`)
		tb.load(chromedp.Evaluate[chromedp.Void](`document.querySelector("main form button[type=submit]").click()`))
	} else {
		if got := tb.text("main"); !strings.Contains(got, "already deleted") {
			t.Errorf("the confirmation was read anew and does not say why it is disabled: %s", got)
		}
		eval[chromedp.Void](tb, `history.forward()`)
		eventually(t, stepTime, "forward leads to the result", func() bool { return tb.text(".result") != "" })
	}
	one("after going back and sending again")
	if got := tb.path(); got != here {
		t.Errorf("sending again leads to %s, want %s", got, here)
	}
}

// testWeight counts what a cold visit of the members page costs.
func testWeight(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s, func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		return err
	})
	tb.signIn("org_admin")
	tb.open("/healthz") // what the first visit still asks for ends here
	tb.mu.Lock()
	clear(tb.requests)
	tb.mu.Unlock()
	tb.open("/members")
	if rows := eval[int](tb, `document.querySelectorAll("table.members tbody tr").length`); rows != 100 {
		t.Fatalf("%d rows, want 100", rows)
	}
	eventually(t, stepTime, "every request is answered", func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for id, w := range tb.requests {
			switch {
			case strings.HasSuffix(w.url, "/favicon.ico"):
				// /healthz names no icon, so the browser looks for one, and may give up on it without a word.
				delete(tb.requests, id)
			case !w.done:
				return false
			}
		}
		return len(tb.requests) >= 3
	})
	tb.mu.Lock()
	defer tb.mu.Unlock()
	var all, looks float64
	var list strings.Builder
	for _, w := range tb.requests {
		fmt.Fprintf(&list, "\n%8.0f %s %s", w.bytes, w.kind, strings.TrimPrefix(w.url, s.Console))
		if w.cached {
			t.Errorf("%s came from the cache", w)
		}
		all += w.bytes
		if w.kind == network.ResourceTypeStylesheet || w.kind == network.ResourceTypeScript {
			looks += w.bytes
		}
	}
	t.Logf("members page with 100 rows, cold: %.1f KB, CSS and script %.1f KB%s", all/1024, looks/1024, list.String())
	if all >= 40*1000 {
		t.Errorf("%.0f bytes in all, want less than 40 KB", all)
	}
	if looks >= 30*1000 {
		t.Errorf("%.0f bytes of CSS and script, want less than 30 KB", looks)
	}
}

// testDark wants the colours to follow what is preferred, without script.
func testDark(t *testing.T, c *chromium) {
	tb := c.tab(t, start(t), withoutScript)
	tb.open("/login")
	brightness := map[string]float64{}
	for _, scheme := range []string{"light", "dark"} {
		tb.look(wide, scheme)
		brightness[scheme] = eval[float64](tb, `getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).slice(0, 3).reduce((sum, v) => sum + Number(v), 0) / 3`)
	}
	if brightness["light"] < 200 || brightness["dark"] > 60 {
		t.Errorf("the background's brightness of 255 is %v", brightness)
	}
}

// testCopy copies an id and the raw JSON.
func testCopy(t *testing.T, c *chromium) {
	s := start(t)
	tb := c.tab(t, s, func(ctx context.Context) error {
		for _, name := range []string{"clipboard-read", "clipboard-write"} {
			if _, err := chromedp.Call(ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
				Permission: &cdpbrowser.PermissionDescriptor{Name: name}, Setting: cdpbrowser.PermissionSettingGranted, Origin: s.Console,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	tb.signIn("org_admin")
	grace := s.control.stranger("grace@acme.example")
	tb.open("/members/" + grace.MemberID)
	tb.do(chromedp.Click(`//dt[normalize-space()="Member ID"]/following-sibling::dd/button`), chromedp.WaitVisible(button("Copied")))
	if got := tb.paste(t); got != grace.MemberID {
		t.Errorf("copied %q, want %q", got, grace.MemberID)
	}
	tb.open("/members/" + grace.MemberID)
	tb.load(chromedp.Click(link("Raw JSON")))
	tb.do(chromedp.Click(`//dialog//button[normalize-space()="Copy"]`), chromedp.WaitVisible(button("Copied")))
	var raw struct {
		MemberID string `json:"member_id"`
	}
	if err := json.Unmarshal([]byte(tb.paste(t)), &raw); err != nil || raw.MemberID != grace.MemberID {
		t.Errorf("the copied JSON is not the member's: %v, %q", err, raw.MemberID)
	}
	tb.open("/members/" + grace.MemberID + "?view=raw")
	tb.load(chromedp.Click(link("Close")))
	if got := tb.path(); got != "/members/"+grace.MemberID {
		t.Errorf("Close leads to %s", got)
	}
}

// paste opens another page and returns what Ctrl-V puts into its search field: the pages may not read the clipboard.
func (tb *tab) paste(t *testing.T) string {
	t.Helper()
	tb.open("/members")
	eval[chromedp.Void](tb, `document.querySelector("#q").removeAttribute("maxlength")`)
	tb.do(chromedp.Focus(labelled("Search")), chromedp.KeyEvent("v", chromedp.KeyModifiers(chromedp.ModifierCtrl), func(p *input.DispatchKeyEventParams) {
		p.Commands = []string{"paste"}
	}))
	return eval[string](tb, `document.querySelector("#q").value`)
}
