/**
 * Static files of a deployment: what routes serve and what a connector staged, as content-addressed assets under
 * their project-relative paths. Which URL leads to which file, `index.html` included, is the POP's affair.
 */
import { extname, join, matchesGlob } from 'node:path';
import { contentType } from 'mime-types';
import type { Recording } from '../router/protocol.ts';
import type { BlobFolder } from './blobs.ts';
import type { BrowserFile } from './browser.ts';
import { stageDirectories } from './compat/stage.ts';
import { expand, type FoundFile, hidden, walk } from './files.ts';
import type { Asset } from './manifest.ts';
import { type Problems, projectPath } from './problems.ts';

export interface AssetRequest {
  readonly projectDir: string;
  readonly staticFiles: Recording['staticFiles'];
  /** Globs of the configuration. */
  readonly globs: readonly string[];
  /** Null when no connector ran. */
  readonly stageDir: string | null;
  /** Bundled for browsers by this build; they take the place of their sources. */
  readonly browserFiles?: readonly BrowserFile[];
  readonly blobs: BlobFolder;
  /** Files taken so far, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

interface Staged {
  readonly file: string;
  readonly permanent: boolean;
  /** Where the path does not tell it. */
  readonly type?: string;
}

const DEFAULT_TYPE = 'application/octet-stream';

/** With charset where the type has one. */
export const mediaType = (path: string): string => contentType(extname(path)) || DEFAULT_TYPE;

/** Sorted by path. Files that are not there were told by the recording, with the route that wants them. */
export async function collectAssets(request: AssetRequest, problems: Problems): Promise<Record<string, Asset>> {
  const staged = new Map<string, Staged>();
  // Later sources win: what a connector staged was made for this very build.
  await fromProject(request, staged, problems);
  await fromStage(request, staged, problems);
  for (const one of request.browserFiles ?? []) staged.set(one.path, one);
  const paths = [...staged.keys()].sort();
  let done = 0;
  const refs = await request.blobs.addFiles(
    paths.map((path) => staged.get(path)!.file),
    () => request.onProgress?.(++done, paths.length),
  );
  return Object.fromEntries(paths.map((path, at) => [path, assetOf(path, refs[at]!, staged.get(path)!)]));
}

const assetOf = (path: string, ref: { sha256: string; bytes: number }, { permanent, type }: Staged): Asset => ({
  sha256: ref.sha256,
  bytes: ref.bytes,
  type: type ?? mediaType(path),
  ...(permanent ? { permanent: true } : {}),
});

async function fromProject(request: AssetRequest, staged: Map<string, Staged>, problems: Problems): Promise<void> {
  const { projectDir: root, staticFiles, globs } = request;
  for (const { path, permanent, exclude } of staticFiles) {
    const found = await walk(join(root, path), { root, leaveOut: hidden, problems });
    for (const one of found) {
      const name = one.path === '' ? path : join(path, one.path);
      if (!isExcluded(one, name, exclude)) add(staged, name, one.file, permanent);
    }
  }
  for (const pattern of globs) {
    const found = await expand(pattern, { root, problems });
    if (found.length === 0) problems.warn(`\`staticAssets\`: nothing matches \`${pattern}\`.`);
    for (const { file } of found) add(staged, projectPath(root, file), file, false);
  }
}

/** Globs of a route are relative to its folder, or to the project. */
const isExcluded = ({ path }: FoundFile, name: string, exclude: readonly string[]): boolean =>
  exclude.some((pattern) => matchesGlob(path, pattern) || matchesGlob(name, pattern));

function add(staged: Map<string, Staged>, path: string, file: string, permanent: boolean): void {
  staged.set(path, { file, permanent: permanent || (staged.get(path)?.permanent ?? false) });
}

async function fromStage({ stageDir }: AssetRequest, staged: Map<string, Staged>, problems: Problems): Promise<void> {
  if (stageDir === null) return;
  const { assets, permanentAssets } = stageDirectories(stageDir);
  for (const [root, permanent] of [
    [assets, false],
    [permanentAssets, true],
  ] as const)
    for (const { file, path } of await walk(root, { root, leaveOut: secret, problems }))
      add(staged, path, file, permanent);
}

/** A connector stages what it wants published, folders such as `.next` included. */
const secret = (name: string): boolean => name.startsWith('.env') || name === '.git' || name === '.DS_Store';
