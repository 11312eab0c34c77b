import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assetPathOf, embed, redirectTargetOf, targetOf, unknownTokens, withoutEmptyParameters } from './template.ts';

const bare = { path: '/x', query: '' };

describe('paths for the next hop', () => {
  test('variables are filled, with or without a leading slash in the template', () => {
    const params = { path: ['a', 'b c'], id: '7' };
    assert.equal(targetOf(':path*', { params }, bare).path, '/a/b%20c');
    assert.equal(targetOf('/v1/:path*', { params }, bare).path, '/v1/a/b%20c');
    assert.equal(targetOf('/icon-:id(\\d+).png', { params }, bare).path, '/icon-7.png');
    assert.equal(targetOf('/js/:path*', { params: {} }, bare).path, '/js');
    assert.equal(targetOf(':path*', { params: {} }, bare).path, '/');
  });

  test('what the visitor escaped stays escaped the same way', () => {
    const match = { params: { path: ['a/b', 'c+d'] }, rawParams: { path: ['a%2Fb', 'c%2Bd'] } };
    assert.equal(targetOf('/v1/:path*', match, bare).path, '/v1/a%2Fb/c%2Bd');
    assert.equal(targetOf('/v1/:path*', { params: match.params }, bare).path, '/v1/a%2Fb/c+d');
  });

  test('without a template path and query pass through, and a query in the template comes first', () => {
    const request = { path: '/a%20b', query: 'q=1' };
    assert.equal(targetOf(undefined, { params: {} }, request), request);
    assert.deepEqual(targetOf('/find?id=:id&x=1', { params: { id: 'a&b' } }, request), {
      path: '/find',
      query: 'id=a%26b&x=1&q=1',
    });
  });

  test('parameters without a value can be left out', () => {
    assert.equal(withoutEmptyParameters('a=1&b=&c&d=%20'), 'a=1&d=%20');
  });
});

describe('assets', () => {
  test('paths are project-relative and decoded, and cannot leave their directory', () => {
    assert.equal(assetPathOf('./dist/:path*', { params: { path: ['a b', 'é.js'] } }), 'dist/a b/é.js');
    assert.equal(assetPathOf('dist/:name.html', { params: { name: 'x' } }), 'dist/x.html');
    assert.equal(assetPathOf('dist/a\\:b.js', { params: {} }), 'dist/a:b.js');
    assert.equal(assetPathOf('dist/:path*', { params: { path: ['..', 'secret'] } }), null);
    assert.equal(assetPathOf('dist/:path*', { params: { path: ['../secret'] } }), null);
  });
});

describe('redirects', () => {
  test("lead to paths and URLs, with the request's query appended", () => {
    const params = { path: ['a', 'b'], id: '7' };
    assert.equal(redirectTargetOf('/new/:path*', { params }, 'q=1'), '/new/a/b?q=1');
    assert.equal(
      redirectTargetOf('https://x.example:8443/p/:id?z=1', { params }, 'q=1'),
      'https://x.example:8443/p/7?z=1&q=1',
    );
    assert.equal(redirectTargetOf('https://x.example', { params }, ''), 'https://x.example');
    assert.equal(redirectTargetOf('/page#part', { params }, 'q=1'), '/page?q=1#part');
  });
});

describe('embedded values', () => {
  const headers: Record<string, string> = { host: 'h.example', cookie: 'a=1; session=s 2', 'x-evil': 'a\r\nb: c' };
  const source = {
    method: 'GET',
    path: '/p',
    query: 'q=a%20b&q=2',
    params: { id: '7', path: ['x', 'y'] },
    fields: { get: (name: string) => headers[name] },
  };

  test('every token of the specification has its value', () => {
    assert.equal(embed('${method} ${path} ${url}', source), 'GET /p /p?q=a%20b&q=2');
    assert.equal(embed('${query:q}|${req:host}|${req:cookie:session}', source), 'a b|h.example|s 2');
    assert.equal(embed('${req:param:id}|${req:param:path}', source), '7|x/y');
    assert.equal(embed('${res:etag}', { ...source, response: { get: () => '"e"' } }), '"e"');
  });

  test('missing values are empty, and what means nothing stays', () => {
    assert.equal(embed('[${query:none}${req:none}${req:cookie:none}${req:param:none}${res:x}]', source), '[]');
    assert.equal(embed('${nothing} ${env:x}', source), '${nothing} ${env:x}');
    assert.deepEqual(unknownTokens('${path} ${nothing} ${req:param:id}'), ['${nothing}']);
  });

  test('a value cannot end the header that it is put into', () => {
    assert.equal(embed('${req:x-evil}', source), 'ab: c');
    assert.equal(embed('${req:param:id}', { ...source, params: { id: 'é\n' } }), '%C3%A9');
  });
});
