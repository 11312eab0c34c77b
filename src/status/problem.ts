/** A fault as the public may see it: the one record that every form of the error page shows (RFC 9457). */
import type { Branding } from './branding.ts';
import { ACTORS, type CodeDescription, describeCode, fillNames } from './catalogue.ts';
import { CAUSE_LIMITS, causeText, PRIVATE_FIGURES } from './cause-texts.ts';
import type { Actor, Phase } from './causes.ts';
import type { Fault, Hop } from './fault.ts';

export interface Problem {
  /** Link to the explanation of the code; absent when the installation has no help page. */
  readonly type?: string;
  /** Status that is sent: the code, or the one RFC 9209 recommends. */
  readonly status: number;
  /** Name of the code. */
  readonly title: string;
  /** One sentence: what happened. */
  readonly detail: string;
  readonly code: number;
  /** Who has to act. */
  readonly fault: Actor;
  readonly phase: Phase;
  /** Who saw it first-hand. */
  readonly hop: Hop;
  readonly requestId: string;
  /** What that party should do. */
  readonly help: string;
  /** Coarse token, e.g. `CERT_HAS_EXPIRED`; absent when the cause says it all. */
  readonly details?: string;
  /** Key of the limit that was breached. */
  readonly limit?: string;
  /** Its value, in the unit that the key ends with; absent where that is the operator's own business. */
  readonly limitValue?: number;
  /** What was seen instead. */
  readonly seen?: number;
}

export function problemOf(fault: Fault, status: number, requestId: string, branding: Branding): Problem {
  const entry = catalogued(fault.code, branding);
  return {
    ...(branding.helpUrl === '' ? {} : { type: `${branding.helpUrl}#${fault.code}` }),
    status,
    title: entry.name,
    detail: causeText(fault.why) ?? entry.description,
    code: fault.code,
    fault: fault.acts,
    phase: fault.phase,
    hop: fault.hop,
    requestId: printable(requestId),
    help: entry.remedy,
    ...(fault.details === undefined ? {} : { details: printable(fault.details) }),
    ...breachOf(fault),
  };
}

/** The limit with its figures, as the evidence has them. */
function breachOf({ why, evidence }: Fault): Pick<Problem, 'limit' | 'limitValue' | 'seen'> {
  const limit = CAUSE_LIMITS[why];
  if (limit === undefined) return {};
  if (PRIVATE_FIGURES.has(why)) return { limit };
  const { value, seen } = evidence;
  return {
    limit,
    ...(isFigure(value) ? { limitValue: value } : {}),
    ...(isFigure(seen) ? { seen } : {}),
  };
}

const isFigure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** Visible ASCII: what comes from elsewhere can neither break a line nor turn the reading direction. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);

/** Whose move it is, as a sentence. */
export function moveSentence(actor: Actor, branding: Branding): string {
  if (actor === 'nobody') return 'Nobody has to act: this is by design.';
  const who = fillNames(ACTORS[actor], branding);
  return `The next move is with ${who}.`;
}

/**
 * What an operator types to learn more. Not for an id that a shell would take for more than a word, nor where the
 * installation speaks under a name of its own.
 */
export function whyCommand(requestId: string, { productName }: Branding): string | undefined {
  return productName === 'Selvedge' && /^\w[\w.:-]*$/.test(requestId) ? `selvedge why ${requestId}` : undefined;
}

function catalogued(code: number, branding: Branding): CodeDescription {
  const entry = describeCode(code, branding) ?? describeCode(530, branding);
  return entry as CodeDescription;
}
