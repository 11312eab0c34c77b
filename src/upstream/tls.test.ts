import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { certificates } from '../../test/actors/certificates.ts';
import { dnsServer } from '../../test/actors/dns-server.ts';
import { tlsOrigin, tlsScript } from '../../test/actors/tls-peer.ts';
import { LAB_LIMITS, textOf, turns, upstreamLab } from '../../test/actors/upstream-lab.ts';
import { Trust, tlsAlert } from './tls.ts';

const lab = await certificates();
const https = { scheme: 'https' } as const;

describe('a handshake that succeeds', () => {
  test('is timed on its own and its connection is kept', async () => {
    await using peer = await tlsOrigin(lab.good);
    await using room = await upstreamLab({ trusting: true });
    for (const reused of [false, true]) {
      const { response, attempts } = await room.send(peer.port, { origin: https });
      assert.equal(await textOf(response.body), 'secure');
      assert.equal(attempts[0]!.reusedConnection, reused);
      assert.equal(typeof attempts[0]!.tlsMs, reused ? 'undefined' : 'number');
    }
  });

  test('names the host in SNI and offers HTTP/1.1 only; an address is no name', async () => {
    await using server = await dnsServer({ 'shop.test': { A: ['127.0.0.1'] } });
    await using peer = await tlsOrigin({ ...lab.good, ALPNProtocols: ['h2', 'http/1.1'] });
    await using room = await upstreamLab({ trusting: true, dnsServers: [server.address] });
    await room.send(peer.port, { origin: { ...https, host: 'shop.test' } });
    await room.send(peer.port, { origin: https });
    assert.deepEqual(
      peer.secured.map((socket) => [(socket as unknown as { servername: unknown }).servername, socket.alpnProtocol]),
      [
        ['shop.test', 'http/1.1'],
        [false, 'http/1.1'],
      ],
    );
  });

  test('checks the name that it is told instead of the host', async () => {
    await using peer = await tlsOrigin(lab.wrongName);
    await using room = await upstreamLab({ trusting: true });
    const { response } = await room.send(peer.port, { origin: { ...https, servername: 'other.example' } });
    assert.equal(await textOf(response.body), 'secure');
  });

  test('shows the certificate of the platform where the peer asks for one', async () => {
    const options = { ...lab.good, ca: lab.ca, requestCert: true, rejectUnauthorized: true } as const;
    await using peer = await tlsOrigin(options);
    await using room = await upstreamLab({ trusting: true });
    const origin = { ...https, leg: 'link', clientCertificate: lab.client } as const;
    assert.equal(await textOf((await room.send(peer.port, { origin })).response.body), 'secure');
  });
});

test('checks nothing where checking is switched off', async () => {
  for (const certificate of [lab.expired, lab.wrongName, lab.selfSigned]) {
    await using peer = await tlsOrigin(certificate);
    await using room = await upstreamLab();
    const { response } = await room.send(peer.port, { origin: { ...https, verifyCertificate: false } });
    assert.equal(await textOf(response.body), 'secure');
  }
});

test("without the CA file the lab's authority is unknown", async () => {
  await using peer = await tlsOrigin(lab.good);
  await using room = await upstreamLab();
  const fault = await room.fault(peer.port, { origin: https });
  assert.equal(fault.why, 'upstream.tls.certificate');
});

test('the certificate is evidence for operators and not in what the public sees', async () => {
  await using peer = await tlsOrigin(lab.expired);
  await using room = await upstreamLab({ trusting: true });
  const fault = await room.fault(peer.port, { origin: https });
  assert.match(JSON.stringify(fault.evidence.certificate), /"names":"DNS:localhost/);
  assert.deepEqual([fault.details, fault.parameters], ['CERT_HAS_EXPIRED', {}]);
});

test('a close behind the handshake is a failure of HTTP, not of TLS', async () => {
  await using peer = await tlsScript(lab.good, (socket) => void socket.once('data', () => socket.destroy()));
  await using room = await upstreamLab({ trusting: true });
  assert.equal((await room.fault(peer.port, { origin: https })).why, 'upstream.head.closed');
});

test('a handshake that is finished is no timeout, even when the timer fires before it was looked at', async () => {
  await using room = await upstreamLab({ trusting: true });
  await using peer = await tlsScript({ ...lab.good, minVersion: 'TLSv1.2' }, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  });
  const work = room.send(peer.port, { origin: https });
  await room.clock.armed(LAB_LIMITS.tlsMs);
  while (peer.secured.length === 0) await turns(1);
  room.clock.advance(LAB_LIMITS.tlsMs);
  assert.equal((await work).response.status, 200);
});

test('a reason of OpenSSL is an alert from 1000 on only', () => {
  const failure = (message: string) => tlsAlert(new Error(message))?.info.parameters;
  assert.deepEqual(failure('00A7:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:r.c:1:'), {
    'alert-id': 70,
  });
  assert.deepEqual(failure('write EPROTO … SSL alert number 40'), { 'alert-id': 40 });
  assert.equal(
    failure('00A7:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:r.c:1:'),
    undefined,
  );
  assert.equal(failure('read ECONNRESET'), undefined);
});

test('a CA file that cannot be read is an error at once', () => {
  assert.throws(() => new Trust('/no/such/file.pem'), { code: 'ENOENT' });
});
