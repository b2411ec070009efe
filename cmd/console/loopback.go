package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// listenLoopback listens for the demo or the sandbox, which have passwords printed on the door: an address that other
// machines could reach is refused, by name too.
func listenLoopback(ctx context.Context, flag, addr string) (net.Listener, error) {
	const accepted = "a loopback address with a port, such as 127.0.0.1:8080 or 127.0.0.1:0"
	var bad problems
	host := listenHost(&bad, flag, addr)
	if err := bad.err(); err != nil {
		return nil, err
	}
	lookup, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// A name is looked up once and the address found is the one listened on, so it cannot resolve to another later.
	ips, err := net.DefaultResolver.LookupNetIP(lookup, "ip", host)
	if err != nil || len(ips) == 0 {
		bad.add(flag, fmt.Sprintf("%q is the name of no address", host), accepted)
		return nil, bad.err()
	}
	for _, ip := range ips {
		if !ip.Unmap().IsLoopback() {
			bad.add(flag, fmt.Sprintf("%s can be reached from other machines", addr), accepted)
			return nil, bad.err()
		}
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return listen(ctx, net.JoinHostPort(ips[0].Unmap().String(), port))
}

// onlyLoopbackHosts refuses requests for another host: a page elsewhere whose name was made to resolve to this machine
// could otherwise read what is served here.
func onlyLoopbackHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "This address is not served here.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listenURL is the address of a listener as people open it.
func listenURL(l net.Listener) string {
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return "http://" + l.Addr().String()
	}
	return "http://" + addr.String()
}
