package stytch_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/stytch"
)

func transportErr(t *testing.T, err error) *stytch.TransportError {
	t.Helper()
	var e *stytch.TransportError
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a TransportError", err)
	}
	return e
}

func deletePassword(ctx context.Context, t *testing.T, c *stytch.Client) error {
	t.Helper()
	_, err := c.DeleteMemberPassword(ctx, acting(t), "organization-test-1", "member-password-test-1")
	return err
}

// listen serves each connection by serve, which gets the number of the connection.
func listen(t *testing.T, serve func(n int, conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				serve(n, conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return "http://" + listener.Addr().String()
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	listener.Close()
	e := transportErr(t, deletePassword(t.Context(), t, newClient(t, base)))
	if !e.NotSent || e.Timeout {
		t.Errorf("got %+v, want NotSent", e)
	}
}

func TestFailedHandshake(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request got through")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS() // its certificate is not trusted
	t.Cleanup(server.Close)
	if e := transportErr(t, deletePassword(t.Context(), t, newClient(t, server.URL))); !e.NotSent {
		t.Errorf("got %+v, want NotSent", e)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"before the headers", "within the body"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := setup(t, func(w http.ResponseWriter, r *http.Request) {
				if name == "within the body" {
					_, _ = io.WriteString(w, `{"request_id":"r",`)
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}, stytch.WithTimeout(50*time.Millisecond))
			err := deletePassword(t.Context(), t, client)
			if e := transportErr(t, err); e.NotSent || !e.Timeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %+v, want a timeout of a request that was sent", e)
			}
		})
	}
}

func TestErrorThenHangKeepsStatus(t *testing.T) {
	t.Parallel()
	client := setup(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"request_id":"r",`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, stytch.WithTimeout(50*time.Millisecond))
	var e *stytch.Error
	if err := deletePassword(t.Context(), t, client); !errors.As(err, &e) || e.Status != 403 || e.RequestID != "r" {
		t.Errorf("error = %v, want 403", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		client := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
		err := deletePassword(ctx, t, client)
		if e := transportErr(t, err); !e.NotSent || e.Timeout || !errors.Is(err, context.Canceled) {
			t.Errorf("got %+v, want NotSent and context.Canceled", e)
		}
	})
	t.Run("during", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		client := setup(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		err := deletePassword(ctx, t, client)
		if e := transportErr(t, err); e.NotSent || e.Timeout || !errors.Is(err, context.Canceled) {
			t.Errorf("got %+v, want context.Canceled of a request that was sent", e)
		}
	})
}

// A server that takes the request and closes, on a fresh connection and on one used before: the case in which net/http
// sends a GET again. No write may be sent twice.
func TestClosedAfterRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range calls() {
		if tt.want.Method == http.MethodGet {
			continue
		}
		for _, warm := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/warm=%v", tt.name, warm), func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int32
				base := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
					for {
						req, err := http.ReadRequest(r)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, req.Body)
						if strings.HasSuffix(req.URL.Path, "/whoami") {
							body := ok(`"project_id":"p"`)
							_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
							continue
						}
						requests.Add(1)
						return
					}
				})
				client := newClient(t, base)
				if warm {
					if _, err := client.WhoAmI(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				_, err := tt.do(t, client)
				if e := transportErr(t, err); e.NotSent || e.Timeout {
					t.Errorf("got %+v, want a lost answer", e)
				}
				if n := requests.Load(); n != 1 {
					t.Errorf("%d requests reached the server, want 1", n)
				}
			})
		}
	}
}

func TestCutBody(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"length":  "Content-Length: 1000\r\n\r\n" + `{"request_id":"r","member_id":"m"`,
		"chunked": "Transfer-Encoding: chunked\r\n\r\n21\r\n" + `{"request_id":"r","member_id":"m"` + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
				if _, err := http.ReadRequest(r); err == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+head)
				}
			})
			err := deletePassword(t.Context(), t, newClient(t, base))
			var e *stytch.AnswerError
			if !errors.As(err, &e) || e.Status != 200 || e.RequestID != "r" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error = %#v, want an AnswerError with the request id", err)
			}
		})
	}
}

func TestGarbageInsteadOfHTTP(t *testing.T) {
	t.Parallel()
	base := listen(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(conn, "SSH-2.0-"+secret+strings.Repeat("x", 5000)+"\r\n\r\n")
		}
	})
	err := deletePassword(t.Context(), t, newClient(t, base))
	if e := transportErr(t, err); e.NotSent {
		t.Errorf("got %+v, want it sent", e)
	}
	if strings.Contains(err.Error(), secret) || len(err.Error()) > 4000 {
		t.Errorf("error of %d bytes, secret in it: %v", len(err.Error()), strings.Contains(err.Error(), secret))
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		client := setup(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		var e *stytch.AnswerError
		if err := deletePassword(t.Context(), t, client); !errors.As(err, &e) || e.Status != status {
			t.Errorf("%d: error = %v, want an AnswerError", status, err)
		}
	}
}

func TestLargestPageFits(t *testing.T) {
	t.Parallel()
	members := strings.TrimSuffix(strings.Repeat(memberWithAllFields+",", stytch.MaxSearchLimit), ",")
	body := ok(`"members":[` + members + `],"results_metadata":{"total":1000,"next_cursor":"c"}`)
	client := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	out, err := client.SearchMembers(t.Context(), acting(t), stytch.MemberSearchRequest{OrganizationIDs: []string{"o1"}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Members) != 1000 || out.Total != 1000 || out.NextCursor != "c" {
		t.Errorf("%d members, total %d, cursor %q (body of %d bytes)", len(out.Members), out.Total, out.NextCursor, len(body))
	}
}

// With HTTP/2 net/http would send a write again on the server's word that it was not processed.
func TestSpeaksHTTP1(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("request came over %s", r.Proto)
		}
		_, _ = io.WriteString(w, ok(`"project_id":"p"`))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport, isOurs := stytch.NewTransport().(*http.Transport)
	if !isOurs {
		t.Fatal("not an http.Transport")
	}
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	transport.TLSClientConfig.NextProtos = nil
	if _, err := newClient(t, server.URL, stytch.WithTransport(transport)).WhoAmI(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The size cap stops the reading, not only the acceptance of what was read.
func TestGiantBodyIsNotRead(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 500} {
		read := 0
		client := newClient(t, "https://api.example", stytch.WithTransport(transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(endless{&read})}, nil
		})))
		if _, err := client.WhoAmI(t.Context()); err == nil {
			t.Errorf("%d: no error", status)
		}
		if read > 2*stytch.MaxBody {
			t.Errorf("%d: %d bytes read", status, read)
		}
	}
}

type endless struct{ read *int }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	*e.read += len(p)
	return len(p), nil
}

// An observer is told of each call by its template, and of no value in it.
func TestObserver(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	var got []string
	observe := stytch.WithObserver(func(endpoint string, status int, took time.Duration) {
		if took <= 0 {
			t.Errorf("it took %v", took)
		}
		got = append(got, fmt.Sprint(endpoint, " ", status))
	})
	call := func(base string) {
		if deletePassword(t.Context(), t, newClient(t, base, observe)) == nil {
			t.Error("an empty answer is none")
		}
	}
	call(server.URL)
	status = http.StatusForbidden
	call(server.URL)
	server.Close()
	call(server.URL)
	const endpoint = "DELETE /v1/b2b/organizations/{organization_id}/members/passwords/{member_password_id} "
	if diff := cmp.Diff([]string{endpoint + "200", endpoint + "403", endpoint + "0"}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
