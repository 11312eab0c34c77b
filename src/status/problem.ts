/** A fault as the public may see it: the one record that every form of the error page shows (RFC 9457). */
import type { Branding } from './branding.ts';
import { ACTORS, type CodeDescription, describeCode, fillNames } from './catalogue.ts';
import { CAUSE_LIMITS, causeText } from './cause-texts.ts';
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
}

export function problemOf(fault: Fault, status: number, requestId: string, branding: Branding): Problem {
  const entry = catalogued(fault.code, branding);
  const limit = CAUSE_LIMITS[fault.why];
  return {
    ...(branding.helpUrl === '' ? {} : { type: `${branding.helpUrl}#${fault.code}` }),
    status,
    title: entry.name,
    detail: causeText(fault.why) ?? entry.description,
    code: fault.code,
    fault: fault.acts,
    phase: fault.phase,
    hop: fault.hop,
    requestId,
    help: entry.remedy,
    ...(fault.details === undefined ? {} : { details: fault.details }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** Whose move it is, as a sentence. */
export function moveSentence(actor: Actor, branding: Branding): string {
  if (actor === 'nobody') return 'Nobody has to act: this is by design.';
  const who = fillNames(ACTORS[actor], branding);
  return `The next move is with ${who}.`;
}

function catalogued(code: number, branding: Branding): CodeDescription {
  const entry = describeCode(code, branding) ?? describeCode(530, branding);
  return entry as CodeDescription;
}
