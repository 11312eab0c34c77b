/**
 * Tells when a project's own files change. What builds write (`.selvedge`), what is installed (`node_modules`) and
 * version control are not the project's own. One save touches many files, so a change is told after a quiet moment.
 */
import { watch } from 'node:fs';
import { type Clock, systemClock, type Timer } from '../../base/clock.ts';

/** Names of folders at any depth that are not watched; frameworks put their output into the later ones. */
const IGNORED = new Set(['node_modules', '.git', '.selvedge', '.next', '.nuxt', '.output', '.svelte-kit', '.cache']);
const QUIET_MS = 100;

export interface Watching {
  close(): void;
}

/** `onChange` gets project-relative names, each once. Throws Node's error when the folder cannot be watched. */
export function watchProject(
  dir: string,
  onChange: (files: readonly string[]) => void,
  clock: Clock = systemClock,
): Watching {
  let changed = new Set<string>();
  let quiet: Timer | undefined;
  const isIgnored = (path: string): boolean => path.split(/[/\\]/).some((part) => IGNORED.has(part));
  const watcher = watch(dir, { recursive: true, ignore: isIgnored }, (_event, file) => {
    if (file === null || isIgnored(file)) return;
    changed.add(file);
    quiet?.cancel();
    quiet = clock.setTimer(QUIET_MS, () => {
      const files = [...changed];
      changed = new Set();
      onChange(files);
    });
  });
  // A folder that vanishes while it is looked at is a change like any other.
  watcher.on('error', () => {});
  return {
    close() {
      quiet?.cancel();
      watcher.close();
    },
  };
}
