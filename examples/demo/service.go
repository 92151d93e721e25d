package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
)

// hopTimeout bounds a request to the next service and all that follow.
const hopTimeout = 2 * time.Second

// runService serves one name over HTTP and gRPC until ctx ends.
func runService(ctx context.Context, gl *graylane.Client) error {
	name := os.Getenv("SERVICE_NAME")
	next, closeNext, err := dial(gl, os.Getenv("NEXT"))
	if err != nil {
		return err
	}
	defer closeNext()
	s := &service{self: name + " " + os.Getenv("SERVICE_VERSION"), next: next}

	ctx, cancel := context.WithCancel(ctx) // one server's failure ends the other
	defer cancel()
	var wg sync.WaitGroup
	var overHTTP, overGRPC error
	wg.Go(func() {
		defer cancel()
		overHTTP = httpx.Serve(ctx, gl, name, os.Getenv("HTTP_ADDR"), s)
	})
	wg.Go(func() {
		defer cancel()
		overGRPC = grpcx.Serve(ctx, gl, name, os.Getenv("GRPC_ADDR"), func(r *grpc.Server) { hello.RegisterHelloServer(r, s) })
	})
	wg.Wait()
	return errors.Join(overHTTP, overGRPC)
}

// service answers with its name and version, and with what the next one says.
type service struct {
	hello.UnimplementedHelloServer
	self string
	next func(ctx context.Context) (string, error) // nil: it is the last
}

func (s *service) answer(ctx context.Context) (string, error) {
	if s.next == nil {
		return s.self, nil
	}
	ctx, cancel := context.WithTimeout(ctx, hopTimeout)
	defer cancel()
	rest, err := s.next(ctx)
	return s.self + " > " + rest, err
}

// ServeHTTP implements http.Handler.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := s.answer(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, text)
}

// Say implements the same over gRPC.
func (s *service) Say(ctx context.Context, _ *hello.HelloRequest) (*hello.HelloReply, error) {
	text, err := s.answer(ctx)
	return &hello.HelloReply{Message: text}, err
}

// dial returns how to ask the service of a URL "http://NAME" or "grpc://NAME".
func dial(gl *graylane.Client, url string) (ask func(context.Context) (string, error), stop func(), err error) {
	if url == "" {
		return nil, func() {}, nil
	}
	name, isGRPC := strings.CutPrefix(url, "grpc://")
	if !isGRPC {
		client := httpx.NewClient(gl.Resolver())
		return func(ctx context.Context) (string, error) { return get(ctx, client, url, nil) }, client.CloseIdleConnections, nil
	}
	conn, err := grpcx.NewClient(gl.Resolver(), name, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	client := hello.NewHelloClient(conn)
	return func(ctx context.Context) (string, error) {
		reply, err := client.Say(ctx, &hello.HelloRequest{})
		return reply.GetMessage(), err
	}, func() { _ = conn.Close() }, nil
}

// get returns the one line that a URL answers.
func get(ctx context.Context, client *http.Client, url string, header http.Header) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody) //nolint:gosec // the operator's URL
	if err != nil {
		return "", err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	text := strings.TrimSpace(string(body))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, text)
	}
	return text, err
}
