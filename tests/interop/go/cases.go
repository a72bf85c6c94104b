// The cases of ../cases.txt, by name: those of messages and of compression.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const mib = 1 << 20

type testCase struct {
	name string
	run  func(*probe)
}

var cases = []testCase{
	{"unary", one(how{})},
	{"symbol-in-message", one(how{inMessage: true})},
	{"server-stream", serverStream},
	{"client-stream", clientStream},
	{"both-streams", pingPong(50, 10, how{})},
	{"stream-symbol-in-message", pingPong(5, 10, how{inMessage: true})},
	{"empty", empty},
	{"early-end", earlyEnd},
	{"large-request", largeRequest},
	{"large-reply", largeReply},
	{"large-streams", pingPong(4, mib, how{})},
	{"large-symbol-in-message", largeSymbolInMessage},
	{"hundred-streams", hundredStreams},
	{"seen", seenUnchanged},
	{"repeated-keys", repeatedKeys},
	{"binary-metadata", binaryMetadata},
	{"reply-metadata", replyMetadata},
	{"long-metadata", longMetadata},
	{"gateway-metadata", gatewayMetadata},
	{"forged-metadata", forgedMetadata},
	{"statuses", statuses},
	{"details", details(0)},
	{"late-details", details(3)},
	{"deadline-told", deadlineTold},
	{"deadline-passed", deadlinePassed},
	{"deadline-in-stream", deadlineInStream},
	{"cancel", cancelled},
	{"cancel-stream", cancelledStream},
	{"unknown-symbol", refused("Echo", how{symbol: "NONE_USDT"}, codes.NotFound, "unknown-symbol")},
	{"no-symbol", refused("Echo", how{bare: true}, codes.InvalidArgument, "no-symbol")},
	{"no-route", refused("/interop.Nowhere/Echo", how{}, codes.Unimplemented, "no-route")},
	{"unknown-method", refused("Missing", how{}, codes.Unimplemented)},
	{"gzip-request", gzipRequest},
	{"gzip-reply", gzipReply},
	{"gzip-streams", gzipStreams},
	{"gzip-symbol-in-message", gzipSymbolInMessage},
	{"authority-addresses", authority("10.0.0.1:9000,10.0.0.2:9000")},
	{"authority-names", authority("etcd1:2379,etcd2:2379")},
	{"authority-escaped", authority("orderRpc%2FIKUN_USDT")},
	{"dial-target", dialTarget},
}

func one(h how) func(*probe) {
	return func(p *probe) { equal(string(p.unary("Echo", []byte("hello"), h).body), "hello") }
}

func wishing(what wish) []byte {
	text, err := json.Marshal(what)
	must(err)
	return text
}

// The replies of Download.
func downloaded(p *probe, count, size int) [][]byte {
	stream := p.start("Download", how{})
	defer stream.cancel()
	must(stream.send(wishing(wish{Count: count, Size: size})))
	replies, err := stream.rest()
	must(err)
	return replies
}

func serverStream(p *probe) {
	replies := downloaded(p, 1000, 100)
	equal(len(replies), 1000)
	for index, got := range replies {
		equal(got[:4], numbered(index, 4))
		equal(len(got), 100)
	}
}

// What the server says of an Upload.
func sum(p *probe, count, size int, h how) uploaded {
	stream := p.start("Upload", h)
	defer stream.cancel()
	for index := 0; index < count; index++ {
		must(stream.send(numbered(index, size)))
	}
	answer, err := stream.finish()
	must(err)
	var said uploaded
	must(json.Unmarshal(answer.body, &said))
	return said
}

func clientStream(p *probe) {
	equal(sum(p, 1000, 100, how{}), uploaded{Count: 1000, Size: 100_000, InOrder: true})
}

func pingPong(rounds, size int, h how) func(*probe) {
	return func(p *probe) {
		stream := p.start("Chat", h)
		defer stream.cancel()
		for index := 0; index < rounds; index++ {
			must(stream.send(numbered(index, size)))
			got, err := stream.next()
			must(err)
			equal(bytes.Equal(got, numbered(index, size)), true)
		}
		rest, err := stream.rest()
		must(err)
		equal(rest, [][]byte{})
	}
}

func empty(p *probe) {
	equal(len(p.unary("Echo", nil, how{}).body), 0)
	equal(downloaded(p, 0, 0), [][]byte{})
	equal(sum(p, 0, 0, how{}).Count, 0)
	for _, count := range []int{0, 2} {
		stream := p.start("Chat", how{})
		defer stream.cancel()
		for index := 0; index < count; index++ {
			must(stream.send(nil))
		}
		replies, err := stream.rest()
		must(err)
		equal(len(replies), count)
		equal(len(bytes.Join(replies, nil)), 0)
	}
}

func earlyEnd(p *probe) {
	stream := p.start("Fail", how{})
	defer stream.cancel()
	must(stream.send(wishing(wish{Code: 9, Message: "enough", After: 1})))
	sent := make(chan error)
	go func() {
		for {
			if err := stream.send(make([]byte, 1000)); err != nil {
				sent <- err
				return
			}
		}
	}()
	got, err := stream.next()
	must(err)
	equal(string(got), "before")
	_, err = stream.next()
	equal(status.Code(err), codes.FailedPrecondition)
	equal(status.Convert(err).Message(), "enough")
	equal(<-sent, io.EOF)
}

func largeRequest(p *probe) {
	equal(sum(p, 1, 8*mib, how{}).Size, 8*mib)
}

func largeReply(p *probe) {
	replies := downloaded(p, 1, 8*mib)
	equal(len(replies), 1)
	equal(len(replies[0]), 8*mib)
}

func largeSymbolInMessage(p *probe) {
	payload := bytes.Repeat([]byte("0123456789abcde\n"), 3*mib/16)
	equal(bytes.Equal(p.unary("Echo", payload, how{inMessage: true}).body, payload), true)
}

func hundredStreams(p *probe) {
	streams := make([]*call, 100)
	for index := range streams {
		streams[index] = p.start("Chat", how{})
		defer streams[index].cancel()
	}
	for round := 0; round < 3; round++ {
		for index, stream := range streams {
			must(stream.send([]byte(fmt.Sprintf("%d of %d", round, index))))
		}
		for index, stream := range streams {
			got, err := stream.next()
			must(err)
			equal(string(got), fmt.Sprintf("%d of %d", round, index))
		}
	}
	for _, stream := range streams {
		rest, err := stream.rest()
		must(err)
		equal(rest, [][]byte{})
	}
}

var compressible = bytes.Repeat([]byte("0123456789abcdef"), 64*1024)

func gzipRequest(p *probe) {
	// Only a server that shows what came over the wire can tell.
	if said := p.seen(how{gzip: true}); said.Raw != nil {
		equal(said.Raw["grpc-encoding"], []string{"gzip"})
	}
	equal(bytes.Equal(p.unary("Echo", compressible, how{gzip: true}).body, compressible), true)
}

func gzipReply(p *probe) {
	if p.seen(how{}).Server == "node" {
		panic(leftOut("servers on grpc-js do not compress"))
	}
	h := how{gzip: true, metadata: []string{"gzip-reply", "1"}}
	equal(bytes.Equal(p.unary("Echo", compressible, h).body, compressible), true)
}

func gzipStreams(p *probe) {
	pingPong(10, 10_000, how{gzip: true, metadata: []string{"gzip-reply", "1"}})(p)
	equal(sum(p, 100, 10_000, how{gzip: true}), uploaded{Count: 100, Size: 1_000_000, InOrder: true})
}

func gzipSymbolInMessage(p *probe) {
	h := how{gzip: true, inMessage: true}
	equal(bytes.Equal(p.unary("Echo", compressible, h).body, compressible), true)
	pingPong(3, 10_000, h)(p)
}
