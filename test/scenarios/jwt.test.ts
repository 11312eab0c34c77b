/** Token checks of routes, decided at the edge: who may go on, who is sent elsewhere, who is refused. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { SignJWT } from 'jose';
import { projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

const SECRET = 'a secret that only the shop and its edge know';
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PEM = publicKey.export({ type: 'spki', format: 'pem' }).toString();

const token = (expires: string, secret = SECRET): Promise<string> =>
  new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(expires).sign(Buffer.from(secret));

describe('a route with verifyJwt', () => {
  let platform: Platform;
  let site: Site;
  before(async () => {
    platform = await startPlatform();
    site = await platform.deploy(
      'jwt',
      projectFiles(
        {},
        `
        .match('/api', ({ verifyJwt, allowCors, send }) => {
          allowCors({ origin: 'https://shop.example' });
          verifyJwt({ algo: 'HS256', secret: ${JSON.stringify(SECRET)} });
          send('private');
        })
        .match('/page', ({ verifyJwt, send }) => {
          verifyJwt({ algo: 'HS256', secret: ${JSON.stringify(SECRET)}, cookie: 'session',
            redirectExpiredAbsent: '/login?again=1', redirectInvalid: '/goodbye', returnUrlParamName: 'from' });
          send('page');
        })
        .match('/signed', ({ verifyJwt, send }) => {
          verifyJwt({ algo: 'ES256', secret: ${JSON.stringify(PEM)}, header: 'x-token' });
          send('signed');
        })`,
      ),
    );
  });
  after(() => platform?.stop());

  test('lets a good token pass and says so in the log', async () => {
    const answer = await site.ask('/api', { headers: { authorization: `Bearer ${await token('1h')}` } });
    assert.deepEqual([answer.status, answer.text], [200, 'private']);
    assert.equal((await platform.log(answer.get('x-sv-request-id')!)).jwt, 'permit');
  });

  test('refuses absent, expired, forged and unsigned tokens with 403 where it names no other place', async () => {
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.`;
    for (const [given, details] of [
      [undefined, 'jwt-absent'],
      [await token('-1h'), 'jwt-absent'],
      [await token('1h', 'another secret altogether'), 'jwt-invalid'],
      [unsigned, 'jwt-invalid'],
      ['rubbish', 'jwt-invalid'],
    ] as const) {
      const answer = await site.ask(
        '/api',
        given === undefined ? {} : { headers: { authorization: `Bearer ${given}` } },
      );
      assert.equal(answer.status, 403);
      assert.match(answer.get('proxy-status')!, new RegExp(details));
    }
  });

  test('never asks a CORS preflight for a token', async () => {
    const headers = { origin: 'https://shop.example', 'access-control-request-method': 'GET' };
    assert.equal((await site.ask('/api', { method: 'OPTIONS', headers })).status, 204);
  });

  test('sends visitors to log in, and knows where they came from', async () => {
    const answer = await site.ask('/page?a=1');
    assert.equal(answer.status, 302);
    const location = new URL(answer.get('location')!, 'http://x');
    assert.equal(location.pathname, '/login');
    assert.match(location.searchParams.get('from')!, /\/page\?a=1$/);
    const forged = await site.ask('/page', { headers: { cookie: 'session=x.y.z' } });
    assert.match(forged.get('location')!, /^\/goodbye\?from=/);
    const good = await site.ask('/page', { headers: { cookie: `session=${await token('1h')}` } });
    assert.equal(good.text, 'page');
  });

  test('checks public-key signatures, and never takes the public key for a shared secret', async () => {
    const good = await new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).setExpirationTime('1h').sign(privateKey);
    assert.equal((await site.ask('/signed', { headers: { 'x-token': good } })).text, 'signed');
    const confused = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(Buffer.from(PEM));
    assert.equal((await site.ask('/signed', { headers: { 'x-token': confused } })).status, 403);
  });
});
