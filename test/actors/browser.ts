/**
 * A real browser without a window: Chromium, spoken to over its DevTools protocol. Where none is installed the
 * system's package manager is asked for one; where that is not possible the stories that need it are skipped and
 * say so.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const INSTALL_MS = 300_000;

/** The browser's program, or why there is none. */
export function findBrowser(): { readonly path: string } | { readonly missing: string } {
  const found = installed();
  if (found !== undefined) return { path: found };
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !runs('apt-get', ['--version']))
    return { missing: 'no Chromium here, and this user cannot install one' };
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { env, timeout: INSTALL_MS, stdio: 'ignore' });
  const wanted = ['install', '-y', '-qq', '--no-install-recommends', 'chromium'];
  spawnSync('apt-get', wanted, { env, timeout: INSTALL_MS, stdio: 'ignore' });
  const now = installed();
  return now === undefined ? { missing: 'Chromium could not be installed' } : { path: now };
}

const installed = (): string | undefined => NAMES.find((name) => runs(name, ['--version']));

function runs(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore', timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** Scripts of the page do not run; `evaluate` still does. */
  readonly withoutScripts?: boolean;
}

type Parameters = Readonly<Record<string, unknown>>;
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}
type Listener = (method: string, params: Record<string, unknown>) => void;

export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #profile: string;
  readonly #asked = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #listeners = new Map<string, Listener>();
  #last = 0;

  private constructor(child: ChildProcess, socket: WebSocket, profile: string) {
    this.#child = child;
    this.#socket = socket;
    this.#profile = profile;
    socket.on('message', (data) => this.#take(JSON.parse(String(data)) as Message));
    socket.on('close', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the browser has gone'));
    });
  }

  static async open(path: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'sv-browser-'));
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--mute-audio'];
    const where = ['--remote-debugging-port=0', `--user-data-dir=${profile}`];
    const child = spawn(path, [...flags, ...quiet, ...where, 'about:blank'], {
      // Killed, it leaves its own temporary files: in the folder that goes with it.
      env: { ...process.env, TMPDIR: profile },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const address = await debuggerAddress(child);
    const socket = new WebSocket(address, { perMessageDeflate: false, maxPayload: 256 * 1024 * 1024 });
    await once(socket, 'open');
    return new Browser(child, socket, profile);
  }

  /** A page in a context of its own: no cookies, no workers, nothing stored. */
  async page({ width = 1280, height = 900, dark = false, withoutScripts = false }: PageOptions = {}): Promise<Page> {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId));
    this.#listeners.set(String(sessionId), (method, params) => page.heard(method, params));
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await page.send('Emulation.setDeviceMetricsOverride', metrics);
    const features = [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }];
    await page.send('Emulation.setEmulatedMedia', { features });
    if (withoutScripts) await page.send('Emulation.setScriptExecutionDisabled', { value: true });
    return page;
  }

  send(method: string, params: Parameters = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const asked = Promise.withResolvers<Record<string, unknown>>();
    this.#asked.set(id, asked);
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
    return asked.promise;
  }

  async close(): Promise<void> {
    const gone = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined;
    this.#child.kill('SIGKILL');
    await gone;
    this.#socket.terminate();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take({ id, sessionId, method, params = {}, result = {}, error }: Message): void {
    if (id === undefined) {
      if (method !== undefined && sessionId !== undefined) this.#listeners.get(sessionId)?.(method, params);
      return;
    }
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) asked?.reject(new Error(error.message));
    else asked?.resolve(result);
  }
}

async function debuggerAddress(child: ChildProcess): Promise<string> {
  let said = '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
    if (address !== undefined) resolve(address);
  });
  child.once('error', reject);
  child.once('exit', (code) => reject(new Error(`the browser ended with ${code}: ${said}`)));
  return promise;
}

export class Page {
  /** What the page complained about: console errors, uncaught exceptions, refused loads. */
  readonly complaints: string[] = [];
  /** Addresses that it asked for. */
  readonly requests: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;
  #loaded = Promise.withResolvers<void>();

  constructor(browser: Browser, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  send(method: string, params: Parameters = {}): Promise<Record<string, unknown>> {
    return this.#browser.send(method, params, this.#session);
  }

  /** Resolves when the page has loaded. */
  async goto(url: string): Promise<void> {
    this.#loaded = Promise.withResolvers();
    const { errorText } = await this.send('Page.navigate', { url });
    // A page with an error status is a page all the same.
    if (errorText !== undefined && errorText !== 'net::ERR_HTTP_RESPONSE_CODE_FAILURE')
      throw new Error(`${url}: ${String(errorText)}`);
    await this.#loaded.promise;
  }

  /** The value of an expression in the page; promises are waited for. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const answer = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    const failed = answer.exceptionDetails as { exception?: { description?: string }; text: string } | undefined;
    if (failed) throw new Error(failed.exception?.description ?? failed.text);
    return (answer.result as { value: Value }).value;
  }

  /** The whole page as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(String(data), 'base64');
  }

  heard(method: string, params: Record<string, unknown>): void {
    HEARD[method]?.(this, params);
    if (method === 'Page.loadEventFired') this.#loaded.resolve();
  }
}

const HEARD: Readonly<Record<string, (page: Page, params: Record<string, unknown>) => void>> = {
  'Runtime.exceptionThrown': (page, { exceptionDetails }) =>
    void page.complaints.push(JSON.stringify(exceptionDetails)),
  'Runtime.consoleAPICalled': (page, { type, args }) => {
    if (type === 'error' || type === 'warning') page.complaints.push(JSON.stringify(args));
  },
  'Log.entryAdded': (page, { entry }) => {
    const { level, text, url } = entry as { level: string; text: string; url?: string };
    if (level === 'error' || level === 'warning') page.complaints.push(`${text} ${url ?? ''}`);
  },
  'Network.requestWillBeSent': (page, { request }) => void page.requests.push((request as { url: string }).url),
};
