/**
 * How the processes of a machine are shared between environments: everybody may have an equal share, more only of
 * what others leave, and some room stays for those who are below theirs. Idle processes go to whoever has fewer.
 * So one environment whose requests all hang can neither take the workers of others nor keep them from starting.
 */
export interface Holder {
  /** Worker processes, those included that are about to end. */
  readonly workers: number;
  /** Has been asked for lately. */
  readonly active: boolean;
}

/** Part of all processes that stays free for active environments below their share. */
const RESERVED_PART = 4;

/** Whether `owner` may start a process where `free` of `most` are free. */
export function mayStart(owner: string, holders: ReadonlyMap<string, Holder>, most: number, free: number): boolean {
  if (free <= 0) return false;
  const share = Math.max(1, Math.floor(most / Math.max(1, holders.size)));
  const others = [...holders].filter(([name]) => name !== owner).map(([, holder]) => holder);
  if ((holders.get(owner)?.workers ?? 0) < share) return true;
  const below = others.some(({ active, workers }) => active && workers < share);
  const without = others.some(({ workers }) => workers === 0);
  const reserved = below ? Math.ceil(most / RESERVED_PART) : without ? 1 : 0;
  return free > reserved;
}

/** Whether an idle process may go from one owner to another: the first one always, later ones towards equality. */
export const mayTake = (mine: number, theirs: number): boolean => mine === 0 || theirs > mine + 1;
