/**
 * A POP's side of the feed. It starts from the last good snapshot on its disk, so a POP serves while the control
 * plane is down; then it stays connected, applies what comes, confirms or refuses each version, and reconnects
 * with growing pauses for as long as it runs.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { Purge } from '../artifact/purge.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { FeedLine } from './contract.ts';
import { type ControlAddress, replaceFile } from './discovery.ts';
import { readLines } from './lines.ts';
import type { Ack, ApplySnapshot, PurgeAck } from './publisher.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Three heartbeats: a control plane that says nothing for this long is gone, whatever its socket says. */
const SILENCE_MS = 15_000;
const ANSWER_MS = 10_000;

export interface FeedClientOptions {
  /** Asked before every connection, because a restarted control plane may have moved. Null: not known yet. */
  readonly address: () => Promise<ControlAddress | null>;
  /** Name of the POP process, unique in the platform. */
  readonly pop: string;
  /** `<data>/pop-<name>/snapshot.json` is kept here. */
  readonly dataDir: string;
  readonly apply: ApplySnapshot;
  /** Where purges go; a POP without a store has none. */
  readonly purges?: PurgeSink;
  /** Connections lost and found, refused snapshots: for the platform's own log. */
  readonly onEvent?: (event: FeedEvent) => void;
  readonly clock?: Clock;
}

export interface PurgeSink {
  /** The last purge that is known. */
  readonly purgedUpTo: number;
  /** They are in force at once; resolves when they outlive a crash, rejects when they may not. */
  purge(purges: readonly Purge[], upTo: number): Promise<void>;
}

export type FeedEvent =
  | { readonly kind: 'connected'; readonly url: string }
  | { readonly kind: 'lost'; readonly error: string; readonly retryMs: number }
  /** Served, but not written to the disk: after a restart the POP depends on the control plane. */
  | { readonly kind: 'unkept'; readonly error: string }
  | { readonly kind: 'refused'; readonly version: number; readonly error: string };

export interface FeedClient {
  /** Resolves with the first snapshot that is served from, off the disk or from the control plane. */
  readonly ready: Promise<Snapshot>;
  /** Resolves when every purge that there was at the first connection is in force. */
  readonly purged: Promise<void>;
  /** Somebody knows more than this POP does: if it waits to connect again, it does so now. */
  hurry(): void;
  close(): Promise<void>;
}

export function startFeedClient(options: FeedClientOptions): FeedClient {
  const client = new Client(options);
  const running = client.run();
  return {
    ready: client.ready,
    purged: client.purged,
    hurry: () => client.hurry(),
    async close() {
      client.stop();
      await running;
    },
  };
}

class Client {
  readonly ready: Promise<Snapshot>;
  readonly purged: Promise<void>;
  readonly #setPurged: () => void;
  readonly #options: FeedClientOptions;
  #instance = '';
  readonly #clock: Clock;
  readonly #ending = new AbortController();
  readonly #agent = new Agent({ headersTimeout: ANSWER_MS, bodyTimeout: SILENCE_MS, connect: { timeout: ANSWER_MS } });
  readonly #setReady: (snapshot: Snapshot) => void;
  #pauseMs = FIRST_PAUSE_MS;
  #endPause: () => void = () => {};

  constructor(options: FeedClientOptions) {
    const { promise, resolve } = Promise.withResolvers<Snapshot>();
    this.ready = promise;
    this.#setReady = resolve;
    const purged = Promise.withResolvers<void>();
    this.purged = purged.promise;
    this.#setPurged = purged.resolve;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  hurry(): void {
    this.#endPause();
  }

  stop(): void {
    this.#ending.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#ending;
    this.#instance = await this.#readInstance();
    const kept = await readKept(this.#file);
    if (kept) await this.#apply(kept, { keep: false });
    while (!signal.aborted) {
      const error = await this.#follow().then(() => 'the control plane ended the feed', asText);
      if (signal.aborted) break;
      this.#tell({ kind: 'lost', error, retryMs: this.#pauseMs });
      await this.#pause();
    }
    await this.#agent.destroy();
  }

  get #folder(): string {
    return join(this.#options.dataDir, `pop-${this.#options.pop}`);
  }

  get #file(): string {
    return join(this.#folder, 'snapshot.json');
  }

  /** Machines may have been given the same name, and a restarted one takes the place of what it was before. */
  async #readInstance(): Promise<string> {
    const file = join(this.#folder, 'instance');
    const kept = await readFile(file, 'utf8').catch(() => '');
    if (kept !== '') return kept;
    const made = randomUUID();
    await this.#write(file, made);
    return made;
  }

  /** One connection: until it ends or breaks. */
  async #follow(): Promise<void> {
    const address = await this.#options.address();
    if (address === null) throw new Error('the control plane has not been started yet');
    const { url } = address;
    const { pop, purges } = this.#options;
    const query = { pop, instance: this.#instance, purges: String(purges?.purgedUpTo ?? 0) };
    const answer = await this.#request(address, 'GET', `/v1/feed?${new URLSearchParams(query)}`);
    if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}: ${await answer.body.text()}`);
    this.#tell({ kind: 'connected', url });
    this.#pauseMs = FIRST_PAUSE_MS;
    const newest = new Newest((snapshot) => this.#take(address, snapshot));
    try {
      for await (const line of readLines(answer.body)) {
        const message = JSON.parse(line) as FeedLine;
        if ('purges' in message) void this.#purge(address, message.purges, message.upTo);
        if ('snapshot' in message) newest.put(message.snapshot);
      }
    } finally {
      await newest.idle();
    }
  }

  async #take(address: ControlAddress, snapshot: Snapshot): Promise<void> {
    const { pop } = this.#options;
    const answer = await this.#apply(snapshot, { keep: true });
    const ack: Ack = { pop, instance: this.#instance, version: snapshot.version, ...answer };
    await this.#confirm(address, '/v1/feed/ack', ack);
  }

  /** What is not kept is in force all the same: only a restart without the control plane would forget it. */
  async #purge(address: ControlAddress, purges: readonly Purge[], upTo: number): Promise<void> {
    const { pop, purges: sink } = this.#options;
    const error = await sink?.purge(purges, upTo).then(() => undefined, asText);
    if (error !== undefined) this.#tell({ kind: 'unkept', error });
    this.#setPurged();
    const ack: PurgeAck = { pop, instance: this.#instance, upTo, ...(error === undefined ? {} : { error }) };
    await this.#confirm(address, '/v1/feed/purged', ack);
  }

  /** A confirmation that is lost is repeated after the next connection, for what comes with it. */
  async #confirm(address: ControlAddress, path: string, ack: Ack | PurgeAck): Promise<void> {
    await this.#request(address, 'POST', path, ack)
      .then((reply) => reply.body.dump())
      .catch(() => {});
  }

  async #apply(snapshot: Snapshot, { keep }: { readonly keep: boolean }): Promise<Pick<Ack, 'error' | 'failed'>> {
    try {
      const answer = await this.#options.apply(snapshot);
      if (answer.error === undefined) {
        if (keep) await this.#write(this.#file, JSON.stringify({ ...snapshot, staged: undefined, trials: undefined }));
        this.#setReady(snapshot);
        return answer;
      }
      this.#tell({ kind: 'refused', version: snapshot.version, error: answer.error });
      return answer;
    } catch (error) {
      this.#tell({ kind: 'refused', version: snapshot.version, error: asText(error) });
      return { error: asText(error) };
    }
  }

  /** A disk that is full must not keep a POP from serving what it has in memory. */
  async #write(file: string, text: string): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await replaceFile(file, text);
    } catch (error) {
      this.#tell({ kind: 'unkept', error: asText(error) });
    }
  }

  #request({ url, token }: ControlAddress, method: 'GET' | 'POST', path: string, body?: unknown) {
    return request(new URL(path, url), {
      method,
      dispatcher: this.#agent,
      signal: this.#ending.signal,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
  }

  #pause(): Promise<void> {
    const waitMs = this.#pauseMs;
    this.#pauseMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS);
    const { signal } = this.#ending;
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#clock.setTimer(waitMs, done);
      this.#endPause = done;
      signal.addEventListener('abort', done);
    });
  }

  #tell(event: FeedEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Works on one value at a time; of those that come meanwhile only the newest is kept. */
class Newest {
  readonly #work: (snapshot: Snapshot) => Promise<void>;
  #next: Snapshot | undefined;
  #running: Promise<void> | undefined;

  constructor(work: (snapshot: Snapshot) => Promise<void>) {
    this.#work = work;
  }

  put(snapshot: Snapshot): void {
    this.#next = snapshot;
    this.#running ??= this.#drain();
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#next) {
      const snapshot = this.#next;
      this.#next = undefined;
      await this.#work(snapshot);
    }
    this.#running = undefined;
  }
}

/** What cannot be read is as good as nothing: the control plane has it all. */
async function readKept(path: string): Promise<Snapshot | null> {
  try {
    const kept = JSON.parse(await readFile(path, 'utf8')) as Snapshot;
    return typeof kept.version === 'number' && Array.isArray(kept.environments) ? kept : null;
  } catch {
    return null;
  }
}

const asText = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));
