/** Request cookies by name. The first of a name wins, as in every browser-facing library. Parsing is `cookie`'s. */
import { parseCookie } from 'cookie';
import type { Fields } from './fields.ts';

export type Cookies = Readonly<Record<string, string | undefined>>;

/** Values are percent-decoded where that is possible. The record has no prototype. */
export function parseCookies(fields: Fields): Cookies {
  const value = fields.get('cookie');
  return value === undefined ? NONE : parseCookie(value);
}

const NONE: Cookies = Object.freeze(Object.create(null));
