import { EventEmitter } from 'node:events';
import { watch as watchPath } from 'node:fs';
import { join } from 'node:path';

export interface Watcher extends EventEmitter {
  close(): void;
}

/** Emits `all` and `change` with a path when something below one of the paths changes. For development only. */
export function watch(paths: string | readonly string[]): Watcher {
  const emitter = new EventEmitter();
  const watchers = [paths].flat().map((path) =>
    watchPath(path, { recursive: true, persistent: false }, (_, name) => {
      const changed = name === null ? path : join(path, name);
      emitter.emit('change', changed);
      emitter.emit('all', 'change', changed);
    }),
  );
  return Object.assign(emitter, { close: () => void watchers.map((watcher) => watcher.close()) });
}
export { watch as default };
