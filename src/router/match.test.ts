import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { match as referenceMatch } from 'path-to-regexp';
import { compileRoutes, type MatchRequest } from './match.ts';
import type { Action, Criteria, JsonCriteria, Route, RouteTable } from './table.ts';

const SEND: Action = { kind: 'send', body: 'x', status: 200 };

const route = (id: number, criteria: Criteria | null, more: Partial<Route> = {}): Route => ({
  id: String(id),
  source: { file: 'routes.ts', line: id },
  label: criteria === null ? 'fallback' : 'route',
  criteria,
  requestOps: [],
  upstreamResponseOps: [],
  responseOps: [],
  ...more,
});

const tableOf = (routes: readonly Route[], more: Partial<RouteTable> = {}): RouteTable => ({
  format: 1,
  backends: {},
  main: { routes, catches: [] },
  destinations: {},
  flags: { indexPermalink: false, allowReqQueryDuplicates: false, excludeBuiltInRoutes: false },
  prerender: [],
  ...more,
});

const ask = (target: string, more: Partial<MatchRequest> & { headers?: Record<string, string> } = {}): MatchRequest => {
  const [path, query = ''] = target.split('?');
  const { headers = {}, ...rest } = more;
  return {
    method: 'GET',
    protocol: 'https',
    path: path!,
    query,
    fields: { get: (name) => headers[name] },
    enforceProtocol: false,
    ...rest,
  };
};

const paths = (...patterns: string[]) => compileRoutes(tableOf(patterns.map((path, at) => route(at, { path }))));
const idsOf = (matched: readonly { route: Route }[]): string => matched.map(({ route: { id } }) => id).join(' ');
const paramsFor = (pattern: string, path: string) => paths(pattern).match(ask(path))[0]?.params;

describe('order', () => {
  test('every matching route is told in declaration order, up to the first that sends', () => {
    const routes = compileRoutes(
      tableOf([
        route(1, { path: '/:path*' }),
        route(2, { path: '/a/b' }),
        route(3, { path: '/x' }),
        route(4, { path: '/a/:x' }, { action: SEND }),
        route(5, { path: '/a/b' }, { action: SEND }),
        route(6, null, { action: SEND }),
      ]),
    );
    assert.equal(idsOf(routes.match(ask('/a/b'))), '1 2 4');
    assert.equal(idsOf(routes.match(ask('/other'))), '1 6');
  });

  test('a destination runs between the main routes and the main fallback, the first one unless told otherwise', () => {
    const routes = compileRoutes(
      tableOf([route(1, { path: '/a' }), route(9, null, { action: SEND })], {
        destinations: {
          blue: { routes: [route(2, { path: '/a' }, { action: SEND })], catches: [] },
          green: { routes: [route(3, { path: '/a' })], catches: [] },
        },
      }),
    );
    assert.equal(idsOf(routes.match(ask('/a'))), '1 2');
    assert.equal(idsOf(routes.match(ask('/a'), 'green')), '1 3 9');
  });

  test('error routes are chosen by status, in order, until one sends', () => {
    const catches = [
      { status: { pattern: '^5', flags: '' }, route: route(1, null) },
      { status: { is: '502' }, route: route(2, null, { action: SEND }) },
      { status: { pattern: '5..', flags: 'g' }, route: route(3, null, { action: SEND }) },
    ];
    const routes = compileRoutes(tableOf([], { main: { routes: [], catches } }));
    assert.equal(idsOf(routes.matchCatches(502, ask('/'))), '1 2');
    assert.equal(idsOf(routes.matchCatches(500, ask('/'))), '1 3');
    assert.equal(idsOf(routes.matchCatches(500, ask('/'))), '1 3');
    assert.equal(idsOf(routes.matchCatches(404, ask('/'))), '');
  });
});

describe('paths', () => {
  test('patterns take parameters the way path-to-regexp 6 does', () => {
    assert.deepEqual(paramsFor('/a/:id', '/A/7/'), { id: '7' });
    assert.deepEqual(paramsFor('/icon-:n(\\d+).png', '/icon-12.png'), { n: '12' });
    assert.deepEqual(paramsFor('/:path*/:file.:ext(js|mjs|css)', '/a/b/c.css'), {
      path: ['a', 'b'],
      file: 'c',
      ext: 'css',
    });
    assert.deepEqual(paramsFor('/:a?{-:b}?', '/x-y'), { a: 'x', b: 'y' });
    assert.deepEqual(paramsFor('/:path*', '/'), {});
    assert.deepEqual(paramsFor('/a/(.*)', '/a/b/c'), { 0: 'b/c' });
    assert.deepEqual(paramsFor(':path*', '/a/b'), { path: ['a', 'b'] });
    assert.deepEqual(paramsFor('/men:suffix/:path*', '/men.html/x'), { suffix: '.html', path: ['x'] });
    assert.equal(paramsFor('/men:suffix/:path*', '/men'), undefined);
    assert.equal(paramsFor('/men:suffix/:path*', '/men/'), undefined);
  });

  test('parameters are decoded, and malformed escapes survive', () => {
    assert.deepEqual(paramsFor('/:name', '/caf%C3%A9%20%E0%A4%A'), { name: 'café %E0%A4%A' });
    const [matched] = paths('/x/:path*').match(ask('/%78/a%2Fb/c%2Bd'));
    assert.deepEqual(matched!.params, { path: ['a/b', 'c+d'] });
    const [literal] = paths('/x/:path*').match(ask('/x/a%2Fb/c%2Bd'));
    assert.deepEqual(literal!.rawParams, { path: ['a%2Fb', 'c%2Bd'] });
  });

  test('a path matches however it was escaped, so an escape cannot slip past a route', () => {
    assert.equal(idsOf(paths('/admin').match(ask('/%61dmi%6E'))), '0');
    assert.equal(idsOf(paths('/pages/[id].js').match(ask('/pages/%5Bid%5D.js'))), '0');
    assert.equal(idsOf(paths('/café').match(ask('/caf%c3%a9'))), '0');
    assert.equal(idsOf(paths('/a/b').match(ask('/a%2Fb'))), '');
  });

  test('a splat inside a segment is refused with a remedy', () => {
    assert.throws(() => paths('/part-:p*'), { name: 'PathMatcherError', remedy: /:suffix\/:p\*/ });
  });

  test('a pattern that would make a backtracking engine explode answers at once', () => {
    const routes = paths('/:a?/:b?/:c?/:d?/:e?/:f?/:g?/end', '/((?:a+)+)!');
    assert.equal(idsOf(routes.match(ask(`/${'x/'.repeat(200)}`))), '');
    assert.equal(idsOf(routes.match(ask(`/${'a'.repeat(5000)}`))), '');
  });

  test('the compiled matcher says what trying every pattern in turn says', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', 'A', 'x.js', 'a-b');
    const piece = fc.constantFrom(
      ...[
        '/a',
        '/b',
        '/ab',
        '/:p',
        '/:p?',
        '/:p*',
        '/:p+',
        '/a:p',
        '/:p.js',
        '/a-:p',
        '/(.*)',
        '/:p(a|b)',
        '{/a}?',
        '/',
      ],
    );
    const pattern = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => {
      let name = 0;
      return pieces.map((text) => text.replace(':p', () => `:p${name++}`)).join('');
    });
    const path = fc
      .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '/'))
      .map(([segments, slash]) => `/${segments.join('/')}${slash}`);
    fc.assert(
      fc.property(fc.array(pattern, { minLength: 1, maxLength: 8 }), path, (patterns, target) => {
        const usable = patterns.filter(isUsable);
        const expected = usable.flatMap((text, at) => {
          const found = referenceMatch(text)(target);
          return found ? [[String(at), present(found.params as Record<string, unknown>)]] : [];
        });
        const actual = paths(...usable).match(ask(target));
        assert.deepEqual(
          actual.map(({ route: { id }, params }) => [id, present(params)]),
          expected,
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('ten thousand routes are no longer a list: only routes that share the path are looked at', () => {
    const many = Array.from({ length: 10_000 }, (_, at) => `/section-${at}/:id${at % 2 ? '' : '/:rest*'}`);
    const routes = paths(...many, '/:any/7');
    assert.equal(idsOf(routes.match(ask('/section-4711/7'))), '4711 10000');
  });
});

const isUsable = (pattern: string): boolean => {
  try {
    referenceMatch(pattern);
    return true;
  } catch {
    return false;
  }
};
const present = (params: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));

describe('criteria', () => {
  const only = (criteria: Criteria) => {
    const routes = compileRoutes(tableOf([route(1, criteria)]));
    return (request: MatchRequest) => routes.match(request).length === 1;
  };

  test('headers, cookies and query hold exact values, expressions and absence', () => {
    const matches = only({
      headers: { 'x-a': { is: '1' }, 'x-gone': { absent: true } },
      cookies: { Session: { pattern: '^s', flags: 'g' } },
      query: { page: { pattern: '^\\d+$', flags: '' } },
    });
    const headers = { 'x-a': '1', cookie: 'a=b; Session=s1' };
    assert.ok(matches(ask('/?page=7', { headers })));
    assert.ok(matches(ask('/?page=7', { headers })), 'a global expression keeps no state');
    assert.ok(!matches(ask('/?page=x', { headers })));
    assert.ok(!matches(ask('/?page=7', { headers: { ...headers, 'x-gone': '' } })));
    assert.ok(!matches(ask('/?page=7', { headers: { ...headers, cookie: 'session=s1' } })));
  });

  test('a query capture takes its value into the params', () => {
    const routes = compileRoutes(tableOf([route(1, { path: '/p', query: { sku: { capture: 'id' } } })]));
    assert.deepEqual(routes.match(ask('/p?sku=a%20b'))[0]!.params, { id: 'a b' });
    assert.deepEqual(routes.match(ask('/p')), []);
  });

  test('routes are for HTTPS where clients can choose, and for both where they cannot', () => {
    const plain = ask('/', { protocol: 'http' });
    assert.ok(only({ path: '/' })(plain));
    assert.ok(!only({ path: '/' })({ ...plain, enforceProtocol: true }));
    assert.ok(only({ path: '/', protocol: { pattern: '^https?$', flags: '' } })({ ...plain, enforceProtocol: true }));
    assert.ok(only({ path: '/', protocol: { is: 'http' } })({ ...plain, enforceProtocol: true }));
    assert.ok(!only({ path: '/', protocol: { is: 'http' } })(ask('/')));
  });

  test('HEAD is answered by GET routes unless a HEAD route sends', () => {
    const get = route(1, { path: '/a', method: { is: 'GET' } }, { action: SEND });
    const head = route(2, { path: '/a', method: { is: 'HEAD' } }, { action: SEND });
    assert.equal(idsOf(compileRoutes(tableOf([get])).match(ask('/a', { method: 'HEAD' }))), '1');
    assert.equal(idsOf(compileRoutes(tableOf([get, head])).match(ask('/a', { method: 'HEAD' }))), '2');
    assert.equal(idsOf(compileRoutes(tableOf([get, head])).match(ask('/a'))), '1');
  });

  test('a JSON body is compared member by member, and only then must it be read', () => {
    const body: JsonCriteria = {
      members: { op: { is: 'List' }, page: { json: 2 }, user: { members: { role: { pattern: '^ad', flags: '' } } } },
    };
    const routes = compileRoutes(tableOf([route(1, { path: '/g', method: { is: 'POST' }, body }), route(2, null)]));
    const post = (value: unknown) => ask('/g', { method: 'POST', body: Buffer.from(JSON.stringify(value)) });
    assert.equal(idsOf(routes.match(post({ op: 'List', page: 2, user: { role: 'admin' }, more: 1 }))), '1 2');
    assert.equal(idsOf(routes.match(post({ op: 'List', page: '2', user: { role: 'admin' } }))), '2');
    assert.equal(idsOf(routes.match(ask('/g', { method: 'POST', body: Buffer.from('{') }))), '2');
    assert.ok(routes.needsBody(ask('/g', { method: 'POST' })));
    assert.ok(!routes.needsBody(ask('/g')));
    assert.ok(!routes.needsBody(ask('/other', { method: 'POST' })));
  });
});
