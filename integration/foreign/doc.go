// Package foreign holds tests with clients that graylane did not write: the Go
// SDK and the Java client, unmodified, must not be able to tell the embedded
// Nacos from a real one. They also say what our own payloads must look like.
//
// The clients run in processes of their own: they leave goroutines and sockets
// behind.
package foreign
