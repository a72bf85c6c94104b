"""An instance in Python, on grpcio. Prints its port, then serves until its standard input ends."""

import base64
import json
import sys
import threading
from concurrent import futures

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

import wire

# Streams that are open at once hold a thread each.
THREADS = 256

# Seconds; what the library says of a call without a deadline is far beyond.
ENDLESS = 1e9

# Calls of Hang by their name: "waiting", then "ended".
fates = {}


def echo(message, context):
    """The payload; metadata that starts with `echo-` comes back before it, with `trail-` behind it."""
    mirror(context)
    return wire.payload(message)


def seen(message, context):
    """What this server saw of the call, as JSON."""
    metadata = {}
    for key, value in context.invocation_metadata():
        metadata.setdefault(key, []).append(base64.b64encode(value).decode() if isinstance(value, bytes) else value)
    left = context.time_remaining()
    report = {
        "server": "python",
        # The library has the authority but shows it nowhere.
        "authority": context._rpc_event.call_details.host.decode(),
        "metadata": metadata,
        "timeout_ms": None if left is None or left > ENDLESS else left * 1000,
    }
    return json.dumps(report).encode()


def download(messages, context):
    """`count` messages of `size` bytes; each starts with its number."""
    wish = json.loads(wire.payload(next(messages)))
    for index in range(wish["count"]):
        yield index.to_bytes(4, "big").ljust(wish["size"], b"d")


def upload(messages, context):
    """How many messages came, whether in order, and how many bytes they were."""
    count = size = 0
    in_order = True
    for message in messages:
        payload = wire.payload(message)
        in_order &= payload[:4] == count.to_bytes(4, "big")
        count += 1
        size += len(payload)
    return json.dumps({"count": count, "size": size, "in_order": in_order}).encode()


def chat(messages, context):
    """Each payload as it comes."""
    mirror(context)
    for message in messages:
        yield wire.payload(message)


def fail(messages, context):
    """Ends with the status that the first message wishes, after `after` messages and without waiting for more."""
    wish = json.loads(wire.payload(next(messages)))
    for _ in range(wish["after"]):
        yield b"before"
    trailing = mirrored(context, "trail-")
    if wish["details"]:
        proto = status_pb2.Status.FromString(base64.b64decode(wish["details"]))
        trailing += rpc_status.to_status(proto).trailing_metadata
    context.set_trailing_metadata(trailing)
    context.abort(code(wish["code"]), wish["message"])


def hang(messages, context):
    """Says one message and waits for the end of the call, which must come from the caller."""
    name = wire.payload(next(messages)).decode()
    ended = threading.Event()

    def end():
        fates[name] = "ended"
        ended.set()

    fates[name] = "waiting"
    # Not behind the `yield`: who has its message may end the call before this is resumed, and then it never is.
    if not context.add_callback(end):
        end()
    yield b"waiting"
    ended.wait()


def fate(message, context):
    """What became of a call of Hang."""
    return fates.get(wire.payload(message).decode(), "unknown").encode()


def mirror(context):
    if mirrored(context, "gzip-reply"):
        context.set_compression(grpc.Compression.Gzip)
    context.send_initial_metadata(mirrored(context, "echo-"))
    context.set_trailing_metadata(mirrored(context, "trail-"))


def mirrored(context, prefix):
    return tuple(pair for pair in context.invocation_metadata() if pair[0].startswith(prefix))


def code(number):
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=wire.OPTIONS)
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Seen": grpc.unary_unary_rpc_method_handler(seen),
        "Fate": grpc.unary_unary_rpc_method_handler(fate),
        "Upload": grpc.stream_unary_rpc_method_handler(upload),
        "Download": grpc.stream_stream_rpc_method_handler(download),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Fail": grpc.stream_stream_rpc_method_handler(fail),
        "Hang": grpc.stream_stream_rpc_method_handler(hang),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("interop.Probe", methods)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


main()
