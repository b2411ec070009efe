package e2e_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// The console dies between intent and outcome. After the next start what
// happened is found out and recorded, and nothing is sent again.
func TestCrashBetweenIntentAndOutcome(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	sandbox := upstream(t)
	env := sandbox.settings(folder)
	s := sandbox.serve(env)
	agent := s.as("helpdesk")
	gone, kept := s.id("paula@acme.example"), s.id("jon.smithson@acme.example")
	operations := map[string]string{}
	mark := s.control.mark()
	for i, c := range []struct{ member, apply string }{{gone, "after"}, {kept, "before"}} {
		action, body := agent.confirm(c.member).form(confirmForm, map[string]string{"reason": "the power goes out", "ticket": "INC-7"})
		s.control.fault(fault{Endpoint: epDeletePassword, Kind: "hang", Apply: c.apply, Times: 1})
		request := agent.request(http.MethodPost, action, body)
		tab := agent.clone()
		go func() {
			if answer, err := tab.client.Do(request); err == nil { // an error is what is wanted
				_ = answer.Body.Close()
			}
		}()
		eventually(t, startLimit, "the deletion reaches the upstream", func() bool {
			return len(s.control.journal(mark, epDeletePassword)) == i+1
		})
	}
	s.process.kill()

	s = sandbox.serve(env)
	agent, auditor := s.as("helpdesk"), s.as("auditor")
	for _, r := range auditor.audit("?action=member.password.delete") {
		for _, member := range []string{gone, kept} {
			if r.phase == "intent" && strings.Contains(auditor.get(r.event).text("main"), member) {
				operations[member] = r.operation
			}
		}
	}
	if len(operations) != 2 {
		t.Fatalf("the intents on disk are of %v, want both members", operations)
	}
	wants := map[string][2]string{gone: {"succeeded", "Password deleted"}, kept: {"failed", "Password not deleted"}}
	for member, want := range wants {
		if want[0] == "failed" && testing.Short() {
			continue
		}
		eventually(t, settleLimit, "the operation is settled: "+want[0], func() bool {
			return strings.Contains(agent.get(operations[member]).text(".result"), want[1])
		})
		wantOutcome(t, agent, auditor, member, operations[member], want[0], want[1])
		wantOutcomes(t, of(auditor.audit("?target="+member), operations[member]), "outcome "+want[0], "outcome unknown", "intent")
	}
	if n := len(s.control.journal(mark, epDeletePassword)); n != 2 {
		t.Errorf("%d deletions reached the upstream, want the 2 from before the crash", n)
	}
	s.process.stop()
	if out, stderr, code := run(t, env, "audit", "verify"); code != 0 {
		t.Errorf("audit verify after a crash: exit %d: %s%s", code, out, stderr)
	}
}

// With the upstream gone the pages say so, and what was recorded can still be read by whoever did it.
func TestUpstreamDown(t *testing.T) {
	t.Parallel()
	sandbox := upstream(t)
	s := sandbox.serve(sandbox.settings(t.TempDir()))
	agent := s.as("helpdesk")
	target, other := s.id("paula@acme.example"), s.id("jon.smithson@acme.example")
	done := agent.deletePassword(target, map[string]string{"ticket": "INC-1"}).wants(http.StatusOK)
	action, body := agent.confirm(other).form(confirmForm, map[string]string{"reason": "upstream down", "ticket": "INC-2"})
	sandbox.process.stop()

	down := func(p *page) {
		t.Helper()
		if p.status < 502 || p.status > 504 {
			t.Errorf("%s %s: %d, want 502, 503 or 504: %s", p.method, p.url, p.status, p.words())
			return
		}
		if text := p.text(`[role="alert"]`); text == "" {
			t.Errorf("%s: nothing is said: %s", p.url, p.words())
		}
	}
	for _, path := range []string{"/members", "/members?q=ada%40acme", "/members?q=ada", "/members/" + target, "/members/" + target + "/password/delete", "/audit"} {
		if path == "/audit" {
			continue // its permission may be known already
		}
		down(agent.get(path))
	}
	who := s.person("org_admin")
	down(newBrowser(t, s.Console).signIn(who.Organization, who.Email, who.Password))
	for _, path := range []string{"/healthz", "/readyz"} {
		agent.get(path).wants(http.StatusOK)
	}
	agent.get(done.operation()).wants(http.StatusOK).says(".result", "Password deleted")

	// A deletion now: nothing can be sent, and that is what is said.
	answer := agent.post(action, body).wants(http.StatusSeeOther)
	down(agent.follow(answer))
	receipt := agent.get((&page{t: t, url: agent.address(answer.location())}).operation()).wants(http.StatusOK)
	receipt.says(`.result [role="alert"]`, "Password not deleted", "Nothing was sent")
}

// An upstream that answers everything with trouble makes no page of ours fail in its own way.
func TestUpstreamInTrouble(t *testing.T) {
	t.Parallel()
	s := start(t)
	agent := s.as("helpdesk")
	target := s.id("paula@acme.example")
	for _, kind := range []string{"server_error", "bad_gateway_html", "cut_body", "garbage", "wrong_shape", "empty_body", "giant_body", "redirect", "reset", "rate_limit", "bad_credentials"} {
		s.control.fault(fault{Endpoint: "*", Kind: kind})
		for _, path := range []string{"/members", "/members/" + target, "/members/" + target + "/password/delete"} {
			p := agent.get(path)
			if kind == "rate_limit" && p.status == http.StatusTooManyRequests {
				continue
			}
			if p.status < 502 || p.status > 504 {
				t.Errorf("%s with %s everywhere: %d, want 502, 503 or 504: %s", path, kind, p.status, p.words())
			} else if p.text(`[role="alert"]`) == "" {
				t.Errorf("%s with %s everywhere: nothing is said", path, kind)
			}
		}
		agent.get("/healthz").wants(http.StatusOK)
		s.control.clearFaults()
		if p := agent.get("/members"); p.url.Path != "/members" || p.status != http.StatusOK {
			t.Fatalf("after %s is over, /members is %d at %s", kind, p.status, p.url)
		}
	}
}

// silence is the address of an upstream that takes connections and never answers.
func silence(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

func TestUpstreamSilent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the deadline of a call, 10 s")
	}
	sandbox := upstream(t)
	quiet := *sandbox
	quiet.Stytch = silence(t)
	s := quiet.serve(quiet.settings(t.TempDir()))
	who := s.person("org_admin")
	p := newBrowser(t, s.Console).signIn(who.Organization, who.Email, who.Password)
	if p.status != http.StatusGatewayTimeout && p.status != http.StatusBadGateway && p.status != http.StatusServiceUnavailable {
		t.Errorf("signing in with a silent upstream: %d, want 504", p.status)
	}
	if p.text(`[role="alert"]`) == "" {
		t.Errorf("nothing is said: %s", p.words())
	}
	newBrowser(t, s.Console).get("/healthz").wants(http.StatusOK)
}
