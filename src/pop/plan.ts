/**
 * What all matching routes together ask for: the first sender's action, the cache settings of every route merged,
 * and the operations of every route in declaration order. Source: spec "Routing", section 6.
 */
import type { MatchedRoute } from '../router/match.ts';
import type { Action, CacheSettings, KeySettings, RequestOp, ResponseOp, Route } from '../router/table.ts';
import type { TemplateParams } from '../router/template.ts';

export type Params = Readonly<Record<string, string | string[]>>;

/** An operation list with the params of the route that declared it. */
export interface Bound<Op> {
  readonly ops: readonly Op[];
  readonly params: Params;
}

export interface Plan {
  /** Every route that matched, up to and including the sender. */
  readonly routes: readonly Route[];
  /** The route that sends, and its params; null when none does. */
  readonly sender: Route | null;
  readonly action: Action | null;
  readonly params: Params;
  /** Params of the sender for path templates, also as they stood in the request. */
  readonly match: TemplateParams;
  readonly cache: CacheSettings | undefined;
  readonly key: KeySettings | undefined;
  readonly bodyKey: boolean;
  readonly requestOps: readonly Bound<RequestOp>[];
  readonly upstreamResponseOps: readonly Bound<ResponseOp>[];
  readonly responseOps: readonly Bound<ResponseOp>[];
}

export function makePlan(matched: readonly MatchedRoute[]): Plan {
  const last = matched.at(-1);
  const sends = last?.route.action !== undefined;
  return {
    routes: matched.map(({ route }) => route),
    sender: sends ? last.route : null,
    action: sends ? last.route.action! : null,
    params: last?.params ?? {},
    match: { params: last?.params ?? {}, rawParams: last?.rawParams ?? {} },
    cache: matched.reduce<CacheSettings | undefined>((merged, { route }) => mergeCache(merged, route.cache), undefined),
    key: matched.findLast(({ route }) => route.key !== undefined)?.route.key,
    bodyKey: matched.some(({ route }) => route.bodyKey === true),
    requestOps: bind(matched, (route) => route.requestOps),
    upstreamResponseOps: bind(matched, (route) => route.upstreamResponseOps),
    responseOps: bind(matched, (route) => route.responseOps),
  };
}

/** Later keys win, one level deep: a route may set the edge part and another the browser part. */
export function mergeCache(
  earlier: CacheSettings | undefined,
  later: CacheSettings | undefined,
): CacheSettings | undefined {
  if (!earlier || !later) return later ?? earlier;
  return {
    ...earlier,
    ...later,
    edge: mergePart(earlier.edge, later.edge),
    browser: mergePart(earlier.browser, later.browser),
  };
}

function mergePart<Part extends object>(earlier: Part | false | undefined, later: Part | false | undefined) {
  if (later === undefined) return earlier;
  if (later === false || !earlier) return later;
  return { ...earlier, ...later };
}

function bind<Op>(matched: readonly MatchedRoute[], pick: (route: Route) => readonly Op[]): Bound<Op>[] {
  return matched
    .filter(({ route }) => pick(route).length > 0)
    .map(({ route, params }) => ({ ops: pick(route), params }));
}
