/**
 * A whole platform as an operator starts it: a real process tree on a data directory of its own, projects deployed
 * through the command line, and clients that speak to it over real sockets under any host name.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestView, TellingView } from '../../src/observe/request-view.ts';
import { type CliResult, cliHere, finished } from './cli.ts';
import { type Answer, type Ask, ask, openClient } from './client.ts';
import { isAlive } from './project-bundle.ts';
import { until } from './until.ts';

export interface PlatformOptions {
  /** As in a configuration file; parts are merged over what the tests use. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folder that outlives the platform, for one that is started again; its maker removes it. */
  readonly home?: string;
  /** Started in this folder, without naming a data directory. */
  readonly cwd?: string;
}

/** A line of the access log or of the server log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface Site {
  /** Host name of the environment, without port. */
  readonly host: string;
  /** Host name of this deployment for ever. */
  readonly permalink: string;
  readonly deployment: number;
  /** A path, or everything else about a request as well. */
  ask(path: string, more?: Omit<Ask, 'path' | 'host' | 'port'>): Promise<Answer>;
}

export interface Platform extends AsyncDisposable {
  /** Port for clients. */
  readonly port: number;
  /** Port for clients that speak TLS, where the configuration asks for one. */
  readonly tlsPort: number | undefined;
  readonly control: { readonly url: string; readonly token: string };
  /** Address of the link listener, where a global POP runs. */
  readonly link: string | undefined;
  readonly data: string;
  /** Everything that the processes said on stderr. */
  readonly stderr: string;
  readonly child: ChildProcess;
  deploy(project: string, files: Readonly<Record<string, string>>, more?: DeployOptions): Promise<Site>;
  request(options: Omit<Ask, 'port'>): Promise<Answer>;
  /** A connection of its own for a client that speaks bytes. */
  connect(): ReturnType<typeof openClient>;
  /** The access record of a request; waits until it is written. */
  log(requestId: string): Promise<LogLine>;
  /** All lines of a request that are there now. */
  logs(requestId: string, kind?: 'access' | 'server' | 'all'): Promise<LogLine[]>;
  /** What the Control API tells of a request; waits until it tells what is `expected` of its newest use. */
  why(requestId: string, expected?: (telling: TellingView) => boolean): Promise<TellingView>;
  /** Access records of a request as they stand in the files: for a machine without a control plane. */
  records(requestId: string): LogLine[];
  /** Processes of the platform whose command line has the word, workers included. */
  processes(): number[];
  /** Ends it as an operator does; fails when a process stays behind. */
  stop(): Promise<void>;
}

export interface DeployOptions {
  readonly environment?: string;
  /** Environment variables of the build. */
  readonly env?: Readonly<Record<string, string>>;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const FAST: Readonly<Record<string, unknown>> = {
  listen: { host: '127.0.0.1' },
  // what one edge process does; stories about several say how many
  pop: { processes: 1 },
  log: { flushMs: 10 },
  limits: { drainMs: 2_000 },
};

export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const { config = {}, args = [], env = {} } = options;
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'sv-platform-'));
  const data = options.cwd === undefined ? join(home, 'data') : join(options.cwd, '.selvedge', 'data');
  const file = join(home, 'selvedge.yaml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(merged(FAST, config)));
  const base = ['start', '--config', file, '--http-port', '0', '--control-port', '0', '--json'];
  const where = options.cwd === undefined ? ['--data', data] : [];
  const child = spawn(process.execPath, [MAIN, ...base, ...where, ...args], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  const ready = await firstLine(child, said);
  const port = Number(new URL(ready.http ?? 'http://none:0').port);
  return new RunningPlatform({ child, said, ready, port, home, data, keeps: options.home !== undefined });
}

/** The whole command line in a process of its own, for what starts platforms and fails. */
export async function selvedge(...args: readonly string[]): Promise<CliResult> {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  return finished(spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

interface Ready {
  readonly http: string | null;
  readonly https?: string;
  readonly control: string | null;
  readonly token: string | null;
  readonly link?: string;
}

async function firstLine(child: ChildProcess, said: { stdout: string; stderr: string }): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
    const end = said.stdout.indexOf('\n');
    if (end >= 0) resolve(said.stdout.slice(0, end));
  });
  child.once('close', (code) => reject(new Error(`the platform ended with ${code}: ${said.stderr}`)));
  return JSON.parse(await promise) as Ready;
}

interface Init {
  readonly child: ChildProcess;
  readonly said: { stdout: string; stderr: string };
  readonly ready: Ready;
  readonly port: number;
  readonly home: string;
  readonly data: string;
  readonly keeps: boolean;
}

class RunningPlatform implements Platform {
  readonly child: ChildProcess;
  readonly port: number;
  readonly tlsPort: number | undefined;
  readonly control: Platform['control'];
  readonly link: string | undefined;
  readonly data: string;
  readonly #home: string;
  readonly #keeps: boolean;
  readonly #said: { stderr: string };
  #projects = 0;

  constructor({ child, said, ready, port, home, data, keeps }: Init) {
    this.child = child;
    this.port = port;
    this.tlsPort = ready.https === undefined ? undefined : Number(new URL(ready.https).port);
    this.control = { url: ready.control ?? '', token: ready.token ?? '' };
    this.link = ready.link;
    this.data = data;
    this.#home = home;
    this.#keeps = keeps;
    this.#said = said;
  }

  get stderr(): string {
    return this.#said.stderr;
  }

  async deploy(project: string, files: Readonly<Record<string, string>>, more: DeployOptions = {}): Promise<Site> {
    const dir = join(this.#home, `project-${++this.#projects}`);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), content);
    }
    const place = ['--project', project, ...(more.environment ? ['--environment', more.environment] : [])];
    const result = await cliHere(['deploy', dir, '--data', this.data, '--json', ...place], { env: more.env ?? {} });
    assert.equal(result.code, 0, `deploying ${project}: ${result.stderr}`);
    const shown = JSON.parse(result.stdout) as { deployment: number; url: string; permalink: string };
    const host = new URL(shown.url).hostname;
    return {
      host,
      permalink: new URL(shown.permalink).hostname,
      deployment: shown.deployment,
      ask: (path, options = {}) => this.request({ ...options, host, path }),
    };
  }

  request(options: Omit<Ask, 'port'>): Promise<Answer> {
    return ask({ ...options, port: this.port });
  }

  connect(): ReturnType<typeof openClient> {
    return openClient(this.port);
  }

  async logs(requestId: string, kind: 'access' | 'server' | 'all' = 'all'): Promise<LogLine[]> {
    const query = new URLSearchParams({ kind, requestId });
    const response = await fetch(`${this.control.url}/v1/logs?${query}`, {
      headers: { authorization: `Bearer ${this.control.token}` },
    });
    assert.equal(response.status, 200);
    const text = await response.text();
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as LogLine);
  }

  log(requestId: string): Promise<LogLine> {
    return until(`an access record of ${requestId}`, async () => (await this.logs(requestId, 'access'))[0]);
  }

  why(requestId: string, expected: (telling: TellingView) => boolean = () => true): Promise<TellingView> {
    return until(`the story of ${requestId}`, async () => {
      const response = await fetch(`${this.control.url}/v1/requests/${encodeURIComponent(requestId)}`, {
        headers: { authorization: `Bearer ${this.control.token}` },
      });
      if (response.status === 404) return undefined;
      assert.equal(response.status, 200);
      const [newest] = ((await response.json()) as RequestView).tellings;
      return newest && isTold(newest) && expected(newest) ? newest : undefined;
    });
  }

  records(requestId: string): LogLine[] {
    const directory = join(this.data, 'logs');
    const files = readdirSync(directory).filter((name) => name.includes('access'));
    const lines = files.flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'));
    const whole = lines.filter((line) => line.endsWith('}') && line.includes(requestId));
    return whole.map((line) => JSON.parse(line) as LogLine);
  }

  processes(): number[] {
    return descendants(this.child.pid!);
  }

  async stop(): Promise<void> {
    const pids = [this.child.pid!, ...this.processes()];
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      await once(this.child, 'exit');
    }
    try {
      assert.equal(this.child.exitCode, 0, `the platform ended in order: ${this.stderr}`);
      await until('every process to be gone', () => !pids.some(isAlive));
    } finally {
      for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
      if (!this.#keeps) rmSync(this.#home, { recursive: true, force: true });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** The access log may be written a moment earlier; of a plain hit there is nothing else. */
const isTold = ({ source, story }: TellingView): boolean => source === 'story' || story.cache?.metric === 'hit';

/** Children, their children and so on. */
export function descendants(pid: number): number[] {
  let children: number[] = [];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Resident memory in MB. */
export function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kb ?? 0) / 1024;
}

type Tree = Readonly<Record<string, unknown>>;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

function merged(base: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = result[name];
    result[name] = isTree(before) && isTree(value) ? merged(before, value) : value;
  }
  return result;
}
