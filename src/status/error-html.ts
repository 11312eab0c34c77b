/**
 * The HTML form of the error page, for two readers: a visitor, who is told in words of every day what happened and
 * what can be done about it, and an operator, who finds cause, hop and request id below. One small file without
 * scripts, fonts or images, readable in the dark, on a phone, by screen readers and without style. Everything that
 * is not a constant of these files is escaped.
 */
import type { Branding } from './branding.ts';
import { STYLE } from './error-style.ts';
import { moveSentence, type Problem, whyCommand } from './problem.ts';
import type { Stop, StopState } from './way.ts';

export interface PageParts {
  readonly problem: Problem;
  /** What a visitor reads first, and what a visitor can do. */
  readonly headline: string;
  readonly visitor: string;
  readonly way: readonly Stop[];
  /** Host as the client wrote it. */
  readonly host: string | undefined;
  readonly branding: Branding;
}

export function errorHtml({ problem, headline, visitor, way, host, branding }: PageParts): string {
  const { code, title, detail, help, type } = problem;
  const name = `${code} ${escaped(title)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${name}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
${host ? `<span class="host" dir="ltr">${escaped(host.slice(0, 255))}</span>\n` : ''}<span class="code">${name}</span>
</header>
<main>
<h1>${escaped(headline)}</h1>
<p class="lead">${escaped(visitor)}</p>
<ol class="way" aria-label="The way of your request">${way.map(stop).join('')}</ol>
<div class="tag">
<section aria-labelledby="what"><h2 id="what">What happened</h2><p>${escaped(detail)}</p></section>
<section aria-labelledby="who"><h2 id="who">Whose move it is</h2><p><strong>${escaped(moveSentence(problem.fault, branding))}</strong> ${escaped(help)}</p>${
    type === undefined ? '' : `<p><a href="${escaped(type)}" rel="noopener noreferrer">More about error ${code}</a></p>`
  }</section>
<dl>${facts(problem)}</dl>
</div>
</main>
<footer>${footer(problem, branding)}</footer>
</body>
</html>
`;
}

const GLYPHS: Readonly<Record<StopState, string>> = { passed: '✓', failed: '✕', ahead: '' };

const stop = ({ name, state, words }: Stop): string =>
  `<li class="${state}"><i aria-hidden="true">${GLYPHS[state]}</i><b>${name}</b><span>${words}</span></li>`;

function facts({ hop, phase, details, limit, limitValue, seen, requestId }: Problem): string {
  const figures = [limitValue !== undefined && `at most ${limitValue}`, seen !== undefined && `seen ${seen}`];
  const breached = limit && [`<code>${escaped(limit)}</code>`, ...figures.filter(Boolean)].join(', ');
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Seen by', `${hop}, phase ${phase}`],
    ['Detail', details && escaped(details)],
    ['Limit', breached],
    ['Request id', `<code class="id">${escaped(requestId)}</code>`],
  ];
  return rows.map(([name, html]) => (html ? `<div><dt>${name}</dt><dd>${html}</dd></div>` : '')).join('');
}

function footer({ requestId }: Problem, branding: Branding): string {
  const made = `This page was made by ${escaped(branding.productName)}, not by the site.`;
  const command = whyCommand(requestId, branding);
  return command === undefined ? made : `${made} Operators: <code>${escaped(command)}</code>`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Markup, and characters that cannot be seen but turn the reading direction of what follows. */
export const escaped = (text: string): string =>
  text.replace(/\p{Cc}|\p{Cf}/gu, '\ufffd').replace(/[&<>"']/g, (character) => ESCAPES[character]!);
