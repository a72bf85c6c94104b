"""More cases: those of metadata, of ends and of authorities."""

import base64
import queue
import uuid

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

import wire
from probe import LeftOut, case, equal, fails, short, values, wish

# What a status may say; the second half is what must be escaped.
MESSAGE = "k-line: not now; 50% é中\t\n"
LENGTHS = [0, 1, 2, 3, 4, 255, 256]


# Metadata

TEXT = [("plain", "text with spaces ~!*%2F"), ("empty", ""), ("list", "a,b, c"), ("grpc-unknown", "kept")]


@case
def seen(probe):
    metadata = TEXT + binary() + [("twice", "one"), ("twice", "two")]
    through = probe.seen(channel=probe.channel(probe.gateway, "probe.internal"), metadata=metadata)
    direct = probe.seen(channel=probe.channel(probe.server, "probe.internal"), metadata=metadata)
    for name in ("symgate-symbol", "symgate-owner"):
        through["metadata"].pop(name)
        through.get("raw", {}).pop(name, None)
    for report in (through, direct):
        report.pop("timeout_ms")
        # How much time is left differs.
        report.get("raw", {}).pop("grpc-timeout", None)
    for key in direct.keys() | through.keys():
        equal((key, through.get(key)), (key, direct.get(key)))
    equal(direct["metadata"]["user-agent"][0].startswith("interop/1 grpc-python/"), True)
    equal(direct["metadata"]["plain"], [TEXT[0][1]])
    if "raw" in direct:
        equal(direct["raw"]["te"], ["trailers"])


@case
def repeated_keys(probe):
    ordered = [str(number) for number in (3, 1, 2, 1, 10)]
    metadata = [pair for value in ordered for pair in (("many", value), ("between", value), ("many-bin", value.encode()))]
    report = probe.seen(metadata=metadata)["metadata"]
    equal(", ".join(report["many"]), ", ".join(ordered))
    equal(", ".join(report["between"]), ", ".join(ordered))
    equal([base64.b64decode(value) for value in report["many-bin"]], [value.encode() for value in ordered])
    _, call = probe.unary("Echo", metadata=[("echo-many", value) for value in ordered])
    equal(values(call.initial_metadata(), "echo-many"), ", ".join(ordered))


def binary(prefix=""):
    every = bytes(range(256))
    return [(f"{prefix}length-{length}-bin", every[256 - length :]) for length in LENGTHS]


@case
def binary_metadata(probe):
    report = probe.seen(metadata=binary())["metadata"]
    for key, value in binary():
        equal((key, [base64.b64decode(value) for value in report[key]]), (key, [value]))
    _, call = probe.unary("Echo", metadata=binary("echo-") + binary("trail-"))
    for key, value in binary("echo-"):
        equal((key, values(call.initial_metadata(), key)), (key, [value]))
    for key, value in binary("trail-"):
        equal((key, values(call.trailing_metadata(), key)), (key, [value]))


@case
def reply_metadata(probe):
    metadata = [("echo-a", "one"), ("echo-a", "two"), ("echo-b", "50% ~"), ("trail-a", "three"), ("trail-a", "four")]
    reply, call = probe.unary("Echo", b"hello", metadata=metadata)
    stream = probe.stream("Chat", [b"hello"], metadata=metadata)
    equal((reply, list(stream)), (b"hello", [b"hello"]))
    for ended in (call, stream):
        equal(values(ended.initial_metadata(), "echo-a"), "one, two")
        equal(values(ended.initial_metadata(), "echo-b"), "50% ~")
        equal(values(ended.trailing_metadata(), "trail-a"), "three, four")


@case
def long_metadata(probe):
    value = "".join(chr(ord("a") + index % 26) for index in range(12 * 1024))
    _, call = probe.unary("Echo", metadata=[("echo-long", value), ("trail-long", value)])
    equal(values(call.initial_metadata(), "echo-long") == value, True)
    equal(values(call.trailing_metadata(), "trail-long") == value, True)


@case
def gateway_metadata(probe):
    for report in (probe.seen(), probe.seen(in_message=True)):
        equal(report["metadata"]["symgate-symbol"], [probe.symbol])
        (owner,) = report["metadata"]["symgate-owner"]
        equal(owner.isdigit(), True)


@case
def forged_metadata(probe):
    forged = [("symgate-symbol", "FORGED"), ("symgate-symbol", "TWICE"), ("symgate-owner", "forged")]
    report = probe.seen(metadata=forged)["metadata"]
    equal(report["symgate-symbol"], [probe.symbol])
    equal(len(report["symgate-owner"]), 1)
    equal(report["symgate-owner"][0].isdigit(), True)


# Ends


@case
def statuses(probe):
    for code in grpc.StatusCode:
        if code == grpc.StatusCode.OK:
            continue
        number = code.value[0]
        failing = wish(code=number, message=MESSAGE, details="", after=0)
        error = fails(lambda: probe.unary("Fail", failing, metadata=[("trail-a", "one"), ("trail-a", "two")]))
        equal((error.code(), error.details()), (code, MESSAGE))
        equal(values(error.trailing_metadata(), "trail-a"), "one, two")
        equal(values(error.trailing_metadata(), "symgate-reason"), "")


def check_details(probe, after):
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="HALTED", domain="probe", metadata={"symbol": probe.symbol}))
    expected = status_pb2.Status(code=9, message=MESSAGE, details=[detail])
    details = base64.b64encode(expected.SerializeToString()).decode()
    failing = wish(code=9, message=MESSAGE, details=details, after=after)
    call = probe.stream("Fail", [failing], metadata=[("trail-tail-bin", b"\0\xff")])
    equal([next(call) for _ in range(after)], [b"before"] * after)
    error = fails(lambda: next(call))
    equal(rpc_status.from_call(error), expected)
    equal(values(error.trailing_metadata(), "trail-tail-bin"), [b"\0\xff"])


@case
def details(probe):
    check_details(probe, 0)


@case
def late_details(probe):
    check_details(probe, 3)


@case
def deadline_told(probe):
    left = probe.seen(timeout=60)["timeout_ms"]
    # The library itself tells more than it was told: it rounds up to tenths of a second.
    if not 30_000 < left <= 60_100:
        raise AssertionError(f"of 60 s the server saw {left} ms")
    equal(probe.seen(timeout=None)["timeout_ms"], None)


def hang(probe, **how):
    name = str(uuid.uuid4())
    hold = queue.Queue()
    hold.put(name.encode())
    return name, probe.stream("Hang", iter(hold.get, None), **how), hold


@case
def deadline_passed(probe):
    name = str(uuid.uuid4())
    error = fails(lambda: probe.unary("Hang", name.encode(), timeout=1))
    equal(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    probe.fate(name, "ended")


@case
def deadline_in_stream(probe):
    name, call, hold = hang(probe, timeout=1)
    equal(next(call), b"waiting")
    equal(fails(lambda: next(call)).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    probe.fate(name, "ended")
    hold.put(None)


@case
def cancel(probe):
    name = str(uuid.uuid4())
    call = probe.through.unary_unary(wire.SERVICE + "Hang").future(
        wire.request(probe.symbol, name.encode()), timeout=60, metadata=[("symbol", probe.symbol)]
    )
    probe.fate(name, "waiting")
    call.cancel()
    equal(call.code(), grpc.StatusCode.CANCELLED)
    probe.fate(name, "ended")


@case
def cancel_stream(probe):
    name, call, hold = hang(probe, timeout=60)
    equal(next(call), b"waiting")
    call.cancel()
    equal(call.code(), grpc.StatusCode.CANCELLED)
    probe.fate(name, "ended")
    hold.put(None)


def refused(code, reason, call):
    error = fails(call)
    equal((error.code(), values(error.trailing_metadata(), "symgate-reason")), (code, reason))


@case
def unknown_symbol(probe):
    code, reason = grpc.StatusCode.NOT_FOUND, "unknown-symbol"
    refused(code, reason, lambda: probe.unary("Echo", symbol="NONE_USDT"))
    refused(code, reason, lambda: list(probe.stream("Chat", [b"a"], symbol="NONE_USDT")))


@case
def no_symbol(probe):
    bare = probe.through.unary_unary(wire.SERVICE + "Echo")
    refused(grpc.StatusCode.INVALID_ARGUMENT, "no-symbol", lambda: bare(wire.request("", b"hello"), timeout=20))


@case
def no_route(probe):
    elsewhere = probe.through.unary_unary("/interop.Nowhere/Echo")
    refused(grpc.StatusCode.UNIMPLEMENTED, "no-route", lambda: elsewhere(b"", timeout=20))


@case
def unknown_method(probe):
    refused(grpc.StatusCode.UNIMPLEMENTED, "", lambda: probe.unary("Missing"))


# Authorities


def check_authority(probe, authority):
    try:
        direct = probe.seen(channel=probe.channel(probe.server, authority))
    except grpc.RpcError as error:
        raise LeftOut(f"refused without the gateway: {short(error.details())}") from error
    equal(direct["authority"], authority)
    equal(probe.seen(channel=probe.channel(probe.gateway, authority))["authority"], authority)


@case
def authority_addresses(probe):
    check_authority(probe, "10.0.0.1:9000,10.0.0.2:9000")


@case
def authority_names(probe):
    check_authority(probe, "etcd1:2379,etcd2:2379")


@case
def authority_escaped(probe):
    check_authority(probe, "orderRpc%2FIKUN_USDT")


@case
def dial_target(probe):
    several = f"{probe.gateway},{probe.gateway}"
    equal(probe.seen(channel=probe.channel(f"ipv4:{several}"))["authority"], several)
