/** What a routes file writes as criteria, read into the table's form. A criterion that is not known is an error: ignoring it would widen the route. */
import type { Criteria, JsonCriteria, Matcher } from '../table.ts';
import type { RouteDeclaration } from './declarations.ts';
import { kindOf, type Reporter } from './op-builders.ts';
import type { RouteCriteria, ValueCriterion } from './types.ts';

export interface ReadCriteria {
  readonly criteria: Criteria | null;
  /** Makes the route an error route. */
  readonly status?: Matcher;
  readonly bodyKey: boolean;
}

/** Checks what only the platform's matcher can judge; reports what it refuses. */
export interface PatternCheck {
  path(pattern: string): void;
  expression(pattern: string, flags: string): void;
}

type Given = Pick<RouteDeclaration, 'criteria' | 'method'>;

export function readCriteria({ criteria, method }: Given, report: Reporter, check: PatternCheck): ReadCriteria {
  if (criteria === null) return { criteria: method ? { method: { is: method } } : null, bodyKey: false };
  const given: RouteCriteria =
    typeof criteria === 'string' || criteria instanceof RegExp ? { path: criteria } : criteria;
  if (typeof given !== 'object' || Array.isArray(given)) {
    report.error(`criteria must be a path pattern or an object, not ${kindOf(criteria)}`, "match('/path/:id', …)");
    return { criteria: null, bodyKey: false };
  }
  refuseUnknown(given, report);
  const matcher = (value: unknown, what: string) => readMatcher(value, what, report, check);
  const result: Criteria = {
    ...(given.path === undefined ? {} : { path: readPath(given.path, report, check) }),
    ...(given.method === undefined ? {} : { method: upperCase(matcher(given.method, 'method')) }),
    ...(given.protocol === undefined ? {} : { protocol: matcher(given.protocol, 'protocol') }),
    ...readMap('headers', given.headers, matcher, (name) => name.toLowerCase()),
    ...readMap('cookies', given.cookies, matcher),
    ...readQuery(given.query, matcher),
    ...(given.body === undefined ? {} : { body: readJson(given.body.criteria, report, check) }),
    ...(method ? { method: { is: method } } : {}),
  };
  const bodyDefault = given.body !== undefined && result.method === undefined ? { method: { is: 'POST' } } : {};
  return {
    criteria: { ...result, ...bodyDefault },
    ...(given.response === undefined ? {} : { status: matcher(statusText(given.response.statusCode), 'statusCode') }),
    bodyKey: given.body !== undefined,
  };
}

export const statusText = (status: unknown): unknown => (typeof status === 'number' ? String(status) : status);

const FIELDS = ['path', 'method', 'protocol', 'headers', 'cookies', 'query', 'body', 'response'];
const ELSEWHERE: Readonly<Record<string, string>> = {
  host: "write headers: { host: '…' }",
  domain: "write headers: { host: '…' }",
  cookie: 'write cookies: { … }',
  header: 'write headers: { … }',
  and: 'list all fields in one object; criteria builders are not supported',
  or: 'declare one route for each alternative; criteria builders are not supported',
};

function refuseUnknown(given: RouteCriteria, report: Reporter): void {
  for (const key of Object.keys(given))
    if (!FIELDS.includes(key))
      report.error(`the criterion '${key}' is not known`, ELSEWHERE[key] ?? `known are ${FIELDS.join(', ')}`);
  if (given.body !== undefined && (given.body?.parse !== 'json' || typeof given.body.criteria !== 'object'))
    report.error("body criteria must be { parse: 'json', criteria: { … } }");
}

function readPath(path: unknown, report: Reporter, check: PatternCheck): NonNullable<Criteria['path']> {
  if (path instanceof RegExp) {
    check.expression(path.source, path.flags);
    return { pattern: path.source, flags: path.flags };
  }
  if (typeof path !== 'string') {
    report.error(`a path must be a string or a RegExp, not ${kindOf(path)}`);
    return '/';
  }
  check.path(path);
  return /^[/{(]/.test(path) ? path : `/${path}`;
}

export function readMatcher(value: unknown, what: string, report: Reporter, check: PatternCheck): Matcher {
  if (value === null) return { absent: true };
  if (value instanceof RegExp) {
    check.expression(value.source, value.flags);
    return { pattern: value.source, flags: value.flags };
  }
  if (typeof value === 'string') return { is: value };
  if (typeof value === 'number' || typeof value === 'boolean') return { is: String(value) };
  report.error(`the criterion for ${what} must be a string, a RegExp or null, not ${kindOf(value)}`);
  return { absent: true };
}

const upperCase = (matcher: Matcher): Matcher => ('is' in matcher ? { is: matcher.is.toUpperCase() } : matcher);

type ReadOne = (value: unknown, what: string) => Matcher;

function readMap<Key extends 'headers' | 'cookies'>(
  key: Key,
  map: Readonly<Record<string, ValueCriterion>> | undefined,
  read: ReadOne,
  spell: (name: string) => string = (name) => name,
) {
  if (map === undefined) return {};
  return {
    [key]: Object.fromEntries(
      Object.entries(map).map(([name, value]) => [spell(name), read(value, `${key} '${name}'`)]),
    ),
  };
}

function readQuery(query: RouteCriteria['query'], read: ReadOne): Pick<Criteria, 'query'> {
  if (query === undefined) return {};
  const entries = Object.entries(query).map(([name, value]) => {
    const capture = typeof value === 'string' ? /^:(\w+)$/.exec(value)?.[1] : undefined;
    return [name, capture === undefined ? read(value, `query '${name}'`) : { capture }] as const;
  });
  return { query: Object.fromEntries(entries) };
}

function readJson(criteria: Readonly<Record<string, unknown>>, report: Reporter, check: PatternCheck): JsonCriteria {
  const members = Object.entries(criteria ?? {}).map(([name, value]) => [name, readMember(name, value, report, check)]);
  return { members: Object.fromEntries(members) };
}

function readMember(
  name: string,
  value: unknown,
  report: Reporter,
  check: PatternCheck,
): JsonCriteria['members'][string] {
  if (typeof value === 'number' || typeof value === 'boolean' || Array.isArray(value)) return { json: value };
  if (typeof value === 'object' && value !== null && !(value instanceof RegExp))
    return readJson(value as Record<string, unknown>, report, check);
  return readMatcher(value, `body member '${name}'`, report, check);
}
