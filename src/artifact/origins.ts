/**
 * Keys of the declarative generation (v7), mapped to their older notion where there is one: `origins[]` becomes
 * `backends`, `serverless` becomes `includeNodeModules` and `includeFiles`, `organization` becomes `team`.
 * Source: spec page platform, section 8.
 */
import { isIPv6 } from 'node:net';
import { isRecord } from './config-fields.ts';
import type { Problems } from './problems.ts';

type Raw = Readonly<Record<string, unknown>>;

/** Native keys win over mapped ones of the same meaning. */
export function mapDeclarativeKeys(raw: Raw, file: string, problems: Problems): Record<string, unknown> {
  const mapped: Record<string, unknown> = { ...raw };
  if (raw.organization !== undefined) mapped.team ??= raw.organization;
  if (raw.serverless !== undefined) mapServerless(raw.serverless, mapped, file, problems);
  if (raw.origins !== undefined) mapOrigins(raw.origins, mapped, file, problems);
  return mapped;
}

function mapServerless(value: unknown, mapped: Record<string, unknown>, file: string, problems: Problems): void {
  if (!isRecord(value)) {
    problems.error('`serverless` must be an object.', {
      file,
      remedy: "write for example `serverless: { include: ['views/**'] }`.",
    });
    return;
  }
  if (value.includeNodeModules !== undefined) mapped.includeNodeModules ??= value.includeNodeModules;
  if (Array.isArray(value.include))
    mapped.includeFiles ??= Object.fromEntries(value.include.map((glob) => [String(glob), true]));
  else if (value.include !== undefined)
    problems.error('`serverless.include` must be a list of globs.', {
      file,
      remedy: "write for example `include: ['views/**']`.",
    });
}

function mapOrigins(value: unknown, mapped: Record<string, unknown>, file: string, problems: Problems): void {
  if (!Array.isArray(value)) {
    problems.error('`origins` must be a list.', {
      file,
      remedy: "write `backends: { name: { domainOrIp: 'example.com' } }`, or a list of origins.",
    });
    return;
  }
  const backends: Record<string, unknown> = {};
  for (const [index, origin] of value.entries()) {
    const path = `origins[${index}]`;
    if (!isRecord(origin) || typeof origin.name !== 'string') {
      problems.error(`\`${path}.name\` must be a string.`, { file, remedy: "write for example `name: 'api'`." });
      continue;
    }
    const backend = backendOf(origin, path, file, problems);
    if (backend) backends[origin.name] = backend;
  }
  if (mapped.backends === undefined || isRecord(mapped.backends)) mapped.backends = { ...backends, ...mapped.backends };
}

function backendOf(origin: Raw, path: string, file: string, problems: Problems): Record<string, unknown> | null {
  const hosts = Array.isArray(origin.hosts) ? origin.hosts : [];
  const first: unknown = hosts[0];
  const dial = isRecord(first) ? locationOf(first.location) : null;
  if (!isRecord(first) || dial === null) {
    problems.error(`\`${path}.hosts[0].location\` must be a host name.`, {
      file,
      remedy: "write for example `hosts: [{ location: 'api.example.com' }]`.",
    });
    return null;
  }
  if (hosts.length > 1)
    problems.warn(`\`${path}.hosts\` has ${hosts.length} entries; only the first is used.`, { file });
  for (const key of ['shields', 'retry', 'balancer'])
    if (origin[key] !== undefined) problems.warn(`\`${path}.${key}\` is read but has no effect here.`, { file });
  const tls = isRecord(origin.tls_verify) ? origin.tls_verify : {};
  return {
    ...dial,
    ...(origin.override_host_header === undefined ? {} : { hostHeader: origin.override_host_header }),
    ...(first.scheme === undefined ? {} : { scheme: first.scheme }),
    ...(tls.allow_self_signed_certs === true ? { disableCheckCert: true } : {}),
  };
}

/** `host`, `host:port`, or a list whose first entry is `{hostname, port?}`. */
function locationOf(location: unknown): { domainOrIp: string; port?: number } | null {
  const value: unknown = Array.isArray(location) ? location[0] : location;
  if (isRecord(value)) {
    const { hostname, port } = value;
    if (typeof hostname !== 'string') return null;
    return typeof port === 'number' ? { domainOrIp: hostname, port } : { domainOrIp: hostname };
  }
  if (typeof value !== 'string' || value === '') return null;
  const withPort = isIPv6(value) ? null : /^(.+):(\d{1,5})$/.exec(value);
  return withPort ? { domainOrIp: withPort[1]!, port: Number(withPort[2]) } : { domainOrIp: value };
}
