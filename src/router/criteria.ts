/** Everything in a route's criteria beside the path, as one test. Source: spec "Routing", section 3. */
import { linearEngine } from './linear.ts';
import { decodeText } from './path.ts';
import type { Criteria, JsonCriteria, Matcher } from './table.ts';
import { cookieOf, cookiesAbout, type RequestFields } from './template.ts';

export interface MatchRequest {
  readonly method: string;
  readonly protocol: 'http' | 'https';
  /** As received, percent-encoding untouched. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  readonly fields: RequestFields;
  /** Needed only when `needsBody` says so. */
  readonly body?: Buffer | undefined;
  /** True where clients can choose HTTPS: routes then are `https` unless they say otherwise. */
  readonly enforceProtocol: boolean;
}

/** A request with what several routes look at parsed once. */
export class Subject {
  readonly request: MatchRequest;
  /** HEAD asks for what GET would give, unless the table has HEAD routes of its own. */
  method: string;
  readonly #cookies = new Map<string, string | null>();
  #query: URLSearchParams | undefined;
  #json: { readonly value: unknown } | undefined;

  constructor(request: MatchRequest) {
    this.request = request;
    this.method = request.method;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.request.query);
    return this.#query;
  }

  cookie(name: string): string | null {
    let value = this.#cookies.get(name);
    if (value === undefined) {
      const header = cookiesAbout(this.request.fields, name);
      value =
        header && new RegExp(`(?:^|;)\\s*${RegExp.escape(name)}\\s*=`).test(header) ? cookieOf(header, name) : null;
      this.#cookies.set(name, value);
    }
    return value;
  }

  /** The body as JSON; undefined when it is none. */
  get json(): unknown {
    this.#json ??= { value: parseJson(this.request.body) };
    return this.#json.value;
  }
}

function parseJson(body: Buffer | undefined): unknown {
  if (!body || body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

type Test = (subject: Subject) => boolean;
/** Values of one thing, of which one must satisfy the matcher; none means it is absent. */
type ValueTest = (values: readonly string[]) => boolean;

export interface CompiledCriteria {
  /** All but path and body. */
  readonly head: readonly Test[];
  readonly body: Test | null;
  /** Query parameter → param name. */
  readonly captures: readonly (readonly [parameter: string, name: string])[];
}

export function compileCriteria(criteria: Criteria | null): CompiledCriteria {
  const head: Test[] = [protocolTest(criteria?.protocol)];
  const captures: [string, string][] = [];
  if (criteria?.method) {
    head.push(methodTest(criteria.method));
  }
  for (const [name, matcher] of Object.entries(criteria?.headers ?? {})) {
    const test = valueTest(matcher);
    head.push(({ request }) => test(present(request.fields.get(name))));
  }
  for (const [name, matcher] of Object.entries(criteria?.cookies ?? {})) {
    const test = valueTest(matcher);
    head.push((subject) => {
      const value = present(subject.cookie(name));
      return test(value) || (value.length > 0 && test(value.map(decodeText)));
    });
  }
  for (const [name, matcher] of Object.entries(criteria?.query ?? {})) {
    if ('capture' in matcher) {
      captures.push([name, matcher.capture]);
      head.push((subject) => subject.query.has(name));
    } else {
      const test = valueTest(matcher);
      head.push((subject) => test(subject.query.getAll(name)));
    }
  }
  const json = criteria?.body && jsonTest(criteria.body);
  return { head, captures, body: json ? (subject) => json(subject.json) : null };
}

const present = (value: string | null | undefined): string[] => (value === null || value === undefined ? [] : [value]);

/** Without TLS there is nothing to choose: what is meant for `https` answers plain HTTP. */
function protocolTest(matcher: Matcher | undefined): Test {
  const test = valueTest(matcher ?? { is: 'https' });
  const accepts = { http: test(['http']), https: test(['https']) };
  return ({ request: { protocol, enforceProtocol } }) => accepts[protocol] || (!enforceProtocol && accepts.https);
}

function methodTest(matcher: Matcher): Test {
  if ('is' in matcher) return ({ method }) => method === matcher.is;
  const test = valueTest(matcher);
  return ({ method }) => test([method]);
}

export function valueTest(matcher: Matcher): ValueTest {
  if ('absent' in matcher) return (values) => values.length === 0;
  if ('is' in matcher) return (values) => values.includes(matcher.is);
  const pattern = linearEngine(matcher.pattern, matcher.flags);
  return (values) => values.some((value) => pattern.test(value));
}

/** Only members that are listed must match; a criterion for an object is not met by anything else. */
function jsonTest({ members }: JsonCriteria): (value: unknown) => boolean {
  const tests = Object.entries(members).map(([name, criterion]) => {
    const test = memberTest(criterion);
    return (object: Record<string, unknown>) => test(Object.hasOwn(object, name) ? object[name] : undefined);
  });
  return (value) =>
    typeof value === 'object' && value !== null && tests.every((test) => test(value as Record<string, unknown>));
}

function memberTest(criterion: JsonCriteria['members'][string]): (value: unknown) => boolean {
  if ('members' in criterion) return jsonTest(criterion);
  if ('json' in criterion) return (value) => sameJson(value, criterion.json);
  const test = valueTest(criterion);
  return (value) => {
    if (value === undefined || value === null) return test([]);
    return typeof value !== 'object' && test([String(value)]);
  };
}

function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name as never], b[name as never]))
  );
}
