package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %t, want %t", host, got, want)
		}
	}
}

func TestListenLoopback(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		l, err := listenLoopback(t.Context(), "--addr", addr)
		if err != nil {
			t.Errorf("listenLoopback(%q) = %v", addr, err)
			continue
		}
		if url := listenURL(l); !strings.HasPrefix(url, "http://127.") && !strings.HasPrefix(url, "http://[::1]:") {
			t.Errorf("listenURL = %s for %s, want loopback", url, addr)
		}
		l.Close()
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "no-such-host.invalid:0", "127.0.0.1", ""} {
		if l, err := listenLoopback(t.Context(), "--addr", addr); err == nil {
			l.Close()
			t.Errorf("listenLoopback(%q) listens", addr)
		}
	}
}

func TestOnlyLoopbackHosts(t *testing.T) {
	t.Parallel()
	handler := onlyLoopbackHosts(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for host, want := range map[string]int{
		"127.0.0.1:8080": http.StatusNoContent, "localhost:1": http.StatusNoContent, "[::1]:1": http.StatusNoContent, "localhost": http.StatusNoContent,
		"attacker.example:8080": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest, "localhost.attacker.example": http.StatusMisdirectedRequest,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Host = host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080", "10.0.0.1:80": "10.0.0.1:80", "console:80": "console:80",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %q, want %q", addr, got, want)
		}
	}
}
