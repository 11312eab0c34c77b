/** Small pieces of wire work that guest and platform both need. */
import type { Readable } from 'node:stream';

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** Flat header lines without those of the given lower-case names. */
export function withoutFields(raw: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2)
    if (!names.includes(raw[at]!.toLowerCase())) kept.push(raw[at]!, raw[at + 1]!);
  return kept;
}

/** 4 bytes length (big endian), JSON, then the body: how the broker's messages are framed. */
export function frameHead(head: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json]);
}

export function readFrame<Head>(frame: Buffer): { readonly head: Head; readonly body: Buffer } {
  const end = 4 + frame.readUInt32BE(0);
  return { head: JSON.parse(frame.toString('utf8', 4, end)) as Head, body: frame.subarray(end) };
}
