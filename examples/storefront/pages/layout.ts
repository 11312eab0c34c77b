/** What all pages share: the frame around them, and the way from a page to an answer. */
import config from 'selvedge/config';
import type { ComputeFunction, Request } from 'selvedge/router';

export interface Page {
  readonly title: string;
  /** HTML. */
  readonly body: string;
  /** Default 200. */
  readonly status?: number;
}

/** Names that the build gave to the code for browsers, by source file. */
const files = config.get('browser') as Readonly<Record<string, string>>;

/** A page as a `compute` callback. */
export const page =
  (render: (request: Request) => Page | Promise<Page>): ComputeFunction =>
  async (request, response) => {
    const { title, body, status = 200 } = await render(request);
    response.statusCode = status;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.body = frame(title, body, currencyOf(request));
  };

export type Currency = 'eur' | 'usd';

export function currencyOf(request: Request): Currency {
  return /(?:^|;\s*)currency=usd\s*(?:;|$)/.test(request.getHeader('cookie') ?? '') ? 'usd' : 'eur';
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Template tag: every value is escaped, except what `html` or `raw` made. */
export function html(texts: TemplateStringsArray, ...values: readonly unknown[]): Raw {
  return raw(texts.map((text, at) => text + (at < values.length ? escaped(values[at]) : '')).join(''));
}
export interface Raw {
  readonly html: string;
}
export const raw = (text: string): Raw => ({ html: text });

function escaped(value: unknown): string {
  if (Array.isArray(value)) return value.map(escaped).join('');
  if (typeof value === 'object' && value !== null && 'html' in value) return (value as Raw).html;
  return String(value).replace(/[&<>"']/g, (char) => ESCAPES[char]!);
}

function frame(title: string, body: string, currency: Currency): string {
  const choice = (code: Currency, sign: string): Raw =>
    code === currency
      ? html`<span aria-current="true">${sign} ${code.toUpperCase()}</span>`
      : html`<a href="/currency/${code}" rel="nofollow" data-forget>${sign} ${code.toUpperCase()}</a>`;
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title}</title>
  <link rel="icon" href="/images/mark.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/${files['client/site.css']}">
  <script src="/${files['client/app.ts']}" defer></script>
</head>
<body>
  <a class="skip" href="#main">To the cloth</a>
  <header class="top">
    <a class="name" href="/"><img src="/images/mark.svg" alt="" width="36" height="36"> Warp &amp; Weft</a>
    <p class="ticker" data-ticker>Cloth by the metre, cut to order</p>
    <nav class="currency" aria-label="Currency">${choice('eur', '€')}${choice('usd', '$')}</nav>
  </header>
  <main id="main">${raw(body)}</main>
  <footer class="bottom">
    <p>Warp &amp; Weft is the example shop of Selvedge. Nothing is for sale, not even the moths.</p>
    <p>This page was made at <time>${new Date().toISOString().slice(11, 19)} UTC</time>. Reload: for a minute it comes from the edge.</p>
  </footer>
</body>
</html>
`.html;
}
