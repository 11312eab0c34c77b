/** The kinds of values that configuration takes: how one is read and, in words, what is allowed. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { LONGEST_TIMER_MS } from './limits.ts';

export interface Kind<T> {
  /** Completes "must be …". */
  readonly allowed: string;
  /** The value in its final form, or undefined when it is not one of these. */
  readonly read: (raw: unknown) => { readonly value: T } | undefined;
  /** A file that must be readable and hold this; relative ones are relative to the configuration file. */
  readonly holds?: (content: string) => boolean;
  /** A folder that need not be there yet; relative ones as with files. */
  readonly folder?: boolean;
}

const accept = <T>(value: T): { readonly value: T } => ({ value });

export const text = (allowed: string, pattern: RegExp): Kind<string> => ({
  allowed,
  read: (raw) => (typeof raw === 'string' && pattern.test(raw) ? accept(raw) : undefined),
});

export const oneOf = <const T extends string | number>(...values: readonly T[]): Kind<T> => ({
  allowed: `one of ${values.join(', ')}`,
  read: (raw) => {
    const found = values.find((value) => value === raw);
    return found === undefined ? undefined : accept(found);
  },
});

export const flag: Kind<boolean> = {
  allowed: 'true or false',
  read: (raw) => (typeof raw === 'boolean' ? accept(raw) : undefined),
};

export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  readonly unit?: string;
  /** What the word `off` stands for; without it the word is refused. */
  readonly off?: number;
  readonly fraction?: boolean;
}

export function number({ min = 0, max, unit, off, fraction = false }: NumberBounds = {}): Kind<number> {
  const noun = `a ${fraction ? '' : 'whole '}number${unit ? ` (${unit})` : ''}`;
  const range = max === undefined ? `, ${min} or more` : ` from ${min} to ${max}`;
  return {
    allowed: `${noun}${range}${off === undefined ? '' : ', or off'}`,
    read: (raw) => {
      if (off !== undefined && (raw === 'off' || raw === Number.POSITIVE_INFINITY)) return accept(off);
      if (typeof raw !== 'number' || !Number.isFinite(raw)) return undefined;
      if (!fraction && !Number.isSafeInteger(raw)) return undefined;
      return raw >= min && raw <= (max ?? Number.MAX_VALUE) ? accept(raw) : undefined;
    },
  };
}

export const milliseconds = (min = 1): Kind<number> => number({ min, max: LONGEST_TIMER_MS, unit: 'ms' });

export const port: Kind<number> = number({ max: 65_535, unit: 'port, 0 picks a free one' });

export const folder: Kind<string> = { ...text('the path of a directory', /./), folder: true };
export const certificateFile: Kind<string> = {
  ...text('the path of a readable file with a certificate (PEM)', /./),
  holds: (content) => succeeds(() => new X509Certificate(content)),
};
export const keyFile: Kind<string> = {
  ...text('the path of a readable file with a private key (PEM)', /./),
  holds: (content) => succeeds(() => createPrivateKey(content)),
};

function succeeds(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/** An IP literal or a host name that the system resolves. */
export const bindHost = text('an address or host name to listen on', /^[0-9A-Za-z.:_-]+$/);

const LABELS = /^(?=.{1,253}$)[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?(?:\.[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?)*$/;
export const domain = text('a domain name in lower case', LABELS);

export const token = text(
  'lower-case letters, digits and hyphens, starting with a letter',
  /^[a-z](?:[a-z0-9-]*[a-z0-9])?$/,
);

export function url(...schemes: readonly string[]): Kind<string> {
  return {
    allowed: `a URL with a valid host (${schemes.map((scheme) => `${scheme}://…`).join(' or ')})`,
    read: (raw) => {
      if (typeof raw !== 'string' || !URL.canParse(raw)) return undefined;
      const { protocol, hostname } = new URL(raw);
      const hasHost = hostname.startsWith('[') || LABELS.test(hostname.replace(/\.$/, ''));
      return hasHost && schemes.includes(protocol.slice(0, -1)) ? accept(raw) : undefined;
    },
  };
}

/** A CIDR range; a single address stands for itself. The value always has its prefix length. */
export const cidr: Kind<string> = {
  allowed: 'a CIDR range such as 10.0.0.0/8',
  read: (raw) => {
    if (typeof raw !== 'string') return undefined;
    const [address = '', length, ...rest] = raw.split('/');
    const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
    return rest.length === 0 && prefix >= 0 && prefix <= bits ? accept(`${address}/${prefix}`) : undefined;
  },
};

/** `ip`, `ip:port` or `[ip]:port`: what Node's resolver takes. */
export const nameServer: Kind<string> = {
  allowed: 'an IP address with optional port, such as 127.0.0.1:5353 or [::1]:5353',
  read: (raw) => {
    if (typeof raw !== 'string') return undefined;
    if (isIP(raw)) return accept(raw);
    const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(raw) ?? [];
    const valid = isIP(v6 ?? v4 ?? '') === (v6 === undefined ? 4 : 6) && Number(digits) <= 65_535;
    return valid ? accept(raw) : undefined;
  },
};

export const listOf = <T>(item: Kind<T>): Kind<readonly T[]> => ({
  allowed: `a list, each ${item.allowed}`,
  read: (raw) => {
    if (!Array.isArray(raw)) return undefined;
    const items = raw.map(item.read);
    return items.every((read) => read !== undefined) ? accept(items.map((read) => read.value)) : undefined;
  },
});

/** A member that may be left away; there is no other way to say "none". */
export const optional = <T>(kind: Kind<T>): Kind<T | undefined> => kind;
