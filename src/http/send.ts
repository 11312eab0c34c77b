/**
 * Sends one framed response over a `ServerResponse`, pulling a streamed body only as fast as the client takes it.
 * What the head promised is kept: a body that fails, is cut short or runs over its length cuts the connection
 * (rule R7: after the head is out the code cannot change).
 */
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Framed } from './frame.ts';

export interface Delivery {
  /** Body bytes handed to the connection, framing not counted. */
  readonly bytes: number;
  /** False when the client left, or the body failed after the head was out. */
  readonly completed: boolean;
  /** What the body failed with, when it was the body that failed. */
  readonly error?: unknown;
}

export interface SendHooks {
  /** Cuts the connection; the client must see that the message is incomplete. */
  readonly cut: () => void;
  /** Called before the last byte is handed over. */
  readonly beforeEnd: () => void;
}

/** Throws, with nothing sent, when a line of the head is not sendable; never rejects later. */
export function send(res: ServerResponse, framed: Framed, hooks: SendHooks): Promise<Delivery> {
  res.sendDate = false;
  res.removeHeader('connection'); // Node would add its own; ours is in the head where one is needed
  res.writeHead(framed.status, framed.reason, framed.head);
  const { body } = framed;
  return body === null || Buffer.isBuffer(body) ? sendWhole(res, framed, body, hooks) : pump(res, framed, body, hooks);
}

function sendWhole(res: ServerResponse, framed: Framed, body: Buffer | null, hooks: SendHooks): Promise<Delivery> {
  const { promise, resolve } = Promise.withResolvers<Delivery>();
  const bytes = body?.length ?? 0;
  res.on('finish', () => resolve({ bytes, completed: true }));
  res.on('close', () => resolve({ bytes: 0, completed: false }));
  hooks.beforeEnd();
  if (body !== null && bytes > 0) res.write(body);
  endWithTrailers(res, framed);
  return promise;
}

function pump(res: ServerResponse, framed: Framed, body: Readable, hooks: SendHooks): Promise<Delivery> {
  const { promise, resolve } = Promise.withResolvers<Delivery>();
  let bytes = 0;
  let settled = false;
  const settle = (delivery: Delivery): void => {
    if (settled) return;
    settled = true;
    body.off('data', onData);
    body.destroy();
    resolve(delivery);
  };
  const fail = (error: unknown): void => {
    if (settled || res.writableEnded) return;
    settle({ bytes, completed: false, error });
    hooks.cut();
  };
  const onData = (chunk: Buffer): void => {
    if (framed.length !== undefined && bytes + chunk.length > framed.length) {
      fail(new Error(`body is longer than the declared ${framed.length} bytes`));
      return;
    }
    bytes += chunk.length;
    if (!res.write(chunk)) body.pause();
    // All that was promised is there: a client may leave now, before the source has noticed that it is at its end.
    if (bytes === framed.length) end();
  };
  const end = (): void => {
    if (res.writableEnded) return;
    hooks.beforeEnd();
    endWithTrailers(res, framed);
  };
  res.on('drain', () => body.resume());
  res.on('finish', () => settle({ bytes, completed: true }));
  res.on('close', () => settle({ bytes, completed: res.writableEnded && bytes === framed.length }));
  body.on('error', fail);
  body.on('close', () => {
    if (!body.readableEnded) fail(new Error('body closed before its end'));
  });
  body.on('end', () => {
    if (framed.length !== undefined && bytes < framed.length) {
      fail(new Error(`body ended after ${bytes} of the declared ${framed.length} bytes`));
      return;
    }
    end();
  });
  // A head without a first byte to travel with goes alone: the client of an event stream waits for it.
  // Not `flushHeaders`: that would encode bytes beyond ASCII once more, as UTF-8.
  if (body.readableLength === 0) res.write('', 'latin1');
  body.on('data', onData);
  return promise;
}

function endWithTrailers(res: ServerResponse, { trailers }: Framed): void {
  const raw = trailers?.().raw ?? [];
  if (raw.length > 0) {
    const pairs: [string, string][] = [];
    for (let at = 0; at < raw.length; at += 2) pairs.push([raw[at]!, raw[at + 1]!]);
    res.addTrailers(pairs);
  }
  res.end();
}
