'use strict';
// The messages of interop.Probe, written by hand: a symbol in field 4, where the gateway may look for it, and a payload
// in field 7. Replies have no form of their own; they are the bytes that the method says.

const SERVICE = '/interop.Probe/';
const SYMBOL = 4;
const PAYLOAD = 7;

/** A message; without symbol or payload the field is left out. */
function request(symbol, payload = Buffer.alloc(0)) {
  return Buffer.concat([field(SYMBOL, Buffer.from(symbol)), field(PAYLOAD, payload)]);
}

/** The payload of a message. */
function payload(message) {
  let found = Buffer.alloc(0);
  for (let at = 0; at < message.length; ) {
    const tag = number(message, at);
    const length = number(message, tag.end);
    at = length.end + length.value;
    if (tag.value >> 3 === PAYLOAD) found = message.subarray(length.end, at);
  }
  return found;
}

function field(tag, value) {
  if (value.length === 0) return value;
  const head = [(tag << 3) | 2];
  let left = value.length;
  for (; left >= 0x80; left >>= 7) head.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, left]), value]);
}

function number(message, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = message[at++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, end: at };
  }
}

/** How a method is called and served: messages stay bytes. */
function definition(method, requestStream, responseStream) {
  const same = (bytes) => bytes;
  return {
    path: SERVICE + method,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** A numbered payload of some size. */
function numbered(index, size = 4, fill = 'u') {
  const bytes = Buffer.alloc(size, fill);
  bytes.writeUInt32BE(index);
  return bytes;
}

module.exports = { SERVICE, request, payload, definition, numbered };
