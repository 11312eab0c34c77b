/** The Control API, one row per endpoint: what it reads, what it calls, what it answers. */

import { type LimitOverrides, overrideProblem } from '../config/overrides.ts';
import { type Branding, DEFAULT_BRANDING } from '../status/branding.ts';
import { type CodeDescription, describeCode, describeCodes } from '../status/catalogue.ts';
import { describeCause } from '../status/cause-record.ts';
import { readClearCache } from './clear-cache.ts';
import type { CodeView, VariableView } from './contract.ts';
import { type Control, deploymentNumber } from './control.ts';
import { feedLines } from './feed.ts';
import { type LabSource, labCases, labRun } from './lab.ts';
import type { Call, Endpoint } from './listener.ts';
import { type LogSource, logReply } from './logs.ts';
import { checkNames } from './names.ts';
import { invalidField, notFound } from './problem.ts';
import type { Ack, PurgeAck } from './publisher.ts';
import { purge, purgeProgress, readPurgeOrder } from './purges.ts';
import { type RequestParts, requestList, requestView } from './requests.ts';
import type { ControlStore, Place, VariableRecord } from './store.ts';

export interface EndpointParts {
  readonly control: Control;
  readonly logs: LogSource | undefined;
  readonly lab: LabSource | undefined;
  readonly requests: RequestParts;
  readonly metrics: (() => string) | undefined;
  readonly heartbeatMs: number;
}

const ENVIRONMENT = '/v1/projects/:project/environments/:environment';

export function endpoints({
  control,
  logs,
  lab,
  requests,
  metrics = () => '',
  heartbeatMs,
}: EndpointParts): Endpoint[] {
  const { store, blobs, publisher, limits, publicUrl, domain } = control.parts;
  return [
    {
      method: 'PUT',
      path: '/v1/blobs/:sha256',
      async handle({ params, body }) {
        const { bytes, created } = await blobs.put(params.sha256!, body, { maxBytes: limits['static.bodyBytes'] });
        return { status: created ? 201 : 200, json: { sha256: params.sha256, bytes } };
      },
    },
    {
      method: 'GET',
      path: '/v1/blobs/:sha256',
      async handle({ params }) {
        const { stream, bytes } = await blobs.open(params.sha256!);
        return { stream, headers: { 'content-type': 'application/octet-stream', 'content-length': bytes } };
      },
    },
    {
      method: 'POST',
      path: '/v1/blobs/missing',
      async handle(call) {
        return { json: { missing: await blobs.missing(strings((await call.json()).blobs, 'blobs')) } };
      },
    },
    {
      method: 'GET',
      path: '/v1/projects',
      handle: async () => ({ json: { environments: await store.environments() } }),
    },
    { method: 'GET', path: ENVIRONMENT, handle: async (call) => ({ json: await store.environment(place(call)) }) },
    {
      method: 'PATCH',
      path: ENVIRONMENT,
      async handle(call) {
        const { production, preserveCache, limits } = await call.json();
        const settings = {
          ...optional('production', boolean(production, 'production')),
          ...optional('preserveCache', boolean(preserveCache, 'preserveCache')),
          ...(limits === undefined ? {} : { limits: changedLimits(await ownLimits(store, place(call)), limits) }),
        };
        const environment = await store.configure(place(call), settings);
        return { json: { ...environment, warnings: await control.spread() } };
      },
    },
    {
      method: 'POST',
      path: `${ENVIRONMENT}/deployments`,
      async handle(call) {
        const manifest = string((await call.json()).manifest, 'manifest');
        return { status: 201, json: await control.deploy(place(call), manifest) };
      },
    },
    {
      method: 'GET',
      path: `${ENVIRONMENT}/deployments`,
      handle: async (call) => ({ json: { deployments: await control.deployments(place(call)) } }),
    },
    {
      method: 'GET',
      path: `${ENVIRONMENT}/activations`,
      handle: async (call) => ({ json: { activations: await store.activations(place(call)) } }),
    },
    {
      method: 'POST',
      path: `${ENVIRONMENT}/promote`,
      async handle(call) {
        const { deployment, from } = await call.json();
        const source = from === undefined ? undefined : string(from, 'from');
        return { json: await control.promote(place(call), deploymentNumber(deployment, 'deployment'), source) };
      },
    },
    {
      method: 'POST',
      path: `${ENVIRONMENT}/rollback`,
      handle: async (call) => ({ json: await control.rollback(place(call)) }),
    },
    {
      method: 'GET',
      path: `${ENVIRONMENT}/domains`,
      async handle(call) {
        const domains = await store.domains(place(call));
        return { json: { domains: domains.map((it) => ({ ...it, url: publicUrl(it.host) })) } };
      },
    },
    {
      method: 'PUT',
      path: `${ENVIRONMENT}/domains/:host`,
      async handle(call) {
        const added = await store.addDomain(place(call), call.params.host!);
        return { json: { ...added, url: publicUrl(added.host), warnings: await control.spread() } };
      },
    },
    {
      method: 'DELETE',
      path: `${ENVIRONMENT}/domains/:host`,
      async handle(call) {
        await store.removeDomain(place(call), call.params.host!);
        return { json: { host: call.params.host, warnings: await control.spread() } };
      },
    },
    {
      method: 'GET',
      path: `${ENVIRONMENT}/variables`,
      handle: async (call) => ({ json: { variables: (await store.variables(place(call))).map(masked) } }),
    },
    {
      method: 'PUT',
      path: `${ENVIRONMENT}/variables/:name`,
      async handle(call) {
        const body = await call.json();
        const set = await control.setVariable(place(call), {
          name: call.params.name!,
          value: string(body.value, 'value'),
          secret: boolean(body.secret, 'secret') ?? false,
        });
        return { json: { ...masked(set), warnings: await control.spread() } };
      },
    },
    {
      method: 'DELETE',
      path: `${ENVIRONMENT}/variables/:name`,
      async handle(call) {
        await control.removeVariable(place(call), call.params.name!);
        return { json: { name: call.params.name, warnings: await control.spread() } };
      },
    },
    {
      method: 'POST',
      path: `${ENVIRONMENT}/purges`,
      async handle(call) {
        const body = await call.json();
        const wait = boolean(body.wait, 'wait') ?? false;
        const view = await purge(control.parts, place(call), readPurgeOrder(body), wait);
        return { status: wait ? 200 : 202, json: view };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/clear-cache',
      async handle(call) {
        const { place, order } = readClearCache(await call.json());
        const { id } = await purge(control.parts, place, order, false);
        return { json: { success: true, id } };
      },
    },
    {
      method: 'GET',
      path: `${ENVIRONMENT}/purges/:id`,
      handle: async ({ params }) => ({ json: await purgeProgress(control.parts, params.id!) }),
    },
    {
      method: 'GET',
      path: '/v1/snapshot',
      handle: async () => ({ json: await store.snapshot({ maskSecrets: true }) }),
    },
    {
      method: 'GET',
      path: '/v1/feed',
      handle({ query, signal }) {
        const pop = string(query.get('pop'), 'pop');
        const known = Number(query.get('purges') ?? 0);
        const purgedUpTo = Number.isSafeInteger(known) ? known : 0;
        const reader = { pop, instance: query.get('instance') ?? undefined, purgedUpTo };
        const purgesAfter = (sequence: number) => store.purgesAfter(sequence);
        return { lines: feedLines({ publisher, purgesAfter, heartbeatMs }, reader, signal) };
      },
    },
    {
      method: 'POST',
      path: '/v1/feed/purged',
      async handle(call) {
        const ack = readPurgeAck(await call.json());
        if (!publisher.ackPurge(ack)) throw notFound(`the POP '${ack.pop}' has no feed open`);
        return { json: { upTo: publisher.lastPurge } };
      },
    },
    {
      method: 'POST',
      path: '/v1/feed/ack',
      async handle(call) {
        const ack = readAck(await call.json());
        if (!publisher.ack(ack)) throw notFound(`the POP '${ack.pop}' has no feed open`);
        return { json: { version: publisher.current.version } };
      },
    },
    {
      method: 'GET',
      path: '/v1/logs',
      handle: ({ query, signal }) =>
        logReply(logs, query, signal, async (project) =>
          (await store.environments()).filter((it) => it.project === project).map(({ id }) => id),
        ),
    },
    {
      method: 'GET',
      path: '/v1/requests',
      handle: async ({ query, signal }) => ({ json: await requestList(requests, query, signal) }),
    },
    {
      method: 'GET',
      path: '/v1/requests/:id',
      handle: async ({ params, signal }) => ({ json: await requestView(requests, params.id!, signal) }),
    },
    {
      method: 'GET',
      path: '/v1/codes',
      handle: () => ({ json: { codes: describeCodes(requests.branding).map(codeView) } }),
    },
    { method: 'GET', path: '/v1/codes/:code', handle: (call) => ({ json: codeOf(call, requests.branding) }) },
    { method: 'GET', path: '/v1/lab', handle: () => labCases(lab) },
    {
      method: 'POST',
      path: '/v1/lab/runs',
      handle: async (call) => labRun(lab, await call.json(), call.signal),
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: () => ({ text: metrics(), contentType: 'text/plain; version=0.0.4; charset=utf-8' }),
    },
    {
      method: 'GET',
      path: '/v1/status',
      async handle() {
        const { version, environments } = publisher.current;
        return { json: { version, domain, environments: environments.length, pops: publisher.pops() } };
      },
    },
  ];
}

/** Of an environment that is about to be made: none. */
const ownLimits = async (store: ControlStore, at: Place): Promise<LimitOverrides> =>
  (await store.environments()).find(({ project, name }) => project === at.project && name === at.environment)?.limits ??
  {};

/** Null takes a limit away. */
function changedLimits(before: LimitOverrides, changes: unknown): LimitOverrides {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes))
    throw invalidField('limits', 'must be an object of limits and values');
  const problems = Object.entries(changes).flatMap(([key, value]) => {
    const problem = value === null ? undefined : overrideProblem(key, value);
    return problem === undefined ? [] : [`${key}: ${problem}`];
  });
  if (problems.length > 0) throw invalidField('limits', problems.join('; '));
  const after = { ...before, ...(changes as Record<string, number | 'off' | null>) };
  return Object.fromEntries(
    Object.entries(after).filter((entry): entry is [string, number | 'off'] => entry[1] !== null),
  );
}

function place({ params }: Call): Place {
  const { project = '', environment = '' } = params;
  checkNames(project, environment);
  return { project, environment };
}

const masked = ({ name, value, secret, updatedAt }: VariableRecord): VariableView => ({
  name,
  value: secret ? null : value,
  secret,
  updatedAt,
});

function readAck(body: Readonly<Record<string, unknown>>): Ack {
  const { version, failed } = body;
  if (typeof version !== 'number') throw invalidField('version', 'must be a snapshot version');
  return {
    pop: string(body.pop, 'pop'),
    version,
    ...optional('instance', body.instance === undefined ? undefined : string(body.instance, 'instance')),
    ...optional('error', body.error === undefined ? undefined : string(body.error, 'error')),
    ...optional('failed', failed === undefined ? undefined : failures(failed)),
  };
}

function readPurgeAck(body: Readonly<Record<string, unknown>>): PurgeAck {
  const { upTo, instance, error } = body;
  if (typeof upTo !== 'number') throw invalidField('upTo', 'must be the sequence of a purge');
  return {
    pop: string(body.pop, 'pop'),
    upTo,
    ...optional('instance', instance === undefined ? undefined : string(instance, 'instance')),
    ...optional('error', error === undefined ? undefined : string(error, 'error')),
  };
}

function failures(value: unknown): Ack['failed'] {
  if (!Array.isArray(value)) throw invalidField('failed', 'must be a list');
  return value.map((it: Record<string, unknown> | null, at) => ({
    deployment: string(it?.deployment, `failed.${at}.deployment`),
    message: string(it?.message, `failed.${at}.message`),
  }));
}

function string(value: unknown, field: string): string {
  if (typeof value === 'string' && value !== '') return value;
  if (value === '' && field === 'value') return value;
  throw invalidField(field, 'must be a string');
}

function strings(value: unknown, field: string): string[] {
  if (!Array.isArray(value)) throw invalidField(field, 'must be a list of strings');
  return value.map((it, at) => string(it, `${field}.${at}`));
}

function boolean(value: unknown, field: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalidField(field, 'must be true or false');
}

/** `{ name: value }`, or nothing at all for undefined. */
const optional = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Value>>;

const codeView = (it: CodeDescription): CodeView => ({ ...it, causes: it.causes.map(describeCause) });

function codeOf({ params }: Call, branding: Branding = DEFAULT_BRANDING): CodeView {
  const found = describeCode(Number(params.code), branding);
  if (!found) throw notFound(`${params.code} is never sent by the platform itself: it comes from the project`);
  return codeView(found);
}
