/** Where a case is played: its world, its address, and what it may do as a client. */
import { randomUUID } from 'node:crypto';
import { type LabCase, nameOf } from './case.ts';
import type { PeerKit } from './kit.ts';
import type { LinkPeer } from './link-peer.ts';
import { projectOf } from './project.ts';
import { ask, askBytes, type Question, type Seen } from './seen.ts';
import type { World, WorldName } from './worlds.ts';

export interface SceneParts {
  readonly world: World;
  readonly kit: PeerKit;
  readonly link: LinkPeer;
  readonly worlds: (name: WorldName) => World;
}

export class Scene {
  readonly case: LabCase;
  readonly world: World;
  readonly kit: PeerKit;
  /** What the edge of the world `link` takes for its global POP. */
  readonly link: LinkPeer;
  /** Of this run; the client gives it, so that it is known whatever comes back. */
  readonly requestId: string;
  readonly #worlds: (name: WorldName) => World;

  readonly #below: string;

  /** `below`: the case is played under this path below its own, so that nobody shares its answer. */
  constructor(it: LabCase, parts: SceneParts, below = '') {
    this.#below = below;
    this.case = it;
    this.world = parts.world;
    this.kit = parts.kit;
    this.link = parts.link;
    this.#worlds = parts.worlds;
    this.requestId = `lab-${nameOf(it).replace('/', '-')}-${randomUUID().slice(0, 8)}`;
  }

  get port(): number {
    return this.world.port;
  }

  /** Host of the case's project. */
  get host(): string {
    return this.world.host(projectOf(this.case));
  }

  get path(): string {
    return `/${nameOf(this.case)}${this.#below}`;
  }

  other(name: WorldName): World {
    return this.#worlds(name);
  }

  /** Asks for the path of the case, unless told otherwise. */
  ask(more: Partial<Omit<Question, 'port'>> = {}): Promise<Seen> {
    const { method, headers } = this.case;
    return ask({
      port: this.port,
      host: this.host,
      path: this.path,
      ...(method === undefined ? {} : { method }),
      ...more,
      headers: {
        accept: 'application/problem+json',
        'x-request-id': this.requestId,
        ...headers,
        ...more.headers,
      },
    });
  }

  /** A request beside the one that counts, to take up room. Ended by the signal, if it does not end by itself. */
  beside(more: Partial<Omit<Question, 'port'>> = {}): Promise<Seen> {
    const headers = { 'x-request-id': `beside-${randomUUID()}` };
    return ask({
      port: this.port,
      host: this.host,
      path: this.path,
      ...more,
      headers: { ...headers, ...more.headers },
    });
  }

  /** A GET of the case's path as bytes, further lines included. */
  bytes(lines: string, start = `GET ${this.path} HTTP/1.1`): Promise<Seen> {
    return askBytes(this.port, `${start}\r\n${lines}x-request-id: ${this.requestId}\r\n\r\n`);
  }
}
