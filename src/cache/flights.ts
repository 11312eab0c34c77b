/** Every fetch that others may join, by the key of the slot that its answer will be stored in. */
import type { Clock } from '../base/clock.ts';
import { Flight } from './flight.ts';
import { spaceOf } from './key-text.ts';
import type { Asked, Lander } from './landing.ts';
import type { Slots } from './slots.ts';

export interface FlightsOptions {
  readonly clock: Clock;
  readonly slots: Slots;
  readonly lander: () => Lander;
  /** Part of an announced body from which on it is finished although its clients have left. */
  readonly finishFraction: number;
}

export class Flights {
  readonly #options: FlightsOptions;
  readonly #bySlot = new Map<string, Flight>();

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  has(slotKey: string): boolean {
    return this.#bySlot.has(slotKey);
  }

  /** Not one that was begun before a purge or a change that covers its answer, or may. */
  boardable(slotKey: string, nowMs: number): Flight | undefined {
    const flight = this.#bySlot.get(slotKey);
    if (!flight?.boardable(nowMs)) return undefined;
    const { purges, invalidations } = this.#options.slots;
    if (invalidations.covers(slotKey, flight.begunAtMs)) return undefined;
    return purges.verdict(flight.space.name, flight.stamp) ? undefined : flight;
  }

  /** Starts a fetch that others may join. */
  depart(slotKey: string, asked: Asked): Flight {
    const flight = this.start(slotKey, asked);
    if (!flight.landed) this.#bySlot.set(slotKey, flight);
    return flight;
  }

  /** Starts a fetch for one request alone. */
  start(slotKey: string, asked: Asked): Flight {
    const { slots, clock, finishFraction, lander } = this.#options;
    return new Flight({
      ...{ slotKey, finishFraction, begunAtMs: clock.nowMs(), requestId: asked.request.requestId },
      space: slots.store.space(spaceOf(asked.request.key)),
      sequence: slots.purges.latest,
      land: (flight) => lander().land(flight, asked),
      onOver: (flight) => {
        if (this.#bySlot.get(flight.slotKey) === flight) this.#bySlot.delete(flight.slotKey);
      },
    });
  }

  /** The answer turned out to belong under another key, where new requests will look for it. */
  move(flight: Flight, slotKey: string): void {
    if (slotKey === flight.slotKey || this.#bySlot.get(flight.slotKey) !== flight) return;
    this.#bySlot.delete(flight.slotKey);
    flight.slotKey = slotKey;
    this.#bySlot.set(slotKey, flight);
  }

  abortAll(): void {
    for (const flight of [...this.#bySlot.values()]) flight.abort();
  }
}
