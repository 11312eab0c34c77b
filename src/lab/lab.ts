/**
 * The lab: starts the worlds that the wanted cases need, plays the cases, several at once where they do not disturb
 * each other, and ends everything. The same for the command line, for the tests and for whoever else provokes.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RequestView } from '../observe/request-view.ts';
import { type LabCase, type NamedPart, nameOf } from './case.ts';
import { CASES } from './cases/index.ts';
import { judge, type Verdict } from './judge.ts';
import { PeerKit } from './kit.ts';
import { LinkPeer } from './link-peer.ts';
import { LogBook } from './log-book.ts';
import { type PlatformProcess, runMain, sayMain, writeFiles } from './platform-process.ts';
import { composeProjects, type ProjectFiles } from './project.ts';
import { Scene } from './scene.ts';
import { fieldOf, type Seen } from './seen.ts';
import { WORLDS, type World, type WorldName } from './worlds.ts';

export interface Played {
  readonly case: LabCase;
  readonly seen: Seen;
  readonly verdict: Verdict;
}

export interface Lab extends AsyncDisposable {
  /** Plays one case, under a path below its own if told. Never rejects: what goes wrong is a difference. */
  play(it: LabCase, below?: string): Promise<Played>;
  /** Plays all cases of the lab, in any order; results come as they are there. */
  playAll(onPlayed: (played: Played) => void): Promise<readonly Played[]>;
  /** What `selvedge why` tells of it, or why it tells nothing. */
  why(played: Played): Promise<string>;
  /** The same for programs; null where nothing is told. */
  view(played: Played): Promise<RequestView | null>;
  readonly worlds: ReadonlyMap<WorldName, World>;
  readonly kit: PeerKit;
  /** Ends every process and peer, and removes the files. */
  close(): Promise<void>;
}

export interface LabOptions {
  /** Default: all. */
  readonly cases?: readonly LabCase[];
  /** Further routes of the world `main`, for who asks for them himself. */
  readonly parts?: readonly NamedPart[];
  /** The times of the world `main` are this much longer. Default 1. */
  readonly patience?: number;
  /** Told before anything is started, so that it can be ended at any time. */
  readonly onOpening?: (lab: Lab) => void;
}

/** Cases of one world at the same time. */
const AT_ONCE = 6;

export const worldOf = ({ world = 'main' }: LabCase): WorldName => world;

/** Rejects when a world does not start; then nothing is left running. */
export async function openLab({
  cases = CASES,
  parts: further = [],
  patience = 1,
  onOpening = () => {},
}: LabOptions = {}): Promise<Lab> {
  const home = await mkdtemp(join(tmpdir(), 'sv-lab-'));
  const kit = await PeerKit.open();
  const parts: Parts = {
    home,
    further,
    patience,
    kit,
    link: await LinkPeer.open(kit.certificates),
    starting: new Map(),
    worlds: new Map(),
  };
  const lab = new RunningLab(cases, parts);
  onOpening(lab);
  try {
    await writeCertificates(home, kit.certificates);
    const wanted = cases.map(worldOf);
    const names = new Set([...wanted, ...wanted.flatMap((name) => WORLDS[name].needs ?? [])]);
    await Promise.all([...names].map((name) => openWorld(name, cases, parts)));
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

interface Parts {
  readonly home: string;
  readonly further: readonly NamedPart[];
  readonly patience: number;
  readonly kit: PeerKit;
  readonly link: LinkPeer;
  readonly starting: Map<WorldName, Promise<PlatformProcess>>;
  readonly worlds: Map<WorldName, World>;
}

/** What configurations name: the authority of the lab, and the certificate that its POPs show each other. */
async function writeCertificates(home: string, { ca, good }: PeerKit['certificates']): Promise<void> {
  const files = { 'ca.pem': ca, 'pop.pem': good.cert, 'pop-key.pem': good.key };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(home, name), text)));
}

async function openWorld(name: WorldName, cases: readonly LabCase[], parts: Parts): Promise<void> {
  const own: NamedPart[] = cases.filter((it) => worldOf(it) === name).map((it) => ({ ...it, name: nameOf(it) }));
  if (name === 'main') own.push(...parts.further);
  const process = await startWorld(name, parts);
  const projects = await composeProjects(own, parts.kit, process);
  if (name === 'main' && process.link) parts.link.globalPort = Number(new URL(process.link).port);
  const hosts = WORLDS[name].deploys ? await deployAll(name, process, projects, parts) : new Map<string, string>();
  parts.worlds.set(name, {
    name,
    process,
    port: process.port,
    log: new LogBook(join(process.data, 'logs', 'access.ndjson')),
    host: (project) => hosts.get(project) ?? `${project}-default.localhost`,
  });
}

function startWorld(name: WorldName, parts: Parts): Promise<PlatformProcess> {
  const known = parts.starting.get(name);
  if (known) return known;
  const { home, kit, link, patience } = parts;
  const starting = WORLDS[name].start({ home, kit, link, patience, main: () => startWorld('main', parts) }, name);
  parts.starting.set(name, starting);
  return starting;
}

async function deployAll(
  world: WorldName,
  { data }: PlatformProcess,
  projects: ReadonlyMap<string, ProjectFiles>,
  { home }: Parts,
): Promise<ReadonlyMap<string, string>> {
  const hosts = await Promise.all(
    [...projects].map(async ([name, files]) => {
      const folder = join(home, `${world}-${name}`);
      await writeFiles(folder, files);
      const shown = await runMain<{ url: string }>(['deploy', folder, '--data', data, '--project', name]);
      return [name, new URL(shown.url).hostname] as const;
    }),
  );
  return new Map(hosts);
}

class RunningLab implements Lab {
  readonly #cases: readonly LabCase[];
  readonly #parts: Parts;

  constructor(cases: readonly LabCase[], parts: Parts) {
    this.#cases = cases;
    this.#parts = parts;
  }

  get worlds(): ReadonlyMap<WorldName, World> {
    return this.#parts.worlds;
  }

  get kit(): PeerKit {
    return this.#parts.kit;
  }

  async play(it: LabCase, below?: string): Promise<Played> {
    const { worlds, kit, link } = this.#parts;
    const world = worlds.get(worldOf(it))!;
    const scene = new Scene(it, { world, kit, link, worlds: (name) => worlds.get(name)! }, below);
    try {
      const seen = await (it.provoke ?? ((played) => played.ask()))(scene);
      // What was refused before it could be read has an id of the platform's.
      const requestId = fieldOf(seen, 'x-sv-request-id') ?? scene.requestId;
      return { case: it, seen, verdict: judge(it, seen, await world.log.find(requestId), requestId) };
    } catch (error) {
      return failed(it, scene.requestId, error);
    }
  }

  async playAll(onPlayed: (played: Played) => void): Promise<readonly Played[]> {
    const played: Played[] = [];
    const playOne = async (it: LabCase): Promise<void> => {
      const one = await this.play(it);
      played.push(one);
      onPlayed(one);
    };
    const byWorld = [...Map.groupBy(this.#cases, worldOf).values()];
    await Promise.all(
      byWorld.map(async (cases) => {
        await inTurns(
          cases.filter(({ alone }) => !alone),
          AT_ONCE,
          playOne,
        );
        const last = cases
          .filter(({ alone }) => alone)
          .sort((a, b) => Number(a.ends ?? false) - Number(b.ends ?? false));
        await inTurns(last, 1, playOne);
      }),
    );
    return played;
  }

  why({ case: it, verdict }: Played): Promise<string> {
    const { data } = this.#parts.worlds.get(worldOf(it))!.process;
    return sayMain(['why', verdict.requestId, '--data', data]).catch((error: Error) => error.message);
  }

  view({ case: it, verdict }: Played): Promise<RequestView | null> {
    const { data } = this.#parts.worlds.get(worldOf(it))!.process;
    return runMain<RequestView>(['why', verdict.requestId, '--data', data]).catch(() => null);
  }

  async close(): Promise<void> {
    const { starting, kit, link, home } = this.#parts;
    const processes = await Promise.allSettled(starting.values());
    const started = processes.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
    // Peers first: nothing that still waits for one of them holds the draining up.
    await Promise.all([kit[Symbol.asyncDispose](), link[Symbol.asyncDispose]()]);
    await Promise.all(started.map((process) => process.stop()));
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function failed(it: LabCase, requestId: string, error: unknown): Played {
  const seen: Seen = { status: null, reason: '', raw: [], body: Buffer.alloc(0), complete: false, elapsedMs: 0 };
  const verdict = judge(it, seen, [], requestId);
  return { case: it, seen, verdict: { ...verdict, differences: [`the provocation failed: ${String(error)}`] } };
}

/** Runs `work` for each item, `atOnce` at the same time. */
async function inTurns<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const run = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}

/** Cases of a code, or of one variant of it. */
export const findCases = (code: number, variant?: string): readonly LabCase[] =>
  CASES.filter((it) => nameOf(it).startsWith(`${code}/`) && (variant === undefined || it.variant === variant));
