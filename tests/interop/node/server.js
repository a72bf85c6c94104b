'use strict';
// An instance in Node, on grpc-js. Prints its port, then serves until its standard input ends.

const http2 = require('node:http2');
const grpc = require('@grpc/grpc-js');
const wire = require('./wire');

/** Calls of Hang by their name: "waiting", then "ended". */
const fates = new Map();

/** The header block of the newest call of Seen as it came over the wire: names and values. The library hides some. */
let block = [];

const createServer = http2.createServer;
http2.createServer = (...options) => {
  const server = createServer(...options);
  server.on('stream', (_stream, headers, _flags, raw) => {
    if (headers[':path'] === `${wire.SERVICE}Seen`) block = raw;
  });
  return server;
};

/** The payload; metadata that starts with `echo-` comes back before it, with `trail-` behind it. */
function echo(call, reply) {
  call.sendMetadata(mirrored(call, 'echo-'));
  reply(null, wire.payload(call.request), mirrored(call, 'trail-'));
}

/** What this server saw of the call, as JSON. */
function seen(call, reply) {
  const metadata = {};
  for (const [key, values] of Object.entries(call.metadata.toJSON())) {
    metadata[key] = values.map((value) => (Buffer.isBuffer(value) ? value.toString('base64') : value));
  }
  const raw = {};
  for (let at = 0; at < block.length; at += 2) (raw[block[at]] ??= []).push(block[at + 1]);
  const deadline = call.getDeadline();
  const report = {
    server: 'node',
    authority: call.getHost(),
    metadata,
    timeout_ms: deadline === Infinity ? null : deadline - Date.now(),
    raw,
  };
  reply(null, Buffer.from(JSON.stringify(report)));
}

/** `count` messages of `size` bytes; each starts with its number. */
async function download(call) {
  const { count, size } = JSON.parse(wire.payload(await first(call)));
  for (let index = 0; index < count; index++) {
    if (!call.write(size === 0 ? Buffer.alloc(0) : wire.numbered(index, size, 'd'))) {
      await new Promise((resolve) => call.once('drain', resolve));
    }
  }
  call.end();
}

/** How many messages came, whether in order, and how many bytes they were. */
function upload(call, reply) {
  let [count, size, in_order] = [0, 0, true];
  call.on('data', (message) => {
    const payload = wire.payload(message);
    in_order &&= payload.length >= 4 && payload.readUInt32BE() === count;
    count += 1;
    size += payload.length;
  });
  call.on('end', () => reply(null, Buffer.from(JSON.stringify({ count, size, in_order }))));
}

/** Each payload as it comes. */
function chat(call) {
  call.sendMetadata(mirrored(call, 'echo-'));
  call.on('data', (message) => call.write(wire.payload(message)));
  call.on('end', () => call.end(mirrored(call, 'trail-')));
}

/** Ends with the status that the first message wishes, after `after` messages and without waiting for more. */
async function fail(call) {
  const wish = JSON.parse(wire.payload(await first(call)));
  for (let index = 0; index < wish.after; index++) call.write(Buffer.from('before'));
  const metadata = mirrored(call, 'trail-');
  if (wish.details) metadata.set('grpc-status-details-bin', Buffer.from(wish.details, 'base64'));
  call.emit('error', { code: wish.code, details: wish.message, metadata });
}

/** Says one message and waits for the end of the call, which must come from the caller. */
async function hang(call) {
  const name = wire.payload(await first(call)).toString();
  fates.set(name, 'waiting');
  call.on('cancelled', () => fates.set(name, 'ended'));
  call.write(Buffer.from('waiting'));
}

/** What became of a call of Hang. */
function fate(call, reply) {
  reply(null, Buffer.from(fates.get(wire.payload(call.request).toString()) ?? 'unknown'));
}

function first(call) {
  return new Promise((resolve) => call.once('data', resolve));
}

function mirrored(call, prefix) {
  const found = new grpc.Metadata();
  for (const [key, values] of Object.entries(call.metadata.toJSON())) {
    if (key.startsWith(prefix)) values.forEach((value) => found.add(key, value));
  }
  return found;
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
server.addService(
  {
    Echo: wire.definition('Echo', false, false),
    Seen: wire.definition('Seen', false, false),
    Fate: wire.definition('Fate', false, false),
    Upload: wire.definition('Upload', true, false),
    Download: wire.definition('Download', true, true),
    Chat: wire.definition('Chat', true, true),
    Fail: wire.definition('Fail', true, true),
    Hang: wire.definition('Hang', true, true),
  },
  { Echo: echo, Seen: seen, Fate: fate, Upload: upload, Download: download, Chat: chat, Fail: fail, Hang: hang },
);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.stdin.resume().on('end', () => process.exit());
