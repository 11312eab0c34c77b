/**
 * A copy of the test suite of HTTP caches (http-tests/cache-tests): its own origin and its own client, each a
 * process, so that what is in between is the only thing that is not the suite's. Its results are judged as its own
 * result pages do: a test whose prerequisite failed says nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { newFolder } from './folder.ts';

/** `required` of a conforming cache, `optimal` for one that makes the most of it, `check` only asks for information. */
export type TestKind = 'required' | 'optimal' | 'check';

export interface SuiteTest {
  readonly id: string;
  readonly name: string;
  readonly kind: TestKind;
  /** Section of the suite. */
  readonly section: string;
  readonly dependsOn: readonly string[];
}

/** `dependency`: it was not judged, because a test that it builds on failed. */
export interface SuiteResult extends SuiteTest {
  readonly outcome: 'pass' | 'fail' | 'dependency' | 'untested';
  readonly message: string;
}

export interface SuiteOrigin extends AsyncDisposable {
  readonly port: number;
}

/** Where the parts of a copy lie: the package on npm and the repository differ. */
interface Layout {
  readonly server: string;
  readonly cli: string;
  readonly sections: readonly string[];
}

const PACKAGE: Layout = {
  server: 'server/server.mjs',
  cli: 'cli.mjs',
  sections: ['tests/index.mjs', 'tests/surrogate-control.mjs'],
};
const REPOSITORY: Layout = {
  server: 'test-engine/server/server.mjs',
  cli: 'test-engine/cli.mjs',
  sections: ['tests/index.mjs'],
};

export class CacheSuite {
  readonly #dir: string;
  readonly #layout: Layout;

  /** `dir` holds the package `http-cache-tests` or a clone of the repository. */
  constructor(dir: string, layout: 'package' | 'repository' = 'package') {
    this.#dir = dir;
    this.#layout = layout === 'package' ? PACKAGE : REPOSITORY;
  }

  async tests(): Promise<readonly SuiteTest[]> {
    const modules = await Promise.all(this.#layout.sections.map((file) => import(join(this.#dir, file))));
    const sections = modules.flatMap(({ default: exported }) => exported as RawSection | RawSection[]);
    return sections.flatMap(({ id, tests }) => tests.filter((test) => !test.browser_only).map(asTest(id)));
  }

  async startOrigin(): Promise<SuiteOrigin> {
    const pidfile = join(newFolder('cache-suite'), 'pid');
    const child = this.#spawn(this.#layout.server, { protocol: 'http', port: '0', pidfile });
    const port = await printedPort(child);
    return {
      port,
      async [Symbol.asyncDispose]() {
        child.kill();
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      },
    };
  }

  /** Runs every test, or one, through the cache at `base`. Takes about a minute. */
  async run(base: string, id = ''): Promise<readonly SuiteResult[]> {
    const child = this.#spawn(this.#layout.cli, { base, id });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    }
    await once(child, 'close');
    if (id !== '') throw new Error(said.stdout);
    const raw = JSON.parse(said.stdout) as Record<string, true | [string, string]>;
    return judged(await this.tests(), raw);
  }

  /** The suite reads what npm would tell it. */
  #spawn(file: string, config: Readonly<Record<string, string>>): ChildProcess {
    const told = Object.entries(config).map(([name, value]) => [`npm_config_${name}`, value]);
    const env = {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      npm_package_config_id: '',
      ...Object.fromEntries(told),
    };
    return spawn(process.execPath, ['--no-warnings', file], {
      cwd: this.#dir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

interface RawSection {
  readonly id: string;
  readonly tests: readonly RawTest[];
}

interface RawTest {
  readonly id: string;
  readonly name: string;
  readonly kind?: TestKind;
  readonly browser_only?: boolean;
  readonly depends_on?: readonly string[];
}

const asTest =
  (section: string) =>
  ({ id, name, kind = 'required', depends_on: dependsOn = [] }: RawTest): SuiteTest => ({
    ...{ id, name, kind, section, dependsOn },
  });

async function printedPort(child: ChildProcess): Promise<number> {
  let text = '';
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.stdout!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    const port = /:(\d+)\/\n/.exec(text)?.[1];
    if (port !== undefined) resolve(Number(port));
  });
  child.stderr!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  child.once('exit', () => reject(new Error(`the origin of the suite ended: ${text}`)));
  return promise;
}

function judged(tests: readonly SuiteTest[], raw: Readonly<Record<string, true | [string, string]>>): SuiteResult[] {
  const byId = new Map(tests.map((test) => [test.id, test]));
  const passed = (id: string): boolean => raw[id] === true && byId.get(id)!.dependsOn.every(passed);
  return tests.map((test) => {
    const result = raw[test.id];
    const message = Array.isArray(result) ? result.join(': ') : '';
    if (result === undefined) return { ...test, outcome: 'untested', message };
    if (!test.dependsOn.every(passed)) return { ...test, outcome: 'dependency', message };
    return { ...test, outcome: result === true ? 'pass' : 'fail', message };
  });
}
