/** Between the classic request and response objects and those of the Fetch standard. */
import { buffer } from 'node:stream/consumers';
import type { GuestResponse, GuestStream } from '../protocol.ts';
import type { Request } from './request.ts';

export function toWebRequest(request: Request): globalThis.Request {
  const { method, url, protocol, headers, body } = request.toGuest();
  const fields = new Headers();
  for (let at = 0; at < headers.length; at += 2) fields.append(headers[at]!, headers[at + 1]!);
  const host = request.getHeader('host') ?? 'localhost';
  const hasBody = method !== 'GET' && method !== 'HEAD' && body.length > 0;
  return new globalThis.Request(new URL(url, `${protocol}://${host}`), {
    method,
    headers: fields,
    ...(request.signal ? { signal: request.signal } : {}),
    ...(hasBody ? { body: new Uint8Array(body) } : {}),
  });
}

/** By shape, because a project may bring a Response class of its own (undici, node-fetch). */
export function isWebResponse(value: unknown): value is globalThis.Response {
  const candidate = value as Partial<globalThis.Response> | null;
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof candidate.status === 'number' &&
    typeof candidate.headers?.get === 'function' &&
    typeof candidate.arrayBuffer === 'function'
  );
}

export function fromWebResponse(response: globalThis.Response): GuestStream {
  const headers: string[] = [];
  response.headers.forEach((value, name) => {
    if (name !== 'set-cookie') headers.push(name, value);
  });
  for (const cookie of response.headers.getSetCookie()) headers.push('set-cookie', cookie);
  const stream = (response.body ?? new Blob([]).stream()) as ReadableStream<Uint8Array>;
  return { status: response.status, reason: response.statusText, headers, stream };
}

/** A streamed result collected. */
export async function wholeOf(result: GuestResponse | GuestStream): Promise<GuestResponse> {
  if (!('stream' in result)) return result;
  const { stream, ...head } = result;
  return { ...head, body: await buffer(stream as NodeJS.ReadableStream) };
}
