import assert from 'node:assert/strict';
import http from 'node:http';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LOWER } from './octets.ts';
import { KEYED, MORE, ODD, PLAIN, type Scanned, Scanner } from './scan.ts';

const RUNS = Number(process.env.SCAN_RUNS ?? 2_000);
const options = { headBytes: 4_096, targetBytes: 200, lines: 20, refused: ['x-request-id'], seed: 12_345 };
const scanner = (more: Partial<typeof options> = {}) => new Scanner({ ...options, ...more });
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
const scan = (text: string, more: Partial<typeof options> = {}): Scanned => {
  const bytes = bytesOf(text);
  return scanner(more).scan(bytes, 0, bytes.length);
};
const H = 'Host: a.example\r\n';

interface Parsed {
  readonly method: string;
  readonly url: string;
  readonly raw: readonly string[];
  /** No request but the first one came of the bytes, and no body. */
  readonly alone: boolean;
}

/** What Node's own server makes of the bytes; null when it refuses them or waits for more. */
function parsed(bytes: Buffer): Promise<Parsed | null> {
  const { promise, resolve } = Promise.withResolvers<Parsed | null>();
  const server = http.createServer({ requireHostHeader: false, maxHeaderSize: 65_536 });
  const seen: Parsed[] = [];
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const finish = (): void => {
    resolve(seen.length === 0 ? null : { ...seen[0]!, alone: seen.length === 1 });
    socket.destroy();
  };
  server.on('request', (request: http.IncomingMessage) => {
    seen.push({ method: request.method!, url: request.url!, raw: request.rawHeaders, alone: true });
  });
  const refused = (): void => {
    resolve(null);
    socket.destroy();
  };
  for (const event of ['clientError', 'upgrade', 'connect', 'checkContinue', 'checkExpectation'])
    server.on(event, refused);
  server.emit('connection', socket);
  socket.push(bytes);
  setImmediate(() => setImmediate(finish));
  return promise;
}

const found = (head: Scanner, bytes: Buffer) => ({
  method: head.isHead ? 'HEAD' : 'GET',
  url: bytes.toString('latin1', head.targetStart, head.targetEnd),
  raw: Array.from({ length: 2 * head.count }, (_, at) =>
    bytes.toString('latin1', head.lines[2 * at]!, head.lines[2 * at + 1]!),
  ),
});

describe('a head is', () => {
  const rows: readonly (readonly [claim: string, text: string, scanned: Scanned])[] = [
    ['plain', `GET /a?b HTTP/1.1\r\n${H}\r\n`, PLAIN],
    ['plain with HEAD', `HEAD / HTTP/1.1\r\n${H}\r\n`, PLAIN],
    ['plain with an empty value', `GET / HTTP/1.1\r\n${H}X:\r\n\r\n`, PLAIN],
    ['plain with white space around values', `GET / HTTP/1.1\r\n${H}X: \t a b\t \r\n\r\n`, PLAIN],
    ['plain with keep-alive in any case', `GET / HTTP/1.1\r\n${H}connection: Keep-ALIVE\r\n\r\n`, PLAIN],
    ['odd with another method', `PUT / HTTP/1.1\r\n${H}\r\n`, ODD],
    ['odd with a method in lower case', `get / HTTP/1.1\r\n${H}\r\n`, ODD],
    ['odd in absolute form', `GET http://a.example/ HTTP/1.1\r\n${H}\r\n`, ODD],
    ['odd with a fragment', `GET /#x HTTP/1.1\r\n${H}\r\n`, ODD],
    ['odd with HTTP/1.0', `GET / HTTP/1.0\r\n${H}\r\n`, ODD],
    ['odd with two spaces', `GET  / HTTP/1.1\r\n${H}\r\n`, ODD],
    ['odd without Host', 'GET / HTTP/1.1\r\nX: yy\r\n\r\n', ODD],
    ['odd with an empty Host', 'GET / HTTP/1.1\r\nHost: \r\n\r\n', ODD],
    ['odd with two Hosts', `GET / HTTP/1.1\r\n${H}${H}\r\n`, ODD],
    ['odd when it closes', `GET / HTTP/1.1\r\n${H}Connection: close\r\n\r\n`, ODD],
    ['odd when Connection names a field', `GET / HTTP/1.1\r\n${H}Connection: keep-alive, x\r\n\r\n`, ODD],
    ['odd with a length', `GET / HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n`, ODD],
    ['odd with a coding', `GET / HTTP/1.1\r\n${H}TRANSFER-ENCODING: chunked\r\n\r\n`, ODD],
    ['odd with an upgrade', `GET / HTTP/1.1\r\n${H}upgrade: h2c\r\n\r\n`, ODD],
    ['odd with an expectation', `GET / HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\n`, ODD],
    ['odd with a refused name', `GET / HTTP/1.1\r\n${H}X-Request-ID: 1\r\n\r\n`, ODD],
    ['odd with two ranges', `GET / HTTP/1.1\r\n${H}Range: bytes=0-1\r\nRange: bytes=0-1\r\n\r\n`, ODD],
    ['odd with a bare line feed', `GET / HTTP/1.1\n${H}\r\n`, ODD],
    ['odd with a folded line', `GET / HTTP/1.1\r\n${H} x: y\r\n\r\n`, ODD],
    ['odd with a space before the colon', `GET / HTTP/1.1\r\n${H}X : y\r\n\r\n`, ODD],
    ['odd with a NUL', `GET / HTTP/1.1\r\n${H}X: \0\r\n\r\n`, ODD],
    ['odd with a bare carriage return', `GET / HTTP/1.1\r\n${H}X: a\rb\r\n\r\n`, ODD],
    ['odd in HTTP/0.9', 'GET /\r\n', ODD],
    ['odd in TLS', '\x16\x03\x01\x02\x00', ODD],
    ['odd behind an empty line', `\r\nGET / HTTP/1.1\r\n${H}\r\n`, ODD],
    ['not complete', `GET / HTTP/1.1\r\n${H}`, MORE],
    ['not complete at its first byte', 'G', MORE],
  ];
  for (const [claim, text, scanned] of rows) test(claim, () => assert.equal(scan(text), scanned));

  test('odd beyond the limits, and complete or not does not matter', () => {
    const long = `GET /${'a'.repeat(200)} HTTP/1.1\r\n${H}\r\n`;
    assert.equal(scan(long), ODD);
    assert.equal(scan(long.slice(0, 210)), ODD);
    assert.equal(scan(`GET / HTTP/1.1\r\n${H}${'x: y\r\n'.repeat(20)}\r\n`), ODD);
    assert.equal(scan(`GET / HTTP/1.1\r\n${H}x: ${'y'.repeat(4_096)}`), ODD);
    assert.equal(scan(`GET / HTTP/1.1\r\n${H}x: ${'y'.repeat(4_096)}\r\n\r\n`), ODD);
  });
});

// ── against llhttp ──

const octets = (...codes: number[]) => String.fromCharCode(...codes);
const SPICE = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  '\0',
  '\x7f',
  '\x80',
  '\xff',
  ';',
  ',',
  '"',
  '#',
  '?',
  '\r\n\r\n',
  octets(11),
  octets(12),
];
const NAMES = [
  'Host',
  'host',
  'Content-Length',
  'content-length',
  'Transfer-Encoding',
  'Connection',
  'Upgrade',
  'Expect',
  'Range',
  'If-None-Match',
  'Accept-Encoding',
  'User-Agent',
  'Cookie',
  'X',
  'x-y_z~',
  ...KEYED,
];
const VALUES = [
  'a.example',
  '0',
  '5',
  'chunked',
  'keep-alive',
  'close',
  'upgrade',
  'x y',
  '',
  'caf\xe9',
  'bytes=0-1',
  '"e"',
  'a: b',
  'websocket',
  '100-continue',
];

/** Nearly always one of the first. */
const mostly = (usual: readonly string[], odd: readonly string[]) =>
  fc.oneof({ weight: 15, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const target = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('/', '/a?b=c', '/%61', '/a|b"{}<>^`\\') },
  { weight: 1, arbitrary: fc.constantFrom('*', 'http://a.example/', 'a') },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }).map((text) => `/${text}`) },
);
const line = fc
  .tuple(
    mostly(['X', 'x-y_z~', 'Cookie', 'User-Agent', 'DNT', ...KEYED], NAMES),
    mostly([':', ': ', ':\t'], [' :', '']),
    mostly(['', 'x y', 'caf\xe9', 'a: b', '"e"'], VALUES),
    mostly(['\r\n', ' \r\n', '\t\r\n'], ['\n', '\r\n ', '\r']),
  )
  .map((parts) => parts.join(''));
const head = fc
  .tuple(
    mostly(['GET', 'HEAD'], ['POST', 'get', 'GE', 'HEADS']),
    mostly([' '], ['  ', '\t']),
    target,
    mostly([' HTTP/1.1\r\n'], [' HTTP/1.0\r\n', ' HTTP/1.1\n', ' http/1.1\r\n', '\r\n', ' HTTP/1.1 \r\n']),
    fc.array(line, { maxLength: 5 }),
  )
  .map(([method, space, at, version, lines]) => `${method}${space}${at}${version}${H}${lines.join('')}\r\n`);

/** With some bytes put in, taken out or doubled. */
const spoilt = fc
  .tuple(head, fc.array(fc.tuple(fc.nat(200), fc.nat(2), fc.constantFrom(...SPICE)), { maxLength: 2 }))
  .map(([text, spoils]) =>
    spoils.reduce((all, [place, cut, spice]) => {
      const at = place % all.length;
      return all.slice(0, at) + spice + all.slice(at + cut);
    }, text),
  );

describe('the scanner and Node’s parser', () => {
  test('what the one takes the other takes, with the same meaning', async (t) => {
    let plain = 0;
    await fc.assert(
      fc.asyncProperty(spoilt, async (text) => {
        const bytes = bytesOf(text);
        const own = scanner();
        if (own.scan(bytes, 0, bytes.length) !== PLAIN) return;
        plain++;
        const whole = bytes.subarray(0, own.next);
        const theirs = await parsed(whole);
        assert.deepEqual({ ...found(own, bytes), alone: true }, theirs);
      }),
      { numRuns: RUNS },
    );
    t.diagnostic(`${plain} of ${RUNS} heads were plain`);
    assert.ok(plain > RUNS / 20);
  });

  test('a head that is cut anywhere is not complete, or odd if it is odd as a whole', () => {
    fc.assert(
      fc.property(spoilt, fc.nat(500), (text, place) => {
        const bytes = bytesOf(text);
        const own = scanner();
        const whole = own.scan(bytes, 0, bytes.length);
        const end = whole === PLAIN ? own.next : bytes.length;
        const length = Math.min(place, end - 1);
        const cut = own.scan(bytes, 0, length);
        // The very start of a head may look like the old protocol, which has only one line.
        if (whole === PLAIN) assert.ok(cut === MORE || (cut === ODD && length < 18));
        if (cut === PLAIN) assert.equal(whole, PLAIN);
      }),
      { numRuns: RUNS },
    );
  });

  test('what stands behind a head or before it in the buffer does not matter', () => {
    fc.assert(
      fc.property(head, fc.string({ maxLength: 30 }), fc.string({ maxLength: 30 }), (text, before, behind) => {
        const alone = scanner();
        const bytes = bytesOf(text);
        const scanned = alone.scan(bytes, 0, bytes.length);
        const within = scanner();
        const placed = bytesOf(before + text + behind);
        const start = bytesOf(before).length;
        const again = within.scan(placed, start, placed.length);
        if (scanned !== PLAIN) return;
        assert.equal(again, PLAIN);
        assert.equal(within.hash, alone.hash);
        assert.equal(within.next, start + alone.next);
        assert.deepEqual(found(within, placed), found(alone, bytes));
      }),
      { numRuns: RUNS },
    );
  });
});

test('equal hashes come of equal keys: the case of host does not count, everything else that is keyed does', () => {
  const hash = (text: string): number => {
    const own = scanner();
    const bytes = bytesOf(text);
    assert.equal(own.scan(bytes, 0, bytes.length), PLAIN);
    return own.hash;
  };
  const base = hash(`GET /a HTTP/1.1\r\n${H}\r\n`);
  assert.equal(hash('GET /a HTTP/1.1\r\nHOST:A.Example\r\nX: y\r\n\r\n'), base);
  const others = [
    'GET /A HTTP/1.1\r\nHost: a.example\r\n',
    'HEAD /a HTTP/1.1\r\nHost: a.example\r\n',
    'GET /a HTTP/1.1\r\nHost: b.example\r\n',
  ];
  const keyed = KEYED.map((name) => `GET /a HTTP/1.1\r\n${H}${name}: x\r\n`);
  const empty = KEYED.map((name) => `GET /a HTTP/1.1\r\n${H}${name}:\r\n`);
  const all = [...others, ...keyed, ...empty].map((text) => hash(`${text}\r\n`));
  assert.equal(new Set([base, ...all]).size, all.length + 1);
  assert.ok(LOWER[65] === 97);
});
