/** A control plane on a data directory of its own, with what tests do to it: send blobs, deploy, call the API. */
import { createHash } from 'node:crypto';
import { type ControlServer, type ControlServerOptions, startControl } from '../../src/control/server.ts';
import { newFolder } from './folder.ts';

export const TEST_TOKEN = 'test-token';

export const newDataDir = (): string => newFolder('data');

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly body: any;
}

export interface ControlPlane {
  readonly server: ControlServer;
  readonly dataDir: string;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Sends the blob and returns its name. */
  send(content: string): Promise<string>;
  /** Sends a small manifest with these files and deploys it. */
  deploy(files?: Record<string, string>, place?: string): Promise<Answer>;
}

export async function controlPlane(options: Partial<ControlServerOptions> = {}): Promise<ControlPlane> {
  const dataDir = options.dataDir ?? newDataDir();
  const server = await startControl({
    token: TEST_TOKEN,
    port: 0,
    domain: 'localhost',
    limits: { 'static.bodyBytes': 1e6, 'bundle.compressedBytes': 1e6, 'bundle.uncompressedBytes': 5e6 },
    publicUrl: (host) => `http://${host}:8080`,
    ...options,
    dataDir,
  });
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    callApi(server.url, method, path, body, headers);
  const send = async (content: string) => {
    const sha = shaOf(content);
    await call('PUT', `/v1/blobs/${sha}`, content);
    return sha;
  };
  return {
    server,
    dataDir,
    call,
    send,
    async deploy(files = { 'index.html': '<p>hello' }, place = SHOP_PATH) {
      for (const content of Object.values(files)) await send(content);
      return call('POST', `${place}/deployments`, { manifest: await send(JSON.stringify(manifestOf(files))) });
    },
  };
}

export const SHOP_PATH = '/v1/projects/shop/environments/default';

/** Strings are sent as they are, anything else as JSON. */
export async function callApi(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${TEST_TOKEN}`, ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, headers: response.headers, body: /[/+]json/.test(type) ? JSON.parse(text) : text };
}

export const shaOf = (content: string): string => createHash('sha256').update(content).digest('hex');

export function manifestOf(files: Record<string, string>, more: Record<string, unknown> = {}): Record<string, unknown> {
  const assets = Object.entries(files).map(([path, content]) => [
    path,
    { sha256: shaOf(content), bytes: Buffer.byteLength(content), type: 'text/html' },
  ]);
  return {
    format: 1,
    builder: 'test',
    name: 'shop',
    routes: {
      format: 1,
      backends: {},
      main: { routes: [], catches: [] },
      destinations: {},
      flags: { indexPermalink: false, allowReqQueryDuplicates: false, excludeBuiltInRoutes: false },
      prerender: [],
    },
    assets: Object.fromEntries(assets),
    server: null,
    warnings: [],
    ...more,
  };
}
