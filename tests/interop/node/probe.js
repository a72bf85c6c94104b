'use strict';
// Calls of interop.Probe through the gateway, or past it.

const http2 = require('node:http2');
const { isDeepStrictEqual } = require('node:util');
const grpc = require('@grpc/grpc-js');
const wire = require('./wire');

/** Milliseconds: for a call that nothing holds up; for a state that must come about. */
const PATIENCE = 20_000;

/** The newest reply's first header block as it came over the wire, and whether the reply ended with it. */
const newest = { headers: {}, ended: false };

const connect = http2.connect;
http2.connect = (...where) => {
  const session = connect(...where);
  const request = session.request;
  session.request = (...how) => {
    const stream = request.apply(session, how);
    stream.on('response', (headers, flags) => {
      newest.headers = headers;
      newest.ended = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    });
    return stream;
  };
  return session;
};

/** A case that one of the two libraries cannot do, gateway or not. */
class LeftOut extends Error {}

/** The instance that owns `symbol`, as a client sees it. */
class Probe {
  constructor(gateway, server, symbol) {
    Object.assign(this, { gateway, server, symbol, channels: [] });
    this.through = this.channel(gateway);
  }

  /** A channel with a connection of its own. */
  channel(target, more = {}) {
    const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.primary_user_agent': 'interop/1',
      ...more,
    });
    this.channels.push(client);
    return client;
  }

  close() {
    this.channels.forEach((channel) => channel.close());
  }

  /** The reply with its metadata. */
  unary(method, payload = Buffer.alloc(0), how = {}) {
    return this.whole(method, false, how, (call) => call.message(payload));
  }

  upload(payloads, how = {}) {
    return this.whole('Upload', true, how, async (call) => {
      for (const payload of payloads) await call.send(payload);
      call.end();
    });
  }

  /** A call with one reply; `send` says what goes out. */
  whole(method, streaming, how, send) {
    const { channel, metadata, options, message, path } = this.prepare(how, method);
    return new Promise((resolve, reject) => {
      const reply = {};
      const done = (error, body) => (error ? reject(error) : resolve(Object.assign(reply, { body })));
      const same = (bytes) => bytes;
      let call;
      if (streaming) {
        call = channel.makeClientStreamRequest(path, same, same, metadata, options, done);
        send({ send: (payload) => written(call, message(payload)), end: () => call.end() }).catch(reject);
      } else {
        let body;
        send({ message: (payload) => (body = message(payload)) });
        call = channel.makeUnaryRequest(path, same, same, body, metadata, options, done);
      }
      if (how.started) how.started(call);
      call.on('metadata', (leading) => (reply.leading = leading));
      call.on('status', (status) => (reply.trailing = status.metadata));
    });
  }

  /** A running call. */
  stream(method, how = {}) {
    const { channel, metadata, options, message, path } = this.prepare(how, method);
    const same = (bytes) => bytes;
    return new Stream(channel.makeBidiStreamRequest(path, same, same, metadata, options), message);
  }

  /** A stream whose requests are known: its replies. */
  replies(method, payloads, how = {}) {
    const stream = this.stream(method, how);
    payloads.forEach((payload) => stream.call.write(stream.message(payload)));
    stream.call.end();
    return stream.rest();
  }

  /** The symbol travels as metadata, unless `inMessage` puts it into every message. */
  prepare(how, method) {
    const metadata = new grpc.Metadata();
    if (!how.inMessage && !how.bare) metadata.set('symbol', how.symbol ?? this.symbol);
    for (const [key, value] of how.metadata ?? []) metadata.add(key, value);
    const timeout = how.timeout === undefined ? PATIENCE : how.timeout;
    return {
      channel: how.channel ?? this.through,
      path: how.path ?? wire.SERVICE + method,
      metadata,
      options: timeout === null ? {} : { deadline: Date.now() + timeout },
      message: (payload) => wire.request(how.inMessage ? this.symbol : '', payload),
    };
  }

  /** What the server saw. */
  async seen(how) {
    return JSON.parse((await this.unary('Seen', undefined, how)).body);
  }

  /** Waits until a call of Hang has come that far. */
  async fate(name, wanted) {
    const giveUp = Date.now() + PATIENCE;
    let state;
    while (Date.now() < giveUp) {
      state = (await this.unary('Fate', Buffer.from(name))).body.toString();
      if (state === wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`the call ${name} is ${state} at the server, not ${wanted}`);
  }
}

/** A call whose replies are taken one by one. */
class Stream {
  constructor(call, message) {
    Object.assign(this, { call, message, arrived: [], waiting: [] });
    call.on('metadata', (metadata) => (this.leading = metadata));
    call.on('status', (status) => (this.status = status));
    call.on('data', (body) => this.push({ body }));
    call.on('error', (error) => this.push({ error }));
    call.on('end', () => setImmediate(() => this.push({})));
  }

  push(event) {
    const taker = this.waiting.shift();
    if (taker) taker(event);
    else this.arrived.push(event);
  }

  send(payload) {
    return written(this.call, this.message(payload));
  }

  /** The next reply; `undefined` at a good end. */
  async next() {
    const event = this.arrived.shift() ?? (await new Promise((resolve) => this.waiting.push(resolve)));
    if (event.error) throw event.error;
    return event.body;
  }

  async rest() {
    const all = [];
    for (let body; (body = await this.next()) !== undefined; ) all.push(body);
    return all;
  }
}

/** Not faster than the connection takes it. */
function written(call, message) {
  return new Promise((resolve) => (call.write(message) ? setImmediate(resolve) : call.once('drain', resolve)));
}

/** The error that a call ends with. */
async function fails(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('the call went well');
}

function equal(got, expected) {
  if (!isDeepStrictEqual(got, expected)) throw new Error(`got ${short(got)}, expected ${short(expected)}`);
}

function short(value) {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length < 500 ? text : `${text.slice(0, 500)}… (${text.length} characters)`;
}

/** The values of a key, in order. The library joins those of text. */
function values(metadata, key) {
  const found = metadata?.get(key) ?? [];
  return key.endsWith('-bin') ? found.map((value) => value.toString('hex')) : found.join(', ');
}

module.exports = { LeftOut, Probe, equal, fails, newest, short, values };
