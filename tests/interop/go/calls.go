// More cases: those of metadata, of ends and of authorities.
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes/any"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

// What a status may say; the second half is what must be escaped.
const message = "k-line: not now; 50% é中\t\n"

func seenUnchanged(p *probe) {
	text := []string{"plain", "text with spaces ~!*%2F", "empty", "", "list", "a,b, c", "grpc-unknown", "kept"}
	h := how{metadata: append(append(text, "twice", "one", "twice", "two"), binaryKeys("")...)}
	named := grpc.WithAuthority("probe.internal")
	h.channel = p.dial(p.gateway, named)
	through := p.seen(h)
	h.channel = p.dial(p.server, named)
	direct := p.seen(h)
	for _, said := range []*report{&through, &direct} {
		// How much time is left differs.
		said.TimeoutMs = nil
		for _, name := range []string{"symgate-symbol", "symgate-owner", "grpc-timeout"} {
			delete(said.Metadata, name)
			delete(said.Raw, name)
		}
	}
	equal(through, direct)
	equal(strings.HasPrefix(direct.Metadata["user-agent"][0], "interop/1 grpc-go/"), true)
	equal(direct.Metadata["plain"], []string{text[1]})
	if direct.Raw != nil {
		equal(direct.Raw["te"], []string{"trailers"})
	}
}

func repeatedKeys(p *probe) {
	ordered := []string{"3", "1", "2", "1", "10"}
	var keys, echoed, encoded []string
	for _, value := range ordered {
		keys = append(keys, "many", value, "between", value, "many-bin", value)
		echoed = append(echoed, "echo-many", value)
		encoded = append(encoded, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	said := p.seen(how{metadata: keys}).Metadata
	equal(strings.Join(said["many"], ", "), strings.Join(ordered, ", "))
	equal(strings.Join(said["between"], ", "), strings.Join(ordered, ", "))
	equal(said["many-bin"], encoded)
	equal(joined(p.unary("Echo", nil, how{metadata: echoed}).leading, "echo-many"), strings.Join(ordered, ", "))
}

// Keys and values of lengths that need padding and of such that need none.
func binaryKeys(prefix string) []string {
	every := make([]byte, 256)
	for value := range every {
		every[value] = byte(value)
	}
	var keys []string
	for _, length := range []int{0, 1, 2, 3, 4, 255, 256} {
		keys = append(keys, fmt.Sprintf("%slength-%d-bin", prefix, length), string(every[256-length:]))
	}
	return keys
}

func binaryMetadata(p *probe) {
	keys := binaryKeys("")
	said := p.seen(how{metadata: keys}).Metadata
	for at := 0; at < len(keys); at += 2 {
		equal(said[keys[at]], []string{base64.StdEncoding.EncodeToString([]byte(keys[at+1]))})
	}
	leading, trailing := binaryKeys("echo-"), binaryKeys("trail-")
	got := p.unary("Echo", nil, how{metadata: append(leading, trailing...)})
	for at := 0; at < len(leading); at += 2 {
		equal(got.leading[leading[at]], []string{leading[at+1]})
		equal(got.trailing[trailing[at]], []string{trailing[at+1]})
	}
}

func replyMetadata(p *probe) {
	keys := []string{"echo-a", "one", "echo-a", "two", "echo-b", "50% ~", "trail-a", "three", "trail-a", "four"}
	for _, method := range []string{"Echo", "Chat"} {
		got := p.unary(method, []byte("hello"), how{metadata: keys})
		equal(string(got.body), "hello")
		equal(joined(got.leading, "echo-a"), "one, two")
		equal(joined(got.leading, "echo-b"), "50% ~")
		equal(joined(got.trailing, "trail-a"), "three, four")
	}
}

func longMetadata(p *probe) {
	long := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 12*1024/26)
	got := p.unary("Echo", nil, how{metadata: []string{"echo-long", long, "trail-long", long}})
	equal(got.leading["echo-long"], []string{long})
	equal(got.trailing["trail-long"], []string{long})
}

func gatewayMetadata(p *probe) {
	checkGatewayMetadata(p, how{})
	checkGatewayMetadata(p, how{inMessage: true})
}

func forgedMetadata(p *probe) {
	forged := []string{"symgate-symbol", "FORGED", "symgate-symbol", "TWICE", "symgate-owner", "forged"}
	checkGatewayMetadata(p, how{metadata: forged})
}

func checkGatewayMetadata(p *probe, h how) {
	said := p.seen(h).Metadata
	equal(said["symgate-symbol"], []string{p.symbol})
	equal(len(said["symgate-owner"]), 1)
	equal(strings.Trim(said["symgate-owner"][0], "0123456789"), "")
}

func statuses(p *probe) {
	for code := codes.Code(1); code <= 16; code++ {
		failing := wishing(wish{Code: uint32(code), Message: message})
		got, err := p.try("Fail", failing, how{metadata: []string{"trail-a", "one", "trail-a", "two"}})
		equal(status.Code(err), code)
		equal(status.Convert(err).Message(), message)
		equal(joined(got.trailing, "trail-a"), "one, two")
		equal(joined(got.trailing, "symgate-reason"), "")
	}
}

func details(after int) func(*probe) {
	return func(p *probe) {
		detail := &any.Any{TypeUrl: "type.googleapis.com/interop.Halted", Value: []byte{8, 255, 1}}
		expected := &statuspb.Status{Code: 9, Message: message, Details: []*any.Any{detail}}
		text, err := proto.Marshal(expected)
		must(err)
		stream := p.start("Fail", how{metadata: []string{"trail-tail-bin", "\x00\xff"}})
		defer stream.cancel()
		encoded := base64.StdEncoding.EncodeToString(text)
		must(stream.send(wishing(wish{Code: 9, Message: message, Details: encoded, After: after})))
		for index := 0; index < after; index++ {
			got, err := stream.next()
			must(err)
			equal(string(got), "before")
		}
		_, err = stream.next()
		got, err := proto.Marshal(status.Convert(err).Proto())
		must(err)
		equal(bytes.Equal(got, text), true)
		equal(stream.Trailer()["trail-tail-bin"], []string{"\x00\xff"})
	}
}

func deadlineTold(p *probe) {
	left := p.seen(how{timeout: time.Minute}).TimeoutMs
	if left == nil || *left <= 30_000 || *left > 60_000 {
		panic(failure(fmt.Sprintf("of 60 s the server saw %v ms", reflect.Indirect(reflect.ValueOf(left)))))
	}
	equal(p.seen(how{endless: true}).TimeoutMs == nil, true)
}

// Starts a call of Hang by a name that no other has.
func hanging(p *probe, timeout time.Duration) (string, *call) {
	name := fmt.Sprintf("go-%d", time.Now().UnixNano())
	stream := p.start("Hang", how{timeout: timeout})
	must(stream.send([]byte(name)))
	return name, stream
}

func deadlinePassed(p *probe) {
	name, stream := hanging(p, time.Second)
	defer stream.cancel()
	_, err := stream.finish()
	equal(status.Code(err), codes.DeadlineExceeded)
	p.fate(name, "ended")
}

func deadlineInStream(p *probe) {
	name, stream := hanging(p, time.Second)
	defer stream.cancel()
	got, err := stream.next()
	must(err)
	equal(string(got), "waiting")
	_, err = stream.next()
	equal(status.Code(err), codes.DeadlineExceeded)
	p.fate(name, "ended")
}

func cancelled(p *probe) {
	name, stream := hanging(p, time.Minute)
	ended := make(chan error)
	go func() {
		_, err := stream.finish()
		ended <- err
	}()
	p.fate(name, "waiting")
	stream.cancel()
	equal(status.Code(<-ended), codes.Canceled)
	p.fate(name, "ended")
}

func cancelledStream(p *probe) {
	name, stream := hanging(p, time.Minute)
	got, err := stream.next()
	must(err)
	equal(string(got), "waiting")
	stream.cancel()
	_, err = stream.next()
	equal(status.Code(err), codes.Canceled)
	p.fate(name, "ended")
}

func refused(method string, h how, code codes.Code, reasons ...string) func(*probe) {
	return func(p *probe) {
		got, err := p.try(method, []byte("a"), h)
		equal(status.Code(err), code)
		equal(joined(got.trailing, "symgate-reason"), strings.Join(reasons, ", "))
	}
}

func authority(name string) func(*probe) {
	return func(p *probe) {
		direct, err := p.try("Seen", nil, how{channel: p.dial(p.server, grpc.WithAuthority(name))})
		if err != nil {
			panic(leftOut("refused without the gateway: " + status.Convert(err).Message()))
		}
		equal(strings.Contains(string(direct.body), name), true)
		equal(p.seen(how{channel: p.dial(p.gateway, grpc.WithAuthority(name))}).Authority, name)
	}
}

// A resolver of static addresses: what the target names is the authority.
func dialTarget(p *probe) {
	static := manual.NewBuilderWithScheme("static")
	static.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: p.gateway}, {Addr: p.gateway}}})
	several := p.gateway + "," + p.gateway
	channel := p.dial("static:///"+several, grpc.WithResolvers(static))
	equal(p.seen(how{channel: channel}).Authority, several)
}

func joined(of metadata.MD, key string) string { return strings.Join(of.Get(key), ", ") }
