/** The answer of `GET /v1/requests/:id`: everything that is known of one request, for the command line and the console. */
import type { Actor, Cause, Phase } from '../status/causes.ts';
import type { Hop } from '../status/fault.ts';
import type { Story, StoryEnd } from './story.ts';
import type { Telling } from './telling.ts';
import type { Waterfall } from './waterfall.ts';

export interface RequestView {
  readonly requestId: string;
  /** One for each use of the id, newest first. Never empty. */
  readonly tellings: readonly TellingView[];
}

export interface TellingView extends Telling {
  /** `access-log`: a plain hit, or a story that is gone; then there are fewer details. */
  readonly source: 'story' | 'access-log';
  readonly waterfall: Waterfall;
  readonly routes: readonly RouteView[];
  readonly explanation?: Explanation;
  /** Ready for a shell; `upstream` goes past the platform, for the last call that was made. */
  readonly commands: { readonly client: string; readonly upstream?: string };
  /** What project code logged meanwhile. */
  readonly log: readonly ServerLine[];
  /** On a hit, and when a fetch was shared: the request that filled the entry, where it is still known. */
  readonly filledBy?: TellingView;
}

export interface RouteView {
  readonly id: string;
  /** Pattern as written, or a label; absent when the deployment is gone. */
  readonly label?: string;
  readonly file?: string;
  readonly line?: number;
  /** It took over after the failure. */
  readonly caught: boolean;
  /** It sends. */
  readonly sends: boolean;
}

/** A failure in words. */
export interface Explanation {
  readonly code: number;
  readonly name: string;
  readonly cause: Cause;
  /** What happened. */
  readonly detail: string;
  readonly phase: Phase;
  readonly hop: Hop;
  readonly acts: Actor;
  /** Who that is. */
  readonly who: string;
  readonly remedy: string;
  /** Key of the limit that was breached. */
  readonly limit?: string;
}

export interface ServerLine {
  readonly time: number;
  readonly level: number;
  readonly message: string;
  readonly wi: string;
  readonly late?: boolean;
}

/** One line of `GET /v1/requests`. */
export interface RequestSummary {
  readonly requestId: string;
  readonly atMs: number;
  readonly durationMs: number;
  readonly end: StoryEnd;
  readonly status?: number;
  readonly code?: number;
  readonly cause?: Cause;
  readonly acts?: Actor;
  readonly hop?: Hop;
  readonly method: string;
  readonly host: string;
  readonly url: string;
  readonly environment?: string;
  readonly deployment?: number;
}

export const summaryOf = (story: Story): RequestSummary => ({
  requestId: story.requestId,
  atMs: story.atMs,
  durationMs: story.durationMs,
  end: story.end,
  ...(story.status === undefined ? {} : { status: story.status }),
  ...(story.fault
    ? { code: story.fault.code, cause: story.fault.cause, acts: story.fault.acts, hop: story.fault.hop }
    : {}),
  method: story.request.method,
  host: story.request.host,
  url: story.request.url,
  ...(story.deployment ? { environment: story.deployment.environment, deployment: story.deployment.number } : {}),
});
