/**
 * Unpacks the server bundle of a deployment into a folder of its own, once: made aside and renamed into place, so
 * that a folder that is there is whole. Files are read-only to whoever runs in them.
 */

import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DeploymentManifest } from '../../artifact/manifest.ts';

/** `blobFile` gives the path of a blob's content. The folder is `<data>/bundles/<manifest>`. */
export function bundleUnpacker(data: string, blobFile: (sha256: string) => Promise<string>) {
  const running = new Map<string, Promise<string>>();
  return async (manifest: DeploymentManifest, sha256: string): Promise<string> => {
    const known = running.get(sha256);
    if (known) return known;
    const unpacking = unpack(manifest, join(data, 'bundles', sha256), blobFile).finally(() => running.delete(sha256));
    running.set(sha256, unpacking);
    return unpacking;
  };
}

async function unpack(
  { server }: DeploymentManifest,
  folder: string,
  blobFile: (sha256: string) => Promise<string>,
): Promise<string> {
  if (await exists(folder)) return folder;
  const aside = `${folder}.${randomUUID()}`;
  for (const { path, sha256, executable } of server?.files ?? []) {
    const target = join(aside, path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(await blobFile(sha256), target);
    await chmod(target, executable ? 0o555 : 0o444);
  }
  try {
    await rename(aside, folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!(await exists(folder))) throw error;
  }
  return folder;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
