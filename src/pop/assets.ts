/**
 * Static files of a deployment: a path template and params become a file of the manifest, and the file an answer.
 * A directory serves its `index.html`, and a trailing slash does not matter. Source: spec "Platform", section 3.
 */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Asset } from '../artifact/manifest.ts';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import type { Site } from './site.ts';

/** Local file with a blob's content; fetched first where this machine has not got it. */
export type BlobFile = (sha256: string) => Promise<string>;

const READ_WHOLE_BYTES = 256 * 1024;
const YEAR_SECONDS = 31_536_000;

/** The file that a project path names, or undefined. `path` has no leading `/` or `./`. */
export function findAsset({ manifest }: Site, path: string): Asset | undefined {
  const name = assetNames(path).find((candidate) => Object.hasOwn(manifest.assets, candidate));
  return name === undefined ? undefined : manifest.assets[name];
}

export function hasPermanentFiles({ manifest }: Site): boolean {
  return Object.values(manifest.assets).some(({ permanent }) => permanent);
}

/** Under which names a path may be stored; none for a path that leaves its folder. */
export function assetNames(path: string): string[] {
  const segments = decode(path)
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) return [];
  const name = segments.join('/');
  return name === '' ? ['index.html'] : [name, `${name}/index.html`];
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export async function assetResponse(asset: Asset, blobFile: BlobFile, createdAt: string): Promise<HttpResponse> {
  const file = await blobFile(asset.sha256);
  const fields = Fields.from([
    ['content-type', asset.type],
    ['content-length', String(asset.bytes)],
    ['etag', `"${asset.sha256.slice(0, 32)}"`],
    ['last-modified', new Date(createdAt).toUTCString()],
  ]);
  if (asset.permanent) fields.set('cache-control', `public, max-age=${YEAR_SECONDS}, immutable`);
  const body = asset.bytes <= READ_WHOLE_BYTES ? await readFile(file) : createReadStream(file);
  return { status: 200, fields, body };
}
