import type { Request } from './request.ts';
import { type Response, responseBodyToString } from './response.ts';
import { headerPrefix } from './run-context.ts';

type Derive = (json: unknown, request: Request, response: Response) => string | readonly string[] | undefined;
export interface SurrogateKeyOptions {
  /** With keys that the response has already: `merge` (default) or `override`. */
  onConflict?: 'merge' | 'override';
}

/** A `transformResponse` that tags a JSON response with keys to purge it by. Other bodies are left alone. */
export const deriveSurrogateKeysFromJson =
  (derive: Derive, { onConflict = 'merge' }: SurrogateKeyOptions = {}) =>
  async (response: Response, request: Request): Promise<void> => {
    const json = parse(responseBodyToString(response));
    if (json === undefined) return;
    const derived = [(await derive(json, request, response)) ?? []].flat();
    const name = `${headerPrefix()}-surrogate-key`;
    const present = onConflict === 'merge' ? (response.fields.get(name)?.split(/[\s,]+/) ?? []) : [];
    const keys = [...new Set([...present, ...derived])].filter(Boolean);
    if (keys.length > 0) response.setHeader(name, keys.join(' '));
  };

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
