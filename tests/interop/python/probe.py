"""Calls of interop.Probe through the gateway, or past it."""

import json
import time

import grpc

import wire

# For a call that nothing holds up; for a state that must come about.
PATIENCE = 20

# Every case of this client.
CASES = {}


def case(run):
    """A case by its name."""
    CASES[run.__name__.replace("_", "-")] = run
    return run


class LeftOut(Exception):
    """A case that one of the two libraries cannot do, gateway or not."""


class Probe:
    """The instance that owns `symbol`, as a client sees it."""

    def __init__(self, gateway, server, symbol):
        self.gateway = gateway
        self.server = server
        self.symbol = symbol
        self.channels = []
        self.through = self.channel(gateway)

    def channel(self, target, authority=None):
        """A channel with a connection of its own."""
        options = wire.OPTIONS + [("grpc.use_local_subchannel_pool", 1), ("grpc.primary_user_agent", "interop/1")]
        if authority:
            options.append(("grpc.default_authority", authority))
        channel = grpc.insecure_channel(target, options)
        self.channels.append(channel)
        return channel

    def close(self):
        for channel in self.channels:
            channel.close()

    def unary(self, method, payload=b"", **how):
        """The reply and the call, whose metadata can be asked for."""
        kind, message, how = self.prepare("unary_unary", payload, how)
        return kind(method).with_call(message, **how)

    def upload(self, payloads, **how):
        kind, messages, how = self.prepare("stream_unary", payloads, how)
        return kind("Upload")(messages, **how)

    def stream(self, method, payloads, **how):
        """The running call, which is an iterator of replies."""
        kind, messages, how = self.prepare("stream_stream", payloads, how)
        return kind(method)(messages, **how)

    def prepare(self, kind, payload, how):
        """The symbol travels as metadata, unless `in_message` puts it into every message."""
        how = dict(how)
        in_message = how.pop("in_message", False)
        channel = how.pop("channel", self.through)
        metadata = list(how.pop("metadata", []))
        if not in_message:
            metadata.insert(0, ("symbol", how.pop("symbol", self.symbol)))
        symbol = self.symbol if in_message else ""
        if isinstance(payload, bytes):
            messages = wire.request(symbol, payload)
        else:
            messages = (wire.request(symbol, one) for one in payload)
        how = {"timeout": PATIENCE, "metadata": metadata} | how
        return lambda method: getattr(channel, kind)(wire.SERVICE + method), messages, how

    def seen(self, **how):
        """What the server saw."""
        return json.loads(self.unary("Seen", **how)[0])

    def fate(self, name, wanted):
        """Waits until a call of Hang has come that far."""
        give_up = time.monotonic() + PATIENCE
        state = None
        while time.monotonic() < give_up:
            state = self.unary("Fate", name.encode())[0].decode()
            if state == wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"the call {name} is {state} at the server, not {wanted}")


def wish(**what):
    """What Download and Fail are told."""
    return json.dumps(what).encode()


def fails(call):
    """The error that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call went well")


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {short(got)}, expected {short(expected)}")


def short(value):
    text = repr(value)
    return text if len(text) < 500 else f"{text[:500]}… ({len(text)} characters)"


def values(metadata, key):
    """The values of a key, in order. A library may join them."""
    found = [value for name, value in metadata or () if name == key]
    return found if key.endswith("-bin") else ", ".join(found)
