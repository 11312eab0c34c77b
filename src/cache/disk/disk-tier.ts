/**
 * The disk tier: what all POP processes of a role on this machine have stored, in LMDB with large bodies as files.
 *
 * A lookup reads memory that is mapped from the file. Writes are collected and committed in the background; when
 * they come faster than the disk takes them, or the disk is full, the newest are not stored and nobody is told but
 * the log. Whatever is read is checked against its checksum and its key first.
 *
 * Each commit notes the keys that it changed under a number that only grows. Before a process uses its own memory
 * tier it reads that number, once per turn of its event loop, and lets go of what others have changed.
 */
import { hash } from 'node:crypto';
import type { Purge } from '../../artifact/purge.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { decodeKept, encodeKept, type Kept } from '../codec.ts';
import { type BodyFile, BodyFiles, FileBody } from './body-files.ts';
import { currentNumber, isDamage, openStoreFile, type StoreFile, setAside } from './database.ts';
import { evict } from './eviction.ts';
import { decodePlace, encodePlace, nextStamp, type Place } from './places.ts';

export interface DiskOptions {
  readonly clock: Clock;
  readonly folder: string;
  readonly maxBytes: number;
  /** A process died of a signal that only damage explains: stores from before that moment are not used. */
  readonly brokenBeforeMs?: number;
  readonly report: (message: string) => void;
}

/** Bodies up to this size lie in the record itself. */
const INLINE_BYTES = 65_536;
const BATCH = 64;
const GATHER_MS = 5;
/** What waits to be written; more is not stored. */
const MOST_PENDING_BYTES = 64 * 1024 * 1024;
const MOST_PENDING = 10_000;
/** Changes that are remembered for the other processes; who is further behind forgets its whole memory tier. */
const CHANGES_KEPT = 1_024;
/** Room is made for more than the next record, so that not every write has to make some. */
const SLACK = 0.02;
const CROWDED = 0.75;
const MOST_ROUNDS = 100;
const CHORES_MS = 1_000;
const REPORT_EVERY_MS = 60_000;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

interface Pending {
  /** Null: to be deleted. */
  readonly kept: Kept | null;
  readonly bytes: number;
}

export class DiskTier {
  readonly #options: DiskOptions;
  #store: StoreFile;
  #files: BodyFiles;
  readonly #pending = new Map<string, Pending>();
  #pendingBytes = 0;
  readonly #waitForDeletes: (() => void)[] = [];
  readonly #touched = new Map<string, Place>();
  #flushing: Promise<void> | undefined;
  #gather: Timer | undefined;
  #chores: Timer | undefined;
  #seen: number;
  readonly #own = new Set<number>();
  #isSynced = false;
  /** Something will have to leave before long, so it is worth a write to know what is used. */
  #isCrowded = false;
  #isClosed = false;
  #patrolled = 0;
  /** A disk that did not take the last commit is left alone for a while. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;
  #reportedMs = Number.NEGATIVE_INFINITY;
  /** Whether a process uses what lies under the key, so that it is not the next to go. */
  isUsed: (key: string) => boolean = () => false;
  /** Told when what was given turns out to be damaged. */
  onLost: (key: string) => void = () => {};

  constructor(options: DiskOptions) {
    this.#options = options;
    this.#store = openStoreFile(options.folder, options.brokenBeforeMs);
    this.#files = new BodyFiles(this.#store.folder);
    this.#seen = this.#changeNumber();
    this.#armChores();
  }

  /** Undefined when there is nothing, or nothing that can be used. */
  get(key: string): Kept | undefined {
    const waiting = this.#pending.get(key);
    if (waiting) return waiting.kept ?? undefined;
    return this.#guarded(() => {
      const place = this.#placeOf(key);
      const record = place && this.#store.records.getBinary(place.stamp);
      const kept = record && decodeKept(key, record, (file) => this.#bodyOf(key, file));
      if (!kept) return undefined;
      if (this.#isCrowded && !place.isTouched) this.#touched.set(key, place);
      return kept;
    });
  }

  /** In the background; false when it will not be stored. */
  put(key: string, kept: Kept): boolean {
    const bytes = key.length + 1_000 + (kept.kind === 'response' ? kept.body.length : 0);
    return this.#enqueue(key, { kept, bytes });
  }

  delete(key: string): void {
    if (this.#pending.has(key) || this.#guarded(() => this.#placeOf(key))) this.#enqueue(key, { kept: null, bytes: 0 });
  }

  /** Resolves when what was deleted before is gone for all processes, or the disk does not take it. */
  async deleted(): Promise<void> {
    if (![...this.#pending.values()].some(({ kept }) => kept === null)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waitForDeletes.push(resolve);
    void this.#flush();
    await promise;
  }

  /** Keys that other processes have changed since the last call, or `all` when that is not known any more. */
  changed(): readonly string[] | 'all' {
    if (this.#isSynced) return NOTHING;
    this.#isSynced = true;
    setImmediate(() => {
      this.#isSynced = false;
    });
    return this.#guarded(() => this.#readChanges()) ?? NOTHING;
  }

  /** Resolves when they outlive the process; rejects when they do not. `all` gives the whole table. */
  async keepPurges(purges: readonly Purge[], upTo: number, all: () => Iterable<Purge>): Promise<void> {
    await this.#commit((store) => {
      for (const purge of purges) putPurge(store, purge);
      if (entriesOf(store.purges) > MOST_PURGE_ROWS) {
        store.purges.clearSync();
        for (const purge of all()) putPurge(store, purge);
      }
      void store.counters.put('purged', numberBytes(upTo));
    });
  }

  /** What this and other processes of the role knew. */
  purges(): { readonly purges: readonly Purge[]; readonly upTo: number } {
    const read = () => ({
      purges: [...this.#store.purges.getRange({})].map(({ value }) => JSON.parse(value.toString()) as Purge),
      upTo: numberOf(this.#store.counters.get('purged')),
    });
    return this.#guarded(read) ?? { purges: [], upTo: 0 };
  }

  stats(): { readonly bytes: number; readonly entries: number } {
    const none = { bytes: 0, entries: 0 };
    return this.#guarded(() => ({ bytes: this.#bytes(), entries: entriesOf(this.#store.places) })) ?? none;
  }

  /** Resolves when everything that was put before is on the disk, or was given up. */
  async flushed(): Promise<void> {
    while (this.#pending.size > 0 || this.#flushing) await this.#flush();
  }

  async close(): Promise<void> {
    await this.flushed();
    this.#isClosed = true;
    this.#chores?.cancel();
    await this.#store.root.close();
  }

  // ── reading ──

  #placeOf(key: string): Place | undefined {
    const bytes = this.#store.places.getBinary(hashOf(key));
    return bytes && decodePlace(bytes);
  }

  #bodyOf(key: string, file: BodyFile): FileBody {
    return new FileBody(file, this.#files.pathOf(file.name), () => {
      this.onLost(key);
      this.delete(key);
    });
  }

  #changeNumber(): number {
    this.#store.root.resetReadTxn();
    return numberOf(this.#store.counters.get('changes'));
  }

  #readChanges(): readonly string[] | 'all' {
    const now = this.#changeNumber();
    if (now === this.#seen) return NOTHING;
    const from = this.#seen + 1;
    this.#seen = now;
    if (now - from >= CHANGES_KEPT || now < from) return 'all';
    const keys: string[] = [];
    for (let number = from; number <= now; number++) {
      if (this.#own.delete(number)) continue;
      const record = this.#store.changes.getBinary(number);
      if (!record) return 'all';
      keys.push(...record.toString().split('\0'));
    }
    return keys;
  }

  /** LMDB throws where its file is damaged; then the store is set aside and the next one is used. */
  #guarded<Result>(read: () => Result): Result | undefined {
    if (this.#isClosed) return undefined;
    try {
      return read();
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  // ── writing ──

  #enqueue(key: string, pending: Pending): boolean {
    const before = this.#pending.get(key);
    const bytes = this.#pendingBytes - (before?.bytes ?? 0) + pending.bytes;
    if (this.#isClosed || this.#options.clock.monotonicMs() < this.#pausedUntilMs) return false;
    if (pending.kept && (bytes > MOST_PENDING_BYTES || this.#pending.size >= MOST_PENDING)) return false;
    this.#pending.delete(key);
    this.#pending.set(key, pending);
    this.#pendingBytes = bytes;
    this.#gather ??= this.#options.clock.setTimer(GATHER_MS, () => {
      this.#gather = undefined;
      void this.#flush();
    });
    return true;
  }

  #flush(): Promise<void> {
    this.#flushing ??= this.#writeAll().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.size > 0 || this.#touched.size > 0) {
      // what was deleted goes first: somebody waits for that
      const deleted = [...this.#pending].filter(([, { kept }]) => kept === null);
      const batch = [...deleted, ...[...this.#pending].filter(([, { kept }]) => kept !== null)].slice(0, BATCH);
      const touched = [...this.#touched].slice(0, BATCH);
      for (const [key] of touched) this.#touched.delete(key);
      const waiting = deleted.length <= BATCH ? this.#waitForDeletes.splice(0) : [];
      try {
        await this.#write(batch, touched);
      } catch (error) {
        this.#failed(error);
      }
      for (const [key, pending] of batch) {
        if (this.#pending.get(key) !== pending) continue;
        this.#pending.delete(key);
        this.#pendingBytes -= pending.bytes;
      }
      for (const resolve of waiting) resolve();
    }
    await this.#makeRoom();
  }

  async #write(batch: readonly (readonly [string, Pending])[], touched: readonly (readonly [string, Place])[]) {
    const ready = await Promise.all(batch.map(([key, { kept }]) => this.#prepare(key, kept)));
    const obsolete: string[] = [];
    await this.#commit((store) => {
      let fileBytes = 0;
      for (const { key, record, file } of ready.filter((it) => it !== undefined)) {
        const at = hashOf(key);
        const before = store.places.getBinary(at);
        const old = before && decodePlace(before);
        if (old) void store.records.remove(old.stamp);
        if (old?.file && old.file !== file?.name) obsolete.push(old.file);
        fileBytes += (file?.bytes ?? 0) - (old?.fileBytes ?? 0);
        if (record === null) {
          void store.places.remove(at);
          continue;
        }
        const stamp = nextStamp(this.#options.clock.nowMs());
        void store.records.put(stamp, record);
        const place = { stamp, isTouched: false, file: file?.name, fileBytes: file?.bytes ?? 0 };
        void store.places.put(at, encodePlace(place));
      }
      for (const [key, { stamp }] of touched) touch(store, key, stamp);
      addTo(store, 'files', fileBytes);
      if (batch.length > 0)
        this.#note(
          store,
          batch.map(([key]) => key),
        );
    });
    this.#pauseMs = FIRST_PAUSE_MS;
    for (const name of obsolete) await this.#files.remove(name);
  }

  /** Undefined when its body could not be written. */
  async #prepare(key: string, kept: Kept | null): Promise<Ready | undefined> {
    if (kept === null) return { key, record: null, file: undefined };
    if (kept.kind === 'vary') return { key, record: encodeKept(key, kept), file: undefined };
    const { body } = kept;
    if (Buffer.isBuffer(body) && body.length <= INLINE_BYTES)
      return { key, record: encodeKept(key, kept), file: undefined };
    try {
      const file = Buffer.isBuffer(body) ? await this.#files.write(hashOf(key), body) : body.file;
      return { key, record: encodeKept(key, kept, file), file };
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** All of it or nothing, even when this process is killed in between. */
  async #commit(change: (store: StoreFile) => void): Promise<void> {
    const store = this.#store;
    await store.root.transaction(() => change(store)).catch(async (error) => Promise.reject(await causeOf(error)));
  }

  #note(store: StoreFile, keys: readonly string[]): void {
    const number = numberOf(store.counters.get('changes')) + 1;
    void store.counters.put('changes', numberBytes(number));
    void store.changes.put(number, Buffer.from(keys.join('\0')));
    void store.changes.remove(number - CHANGES_KEPT);
    this.#own.add(number);
  }

  // ── room ──

  #bytes(): number {
    const { records, places, counters } = this.#store;
    return pageBytes(records) + pageBytes(places) + numberOf(counters.get('files'));
  }

  async #makeRoom(): Promise<void> {
    const { maxBytes } = this.#options;
    try {
      this.#isCrowded = this.#bytes() > maxBytes * CROWDED;
      for (let rounds = 0; rounds < MOST_ROUNDS && this.#bytes() > maxBytes; rounds++) {
        const names: string[] = [];
        const bytes = this.#bytes() - maxBytes * (1 - SLACK);
        await this.#commit((store) => {
          const { files, fileBytes } = evict(store, { isUsed: this.isUsed, nowMs: this.#options.clock.nowMs(), bytes });
          names.push(...files);
          addTo(store, 'files', -fileBytes);
        });
        for (const name of names) await this.#files.remove(name);
        this.#store.root.resetReadTxn();
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  // ── chores ──

  #armChores(): void {
    this.#chores = this.#options.clock.setTimer(CHORES_MS, () => {
      if (this.#isClosed) return;
      this.#armChores();
      if (currentNumber(this.#options.folder) !== this.#store.number) this.#reopen();
      if (this.#touched.size > 0) void this.#flush();
      void this.#removeOrphans();
    });
  }

  /** One folder at a time. Orphans are left by a process that was killed between a file and its record. */
  async #removeOrphans(): Promise<void> {
    const { nowMs } = this.#options.clock;
    this.#patrolled = (this.#patrolled + 1) % 256;
    const isNamed = (name: string): boolean => {
      const place = this.#guarded(() => this.#store.places.getBinary(Buffer.from(name.slice(0, 32), 'hex')));
      return place !== undefined && decodePlace(place).file === name;
    };
    const orphans = await this.#files.orphans(this.#patrolled, nowMs(), isNamed).catch(() => []);
    for (const name of orphans) await this.#files.remove(name);
  }

  #failed(error: unknown): void {
    const { report, clock, folder } = this.#options;
    const message = error instanceof Error ? error.message : String(error);
    if (isDamage(error)) {
      report(`the stored responses in ${this.#store.folder} are damaged (${message}); a new store is begun`);
      setAside(folder, this.#store.number);
      this.#reopen();
      return;
    }
    this.#pausedUntilMs = clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    if (clock.monotonicMs() - this.#reportedMs < REPORT_EVERY_MS) return;
    this.#reportedMs = clock.monotonicMs();
    report(`responses cannot be stored on the disk (${message})`);
  }

  /** The old store stays mapped, because others may be reading from it; its memory is only address space. */
  #reopen(): void {
    try {
      this.#store = openStoreFile(this.#options.folder);
      this.#files = new BodyFiles(this.#store.folder);
      this.#own.clear();
      this.#seen = -1;
    } catch (error) {
      this.#isClosed = true;
      this.#options.report(`no disk tier any more: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

interface Ready {
  readonly key: string;
  readonly record: Buffer | null;
  readonly file: BodyFile | undefined;
}

const NOTHING: readonly string[] = [];
const MOST_PURGE_ROWS = 100_000;

export const hashOf = (key: string): Buffer => hash('sha256', key, 'buffer').subarray(0, 16);

/** What stopped a commit comes a moment after the word that it was stopped. */
async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  if (!commitError) return error;
  const late = new Promise((resolve) => setTimeout(resolve, CAUSE_MS, error).unref());
  return Promise.race([commitError.catch((cause: unknown) => cause), late]);
}

const CAUSE_MS = 1_000;

function numberBytes(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(number);
  return bytes;
}

const numberOf = (bytes: Buffer | undefined): number => bytes?.readDoubleLE(0) ?? 0;

function addTo({ counters }: StoreFile, name: string, amount: number): void {
  if (amount !== 0) void counters.put(name, numberBytes(Math.max(0, numberOf(counters.get(name)) + amount)));
}

function touch({ places }: StoreFile, key: string, stamp: Buffer): void {
  const at = hashOf(key);
  const bytes = places.getBinary(at);
  const place = bytes && decodePlace(bytes);
  if (place?.stamp.equals(stamp)) void places.put(at, encodePlace({ ...place, isTouched: true }));
}

function putPurge({ purges }: StoreFile, purge: Purge): void {
  const { space, kind, value, soft } = purge;
  void purges.put(hashOf([space, kind, Number(soft), value].join('\0')), Buffer.from(JSON.stringify(purge)));
}

interface PageStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

function pageBytes(table: StoreFile['records']): number {
  const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = table.getStats() as PageStats;
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}

const entriesOf = (table: StoreFile['records']): number => (table.getStats() as PageStats).entryCount;
