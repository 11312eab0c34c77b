/** Names of log files: `access.ndjson` is written, `access-20250114T120000.000Z-1f2e3d4c.ndjson` was rotated away. */

/** Rotated names sort by time. `mark` keeps two rotations of one millisecond apart. */
export function rotatedName(base: string, nowMs: number, mark: string): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '');
  return `${base}-${stamp}-${mark}.ndjson`;
}

export const isRotated = (base: string, name: string): boolean =>
  name.startsWith(`${base}-`) && /^\d{8}T\d{6}\.\d{3}Z-[0-9a-f]+\.ndjson$/.test(name.slice(base.length + 1));

/** When the file got its rotated name: nothing was written to it later, but for a batch that was under way. */
export function timeOfRotation(base: string, name: string): number {
  const stamp = name.slice(base.length + 1, base.length + 20);
  return Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)/, '$1-$2-$3T$4:$5:'));
}
