/** 537 and 531: the upstream's name has no address, or no connection to its address comes about. */
import type { Cause } from '../../status/causes.ts';
import type { LabCase } from '../case.ts';
import { at } from '../kit.ts';
import type { Zone } from '../peers/dns-server.ts';

const name = (cause: Cause, variant: string, how: string, zone: Zone): LabCase => ({
  cause,
  variant,
  how,
  hop: 'global',
  backend: (kit) => kit.named(`${variant}.lab.test`, zone),
});

const NAMES: readonly LabCase[] = [
  {
    cause: 'upstream.dns.nxdomain',
    variant: 'nxdomain',
    how: 'the name does not exist',
    hop: 'global',
    backend: () => ({ domainOrIp: 'nobody.lab.test', port: 80, scheme: 'http' }),
  },
  name('upstream.dns.servfail', 'servfail', 'the name server fails', { rcode: 'SERVFAIL' }),
  name('upstream.dns.refused', 'refused', 'the name server refuses to answer', { rcode: 'REFUSED' }),
  name('upstream.dns.formerr', 'formerr', 'the name server does not understand the question', { rcode: 'FORMERR' }),
  name('upstream.dns.notimp', 'notimp', 'the name server cannot do what it is asked', { rcode: 'NOTIMP' }),
  name('upstream.dns.nodata', 'nodata', 'the name exists and has no address', {}),
  name('upstream.dns.timeout', 'silence', 'the name server never answers', { silent: true }),
  {
    cause: 'upstream.dns.bad-name',
    variant: 'bad-name',
    how: 'the configured name has an empty label',
    hop: 'global',
    backend: () => ({ domainOrIp: 'a..lab.test', port: 80, scheme: 'http' }),
  },
  {
    cause: 'upstream.dns.unreachable',
    variant: 'no-name-server',
    how: 'nothing listens on the port of the name server',
    hop: 'global',
    world: 'tight',
    backend: () => ({ domainOrIp: 'any.lab.test', port: 80, scheme: 'http' }),
  },
];

const CONNECTS: readonly LabCase[] = [
  {
    cause: 'upstream.connect.refused',
    variant: 'refused',
    how: 'nothing listens on the port of the upstream',
    hop: 'global',
    backend: (kit) => kit.closed(),
  },
  {
    cause: 'upstream.connect.timeout',
    variant: 'timeout',
    how: "the upstream's accept queue is full, so that nobody answers the connect",
    hop: 'global',
    backend: (kit) => kit.full(),
  },
  {
    cause: 'upstream.connect.unroutable',
    variant: 'unroutable',
    how: 'there is no route to the address',
    hop: 'global',
    backend: () => ({ ...at(80), domainOrIp: '255.255.255.255' }),
  },
  {
    cause: 'upstream.connect.prohibited',
    variant: 'prohibited',
    how: 'the operator has closed the network of the upstream',
    hop: 'global',
    backend: () => ({ ...at(80), domainOrIp: '127.0.0.9' }),
  },
  {
    cause: 'upstream.connect.prohibited',
    variant: 'metadata',
    how: "the upstream's name leads to the metadata address of clouds",
    hop: 'global',
    backend: (kit) => kit.named('metadata.lab.test', { A: ['169.254.169.254'] }),
  },
  {
    cause: 'upstream.connect.prohibited',
    variant: 'own-control',
    how: "the upstream is the platform's own Control API",
    hop: 'global',
    backend: (_kit, self) => at(Number(new URL(self.control!).port)),
  },
  {
    cause: 'upstream.connect.pool-full',
    variant: 'pool-full',
    how: 'every connection that the upstream is granted is in use',
    hop: 'global',
    world: 'tight',
    alone: true,
    backend: (kit) => kit.raw(() => {}),
    async provoke(scene) {
      const done = new AbortController();
      const first = scene.beside({ path: `${scene.path}/first`, signal: done.signal });
      await scene.kit.asked(scene.path);
      const seen = await scene.ask({ path: `${scene.path}/second` });
      done.abort();
      await first;
      return seen;
    },
  },
];

export const UPSTREAM_REACH: readonly LabCase[] = [...NAMES, ...CONNECTS];
