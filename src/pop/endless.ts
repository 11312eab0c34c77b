/**
 * Answers that never end by themselves, event streams and tunnels: a POP that drains ends them politely at once,
 * because waiting for them would only mean to cut them later. Their clients connect again, elsewhere.
 */
import { PassThrough } from 'node:stream';
import type { HttpResponse } from '../http/message.ts';

/** The response with a body that ends when `drained` fires; anything but an event stream is returned as it is. */
export function endingWhenDrained(response: HttpResponse, drained: AbortSignal): HttpResponse {
  const { body, fields } = response;
  const type = fields.get('content-type')?.trimStart().toLowerCase();
  if (!type?.startsWith('text/event-stream') || body === null || Buffer.isBuffer(body)) return response;
  const ending = new PassThrough();
  body.on('error', (error) => ending.destroy(error));
  body.pipe(ending);
  const stop = whenDrained(drained, () => {
    body.unpipe(ending);
    ending.end();
  });
  ending.on('close', () => {
    stop();
    body.destroy();
  });
  return { ...response, body: ending };
}

/** Calls `end` when the signal fires, at once if it has. Returns the function that forgets about it. */
export function whenDrained(drained: AbortSignal, end: () => void): () => void {
  if (drained.aborted) end();
  else drained.addEventListener('abort', end, { once: true });
  return () => drained.removeEventListener('abort', end);
}
