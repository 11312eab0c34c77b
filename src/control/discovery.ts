/**
 * How a command finds the control plane of this machine: `start` writes `control.json` (address and token, readable
 * by the owner only) into the data directory, commands read it. The token itself outlives restarts in `token`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

export interface ControlAddress {
  readonly url: string;
  readonly token: string;
}

const FOLDER = join('.selvedge', 'data');

/** `$SELVEDGE_DATA`, else `.selvedge/data` in the working directory. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): string {
  return resolve(cwd, env.SELVEDGE_DATA || FOLDER);
}

/**
 * Where a command looks for a running platform: as `defaultDataDir`, but also in the folders above, so that a
 * project inside the folder in which the platform was started finds it.
 */
export function findDataDir(env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): string {
  const own = defaultDataDir(env, cwd);
  if (env.SELVEDGE_DATA) return own;
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const candidate = join(folder, FOLDER);
    if (existsSync(addressFile(candidate))) return candidate;
    if (folder === dirname(folder)) return own;
  }
}

const addressFile = (dataDir: string): string => join(dataDir, 'control.json');

export async function writeControlAddress(dataDir: string, { url, token }: ControlAddress): Promise<void> {
  await replaceFile(addressFile(dataDir), `${JSON.stringify({ url, token })}\n`);
}

export async function removeControlAddress(dataDir: string): Promise<void> {
  await rm(addressFile(dataDir), { force: true });
}

/** Null when no platform was started with this data directory, or it ended properly. */
export async function readControlAddress(dataDir: string): Promise<ControlAddress | null> {
  try {
    const { url, token } = JSON.parse(await readFile(addressFile(dataDir), 'utf8')) as Partial<ControlAddress>;
    return typeof url === 'string' && typeof token === 'string' ? { url, token } : null;
  } catch (error) {
    const absent = error instanceof SyntaxError || ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
    if (absent) return null;
    throw error;
  }
}

/** The token of this data directory, made at the first call. */
export async function loadToken(dataDir: string): Promise<string> {
  const path = join(dataDir, 'token');
  const kept = await readFile(path, 'utf8').catch((error) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  });
  if (kept.trim() !== '') return kept.trim();
  const token = randomBytes(24).toString('base64url');
  await replaceFile(path, `${token}\n`);
  return token;
}

/** Whole or not at all, on the disk when it resolves, mode 0600. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code);
