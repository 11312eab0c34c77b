/** Rows as aligned columns, for people. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]!.length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}

/** Nothing to show is a sentence, not an empty screen. */
export const columnsOr = (nothing: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0 ? [nothing] : columns([head, ...rows]);

/** `2026-01-31 12:00:05`, UTC. */
export const shortTime = (iso: string): string => iso.slice(0, 19).replace('T', ' ');
