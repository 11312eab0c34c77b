/**
 * The status catalogue: what every code that the platform itself may send means, whose move it is and what it is
 * not. Pages, problem documents, `selvedge codes` and docs/status-codes.md are derived from it; which failure has
 * which code is decided in `causes.ts` alone. `{product}`, `{prefix}` and `{cookie}` stand for the installation's names.
 * Source: spec page status-codes.
 */
import { type Branding, DEFAULT_BRANDING } from './branding.ts';
import { type Actor, CAUSES, type Cause } from './causes.ts';

export interface CodeEntry {
  readonly code: number;
  readonly name: string;
  /** What a visitor of the site is told first, in words of every day. */
  readonly headline: string;
  /** What a visitor can do about it. */
  readonly visitor: string;
  /** Hop that raises it, in words. */
  readonly raisedBy: string;
  /** One paragraph for whoever meets the code. */
  readonly description: string;
  /** What the party that has to act should do. */
  readonly remedy: string;
  /** Codes that it is easily taken for, and what tells them apart. */
  readonly not: string;
  /** Situations in which it is seen. */
  readonly examples: readonly string[];
  /** Seconds for `Retry-After`, where coming back soon may help. */
  readonly retryAfterSeconds?: number;
}

const ENTRIES: readonly CodeEntry[] = [
  {
    code: 400,
    name: 'Bad Request',
    headline: 'Your browser sent something that cannot be accepted here.',
    visitor:
      'Clearing the cookies of this site often helps, and so does a shorter address. If a program sent the request, the notes below say what it has to change.',
    raisedBy: 'client side',
    description:
      'The request itself breaks a rule: its address, its cookies or its headers are larger than allowed, or its framing is not valid HTTP.',
    remedy:
      'Shorten the address, clear cookies or send fewer headers. When every visitor is hit, look for a script that lets a cookie grow.',
    not: '542 (too many headers rather than too large), 413 (the body), or a 400 of the site itself, which carries no `{prefix}-error`.',
    examples: [
      'A form that puts all of its state into the query.',
      'Two Host lines.',
      'Content-Length together with Transfer-Encoding.',
    ],
  },
  {
    code: 401,
    name: 'Unauthorized',
    headline: 'This page asks for a user name and a password.',
    visitor: 'Reload the page and enter what the owners of the site gave you.',
    raisedBy: 'edge',
    description: 'The site asks for credentials, and the request has none or wrong ones.',
    remedy: 'Send the user name and password that the owners of the site have set.',
    not: 'A 401 of the site itself, which carries no `{prefix}-error`.',
    examples: ['A staging environment protected with `requireBasicAuth`.'],
  },
  {
    code: 403,
    name: 'Forbidden',
    headline: 'This page is not open to you.',
    visitor: 'If it should be, ask the owners of the site and give them the request id below.',
    raisedBy: 'edge',
    description: "A rule of the site's configuration refuses this request.",
    remedy: 'Ask the owners of the site for access; they find the rule by the request id.',
    not: 'A 403 of the site itself, which carries no `{prefix}-error`.',
    examples: ['An address on a block list.', 'A token that cannot be verified.'],
  },
  {
    code: 404,
    name: 'Not Found',
    headline: 'There is nothing at this address.',
    visitor: 'Check the address for a typing mistake, or start again from the front page of the site.',
    raisedBy: 'edge, or compute when matching happened there',
    description:
      'The site is known here, but no route of it matches the address, or the static file that a route names is not part of the deployment.',
    remedy:
      'Correct the link, or add a route or a fallback. For a missing file, look whether the build output contains it.',
    not: '535 (the host is unknown), or a 404 of the site itself, which carries no `{prefix}-error`.',
    examples: ['A page that was renamed without a redirect.', 'A hashed script of an older deployment.'],
  },
  {
    code: 408,
    name: 'Request Timeout',
    headline: 'Your request took too long to arrive.',
    visitor: 'Please try again; a steadier connection helps.',
    raisedBy: 'client side',
    description: 'The request did not arrive completely in time.',
    remedy: 'Send it again over a better connection.',
    not: '536 (an upstream was slow) or 539 (project code was slow).',
    examples: ['A connection that was opened and then forgotten.'],
  },
  {
    code: 412,
    name: 'Precondition Failed (prefetch)',
    headline: 'Nothing was kept ready for this address.',
    visitor: 'Nothing is wrong: open the page as usual, and it will be made for you.',
    raisedBy: 'edge',
    description:
      'A prefetch (`{cookie}_prefetch=1`) asked for something that no cache holds. Prefetching never causes work behind the cache, so the answer is this and nothing else happens.',
    remedy:
      'Nothing. When the ratio is high: prefetch the same address that is navigated to, keep it longer at the edge, serve it stale while revalidating, or prerender it.',
    not: "The site's own answer to `If-Match` and the like, which carries no `{prefix}-error`. Not counted as an error.",
    examples: ['The first visitor hovers over a link that nobody has opened yet.'],
  },
  {
    code: 413,
    name: 'Content Too Large',
    headline: 'What you sent is too large.',
    visitor: 'Please send something smaller, or in several parts.',
    raisedBy: 'compute',
    description: 'The body of the request is larger than project code may be given.',
    remedy: 'Send less at once, or let the route go straight to an upstream, which has no such limit.',
    not: '400 (address, cookies or headers are too large) or 532 (the response is too large).',
    examples: ['Uploading a video to a serverless function.'],
  },
  {
    code: 417,
    name: 'Expectation Failed',
    headline: 'Your program expects something that is not offered here.',
    visitor: 'Browsers never ask for this; the notes below say what the program has to change.',
    raisedBy: 'client side',
    description: 'The request asks for something in `Expect` that is not known here; only `100-continue` is.',
    remedy: 'Remove the Expect header.',
    not: '400 (the request is malformed).',
    examples: ['A client library with an unusual default.'],
  },
  {
    code: 504,
    name: 'Gateway Timeout (only-if-cached)',
    headline: 'No copy of this page is kept here.',
    visitor: 'Your program asked for a kept copy only; ask without that condition to get the page itself.',
    raisedBy: 'edge',
    description: 'The request allows stored answers only (`Cache-Control: only-if-cached`), and none is stored.',
    remedy: 'Send the request without that directive.',
    not: 'A timeout of ours: those have codes of their own (536, 539, 543). A 504 of the site itself carries no `{prefix}-error`.',
    examples: ['A tool that looks into the cache.'],
  },
  {
    code: 530,
    name: 'Internal {product} Error',
    headline: 'Something went wrong inside this service.',
    visitor:
      'It is nothing that you did. Please try again in a moment; if it happens again, the request id below leads to the reason.',
    raisedBy: 'any hop',
    description: 'Something unexpected went wrong inside {product} that no other code describes.',
    remedy: 'Report it with the request id; operators find the incident in the log of the component.',
    not: '534 (project code threw) or 545 (a component was not ready yet).',
    examples: ['A defect in {product}.'],
  },
  {
    code: 531,
    name: 'Project Upstream Connection Error',
    headline: 'The server behind this site cannot be reached.',
    visitor: 'Your device and your connection are fine. Please try again in a few minutes.',
    raisedBy: 'the hop that dials: global POP, edge POP, or compute',
    description:
      'The name of the upstream was resolved, but no connection to any of its addresses could be established in time, or it may not be dialled from here.',
    remedy:
      'Check host and port of the backend, that the service listens there, and that its firewall admits the outgoing addresses of this platform.',
    not: '533 (connected, but TLS failed), 536 (connected, but no usable answer; a slow upstream is never 531), 537 (the name has no address).',
    examples: [
      'The service is not running.',
      'A firewall drops the packets.',
      'The backend is a metadata address that is prohibited.',
    ],
  },
  {
    code: 532,
    name: 'Project Response Too Large',
    headline: 'This page came out too large to be sent.',
    visitor: 'Your device and your connection are fine. Trying again will hardly help until the site is changed.',
    raisedBy: 'compute (6 MB), or the hop that dials (2 GB)',
    description:
      'The response body is larger than allowed: 6 MB from project code, counted before compression, or 2 GB from an upstream.',
    remedy: 'Return less, paginate, or serve large files as static assets or straight from an upstream.',
    not: '534 (malformed), 536 (cut short), 542 (the headers are too large).',
    examples: ['An API route that returns a whole table.', 'A PDF made in a function.'],
  },
  {
    code: 533,
    name: 'Project Upstream TLS Error',
    headline: 'The server behind this site could not prove who it is.',
    visitor: 'Your device and your connection are fine, and nothing of yours was sent on. Please try again later.',
    raisedBy: 'the hop that dials',
    description:
      'The upstream was reached, but no secure channel could be negotiated, or its certificate was rejected.',
    remedy:
      "Renew the certificate, make its names cover the backend's host, and send the full chain. Tell the platform about a private authority.",
    not: '531 (not even connected), 536 (the handshake was complete), 546 (between two POPs).',
    examples: ['The certificate has expired.', 'It names another host.', 'The port speaks plain HTTP.'],
  },
  {
    code: 534,
    name: 'Project Error',
    headline: 'The program of this site failed.',
    visitor: 'Your device and your connection are fine. Please try again in a few minutes.',
    raisedBy: 'compute',
    description: "The project's serverless code failed unexpectedly, or what it sent is not a valid response.",
    remedy:
      'Read the server log line with this request id and fix the exception; when it says malformed, check status number and header values.',
    not: '540 (out of memory), 539 (ended by us at the deadline), or a 500 that the project sent itself, which carries no `{prefix}-error`.',
    examples: ['A rejected promise that nobody handles.', 'Status 42.', 'A module that throws while it is loaded.'],
  },
  {
    code: 535,
    name: 'Unknown Project',
    headline: 'There is no site at this address.',
    visitor:
      'Check the address for a typing mistake. If it is right, the site has not been connected yet or has moved away.',
    raisedBy: 'client side or edge',
    description: 'The request names no host, or one that belongs to no deployment here.',
    remedy: 'Check the address. Owners: add the domain to an environment and check where its DNS record points.',
    not: '544 (the host is not a valid name), 404 (host known, path not), 400 (several Host lines), 545 (configuration not loaded yet).',
    examples: ['A domain that points here before it was added.', 'A deployment host with a typing error.'],
  },
  {
    code: 536,
    name: 'Project HTTP Response Timeout',
    headline: 'The server behind this site did not answer properly.',
    visitor: 'Your device and your connection are fine. Please try again in a few minutes.',
    raisedBy: 'the hop that dials',
    description:
      'The upstream was connected, but gave no usable HTTP response: it was too slow, closed the connection early, or did not speak valid HTTP.',
    remedy:
      "Look into the upstream's own log for a crash or slow work at this time; move slow work off the request. Raise the limit only when the work rightly takes that long.",
    not: '531 (never connected), 533 (TLS), 539 (project code ran out of time), 542 (the response head is too large).',
    examples: [
      'A report that takes two minutes.',
      'The application restarts while it answers.',
      'A body that ends before its Content-Length.',
    ],
  },
  {
    code: 537,
    name: 'Project DNS Resolution Error',
    headline: 'The server behind this site cannot be found.',
    visitor: 'Your device and your connection are fine. Please try again later.',
    raisedBy: 'the hop that dials',
    description: 'The host name of the upstream could not be resolved to an address.',
    remedy:
      "Correct the backend's host name or its DNS record; if it resolves elsewhere, check the name server that this node uses.",
    not: '531 (there was an address), 548 (the name of the global POP).',
    examples: ['A typing error in a backend.', "A provider's name servers are down."],
  },
  {
    code: 538,
    name: 'Project Request Loop',
    headline: 'This site leads round in a circle.',
    visitor: 'Your device and your connection are fine. Trying again will not help until the site is changed.',
    raisedBy: 'edge, on entry',
    description:
      'The request has passed through {product} more than three times: a site is, directly or through others, its own upstream.',
    remedy: 'Point the backend at the real origin host, not at a domain that is served here.',
    not: 'A redirect loop (the client sees 30x).',
    examples: ["A backend with the site's public domain.", 'Two sites that proxy to each other.'],
  },
  {
    code: 539,
    name: 'Project Timeout',
    headline: 'This site took too long to answer.',
    visitor: 'Your device and your connection are fine. Please try again in a few minutes.',
    raisedBy: 'compute',
    description:
      "The project's serverless code had the request and did not answer in time, because something that it calls is slow or blocked, or because it never ended the response.",
    remedy:
      'Follow the detail token and compare the timings in `{prefix}-t`: await every promise, end every response, set timeouts on outgoing calls, cache the route.',
    not: '536 (a POP waited for an upstream), 541 (no worker ever had the request), 540, 534.',
    examples: [
      'A missing `await`.',
      'An API whose allow list does not have our addresses.',
      'A loop that never yields.',
    ],
  },
  {
    code: 540,
    name: 'Out of Memory',
    headline: 'This site ran out of memory.',
    visitor: 'Your device and your connection are fine. Please try again in a moment.',
    raisedBy: 'compute',
    description: "The project's serverless code used up the memory of its worker.",
    remedy: 'Stream instead of collecting, bound caches, and look for growth across the requests of one worker.',
    not: '534 (a stack overflow is a project error), 539.',
    examples: ['A cache without a bound.', 'Unpacking a large archive in memory.'],
  },
  {
    code: 541,
    name: '{product} Out of Workers',
    headline: 'Very many people are here right now.',
    visitor: 'Your device and your connection are fine. Please wait a few seconds and try again.',
    raisedBy: 'compute',
    description: 'There was so much traffic for project code that no worker could take the request in time.',
    remedy:
      'Add workers or machines, shorten the work of the handlers, cache more; mark the production environment so that it wins under load.',
    not: '539 (a worker had the request), 531 (connections to an upstream are used up), 545 (not ready yet).',
    examples: ['A campaign sends everybody to an uncached page.'],
    retryAfterSeconds: 5,
  },
  {
    code: 542,
    name: 'Project Header Overflow',
    headline: 'Too much came along with this page.',
    visitor: 'Clearing the cookies of this site may help. Otherwise the owners of the site have to act.',
    raisedBy: 'edge (request), the hop that dials or compute (response)',
    description:
      'The request or the response has too many header lines, or the headers of the response are too large in total.',
    remedy: 'Remove headers, merge cookies, switch off debug output that adds headers.',
    not: '400 (headers of the request too large in bytes), 532 (the body), 536.',
    examples: ['An application that sets a cookie for every item of a list.'],
  },
  {
    code: 543,
    name: 'Global Upstream Timeout',
    headline: 'A part of this service did not answer in time.',
    visitor: 'Your device and your connection are fine. Please try again in a moment.',
    raisedBy: 'edge',
    description:
      'The request did not get from the edge POP to the global POP and back in time: the global POP could not be connected, or said nothing for too long.',
    remedy: 'Operators: check load and network between the POPs. Visitors may simply try again.',
    not: '547 (failed without running out of time), 536 or 539 (raised behind the global POP and passed on).',
    examples: ['A global POP that is stopped or overloaded.', 'A network that drops packets.'],
  },
  {
    code: 544,
    name: 'Invalid Host Header',
    headline: 'This address is not a valid one.',
    visitor: 'Check the address for a typing mistake.',
    raisedBy: 'client side',
    description: 'The host that the request names is not a valid domain name.',
    remedy: 'Fix the client, or the proxy in front that rewrites Host.',
    not: '535 (valid, but unknown or absent), 400 (two Host lines).',
    examples: ['`Host: a b`.', 'A label of more than 63 characters.', 'A port beyond 65535.'],
  },
  {
    code: 545,
    name: '{product} Component Not Ready',
    headline: 'This service is just starting up or being replaced.',
    visitor: 'Please wait a few seconds and try again.',
    raisedBy: 'edge, global or compute',
    description:
      'The request reached a component of {product} that is still preparing, has no configuration yet, or is about to stop.',
    remedy: 'Try again shortly. Operators: take components out of rotation until they say that they are ready.',
    not: '535 (configuration loaded, host unknown), 541 (no free worker), 530.',
    examples: ['A machine that has just been started.', 'A connection kept open while the process drains.'],
    retryAfterSeconds: 5,
  },
  {
    code: 546,
    name: '{product} Global POP TLS Error',
    headline: 'Two parts of this service could not trust each other.',
    visitor: 'Your device and your connection are fine, and nothing of yours was sent on. Please try again later.',
    raisedBy: 'edge',
    description: 'No secure channel could be negotiated between the edge POP and the global POP.',
    remedy: 'Operators: renew or redistribute the certificates of the POPs, and check the clocks.',
    not: '533 (between a POP and the upstream), 543, 547.',
    examples: ['A POP certificate has expired.', 'An edge POP without client certificate.'],
  },
  {
    code: 547,
    name: '{product} Global POP No HTTP Response',
    headline: 'A part of this service broke off.',
    visitor: 'Your device and your connection are fine. Please try again in a moment.',
    raisedBy: 'edge',
    description: 'The global POP refused or broke the connection, or what it sent is not valid HTTP.',
    remedy: 'Operators: the global POP is down or crashing; check its log and its failover.',
    not: '531 (the global POP was reached, the upstream refused), 543 (time ran out), 546, 548.',
    examples: ['The global POP was restarted during the request.'],
  },
  {
    code: 548,
    name: '{product} Global POP DNS Resolution Error',
    headline: 'A part of this service cannot be found.',
    visitor: 'Your device and your connection are fine. Please try again later.',
    raisedBy: 'edge',
    description: 'The host name of the global POP could not be resolved to an address.',
    remedy: "Operators: repair the record or the machine's name servers, or configure the address itself.",
    not: '537 (the name of an upstream).',
    examples: ['A name server that does not answer.'],
  },
  {
    code: 549,
    name: 'Project Crashed',
    headline: 'The program of this site crashed.',
    visitor: 'Your device and your connection are fine. Please try again in a moment.',
    raisedBy: 'compute, when `codes.projectCrashed` is 549 (otherwise 534)',
    description: "The worker process of the project's serverless code ended by itself while it had the request.",
    remedy: 'Remove process exits from request code; check native modules.',
    not: '540 (memory), 539 (ended by us), 534 (an exception that was reported).',
    examples: ['`process.exit()` in a handler.', 'A native module that crashes.'],
  },
];

/** How a page names the party that has to act. */
export const ACTORS: Readonly<Record<Actor, string>> = {
  client: 'whoever sent this request',
  project: 'the owners of this site',
  upstream: 'the operators of the server behind this site',
  platform: 'the operators of {product}',
  capacity: 'the operators who size {product}',
  nobody: 'nobody; this is by design',
};

/** An entry with the installation's names filled in, and what the cause table knows of it. */
export interface CodeDescription extends CodeEntry {
  readonly acts: readonly Actor[];
  readonly causes: readonly Cause[];
}

export const CODES: readonly number[] = ENTRIES.map(({ code }) => code);

const described = new WeakMap<Branding, Map<number, CodeDescription>>();

/** What `selvedge codes <code>` shows; undefined for a number that the platform never sends itself. */
export function describeCode(code: number, branding: Branding = DEFAULT_BRANDING): CodeDescription | undefined {
  let known = described.get(branding);
  if (known === undefined) {
    known = new Map(ENTRIES.map((entry) => [entry.code, describe(entry, branding)]));
    described.set(branding, known);
  }
  return known.get(code);
}

function describe(entry: CodeEntry, branding: Branding): CodeDescription {
  const causes = (Object.keys(CAUSES) as Cause[]).filter((cause) => CAUSES[cause].code === entry.code);
  const fill = (text: string): string => fillNames(text, branding);
  return {
    ...entry,
    name: fill(entry.name),
    description: fill(entry.description),
    remedy: fill(entry.remedy),
    not: fill(entry.not),
    examples: entry.examples.map(fill),
    acts: [...new Set(causes.map((cause) => CAUSES[cause].acts))],
    causes,
  };
}

export const describeCodes = (branding: Branding = DEFAULT_BRANDING): readonly CodeDescription[] =>
  CODES.map((code) => describeCode(code, branding)!);

export function fillNames(text: string, { productName, headerPrefix, cookiePrefix }: Branding): string {
  const names: Readonly<Record<string, string>> = { product: productName, prefix: headerPrefix, cookie: cookiePrefix };
  return text.replace(/\{(product|prefix|cookie)\}/g, (_, name: string) => names[name]!);
}
