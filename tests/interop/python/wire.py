"""The messages of interop.Probe, written by hand: a symbol in field 4, where the gateway may look for it, and a payload
in field 7. Replies have no form of their own; they are the bytes that the method says."""

SERVICE = "/interop.Probe/"
# For both sides: messages of any size, and as much metadata as the gateway takes.
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
]

SYMBOL = 4
PAYLOAD = 7


def request(symbol, payload=b""):
    """A message; without symbol or payload the field is left out."""
    return field(SYMBOL, symbol.encode()) + field(PAYLOAD, payload)


def payload(message):
    """The payload of a message."""
    at = 0
    found = b""
    while at < len(message):
        tag, at = number(message, at)
        length, at = number(message, at)
        if tag >> 3 == PAYLOAD:
            found = message[at : at + length]
        at += length
    return found


def field(tag, value):
    if not value:
        return b""
    length = bytearray()
    left = len(value)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes([tag << 3 | 2]) + bytes(length) + value


def number(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
