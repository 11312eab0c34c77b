/**
 * A body that is not sent although its client is still there: an answer to HEAD, a 304, an unsatisfiable range. A body
 * of this client alone is ended with its source; one that is being stored for others goes on being stored.
 */
import type { Readable } from 'node:stream';
import type { Body } from './message.ts';

export interface SharedBody extends Readable {
  /** Instead of reading or destroying it. */
  letGo(): void;
}

const isShared = (body: Readable): body is SharedBody => 'letGo' in body;

export function letGo(body: Body): void {
  if (body === null || Buffer.isBuffer(body)) return;
  body.on('error', () => {});
  if (isShared(body)) body.letGo();
  else body.destroy();
}
