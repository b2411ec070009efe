package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

type healthcheckCmd struct {
	Addr string `setting:"CONSOLE_ADDR" default:"127.0.0.1:8080" help:"Address the console listens on."`
}

// Run exits 0 when the console answers, whatever the state of Stytch or of the store: liveness only.
func (c healthcheckCmd) Run(p *program) error {
	var bad problems
	listenHost(&bad, "CONSOLE_ADDR", c.Addr)
	if err := bad.err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(c.Addr)+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	// No proxy of the environment: the console asked for is on this machine.
	client := &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answered %s", req.URL, res.Status)
	}
	return nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	host = cmp.Or(host, "127.0.0.1")
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}
