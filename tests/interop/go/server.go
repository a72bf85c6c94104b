// The instance. Prints its port, then serves until its standard input ends.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/golang/protobuf/proto"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a client wishes of Download and Fail.
type wish struct {
	Count   int    `json:"count"`
	Size    int    `json:"size"`
	Code    uint32 `json:"code"`
	Message string `json:"message"`
	Details string `json:"details"`
	After   int    `json:"after"`
}

// What Seen says.
type report struct {
	Server    string              `json:"server"`
	Authority string              `json:"authority"`
	Metadata  map[string][]string `json:"metadata"`
	TimeoutMs *float64            `json:"timeout_ms"`
	Raw       map[string][]string `json:"raw,omitempty"`
}

// What Upload says.
type uploaded struct {
	Count   int  `json:"count"`
	Size    int  `json:"size"`
	InOrder bool `json:"in_order"`
}

// Calls of Hang by their name: "waiting", then "ended".
var fates sync.Map

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))
	methods := []grpc.StreamDesc{
		{StreamName: "Echo", Handler: unary(echo)},
		{StreamName: "Seen", Handler: unary(seen)},
		{StreamName: "Fate", Handler: unary(fate)},
		{StreamName: "Upload", Handler: streaming(upload), ClientStreams: true},
		{StreamName: "Download", Handler: streaming(download), ClientStreams: true, ServerStreams: true},
		{StreamName: "Chat", Handler: streaming(chat), ClientStreams: true, ServerStreams: true},
		{StreamName: "Fail", Handler: streaming(fail), ClientStreams: true, ServerStreams: true},
		{StreamName: "Hang", Handler: streaming(hang), ClientStreams: true, ServerStreams: true},
	}
	server.RegisterService(&grpc.ServiceDesc{ServiceName: service, HandlerType: (*interface{})(nil), Streams: methods}, nil)
	go func() {
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			log.Print(err)
		}
		os.Exit(0)
	}()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(listener))
}

func unary(reply func(grpc.ServerStream, []byte) ([]byte, error)) grpc.StreamHandler {
	return func(_ interface{}, stream grpc.ServerStream) error {
		payload, err := receive(stream)
		if err != nil {
			return err
		}
		message, err := reply(stream, payload)
		if err != nil {
			return err
		}
		return stream.SendMsg(&message)
	}
}

func streaming(handle func(grpc.ServerStream) error) grpc.StreamHandler {
	return func(_ interface{}, stream grpc.ServerStream) error { return handle(stream) }
}

// The payload; metadata that starts with `echo-` comes back before it, with `trail-` behind it.
func echo(stream grpc.ServerStream, payload []byte) ([]byte, error) {
	return payload, mirror(stream)
}

// What this server saw of the call, as JSON.
func seen(stream grpc.ServerStream, _ []byte) ([]byte, error) {
	incoming, _ := metadata.FromIncomingContext(stream.Context())
	said := report{Server: "go", Metadata: map[string][]string{}}
	for key, values := range incoming {
		if key == ":authority" {
			said.Authority = strings.Join(values, " ")
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(key, "-bin") {
				value = base64.StdEncoding.EncodeToString([]byte(value))
			}
			said.Metadata[key] = append(said.Metadata[key], value)
		}
	}
	if deadline, limited := stream.Context().Deadline(); limited {
		left := time.Until(deadline).Seconds() * 1000
		said.TimeoutMs = &left
	}
	return json.Marshal(said)
}

// `count` messages of `size` bytes; each starts with its number.
func download(stream grpc.ServerStream) error {
	wished, err := wished(stream)
	for index := 0; err == nil && index < wished.Count; index++ {
		err = send(stream, numbered(index, wished.Size))
	}
	return err
}

// How many messages came, whether in order, and how many bytes they were.
func upload(stream grpc.ServerStream) error {
	sum := uploaded{InOrder: true}
	for {
		payload, err := receive(stream)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		sum.InOrder = sum.InOrder && len(payload) >= 4 && int(binary.BigEndian.Uint32(payload)) == sum.Count
		sum.Count++
		sum.Size += len(payload)
	}
	text, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	return send(stream, text)
}

// Each payload as it comes.
func chat(stream grpc.ServerStream) error {
	err := mirror(stream)
	for err == nil {
		var payload []byte
		if payload, err = receive(stream); err == nil {
			err = send(stream, payload)
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// Ends with the status that the first message wishes, after `after` messages and without waiting for more.
func fail(stream grpc.ServerStream) error {
	wished, err := wished(stream)
	for index := 0; err == nil && index < wished.After; index++ {
		err = send(stream, []byte("before"))
	}
	if err != nil {
		return err
	}
	stream.SetTrailer(mirrored(stream, "trail-"))
	if wished.Details == "" {
		return status.Error(codes.Code(wished.Code), wished.Message)
	}
	details, err := base64.StdEncoding.DecodeString(wished.Details)
	if err != nil {
		return err
	}
	rich := &statuspb.Status{}
	if err := proto.Unmarshal(details, rich); err != nil {
		return err
	}
	return status.ErrorProto(rich)
}

// Says one message and waits for the end of the call, which must come from the caller.
func hang(stream grpc.ServerStream) error {
	name, err := receive(stream)
	if err != nil {
		return err
	}
	fates.Store(string(name), "waiting")
	if err := send(stream, []byte("waiting")); err != nil {
		return err
	}
	<-stream.Context().Done()
	fates.Store(string(name), "ended")
	return status.FromContextError(stream.Context().Err()).Err()
}

// What became of a call of Hang.
func fate(_ grpc.ServerStream, name []byte) ([]byte, error) {
	state, known := fates.Load(string(name))
	if !known {
		return []byte("unknown"), nil
	}
	return []byte(state.(string)), nil
}

func receive(stream grpc.ServerStream) ([]byte, error) {
	var message []byte
	err := stream.RecvMsg(&message)
	return payloadOf(message), err
}

func send(stream grpc.ServerStream, message []byte) error { return stream.SendMsg(&message) }

func wished(stream grpc.ServerStream) (wish, error) {
	var wished wish
	payload, err := receive(stream)
	if err != nil {
		return wished, err
	}
	return wished, json.Unmarshal(payload, &wished)
}

func mirror(stream grpc.ServerStream) error {
	stream.SetTrailer(mirrored(stream, "trail-"))
	return stream.SendHeader(mirrored(stream, "echo-"))
}

func mirrored(stream grpc.ServerStream, prefix string) metadata.MD {
	incoming, _ := metadata.FromIncomingContext(stream.Context())
	found := metadata.MD{}
	for key, values := range incoming {
		if strings.HasPrefix(key, prefix) {
			found[key] = values
		}
	}
	return found
}
