/**
 * TLS as a phase of its own, between a connected socket and the first byte of HTTP: its own timer, the name check
 * against the name that was asked for, and every way to fail told apart (533 and 546 of the status-code page; a
 * socket without `secureConnect` is never an HTTP failure, however it ended).
 */
import { readFileSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { Deadline } from './deadline.ts';
import { codeOf, StageFailure } from './failure.ts';
import type { Origin } from './types.ts';
import { Wire } from './wire.ts';

/** Whom the platform trusts: the system's store, Node's own list, NODE_EXTRA_CA_CERTS and a file of its own. */
export class Trust {
  readonly #own: string | undefined;
  readonly #contexts = new Map<string, tls.SecureContext>();

  /** `caFile`: further authorities in PEM. Throws when it cannot be read. */
  constructor(caFile?: string) {
    this.#own = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  }

  /** Contexts are made once: reading some hundred certificates takes tens of milliseconds. */
  context({
    clientCertificate: client,
    authorities,
  }: Pick<Origin, 'clientCertificate' | 'authorities'>): tls.SecureContext {
    const key = [client?.cert, client?.key, authorities].join('\n');
    let context = this.#contexts.get(key);
    if (context === undefined) {
      context = tls.createSecureContext({ ...client, ca: authorities ?? this.#authorities() });
      this.#contexts.set(key, context);
    }
    return context;
  }

  #authorities(): string[] {
    const known = new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')]);
    return this.#own === undefined ? [...known] : [...known, this.#own];
  }
}

export interface SecureOptions {
  readonly origin: Origin;
  readonly trust: Trust;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The socket, secured and ready for an exchange. Rejects with a `StageFailure` of a `tls.*` stage. */
export function secure(socket: Socket, options: SecureOptions): Promise<Wire> {
  const { origin, trust, clock, signal } = options;
  const name = origin.servername ?? origin.host.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      secureContext: trust.context(origin),
      // SNI carries host names only (RFC 6066 section 3).
      ...(isIP(name) === 0 ? { servername: name.replace(/\.$/, '') } : {}),
      // Judged below, while the certificate can still be looked at; nothing is sent before that.
      rejectUnauthorized: false,
      checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(name, certificate),
      ALPNProtocols: ['http/1.1'],
    });
    const finish = (settle: () => void): void => {
      deadline.stop();
      signal.removeEventListener('abort', aborted);
      secured.off('secureConnect', done).off('close', closed);
      settle();
    };
    const fail = (reason: unknown): void =>
      finish(() => {
        secured.destroy();
        reject(reason);
      });
    const evidence = { name };
    const deadline = new Deadline(clock, origin.limits.tlsMs, () =>
      fail(new StageFailure('tls.timeout', { evidence: { ...evidence, value: origin.limits.tlsMs } })),
    );
    const aborted = (): void => fail(signal.reason);
    const closed = (): void => fail(new StageFailure('tls.closed', { evidence }));
    const done = (): void => {
      if (origin.verifyCertificate && !secured.authorized) fail(certificateFailure(secured, name));
      // The wire takes the socket over at once: an alert of TLS 1.3 may come right behind the handshake.
      else finish(() => resolve(new Wire(secured)));
    };
    secured.once('secureConnect', done).once('close', closed);
    secured.on('error', (error) => fail(failureOf(error, evidence)));
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
  });
}

/** `authorized` covers chain, dates and name; `authorizationError` is the code of what failed. */
function certificateFailure(secured: tls.TLSSocket, name: string): StageFailure {
  const code = String(secured.authorizationError);
  const { subject, issuer, valid_from, valid_to, subjectaltname } = secured.getPeerCertificate();
  const certificate = { subject, issuer, validFrom: valid_from, validTo: valid_to, names: subjectaltname };
  return new StageFailure('tls.certificate', { details: code, evidence: { name, error: code, certificate } });
}

function failureOf(error: Error, about: Readonly<Record<string, unknown>>): StageFailure {
  const code = codeOf(error);
  const alert = tlsAlert(error);
  if (alert !== null) return alert;
  const evidence = { ...about, error: code };
  const closed = code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED';
  if (closed) return new StageFailure('tls.closed', { error, evidence });
  return new StageFailure('tls.protocol', { error, details: reasonOf(error), evidence });
}

/**
 * The failure behind an alert of the peer, or null. OpenSSL reports alert N as reason 1000 + N, in the message or as
 * `SSL alert number N`; a reason below 1000 is no alert.
 */
export function tlsAlert(error: unknown): StageFailure | null {
  const message = error instanceof Error ? error.message : '';
  const [, decimal] = /SSL alert number (\d+)/.exec(message) ?? [];
  const [, hex] = /error:[0-9A-F]{5}([0-9A-F]{3}):SSL/i.exec(message) ?? [];
  const alert = decimal !== undefined ? Number(decimal) : hex === undefined ? -1 : Number.parseInt(hex, 16) - 1000;
  if (alert < 0 || alert > 255) return null;
  return new StageFailure('tls.alert', {
    error,
    details: `alert ${alert}`,
    parameters: { 'alert-id': alert },
    evidence: { error: codeOf(error), reason: reasonOf(error) },
  });
}

/** `wrong version number` → `WRONG_VERSION_NUMBER`: the token of OpenSSL's reason, which names no host. */
function reasonOf(error: unknown): string | undefined {
  const { reason } = error as { reason?: unknown };
  const [, fromMessage] = /:SSL routines:[^:]*:([^:]+):/.exec((error as Error).message) ?? [];
  const text = typeof reason === 'string' ? reason : fromMessage;
  return text?.toUpperCase().replace(/[^A-Z0-9]+/g, '_') ?? codeOf(error);
}
