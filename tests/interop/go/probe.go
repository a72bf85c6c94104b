// Calls of interop.Probe through the gateway, or past it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// For a call that nothing holds up; for a state that must come about.
const patience = 20 * time.Second

// A case that did not hold, and one that a library cannot do, gateway or not.
type failure string
type leftOut string

// The instance that owns `symbol`, as a client sees it.
type probe struct {
	gateway, server, symbol string
	channels                []*grpc.ClientConn
	through                 *grpc.ClientConn
}

// How a call is made; the zero value says as most are.
type how struct {
	channel   *grpc.ClientConn
	metadata  []string
	timeout   time.Duration
	endless   bool
	gzip      bool
	symbol    string
	inMessage bool
	bare      bool
}

// A running call.
type call struct {
	grpc.ClientStream
	cancel context.CancelFunc
	symbol string
}

// A whole call with one reply.
type reply struct {
	body     []byte
	leading  metadata.MD
	trailing metadata.MD
}

func newProbe(gateway, server, symbol string) *probe {
	p := &probe{gateway: gateway, server: server, symbol: symbol}
	p.through = p.dial(gateway)
	return p
}

// A channel with a connection of its own.
func (p *probe) dial(target string, more ...grpc.DialOption) *grpc.ClientConn {
	sizes := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32))
	options := append([]grpc.DialOption{grpc.WithInsecure(), grpc.WithUserAgent("interop/1"), sizes}, more...)
	channel, err := grpc.Dial(target, options...)
	must(err)
	p.channels = append(p.channels, channel)
	return channel
}

func (p *probe) close() {
	for _, channel := range p.channels {
		channel.Close()
	}
}

// Starts a call of a method of interop.Probe, or of another service when the name is a path.
func (p *probe) start(method string, h how) *call {
	if !strings.HasPrefix(method, "/") {
		method = "/" + service + "/" + method
	}
	ctx, cancel := context.WithCancel(context.Background())
	if h.timeout == 0 {
		h.timeout = patience
	}
	if !h.endless {
		ctx, cancel = context.WithTimeout(context.Background(), h.timeout)
	}
	// The symbol travels as metadata, unless every message has it.
	started := &call{cancel: cancel}
	switch {
	case h.bare:
	case h.inMessage:
		started.symbol = p.symbol
	case h.symbol == "":
		ctx = metadata.AppendToOutgoingContext(ctx, "symbol", p.symbol)
	default:
		ctx = metadata.AppendToOutgoingContext(ctx, "symbol", h.symbol)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, h.metadata...)
	var options []grpc.CallOption
	if h.gzip {
		options = append(options, grpc.UseCompressor("gzip"))
	}
	if h.channel == nil {
		h.channel = p.through
	}
	stream, err := h.channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, options...)
	must(err)
	started.ClientStream = stream
	return started
}

// A call with one request and one reply.
func (p *probe) try(method string, payload []byte, h how) (reply, error) {
	started := p.start(method, h)
	defer started.cancel()
	// When the call has ended already, the reply says why.
	if err := started.send(payload); err != io.EOF {
		must(err)
	}
	return started.finish()
}

// The same, when it must go well.
func (p *probe) unary(method string, payload []byte, h how) reply {
	answer, err := p.try(method, payload, h)
	must(err)
	return answer
}

// What the server saw.
func (p *probe) seen(h how) report {
	var said report
	must(json.Unmarshal(p.unary("Seen", nil, h).body, &said))
	return said
}

// Waits until a call of Hang has come that far.
func (p *probe) fate(name, wanted string) {
	var state string
	for giveUp := time.Now().Add(patience); time.Now().Before(giveUp); time.Sleep(10 * time.Millisecond) {
		if state = string(p.unary("Fate", []byte(name), how{}).body); state == wanted {
			return
		}
	}
	panic(failure(fmt.Sprintf("the call %s is %s at the server, not %s", name, state, wanted)))
}

func (c *call) send(payload []byte) error {
	message := request(c.symbol, payload)
	return c.SendMsg(&message)
}

// The next reply.
func (c *call) next() ([]byte, error) {
	var message []byte
	err := c.RecvMsg(&message)
	return message, err
}

// Sends no more and takes the one reply.
func (c *call) finish() (reply, error) {
	must(c.CloseSend())
	body, err := c.next()
	if err == nil {
		if _, end := c.next(); end != io.EOF {
			err = end
		}
	}
	leading, _ := c.Header()
	return reply{body: body, leading: leading, trailing: c.Trailer()}, err
}

// Sends no more and takes all replies.
func (c *call) rest() ([][]byte, error) {
	must(c.CloseSend())
	replies := [][]byte{}
	for {
		message, err := c.next()
		if err == io.EOF {
			return replies, nil
		}
		if err != nil {
			return replies, err
		}
		replies = append(replies, message)
	}
}

func must(err error) {
	if err != nil {
		panic(failure(status.Convert(err).Code().String() + ": " + status.Convert(err).Message()))
	}
}

func equal(got, expected interface{}) {
	if !reflect.DeepEqual(got, expected) {
		panic(failure(fmt.Sprintf("got %s, expected %s", short(got), short(expected))))
	}
}

func short(value interface{}) string {
	text := fmt.Sprintf("%+v", value)
	if len(text) > 500 {
		return fmt.Sprintf("%s… (%d bytes)", text[:500], len(text))
	}
	return text
}
