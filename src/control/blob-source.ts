/**
 * Where a POP takes blobs from: its own store first, else the control plane, checked against their name and kept.
 * On one machine both use the same directory and nothing is ever fetched.
 */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import type { BlobStore } from './blobs.ts';
import type { ControlAddress } from './discovery.ts';

export interface BlobSource {
  /** Path of a file that is here and whole; fetched when it was not. Rejects when nobody has it. */
  file(sha256: string): Promise<string>;
  /** The content, for small blobs such as manifests. */
  read(sha256: string): Promise<Buffer>;
  close(): Promise<void>;
}

export interface BlobSourceOptions {
  readonly blobs: BlobStore;
  /** Null: there is no control plane to ask. */
  readonly address: () => Promise<ControlAddress | null>;
}

export function createBlobSource({ blobs, address }: BlobSourceOptions): BlobSource {
  const agent = new Agent({ headersTimeout: 10_000, bodyTimeout: 30_000 });
  const running = new Map<string, Promise<void>>();

  const fetchOnce = (sha256: string): Promise<void> => {
    const known = running.get(sha256);
    if (known) return known;
    const fetching = fetchBlob(sha256).finally(() => running.delete(sha256));
    running.set(sha256, fetching);
    return fetching;
  };

  async function fetchBlob(sha256: string): Promise<void> {
    const from = await address();
    if (from === null) throw new Error(`blob ${sha256} is not here and there is no control plane to ask`);
    const answer = await request(new URL(`/v1/blobs/${sha256}`, from.url), {
      dispatcher: agent,
      headers: { authorization: `Bearer ${from.token}` },
    });
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      throw new Error(`blob ${sha256}: the control plane answered ${answer.statusCode}`);
    }
    await blobs.put(sha256, answer.body);
  }

  const file = async (sha256: string): Promise<string> => {
    if (!(await blobs.has(sha256))) await fetchOnce(sha256);
    return blobs.path(sha256);
  };

  return { file, read: async (sha256) => readFile(await file(sha256)), close: () => agent.destroy() };
}
