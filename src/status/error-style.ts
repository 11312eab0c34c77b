/**
 * The look of the HTML error page: paper and indigo, with the striped self-finished edge of a cloth and its red
 * thread; the way of the request is a thread with knots that comes off at the failed one. System fonts, no images.
 * Colours come in pairs for light and dark; a test holds each text colour against its ground (WCAG 2.2, level AA).
 */
export interface Palette {
  readonly ground: string;
  readonly card: string;
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly thread: string;
  readonly red: string;
  readonly weave: string;
}

export const LIGHT: Palette = {
  ground: '#f6f3ec',
  card: '#fffdf8',
  ink: '#1b2433',
  soft: '#565f6e',
  line: '#cdc7b8',
  thread: '#2c4a7c',
  red: '#b3202a',
  weave: '#ded6c3',
};

export const DARK: Palette = {
  ground: '#10151f',
  card: '#171e2b',
  ink: '#ece8df',
  soft: '#a2acbd',
  line: '#3b4658',
  thread: '#8fb0e8',
  red: '#ff8a80',
  weave: '#27344b',
};

const variables = (palette: Palette): string =>
  Object.entries(palette)
    .map(([name, value]) => `--${name}:${value}`)
    .join(';');

export const STYLE = `
:root{color-scheme:light dark;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}
*{box-sizing:border-box}
body{position:relative;margin:0;min-height:100vh;padding:clamp(1.6rem,7vh,5rem) clamp(1.1rem,5vw,4rem) 2rem calc(clamp(1.1rem,5vw,4rem) + 1.1rem);background:var(--ground);color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:break-word}
body::before{content:"";position:absolute;inset:0 auto 0 0;width:1.1rem;background:linear-gradient(90deg,transparent 9px,var(--red) 9px 11px,transparent 11px),repeating-linear-gradient(-45deg,var(--weave) 0 3px,var(--card) 3px 6px);border-right:1px solid var(--line)}
header,main,footer{max-width:46rem;margin:0 auto}
header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;justify-content:space-between;align-items:baseline;font-size:.95rem;color:var(--soft)}
.host{font-weight:600;color:var(--ink);overflow-wrap:anywhere}
h1{margin:.55em 0 .35em;font:600 clamp(1.75rem,1.1rem + 3.2vw,2.75rem)/1.16 ui-serif,"Iowan Old Style",Palatino,Georgia,serif;letter-spacing:-.012em;text-wrap:balance}
.lead{margin:0;max-width:38rem;font-size:1.15rem}
h2{margin:0 0 .15rem;font-size:.95rem;font-weight:600;color:var(--soft)}
p{margin:0 0 .3rem}
a{color:var(--thread);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--thread);outline-offset:3px}
.way{display:flex;margin:2.6rem 0 2.4rem;padding:0;list-style:none}
.way li{position:relative;flex:1 1 0;padding:2.3rem .6rem 0 0}
.way li+li::before{content:"";position:absolute;top:.76rem;left:calc(-100% + 1.7rem);width:calc(100% - 1.9rem);border-top:3px solid var(--thread)}
.way .failed::before{border-top-style:dashed!important;border-color:var(--red)!important}
.way .ahead::before{border-top:2px dotted var(--line)!important}
.way i{position:absolute;top:0;left:0;width:1.6rem;height:1.6rem;border:2px solid var(--line);border-radius:50%;display:grid;place-items:center;font:700 .85rem/1 system-ui,sans-serif}
.way .passed i{background:var(--thread);border-color:var(--thread);color:var(--ground)}
.way .failed i{background:var(--red);border-color:var(--red);color:var(--ground)}
.way b,.way span{display:block;line-height:1.35}
.way span{font-size:.92rem;color:var(--soft)}
.way .failed span{color:var(--red);font-weight:600}
.tag{padding:1.4rem 1.6rem;background:var(--card);border:1px solid var(--line);border-radius:4px;outline:1px dashed var(--line);outline-offset:-7px}
.tag section{margin-bottom:1.1rem}
dl{margin:0;padding-top:1rem;border-top:1px solid var(--line);font-size:.95rem}
dl div{display:flex;flex-wrap:wrap;gap:0 1rem;margin-bottom:.25rem}
dt{flex:0 0 6.4rem;color:var(--soft)}
dd{flex:1 1 14rem;margin:0;overflow-wrap:anywhere}
code{font:.95em ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace}
.id{user-select:all;-webkit-user-select:all;cursor:copy;padding:.08em .35em;border-radius:3px;background:var(--weave)}
footer{margin-top:1.6rem;font-size:.92rem;color:var(--soft)}
@media (max-width:38rem){.way{flex-direction:column;margin:2rem 0;gap:1.1rem}.way li{flex:none;min-height:1.7rem;padding:0 0 0 2.6rem}.way li+li::before{top:-1.7rem;left:.72rem;width:0;height:1.7rem;border-top:0!important;border-left:3px solid var(--thread)}.way .failed::before{border-left-style:dashed!important}.way .ahead::before{border-left:2px dotted var(--line)!important}.tag{padding:1.3rem 1.2rem}}
@media (forced-colors:active){.way i{forced-color-adjust:none}}
@media print{body::before{display:none}body{padding:0}}
`;
