import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { dnsServer } from '../../test/actors/dns-server.ts';
import { fullBacklog } from '../../test/actors/full-backlog.ts';
import { closedPort, httpOrigin } from '../../test/actors/origin.ts';
import { LAB_LIMITS, textOf, turns, upstreamLab } from '../../test/actors/upstream-lab.ts';
import { Prohibited } from './prohibited.ts';

describe('several addresses', () => {
  test('the next one is dialled as soon as one refuses, and both are in the attempts', async () => {
    await using origin = await httpOrigin();
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.9', '127.0.0.1'] } });
    await using lab = await upstreamLab({ dnsServers: [server.address] });
    const { response, attempts } = await lab.send(origin.port, { origin: { host: 'a.test' } });
    await textOf(response.body);
    assert.deepEqual(
      attempts.map(({ address, fault }) => [address, fault?.why]),
      [
        [`127.0.0.9:${origin.port}`, 'upstream.connect.refused'],
        [`127.0.0.1:${origin.port}`, undefined],
      ],
    );
    assert.equal(typeof attempts[0]!.dnsMs, 'number');
    assert.equal(attempts[1]!.dnsMs, undefined);
  });

  test('a silent one costs a stagger, not the deadline', async () => {
    await using full = await fullBacklog();
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1', '127.0.0.2'] } });
    await using lab = await upstreamLab({ dnsServers: [server.address] });
    const work = lab.fault(full.port, { origin: { host: 'a.test' } });
    await lab.clock.armed(250);
    lab.clock.advance(250);
    await turns();
    lab.clock.advance(LAB_LIMITS.connectMs);
    const fault = await work;
    const seen = fault.evidence.attempts as { address: string; connectMs: number; fault: { why: string } }[];
    // 127.0.0.2 refuses at once; the first one used all the time there was, so time names the code.
    assert.deepEqual(
      seen.map((attempt) => [attempt.address, attempt.fault.why]),
      [
        [`127.0.0.1:${full.port}`, 'upstream.connect.timeout'],
        [`127.0.0.2:${full.port}`, 'upstream.connect.refused'],
      ],
    );
    assert.equal(fault.why, 'upstream.connect.timeout');
  });

  test('nobody waits any more: all dials end, no timer stays', async () => {
    await using full = await fullBacklog();
    await using lab = await upstreamLab();
    const controller = new AbortController();
    const work = lab.send(full.port, { signal: controller.signal });
    await lab.clock.armed(LAB_LIMITS.connectMs);
    controller.abort(new Error('gone'));
    await assert.rejects(work, /^Error: gone$/);
    assert.deepEqual(lab.clock.delays, []);
  });
});

describe('prohibited addresses', () => {
  test('a name that resolves to one is refused at the dial, whatever it resolved to before', async () => {
    await using origin = await httpOrigin();
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1'], ttlSeconds: 1 } });
    const upstream = new Prohibited({ networks: ['127.0.0.2/32'] });
    await using lab = await upstreamLab({ dnsServers: [server.address], prohibited: { upstream } });
    const call = { origin: { host: 'a.test' }, fields: ['Host', 'a.test'] };
    await textOf((await lab.send(origin.port, call)).response.body);
    server.zones.set('a.test', { A: ['127.0.0.2'] });
    lab.clock.advance(60_000);
    assert.equal((await lab.fault(origin.port, call)).why, 'upstream.connect.prohibited');
  });

  test('one of several is passed over', async () => {
    await using origin = await httpOrigin();
    await using server = await dnsServer({ 'a.test': { A: ['127.0.0.2', '127.0.0.1'] } });
    const upstream = new Prohibited({ networks: ['127.0.0.2'] });
    await using lab = await upstreamLab({ dnsServers: [server.address], prohibited: { upstream } });
    const { response } = await lab.send(origin.port, { origin: { host: 'a.test' } });
    assert.equal(response.status, 200);
  });

  test('networks hold for mapped and bare addresses alike', () => {
    const rules = new Prohibited({ networks: ['169.254.169.254', '10.0.0.0/8', 'fd00:ec2::/32'] });
    for (const address of [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '10.1.2.3',
      'fd00:ec2::254',
    ])
      assert.equal(rules.reason(address, 80), 'network', address);
    for (const address of ['169.254.169.253', '11.0.0.1', '::1'])
      assert.equal(rules.reason(address, 80), null, address);
  });

  test('a socket of the platform is closed on every address of the machine, other ports are not', () => {
    const rules = new Prohibited({ sockets: [{ host: '127.0.0.1', port: 8079 }] });
    rules.add({ host: '203.0.113.1', port: 9000 });
    const own = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
    for (const address of ['127.0.0.1', '127.9.9.9', '0.0.0.0', '::', '::1', '::ffff:127.0.0.1', ...own])
      assert.equal(rules.reason(address, 8079), 'socket 127.0.0.1:8079', address);
    assert.equal(rules.reason('127.0.0.1', 8080), null);
    assert.equal(rules.reason('203.0.113.2', 8079), null);
    assert.equal(rules.reason('203.0.113.1', 9000), 'socket 203.0.113.1:9000');
  });

  test('something that is no network is refused when it is configured', () => {
    for (const network of ['10.0.0.0/99', 'example.com', ''])
      assert.throws(() => new Prohibited({ networks: [network] }));
  });
});

test('refused by every address is refused', async () => {
  await using server = await dnsServer({ 'a.test': { A: ['127.0.0.1', '127.0.0.2'], AAAA: ['::1'] } });
  await using lab = await upstreamLab({ dnsServers: [server.address] });
  const fault = await lab.fault(await closedPort(), { origin: { host: 'a.test' } });
  assert.equal(fault.why, 'upstream.connect.refused');
  assert.equal((fault.evidence.attempts as unknown[]).length, 3);
});
