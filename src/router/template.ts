/**
 * Templates that routes are written with. Path templates: `:name`, `:name*`, `:0` take parameters of the match.
 * Embedded values: `${path}`, `${req:host}` … in header and cookie values. Source: spec "Routing", sections 5 and 8.
 */
type Params = Readonly<Record<string, string | readonly string[] | undefined>>;

const VARIABLE = /(\/?)(?<!\\):(\w+)(?:\([^)]*\))?([*+?]?)/g;
const AUTHORITY = /^([a-z][a-z0-9+.-]*:)?\/\/[^/?#]*/i;

/** Text that is a path template for itself, for names of files. */
export const escapeTemplate = (text: string): string => text.replaceAll(':', '\\:');

/** Names of the parameters that a path template takes. */
export const templateNames = (template: string): string[] =>
  [...template.replace(AUTHORITY, '').matchAll(VARIABLE)].map((match) => match[2]!).filter((name) => !isPort(name));

const isPort = (name: string): boolean => name.length > 1 && /^\d+$/.test(name);

/** Values go through `encode`, segment by segment. A parameter without value disappears with the slash before it. */
function fill(template: string, params: Params, encode: (text: string) => string): string {
  const filled = template.replace(VARIABLE, (whole, slash: string, name: string) => {
    const value = params[name];
    if (value === undefined && isPort(name)) return whole;
    const text = typeof value === 'string' ? encode(value) : (value ?? []).map(encode).join('/');
    return text === '' ? '' : slash + text;
  });
  return template.includes('\\:') ? filled.replaceAll('\\:', ':') : filled;
}

/** Escapes what may not stand in a path segment; valid escapes that are already there stay. */
export const encodeRaw = (text: string): string =>
  text.replace(/%(?![0-9a-f]{2})|[^\w\-.~!$&'()*+,;=:@/%]+/gi, (piece) => encodeLoosely(piece));
/** Escapes a decoded value for one path segment. */
export const encodeSegment = (text: string): string =>
  text.replace(/[^\w\-.~!$&'()*+,;=:@]+/g, (piece) => encodeLoosely(piece));

/** Lone surrogates become U+FFFD instead of an exception; `/` and `%` are escaped as well. */
const encodeLoosely = (text: string): string => encodeURIComponent(text.toWellFormed());

export interface Target {
  /** Starts with `/`. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
}

export interface TemplateParams {
  /** Decoded. */
  readonly params: Params;
  /** As they stood in the request: used instead where given, so that no escape changes on the way. */
  readonly rawParams?: Params;
}

/**
 * Path and query for the next hop: the template filled, or the request's own. A query in the template comes first,
 * the request's is appended.
 */
export function targetOf(template: string | undefined, match: TemplateParams, request: Target): Target {
  if (template === undefined) return request;
  const [pathTemplate, ...rest] = template.split('?');
  const own = rest.join('?').replace(VARIABLE, (whole, slash: string, name: string) => {
    const value = match.params[name];
    return value === undefined ? whole : slash + encodeURIComponent([value].flat().join('/').toWellFormed());
  });
  const path = fillPath(pathTemplate!, match);
  return { path, query: [own, request.query].filter(Boolean).join('&') };
}

function fillPath(template: string, { params, rawParams }: TemplateParams): string {
  const path = rawParams ? fill(rooted(template), rawParams, encodeRaw) : fill(rooted(template), params, encodeSegment);
  return rooted(path);
}

const rooted = (path: string): string => (path.startsWith('/') ? path : `/${path}`);

/** Project-relative name of an asset, values decoded; null when a value tries to leave its directory. */
export function assetPathOf(template: string, match: TemplateParams): string | null {
  const path = fill(`/${template.replace(/^(\.?\/)+/, '')}`, match.params, (text) => text).replace(/^\/+/, '');
  return path.split(/[/\\]/).includes('..') || path.includes('\0') ? null : path;
}

/** Where a redirect leads: the template filled (path or absolute URL), the request's query appended. */
export function redirectTargetOf(to: string, match: TemplateParams, query: string): string {
  const authority = AUTHORITY.exec(to)?.[0] ?? '';
  const [beforeHash, ...hash] = to.slice(authority.length).split('#');
  const { path, query: full } = targetOf(beforeHash || '/', match, { path: '/', query });
  const bare = authority !== '' && beforeHash === '' ? '' : path;
  return authority + bare + (full && `?${full}`) + (hash.length > 0 ? `#${hash.join('#')}` : '');
}

/** The query without parameters that have no value (`removeEmptySearchParamValues`). */
export const withoutEmptyParameters = (query: string): string =>
  query
    .split('&')
    .filter((pair) => /=./.test(pair))
    .join('&');

/** Structural view of a request's `Fields`. */
export interface RequestFields {
  get(name: string): string | undefined;
  /** The Cookie lines for a reader of one cookie; without it `get` serves. */
  cookieLines?(name: string): string[];
}

/** The Cookie field as far as it concerns one cookie. */
export const cookiesAbout = (fields: RequestFields, name: string): string | undefined =>
  fields.cookieLines ? fields.cookieLines(name).join('; ') : fields.get('cookie');

/** What embedded values are taken from. */
export interface ValueSource {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly params: Params;
  /** Of the request. */
  readonly fields: RequestFields;
  /** Of the response, in response phases. */
  readonly response?: { get(name: string): string | undefined };
}

const TOKEN = /\$\{([a-z]+)(?::([^}:]+))?(?::([^}]+))?\}/g;
const SIMPLE: Readonly<Record<string, (source: ValueSource) => string>> = {
  method: ({ method }) => method,
  path: ({ path }) => path,
  url: ({ path, query }) => (query ? `${path}?${query}` : path),
};

/**
 * The value with its `${…}` tokens replaced; empty when a value is missing. What is put in can never end the field
 * (control characters are dropped) nor break its encoding (other than ASCII is percent-encoded).
 */
export function embed(template: string, source: ValueSource): string {
  if (!template.includes('${')) return template;
  return template.replace(TOKEN, (whole, kind: string, name?: string, inner?: string) => {
    const value = lookUp(source, kind, name, inner);
    return value === null ? whole : fieldSafe(value);
  });
}

function lookUp(source: ValueSource, kind: string, name?: string, inner?: string): string | null {
  if (name === undefined) return SIMPLE[kind]?.(source) ?? null;
  if (kind === 'req' && inner !== undefined) {
    if (name === 'cookie') return cookieOf(cookiesAbout(source.fields, inner), inner);
    return name === 'param' ? [source.params[inner] ?? ''].flat().join('/') : null;
  }
  if (inner !== undefined) return null;
  if (kind === 'query') return new URLSearchParams(source.query).get(name) ?? '';
  if (kind === 'req') return source.fields.get(name) ?? '';
  return kind === 'res' ? (source.response?.get(name) ?? '') : null;
}

/** Tokens of a value that mean nothing, for a warning at build time. */
export const unknownTokens = (template: string): string[] =>
  [...template.matchAll(/\$\{[^}]*\}/g)]
    .map(([token]) => token)
    .filter((token) => !/^\$\{(method|path|url|(query|req|res):[^}:]+|req:(cookie|param):[^}]+)\}$/.test(token));

export function cookieOf(header: string | undefined, name: string): string {
  for (const pair of header?.split(';') ?? []) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return '';
}

const fieldSafe = (value: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  value.replace(/[\x00-\x1f\x7f]+/g, '').replace(/[^\x20-\x7e]+/g, (piece) => encodeLoosely(piece));
