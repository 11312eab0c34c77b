/**
 * The memory tier with the disk tier behind it, seen as one store: what is not in memory is looked for on the disk,
 * what is put goes to both, and what other processes have changed on the disk is forgotten here before it is used.
 * Without a disk tier it is the memory tier alone.
 */
import type { Readable } from 'node:stream';
import type { DiskTier } from './disk/disk-tier.ts';
import { spaceOf } from './key-text.ts';
import type { Slot, StoredResponse } from './slots.ts';
import { type Held, MemoryStore, type Space, type StoreLimits } from './store.ts';

const DROPPED_KEPT = 1_000;
/** Largest body that is taken from the disk into the memory tier. */
const PROMOTED_BYTES = 1_048_576;
/** Where there is a disk, one large body does not drive a thousand small ones out of the memory. */
const LARGEST_SHARE = 1 / 32;

export class TieredStore {
  readonly #memory: MemoryStore<Slot>;
  readonly #disk: DiskTier | undefined;
  readonly #bytesOf: (slot: Slot) => number;
  readonly #mostBytes: number;
  /** Spaces that were dropped lately: what is left of them on the disk is not for requests that were on their way. */
  readonly #dropped = new Set<string>();

  constructor(limits: StoreLimits, bytesOf: (slot: Slot) => number, disk?: DiskTier) {
    this.#memory = new MemoryStore(limits);
    this.#bytesOf = bytesOf;
    this.#disk = disk;
    this.#mostBytes = limits.maxBytes * (disk ? LARGEST_SHARE : 1);
    if (!disk) return;
    disk.onLost = (key) => this.#memory.delete(key);
    disk.isUsed = (key) => this.#memory.held(key)?.used === true;
  }

  /** Of the memory tier. */
  get bytes(): number {
    return this.#memory.bytes;
  }

  get entries(): number {
    return this.#memory.entries;
  }

  space(name: string): Space {
    return this.#memory.space(name);
  }

  /** The entry in the memory tier. */
  held(key: string): Held | undefined {
    return this.#memory.held(key);
  }

  doubtAll(): void {
    this.#memory.doubtAll();
  }

  confirm(key: string): void {
    this.#memory.confirm(key);
  }

  /** What other processes have replaced or deleted is not in memory any more. */
  catchUp(): void {
    const keys = this.#disk?.changed() ?? [];
    if (keys === 'all') this.#memory.clear();
    else for (const key of keys) this.#memory.delete(key);
  }

  get(key: string): Slot | undefined {
    if (!this.#disk) return this.#memory.get(key);
    this.catchUp();
    const known = this.#memory.get(key);
    if (known || this.#dropped.has(spaceOf(key))) return known;
    const kept = this.#disk.get(key);
    if (kept) this.#remember(this.space(spaceOf(key)), key, kept);
    return kept;
  }

  /** False when neither tier keeps it. Marks are for the memory only. */
  set(space: Space, key: string, slot: Slot): boolean {
    if (space.dropped) return false;
    const isRemembered = this.#remember(space, key, slot);
    if (slot.kind === 'pass') this.#disk?.delete(key);
    else if (this.#disk?.put(key, slot)) return true;
    return isRemembered;
  }

  delete(key: string): void {
    this.#memory.delete(key);
    this.#disk?.delete(key);
  }

  /** Resolves when what was deleted is gone for other processes as well. */
  async deleted(): Promise<void> {
    await this.#disk?.deleted();
  }

  dropSpace(name: string): void {
    this.#memory.dropSpace(name);
    this.#dropped.add(name);
    if (this.#dropped.size > DROPPED_KEPT) this.#dropped.delete(this.#dropped.values().next().value!);
  }

  /** Empties the memory tier. */
  clear(): void {
    this.#memory.clear();
  }

  /** The body as it can be sent: a stream is the caller's to end. Undefined when it is lost; then so is the entry. */
  async bodyOf(key: string, response: StoredResponse): Promise<Buffer | Readable | undefined> {
    const { body } = response;
    if (Buffer.isBuffer(body)) return body;
    if (body.length > PROMOTED_BYTES) return body.open();
    const loaded = await body.load();
    // unless it was replaced meanwhile
    if (loaded && this.#memory.get(key) === response)
      this.#remember(this.space(spaceOf(key)), key, { ...response, body: loaded });
    return loaded;
  }

  #remember(space: Space, key: string, slot: Slot): boolean {
    const bytes = this.#bytesOf(slot);
    if (bytes <= this.#mostBytes) return this.#memory.set(space, key, slot, bytes);
    this.#memory.delete(key);
    return false;
  }
}
