/** Bodies as project code wants to see them: content codings undone, text as strings. RFC 9110 section 8.4. */
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';

type Decode = (bytes: Buffer) => Buffer;
const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  br: brotliDecompressSync,
  // Some servers send raw deflate data under this name.
  deflate: (bytes) => ((bytes[0]! & 0x0f) === 8 ? inflateSync(bytes) : inflateRawSync(bytes)),
  zstd: zstdDecompressSync,
  identity: (bytes) => bytes,
};

/** An upstream's body is not what its Content-Encoding says, or that is a coding that nobody knows here. */
export class ContentCodingError extends Error {
  readonly code = 'ERR_CONTENT_CODING';
  readonly coding: string;

  constructor(coding: string, cause: unknown) {
    super(`the upstream's body cannot be decoded (content-encoding: ${coding})`, { cause });
    this.name = 'ContentCodingError';
    this.coding = coding;
  }
}

/** Undoes all content codings, last one first. Throws when one is unknown or the data is broken. */
export function decodeContent(bytes: Buffer, contentEncoding: string | undefined): Buffer {
  if (bytes.length === 0) return bytes;
  const codings = (contentEncoding ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter(Boolean);
  return codings.reduceRight((data, coding) => {
    const decode = DECODERS[coding];
    if (!decode) throw new Error(`cannot decode content-encoding '${coding}'`);
    return decode(data);
  }, bytes);
}

/** Whether a media type is text; without one, whether the bytes are valid UTF-8. */
export function isText(contentType: string | undefined, bytes: Buffer): boolean {
  if (contentType === undefined) return isUtf8(bytes);
  return /^\s*(text\/|[^;]*(json|javascript|ecmascript|xml|x-www-form-urlencoded|graphql))/i.test(contentType);
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const charsetOf = (contentType: string | undefined): string =>
  /;\s*charset\s*=\s*"?([\w-]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase() ?? 'utf-8';

export function decodeCharset(bytes: Buffer, contentType: string | undefined): string {
  try {
    return new TextDecoder(charsetOf(contentType), { ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes.toString();
  }
}

/** Text as bytes, and the media type that is true for them: a charset that cannot be written becomes UTF-8. */
export function encodeCharset(text: string, contentType: string | undefined): { bytes: Buffer; contentType?: string } {
  if (/^utf-?8$/.test(charsetOf(contentType))) return { bytes: Buffer.from(text) };
  return { bytes: Buffer.from(text), contentType: contentType!.replace(/(;\s*charset\s*=\s*)"?[\w-]+"?/i, '$1utf-8') };
}

/** Any value a project may give as a body. Objects become JSON. */
export function bytesOf(body: unknown): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (typeof body === 'string') return Buffer.from(body);
  if (Buffer.isBuffer(body)) return body;
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (body instanceof ArrayBuffer) return Buffer.from(body);
  return Buffer.from(typeof body === 'object' ? JSON.stringify(body) : String(body));
}
