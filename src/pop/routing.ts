/**
 * Route and key: which routes apply, what they ask for together, and what the cache will know the request by. The
 * body is read first where a decision looks into it; longer bodies than are looked at stay streams.
 */
import { PassThrough, type Readable } from 'node:stream';
import { type CacheKey, cacheKey } from '../cache/key.ts';
import type { Body } from '../http/message.ts';
import { normaliseAcceptEncoding } from '../http/negotiate.ts';
import type { Exchange } from './exchange.ts';
import { limitsOf } from './limits.ts';
import { makePlan } from './plan.ts';
import type { PopSettings } from './settings.ts';

/** A body criterion looks at no more than this much of a request body; a longer body matches none. */
const MATCHED_BODY_BYTES = 1024 * 1024;

/** Fills in `exchange.plan` and `exchange.keyed`. `enforceProtocol`: clients can choose between HTTP and HTTPS. */
export async function routeExchange(
  exchange: Exchange,
  settings: PopSettings,
  enforceProtocol: boolean,
): Promise<CacheKey> {
  const { routes } = exchange.destination!.site;
  const { method, path, query, fields } = exchange.request;
  const subject = { method, path, query, fields, protocol: exchange.client.protocol, enforceProtocol };
  if (routes.needsBody(subject)) await readBody(exchange, MATCHED_BODY_BYTES);
  const { body } = exchange.request;
  exchange.plan = makePlan(routes.match({ ...subject, ...(Buffer.isBuffer(body) ? { body } : {}) }));
  if (exchange.plan.bodyKey) await readBody(exchange, limitsOf(exchange.destination, settings)['cache.keyBodyBytes']);
  const key = keyOf(exchange, settings);
  exchange.keyed = key;
  return key;
}

function keyOf(exchange: Exchange, settings: PopSettings): CacheKey {
  const { request, plan } = exchange;
  const { environment } = exchange.destination!;
  return cacheKey({
    space: environment.cacheSpace,
    protocol: exchange.client.protocol,
    host: request.host,
    path: request.path,
    query: request.query,
    acceptEncoding: normaliseAcceptEncoding(request.fields.get('accept-encoding')),
    destination: 'default',
    method: request.method,
    fields: request.fields,
    bodyKey: plan!.bodyKey,
    body: Buffer.isBuffer(request.body) ? request.body : request.body === null ? Buffer.alloc(0) : null,
    settings: plan!.key,
    traits: new Traits(exchange),
    cookiePrefix: settings.branding.cookiePrefix,
    keyBodyBytes: limitsOf(exchange.destination, settings)['cache.keyBodyBytes'],
  });
}

/** Detected only when a key asks. */
class Traits {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get device(): string {
    return this.#exchange.device.device;
  }

  get vendor(): string {
    return this.#exchange.device.vendor;
  }

  get browser(): string {
    return this.#exchange.device.browser;
  }

  get isBot(): string {
    return this.#exchange.device.isBot ? '1' : '0';
  }
}

/** Collects the body when it is no longer than `limit`; otherwise leaves it a stream with nothing lost. */
async function readBody(exchange: Exchange, limit: number): Promise<void> {
  const { body } = exchange.request;
  if (body === null || Buffer.isBuffer(body)) return;
  exchange.request = { ...exchange.request, body: await collect(body, limit) };
}

async function collect(body: Readable, limit: number): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const iterator = body.iterator({ destroyOnReturn: false });
  for await (const chunk of iterator) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > limit) return rejoin(Buffer.concat(chunks), body);
  }
  return Buffer.concat(chunks);
}

function rejoin(head: Buffer, rest: Readable): Readable {
  const whole = new PassThrough();
  whole.write(head);
  rest.on('error', (error) => whole.destroy(error));
  whole.on('close', () => rest.destroy());
  return rest.pipe(whole);
}
