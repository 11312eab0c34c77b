/**
 * Prefetches what a prefetched answer will need: the pictures of a page, the pictures that an API answer names.
 * Source: spec "Caching", section 10.
 */
import type { PrefetchAs, PrefetchOptions } from '../names.ts';
import { type JsonQueryOptions, queryJson } from './json-query.ts';
import type { PrefetchedAnswer, PrefetchPlugin } from './prefetcher.ts';
import { type Attributes, findElements } from './selector.ts';

interface Rule {
  /** Default `image`. */
  readonly as?: PrefetchAs;
  /** Default: all. */
  readonly maxMatches?: number;
  readonly cors?: boolean;
}
export interface HtmlRule extends Rule {
  /** See `findElements` for what it may hold. */
  readonly selector: string;
  /** Attribute with the URL. Default `src`, and `href` for links. */
  readonly attribute?: string;
  /** Instead of `attribute`: gets each match and starts what it wants. */
  readonly callback?: (match: DeepFetchMatch) => Promise<void> | void;
}
export interface JsonRule extends Rule {
  readonly jsonQuery: string;
  readonly jsonQueryOptions?: JsonQueryOptions;
}
export type DeepFetchRule = HtmlRule | JsonRule;

export interface DeepFetchMatch {
  readonly attributes: Attributes;
  readonly prefetch: PrefetchedAnswer['prefetch'];
}

export class DeepFetchPlugin implements PrefetchPlugin {
  readonly #rules: readonly DeepFetchRule[];

  /** Throws a `SyntaxError` for a selector or query that is not understood. */
  constructor(rules: readonly DeepFetchRule[]) {
    for (const rule of rules) {
      if ('selector' in rule) findElements('', rule.selector);
      else queryJson({}, rule.jsonQuery.split(':', 1)[0]!);
    }
    this.#rules = rules;
  }

  async prefetched({ response, prefetch }: PrefetchedAnswer): Promise<void> {
    const type = response.headers.get('content-type') ?? '';
    if (/html/.test(type)) await this.#html(await response.text(), prefetch);
    else if (/json/.test(type)) await this.#json(await response.json(), prefetch);
  }

  async #html(html: string, prefetch: PrefetchedAnswer['prefetch']): Promise<void> {
    for (const rule of this.#rules) {
      if (!('selector' in rule)) continue;
      const matches = findElements(html, rule.selector).slice(0, rule.maxMatches);
      await Promise.all(matches.map((attributes) => follow(rule, attributes, prefetch)));
    }
  }

  async #json(data: unknown, prefetch: PrefetchedAnswer['prefetch']): Promise<void> {
    for (const rule of this.#rules) {
      if (!('jsonQuery' in rule)) continue;
      const urls = queryJson(data, rule.jsonQuery, rule.jsonQueryOptions).slice(0, rule.maxMatches);
      await Promise.all(urls.map((url) => prefetch(url, rule.as ?? 'image', optionsOf(rule))));
    }
  }
}

async function follow(rule: HtmlRule, attributes: Attributes, prefetch: PrefetchedAnswer['prefetch']): Promise<void> {
  if (rule.callback) return rule.callback({ attributes, prefetch });
  const url =
    rule.attribute === undefined ? (attributes.get('src') ?? attributes.get('href')) : attributes.get(rule.attribute);
  if (url !== undefined && url !== '' && !url.startsWith('data:'))
    await prefetch(url, rule.as ?? 'image', optionsOf(rule));
}

const optionsOf = ({ cors }: Rule): PrefetchOptions => (cors === undefined ? {} : { cors });

// biome-ignore lint/style/noDefaultExport: projects import it from its own module this way
export default DeepFetchPlugin;
