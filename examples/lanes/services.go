package main

import (
	"context"
	"io"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
)

// order asks user over gRPC.
func order(ctx context.Context, gl *graylane.Client, self string) error {
	conn, err := grpcx.NewClient(gl.Resolver(), "example-lanes-user", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	users := hello.NewHelloClient(conn)
	return httpx.Serve(ctx, gl, "example-lanes-order", ":0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply, err := users.Say(r.Context(), &hello.HelloRequest{}) // the context has the lane
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, self+" > "+reply.GetMessage())
	}))
}

// user asks stock over HTTP.
func user(ctx context.Context, gl *graylane.Client, self string) error {
	client := httpx.NewClient(gl.Resolver())
	defer client.CloseIdleConnections()
	return grpcx.Serve(ctx, gl, "example-lanes-user", ":0", func(s *grpc.Server) {
		hello.RegisterHelloServer(s, &userServer{self: self, client: client})
	})
}

type userServer struct {
	hello.UnimplementedHelloServer
	self   string
	client *http.Client
}

// Say implements hello.HelloServer.
func (u *userServer) Say(ctx context.Context, _ *hello.HelloRequest) (*hello.HelloReply, error) {
	rest, err := get(ctx, u.client, "http://example-lanes-stock/")
	return &hello.HelloReply{Message: u.self + " > " + rest}, err
}

// stock asks nobody.
func stock(ctx context.Context, gl *graylane.Client, self string) error {
	return httpx.Serve(ctx, gl, "example-lanes-stock", ":0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, self)
	}))
}

// get returns what a URL answers.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
