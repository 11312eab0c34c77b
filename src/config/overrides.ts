/**
 * Limits of one environment over those of the installation: every limit whose scope is narrower than the installation
 * may have a value of its own there. As data they are numbers or `off`, because JSON knows no infinity.
 */
import { LIMIT_KEYS, type LimitKey, type Limits, limitRow } from './limits.ts';
import { OPTIONS } from './options.ts';

export type LimitOverrides = Readonly<Record<string, number | 'off'>>;

export const OVERRIDABLE: readonly LimitKey[] = LIMIT_KEYS.filter((key) => limitRow(key).scope !== 'installation');

/** What is wrong with a value, as a sentence; undefined when it may be set. */
export function overrideProblem(key: string, raw: unknown): string | undefined {
  const known = OVERRIDABLE.find((it) => it === key);
  if (known === undefined) {
    const whole = LIMIT_KEYS.some((it) => it === key);
    return whole
      ? 'is a limit of the whole installation'
      : `is no limit; an environment may set ${OVERRIDABLE.join(', ')}`;
  }
  const { kind } = OPTIONS.get(`limits.${known}`)!;
  return kind.read(raw) === undefined ? `must be ${kind.allowed}` : undefined;
}

/** The parts of a limit that belong to another keep their share of it, as in the configuration file. */
const SHARES: readonly (readonly [part: LimitKey, of: LimitKey, share: number])[] = [
  ['compute.reservedMs', 'compute.responseMs', 0.25],
  ['compute.reservedMemoryMiB', 'compute.memoryMiB', 0.25],
];

/** What is not known or not valid here is left away: another version of the platform may have set it. */
export function withOverrides(limits: Limits, overrides: LimitOverrides | undefined): Limits {
  const given = Object.entries(overrides ?? {}).filter(([key, raw]) => overrideProblem(key, raw) === undefined);
  if (given.length === 0) return limits;
  const values = given.map(([key, raw]) => [key, OPTIONS.get(`limits.${key}`)!.kind.read(raw)!.value]);
  const all: Record<LimitKey, number> = { ...limits, ...(Object.fromEntries(values) as Partial<Limits>) };
  for (const [part, of, share] of SHARES) all[part] = Math.min(all[part], Math.floor(all[of] * share));
  return all;
}
