/** A certificate authority of the lab and what it signs, good and bad; made in memory, once per process. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Lab {
  /** PEM of the authority: trust it to trust the good ones. */
  readonly ca: string;
  readonly good: Certificate;
  readonly wrongName: Certificate;
  readonly expired: Certificate;
  readonly notYetValid: Certificate;
  /** Signed by nobody but itself. */
  readonly selfSigned: Certificate;
  /** Signed by an authority that nobody trusts. */
  readonly unknownAuthority: Certificate;
  /** For the client side of mutual TLS, signed by the authority. */
  readonly client: Certificate;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const NAMES = ['localhost', 'shop.test', '127.0.0.1'];

let lab: Promise<Lab> | undefined;

/** Good certificates cover `localhost`, `shop.test` and 127.0.0.1. */
export function certificates(): Promise<Lab> {
  lab ??= make();
  return lab;
}

async function make(): Promise<Lab> {
  x509.cryptoProvider.set(webcrypto as unknown as Crypto);
  const authority = await makeAuthority('Lab CA');
  const stranger = await makeAuthority('Unknown CA');
  const now = Date.now();
  return {
    ca: authority.certificate.toString('pem'),
    good: await sign(authority, NAMES, now - DAY_MS, now + DAY_MS),
    wrongName: await sign(authority, ['other.example'], now - DAY_MS, now + DAY_MS),
    expired: await sign(authority, NAMES, now - 2 * DAY_MS, now - DAY_MS),
    notYetValid: await sign(authority, NAMES, now + DAY_MS, now + 2 * DAY_MS),
    selfSigned: await sign(null, NAMES, now - DAY_MS, now + DAY_MS),
    unknownAuthority: await sign(stranger, NAMES, now - DAY_MS, now + DAY_MS),
    client: await sign(authority, ['pop.test'], now - DAY_MS, now + DAY_MS),
  };
}

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

async function makeAuthority(name: string): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    notBefore: new Date(Date.now() - 30 * DAY_MS),
    notAfter: new Date(Date.now() + 30 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate, keys };
}

async function sign(
  authority: Authority | null,
  names: readonly string[],
  fromMs: number,
  toMs: number,
): Promise<Certificate> {
  const keys = await newKeys();
  const common = {
    notBefore: new Date(fromMs),
    notAfter: new Date(toMs),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: /^[\d.]+$/.test(value) ? 'ip' : 'dns', value }) as const),
      ),
    ],
  };
  const subject = `CN=${names[0]}`;
  const certificate =
    authority === null
      ? await x509.X509CertificateGenerator.createSelfSigned({ ...common, name: subject, keys })
      : await x509.X509CertificateGenerator.create({
          ...common,
          subject,
          issuer: authority.certificate.subject,
          publicKey: keys.publicKey,
          signingKey: authority.keys.privateKey,
        });
  return { cert: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(bytes as ArrayBuffer, 'PRIVATE KEY');
}
