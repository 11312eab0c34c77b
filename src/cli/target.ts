/** Which control plane and which environment a command is about: options first, then variables, then this machine. */
import { resolve } from 'node:path';
import { type ControlAddress, findDataDir, readControlAddress } from '../control/discovery.ts';
import { checkNames } from '../control/names.ts';
import { Problem } from '../control/problem.ts';
import type { Place } from '../control/store.ts';
import { ControlClient } from './client.ts';
import { type CommandContext, CommandFailed, UsageError } from './command.ts';
import { projectName } from './project-name.ts';

export const DEFAULT_ENVIRONMENT = 'default';

/** Throws `UsageError` for half an address, `CommandFailed` when there is no platform to be found. */
export async function controlAddress({ io, text }: CommandContext): Promise<ControlAddress> {
  const url = text('to') ?? io.env.SELVEDGE_CONTROL;
  const token = text('token') ?? io.env.SELVEDGE_TOKEN;
  if (url !== undefined && !/^https?:\/\/[^/]/.test(url)) {
    throw new UsageError(`--to must be an address such as http://127.0.0.1:8079, not '${url}'`);
  }
  if (url !== undefined && token !== undefined) return { url, token };
  const data = text('data');
  const dataDir = data === undefined ? findDataDir(io.env, io.cwd) : resolve(io.cwd, data);
  const found = await readControlAddress(dataDir);
  if (url === undefined && found !== null) return { url: found.url, token: token ?? found.token };
  if (url !== undefined && found !== null && sameOrigin(url, found.url)) return { url, token: found.token };
  if (url !== undefined) throw new UsageError(`--to ${url} needs --token, or SELVEDGE_TOKEN in the environment`);
  throw new CommandFailed(`no platform has been started with the data directory ${dataDir}`, [
    "'selvedge start' starts one here; --to URL --token TOKEN names another; --data DIR another directory.",
  ]);
}

function sameOrigin(one: string, other: string): boolean {
  return URL.parse(one)?.origin === URL.parse(other)?.origin;
}

/** Calls `work` with a client and closes it afterwards. */
export async function withControl<Result>(
  context: CommandContext,
  work: (client: ControlClient) => Promise<Result>,
): Promise<Result> {
  const client = new ControlClient(await controlAddress(context));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** `name` is the project's own name, when the caller knows it already. */
export async function placeOf(context: CommandContext, name?: string): Promise<Place> {
  const { text, io } = context;
  const project = text('project') ?? text('site') ?? name ?? (await projectName(io.cwd));
  const environment = text('environment') ?? text('branch') ?? DEFAULT_ENVIRONMENT;
  try {
    checkNames(project, environment);
  } catch (error) {
    throw error instanceof Problem ? new UsageError(`--${error.message}`) : error;
  }
  return { project, environment };
}

export const pathOf = ({ project, environment }: Place): string =>
  `/v1/projects/${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
