/**
 * Token checks of routes (`verifyJwt`), with the jose library: signature and times, then the visitor goes on, is sent
 * elsewhere, or gets 403. Source: spec "Platform", section 2.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { errors, importSPKI, jwtVerify } from 'jose';
import type { Clock } from '../base/clock.ts';
import { parseCookies } from '../http/cookies.ts';
import { Fields } from '../http/fields.ts';
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import type { JwtSettings } from '../router/table.ts';
import { Fault } from '../status/fault.ts';
import type { Exchange } from './exchange.ts';
import type { PopSettings } from './settings.ts';

type Verdict = 'permit' | 'absent' | 'invalid';

/** A redirect, or null when every token that the routes ask for is good. Throws a `Fault` (403). */
export async function jwtAnswer(exchange: Exchange, settings: PopSettings): Promise<HttpResponse | null> {
  for (const { jwt } of exchange.plan!.routes) {
    if (!jwt) continue;
    const verdict = await verify(jwt, exchange.request, settings.clock);
    exchange.jwt = 'permit';
    if (verdict === 'permit') continue;
    const target = verdict === 'absent' ? jwt.redirectExpiredAbsent : jwt.redirectInvalid;
    if (target === undefined) {
      exchange.jwt = 'blocked';
      throw new Fault({ cause: 'request.denied', hop: settings.role, details: `jwt-${verdict}` });
    }
    exchange.jwt = 'redirect';
    return redirect(withReturnUrl(target, jwt.returnUrlParamName, exchange));
  }
  return null;
}

/** Expired and not yet valid tokens count as absent: a new one helps. */
async function verify(settings: JwtSettings, request: HttpRequest, clock: Clock): Promise<Verdict> {
  const token = tokenOf(settings, request.fields);
  if (token === undefined || token === '') return 'absent';
  try {
    await jwtVerify(token, await keyOf(settings), {
      algorithms: [settings.algo],
      currentDate: new Date(clock.nowMs()),
    });
    return 'permit';
  } catch (error) {
    const outOfTime =
      error instanceof errors.JWTExpired || (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf');
    return outOfTime ? 'absent' : 'invalid';
  }
}

function tokenOf({ header, cookie }: JwtSettings, fields: Fields): string | undefined {
  if (cookie !== undefined && header === undefined) return parseCookies(fields)[cookie];
  return fields
    .get(header ?? 'authorization')
    ?.replace(/^bearer\s+/i, '')
    .trim();
}

const keys = new WeakMap<JwtSettings, Promise<CryptoKey | KeyObject>>();

function keyOf(settings: JwtSettings): Promise<CryptoKey | KeyObject> {
  const known = keys.get(settings);
  if (known) return known;
  const { algo, secret } = settings;
  const key = algo.startsWith('HS') ? Promise.resolve(createSecretKey(Buffer.from(secret))) : importSPKI(secret, algo);
  keys.set(settings, key);
  return key;
}

function withReturnUrl(target: string, parameter: string | undefined, { request }: Exchange): string {
  if (parameter === undefined) return target;
  const from = `${request.protocol}://${request.host}${request.path}${request.query ? `?${request.query}` : ''}`;
  return `${target}${target.includes('?') ? '&' : '?'}${encodeURIComponent(parameter)}=${encodeURIComponent(from)}`;
}

function redirect(location: string): HttpResponse {
  const fields = Fields.from([
    ['location', location],
    ['cache-control', 'no-store'],
    ['content-length', '0'],
  ]);
  return { status: 302, fields, body: Buffer.alloc(0) };
}
