'use strict';
// The cases of ../cases.txt, by name.

const { randomUUID } = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const { LeftOut, equal, fails, newest, short, values } = require('./probe');
const { numbered } = require('./wire');

const MIB = 1 << 20;
const CASES = new Map();
const { status } = grpc;
/** What a status may say; the second half is what must be escaped. */
const MESSAGE = 'k-line: not now; 50% é中\t\n';
const LENGTHS = [0, 1, 2, 3, 4, 255, 256];
const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };

const one = (name, run) => CASES.set(name, run);
const range = (count) => Array.from({ length: count }, (_, index) => index);
const wish = (what) => Buffer.from(JSON.stringify(what));
const text = (string) => Buffer.from(string);

// Messages

one('unary', async (probe) => {
  equal((await probe.unary('Echo', text('hello'))).body, text('hello'));
});

one('symbol-in-message', async (probe) => {
  equal((await probe.unary('Echo', text('hello'), { inMessage: true })).body, text('hello'));
});

one('server-stream', async (probe) => {
  const replies = await probe.replies('Download', [wish({ count: 1000, size: 100 })]);
  equal(replies.map((reply) => [reply.readUInt32BE(), reply.length]), range(1000).map((index) => [index, 100]));
});

one('client-stream', async (probe) => {
  const { body } = await probe.upload(range(1000).map((index) => numbered(index, 100)));
  equal(JSON.parse(body), { count: 1000, size: 100_000, in_order: true });
});

async function pingPong(probe, rounds, size, how) {
  const stream = probe.stream('Chat', how);
  for (const index of range(rounds)) {
    const payload = numbered(index, size);
    stream.send(payload);
    equal(payload.equals(await stream.next()), true);
  }
  stream.call.end();
  equal(await stream.next(), undefined);
  equal(stream.status.code, status.OK);
}

one('both-streams', (probe) => pingPong(probe, 50, 10));

one('stream-symbol-in-message', (probe) => pingPong(probe, 5, 10, { inMessage: true }));

one('empty', async (probe) => {
  const none = Buffer.alloc(0);
  equal((await probe.unary('Echo')).body, none);
  equal(await probe.replies('Download', [wish({ count: 0, size: 0 })]), []);
  equal(await probe.replies('Chat', []), []);
  equal(await probe.replies('Chat', [none, none]), [none, none]);
  equal(JSON.parse((await probe.upload([])).body).count, 0);
});

one('early-end', async (probe) => {
  const stream = probe.stream('Fail');
  stream.send(wish({ code: 9, message: 'enough', details: '', after: 1 }));
  const sending = (async () => {
    while (!stream.status) await Promise.race([stream.send(Buffer.alloc(1000)), new Promise(setImmediate)]);
  })();
  equal(await stream.next(), text('before'));
  const error = await fails(stream.next());
  equal([error.code, error.details], [status.FAILED_PRECONDITION, 'enough']);
  await sending;
});

one('large-request', async (probe) => {
  equal(JSON.parse((await probe.upload([Buffer.alloc(8 * MIB)])).body).size, 8 * MIB);
});

one('large-reply', async (probe) => {
  const replies = await probe.replies('Download', [wish({ count: 1, size: 8 * MIB })]);
  equal(replies.map((reply) => reply.length), [8 * MIB]);
});

one('large-streams', (probe) => pingPong(probe, 4, MIB));

one('large-symbol-in-message', async (probe) => {
  const payload = Buffer.from(range(3 * MIB));
  equal((await probe.unary('Echo', payload, { inMessage: true })).body.equals(payload), true);
});

one('hundred-streams', async (probe) => {
  const streams = range(100).map(() => probe.stream('Chat'));
  for (const round of range(3)) {
    streams.forEach((stream, index) => stream.send(text(`${round} of ${index}`)));
    for (const index of range(100)) equal(await streams[index].next(), text(`${round} of ${index}`));
  }
  streams.forEach((stream) => stream.call.end());
  for (const stream of streams) equal(await stream.next(), undefined);
});

// Metadata

const TEXT = [['plain', 'text with spaces ~!*%2F'], ['empty', ''], ['list', 'a,b, c'], ['grpc-unknown', 'kept']];

one('seen', async (probe) => {
  const metadata = [...TEXT, ...binary(), ['twice', 'one'], ['twice', 'two']];
  const named = { 'grpc.default_authority': 'probe.internal' };
  const through = await probe.seen({ channel: probe.channel(probe.gateway, named), metadata });
  const direct = await probe.seen({ channel: probe.channel(probe.server, named), metadata });
  for (const name of ['symgate-symbol', 'symgate-owner']) {
    delete through.metadata[name];
    delete through.raw?.[name];
  }
  for (const report of [through, direct]) {
    delete report.timeout_ms;
    // How much time is left differs.
    delete report.raw?.['grpc-timeout'];
  }
  for (const key of new Set([...Object.keys(direct), ...Object.keys(through)])) {
    equal([key, through[key]], [key, direct[key]]);
  }
  equal(direct.metadata['user-agent'][0].startsWith('interop/1 grpc-node-js/'), true);
  equal(direct.metadata.plain, [TEXT[0][1]]);
  if (direct.raw) equal(direct.raw.te, ['trailers']);
});

one('repeated-keys', async (probe) => {
  const ordered = ['3', '1', '2', '1', '10'];
  const metadata = ordered.flatMap((value) => [['many', value], ['between', value], ['many-bin', text(value)]]);
  const report = (await probe.seen({ metadata })).metadata;
  equal(report.many.join(', '), ordered.join(', '));
  equal(report.between.join(', '), ordered.join(', '));
  equal(report['many-bin'].map((value) => Buffer.from(value, 'base64').toString()), ordered);
  const { leading } = await probe.unary('Echo', undefined, { metadata: ordered.map((value) => ['echo-many', value]) });
  equal(values(leading, 'echo-many'), ordered.join(', '));
});

function binary(prefix = '') {
  return LENGTHS.map((length) => [`${prefix}length-${length}-bin`, Buffer.from(range(256)).subarray(256 - length)]);
}

one('binary-metadata', async (probe) => {
  const report = (await probe.seen({ metadata: binary() })).metadata;
  for (const [key, value] of binary()) {
    equal([key, report[key].map((seen) => Buffer.from(seen, 'base64'))], [key, [value]]);
  }
  const metadata = [...binary('echo-'), ...binary('trail-')];
  const { leading, trailing } = await probe.unary('Echo', undefined, { metadata });
  for (const [key, value] of binary('echo-')) equal([key, values(leading, key)], [key, [value.toString('hex')]]);
  for (const [key, value] of binary('trail-')) equal([key, values(trailing, key)], [key, [value.toString('hex')]]);
});

one('reply-metadata', async (probe) => {
  const keys = [['echo-a', 'one'], ['echo-a', 'two'], ['echo-b', '50% ~'], ['trail-a', 'three'], ['trail-a', 'four']];
  const reply = await probe.unary('Echo', text('hello'), { metadata: keys });
  const stream = probe.stream('Chat', { metadata: keys });
  stream.send(text('hello'));
  stream.call.end();
  equal([reply.body, await stream.rest()], [text('hello'), [text('hello')]]);
  for (const { leading, trailing } of [reply, { leading: stream.leading, trailing: stream.status.metadata }]) {
    equal(values(leading, 'echo-a'), 'one, two');
    equal(values(leading, 'echo-b'), '50% ~');
    equal(values(trailing, 'trail-a'), 'three, four');
  }
});

one('long-metadata', async (probe) => {
  const value = range(12 * 1024).map((index) => String.fromCharCode(97 + (index % 26))).join('');
  const metadata = [['echo-long', value], ['trail-long', value]];
  const { leading, trailing } = await probe.unary('Echo', undefined, { metadata });
  equal(values(leading, 'echo-long') === value, true);
  equal(values(trailing, 'trail-long') === value, true);
});

one('gateway-metadata', async (probe) => {
  for (const report of [await probe.seen(), await probe.seen({ inMessage: true })]) {
    equal(report.metadata['symgate-symbol'], [probe.symbol]);
    equal(report.metadata['symgate-owner'].map((owner) => /^\d+$/.test(owner)), [true]);
  }
});

one('forged-metadata', async (probe) => {
  const metadata = [['symgate-symbol', 'FORGED'], ['symgate-symbol', 'TWICE'], ['symgate-owner', 'forged']];
  const report = (await probe.seen({ metadata })).metadata;
  equal(report['symgate-symbol'], [probe.symbol]);
  equal(report['symgate-owner'].map((owner) => /^\d+$/.test(owner)), [true]);
});

// Ends

one('statuses', async (probe) => {
  for (const code of range(17).slice(1)) {
    const failing = wish({ code, message: MESSAGE, details: '', after: 0 });
    const error = await fails(probe.unary('Fail', failing, { metadata: [['trail-a', 'one'], ['trail-a', 'two']] }));
    equal([error.code, error.details], [code, MESSAGE]);
    equal(newest.ended, true);
    equal(values(error.metadata, 'trail-a'), 'one, two');
    equal(values(error.metadata, 'symgate-reason'), '');
  }
});

async function checkDetails(probe, after) {
  // google.rpc.Status by hand: its code, its message, and one detail of a made-up type.
  const part = (tag, value) => Buffer.concat([Buffer.from([(tag << 3) | 2, value.length]), value]);
  const detail = Buffer.concat([part(1, text('type.googleapis.com/interop.Halted')), part(2, Buffer.from([8, 255, 1]))]);
  const details = Buffer.concat([Buffer.from([8, 9]), part(2, text(MESSAGE)), part(3, detail)]);
  const metadata = [['trail-tail-bin', Buffer.from([0, 255])]];
  const stream = probe.stream('Fail', { metadata });
  stream.send(wish({ code: 9, message: MESSAGE, details: details.toString('base64'), after }));
  for (const _ of range(after)) equal(await stream.next(), text('before'));
  const error = await fails(stream.next());
  equal([error.code, error.details], [9, MESSAGE]);
  equal(values(error.metadata, 'grpc-status-details-bin'), [details.toString('hex')]);
  equal(values(error.metadata, 'trail-tail-bin'), ['00ff']);
  equal(newest.ended, after === 0);
}

one('details', (probe) => checkDetails(probe, 0));

one('late-details', (probe) => checkDetails(probe, 3));

one('deadline-told', async (probe) => {
  const left = (await probe.seen({ timeout: 60_000 })).timeout_ms;
  if (!(30_000 < left && left <= 60_000)) throw new Error(`of 60 s the server saw ${left} ms`);
  equal((await probe.seen({ timeout: null })).timeout_ms, null);
});

function hang(probe, timeout) {
  const name = randomUUID();
  const stream = probe.stream('Hang', { timeout });
  stream.send(text(name));
  return [name, stream];
}

one('deadline-passed', async (probe) => {
  const name = randomUUID();
  equal((await fails(probe.unary('Hang', text(name), { timeout: 1000 }))).code, status.DEADLINE_EXCEEDED);
  await probe.fate(name, 'ended');
});

one('deadline-in-stream', async (probe) => {
  const [name, stream] = hang(probe, 1000);
  equal(await stream.next(), text('waiting'));
  equal((await fails(stream.next())).code, status.DEADLINE_EXCEEDED);
  await probe.fate(name, 'ended');
});

one('cancel', async (probe) => {
  const name = randomUUID();
  let call;
  const failing = fails(probe.unary('Hang', text(name), { timeout: 60_000, started: (started) => (call = started) }));
  await probe.fate(name, 'waiting');
  call.cancel();
  equal((await failing).code, status.CANCELLED);
  await probe.fate(name, 'ended');
});

one('cancel-stream', async (probe) => {
  const [name, stream] = hang(probe, 60_000);
  equal(await stream.next(), text('waiting'));
  stream.call.cancel();
  equal((await fails(stream.next())).code, status.CANCELLED);
  await probe.fate(name, 'ended');
});

async function refused(code, reason, call) {
  const error = await fails(call);
  equal([error.code, values(error.metadata, 'symgate-reason')], [code, reason]);
}

one('unknown-symbol', async (probe) => {
  const how = { symbol: 'NONE_USDT' };
  await refused(status.NOT_FOUND, 'unknown-symbol', probe.unary('Echo', text('a'), how));
  await refused(status.NOT_FOUND, 'unknown-symbol', probe.replies('Chat', [text('a')], how));
});

one('no-symbol', (probe) =>
  refused(status.INVALID_ARGUMENT, 'no-symbol', probe.unary('Echo', text('a'), { bare: true })));

one('no-route', (probe) =>
  refused(status.UNIMPLEMENTED, 'no-route', probe.unary('', undefined, { path: '/interop.Nowhere/Echo' })));

one('unknown-method', (probe) => refused(status.UNIMPLEMENTED, '', probe.unary('Missing')));

// Compression

const COMPRESSIBLE = Buffer.from('0123456789abcdef'.repeat(64 * 1024));

one('gzip-request', async (probe) => {
  const channel = probe.channel(probe.gateway, GZIP);
  const report = await probe.seen({ channel });
  // Only a server that shows what came over the wire can tell.
  if (report.raw) equal(report.raw['grpc-encoding'], ['gzip']);
  equal((await probe.unary('Echo', COMPRESSIBLE, { channel })).body.equals(COMPRESSIBLE), true);
});

one('gzip-reply', async (probe) => {
  if ((await probe.seen()).server === 'node') throw new LeftOut('servers on grpc-js do not compress');
  const how = { channel: probe.channel(probe.gateway, GZIP), metadata: [['gzip-reply', '1']] };
  equal((await probe.unary('Echo', COMPRESSIBLE, how)).body.equals(COMPRESSIBLE), true);
  equal(newest.headers['grpc-encoding'], 'gzip');
});

one('gzip-streams', async (probe) => {
  const channel = probe.channel(probe.gateway, GZIP);
  await pingPong(probe, 10, 10_000, { channel, metadata: [['gzip-reply', '1']] });
  const { body } = await probe.upload(range(100).map((index) => numbered(index, 10_000)), { channel });
  equal(JSON.parse(body), { count: 100, size: 1_000_000, in_order: true });
});

one('gzip-symbol-in-message', async (probe) => {
  const how = { channel: probe.channel(probe.gateway, GZIP), inMessage: true };
  equal((await probe.unary('Echo', COMPRESSIBLE, how)).body.equals(COMPRESSIBLE), true);
  await pingPong(probe, 3, 10_000, how);
});

// Authorities

async function checkAuthority(probe, authority) {
  const named = { 'grpc.default_authority': authority };
  let direct;
  try {
    direct = await probe.seen({ channel: probe.channel(probe.server, named) });
  } catch (error) {
    throw new LeftOut(`refused without the gateway: ${short(error.details)}`);
  }
  equal(direct.authority, authority);
  equal((await probe.seen({ channel: probe.channel(probe.gateway, named) })).authority, authority);
}

one('authority-addresses', (probe) => checkAuthority(probe, '10.0.0.1:9000,10.0.0.2:9000'));

one('authority-names', (probe) => checkAuthority(probe, 'etcd1:2379,etcd2:2379'));

one('authority-escaped', (probe) => checkAuthority(probe, 'orderRpc%2FIKUN_USDT'));

one('dial-target', async (probe) => {
  // This library names the first address only.
  const channel = probe.channel(`ipv4:${probe.gateway},${probe.gateway}`);
  equal((await probe.seen({ channel })).authority, probe.gateway);
});

module.exports = { CASES };
