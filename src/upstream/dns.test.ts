import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { closedDnsServer, dnsServer } from '../../test/actors/dns-server.ts';
import { newFolder } from '../../test/actors/folder.ts';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { type Address, createResolver, type Resolver } from './dns.ts';
import { StageFailure } from './failure.ts';

const timeoutMs = 5_000;
const show = (addresses: readonly Address[]): string => addresses.map(({ address }) => address).join(' ');
const lookup = async (resolver: Resolver, host: string): Promise<string> =>
  show(await resolver.lookup(host, { timeoutMs }));

async function failure(work: Promise<unknown>): Promise<StageFailure> {
  const error = await work.then(
    () => assert.fail('expected a failure'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof StageFailure, String(error));
  return error;
}

describe('names that need no server', () => {
  const resolver = createResolver({ clock: new ManualClock(), servers: ['127.0.0.1:1'] });

  test('an IP literal is its own address', async () => {
    assert.equal(await lookup(resolver, '192.0.2.7'), '192.0.2.7');
    assert.equal(await lookup(resolver, '[::1]'), '::1');
  });

  test('localhost and the names below it are loopback', async () => {
    assert.equal(await lookup(resolver, 'localhost'), '127.0.0.1 ::1');
    assert.equal(await lookup(resolver, 'shop.LOCALHOST.'), '127.0.0.1 ::1');
  });

  for (const host of ['', 'a..b', '.a', 'a b', `${'x'.repeat(64)}.test`, `${'abcdefg.'.repeat(32)}test`, 'a/b']) {
    test(`no query is made for the bad name ${JSON.stringify(host.slice(0, 20))}`, async () => {
      assert.equal((await failure(lookup(resolver, host))).stage, 'dns.bad-name');
    });
  }

  test('the hosts file answers first when no servers are configured', async () => {
    const hostsFile = join(newFolder('hosts'), 'hosts');
    writeFileSync(hostsFile, '# lab\n127.0.0.9 api.test www.api.test # both\n::1 api.test\n');
    const own = createResolver({ clock: new ManualClock(), hostsFile });
    assert.equal(await lookup(own, 'API.test'), '127.0.0.9 ::1');
    assert.equal(await lookup(own, 'www.api.test'), '127.0.0.9');
  });
});

describe('answers of a name server', () => {
  test('both families come back interleaved, IPv4 first', async () => {
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1', '127.0.0.2'], AAAA: ['::1'] } });
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
    assert.equal(await lookup(resolver, 'a.test'), '127.0.0.1 ::1 127.0.0.2');
  });

  test('an answer is kept for its TTL and asked for again behind it', async () => {
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1'], ttlSeconds: 30 } });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    await lookup(resolver, 'a.test');
    clock.advance(29_999);
    server.zones.set('a.test', { A: ['127.0.0.2'] });
    assert.equal(await lookup(resolver, 'A.test.'), '127.0.0.1');
    assert.equal(server.queries.length, 2);
    clock.advance(1);
    assert.equal(await lookup(resolver, 'a.test'), '127.0.0.2');
    assert.equal(server.queries.length, 4);
  });

  test('a TTL of nought and one of a year are brought within bounds', async () => {
    await using server = await dnsServer({
      'short.test': { A: ['127.0.0.1'], ttlSeconds: 0 },
      'long.test': { A: ['127.0.0.1'], ttlSeconds: 31_536_000 },
    });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address], minTtlMs: 500, maxTtlMs: 10_000 });
    for (const name of ['short.test', 'long.test']) await lookup(resolver, name);
    clock.advance(499);
    await lookup(resolver, 'short.test');
    assert.equal(server.queries.length, 4);
    clock.advance(9_501);
    for (const name of ['short.test', 'long.test']) await lookup(resolver, name);
    assert.equal(server.queries.length, 8);
  });

  test('concurrent look-ups of one name share one query', async () => {
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1'] } });
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
    await Promise.all(Array.from({ length: 50 }, () => lookup(resolver, 'a.test')));
    assert.deepEqual(server.queries.sort(), ['a.test A', 'a.test AAAA']);
  });

  test('one family with addresses does not wait long for the other, whose answer is kept when it comes', async () => {
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1'], silent: ['AAAA'] } });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    const work = lookup(resolver, 'a.test');
    await clock.armed(50);
    clock.advance(50);
    assert.equal(await work, '127.0.0.1');
    resolver.close();
  });

  test('a failing family is no failure while the other one has addresses', async () => {
    await using server = await dnsServer({ 'a.test': { AAAA: ['::1'] } });
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
    assert.equal(await lookup(resolver, 'a.test'), '::1');
  });

  test('no more than the configured number of names is kept, the oldest goes first', async () => {
    const names = ['a.test', 'b.test', 'c.test'];
    await using server = await dnsServer(Object.fromEntries(names.map((name) => [name, { A: ['127.0.0.1'] }])));
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address], maxEntries: 2 });
    for (const name of [...names, 'c.test', 'b.test', 'a.test']) await lookup(resolver, name);
    assert.deepEqual(
      server.queries.filter((query) => query.endsWith(' A')),
      ['a.test A', 'b.test A', 'c.test A', 'a.test A'],
    );
  });
});

describe('ways to fail', () => {
  for (const [rcode, stage] of [
    ['NXDOMAIN', 'dns.nxdomain'],
    ['SERVFAIL', 'dns.servfail'],
    ['REFUSED', 'dns.refused'],
    ['FORMERR', 'dns.formerr'],
    ['NOTIMP', 'dns.notimp'],
  ] as const) {
    test(`${rcode} is ${stage}`, async () => {
      await using server = await dnsServer({ 'a.test': { rcode } });
      const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
      const { stage: seen, info } = await failure(lookup(resolver, 'a.test'));
      assert.equal(seen, stage);
      assert.deepEqual(info.parameters, { rcode });
    });
  }

  test('an answer without records is nodata', async () => {
    await using server = await dnsServer({ 'a.test': {} });
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
    assert.equal((await failure(lookup(resolver, 'a.test'))).stage, 'dns.nodata');
  });

  test('silence ends at the deadline, not before', async () => {
    await using server = await dnsServer({ 'a.test': { silent: true } });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    const work = failure(lookup(resolver, 'a.test'));
    await server.asked('a.test');
    clock.advance(timeoutMs);
    assert.equal((await work).stage, 'dns.timeout');
    resolver.close();
  });

  test('a name server that is there again is asked anew', async () => {
    await using server = await dnsServer({ 'a.test': { silent: true } });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    const work = failure(lookup(resolver, 'a.test'));
    await server.asked('a.test');
    clock.advance(timeoutMs);
    await work;
    const asked = server.queries.length;
    server.zones.set('a.test', { A: ['127.0.0.1'] });
    assert.equal(await lookup(resolver, 'a.test'), '127.0.0.1');
    assert.ok(server.queries.length >= asked + 2, 'the silent query was not waited for');
    resolver.close();
  });

  test('a name server whose port is closed is a failure of DNS, not of the connection', async () => {
    const resolver = createResolver({ clock: new ManualClock(), servers: [await closedDnsServer()] });
    assert.equal((await failure(lookup(resolver, 'a.test'))).stage, 'dns.unreachable');
  });

  test('a negative answer is kept briefly', async () => {
    await using server = await dnsServer();
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    await failure(lookup(resolver, 'a.test'));
    await failure(lookup(resolver, 'a.test'));
    assert.equal(server.queries.length, 2);
    server.zones.set('a.test', { A: ['127.0.0.1'] });
    clock.advance(1_000);
    assert.equal(await lookup(resolver, 'a.test'), '127.0.0.1');
  });

  test('who stops waiting gets the reason of the signal', async () => {
    await using server = await dnsServer({ 'a.test': { silent: true } });
    const resolver = createResolver({ clock: new ManualClock(), servers: [server.address] });
    const controller = new AbortController();
    const work = resolver.lookup('a.test', { timeoutMs, signal: controller.signal });
    await server.asked('a.test');
    controller.abort(new Error('gone'));
    await assert.rejects(work, /gone/);
    resolver.close();
  });

  test('a finished answer is no timeout, even when the timer fires before it was looked at', async () => {
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1'], AAAA: ['::1'] } });
    const clock = new ManualClock();
    const resolver = createResolver({ clock, servers: [server.address] });
    const work = lookup(resolver, 'a.test');
    await server.asked('a.test');
    clock.advance(timeoutMs);
    assert.equal(await work, '127.0.0.1 ::1');
  });
});
