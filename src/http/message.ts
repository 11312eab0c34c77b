/** The messages that travel through the rooms: plain records around `Fields` and a body that may stream. */
import type { Readable } from 'node:stream';
import type { Fields } from './fields.ts';

/** Nothing, everything at once, or a stream with back-pressure. A stream that fails emits `error` with a `Fault`. */
export type Body = null | Buffer | Readable;

/** A stream that can be had from the middle. */
export interface RangedBody extends Readable {
  /** Both ends included. Instead of this stream, which gives nothing any more. */
  range(first: number, last: number): Readable;
}

export interface HttpRequest {
  readonly method: string;
  /** `http` or `https`, as the client spoke it. */
  readonly protocol: 'http' | 'https';
  /** Host with port as received, lower case. */
  readonly host: string;
  /** Path as received, percent-encoding untouched, always starting with `/` (or `*`). */
  readonly path: string;
  /** Query without `?`; empty when there is none. */
  readonly query: string;
  readonly fields: Fields;
  readonly body: Body;
}

export interface HttpResponse {
  readonly status: number;
  /** Reason phrase; empty means the standard one. */
  readonly reason?: string;
  readonly fields: Fields;
  readonly body: Body;
  /** Complete once the body has ended; absent when the message cannot have any. */
  readonly trailers?: () => Fields;
  /** Of an answer of another POP: the last purge that was known there when its content was fetched. */
  readonly purgeSequence?: number;
  /** Of an answer of another POP: how long it is fresh there, in ms; negative when it is stale. */
  readonly freshForMs?: number;
}
