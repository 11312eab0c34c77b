/**
 * The HTML form of the error page: one small file without scripts, fonts or images, readable in the dark, by screen
 * readers and without style. Everything that is not a constant of this file is escaped.
 */
import type { Branding } from './branding.ts';
import type { Cause } from './causes.ts';
import type { Fault, Hop } from './fault.ts';
import { moveSentence, type Problem } from './problem.ts';

type Station = 'you' | 'edge' | 'global' | 'compute' | 'upstream';

const STATIONS: Readonly<Record<Station, string>> = {
  you: 'You',
  edge: 'Edge',
  global: 'Global POP',
  compute: 'Project code',
  upstream: 'Upstream',
};

/** The way that was taken as far as the hop that saw the failure. */
const WAY_TO: Readonly<Record<Hop, readonly Station[]>> = {
  client: ['you', 'edge'],
  edge: ['you', 'edge'],
  global: ['you', 'edge', 'global'],
  compute: ['you', 'edge', 'compute'],
};

/** Where it failed, by the first word of the cause; every other cause failed at the hop itself. */
const FAILED_AT: Readonly<Record<string, Station>> = {
  request: 'you',
  link: 'global',
  upstream: 'upstream',
  compute: 'compute',
};

export function errorHtml(problem: Problem, fault: Fault, host: string | undefined, branding: Branding): string {
  const { code, title, detail, details, limit, hop, phase, requestId, help, type } = problem;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Host', host?.slice(0, 255)],
    ['Seen by', `${hop}, phase ${phase}`],
    ['Detail', details],
    ['Limit', limit],
    ['Request id', requestId],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${code} ${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="code">${code}</p>
<h1>${escaped(title)}</h1>
${diagram(fault)}
<h2>What happened</h2>
<p>${escaped(detail)}</p>
<h2>Whose move it is</h2>
<p><strong>${escaped(moveSentence(problem.fault, branding))}</strong> ${escaped(help)}</p>
${type === undefined ? '' : `<p><a href="${escaped(type)}" rel="noreferrer">More about ${code}</a></p>\n`}<dl>
${facts.map(([name, value]) => (value ? `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>` : '')).join('')}
</dl>
</main>
<footer>This page was made by ${escaped(branding.productName)}, not by the site.</footer>
</body>
</html>
`;
}

/** You → Edge → … with the failed station marked, and what lies behind it as not reached. */
function diagram({ hop, why }: Fault): string {
  const failed = failedStation(why, hop);
  const way = [...new Set([...WAY_TO[hop], failed])];
  const at = way.indexOf(failed);
  const items = way.map((station, index) => {
    const [state, words] =
      index < at ? ['ok', 'passed'] : index === at ? ['failed', 'failed here'] : ['off', 'not passed'];
    return `<li class="${state}"><b>${STATIONS[station]}</b><span>${words}</span></li>`;
  });
  return `<ol class="way" aria-label="The way of the request">${items.join('')}</ol>`;
}

function failedStation(why: Cause, hop: Hop): Station {
  return FAILED_AT[why.slice(0, why.indexOf('.'))] ?? (hop === 'client' ? 'edge' : hop);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const STYLE = `
:root{--ink:#1c2024;--soft:#5b6570;--ground:#fbfbf9;--line:#d5d9dd;--bad:#b3261e;--good:#1b6e4b}
@media (prefers-color-scheme:dark){:root{--ink:#eceff1;--soft:#a3adb8;--ground:#15181b;--line:#3a4148;--bad:#ff8a80;--good:#7fd1ae}}
*{box-sizing:border-box}
body{margin:0;padding:8vh 1.5rem 2rem;background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main,footer{max-width:42rem;margin:0 auto}
.code{margin:0;color:var(--bad);font:700 1rem ui-monospace,monospace;letter-spacing:.1em}
h1{margin:.1em 0 1.2em;font-size:1.9rem;line-height:1.2}
h2{margin:1.6em 0 .2em;font-size:1rem;color:var(--soft);font-weight:600}
p{margin:.2em 0}
a{color:inherit}
.way{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0;padding:0;list-style:none}
.way li{position:relative;flex:1 1 7rem;padding:.7rem .9rem;border:2px solid var(--line);border-radius:.5rem}
.way li+li::before{content:"";position:absolute;top:50%;left:-2rem;width:1.9rem;border-top:2px solid var(--line)}
.way b,.way span{display:block}
.way span{font-size:.85rem;color:var(--soft)}
.way .ok span{color:var(--good)}
.way .failed{border-color:var(--bad)}
.way .failed span{color:var(--bad);font-weight:600}
.way .off{border-style:dashed}
@media (max-width:36rem){.way{flex-direction:column;gap:1.2rem}.way li{flex:none}.way li+li::before{top:-1.2rem;left:1.6rem;width:0;height:1.1rem;border-left:2px solid var(--line)}}
dl{margin:2em 0 0;padding-top:1em;border-top:1px solid var(--line);font-size:.9rem}
dl div{display:flex;gap:1rem}
dt{flex:0 0 6rem;color:var(--soft)}
dd{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}
footer{margin-top:2rem;font-size:.85rem;color:var(--soft)}
`;
