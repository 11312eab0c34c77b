/**
 * Mutual TLS between POPs: every POP has a certificate of one authority of the platform's own, shows it to the other
 * side, and trusts nothing but that authority. A peer without a valid certificate is told so and not listened to,
 * because Node has no way to answer it with an alert.
 */
import { readFileSync } from 'node:fs';
import type { PlatformConfig } from '../../config/platform.ts';
import type { ListenerOptions } from '../../http/listener.ts';
import { refusalOfCertificate } from '../../pop/link.ts';
import type { LinkOptions } from '../../upstream/origin.ts';

interface Files {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Null: the link is plain. The configuration was refused when one of the three was missing. */
function filesOf({ pop: { certFile, keyFile, caFile } }: PlatformConfig): Files | null {
  if (certFile === undefined || keyFile === undefined || caFile === undefined) return null;
  const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file, 'utf8'));
  return { cert: cert!, key: key!, ca: ca! };
}

/** For the edge's side. */
export function linkIdentity(config: PlatformConfig): LinkOptions {
  const files = filesOf(config);
  return files === null ? {} : { clientCertificate: { cert: files.cert, key: files.key }, authorities: files.ca };
}

/** For the global POP's side. */
export function linkSecurity(config: PlatformConfig): Pick<ListenerOptions, 'tls' | 'refuseUnproven'> {
  const files = filesOf(config);
  if (files === null) return {};
  return { tls: { ...files, requestCert: true, rejectUnauthorized: false }, refuseUnproven: refusalOfCertificate };
}

export const linkScheme = ({ pop }: PlatformConfig): 'http' | 'https' =>
  pop.certFile === undefined ? 'http' : 'https';
