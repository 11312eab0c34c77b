/** `selvedge deploy` and `selvedge build`: from a project's folder to an active deployment. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { DeploymentManifest } from '../../artifact/manifest.ts';
import { describeProblem } from '../../artifact/problems.ts';
import type { Activated } from '../../control/contract.ts';
import { type Built, build, readBuilt } from '../build.ts';
import { type ControlClient, Unreachable } from '../client.ts';
import { type CommandContext, CommandFailed, type CommandSpec } from '../command.ts';
import { createProgress, type Progress } from '../progress.ts';
import { withProjectLock } from '../project-lock.ts';
import { nameFrom } from '../project-name.ts';
import { pathOf, placeOf, withControl } from '../target.ts';
import { uploadMissing } from '../upload.ts';
import { warn } from '../warn.ts';

async function deploy(context: CommandContext): Promise<undefined> {
  const dir = resolve(context.io.cwd, context.args[0] ?? '.');
  const progress = createProgress(context.io);
  const active = await withControl(context, async (control) => {
    // A wrong address or token is told before a long build, not after it.
    await control.call('GET', '/v1/status');
    const { place, sha256 } = await atWork(dir, progress, async () => {
      const built = context.flag('skipBuild') ? await readBuilt(dir) : await buildShown(context, dir, progress);
      const place = await placeOf(context, nameFrom(built.manifest.name || basename(dir)));
      return { place, sha256: await send(control, built, progress) };
    });
    progress.show('activate', `${place.project}, environment ${place.environment}`);
    return activate(control, `${pathOf(place)}/deployments`, sha256).finally(() => progress.done());
  });
  const { warnings, ...shown } = active;
  warn(context, warnings);
  context.print(shown, [
    `deployment ${shown.deployment} is active`,
    `  ${shown.url}`,
    `  ${shown.permalink}  (for ever)`,
  ]);
}

const atWork = <Result>(dir: string, progress: Progress, work: () => Promise<Result>): Promise<Result> =>
  withProjectLock(dir, () => progress.show('wait', 'for another build of this project'), work);

/** Sends what is missing, the manifest last, and returns the manifest's name. */
async function send(control: ControlClient, { manifestFile, files }: Built, progress: Progress): Promise<string> {
  const sha256 = createHash('sha256')
    .update(await readFile(manifestFile))
    .digest('hex');
  const result = await uploadMissing(control, new Map([...files, [sha256, manifestFile]]), (sent, of) => {
    if (of > 0) progress.show('send', `${sent} of ${of} blobs`);
  });
  progress.show('sent', `${result.sent} new blobs (${inKb(result.sentBytes)}), ${result.known} already there`);
  return sha256;
}

/** Not repeated when the connection breaks: it may have happened, and would then happen twice. */
async function activate(control: ControlClient, path: string, manifest: string): Promise<Activated> {
  try {
    return await control.call<Activated>('POST', path, { manifest });
  } catch (error) {
    if (!(error instanceof Unreachable) || error.nothingSent) throw error;
    const hint = "Whether the deployment became active, 'selvedge deployments' tells; deploying again is safe.";
    throw new CommandFailed(`${error.message} during the activation`, [hint], error);
  }
}

async function buildShown({ io, flag }: CommandContext, dir: string, progress: Progress): Promise<Built> {
  const built = await build(dir, flag('skipFramework'), {
    onStep: (text) => progress.show('build', text),
    onOutput: (line) => {
      progress.done();
      io.err(`  | ${line}\n`);
    },
  }).finally(() => progress.done());
  for (const warning of built.problems.warnings) io.err(`warning: ${describeProblem(warning)}\n`);
  return built;
}

async function buildOnly(context: CommandContext): Promise<undefined> {
  const dir = resolve(context.io.cwd, context.args[0] ?? '.');
  const progress = createProgress(context.io);
  const built = await atWork(dir, progress, () => buildShown(context, dir, progress));
  const { manifest, problems } = built;
  const summary = summaryOf(manifest);
  context.print({ ...summary, directory: dirname(built.manifestFile), warnings: problems.warnings }, [
    `built ${manifest.name || basename(dir)} into ${dirname(built.manifestFile)}`,
    `  ${summary.routes} routes, ${summary.assets} static files (${inKb(summary.assetBytes)}), ` +
      `${manifest.server === null ? 'no server code' : `server code of ${inKb(summary.serverBytes)}`}`,
  ]);
}

function summaryOf({ name, routes, assets, server }: DeploymentManifest) {
  const sum = (refs: readonly { readonly bytes: number }[]) => refs.reduce((total, { bytes }) => total + bytes, 0);
  return {
    project: name,
    routes: routes.main.routes.length,
    assets: Object.keys(assets).length,
    assetBytes: sum(Object.values(assets)),
    serverBytes: sum(server?.files ?? []),
  };
}

const inKb = (bytes: number): string => `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KB`;

const SKIP_FRAMEWORK = { flags: '-s, --skip-framework', description: "do not run the framework's own build first" };

export const DEPLOY: CommandSpec = {
  name: 'deploy',
  args: ['[dir]'],
  summary: 'build a project, send it and make it active',
  options: [{ flags: '--skip-build', description: 'send what the last build made' }, SKIP_FRAMEWORK],
  takes: ['control', 'environment', 'json'],
  run: deploy,
};

export const BUILD: CommandSpec = {
  name: 'build',
  args: ['[dir]'],
  summary: 'build a project and say what is wrong with it',
  options: [SKIP_FRAMEWORK],
  takes: ['json'],
  run: buildOnly,
};
