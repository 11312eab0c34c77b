/**
 * Header and cookie operations of routes, applied to anything with the methods of `Fields`. The same code serves
 * the POP (expressions on the linear engine, `apply.ts`) and a running handler in a worker (native engine).
 * Source: spec "Routing", sections 5 to 8.
 */

import { canonicalPath, compilePath } from './path.ts';
import type { Pattern, PatternEngine } from './pattern.ts';
import type { CookieAttributes, RequestOp, ResponseOp } from './table.ts';
import { embed, type Target, type TemplateParams, targetOf, type ValueSource } from './template.ts';

/** Structural view of `http/fields.ts`. */
export interface FieldsLike {
  get(name: string): string | undefined;
  all(name: string): string[];
  set(name: string, value: string): unknown;
  append(name: string, value: string): unknown;
  delete(name: string): unknown;
}

export interface RequestContext extends ValueSource, TemplateParams {
  /** Changed in place. */
  readonly fields: FieldsLike;
  readonly params: TemplateParams['params'];
}

export interface Operations {
  /** Changes `context.fields`; returns where the request goes now. */
  request(ops: readonly RequestOp[], context: RequestContext): Target;
  /** Changes `response`. `context` is the request as the client sent it. */
  response(ops: readonly ResponseOp[], response: FieldsLike, context: Omit<ValueSource, 'response'>): void;
}

export function operations(engine: PatternEngine): Operations {
  const compiled = new WeakMap<object, Pattern>();
  const patternOf: PatternOf = (op) => {
    const known = compiled.get(op);
    if (known) return known;
    const pattern = engine(op.pattern, op.flags);
    compiled.set(op, pattern);
    return pattern;
  };
  return {
    request: (ops, context) =>
      ops.reduce<Target>((target, op) => applyToRequest(op, target, context, patternOf, engine), {
        path: context.path,
        query: context.query,
      }),
    response(ops, response, context) {
      for (const op of ops) applyToResponse(op, response, { ...context, response }, patternOf);
    },
  };
}

type Rewrite = { readonly pattern: string; readonly flags: string; readonly replacement: string };
type PatternOf = (op: Rewrite) => Pattern;

function applyToRequest(
  op: RequestOp,
  target: Target,
  context: RequestContext,
  patternOf: PatternOf,
  engine: PatternEngine,
): Target {
  switch (op.op) {
    case 'set-path':
      return targetOf(op.path, context, target);
    case 'rewrite-path':
      return rewritten(op, target, context, engine);
    default:
      applyToHeader(op, context.fields, context, patternOf);
      return target;
  }
}

/** With a pattern, its parameters join those of the route; a path that it does not match stays. */
function rewritten(
  op: Extract<RequestOp, { op: 'rewrite-path' }>,
  target: Target,
  context: TemplateParams,
  engine: PatternEngine,
): Target {
  if (op.pattern === undefined) return targetOf(op.to, context, target);
  const own = compilePath(op.pattern, engine).match(canonicalPath(target.path));
  if (!own) return target;
  return targetOf(op.to, { params: {}, rawParams: { ...(context.rawParams ?? context.params), ...own } }, target);
}

function applyToResponse(op: ResponseOp, response: FieldsLike, source: ValueSource, patternOf: PatternOf): void {
  switch (op.op) {
    case 'add-cookie':
      response.append('set-cookie', serializeCookie(op.name, embed(op.value, source), op.options, source));
      break;
    case 'update-cookie':
      editCookies(response, op.name, (value) => patternOf(op).replace(value, embedReplacement(op.replacement, source)));
      break;
    case 'remove-cookie':
      editCookies(response, op.name, () => null);
      break;
    case 'cors':
      applyCors(op, response, source.fields.get('origin'));
      break;
    default:
      applyToHeader(op, response, source, patternOf);
  }
}

type HeaderOp = Extract<ResponseOp, { op: 'set-header' | 'update-header' | 'remove-header' }>;

function applyToHeader(op: HeaderOp, fields: FieldsLike, source: ValueSource, patternOf: PatternOf): void {
  if (op.op === 'set-header') fields.set(op.name, embed(op.value, source));
  else if (op.op === 'remove-header') fields.delete(op.name);
  else {
    const lines = fields.all(op.name);
    if (lines.length === 0) return;
    const replacement = embedReplacement(op.replacement, source);
    fields.delete(op.name);
    for (const line of lines) fields.append(op.name, patternOf(op).replace(line, replacement));
  }
}

/** Embedded values are text in a replacement: a `$` that a visitor sends refers to nothing. */
function embedReplacement(replacement: string, source: ValueSource): string {
  if (!replacement.includes('${')) return replacement;
  return replacement.replace(/\$\{[^}]*\}/g, (token) => embed(token, source).replaceAll('$', '$$$$'));
}

/** RFC 6265 section 4.1. A semicolon in an embedded value cannot start an attribute. */
function serializeCookie(name: string, value: string, options: CookieAttributes, source: ValueSource): string {
  const attributes = Object.entries(options).flatMap(([attribute, setting]) => {
    if (setting === false) return [];
    return setting === true ? [attribute] : [`${attribute}=${embed(String(setting), source).replaceAll(';', '')}`];
  });
  return [`${name}=${value.replaceAll(';', '%3B')}`, ...attributes].join('; ');
}

/** `edit` gets the value of each cookie of that name and returns the new one, or null to drop the line. */
function editCookies(response: FieldsLike, name: string, edit: (value: string) => string | null): void {
  const lines = response.all('set-cookie');
  if (lines.length === 0) return;
  response.delete('set-cookie');
  for (const line of lines) {
    const [, lineName, value, rest] = /^\s*([^=;]*?)\s*=([^;]*)(.*)$/s.exec(line) ?? [];
    if (lineName !== name) {
      response.append('set-cookie', line);
      continue;
    }
    const edited = edit(value!);
    if (edited !== null) response.append('set-cookie', `${lineName}=${edited}${rest}`);
  }
}

type CorsOp = Extract<ResponseOp, { op: 'cors' }>;

/** Fetch standard, "CORS protocol": an answer that depends on the origin says so in Vary. */
function applyCors(op: CorsOp, response: FieldsLike, origin: string | undefined): void {
  const anyone = op.origin === '*' && op.credentials !== true;
  if (!anyone) addVary(response, 'Origin');
  const allowed = allowedOrigin(op, origin);
  if (allowed === undefined) return;
  response.set('access-control-allow-origin', allowed);
  if (op.credentials) response.set('access-control-allow-credentials', 'true');
  if (op.methods !== undefined) response.set('access-control-allow-methods', op.methods);
  if (op.headers !== undefined) response.set('access-control-allow-headers', op.headers);
  if (op.maxAge !== undefined) response.set('access-control-max-age', String(op.maxAge));
}

function allowedOrigin(op: CorsOp, origin: string | undefined): string | undefined {
  if (op.origin === '*') return op.credentials ? origin : '*';
  if (typeof op.origin === 'string') return op.origin;
  return op.origin.find((candidate) => candidate === origin || candidate === '*');
}

function addVary(response: FieldsLike, name: string): void {
  const present = response.get('vary');
  if (present === undefined) response.set('vary', name);
  else if (
    !present.split(',').some((part) => /^\*$/.test(part.trim()) || part.trim().toLowerCase() === name.toLowerCase())
  )
    response.set('vary', `${present}, ${name}`);
}

/**
 * The answer to a CORS preflight of a route with `allowCors`, as fields on `response`; false when the request is no
 * preflight or no route allows CORS. The POP answers 204 itself: upstreams behind `allowCors` rarely know OPTIONS.
 */
export function answerPreflight(
  ops: readonly ResponseOp[],
  request: { readonly method: string; readonly fields: { get(name: string): string | undefined } },
  response: FieldsLike,
): boolean {
  const op = ops.findLast((candidate): candidate is CorsOp => candidate.op === 'cors');
  const { method, fields } = request;
  if (!op || method !== 'OPTIONS') return false;
  const wanted = fields.get('access-control-request-method');
  if (wanted === undefined || fields.get('origin') === undefined) return false;
  const asked = fields.get('access-control-request-headers');
  const methods = op.methods ?? wanted;
  const headers = op.headers ?? asked;
  applyCors({ ...op, methods, ...(headers === undefined ? {} : { headers }) }, response, fields.get('origin'));
  addVary(response, 'Access-Control-Request-Method');
  if (op.headers === undefined) addVary(response, 'Access-Control-Request-Headers');
  return true;
}
