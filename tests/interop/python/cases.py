"""The cases of ../cases.txt, by name: those of messages and of compression."""

import itertools
import json
import queue

import grpc

from probe import LeftOut, case, equal, fails, wish

MIB = 1 << 20
GZIP = grpc.Compression.Gzip


def numbered(count, size=4):
    return (index.to_bytes(4, "big").ljust(size, b"u") for index in range(count))


# Messages


@case
def unary(probe):
    equal(probe.unary("Echo", b"hello")[0], b"hello")


@case
def symbol_in_message(probe):
    equal(probe.unary("Echo", b"hello", in_message=True)[0], b"hello")


@case
def server_stream(probe):
    replies = list(probe.stream("Download", [wish(count=1000, size=100)]))
    equal([reply[:4] for reply in replies], [index.to_bytes(4, "big") for index in range(1000)])
    equal({len(reply) for reply in replies}, {100})


@case
def client_stream(probe):
    equal(json.loads(probe.upload(numbered(1000, 100))), {"count": 1000, "size": 100_000, "in_order": True})


def ping_pong(probe, rounds, size=10, **how):
    requests = queue.Queue()
    call = probe.stream("Chat", iter(requests.get, None), **how)
    for payload in numbered(rounds, size):
        requests.put(payload)
        equal(next(call), payload)
    requests.put(None)
    equal(list(call), [])
    equal(call.code(), grpc.StatusCode.OK)


@case
def both_streams(probe):
    ping_pong(probe, 50)


@case
def stream_symbol_in_message(probe):
    ping_pong(probe, 5, in_message=True)


@case
def empty(probe):
    equal(probe.unary("Echo")[0], b"")
    equal(list(probe.stream("Download", [wish(count=0, size=0)])), [])
    equal(list(probe.stream("Download", [wish(count=2, size=4)]))[0], bytes(4))
    equal(list(probe.stream("Chat", [])), [])
    equal(list(probe.stream("Chat", [b"", b""])), [b"", b""])
    equal(json.loads(probe.upload([]))["count"], 0)


@case
def early_end(probe):
    def endless():
        yield wish(code=9, message="enough", details="", after=1)
        yield from itertools.repeat(bytes(1000))

    call = probe.stream("Fail", endless())
    equal(next(call), b"before")
    error = fails(lambda: next(call))
    equal((error.code(), error.details()), (grpc.StatusCode.FAILED_PRECONDITION, "enough"))


@case
def large_request(probe):
    equal(json.loads(probe.upload([bytes(8 * MIB)]))["size"], 8 * MIB)


@case
def large_reply(probe):
    (reply,) = probe.stream("Download", [wish(count=1, size=8 * MIB)])
    equal(len(reply), 8 * MIB)


@case
def large_streams(probe):
    ping_pong(probe, 4, MIB)


@case
def large_symbol_in_message(probe):
    payload = bytes(range(256)) * (3 * MIB // 256)
    equal(probe.unary("Echo", payload, in_message=True)[0] == payload, True)


@case
def hundred_streams(probe):
    streams = [queue.Queue() for _ in range(100)]
    calls = [probe.stream("Chat", iter(requests.get, None)) for requests in streams]
    for round_ in range(3):
        for index, requests in enumerate(streams):
            requests.put(b"%d of %d" % (round_, index))
        for index, call in enumerate(calls):
            equal(next(call), b"%d of %d" % (round_, index))
    for requests in streams:
        requests.put(None)
    equal([list(call) for call in calls], [[]] * 100)


# Compression

COMPRESSIBLE = b"0123456789abcdef" * (64 * 1024)


def compressed(report):
    """Only a server that shows what came over the wire can tell."""
    if "raw" in report:
        equal(report["raw"]["grpc-encoding"], ["gzip"])


@case
def gzip_request(probe):
    compressed(probe.seen(compression=GZIP))
    equal(probe.unary("Echo", COMPRESSIBLE, compression=GZIP)[0] == COMPRESSIBLE, True)


@case
def gzip_reply(probe):
    if probe.seen()["server"] == "node":
        raise LeftOut("servers on grpc-js do not compress")
    reply, _ = probe.unary("Echo", COMPRESSIBLE, compression=GZIP, metadata=[("gzip-reply", "1")])
    equal(reply == COMPRESSIBLE, True)


@case
def gzip_streams(probe):
    ping_pong(probe, 10, 10_000, compression=GZIP, metadata=[("gzip-reply", "1")])
    sent = {"count": 100, "size": 1_000_000, "in_order": True}
    equal(json.loads(probe.upload(numbered(100, 10_000), compression=GZIP)), sent)


@case
def gzip_symbol_in_message(probe):
    reply, _ = probe.unary("Echo", COMPRESSIBLE, compression=GZIP, in_message=True)
    equal(reply == COMPRESSIBLE, True)
    ping_pong(probe, 3, 10_000, compression=GZIP, in_message=True)
