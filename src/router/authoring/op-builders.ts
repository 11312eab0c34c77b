/**
 * The calls of a handler that are data: each becomes one operation of the route table. The recorder collects them,
 * a running handler applies them at once. Reserved names are left out with a warning (spec "Headers", section 6).
 */
import type { CookieAttributes, RequestOp, ResponseOp } from '../table.ts';
import { unknownTokens } from '../template.ts';
import type { CookieOptions, CorsOptions, ResponseWriter } from './types.ts';

export interface Reporter {
  warn(message: string, remedy?: string): void;
  error(message: string, remedy?: string): void;
  /** Whether the platform keeps a header for itself. */
  isReserved(name: string, on: 'request' | 'response'): boolean;
  /** Reports an expression that the POP's engine cannot run. */
  checkExpression(source: string, flags: string): void;
}

export interface OpSink {
  request(op: RequestOp): void;
  upstreamResponse(op: ResponseOp): void;
  response(op: ResponseOp): void;
}

type Edit = 'Header' | 'Cookie';
type OperationName = Extract<keyof ResponseWriter, `${string}${Edit}` | 'updatePath' | 'rewrite' | 'allowCors'>;

/** All members that only make an operation. */
export function operationMembers(sink: OpSink, report: Reporter): Pick<ResponseWriter, OperationName> {
  const request = headerMembers((op) => sink.request(op), report, 'request');
  const upstream = headerMembers((op) => sink.upstreamResponse(op), report, 'response');
  const response = headerMembers((op) => sink.response(op), report, 'response');
  const upstreamCookies = cookieMembers((op) => sink.upstreamResponse(op), report);
  const cookies = cookieMembers((op) => sink.response(op), report);
  return {
    setRequestHeader: request.set,
    updateRequestHeader: request.update,
    removeRequestHeader: request.remove,
    setUpstreamResponseHeader: upstream.set,
    updateUpstreamResponseHeader: upstream.update,
    removeUpstreamResponseHeader: upstream.remove,
    setResponseHeader: response.set,
    updateResponseHeader: response.update,
    removeResponseHeader: response.remove,
    addUpstreamResponseCookie: upstreamCookies.add,
    updateUpstreamResponseCookie: upstreamCookies.update,
    removeUpstreamResponseCookie: upstreamCookies.remove,
    addResponseCookie: cookies.add,
    updateResponseCookie: cookies.update,
    removeResponseCookie: cookies.remove,
    updatePath: (path) => sink.request({ op: 'set-path', path: textOf(path, 'updatePath: the path', report) }),
    rewrite: (to, pattern) =>
      sink.request({
        op: 'rewrite-path',
        to: textOf(to, 'rewrite: the destination', report),
        ...(pattern ? { pattern } : {}),
      }),
    allowCors: (options = {}) => sink.response(corsOp(options)),
  };
}

type HeaderOp = Extract<ResponseOp, { op: 'set-header' | 'update-header' | 'remove-header' }>;

function headerMembers(emit: (op: HeaderOp) => void, report: Reporter, on: 'request' | 'response') {
  const guarded = (name: string, op: () => HeaderOp | null) => {
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(name))
      return report.error(`'${name}' is no header name`, 'use letters, digits and -');
    if (report.isReserved(name, on))
      return report.warn(`the header '${name}' belongs to the platform; the call is ignored`);
    const made = op();
    if (made) emit(made);
  };
  return {
    set: (name: string, value: string) =>
      guarded(name, () => ({
        op: 'set-header',
        name,
        value: fieldValue(value, `the value of header '${name}'`, report),
      })),
    update: (name: string, pattern: RegExp | string, replacement: string) =>
      guarded(name, () => {
        const rewrite = rewriteOf(pattern, replacement, `header '${name}'`, report);
        return rewrite && { op: 'update-header', name, ...rewrite };
      }),
    remove: (name: string) => guarded(name, () => ({ op: 'remove-header', name })),
  };
}

function cookieMembers(emit: (op: ResponseOp) => void, report: Reporter) {
  return {
    add: (name: string, value: string, options: CookieOptions = {}) =>
      emit({
        op: 'add-cookie',
        name,
        value: fieldValue(value, `the value of cookie '${name}'`, report),
        options: cookieAttributes(options, report),
      }),
    update: (name: string, pattern: RegExp | string, replacement: string) => {
      const rewrite = rewriteOf(pattern, replacement, `cookie '${name}'`, report);
      if (rewrite) emit({ op: 'update-cookie', name, ...rewrite });
    },
    remove: (name: string) => emit({ op: 'remove-cookie', name }),
  };
}

function textOf(value: unknown, what: string, report: Reporter): string {
  if (typeof value === 'string') return value;
  report.error(`${what} must be a string, not ${kindOf(value)}`, 'compute it inside compute()');
  return '';
}

function fieldValue(value: unknown, what: string, report: Reporter): string {
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value, what, report);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) report.error(`${what} has control characters`, 'remove them');
  for (const token of unknownTokens(text))
    report.warn(`${what} has the token ${token}, which means nothing and stays as it is`);
  return text;
}

function rewriteOf(pattern: RegExp | string, replacement: unknown, what: string, report: Reporter) {
  if (typeof replacement !== 'string') {
    report.error(`the replacement for ${what} must be a string, not ${kindOf(replacement)}`, 'use transformResponse');
    return null;
  }
  const expression = typeof pattern === 'string' ? { source: RegExp.escape(pattern), flags: '' } : pattern;
  report.checkExpression(expression.source, expression.flags);
  return { pattern: expression.source, flags: expression.flags, replacement };
}

export const kindOf = (value: unknown): string =>
  value === null || value === undefined
    ? String(value)
    : Array.isArray(value)
      ? 'an array'
      : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`;

const COOKIE_ATTRIBUTES: ReadonlyMap<string, string> = new Map(
  ['Expires', 'Max-Age', 'Domain', 'Path', 'Secure', 'HttpOnly', 'SameSite', 'Partitioned', 'Priority'].map((name) => [
    name.toLowerCase().replace('-', ''),
    name,
  ]),
);

function cookieAttributes(options: CookieOptions, report: Reporter): CookieAttributes {
  const attributes: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(options)) {
    const name = COOKIE_ATTRIBUTES.get(key.toLowerCase().replaceAll(/[-_]/g, ''));
    if (!name) report.warn(`'${key}' is no cookie attribute; it is ignored`);
    else if (value !== undefined) attributes[name] = value instanceof Date ? value.toUTCString() : value;
  }
  return attributes;
}

function corsOp({ origin = '*', methods, headers, maxAge, credentials }: CorsOptions): ResponseOp {
  return {
    op: 'cors',
    origin,
    ...(methods === undefined ? {} : { methods: [methods].flat().join(', ') }),
    ...(headers === undefined ? {} : { headers: [headers].flat().join(', ') }),
    ...(maxAge === undefined ? {} : { maxAge }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}
