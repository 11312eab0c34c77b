/**
 * What the lab is made of: one case is one true cause of a failure, how it is provoked, and who has to see it. The
 * code, the phase, the acting party and the RFC 9209 error are never written down here: they follow from the cause.
 */
import type { Backend } from '../router/table.ts';
import { type Actor, CAUSES, type Cause, type Phase, type ProxyError } from '../status/causes.ts';
import type { Hop } from '../status/fault.ts';
import type { PeerKit } from './kit.ts';
import type { PlatformProcess } from './platform-process.ts';
import type { Scene } from './scene.ts';
import type { Seen } from './seen.ts';
import type { WorldName } from './worlds.ts';

/** What a project of the lab is made of: one route, and what it leads to. */
export interface LabPart {
  /** The upstream that the case's route proxies to. */
  readonly backend?: (kit: PeerKit, self: PlatformProcess) => Backend | Promise<Backend>;
  /** Project code that the case's route runs: a handler as source text. */
  readonly handler?: string;
  /** The same for a Node server: a request listener as source text. Cases of one project share the server. */
  readonly app?: string;
  /** The route's callback as source text, where a backend or a handler alone does not say it. */
  readonly route?: string;
  /** Further calls on the router, as source text. */
  readonly chain?: string;
  /** What else the routes file of its project says, outside the router. */
  readonly module?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Default `lab`. */
  readonly project?: string;
}

export interface LabCase extends LabPart {
  readonly cause: Cause;
  /** Unique within its code: what `--variant` names. */
  readonly variant: string;
  /** What is done, as one sentence for people. */
  readonly how: string;
  readonly hop: Hop;
  /** Part of the public details; default: what the cause says. */
  readonly details?: string;
  /** Where evidence names another party than the cause does. */
  readonly acts?: Actor;
  /** The failure comes after the head: the client sees a good status and a broken body, the log has the code. */
  readonly afterHead?: true;
  /** The answer passed through the platform once more, which did not take it for its own. */
  readonly passedOn?: true;
  /** Default `main`. */
  readonly world?: WorldName;
  /** Others in the same world would notice: nothing else runs there meanwhile. */
  readonly alone?: true;
  /** Afterwards the world is of no use any more. */
  readonly ends?: true;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the client does; default: it asks for the path of the case. */
  readonly provoke?: (scene: Scene) => Promise<Seen>;
}

export interface Expected {
  readonly code: number;
  readonly cause: Cause;
  readonly phase: Phase;
  readonly error: ProxyError;
  readonly acts: Actor;
  readonly hop: Hop;
  readonly details: string;
}

/** What the cause table says of a case. */
export function expectedOf({ cause, hop, acts, details }: LabCase): Expected {
  const row = CAUSES[cause];
  const own = 'details' in row ? (row.details ?? '') : '';
  const { code, phase, error } = row;
  return { code, cause, phase, error, acts: acts ?? row.acts, hop, details: details ?? own };
}

/** A part with the name that its path and its backend have. */
export interface NamedPart extends LabPart {
  readonly name: string;
}

export const codeOf = ({ cause }: Pick<LabCase, 'cause'>): number => CAUSES[cause].code;
/** `533/expired`: names the case, and is the path of its route. */
export const nameOf = (it: Pick<LabCase, 'cause' | 'variant'>): string => `${codeOf(it)}/${it.variant}`;
