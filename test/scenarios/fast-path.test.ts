/**
 * Both doors of one POP are asked the same and must say the same, byte for byte but for ids and times, and must write
 * the same into the access log. `FAST_PATH_CASES` asks more of them than every run of the tests does.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SHOP_PATHS, shopOrigin } from '../actors/shop-origin.ts';
import { shopRouter } from '../actors/shop-router.ts';
import { openTwoDoors, type TwoDoors } from '../actors/two-doors.ts';
import { until } from '../actors/until.ts';

const CASES = Number(process.env.FAST_PATH_CASES ?? 300);
const AT_ONCE = 16;
const HOST = 'shop-default.localhost';

const shop = () => openTwoDoors({ router: shopRouter(), origin: shopOrigin, listener: { headMs: 3_000 } });

// ── what is asked ──

const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...SHOP_PATHS).map((name) => `/${name}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom('/keyed', '/cors', '/uncached', '/date', '/fixed', '/old/a', '/hidden', '/'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom('/embedded/a', '/embedded/a/b', '/choice/a', '/choice/tagged', '/embedded/tagged'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '/sm%61ll',
      '/SMALL',
      '//small',
      '/small/',
      '/a|b{c}',
      '/x"<>^`\\',
      '/é'.normalize(),
      '/__selvedge__/cache-manifest.js',
    ),
  },
);
const query = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '?',
      '?q=1',
      '?q=1&q=2',
      '?kind=new',
      '?page=1&utm=2',
      '?kind=old',
      '?a=%20b',
      '?q=${path}',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('?selvedge_prefetch=1', '?a?b', '?a#b', '??') },
);
const line = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constantFrom(
      'User-Agent: curl/8',
      'user-agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1',
      'Accept: */*',
      'Accept-Language: de',
      'Accept-Encoding: gzip',
      'accept-encoding:br, gzip',
      'Accept-Encoding: identity',
      'Referer: https://a.example/"quoted"\\',
      'Referer: caf\xe9\ttab',
      'Connection: keep-alive',
      'CONNECTION: Keep-Alive',
      'X-Color: red',
      'x-color:blue',
      'X-Color: ',
      'Cookie: taste=sweet; other=1',
      'Cookie: other=2; taste = sour',
      'Cookie: taste',
      'Cookie: Taste=sweet',
      'Origin: https://a.example',
      'Origin: https://c.example',
      'DNT: 1',
      'Cache-Control: no-cache',
      'Pragma: no-cache',
      'X-Forwarded-For: 192.0.2.1',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'If-None-Match: "v1"',
      'If-None-Match: W/"v1"',
      'If-None-Match: "x", "v1"',
      'If-None-Match: *',
      'If-None-Match: "other"',
      'If-None-Match: W/"v,1"',
      'If-Modified-Since: Thu, 02 Jan 2025 03:04:05 GMT',
      'If-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT',
      'If-Modified-Since: yesterday',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'Range: bytes=0-9',
      'Range: bytes=10-',
      'Range: bytes=-5',
      'Range: bytes=99999999-',
      'Range: bytes=5-1',
      'Range: lines=1-2',
      'Range: bytes=0-1,4-5',
      'If-Range: "v1"',
      'If-Range: "x"',
      'If-Range: Thu, 02 Jan 2025 03:04:05 GMT',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'Authorization: Basic YTpi',
      'X-Request-Id: mine',
      'CDN-Loop: selvedge',
      'cdn-loop: other',
      'If-Match: "v1"',
      'If-Unmodified-Since: Thu, 02 Jan 2020 03:04:05 GMT',
      'Connection: close',
      'Connection: keep-alive, x-color',
      'Upgrade: h2c',
      'TE: trailers',
      'Expect: 100-continue',
      'Expect: more',
      'Content-Length: 0',
      'Proxy-Connection: close',
      'HTTP2-Settings: AAM',
      'x-sv-debug: true',
      'selvedge-link-preload: x',
      'Cache-Control: only-if-cached',
      'Host: other.example',
      `Host: ${HOST}`,
      'Transfer-Encoding: identity',
      'Keep-Alive: timeout=1',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ' folded: line',
      '\tfolded',
      'No-Colon',
      ': empty',
      'Bad Name: x',
      'Name : x',
      'X-Nul: a\0b',
      'X-Del: a\x7fb',
      'X-Cr: a\rb',
      'X: \x01',
      'X\xe9: y',
      'Content-Length: 5',
      'Content-Length: x',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: xchunked',
    ),
  },
);
const host = fc.oneof(
  { weight: 20, arbitrary: fc.constant(HOST) },
  { weight: 3, arbitrary: fc.constantFrom(HOST.toUpperCase(), `${HOST}:80`, `${HOST}.`, 'unknown.example', 'a b', '') },
);
const method = fc.oneof(
  { weight: 14, arbitrary: fc.constant('GET') },
  { weight: 4, arbitrary: fc.constant('HEAD') },
  { weight: 2, arbitrary: fc.constantFrom('POST', 'OPTIONS', 'get', 'GETS', 'DELETE', 'PRI') },
);
const version = fc.oneof(
  { weight: 20, arbitrary: fc.constant('HTTP/1.1') },
  { weight: 1, arbitrary: fc.constantFrom('HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ') },
);
const breaks = fc.oneof(
  { weight: 30, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r') },
);

const request = fc
  .tuple(method, path, query, version, host, fc.array(line, { maxLength: 5 }), breaks, fc.boolean())
  .map(([verb, at, what, spoken, where, lines, end, hostLast]) => {
    const named = hostLast ? [...lines, `Host: ${where}`] : [`Host: ${where}`, ...lines];
    return `${verb} ${at}${what} ${spoken}${end}${named.map((one) => one + end).join('')}${end}`;
  });
/** One after another on a connection, with what ends it behind, cut at some places. */
const conversation = fc
  .tuple(fc.array(request, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(1_000), { maxLength: 3 }))
  .map(([requests, cuts]) => ({ bytes: `${requests.join('')}${LAST}`, cuts }));

const LAST = `GET /fixed HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;

// ── how they are compared ──

/** Everything that comes until the connection ends. */
async function talk(port: number, bytes: string, cuts: readonly number[] = []): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
  for (let at = 1; at < places.length && !socket.destroyed; at++) {
    await new Promise<void>((resolve) => {
      socket.write(Buffer.from(bytes.slice(places[at - 1], places[at]), 'latin1'), () => resolve());
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

/** A miss may find a connection to the origin or make one. */
const timings = (text: string): string => text.replace(/,edt=.*/, '').replace(/=\d+/g, '=');

const comparable = (text: string): string =>
  text
    .replace(/^(x-sv-hit-request-id): .*$/gim, '$1')
    .replace(ID, 'ID')
    .replace(/^x-sv-t: .*$/gim, timings)
    .replace(/^age: \d+/gim, 'age')
    .replace(/ttl=-?\d+/g, 'ttl')
    .replace(/^Date: .* GMT/gm, 'Date')
    .replace(/(boundary=|--)[0-9a-f]{32}/g, '$1B');

const comparableLine = (text: string): string =>
  text
    .replace(/boundary=[0-9a-f]{32}/, 'boundary')
    .replace(/"timestamp":\d+/, '')
    .replace(ID, 'ID')
    .replace(/"(xmt|t)":"[^"]*"/g, timings)
    .replace(/"ttl":"\d+"/, '');

const idsOf = (text: string): string[] => [...text.matchAll(/^x-request-id: (\S+)/gim)].map((match) => match[1]!);

async function linesOf(doors: TwoDoors, answers: string): Promise<string[]> {
  const ids = idsOf(answers).filter((id) => id.length === 36);
  await until('the access log', () => ids.every((id) => doors.lines.has(id)));
  return ids.map((id) => comparableLine(doors.lines.get(id)!));
}

/** Returns how many answers the fast path gave itself. */
async function isSame(doors: TwoDoors, bytes: string, cuts: readonly number[]): Promise<number> {
  // Whoever asks for less than a whole answer does not fill the store.
  await talk(doors.plainPort, bytes.replace(/^(?:If-[^\r\n]*|Range:[^\r\n]*)\r\n/gm, '').replace(/^HEAD /gm, 'GET '));
  await talk(doors.plainPort, bytes);
  const expected = await talk(doors.plainPort, bytes, cuts);
  const seen = await talk(doors.fastPort, bytes, cuts);
  assert.equal(comparable(seen), comparable(expected));
  assert.deepEqual(await linesOf(doors, seen), await linesOf(doors, expected));
  return idsOf(seen).filter((id) => doors.fastIds.has(id)).length;
}

const shopAt = (bytes: string, worker: number): string => {
  const own = `shop-${worker}.example`;
  return bytes.replaceAll(HOST, own).replaceAll(HOST.toUpperCase(), own.toUpperCase());
};

describe('both doors say the same', () => {
  test(`in ${CASES} generated conversations: valid, odd, hostile, pipelined, in pieces`, async (t) => {
    await using doors = await shop();
    const seed = Number(process.env.FAST_PATH_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const next = fc.sample(conversation, { numRuns: CASES, seed }).values();
    let fast = 0;
    // Each at a host of its own: what one has stored is not another's.
    const work = async (_: unknown, worker: number): Promise<void> => {
      for (const { bytes: anywhere, cuts } of next) {
        const bytes = shopAt(anywhere, worker);
        try {
          const own = await isSame(doors, bytes, cuts);
          fast += own;
        } catch (error) {
          t.diagnostic(`seed ${seed}, cut at ${cuts}: ${JSON.stringify(bytes)}`);
          throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }).map(work));
    t.diagnostic(`${fast} answers were the fast path's own`);
    assert.ok(fast > CASES / 4, 'the fast path took part');
  });

  test('wherever a conversation is cut in two', async () => {
    await using doors = await shop();
    const one = `GET /tagged?q=1 HTTP/1.1\r\nHost: ${HOST}\r\nUser-Agent: curl/8\r\nIf-None-Match: "v1"\r\n\r\n`;
    const two = `HEAD /large HTTP/1.1\r\nhost:${HOST}\r\nX-Color: red\r\nAccept-Encoding: gzip\r\n\r\n`;
    const bytes = one + two + one + LAST;
    const places = Array.from({ length: bytes.length }, (_, at) => at).values();
    let fast = 0;
    const work = async (_: unknown, worker: number): Promise<void> => {
      for (const place of places) {
        const own = await isSame(doors, shopAt(bytes, worker), [place]);
        fast += own;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }).map(work));
    assert.ok(fast > bytes.length);
  });
});
