/** The system's hosts file (hosts(5)): an address, then its names, `#` starts a comment. */
import { isIP } from 'node:net';
import type { Address } from './dns.ts';

export function parseHosts(text: string): ReadonlyMap<string, readonly Address[]> {
  const names = new Map<string, Address[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase();
      names.set(name, [...(names.get(name) ?? []), { address, family: family as 4 | 6 }]);
    }
  }
  return names;
}
