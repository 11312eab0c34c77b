/** The web console's files: page and style as they are, its code bundled when it is first asked for. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page, Pages } from '../../control/listener.ts';

const FOLDER = new URL('../../../console/', import.meta.url);

export function consolePages(): Pages {
  const made = new Map<string, Promise<Page>>();
  return async (path) => {
    const make = FILES[path];
    if (make === undefined) return null;
    let page = made.get(path);
    if (!page) {
      page = make();
      // A failure is not kept: the next one who asks finds out anew.
      page.catch(() => made.delete(path));
      made.set(path, page);
    }
    return page;
  };
}

const file = (name: string, contentType: string) => async (): Promise<Page> => ({
  contentType,
  text: await readFile(new URL(name, FOLDER), 'utf8'),
});

async function code(): Promise<Page> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('main.ts', FOLDER))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    minify: true,
    logLevel: 'silent',
  });
  return { contentType: 'text/javascript; charset=utf-8', text: outputFiles[0]!.text };
}

const FILES: Readonly<Record<string, () => Promise<Page>>> = {
  '/': file('index.html', 'text/html; charset=utf-8'),
  '/console.css': file('console.css', 'text/css; charset=utf-8'),
  '/console.js': code,
};
