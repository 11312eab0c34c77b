/** 533: TCP is up, and no secure channel comes about. */
import type { LabCase } from '../case.ts';

const certificate = (
  variant: string,
  how: string,
  pick: 'expired' | 'notYetValid' | 'selfSigned' | 'unknownAuthority' | 'wrongName',
  details: string,
): LabCase => ({
  cause: 'upstream.tls.certificate',
  variant,
  how,
  hop: 'global',
  details,
  backend: (kit) => kit.tls(kit.certificates[pick]),
});

/** A fatal handshake_failure (40), as a TLS 1.2 record. */
const HANDSHAKE_FAILURE = Buffer.from([0x15, 3, 3, 0, 2, 2, 40]);

export const UPSTREAM_TLS: readonly LabCase[] = [
  certificate('expired', "the upstream's certificate expired yesterday", 'expired', 'CERT_HAS_EXPIRED'),
  certificate(
    'not-yet-valid',
    "the upstream's certificate is valid from tomorrow on",
    'notYetValid',
    'CERT_NOT_YET_VALID',
  ),
  certificate('self-signed', "the upstream's certificate is signed by nobody but itself", 'selfSigned', 'SELF_SIGNED'),
  certificate(
    'unknown-ca',
    'nobody here trusts the authority of the certificate',
    'unknownAuthority',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ),
  certificate('wrong-name', 'the certificate is for another name', 'wrongName', 'ERR_TLS_CERT_ALTNAME_INVALID'),
  {
    cause: 'upstream.tls.alert',
    variant: 'old-version',
    how: 'the upstream speaks TLS 1.1 at most',
    hop: 'global',
    details: 'alert 70',
    backend: (kit) =>
      kit.tls({ ...kit.certificates.good, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  },
  {
    cause: 'upstream.tls.alert',
    variant: 'client-certificate',
    how: 'the upstream demands a certificate of the client, which a platform has none of for it',
    hop: 'global',
    details: 'alert 116',
    backend: (kit) =>
      kit.tls({ ...kit.certificates.good, ca: kit.certificates.ca, requestCert: true, rejectUnauthorized: true }),
  },
  {
    cause: 'upstream.tls.alert',
    variant: 'alert',
    how: 'the upstream answers the handshake with a fatal alert',
    hop: 'global',
    details: 'alert 40',
    backend: (kit) => kit.notTls((socket) => void socket.once('data', () => socket.end(HANDSHAKE_FAILURE))),
  },
  {
    cause: 'upstream.tls.protocol',
    variant: 'not-tls',
    how: 'the upstream answers the handshake in plain HTTP',
    hop: 'global',
    backend: (kit) =>
      kit.notTls((socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  },
  {
    cause: 'upstream.tls.closed',
    variant: 'closed',
    how: 'the upstream closes the connection after the first message of the handshake',
    hop: 'global',
    backend: (kit) => kit.notTls((socket) => void socket.once('data', () => socket.destroy())),
  },
  {
    cause: 'upstream.tls.closed',
    variant: 'reset',
    how: 'the upstream resets the connection in the handshake',
    hop: 'global',
    backend: (kit) => kit.notTls((socket) => void socket.once('data', () => socket.resetAndDestroy())),
  },
  {
    cause: 'upstream.tls.timeout',
    variant: 'silent',
    how: 'the upstream accepts the connection and never says a word of TLS',
    hop: 'global',
    backend: (kit) => kit.notTls(() => {}),
  },
];
