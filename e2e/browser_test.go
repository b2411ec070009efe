package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// stepTime bounds one step in a tab, the loading of a page included.
	stepTime = 20 * time.Second
	// wide and narrow are the two widths every page is looked at.
	wide, narrow = 1280, 390
	tall         = 900
)

// chromium is one Chromium process. Every tab is a profile of its own.
type chromium struct{ ctx context.Context }

// newChromium starts Chromium. Without one the test is skipped, or fails where CI says that there must be one.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Chromium on the PATH, and CI=true demands one")
		}
		t.Skip("no Chromium on the PATH: make test installs it as root on Debian")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter,AutofillServerCommunication"),
		chromedp.Flag("lang", "en-US"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	// The browser must outlive the test's own context, which ends before its cleanups.
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		cancel()
		cancelAllocator() // waits for the process
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &chromium{ctx: ctx}
}

// tab is one window with its own cookies. It notes what a page must not do:
// console errors, policy violations, failed requests, requests to other hosts.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site *site

	mu        sync.Mutex
	troubles  []string
	expected  map[int64]bool // answers of documents that are meant
	requests  map[network.RequestID]*wire
	documents int
	abroad    bool // it was on a page of the sandbox
}

// wire is what was seen of one request on the wire.
type wire struct {
	url, method string
	kind        network.ResourceType
	status      int64
	cached      bool
	done        bool
	bytes       float64
}

func (w *wire) String() string {
	if w == nil {
		return "a request that was not seen"
	}
	return w.method + " " + w.url
}

// tabOption changes a tab before its first page.
type tabOption func(ctx context.Context) error

// withoutScript switches JavaScript off.
func withoutScript(ctx context.Context) error {
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
}

// tab opens a window. When the test ends it says what the pages did that they must not.
func (b *chromium) tab(t *testing.T, s *site, options ...tabOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tb := &tab{t: t, ctx: ctx, site: s, expected: map[int64]bool{}, requests: map[network.RequestID]*wire{}}
	t.Cleanup(func() {
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		slices.Sort(tb.troubles)
		for _, trouble := range slices.Compact(tb.troubles) {
			t.Errorf("in the browser: %s", trouble)
		}
	})
	if err := chromedp.Listen(ctx, tb.note); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	tb.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{})
		_, err2 := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return chromedp.Void{}, errors.Join(err, err2)
	}, chromedp.EmulateViewport(wide, tall))
	for _, option := range options {
		if err := option(ctx); err != nil {
			t.Fatalf("set up a tab: %v", err)
		}
	}
	return tb
}

// note runs for every event of the tab, on the goroutine that reads them.
func (tb *tab) note(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		tb.requests[ev.RequestID] = &wire{url: ev.Request.URL, method: ev.Request.Method, kind: ev.Type}
		u, err := url.Parse(ev.Request.URL)
		if at := u.Scheme + "://" + u.Host; err != nil || u.Scheme != "data" && at != tb.site.Console && (at != tb.site.Stytch || ev.Type != network.ResourceTypeDocument) {
			tb.troubles = append(tb.troubles, "request to another host: "+ev.Request.URL)
		} else if at == tb.site.Stytch {
			tb.abroad = true
		}
		if ev.Type == network.ResourceTypeDocument && ev.RedirectResponse == nil {
			tb.documents++
		}
	case *network.EventResponseReceived:
		if r := tb.requests[ev.RequestID]; r != nil {
			r.status, r.cached = ev.Response.Status, ev.Response.FromDiskCache
		}
		// Scripts ask for one thing alone that may be refused: whether there is a session.
		mayFail := ev.Type == network.ResourceTypeDocument || strings.HasSuffix(ev.Response.URL, "/session")
		if ev.Response.Status >= 400 && (!mayFail || !tb.expected[ev.Response.Status]) {
			tb.troubles = append(tb.troubles, fmt.Sprintf("%d from %s", ev.Response.Status, ev.Response.URL))
		}
	case *network.EventRequestServedFromCache:
		if r := tb.requests[ev.RequestID]; r != nil {
			r.cached = true
		}
	case *network.EventLoadingFinished:
		if r := tb.requests[ev.RequestID]; r != nil {
			r.bytes, r.done = ev.EncodedDataLength, true
		}
	case *network.EventLoadingFailed:
		r := tb.requests[ev.RequestID]
		if r != nil {
			r.done = true
		}
		if r == nil || !ev.Canceled {
			tb.troubles = append(tb.troubles, fmt.Sprintf("request failed: %v: %s", r, ev.ErrorText))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level != log.EntryLevelError && ev.Entry.Level != log.EntryLevelWarning {
			return
		}
		for status := range tb.expected { // the browser logs the status of a document too
			if ev.Entry.Source == log.EntrySourceNetwork && strings.Contains(ev.Entry.Text, fmt.Sprintf("status of %d", status)) {
				return
			}
		}
		tb.troubles = append(tb.troubles, fmt.Sprintf("log %s: %s (%s)", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		tb.troubles = append(tb.troubles, "console."+string(ev.Type)+consoleText(ev.Args))
	case *runtime.EventExceptionThrown:
		tb.troubles = append(tb.troubles, "exception: "+ev.ExceptionDetails.Text)
	case *audits.EventIssueAdded:
		// Pages that a test leaves without touching them are not gone back to: that is about the test.
		// What the sandbox's pages ask of the browser's memory for forms is theirs.
		if d := ev.Issue.Details.GenericIssueDetails; d != nil && (d.ErrorType == audits.GenericIssueErrorTypeNavigationEntryMarkedSkippable ||
			tb.abroad && d.ErrorType == audits.GenericIssueErrorTypeFormInputAssignedAutocompleteValueToIDOrNameAttributeError) {
			return
		}
		tb.troubles = append(tb.troubles, issueText(ev.Issue))
	case *cdppage.EventJavascriptDialogOpening:
		tb.troubles = append(tb.troubles, "a page opened a dialog: "+ev.Message)
	}
}

func consoleText(args []*runtime.RemoteObject) string {
	var text strings.Builder
	for _, arg := range args {
		fmt.Fprintf(&text, " %s%s", arg.Value, arg.Description)
	}
	return text.String()
}

// issueText is what the browser's own audit found.
func issueText(issue *audits.InspectorIssue) string {
	details, err := json.Marshal(issue.Details)
	if err != nil {
		return fmt.Sprintf("issue %s", issue.Code)
	}
	return fmt.Sprintf("issue %s: %s", issue.Code, details)
}

// within bounds what follows.
func (tb *tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(tb.ctx, stepTime)
}

// do runs steps that load no page.
func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := tb.within()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tb.t.Fatalf("in the browser: %v\n%s", err, tb.where())
	}
}

// load runs steps that load a page, and returns once it is there.
func (tb *tab) load(steps ...chromedp.Action[chromedp.Void]) *network.Response {
	tb.t.Helper()
	ctx, cancel := tb.within()
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		tb.t.Fatalf("load a page: %v\n%s", err, tb.where())
	}
	return answer
}

// open goes to a path of the console.
func (tb *tab) open(path string) *network.Response {
	tb.t.Helper()
	return tb.load(chromedp.Navigate(tb.site.Console + path))
}

// expect makes documents with this status no trouble.
func (tb *tab) expect(status int64) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.expected[status] = true
}

// where describes the page a step failed on.
func (tb *tab) where() string {
	ctx, cancel := context.WithTimeout(tb.ctx, 3*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 1500)`))
	if err != nil {
		return fmt.Sprintf("(the page cannot be read: %v)", err)
	}
	return text
}

// eval asks the page.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	ctx, cancel := tb.within()
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return value
}

// text is what one sees of the first element that matches.
func (tb *tab) text(selector string) string {
	tb.t.Helper()
	return eval[string](tb, fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? "").replace(/\s+/g, " ").trim()`, selector))
}

// path is where the tab is now, with its query.
func (tb *tab) path() string {
	tb.t.Helper()
	return eval[string](tb, `location.pathname + location.search`)
}

// button, link and labelled find things as a person does: by what is written on or beside them.
func button(name string) string { return fmt.Sprintf(`//button[normalize-space()=%q]`, name) }

func link(name string) string { return fmt.Sprintf(`//a[normalize-space()=%q]`, name) }

func labelled(name string) string {
	return fmt.Sprintf(`//*[@id=//label[normalize-space()=%q]/@for]`, name)
}

// fill types into a field, over what stands there.
func (tb *tab) fill(label, text string) {
	tb.t.Helper()
	tb.do(chromedp.Focus(labelled(label)), chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`), chromedp.KeyEvent(text))
}

// signIn signs in by the form.
func (tb *tab) signIn(role string) person {
	tb.t.Helper()
	p := tb.site.person(role)
	tb.open("/login")
	tb.fill("Organization", p.Organization)
	tb.fill("Email", p.Email)
	tb.fill("Password", p.Password)
	tb.load(chromedp.Click(button("Sign in")))
	if path := tb.path(); strings.HasPrefix(path, "/login") {
		tb.t.Fatalf("still on %s after signing in:\n%s", path, tb.where())
	}
	return p
}

// comesTo waits until the tab is at a path, where a page goes on by itself.
func (tb *tab) comesTo(path string) {
	tb.t.Helper()
	eventually(tb.t, stepTime, "the tab comes to "+path, func() bool {
		ctx, cancel := tb.within()
		defer cancel()
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.pathname + location.search : ""`))
		return err == nil && at == path // in between there is no page to ask
	})
}

// look sets the width of the window, scheme the colours that are preferred.
func (tb *tab) look(width int64, scheme string) {
	tb.t.Helper()
	tb.do(chromedp.EmulateViewport(width, tall), func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return chromedp.Void{}, err
	})
	// Colours in the middle of a transition are nobody's.
	eval[bool](tb, `Promise.all(document.getAnimations().map((a) => a.finished)).then(() => true)`)
}

// fact is the value beside a label in a list of facts.
func (tb *tab) fact(label string) string {
	tb.t.Helper()
	return eval[string](tb, fmt.Sprintf(`(() => {
		for (const dt of document.querySelectorAll("dl.rows > div > dt"))
			if (dt.innerText.trim() === %q) {
				const dd = dt.nextElementSibling.cloneNode(true);
				dd.querySelectorAll("button, small").forEach((e) => e.remove());
				return dd.textContent.replace(/\s+/g, " ").trim();
			}
		return "";
	})()`, label))
}
