import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerPreflight, applyRequestOps, applyResponseOps } from './apply.ts';
import { HeaderList } from './authoring/headers.ts';
import type { ResponseOp } from './table.ts';

const request = (headers: string[] = [], more: { path?: string; params?: Record<string, string> } = {}) => ({
  method: 'GET',
  path: more.path ?? '/a/7',
  query: 'q=1',
  params: more.params ?? { id: '7' },
  fields: new HeaderList(headers),
});

describe('request operations', () => {
  test('change fields in place and say where the request goes', () => {
    const context = request(['Cookie', 'a=1', 'X-Gone', '1', 'X-Name', 'foo foo']);
    const target = applyRequestOps(
      [
        { op: 'set-header', name: 'x-id', value: 'id-${req:param:id}' },
        { op: 'remove-header', name: 'x-gone' },
        { op: 'update-header', name: 'x-name', pattern: '(f)o+', flags: '', replacement: '$1-${req:param:id}' },
        { op: 'set-path', path: '/b/:id' },
      ],
      context,
    );
    assert.deepEqual(target, { path: '/b/7', query: 'q=1' });
    assert.deepEqual(context.fields.raw, ['Cookie', 'a=1', 'x-id', 'id-7', 'x-name', 'f-7 foo']);
  });

  test('a rewrite takes the variables of its own pattern, and leaves other paths alone', () => {
    const rewrite = { op: 'rewrite-path', to: '/new/:rest*', pattern: '/old/:rest*' } as const;
    assert.equal(applyRequestOps([rewrite], request([], { path: '/old/a%2Fb/c' })).path, '/new/a%2Fb/c');
    assert.equal(applyRequestOps([rewrite], request([], { path: '/other' })).path, '/other');
  });
});

describe('response operations', () => {
  const apply = (ops: ResponseOp[], response: string[], headers: string[] = []) => {
    const fields = new HeaderList(response);
    applyResponseOps(ops, fields, request(headers));
    return fields.raw;
  };

  test('a replacement sees every line of a header, and embedded values are only text in it', () => {
    const op = { op: 'update-header', name: 'link', pattern: 'x', flags: 'g', replacement: '${req:x-a}' } as const;
    assert.deepEqual(apply([op], ['link', 'x x', 'link', 'y'], ['x-a', '$&']), ['link', '$& $&', 'link', 'y']);
  });

  test('cookies are added, edited and removed by name, one line each', () => {
    assert.deepEqual(
      apply(
        [
          { op: 'update-cookie', name: 'b', pattern: '^v', flags: '', replacement: 'w' },
          { op: 'remove-cookie', name: 'c' },
          {
            op: 'add-cookie',
            name: 'd',
            value: '${req:cookie:x}',
            options: { Path: '/', 'Max-Age': 5, Secure: false, HttpOnly: true },
          },
        ],
        ['set-cookie', 'a=v; Path=/', 'set-cookie', 'b=v1; Path=/v', 'Set-Cookie', 'c=1'],
        ['cookie', 'x=1'],
      ),
      ['set-cookie', 'a=v; Path=/', 'set-cookie', 'b=w1; Path=/v', 'set-cookie', 'd=1; Path=/; Max-Age=5; HttpOnly'],
    );
  });

  test('an expression that would stall a backtracking engine is over at once', () => {
    const op = { op: 'update-header', name: 'x', pattern: '^(a+)+$', flags: '', replacement: '' } as const;
    assert.deepEqual(apply([op], ['x', `${'a'.repeat(5000)}!`])[1]!.length, 5001);
  });
});

describe('CORS', () => {
  const cors = (op: Partial<Extract<ResponseOp, { op: 'cors' }>>, origin: string, present: string[] = []) => {
    const fields = new HeaderList(present);
    applyResponseOps([{ op: 'cors', origin: '*', ...op }], fields, request(['origin', origin]));
    return Object.fromEntries(fields.names().map((name) => [name, fields.get(name)]));
  };

  test('anyone may read without credentials, and nothing varies', () => {
    assert.deepEqual(cors({}, 'https://a.example'), { 'access-control-allow-origin': '*' });
  });

  test('an answer that depends on the origin says so', () => {
    const list = { origin: ['https://a.example', 'https://b.example'] };
    assert.deepEqual(cors(list, 'https://b.example', ['vary', 'Accept']), {
      vary: 'Accept, Origin',
      'access-control-allow-origin': 'https://b.example',
    });
    assert.deepEqual(cors(list, 'https://evil.example'), { vary: 'Origin' });
    assert.equal(cors({ credentials: true }, 'https://a.example')['access-control-allow-origin'], 'https://a.example');
  });

  test('a preflight can be answered without the upstream, and only a preflight', () => {
    const fields = new HeaderList();
    const ask = {
      method: 'OPTIONS',
      fields: new HeaderList(['origin', 'https://a.example', 'access-control-request-method', 'PUT']),
    };
    assert.ok(answerPreflight([{ op: 'cors', origin: '*', maxAge: 60 }], ask, fields));
    assert.equal(fields.get('access-control-allow-methods'), 'PUT');
    assert.equal(fields.get('access-control-max-age'), '60');
    assert.ok(!answerPreflight([], ask, fields));
    assert.ok(!answerPreflight([{ op: 'cors', origin: '*' }], { ...ask, method: 'GET' }, fields));
  });
});
