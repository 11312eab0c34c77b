/**
 * One fetch under way and everybody who wants its answer. It lands when the head of the answer has come and was
 * judged. It goes on for as long as anybody is aboard, whoever started it, and is aborted when the last one leaves.
 */
import type { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import type { Fault } from '../status/fault.ts';
import type { Fill } from './fill.ts';
import type { Stamp } from './purges.ts';
import type { StoredResponse } from './slots.ts';
import type { Space } from './store.ts';
import type { StoreVerdict } from './types.ts';

/** The answer is for everybody aboard who selects the same variant. */
export interface SharedLanding {
  readonly kind: 'shared';
  readonly verdict: StoreVerdict;
  /** As fetched, for the one who started the flight; its body is unused. */
  readonly response: HttpResponse;
  /** For everybody else: without what belongs to one user or exchange. */
  readonly fields: Fields;
  readonly body: Fill | Buffer;
  readonly slotKey: string;
  readonly varyNames: readonly string[];
  readonly stored: boolean;
  /** Kept for validation only: nobody else gets it unasked. */
  readonly exclusive: boolean;
  readonly madeAtMs: number;
  readonly freshUntilMs: number;
  readonly fetchedStatus: number;
  readonly sequence: number;
  readonly tags: readonly string[];
}

/** The answer is only for the one who started the flight. */
export interface PrivateLanding {
  readonly kind: 'private';
  readonly verdict: StoreVerdict;
  readonly response: HttpResponse;
  readonly madeAtMs: number;
  readonly fetchedStatus: number;
  readonly sequence: number;
}

/** The next hop failed, and what is stored takes its place for everybody aboard. */
export interface BridgedLanding {
  readonly kind: 'bridged';
  readonly verdict: StoreVerdict;
  readonly stored: StoredResponse;
  readonly failure: Fault | { readonly status: number };
}

export type Landing = SharedLanding | PrivateLanding | BridgedLanding;

export interface FlightInit {
  /** Key of the slot that the answer will be stored in, as far as known. */
  readonly slotKey: string;
  readonly space: Space;
  /** The last purge that is known as it starts. */
  readonly sequence: number;
  /** Wall clock, as it starts. */
  readonly begunAtMs: number;
  readonly requestId: string;
  /** Part of an announced body from which on it is finished although nobody waits any more. */
  readonly finishFraction: number;
  readonly land: (flight: Flight) => Promise<Landing>;
  /** Nobody waits for it any more, or its answer is complete: new requests must not board. */
  readonly onOver: (flight: Flight) => void;
}

export class Flight {
  readonly space: Space;
  readonly sequence: number;
  readonly begunAtMs: number;
  readonly requestId: string;
  readonly landing: Promise<Landing>;
  slotKey: string;
  /** Set once it has landed. */
  landed: Landing | undefined;
  readonly #init: FlightInit;
  readonly #controller = new AbortController();
  #aboard = 0;
  #starterLeft = false;

  constructor(init: FlightInit) {
    this.#init = init;
    this.space = init.space;
    this.sequence = init.sequence;
    this.begunAtMs = init.begunAtMs;
    this.requestId = init.requestId;
    this.slotKey = init.slotKey;
    this.landing = this.#fly();
    // every passenger sees the failure; when all have left there is nobody to tell
    this.landing.catch(() => {});
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How its answer will stand to purges; surrogate keys are known once it has landed. */
  get stamp(): Stamp {
    const { slotKey: key, landed } = this;
    if (landed?.kind === 'shared') return { key, sequence: landed.sequence, tags: landed.tags };
    return { key, sequence: this.sequence, tags: null };
  }

  /** May a request that comes now still wait for this answer? Not when it would be stale or partly forgotten. */
  boardable(nowMs: number): boolean {
    if (this.space.dropped || this.signal.aborted) return false;
    if (!this.landed) return true;
    if (this.landed.kind !== 'shared' || this.landed.exclusive) return false;
    const { body, freshUntilMs } = this.landed;
    return nowMs < freshUntilMs && (Buffer.isBuffer(body) || body.joinable);
  }

  board(): void {
    this.#aboard++;
  }

  /** One passenger less; the last one ends the flight unless it is nearly done. */
  leave(): void {
    if (--this.#aboard > 0 || this.#isNearlyDone()) return;
    this.abort();
  }

  /** The one who started it is gone: an answer that was only for them is thrown away. */
  starterLeft(): void {
    this.#starterLeft = true;
    if (this.landed?.kind === 'private') this.abort();
    this.leave();
  }

  abort(): void {
    this.#controller.abort();
    this.over();
    const body = this.landed && bodyOf(this.landed);
    if (!body || Buffer.isBuffer(body)) return;
    if ('abort' in body) body.abort(new Error('nobody waits for this body any more'));
    else body.destroy();
  }

  over(): void {
    this.#init.onOver(this);
  }

  async #fly(): Promise<Landing> {
    try {
      this.landed = await this.#init.land(this);
    } catch (error) {
      this.over();
      throw error;
    }
    const { landed } = this;
    if (landed.kind !== 'shared' || Buffer.isBuffer(landed.body)) this.over();
    if (this.signal.aborted || (landed.kind === 'private' && this.#starterLeft)) this.abort();
    return landed;
  }

  #isNearlyDone(): boolean {
    if (this.landed?.kind !== 'shared') return false;
    const { body } = this.landed;
    return Buffer.isBuffer(body) || body.settled || (body.joinable && body.fraction >= this.#init.finishFraction);
  }
}

function bodyOf(landing: Landing): Fill | HttpResponse['body'] {
  if (landing.kind === 'bridged') return null;
  return landing.kind === 'private' ? landing.response.body : landing.body;
}
