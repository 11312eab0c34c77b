/**
 * What the random-fault test draws from: the lab's own cases, the same ones dialled by the edge, and everything that
 * is no fault of the platform and must not be taken for one. Each draw says what the truth was and compares.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { codeOf, type LabCase, type NamedPart } from '../../src/lab/case.ts';
import { CASES } from '../../src/lab/cases/index.ts';
import type { Lab } from '../../src/lab/lab.ts';
import type { LogLine } from '../../src/lab/log-book.ts';
import { ask, fieldOf, type Question, type Seen } from '../../src/lab/seen.ts';

/** Numbers that follow from a seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = <Item>(items: readonly Item[], random: () => number): Item =>
  items[Math.floor(random() * items.length)]!;

// ── cases ──

const plain = CASES.filter(({ world, alone }) => world === undefined && !alone);
/** They upload 48 MB, or put a load on the machine that has nothing to do with their cause. */
const TOO_HEAVY = new Set(['upstream.send.timeout', 'compute.memory']);
const SLOW = /timeout$/;
const PROCESSES = /^compute\.(exited|timeout|uncaught|unhandled)/;

const light = plain.filter(({ cause }) => !TOO_HEAVY.has(cause) && !SLOW.test(cause) && !PROCESSES.test(cause));
const slow = plain.filter(({ cause }) => !TOO_HEAVY.has(cause) && SLOW.test(cause) && !PROCESSES.test(cause));
const processes = plain.filter(({ cause }) => PROCESSES.test(cause) && cause !== 'compute.timeout');

/** The edge dials for itself what may not be cached: the same fault, seen first-hand by another hop. */
const atEdge: readonly LabCase[] = light
  .filter(({ backend, route, provoke, passedOn }) => backend && !route && !provoke && !passedOn)
  .map((it) => ({
    ...it,
    variant: `edge-${it.variant}`,
    hop: 'edge',
    route: `({ cache, proxy }) => { cache({ edge: false }); proxy('BACKEND'); }`,
  }));

export const DRAWN_CASES: readonly LabCase[] = [...light, ...slow, ...processes, ...atEdge];

// ── what is no fault of the platform ──

const KEPT = `({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('BACKEND'); }`;
const PASS = `({ cache, proxy }) => { cache({ edge: false }); proxy('BACKEND'); }`;
const OWN_CODES = [530, 531, 532, 533, 534, 535, 536, 537, 538, 539, 540, 541, 542, 543, 544, 545, 546, 547, 548, 549];
const SPOOFED = { 'x-sv-error': '536', 'proxy-status': '"global-lab";error=dns_error', 'x-sv-status': 'w=536' };

/** What a path is answered with: as many bytes as its last number says, different ones for each path. */
const contentOf = (path: string): Buffer => {
  const bytes = Number(/(\d+)$/.exec(path)?.[1] ?? 10);
  return Buffer.alloc(bytes, createHash('sha256').update(path).digest('hex'));
};
const pathOf = (request: IncomingMessage): string => request.url!.split('?', 1)[0]!;
const good = (request: IncomingMessage, response: ServerResponse): void =>
  void response.end(contentOf(pathOf(request)));

/** Requests that have arrived at an origin, for clients that leave then. */
const arrivals = new Map<string, () => void>();
const arrived = (path: string): Promise<void> => new Promise((resolve) => void arrivals.set(path, resolve));

const backend = (listener: (request: IncomingMessage, response: ServerResponse) => void): NamedPart['backend'] => {
  return (kit) => kit.http(listener);
};

const cutOnce = new Set<string>();
export const DRAWN_PARTS: readonly NamedPart[] = [
  { name: 'good/proxied', backend: backend(good) },
  { name: 'good/kept', backend: backend(good), route: KEPT },
  { name: 'good/passed', backend: backend(good), route: PASS },
  {
    name: 'good/computed',
    handler: `async (req, res) => { const { createHash } = await import('node:crypto'); res.body = Buffer.alloc(Number(/(\\d+)$/.exec(req.path)[1]), createHash('sha256').update(req.path).digest('hex')); }`,
  },
  {
    name: 'left/waiting',
    backend: backend((request) => arrivals.get(pathOf(request))?.()),
  },
  {
    name: 'left/streaming',
    backend: backend((request, response) => {
      const drip = setInterval(() => response.write('x'.repeat(1_000)), 20);
      response.on('close', () => clearInterval(drip));
      arrivals.get(pathOf(request))?.();
    }),
  },
  {
    // The first answer is cut in its body, every later one is good.
    name: 'mended/kept',
    route: KEPT,
    backend: backend((request, response) => {
      const path = pathOf(request);
      if (cutOnce.has(path)) return good(request, response);
      cutOnce.add(path);
      const content = contentOf(path);
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, content.length / 2));
      setTimeout(() => response.destroy(), 20);
    }),
  },
  {
    // Each connection answers once and closes at the next request, as one that idled for too long.
    name: 'retried/proxied',
    backend: (kit) =>
      kit.raw(async (connection) => {
        await connection.received('\r\n\r\n');
        const path = /^GET (\S+)/.exec(connection.text)![1]!;
        const content = contentOf(path);
        await connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n${content.toString()}`);
        const heard = connection.text.length;
        connection.socket.on('data', () => connection.text.length > heard && connection.socket.destroy());
      }),
  },
  {
    name: 'own/upstream',
    backend: backend((request, response) => {
      const code = Number(/(\d+)$/.exec(pathOf(request))![1]);
      response.writeHead(code, 'Mine', SPOOFED).end('mine');
    }),
  },
  {
    name: 'own/project',
    handler: `(req, res) => { res.statusCode = Number(/(\\d+)$/.exec(req.path)[1]); res.setHeader('x-sv-error', '536'); res.setHeader('proxy-status', '"global-lab";error=dns_error'); res.body = 'mine'; }`,
  },
];

// ── draws ──

export interface Draw {
  readonly kind: string;
  readonly name: string;
  /** Lasts as long as a limit of the platform. */
  readonly waits?: boolean;
  /** Resolves with what differs from the truth. */
  run(lab: Lab, number: number): Promise<readonly string[]>;
}

const KINDS: readonly (readonly [weight: number, draw: (random: () => number) => Draw])[] = [
  [48, (random) => fault(pick(light, random), 'fault')],
  [16, (random) => fault(pick(atEdge, random), 'fault at the edge')],
  [2, (random) => fault(pick(slow, random), 'time-out')],
  [1, (random) => fault(pick(processes, random), 'lost process')],
  [18, goodAnswer],
  [4, leaving],
  [3, mended],
  [3, retried],
  [5, ownCode],
];
const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0);

export function drawOne(random: () => number): Draw {
  let left = random() * TOTAL;
  const [, draw] = KINDS.find(([weight]) => {
    left -= weight;
    return left < 0;
  })!;
  return draw(random);
}

function fault(it: LabCase, kind: string): Draw {
  return {
    kind,
    name: `${codeOf(it)}/${it.variant}`,
    waits: SLOW.test(it.cause),
    // Some share an answer with whoever asks at the same moment, some do not.
    run: async (lab, number) =>
      (await lab.play(it, number % 3 === 0 || it.chain ? '' : `/${number}`)).verdict.differences,
  };
}

function goodAnswer(random: () => number): Draw {
  const part = pick(['proxied', 'kept', 'passed', 'computed'], random);
  const bytes = 1 + Math.floor(random() * (random() < 0.1 ? 90_000 : 3_000));
  return {
    kind: 'success',
    name: `good/${part}`,
    async run(lab, number) {
      // Every second stored one is asked for by somebody else as well.
      const path = `/good/${part}/${part === 'kept' ? number >> 1 : number}/${part === 'kept' ? 500 : bytes}`;
      const { seen, line } = await asked(lab, path, number);
      return [...whole(seen, path), ...unfailed(line, '1')];
    },
  };
}

function leaving(random: () => number): Draw {
  const part = pick(['waiting', 'streaming'], random);
  const afterMs = Math.floor(random() * 60);
  return {
    kind: 'client that leaves',
    name: `left/${part}`,
    async run(lab, number) {
      const path = `/left/${part}/${number}`;
      const done = new AbortController();
      void arrived(path).then(() => setTimeout(() => done.abort(), afterMs));
      const { line } = await asked(lab, path, number, { signal: done.signal });
      return unfailed(line, '0');
    },
  };
}

function mended(): Draw {
  return {
    kind: 'body that is cut once',
    name: 'mended/kept',
    async run(lab, number) {
      const path = `/mended/kept/${number}/2000`;
      const cut = await asked(lab, path, number);
      const problems = cut.seen.complete ? ['the cut body looked complete'] : [];
      const told = [cut.line?.xcode, cut.line?.fault, cut.line?.hop, cut.line?.done].join(' ');
      if (told !== '536 upstream.body.incomplete global 0') problems.push(`the log of the cut says ${told}`);
      const next = await asked(lab, path, number, {}, 'next');
      return [...problems, ...whole(next.seen, path), ...unfailed(next.line, '1')];
    },
  };
}

function retried(): Draw {
  return {
    kind: 'retry that succeeds',
    name: 'retried/proxied',
    async run(lab, number) {
      const path = `/retried/proxied/${number}/300`;
      const { seen, line } = await asked(lab, path, number);
      return [...whole(seen, path), ...unfailed(line, '1')];
    },
  };
}

function ownCode(random: () => number): Draw {
  const part = pick(['upstream', 'project'], random);
  const code = pick(OWN_CODES, random);
  return {
    kind: 'code of their own',
    name: `own/${part}`,
    async run(lab, number) {
      const { seen, line } = await asked(lab, `/own/${part}/${number}/${code}`, number);
      const problems = [];
      if (seen.status !== code || seen.body.toString() !== 'mine') problems.push(`${code} came as ${seen.status}`);
      for (const name of ['x-sv-error', 'proxy-status']) {
        if (fieldOf(seen, name) !== undefined) problems.push(`${name} of theirs came through`);
      }
      return [...problems, ...unfailed(line, '1')];
    },
  };
}

async function asked(
  lab: Lab,
  path: string,
  number: number,
  more: Partial<Question> = {},
  mark = 'draw',
): Promise<{ readonly seen: Seen; readonly line: LogLine | undefined }> {
  const world = lab.worlds.get('main')!;
  const id = `${mark}-${number}-${path.slice(1).replaceAll('/', '-')}`;
  const seen = await ask({ port: world.port, host: world.host('lab'), path, headers: { 'x-request-id': id }, ...more });
  return { seen, line: (await world.log.find(id))[0] };
}

function whole(seen: Seen, path: string): string[] {
  if (seen.status === 200 && seen.complete && seen.body.equals(contentOf(path))) return [];
  return [`a good answer came as ${seen.status}, ${seen.body.length} bytes, ${fieldOf(seen, 'proxy-status') ?? ''}`];
}

function unfailed(line: LogLine | undefined, done: string): string[] {
  if (line === undefined) return ['the access log has no line of it'];
  const { xcode, fault, done: was } = line;
  if (xcode === undefined && was === done) return [];
  return [`the log says ${String(xcode)} ${String(fault)}, done ${String(was)} instead of ${done}`];
}
