/**
 * The answer to a failed request: status, headers and body from one fault. The body is a problem document
 * (RFC 9457), HTML or plain text, whichever the client likes best; without a wish it is plain text, which reads
 * well everywhere. Internals (the fault's evidence) never reach it.
 */
import Negotiator from 'negotiator';
import { type Branding, DEFAULT_BRANDING } from './branding.ts';
import { describeCode } from './catalogue.ts';
import { errorHtml } from './error-html.ts';
import { errorText } from './error-text.ts';
import type { Fault } from './fault.ts';
import { type Problem, problemOf } from './problem.ts';
import { appendMember, proxyStatusMember, standardStatus } from './proxy-status.ts';
import { wayOf } from './way.ts';

/** `native` answers with our own codes, `standard` with the status that RFC 9209 recommends. */
export type StatusStyle = 'native' | 'standard';

export interface RenderOptions {
  /** The client's Accept field, as received. */
  readonly accept?: string | undefined;
  readonly requestId: string;
  /** Host as the client wrote it; shown on the page, escaped. */
  readonly host?: string | undefined;
  readonly branding?: Branding;
  /** Name of this POP or deployment in Proxy-Status; never the product's. */
  readonly identity: string;
  /** Default `native`. */
  readonly style?: StatusStyle;
  /** Proxy-Status as received from a trusted hop behind us. */
  readonly receivedProxyStatus?: string | undefined;
  /** The request had gone on to a global POP before it failed; drawn on the page. */
  readonly viaGlobal?: boolean;
}

export interface RenderedFault {
  readonly status: number;
  /** Reason phrase: the name of the code. */
  readonly reason: string;
  /** Without framing (Content-Length): that is the sender's, which also leaves the body away for HEAD. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

type Write = (problem: Problem, fault: Fault, options: RenderOptions, branding: Branding) => string;

interface Form {
  readonly contentType: string;
  readonly write: Write;
}

const JSON_FORM: Form = {
  contentType: 'application/problem+json',
  write: (problem) => `${JSON.stringify(problem, null, 2)}\n`,
};

/** In order of preference where the client has none. */
const FORMS: Readonly<Record<string, Form>> = {
  'text/plain': {
    contentType: 'text/plain; charset=utf-8',
    write: (problem, fault, { viaGlobal = false }, branding) => errorText(problem, wayOf(fault, viaGlobal), branding),
  },
  'application/problem+json': JSON_FORM,
  'application/json': JSON_FORM,
  'text/html': {
    contentType: 'text/html; charset=utf-8',
    write: (problem, fault, { host, viaGlobal = false }, branding) => {
      const { headline, visitor } = describeCode(fault.code, branding)!;
      return errorHtml({ problem, headline, visitor, way: wayOf(fault, viaGlobal), host, branding });
    },
  },
};

/** Nothing on the page is loaded from anywhere, and nothing that slipped in could run. */
const CONTENT_SECURITY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function renderFault(fault: Fault, options: RenderOptions): RenderedFault {
  const { accept, requestId, branding = DEFAULT_BRANDING, identity, style = 'native' } = options;
  const status = style === 'standard' ? standardStatus(fault) : fault.code;
  const problem = problemOf(fault, status, requestId, branding);
  const form = FORMS[preferredForm(accept)]!;
  const retryAfter = describeCode(fault.code)?.retryAfterSeconds;
  return {
    status,
    reason: problem.title,
    headers: [
      ['content-type', form.contentType],
      ['cache-control', 'no-store'],
      ['x-content-type-options', 'nosniff'],
      ...(form.contentType.startsWith('text/html') ? ([['content-security-policy', CONTENT_SECURITY]] as const) : []),
      [`${branding.headerPrefix}-error`, String(fault.code)],
      ['proxy-status', appendMember(options.receivedProxyStatus, proxyStatusMember(fault, identity))],
      ...(retryAfter === undefined ? [] : ([['retry-after', String(retryAfter)]] as const)),
    ],
    body: Buffer.from(form.write(problem, fault, options, branding)),
  };
}

function preferredForm(accept: string | undefined): string {
  const names = Object.keys(FORMS);
  if (accept === undefined) return names[0]!;
  return new Negotiator({ headers: { accept } }).mediaType(names) ?? names[0]!;
}
