/** `core/deploy/bundle-esbuild`: bundles a project's own entries for Node. */
import { type BuildOptions, build } from 'esbuild';

export async function bundle(options: BuildOptions = {}): Promise<void> {
  await build({ bundle: true, platform: 'node', target: 'node24', logLevel: 'error', ...options });
}
