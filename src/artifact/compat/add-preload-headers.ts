/** `core/router/addPreloadHeaders`: announces a page's `<link rel="preload">` in a Link header (RFC 8288). */
interface PageResponse {
  readonly body?: unknown;
  getHeader(name: string): unknown;
  setHeader(name: string, value: string): void;
}

const LINK = /<link\b[^>]*>/gi;
const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i')
    .exec(tag)
    ?.slice(1)
    .find((value) => value !== undefined);

export default function addPreloadHeaders(response: PageResponse): void {
  const page =
    typeof response.body === 'string' ? response.body : Buffer.isBuffer(response.body) ? response.body.toString() : '';
  const links: string[] = [];
  for (const [tag] of page.matchAll(LINK)) {
    const href = attribute(tag, 'href');
    const as = attribute(tag, 'as');
    if (attribute(tag, 'rel')?.toLowerCase() === 'preload' && href && as)
      links.push(`<${href}>; rel=preload; as=${as}`);
  }
  const before = response.getHeader('link');
  if (links.length > 0) response.setHeader('link', [...(before ? [String(before)] : []), ...links].join(', '));
}
