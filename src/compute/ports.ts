/**
 * Ports for app servers. Taken from below the range from which systems pick ephemeral ports, so that between our
 * look and the app's `listen` no outgoing connection can take one away.
 */
import { createServer } from 'node:net';

const FIRST = 20_000;
const COUNT = 12_000;

export class Ports {
  readonly #taken = new Set<number>();
  #next = Math.floor(Math.random() * COUNT);

  async take(): Promise<number> {
    for (let tries = 0; tries < COUNT; tries++) {
      const port = FIRST + (this.#next++ % COUNT);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await isFree(port)) return port;
      this.#taken.delete(port);
    }
    throw new Error('no free port for an app server');
  }

  give(port: number): void {
    this.#taken.delete(port);
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    // Without a host: an app that listens on every address must find the port free as well.
    probe.listen(port, () => probe.close(() => resolve(true)));
  });
