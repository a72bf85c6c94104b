// An instance and a client in Go, on grpc-go: `probe server`, or `probe client GATEWAY SERVER SYMBOL`, addresses of the
// gateway and of the instance behind it and the symbol that the instance owns. Built without modules, from what Debian
// packages.
package main

import (
	"fmt"
	"os"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
)

func main() {
	// In the place of the library's own: messages stay bytes.
	encoding.RegisterCodec(asBytes{})
	switch {
	case len(os.Args) == 2 && os.Args[1] == "server":
		serve()
	case len(os.Args) == 5 && os.Args[1] == "client":
		runCases(os.Args[2], os.Args[3], os.Args[4])
	default:
		fmt.Fprintln(os.Stderr, "usage: probe server | probe client GATEWAY SERVER SYMBOL")
		os.Exit(64)
	}
}

type asBytes struct{}

func (asBytes) Marshal(message interface{}) ([]byte, error) { return *message.(*[]byte), nil }

func (asBytes) Unmarshal(data []byte, message interface{}) error {
	// The library may use the memory again.
	*message.(*[]byte) = append([]byte{}, data...)
	return nil
}

func (asBytes) Name() string { return "proto" }
