/** Header names that the platform keeps for itself. Source: spec "Headers", section 6. */

const ALWAYS = new Set(['x-request-id', 'content-length', 'via', 'proxy-status', 'cache-status']);
const OPEN = { request: /^(client-ip|geo-.+)$/, response: /^(surrogate-key|upstream-requests)$/ };

export function isReservedHeader(name: string, on: 'request' | 'response', prefixes: readonly string[]): boolean {
  const lower = name.toLowerCase();
  if (ALWAYS.has(lower) || (on === 'response' && lower === 'host')) return true;
  const prefix = prefixes.find((candidate) => lower.startsWith(`${candidate}-`));
  return prefix !== undefined && !OPEN[on].test(lower.slice(prefix.length + 1));
}
