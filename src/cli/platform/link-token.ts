/** The secret that edges prove themselves to their global POP with: configured, or made once in the data directory. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlatformConfig } from '../../config/platform.ts';
import { replaceFile } from '../../control/discovery.ts';

export async function loadLinkToken(config: PlatformConfig): Promise<string> {
  if (config.pop.linkToken !== undefined) return config.pop.linkToken;
  const path = join(config.data, 'link-token');
  const kept = await readFile(path, 'utf8').catch(() => '');
  if (kept.trim() !== '') return kept.trim();
  const token = randomBytes(24).toString('base64url');
  await replaceFile(path, `${token}\n`);
  return token;
}
