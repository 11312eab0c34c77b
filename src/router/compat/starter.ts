/** The starter package: a plugin for a site that is fetched from an existing origin, and its HTML transform. */
import { PluginBase } from '../authoring/plugin.ts';
import { type Response, responseBodyToString } from '../authoring/response.ts';

export class StarterRoutes extends PluginBase {}
export const starterRoutes = new StarterRoutes();

const SCRIPT = '<script src="/main.js" defer></script>';

/** A `transformResponse` that loads `/main.js` in HTML pages. */
export function injectBrowserScript(response: Response): void {
  if (!/\bhtml\b/i.test(response.fields.get('content-type') ?? '')) return;
  const html = responseBodyToString(response);
  const end = html.search(/<\/(head|body)>/i);
  if (end >= 0) response.body = html.slice(0, end) + SCRIPT + html.slice(end);
}
